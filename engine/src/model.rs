//! A model from its file to something that can be run: read, hashed, described, planned and warmed.
//!
//! Owns the order of these steps and the files beside the model (sidecar, labels). The steps themselves are in
//! `graph`, `session`, `probe`, `ort_run` and `vision::model`.

use crate::config::{Config, Curve, Device, ModelConfig, Point, SimConfig};
use crate::error::EngineError;
use crate::graph;
use crate::ort_run::{Buffer, RunError, Runner, Width};
use crate::pixels::Pixels;
use crate::probe;
use crate::runtime::Runtime;
use crate::session::{self, Override, Threads, model_error};
use crate::sim::Simulation;
use crate::width::{WORTH_SHARING, Widths};
use sha2::{Digest, Sha256};
use shm_proto::arena::MAX_OUTPUTS;
use shm_proto::clock::Nanos;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vision::model::{ModelFacts, ModelSpec, OutputFacts, RawModel, Sidecar, parse_labels};
use vision::tensor::Element;

/// Runs that are compared to learn what one costs: the shortest counts, since whatever else the machine does only
/// makes them longer.
const COMPARED: u32 = 6;

/// Where and how a batch is run.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The lane that runs it.
    pub lane: u32,
    /// When the last of its images was submitted.
    pub submitted: Nanos,
    /// With how many threads.
    pub width: Width,
}

/// A model, ready to run.
pub struct Model {
    /// What the frontends are told.
    pub facts: ModelFacts,
    /// What the file declares.
    pub raw: RawModel,
    /// Runs it; shared by the lanes.
    pub runner: Runner,
    /// Makes the numbers of what lies in a seat, where the frontends do not.
    pub pixels: Option<Pixels>,
    /// What runs of either width take, where there are two.
    pub widths: Option<Widths>,
    /// What runs in its place when the device is simulated.
    pub simulation: Option<Simulation>,
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
        let rewritten = match graph::rewritten(&bytes, config.optimization) {
            Cow::Owned(rewritten) => Some(rewritten),
            Cow::Borrowed(_) => None,
        };
        // The file's own bytes go at once: a large model is not there twice while sessions are made.
        let bytes = rewritten.unwrap_or(bytes);
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
        // What a simulation finds is of no worth, so there is nothing to compare.
        let tested = sidecar.as_ref().filter(|_| config.device != Device::Sim);
        let golden = tested.and_then(|(path, sidecar)| Some(beside(path, sidecar.golden.as_ref()?)));
        let samples = sidecar.as_ref().and_then(|(path, sidecar)| {
            Some(sidecar.samples.as_ref()?.iter().map(|name| beside(path, name)).collect())
        });
        let samples = samples.unwrap_or_else(|| golden.clone().into_iter().collect());
        // An accelerator copies the seat to its own memory, without a lane's help.
        let numbers = spec.input.element == Element::F32 && !matches!(config.device, Device::Cuda(_));
        let pixels = numbers.then(|| Pixels::new(&spec.input, max_batch));
        let facts = ModelFacts {
            seat: if numbers { spec.input.pixels() } else { spec.input.clone() },
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
        let failed = |error: RunError| model_error(path, &error.to_string());
        let mut runner = Runner::new(session, plan).map_err(failed)?;
        if let Some(count) = config.idle_threads() {
            let threads = Threads::idle(count);
            let wide = session::open_with(runtime, config, path, &bytes, &overrides, threads)?;
            runner.set_wide(Some(wide));
        }
        let sidecar = sidecar.map(|(path, _)| path);
        let mut model = Self {
            facts,
            raw,
            runner,
            pixels,
            widths: None,
            simulation: None,
            sidecar,
            load_time: begun.elapsed(),
        };
        model.choose_width().map_err(failed)?;
        if config.device == Device::Sim {
            model.simulation = Some(model.simulate(&config.sim).map_err(failed)?);
        }
        model.load_time = begun.elapsed();
        Ok(model)
    }

