//! One picture's way: decode → seat → tensor → run → detections, with the time of each stage.
//!
//! Pixels are worked on in the pool. The thread that decodes also claims the seat, submits it and leaves word what
//! is to be done with the answer, so that the runtime's thread is woken once a request: when there is something to
//! answer. Only when all seats are taken does the picture wait for one, and then comes back to the pool. Knows nothing
//! of HTTP.
//!
//! Where a run is one picture and seats are enough, the seat comes first: pixels that would wait for one are in no cache any
//! more when they are resized. Where runs are batches the picture does, lest a seat that waits for its decoder splits them.

use crate::error::{Code, RequestError};
use crate::inputs::{Room, ShortFile};
use crate::link::Attached;
use crate::service::Service;
use crate::work::{Bench, Turn};
use bytes::Bytes;
use harvest::Look;
use harvest::sidecar::Uncertainty;
use shm_proto::arena::{AnsweredSeat, ClaimedSeat, Job, Outcome};
use shm_proto::board::{Counter, Stage};
use shm_proto::clock::{self, Nanos};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use vision::decode::{DecodeError, Extent, Wanted, decode_reduced};
use vision::model::{ModelFacts, OutputFacts, Task};
use vision::picture::Picture;
use vision::postprocess::{self, Class, Detection, Options};
use vision::preprocess::{Placement, wanted, write_tensor_of};
use vision::tensor::TensorView;
use xxhash_rust::xxh3::xxh3_64;

/// Outputs that are read in less time are read on the runtime's thread: asking another costs as much, and so long
/// the sockets can wait.
const INLINE: Nanos = 100_000;

/// How long an input that killed engines is refused before it is decoded. Each try costs every other request two restarts
/// of the engine: longer than clients keep trying, short enough that a mended driver gets its chance.
const QUARANTINE: Nanos = 600 * 1_000_000_000;

/// A picture as it came.
pub enum Encoded {
    /// Its bytes.
    Bytes(Bytes),
    /// A file that has them, to be read where they are decoded.
    File(ShortFile),
}

/// One picture to be worked on.
pub struct Order {
    /// The encoded picture.
    pub encoded: Encoded,
    /// What it takes of the frontend's budget, until it is decoded.
    pub room: Room,
    /// What the request chose.
    pub options: Options,
    /// Whether the decoded picture is wanted back.
    pub keep: bool,
    /// Whether the picture is to be looked at, for it may be kept for review.
    pub look: bool,
    /// Whether rules want to know how sure a classifier is.
    pub unsure: bool,
    /// When the request arrived.
    pub arrived: Nanos,
    /// When its bytes were there, or the file that has them open.
    pub read: Nanos,
    /// When an answer is of no use any more.
    pub deadline: Nanos,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Columns of the picture.
    pub width: u32,
    /// Rows of the picture.
    pub height: u32,
    /// Objects or classes.
    pub answer: Answer,
    /// The picture, when it was asked for.
    pub picture: Option<Kept>,
    /// What the picture looks like, when that was asked for.
    pub look: Option<Look>,
    /// How sure a classifier was, when that was asked for.
    pub uncertainty: Uncertainty,
    /// When each stage began and ended.
    pub marks: Marks,
}

/// A decoded picture that is still needed, with the permit to exist.
#[derive(Debug)]
pub struct Kept {
    /// The picture.
    pub picture: Picture,
    /// To be dropped after it.
    pub permit: OwnedSemaphorePermit,
}

/// What the model answers.
#[derive(Debug)]
pub enum Answer {
    /// A detector's.
    Detections(Vec<Detection>),
    /// A classifier's.
    Classes(Vec<Class>),
}

/// Points in a request's life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    arrived: Nanos,
    read: Nanos,
    decoding: Nanos,
    decoded: Nanos,
    writing: Nanos,
    submitted: Nanos,
    started: Nanos,
    ended: Nanos,
}

