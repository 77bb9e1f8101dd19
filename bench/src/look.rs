//! A look at a running service from the side: its board, its processes' figures in `/proc`, the machine's. Two looks make
//! what was [`Seen`] between them.

use crate::service::Serving;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use shm_proto::board::{Counter, Histogram, ProcessFigures, Stage};
use shm_proto::clock::{self, Nanos};
use std::collections::BTreeMap;
use std::time::Duration;

/// Ticks of `/proc/stat` a second, fixed by the kernel's interface.
const HZ: f64 = 100.0;
/// Cores that others may use before a measurement counts as disturbed.
const DISTURBED: f64 = 0.1;

/// What processes of one role used until now.
#[derive(Clone, Copy, Default)]
struct Used {
    cpu: Duration,
    switches: u64,
    /// Threads that decode.
    decoding: usize,
}

/// The service and the machine at one instant.
pub struct Look {
    at: Nanos,
    frontends: Vec<ProcessFigures>,
    engine: ProcessFigures,
    /// Of frontends, engine, supervisor, and of this process.
    used: [Used; 4],
    /// Busy and stolen time of the machine, in cores × seconds.
    machine: (f64, f64),
}

/// What happened between two looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Time between them.
    pub seconds: f64,
    /// Pictures answered a second.
    pub tps: f64,
    /// Mean time of a request within the service, in milliseconds.
    pub rt_ms: f64,
    /// Requests in flight on average.
    pub in_flight: f64,
    /// Mean milliseconds by stage.
    pub stages_ms: BTreeMap<String, f64>,
    /// Each frontend's share of the requests.
    pub shares: Vec<f64>,
    /// Share of the requests that waited for a seat.
    pub seat_waits: f64,
    /// Images in a run, on average.
    pub mean_batch: f64,
    /// Runs by batch size.
    pub batch_sizes: BTreeMap<usize, u64>,
    /// Lanes that were in a run, on average.
    pub lanes_busy: f64,
    /// A lane's time for an image, in milliseconds.
    pub run_ms: f64,
    /// Cores that each role used.
    pub cores: Cores,
    /// Context switches a second of each role.
    pub switches: Switches,
    /// Decode threads of one frontend, as they run: whatever file, variable or flag decided it.
    pub decode_threads: usize,
    /// Memory of the service in MiB, shared pages counted once.
    pub memory_mib: f64,
}

impl Seen {
    /// Cores that others used meanwhile, the host of a virtual machine included.
    pub fn others(&self) -> f64 {
        self.cores.other + self.cores.stolen
    }

    /// Whether that is enough to be seen in the figures.
    pub fn is_disturbed(&self) -> bool {
        self.others() > DISTURBED
    }
}

/// Cores in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cores {
    /// By all frontends together.
    pub frontends: f64,
    /// By the engine.
    pub engine: f64,
    /// By the supervisor.
    pub supervisor: f64,
    /// By the load generator.
    pub generator: f64,
    /// By everything else on the machine.
    pub other: f64,
    /// Taken by the host of a virtual machine.
    pub stolen: f64,
}

/// Context switches a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Switches {
    /// Of all frontends together.
    pub frontends: f64,
    /// Of the engine.
    pub engine: f64,
}

impl Look {
    /// Looks.
    pub fn at(serving: &Serving) -> Self {
        let board = serving.board();
        let slots = (0..board.frontends()).filter_map(|slot| u8::try_from(slot).ok());
        let frontends: Vec<_> = slots.map(|slot| board.frontend(slot).figures()).collect();
        let engine = board.engine(0).figures();
        let all = frontends.iter().fold(Used::default(), |sum, process| {
            let used = used(process.pid);
            Used {
                cpu: sum.cpu + used.cpu,
                switches: sum.switches + used.switches,
                decoding: sum.decoding + used.decoding,
            }
        });
        let own = used(std::process::id());
        let used = [all, used(engine.pid), used(serving.supervisor()), own];
        Self { at: clock::now(), frontends, engine, used, machine: machine() }
    }

