//! The engine's side of the arena: batches as values. A batch is a run of neighbouring seats, so its input and
//! each of its outputs are one contiguous slice. A batch that is dropped unanswered is answered as failed, so
//! that a panicking lane loses nobody.

use super::bells::{Bells, Waker};
use super::{ArenaError, Geometry, Mapped};
use crate::clock::{self, Nanos};
use crate::futex;
use crate::ring::{EngineWords, Outcome, Ring, Take};
use crate::sync::Ordering::Release;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// How long a lane that finds nothing looks again before it sleeps: about what it costs to wake it.
const LINGER: Nanos = 20_000;

/// An arena, attached by the engine.
#[derive(Debug)]
pub struct EngineArena {
    mapped: Mapped,
    bells: Bells,
}

/// What a lane may put into one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most images.
    pub max_batch: u32,
    /// How long the first image waits for others while lanes are idle. Zero: not at all.
    pub max_delay: Duration,
    /// Number of the lane that asks.
    pub lane: u32,
}

/// Why a batch holds no more images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It holds as many as it may.
    Full,
    /// Its first image had waited as long as it may.
    Waited,
    /// It holds all that was submitted.
    All,
    /// More was submitted, but not beside it.
    Split,
}

impl EngineArena {
    /// Attaches the arena for the one engine that serves it.
    ///
    /// # Errors
    /// `Foreign` when the file is no arena of this version; `System` when it cannot be mapped.
    pub fn attach(fd: impl AsFd, bells: Bells) -> Result<Arc<Self>, ArenaError> {
        let arena = Self { mapped: Mapped::open(fd, true)?, bells };
        arena.ring(|ring| ring.reset_lanes());
        Ok(Arc::new(arena))
    }

