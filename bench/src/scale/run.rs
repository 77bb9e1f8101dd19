//! Measuring: one service after the other, one cell after the other, each sample written down before the next begins.

use super::grid::{Cell, Grid, Setup};
use super::record::{Conditions, Record, Sample, processor};
use crate::BenchError;
use crate::files::Files;
use crate::load::{self, Input, Load, Pace, Shot, Target, Until};
use crate::look::Look;
use crate::progress::Progress;
use crate::service::{Serving, Settings};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// What is to be measured.
pub struct Experiment {
    /// What is varied.
    pub grid: Grid,
    /// How often.
    pub rounds: u32,
    /// Seconds of a measurement that is not counted.
    pub duration: Duration,
    /// Time before it.
    pub warmup: Duration,
    /// The pictures.
    pub pictures: Vec<String>,
    /// Common to all services.
    pub settings: Settings,
    /// The file.
    pub record: PathBuf,
    /// Measure again what was measured while others used the machine.
    pub redo_disturbed: bool,
    /// Stop before so long, to go on another time.
    pub limit: Option<Duration>,
}

/// Measures what is missing in the record. Says whether all is there now; `say` is told what happens.
///
/// # Errors
/// When a service does not start, or the record is of something else.
pub fn run(experiment: &Experiment, say: &mut dyn FnMut(&str)) -> Result<(Record, bool), BenchError> {
    let begun = Instant::now();
    let mut record = if experiment.record.is_file() { Some(Record::read(&experiment.record)?) } else { None };
    let files = if experiment.grid.inputs.contains(&Input::Url) {
        Some(Files::serve(experiment.pictures.iter())?)
    } else {
        None
    };
    // A cell with its share of starting and stopping the service.
    let cost = experiment.duration + experiment.warmup + Duration::from_secs(3);
    let out_of_time = || experiment.limit.is_some_and(|limit| begun.elapsed() + cost > limit);
    let total = experiment.grid.len() * experiment.rounds as usize;
    let mut done = 0;
    for round in 0..experiment.rounds {
        for (setup, cells) in experiment.grid.round(round) {
            let missing: Vec<&Cell> = cells
                .iter()
                .filter(|cell| {
                    !record.as_ref().is_some_and(|record| record.has(cell, round, experiment.redo_disturbed))
                })
                .collect();
            done += cells.len() - missing.len();
            if missing.is_empty() {
                continue;
            }
            if out_of_time() {
                return Ok((
                    record.ok_or_else(|| BenchError::usage("--limit is too short for one cell"))?,
                    false,
                ));
            }
            let serving = Serving::start(&settings(experiment, setup, files.as_ref())?)?;
            let conditions = conditions(experiment, &serving, record.as_ref())?;
            if let Some(record) = &record {
                record.check(&conditions)?;
            }
            let record = record.get_or_insert_with(|| Record { conditions, samples: Vec::new() });
            for cell in missing {
                if out_of_time() {
                    serving.stop()?;
                    return Ok((record.clone(), false));
                }
                done += 1;
                let label = format!("{done}/{total} {}", name(cell));
                let sample = measure(experiment, &serving, cell, round, files.as_ref(), &label)?;
                say(&format!(
                    "{label}: TPS {:.1}, RT {:.1} ms (p99 {:.1}){}",
                    sample.load.tps,
                    sample.load.rt_ms.mean,
                    sample.load.rt_ms.p99,
                    if sample.load.errors > 0 {
                        format!(", {} errors", sample.load.errors)
                    } else {
                        String::new()
                    }
                ));
                record.add(sample);
                record.write(&experiment.record)?;
            }
            serving.stop()?;
        }
    }
    record.map(|record| (record, true)).ok_or_else(|| BenchError::usage("there is no cell to measure"))
}

/// A cell in a few words.
pub fn name(cell: &Cell) -> String {
    let mut name = format!("procs {} c {} {}", cell.setup.procs, cell.concurrency, cell.input.name());
    let further = [
        ("n", cell.requests),
        ("lanes", cell.setup.lanes.map(u64::from)),
        ("batch", cell.setup.max_batch.map(u64::from)),
    ];
    for (what, value) in further {
        if let Some(value) = value {
            name += &format!(" {what} {value}");
        }
    }
    name
}

/// How the service is started: admission out of the way, so that the relation is seen and not its guard, and the inputs
/// that are measured allowed. What the caller sets wins.
fn settings(experiment: &Experiment, setup: Setup, files: Option<&Files>) -> Result<Settings, BenchError> {
    let mut settings = experiment.settings.clone();
    settings.procs = setup.procs;
    let most = experiment.grid.concurrency.iter().max().copied().unwrap_or(1);
    let mut ours = vec![
        ("frontend.rt_target", "0s".to_owned()),
        ("frontend.max_concurrency", most.max(256).to_string()),
        ("frontend.deadline", "2m".to_owned()),
        ("log.level", "warn".to_owned()),
    ];
    if files.is_some() {
        ours.push(("inputs.url.ports", "[]".to_owned()));
        ours.push(("inputs.url.allow_networks", "[\"127.0.0.0/8\"]".to_owned()));
    }
    if experiment.grid.inputs.contains(&Input::Path) {
        let mut roots = std::collections::BTreeSet::new();
        for picture in &experiment.pictures {
            let path = std::fs::canonicalize(picture).map_err(|e| BenchError::file(picture.as_ref(), &e))?;
            roots.extend(path.parent().map(|folder| folder.to_string_lossy().into_owned()));
        }
        let roots: Vec<String> = roots.iter().map(|root| serde_json::json!(root).to_string()).collect();
        ours.push(("inputs.path.roots", format!("[{}]", roots.join(", "))));
    }
    for (key, value) in [("engine.lanes", setup.lanes), ("engine.max_batch", setup.max_batch)] {
        if let Some(value) = value {
            ours.push((key, value.to_string()));
        }
    }
    for (key, value) in ours {
        if !settings.set.iter().any(|(known, _)| known == key) {
            settings.set.push((key.to_owned(), value));
        }
    }
    Ok(settings)
}

