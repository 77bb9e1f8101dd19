//! One worker's connection to the service: a picture's bytes out, a record back. Owns what is tried again: whatever is the
//! service's and may pass is, until the patience ends; what is the picture's fault becomes its record.

use crate::BatchError;
use crate::record::{Found, Record};
use serde::Deserialize;
use std::time::{Duration, Instant};
use vision::model::Task;

/// How long a service that refuses everybody is asked again: longer than an engine takes to start anew.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a picture is tried that makes the service itself fail.
const TRIES: u32 = 3;
/// Longest answer.
const LONGEST_ANSWER: u64 = 64 << 20;

/// A connection that is kept.
pub struct Client<'a> {
    agent: ureq::Agent,
    url: &'a str,
    /// Says that nobody waits for the answer any more.
    stopped: &'a (dyn Fn() -> bool + Sync),
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

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl<'a> Client<'a> {
    /// A client of the address to which pictures are posted.
    pub fn new(url: &'a str, stopped: &'a (dyn Fn() -> bool + Sync)) -> Self {
        // Each step has its limit, not the whole request: with one for all ureq looks every name up in a thread of its own, which
        // here, where the address is a number, was a thread for each picture.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(PATIENCE))
            .timeout_send_request(Some(PATIENCE))
            .timeout_send_body(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(PATIENCE))
            .max_idle_connections_per_host(1)
            .build();
        Self { agent: config.into(), url, stopped }
    }

    /// The model of the service at this address.
    ///
    /// # Errors
    /// A service that does not answer.
    pub fn model(&self, address: &str) -> Result<Model, BatchError> {
        let lost = |why: &dyn std::fmt::Display| BatchError::Service(why.to_string());
        let mut answer =
            self.agent.get(format!("http://{address}/about")).call().map_err(|error| lost(&error))?;
        let body = answer
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_vec()
            .map_err(|error| lost(&error))?;
        let about: About = serde_json::from_slice(&body).map_err(|error| lost(&error))?;
        Ok(about.model)
    }

    /// The record of a picture. `None` when it was stopped meanwhile.
    ///
    /// # Errors
    /// A service that does not answer, or refuses whatever the picture.
    pub fn detect(&self, name: &str, bytes: &[u8]) -> Result<Option<Record>, BatchError> {
        let begun = Instant::now();
        let mut pause = PAUSE;
        let mut failures = 0;
        loop {
            let why = match self.attempt(name, bytes)? {
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
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn attempt(&self, name: &str, bytes: &[u8]) -> Result<Try, BatchError> {
        let sent = self.agent.post(self.url).content_type("application/octet-stream").send(bytes);
        let answer = sent.and_then(|mut answer| {
            let body = answer.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec()?;
            Ok((answer.status().as_u16(), body))
        });
        match answer {
            Ok((200, body)) => read(name, &body).map(Try::Done),
            Ok((status, body)) => refused(name, status, &body),
            // A frontend that died with the request in its hands: another one takes it.
            Err(error) => Ok(Try::Later(error.to_string())),
        }
    }
}

fn read(name: &str, body: &[u8]) -> Result<Record, BatchError> {
    let Answer { width, height, detections, classes } =
        serde_json::from_slice(body).map_err(|error| BatchError::Refused(format!("{name}: {error}")))?;
    let (width, height) = (Some(width), Some(height));
    Ok(Record { image: name.to_owned(), width, height, detections, classes, error: None })
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