    /// The arena's sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.mapped.geometry
    }

    /// The model generation this arena belongs to.
    pub fn generation(&self) -> u32 {
        self.mapped.generation
    }

    /// The addresses at which the arena is mapped in this process.
    pub fn addresses(&self) -> Range<usize> {
        self.mapped.region.addresses()
    }

    /// Waits up to `patience` for work; `None` before that when it was woken and there is none (any more). Any number of lanes may
    /// call it at once.
    pub fn next(self: &Arc<Self>, limits: BatchLimits, patience: Duration) -> Option<Batch> {
        let until = clock::now() + patience.as_nanos() as Nanos;
        let delay = limits.max_delay.as_nanos() as Nanos;
        let (mut lingered, mut slept) = (false, false);
        loop {
            let found = self.ring(|ring| ring.take(clock::now(), limits.max_batch, delay));
            if let Take::Batch { first, len } = found {
                return Some(self.batch(first, len, limits));
            }
            if found == Take::Nothing && slept {
                return None;
            }
            if found == Take::Nothing && !lingered {
                lingered = true;
                if self.linger() {
                    continue;
                }
            }
            let doorbell = self.ring(|ring| ring.drowse());
            let now = clock::now();
            let found = self.ring(|ring| ring.take(now, limits.max_batch, delay));
            let wake_at = match found {
                Take::Batch { .. } => now,
                Take::Later(at) => at.min(until),
                Take::Nothing => until,
            };
            if wake_at > now {
                let engine: &EngineWords = self.mapped.region.one(super::CONTROL_OFFSET);
                futex::wait(engine.doorbell(), doorbell, Duration::from_nanos(wake_at - now));
                slept = true;
            }
            self.ring(|ring| ring.awake());
            if let Take::Batch { first, len } = found {
                return Some(self.batch(first, len, limits));
            }
            if clock::now() >= until {
                return None;
            }
        }
    }

    /// Stays awake for a moment, giving way to whoever wants the core: whether a seat was submitted meanwhile.
    fn linger(&self) -> bool {
        let until = clock::now() + LINGER;
        while clock::now() < until {
            if self.queued() > 0 {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Wakes every lane that sleeps, to make them look at something else than seats (a drain, say). One that is about to may sleep out
    /// its patience.
    pub fn wake_all(&self) {
        let engine: &EngineWords = self.mapped.region.one(super::CONTROL_OFFSET);
        // S3: as a knock.
        engine.doorbell().fetch_add(1, Release);
        futex::wake(engine.doorbell(), i32::MAX);
    }

    /// How many seats are submitted now.
    pub fn queued(&self) -> u32 {
        self.ring(|ring| ring.count(crate::word::SeatState::Submitted))
    }

    fn batch(self: &Arc<Self>, first: u32, len: u32, limits: BatchLimits) -> Batch {
        let started = clock::now();
        let delay = limits.max_delay.as_nanos() as Nanos;
        let oldest = || self.ring(|ring| (first..first + len).map(|index| ring.submitted(index)).min());
        let closed = if len >= limits.max_batch {
            Closed::Full
        } else if delay > 0 && oldest().is_some_and(|since| started.saturating_sub(since) >= delay) {
            Closed::Waited
        } else if self.queued() == 0 {
            Closed::All
        } else {
            Closed::Split
        };
        Batch { arena: self.clone(), first, len, lane: limits.lane, closed, started, open: true }
    }

    fn ring<R>(&self, act: impl FnOnce(Ring<'_, Waker<'_>>) -> R) -> R {
        let engine: &EngineWords = self.mapped.region.one(super::CONTROL_OFFSET);
        let waker = Waker { bells: &self.bells, doorbell: engine.doorbell() };
        act(self.mapped.ring(&waker))
    }
}

/// Seats `first .. first + len`, taken for one run.
#[derive(Debug)]
pub struct Batch {
    arena: Arc<EngineArena>,
    first: u32,
    len: u32,
    lane: u32,
    closed: Closed,
    started: Nanos,
    open: bool,
}

impl Batch {
    /// First seat.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Images.
    #[allow(clippy::len_without_is_empty)] // a batch is never empty
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The lane that took it.
    pub fn lane(&self) -> u32 {
        self.lane
    }

    /// Why it holds no more images.
    pub fn closed(&self) -> Closed {
        self.closed
    }

    /// When the last of its images was submitted.
    pub fn submitted(&self) -> Nanos {
        let seats = self.first..self.first + self.len;
        self.arena.ring(|ring| seats.map(|index| ring.submitted(index)).max()).unwrap_or_default()
    }

    /// The run begins now. Without this call it began when the batch was taken.
    pub fn start(&mut self) -> Nanos {
        self.started = clock::now();
        self.started
    }

    /// The input of the whole batch: `len × input_bytes`.
    pub fn input(&self) -> &[u8] {
        let mapped = &self.arena.mapped;
        let (offset, len) = mapped.input(self.first, self.len);
        // SAFETY: the seats are RUNNING and taken by this value: their owners write no more before the answer.
        unsafe { mapped.region.bytes(offset, len) }
    }

    /// Output `j` of the whole batch: `len × output_bytes[j]`, to be written.
    ///
    /// # Panics
    /// When the model has no output `j`.
    pub fn output_mut(&mut self, j: usize) -> &mut [u8] {
        let mapped = &self.arena.mapped;
        let (offset, len) = mapped.output(j, self.first, self.len);
        // SAFETY: the seats are RUNNING and taken by this value, whose `&mut` allows no second slice; outputs
        // overlap neither each other nor the input (`Geometry::layout`).
        unsafe { mapped.region.bytes_mut(offset, len) }
    }

    /// The input and all outputs of the whole batch at once, as a run wants them: `len × input_bytes` to be read,
    /// `len × output_bytes[j]` each to be written.
    pub fn tensors(&mut self) -> (&[u8], Vec<&mut [u8]>) {
        let mapped = &self.arena.mapped;
        let outputs = (0..mapped.geometry.output_bytes.len()).map(|j| {
            let (offset, len) = mapped.output(j, self.first, self.len);
            // SAFETY: as in `output_mut`; each output is taken once, and the borrow of `self` allows no other call.
            unsafe { mapped.region.bytes_mut(offset, len) }
        });
        (self.input(), outputs.collect())
    }

    /// The digests that the owners gave, in seat order.
    pub fn digests(&self) -> Vec<u64> {
        self.arena.ring(|ring| (self.first..self.first + self.len).map(|index| ring.digest(index)).collect())
    }

    /// Ends the run with one outcome for all, and wakes the owners. Returns how long it took.
    pub fn answer(self, outcome: Outcome) -> Duration {
        self.answer_each(|_| outcome)
    }

    /// Ends the run, with an outcome for each seat (counted from 0), and wakes the owners. Returns how long the
    /// run took.
    pub fn answer_each(mut self, outcome: impl Fn(u32) -> Outcome) -> Duration {
        self.close(outcome)
    }

    fn close(&mut self, outcome: impl Fn(u32) -> Outcome) -> Duration {
        self.open = false;
        let ended = clock::now();
        self.arena.ring(|ring| {
            for k in 0..self.len {
                ring.stamp(self.first + k, self.started, ended, self.len, self.lane);
                ring.answer(self.first + k, outcome(k));
            }
        });
        Duration::from_nanos(ended.saturating_sub(self.started))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.open {
            self.close(|_| Outcome::Failed);
        }
    }
}
