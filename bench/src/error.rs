//! What can go wrong, and whose turn it is then.

/// Why a measurement did not come about.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What was asked for cannot be done.
    #[error("{0}")]
    Usage(String),
    /// The service or the machine did not do its part.
    #[error("{0}")]
    Failed(String),
}

impl BenchError {
    /// The caller's turn.
    pub fn usage(why: impl ToString) -> Self {
        Self::Usage(why.to_string())
    }

    /// The service's or the machine's.
    pub fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }

    /// A file that cannot be read or written.
    pub fn file(path: &std::path::Path, error: &impl ToString) -> Self {
        Self::Failed(format!("{}: {}", path.display(), error.to_string()))
    }
}
