//! What one thread counts while it asks. Plain arithmetic on plain memory.

use super::line::{Answer, Fault};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// A histogram of times in nanoseconds, exact to three digits.
pub fn times() -> Histogram<u64> {
    // Grows by itself; three digits is a precision the crate has.
    Histogram::new(3).expect("three digits")
}

/// Counts of a stretch of time.
#[derive(Clone)]
pub struct Tally {
    /// Times of the successes.
    pub good: Histogram<u64>,
    /// From when a request was due to when it was sent.
    pub delay: Histogram<u64>,
    /// Sum of the times of all that were answered, in seconds.
    pub busy: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Answers that are no success, by the problem's code.
    pub codes: BTreeMap<String, u64>,
    /// Requests without an answer.
    pub faults: BTreeMap<&'static str, u64>,
    /// Bytes of bodies sent.
    pub sent: u64,
    /// Bytes of bodies received.
    pub received: u64,
    /// Milliseconds by stage as the server says, summed, and how many answers said so.
    pub stages: Vec<(String, f64)>,
    /// Answers with stages.
    pub staged: u64,
    /// When the last one ended, since the beginning.
    pub last: Duration,
    /// Whether an answer said that no model ran.
    pub simulated: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            good: times(),
            delay: times(),
            busy: 0.0,
            statuses: BTreeMap::new(),
            codes: BTreeMap::new(),
            faults: BTreeMap::new(),
            sent: 0,
            received: 0,
            stages: Vec::new(),
            staged: 0,
            last: Duration::ZERO,
            simulated: false,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Tally {
    /// One request: how long it took, how late it was sent, and what came of it. Says whether it was a success.
    pub fn count(
        &mut self,
        took: Duration,
        delay: Option<Duration>,
        bytes: usize,
        outcome: Result<Answer, Fault>,
        ended: Duration,
    ) {
        self.sent += bytes as u64;
        self.last = self.last.max(ended);
        if let Some(delay) = delay {
            // Grows as it must: only no memory could stand in the way.
            let _ = self.delay.record(nanos(delay));
        }
        let answer = match outcome {
            Ok(answer) => answer,
            Err(fault) => {
                *self.faults.entry(fault.name()).or_default() += 1;
                return;
            }
        };
        self.busy += took.as_secs_f64();
        self.received += answer.bytes;
        self.simulated |= answer.simulated;
        *self.statuses.entry(answer.status).or_default() += 1;
        if !(200..300).contains(&answer.status) {
            *self.codes.entry(answer.code.unwrap_or_else(|| "none".to_owned())).or_default() += 1;
            return;
        }
        let _ = self.good.record(nanos(took));
        if let Some(text) = answer.timing.as_ref().and_then(|value| value.to_str().ok()) {
            self.staged += 1;
            for (name, millis) in stages(text) {
                match self.stages.iter_mut().find(|(known, _)| known == name) {
                    Some((_, sum)) => *sum += millis,
                    None => self.stages.push((name.to_owned(), millis)),
                }
            }
        }
    }

    /// Adds another thread's, or another window's.
    pub fn merge(&mut self, other: &Self) {
        // Same precision and growing: adding cannot fail.
        let _ = self.good.add(&other.good);
        let _ = self.delay.add(&other.delay);
        self.busy += other.busy;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (code, count) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        self.sent += other.sent;
        self.received += other.received;
        for (name, millis) in &other.stages {
            match self.stages.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += millis,
                None => self.stages.push((name.clone(), *millis)),
            }
        }
        self.staged += other.staged;
        self.last = self.last.max(other.last);
        self.simulated |= other.simulated;
    }
}

/// Names and milliseconds of a `Server-Timing` header.
pub fn stages(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.split(',').filter_map(|metric| {
        let (name, parameters) = metric.trim().split_once(';')?;
        let millis = parameters.split(';').find_map(|p| p.trim().strip_prefix("dur="))?;
        Some((name.trim(), millis.parse().ok()?))
    })
}
