//! A frontend's side of the arena: seats as values. Owns nothing but the promise that each seat value is the only
//! one of its seat in this process.

use super::bells::{Bells, Waker};
use super::{ArenaError, Geometry, Mapped};
use crate::clock::{self, Nanos};
use crate::ring::{EngineWords, Job, Outcome, Ring, Run};
use crate::word::Owner;
use std::os::fd::AsFd;
use std::sync::Arc;

/// So long an answer is worth watching for: about what it costs to be woken by it.
pub const WATCH: Nanos = 20_000;

/// An arena, attached by a frontend.
#[derive(Debug)]
pub struct FrontendArena {
    mapped: Mapped,
    pub(super) bells: Bells,
    owner: Owner,
}

impl FrontendArena {
    /// Attaches the arena for the frontend `owner`.
    ///
    /// # Errors
    /// `Foreign` when the file is no arena of this version or has no such slot; `System` when it cannot be mapped.
    pub fn attach(fd: impl AsFd, owner: Owner, bells: Bells) -> Result<Arc<Self>, ArenaError> {
        let mapped = Mapped::open(fd, true)?;
        if u32::from(owner.slot) >= mapped.geometry.frontends {
            return Err(ArenaError::Foreign(format!("it has no slot for frontend {}", owner.slot)));
        }
        Ok(Arc::new(Self { mapped, bells, owner }))
    }

    /// The arena's sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.mapped.geometry
    }

    /// The model generation this arena belongs to.
    pub fn generation(&self) -> u32 {
        self.mapped.generation
    }

    /// Takes a free seat. Never waits; `None` when all are taken.
    pub fn claim(self: &Arc<Self>) -> Option<ClaimedSeat> {
        let index = self.ring(|ring| ring.claim(self.owner))?;
        Some(self.claimed(index))
    }

    /// Says that this frontend waits for a seat since `oldest`, and looks once more: `Some` is a seat after all,
    /// and the frontend then waits no longer. To be repeated now and then while it waits.
    pub fn wait(self: &Arc<Self>, oldest: Nanos) -> Option<ClaimedSeat> {
        let index = self.ring(|ring| ring.wait(self.owner, oldest))?;
        Some(self.claimed(index))
    }

    /// Says that nobody here waits any more.
    pub fn withdraw(&self) {
        self.ring(|ring| ring.withdraw(self.owner));
    }

    /// A seat that was granted to this frontend. Look after every ring of the bell, whether somebody still waits
    /// or not: one that nobody needs is given back by dropping it.
    pub fn granted(self: &Arc<Self>) -> Option<ClaimedSeat> {
        let index = self.ring(|ring| ring.granted(self.owner))?;
        Some(self.claimed(index))
    }

    /// To be called when the bell was heard and silenced, before seats are looked at.
    pub fn bell_heard(&self) {
        self.ring(|ring| ring.bell_heard(self.owner.slot));
    }

    fn claimed(self: &Arc<Self>, index: u32) -> ClaimedSeat {
        ClaimedSeat { held: Held { arena: self.clone(), index } }
    }

    fn ring<R>(&self, act: impl FnOnce(Ring<'_, Waker<'_>>) -> R) -> R {
        let engine: &EngineWords = self.mapped.region.one(super::CONTROL_OFFSET);
        let waker = Waker { bells: &self.bells, doorbell: engine.doorbell() };
        act(self.mapped.ring(&waker))
    }
}

/// A seat in this process's hands; given back when dropped.
#[derive(Debug)]
struct Held {
    arena: Arc<FrontendArena>,
    index: u32,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.arena.ring(|ring| ring.give_back(self.index, self.arena.owner));
    }
}

/// A seat whose input this process may write.
#[derive(Debug)]
pub struct ClaimedSeat {
    held: Held,
}

impl ClaimedSeat {
    /// Number of the seat.
    pub fn index(&self) -> u32 {
        self.held.index
    }

    /// The seat's input tensor. Holds another request's pixels until it is overwritten.
    pub fn input_mut(&mut self) -> &mut [u8] {
        let mapped = &self.held.arena.mapped;
        let (offset, len) = mapped.input(self.held.index, 1);
        // SAFETY: the seat is CLAIMED by this process, in which this is its only value; no lane reads it before
        // `submit` consumes the value, and `&mut self` allows no second slice.
        unsafe { mapped.region.bytes_mut(offset, len) }
    }

    /// Hands the written seat to the engine.
    pub fn submit(self, job: Job) -> SubmittedSeat {
        let now = clock::now();
        let Held { arena, index } = &self.held;
        arena.ring(|ring| ring.submit(*index, arena.owner, job, now));
        SubmittedSeat { held: self.held, submitted: now }
    }
}

/// A seat that waits for its answer. Dropping it cancels it.
#[derive(Debug)]
pub struct SubmittedSeat {
    held: Held,
    submitted: Nanos,
}

impl SubmittedSeat {
    /// Number of the seat.
    pub fn index(&self) -> u32 {
        self.held.index
    }

    /// When it was submitted.
    pub fn submitted(&self) -> Nanos {
        self.submitted
    }

    /// Whether the answer is there.
    pub fn is_answered(&self) -> bool {
        self.held.arena.ring(|ring| ring.is_answered(self.held.index))
    }

    /// Looks for the answer for at most [`WATCH`] without sleeping, and keeps the bell from ringing meanwhile. Whether the caller
    /// has to hear the bell and to look at all its seats now, as after a ring.
    pub fn watch(&self) -> bool {
        let Held { arena, .. } = &self.held;
        let is_hushed = arena.ring(|ring| ring.hush(arena.owner.slot));
        let until = clock::now() + WATCH;
        while !self.is_answered() && clock::now() < until {
            // The lane may have been woken on this core.
            std::thread::yield_now();
        }
        is_hushed
    }

    /// The answer, or the seat again while there is none.
    ///
    /// # Errors
    /// The seat itself: not answered yet.
    pub fn poll(self) -> Result<AnsweredSeat, Self> {
        let Held { arena, index } = &self.held;
        match arena.ring(|ring| ring.is_answered(*index).then(|| ring.answer_of(*index))) {
            Some((outcome, run)) => Ok(AnsweredSeat { held: self.held, outcome, run }),
            None => Err(self),
        }
    }
}

/// A seat whose outputs this process may read.
#[derive(Debug)]
pub struct AnsweredSeat {
    held: Held,
    outcome: Outcome,
    run: Run,
}

impl AnsweredSeat {
    /// How the run ended. The outputs mean something only after [`Outcome::Done`].
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// When, where and with how many it ran.
    pub fn run(&self) -> Run {
        self.run
    }

    /// Output `j` of this image.
    ///
    /// # Panics
    /// When the model has no output `j`.
    pub fn output(&self, j: usize) -> &[u8] {
        let mapped = &self.held.arena.mapped;
        let (offset, len) = mapped.output(j, self.held.index, 1);
        // SAFETY: the seat is ANSWERED and this process's: the engine writes it no more, and nobody else before
        // this value is dropped, which the returned slice forbids.
        unsafe { mapped.region.bytes(offset, len) }
    }

    /// Gives the seat back now.
    pub fn release(self) {
        drop(self);
    }
}
