//! The load generator: asks a server, as fast as it answers or at a rate of its own, and says exactly how it answered.
//!
//! Each thread has its own runtime, connections and tally; nothing is shared between threads on the way of a request but
//! the number of the next one. A connection and its requests are one task, so that an answer wakes one task once.

mod figures;
mod line;
mod shot;
mod show;
mod tally;
mod target;
mod threads;
mod timer;

pub use figures::{Figures, Generator, Stages, Times};
pub use shot::{Form, Input, Shot, raw_shot, shots};
pub use show::{SIMULATED, csv, table};
pub use target::Target;

use crate::BenchError;
use std::sync::Arc;
use std::time::Duration;

/// What is asked, how, and for how long.
#[derive(Clone)]
pub struct Load {
    /// Whom.
    pub target: Target,
    /// The requests, taken in turn.
    pub shots: Arc<[Shot]>,
    /// Who decides when the next one is sent.
    pub pace: Pace,
    /// When it is enough.
    pub until: Until,
    /// Time before it counts.
    pub warmup: Duration,
    /// Whether a connection serves for more than one request.
    pub keep_alive: bool,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Threads of the generator.
    pub threads: usize,
}

/// Who decides when the next request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The server: each connection sends when it has its answer.
    Closed {
        /// Connections.
        concurrency: usize,
    },
    /// The clock: a request is due at its time, whether the ones before are answered or not. Its latency counts from then.
    Open {
        /// Requests a second.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
        /// Most connections; a request that finds none free waits, and the wait counts.
        connections: usize,
    },
}

/// How requests of an open loop are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Equally.
    Constant,
    /// As independent people send them.
    Poisson,
}

/// When it is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    /// After so many requests.
    Count(u64),
    /// After so long.
    Time(Duration),
    /// When rate and mean time of the last three windows differ by no more than `tolerance` from their mean.
    Stable {
        /// A window.
        window: Duration,
        /// As a share, 0.05.
        tolerance: f64,
        /// When it is given up.
        most: Duration,
    },
}

/// How it goes so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Live {
    /// Since the beginning, warm-up included.
    pub elapsed: Duration,
    /// Whether it counts already.
    pub measuring: bool,
    /// Requests answered with success.
    pub answered: u64,
    /// Requests answered otherwise, or not at all.
    pub failed: u64,
    /// Successes a second, over the last second.
    pub rate: f64,
}

/// Runs it; `watch` is told how it goes, ten times a second.
///
/// # Errors
/// When what is asked for contradicts itself or threads cannot be had. A server that fails is a figure, not an error.
pub fn run(load: &Load, watch: &mut dyn FnMut(&Live)) -> Result<Figures, BenchError> {
    let connections = match load.pace {
        Pace::Closed { concurrency } => concurrency,
        Pace::Open { rate, .. } if !(rate.is_finite() && rate > 0.0) => {
            return Err(BenchError::usage("a rate is a number above 0"));
        }
        Pace::Open { connections, .. } => connections,
    };
    if connections == 0 || load.threads == 0 || load.shots.is_empty() {
        return Err(BenchError::usage("at least one connection, one thread and one request are needed"));
    }
    let threads = load.threads.min(connections);
    threads::run(load, threads, connections, watch)
}

#[cfg(test)]
mod tests;
