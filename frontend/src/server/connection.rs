//! One connection from its accept to its last byte.

use super::{Connections, Door, Stream};
use crate::error::{Code, RequestError};
use crate::patience::{Limits, Pace, Patient};
use crate::reply::Reply;
use crate::router;
use crate::service::{Phase, Service};
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use shm_proto::board::Counter;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Most bytes of a request line and its headers, and most header fields, that hyper reads; beyond, it answers 431
/// without a word. More than the router lets pass, which says what was wrong.
const MAX_HEADER: usize = 2 * router::MAX_HEADER;
const MAX_FIELDS: usize = 2 * router::MAX_FIELDS;
/// Read buffer of a connection: an ordinary picture in a few reads.
const MAX_BUFFER: usize = 256 << 10;
/// Bytes of answers that the kernel holds for a client who does not read (it doubles the figure). Left to itself it goes up to
/// 4 MiB: clients who ask for much and read nothing would have it made and copied, and kept.
const UNREAD: usize = 128 << 10;
/// How long, and for how many bytes, a connection that was answered before its request was whole is still read:
/// closing it at once would reset it and take the answer from the client.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 << 20;

/// Counts a connection for as long as it lives.
struct Open {
    service: Arc<Service>,
    connections: Arc<Connections>,
    address: IpAddr,
    /// Open connections from the same place, this one too.
    neighbours: u32,
}

impl Open {
    fn new(service: &Arc<Service>, connections: &Arc<Connections>, address: IpAddr) -> Self {
        connections.open.fetch_add(1, Relaxed);
        service.process().connection_opened();
        let neighbours = connections.enter(address);
        Self { service: service.clone(), connections: connections.clone(), address, neighbours }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.service.process().connection_closed();
        self.connections.leave(self.address);
        if self.connections.open.fetch_sub(1, Relaxed) == 1 {
            self.connections.none.notify_waiters();
        }
    }
}

/// Takes an accepted connection over. One above `max` is told so and closed.
pub(super) fn open(
    service: &Arc<Service>,
    connections: &Arc<Connections>,
    stream: std::net::TcpStream,
    (peer, door): (SocketAddr, Door),
    max: u32,
) {
    let is_one_too_many = connections.open() >= max;
    if is_one_too_many && connections.open() >= max.saturating_add(max / 8).saturating_add(8) {
        // So many that even telling them would cost too much.
        return;
    }
    let counted = Open::new(service, connections, network(peer.ip()));
    let Ok(stream) = prepared(stream) else { return };
    let most = service.config.frontend.max_connections_per_address;
    let has_too_many = most > 0 && counted.neighbours > most;
    tokio::spawn(async move {
        if is_one_too_many || has_too_many {
            let why = if has_too_many { "your address has as many as it may" } else { "try again soon" };
            let error = Code::TooManyConnections.because(why).retry_after(1);
            if counted.service.tls.is_none() {
                // To shake hands only to say that would cost more than the answer.
                tell(&counted.service, stream.into(), &error).await;
            } else {
                count(&counted.service, error.code);
            }
        } else if let Some(stream) = secured(&counted.service, stream, peer).await {
            serve(&counted.service, stream, (peer, door)).await;
        }
        drop(counted);
    });
}

/// Whose connection it is: an IPv6 client has a whole network of addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

fn prepared(stream: std::net::TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    // Answers are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::SndBuf, &UNREAD)?;
    TcpStream::from_std(stream)
}

/// The connection inside TLS, where that is configured. A client that does not get there in a header's time is let go.
async fn secured(service: &Service, stream: TcpStream, peer: SocketAddr) -> Option<Stream> {
    let Some(tls) = &service.tls else { return Some(stream.into()) };
    let handshake = tls.acceptor().accept(stream);
    match timeout(service.config.frontend.header_timeout, handshake).await {
        Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(peer = %peer, %error, "no TLS connection came about");
            None
        }
        Err(_) => None,
    }
}

async fn serve(service: &Arc<Service>, stream: Stream, (peer, door): (SocketAddr, Door)) {
    let begun = Instant::now();
    let pace = Pace::default();
    let config = &service.config.frontend;
    let limits =
        Limits { header: config.header_timeout, idle: config.keep_alive, write: config.write_timeout };
    let io = TokioIo::new(Patient::new(stream, pace.clone(), limits));
    let handler = service_fn(|request| {
        let (service, pace) = (service.clone(), pace.clone());
        Box::pin(async move {
            pace.turn();
            let mut response = router::handle(&service, (peer.ip(), door), request).await;
            let lifetime = service.config.frontend.connection_lifetime;
            if !lifetime.is_zero() && begun.elapsed() >= lifetime {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            pace.turn();
            Ok::<_, Infallible>(response)
        })
    });
    // No half-close: a client that closes its side has gone, and what it asked for is dropped.
    let mut connection = http1::Builder::new()
        .keep_alive(true)
        .half_close(false)
        .header_read_timeout(None)
        .max_headers(MAX_FIELDS)
        .max_header_size(MAX_HEADER)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, handler);

    let mut phase = service.phase();
    let served = {
        let done = poll_fn(|cx| connection.poll_without_shutdown(cx));
        tokio::select! {
            served = done => Some(served),
            _ = phase.wait_for(|phase| *phase >= Phase::Closed) => None,
        }
    };
    let served = match served {
        Some(served) => served,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    if let Err(error) = &served {
        tracing::debug!(peer = %peer, %error, "connection ended");
        if error.is_parse() {
            // hyper has answered what it could not read.
            let code = if error.is_parse_too_large() { Code::HeaderTooLarge } else { Code::BadRequest };
            count(service, code);
        }
    }
    // After a broken connection there is nobody to be polite to.
    let is_worth_it = served.map_or_else(|error| error.is_parse(), |()| true);
    let patient = connection.into_parts().io.into_inner();
    if patient.is_late() {
        let error = Code::RequestTimeout.because("the header did not come in time");
        return tell(service, patient.into_inner(), &error).await;
    }
    if is_worth_it {
        linger(patient.into_inner()).await;
    }
}

/// Counts a refusal, and a request, whatever it would have been: every problem is the answer to one.
fn count(service: &Service, code: Code) {
    service.process().count_code(code as usize);
    service.process().add(Counter::Requests, 1);
}

/// Tells a client what went wrong before it had a request that could be answered, and ends the connection.
async fn tell(service: &Service, mut stream: Stream, error: &RequestError) {
    count(service, error.code);
    let answer = Reply::raw(error);
    if timeout(LINGER, stream.write_all(&answer)).await.is_ok_and(|written| written.is_ok()) {
        linger(stream).await;
    }
}

/// Says that no more will come, and reads what the client still sends until it has understood.
async fn linger(mut stream: Stream) {
    let drained = async {
        stream.shutdown().await?;
        let mut rest = [0u8; 16 << 10];
        let mut seen = 0;
        while seen < LINGER_BYTES {
            match stream.read(&mut rest).await? {
                0 => break,
                read => seen += read,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // However it ends, the connection is over.
    let _ = timeout(LINGER, drained).await;
}
