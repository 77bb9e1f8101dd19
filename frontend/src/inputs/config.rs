//! The `[inputs]` section of the configuration and what may be wrong with it. Owns the defaults; the rules
//! themselves are in the files that apply them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use shm_proto::units;

const MIB: u64 = 1 << 20;
/// Most that `max_images` can be: a list is taken apart in memory before anything else about it is known.
pub(super) const MOST_IMAGES: usize = 256;

/// `[inputs]`: how a picture may arrive, and how large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputsConfig {
    /// Largest request body. A third more than `max_image`, so that the largest picture also fits as base64.
    #[serde(with = "units::bytes")]
    pub max_body: u64,
    /// Largest encoded picture, however it came.
    #[serde(with = "units::bytes")]
    pub max_image: u64,
    /// Most bytes of bodies and pictures that a frontend holds at once; a request that would need more is
    /// answered 429.
    #[serde(with = "units::bytes")]
    pub max_buffered: u64,
    /// Longest pause between two pieces of a body.
    #[serde(with = "units::duration")]
    pub body_idle: Duration,
    /// Fewest bytes of a body a second, on average, after its first 5 seconds. 0: no such limit.
    #[serde(with = "units::bytes")]
    pub min_rate: u64,
    /// Most pictures of one request that lists several.
    pub max_images: usize,
    /// `[inputs.url]`.
    pub url: UrlConfig,
    /// `[inputs.path]`.
    pub path: PathConfig,
}

impl Default for InputsConfig {
    fn default() -> Self {
        Self {
            max_body: 28 * MIB,
            max_image: 20 * MIB,
            max_buffered: 256 * MIB,
            body_idle: Duration::from_secs(10),
            min_rate: 10 << 10,
            max_images: 32,
            url: UrlConfig::default(),
            path: PathConfig::default(),
        }
    }
}

/// `[inputs.url]`: which addresses are fetched. Only global addresses are dialled unless `allow_networks` says
/// otherwise, whatever name they hide behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UrlConfig {
    /// Whether `type=url` is served at all.
    pub enabled: bool,
    /// Ports that may be dialled; empty: any.
    pub ports: Vec<u16>,
    /// When not empty, the only hosts that are fetched from. `"example.com"` is that host, `".example.com"`
    /// that host and every one below it. Opens no network: see `allow_networks`.
    pub allow_hosts: Vec<String>,
    /// Hosts that are never fetched from, written as in `allow_hosts`; wins over it.
    pub deny_hosts: Vec<String>,
    /// Networks that may be dialled although they are not global, such as `"127.0.0.0/8"`. Every address a name
    /// resolves to must be permitted, so `localhost` usually needs `"::1/128"` too.
    pub allow_networks: Vec<IpNet>,
    /// Time for resolving, connecting and the TLS handshake, for each hop.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// Time from the request to the head of the answer, for each hop.
    #[serde(with = "units::duration")]
    pub first_byte_timeout: Duration,
    /// Time for the whole fetch, waiting for a turn and redirects included.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// How many redirects are followed.
    pub redirects: u32,
    /// How many fetches a frontend runs at once; more wait for their turn.
    pub concurrency: usize,
    /// The same for one host, so that a slow one holds up nobody else.
    pub concurrency_per_host: usize,
    /// How long a connection without a fetch is kept for the next one to the same host. Zero: none is kept.
    #[serde(with = "units::duration")]
    pub keep_alive: Duration,
    /// Bytes of fetched pictures that a frontend keeps, as far as their servers allow it. 0: none.
    #[serde(with = "units::bytes")]
    pub cache: u64,
    /// Name servers, `"10.0.0.2:53"`; empty: those of /etc/resolv.conf. Either is read at the start.
    pub name_servers: Vec<SocketAddr>,
    /// A PEM file of certificate authorities to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
}

impl Default for UrlConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            ports: vec![80, 443],
            allow_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            allow_networks: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            first_byte_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(5),
            redirects: 3,
            concurrency: 64,
            concurrency_per_host: 8,
            keep_alive: Duration::from_secs(15),
            cache: 64 * MIB,
            name_servers: Vec::new(),
            ca_file: None,
        }
    }
}

/// `[inputs.path]`: which files of the server are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathConfig {
    /// Folders under which files may be named, relative to one of them or absolute. Empty: `type=path` is off.
    /// Symbolic links, hard-linked files and other file systems mounted below a root are not followed.
    pub roots: Vec<PathBuf>,
}

/// Why the inputs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// A value that makes no sense.
    #[error("{key} {problem}")]
    Value {
        /// The key in the file.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// A root that cannot be opened.
    #[error("inputs.path.roots: cannot open {}: {source}", path.display())]
    Root {
        /// The root as configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel or a seccomp filter does not offer what keeps a path inside its root.
    #[error("inputs.path needs the system call openat2 (Linux 5.6, allowed by the seccomp filter): {0}")]
    Openat2(io::Error),
    /// Names cannot be resolved.
    #[error("inputs.url.name_servers: {0}")]
    Names(String),
    /// Certificates that cannot be read.
    #[error("inputs.url.ca_file: {}: {problem}", path.display())]
    Certificates {
        /// The file as configured.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl InputsConfig {
    /// Refuses values that could never serve a request.
    pub fn check(&self) -> Result<(), InputsError> {
        let refuse = |key, problem: &str| Err(InputsError::Value { key, problem: problem.to_owned() });
        if self.max_image == 0 {
            return refuse("inputs.max_image", "must not be 0");
        }
        if self.max_body < self.max_image {
            return refuse("inputs.max_body", "must not be less than inputs.max_image");
        }
        if self.max_buffered < self.max_body.saturating_add(self.max_image) {
            return refuse("inputs.max_buffered", "must not be less than max_body and max_image together");
        }
        if !(1..=MOST_IMAGES).contains(&self.max_images) {
            return refuse("inputs.max_images", &format!("must be 1 to {MOST_IMAGES}"));
        }
        if self.body_idle.is_zero() {
            return refuse("inputs.body_idle", "must not be 0");
        }
        let url = &self.url;
        if url.concurrency == 0 || url.concurrency > 4096 {
            return refuse("inputs.url.concurrency", "must be 1 to 4096");
        }
        if url.concurrency_per_host == 0 {
            return refuse("inputs.url.concurrency_per_host", "must not be 0");
        }
        if url.connect_timeout.is_zero() || url.first_byte_timeout.is_zero() || url.timeout.is_zero() {
            return refuse("inputs.url", "needs timeouts that are not 0");
        }
        for (key, hosts) in
            [("inputs.url.allow_hosts", &url.allow_hosts), ("inputs.url.deny_hosts", &url.deny_hosts)]
        {
            if let Some(host) = hosts.iter().find(|host| !super::url::is_rule(host)) {
                return refuse(
                    key,
                    &format!("'{host}' is not a host; write \"example.com\" or \".example.com\""),
                );
            }
        }
        Ok(())
    }
}
