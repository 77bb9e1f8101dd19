//! The frontend's part of the configuration: `[frontend]`, `[images]` and `[inputs]`. Owns keys, defaults and
//! which values make no sense; applying them is done where the values are used.

use crate::access::AccessConfig;
use crate::inputs::{InputsConfig, InputsError};
use crate::sandbox::SandboxConfig;
use crate::tls::TlsConfig;
use serde::{Deserialize, Serialize};
use shm_proto::units;
use std::time::Duration;
use vision::decode::Limits;

/// What a frontend is told when it starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[frontend]`.
    pub frontend: FrontendConfig,
    /// `[images]`.
    pub images: ImagesConfig,
    /// `[inputs]`.
    pub inputs: InputsConfig,
    /// `[access]`.
    pub access: AccessConfig,
    /// `[tls]`.
    pub tls: TlsConfig,
    /// `[sandbox]`.
    pub sandbox: SandboxConfig,
    /// No key of the file: whether connections are left in the queue until the model is there. They are when others serve meanwhile, or
    /// when somebody holds the socket so that nobody is refused; otherwise who comes early is told so (503).
    pub patient: bool,
    /// `[harvest]`.
    pub harvest: harvest::Config,
}

/// `[frontend]`: connections, admission and deadlines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontendConfig {
    /// Threads of one frontend that decode and resize. 0: the cores divided by the number of frontends.
    pub decode_threads: u32,
    /// The response time that is promised: no more requests are let in than can be answered within it. Zero: any time.
    #[serde(with = "units::duration")]
    pub rt_target: Duration,
    /// Most detect requests in service at once, however fast they are answered; one more is answered 429 with `Retry-After`.
    pub max_concurrency: u32,
    /// A request that is not answered after this time is answered 504. `X-Timeout-Ms` can only shorten it.
    #[serde(with = "units::duration")]
    pub deadline: Duration,
    /// From a connection to the end of its first header, and from the first byte of any other to its end.
    #[serde(with = "units::duration")]
    pub header_timeout: Duration,
    /// How long a connection may lie idle between two requests. Longer than the 60 seconds after which nginx
    /// closes its side, so that a proxy never sends into a connection that closes.
    #[serde(with = "units::duration")]
    pub keep_alive: Duration,
    /// Longest time in which a client takes no byte of its answer.
    #[serde(with = "units::duration")]
    pub write_timeout: Duration,
    /// Most open connections of one frontend; one more is answered 503. Never more than the limit of open files
    /// leaves room for.
    pub max_connections: u32,
    /// Most open connections of one client address (of IPv6: of one /64 network) to one frontend. 0: any. Behind a proxy all come from
    /// one address.
    pub max_connections_per_address: u32,
    /// After this time a connection ends with its next answer, so that clients spread anew. Zero: never.
    #[serde(with = "units::duration")]
    pub connection_lifetime: Duration,
}

impl Default for FrontendConfig {
    fn default() -> Self {
        Self {
            decode_threads: 0,
            rt_target: Duration::from_secs(1),
            max_concurrency: 256,
            deadline: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(10),
            max_connections: 8192,
            max_connections_per_address: 0,
            connection_lifetime: Duration::from_secs(3600),
        }
    }
}

impl FrontendConfig {
    /// Threads that one of so many frontends decodes with: as configured, or its share of the cores.
    pub fn decode_threads(&self, cores: usize, frontends: u32) -> usize {
        match self.decode_threads {
            0 => cores.div_ceil(frontends.max(1) as usize).max(1),
            threads => threads as usize,
        }
    }
}

/// `[images]`: what a picture may cost. Checked from its header, before anything is allocated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// Most pixels.
    pub max_pixels: u64,
    /// Longest side in pixels.
    pub max_side: u32,
    /// Shortest side in pixels.
    pub min_side: u32,
    /// Greatest ratio of the long to the short side.
    pub max_aspect: u32,
    /// Most scans of a JPEG; each is a pass over the whole picture.
    pub max_scans: u32,
    /// Most memory that decoding one picture may take.
    #[serde(with = "units::bytes")]
    pub max_memory: u64,
    /// Whether of large JPEGs no more is decoded than the model's input needs.
    pub reduce: bool,
    /// Quality, 1–100, of the JPEG that `format=image` answers.
    pub jpeg_quality: u8,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_pixels: limits.max_pixels,
            max_side: limits.max_side,
            min_side: limits.min_side,
            max_aspect: limits.max_aspect,
            max_scans: limits.max_scans,
            max_memory: limits.max_alloc,
            reduce: true,
            jpeg_quality: 85,
        }
    }
}

