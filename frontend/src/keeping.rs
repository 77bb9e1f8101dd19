//! What a request hands over to the harvest when it has been answered, and what becomes of that on the board. Decides only
//! whether a request is asked at all; never waits and never fails a request.

use crate::error::{Code, RequestError};
use crate::inputs::InputType;
use crate::pipeline::{self, Found};
use crate::review::Review;
use crate::service::Service;
use bytes::Bytes;
use harvest::{Answer, Event, Harvest, Specimen};
use http::HeaderMap;
use shm_proto::board::{Board, Counter, Stage};
use shm_proto::clock;
use std::io;
use std::sync::Arc;
use vision::model::ModelFacts;

/// With this header a request says that its picture is not to be kept.
pub const HEADER: &str = "x-harvest";

/// The harvest of this frontend.
pub struct Keeping {
    harvest: Harvest,
    /// What people sort the pictures with.
    pub review: Arc<Review>,
}

/// Refuses a header that says neither.
///
/// # Errors
/// `bad_parameter`.
pub fn check(headers: &HeaderMap) -> Result<(), RequestError> {
    match headers.get(HEADER).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"on" | b"off") => Ok(()),
        Some(_) => Err(Code::BadParameter.because("X-Harvest must be 'on' or 'off'")),
    }
}

impl Keeping {
    /// Starts the harvest of one of `peers` frontends, where a folder is configured, counting on this view of the board.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(config: &harvest::Config, peers: usize, board: Board, slot: u8) -> io::Result<Option<Self>> {
        if config.root.as_os_str().is_empty() {
            return Ok(None);
        }
        let count = move |event: Event| {
            let process = board.frontend(slot);
            let counter = match event {
                Event::Stored(bytes) => {
                    process.add(Counter::HarvestBytes, bytes);
                    Counter::HarvestStored
                }
                Event::Duplicate => Counter::HarvestDuplicates,
                Event::NearDuplicate => Counter::HarvestNearDuplicates,
                Event::Limited => Counter::HarvestLimited,
                Event::Quota => Counter::HarvestQuota,
                Event::NoRoom => Counter::HarvestNoRoom,
                Event::Dropped => Counter::HarvestDropped,
                Event::Failed => Counter::HarvestFailed,
                Event::Removed => Counter::HarvestRemoved,
            };
            process.add(counter, 1);
        };
        let harvest = Harvest::start(config.clone(), peers, Arc::new(count))?;
        Ok(Some(Self { harvest, review: Arc::new(Review::new(config)) }))
    }

    /// Makes the folder, where one is configured: what is not there when a frontend gives up its rights cannot be opened later.
    /// One that cannot be made is said when the first picture cannot be kept.
    pub fn make_room(config: &harvest::Config) {
        if !config.root.as_os_str().is_empty() {
            let _ = std::fs::create_dir_all(&config.root);
        }
    }

    /// Whether the picture of a request with these headers may be kept.
    pub fn wants(&self, service: &Service, headers: &HeaderMap) -> bool {
        if !self.harvest.is_on() {
            return false;
        }
        let off = headers.get(HEADER).is_some_and(|value| value.as_bytes().trim_ascii() == b"off");
        if off {
            service.process().add(Counter::HarvestOptedOut, 1);
        }
        !off
    }

    /// Whether a picture that comes now is worth a look.
    pub fn has_room(&self) -> bool {
        self.harvest.has_room()
    }

    /// Hands a picture over, if a rule chooses it.
    pub fn offer(
        &self,
        bytes: Bytes,
        facts: &Arc<ModelFacts>,
        found: &Found,
        (id, kind): (&str, InputType),
        score: f32,
    ) {
        let answer = match &found.answer {
            pipeline::Answer::Detections(found) => Answer::Detections(found.clone()),
            pipeline::Answer::Classes(classes) => Answer::Classes(classes.clone(), found.uncertainty),
        };
        let rules = self.harvest.choose(&facts.spec, &answer);
        if rules == 0 {
            return;
        }
        let Some(look) = found.look else { return self.harvest.turn_away() };
        let times = found.marks.times(clock::now());
        let timing = Stage::ALL.iter().zip(times).map(|(stage, nanos)| (stage.name(), nanos as f64 / 1e6));
        self.harvest.offer(Specimen {
            bytes,
            width: found.width,
            height: found.height,
            look,
            rules,
            request: id.to_owned(),
            source: kind.name(),
            facts: facts.clone(),
            answer,
            score,
            timing: timing.collect(),
        });
    }
}

#[cfg(test)]
mod tests;
