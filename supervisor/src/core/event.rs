//! What the supervisor hears and what it decides: the vocabulary between the pure core and the driver.
//!
//! No pid, descriptor or clock appears here; a child is named by its [`ChildId`], time comes in as `now`.

use super::child::ChildId;
use std::fmt;
use std::time::Duration;
use tracing::Level;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The driver is set up: begin.
    Begin,
    /// The operating system refused to start a child; no such process exists.
    SpawnFailed {
        /// Which.
        child: ChildId,
        /// Why, in the system's words.
        error: String,
    },
    /// A child sent a message.
    Said {
        /// Which.
        child: ChildId,
        /// What.
        message: Message,
    },
    /// A child ended *and was reaped*: it can no longer touch shared memory.
    Exited {
        /// Which.
        child: ChildId,
        /// How it ended.
        how: Ending,
    },
    /// A child's heartbeat stood still for longer than [`super::Supervisor::patience`].
    Silent {
        /// Which.
        child: ChildId,
        /// For how long.
        quiet: Duration,
    },
    /// A signal to the supervisor.
    Signal(Signal),
    /// [`super::Supervisor::deadline`] has come.
    Timer,
    /// The arena that was asked for exists.
    ArenaMade {
        /// Its generation.
        generation: u32,
    },
    /// The arena that was asked for cannot be had.
    ArenaFailed {
        /// Why and what to do.
        error: String,
    },
    /// The new configuration is valid and in force for every child that starts from now on.
    Reloaded {
        /// Whether the engine or its model changed: another engine has to be loaded.
        engine: bool,
        /// Whether frontends have to be replaced to take it up.
        frontends: bool,
        /// Changed keys that only a restart of the service takes up.
        restart: Vec<String>,
    },
    /// What [`Action::CheckProgram`] found.
    ProgramChecked {
        /// Why the program or what it would serve is no good; `None`: it is.
        error: Option<String>,
    },
    /// This process could not become the other program.
    HandOverFailed {
        /// Why, in the system's words.
        error: String,
    },
    /// The new configuration is not valid; the old one stays in force.
    ReloadRefused {
        /// Which key, where, why.
        error: String,
    },
}

/// Signals that mean something to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: drain and leave.
    Term,
    /// SIGINT: as SIGTERM.
    Int,
    /// SIGHUP: reload the configuration.
    Hup,
    /// SIGUSR1: reopen logs.
    Usr1,
    /// SIGUSR2: hand over to a new binary.
    Usr2,
}

/// What children say.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Engine: the model is loaded, and this is what an arena for it must hold.
    Model(Model),
    /// Warm and working on the arena of that generation.
    Ready {
        /// The arena's generation.
        generation: u32,
    },
    /// Frontend: nothing is in flight any more.
    Drained,
    /// The child is about to exit, and why.
    Fatal {
        /// Its exit code.
        exit: i32,
        /// One line for a human.
        message: String,
    },
    /// What it is doing, for a human.
    Status(String),
}

/// What an arena must hold, as the engine found by loading the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Bytes of one image's input tensor.
    pub input_bytes: u64,
    /// Bytes of one image's part of each output.
    pub output_bytes: Vec<u64>,
    /// Most images in a run.
    pub max_batch: u32,
    /// Concurrent runs.
    pub lanes: u32,
    /// The model's facts as JSON, for the frontends.
    pub description: String,
    /// What a request that waits in an arena relies on.
    pub identity: String,
    /// Name and version, for people.
    pub title: String,
}

impl Model {
    /// Whether an engine with this model can go on with the requests that wait for one with the other.
    pub fn goes_on_from(&self, other: &Self) -> bool {
        (self.input_bytes, &self.output_bytes, &self.identity)
            == (other.input_bytes, &other.output_bytes, &other.identity)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// A signal of this number killed it.
    Signal(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(nix::libc::SIGKILL) => f.write_str("was killed by SIGKILL (perhaps out of memory)"),
            Self::Signal(number) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// What the driver shall do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start the process. Orders to it that follow wait until it listens.
    Spawn(ChildId),
    /// Send an order to a child; one that is gone meanwhile is no error.
    Tell(ChildId, Order),
    /// Make the arena of this generation; answered by `ArenaMade` or `ArenaFailed`.
    CreateArena {
        /// Its generation.
        generation: u32,
        /// What a seat must hold.
        model: Model,
    },
    /// This generation is the one that serves from now on.
    Show {
        /// The arena's generation.
        generation: u32,
    },
    /// Let go of the supervisor's handle of this arena.
    DropArena {
        /// Its generation.
        generation: u32,
    },
    /// Take back what the dead (and reaped) child held in the arena it worked on, if it came that far.
    Reclaim {
        /// The dead.
        child: ChildId,
        /// Its arena.
        arena: Option<u32>,
    },
    /// Send a signal to a child.
    Kill(ChildId, Force),
    /// Show this state on the board.
    Publish(State),
    /// Tell systemd.
    Notify(Notice),
    /// Read, check and take over the configuration; answered by `Reloaded` or `ReloadRefused`.
    Reload,
    /// Go back to the configuration before the last `Reload`.
    Revert,
    /// Try the program that lies where this one came from, with the same arguments; answered by `ProgramChecked`.
    CheckProgram,
    /// Become that program. The children go on until its own are ready. Answered by `HandOverFailed`, or by nothing.
    HandOver,
    /// The reload or upgrade has ended: tell whoever waits for it.
    Report {
        /// Whether what was asked for is in force.
        good: bool,
        /// One line: what changed, or why nothing did.
        text: String,
    },
    /// Write a line to the log.
    Log(Level, String),
    /// Leave with this code; `why` is the one line for the human when it is not 0.
    Exit {
        /// Exit code.
        exit: Exit,
        /// Reason.
        why: Option<String>,
    },
}

/// Orders to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Use the arena of this generation from now on; in an older one nobody will answer.
    Attach {
        /// The arena's generation.
        generation: u32,
    },
    /// Accept nothing new, finish what is in flight within this time, then exit.
    Drain {
        /// Time for it.
        timeout: Duration,
    },
    /// Exit now.
    Stop,
}

/// Signals to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// SIGABRT: it hangs; a core or backtrace may tell where.
    Abort,
    /// SIGKILL.
    Kill,
}

/// State of the service as everybody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Serving.
    Ready,
    /// Up, but with nothing to answer with.
    EngineDown,
    /// On the way out.
    Draining,
}

/// What systemd is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// READY=1, and the address goes to the log.
    Ready,
    /// RELOADING=1.
    Reloading,
    /// STOPPING=1.
    Stopping,
    /// STATUS=, one line.
    Status(String),
}

/// Exit codes, an interface to systemd and scripts.
pub use shm_proto::control::Exit;
