//! `detectd bench floor`.

use super::load::pictures;
use super::scale::key_value;
use super::{print, tell};
use crate::BenchError;
use crate::beside::{self, Beside};
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

/// How long a measurement lasts that nobody gives another time.
const DURATION: Duration = Duration::from_secs(5);

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
    /// Instead of services, a `detectd batch` over these pictures, in turns with the floor, each stopped while the other works; as long
    /// as the batch takes, with files read each time
    #[arg(long, conflicts_with_all = ["procs", "concurrency", "alone", "rounds"])]
    pub batch: bool,
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
    /// How long each measurement lasts; 5s if not given, and 2s for a turn of --batch, which can be 3s at most
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How often; every other round goes backwards
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub rounds: u32,
    /// Set any key of the services' or the batch's configuration
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

#[derive(Serialize)]
struct BatchReport {
    threads: usize,
    /// Images a second of each turn.
    job: Vec<f64>,
    /// Images a second of the batch once it has started, and of the whole of it.
    batch: f64,
    whole: f64,
    /// Of the whole job's floor: the same two, the first with the standard error over blocks of turns, where there are several.
    efficiency: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    efficiency_error: Option<f64>,
    whole_efficiency: f64,
}

impl BatchReport {
    fn new(threads: usize, seen: Beside) -> Self {
        let Beside { job, batch, whole, shares } = seen;
        let efficiency = batch / mean(&job);
        let (count, middle) = (shares.len() as f64, mean(&shares));
        let squares: f64 = shares.iter().map(|share| (share - middle).powi(2)).sum();
        let efficiency_error = (count > 1.0).then(|| (squares / (count - 1.0) / count).sqrt());
        let whole_efficiency = whole / mean(&job);
        Self { threads, job, batch, whole, efficiency, efficiency_error, whole_efficiency }
    }
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
    let from_files = args.from_files || args.batch;
    let floor = Floor::load(&args.model, args.labels.as_deref(), &pictures, from_files, &runtime)?;
    if args.batch {
        let turn = args.duration.unwrap_or(beside::TURN);
        let seen = beside::batch(&floor, turn, &args.images, &words(args)?)?;
        return show(args, &BatchReport::new(floor.threads(), seen), batch_text);
    }
    let duration = args.duration.unwrap_or(DURATION);
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
                        rates.push(floor.measure(part, duration)?);
                    }
                }
                continue;
            };
            tell(&format!("round {}: {procs} frontends", round + 1));
            measure_service(args, duration, procs, &pictures, &mut services)?;
        }
    }
    let whole = mean(&job);
    for cell in &mut services {
        cell.efficiency = mean(&cell.tps) / whole;
    }
    let steps_ms = args.part.is_none().then(|| floor.steps(duration)).transpose()?;
    show(args, &Report { threads: floor.threads(), session, job, steps_ms, services }, text)
}

fn show<R: Serialize>(args: &FloorArgs, report: &R, text: impl Fn(&R) -> String) -> Result<(), BenchError> {
    if args.json {
        print(&(serde_json::to_string_pretty(report).map_err(BenchError::failed)? + "\n"));
    } else {
        print(&text(report));
    }
    Ok(())
}

/// Keys of the configuration that follow from the other arguments, and those that were set.
fn keys(args: &FloorArgs) -> impl Iterator<Item = (String, String)> {
    let files = [("model.labels", &args.labels), ("engine.runtime", &args.runtime)];
    let named = files
        .into_iter()
        .filter_map(|(key, file)| Some((key.to_owned(), file.as_ref()?.display().to_string())));
    named.chain(args.set.iter().cloned())
}

/// The batch's command line behind its pictures. It runs on the CPU, whatever file or environment say.
fn words(args: &FloorArgs) -> Result<Vec<String>, BenchError> {
    let mut words = vec!["--model".to_owned(), args.model.display().to_string()];
    for (key, value) in std::iter::once(("engine.device".to_owned(), "cpu".to_owned())).chain(keys(args)) {
        if key == "engine.device" {
            comparable(&value)?;
        }
        words.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    Ok(words)
}

fn measure_service(
    args: &FloorArgs,
    duration: Duration,
    procs: u32,
    pictures: &[String],
    cells: &mut [Cell],
) -> Result<(), BenchError> {
    let mut set = vec![("frontend.rt_target".to_owned(), "0s".to_owned())];
    set.extend(keys(args));
    let serving = Serving::start(&Settings { config: None, model: Some(args.model.clone()), procs, set })?;
    comparable(serving.document("/stats")?["model"]["device"].as_str().unwrap_or("?"))?;
    for cell in cells.iter_mut().filter(|cell| cell.procs == procs) {
        let name = format!("procs {procs} c {}", cell.concurrency);
        let figures =
            load_service(&serving, pictures, Input::Bytes, None, cell.concurrency, duration, &name)?;
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

fn batch_text(report: &BatchReport) -> String {
    let mut table = Table::new(&["what", "images/s", "of the job's floor"]);
    let mut row = |what: &str, rate: f64, share: String| {
        table.row(vec![what.to_owned(), format!("{rate:.1}"), share]);
    };
    row(&format!("whole job, {} threads", report.threads), mean(&report.job), percent(1.0));
    let error = report.efficiency_error.map(|error| format!(" ± {}", percent(error))).unwrap_or_default();
    let share = percent(report.efficiency) + &error;
    row("batch", report.batch, share);
    row("batch, its start and end included", report.whole, percent(report.whole_efficiency));
    table.text()
}

#[cfg(test)]
mod tests;
