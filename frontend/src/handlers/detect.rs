//! `POST /detect`: a picture in, detections or classes out.

use super::Call;
use crate::admission::{self, Admitted};
use crate::error::{Code, RequestError};
use crate::inputs::{InputType, RawOptions};
use crate::options::{Choices, Format};
use crate::pipeline::{self, Answer, Found, Kept, Order};
use crate::reply::Reply;
use crate::service::Service;
use crate::work::Turn;
use bytes::Bytes;
use http::HeaderMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use shm_proto::board::{Counter, Stage};
use shm_proto::clock::{self, Nanos};
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vision::draw::{Annotation, annotate, encode_jpeg};
use vision::model::{ModelFacts, ModelSpec};
use vision::postprocess::Options;

/// Answers the request, or refuses it, by its deadline.
///
/// # Errors
/// Whatever refuses a picture; `deadline_exceeded` when the deadline passes first.
pub async fn answer<B>(service: &Arc<Service>, call: &Call<'_>, body: B) -> Result<Reply, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut admitted = admission::admit(service, call.arrived)?;
    let choices = Choices::parse(call.head.uri.query())?;
    // Refused now if it must be, rather than after the body was read.
    let options = choices.resolve(&admitted.attached.facts.spec, &admitted.attached.labels)?;
    let limit = time_limit(&call.head.headers, service.config.frontend.deadline)?;
    let deadline = Instant::now() + limit;
    let work = detect(service, &mut admitted, call, body, (choices, options), (deadline, limit));
    // Dropping the work gives back whatever it holds.
    tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| Err(Code::DeadlineExceeded.into()))
}

async fn detect<B>(
    service: &Arc<Service>,
    admitted: &mut Admitted<'_>,
    call: &Call<'_>,
    body: B,
    (mut choices, mut options): (Choices, Options),
    (deadline, limit): (Instant, Duration),
) -> Result<Reply, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (input, room) = service.inputs.read(call.head, body, deadline).await?;
    admitted.arrived(service)?;
    let read = clock::now();
    count_input(service, input.kind);
    if input.options != RawOptions::default() {
        choices.add(input.options)?;
        options = choices.resolve(&admitted.attached.facts.spec, &admitted.attached.labels)?;
    }
    let order = Order {
        bytes: input.bytes,
        room,
        options,
        keep: choices.format() == Format::Image,
        arrived: call.arrived,
        read,
        deadline: call.arrived.saturating_add(limit.as_nanos() as Nanos),
    };
    let found = pipeline::run(service, &admitted.attached, order).await?;
    respond(service, admitted, call.id, input.kind, found).await
}

/// Counts how the picture came.
fn count_input(service: &Service, kind: InputType) {
    service.process().add(
        match kind {
            InputType::Url => Counter::InputUrl,
            InputType::Bytes => Counter::InputBytes,
            InputType::Base64 => Counter::InputBase64,
            InputType::Path => Counter::InputPath,
            InputType::File => Counter::InputFile,
        },
        1,
    );
}

/// How long this request may take: as configured, or less if it says so.
fn time_limit(headers: &HeaderMap, configured: Duration) -> Result<Duration, RequestError> {
    let Some(value) = headers.get("x-timeout-ms") else { return Ok(configured) };
    let millis: Option<u64> =
        value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|&ms| ms > 0);
    let millis = millis.ok_or_else(|| {
        Code::BadParameter.because("X-Timeout-Ms must be a whole number of milliseconds above 0")
    })?;
    Ok(Duration::from_millis(millis).min(configured))
}

/// Makes the answer and closes its books.
async fn respond(
    service: &Service,
    admitted: &Admitted<'_>,
    id: &str,
    kind: InputType,
    mut found: Found,
) -> Result<Reply, RequestError> {
    let facts = &admitted.attached.facts;
    let picture = match found.picture.take() {
        Some(picture) => Some(draw(service, &facts.spec, &found.answer, picture).await?),
        None => None,
    };
    let times = found.marks.times(clock::now());
    let reply = match picture {
        Some(jpeg) => Reply::new("image/jpeg", jpeg),
        None => document(&Document { id, facts, kind, found: &found, times }),
    };
    let process = service.process();
    process.add(Counter::Detections, 1);
    for (stage, nanos) in Stage::ALL.iter().zip(times) {
        process.record(*stage, nanos);
    }
    Ok(reply.server_timing(&server_timing(&times)))
}

