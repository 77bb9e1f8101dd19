//! The way out: drain, stop, kill; each with a time after which the next, harsher step comes.

use super::child::{Child, Kind, Life};
use super::engines::PLACES;
use super::event::{Action, Exit, Notice, Order};
use super::{Phase, Supervisor};
use std::time::{Duration, Instant};
use tracing::Level;

/// From the end of the drain, which frontends keep themselves, to SIGKILL.
pub const LAST_CALL: Duration = Duration::from_secs(1);
/// After everything has been killed: how long to wait for a process that the kernel does not let die.
const UNDEAD: Duration = Duration::from_secs(5);

/// How the service ends.
#[derive(Default)]
pub struct Shutdown {
    verdict: Option<(Exit, Option<String>)>,
    abandon_at: Option<Instant>,
}

impl Shutdown {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.abandon_at
    }
}

impl Supervisor {
    /// SIGTERM: frontends finish what they hold, the engine serves them until the last one is gone.
    pub(super) fn drain(&mut self, now: Instant) {
        let timeout = self.settings.drain_timeout;
        self.phase = Phase::Draining;
        self.act(Action::Notify(Notice::Stopping));
        self.publish(); // frontends see it on the board, before the order arrives
        self.log(
            Level::INFO,
            format!("draining: up to {:.1} s for what is in flight", timeout.as_secs_f64()),
        );
        self.shutdown.abandon_at = Some(now + timeout + LAST_CALL + UNDEAD);
        for index in PLACES..self.children.len() {
            self.ask_to_leave(index, now + timeout + LAST_CALL, Order::Drain { timeout });
        }
    }

    /// A frontend has finished: it may go.
    pub(super) fn drained(&mut self, index: usize, now: Instant) {
        let child = &mut self.children[index];
        if let Life::Leaving { kill_at } = child.life {
            let id = child.id;
            child.life = Life::Leaving { kill_at: kill_at.min(now + id.kind.traits().stop_timeout) };
            self.act(Action::Tell(id, Order::Stop));
        }
    }

    /// Everybody leaves now, for the reason given.
    pub(super) fn stop(&mut self, exit: Exit, why: Option<String>, now: Instant) {
        if self.phase < Phase::Draining {
            self.act(Action::Notify(Notice::Stopping));
        }
        self.phase = Phase::Stopping;
        self.shutdown.verdict = Some((exit, why));
        self.shutdown.abandon_at = Some(now + Kind::Engine.traits().stop_timeout + UNDEAD);
        for index in 0..self.children.len() {
            let kill_at = now + self.children[index].id.kind.traits().stop_timeout;
            self.ask_to_leave(index, kill_at, Order::Stop);
        }
    }

    /// The second SIGTERM: no more patience.
    pub(super) fn kill_the_rest(&mut self, now: Instant) {
        self.log(Level::WARN, "asked twice to stop: killing what is left");
        self.phase = Phase::Stopping;
        self.shutdown.abandon_at = Some(now + UNDEAD);
        for index in 0..self.children.len() {
            match self.children[index].life {
                Life::Waiting { .. } => self.children[index].life = Life::Gone,
                Life::Starting | Life::Ready { .. } | Life::Leaving { .. } | Life::Aborting { .. } => {
                    self.kill(index)
                }
                Life::Gone | Life::Killed => {} // nothing left to do to it
            }
        }
    }

    /// Moves on when those who were waited for are gone.
    pub(super) fn settle_shutdown(&mut self, now: Instant) {
        if self.phase == Phase::Draining && !self.frontends().any(Child::is_live) {
            let (exit, why) = self.shutdown.verdict.take().unwrap_or((Exit::Clean, None));
            self.stop(exit, why, now);
        }
        if self.phase == Phase::Stopping && !self.children.iter().any(Child::is_live) {
            self.leave();
        }
    }

    /// A process that survives SIGKILL hangs in the kernel; it must not keep the service from stopping.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        if self.shutdown.abandon_at.is_some_and(|at| at <= now) {
            let left: Vec<String> =
                self.children.iter().filter(|c| c.is_live()).map(|c| c.id.to_string()).collect();
            self.log(
                Level::ERROR,
                format!("leaving without {}: the kernel does not let go of it", left.join(", ")),
            );
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.phase = Phase::Stopped;
        self.shutdown.abandon_at = None;
        let (exit, why) = self.shutdown.verdict.take().unwrap_or((Exit::Clean, None));
        self.act(Action::Exit { exit, why });
    }

    fn ask_to_leave(&mut self, index: usize, kill_at: Instant, order: Order) {
        let child = &mut self.children[index];
        let id = child.id;
        match child.life {
            Life::Waiting { .. } => child.life = Life::Gone,
            Life::Starting | Life::Ready { .. } => {
                child.life = Life::Leaving { kill_at };
                self.act(Action::Tell(id, order));
            }
            Life::Leaving { kill_at: earlier } => {
                child.life = Life::Leaving { kill_at: earlier.min(kill_at) };
                self.act(Action::Tell(id, order));
            }
            Life::Gone | Life::Aborting { .. } | Life::Killed => {} // on its way, or not there
        }
    }
}
