//! `detectd batch`: starts a service of its own on a loopback port, for the time of the run, and puts the pictures through it.
//!
//! The service is `detectd serve` as ever: same supervisor, frontends and engine, with a few keys set that make no sense
//! otherwise here. Frontends read files themselves, where they reach them; all other bytes travel by HTTP, as from any client.

mod service;
mod turns;

use crate::cli::{BatchArgs, BatchFormat};
use crate::config::Config;
use crate::pull::hex;
use crate::{Failure, config};
use batch::{BatchError, End, Format, Plan, Progress, Summary};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Service, keys};
use sha2::{Digest, Sha256};
use shm_proto::control::Exit;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Some pictures have no answer.
const SOME_BAD: u8 = 1;

/// Runs to the end, or until it is told to stop. The exit code says what came of it.
pub fn run(args: &BatchArgs) -> Result<u8, Failure> {
    let sources = args.config.sources();
    let config = config::load(&sources).map_err(Failure::usage)?;
    let has_own_procs = sources.overrides.iter().any(|set| set.key == "service.procs");
    if config.engine.device == engine::Device::Sim {
        return Err(Failure::usage(
            "engine.device: what a modelled accelerator finds is of no worth in a batch",
        ));
    }
    let format = match args.format {
        Some(BatchFormat::Jsonl) => Format::JsonLines,
        Some(BatchFormat::Csv) => Format::Csv,
        Some(BatchFormat::Coco) => Format::Coco,
        None => Format::of(&args.output).map_err(Failure::usage)?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second one of them ends the process at once: whoever insists shall not wait for pictures on their way.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Temporary.code()),
            stop.clone(),
        )
        .map_err(Failure::internal)?;
        signal_hook::flag::register(signal, stop.clone()).map_err(Failure::internal)?;
    }
    let query = query(args);
    // What is written beside the answers belongs to it: half of the pictures drawn or sorted would be a run that looks whole.
    let of = digest(&config, &format!("{query} {:?} {:?}", args.draw, args.sort))?;
    let progress = Arc::new(Progress::new(args.quiet));
    let jobs = if args.jobs > 0 { args.jobs } else { jobs(&config) };
    let plan = Plan {
        inputs: &args.inputs,
        output: &args.output,
        format,
        of: &of,
        anew: args.restart,
        strict: args.strict,
        draw: args.draw.as_deref(),
        sort: args.sort.as_deref(),
        query: &query,
        jobs,
        longest: config.inputs.max_image.min(config.inputs.max_body),
        progress: &progress,
        stop: &stop,
    };
    let service = std::cell::RefCell::new(None::<Service>);
    if let Err(error) = turns::take_long() {
        progress.tell(&format!("turns on the cores are as short as ever: {error}"));
    }
    let start = |folders: &[PathBuf]| {
        let (started, endpoint) = Service::start(
            &args.config,
            keys(&config, jobs, has_own_procs),
            folders,
            progress.clone(),
            &stop,
        )?;
        *service.borrow_mut() = Some(started);
        Ok(endpoint)
    };
    let mut alive = || service.borrow_mut().as_mut().and_then(Service::ended);
    let outcome = batch::run(&plan, start, &mut alive);
    progress.end();
    if let Some(service) = service.into_inner() {
        service.stop();
    }
    match outcome {
        Ok(summary) => Ok(report(&summary, args, &progress)),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: BatchError) -> Failure {
    let exit = match &error {
        BatchError::Service(_) => Exit::Temporary,
        BatchError::Usage(_) | BatchError::File { .. } | BatchError::Refused(_) => Exit::Usage,
    };
    Failure { exit, why: error.to_string() }
}

/// Says what came of it, in one line, and with which code to end.
fn report(summary: &Summary, args: &BatchArgs, progress: &Progress) -> u8 {
    let Summary { total, done, bad, now, took, end } = summary;
    let seconds = took.as_secs_f64();
    let counts = format!("{done} of {total} pictures done, {bad} of them without an answer");
    let pace = format!("{now} now in {seconds:.1} s");
    match end {
        End::Complete => {
            progress.tell(&format!("{counts}; {pace}; {}", args.output.display()));
            if *bad > 0 { SOME_BAD } else { Exit::Clean.code() }
        }
        End::Stopped => {
            progress.say(&format!("stopped: {counts}; {pace}; the same command goes on"));
            Exit::Temporary.code()
        }
        End::Strict(what) => {
            progress.say(&format!("detectd: {what}"));
            progress.say(&format!("ended by the first picture without an answer: {counts}; {pace}"));
            SOME_BAD
        }
    }
}

/// As many pictures on their way as keep every decode thread and every run of the engine busy while answers travel. An
/// accelerator runs several together.
fn jobs(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let least = if config.engine.device == engine::Device::Cpu { 32 } else { 64 };
    let seats = (config.engine.lanes * config.engine.max_batch) as usize;
    (cores * 4).max(seats * 3).clamp(least, 256)
}

/// What each request chooses, as its query.
fn query(args: &BatchArgs) -> String {
    let mut query = String::new();
    let choices = [
        ("score", args.score.map(|score| score.to_string())),
        ("iou", args.iou.map(|iou| iou.to_string())),
        ("top_k", args.top_k.map(|top_k| top_k.to_string())),
        ("classes", args.classes.clone()),
    ];
    for (name, value) in choices {
        if let Some(value) = value {
            let and = if query.is_empty() { "" } else { "&" };
            // Writing to a string cannot fail.
            let _ = write!(query, "{and}{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
        }
    }
    query
}

/// What the answers depend on: the program, the model's files, how the model is run and pictures are read, and the options.
fn digest(config: &Config, query: &str) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    for path in config.model.files().iter().filter(|path| path.is_file()) {
        let bytes =
            std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let engine = &config.engine;
    let limit = config.inputs.max_image.min(config.inputs.max_body);
    let settings =
        (env!("CARGO_PKG_VERSION"), engine.device, &engine.sim, engine.optimization, &config.images, limit);
    hash.update(serde_json::to_vec(&settings).map_err(Failure::internal)?);
    hash.update(query);
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests;
