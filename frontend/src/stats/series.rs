//! The figures second by second: what curves are drawn from.

use super::document::{millis, rounded};
use super::{SECOND, Snapshot, Window};
use crate::service::Service;
use serde_json::{Map, Value, json};
use shm_proto::board::{Counter, Stage};
use shm_proto::clock::{self, Nanos};
use std::time::{SystemTime, UNIX_EPOCH};

/// The last minute, oldest second first.
pub fn history(service: &Service) -> Value {
    let lanes = lanes(service);
    let history = service.history();
    let pairs = history.snapshots.iter().zip(history.snapshots.iter().skip(1));
    pairs.map(|(then, now)| point(now.at, &now.since(then), lanes)).collect()
}

/// The second that ended with this snapshot.
pub fn second(service: &Service, now: &Snapshot) -> Value {
    point(now.at, &service.history().window(now, 1.0), lanes(service))
}

fn lanes(service: &Service) -> u32 {
    service.link.current().map_or(1, |attached| attached.facts.lanes)
}

fn point(at: Nanos, window: &Window, lanes: u32) -> Value {
    let frontends = &window.frontends;
    let total = frontends.stage(Stage::Total);
    let refused: u64 = crate::error::Code::ALL.iter().map(|&code| frontends.code(code as usize)).sum();
    json!({
        "t": unix(at),
        "tps": rounded(window.tps()),
        "qps": rounded(window.qps()),
        "refused": rounded(window.rate(refused)),
        "mean": millis(total.mean()),
        "p50": millis(total.quantile(0.5)),
        "p90": millis(total.quantile(0.9)),
        "p99": millis(total.quantile(0.99)),
        "concurrency": rounded(window.concurrency()),
        "little": rounded(window.tps() * total.mean() / SECOND),
        "utilisation": rounded(window.utilisation(lanes)),
        "batch": rounded(mean_batch(window)),
        "stages": Stage::ALL
            .iter()
            .filter(|&&stage| stage != Stage::Total)
            .map(|&stage| (stage.name().to_owned(), millis(frontends.stage(stage).mean()).into()))
            .collect::<Map<_, _>>(),
    })
}

/// Images of a run on average; 0 of no runs.
pub(super) fn mean_batch(window: &Window) -> f64 {
    let batches = window.engine.counter(Counter::Batches);
    if batches > 0 { window.engine.counter(Counter::BatchedImages) as f64 / batches as f64 } else { 0.0 }
}

/// A time of the monotonic clock as seconds since 1970.
fn unix(at: Nanos) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    rounded(now - clock::now().saturating_sub(at) as f64 / SECOND)
}
