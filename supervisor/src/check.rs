//! `detectd check`: everything that could keep `detectd serve` from starting, looked at without serving.

use crate::cli::ConfigArgs;
use crate::config::Config;
use crate::{Failure, config, sockets};
use shm_proto::control::Exit;
use std::net::SocketAddr;

/// Prints a line for each thing looked at. Exit 0 when all are good, 2 otherwise.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let sources = args.sources();
    let config = config::load(&sources).map_err(Failure::usage)?;
    match &sources.file {
        Some(file) => println!("ok    configuration  {}", file.display()),
        None => println!("ok    configuration  built-in defaults (no --config given)"),
    }
    let checks = [("listen", listen(&config)), ("model", model(&config))];
    for (what, result) in &checks {
        match result {
            Ok(text) => println!("ok    {what:<13}  {text}"),
            Err(text) => println!("FAIL  {what:<13}  {text}"),
        }
    }
    if checks.iter().all(|(_, result)| result.is_ok()) {
        Ok(())
    } else {
        Err(Failure { exit: Exit::Usage, why: String::new() })
    }
}

fn listen(config: &Config) -> Result<String, String> {
    let addresses = config.service.addresses().map_err(|fault| fault.reason)?;
    let Some(address) = addresses.first() else { return Err("stands for no address".to_owned()) };
    let listener = sockets::bind(*address).map_err(|error| error.to_string())?;
    let found: SocketAddr = listener.local_addr().map_err(|error| error.to_string())?;
    let procs = config.service.procs();
    Ok(format!("{found} is free; {procs} frontend{}", if procs == 1 { "" } else { "s" }))
}

/// Loads and runs the model in this process, as the engine would.
fn model(config: &Config) -> Result<String, String> {
    let found = engine::inspect(&config.model, &config.engine).map_err(|error| error.to_string())?;
    let facts = &found.facts;
    Ok(format!(
        "{} ({:?}, {} on {}, ONNX Runtime {} from {}), loaded in {:.0} ms, one image in {:.1} ms",
        config.model.path.display(),
        facts.spec.task,
        facts.spec.name,
        facts.device,
        facts.runtime,
        found.runtime_path.display(),
        found.load_ms,
        found.run_ms,
    ))
}
