//! The command line of the instruments: what is asked becomes a measurement, what came of it is written where it was wanted.

mod load;

use crate::BenchError;
use clap::Subcommand;
use std::io::Write;
use std::path::Path;

/// `detectd bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Load a server: closed loop, or open loop at a rate of one's own
    Load(load::LoadArgs),
}

/// Runs it.
///
/// # Errors
/// What was wrong with the question or with the measurement.
pub fn run(command: &Bench) -> Result<(), BenchError> {
    match command {
        Bench::Load(args) => load::run(args),
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
