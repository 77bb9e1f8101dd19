//! Children as data: kinds, names, places, and the life of the process in a place.

use super::restart::Deaths;
use std::fmt;
use std::time::{Duration, Instant};

/// The two kinds of children. What differs between them by nature stands in [`Kind::traits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Owns the accelerator; one serves.
    Engine,
    /// Owns HTTP and pixels; there are N.
    Frontend,
}

/// One row of the table of kinds.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// The role's name on the command line, in logs and in `ps`.
    pub name: &'static str,
    /// From an order to leave to SIGKILL.
    pub stop_timeout: Duration,
    /// From SIGABRT to SIGKILL.
    pub abort_timeout: Duration,
    /// Added to the process's out-of-memory score: the engine is the biggest and holds no connection, so it goes first.
    pub oom_score_adj: i32,
}

impl Kind {
    /// The kind's row.
    pub const fn traits(self) -> Traits {
        match self {
            Self::Engine => Traits {
                name: "engine",
                stop_timeout: Duration::from_secs(5),
                abort_timeout: Duration::from_secs(2),
                oom_score_adj: 300,
            },
            Self::Frontend => Traits {
                name: "frontend",
                stop_timeout: Duration::from_secs(2),
                abort_timeout: Duration::from_secs(1),
                oom_score_adj: 0,
            },
        }
    }
}

/// One process: a place (kind and slot) and which occupant of that place it is, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId {
    /// Kind of the place.
    pub kind: Kind,
    /// Number of the place among its kind.
    pub slot: u8,
    /// Occupant.
    pub generation: u16,
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Engine if self.slot == 0 => f.write_str("engine"),
            Kind::Engine => write!(f, "engine {}", self.slot),
            Kind::Frontend => write!(f, "frontend {}", self.slot),
        }
    }
}

/// What the process in a place is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No process, and none to come.
    Gone,
    /// No process; the next one starts at this time.
    Waiting {
        /// When.
        until: Instant,
    },
    /// Started, not ready.
    Starting,
    /// At work.
    Ready {
        /// Since when.
        since: Instant,
    },
    /// Told to leave; SIGKILL at this time.
    Leaving {
        /// When patience ends.
        kill_at: Instant,
    },
    /// It hung and was sent SIGABRT; SIGKILL at this time.
    Aborting {
        /// When patience ends.
        kill_at: Instant,
    },
    /// Sent SIGKILL: only the reaping is left.
    Killed,
}

/// A place and its occupant.
pub struct Child {
    /// The occupant, or the last one.
    pub id: ChildId,
    /// What it is at.
    pub life: Life,
    /// How the occupants before it fared.
    pub deaths: Deaths,
    /// What it said of its end, before it ended.
    pub last_words: Option<(i32, String)>,
    /// The arena it was sent to.
    pub arena: Option<u32>,
}

impl Child {
    /// An empty place.
    pub fn new(kind: Kind, slot: u8) -> Self {
        Self {
            id: ChildId { kind, slot, generation: 0 },
            life: Life::Gone,
            deaths: Deaths::default(),
            last_words: None,
            arena: None,
        }
    }

    /// Whether a process exists in the place.
    pub const fn is_live(&self) -> bool {
        !matches!(self.life, Life::Gone | Life::Waiting { .. })
    }

    /// Whether it is at work.
    pub const fn is_ready(&self) -> bool {
        matches!(self.life, Life::Ready { .. })
    }

    /// Whether orders other than to leave make sense.
    pub const fn takes_orders(&self) -> bool {
        matches!(self.life, Life::Starting | Life::Ready { .. })
    }

    /// Whether it may still use an arena: it may be leaving, but nobody has killed it.
    pub const fn takes_part(&self) -> bool {
        self.is_live() && !matches!(self.life, Life::Killed)
    }

    /// When something is to be done about it without being asked.
    pub const fn deadline(&self) -> Option<Instant> {
        match self.life {
            Life::Waiting { until } => Some(until),
            Life::Leaving { kill_at } | Life::Aborting { kill_at } => Some(kill_at),
            Life::Gone | Life::Starting | Life::Ready { .. } | Life::Killed => None,
        }
    }
}
