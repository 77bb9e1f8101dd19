//! `detectd bench scale`.

use super::load::pictures;
use super::print;
use crate::BenchError;
use crate::load::Input;
use crate::scale::{self, Analysis, Comparison, Experiment, Grid, Record};
use crate::service::Settings;
use clap::Args;
use serde::Serialize;
use shm_proto::units::parse_duration;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is varied, and of which service.
#[derive(Debug, Args)]
#[command(
    after_help = "The same command again goes on where it was interrupted, and with everything measured writes the report anew.
Admission is off in the services that it starts (frontend.rt_target = \"0s\"), so that the relation is seen and not its guard."
)]
pub struct ScaleArgs {
    /// Numbers of frontend processes
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4,8")]
    pub procs: Vec<u32>,
    /// Requests at a time
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,10,50,100")]
    pub concurrency: Vec<usize>,
    /// How pictures are named to the service
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', value_enum, default_value = "bytes")]
    pub inputs: Vec<Input>,
    /// Numbers of requests; without them a cell is measured for --duration
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub requests: Vec<u64>,
    /// Lanes of the engine
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub lanes: Vec<u32>,
    /// Most images in a run
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub max_batch: Vec<u32>,
    /// The picture; several, or a folder, are sent in turn
    #[arg(short, long = "image", value_name = "FILE", required = true)]
    pub images: Vec<String>,
    /// Measure a cell for so long
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = parse_duration, conflicts_with = "requests")]
    pub duration: Duration,
    /// Before that
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// How often every cell is measured; every other round goes backwards
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub rounds: u32,
    /// The response time that is promised
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub rt_target: Duration,
    /// Folder for scale.json, scale.txt, scale.csv, scale.html and the plots
    #[arg(short, long, value_name = "FOLDER", default_value = "scale")]
    pub out: PathBuf,
    /// Compare with another run's scale.json
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Measure again what was measured while others used more than 0.1 of the machine's cores
    #[arg(long)]
    pub redo_disturbed: bool,
    /// Stop before so long; the same command again goes on
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub limit: Option<Duration>,
    /// Configuration of the service
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The .onnx file to serve
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Set any key of the service's configuration
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// As one JSON object: the analysis, in place of the text
    #[arg(long)]
    pub json: bool,
}

/// `SECTION.KEY=VALUE`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write SECTION.KEY=VALUE, for example engine.lanes=2")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Measures what is missing and writes the report.
pub fn run(args: &ScaleArgs) -> Result<(), BenchError> {
    if args.rounds == 0 || args.procs.contains(&0) || args.concurrency.contains(&0) {
        return Err(BenchError::usage("rounds, processes and concurrencies are at least 1"));
    }
    std::fs::create_dir_all(&args.out).map_err(|error| BenchError::file(&args.out, &error))?;
    let optional = |values: &[u32]| -> Vec<Option<u32>> {
        if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
    };
    let requests: Vec<Option<u64>> = args.requests.iter().copied().map(Some).collect();
    let experiment = Experiment {
        grid: Grid {
            procs: args.procs.clone(),
            lanes: optional(&args.lanes),
            max_batch: optional(&args.max_batch),
            inputs: args.inputs.clone(),
            requests: if requests.is_empty() { vec![None] } else { requests },
            concurrency: args.concurrency.clone(),
        },
        rounds: args.rounds,
        duration: args.duration,
        warmup: args.warmup,
        // What url means here is served by this program from files.
        pictures: pictures(&args.images, Input::File)?,
        settings: Settings {
            config: args.config.clone(),
            model: args.model.clone(),
            procs: 0,
            set: args.set.clone(),
        },
        record: args.out.join("scale.json"),
        redo_disturbed: args.redo_disturbed,
        limit: args.limit,
    };
    // Read first: it may be the very file that is gone on with.
    let old = args.against.as_deref().map(Record::read).transpose()?;
    let (record, complete) = scale::run(&experiment, &mut super::tell)?;
    let analysis = scale::analyse(&record, args.rt_target);
    report(&args.out, &analysis)?;
    let against = old.map(|old| scale::compare(&analysis, &scale::analyse(&old, args.rt_target)));
    if args.json {
        let said = Said { analysis: &analysis, against: against.as_ref() };
        print(&(serde_json::to_string_pretty(&said).map_err(BenchError::failed)? + "\n"));
    } else {
        print(&scale::text(&analysis));
        if let (Some(file), Some(against)) = (&args.against, &against) {
            print(&format!("Against {}:\n{}", file.display(), against.text()));
        }
    }
    super::tell(&format!("report: {}", args.out.join("scale.html").display()));
    if !complete {
        super::tell("stopped by --limit: the same command again goes on");
    }
    Ok(())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(flatten)]
    analysis: &'a Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<&'a Comparison>,
}

fn report(folder: &Path, analysis: &Analysis) -> Result<(), BenchError> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| BenchError::file(&path, &error))
    };
    let mut drawn = Vec::new();
    for plot in scale::plots(analysis) {
        let svg = scale::svg(&plot).map_err(BenchError::failed)?;
        write(&format!("{}.svg", plot.name), svg.as_bytes())?;
        write(&format!("{}.png", plot.name), &scale::png(&plot).map_err(BenchError::failed)?)?;
        drawn.push((plot.title, svg));
    }
    write("scale.txt", scale::text(analysis).as_bytes())?;
    write("scale.csv", scale::cells_csv(analysis).as_bytes())?;
    write("scale.html", scale::page(analysis, &drawn).as_bytes())
}