    /// What happened since an earlier look; `memory` is measured now, so it takes a moment.
    pub fn since(&self, earlier: &Self) -> Seen {
        let seconds = self.at.saturating_sub(earlier.at) as f64 / 1e9;
        let rate = |value: f64| if seconds > 0.0 { value / seconds } else { 0.0 };
        let grown = |counter: Counter| -> Vec<u64> {
            let one = |(now, then): (&ProcessFigures, &ProcessFigures)| {
                now.counter(counter).saturating_sub(then.counter(counter))
            };
            self.frontends.iter().zip(&earlier.frontends).map(one).collect()
        };
        let engine = |counter: Counter| {
            self.engine.counter(counter).saturating_sub(earlier.engine.counter(counter)) as f64
        };
        let stage = |stage: Stage| -> Option<Histogram> {
            let mut since = self
                .frontends
                .iter()
                .zip(&earlier.frontends)
                .map(|(a, b)| a.stage(stage).since(b.stage(stage)));
            let first = since.next()?;
            Some(since.fold(first, |mut sum, next| {
                sum.merge(&next);
                sum
            }))
        };
        let requests = grown(Counter::Detections);
        let answered: u64 = requests.iter().sum();
        let over = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let cpu =
            |role: usize| rate(self.used[role].cpu.saturating_sub(earlier.used[role].cpu).as_secs_f64());
        let switches =
            |role: usize| rate(self.used[role].switches.saturating_sub(earlier.used[role].switches) as f64);
        let [frontends, engine_cores, supervisor, generator] = [0, 1, 2, 3].map(cpu);
        let busy = rate(self.machine.0 - earlier.machine.0);
        let mut stages_ms = BTreeMap::new();
        for &which in Stage::ALL {
            let mean = stage(which).map_or(0.0, |times| times.mean() / 1e6);
            stages_ms.insert(which.name().to_owned(), mean);
        }
        let sizes = self.engine.batch_sizes.iter().zip(&earlier.engine.batch_sizes);
        Seen {
            seconds,
            tps: rate(answered as f64),
            rt_ms: stages_ms.get(Stage::Total.name()).copied().unwrap_or(0.0),
            in_flight: rate(grown(Counter::InFlightNanos).iter().sum::<u64>() as f64 / 1e9),
            stages_ms,
            shares: requests.iter().map(|&count| over(count as f64, answered as f64)).collect(),
            seat_waits: over(grown(Counter::SeatWaits).iter().sum::<u64>() as f64, answered as f64),
            mean_batch: over(engine(Counter::BatchedImages), engine(Counter::Batches)),
            batch_sizes: sizes
                .enumerate()
                .map(|(size, (now, then))| (size, now.saturating_sub(*then)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            lanes_busy: rate(engine(Counter::RunNanos) / 1e9),
            run_ms: over(engine(Counter::RunNanos) / 1e6, engine(Counter::BatchedImages)),
            cores: Cores {
                frontends,
                engine: engine_cores,
                supervisor,
                generator,
                other: (busy - frontends - engine_cores - supervisor - generator).max(0.0),
                stolen: rate(self.machine.1 - earlier.machine.1),
            },
            switches: Switches { frontends: switches(0), engine: switches(1) },
            decode_threads: self.used[0].decoding / self.frontends.len().max(1),
            memory_mib: 0.0,
        }
    }

    /// Memory of all processes of the service in MiB, shared pages counted once.
    pub fn memory_mib(&self, supervisor: u32) -> f64 {
        let pids = self.frontends.iter().map(|process| process.pid).chain([self.engine.pid, supervisor]);
        pids.map(pss_kib).sum::<f64>() / 1024.0
    }
}

/// A process that has ended, or is not ours to look at, has used nothing.
fn used(pid: u32) -> Used {
    let clock = |pid: u32| -> Option<Duration> {
        let clock: ClockId = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
        clock_gettime(clock).ok().map(Duration::from)
    };
    let cpu = if pid == 0 { None } else { clock(pid) };
    let mut used = Used { cpu: cpu.unwrap_or_default(), ..Used::default() };
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let (decodes, switches) = task_of(&status);
        used.decoding += usize::from(decodes);
        used.switches += switches;
    }
    used
}

/// Whether a thread is one that decodes, and its context switches, from its `status`.
fn task_of(status: &str) -> (bool, u64) {
    let value = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let decodes = status.lines().next().is_some_and(|name| value(name).starts_with("decode-"));
    let switches = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
    (decodes, switches.filter_map(|line| value(line).parse::<u64>().ok()).sum())
}

/// Busy and stolen time of all cores since the machine started, in seconds.
fn machine() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    times_of(text.lines().next().unwrap_or_default())
}

fn times_of(line: &str) -> (f64, f64) {
    // user nice system idle iowait irq softirq steal …
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    let of = |index: usize| ticks.get(index).copied().unwrap_or(0.0) / HZ;
    ([0, 1, 2, 5, 6].into_iter().map(of).sum(), of(7))
}

fn pss_kib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
