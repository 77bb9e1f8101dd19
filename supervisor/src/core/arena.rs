//! Which arena the service works on: one for a generation of a model, kept when the engine merely died.

use super::Supervisor;
use super::child::{ChildId, Life};
use super::event::{Action, Exit, Model, Order};
use std::time::Instant;
use tracing::Level;

/// The arena in use and the one in the making.
#[derive(Default)]
pub struct Arenas {
    made: u32,
    current: Option<(u32, Model)>,
    making: Option<(u32, Model)>,
}

impl Arenas {
    /// Generation of the arena in use.
    pub fn current(&self) -> Option<u32> {
        self.current.as_ref().map(|(generation, _)| *generation)
    }
}

impl Supervisor {
    /// The engine knows its model. The same model goes on in the same arena, where the requests that its predecessor
    /// left unanswered still lie; another one needs seats of its own.
    pub(super) fn model_loaded(&mut self, engine: ChildId, model: Model) {
        match &self.arena.current {
            Some((generation, current)) if model.goes_on_from(current) => {
                let generation = *generation;
                self.act(Action::Tell(engine, Order::Attach { generation }));
            }
            Some(_) | None => {
                self.arena.made += 1;
                let generation = self.arena.made;
                self.arena.making = Some((generation, model.clone()));
                self.act(Action::CreateArena { generation, model });
            }
        }
    }

    /// Everybody moves to the new arena.
    pub(super) fn arena_made(&mut self, generation: u32) {
        let Some(made) = self.arena.making.take_if(|(wanted, _)| *wanted == generation) else {
            self.act(Action::DropArena { generation }); // the model it was for is history
            return;
        };
        let old = self.arena.current.replace(made).map(|(generation, _)| generation);
        let listeners: Vec<ChildId> = self
            .children
            .iter()
            .filter(|child| child.is_live() && child.life != Life::Killed)
            .map(|c| c.id)
            .collect();
        for id in listeners {
            self.act(Action::Tell(id, Order::Attach { generation }));
        }
        if let Some(generation) = old {
            self.act(Action::DropArena { generation });
        }
    }

    /// No memory for the arena, now: whoever started the service decides whether to try again.
    pub(super) fn arena_failed(&mut self, error: String, now: Instant) {
        self.arena.making = None;
        self.log(Level::ERROR, error.clone());
        self.stop(Exit::Temporary, Some(error), now);
    }
}