impl ImagesConfig {
    /// The decoder's limits.
    pub fn limits(&self) -> Limits {
        Limits {
            max_pixels: self.max_pixels,
            max_side: self.max_side,
            min_side: self.min_side,
            max_aspect: self.max_aspect,
            max_scans: self.max_scans,
            max_alloc: self.max_memory,
            ..Limits::default()
        }
    }
}

/// A value that makes no sense, with the key and what it may be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// In `[frontend]` or `[images]`.
    #[error("{key} must be {wanted}")]
    Value {
        /// The key as it stands in the file.
        key: &'static str,
        /// What is allowed.
        wanted: &'static str,
    },
    /// In `[inputs]`.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// In `[harvest]`.
    #[error(transparent)]
    Harvest(#[from] harvest::ConfigError),
}

impl Config {
    /// What a frontend may open: what the sandbox's own keys say, and what other keys name.
    pub(crate) fn open(&self) -> SandboxConfig {
        let mut open = self.sandbox.clone();
        open.read.extend(self.inputs.path.roots.iter().cloned());
        open.write.extend(Some(self.harvest.root.clone()).filter(|root| root.is_absolute()));
        // Their folders, since such a file is often replaced by another of its name.
        for file in [&self.access.keys, &self.tls.certificate, &self.tls.key] {
            open.read.extend(file.parent().filter(|folder| folder.is_absolute()).map(Into::into));
        }
        open
    }

    /// Refuses values that no service can run with.
    ///
    /// # Errors
    /// The first such value, by its key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Config { frontend, images, inputs, harvest, access, tls: _, sandbox: _, patient: _ } = self;
        let positive = |value: Duration| value >= Duration::from_millis(1);
        let rules = [
            ("frontend.decode_threads", frontend.decode_threads <= 1024, "at most 1024"),
            ("frontend.max_concurrency", frontend.max_concurrency > 0, "at least 1"),
            ("frontend.deadline", positive(frontend.deadline), "at least 1ms"),
            ("frontend.header_timeout", positive(frontend.header_timeout), "at least 1ms"),
            ("frontend.keep_alive", positive(frontend.keep_alive), "at least 1ms"),
            ("frontend.write_timeout", positive(frontend.write_timeout), "at least 1ms"),
            ("frontend.max_connections", frontend.max_connections > 0, "at least 1"),
            ("images.max_pixels", images.max_pixels > 0, "at least 1"),
            ("images.max_side", images.max_side > 0, "at least 1"),
            ("images.min_side", images.min_side <= images.max_side, "at most images.max_side"),
            ("images.max_aspect", images.max_aspect > 0, "at least 1"),
            ("images.max_scans", images.max_scans > 0, "at least 1"),
            ("images.max_memory", images.max_memory >= 1 << 20, "at least 1MiB"),
            (
                "access.admin_listen",
                access.admin_listen.is_empty() || access.admin().is_some_and(|address| address.port() > 0),
                "ADDRESS:PORT, the address in figures: \"127.0.0.1:8889\"",
            ),
            (
                "access.cors_origins",
                access.bad_origin().is_none(),
                "origins as browsers send them: \"https://example.com\", or \"*\"",
            ),
            ("images.jpeg_quality", (1..=100).contains(&images.jpeg_quality), "1 to 100"),
        ];
        if let Some((key, _, wanted)) = rules.into_iter().find(|(_, holds, _)| !holds) {
            return Err(ConfigError::Value { key, wanted });
        }
        harvest.check()?;
        Ok(inputs.check()?)
    }
}

#[cfg(test)]
mod tests;
