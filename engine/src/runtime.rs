//! Finds and loads ONNX Runtime, once a process.
//!
//! Owns the order of the places and the texts for a library that is missing or cannot be used. Sessions are
//! `session`'s business. The library is never linked and never fetched from here.

use crate::config::Device;
use crate::error::EngineError;
use ort::environment::Environment;
use ort::logging::LogLevel;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The version that is fetched and tested. A newer one in the cache folder wins.
pub const VERSION: &str = "1.31.1";

const LIBRARY: &str = "libonnxruntime.so";
const CUDA_PROVIDER: &str = "libonnxruntime_providers_cuda.so";
const SYSTEM_NAMES: [&str; 2] = ["libonnxruntime.so.1", LIBRARY];

/// ONNX Runtime, loaded.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

/// ONNX Runtime has one environment a process; this is where it lives.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library for `device` that `configured` (may be empty), the environment, the cache or the system
    /// names.
    ///
    /// # Errors
    /// When there is none, when it cannot be used, when its CUDA part is missing, or when this process has loaded
    /// another one before.
    pub fn load(device: Device, configured: &Path) -> Result<Self, EngineError> {
        let places = Places::of(device, configured, |name| std::env::var_os(name));
        let found = places.find(device)?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return match found {
                Some(path) if path != runtime.path => Err(another(&path, &runtime.path)),
                _ => Ok(runtime.clone()),
            };
        }
        let runtime = match found {
            Some(path) => {
                let builder = ort::init_from(&path).map_err(|error| unusable(&path, &error))?;
                start(builder, path)?
            }
            None => {
                let system = SYSTEM_NAMES.iter().find_map(|name| Some((ort::init_from(name).ok()?, name)));
                let (builder, name) = system.ok_or_else(|| places.missing(device))?;
                start(builder, PathBuf::from(name))?
            }
        };
        tracing::info!(path = %runtime.path.display(), version = runtime.version, "loaded ONNX Runtime");
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// Version, as the file's name or, failing that, the build says.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the library lies; a bare name when the system's loader found it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Where an installed package brings a library along, in folders as the cache has them.
const INSTALLED: [&str; 2] = ["/usr/local/lib/detectd", "/usr/lib/detectd"];

/// Where the library may lie, before the system is asked.
#[derive(Debug, PartialEq, Eq)]
enum Places {
    /// One place, named by somebody who is told when it is wrong.
    Named { by: &'static str, path: PathBuf },
    /// The cache folder; `None` where the environment names no home.
    Cache(Option<PathBuf>),
}

impl Places {
    fn of(device: Device, configured: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if !configured.as_os_str().is_empty() {
            return Self::Named { by: "engine.runtime", path: configured.to_path_buf() };
        }
        if let Some(path) = set("ORT_DYLIB_PATH") {
            return Self::Named { by: "ORT_DYLIB_PATH", path };
        }
        tracing::debug!(%device, "neither engine.runtime nor ORT_DYLIB_PATH is set");
        let cache = set("DETECTD_CACHE").or_else(|| {
            let caches = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
            Some(caches?.join("detectd"))
        });
        Self::Cache(cache)
    }

    /// The library, `None` where only the system may have it.
    fn find(&self, device: Device) -> Result<Option<PathBuf>, EngineError> {
        let path = match self {
            Self::Named { by, path } => {
                // A relative path is one of the working folder, as every other path of the configuration.
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                if !path.is_file() {
                    let reason = format!(
                        "{by} names it and there is no such file; fetch the library with `{}` and leave {by} unset",
                        remedy(device)
                    );
                    return Err(EngineError::Runtime { path, reason });
                }
                path
            }
            Self::Cache(cache) => {
                let folders = cache.as_deref().into_iter().chain(INSTALLED.map(Path::new));
                match folders.filter_map(|folder| newest(folder, device)).next() {
                    Some(path) => path,
                    None => return Ok(None),
                }
            }
        };
        let path = path.canonicalize().unwrap_or(path);
        if let (Device::Cuda(_), Some(folder)) = (device, path.parent())
            && !folder.join(CUDA_PROVIDER).is_file()
        {
            let reason = format!(
                "{} is missing beside {}; fetch the CUDA build with `{}`",
                CUDA_PROVIDER,
                path.display(),
                remedy(device)
            );
            return Err(EngineError::Device { device: device.to_string(), reason, transient: false });
        }
        Ok(Some(path))
    }

