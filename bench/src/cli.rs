//! The command line of the instruments: what is asked becomes a measurement, what came of it is written where it was wanted.

mod floor;
mod inputs;
mod load;
mod plan;
mod scale;

pub use plan::{PlanArgs, run as plan};

use crate::BenchError;
use clap::Subcommand;
use std::io::Write;
use std::path::Path;

/// `detectd bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Load a server: closed loop, or open loop at a rate of one's own
    Load(load::LoadArgs),
    /// What the number of processes does to TPS and RT: starts the service with each and loads it
    Scale(scale::ScaleArgs),
    /// What this machine can do at most: the same work in one process, without HTTP
    Floor(floor::FloorArgs),
    /// The five input types side by side
    Inputs(inputs::InputsArgs),
}

/// Runs it.
///
/// # Errors
/// What was wrong with the question or with the measurement.
pub fn run(command: &Bench) -> Result<(), BenchError> {
    match command {
        Bench::Load(args) => load::run(args),
        Bench::Scale(args) => scale::run(args),
        Bench::Floor(args) => floor::run(args),
        Bench::Inputs(args) => inputs::run(args),
    }
}

/// Writes to a file, or to standard output for `-`.
fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    if path.as_os_str() == "-" {
        print(text);
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| BenchError::file(path, &error))
}

/// To standard output; a reader that went away (`| head`) is no error.
fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// To standard error: what happens meanwhile.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests;
