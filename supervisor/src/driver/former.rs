//! The children of the program before this one: they serve until ours do, then they drain, frontends first.

use crate::core::child::Kind;
use crate::handover::{Former, Handover};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shm_proto::board::{Board, Heritage};
use std::time::{Duration, Instant};

/// What is left of the program before this one.
#[derive(Default)]
pub struct Predecessor {
    /// Until our own children are ready: the way back.
    handover: Option<Handover>,
    /// After that: those who have not left yet.
    leaving: Vec<Former>,
    kill_at: Option<Instant>,
    heritage: Option<Heritage>,
}

impl Predecessor {
    /// As [`crate::handover::receive`] found it, with the board its children count on.
    pub fn new(handover: Option<Handover>, heritage: Option<Heritage>) -> Self {
        Self { handover, heritage, ..Self::default() }
    }

    /// Number and refusal of the change that brought us here, as long as it has not ended.
    pub fn change(&self) -> Option<(u32, Option<String>)> {
        self.handover.as_ref().map(|handover| (handover.change, handover.refused.clone()))
    }

    /// The way back, if there is still one.
    pub fn take_way_back(&mut self) -> Option<Handover> {
        self.handover.take_if(|handover| handover.refused.is_none())
    }

    /// Ours serve, or nobody will: its frontends drain within this time, then its engine leaves.
    pub fn retire(&mut self, time: Duration) {
        let Some(handover) = self.handover.take() else { return };
        self.leaving.extend(handover.former);
        self.kill_at = Some(Instant::now() + time);
        self.leaving
            .iter_mut()
            .filter(|former| former.kind == Kind::Frontend)
            .for_each(|former| former.line = None);
        self.release_engines();
    }

    /// Copies for the next program, when that comes before these have left.
    pub fn leaving(&self) -> impl Iterator<Item = &Former> {
        self.leaving.iter()
    }

    /// Whether nobody is left.
    pub fn is_gone(&self) -> bool {
        self.leaving.is_empty()
    }

    /// A process was reaped. Returns whether it was one of these.
    pub fn reaped(&mut self, pid: Pid) -> bool {
        let of = |list: &mut Vec<Former>| {
            let found = list.iter().position(|former| former.pid == pid);
            found.map(|index| list.swap_remove(index)).is_some()
        };
        let was =
            of(&mut self.leaving) || self.handover.as_mut().is_some_and(|handover| of(&mut handover.former));
        self.release_engines();
        was
    }

    /// Takes over what they counted, and kills those who have had their time.
    pub fn watch(&mut self, board: &Board, now: Instant) {
        if let Some(heritage) = &mut self.heritage {
            heritage.take(board);
            // Looked at once more after the last one was reaped, which is now.
            if self.handover.is_none() && self.leaving.is_empty() {
                self.heritage = None;
            }
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            for former in &self.leaving {
                tracing::warn!(pid = %former.pid, "a process of the former program did not leave in time: killing it");
                let _ = kill(former.pid, Signal::SIGKILL); // not reaped yet: the pid is still its own
            }
            self.kill_at = Some(now + Duration::from_secs(1));
        }
    }

    /// The engines serve the frontends until the last of those has gone.
    fn release_engines(&mut self) {
        if self.leaving.iter().all(|former| former.kind == Kind::Engine) {
            self.leaving.iter_mut().for_each(|former| former.line = None);
        }
    }
}