impl Marks {
    /// Nanoseconds of each stage, in the order of [`Stage::ALL`], for a request that is answered now: the stages
    /// before the last sum to it exactly.
    pub fn times(&self, answered: Nanos) -> [Nanos; Stage::COUNT] {
        let span = |from: Nanos, to: Nanos| to.saturating_sub(from);
        std::array::from_fn(|k| match Stage::ALL[k] {
            Stage::Read => span(self.arrived, self.read),
            Stage::Wait => span(self.read, self.decoding) + span(self.decoded, self.writing),
            Stage::Decode => span(self.decoding, self.decoded),
            Stage::Preprocess => span(self.writing, self.submitted),
            Stage::Queue => span(self.submitted, self.started),
            Stage::Infer => span(self.started, self.ended),
            Stage::Postprocess => span(self.ended, answered),
            Stage::Total => span(self.arrived, answered),
        })
    }
}

/// Takes one picture all the way. Dropping the future gives everything back.
///
/// # Errors
/// A picture that cannot be decoded, a deadline that has passed, an engine that failed on it.
pub async fn run(
    service: &Arc<Service>,
    attached: &Arc<Attached>,
    order: Order,
) -> Result<Found, RequestError> {
    let Order { encoded, room, options, keep, look, unsure, arrived, read, deadline } = order;
    let closed = |_| Code::Internal.because("the service has stopped");
    let permit = service.pictures.clone().acquire_owned().await.map_err(closed)?;
    let place = attached.enter();
    let (done, returned) = oneshot::channel();
    let errand = Errand {
        attached: attached.clone(),
        service: service.clone(),
        key: place.key(),
        keep,
        look,
        deadline,
        marks: Marks { arrived, read, ..Marks::default() },
        done,
    };
    service.pool.push(Turn::Arrival, move |bench| errand.begin(bench, (encoded, room), permit));
    let Returned { seat, digest, placement, picture, look, mut marks } =
        returned.await.map_err(|_| place.lost())??;
    let run = seat.run();
    (marks.started, marks.ended) = (run.started, run.ended);
    match seat.outcome() {
        Outcome::Done => {}
        Outcome::Failed => return Err(Code::EngineFailed.into()),
        Outcome::Expired => return Err(Code::DeadlineExceeded.into()),
        Outcome::Poison => {
            service.board.quarantine(digest, clock::now().saturating_add(QUARANTINE));
            return Err(Code::PoisonInput.into());
        }
    }

    let (answer, uncertainty) = if attached.reading.get() <= INLINE {
        read_outputs(attached, &seat, &placement, &options, unsure)?
    } else {
        let attached = attached.clone();
        let job = move |_: &mut Bench| read_outputs(&attached, &seat, &placement, &options, unsure);
        service.pool.run(Turn::Soon, job).await??
    };
    Ok(Found { width: placement.width, height: placement.height, answer, picture, look, uncertainty, marks })
}

/// A request on its way: what a thread needs to work on it, and whom to tell how it ended. One that is dropped without a word
/// ends as [`crate::link::Place::lost`] says.
struct Errand {
    attached: Arc<Attached>,
    service: Arc<Service>,
    key: u64,
    keep: bool,
    look: bool,
    deadline: Nanos,
    marks: Marks,
    done: oneshot::Sender<Result<Returned, RequestError>>,
}

/// What comes back of a request whose seat was answered.
struct Returned {
    seat: AnsweredSeat,
    digest: u64,
    placement: Placement,
    picture: Option<Kept>,
    look: Option<Look>,
    marks: Marks,
}

/// A decoded picture whose seat is not written yet. Holds its permit, so that few of them exist.
struct Decoded {
    errand: Errand,
    picture: Picture,
    extent: Extent,
    digest: u64,
    permit: OwnedSemaphorePermit,
}

impl Errand {
    /// Decodes the picture, finds a seat for it and goes on with it; as soon as there is one.
    fn begin(self, bench: &mut Bench, source: (Encoded, Room), permit: OwnedSemaphorePermit) {
        if self.done.is_closed() {
            return;
        }
        let (attached, service) = (self.attached.clone(), self.service.clone());
        let turn = (self.key, self.marks.arrived);
        if is_seated_first(&attached, &service) {
            let then = move |bench: &mut Bench, seat| {
                if let Some(decoded) = self.decoded(bench, source, permit) {
                    decoded.write(bench, seat);
                }
            };
            with_seat(&attached, &service, turn, bench, then);
        } else if let Some(decoded) = self.decoded(bench, source, permit) {
            with_seat(&attached, &service, turn, bench, move |bench, seat| decoded.write(bench, seat));
        }
    }

