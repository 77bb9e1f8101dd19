//! `detectd bench load`.

use super::{print, write};
use crate::BenchError;
use crate::files::Files;
use crate::load::{self, Arrivals, Form, Input, Load, Pace, Target, Until};
use crate::progress::Progress;
use clap::Args;
use http::Method;
use shm_proto::units::parse_duration;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is asked of whom.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  detectd bench load http://127.0.0.1:8888/detect --image dog.jpg -c 10 -n 10000
  detectd bench load http://127.0.0.1:8888/detect --image dog.jpg --input base64 --form form-data -c 32 -d 30s
  detectd bench load http://127.0.0.1:8888/detect --image photos/ --rate 80 --arrivals poisson -d 1m --json=out.json")]
pub struct LoadArgs {
    /// http address; with pictures and without a path, /detect is meant
    pub url: String,
    /// Connections: each sends when it has its answer (closed loop); with --rate the most that are opened
    #[arg(short, long, value_name = "N")]
    pub concurrency: Option<usize>,
    /// Stop after so many requests
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "duration")]
    pub requests: Option<u64>,
    /// Stop after this time
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Stop when rate and mean time of three windows in a row lie within so many per cent of their mean; --duration is then the
    /// longest time
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "5", require_equals = true, conflicts_with = "requests")]
    pub stable: Option<f64>,
    /// A window of --stable
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration, requires = "stable", conflicts_with = "requests")]
    pub window: Duration,
    /// Send so many requests a second, whether they are answered or not (open loop); the time of each counts from when it was due
    #[arg(long, value_name = "REQUESTS/S")]
    pub rate: Option<f64>,
    /// How the requests of --rate are spaced
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson, requires = "rate")]
    pub arrivals: Arrivals,
    /// A picture or a folder of them; several are sent in turn. For --input url an address, or a file that is then served from here
    #[arg(short, long = "image", value_name = "FILE", group = "sent")]
    pub images: Vec<String>,
    /// How a picture is named to the server
    #[arg(long, value_enum, default_value_t = Input::Bytes, requires = "images", conflicts_with = "body")]
    pub input: Input,
    /// What carries it; the usual form of --input if not given
    #[arg(long, value_enum, requires = "images", conflicts_with = "body")]
    pub form: Option<Form>,
    /// A file whose contents are the body as they stand, in place of pictures (as ab's -p)
    #[arg(long, value_name = "FILE", group = "sent")]
    pub body: Option<PathBuf>,
    /// Content type of --body (as ab's -T), or of a picture in --form raw; application/form-data and application/octet-stream
    /// if not given
    #[arg(long, value_name = "TYPE", requires = "sent")]
    pub content_type: Option<String>,
    /// Method of requests without a picture; POST with --body, GET without
    #[arg(long, conflicts_with = "images")]
    pub method: Option<Method>,
    /// A further header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// A connection for each request
    #[arg(long)]
    pub no_keep_alive: bool,
    /// Time before it counts
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Longest wait for an answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// As one JSON object: in place of the table, or into a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", require_equals = true)]
    pub json: Option<PathBuf>,
    /// As comma-separated values: in place of the table, or into a file
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", require_equals = true)]
    pub csv: Option<PathBuf>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Runs it. A server that answered nothing with success is a failure.
pub fn run(args: &LoadArgs) -> Result<(), BenchError> {
    let mut target = Target::parse(&args.url)?;
    let mut files = None;
    let shots = if let Some(path) = &args.body {
        let body = std::fs::read(path).map_err(|error| BenchError::file(path, &error))?;
        let method = args.method.clone().unwrap_or(Method::POST);
        let content_type = args.content_type.as_deref().unwrap_or("application/form-data");
        vec![load::raw_shot(&target, &method, content_type, body, &args.headers)?]
    } else if args.images.is_empty() {
        let method = args.method.clone().unwrap_or(Method::GET);
        vec![load::raw_shot(&target, &method, "", Vec::new(), &args.headers)?]
    } else {
        if target.path == "/" {
            "/detect".clone_into(&mut target.path);
        }
        let mut pictures = pictures(&args.images, args.input)?;
        if args.input == Input::Url && pictures.iter().any(|name| Path::new(name).is_file()) {
            let served = Files::serve(pictures.iter().filter(|name| Path::new(name).is_file()))?;
            pictures = pictures.into_iter().map(|name| served.address_of(&name).unwrap_or(name)).collect();
            files = Some(served);
        }
        let form = args.form.unwrap_or(args.input.usual_form());
        load::shots(&target, &pictures, args.input, form, args.content_type.as_deref(), &args.headers)?
    };
    let pace = match args.rate {
        Some(rate) => {
            Pace::Open { rate, arrivals: args.arrivals, connections: args.concurrency.unwrap_or(256) }
        }
        None => Pace::Closed { concurrency: args.concurrency.unwrap_or(1) },
    };
    let until = match (args.requests, args.stable) {
        (Some(count), _) => Until::Count(count),
        (None, Some(percent)) => {
            Until::Stable { window: args.window, tolerance: percent / 100.0, most: args.duration }
        }
        (None, None) => Until::Time(args.duration),
    };
    let load = Load {
        target,
        shots: shots.into(),
        pace,
        until,
        warmup: args.warmup,
        keep_alive: !args.no_keep_alive,
        timeout: args.timeout,
        threads: args.threads,
    };
    let progress = Progress::new(&load, "load");
    let figures = load::run(&load, &mut |live| progress.show(live))?;
    progress.end();
    drop(files);

    let mut shown = false;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&figures).map_err(BenchError::failed)?;
        write(path, &(text + "\n"))?;
        shown |= path.as_os_str() == "-";
    }
    if let Some(path) = &args.csv {
        write(path, &load::csv(&figures))?;
        shown |= path.as_os_str() == "-";
    }
    if !shown {
        print(&load::table(&figures));
    }
    if figures.ok == 0 {
        return Err(BenchError::failed("no request was answered with success"));
    }
    Ok(())
}

/// The pictures that were named, folders opened.
pub fn pictures(names: &[String], input: Input) -> Result<Vec<String>, BenchError> {
    let mut all = Vec::new();
    for name in names {
        let path = Path::new(name);
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|error| BenchError::file(path, &error))?;
            let mut files: Vec<String> = entries
                .flatten()
                .filter(|entry| entry.path().is_file())
                .map(|entry| entry.path().to_string_lossy().into_owned())
                .collect();
            files.sort();
            all.append(&mut files);
        } else if path.is_file() || input == Input::Url {
            all.push(name.clone());
        } else {
            return Err(BenchError::usage(format!("{name}: no such picture")));
        }
    }
    if all.is_empty() {
        return Err(BenchError::usage("there is no picture in what --image names"));
    }
    Ok(all)
}
