//! What the supervisor sees of an arena: the control words, never a tensor. It gives back what dead processes
//! held, and only after it has reaped them: a stopped process could wake up and write.

use super::bells::{Bells, Waker};
use super::{ArenaError, Geometry, Mapped};
use crate::ring::{EngineWords, Reclaimed, Ring};
use crate::word::SeatState;
use std::os::fd::AsFd;

/// The control part of an arena.
#[derive(Debug)]
pub struct ControlArena {
    mapped: Mapped,
    bells: Bells,
}

/// Seats by state, in the order of [`SeatState::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatCounts(pub [u32; SeatState::ALL.len()]);

impl SeatCounts {
    /// Seats in one state.
    pub fn of(&self, state: SeatState) -> u32 {
        self.0[state as usize]
    }
}

impl ControlArena {
    /// Attaches the control part.
    ///
    /// # Errors
    /// `Foreign` when the file is no arena of this version; `System` when it cannot be mapped.
    pub fn attach(fd: impl AsFd, bells: Bells) -> Result<Self, ArenaError> {
        Ok(Self { mapped: Mapped::open(fd, false)?, bells })
    }

    /// The arena's sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.mapped.geometry
    }

    /// The model generation this arena belongs to.
    pub fn generation(&self) -> u32 {
        self.mapped.generation
    }

    /// Gives back what the frontend of this slot held. It was killed and reaped.
    pub fn reclaim_frontend(&self, slot: u8) -> Reclaimed {
        self.ring(|ring| ring.reclaim_frontend(slot))
    }

    /// Puts back into the queue what the engine was running. It was killed and reaped.
    pub fn reclaim_engine(&self) -> Reclaimed {
        self.ring(|ring| ring.reclaim_engine())
    }

    /// Seats by state now.
    pub fn counts(&self) -> SeatCounts {
        self.ring(|ring| SeatCounts(SeatState::ALL.map(|state| ring.count(state))))
    }

    fn ring<R>(&self, act: impl FnOnce(Ring<'_, Waker<'_>>) -> R) -> R {
        let engine: &EngineWords = self.mapped.region.one(super::CONTROL_OFFSET);
        let waker = Waker { bells: &self.bells, doorbell: engine.doorbell() };
        act(self.mapped.ring(&waker))
    }
}
