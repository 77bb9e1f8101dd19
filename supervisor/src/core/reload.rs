//! SIGHUP: check the new configuration, then replace frontends one at a time.
//!
//! The supervisor holds the listening sockets, so nothing is refused while a frontend changes: the others accept, and
//! with a single frontend new connections wait in the socket's queue. A configuration that the first replacement cannot work
//! with is taken back.

use super::child::{ChildId, Kind, Life};
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
    wanted: bool,
    stage: Stage,
    /// Slots still to be replaced.
    queue: VecDeque<u8>,
    /// Slots whose frontend works with the new configuration already.
    replaced: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// The driver reads the file.
    Reading,
    /// This slot's frontend is being replaced.
    Rolling(u8),
    /// The same, back to the old configuration.
    RollingBack(u8),
}

impl Supervisor {
    pub(super) fn reload_wanted(&mut self) {
        self.reload.wanted = true;
        if self.phase == Phase::Starting {
            self.log(Level::INFO, "SIGHUP: the configuration is read again once the service has started");
        } else if self.reload.stage != Stage::Idle {
            self.log(Level::INFO, "SIGHUP: a reload is under way; another one follows it");
        }
        self.reload_if_wanted();
    }

    pub(super) fn reload_if_wanted(&mut self) {
        if self.phase == Phase::Running
            && self.reload.stage == Stage::Idle
            && std::mem::take(&mut self.reload.wanted)
        {
            self.reload.stage = Stage::Reading;
            self.act(Action::Notify(Notice::Reloading));
            self.act(Action::Reload);
        }
    }

    pub(super) fn reloaded(&mut self, frontends: bool, restart: &[String], now: Instant) {
        if !restart.is_empty() {
            let keys = restart.join(", ");
            self.log(
                Level::WARN,
                format!("reload: {keys} changed, which needs a restart of the service to take effect"),
            );
        }
        if frontends {
            self.log(Level::INFO, "reload: replacing the frontends one at a time");
            // Empty places first: whoever fills them serves while the others are replaced.
            let mut slots: Vec<_> = (0..self.settings.frontends).collect();
            slots.sort_by_key(|&slot| {
                !matches!(self.children[1 + usize::from(slot)].life, Life::Waiting { .. })
            });
            self.reload.queue = slots.into();
        }
        self.roll_next(now);
    }

    pub(super) fn reload_refused(&mut self, error: &str) {
        self.log(Level::ERROR, format!("reload refused, nothing changed: {error}"));
        self.finish(&format!("serving; the last reload was refused: {error}"));
    }

    /// Whether this child's place is the one that is being replaced.
    pub(super) fn is_rolling(&self, id: ChildId) -> bool {
        let (Stage::Rolling(slot) | Stage::RollingBack(slot)) = self.reload.stage else { return false };
        id.kind == Kind::Frontend && id.slot == slot
    }

    /// A child became ready: if it is the replacement, it is the next one's turn.
    pub(super) fn roll_on(&mut self, id: ChildId, now: Instant) {
        if self.is_rolling(id) {
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
        self.act(Action::Revert);
        self.reload.queue = std::mem::take(&mut self.reload.replaced).into();
        self.reload.stage = Stage::RollingBack(slot);
        self.spawn(index);
    }

    fn roll_next(&mut self, now: Instant) {
        let back = matches!(self.reload.stage, Stage::RollingBack(_));
        while let Some(slot) = self.reload.queue.pop_front() {
            let index = 1 + usize::from(slot);
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
            // One that is starting or leaving: its end or its word comes by itself.
        }
        self.finish(if back {
            "serving; the last reload was taken back"
        } else {
            "serving; configuration reloaded"
        });
    }

    fn finish(&mut self, status: &str) {
        self.reload.stage = Stage::Idle;
        self.reload.replaced.clear();
        self.log(Level::INFO, status);
        self.act(Action::Notify(Notice::Ready));
        self.act(Action::Notify(Notice::Status(status.to_owned())));
        self.reload_if_wanted();
    }
}
