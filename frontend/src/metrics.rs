//! `/metrics`: the whole service in Prometheus' text format, from the board. Base units, bounded labels.

mod exposition;

use crate::error::Code;
use crate::service::Service;
use crate::stats::{Snapshot, engines, frontends};
use exposition::{Exposition, Kind};
use shm_proto::SeatState;
use shm_proto::board::{
    Counter, Histogram, MAX_BATCH_SIZE, ProcessFigures, ProcessState, ServiceState, Stage,
};
use shm_proto::clock::{self, Nanos};

/// Upper bounds of the duration histograms in nanoseconds: 1 ms to 30 s.
const BOUNDS: [Nanos; 14] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// The exposition as of now.
pub fn text(service: &Service) -> String {
    let board = &service.board;
    let (frontends, engines) = (frontends(board), engines(board));
    let now = Snapshot::of(clock::now(), &frontends, &engines);
    let mut out = Exposition::default();
    build(&mut out, service);
    requests(&mut out, &now);
    engine(&mut out, &now);
    kept(&mut out, &now);
    load(&mut out, service, &frontends);
    processes(&mut out, &frontends, &engines, now.at);
    out.into_text()
}

fn build(out: &mut Exposition, service: &Service) {
    out.family("detectd_build_info", Kind::Gauge, "Version of the program; always 1.");
    out.sample("detectd_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    out.family("detectd_state", Kind::Gauge, "What the service does: 1 for the state it is in.");
    let state = service.board.state();
    for each in
        [ServiceState::Starting, ServiceState::Ready, ServiceState::EngineDown, ServiceState::Draining]
    {
        out.sample("detectd_state", &[("state", each.name())], u64::from(each == state));
    }
    if let Some(attached) = service.link.current() {
        let facts = &attached.facts;
        let labels = [
            ("name", facts.spec.name.as_str()),
            ("version", facts.version.as_str()),
            ("device", facts.device.as_str()),
            ("runtime", facts.runtime.as_str()),
        ];
        out.family("detectd_model_info", Kind::Gauge, "The model that is served; always 1.");
        out.sample("detectd_model_info", &labels, 1);
        let name = "detectd_simulated";
        out.family(name, Kind::Gauge, "1 when a modelled accelerator runs in place of the model.");
        out.sample(name, &[], facts.is_simulated().into());
        out.family("detectd_lanes", Kind::Gauge, "Concurrent runs of the model.");
        out.sample("detectd_lanes", &[], facts.lanes.into());
    }
    let days = service.board.days();
    if let Some(today) = days.first() {
        out.family(
            "detectd_visits_today",
            Kind::Gauge,
            "Calls (pv), visitors (uv) and addresses (ip) of today.",
        );
        for (kind, count) in [("pv", today.pv), ("uv", today.uv), ("ip", today.ip)] {
            out.sample("detectd_visits_today", &[("kind", kind)], count);
        }
    }
}

fn requests(out: &mut Exposition, now: &Snapshot) {
    let totals = &now.frontends;
    out.family("detectd_requests_total", Kind::Counter, "Requests answered, by problem code; ok for none.");
    let answered = totals.counter(Counter::Requests);
    out.sample("detectd_requests_total", &[("code", "ok")], answered.saturating_sub(totals.problems()));
    for code in Code::ALL {
        out.sample("detectd_requests_total", &[("code", code.name())], totals.code(code as usize));
    }
    for (name, counter, help) in [
        ("detectd_detections_total", Counter::Detections, "Pictures answered with detections or classes."),
        ("detectd_connections_total", Counter::Connections, "Connections accepted."),
        ("detectd_cancelled_total", Counter::Cancelled, "Requests whose client went away."),
        ("detectd_seat_waits_total", Counter::SeatWaits, "Requests that had to wait for a seat."),
        ("detectd_url_connections_total", Counter::UrlDialled, "Connections opened to fetch pictures."),
        ("detectd_list_refused_total", Counter::ListRefused, "Pictures of a list that were refused."),
        ("detectd_received_bytes_total", Counter::BytesIn, "Bytes of request bodies."),
        ("detectd_sent_bytes_total", Counter::BytesOut, "Bytes of answers' bodies."),
    ] {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[], totals.counter(counter));
    }
    out.family("detectd_inputs_total", Kind::Counter, "Pictures by the way they came.");
    for (name, counter) in [
        ("url", Counter::InputUrl),
        ("bytes", Counter::InputBytes),
        ("base64", Counter::InputBase64),
        ("path", Counter::InputPath),
        ("file", Counter::InputFile),
    ] {
        out.sample("detectd_inputs_total", &[("type", name)], totals.counter(counter));
    }
    out.family(
        "detectd_url_pictures_total",
        Kind::Counter,
        "Pictures that came by address, by where they were.",
    );
    for (name, counter) in [
        ("server", Counter::UrlServer),
        ("confirmed", Counter::UrlConfirmed),
        ("cache", Counter::UrlCache),
        ("shared", Counter::UrlShared),
    ] {
        out.sample("detectd_url_pictures_total", &[("from", name)], totals.counter(counter));
    }
    let name = "detectd_request_duration_seconds";
    out.family(name, Kind::Histogram, "Time from a request's header to its answer, for answered pictures.");
    durations(out, name, &[], totals.stage(Stage::Total));
    let name = "detectd_stage_duration_seconds";
    out.family(name, Kind::Histogram, "Time of one stage of an answered picture.");
    for &stage in Stage::ALL.iter().filter(|&&stage| stage != Stage::Total) {
        durations(out, name, &[("stage", stage.name())], totals.stage(stage));
    }
}