/// Draws the boxes and encodes the picture, on the pool.
async fn draw(
    service: &Service,
    spec: &ModelSpec,
    answer: &Answer,
    kept: Kept,
) -> Result<Vec<u8>, RequestError> {
    let annotations: Vec<Annotation> = match answer {
        // The best come last, so that nothing is drawn over them.
        Answer::Detections(detections) => detections
            .iter()
            .rev()
            .map(|found| Annotation {
                r#box: found.bbox,
                label: label(spec, found.class),
                score: found.score,
                class: found.class,
            })
            .collect(),
        Answer::Classes(_) => Vec::new(),
    };
    let quality = service.config.images.jpeg_quality;
    let job = move |_: &mut _| {
        let Kept { mut picture, permit } = kept;
        annotate(&mut picture, &annotations);
        let jpeg = encode_jpeg(&picture, quality);
        drop((picture, permit));
        jpeg
    };
    service.pool.run(Turn::Soon, job).await?.map_err(|error| {
        tracing::error!(%error, "an answer could not be drawn");
        Code::Internal.into()
    })
}

/// A class's name; its number where it has none.
fn label(spec: &ModelSpec, class: usize) -> String {
    spec.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn server_timing(times: &[Nanos; Stage::COUNT]) -> String {
    let mut text = String::with_capacity(200);
    for (stage, nanos) in Stage::ALL.iter().zip(times) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{};dur={:.3}", stage.name(), millis(*nanos));
    }
    text
}

fn millis(nanos: Nanos) -> f64 {
    rounded(nanos as f64 / 1e6, 3)
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

/// Room for the times' digits: answers below 1,000 seconds fit.
const TIMING_LEN: usize = 192;

/// The JSON answer. Answers to one picture have one length, whatever the digits of their times: spaces at the end
/// make up for them, because load generators (`ab`) count an answer of another length as a failed request.
fn document(document: &Document<'_>) -> Reply {
    let mut reply = Reply::json(document);
    let digits = serde_json::to_vec(&Timing(&document.times)).map_or(0, |text| text.len());
    let mut body = Vec::from(reply.body);
    body.resize(body.len() + TIMING_LEN.saturating_sub(digits), b' ');
    reply.body = body.into();
    reply
}

/// The answer as JSON, written straight from what was found.
struct Document<'a> {
    id: &'a str,
    facts: &'a ModelFacts,
    kind: InputType,
    found: &'a Found,
    times: [Nanos; Stage::COUNT],
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spec = &self.facts.spec;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("model", &spec.name)?;
        map.serialize_entry("type", self.kind.name())?;
        map.serialize_entry("width", &self.found.width)?;
        map.serialize_entry("height", &self.found.height)?;
        match &self.found.answer {
            Answer::Detections(found) => {
                let rows: Vec<_> = found
                    .iter()
                    .map(|d| Row {
                        spec,
                        class: d.class,
                        score: d.score,
                        bbox: Some(d.bbox),
                        keypoints: d.keypoints.as_deref(),
                    })
                    .collect();
                map.serialize_entry("detections", &rows)?;
            }
            Answer::Classes(found) => {
                let rows: Vec<_> = found
                    .iter()
                    .map(|c| Row { spec, class: c.class, score: c.score, bbox: None, keypoints: None })
                    .collect();
                map.serialize_entry("classes", &rows)?;
            }
        }
        if self.facts.is_simulated() {
            map.serialize_entry("simulated", &true)?;
        }
        map.serialize_entry("timing_ms", &Timing(&self.times))?;
        map.end()
    }
}

/// One detection or class.
struct Row<'a> {
    spec: &'a ModelSpec,
    class: usize,
    score: f32,
    bbox: Option<[f32; 4]>,
    keypoints: Option<&'a [[f32; 2]]>,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("label", &label(self.spec, self.class))?;
        map.serialize_entry("class", &self.class)?;
        map.serialize_entry("score", &rounded(self.score.into(), 4))?;
        if let Some(corners) = self.bbox {
            map.serialize_entry("box", &corners.map(|v| rounded(v.into(), 2)))?;
        }
        if let Some(points) = self.keypoints {
            let points: Vec<_> = points.iter().map(|point| point.map(|v| rounded(v.into(), 2))).collect();
            map.serialize_entry("keypoints", &points)?;
        }
        map.end()
    }
}

/// The stages' times in milliseconds, by name.
struct Timing<'a>(&'a [Nanos; Stage::COUNT]);

impl Serialize for Timing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(Stage::ALL.iter().zip(self.0).map(|(stage, nanos)| (stage.name(), millis(*nanos))))
    }
}

#[cfg(test)]
mod tests;
