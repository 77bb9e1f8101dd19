//! What a host's name resolves to, kept for as long as its name server allows. Judges no address.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;

use super::fault::Fault;
use crate::inputs::config::{InputsError, UrlConfig};

/// Names whose addresses are kept.
const CACHE: u64 = 1024;
/// Longest time an answer is kept, whatever its server says: a host that moved is found again.
const LONGEST: Duration = Duration::from_secs(3600);
/// The same for the answer that there is no such name.
const LONGEST_ABSENCE: Duration = Duration::from_secs(30);

/// The resolver.
#[derive(Debug)]
pub(super) struct Names(TokioResolver);

impl Names {
    /// A resolver that asks the configured name servers, or the system's. Reads /etc/resolv.conf and /etc/hosts.
    pub(super) fn new(config: &UrlConfig) -> Result<Self, InputsError> {
        let (servers, mut options) = match config.name_servers.as_slice() {
            [] => system(),
            addresses => {
                let servers = addresses.iter().map(|address| {
                    let at_port = |mut connection: ConnectionConfig| {
                        connection.port = address.port();
                        connection
                    };
                    let connections =
                        vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
                    NameServerConfig::new(address.ip(), true, connections)
                });
                (ResolverConfig::from_parts(None, Vec::new(), servers.collect()), ResolverOpts::default())
            }
        };
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = CACHE;
        options.positive_max_ttl = Some(LONGEST);
        options.negative_max_ttl = Some(LONGEST_ABSENCE);
        // Two tries within the time that connecting has in all.
        options.timeout = config.connect_timeout / 2;
        options.attempts = 1;
        let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        builder.build().map(Self).map_err(|error| InputsError::Names(error.to_string()))
    }

    /// Every address of the name.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, Fault> {
        let found = self.0.lookup_ip(name).await.map_err(|error| Fault::Resolve(error.to_string()))?;
        Ok(found.iter().collect())
    }
}

/// What /etc/resolv.conf says; without one the machine itself is asked, as the C library does.
fn system() -> (ResolverConfig, ResolverOpts) {
    read_system_conf().unwrap_or_else(|error| {
        tracing::debug!(%error, "/etc/resolv.conf cannot be used");
        let local = NameServerConfig::udp_and_tcp(std::net::Ipv4Addr::LOCALHOST.into());
        (ResolverConfig::from_parts(None, Vec::new(), vec![local]), ResolverOpts::default())
    })
}
