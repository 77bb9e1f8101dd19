//! `detectd`: one executable that is supervisor, frontend, engine and the operator's commands.
//!
//! Parses, runs, exits: what is wrong is said in one line on stderr, and the exit code says whose turn it is.
#![deny(unsafe_code)]

mod batch;
mod check;
mod cli;
mod compare;
mod config;
mod core;
mod driver;
mod export;
mod handover;
mod inspect;
mod logging;
mod manual;
mod operate;
mod pull;
mod role;
mod serve;
mod sockets;
mod spawn;
mod status;
mod systemd;

use clap::Parser;
use cli::{Cli, Command, ModelCommand};
use nix::sys::signal::Signal;
use shm_proto::control::Exit;
use std::io::Write;
use std::process::ExitCode;

/// Why a command ends with a code that is not 0.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    /// One line; empty when everything has been said.
    why: String,
}

impl Failure {
    fn usage(why: impl ToString) -> Self {
        Self { exit: Exit::Usage, why: why.to_string() }
    }

    fn internal(why: impl ToString) -> Self {
        Self { exit: Exit::Internal, why: why.to_string() }
    }
}

/// For commands that load ONNX Runtime into their own process.
fn alone() -> Result<(), Failure> {
    spawn::without_telemetry().map_err(Failure::internal)
}

fn measure(result: Result<(), bench::BenchError>) -> Result<(), Failure> {
    result.map_err(|error| match error {
        bench::BenchError::Usage(_) => Failure::usage(error),
        bench::BenchError::Failed(_) => Failure::internal(error),
    })
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => alone().and_then(|()| check::run(&args)),
        Command::Status(args) => status::run(&args),
        Command::Reload(args) => operate::run(&args, Signal::SIGHUP),
        Command::Upgrade(args) => operate::run(&args, Signal::SIGUSR2),
        Command::Model(ModelCommand::Inspect(args)) => alone().and_then(|()| inspect::run(&args)),
        Command::Model(ModelCommand::Pull(args)) => pull::run(&args),
        Command::Bench(command) => alone().and_then(|()| measure(bench::cli::run(&command))),
        Command::Plan(args) => measure(bench::cli::plan(&args)),
        Command::Batch(args) => match batch::run(&args) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Command::Completions(args) => manual::completions(args.shell),
        Command::Manual(args) => manual::pages(&args.folder),
        Command::Export(args) => export::run(&args),
        Command::Compare(args) => alone().and_then(|()| compare::run(&args)),
        Command::Role(args) => role::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, why }) => {
            if !why.is_empty() {
                // The exit code says it too, when nobody reads this.
                let _ = writeln!(std::io::stderr(), "detectd: {why}");
            }
            ExitCode::from(exit.code())
        }
    }
}