fn durations(out: &mut Exposition, name: &str, labels: &[(&str, &str)], histogram: &Histogram) {
    let bounds = BOUNDS.iter().map(|&bound| (bound as f64 / 1e9, histogram.count_below(bound)));
    out.histogram(name, labels, bounds, histogram.count(), histogram.sum() as f64 / 1e9);
}

fn kept(out: &mut Exposition, now: &Snapshot) {
    let totals = &now.frontends;
    let name = "detectd_harvest_pictures_total";
    out.family(name, Kind::Counter, "Pictures that rules chose to keep, by what became of them.");
    for (outcome, counter) in [
        ("stored", Counter::HarvestStored),
        ("duplicate", Counter::HarvestDuplicates),
        ("near_duplicate", Counter::HarvestNearDuplicates),
        ("limited", Counter::HarvestLimited),
        ("quota", Counter::HarvestQuota),
        ("no_room", Counter::HarvestNoRoom),
        ("dropped", Counter::HarvestDropped),
        ("failed", Counter::HarvestFailed),
        ("opted_out", Counter::HarvestOptedOut),
    ] {
        out.sample(name, &[("outcome", outcome)], totals.counter(counter));
    }
    for (name, counter, help) in [
        ("detectd_harvest_bytes_total", Counter::HarvestBytes, "Bytes of the pictures that were kept."),
        ("detectd_harvest_removed_total", Counter::HarvestRemoved, "Kept pictures removed for age or room."),
    ] {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[], totals.counter(counter));
    }
}

