//! What the samples say. Pure: a record in, figures out.
//!
//! The model is the operational one. A picture costs a frontend `cf` of processor time, the engine `ce`, the generator `cg`, and
//! a lane `run`. Then TPS is at most
//!
//! * N·f, with f = decode threads of a frontend / cf: what N frontends can feed,
//! * E = lanes / run: what the engine can take,
//! * C = cores (that others left) / (cf + ce + cg): what the machine has, since all of them share its cores,
//! * concurrency / RT₁, with RT₁ the response time of one request alone: what so many clients can ask for.
//!
//! `cf`, `ce`, `cg` and `run` are taken at the smallest process count; the TPS of the others is then a prediction.

use super::grid::{Cell, Setup};
use super::record::{Conditions, Record, Sample};
use crate::load::Input;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The knee: the smallest concurrency that reaches this share of the best TPS.
const KNEE: f64 = 0.95;
/// From here on something is busy all the time.
const BUSY: f64 = 0.92;

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Analysis {
    /// Under which conditions it was measured.
    pub conditions: Conditions,
    /// Whether the engine's times are those of a modelled accelerator.
    pub simulated: bool,
    /// Promised response time.
    pub rt_target_ms: f64,
    /// Each cell, over its rounds.
    pub cells: Vec<CellFigures>,
    /// What holds for the cells that differ in processes and concurrency only.
    pub families: Vec<Family>,
}

/// One cell over its rounds.
#[derive(Clone, Debug, Serialize)]
pub struct CellFigures {
    /// Which.
    pub cell: Cell,
    /// Rounds.
    pub rounds: usize,
    /// Successes a second, mean of the rounds.
    pub tps: f64,
    /// From the slowest round to the fastest, as a share of the mean.
    pub spread: f64,
    /// Mean response time.
    pub rt_ms: f64,
    /// Its median.
    pub p50_ms: f64,
    /// Its 99th percentile.
    pub p99_ms: f64,
    /// TPS × RT / concurrency - 1.
    pub law_error: f64,
    /// Requests that failed.
    pub errors: u64,
    /// Processor time of frontends, engine and generator for a picture.
    pub cpu_ms: [f64; 3],
    /// Cores in use by the service, the generator, and everything else.
    pub cores: [f64; 3],
    /// The busiest frontend's share of the requests over a fair share.
    pub imbalance: f64,
    /// Images in a run.
    pub mean_batch: f64,
    /// Lanes in a run.
    pub lanes_busy: f64,
    /// A lane's time for a picture.
    pub run_ms: f64,
    /// Time from submit to the run.
    pub queue_ms: f64,
    /// Share of requests that waited for a seat.
    pub seat_waits: f64,
    /// Context switches of the service for a picture.
    pub switches: f64,
    /// Memory of the service.
    pub memory_mib: f64,
    /// TPS that the model predicts.
    pub predicted: f64,
    /// What kept TPS from being higher.
    pub limit: Limit,
    /// Whether others used the machine meanwhile.
    pub disturbed: bool,
}

/// What keeps TPS from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Too few requests at a time to keep anything busy.
    Concurrency,
    /// Every decode thread of every frontend.
    Frontends,
    /// Every lane.
    Engine,
    /// The machine's cores, and the engine uses most of them.
    CoresEngine,
    /// The machine's cores, and the frontends use most of them.
    CoresFrontends,
    /// The load generator.
    Generator,
}

impl Limit {
    /// In tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Frontends => "frontends",
            Self::Engine => "engine",
            Self::CoresEngine => "cores (engine)",
            Self::CoresFrontends => "cores (frontends)",
            Self::Generator => "generator",
        }
    }
}

/// Cells that differ in processes and concurrency only.
#[derive(Clone, Debug, Serialize)]
pub struct Family {
    /// What they have in common.
    pub input: Input,
    /// The same.
    pub requests: Option<u64>,
    /// The same; as the service chose, if none.
    pub lanes: Option<u32>,
    /// The same.
    pub max_batch: Option<u32>,
    /// Processor time of frontends, engine and generator for a picture, at the smallest process count.
    pub cpu_ms: [f64; 3],
    /// RT of one request alone, there or at the smallest concurrency that was measured.
    pub rt1_ms: f64,
    /// What the engine can take a second.
    pub engine: f64,
    /// What the cores can take a second.
    pub machine: f64,
    /// By process count.
    pub procs: Vec<ProcsFigures>,
    /// From the smallest to the largest best TPS, over the largest.
    pub by_procs: f64,
    /// The largest spread between rounds of the same cell at the best concurrencies: what chance does.
    pub by_chance: f64,
}

