//! Which arena the service works on: one for a generation of a model, kept when the engine merely died. During a reload
//! there is a second one, for the candidate and the frontends that have been replaced already.

use super::Supervisor;
use super::child::{ChildId, Kind};
use super::event::{Action, Exit, Model, Order};
use std::time::Instant;
use tracing::Level;

/// The arenas in use and the one in the making.
#[derive(Default)]
pub struct Arenas {
    made: u32,
    current: Option<Arena>,
    /// The candidate's.
    next: Option<Arena>,
    making: Option<(Arena, ChildId)>,
}

#[derive(Clone)]
struct Arena {
    generation: u32,
    model: Model,
}

impl Arenas {
    /// Generation of the arena in use.
    pub fn current(&self) -> Option<u32> {
        self.current.as_ref().map(|arena| arena.generation)
    }

    /// Generation of the candidate's arena.
    pub fn next(&self) -> Option<u32> {
        self.next.as_ref().map(|arena| arena.generation)
    }
}

impl Supervisor {
    /// An engine knows its model. The same model goes on in the same arena, where the requests that its predecessor
    /// left unanswered still lie; another one needs seats of its own.
    pub(super) fn model_loaded(&mut self, engine: ChildId, model: Model) {
        let known = if self.serves(engine) {
            &self.arena.current
        } else if self.is_candidate(engine) {
            &self.arena.next
        } else {
            return self.standby_loaded(model);
        };
        match known {
            Some(arena) if model.goes_on_from(&arena.model) => {
                let generation = arena.generation;
                self.attach(engine, generation);
            }
            Some(_) | None => {
                self.arena.made += 1;
                let generation = self.arena.made;
                self.arena.making = Some((Arena { generation, model: model.clone() }, engine));
                self.act(Action::CreateArena { generation, model });
            }
        }
    }

    /// The engine it was made for moves to the new arena, and with it everybody who worked on the one it replaces.
    pub(super) fn arena_made(&mut self, generation: u32) {
        let made = self.arena.making.take_if(|(arena, _)| arena.generation == generation);
        let Some((arena, engine)) = made.filter(|(_, engine)| self.index(*engine).is_some()) else {
            self.act(Action::DropArena { generation }); // the model it was for is history
            return;
        };
        let current = self.serves(engine);
        let place = if current { &mut self.arena.current } else { &mut self.arena.next };
        let old = place.replace(arena).map(|arena| arena.generation);
        let moves: Vec<ChildId> = self
            .children
            .iter()
            .filter(|child| {
                let follows = child.id.kind == Kind::Frontend
                    && (child.arena.is_some() && child.arena == old || current && child.arena.is_none());
                child.takes_part() && (follows || child.id == engine)
            })
            .map(|child| child.id)
            .collect();
        for id in moves {
            self.attach(id, generation);
        }
        if current {
            self.act(Action::Show { generation });
        }
        if let Some(generation) = old {
            self.act(Action::DropArena { generation });
        }
    }

    /// No memory for the arena, now: whoever started the service decides whether to try again. A reload can do without.
    pub(super) fn arena_failed(&mut self, error: String, now: Instant) {
        let making = self.arena.making.take();
        if making.is_some_and(|(_, engine)| self.is_candidate(engine)) {
            return self.candidate_failed(&error);
        }
        self.log(Level::ERROR, error.clone());
        self.stop(Exit::Temporary, Some(error), now);
    }

    /// Sends a child to an arena.
    pub(super) fn attach(&mut self, id: ChildId, generation: u32) {
        if let Some(index) = self.index(id) {
            self.children[index].arena = Some(generation);
            self.act(Action::Tell(id, Order::Attach { generation }));
        }
    }

    /// The candidate's arena is the service's from now on.
    pub(super) fn take_next_arena(&mut self) {
        let Some(next) = self.arena.next.take() else { return };
        let generation = next.generation;
        let old = self.arena.current.replace(next);
        self.act(Action::Show { generation });
        if let Some(old) = old {
            self.act(Action::DropArena { generation: old.generation });
        }
    }

    /// The candidate's arena is not needed any more.
    pub(super) fn drop_next_arena(&mut self) {
        self.arena.making = self.arena.making.take().filter(|(_, engine)| self.serves(*engine));
        if let Some(next) = self.arena.next.take() {
            self.act(Action::DropArena { generation: next.generation });
        }
    }
}
