//! The configuration: every section of the file as one value, checked, with its defaults.
//!
//! Engine and frontend own the types of their sections; this module composes them and owns `[service]` and `[log]`.
//! `load` reads file, environment and flags into it. Nothing here acts on a value.

mod error;
mod load;
mod reload;
mod service;

pub use error::ConfigError;
pub use load::{Override, Sources, env_overrides, load};
pub use reload::changes;
pub use service::{Log, LogFormat, Service};

use crate::core::Settings;
use crate::core::restart::Policy;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where a model is looked for when none is configured, below the configuration's folder, the current one and these.
const DEFAULT_MODEL: &str = "models/codes.onnx";
const SHARED_FOLDERS: [&str; 3] = ["/usr/local/share/detectd", "/usr/share/detectd", "/opt/detectd"];

/// The whole configuration; one field a section of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The service as a whole.
    pub service: Service,
    /// The model.
    pub model: engine::ModelConfig,
    /// How the model runs.
    pub engine: engine::Config,
    /// HTTP: connections, admission, deadlines.
    pub frontend: frontend::config::FrontendConfig,
    /// What a picture may cost.
    pub images: frontend::config::ImagesConfig,
    /// How a picture may arrive.
    pub inputs: frontend::inputs::InputsConfig,
    /// Who may ask, and how often.
    pub access: frontend::access::AccessConfig,
    /// Who the service is to its clients.
    pub tls: frontend::tls::TlsConfig,
    /// What frontends give up.
    pub sandbox: frontend::sandbox::SandboxConfig,
    /// Which answered pictures are kept for review.
    pub harvest: harvest::Config,
    /// What is logged and how.
    pub log: Log,
}

/// A value that cannot be used: its key, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Dotted key.
    pub key: String,
    /// Value, allowed range, reason.
    pub reason: String,
}

impl Config {
    /// Checks that no type can express: ranges, and keys that depend on each other.
    pub fn check(&self) -> Result<(), Fault> {
        self.service.check()?;
        self.log.check()?;
        self.engine.check().map_err(fault_of)?;
        self.frontend_boot(false).check().map_err(|error| fault_of(error.to_string()))?;
        frontend::access::Access::new(&self.access).map_err(|error| fault_of(error.to_string()))?;
        frontend::tls::Tls::new(&self.tls).map_err(|error| fault_of(error.to_string()))?;
        if !self.model.path.as_os_str().is_empty() && !self.model.path.is_file() {
            let path = self.model.path.display();
            return Err(Fault::new(
                "model.path",
                format!("{path}: no such file; `detectd model inspect FILE` shows what a file is"),
            ));
        }
        Ok(())
    }

    /// What a frontend is told when it starts. `patient`: it accepts nobody before it can answer.
    pub fn frontend_boot(&self, patient: bool) -> frontend::config::Config {
        let mut sandbox = self.sandbox.clone();
        // A model's golden picture lies beside it.
        for file in [&self.model.path, &self.model.sidecar] {
            sandbox.read.extend(file.parent().filter(|folder| folder.is_absolute()).map(Path::to_path_buf));
        }
        frontend::config::Config {
            frontend: self.frontend.clone(),
            images: self.images.clone(),
            inputs: self.inputs.clone(),
            access: self.access.clone(),
            tls: self.tls.clone(),
            sandbox,
            harvest: self.harvest.clone(),
            patient,
        }
    }

    /// What the engine is told when it starts.
    pub fn engine_boot(&self) -> engine::EngineBoot {
        engine::EngineBoot { config: self.engine.clone(), model: self.model.clone() }
    }

    /// What the supervisor's core needs to know.
    pub fn settings(&self) -> Settings {
        Settings {
            frontends: self.service.procs(),
            drain_timeout: self.service.drain_timeout,
            start_timeout: self.service.start_timeout,
            frontend_silence: self.service.frontend_silence,
            engine_silence: self.service.engine_silence,
            policy: Policy { hopeless: self.service.max_restarts, ..Policy::default() },
            standby: self.engine.standby,
        }
    }

    /// The model to serve: the configured one, or the built-in one where it is found.
    pub fn find_model(&mut self, base: &Path) -> Result<(), Fault> {
        if !self.model.path.as_os_str().is_empty() {
            return Ok(());
        }
        let folders =
            [base.to_path_buf(), PathBuf::new()].into_iter().chain(SHARED_FOLDERS.map(PathBuf::from));
        let candidates: Vec<PathBuf> = folders.map(|folder| folder.join(DEFAULT_MODEL)).collect();
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => self.model.path = std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            None => {
                return Err(Fault::new(
                    "model.path",
                    format!(
                        "no model is configured and {DEFAULT_MODEL} does not exist here; pass --model FILE.onnx"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Fault {
    fn new(key: &str, reason: impl Into<String>) -> Self {
        Self { key: key.to_owned(), reason: reason.into() }
    }
}

/// Sections that other crates own report `section.key = value: reason` (or `section.key: reason`).
fn fault_of(text: String) -> Fault {
    let end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))).unwrap_or(text.len());
    let (key, reason) = text.split_at(end);
    if key.contains('.') {
        Fault::new(key, reason.trim_start_matches([':', '=', ' ']))
    } else {
        Fault::new("", text)
    }
}

#[cfg(test)]
mod tests;
