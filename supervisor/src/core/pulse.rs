//! Watching heartbeats: for how long each child's has stood still.
//!
//! Only time that the supervisor itself lived through counts, and one look adds at most [`LONGEST_STEP`]: after the
//! whole machine was frozen (a VM pause, a cgroup freezer) everybody's heartbeat is old and nobody hangs.

use super::child::ChildId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most that one look adds to a silence.
pub const LONGEST_STEP: Duration = Duration::from_millis(500);

struct Pulse {
    heartbeat: u64,
    looked: Instant,
    silence: Silence,
}

/// What is known of a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// For how long it has stood still.
    pub quiet: Duration,
    /// Whether it ever moved.
    pub has_beaten: bool,
}

/// Silences by child.
#[derive(Default)]
pub struct Pulses {
    by_child: HashMap<ChildId, Pulse>,
}

impl Pulses {
    /// Notes the child's heartbeat (any number that changes while it lives).
    pub fn look(&mut self, child: ChildId, heartbeat: u64, now: Instant) -> Silence {
        let fresh = Pulse { heartbeat, looked: now, silence: Silence::default() };
        let pulse = self.by_child.entry(child).or_insert(fresh);
        if pulse.heartbeat == heartbeat {
            pulse.silence.quiet += now.saturating_duration_since(pulse.looked).min(LONGEST_STEP);
        } else {
            pulse.heartbeat = heartbeat;
            pulse.silence = Silence { quiet: Duration::ZERO, has_beaten: true };
        }
        pulse.looked = now;
        pulse.silence
    }

    /// Forgets a child that ended, or whose silence is to be counted anew.
    pub fn forget(&mut self, child: ChildId) {
        self.by_child.remove(&child);
    }
}

#[cfg(test)]
mod tests;
