//! The two places for engines: one serves, the other is spare. The spare place holds nobody, a **standby** that has loaded
//! the same model and waits, or, during a reload, the **candidate** with the new one. After a reload the places swap parts
//! and the old engine leaves from the spare one.

use super::child::{ChildId, Kind, Life};
use super::event::{Action, Force, Model, Order};
use super::{Phase, Supervisor};
use std::time::Instant;
use tracing::Level;

/// Places for engines.
pub const PLACES: usize = 2;

/// Who is where.
#[derive(Default)]
pub struct Engines {
    /// Slot of the place that serves.
    serving: u8,
    /// What the standby has loaded, once it has.
    standby: Option<Model>,
    /// Whether a standby said that its configuration is of no use: it is not tried again before the next reload.
    no_standby: bool,
    /// An engine that leaves from the spare place after a reload.
    outgoing: Option<ChildId>,
}

impl Engines {
    /// Index of the place that serves.
    pub fn serving(&self) -> usize {
        usize::from(self.serving)
    }

    /// Index of the spare place.
    pub fn spare(&self) -> usize {
        usize::from(1 - self.serving)
    }
}

impl Supervisor {
    /// Whether this child is the engine in the place that serves.
    pub(super) fn serves(&self, id: ChildId) -> bool {
        id.kind == Kind::Engine && usize::from(id.slot) == self.engines.serving()
    }

    /// Starts a standby when one is wanted and its place is free.
    pub(super) fn keep_standby(&mut self) {
        let spare = self.engines.spare();
        if self.settings.standby
            && self.phase == Phase::Running
            && !self.engines.no_standby
            && !self.reload.has_candidate()
            && self.children[spare].life == Life::Gone
            && self.children[self.engines.serving()].is_ready()
        {
            self.spawn(spare);
        }
    }

    /// The standby has loaded its model and waits.
    pub(super) fn standby_loaded(&mut self, model: Model) {
        self.log(Level::INFO, "a standby engine is loaded");
        self.engines.standby = Some(model);
    }

    /// The serving engine is dead: a loaded standby takes its place. Returns whether there was one.
    pub(super) fn promote_standby(&mut self) -> bool {
        let spare = self.engines.spare();
        if !self.children[spare].takes_orders() || self.reload.has_candidate() {
            return false;
        }
        let Some(model) = self.engines.standby.take() else { return false };
        self.engines.serving = 1 - self.engines.serving;
        let id = self.children[spare].id;
        self.log(Level::WARN, format!("the standby takes over as {id}"));
        self.model_loaded(id, model);
        true
    }

    /// The occupant of the spare place is dead. Returns whether nothing more is to be done about it.
    pub(super) fn spare_ended(&mut self, id: ChildId) -> bool {
        if self.serves(id) || id.kind != Kind::Engine {
            return false;
        }
        self.engines.standby = None;
        self.engines.outgoing.take_if(|outgoing| *outgoing == id).is_some()
    }

    /// A standby that cannot work with its configuration is given up; the service works without.
    pub(super) fn give_up_standby(&mut self, why: &str) {
        self.engines.no_standby = true;
        self.log(Level::ERROR, format!("no standby until the next reload: {why}"));
    }

    /// Frees the spare place for the candidate. Returns whether it is free already.
    pub(super) fn clear_spare(&mut self) -> bool {
        self.engines.no_standby = false;
        self.engines.standby = None;
        let spare = self.engines.spare();
        match self.children[spare].life {
            Life::Gone => {}
            Life::Waiting { .. } => self.children[spare].life = Life::Gone,
            Life::Starting | Life::Ready { .. } | Life::Leaving { .. } | Life::Aborting { .. } => {
                self.kill(spare)
            }
            Life::Killed => {}
        }
        self.children[spare].life == Life::Gone
    }

    /// The candidate serves from now on, its predecessor leaves.
    pub(super) fn swap_engines(&mut self, now: Instant) {
        let old = self.engines.serving();
        self.engines.serving = 1 - self.engines.serving;
        let child = &mut self.children[old];
        let id = child.id;
        match child.life {
            Life::Waiting { .. } => child.life = Life::Gone,
            Life::Starting | Life::Ready { .. } => {
                child.life = Life::Leaving { kill_at: now + id.kind.traits().stop_timeout };
                self.engines.outgoing = Some(id);
                self.act(Action::Tell(id, Order::Stop));
            }
            Life::Leaving { .. } | Life::Aborting { .. } | Life::Killed => self.engines.outgoing = Some(id),
            Life::Gone => {}
        }
    }

    /// The candidate is not wanted any more.
    pub(super) fn dismiss_candidate(&mut self) {
        let spare = self.engines.spare();
        let child = &mut self.children[spare];
        let id = child.id;
        if child.is_live() {
            self.engines.outgoing = Some(id);
            if child.life != Life::Killed {
                child.life = Life::Killed;
                self.act(Action::Kill(id, Force::Kill));
            }
        } else {
            child.life = Life::Gone;
        }
    }
}
