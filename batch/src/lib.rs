//! Offline work: every picture of folders, lists and archives through a running service, into one file of answers.
//!
//! ```text
//! sources ─ items in order ─▶ reading ─▶ run (client: a connection each) ─▶ journal ─▶ formats
//!           but what the journal has                                        OUT.part   OUT
//! ```
//!
//! `run` owns the threads; the service is somebody else's (the command starts a private one). The journal is the only
//! state: what stands in it is done, so a run that was killed goes on where it was. Knows no model and no tensor.

mod archive;
mod client;
mod drawing;
mod formats;
mod journal;
mod progress;
mod reading;
mod record;
mod run;
mod sorting;
mod sources;

pub use client::Endpoint;
pub use formats::Format;
pub use progress::Progress;
pub use run::{End, Plan, Summary, TOGETHER, run};

use std::io;
use std::path::PathBuf;

/// Why a run could not begin, or could not go on. What is wrong with a picture is no error but a record.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Something is asked for that does not exist or makes no sense: the user's turn.
    #[error("{0}")]
    Usage(String),
    /// A file or folder.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The service ended, or answers nobody. What is done is in the journal.
    #[error("the service does not answer: {0}; run the same command again to go on")]
    Service(String),
    /// A request that the service refuses whatever the picture.
    #[error("{0}")]
    Refused(String),
}

/// Limits for a picture that a frontend has decoded within its own, which may be wider than the usual ones.
fn decoded_before() -> vision::decode::Limits {
    vision::decode::Limits {
        max_pixels: u64::MAX,
        max_side: u32::MAX,
        min_side: 0,
        max_aspect: 1 << 20,
        max_scans: u32::MAX,
        max_metadata: 1 << 40,
        max_alloc: u64::MAX,
    }
}

impl BatchError {
    fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
