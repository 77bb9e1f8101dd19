//! What `detectd check` and `detectd model inspect` want to know: the model loaded, described and run once, in the
//! calling process. Serves nothing.

use crate::config::{Config, ModelConfig};
use crate::error::EngineError;
use crate::model::Model;
use crate::runtime::Runtime;
use crate::session::model_error;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vision::model::{ModelFacts, RawModel};

/// A model that was loaded and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// What the file declares.
    pub raw: RawModel,
    /// How it will be served.
    pub facts: ModelFacts,
    /// The sidecar that was read, if any.
    pub sidecar: Option<PathBuf>,
    /// The ONNX Runtime library.
    pub runtime_path: PathBuf,
    /// From the file to the last probe, in milliseconds.
    pub load_ms: f64,
    /// One run of one image (of a whole batch where the file fixes its size) on one lane, in milliseconds: the
    /// shortest of three.
    pub run_ms: f64,
}

/// Loads the model as the engine would, and runs it.
///
/// # Errors
/// The same that would keep the engine from serving.
pub fn inspect(model: &ModelConfig, config: &Config) -> Result<Inspection, EngineError> {
    config.check().map_err(EngineError::Config)?;
    let runtime = Runtime::load(config.device, &config.runtime)?;
    let loaded = Model::load(&runtime, config, model)?;
    let mut shortest = f64::INFINITY;
    for _ in 0..3 {
        let took = loaded.warm(1).map_err(|error| model_error(&model.path, &error.to_string()))?;
        shortest = shortest.min(took.as_secs_f64() * 1e3);
    }
    Ok(Inspection {
        raw: loaded.raw,
        facts: loaded.facts,
        sidecar: loaded.sidecar,
        runtime_path: runtime.path().to_path_buf(),
        load_ms: loaded.load_time.as_secs_f64() * 1e3,
        run_ms: shortest,
    })
}
