//! The `/stats` document. Times are milliseconds, rates per second; a figure that nothing was measured for is 0.

use super::series::mean_batch;
use super::{SECOND, Snapshot, Window, engines, frontends, usage};
use crate::error::Code;
use crate::service::Service;
use serde_json::{Map, Value, json};
use shm_proto::SeatState;
use shm_proto::board::{Counter, DayFigures, Histogram, ProcessFigures, ProcessState, Stage};
use shm_proto::clock::{self, Nanos};
use vision::model::ModelFacts;
use vision::postprocess::suppresses;

/// Days before 1970-01-01 in the Julian day number.
const UNIX_EPOCH_JULIAN: i32 = 2_440_588;

/// Everything, as of now.
pub fn document(service: &Service) -> Value {
    let board = &service.board;
    let (frontends, engines) = (frontends(board), engines(board));
    let now = Snapshot::of(clock::now(), &frontends, &engines);
    let uptime = age(now.at, board.started());
    let attached = service.link.current();
    let facts = attached.as_ref().map(|attached| &attached.facts);
    let lanes = facts.map_or(1, |facts| facts.lanes);
    let (last_10s, last_60s) = {
        let history = service.history();
        (history.window(&now, 10.0), history.window(&now, 60.0))
    };
    let all = now.since_start(uptime);
    json!({
        "service": {
            "name": board.name(),
            "version": env!("CARGO_PKG_VERSION"),
            "state": board.state().name(),
            "uptime_s": rounded(uptime),
            "started_unix": board.started_unix(),
            "listen": board.listen(),
            "message": board.message(),
            "in_flight": board.in_flight(),
            "in_service": board.in_service(),
            "concurrency_limit": service.concurrency_limit(),
            "capacity": rounded(service.capacity().rate()),
            "rt_target_ms": service.config.frontend.rt_target.as_millis() as u64,
            "max_concurrency": service.config.frontend.max_concurrency,
        },
        "model": facts.map(|facts| model(facts, board.generation())),
        "windows": {
            "10s": window(&last_10s, lanes),
            "60s": window(&last_60s, lanes),
            "all": window(&all, lanes),
        },
        "visitors": visitors(&board.days()),
        "processes": processes(&frontends, &engines, &last_60s, now.at),
        "seats": SeatState::ALL.iter().map(|&s| (s.name().to_owned(), board.seats().of(s).into())).collect::<Map<_, _>>(),
    })
}

/// The model that serves.
pub fn model(facts: &ModelFacts, generation: u32) -> Value {
    let spec = &facts.spec;
    json!({
        "name": spec.name,
        "task": spec.task,
        "version": facts.version,
        "generation": generation,
        "device": facts.device,
        "simulated": facts.is_simulated(),
        "runtime": facts.runtime,
        "lanes": facts.lanes,
        "max_batch": facts.max_batch,
        "input": { "width": spec.input.width, "height": spec.input.height, "element": spec.input.element },
        "labels": spec.labels.len(),
        "score": rounded(spec.score.into()),
        "iou": rounded(spec.iou.into()),
        "suppresses": suppresses(&spec.decoder),
    })
}

fn window(window: &Window, lanes: u32) -> Value {
    let frontends = &window.frontends;
    let total = frontends.stage(Stage::Total);
    let (tps, measured) = (window.tps(), window.concurrency());
    let by_law = tps * total.mean() / SECOND;
    let count = |counter| frontends.counter(counter);
    json!({
        "seconds": rounded(window.seconds),
        "tps": rounded(tps),
        "qps": rounded(window.qps()),
        "rt_ms": times(total),
        "concurrency": rounded(measured),
        // Little's law: what is in flight is what comes out times how long it takes. Requests that were refused
        // or cancelled after their admission are in the measurement and not in the product.
        "little": {
            "tps_x_rt": rounded(by_law),
            "measured": rounded(measured),
            "error": rounded(if measured > 0.0 { by_law / measured - 1.0 } else { 0.0 }),
        },
        "stages_ms": Stage::ALL
            .iter()
            .filter(|&&stage| stage != Stage::Total)
            .map(|&stage| (stage.name().to_owned(), times(frontends.stage(stage))))
            .collect::<Map<_, _>>(),
        // The busiest frontend's requests over the mean of all: 1 when they share evenly.
        "imbalance": rounded(window.imbalance()),
        "requests": count(Counter::Requests),
        "detections": count(Counter::Detections),
        "connections": count(Counter::Connections),
        "cancelled": count(Counter::Cancelled),
        "expired": count(Counter::Expired),
        "seat_waits": count(Counter::SeatWaits),
        "bytes_in": count(Counter::BytesIn),
        "bytes_out": count(Counter::BytesOut),
        "inputs": {
            "url": count(Counter::InputUrl),
            "bytes": count(Counter::InputBytes),
            "base64": count(Counter::InputBase64),
            "path": count(Counter::InputPath),
            "file": count(Counter::InputFile),
        },
        "url": {
            "server": count(Counter::UrlServer),
            "confirmed": count(Counter::UrlConfirmed),
            "cache": count(Counter::UrlCache),
            "shared": count(Counter::UrlShared),
            "connections": count(Counter::UrlDialled),
        },
        "list_refused": count(Counter::ListRefused),
        "problems": Code::ALL
            .iter()
            .filter(|&&code| frontends.code(code as usize) > 0)
            .map(|&code| (code.name().to_owned(), frontends.code(code as usize).into()))
            .collect::<Map<_, _>>(),
        "engine": engine(window, lanes),
    })
}

