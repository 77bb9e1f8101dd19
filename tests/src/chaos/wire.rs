//! One connection of a client that watches closely: what was sent, what came back, how it ended. Plain HTTP/1.1, so
//! that nothing is repeated or hidden by a library.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any deadline of the service: whoever is not answered by then never will be.
const PATIENCE: Duration = Duration::from_secs(45);
/// Longest answer.
const LONGEST: usize = 1 << 20;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    port: u16,
    used: bool,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The id it is said to belong to.
    pub id: String,
    /// Whether it says when to come back.
    pub retry_after: Option<u32>,
    /// Whether the connection ends with it.
    pub close: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// How a connection ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens, or nobody took it up.
    Refused(ErrorKind),
    /// It was idle, and the service closed it while the request was on its way: HTTP lets the client ask again.
    Stale,
    /// It broke before the first byte of an answer.
    Broken(ErrorKind),
    /// It broke within the answer.
    Cut(usize),
    /// No answer came.
    Silence,
    /// What came is no answer.
    Garbage(String),
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Refused`].
    pub fn open(address: SocketAddr) -> Result<Self, Failure> {
        let open = || -> std::io::Result<Self> {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let port = stream.local_addr()?.port();
            Ok(Self { stream, port, used: false })
        };
        open().map_err(|error| Failure::Refused(error.kind()))
    }

    /// Its number on this side.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the next request may use it: `Ok(false)` when the service has closed it meanwhile.
    ///
    /// # Errors
    /// [`Failure::Garbage`] when something came that nobody asked for: a second answer to one request.
    pub fn is_open(&self) -> Result<bool, Failure> {
        let look = || -> std::io::Result<usize> {
            self.stream.set_nonblocking(true)?;
            let seen = self.stream.peek(&mut [0; 1]);
            self.stream.set_nonblocking(false)?;
            seen
        };
        match look() {
            Ok(0) => Ok(false),
            Ok(_) => Err(Failure::Garbage("bytes that nobody asked for".to_owned())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(_) => Ok(false),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// How the connection ended instead.
    pub fn ask(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let reused = std::mem::replace(&mut self.used, true);
        let gone = |kind| if reused { Failure::Stale } else { Failure::Broken(kind) };
        // A service that refuses closes before everything is sent: its answer is there all the same.
        let sent = self.stream.write_all(request);
        let mut bytes = Vec::new();
        let mut piece = [0; 16 << 10];
        loop {
            if let Some(answer) = parse(&bytes)? {
                return Ok(answer);
            }
            if bytes.len() > LONGEST {
                return Err(Failure::Garbage("an answer without end".to_owned()));
            }
            match self.stream.read(&mut piece) {
                Ok(0) if bytes.is_empty() => return Err(gone(ErrorKind::UnexpectedEof)),
                Ok(0) => return Err(Failure::Cut(bytes.len())),
                Ok(read) => bytes.extend(&piece[..read]),
                Err(error) => {
                    return Err(match error.kind() {
                        ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::Silence,
                        _ if !bytes.is_empty() => Failure::Cut(bytes.len()),
                        kind => gone(sent.as_ref().err().map_or(kind, |error| error.kind())),
                    });
                }
            }
        }
    }
}

/// The answer at the beginning of `bytes`, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<Answer>, Failure> {
    let garbage = |what: &str| Failure::Garbage(format!("{what}: {:?}", String::from_utf8_lossy(bytes)));
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| garbage("no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| garbage("no status"))?;
    let header = |name: &str| {
        let mut found = head.split("\r\n").filter_map(|line| line.split_once(':'));
        found.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let length: usize =
        header("content-length").and_then(|text| text.parse().ok()).ok_or_else(|| garbage("no length"))?;
    let body = &bytes[end + 4..];
    if body.len() > length {
        return Err(garbage("more than one answer"));
    }
    if body.len() < length {
        return Ok(None);
    }
    Ok(Some(Answer {
        status,
        id: header("x-request-id").unwrap_or_default().to_owned(),
        retry_after: header("retry-after").and_then(|text| text.parse().ok()),
        close: header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        body: body.to_vec(),
    }))
}
