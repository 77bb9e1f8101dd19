//! `POST /detect`: a picture in, detections or classes out; or a list of pictures (`list`).

mod document;
mod list;

use super::Call;
use crate::admission::{self, Admitted};
use crate::error::{Code, RequestError};
use crate::inputs::{Asked, InputType, Named, Origin, Room};
use crate::keeping::{self, Keeping};
use crate::options::{Choices, Format};
use crate::pipeline::{self, Answer, Encoded, Found, Kept, Order};
use crate::reply::Reply;
use crate::service::{Phase, Service};
use crate::work::Turn;
use bytes::Bytes;
use document::{Document, label, millis};
use http::HeaderMap;
use shm_proto::board::{Counter, Stage};
use shm_proto::clock::{self, Nanos};
use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use vision::draw::{Annotation, annotate, encode_jpeg};
use vision::model::ModelSpec;

/// Answers the request, or refuses it, by its deadline, or when the service stops.
///
/// # Errors
/// Whatever refuses a picture; `deadline_exceeded` when the deadline passes first, `draining` when the time to drain does.
pub async fn answer<B>(service: &Arc<Service>, call: &Call<'_>, body: B) -> Result<Reply, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let admitted = admission::admit(service, call.arrived)?;
    let choices = Choices::parse(call.head.uri.query())?;
    // Refused now if it must be, rather than after the body was read.
    choices.resolve(&admitted.attached.facts.spec, &admitted.attached.labels)?;
    keeping::check(&call.head.headers)?;
    let asker = Asker::of(service, call);
    let limit = time_limit(&call.head.headers, service.config.frontend.deadline)?;
    let time = Time {
        end: Instant::now() + limit,
        deadline: call.arrived.saturating_add(limit.as_nanos() as Nanos),
    };
    let work = async {
        match service.inputs.receive(call.head, body, time.end).await? {
            (Asked::One(named), room) => {
                let work = async {
                    let answered = detect(service, admitted, asker, named, choices, room, time).await?;
                    respond(service, call.id, answered).await
                };
                time.limit(work).await
            }
            (Asked::Many(pictures, options), room) => {
                list::answer(service, admitted, call, (pictures, room), choices, options, time).await
            }
        }
    };
    let mut phase = service.phase();
    tokio::select! {
        biased;
        answered = work => answered,
        // An error means that nobody can enter a phase any more, which is the end as well.
        _ = phase.wait_for(|phase| *phase == Phase::Over) => Err(RequestError::from(Code::Draining).retry_after(1)),
    }
}

/// Until when a request may take, on both clocks.
#[derive(Clone, Copy)]
struct Time {
    end: Instant,
    deadline: Nanos,
}

impl Time {
    /// The work's result, if it comes in time. Dropping the work gives back whatever it holds.
    async fn limit<T>(self, work: impl Future<Output = Result<T, RequestError>>) -> Result<T, RequestError> {
        tokio::time::timeout_at(self.end, work).await.unwrap_or_else(|_| Err(Code::DeadlineExceeded.into()))
    }
}

/// Whose picture it is, and what it may be kept with.
#[derive(Clone, Copy)]
struct Asker<'a> {
    id: &'a str,
    arrived: Nanos,
    keeping: Option<&'a Keeping>,
}

impl<'a> Asker<'a> {
    fn of(service: &'a Service, call: &Call<'a>) -> Self {
        let keeping = service.keeping.as_ref().filter(|keeping| keeping.wants(service, &call.head.headers));
        Self { id: call.id, arrived: call.arrived, keeping }
    }
}

/// A picture that has been through the engine, and its place in the service until it is answered.
struct Detected<'a> {
    place: Admitted<'a>,
    kind: InputType,
    found: Found,
}

/// Takes one picture from its name to what was found in it.
async fn detect<'a>(
    service: &Arc<Service>,
    mut place: Admitted<'a>,
    asker: Asker<'_>,
    named: Named,
    mut choices: Choices,
    mut room: Room,
    time: Time,
) -> Result<Detected<'a>, RequestError> {
    let kind = named.kind;
    let short_file = match asker.keeping {
        None => service.inputs.short_file(&named, &mut room)?,
        // Its bytes are wanted again when it has been answered.
        Some(_) => None,
    };
    let (encoded, kept, more, fetched, room) = match short_file {
        Some(file) => (Encoded::File(file), None, named.options, None, room),
        None => {
            let (input, room) = service.inputs.load(named, time.end, room).await?;
            let kept = asker.keeping.map(|keeping| (keeping, input.bytes.clone()));
            (Encoded::Bytes(input.bytes), kept, input.options, input.fetched, room)
        }
    };
    place.arrived(service)?;
    let read = clock::now();
    count_input(service, kind, fetched);
    choices.add(more)?;
    let options = choices.resolve(&place.attached.facts.spec, &place.attached.labels)?;
    let score = options.score;
    let order = Order {
        encoded,
        room,
        options,
        keep: choices.format() == Format::Image,
        look: asker.keeping.is_some_and(Keeping::has_room),
        unsure: asker.keeping.is_some(),
        arrived: asker.arrived,
        read,
        deadline: time.deadline,
    };
    let found = pipeline::run(service, &place.attached, order).await?;
    if let Some((keeping, bytes)) = kept {
        keeping.offer(bytes, &place.attached.facts, &found, (asker.id, kind), score);
    }
    Ok(Detected { place, kind, found })
}

/// Counts how the picture came.
fn count_input(service: &Service, kind: InputType, fetched: Option<(Origin, u64)>) {
    let process = service.process();
    let counter = match kind {
        InputType::Url => Counter::InputUrl,
        InputType::Bytes => Counter::InputBytes,
        InputType::Base64 => Counter::InputBase64,
        InputType::Path => Counter::InputPath,
        InputType::File => Counter::InputFile,
    };
    process.add(counter, 1);
    let Some((origin, dialled)) = fetched else { return };
    let counter = match origin {
        Origin::Server => Counter::UrlServer,
        Origin::Confirmed => Counter::UrlConfirmed,
        Origin::Cache => Counter::UrlCache,
        Origin::Shared => Counter::UrlShared,
    };
    process.add(counter, 1);
    process.add(Counter::UrlDialled, dialled);
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
async fn respond(service: &Service, id: &str, detected: Detected<'_>) -> Result<Reply, RequestError> {
    let Detected { place, kind, mut found } = detected;
    let facts = &place.attached.facts;
    let picture = match found.picture.take() {
        Some(picture) => Some(draw(service, &facts.spec, &found.answer, picture).await?),
        None => None,
    };
    let times = found.marks.times(clock::now());
    let reply = match picture {
        Some(jpeg) => Reply::new("image/jpeg", jpeg),
        None => document::one(&Document { id, facts, kind, found, times }),
    };
    count_answer(service, &times);
    Ok(reply.server_timing(&server_timing(&times)))
}

/// Counts an answered picture and its times.
fn count_answer(service: &Service, times: &[Nanos; Stage::COUNT]) {
    let process = service.process();
    process.add(Counter::Detections, 1);
    for (stage, nanos) in Stage::ALL.iter().zip(times) {
        process.record(*stage, *nanos);
    }
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

fn server_timing(times: &[Nanos; Stage::COUNT]) -> String {
    let mut text = String::with_capacity(200);
    for (stage, nanos) in Stage::ALL.iter().zip(times) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{};dur={:.3}", stage.name(), millis(*nanos));
    }
    text
}

#[cfg(test)]
mod tests;