fn conditions(
    experiment: &Experiment,
    serving: &Serving,
    before: Option<&Record>,
) -> Result<Conditions, BenchError> {
    let stats = serving.document("/stats")?;
    let model = &stats["model"];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let mut bytes = 0;
    for picture in &experiment.pictures {
        bytes += std::fs::metadata(picture).map_err(|e| BenchError::file(picture.as_ref(), &e))?.len();
    }
    let short = |name: &String| name.rsplit('/').next().unwrap_or(name).to_owned();
    let version: String = text(&model["version"]).chars().take(12).collect();
    Ok(Conditions {
        version: text(&stats["service"]["version"]),
        model: format!("{} {version}", text(&model["name"])),
        device: text(&model["device"]),
        // Varied by the experiment itself: the first service's stands.
        lanes: match before {
            Some(record) => record.conditions.lanes,
            None => model["lanes"].as_u64().unwrap_or(1) as u32,
        },
        pictures: experiment.pictures.iter().map(short).collect(),
        picture_bytes: bytes,
        seconds: experiment.duration.as_secs_f64(),
        warmup: experiment.warmup.as_secs_f64(),
        set: experiment.settings.set.clone(),
        environment: experiment.settings.environment(),
        config: experiment.settings.config_text()?,
        processor: processor(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    })
}

/// Requests that name the pictures so.
fn shots_for(
    address: std::net::SocketAddr,
    pictures: &[String],
    input: Input,
    files: Option<&Files>,
) -> Result<(Target, Vec<Shot>), BenchError> {
    let target = Target::parse(&format!("http://{address}/detect"))?;
    let names: Vec<String> = pictures
        .iter()
        .map(|name| match (input, files) {
            (Input::Url, Some(files)) => files.address_of(name).unwrap_or_else(|| name.clone()),
            (Input::Path, _) => std::fs::canonicalize(name)
                .map_or_else(|_| name.clone(), |path| path.to_string_lossy().into_owned()),
            _ => name.clone(),
        })
        .collect();
    let shots = load::shots(&target, &names, input, input.usual_form(), None, &[])?;
    Ok((target, shots))
}

fn measure(
    experiment: &Experiment,
    serving: &Serving,
    cell: &Cell,
    round: u32,
    files: Option<&Files>,
    label: &str,
) -> Result<Sample, BenchError> {
    let (target, shots) = shots_for(serving.address(), &experiment.pictures, cell.input, files)?;
    let load = Load {
        target,
        shots: shots.into(),
        pace: Pace::Closed { concurrency: cell.concurrency },
        until: cell.requests.map_or(Until::Time(experiment.duration), Until::Count),
        warmup: experiment.warmup,
        keep_alive: true,
        timeout: Duration::from_secs(150),
        threads: 1,
    };
    let progress = Progress::new(&load, label);
    let before = Look::at(serving);
    let (mut looked, mut last) = (None, None);
    let near_end = (experiment.warmup + experiment.duration).saturating_sub(Duration::from_millis(250));
    let figures = load::run(&load, &mut |live| {
        progress.show(live);
        if live.measuring && looked.is_none() {
            looked = Some(Look::at(serving));
        } else if live.measuring && (cell.requests.is_some() || live.elapsed > near_end) {
            // The last one before the end: afterwards the service idles.
            last = Some(Look::at(serving));
        }
    })?;
    progress.end();
    // So few requests that they were over before the first look: then with the warm-up.
    let from = looked.unwrap_or(before);
    let to = last.unwrap_or_else(|| Look::at(serving));
    let mut seen = to.since(&from);
    seen.memory_mib = to.memory_mib(serving.supervisor());
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Sample { cell: *cell, round, unix, load: figures, seen })
}

/// Loads a service for so long, after a second of warm-up: one cell by itself.
///
/// # Errors
/// When the picture cannot be read.
pub fn load_service(
    serving: &Serving,
    pictures: &[String],
    input: Input,
    files: Option<&Files>,
    concurrency: usize,
    duration: Duration,
    label: &str,
) -> Result<load::Figures, BenchError> {
    let (target, shots) = shots_for(serving.address(), pictures, input, files)?;
    let load = Load {
        target,
        shots: shots.into(),
        pace: Pace::Closed { concurrency },
        until: Until::Time(duration),
        warmup: Duration::from_secs(1),
        keep_alive: true,
        timeout: Duration::from_secs(60),
        threads: 1,
    };
    let progress = Progress::new(&load, label);
    let figures = load::run(&load, &mut |live| progress.show(live))?;
    progress.end();
    Ok(figures)
}
