//! What follows from the end of a child: take its seats back, then replace it, wait, or give up.

use super::child::{ChildId, Kind, Life};
use super::event::{Action, Ending, Exit};
use super::restart::Verdict;
use super::{Phase, Supervisor};
use std::time::Instant;
use tracing::Level;

impl Supervisor {
    /// A child was reaped. Its seats come back first: nobody may get the place before.
    pub(super) fn exited(&mut self, id: ChildId, how: Ending, now: Instant) {
        let Some(index) = self.index(id).filter(|&index| self.children[index].is_live()) else { return };
        let child = &mut self.children[index];
        let arena = child.arena.take();
        self.actions.push(Action::Reclaim { child: id, arena });
        let life = std::mem::replace(&mut child.life, Life::Gone);
        let words = child.last_words.take();
        let told_to_leave = matches!(life, Life::Leaving { .. });
        let expected = self.spare_ended(id);
        let succeeded = self.phase == Phase::Running && self.start_candidate_if_wanted(id);
        if expected || succeeded {
            return; // its time was over
        }
        match self.phase {
            Phase::Starting | Phase::Running if self.is_unwanted(id) => {}
            Phase::Starting | Phase::Running if self.is_loading(id) => {
                let why = words.map_or_else(|| format!("the new engine {how}"), |(_, text)| text);
                self.candidate_failed(&why);
            }
            Phase::Starting | Phase::Running
                if self.is_rolling(id) && (told_to_leave || life == Life::Killed) =>
            {
                self.spawn(index);
            }
            Phase::Starting | Phase::Running => self.died(index, life, how, words, now),
            Phase::Draining if self.is_needed(id) && !told_to_leave => {
                self.died(index, life, how, words, now); // requests in flight still need an engine
            }
            Phase::Draining | Phase::Stopping | Phase::Stopped => {
                if how != Ending::Code(0) && !matches!(life, Life::Killed) {
                    self.log(Level::WARN, format!("{id} {how} on its way out"));
                }
            }
        }
    }

    /// The system refused the process. That counts as a death: it is retried, later and later.
    pub(super) fn spawn_failed(&mut self, id: ChildId, error: &str, now: Instant) {
        let Some(index) = self.index(id).filter(|&index| self.children[index].is_live()) else { return };
        let life = std::mem::replace(&mut self.children[index].life, Life::Gone);
        match self.phase {
            Phase::Starting | Phase::Running if self.is_loading(id) => {
                self.candidate_failed(&format!("the new engine could not be started: {error}"));
            }
            Phase::Starting | Phase::Running => {
                self.retry(index, life, &format!("could not be started: {error}"), now)
            }
            Phase::Draining if self.is_needed(id) => {
                self.retry(index, life, &format!("could not be started: {error}"), now);
            }
            Phase::Draining | Phase::Stopping | Phase::Stopped => {} // not needed any more
        }
    }

    /// Whether the frontends' last requests need this engine.
    fn is_needed(&self, id: ChildId) -> bool {
        self.serves(id)
            || self.is_candidate(id)
                && self.children.iter().any(|child| {
                    child.id.kind == Kind::Frontend
                        && child.is_live()
                        && child.arena == self.arena.next()
                        && child.arena.is_some()
                })
    }

    fn died(&mut self, index: usize, life: Life, how: Ending, words: Option<(i32, String)>, now: Instant) {
        let code = match (how, &words) {
            (Ending::Code(code), _) => Some(code),
            (Ending::Signal(_), Some((code, _))) => Some(*code),
            (Ending::Signal(_), None) => None,
        };
        let id = self.children[index].id;
        let said = words.map(|(_, text)| text);
        if matches!(code, Some(code) if code == Exit::Config as i32 || code == Exit::Usage as i32) {
            let why = said.unwrap_or_else(|| {
                format!("{id} {how}: its configuration cannot be used (see its log lines)")
            });
            return self.refused(index, life, why, now);
        }
        let what = match (said, life) {
            (Some(text), _) => format!("{how}: {text}"),
            // Not the kernel's out-of-memory killer, which is what a SIGKILL suggests otherwise.
            (None, Life::Aborting { .. } | Life::Killed) => "was ended because it hung".to_owned(),
            (None, _) => how.to_string(),
        };
        self.retry(index, life, &what, now);
    }

    /// A child says that its configuration is of no use: trying again would not help.
    fn refused(&mut self, index: usize, life: Life, why: String, now: Instant) {
        let id = self.children[index].id;
        match self.phase {
            Phase::Starting => self.stop(Exit::Usage, Some(why), now),
            Phase::Running if id.kind == Kind::Engine && self.is_candidate(id) => {
                self.retry(index, life, &why, now); // frontends rely on it already
            }
            Phase::Running if id.kind == Kind::Engine && !self.serves(id) => self.give_up_standby(&why),
            Phase::Running if id.kind == Kind::Frontend && self.may_revert() => {
                self.revert(index, &why);
            }
            // What a frontend needs of the file system may come back, and the others serve meanwhile.
            Phase::Running if id.kind == Kind::Frontend && self.a_frontend_is_ready() => {
                self.retry(index, life, &why, now);
            }
            Phase::Running => self.stop(Exit::Config, Some(why), now),
            Phase::Draining | Phase::Stopping | Phase::Stopped => {
                self.log(Level::ERROR, why); // it stays gone; what waits for it ends with the drain
            }
        }
    }

    fn a_frontend_is_ready(&self) -> bool {
        self.children
            .iter()
            .any(|child| child.id.kind == Kind::Frontend && matches!(child.life, Life::Ready { .. }))
    }

    fn retry(&mut self, index: usize, life: Life, what: &str, now: Instant) {
        if self.serves(self.children[index].id) {
            self.promote_standby();
        }
        let chance = self.chance.f64();
        let ready_since = match life {
            Life::Ready { since } => Some(since),
            _ => None,
        };
        let child = &mut self.children[index];
        let id = child.id;
        let verdict = child.deaths.count(&self.settings.policy, ready_since, chance, now);
        let count = child.deaths.len();
        match verdict {
            Verdict::Retry(delay) => {
                child.life = Life::Waiting { until: now + delay };
                self.log(Level::WARN, format!("{id} {what}; it restarts in {:.1} s", delay.as_secs_f64()));
            }
            Verdict::Unstable(delay) => {
                child.life = Life::Waiting { until: now + delay };
                let seconds = delay.as_secs_f64();
                self.log(
                    Level::ERROR,
                    format!("{id} {what}; death {count} in a row, it restarts in {seconds:.1} s"),
                );
            }
            Verdict::Hopeless => {
                self.stop(Exit::Internal, Some(format!("{id} {what}; giving up after {count} deaths")), now);
            }
        }
    }
}
