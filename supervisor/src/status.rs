//! `detectd status`: what the board of a service says, whether the service still lives or not.
//!
//! Only reads: two looks a second apart give the rates.

use crate::Failure;
use crate::cli::StatusArgs;
use crate::core::event::Exit;
use serde_json::{Value, json};
use shm_proto::SeatState;
use shm_proto::board::{self, Board, Counter, ProcessFigures, ServiceState, Stage};
use shm_proto::clock;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Between the two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// A supervisor that gave no sign of life for longer hangs.
const STUCK: Duration = Duration::from_secs(3);

/// Prints the state. Exit 0 when the service serves, 75 when it does not (now), 2 when there is none of that name.
pub fn run(args: &StatusArgs) -> Result<(), Failure> {
    let name = find(args.name.as_deref(), args.listen.as_deref())?;
    let board = Board::open(&name).map_err(Failure::usage)?;
    let before = processes(&board);
    std::thread::sleep(INTERVAL);
    let report = Report::new(&board, &before, processes(&board));
    // A reader that went away (`| head`) is no error.
    let text = if args.json { format!("{}\n", report.json()) } else { report.text() };
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    if report.serves() { Ok(()) } else { Err(Failure { exit: Exit::Temporary, why: String::new() }) }
}

/// The service of that name, or at that address, or the only one.
pub fn find(name: Option<&str>, listen: Option<&str>) -> Result<String, Failure> {
    match (name, listen) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, Some(address)) => at(address),
        (None, None) => only_one(),
    }
}

/// The service that says it listens there.
fn at(address: &str) -> Result<String, Failure> {
    let listens = |name: &String| Board::open(name).is_ok_and(|board| board.listen() == address);
    board::list().into_iter().find(listens).ok_or_else(|| {
        Failure::usage(format!(
            "no service listens on {address}; `detectd status --name NAME` finds it by name"
        ))
    })
}

/// The service whose supervisor this is.
pub fn of_process(pid: u32) -> Result<String, Failure> {
    let is = |name: &String| Board::open(name).is_ok_and(|board| board.supervisor() == pid);
    board::list()
        .into_iter()
        .find(is)
        .ok_or_else(|| Failure::usage(format!("process {pid} is no supervisor of a service")))
}

fn only_one() -> Result<String, Failure> {
    let names = board::list();
    match names.as_slice() {
        [] => Err(Failure::usage(
            "no service is running on this machine (or none of yours); start one with `detectd serve`",
        )),
        [name] => Ok(name.clone()),
        names => Err(Failure::usage(format!(
            "several services are running; choose one with --name: {}",
            names.join(", ")
        ))),
    }
}

/// The engine, then the frontends.
fn processes(board: &Board) -> Vec<(String, ProcessFigures)> {
    let frontends = (0..board.frontends()).filter_map(|slot| u8::try_from(slot).ok());
    let engines =
        [("engine", 0), ("engine 1", 1)].map(|(name, slot)| (name.to_owned(), board.engine(slot).figures()));
    engines
        .into_iter()
        .filter(|(name, figures)| name == "engine" || figures.started > 0)
        .chain(frontends.map(|slot| (format!("frontend {slot}"), board.frontend(slot).figures())))
        .collect()
}

/// Everything that is shown, read once.
struct Report {
    name: String,
    state: ServiceState,
    /// Whether the supervisor's process exists, and its last sign of life.
    supervisor: (u32, bool, Duration),
    uptime: Duration,
    listen: String,
    model: String,
    message: String,
    seats: Vec<(&'static str, u32)>,
    rates: Rates,
    processes: Vec<Row>,
}

#[derive(Default)]
struct Rates {
    requests: f64,
    images: f64,
    concurrency: f64,
    batch: f64,
    mean: f64,
    p50: f64,
    p99: f64,
}

struct Row {
    who: String,
    figures: ProcessFigures,
    age: Duration,
    beat: Duration,
    /// Requests a second of a frontend, runs a second of the engine.
    rate: f64,
}

impl Report {
    fn new(board: &Board, before: &[(String, ProcessFigures)], after: Vec<(String, ProcessFigures)>) -> Self {
        let seconds = INTERVAL.as_secs_f64();
        let pid = board.supervisor();
        let seats = board.seats();
        let rates = Rates::between(before, &after, seconds);
        let rows = after.into_iter().zip(before).map(|((who, figures), (_, earlier))| {
            let what = if who == "engine" { Counter::Batches } else { Counter::Requests };
            Row {
                age: since(figures.started),
                beat: since(figures.heartbeat),
                rate: figures.counter(what).saturating_sub(earlier.counter(what)) as f64 / seconds,
                who,
                figures,
            }
        });
        Self {
            name: board.name().to_owned(),
            state: board.state(),
            supervisor: (pid, Path::new(&format!("/proc/{pid}")).exists(), since(board.heartbeat())),
            uptime: since(board.started()),
            listen: board.listen(),
            model: board.model(),
            message: board.message(),
            seats: SeatState::ALL.iter().map(|&state| (state.name(), seats.of(state))).collect(),
            rates,
            processes: rows.collect(),
        }
    }

    fn serves(&self) -> bool {
        self.health() == "ready"
    }

