//! `detectd check`: what the configuration alone decides of whether `detectd serve` starts, looked at without serving.

use crate::cli::ServiceArgs;
use crate::config::Config;
use crate::sockets::ListenError;
use crate::{Failure, config, sockets};
use shm_proto::control::Exit;
use std::io::Write;

/// Prints a line for each thing looked at. Exit 0 when all are good, 2 otherwise.
pub fn run(args: &ServiceArgs) -> Result<(), Failure> {
    let sources = args.sources();
    let config = config::load(&sources).map_err(Failure::usage)?;
    let file = sources.file.as_ref();
    let read =
        file.map_or("built-in defaults (no --config given)".to_owned(), |file| file.display().to_string());
    let checks = [
        ("configuration", Ok(read)),
        ("inputs", inputs(&config)),
        ("listen", listen(&config)),
        ("harvest", harvest(&config)),
        ("model", model(&config)),
    ];
    for (what, result) in &checks {
        let (verdict, text) = result.as_ref().map_or_else(|text| ("FAIL", text), |text| ("ok  ", text));
        // The exit code says it too, when nobody reads this.
        let _ = writeln!(std::io::stdout(), "{verdict}  {what:<13}  {text}");
    }
    if checks.iter().all(|(_, result)| result.is_ok()) {
        Ok(())
    } else {
        Err(Failure { exit: Exit::Usage, why: String::new() })
    }
}

/// Roots and certificates, opened as a frontend would.
fn inputs(config: &Config) -> Result<String, String> {
    frontend::inputs::Inputs::new(&config.inputs).map_err(|error| error.to_string())?;
    let (url, roots) = (config.inputs.url.enabled, config.inputs.path.roots.len());
    Ok(format!("url {}, path {}", if url { "on" } else { "off" }, if roots > 0 { "on" } else { "off" }))
}

/// A port that is taken is fine: by the service itself, as a rule, whose next configuration this is.
fn listen(config: &Config) -> Result<String, String> {
    let procs = config.service.procs();
    let frontends = format!("{procs} frontend{}", if procs == 1 { "" } else { "s" });
    match sockets::listen(&config.service) {
        Ok(listeners) => {
            let found = listeners.sockets[0].local_addr().map_err(|error| error.to_string())?;
            Ok(format!("{found} is free; {frontends}"))
        }
        Err(ListenError::Busy(address)) => {
            Ok(format!("{address} is in use, by a running service?; {frontends}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Where pictures are to be kept, a file can be made. A service whose folder cannot be used runs all the same and keeps none.
fn harvest(config: &Config) -> Result<String, String> {
    let ::harvest::Config { enabled, root, rules, .. } = &config.harvest;
    if root.as_os_str().is_empty() {
        return Ok("off".to_owned());
    }
    ::harvest::files::try_out(root).map_err(|(folder, error)| format!("{}: {error}", folder.display()))?;
    let kept = match (enabled, rules.len()) {
        (false, _) => "no pictures are kept".to_owned(),
        (true, 0) => "all pictures are kept".to_owned(),
        (true, n) => format!("pictures are kept by {n} rule{}", if n == 1 { "" } else { "s" }),
    };
    Ok(format!("{} can be written; {kept}", root.display()))
}

/// Loads and runs the model in this process, as the engine would.
fn model(config: &Config) -> Result<String, String> {
    let found = engine::inspect(&config.model, &config.engine).map_err(|error| error.to_string())?;
    let facts = &found.facts;
    let guesses = match facts.spec.guessed.len() {
        0 => String::new(),
        n => format!("; {n} guesses, which `detectd model inspect` lists"),
    };
    Ok(format!(
        "{} ({:?}, {} on {}, ONNX Runtime {} from {}), loaded in {:.0} ms, one image in {:.1} ms{guesses}",
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