/// One process count.
#[derive(Clone, Debug, Serialize)]
pub struct ProcsFigures {
    /// Frontends.
    pub procs: u32,
    /// What all of them together can feed a second: N·f.
    pub frontends: f64,
    /// min(N·f, E, C).
    pub predicted: f64,
    /// The best TPS of any concurrency.
    pub best: f64,
    /// At this concurrency.
    pub at: usize,
    /// predicted / best - 1.
    pub error: f64,
    /// The smallest concurrency with 95 % of it, and the TPS there.
    pub knee: (usize, f64),
    /// The largest concurrency whose p99 lies within the promised response time, and the TPS there.
    pub within_target: Option<(usize, f64)>,
    /// p99 / p50 at the largest concurrency.
    pub unfairness: f64,
    /// Memory of the service.
    pub memory_mib: f64,
}

/// Sums up.
pub fn analyse(record: &Record, rt_target: Duration) -> Analysis {
    let mut by_cell: BTreeMap<Cell, Vec<&Sample>> = BTreeMap::new();
    for sample in &record.samples {
        by_cell.entry(sample.cell).or_default().push(sample);
    }
    let mut cells: Vec<CellFigures> =
        by_cell.into_iter().map(|(cell, s)| figures(record, cell, &s)).collect();
    let mut keys: Vec<_> = cells.iter().map(|c| key(&c.cell)).collect();
    keys.sort_unstable();
    keys.dedup();
    let rt_target_ms = rt_target.as_secs_f64() * 1e3;
    let families = keys
        .into_iter()
        .filter_map(|wanted| {
            let mut own: Vec<&mut CellFigures> =
                cells.iter_mut().filter(|c| key(&c.cell) == wanted).collect();
            family(record, &mut own, rt_target_ms)
        })
        .collect();
    let conditions = record.conditions.clone();
    Analysis { simulated: conditions.is_simulated(), conditions, rt_target_ms, cells, families }
}

type Key = (Input, Option<u64>, Option<u32>, Option<u32>);

fn key(cell: &Cell) -> Key {
    (cell.input, cell.requests, cell.setup.lanes, cell.setup.max_batch)
}

/// Decode threads of one of so many frontends, as they were seen to run.
fn threads(record: &Record, procs: u32) -> usize {
    let own = record.samples.iter().filter(|sample| sample.cell.setup.procs == procs);
    // A frontend has at least one, whether it could be looked at or not.
    own.map(|sample| sample.seen.decode_threads).max().unwrap_or(0).max(1)
}

fn lanes(record: &Record, setup: &Setup) -> f64 {
    f64::from(setup.lanes.unwrap_or(record.conditions.lanes).max(1))
}

fn figures(record: &Record, cell: Cell, samples: &[&Sample]) -> CellFigures {
    let mean =
        |of: &dyn Fn(&Sample) -> f64| samples.iter().map(|s| of(s)).sum::<f64>() / samples.len() as f64;
    let per_image = |cores: f64, tps: f64| if tps > 0.0 { cores / tps * 1e3 } else { 0.0 };
    let tps = mean(&|s| s.load.tps);
    let each = samples.iter().map(|s| s.load.tps);
    let (least, most) = each.fold((f64::INFINITY, 0.0_f64), |(a, b), tps| (a.min(tps), b.max(tps)));
    let rt_ms = mean(&|s| s.load.rt_ms.mean);
    let service = mean(&|s| s.seen.cores.frontends + s.seen.cores.engine + s.seen.cores.supervisor);
    let generator = mean(&|s| s.seen.cores.generator);
    let other = mean(&|s| s.seen.others());
    let procs = f64::from(cell.setup.procs);
    let mut figures = CellFigures {
        cell,
        rounds: samples.len(),
        tps,
        spread: if tps > 0.0 { (most - least) / tps } else { 0.0 },
        rt_ms,
        p50_ms: mean(&|s| s.load.rt_ms.p50),
        p99_ms: mean(&|s| s.load.rt_ms.p99),
        law_error: tps * rt_ms / 1e3 / cell.concurrency as f64 - 1.0,
        errors: samples.iter().map(|s| s.load.errors).sum(),
        cpu_ms: [
            mean(&|s| per_image(s.seen.cores.frontends, s.seen.tps)),
            mean(&|s| per_image(s.seen.cores.engine, s.seen.tps)),
            mean(&|s| per_image(s.seen.cores.generator, s.seen.tps)),
        ],
        cores: [service, generator, other],
        imbalance: mean(&|s| s.seen.shares.iter().copied().fold(0.0, f64::max) * procs),
        mean_batch: mean(&|s| s.seen.mean_batch),
        lanes_busy: mean(&|s| s.seen.lanes_busy),
        run_ms: mean(&|s| s.seen.run_ms),
        queue_ms: mean(&|s| s.seen.stages_ms.get("queue").copied().unwrap_or(0.0)),
        seat_waits: mean(&|s| s.seen.seat_waits),
        switches: mean(&|s| {
            let switches = s.seen.switches.frontends + s.seen.switches.engine;
            if s.seen.tps > 0.0 { switches / s.seen.tps } else { 0.0 }
        }),
        memory_mib: mean(&|s| s.seen.memory_mib),
        predicted: 0.0,
        limit: Limit::Concurrency,
        disturbed: samples.iter().any(|s| s.seen.is_disturbed()),
    };
    let generator_full = samples.iter().any(|s| s.load.generator.is_bottleneck);
    figures.limit = limit(
        record,
        &figures,
        mean(&|s| s.seen.cores.frontends),
        mean(&|s| s.seen.cores.engine),
        generator_full,
    );
    figures
}

