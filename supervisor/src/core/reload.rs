//! SIGHUP: check the new configuration, load what it names beside what serves, then replace frontends one at a time.
//!
//! When the engine or its model changed, a **candidate** engine loads, warms and gets an arena of its own while the
//! old pair serves. Then each frontend is replaced by one that has the new configuration and works in the new arena; the
//! old engine serves the others until the last one has been replaced, and leaves.
//!
//! The supervisor holds the listening sockets, so nothing is refused while a frontend changes: the others accept, and
//! with a single frontend new connections wait in the socket's queue. A candidate that cannot serve, or a
//! replacement that cannot work with the new configuration or finds that the new model does not give its golden answer, takes
//! the whole reload back: until the end the old engine and its arena are there.

use super::child::{ChildId, Kind, Life};
use super::engines::PLACES;
use super::event::{Action, Notice, Order};
use super::shutdown::LAST_CALL;
use super::{Phase, Supervisor};
use std::collections::VecDeque;
use std::time::Instant;
use tracing::Level;

/// A reload under way, if any.
#[derive(Default)]
pub struct Reload {
    /// One more was asked for meanwhile.
    pub(super) wanted: bool,
    /// An upgrade was.
    pub(super) upgrade_wanted: bool,
    stage: Stage,
    candidate: Candidate,
    /// Slots still to be replaced.
    queue: VecDeque<u8>,
    /// Slots whose frontend works with the new configuration already.
    replaced: Vec<u8>,
    /// Why it is being taken back.
    reason: String,
    /// What changed and is not taken up by a reload.
    left: String,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The driver reads the file.
    Reading,
    /// The candidate loads and warms.
    Loading,
    /// This slot's frontend is being replaced.
    Rolling(u8),
    /// The same, back to the old configuration.
    RollingBack(u8),
    /// No reload: another program is being tried, and this process is about to become it.
    Upgrading,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Candidate {
    #[default]
    None,
    /// Its place is not free yet.
    Wanted,
    /// In its place.
    There,
}

impl Reload {
    /// Whether none is under way.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle && !self.wanted && !self.upgrade_wanted
    }

    /// Whether the spare place belongs to a candidate.
    pub fn has_candidate(&self) -> bool {
        self.candidate != Candidate::None
    }
}

impl Supervisor {
    /// Whether this child is to start with the configuration from before the reload that is under way.
    pub fn is_of_the_old(&self, id: ChildId) -> bool {
        match self.reload.stage {
            Stage::Loading => !self.is_candidate(id),
            Stage::Rolling(_) => self.reload.has_candidate() && self.serves(id),
            Stage::Idle | Stage::Reading | Stage::RollingBack(_) | Stage::Upgrading => false,
        }
    }

    /// The arena that a frontend works in that starts now.
    pub(super) fn arena_to_join(&self) -> Option<u32> {
        match self.reload.stage {
            Stage::Rolling(_) if self.reload.has_candidate() => self.arena.next(),
            _ => self.arena.current(),
        }
    }

    pub(super) fn reload_wanted(&mut self) {
        self.reload.wanted = true;
        if self.phase == Phase::Starting {
            self.log(Level::INFO, "SIGHUP: the configuration is read again once the service has started");
        } else if self.is_changing() {
            self.log(Level::INFO, "SIGHUP: a reload or upgrade is under way; a reload follows it");
        }
        self.change_if_wanted();
    }

    /// Begins what was asked for, once there is nothing else to finish.
    pub(super) fn change_if_wanted(&mut self) {
        if self.phase != Phase::Running || self.reload.stage != Stage::Idle {
            return;
        }
        let (stage, action) = if std::mem::take(&mut self.reload.wanted) {
            (Stage::Reading, Action::Reload)
        } else if std::mem::take(&mut self.reload.upgrade_wanted) {
            (Stage::Upgrading, Action::CheckProgram)
        } else {
            return;
        };
        self.reload.stage = stage;
        self.act(Action::Notify(Notice::Reloading));
        self.act(action);
    }

    /// Whether a change is under way.
    pub(super) fn is_changing(&self) -> bool {
        self.reload.stage != Stage::Idle
    }

    /// Whether that is an upgrade.
    pub(super) fn is_upgrading(&self) -> bool {
        self.reload.stage == Stage::Upgrading
    }

    pub(super) fn reloaded(&mut self, engine: bool, frontends: bool, restart: &[String], now: Instant) {
        self.reload.left = restart.join(", ");
        if !restart.is_empty() {
            let keys = &self.reload.left;
            let text = format!("reload: {keys} changed, which needs a restart of the service to take effect");
            self.log(Level::WARN, text);
        }
        if engine {
            self.log(Level::INFO, "reload: loading the model beside the one that serves");
            self.reload.stage = Stage::Loading;
            self.reload.candidate = Candidate::Wanted;
            if self.clear_spare() {
                self.start_candidate();
            }
            return;
        }
        if frontends {
            self.queue_frontends();
        }
        self.roll_next(now);
    }

    pub(super) fn reload_refused(&mut self, error: &str, now: Instant) {
        self.log(Level::ERROR, format!("reload refused, nothing changed: {error}"));
        self.finish(Err(format!("the reload was refused, nothing changed: {error}")), now);
    }

    /// Whether this child is the candidate.
    pub(super) fn is_candidate(&self, id: ChildId) -> bool {
        self.reload.candidate == Candidate::There && id.kind == Kind::Engine && !self.serves(id)
    }

