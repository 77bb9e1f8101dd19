//! Fetching a picture from an address a client named.
//!
//! Every hop is: judge the text, resolve once, judge *every* address found, dial one of exactly those, and read
//! no more than the limit. No proxy, no cookies, no credentials, no content codings, redirects by hand. A client
//! learns one thing from a failure: that there was one. The cause goes to the debug log.
//!
//! A connection serves one fetch. Keeping some open between fetches would go into [`Fetcher::connect`].

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use url::Host;

use super::budget::Room;
use super::config::{InputsError, UrlConfig};
use super::url::{Policy, Target};
use crate::error::{Code, RequestError};

/// How this service names itself to others.
const AGENT: &str = concat!("detectd/", env!("CARGO_PKG_VERSION"));
/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;

/// Why an address could not be fetched; for the log, never for the client.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot resolve the name: {0}")]
    Resolve(std::io::Error),
    #[error("{0} may not be dialled")]
    Refused(IpAddr),
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("exchange failed: {0}")]
    Http(#[from] hyper::Error),
    #[error("redirect refused: {0}")]
    Redirect(&'static str),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("answered more than {0} bytes")]
    TooLarge(u64),
    #[error("answered with a content coding")]
    Coded,
    #[error("answered no picture")]
    NotAPicture,
    #[error("{0}")]
    NoRoom(RequestError),
    #[error("no answer in time")]
    Late,
}

/// Fetches pictures, a bounded number at once.
#[derive(Debug)]
pub struct Fetcher {
    policy: Policy,
    tls: Tls,
    turns: Semaphore,
    /// Held by each look-up until it ends, even when its fetch has given up, so that a dead name server costs a
    /// bounded number of threads.
    lookups: Arc<Semaphore>,
    connect_timeout: Duration,
    first_byte_timeout: Duration,
    timeout: Duration,
    redirects: u32,
    max_image: u64,
}

struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection's way to ask, and the task that moves its bytes for as long as this lives.
struct Connection {
    requests: http1::SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

/// What one hop led to.
enum Hop {
    Picture(Bytes),
    Moved(Target),
}

impl Fetcher {
    /// A fetcher under the configuration's rules, for pictures of at most `max_image` bytes.
    pub fn new(config: &UrlConfig, max_image: u64) -> Result<Self, InputsError> {
        Ok(Self {
            policy: Policy::new(config),
            tls: Tls(tls(config)?),
            turns: Semaphore::new(config.concurrency),
            lookups: Arc::new(Semaphore::new(config.concurrency)),
            connect_timeout: config.connect_timeout,
            first_byte_timeout: config.first_byte_timeout,
            timeout: config.timeout,
            redirects: config.redirects,
            max_image,
        })
    }

    /// Fetches the picture, not later than `deadline`.
    ///
    /// `url_forbidden` when the text itself breaks a rule, `url_timeout` when time ran out, `url_failed` for all
    /// else: a closed port, a refused address, a page that is no picture look the same to the client. `overloaded`
    /// when there is no room for its bytes.
    pub async fn fetch(&self, text: &str, deadline: Instant, room: &mut Room) -> Result<Bytes, RequestError> {
        let target = self.policy.admit(text).map_err(|rule| Code::UrlForbidden.because(rule))?;
        let end = deadline.min(Instant::now() + self.timeout);
        match timeout_at(end, self.follow(target, room)).await.unwrap_or(Err(Fault::Late)) {
            Ok(picture) => Ok(picture),
            Err(fault) => {
                tracing::debug!(%fault, "fetch failed");
                Err(match fault {
                    Fault::NoRoom(error) => error,
                    Fault::Late => Code::UrlTimeout.because("no picture came from the address in time"),
                    _ => Code::UrlFailed.because("no picture could be fetched from the address"),
                })
            }
        }
    }

    async fn follow(&self, mut target: Target, room: &mut Room) -> Result<Bytes, Fault> {
        let _turn = self.turns.acquire().await.map_err(|_| Fault::Late)?;
        for _ in 0..=self.redirects {
            match self.visit(&target, room).await? {
                Hop::Picture(bytes) => return Ok(bytes),
                Hop::Moved(next) => target = next,
            }
        }
        Err(Fault::Redirect("too many"))
    }

    async fn visit(&self, target: &Target, room: &mut Room) -> Result<Hop, Fault> {
        let mut connection =
            timeout(self.connect_timeout, self.connect(target)).await.map_err(|_| Fault::Late)??;
        let answer = connection.requests.send_request(question(target));
        let answer = timeout(self.first_byte_timeout, answer).await.map_err(|_| Fault::Late)??;
        if let Some(location) = moved(&answer) {
            return self.policy.follow(target, location).map(Hop::Moved).map_err(Fault::Redirect);
        }
        if answer.status() != StatusCode::OK {
            return Err(Fault::Status(answer.status()));
        }
        if answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Fault::Coded);
        }
        let picture = self.receive(answer.into_body(), room).await?;
        // Not the decoder's job here: a client must not learn that something else answered.
        vision::decode::sniff(&picture).ok_or(Fault::NotAPicture)?;
        Ok(Hop::Picture(picture))
    }

    async fn connect(&self, target: &Target) -> Result<Connection, Fault> {
        let addresses = self.resolve(target).await?;
        let stream = dial(&addresses, self.connect_timeout).await?;
        if !target.is_https() {
            return handshake(stream).await;
        }
        let name = match target.host() {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|error| Fault::Connect(std::io::Error::other(error)))?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        handshake(self.tls.0.connect(name, stream).await.map_err(Fault::Connect)?).await
    }

    /// The target's addresses, each of which may be dialled.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Fault> {
        let port = target.port();
        let addresses = match target.host() {
            Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
            Host::Domain(name) => self.look_up(name.clone(), port).await?,
        };
        let own = own_addresses();
        let allowed = self.policy.addresses();
        let refused = addresses.iter().map(SocketAddr::ip).find(|&address| {
            !allowed.permits(address) || (own.contains(&address) && !allowed.opens(address))
        });
        match refused {
            Some(address) => Err(Fault::Refused(address)),
            None => Ok(addresses),
        }
    }

    async fn look_up(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        let thread = self.lookups.clone().acquire_owned().await.map_err(|_| Fault::Late)?;
        let search = move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            drop(thread);
            found
        };
        let found =
            tokio::task::spawn_blocking(search).await.map_err(|error| Fault::Resolve(error.into()))?;
        found.map_err(Fault::Resolve)
    }

    async fn receive(&self, mut body: Incoming, room: &mut Room) -> Result<Bytes, Fault> {
        let announced = body.size_hint().lower();
        if announced > self.max_image {
            return Err(Fault::TooLarge(self.max_image));
        }
        let mut picture = BytesMut::with_capacity(announced.min(1 << 20) as usize);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            if (picture.len() + piece.len()) as u64 > self.max_image {
                return Err(Fault::TooLarge(self.max_image));
            }
            room.add(piece.len() as u64).map_err(Fault::NoRoom)?;
            picture.extend_from_slice(&piece);
        }
        Ok(picture.freeze())
    }
}

