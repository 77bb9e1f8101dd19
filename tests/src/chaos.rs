//! The chaos harness: a service under a constant rate of requests, faults done to it, and a ledger that says what became of
//! each request.
//!
//! A **scenario** is one promise of `docs/faults.md`: it starts a service, loads it, does something to it, and reports.
//! What must hold in any case (who was answered what, and what is left behind) goes to [`report::Report::broken`]; how
//! long it took goes to [`report::Report::late`], which only a release build on a machine of its own is held to.

pub mod faults;
pub mod generator;
pub mod ledger;
pub mod report;
pub mod rest;
pub mod scenarios;
pub mod wire;

use crate::chaos::generator::{Generator, Pace};
use crate::service::Service;
use std::time::{Duration, Instant};

/// How much of a scenario is played.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The whole promise, or its shortest form.
    pub long: bool,
    /// For whatever is left to chance.
    pub seed: u64,
    /// How long random faults go on.
    pub duration: Duration,
}

impl Plan {
    /// The short form of every scenario, for `make test`.
    pub fn short() -> Self {
        Self { long: false, seed: 1, duration: Duration::from_secs(6) }
    }

    /// One number for the long form, another for the short one.
    pub fn pick<T>(&self, long: T, short: T) -> T {
        if self.long { long } else { short }
    }
}

/// Requests a second that the service answers when it is asked for as much as it can: 12 clients, each with one request at a time.
pub fn capacity(service: &Service, plan: &Plan) -> f64 {
    let seconds = plan.pick(5.0, 1.0);
    let generator = Generator::start(service.address(), Pace::Closed(12));
    std::thread::sleep(Duration::from_secs_f64(0.5)); // the first answers come while connections are made
    let (begun, before) = (Instant::now(), generator.answered());
    std::thread::sleep(Duration::from_secs_f64(seconds));
    let rate = (generator.answered() - before) as f64 / begun.elapsed().as_secs_f64();
    generator.stop();
    rate.max(1.0)
}

/// The rate of a scenario: 80 % of what the service can; less in the short form, whose machine has other work.
pub fn rate(service: &Service, plan: &Plan) -> f64 {
    plan.pick(0.8, 0.4) * capacity(service, plan)
}
