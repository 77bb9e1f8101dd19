//! How many requests may be in service at once so that each is answered within the time that was promised. Little's law:
//! concurrency = rate × response time, so the largest concurrency is the rate the service is able to × `rt_target`.
//!
//! The rate is measured when there is a queue: only then does what comes out say what the service can do. Until it was busy for
//! the first time, the engine's runs while warming up are what there is to go by. A second in which the engine stood still or was
//! replaced is no measurement: what waits then is the fault's, not the load's. Owns no clock and no board.

use crate::stats::Window;
use shm_proto::board::{Histogram, Stage};
use shm_proto::clock::Nanos;
use std::time::Duration;

/// Share of `rt_target` that is planned for; the rest is for what varies.
const PLANNED: f64 = 0.7;
/// However slow the service is, as many may come at once: fewer would be no queue at all.
const FEWEST: u32 = 16;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.5;
/// Requests in service for each that is worked on, from which on the service is busy.
const BUSY: f64 = 2.0;

/// What one second has shown.
pub struct Observation<'a> {
    /// The model generation that serves.
    pub generation: u32,
    /// Requests that can be worked on at once.
    pub servers: u32,
    /// Images a second that the engine alone could run; 0 when nobody knows.
    pub ideal: f64,
    /// What was answered.
    pub window: &'a Window,
}

/// The estimate.
#[derive(Debug, Default)]
pub struct Capacity {
    generation: u32,
    /// Answers a second.
    rate: f64,
    measured: bool,
    /// When the engine that was seen last started.
    engine: Nanos,
    /// Whether one stood still, or another took its place, since the last observation.
    interrupted: bool,
}

impl Capacity {
    /// Takes note, several times a second, of the engine that serves: when it started (0 if none serves), and whether it moves.
    pub fn glance(&mut self, engine: Nanos, moves: bool) {
        self.interrupted |= !moves || engine != self.engine;
        self.engine = engine;
    }

    /// Takes note of what one second has shown.
    pub fn observe(&mut self, seen: &Observation<'_>) {
        if self.generation != seen.generation {
            let engine = self.engine;
            *self = Self { generation: seen.generation, engine, interrupted: true, ..Self::default() };
        }
        let answered = seen.window.tps();
        if std::mem::take(&mut self.interrupted) {
            self.rate = if self.measured { self.rate } else { seen.ideal };
        } else if in_service(seen.window) > BUSY * f64::from(seen.servers) {
            self.rate = if self.measured { self.rate + NEWEST * (answered - self.rate) } else { answered };
            self.measured = true;
        } else if !self.measured {
            self.rate = seen.ideal;
        }
        // Without a queue the service does less than it could, never more.
        self.rate = self.rate.max(if self.measured { 0.0 } else { answered });
    }

    /// Answers a second that the service is able to; 0 when nothing is known.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Requests that may be in service at once to be answered within `target`, and never more than `most`.
    pub fn limit(&self, target: Duration, most: u32) -> u32 {
        if target.is_zero() || self.rate <= 0.0 {
            return most;
        }
        // The cast saturates.
        ((self.rate * target.as_secs_f64() * PLANNED) as u32).max(FEWEST).min(most)
    }
}

/// Mean number of requests whose picture had arrived: the time they spent after that over the time there was.
fn in_service(window: &Window) -> f64 {
    let spent = |stage| {
        let times: &Histogram = window.frontends.stage(stage);
        times.mean() * times.count() as f64 / 1e9
    };
    if window.seconds > 0.0 { (spent(Stage::Total) - spent(Stage::Read)) / window.seconds } else { 0.0 }
}

#[cfg(test)]
mod tests;