    /// Keeps the session of wide runs unless there is nothing to share. Which is the faster one is not decided
    /// here, where another engine may be at work for the same service: [`Widths`] finds out while serving.
    fn choose_width(&mut self) -> Result<(), RunError> {
        if !self.runner.has_wide() {
            return Ok(());
        }
        let [mut narrow, mut wide] = [Duration::MAX; 2];
        // Turn by turn, so that a machine that is busy for a while is so for both.
        for _ in 0..COMPARED {
            narrow = narrow.min(self.time(Width::Narrow, 1)?);
            wide = wide.min(self.time(Width::Wide, 1)?);
        }
        if narrow < WORTH_SHARING {
            self.runner.set_wide(None);
        } else {
            tracing::info!(?narrow, ?wide, "a run as always against one that has the machine to itself");
            self.widths = Some(Widths::new(narrow, wide));
        }
        Ok(())
    }

    /// What runs in the model's place: the curve as configured, or as measured here.
    fn simulate(&self, config: &SimConfig) -> Result<Simulation, RunError> {
        let mut points = config.curve.clone();
        if points.is_empty() {
            for images in 1..=self.facts.max_batch {
                let mut time = Duration::MAX;
                for _ in 0..COMPARED {
                    time = time.min(self.time(Width::Narrow, images)?);
                }
                points.push(Point { images, time });
            }
        }
        let plan = self.runner.plan();
        let (_, outputs) = self.run_on_noise(Width::Narrow, 1)?;
        tracing::warn!(
            ?points,
            speedup = config.speedup,
            "SIMULATED: runs take the time of a modelled accelerator"
        );
        let each =
            plan.outputs.iter().zip(outputs).map(|(port, output)| output.bytes()[..port.bytes()].to_vec());
        Ok(Simulation::new(Curve::new(points, config.speedup), each.collect(), self.facts.lanes))
    }

    /// Runs a batch for a lane, `submitted` at the latest then, on what the seats hold. As [`Runner::run_as`].
    ///
    /// # Errors
    /// As [`Runner::run_as`].
    pub fn run(
        &self,
        turn: Turn,
        images: usize,
        input: &[u8],
        outputs: &mut [&mut [u8]],
    ) -> Result<u64, RunError> {
        match (&self.simulation, &self.pixels) {
            (Some(simulation), _) => {
                simulation.run(turn.lane, turn.submitted, images, outputs);
                Ok(0)
            }
            (None, Some(pixels)) => {
                pixels.normalised(input, |input| self.runner.run_as(turn.width, images, input, outputs))
            }
            (None, None) => self.runner.run_as(turn.width, images, input, outputs),
        }
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
        self.time(Width::Narrow, images)
    }

    /// Gives back what first runs took and none needs any more, once they are done.
    pub fn shed(&self) {
        if self.facts.device != "cpu" {
            return;
        }
        let plan = self.runner.plan();
        let images = plan.fixed_batch.unwrap_or(1);
        let mut input = Buffer::new(images * plan.input.bytes());
        probe::noise(&self.facts.spec.input, input.bytes_mut());
        if let Err(error) = self.runner.shed(images, input.bytes()) {
            tracing::warn!(%error, "the runtime keeps what its first runs took");
        }
    }

    fn time(&self, width: Width, images: u32) -> Result<Duration, RunError> {
        self.run_on_noise(width, images as usize).map(|(took, _)| took)
    }

    fn run_on_noise(&self, width: Width, images: usize) -> Result<(Duration, Vec<Buffer>), RunError> {
        let plan = self.runner.plan();
        let mut input = Buffer::new(images * plan.input.bytes());
        probe::noise(&self.facts.spec.input, input.bytes_mut());
        let mut outputs: Vec<Buffer> =
            plan.outputs.iter().map(|port| Buffer::new(images * port.bytes())).collect();
        let mut slices: Vec<&mut [u8]> = outputs.iter_mut().map(Buffer::bytes_mut).collect();
        let begun = Instant::now();
        self.runner.run_once(width, images, input.bytes(), &mut slices)?;
        Ok((begun.elapsed(), outputs))
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
