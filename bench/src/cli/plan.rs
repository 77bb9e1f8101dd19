//! `detectd plan`.

use super::print;
use crate::BenchError;
use crate::load::Input;
use crate::plan::{self, Demand, Peak, Views};
use crate::scale::{self, Record};
use clap::Args;
use shm_proto::units::parse_duration;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be served, and by what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  detectd plan --pv 1000000 --qps 35
  detectd plan --pv 1000000 --from scale/scale.json --headroom 0.3 --spare 1 --hourly 0.4")]
pub struct PlanArgs {
    /// Requests a day
    #[arg(long, value_name = "N", required_unless_present = "pv_month")]
    pub pv: Option<f64>,
    /// Requests a month of 30 days, in place of --pv
    #[arg(long, value_name = "N", conflicts_with = "pv")]
    pub pv_month: Option<f64>,
    /// What one machine serves a second
    #[arg(long, value_name = "QPS", required_unless_present = "from")]
    pub qps: Option<f64>,
    /// Take that from a measurement: TPS at the knee of the best process count in this scale.json
    #[arg(long, value_name = "FILE", conflicts_with = "qps")]
    pub from: Option<PathBuf>,
    /// With --from: the input type
    #[arg(long, value_enum, conflicts_with = "qps")]
    pub input: Option<Input>,
    /// With --from: the TPS of the largest concurrency whose p99 is within this time, in place of the knee's
    #[arg(long, value_name = "TIME", value_parser = parse_duration, conflicts_with = "qps")]
    pub rt_target: Option<Duration>,
    /// So much of the requests in so much of the day
    #[arg(long, value_name = "REQUESTS/DAY", default_value = "80/20", value_parser = share, conflicts_with_all = ["peak_factor", "curve"])]
    pub rule: (f64, f64),
    /// The peak is so many times the mean
    #[arg(long, value_name = "X", conflicts_with = "curve")]
    pub peak_factor: Option<f64>,
    /// Weights of equal parts of the day: numbers with commas, or a file of them, one a line
    #[arg(long, value_name = "W,W,…|FILE")]
    pub curve: Option<String>,
    /// Share of a machine that stays free at the peak
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub headroom: f64,
    /// Machines that may fail at the peak (1: N+1)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub spare: u32,
    /// Price of a machine for an hour
    #[arg(long, value_name = "PRICE")]
    pub hourly: Option<f64>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `80/20`.
fn share(text: &str) -> Result<(f64, f64), String> {
    let parts =
        text.split_once('/').and_then(|(a, b)| Some((a.parse::<f64>().ok()?, b.parse::<f64>().ok()?)));
    let (requests, day) =
        parts.ok_or("write per cent of the requests / per cent of the day, for example 80/20")?;
    Ok((requests / 100.0, day / 100.0))
}

/// Reckons and shows how.
///
/// # Errors
/// What makes no sense, or is not in the file.
pub fn run(args: &PlanArgs) -> Result<(), BenchError> {
    let (qps, source, simulated) = match &args.from {
        Some(path) => measured(path, args.input, args.rt_target)?,
        None => (args.qps.unwrap_or_default(), "given".to_owned(), false),
    };
    let peak = match (&args.curve, args.peak_factor) {
        (Some(text), _) => Peak::Curve(curve(text)?),
        (None, Some(factor)) => Peak::Factor(factor),
        (None, None) => Peak::Share { requests: args.rule.0, day: args.rule.1 },
    };
    let views = match args.pv_month {
        Some(month) => Views::Month(month),
        None => Views::Day(args.pv.unwrap_or_default()),
    };
    let plan = plan::plan(&Demand {
        views,
        peak,
        qps,
        source,
        simulated,
        headroom: args.headroom,
        spare: args.spare,
        hourly: args.hourly,
    })
    .map_err(BenchError::usage)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&plan).map_err(BenchError::failed)? + "\n"));
    } else {
        print(&plan::text(&plan));
    }
    Ok(())
}

/// What the best process count of a measurement serves a second, where that comes from, and whether it was simulated.
fn measured(
    path: &Path,
    input: Option<Input>,
    target: Option<Duration>,
) -> Result<(f64, String, bool), BenchError> {
    let analysis = scale::analyse(&Record::read(path)?, target.unwrap_or(Duration::from_secs(1)));
    let families = analysis.families.iter().filter(|family| input.is_none_or(|input| family.input == input));
    let found = families
        .flat_map(|family| &family.procs)
        .filter_map(|p| Some((p.procs, if target.is_some() { p.within_target? } else { p.knee })))
        .max_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
    let (procs, (concurrency, tps)) =
        found.ok_or_else(|| BenchError::usage(format!("{}: no cell there answers that", path.display())))?;
    let source = format!(
        "{}: {procs} processes, concurrency {concurrency}, {}{}",
        path.display(),
        analysis.conditions.model,
        if analysis.simulated { ", SIMULATED" } else { "" }
    );
    Ok((tps, source, analysis.simulated))
}

fn curve(text: &str) -> Result<Vec<f64>, BenchError> {
    let read = if Path::new(text).is_file() {
        std::fs::read_to_string(text).map_err(|error| BenchError::file(Path::new(text), &error))?
    } else {
        text.to_owned()
    };
    let words = read.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty());
    let weights: Result<Vec<f64>, _> = words.map(str::parse).collect();
    weights.map_err(|error| BenchError::usage(format!("--curve {text}: {error}")))
}
