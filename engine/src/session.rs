//! Turns a model's bytes into a session, and says what the file declares.
//!
//! Owns the session's options and the words for a model that cannot be served at all. What the model means is
//! `vision`'s business, and running it `ort_run`'s.

use crate::config::{Config, Device, Optimization};
use crate::error::EngineError;
use crate::runtime::Runtime;
use ort::ep;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{Outlet, TensorElementType, ValueType};
use std::path::Path;
use vision::model::RawModel;
use vision::tensor::{Element, TensorInfo};

/// A named free dimension and the size that it is fixed at.
pub type Override = (String, i64);

/// The threads that share a run of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// How many, the lane that calls included.
    pub count: u32,
    /// Whether they burn their core while they wait for work.
    pub spinning: bool,
    /// Whether they stop to when the run ends.
    pub rests: bool,
}

impl Threads {
    /// As configured, for when the machine is busy.
    pub fn always(config: &Config) -> Self {
        Self { count: config.threads(), spinning: config.spinning, rests: false }
    }

    /// For the one request on an idle machine. Sleeping and waking for each of a hundred nodes would cost more than
    /// is gained, and the cores have nothing else to do.
    pub fn idle(count: u32) -> Self {
        Self { count, spinning: true, rests: true }
    }
}

/// Makes a session of `bytes`, the contents of `path`, on the configured device.
///
/// # Errors
/// [`EngineError::Device`] when the device refuses, [`EngineError::Model`] when the model does not load.
pub fn open(
    runtime: &Runtime,
    config: &Config,
    path: &Path,
    bytes: &[u8],
    overrides: &[Override],
) -> Result<Session, EngineError> {
    open_with(runtime, config, path, bytes, overrides, Threads::always(config))
}

/// As [`open`], with other threads than configured.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    runtime: &Runtime,
    config: &Config,
    path: &Path,
    bytes: &[u8],
    overrides: &[Override],
    threads: Threads,
) -> Result<Session, EngineError> {
    let wrong = |error: ort::Error| model_error(path, error.message());
    let builder = Session::builder(runtime.environment()).map_err(wrong)?;
    let builder = options(builder, config, overrides, threads).map_err(wrong)?;
    let mut builder = device(builder, config.device)?;
    builder.commit_from_memory(bytes).map_err(|error| match config.device {
        Device::Cuda(_) if error.message().contains("CUDA") => device_error(config.device, error.message()),
        _ => model_error(path, error.message()),
    })
}

fn options(
    builder: SessionBuilder,
    config: &Config,
    overrides: &[Override],
    threads: Threads,
) -> ort::Result<SessionBuilder> {
    let level = match config.optimization {
        Optimization::None => GraphOptimizationLevel::Disable,
        Optimization::Basic => GraphOptimizationLevel::Level1,
        Optimization::Extended => GraphOptimizationLevel::Level2,
        Optimization::Layout => GraphOptimizationLevel::Level3,
        Optimization::All => GraphOptimizationLevel::All,
    };
    let mut builder = builder
        .with_optimization_level(level)?
        .with_parallel_execution(false)?
        .with_inter_threads(1)?
        // With one thread the lane that calls does the work itself, and no thread has to be woken.
        .with_intra_threads(threads.count as usize)?
        .with_intra_op_spinning(threads.spinning)?
        // Between runs nobody burns a core: whoever spins does so within a run, between two of its nodes.
        .with_config_entry("session.force_spinning_stop", if threads.rests { "1" } else { "0" })?
        .with_inter_op_spinning(config.spinning)?
        .with_memory_pattern(true)?
        // Numbers next to zero cost many times more than others and change no detection. It holds for the thread
        // that makes the first session and for those started from it, which is why lanes start from there.
        .with_flush_to_zero()?
        .with_log_level(LogLevel::Warning)?;
    for (name, size) in overrides {
        builder = builder.with_dimension_override(name, *size)?;
    }
    Ok(builder)
}

