//! What is wrong with a configuration, in one line: where, which key, what, and what is probably meant.

use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}; pass the right file with --config, or none for the defaults", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A key or value in the file.
    #[error("{}:{line}: {message}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Key and reason.
        message: String,
    },
    /// A key or value given by an environment variable or a flag.
    #[error("{origin}: {message}")]
    Override {
        /// The variable or flag as the user wrote it.
        origin: String,
        /// Key and reason.
        message: String,
    },
    /// A default that does not fit this machine, or keys that do not fit together.
    #[error("{0}")]
    Value(String),
}

/// The key that is most probably meant by `wrong`, among `known` (dotted) keys: one of the same name elsewhere, or the
/// one with the least typing difference if that is small.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |key: &&str| {
        let whole = strsim::damerau_levenshtein(wrong, key);
        // the right name in the wrong section is a single slip
        if leaf(key) == leaf(wrong) { whole.min(1) } else { whole }
    };
    let most = (wrong.len() / 3).clamp(1, 4);
    known.map(|key| (score(&key), key)).filter(|(score, _)| *score <= most).min().map(|(_, key)| key)
}
