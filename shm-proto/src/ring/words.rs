//! What the ring is made of: its words in shared memory, and what its calls say. Nothing but layout and names.

use crate::clock::Nanos;
use crate::sync::{AtomicU32, AtomicU64};

/// How a run ended for one seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// The outputs are in the seat.
    Done = 0,
    /// The runtime reported an error, or the lane panicked.
    Failed = 1,
    /// The deadline had passed before a lane was free; it was not run.
    Expired = 2,
    /// Engines died of it; it is not run again.
    Poison = 3,
}

impl Outcome {
    pub(super) fn decode(raw: u32) -> Self {
        match raw {
            0 => Self::Done,
            2 => Self::Expired,
            3 => Self::Poison,
            // Whatever else lies there was not written by an engine of ours: the outputs cannot be trusted.
            _ => Self::Failed,
        }
    }
}

/// What the owner tells the engine of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Not run after this.
    pub deadline: Nanos,
    /// Identifies the input, to recognise one that kills engines.
    pub digest: u64,
}

/// What the engine tells the owner of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When the owner submitted the seat.
    pub submitted: Nanos,
    /// When the run began.
    pub started: Nanos,
    /// When it ended.
    pub ended: Nanos,
    /// Images in the run.
    pub batch: u32,
    /// Lane that ran it.
    pub lane: u32,
    /// Engines that had died with this seat in their hands.
    pub attempts: u32,
}

/// Words beside the seat word. Written by the seat's owner (first three) or by the engine while the seat runs;
/// all plain data, ordered by the seat word (W2, W3).
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SeatRecord {
    pub(super) deadline: AtomicU64,
    pub(super) digest: AtomicU64,
    pub(super) submitted: AtomicU64,
    pub(super) started: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) batch: AtomicU32,
    pub(super) lane: AtomicU32,
    pub(super) outcome: AtomicU32,
    /// Counted up by the supervisor when it reaps an engine.
    pub(super) attempts: AtomicU32,
}

/// One frontend's words. `waiting`: written by that frontend (arrival of its longest waiting request, 0 = none)
/// and cleared by whoever grants it a seat. `bell`: 1 from a ring until it is heard.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct FrontendWords {
    pub(super) waiting: AtomicU64,
    pub(super) bell: AtomicU32,
}

/// The engine's words. `doorbell` is the futex on which idle lanes sleep, `sleepers` how many do (or are about
/// to), `suspect` the suspect that runs now (its index + 1, 0 for none), `cursor` where the next claim looks first.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct EngineWords {
    pub(super) doorbell: AtomicU32,
    pub(super) sleepers: AtomicU32,
    pub(super) suspect: AtomicU32,
    pub(super) cursor: AtomicU32,
}

impl EngineWords {
    /// The futex word.
    pub fn doorbell(&self) -> &AtomicU32 {
        &self.doorbell
    }
}

/// Wakes the other side. Called after the words are set; may be called without need, never too seldom.
pub trait Wake {
    /// Makes the frontend of this slot look at its seats.
    fn frontend(&self, slot: u8);
    /// Wakes one lane that sleeps on [`EngineWords::doorbell`].
    fn lane(&self);
}

/// What a lane finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Seats `first .. first + len` are the caller's to run.
    Batch {
        /// First seat.
        first: u32,
        /// Seats.
        len: u32,
    },
    /// There is work, but it may still gather company until then.
    Later(Nanos),
    /// Nothing is submitted.
    Nothing,
}

/// Seats that a reclaim found with a dead process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Given back.
    pub freed: u32,
    /// Submitted again, to run on the next engine.
    pub requeued: u32,
    /// Left to the engine, which runs them right now and frees them.
    pub abandoned: u32,
}