    /// Decodes the picture; `None` when that is not wanted any more, or was refused.
    fn decoded(
        mut self,
        bench: &mut Bench,
        (encoded, room): (Encoded, Room),
        permit: OwnedSemaphorePermit,
    ) -> Option<Decoded> {
        if self.done.is_closed() {
            return None;
        }
        match self.decode(bench, &encoded) {
            Ok((picture, extent, digest)) => {
                drop((encoded, room));
                Some(Decoded { errand: self, picture, extent, digest, permit })
            }
            Err(error) => {
                self.refuse(error);
                None
            }
        }
    }

    fn decode(
        &mut self,
        bench: &mut Bench,
        encoded: &Encoded,
    ) -> Result<(Picture, Extent, u64), RequestError> {
        self.marks.decoding = clock::now();
        let bytes = match encoded {
            Encoded::Bytes(bytes) => bytes,
            Encoded::File(file) => file.read(&mut bench.file)?,
        };
        let digest = xxh3_64(bytes);
        if self.service.board.is_quarantined(digest, self.marks.decoding) {
            return Err(Code::PoisonInput.into());
        }
        let mut picture = std::mem::take(&mut bench.spare);
        let images = &self.service.config.images;
        let input = &self.attached.facts.seat;
        // A picture that is wanted back is wanted whole.
        let is_whole = self.keep || !images.reduce;
        let wanted = |width, height| if is_whole { Wanted::Whole } else { wanted(width, height, input) };
        let extent = match decode_reduced(bytes, &images.limits(), &wanted, &mut bench.buffers, &mut picture)
        {
            Ok(extent) => extent,
            Err(error) => {
                bench.keep(picture);
                return Err(refusal(&error));
            }
        };
        self.marks.decoded = clock::now();
        Ok((picture, extent, digest))
    }

    fn refuse(self, error: RequestError) {
        // Nobody to tell means that the request has gone meanwhile.
        let _ = self.done.send(Err(error));
    }
}

/// Whether a picture has its seat before it is decoded: in runs of one, with a seat for each decode thread beside those that the lanes
/// have and are to have next. With fewer, lanes could wait for seats that wait for a core.
fn is_seated_first(attached: &Attached, service: &Service) -> bool {
    let facts = &attached.facts;
    let decoding = service.board.frontends() as usize * service.pool.threads();
    facts.max_batch == 1 && decoding + 2 * facts.lanes as usize <= attached.seats() as usize
}

/// Goes on with a seat: now if one is free, otherwise when it is the turn of the request with this key that arrived then.
fn with_seat(
    attached: &Attached,
    service: &Arc<Service>,
    (key, arrived): (u64, Nanos),
    bench: &mut Bench,
    then: impl FnOnce(&mut Bench, ClaimedSeat) + Send + 'static,
) {
    if let Some(seat) = attached.seat_at_once() {
        return then(bench, seat);
    }
    service.process().add(Counter::SeatWaits, 1);
    let service = service.clone();
    let seated = move |seat| service.pool.push(Turn::Soon, move |bench| then(bench, seat));
    attached.when_seated(key, arrived, Box::new(seated));
}

impl Decoded {
    /// Writes the tensor into the seat, submits it, and leaves word what is to be done with the answer.
    fn write(self, bench: &mut Bench, mut seat: ClaimedSeat) {
        let Self { mut errand, picture, extent, digest, permit } = self;
        if errand.done.is_closed() {
            return bench.keep(picture);
        }
        errand.marks.writing = clock::now();
        let input = &errand.attached.facts.seat;
        let placement = match write_tensor_of(&picture, &extent, input, &mut bench.scratch, seat.input_mut())
        {
            Ok(placement) => placement,
            Err(error) => {
                tracing::error!(%error, "a tensor could not be written");
                return errand.refuse(Code::Internal.into());
            }
        };
        let seat = seat.submit(Job { deadline: errand.deadline, digest });
        errand.marks.submitted = seat.submitted();
        // The engine has its input by now: what follows costs no answer any time.
        let look = errand.look.then(|| Look::of(&picture));
        let picture = if errand.keep {
            Some(Kept { picture, permit })
        } else {
            bench.keep(picture);
            drop(permit);
            None
        };
        let Errand { attached, key, marks, done, .. } = errand;
        let then = move |seat| {
            // Nobody to tell means that the request has gone: its seat is given back.
            let _ = done.send(Ok(Returned { seat, digest, placement, picture, look, marks }));
        };
        attached.when_answered(key, seat, Box::new(then));
    }
}