fn engine(out: &mut Exposition, now: &Snapshot) {
    let totals = &now.engine;
    for (name, counter, help) in [
        ("detectd_batches_total", Counter::Batches, "Runs of the model."),
        ("detectd_batched_images_total", Counter::BatchedImages, "Images in those runs."),
        ("detectd_failed_images_total", Counter::FailedImages, "Images whose run failed."),
        (
            "detectd_copied_bytes_total",
            Counter::CopiedBytes,
            "Bytes of tensors that could not be used in place.",
        ),
        (
            "detectd_wide_batches_total",
            Counter::WideBatches,
            "Runs that took several threads because nothing else was in service.",
        ),
    ] {
        out.family(name, Kind::Counter, help);
        out.sample(name, &[], totals.counter(counter));
    }
    let name = "detectd_batches_closed_total";
    out.family(name, Kind::Counter, "Runs of the model, by why they held no more images.");
    for (reason, counter) in [
        ("full", Counter::ClosedFull),
        ("waited", Counter::ClosedWaited),
        ("all", Counter::ClosedAll),
        ("split", Counter::ClosedSplit),
    ] {
        out.sample(name, &[("reason", reason)], totals.counter(counter));
    }
    out.family("detectd_run_seconds_total", Kind::Counter, "Time that lanes spent in runs.");
    out.sample_f64("detectd_run_seconds_total", &[], totals.counter(Counter::RunNanos) as f64 / 1e9);

    let sizes = totals.batch_sizes();
    let mut seen = 0;
    let bounds: Vec<(f64, u64)> = sizes
        .iter()
        .enumerate()
        .map(|(size, &count)| {
            seen += count;
            (size as f64, seen)
        })
        // The last counts larger ones too, so that it is only good for +Inf.
        .filter(|&(size, _)| [1.0, 2.0, 4.0, 8.0, 16.0, 32.0].contains(&size))
        .collect();
    debug_assert!(sizes.len() == MAX_BATCH_SIZE + 1);
    let name = "detectd_batch_size";
    out.family(name, Kind::Histogram, "Images in one run.");
    out.histogram(name, &[], bounds, seen, totals.counter(Counter::BatchedImages) as f64);
}

fn load(out: &mut Exposition, service: &Service, frontends: &[ProcessFigures]) {
    let sum =
        |of: fn(&ProcessFigures) -> u32| frontends.iter().map(|process| u64::from(of(process))).sum::<u64>();
    out.family("detectd_in_flight", Kind::Gauge, "Detect requests in flight.");
    out.sample("detectd_in_flight", &[], sum(|process| process.in_flight));
    out.family("detectd_in_service", Kind::Gauge, "Those of them whose picture has arrived.");
    out.sample("detectd_in_service", &[], sum(|process| process.in_flight.saturating_sub(process.reading)));
    out.family("detectd_concurrency_limit", Kind::Gauge, "Detect requests that may be in service now.");
    out.sample("detectd_concurrency_limit", &[], service.concurrency_limit().into());
    out.family("detectd_connections", Kind::Gauge, "Open connections.");
    out.sample("detectd_connections", &[], sum(|process| process.connections));
    out.family("detectd_seats", Kind::Gauge, "Places for one image in shared memory, by state.");
    let seats = service.board.seats();
    for state in SeatState::ALL {
        out.sample("detectd_seats", &[("state", state.name())], seats.of(state).into());
    }
}

fn processes(out: &mut Exposition, frontends: &[ProcessFigures], engines: &[ProcessFigures], now: Nanos) {
    let rows: Vec<_> = (engines
        .iter()
        .enumerate()
        .map(|(slot, process)| ("engine", slot.to_string(), process)))
    .chain(frontends.iter().enumerate().map(|(slot, process)| ("frontend", slot.to_string(), process)))
    .filter(|(_, _, process)| process.state != ProcessState::Absent)
    .collect();
    out.family("detectd_process_up", Kind::Gauge, "Whether the process serves.");
    for (role, slot, process) in &rows {
        let up = process.state == ProcessState::Ready;
        out.sample("detectd_process_up", &[("role", role), ("slot", slot)], up.into());
    }
    out.family(
        "detectd_process_restarts_total",
        Kind::Counter,
        "How often the process was replaced after a death.",
    );
    for (role, slot, process) in &rows {
        out.sample(
            "detectd_process_restarts_total",
            &[("role", role), ("slot", slot)],
            process.restarts.into(),
        );
    }
    let name = "detectd_process_heartbeat_age_seconds";
    out.family(name, Kind::Gauge, "Time since the process's last sign of life.");
    for (role, slot, process) in &rows {
        let age = now.saturating_sub(process.heartbeat) as f64 / 1e9;
        out.sample_f64(name, &[("role", role), ("slot", slot)], age);
    }
    let name = "detectd_process_resident_memory_bytes";
    out.family(name, Kind::Gauge, "Memory of the process, the shared parts counted in each.");
    for (role, slot, process) in &rows {
        if let Some(bytes) = resident(process.pid) {
            out.sample(name, &[("role", role), ("slot", slot)], bytes);
        }
    }
}

/// Resident bytes of a process; `None` when it is not there to be asked.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests;