    fn missing(&self, device: Device) -> EngineError {
        let names: Vec<_> = folders(device).map(|folder| format!("{folder}<version>/")).collect();
        let (cache, without) = match self {
            Self::Cache(Some(cache)) => (format!("{}, ", cache.display()), ""),
            _ => (String::new(), " (no cache folder: none of DETECTD_CACHE, XDG_CACHE_HOME and HOME is set)"),
        };
        EngineError::RuntimeMissing {
            kind: if matches!(device, Device::Cuda(_)) { " for CUDA" } else { "" },
            looked: format!(
                "{} in {cache}{}{without}, and {} in the system's library path",
                names.join(" and "),
                INSTALLED.join(", "),
                SYSTEM_NAMES.join(" and ")
            ),
            remedy: remedy(device),
        }
    }
}

/// Prefixes of the cache's folders that hold a library for `device`, the better ones first.
fn folders(device: Device) -> impl Iterator<Item = &'static str> {
    // The GPU build runs on the CPU as well, so it serves when it is all there is.
    let folders: &[_] = if matches!(device, Device::Cuda(_)) {
        &["onnxruntime-gpu-"]
    } else {
        &["onnxruntime-", "onnxruntime-gpu-"]
    };
    folders.iter().copied()
}

/// The newest library of the cache folder.
fn newest(cache: &Path, device: Device) -> Option<PathBuf> {
    folders(device).find_map(|prefix| {
        let names =
            std::fs::read_dir(cache).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let found = names.filter_map(|name| {
            let version = name.strip_prefix(prefix)?;
            let library = cache.join(&name).join(format!("{LIBRARY}.{version}"));
            library.is_file().then_some((numbers(version)?, library))
        });
        found.max().map(|(_, library)| library)
    })
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

const fn remedy(device: Device) -> &'static str {
    match device {
        Device::Cpu | Device::Sim => "scripts/fetch-runtime",
        Device::Cuda(_) => "scripts/fetch-runtime --cuda",
    }
}

fn start(builder: ort::environment::EnvironmentBuilder, path: PathBuf) -> Result<Runtime, EngineError> {
    let logger = Arc::new(|level: LogLevel, _: &str, _: &str, place: &str, message: &str| match level {
        LogLevel::Verbose | LogLevel::Info => tracing::debug!(target: "onnxruntime", place, "{message}"),
        LogLevel::Warning => tracing::warn!(target: "onnxruntime", place, "{message}"),
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "onnxruntime", place, "{message}"),
    });
    let environment = builder
        .with_name("detectd")
        .with_telemetry(false)
        .with_logger(logger)
        .build()
        .map_err(|error| EngineError::Runtime { path: path.clone(), reason: error.to_string() })?;
    // A logger of one's own starts at the lowest level, where every run would format lines that nobody reads.
    environment.set_log_level(LogLevel::Warning);
    let version = version_of(&path);
    Ok(Runtime { environment, path, version })
}

fn version_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name.strip_prefix(LIBRARY).and_then(|rest| rest.strip_prefix('.')) {
        Some(version) if version.contains('.') => version.to_owned(),
        // "ORT Build Info: git-branch=rel-1.31.1, git-commit-id=…"
        _ => {
            let branch = ort::info().split("git-branch=").nth(1).and_then(|rest| rest.split(',').next());
            branch.unwrap_or("unknown").trim_start_matches("rel-").to_owned()
        }
    }
}

fn unusable(path: &Path, error: &ort::LoadDynamicError) -> EngineError {
    let reason =
        format!("{error}; version {VERSION} is known to work, fetch it with `scripts/fetch-runtime`");
    EngineError::Runtime { path: path.to_path_buf(), reason }
}

fn another(wanted: &Path, loaded: &Path) -> EngineError {
    let reason = format!("this process has loaded {} before, and can load one only", loaded.display());
    EngineError::Runtime { path: wanted.to_path_buf(), reason }
}

#[cfg(test)]
mod tests;