fn engine(window: &Window, lanes: u32) -> Value {
    let engine = &window.engine;
    let (batches, images) = (engine.counter(Counter::Batches), engine.counter(Counter::BatchedImages));
    json!({
        "lanes": lanes,
        "batches": batches,
        "images": images,
        "failed_images": engine.counter(Counter::FailedImages),
        "copied_bytes": engine.counter(Counter::CopiedBytes),
        "mean_batch": rounded(mean_batch(window)),
        "batch_sizes": engine
            .batch_sizes()
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
            .map(|(size, &count)| (size.to_string(), count.into()))
            .collect::<Map<_, _>>(),
        // Why a run held no more images than it did.
        "closed": {
            "full": engine.counter(Counter::ClosedFull),
            "waited": engine.counter(Counter::ClosedWaited),
            "all": engine.counter(Counter::ClosedAll),
            "split": engine.counter(Counter::ClosedSplit),
        },
        "wide_batches": engine.counter(Counter::WideBatches),
        "utilisation": rounded(window.utilisation(lanes)),
    })
}

/// Mean and percentiles of a window, in milliseconds. The longest time is known of all time only, so a window's
/// is its topmost bucket, and never above that.
fn times(histogram: &Histogram) -> Value {
    json!({
        "mean": millis(histogram.mean()),
        "p50": millis(histogram.quantile(0.5)),
        "p90": millis(histogram.quantile(0.9)),
        "p99": millis(histogram.quantile(0.99)),
        "max": millis(histogram.quantile(1.0).min(histogram.max() as f64)),
    })
}

/// Today's visitors and those of the days before, newest first.
fn visitors(days: &[DayFigures]) -> Value {
    let day = |figures: &DayFigures| {
        let date = i32::try_from(figures.day)
            .ok()
            .and_then(|day| time::Date::from_julian_day(day.saturating_add(UNIX_EPOCH_JULIAN)).ok());
        let date =
            date.map(|date| format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day()));
        json!({ "date": date, "pv": figures.pv, "uv": figures.uv, "ip": figures.ip })
    };
    json!({ "today": days.first().map(day), "days": days.iter().skip(1).map(day).collect::<Vec<_>>() })
}

/// One row a process that is or was there; `share` is of the last minute's requests.
fn processes(frontends: &[ProcessFigures], engines: &[ProcessFigures], window: &Window, now: Nanos) -> Value {
    let answered: u64 = window.requests.iter().sum();
    let row = |role: &str, slot: usize, process: &ProcessFigures| {
        // Of a process that is just gone, nothing.
        let usage = usage::of(process.pid).unwrap_or_default();
        json!({
            "role": role,
            "slot": slot,
            "pid": process.pid,
            "state": process.state.name(),
            "generation": process.generation,
            "restarts": process.restarts,
            "age_s": rounded(age(now, process.started)),
            "heartbeat_age_s": rounded(age(now, process.heartbeat)),
            "memory_bytes": usage.memory,
            "shared_bytes": usage.shared,
            "cpu_s": rounded(usage.cpu),
        })
    };
    let mut rows = Vec::new();
    for (slot, process) in
        engines.iter().enumerate().filter(|(_, process)| process.state != ProcessState::Absent)
    {
        let mut row = row("engine", slot, process);
        row["batches"] = process.counter(Counter::Batches).into();
        rows.push(row);
    }
    for (slot, process) in frontends.iter().enumerate() {
        let recent = window.requests.get(slot).copied().unwrap_or(0);
        let mut row = row("frontend", slot, process);
        row["connections"] = process.connections.into();
        row["in_flight"] = process.in_flight.into();
        row["requests"] = process.counter(Counter::Requests).into();
        row["share"] = rounded(if answered > 0 { recent as f64 / answered as f64 } else { 0.0 }).into();
        rows.push(row);
    }
    rows.into()
}

/// Nanoseconds as milliseconds.
pub(super) fn millis(nanos: f64) -> f64 {
    rounded(nanos / 1e6)
}

fn age(now: Nanos, since: Nanos) -> f64 {
    if since == 0 { 0.0 } else { now.saturating_sub(since) as f64 / SECOND }
}

/// Three decimals: a microsecond of a millisecond figure.
pub(super) fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 }
}
