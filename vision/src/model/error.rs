//! Why a model could not be described. Every text names what to change.

/// A sidecar that cannot be read, or a model that cannot be described without more of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The sidecar is not what it should be.
    #[error("sidecar line {line}: {message}")]
    Sidecar {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong there, with the key and, for a typing slip, the nearest right one.
        message: String,
    },
    /// A key has a value that does not go with the model or with another key.
    #[error("{key}: {message}")]
    Key {
        /// Key of the sidecar, with its table.
        key: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The model leaves something open that only the sidecar can say.
    #[error("{message}: set {key} in the sidecar")]
    Missing {
        /// Key, or keys, to set.
        key: &'static str,
        /// What is not known.
        message: String,
    },
    /// The input is not a picture.
    #[error("input: {0}")]
    Input(String),
    /// The outputs do not fit the family.
    #[error("outputs do not fit family {family}: {message}")]
    Outputs {
        /// The family's name as the sidecar writes it.
        family: &'static str,
        /// What does not fit.
        message: String,
    },
    /// An output lacks the batch axis.
    #[error(
        "output `{output}` has shape {shape:?}, whose first axis is not the batch axis of {batch} that the input has"
    )]
    Batch {
        /// Name of the output.
        output: String,
        /// Its whole shape.
        shape: Vec<i64>,
        /// Length of the input's batch axis, -1 where it is free.
        batch: i64,
    },
    /// There are more or fewer labels than classes.
    #[error("{labels} labels for a model of {classes} classes")]
    LabelCount {
        /// Labels given.
        labels: usize,
        /// Classes that the outputs have.
        classes: usize,
    },
    /// The model does what the service does not answer with.
    #[error("the file says that it is a model for {0:?}; only detection and classification are served")]
    Unsupported(String),
}
