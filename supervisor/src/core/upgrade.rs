//! SIGUSR2: become the program that lies where this one came from, once it has shown that it can serve.
//!
//! Here only the first half is decided. The other half is the new program's ordinary start, with children of the old one
//! beside it; the driver lets those drain when the start succeeds, and goes back when it does not.

use super::event::{Action, Signal, State};
use super::{Phase, Supervisor};
use tracing::Level;

impl Supervisor {
    /// The changes that were asked for and wait for the one that is under way.
    pub fn postponed(&self) -> impl Iterator<Item = Signal> {
        let reload = self.reload.wanted.then_some(Signal::Hup);
        let upgrade = self.reload.upgrade_wanted.then_some(Signal::Usr2);
        reload.into_iter().chain(upgrade)
    }

    pub(super) fn upgrade_wanted(&mut self) {
        self.reload.upgrade_wanted = true;
        if self.phase == Phase::Starting {
            self.log(Level::INFO, "SIGUSR2: the upgrade follows once the service has started");
        } else if self.is_changing() {
            self.log(Level::INFO, "SIGUSR2: a reload or upgrade is under way; an upgrade follows it");
        }
        self.change_if_wanted();
    }

    pub(super) fn program_checked(&mut self, error: Option<String>) {
        if !self.is_upgrading() {
            return;
        }
        match error {
            Some(error) => self.upgrade_refused(&error),
            // Whoever is being replaced now could not serve until the new program does.
            None if self.state() != State::Ready => {
                self.upgrade_refused("the service is not ready itself; try again when it is")
            }
            None => {
                self.log(Level::INFO, "upgrade: handing over to the new program");
                self.act(Action::HandOver);
            }
        }
    }

    pub(super) fn upgrade_refused(&mut self, error: &str) {
        let why = format!("the upgrade was refused, nothing changed: {error}");
        self.log(Level::ERROR, why.clone());
        self.report(Err(why));
    }
}
