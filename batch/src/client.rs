//! The connections to the service: a picture's bytes out, a record back. Owns what is tried again: whatever is the
//! service's and may pass is, until the patience ends; what is the picture's fault becomes its record.
//!
//! All of it on one thread: a thread for each request on its way would be woken for each, and interrupt a lane every time.

use crate::BatchError;
use crate::reading::Named;
use crate::record::{Found, Record};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use vision::model::Task;

/// How long a service that refuses everybody is asked again: longer than an engine takes to start anew.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long one answer may take: longer than the service lets it (`frontend.deadline`), for a slow model's many pictures.
const LONGEST_WAIT: Duration = Duration::from_secs(660);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a picture is tried that makes the service itself fail.
const TRIES: u32 = 3;
/// What a picture's bytes are sent as: the service looks into them.
const BYTES: &str = "application/octet-stream";
/// Longest answer.
const LONGEST_ANSWER: usize = 64 << 20;

/// A connection, on which one request at a time is under way.
type Connection = SendRequest<Full<Bytes>>;
/// Why there was no answer.
type Lost = Box<dyn Error + Send + Sync>;

/// The service that does the work, as whoever started it describes it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// Key to show with each request.
    pub key: String,
    /// Absolute folders from which it reads files itself (`type=path`).
    pub roots: Vec<PathBuf>,
}

/// The service as one run sees it.
pub struct Client<'a> {
    endpoint: &'a Endpoint,
    /// Path and query to which pictures are posted.
    target: String,
    /// Connections that nothing is under way on.
    idle: RefCell<Vec<Connection>>,
    /// Says that nobody waits for the answer any more.
    stopped: &'a dyn Fn() -> bool,
}

/// What one try came to.
enum Try {
    Done(Record),
    /// Nothing to do with the picture.
    Later(String),
    /// The picture's fault, unless another try says otherwise.
    Failed(Record),
}

/// What the service says of its model.
#[derive(Debug, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// SHA-256 of its file.
    pub version: String,
    /// What it does.
    pub task: Task,
    /// Its classes, by number.
    pub classes: Vec<String>,
}

#[derive(Deserialize)]
struct About {
    model: Model,
}

#[derive(Deserialize)]
struct Answer {
    width: u32,
    height: u32,
    detections: Option<Vec<Found>>,
    classes: Option<Vec<Found>>,
}

impl Answer {
    fn record(self, name: &str) -> Record {
        let Self { width, height, detections, classes } = self;
        let (width, height) = (Some(width), Some(height));
        Record { image: name.to_owned(), width, height, detections, classes, error: None }
    }
}

/// A request for several pictures.
#[derive(Serialize)]
struct Images {
    images: Vec<Image>,
}

#[derive(Serialize)]
struct Image {
    r#type: &'static str,
    img: PathBuf,
}

