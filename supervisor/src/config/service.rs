//! The sections that the supervisor owns: `[service]` and `[log]`.

use super::Fault;
use crate::core::restart::Policy;
use serde::{Deserialize, Serialize};
use shm_proto::units;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// Section `[service]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Name under which `detectd status` finds the service. Empty: the port's number.
    pub name: String,
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Number of frontends; 0: one per core.
    pub procs: u32,
    /// Time for requests in flight when the service stops or a frontend is replaced.
    #[serde(with = "units::duration")]
    pub drain_timeout: Duration,
    /// Time for the engine to load and warm the model, and for a frontend to come alive.
    #[serde(with = "units::duration")]
    pub start_timeout: Duration,
    /// A frontend whose heartbeat stands still for longer is replaced.
    #[serde(with = "units::duration")]
    pub frontend_silence: Duration,
    /// The same for the engine; longer than its longest run.
    #[serde(with = "units::duration")]
    pub engine_silence: Duration,
    /// More deaths of one process than this within 10 minutes end the service.
    pub max_restarts: usize,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: String::new(),
            listen: "127.0.0.1:8888".to_owned(),
            procs: 2,
            drain_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(120),
            frontend_silence: Duration::from_secs(3),
            engine_silence: Duration::from_secs(10),
            max_restarts: Policy::default().hopeless,
        }
    }
}

impl Service {
    /// Most frontends that fit into the arena's and the board's tables.
    pub const MOST_PROCS: u8 = shm_proto::arena::MAX_FRONTENDS as u8;

    /// Number of frontends, with 0 resolved: one per core that this process may use.
    pub fn procs(&self) -> u8 {
        match self.procs {
            0 => std::thread::available_parallelism()
                .map_or(1, |cores| u8::try_from(cores.get()).unwrap_or(u8::MAX))
                .min(Self::MOST_PROCS),
            // No more than fit was checked when the configuration was read.
            procs => u8::try_from(procs).unwrap_or(Self::MOST_PROCS),
        }
    }

    /// The addresses that `listen` stands for.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, Fault> {
        let fault = |reason: String| Fault::new("service.listen", format!("{:?}: {reason}", self.listen));
        let form = "write ADDRESS:PORT, for example \"127.0.0.1:8888\", \"0.0.0.0:8888\" or \"[::]:8888\"";
        match self.listen.to_socket_addrs() {
            Ok(found) => Ok(found.collect()),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Err(fault(form.to_owned())),
            Err(error) => Err(fault(format!("{error}; {form}"))),
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.procs > u32::from(Self::MOST_PROCS) {
            let reason =
                format!("{} is out of range; allowed: 0 (one per core) to {}", self.procs, Self::MOST_PROCS);
            return Err(Fault::new("service.procs", reason));
        }
        if !self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            || self.name.len() > 64
        {
            let reason = format!("{:?}: use at most 64 letters, digits, '-', '_' and '.'", self.name);
            return Err(Fault::new("service.name", reason));
        }
        within("service.drain_timeout", self.drain_timeout, 0, 3600)?;
        within("service.start_timeout", self.start_timeout, 1, 3600)?;
        within("service.frontend_silence", self.frontend_silence, 1, 600)?;
        within("service.engine_silence", self.engine_silence, 1, 600)?;
        // Its form only: a name is resolved when it is listened on, since that can take long.
        let port = self.listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>().is_ok());
        if port == Some(true) { Ok(()) } else { self.addresses().map(drop) }
    }
}

fn within(key: &str, value: Duration, least: u64, most: u64) -> Result<(), Fault> {
    if value < Duration::from_secs(least) || value > Duration::from_secs(most) {
        let value = units::format_duration(value);
        return Err(Fault::new(
            key,
            format!("\"{value}\" is out of range; allowed: \"{least}s\" to \"{most}s\""),
        ));
    }
    Ok(())
}

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, for all or by part: `"info,engine=debug"`.
    pub level: String,
    /// Form of a line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Log {
    pub(super) fn check(&self) -> Result<(), Fault> {
        crate::logging::filter(&self.level).map(drop).map_err(|reason| Fault::new("log.level", reason))
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `human` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// As written in file and flags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}
