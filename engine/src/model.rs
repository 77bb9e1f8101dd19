//! A model from its file to something that can be run: read, hashed, described, planned and warmed.
//!
//! Owns the order of these steps and the files beside the model (sidecar, labels). The steps themselves are in
//! `session`, `probe`, `ort_run` and `vision::model`.

use crate::config::{Config, ModelConfig};
use crate::error::EngineError;
use crate::ort_run::{Buffer, RunError, Runner};
use crate::probe;
use crate::runtime::Runtime;
use crate::session::{self, Override, model_error};
use sha2::{Digest, Sha256};
use shm_proto::arena::MAX_OUTPUTS;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vision::model::{ModelFacts, ModelSpec, OutputFacts, RawModel, Sidecar, parse_labels};

/// A model, ready to run.
pub struct Model {
    /// What the frontends are told.
    pub facts: ModelFacts,
    /// What the file declares.
    pub raw: RawModel,
    /// Runs it; shared by the lanes.
    pub runner: Runner,
    /// The sidecar that was read, if any.
    pub sidecar: Option<PathBuf>,
    /// Time it took from the file to the last probe.
    pub load_time: Duration,
}

impl Model {
    /// Loads the model as the configuration says.
    ///
    /// # Errors
    /// Says which file, key or value is wrong and what to do.
    pub fn load(runtime: &Runtime, config: &Config, model: &ModelConfig) -> Result<Self, EngineError> {
        config.check().map_err(EngineError::Config)?;
        let begun = Instant::now();
        let path = &model.path;
        if path.as_os_str().is_empty() {
            return Err(EngineError::Config(
                "no model is configured: set [model] path, or pass --model".to_owned(),
            ));
        }
        let bytes = read("cannot read the model", path)?;
        let version = hex(&Sha256::digest(&bytes));
        let mut session = session::open(runtime, config, path, &bytes, &[])?;
        let raw = session::describe(&session, path)?;
        if raw.outputs.len() > MAX_OUTPUTS {
            let reason = format!("it has {} outputs, {MAX_OUTPUTS} can be served", raw.outputs.len());
            return Err(model_error(path, &reason));
        }
        let (sidecar, labels) = beside(model)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
        let spec = ModelSpec::resolve(stem, &raw, sidecar.as_ref().map(|(_, sidecar)| sidecar), labels);
        let spec = spec.map_err(|error| model_error(path, &error.to_string()))?;

        let overrides = fixed_dims(&session::symbols(&session), &raw, &spec, config);
        if !overrides.is_empty() {
            // Loaded again, because sizes that are known let the runtime fold, fuse and plan more.
            drop(session);
            session = session::open(runtime, config, path, &bytes, &overrides)?;
        }
        let (plan, max_batch) = probe::plan(&session, &raw, &spec, config, path)?;
        let output_facts = plan.outputs.iter().map(|port| OutputFacts {
            name: port.name.clone(),
            element: port.element,
            shape: port.shape.clone(),
            dynamic: port.dynamic,
        });
        // A file that a sidecar names lies relative to it; other processes have other working folders.
        let beside = |path: &Path, name: &String| {
            let file = path.parent().unwrap_or(Path::new("")).join(name);
            std::path::absolute(&file).unwrap_or(file)
        };
        let golden =
            sidecar.as_ref().and_then(|(path, sidecar)| Some(beside(path, sidecar.golden.as_ref()?)));
        let samples = sidecar.as_ref().and_then(|(path, sidecar)| {
            Some(sidecar.samples.as_ref()?.iter().map(|name| beside(path, name)).collect())
        });
        let samples = samples.unwrap_or_else(|| golden.clone().into_iter().collect());
        let facts = ModelFacts {
            spec,
            outputs: output_facts.collect(),
            version,
            device: config.device.to_string(),
            lanes: config.lanes(),
            max_batch,
            runtime: runtime.version().to_owned(),
            golden,
            samples,
        };
        let runner = Runner::new(session, plan).map_err(|error| model_error(path, &error.to_string()))?;
        let sidecar = sidecar.map(|(path, _)| path);
        Ok(Self { facts, raw, runner, sidecar, load_time: begun.elapsed() })
    }

    /// What it means that this model, which loaded, does not run: on a GPU that others use too the memory may be there
    /// again later, elsewhere the model is at fault.
    pub fn run_error(&self, path: &Path, what: &str, error: &RunError) -> EngineError {
        if self.facts.device == "cpu" {
            return model_error(path, &format!("{what}: {error}"));
        }
        let reason = format!("{what}: {error}");
        EngineError::Device { device: self.facts.device.clone(), reason, transient: true }
    }

    /// Runs a batch of `images` in private memory, so that the first picture does not pay for kernels that are
    /// chosen and memory that is allocated on the first run. Returns how long it took.
    pub fn warm(&self, images: u32) -> Result<Duration, RunError> {
        let (plan, images) = (self.runner.plan(), images as usize);
        let mut input = Buffer::new(images * plan.input.bytes());
        probe::noise(&self.facts.spec.input, input.bytes_mut());
        let mut outputs: Vec<Buffer> =
            plan.outputs.iter().map(|port| Buffer::new(images * port.bytes())).collect();
        let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Buffer::bytes_mut).collect();
        let begun = Instant::now();
        self.runner.run_once(images, input.bytes(), &mut outputs)?;
        Ok(begun.elapsed())
    }
}

/// The sidecar with its path, and the labels from a file, where there are any.
#[expect(clippy::type_complexity, reason = "two things that are read together and used once")]
fn beside(model: &ModelConfig) -> Result<(Option<(PathBuf, Sidecar)>, Option<Vec<String>>), EngineError> {
    let named = !model.sidecar.as_os_str().is_empty();
    let path = model.sidecar();
    let sidecar = if named || path.is_file() {
        let text = text("cannot read the sidecar", &path)?;
        let sidecar = Sidecar::parse(&text).map_err(|error| model_error(&path, &error.to_string()))?;
        Some((path, sidecar))
    } else {
        None
    };
    let labels_file = match &sidecar {
        _ if !model.labels.as_os_str().is_empty() => Some(model.labels.clone()),
        Some((path, sidecar)) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            sidecar.labels_file.as_ref().map(|file| folder.join(file))
        }
        None => None,
    };
    let labels =
        labels_file.map(|file| Ok(parse_labels(&text("cannot read the labels", &file)?))).transpose()?;
    Ok((sidecar, labels))
}

/// The input's free dimensions that have a name and a size that is known.
fn fixed_dims(symbols: &[String], raw: &RawModel, spec: &ModelSpec, config: &Config) -> Vec<Override> {
    let declared = raw.inputs.first().map(|input| &input.shape[..]).unwrap_or_default();
    let batch = (config.max_batch() == 1).then_some(1);
    let sizes = std::iter::once(batch).chain(probe::input_dims(&spec.input).map(Some));
    let mut overrides: Vec<Override> = Vec::new();
    for ((symbol, size), declared) in symbols.iter().zip(sizes).zip(declared) {
        if let Some(size) = size
            && *declared < 0
            && !symbol.is_empty()
            && !overrides.iter().any(|(name, _)| name == symbol)
        {
            overrides.push((symbol.clone(), size as i64));
        }
    }
    overrides
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, EngineError> {
    std::fs::read(path).map_err(|source| EngineError::Read { what, path: path.to_path_buf(), source })
}

fn text(what: &'static str, path: &Path) -> Result<String, EngineError> {
    std::fs::read_to_string(path).map_err(|source| EngineError::Read {
        what,
        path: path.to_path_buf(),
        source,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
