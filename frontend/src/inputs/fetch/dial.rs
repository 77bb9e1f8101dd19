//! Connecting to a host: resolve once, judge *every* address found, dial one of exactly those.
//!
//! The connection pool has no other way to a connection than this one, so what it keeps was judged when it was
//! dialled, under the only rules that its process ever has.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tower_service::Service;
use url::Host;

use super::fault::Fault;
use super::names::Names;
use crate::inputs::address::Addresses;
use crate::inputs::config::{InputsError, UrlConfig};

/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;

/// Opens connections, for the pool.
#[derive(Clone)]
pub(super) struct Dialler(Arc<Means>);

struct Means {
    addresses: Addresses,
    names: Names,
    tls: TlsConnector,
    patience: Duration,
    /// One for each connection that may be kept; one without is closed after its fetch.
    places: Arc<Semaphore>,
}

impl Dialler {
    /// A dialler under the configuration's rules. Of its connections as many are kept as fetches may run, twice.
    pub(super) fn new(config: &UrlConfig) -> Result<Self, InputsError> {
        Ok(Self(Arc::new(Means {
            addresses: Addresses::new(&config.allow_networks),
            names: Names::new(config)?,
            tls: tls(config)?,
            patience: config.connect_timeout,
            places: Arc::new(Semaphore::new(2 * config.concurrency)),
        })))
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Wire>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let means = self.0.clone();
        Box::pin(async move {
            let wire = timeout(means.patience, means.connect(&uri)).await.map_err(|_| Fault::Late)??;
            Ok(TokioIo::new(wire))
        })
    }
}

impl Means {
    async fn connect(&self, uri: &Uri) -> Result<Wire, Fault> {
        let host = uri.host().and_then(|host| Host::parse(host).ok());
        let host = host.ok_or_else(|| Fault::Connect("there is no host".to_owned()))?;
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = self.dial(&self.resolve(&host, port).await?).await?;
        let place = self.places.clone().try_acquire_owned().ok();
        let first = First(Arc::new(AtomicBool::new(true)));
        if !is_https {
            return Ok(Wire { stream: Box::new(stream), is_h2: false, place, first });
        }
        let name = match host {
            Host::Domain(name) => {
                ServerName::try_from(name).map_err(|error| Fault::Connect(error.to_string()))?
            }
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(address)),
        };
        let stream = self.tls.connect(name, stream).await.map_err(connect_fault)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Wire { stream: Box::new(stream), is_h2, place, first })
    }

    /// The host's addresses, each of which may be dialled.
    async fn resolve(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        let addresses = match host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self.names.look_up(name).await?,
        };
        let own = own_addresses();
        let refused = addresses.iter().copied().find(|&address| {
            !self.addresses.permits(address) || (own.contains(&address) && !self.addresses.opens(address))
        });
        match refused {
            Some(address) => Err(Fault::Refused(address)),
            None => Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
        }
    }

    /// Connects to the first address that answers, each within its share of the time.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
        let tried = &addresses[..addresses.len().min(MOST_ADDRESSES)];
        let share = self.patience / tried.len().max(1) as u32;
        let mut last = Fault::Connect("there is no address".to_owned());
        for address in tried {
            last = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // One small request: waiting to fill a packet would only delay it.
                    stream.set_nodelay(true).map_err(connect_fault)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => connect_fault(error),
                Err(_) => Fault::Late,
            };
        }
        Err(last)
    }
}

fn connect_fault(error: std::io::Error) -> Fault {
    Fault::Connect(error.to_string())
}

/// Both halves of a connection, encrypted or not.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection, with the right to be kept if it has one.
pub(super) struct Wire {
    stream: Box<dyn Duplex>,
    is_h2: bool,
    place: Option<OwnedSemaphorePermit>,
    first: First,
}

/// Comes with every answer that a connection carries and is true once.
#[derive(Clone, Debug)]
pub(super) struct First(Arc<AtomicBool>);

impl First {
    /// Whether this is the connection's first answer.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.first.clone());
        if self.place.is_none() {
            connected.poison();
        }
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The addresses of this machine's interfaces: what listens there only for itself is not public, whatever the
/// address looks like. Read anew each time, since they change while the service runs.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
                (Some(v4), _) => Some(IpAddr::V4(v4.ip())),
                (_, Some(v6)) => Some(IpAddr::V6(v6.ip())),
                _ => None,
            }
        })
        .collect()
}

fn tls(config: &UrlConfig) -> Result<TlsConnector, InputsError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &config.ca_file {
        let fault = |problem: String| InputsError::Certificates { path: path.clone(), problem };
        let before = roots.len();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))? {
            let certificate = certificate.map_err(|error| fault(error.to_string()))?;
            roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(fault("holds no certificate".to_owned()));
        }
    }
    let mut client = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_knows_its_own_addresses() {
        assert!(own_addresses().contains(&IpAddr::from([127, 0, 0, 1])));
    }
}