    /// The spare place was emptied. Returns whether the candidate has taken it.
    pub(super) fn start_candidate_if_wanted(&mut self, id: ChildId) -> bool {
        let wanted =
            self.reload.candidate == Candidate::Wanted && id.kind == Kind::Engine && !self.serves(id);
        if wanted {
            self.start_candidate();
        }
        wanted
    }

    fn start_candidate(&mut self) {
        self.reload.candidate = Candidate::There;
        let spare = self.engines.spare();
        self.spawn(spare);
    }

    /// Whether the reload ends with the candidate: no frontend relies on it yet.
    pub(super) fn is_loading(&self, id: ChildId) -> bool {
        self.reload.stage == Stage::Loading && self.is_candidate(id)
    }

    /// Whether nobody will rely on the candidate any more.
    pub(super) fn is_unwanted(&self, id: ChildId) -> bool {
        matches!(self.reload.stage, Stage::RollingBack(_)) && self.is_candidate(id)
    }

    /// The candidate cannot serve: the old pair goes on as if nothing had been.
    pub(super) fn candidate_failed(&mut self, why: &str) {
        self.dismiss_candidate();
        self.drop_next_arena();
        self.reload.candidate = Candidate::None;
        self.act(Action::Revert);
        self.log(Level::ERROR, format!("reload refused, nothing changed: {why}"));
        self.report(Err(format!("the reload was refused, nothing changed: {why}")));
    }

    /// Whether this child's place is the one that is being replaced.
    pub(super) fn is_rolling(&self, id: ChildId) -> bool {
        let (Stage::Rolling(slot) | Stage::RollingBack(slot)) = self.reload.stage else { return false };
        id.kind == Kind::Frontend && id.slot == slot
    }

    /// A child became ready: the candidate begins the roll, a replacement makes it the next one's turn.
    pub(super) fn roll_on(&mut self, id: ChildId, now: Instant) {
        if self.is_loading(id) {
            self.queue_frontends();
            self.roll_next(now);
        } else if self.is_rolling(id) {
            if let Stage::Rolling(slot) = self.reload.stage {
                self.reload.replaced.push(slot);
            }
            self.roll_next(now);
        }
    }

    /// Whether a frontend that refuses its configuration may be the fault of a reload.
    pub(super) fn may_revert(&self) -> bool {
        matches!(self.reload.stage, Stage::Rolling(_))
    }

    /// Back to the configuration that worked, for the one that refused and those replaced before it.
    pub(super) fn revert(&mut self, index: usize, why: &str) {
        let slot = self.children[index].id.slot;
        self.log(Level::ERROR, format!("reload taken back: {why}"));
        self.reload.reason = why.to_owned();
        self.act(Action::Revert);
        self.reload.queue = std::mem::take(&mut self.reload.replaced).into();
        self.reload.stage = Stage::RollingBack(slot);
        self.spawn(index);
    }

    fn queue_frontends(&mut self) {
        self.log(Level::INFO, "reload: replacing the frontends one at a time");
        // Empty places first: whoever fills them serves while the others are replaced.
        let mut slots: Vec<_> = (0..self.settings.frontends).collect();
        slots.sort_by_key(|&slot| {
            !matches!(self.children[PLACES + usize::from(slot)].life, Life::Waiting { .. })
        });
        self.reload.queue = slots.into();
    }

    fn roll_next(&mut self, now: Instant) {
        let back = matches!(self.reload.stage, Stage::RollingBack(_));
        while let Some(slot) = self.reload.queue.pop_front() {
            let index = PLACES + usize::from(slot);
            let timeout = self.settings.drain_timeout;
            let child = &mut self.children[index];
            if child.takes_orders() {
                child.life = Life::Leaving { kill_at: now + timeout + LAST_CALL };
                let id = child.id;
                self.reload.stage = if back { Stage::RollingBack(slot) } else { Stage::Rolling(slot) };
                self.act(Action::Tell(id, Order::Drain { timeout }));
                return;
            }
            if matches!(child.life, Life::Waiting { .. }) {
                // Empty after a death: filled now, so that its word on the new configuration is heard like the others'.
                self.reload.stage = if back { Stage::RollingBack(slot) } else { Stage::Rolling(slot) };
                self.spawn(index);
                return;
            }
            // One that is leaving: it is followed by one of the new kind.
        }
        let outcome =
            if back { Err(format!("the reload was taken back: {}", self.reload.reason)) } else { Ok(()) };
        self.finish(outcome, now);
    }

    fn finish(&mut self, outcome: Result<(), String>, now: Instant) {
        if std::mem::take(&mut self.reload.candidate) == Candidate::There {
            if outcome.is_ok() {
                self.swap_engines(now);
                self.take_next_arena();
            } else {
                self.dismiss_candidate();
                self.drop_next_arena();
            }
        }
        self.report(outcome);
    }

    pub(super) fn report(&mut self, outcome: Result<(), String>) {
        self.reload.stage = Stage::Idle;
        self.reload.replaced.clear();
        self.reload.queue.clear();
        let left = std::mem::take(&mut self.reload.left);
        let text = match &outcome {
            Ok(()) if left.is_empty() => "configuration reloaded".to_owned(),
            Ok(()) => format!("configuration reloaded; {left} need a restart"),
            Err(why) => why.clone(),
        };
        let status = format!("serving; {text}");
        self.log(Level::INFO, status.clone());
        self.act(Action::Report { good: outcome.is_ok(), text });
        self.act(Action::Notify(Notice::Ready));
        self.act(Action::Notify(Notice::Status(status)));
        self.change_if_wanted();
    }
}
