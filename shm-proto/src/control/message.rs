//! What supervisor and children say to each other. Descriptions and configurations travel as JSON texts that the
//! supervisor passes on without reading them, so that it need not know models.

use crate::arena::Geometry;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What a child process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// HTTP and pixels.
    Frontend,
    /// Tensors and the accelerator.
    Engine,
}

impl Role {
    /// The role's name in logs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Engine => "engine",
        }
    }
}

/// What a child is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// What it is.
    pub role: Role,
    /// Its slot in the process table, counted by role.
    pub slot: u8,
    /// Counts the processes that had this slot.
    pub generation: u16,
    /// Name of the board to attach.
    pub board: String,
    /// Frontend slots of the service.
    pub frontends: u32,
    /// Its configuration as JSON.
    pub config: String,
}

/// From the supervisor to a child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToChild {
    /// The first message. Descriptors: the bells of all frontends by slot, then the listening sockets.
    Boot(Boot),
    /// Serve with this arena from now on. Descriptor: the arena.
    Attach {
        /// The arena's model generation.
        generation: u32,
        /// Its sizes.
        geometry: Geometry,
        /// The model's facts as JSON, as the engine told them.
        description: String,
    },
    /// Finish what is in flight, say [`FromChild::Drained`] and leave.
    Drain {
        /// Time for it.
        timeout: Duration,
    },
    /// The supervisor is about to become another program, which cannot speak with this child: go on when the channel
    /// closes, and drain when the control socket does. [`super::ControlReceiver`] keeps this to itself.
    HandOver {
        /// Time to drain then.
        timeout: Duration,
    },
}

impl ToChild {
    /// The part of a message that may be long, and is therefore passed as a file behind the other descriptors.
    pub(super) fn long_text(&mut self) -> Option<&mut String> {
        match self {
            Self::Attach { description, .. } => Some(description),
            Self::Boot(_) | Self::Drain { .. } | Self::HandOver { .. } => None,
        }
    }
}

/// From a child to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromChild {
    /// The engine has loaded a model and needs an arena for it.
    Model {
        /// Bytes of one image's input.
        input_bytes: u64,
        /// Bytes of one image's part of each output.
        output_bytes: Vec<u64>,
        /// Most images in one run.
        max_batch: u32,
        /// Concurrent runs.
        lanes: u32,
        /// The model's facts as JSON, for the frontends.
        description: String,
        /// What a request that waits in the arena relies on: an engine with the same goes on with it.
        identity: String,
        /// Name and version, for people.
        title: String,
    },
    /// Serving with the arena of this generation: a warm engine, or a frontend that accepts and has it attached.
    Ready {
        /// The arena's generation.
        generation: u32,
    },
    /// Nothing is in flight any more; the process leaves.
    Drained,
    /// One line about what it does, for the status.
    Status(String),
    /// It cannot go on, and leaves with this exit code.
    Fatal {
        /// The exit code it is about to use.
        exit: Exit,
        /// One line that says what, where and what to do.
        message: String,
    },
}

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Received {
    /// The message.
    pub message: ToChild,
    /// Its descriptors.
    pub fds: Vec<OwnedFd>,
}

/// Exit codes. The supervisor reads a child's and decides; systemd reads the supervisor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// Done as asked.
    Clean = 0,
    /// Wrong command line, configuration, model or runtime at start: a person has to mend it.
    Usage = 2,
    /// A fault of ours.
    Internal = 70,
    /// A condition that may pass (an accelerator that is not there now).
    Temporary = 75,
    /// A child's word that starting it again cannot help.
    Config = 78,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}