    /// The state, unless nobody is there to keep it true.
    fn health(&self) -> &'static str {
        match self.supervisor {
            (_, false, _) => "dead",
            (_, true, beat) if beat > STUCK => "stuck",
            (_, true, _) => self.state.name(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let (pid, _, beat) = self.supervisor;
        let _ = writeln!(out, "{}: {}, {}, {}", self.name, self.health(), self.listen, or_none(&self.model));
        let _ = match self.health() {
            "dead" => writeln!(
                out,
                "supervisor {pid} has died; these are its last figures (the next start clears them)"
            ),
            "stuck" => writeln!(out, "supervisor {pid} has shown no sign of life for {}", span(beat)),
            _ => writeln!(out, "up {}, supervisor {pid}: {}", span(self.uptime), or_none(&self.message)),
        };
        let seats: Vec<String> =
            self.seats.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {state}")).collect();
        let _ = writeln!(
            out,
            "seats: {}",
            if seats.is_empty() { "none yet".to_owned() } else { seats.join(", ") }
        );
        let r = &self.rates;
        let _ = writeln!(
            out,
            "now: {:.1} requests/s, {:.1} images/s, concurrency {:.1}, batch {:.1}, RT mean {:.1} p50 {:.1} p99 {:.1} ms",
            r.requests, r.images, r.concurrency, r.batch, r.mean, r.p50, r.p99
        );
        let _ = writeln!(
            out,
            "\n{:<12} {:>8} {:<9} {:>9} {:>8} {:>7} {:>6} {:>9} {:>10} {:>9}  guards",
            "process", "pid", "state", "age", "restarts", "beat", "conns", "in flight", "requests", "rate/s"
        );
        for row in &self.processes {
            let f = &row.figures;
            let _ = writeln!(
                out,
                "{:<12} {:>8} {:<9} {:>9} {:>8} {:>7} {:>6} {:>9} {:>10} {:>9.1}  {}",
                row.who,
                f.pid,
                f.state.name(),
                span(row.age),
                f.restarts,
                span(row.beat),
                f.connections,
                f.in_flight,
                f.counter(if row.who == "engine" { Counter::Batches } else { Counter::Requests }),
                row.rate,
                f.guards
            );
        }
        out
    }

    fn json(&self) -> Value {
        let (pid, alive, beat) = self.supervisor;
        let r = &self.rates;
        let processes: Vec<Value> = self
            .processes
            .iter()
            .map(|row| {
                let f = &row.figures;
                json!({
                    "process": row.who, "pid": f.pid, "state": f.state.name(), "generation": f.generation,
                    "restarts": f.restarts, "age_s": row.age.as_secs_f64(), "heartbeat_age_s": row.beat.as_secs_f64(),
                    "connections": f.connections, "in_flight": f.in_flight,
                    "requests": f.counter(Counter::Requests), "batches": f.counter(Counter::Batches), "per_second": row.rate, "guards": f.guards.names(),
                })
            })
            .collect();
        let seats: serde_json::Map<String, Value> =
            self.seats.iter().map(|(state, n)| ((*state).to_owned(), json!(n))).collect();
        json!({
            "name": self.name, "state": self.health(), "listen": self.listen, "model": self.model,
            "message": self.message, "uptime_s": self.uptime.as_secs_f64(),
            "supervisor": {"pid": pid, "alive": alive, "heartbeat_age_s": beat.as_secs_f64()},
            "seats": seats,
            "rates": {
                "requests_per_second": r.requests, "images_per_second": r.images, "concurrency": r.concurrency,
                "mean_batch": r.batch, "rt_ms": {"mean": r.mean, "p50": r.p50, "p99": r.p99},
            },
            "processes": processes,
        })
    }
}

impl Rates {
    fn between(
        before: &[(String, ProcessFigures)],
        after: &[(String, ProcessFigures)],
        seconds: f64,
    ) -> Self {
        let grown = |counter: Counter| -> f64 {
            let one = |(a, b): (&(String, ProcessFigures), &(String, ProcessFigures))| {
                b.1.counter(counter).saturating_sub(a.1.counter(counter))
            };
            before.iter().zip(after).map(one).sum::<u64>() as f64
        };
        let mut times =
            after.iter().zip(before).map(|(b, a)| b.1.stage(Stage::Total).since(a.1.stage(Stage::Total)));
        let total = times.next().map(|first| {
            times.fold(first, |mut sum, next| {
                sum.merge(&next);
                sum
            })
        });
        let millis = |nanos: f64| if nanos.is_finite() { nanos / 1e6 } else { 0.0 };
        let batches = grown(Counter::Batches);
        Self {
            requests: grown(Counter::Requests) / seconds,
            images: grown(Counter::Detections) / seconds,
            concurrency: grown(Counter::InFlightNanos) / 1e9 / seconds,
            batch: if batches > 0.0 { grown(Counter::BatchedImages) / batches } else { 0.0 },
            mean: total.as_ref().map_or(0.0, |t| millis(t.mean())),
            p50: total.as_ref().map_or(0.0, |t| millis(t.quantile(0.5))),
            p99: total.as_ref().map_or(0.0, |t| millis(t.quantile(0.99))),
        }
    }
}

fn since(then: clock::Nanos) -> Duration {
    Duration::from_nanos(clock::now().saturating_sub(then))
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// `250ms`, `12s`, `3m05s`, `2h07m`, `4d03h`.
fn span(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests;
