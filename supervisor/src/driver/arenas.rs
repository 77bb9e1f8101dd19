//! The arenas' file descriptors and control words, by generation. Tensors are never mapped here.

use crate::core::child::{ChildId, Kind};
use crate::core::event::Model;
use shm_proto::arena::{self, ArenaError, Bells, ControlArena, Geometry, MAX_SEATS, SeatCounts};
use shm_proto::control::ToChild;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

struct Arena {
    generation: u32,
    fd: OwnedFd,
    control: ControlArena,
    description: String,
    title: String,
}

/// Arenas that somebody may still work on, oldest first.
#[derive(Default)]
pub struct Arenas {
    list: Vec<Arena>,
    /// Generation of the one that serves.
    shown: u32,
}

impl Arenas {
    /// Makes an arena. Its pages are reserved now, so that no process is killed for want of one later.
    ///
    /// # Errors
    /// When memory for it cannot be had, with the remedy.
    pub fn create(
        &mut self,
        generation: u32,
        seats: u32,
        frontends: u32,
        model: &Model,
        bells: &Bells,
    ) -> Result<Geometry, ArenaError> {
        let geometry = Geometry {
            seats: seats.min(MAX_SEATS),
            frontends,
            input_bytes: model.input_bytes,
            output_bytes: model.output_bytes.clone(),
        };
        let fd = arena::create(&geometry, generation)?;
        let control = ControlArena::attach(&fd, bells.clone())?;
        self.list.push(Arena {
            generation,
            fd,
            control,
            description: model.description.clone(),
            title: model.title.clone(),
        });
        Ok(geometry)
    }

    /// The order to use an arena, and its descriptor.
    pub fn attachment(&self, generation: u32) -> Option<(ToChild, BorrowedFd<'_>)> {
        let arena = self.find(generation)?;
        let message = ToChild::Attach {
            generation,
            geometry: arena.control.geometry().clone(),
            description: arena.description.clone(),
        };
        Some((message, arena.fd.as_fd()))
    }

    /// This one serves from now on. Returns its model's title.
    pub fn show(&mut self, generation: u32) -> &str {
        self.shown = generation;
        self.find(generation).map_or("", |arena| &arena.title)
    }

    fn find(&self, generation: u32) -> Option<&Arena> {
        self.list.iter().find(|arena| arena.generation == generation)
    }

    /// Takes back what a dead child held in its arena.
    pub fn reclaim(&self, child: ChildId, generation: u32) {
        if let Some(arena) = self.find(generation) {
            let found = match child.kind {
                Kind::Engine => arena.control.reclaim_engine(),
                Kind::Frontend => arena.control.reclaim_frontend(child.slot),
            };
            let (freed, requeued, abandoned) = (found.freed, found.requeued, found.abandoned);
            if freed + requeued + abandoned > 0 {
                tracing::info!(freed, requeued, abandoned, "took back the seats of {child}");
            }
        }
    }

    /// Lets go of an arena.
    pub fn drop(&mut self, generation: u32) {
        self.list.retain(|arena| arena.generation != generation);
    }

    /// Seats of the serving arena by state.
    pub fn counts(&self) -> Option<SeatCounts> {
        self.find(self.shown).map(|arena| arena.control.counts())
    }
}
