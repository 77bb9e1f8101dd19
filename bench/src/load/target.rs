//! Where requests go: a plain http address, resolved once.

use crate::BenchError;
use std::net::{SocketAddr, ToSocketAddrs};
use url::Url;

/// A server and a path on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Reads `http://host[:port][/path][?query]`.
    ///
    /// # Errors
    /// When it is no such address, or the name resolves to none.
    pub fn parse(text: &str) -> Result<Self, BenchError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|error| BenchError::usage(format!("{text}: {error}")))?;
        if url.scheme() != "http" {
            return Err(BenchError::usage(format!("{text}: only http:// is measured, not {}", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| BenchError::usage(format!("{text}: no host")))?;
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let mut found =
            (bare, port).to_socket_addrs().map_err(|error| BenchError::failed(format!("{host}: {error}")))?;
        let address = found.next().ok_or_else(|| BenchError::failed(format!("{host} has no address")))?;
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path()));
        Ok(Self { address, host, path })
    }
}