/// Connects to the first address that answers, each within its share of the time.
async fn dial(addresses: &[SocketAddr], patience: Duration) -> Result<TcpStream, Fault> {
    let tried = &addresses[..addresses.len().min(MOST_ADDRESSES)];
    let share = patience / tried.len().max(1) as u32;
    let mut last = Fault::Connect(std::io::ErrorKind::AddrNotAvailable.into());
    for address in tried {
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // One small request: waiting to fill a packet would only delay it.
                stream.set_nodelay(true).map_err(Fault::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => Fault::Connect(error),
            Err(_) => Fault::Late,
        };
    }
    Err(last)
}

async fn handshake<S>(stream: S) -> Result<Connection, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, exchange) = http1::Builder::new()
        .max_headers(64)
        .max_buf_size(32 << 10)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // The side that waits for the answer sees the error too.
        let _ = exchange.await;
    });
    Ok(Connection { requests, _driver: driver })
}

fn question(target: &Target) -> Request<Empty<Bytes>> {
    Request::get(target.path_and_query())
        .header(HOST, target.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "image/*")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .expect("a parsed address makes a valid request")
}

/// Where an answer sends us, if it does.
fn moved(answer: &Response<Incoming>) -> Option<&str> {
    match answer.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => answer.headers().get(LOCATION)?.to_str().ok(),
        _ => None,
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
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

#[cfg(test)]
mod site;
#[cfg(test)]
mod tests;
