//! What a load came to, as figures that can be written down and read back.

use super::tally::Tally;
use super::{Load, Pace};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A generator's thread that works so much of the time is what was measured.
const GENERATOR_BUSY: f64 = 0.85;

/// Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub stdev: f64,
    /// Shortest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Longest.
    pub max: f64,
}

/// Milliseconds by stage, as the server says.
pub type Stages = BTreeMap<String, f64>;

/// The generator itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Cores it used.
    pub cores: f64,
    /// What its busiest thread used of a core.
    pub busiest: f64,
    /// Whether it, and not the server, set the limit.
    pub is_bottleneck: bool,
}

/// What a load came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Connections of a closed loop.
    pub concurrency: Option<usize>,
    /// Requests a second that an open loop was to send.
    pub rate: Option<f64>,
    /// Time that was measured.
    pub seconds: f64,
    /// Requests that count, answered or not.
    pub requests: u64,
    /// Those answered with success.
    pub ok: u64,
    /// The others.
    pub errors: u64,
    /// Successes a second.
    pub tps: f64,
    /// Answers of any kind a second.
    pub qps: f64,
    /// Times of the successes.
    pub rt_ms: Times,
    /// Requests in flight on average, by their times.
    pub in_flight: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Refusals by problem code.
    pub codes: BTreeMap<String, u64>,
    /// Requests without an answer, by what happened.
    pub faults: BTreeMap<String, u64>,
    /// Requests of an open loop that were due and never sent.
    pub unsent: u64,
    /// How late requests of an open loop were sent.
    pub delay_ms: Option<Times>,
    /// MB of bodies sent a second.
    pub sent_mb_s: f64,
    /// MB of bodies received a second.
    pub received_mb_s: f64,
    /// Mean times by stage, of servers that say so.
    pub server_ms: Stages,
    /// Whether the server says that no model ran: the figures are those of a modelled accelerator.
    pub simulated: bool,
    /// Whether it became stable, where that was asked.
    pub stable: Option<bool>,
    /// The generator itself.
    pub generator: Generator,
}

/// Raw material of [`Figures`].
pub(super) struct Measured {
    pub tally: Tally,
    pub seconds: f64,
    pub unsent: u64,
    /// Of a core, by thread.
    pub shares: Vec<f64>,
    pub stable: Option<bool>,
}

impl Times {
    fn of(times: &Histogram<u64>) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let at = |q: f64| times.value_at_quantile(q) as f64 / 1e6;
        Self {
            mean: times.mean() / 1e6,
            stdev: times.stdev() / 1e6,
            min: times.min() as f64 / 1e6,
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max() as f64 / 1e6,
        }
    }
}

pub(super) fn figures(load: &Load, measured: &Measured) -> Figures {
    let Measured { tally, seconds, unsent, shares, stable } = measured;
    let per_second = |count: f64| if *seconds > 0.0 { count / seconds } else { 0.0 };
    let answers: u64 = tally.statuses.values().sum();
    let faults: u64 = tally.faults.values().sum();
    let ok = tally.good.len();
    let busiest = shares.iter().copied().fold(0.0, f64::max);
    Figures {
        concurrency: match load.pace {
            Pace::Closed { concurrency } => Some(concurrency),
            Pace::Open { .. } => None,
        },
        rate: match load.pace {
            Pace::Closed { .. } => None,
            Pace::Open { rate, .. } => Some(rate),
        },
        seconds: *seconds,
        requests: answers + faults + unsent,
        ok,
        errors: answers - ok + faults + unsent,
        tps: per_second(ok as f64),
        qps: per_second(answers as f64),
        rt_ms: Times::of(&tally.good),
        in_flight: per_second(tally.busy),
        statuses: tally.statuses.clone(),
        codes: tally.codes.clone(),
        faults: tally.faults.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        unsent: *unsent,
        delay_ms: matches!(load.pace, Pace::Open { .. }).then(|| Times::of(&tally.delay)),
        sent_mb_s: per_second(tally.sent as f64) / 1e6,
        received_mb_s: per_second(tally.received as f64) / 1e6,
        server_ms: tally
            .stages
            .iter()
            .map(|(name, sum)| (name.clone(), sum / tally.staged.max(1) as f64))
            .collect(),
        simulated: tally.simulated,
        stable: *stable,
        generator: Generator {
            cores: shares.iter().sum(),
            busiest,
            is_bottleneck: busiest >= GENERATOR_BUSY,
        },
    }
}
