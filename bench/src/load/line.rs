//! One connection: opening it, and one request with its answer. The connection is driven by the task that asks, so an
//! answer wakes one task and crosses no queue between tasks.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::net::TcpStream;

/// Longest document that is looked into.
const LONGEST_DOCUMENT: usize = 64 << 10;
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No connection.
    Connect,
    /// The connection ended before the answer did.
    Closed,
    /// What came is no HTTP.
    Protocol,
    /// Nothing came in time.
    Timeout,
}

impl Fault {
    /// In reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
        }
    }
}

impl From<hyper::Error> for Fault {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Protocol } else { Self::Closed }
    }
}

/// What is kept of an answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Bytes of its body.
    pub bytes: u64,
    /// Where the server says its time went.
    pub timing: Option<HeaderValue>,
    /// The problem's code, of an answer that is no success.
    pub code: Option<String>,
    /// Whether the server says that no model ran.
    pub simulated: bool,
}

/// An open connection.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<TcpStream>, Full<Bytes>>,
    over: bool,
    /// What its first success said of that; a server does not become another one under a connection.
    simulated: Option<bool>,
}

impl Line {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await.map_err(|_| Fault::Connect)?;
        stream.set_nodelay(true).map_err(|_| Fault::Connect)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| Fault::Connect)?;
        Ok(Self { sender, connection, over: false, simulated: None })
    }

    /// Whether it can take another request; a server may have closed it meanwhile.
    pub async fn is_ready(&mut self) -> bool {
        let Self { sender, connection, over, .. } = self;
        matches!(drive(connection, over, poll_fn(|cx| sender.poll_ready(cx))).await, Ok(Ok(())))
    }

    /// Sends a request and reads its answer to the end.
    pub async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Fault> {
        let Self { sender, connection, over, simulated } = self;
        let response = drive(connection, over, sender.send_request(request)).await??;
        let status = response.status();
        let timing = response.headers().get(SERVER_TIMING).cloned();
        let wanted = !status.is_success() || simulated.is_none();
        let (bytes, document) = drive(connection, over, read(response.into_body(), wanted)).await??;
        let code = document["code"].as_str().filter(|_| !status.is_success()).map(str::to_owned);
        if status.is_success() && simulated.is_none() {
            *simulated = Some(document["simulated"] == true);
        }
        Ok(Answer { status: status.as_u16(), bytes, timing, code, simulated: *simulated == Some(true) })
    }
}

/// Counts a body; one that is wanted is read as JSON, and is null where it is none.
async fn read(mut body: Incoming, wanted: bool) -> Result<(u64, Value), hyper::Error> {
    let (mut bytes, mut kept) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            bytes += data.len() as u64;
            if wanted && kept.len() + data.len() <= LONGEST_DOCUMENT {
                kept.extend_from_slice(data);
            }
        }
    }
    Ok((bytes, serde_json::from_slice(&kept).unwrap_or_default()))
}

/// Runs `future` and the connection that it hangs on until the future is done.
async fn drive<F: Future>(
    connection: &mut Connection<TokioIo<TcpStream>, Full<Bytes>>,
    over: &mut bool,
    future: F,
) -> Result<F::Output, Fault> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        if !*over && Pin::new(&mut *connection).poll(cx).is_ready() {
            *over = true;
        }
        match future.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if *over => Poll::Ready(Err(Fault::Closed)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
