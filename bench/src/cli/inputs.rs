//! `detectd bench inputs`: the five input types side by side.

use super::load::pictures;
use super::scale::key_value;
use super::{print, tell};
use crate::BenchError;
use crate::files::Files;
use crate::load::{Figures, Input, SIMULATED};
use crate::scale::load_service;
use crate::service::{Serving, Settings};
use crate::table::{Table, digits};
use clap::Args;
use serde::Serialize;
use shm_proto::units::parse_duration;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The server's stages that are shown.
const STAGES: [&str; 8] = ["read", "wait", "decode", "preprocess", "queue", "infer", "postprocess", "total"];
/// Types whose times differ by less are not told apart.
const TIE: f64 = 0.02;

/// Which pictures, and of which service.
#[derive(Debug, Args)]
pub struct InputsArgs {
    /// A picture; each is measured by itself
    #[arg(short, long = "image", value_name = "FILE", required = true)]
    pub images: Vec<String>,
    /// Which types
    #[arg(long, value_name = "TYPE,…", value_delimiter = ',', value_enum, default_values_t = Input::ALL)]
    pub inputs: Vec<Input>,
    /// Requests at a time
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub concurrency: usize,
    /// Frontend processes
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub procs: u32,
    /// How long each measurement lasts
    #[arg(short, long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pub duration: Duration,
    /// How often; every other round goes backwards
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: u32,
    /// Configuration of the service
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The .onnx file to serve
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Set any key of the service's configuration
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Let the service keep what it fetches: `url` then measures its cache
    #[arg(long)]
    pub keep: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One picture by one type, over its rounds.
#[derive(Serialize)]
struct Cell {
    picture: String,
    input: Input,
    rounds: Vec<Figures>,
}

impl Cell {
    fn mean(&self, of: impl Fn(&Figures) -> f64) -> f64 {
        self.rounds.iter().map(of).sum::<f64>() / self.rounds.len().max(1) as f64
    }

    fn stage(&self, name: &str) -> f64 {
        self.mean(|figures| figures.server_ms.get(name).copied().unwrap_or(0.0))
    }

    /// The server's time but for the engine's.
    fn local(&self) -> f64 {
        self.stage("total") - self.stage("queue") - self.stage("infer")
    }
}

/// Measures.
///
/// # Errors
/// When the service does not start or refuses a type.
pub fn run(args: &InputsArgs) -> Result<(), BenchError> {
    let pictures = pictures(&args.images, Input::File)?;
    let files = Files::serve(pictures.iter())?;
    if args.keep {
        files.let_keep();
    }
    let mut roots = BTreeSet::new();
    for picture in &pictures {
        let path = std::fs::canonicalize(picture).map_err(|e| BenchError::file(picture.as_ref(), &e))?;
        roots.extend(path.parent().map(|folder| serde_json::json!(folder.to_string_lossy()).to_string()));
    }
    let roots: Vec<String> = roots.into_iter().collect();
    let mut set = vec![
        ("frontend.rt_target".to_owned(), "0s".to_owned()),
        ("inputs.url.ports".to_owned(), "[]".to_owned()),
        ("inputs.url.allow_networks".to_owned(), "[\"127.0.0.0/8\"]".to_owned()),
        ("inputs.path.roots".to_owned(), format!("[{}]", roots.join(", "))),
    ];
    set.extend(args.set.iter().cloned());
    let serving = Serving::start(&Settings {
        config: args.config.clone(),
        model: args.model.clone(),
        procs: args.procs,
        set,
    })?;
    let mut cells: Vec<Cell> = Vec::new();
    for picture in &pictures {
        for &input in &args.inputs {
            cells.push(Cell { picture: picture.clone(), input, rounds: Vec::new() });
        }
    }
    for round in 0..args.rounds.max(1) {
        let mut order: Vec<usize> = (0..cells.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let cell = &mut cells[index];
            let label = format!("round {} {} {}", round + 1, short(&cell.picture), cell.input.name());
            let picture = [cell.picture.clone()];
            let figures = load_service(
                &serving,
                &picture,
                cell.input,
                Some(&files),
                args.concurrency,
                args.duration,
                &label,
            )?;
            if figures.errors > 0 {
                let why = serde_json::json!([figures.codes, figures.faults]);
                return Err(BenchError::failed(format!(
                    "{label}: {} requests failed: {why}",
                    figures.errors
                )));
            }
            tell(&format!("{label}: {} ms", digits(figures.rt_ms.mean)));
            cell.rounds.push(figures);
        }
    }
    serving.stop()?;
    if args.json {
        print(&(serde_json::to_string_pretty(&cells).map_err(BenchError::failed)? + "\n"));
    } else {
        print(&text(&cells));
    }
    Ok(())
}

fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn text(cells: &[Cell]) -> String {
    let mut head = vec!["picture", "type", "TPS", "mean ms", "p50", "p99", "local"];
    head.extend(STAGES);
    let mut table = Table::new(&head);
    for cell in cells {
        let mut row = vec![short(&cell.picture).to_owned(), cell.input.name().to_owned()];
        row.push(format!("{:.1}", cell.mean(|f| f.tps)));
        let times = [cell.mean(|f| f.rt_ms.mean), cell.mean(|f| f.rt_ms.p50), cell.mean(|f| f.rt_ms.p99)];
        row.extend(times.map(digits));
        row.push(digits(cell.local()));
        row.extend(STAGES.map(|stage| digits(cell.stage(stage))));
        table.row(row);
    }
    let mut out = table.text()
        + "\nlocal: the server's total without queue and infer. Of it only read depends on how a picture came (short files are read in decode); by read:\n";
    if cells.iter().flat_map(|cell| &cell.rounds).any(|round| round.simulated) {
        out = format!("{SIMULATED}\n{out}");
    }
    let mut pictures: Vec<&str> = cells.iter().map(|cell| cell.picture.as_str()).collect();
    pictures.dedup();
    for picture in pictures {
        let own: Vec<(Input, f64)> =
            cells.iter().filter(|c| c.picture == picture).map(|c| (c.input, c.stage("read"))).collect();
        out += &format!("{}: {}\n", short(picture), order(own));
    }
    out
}

/// From the quickest to the slowest; `≈` between those that differ by less than two per cent.
fn order(mut times: Vec<(Input, f64)>) -> String {
    times.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut out = String::new();
    let mut before: Option<f64> = None;
    for (input, time) in times {
        out += match before {
            None => "",
            Some(before) if time <= before * (1.0 + TIE) => " ≈ ",
            Some(_) => " < ",
        };
        out += &format!("{} {}", input.name(), digits(time));
        before = Some(time);
    }
    out
}

#[cfg(test)]
mod tests;
