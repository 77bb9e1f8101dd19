//! The figures of the whole service, from the board: what `/stats` shows, and the last minute that its windows
//! are differences of.
//!
//! A figure of a window is a difference of two snapshots divided by the time between them, so that it is right
//! whichever frontend is asked and whatever died meanwhile.

mod document;
mod series;
mod totals;
mod usage;

pub use document::{document, model};
pub use series::{history, second};
pub use totals::Totals;

use shm_proto::board::{Board, Counter, ProcessFigures};
use shm_proto::clock::{self, Nanos};
use std::collections::VecDeque;

/// Snapshots that are kept: one a second, and the one that closes the longest window.
const KEPT: usize = 61;
const SECOND: f64 = 1e9;

/// The board at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When.
    pub at: Nanos,
    /// All frontends together.
    pub frontends: Totals,
    /// The engine and the standby together.
    pub engine: Totals,
    /// Requests answered by each frontend.
    pub requests: Vec<u64>,
}

impl Snapshot {
    /// The board now.
    pub fn take(board: &Board) -> Self {
        Self::of(clock::now(), &frontends(board), &engines(board))
    }

    /// The sums of these figures.
    pub fn of(at: Nanos, frontends: &[ProcessFigures], engines: &[ProcessFigures]) -> Self {
        Self {
            at,
            frontends: Totals::of(frontends),
            engine: Totals::of(engines),
            requests: frontends.iter().map(|process| process.counter(Counter::Requests)).collect(),
        }
    }

    /// What happened since an earlier snapshot.
    pub fn since(&self, earlier: &Self) -> Window {
        Window {
            seconds: self.at.saturating_sub(earlier.at) as f64 / SECOND,
            frontends: self.frontends.since(&earlier.frontends),
            engine: self.engine.since(&earlier.engine),
            requests: self
                .requests
                .iter()
                .zip(&earlier.requests)
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        }
    }

    /// What happened since the service began, `seconds` ago.
    pub fn since_start(&self, seconds: f64) -> Window {
        let Self { frontends, engine, requests, .. } = self.clone();
        Window { seconds, frontends, engine, requests }
    }
}

/// What happened in a stretch of time.
#[derive(Clone, Debug)]
pub struct Window {
    /// How long it was.
    pub seconds: f64,
    /// In all frontends.
    pub frontends: Totals,
    /// In the engine.
    pub engine: Totals,
    /// Requests answered by each frontend.
    pub requests: Vec<u64>,
}

impl Window {
    /// A count as events a second; 0 of no time.
    pub fn rate(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }

    /// Pictures answered a second.
    pub fn tps(&self) -> f64 {
        self.rate(self.frontends.counter(Counter::Detections))
    }

    /// Requests of any kind answered a second.
    pub fn qps(&self) -> f64 {
        self.rate(self.frontends.counter(Counter::Requests))
    }

    /// Detect requests in flight on average: the time they spent in flight over the time there was.
    pub fn concurrency(&self) -> f64 {
        self.rate(self.frontends.counter(Counter::InFlightNanos)) / SECOND
    }

    /// Requests of the busiest frontend over the mean of all; 1 when they share evenly, 0 of nothing.
    pub fn imbalance(&self) -> f64 {
        let (most, all) =
            (self.requests.iter().max().copied().unwrap_or(0), self.requests.iter().sum::<u64>());
        if all > 0 { most as f64 * self.requests.len() as f64 / all as f64 } else { 0.0 }
    }

    /// Share of the lanes' time spent in runs.
    pub fn utilisation(&self, lanes: u32) -> f64 {
        self.rate(self.engine.counter(Counter::RunNanos)) / SECOND / f64::from(lanes.max(1))
    }
}

/// All frontends' figures, by slot.
pub fn frontends(board: &Board) -> Vec<ProcessFigures> {
    (0..board.frontends() as u8).map(|slot| board.frontend(slot).figures()).collect()
}

/// The engine's and the standby's figures.
pub fn engines(board: &Board) -> Vec<ProcessFigures> {
    (0..2).map(|slot| board.engine(slot).figures()).collect()
}

/// The last minute, one snapshot a second.
#[derive(Debug)]
pub struct History {
    snapshots: VecDeque<Snapshot>,
}

impl History {
    /// Begins now.
    pub fn new(board: &Board) -> Self {
        Self { snapshots: VecDeque::from([Snapshot::take(board)]) }
    }

    /// Adds a snapshot; to be called once a second.
    pub fn push(&mut self, snapshot: Snapshot) {
        self.snapshots.push_back(snapshot);
        if self.snapshots.len() > KEPT {
            self.snapshots.pop_front();
        }
    }

    /// What happened in the `seconds` before `now`, or since the first snapshot if that is less.
    pub fn window(&self, now: &Snapshot, seconds: f64) -> Window {
        // Half a second of grace, or a window of ten snapshots would reach back to the eleventh.
        let from = now.at.saturating_sub(((seconds + 0.5) * SECOND) as Nanos);
        let earliest = self.snapshots.iter().find(|snapshot| snapshot.at >= from).or(self.snapshots.back());
        now.since(earliest.unwrap_or(now))
    }
}

#[cfg(test)]
mod tests;
