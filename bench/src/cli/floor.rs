//! `detectd bench floor`.

use super::load::pictures;
use super::scale::key_value;
use super::{print, tell};
use crate::BenchError;
use crate::floor::{Floor, Part, Steps};
use crate::load::Input;
use crate::scale::load_service;
use crate::service::{Serving, Settings};
use crate::table::{Table, digits, percent};
use clap::Args;
use serde::Serialize;
use shm_proto::units::parse_duration;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Which model and pictures, and which services it is the floor of.
#[derive(Debug, Args)]
pub struct FloorArgs {
    /// The .onnx file
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// A file with the classes' names
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// A picture or a folder of them; several are taken in turn
    #[arg(short, long = "image", value_name = "FILE", required = true)]
    pub images: Vec<String>,
    /// Read the picture's file each time, as a batch does, instead of once into memory
    #[arg(long, requires = "alone")]
    pub from_files: bool,
    /// ONNX Runtime's library
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Frontend processes of the services that are measured in the same run; none: the floor alone
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2")]
    pub procs: Vec<u32>,
    /// Requests at a time
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "8,32")]
    pub concurrency: Vec<usize>,
    /// Leave the services out
    #[arg(long, conflicts_with_all = ["procs", "concurrency", "set"])]
    pub alone: bool,
    /// Measure only this part, and leave out the times of the job's steps
    #[arg(long, value_name = "PART", requires = "alone")]
    pub part: Option<Part>,
    /// How long each measurement lasts
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub duration: Duration,
    /// How often; every other round goes backwards
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub rounds: u32,
    /// Set any key of the services' configuration
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Report {
    threads: usize,
    /// Images a second of each round.
    session: Vec<f64>,
    job: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps_ms: Option<Steps>,
    services: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    procs: u32,
    concurrency: usize,
    tps: Vec<f64>,
    /// Of the whole job's floor.
    efficiency: f64,
    generator_cores: f64,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Measures.
///
/// # Errors
/// When the model cannot be loaded or a service does not start.
pub fn run(args: &FloorArgs) -> Result<(), BenchError> {
    // Empty: where the engine looks by itself.
    let runtime = args.runtime.clone().unwrap_or_default();
    let pictures = pictures(&args.images, Input::Bytes)?;
    let floor = Floor::load(&args.model, args.labels.as_deref(), &pictures, args.from_files, &runtime)?;
    let procs: &[u32] = if args.alone { &[] } else { &args.procs };
    let (mut session, mut job) = (Vec::new(), Vec::new());
    let mut services: Vec<Cell> = Vec::new();
    for &procs in procs {
        for &concurrency in &args.concurrency {
            services.push(Cell {
                procs,
                concurrency,
                tps: Vec::new(),
                efficiency: 0.0,
                generator_cores: 0.0,
            });
        }
    }
    for round in 0..args.rounds.max(1) {
        let mut order: Vec<usize> = (0..=procs.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for step in order {
            let Some(&procs) = step.checked_sub(1).and_then(|step| procs.get(step)) else {
                tell(&format!("round {}: the floor", round + 1));
                for (part, rates) in [(Part::Session, &mut session), (Part::Job, &mut job)] {
                    if args.part.is_none_or(|only| only == part) {
                        rates.push(floor.measure(part, args.duration)?);
                    }
                }
                continue;
            };
            tell(&format!("round {}: {procs} frontends", round + 1));
            measure_service(args, procs, &pictures, &mut services)?;
        }
    }
    let whole = mean(&job);
    for cell in &mut services {
        cell.efficiency = mean(&cell.tps) / whole;
    }
    let steps_ms = args.part.is_none().then(|| floor.steps(args.duration)).transpose()?;
    let report = Report { threads: floor.threads(), session, job, steps_ms, services };
    if args.json {
        print(&(serde_json::to_string_pretty(&report).map_err(BenchError::failed)? + "\n"));
    } else {
        print(&text(&report));
    }
    Ok(())
}

fn measure_service(
    args: &FloorArgs,
    procs: u32,
    pictures: &[String],
    cells: &mut [Cell],
) -> Result<(), BenchError> {
    let mut set = vec![("frontend.rt_target".to_owned(), "0s".to_owned())];
    if let Some(labels) = &args.labels {
        set.push(("model.labels".to_owned(), labels.display().to_string()));
    }
    if let Some(runtime) = &args.runtime {
        set.push(("engine.runtime".to_owned(), runtime.display().to_string()));
    }
    set.extend(args.set.iter().cloned());
    let serving = Serving::start(&Settings { config: None, model: Some(args.model.clone()), procs, set })?;
    comparable(serving.document("/stats")?["model"]["device"].as_str().unwrap_or("?"))?;
    for cell in cells.iter_mut().filter(|cell| cell.procs == procs) {
        let name = format!("procs {procs} c {}", cell.concurrency);
        let figures =
            load_service(&serving, pictures, Input::Bytes, None, cell.concurrency, args.duration, &name)?;
        if figures.errors > 0 {
            return Err(BenchError::failed(format!("{name}: {} requests failed", figures.errors)));
        }
        cell.tps.push(figures.tps);
        cell.generator_cores = figures.generator.cores;
    }
    serving.stop()
}

/// The floor is what the CPU can do: of a service elsewhere, or nowhere, it is none.
fn comparable(device: &str) -> Result<(), BenchError> {
    match device {
        "cpu" => Ok(()),
        "sim" => {
            Err(BenchError::usage("the service is simulated: what this machine can do is no floor of it"))
        }
        other => Err(BenchError::usage(format!("the service runs on {other}: the floor is the CPU's"))),
    }
}

fn text(report: &Report) -> String {
    let mut table = Table::new(&["what", "images/s", "of the job's floor", "rounds"]);
    let job = mean(&report.job);
    let mut row = |what: String, rounds: &[f64]| {
        let each: Vec<String> = rounds.iter().map(|value| digits(*value)).collect();
        let share = if job > 0.0 { percent(mean(rounds) / job) } else { "-".to_owned() };
        if !rounds.is_empty() {
            table.row(vec![what, format!("{:.1}", mean(rounds)), share, each.join(" ")]);
        }
    };
    row(format!("session alone, {} threads", report.threads), &report.session);
    row(format!("whole job, {} threads", report.threads), &report.job);
    for cell in &report.services {
        row(format!("service, {} frontends, c {}", cell.procs, cell.concurrency), &cell.tps);
    }
    let mut out = table.text();
    if let Some(s) = &report.steps_ms {
        let _ = writeln!(
            out,
            "\none image on one thread, ms: {}decode {}  preprocess {}  infer {}  postprocess {}",
            if s.read > 0.0 { format!("read {}  ", digits(s.read)) } else { String::new() },
            digits(s.decode),
            digits(s.preprocess),
            digits(s.infer),
            digits(s.postprocess)
        );
    }
    if let Some(cell) = report.services.iter().max_by(|a, b| a.generator_cores.total_cmp(&b.generator_cores))
    {
        let _ = writeln!(
            out,
            "the services share the cores with the load generator: up to {} cores",
            digits(cell.generator_cores)
        );
    }
    out
}

#[cfg(test)]
mod tests;
