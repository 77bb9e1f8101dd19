//! Signals: which are heard, what each asks of the core, and how those that wait are left to the program that this process becomes.
//! Decides nothing.

use super::Driver;
use crate::core::event::{Event, Signal};
use crate::handover;
use nix::libc;
use nix::sys::signal::{Signal as Number, raise};

/// All that are heard.
pub(super) const HEARD: [libc::c_int; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD];
/// What they ask of the core; SIGCHLD has done its work by ending the poll.
const MEANINGS: [(Number, Signal); 5] = [
    (Number::SIGTERM, Signal::Term),
    (Number::SIGINT, Signal::Int),
    (Number::SIGHUP, Signal::Hup),
    (Number::SIGUSR1, Signal::Usr1),
    (Number::SIGUSR2, Signal::Usr2),
];

impl Driver {
    pub(super) fn hear_signals(&mut self) {
        let heard: Vec<libc::c_int> = self.signals.pending().collect();
        for number in heard {
            if let Some((_, signal)) = MEANINGS.iter().find(|(of, _)| *of as libc::c_int == number) {
                self.feed(Event::Signal(*signal));
            }
        }
    }

    /// Whoever signals from now on is heard by the program that this process becomes, and so is what was heard and not
    /// acted on: signals that wait outlive the exec.
    pub(super) fn leave_signals(&mut self) -> std::io::Result<()> {
        handover::hold_signals(true)?;
        let heard = self.signals.pending().map(Number::try_from).collect::<Result<Vec<_>, _>>()?;
        let postponed = self.core.postponed();
        let asked = postponed.filter_map(|of| MEANINGS.iter().find(|(_, meaning)| *meaning == of));
        for number in heard.into_iter().chain(asked.map(|(number, _)| *number)) {
            raise(number)?;
        }
        Ok(())
    }
}