fn limit(record: &Record, cell: &CellFigures, frontends: f64, engine: f64, generator_full: bool) -> Limit {
    let cores = record.conditions.cores as f64;
    let lanes_full = cell.lanes_busy >= BUSY * lanes(record, &cell.cell.setup);
    let threads = f64::from(cell.cell.setup.procs) * threads(record, cell.cell.setup.procs) as f64;
    if generator_full {
        Limit::Generator
    } else if cell.cores.iter().sum::<f64>() >= BUSY * cores {
        if engine >= frontends { Limit::CoresEngine } else { Limit::CoresFrontends }
    } else if lanes_full {
        Limit::Engine
    } else if frontends >= BUSY * threads {
        Limit::Frontends
    } else {
        Limit::Concurrency
    }
}

fn family(record: &Record, own: &mut [&mut CellFigures], rt_target_ms: f64) -> Option<Family> {
    let smallest = own.iter().map(|c| c.cell.setup.procs).min()?;
    let reference: Vec<&CellFigures> =
        own.iter().filter(|c| c.cell.setup.procs == smallest && c.tps > 0.0).map(|c| &**c).collect();
    let best = reference.iter().max_by(|a, b| a.tps.total_cmp(&b.tps))?;
    let alone = reference.iter().min_by_key(|c| c.cell.concurrency)?;
    let first = best.cell;
    let cpu_ms = best.cpu_ms;
    let (rt1_ms, from) = (alone.rt_ms, alone.cell.concurrency);
    let ceiling = |count: f64, ms: f64| if ms > 0.0 { count * 1e3 / ms } else { f64::INFINITY };
    let run_ms = reference.iter().map(|c| c.run_ms).fold(f64::INFINITY, f64::min);
    let engine = ceiling(lanes(record, &first.setup), run_ms);
    // What others took of the machine meanwhile was not there to be used.
    let machine = |others: f64| ceiling(record.conditions.cores as f64 - others, cpu_ms.iter().sum());
    let feed = |procs: u32| {
        let threads = threads(record, procs).min(record.conditions.cores) as f64;
        ceiling(f64::from(procs) * threads, cpu_ms[0])
    };
    for cell in own.iter_mut() {
        let asked = ceiling(cell.cell.concurrency as f64, rt1_ms / from as f64);
        cell.predicted = feed(cell.cell.setup.procs).min(engine).min(machine(cell.cores[2])).min(asked);
    }
    let mut counts: Vec<u32> = own.iter().map(|c| c.cell.setup.procs).collect();
    counts.sort_unstable();
    counts.dedup();
    let procs: Vec<ProcsFigures> = counts
        .into_iter()
        .filter_map(|procs| {
            let mut cells: Vec<&CellFigures> =
                own.iter().filter(|c| c.cell.setup.procs == procs).map(|c| &**c).collect();
            cells.sort_by_key(|c| c.cell.concurrency);
            let best = cells.iter().max_by(|a, b| a.tps.total_cmp(&b.tps))?;
            let knee = cells.iter().find(|c| c.tps >= KNEE * best.tps)?;
            let within = cells.iter().rfind(|c| c.p99_ms <= rt_target_ms && c.errors == 0);
            let last = cells.last()?;
            let predicted = feed(procs).min(engine).min(machine(best.cores[2]));
            Some(ProcsFigures {
                procs,
                frontends: feed(procs),
                predicted,
                best: best.tps,
                at: best.cell.concurrency,
                error: if best.tps > 0.0 { predicted / best.tps - 1.0 } else { f64::NAN },
                knee: (knee.cell.concurrency, knee.tps),
                within_target: within.map(|c| (c.cell.concurrency, c.tps)),
                unfairness: if last.p50_ms > 0.0 { last.p99_ms / last.p50_ms } else { f64::NAN },
                memory_mib: best.memory_mib,
            })
        })
        .collect();
    let (least, most) =
        procs.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), p| (a.min(p.best), b.max(p.best)));
    let at_best = |cell: &Cell| procs.iter().any(|p| (p.procs, p.at) == (cell.setup.procs, cell.concurrency));
    let by_chance = own.iter().filter(|c| at_best(&c.cell)).map(|c| c.spread).fold(0.0, f64::max);
    Some(Family {
        input: first.input,
        requests: first.requests,
        lanes: first.setup.lanes,
        max_batch: first.setup.max_batch,
        cpu_ms,
        rt1_ms: rt1_ms / from as f64,
        engine,
        machine: machine(0.0),
        by_procs: if most > 0.0 { (most - least) / most } else { 0.0 },
        by_chance,
        procs,
    })
}