/// The answer to it.
#[derive(Deserialize)]
struct Answers {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Answer(Answer),
    Problem {},
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl<'a> Client<'a> {
    /// A client of this service. `query`: of each request for pictures, without its question mark.
    pub fn new(endpoint: &'a Endpoint, query: &str, stopped: &'a dyn Fn() -> bool) -> Self {
        let question = if query.is_empty() { "" } else { "?" };
        Self { endpoint, target: format!("/detect{question}{query}"), idle: RefCell::default(), stopped }
    }

    /// The model of the service.
    ///
    /// # Errors
    /// A service that does not answer.
    pub async fn model(&self) -> Result<Model, BatchError> {
        let lost = |why: &dyn std::fmt::Display| BatchError::Service(why.to_string());
        let (_, body) =
            self.exchange(Method::GET, "/about", BYTES, Bytes::new()).await.map_err(|error| lost(&error))?;
        let about: About = serde_json::from_slice(&body).map_err(|error| lost(&error))?;
        Ok(about.model)
    }

    /// The record of a picture. `None` when it was stopped meanwhile.
    ///
    /// # Errors
    /// A service that does not answer, or refuses whatever the picture.
    pub async fn detect(&self, name: &str, bytes: &Bytes) -> Result<Option<Record>, BatchError> {
        let begun = Instant::now();
        let mut pause = PAUSE;
        let mut failures = 0;
        loop {
            let why = match self.attempt(name, bytes).await? {
                Try::Done(record) => return Ok(Some(record)),
                Try::Failed(record) if failures + 1 >= TRIES => return Ok(Some(record)),
                Try::Failed(_) => {
                    failures += 1;
                    String::new()
                }
                Try::Later(why) => why,
            };
            if (self.stopped)() {
                return Ok(None);
            }
            if begun.elapsed() > PATIENCE {
                return Err(BatchError::Service(why));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, name: &str, bytes: &Bytes) -> Result<Try, BatchError> {
        match self.exchange(Method::POST, &self.target, BYTES, bytes.clone()).await {
            Ok((200, body)) => read(name, &body).map(Try::Done),
            Ok((status, body)) => refused(name, status, &body),
            // A frontend that died with the request in its hands: another one takes it.
            Err(error) => Ok(Try::Later(error.to_string())),
        }
    }

    /// The records of these files, which the service reads itself: in one request, so that its processes and this one are woken
    /// once for all of them. `None` for what has no answer this way: it is to be asked about alone, and that says why.
    pub async fn detect_files(&self, files: &[Named<'_>]) -> Vec<Option<Record>> {
        let answers = self.answers(files).await.unwrap_or_default();
        let record = |(file, answer): (&Named<'_>, Outcome)| match answer {
            Outcome::Answer(answer) => Some(answer.record(file.name)),
            Outcome::Problem {} => None,
        };
        let mut records: Vec<_> = files.iter().zip(answers).map(record).collect();
        records.resize_with(files.len(), || None);
        records
    }

    async fn answers(&self, files: &[Named<'_>]) -> Result<Vec<Outcome>, Lost> {
        let images = files
            .iter()
            .map(|file| Ok(Image { r#type: "path", img: std::path::absolute(file.path)? }))
            .collect::<io::Result<Vec<_>>>()?;
        let body = serde_json::to_vec(&Images { images })?;
        let (_, body) = self.exchange(Method::POST, &self.target, "application/json", body.into()).await?;
        let Answers { results } = serde_json::from_slice(&body)?;
        Ok(results)
    }

    /// Status and body of a request's answer.
    async fn exchange(
        &self,
        method: Method,
        target: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), Lost> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, &self.endpoint.address)
            .header(CONTENT_TYPE, media_type)
            .header("x-api-key", &self.endpoint.key)
            .body(Full::new(body))?;
        let exchange = async {
            let mut connection = self.connection().await?;
            let answer = connection.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await?.to_bytes();
            self.idle.borrow_mut().push(connection);
            Ok((status, body))
        };
        tokio::time::timeout(LONGEST_WAIT, exchange).await?
    }

    /// One that is kept and still open, or a new one.
    async fn connection(&self) -> Result<Connection, Lost> {
        loop {
            let Some(mut kept) = self.idle.borrow_mut().pop() else { break };
            if kept.ready().await.is_ok() {
                return Ok(kept);
            }
        }
        let stream = TcpStream::connect(&self.endpoint.address).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ends is what the request on it says.
        tokio::spawn(driver);
        Ok(connection)
    }
}

fn read(name: &str, body: &[u8]) -> Result<Record, BatchError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| BatchError::Refused(format!("{name}: {error}")))?;
    Ok(answer.record(name))
}

/// Whose fault a refusal is.
fn refused(name: &str, status: u16, body: &[u8]) -> Result<Try, BatchError> {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Ok(Try::Later(format!("status {status}")));
    };
    let record = Record::bad(name, &problem.code, problem.detail.clone());
    match problem.code.as_str() {
        "not_an_image"
        | "corrupt_image"
        | "image_too_large"
        | "body_too_large"
        | "unsupported_media_type"
        | "poison_input" => Ok(Try::Done(record)),
        "engine_failed" | "deadline_exceeded" | "internal" => Ok(Try::Failed(record)),
        _ if matches!(status, 408 | 429 | 503) => Ok(Try::Later(problem.detail)),
        code => Err(BatchError::Refused(format!("the service refuses pictures: {code}: {}", problem.detail))),
    }
}

#[cfg(test)]
mod tests;