/// Reads a seat's outputs, and takes note of the time it took.
fn read_outputs(
    attached: &Attached,
    seat: &AnsweredSeat,
    placement: &Placement,
    options: &Options,
    unsure: bool,
) -> Result<(Answer, Uncertainty), RequestError> {
    let begun = clock::now();
    let answer = interpret(&attached.facts, seat, placement, options, unsure);
    attached.reading.saw(clock::now().saturating_sub(begun));
    answer
}

/// Reads a seat's outputs as the model's description says; with `unsure` also how sure a classifier is of all its classes,
/// whatever the request wants to hear of them.
fn interpret(
    facts: &ModelFacts,
    seat: &AnsweredSeat,
    placement: &Placement,
    options: &Options,
    unsure: bool,
) -> Result<(Answer, Uncertainty), RequestError> {
    let shapes: Vec<Vec<usize>> =
        facts.outputs.iter().enumerate().map(|(j, output)| shape_of(output, seat.output(j))).collect();
    let views: Vec<TensorView<'_>> = facts
        .outputs
        .iter()
        .zip(&shapes)
        .enumerate()
        .map(|(j, (output, shape))| TensorView {
            element: output.element,
            shape,
            bytes: data_of(output, shape, seat.output(j)),
        })
        .collect();
    let spec = &facts.spec;
    let answer = match spec.task {
        Task::Detect => postprocess::detections(spec, &views, placement, options).map(Answer::Detections),
        Task::Classify => postprocess::classes(spec, &views, options).map(Answer::Classes),
    };
    let mut uncertainty = Uncertainty::default();
    if unsure && spec.task == Task::Classify {
        let all = Options { score: 0.0, classes: None, top_k: usize::MAX, ..options.clone() };
        let scores = postprocess::classes(spec, &views, &all).unwrap_or_default();
        uncertainty = Uncertainty::of(&scores.iter().map(|class| class.score).collect::<Vec<_>>());
    }
    answer.map(|answer| (answer, uncertainty)).map_err(|error| {
        tracing::error!(%error, "outputs could not be read");
        Code::EngineFailed.because("the model's outputs are not what its description says")
    })
}

/// The shape of an output in a seat: as described, with the number of rows the seat says where that is free. The
/// seat's word is not trusted beyond the room there is.
fn shape_of(output: &OutputFacts, bytes: &[u8]) -> Vec<usize> {
    let mut shape = output.shape.clone();
    if output.dynamic
        && let (Some(rows), Some(count)) = (shape.first_mut(), bytes.first_chunk::<8>())
    {
        *rows = (u64::from_ne_bytes(*count)).min(*rows as u64) as usize;
    }
    shape
}

/// The data of an output in a seat. Empty when the seat is smaller than described, which the reader reports.
fn data_of<'a>(output: &OutputFacts, shape: &[usize], bytes: &'a [u8]) -> &'a [u8] {
    let from = if output.dynamic { OutputFacts::DYNAMIC_HEADER } else { 0 };
    let len = shape.iter().product::<usize>() * output.element.bytes();
    bytes.get(from..from + len).unwrap_or_default()
}

/// What a picture that cannot be decoded is answered with.
fn refusal(error: &DecodeError) -> RequestError {
    let code = match error {
        DecodeError::NotAnImage => Code::NotAnImage,
        DecodeError::Unsupported { .. } => Code::UnsupportedMediaType,
        DecodeError::TooLarge(_) => Code::ImageTooLarge,
        DecodeError::TooSmall { .. } | DecodeError::Corrupt { .. } | DecodeError::Panicked { .. } => {
            Code::CorruptImage
        }
        DecodeError::OutOfMemory { .. } => return RequestError::from(Code::Overloaded).retry_after(1),
    };
    code.because(error.to_string())
}

#[cfg(test)]
mod tests;
