//! Why the engine cannot serve, in the operator's words: what, where, and what to do.
//!
//! Every variant knows the exit status that tells a service manager whether a restart can help.

use shm_proto::control::Exit;
use std::path::PathBuf;

/// Why the engine cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration holds a value that cannot be used.
    #[error("{0}")]
    Config(String),
    /// ONNX Runtime was not found.
    #[error(
        "ONNX Runtime{kind} was not found (looked at {looked}); fetch it with `{remedy}`, or set engine.runtime or \
         ORT_DYLIB_PATH to its libonnxruntime.so"
    )]
    RuntimeMissing {
        /// Which build: empty, or with CUDA.
        kind: &'static str,
        /// The places, in order.
        looked: String,
        /// The command that fetches it.
        remedy: &'static str,
    },
    /// A library was found and cannot be used.
    #[error("ONNX Runtime at {}: {reason}", path.display())]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The device cannot be used now.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// As configured.
        device: String,
        /// What the runtime says, or which file is missing.
        reason: String,
        /// Whether it may come back by itself, as a driver that is being loaded does.
        transient: bool,
    },
    /// A file that belongs to the model cannot be read.
    #[error("{what} {}: {source}", path.display())]
    Read {
        /// What the file is.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The model cannot be loaded or served as it is.
    #[error("model {}: {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The arena that came from the supervisor does not fit.
    #[error("arena: {0}")]
    Arena(String),
    /// The supervisor said something that has no meaning for an engine.
    #[error("control channel: {0}")]
    Control(String),
    /// The machine would not give what is needed.
    #[error("{0}")]
    System(String),
}

impl EngineError {
    /// The exit status: 78 where only a person can help, 75 where a later try may succeed, 70 for our own fault.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::RuntimeMissing { .. }
            | Self::Runtime { .. }
            | Self::Device { transient: false, .. }
            | Self::Read { .. }
            | Self::Model { .. } => Exit::Config,
            Self::Device { transient: true, .. } | Self::System(_) => Exit::Temporary,
            Self::Arena(_) | Self::Control(_) => Exit::Internal,
        }
    }
}
