//! What can be set of the engine: the sections `[engine]` and `[model]` of the configuration file.
//!
//! Owns the values, their defaults and what `0` (automatic) turns into on this machine. Reads no file and no
//! environment: the supervisor composes these sections and passes them to the role as [`EngineBoot`].

mod sim;

pub use sim::{Curve, Point, SimConfig};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Section `[engine]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the model runs: `cpu`, `cuda:N` for the GPU with number N, or `sim` for a modelled accelerator.
    pub device: Device,
    /// Path of `libonnxruntime.so`. Empty: `ORT_DYLIB_PATH`, then the cache folder, then the system's libraries.
    pub runtime: PathBuf,
    /// Concurrent runs of the session. 0: one per core on the CPU, 2 on a GPU (one copies while one computes), 1
    /// simulated.
    pub lanes: u32,
    /// Threads that share one run. 0: 1, so that cores serve different pictures and none waits for another.
    pub threads: u32,
    /// Threads that share a run while no other request is in service, on the CPU: a second session, which takes its
    /// memory again and is given up at warm-up if it is not clearly faster. 0: one per core, at most
    /// [`Config::IDLE_THREADS`]; 1: none.
    pub idle_threads: u32,
    /// Most images in one run. 0: 1 on the CPU, where a batch gains nothing, and 8 elsewhere; a model whose batch
    /// axis is fixed decides itself.
    pub max_batch: u32,
    /// How long a batch that is not full waits for more images. 0: a free lane takes what is there at once.
    #[serde(with = "shm_proto::units::duration")]
    pub max_delay: Duration,
    /// Whether threads of a run burn their core while they wait for work: lower latency, no idle core.
    pub spinning: bool,
    /// Images that can be in shared memory at once. 0: enough to keep every lane busy and one batch each ready.
    pub seats: u32,
    /// A run that lasts longer than this, and longer than twenty runs took when warming up, is stuck: the engine
    /// ends itself and is started again. 0: never.
    #[serde(with = "shm_proto::units::duration")]
    pub run_timeout: Duration,
    /// Whether a second engine waits with the model loaded, to take over at once when the first one dies.
    pub standby: bool,
    /// How far the graph is rewritten: `none`, `basic`, `extended`, `layout` or `all`. From `extended` on, slices that take
    /// every second pixel are folded into the convolution behind them before ONNX Runtime does the rest.
    pub optimization: Optimization,
    /// The modelled accelerator of the device `sim`.
    pub sim: SimConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            runtime: PathBuf::new(),
            lanes: 0,
            threads: 0,
            idle_threads: 0,
            max_batch: 0,
            max_delay: Duration::ZERO,
            spinning: false,
            seats: 0,
            run_timeout: Duration::from_secs(5),
            standby: false,
            optimization: Optimization::All,
            sim: SimConfig::default(),
        }
    }
}

impl Config {
    /// Most lanes that can be asked for; more would be threads that only wait for a core.
    pub const MOST_LANES: u32 = 1024;
    /// Threads that share a run on an idle machine, at most, unless told otherwise: beyond, small networks gain little.
    pub const IDLE_THREADS: u32 = 4;
    /// Most images in one run that can be asked for.
    pub const MOST_BATCH: u32 = 1024;

    /// Says which value cannot be used, naming its key.
    pub fn check(&self) -> Result<(), String> {
        let within = |key: &str, value: u32, most: u32| {
            if value <= most { Ok(()) } else { Err(format!("engine.{key} = {value}: the most is {most}")) }
        };
        within("lanes", self.lanes, Self::MOST_LANES)?;
        within("threads", self.threads, Self::MOST_LANES)?;
        within("idle_threads", self.idle_threads, Self::MOST_LANES)?;
        within("max_batch", self.max_batch, Self::MOST_BATCH)?;
        within("seats", self.seats, shm_proto::arena::MAX_SEATS)?;
        if self.max_delay > Duration::from_secs(1) {
            return Err(format!(
                "engine.max_delay = {:?}: a request would wait so long, the most is 1s",
                self.max_delay
            ));
        }
        self.sim.check()
    }

    /// Concurrent runs, with 0 resolved for this machine (affinity mask and cgroup quota count).
    pub fn lanes(&self) -> u32 {
        match (self.lanes, self.device) {
            (0, Device::Cpu) => (cores() / self.threads().max(1)).clamp(1, Self::MOST_LANES),
            (0, Device::Cuda(_)) => 2,
            (0, Device::Sim) => 1,
            (lanes, _) => lanes,
        }
    }

    /// Threads of one run, with 0 resolved.
    pub fn threads(&self) -> u32 {
        self.threads.max(1)
    }

    /// Threads of a run while no other request is in service, with 0 resolved; `None` where that is no more than
    /// always.
    pub fn idle_threads(&self) -> Option<u32> {
        let threads = match (self.idle_threads, self.device) {
            (_, Device::Cuda(_) | Device::Sim) => return None,
            (0, Device::Cpu) => cores().min(Self::IDLE_THREADS),
            (threads, Device::Cpu) => threads,
        };
        (threads > self.threads()).then_some(threads)
    }

    /// Most images in one run, with 0 resolved, for a model whose batch axis is free.
    pub fn max_batch(&self) -> u32 {
        match (self.max_batch, self.device) {
            (0, Device::Cpu) => 1,
            (0, Device::Cuda(_) | Device::Sim) => 8,
            (most, _) => most,
        }
    }

    /// Images in shared memory at once, with 0 resolved: for every lane a batch that runs and one that fills, and two
    /// seats a frontend for pictures that are being written or read, for as many frontends as the cores can keep at
    /// work at once; where runs are single pictures, which can have their seat before they are decoded, at least one for each
    /// of the `decoding` threads of all frontends. Never less than one batch.
    pub fn seats(&self, lanes: u32, max_batch: u32, frontends: u32, decoding: u32) -> u32 {
        let batch = max_batch.max(1);
        match self.seats {
            0 => {
                let at_work = frontends.min(cores());
                let beside = if batch == 1 { decoding.max(cores() + at_work) } else { 2 * at_work };
                lanes.max(1).saturating_mul(batch).saturating_mul(2).saturating_add(beside)
            }
            seats => seats.max(batch),
        }
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// Where the model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The processor's cores.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this number.
    Cuda(u32),
    /// None: runs take the time that section `[engine.sim]` says, and what they find is of no worth.
    Sim,
}

impl Device {
    /// What the simulated device is called, in the configuration and in every report.
    pub const SIM: &str = "sim";
}

impl fmt::Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => out.write_str("cpu"),
            Self::Cuda(number) => write!(out, "cuda:{number}"),
            Self::Sim => out.write_str(Self::SIM),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|number| *number <= i32::MAX as u32);
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            None if text == Self::SIM => Ok(Self::Sim),
            Some(("cuda", text)) if number(text).is_some() => {
                Ok(Self::Cuda(number(text).unwrap_or_default()))
            }
            _ => Err(format!("device {text:?} is none of \"cpu\", \"cuda:0\", \"cuda:1\", …, \"sim\"")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// How far the graph is rewritten before the first run, by [`crate::graph`] and by ONNX Runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimization {
    /// Not at all.
    None,
    /// Constants are folded, nodes without effect removed.
    Basic,
    /// Nodes are fused too.
    Extended,
    /// The memory layout fits the processor too.
    Layout,
    /// Everything the runtime knows.
    #[default]
    All,
}

/// Section `[model]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The `.onnx` file.
    pub path: PathBuf,
    /// The TOML that describes it. Empty: the file of the same name with `.toml` beside the model, if there is one.
    pub sidecar: PathBuf,
    /// A file with the classes' names, one a line. Empty: what the sidecar or the model's metadata say.
    pub labels: PathBuf,
}

impl ModelConfig {
    /// A model without anything said about it but where it lies.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), ..Self::default() }
    }

    /// The sidecar: the one that is named, or the one that lies beside the model, whether it exists or not.
    pub fn sidecar(&self) -> PathBuf {
        if self.sidecar.as_os_str().is_empty() {
            self.path.with_extension("toml")
        } else {
            self.sidecar.clone()
        }
    }

    /// The files that decide what the model is.
    pub fn files(&self) -> [PathBuf; 3] {
        [self.path.clone(), self.sidecar(), self.labels.clone()]
    }
}

/// What the supervisor tells the engine role when it starts, as JSON over the control channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineBoot {
    /// Section `[engine]`.
    pub config: Config,
    /// Section `[model]`.
    pub model: ModelConfig,
}

#[cfg(test)]
mod tests;
