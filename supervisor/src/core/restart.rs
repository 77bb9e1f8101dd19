//! Restart policy: how long to wait before a dead child is replaced, and when to stop believing in it.
//!
//! Pure: time and chance are handed in. A child that worked for [`Policy::settled`] is replaced at once: delays are for those
//! that cannot begin. One that worked for [`Policy::healthy`] starts with a clean sheet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The numbers of the policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Delay after the first death of a child that had not settled; doubles with each that follows.
    pub first: Duration,
    /// Longest delay.
    pub longest: Duration,
    /// Working for this long shows that a child can begin: waiting would only leave its place empty.
    pub settled: Duration,
    /// Working for this long forgets all deaths.
    pub healthy: Duration,
    /// More deaths than this within [`Policy::unstable_within`] make the place unstable.
    pub unstable: usize,
    /// See [`Policy::unstable`].
    pub unstable_within: Duration,
    /// More deaths than this within [`Policy::hopeless_within`] end the service.
    pub hopeless: usize,
    /// See [`Policy::hopeless`].
    pub hopeless_within: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(5),
            settled: Duration::from_secs(1),
            healthy: Duration::from_secs(60),
            unstable: 5,
            unstable_within: Duration::from_secs(60),
            hopeless: 10,
            hopeless_within: Duration::from_secs(600),
        }
    }
}

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Replace it after this time.
    Retry(Duration),
    /// Replace it after this time, but do not count on it.
    Unstable(Duration),
    /// Do not replace it.
    Hopeless,
}

/// The recent deaths in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deaths {
    times: VecDeque<Instant>,
    /// Deaths in a row of children that had not settled.
    early: u32,
}

impl Deaths {
    /// Counts a death. `ready_since`: when the dead one began to work, if it did. `chance`: 0–1, spreads the delay.
    pub fn count(
        &mut self,
        policy: &Policy,
        ready_since: Option<Instant>,
        chance: f64,
        now: Instant,
    ) -> Verdict {
        let worked = ready_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if worked >= policy.healthy {
            self.times.clear();
        }
        self.early = if worked >= policy.settled { 0 } else { self.early.saturating_add(1) };
        self.times.push_back(now);
        while self.times.front().is_some_and(|&t| now.saturating_duration_since(t) > policy.hopeless_within) {
            self.times.pop_front();
        }
        if self.times.len() > policy.hopeless {
            return Verdict::Hopeless;
        }
        let delay = self.delay(policy, chance);
        if self.within(policy.unstable_within, now) > policy.unstable {
            Verdict::Unstable(delay)
        } else {
            Verdict::Retry(delay)
        }
    }

    /// Deaths remembered.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    fn within(&self, window: Duration, now: Instant) -> usize {
        self.times.iter().filter(|&&t| now.saturating_duration_since(t) <= window).count()
    }

    /// Doubling, capped, then spread over 80–100 % so that children that died together do not come back together.
    fn delay(&self, policy: &Policy, chance: f64) -> Duration {
        let Some(doublings) = self.early.checked_sub(1) else { return Duration::ZERO };
        let doublings = doublings.min(16);
        let full = policy.first.saturating_mul(1 << doublings).min(policy.longest);
        full.mul_f64(0.8 + 0.2 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests;