fn device(builder: SessionBuilder, device: Device) -> Result<SessionBuilder, EngineError> {
    let provider = match device {
        Device::Cpu | Device::Sim => ep::CPU::default().with_arena_allocator(true).build(),
        Device::Cuda(number) => ep::CUDA::default()
            .with_device_id(i32::try_from(number).unwrap_or(i32::MAX))
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Exhaustive)
            .build(),
    };
    // Without this a GPU that cannot be had would mean a CPU that silently serves at a tenth of the speed.
    let registered = builder.with_execution_providers([provider.error_on_failure()]);
    registered.map_err(|error| device_error(device, error.message()))
}

/// What the session says of its model.
///
/// # Errors
/// [`EngineError::Model`] for more than one input, and for a value that is no tensor of a served element type.
pub fn describe(session: &Session, path: &Path) -> Result<RawModel, EngineError> {
    let tensors = |outlets: &[Outlet], what: &str| -> Result<Vec<TensorInfo>, EngineError> {
        outlets
            .iter()
            .map(|outlet| tensor(outlet, what).map_err(|reason| model_error(path, &reason)))
            .collect()
    };
    let inputs = tensors(session.inputs(), "input")?;
    let outputs = tensors(session.outputs(), "output")?;
    if let [_, _, ..] = &inputs[..] {
        let names = inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
        let reason = format!(
            "it has {} inputs ({names}); a model with one input, the picture, can be served. Fold the others into \
             the graph when you export it",
            inputs.len()
        );
        return Err(model_error(path, &reason));
    }
    if inputs.is_empty() || outputs.is_empty() {
        return Err(model_error(path, "it has no input or no output"));
    }
    let metadata = session.metadata().and_then(|metadata| {
        let keys = metadata.custom_keys()?;
        Ok(keys.into_iter().filter_map(|key| metadata.custom(&key).map(|value| (key, value))).collect())
    });
    let metadata = metadata.map_err(|error| model_error(path, error.message()))?;
    Ok(RawModel { inputs, outputs, metadata })
}

/// Names of the input's free dimensions by axis; empty where a dimension is fixed or has no name.
pub fn symbols(session: &Session) -> Vec<String> {
    match session.inputs().first().map(Outlet::dtype) {
        Some(ValueType::Tensor { dimension_symbols, .. }) => dimension_symbols.to_vec(),
        _ => Vec::new(),
    }
}

fn tensor(outlet: &Outlet, what: &str) -> Result<TensorInfo, String> {
    let name = outlet.name();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!(
            "{what} {name} is {}, not a tensor; export the model without it (for scikit-learn: zipmap off)",
            outlet.dtype()
        ));
    };
    let element = match ty {
        TensorElementType::Uint8 => Element::U8,
        TensorElementType::Float16 => Element::F16,
        TensorElementType::Float32 => Element::F32,
        TensorElementType::Int32 => Element::I32,
        TensorElementType::Int64 => Element::I64,
        other => {
            return Err(format!(
                "{what} {name} has elements of type {other}; uint8, float16, float32, int32 and int64 can be served"
            ));
        }
    };
    Ok(TensorInfo { name: name.to_owned(), element, shape: shape.to_vec() })
}

pub(crate) fn model_error(path: &Path, reason: &str) -> EngineError {
    EngineError::Model { path: path.to_path_buf(), reason: reason.to_owned() }
}

fn device_error(device: Device, message: &str) -> EngineError {
    let first = message.lines().next().unwrap_or_default();
    // Nothing a restart changes: the libraries that the provider needs are not installed.
    let transient =
        !(message.contains("cannot open shared object") || message.contains("Failed to load library"));
    let reason = format!(
        "{first}; check the driver with `nvidia-smi` and that CUDA 13 and cuDNN 9 are in the library path, or set \
         engine.device = \"cpu\""
    );
    EngineError::Device { device: device.to_string(), reason, transient }
}
