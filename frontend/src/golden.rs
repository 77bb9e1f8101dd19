//! The golden test: before a model serves, a known picture goes the whole way, through decoder, arena, engine and
//! postprocessing, and what is found is compared with the stored answer. A wrong preprocessing, a damaged file or a driver
//! that computes nonsense is noticed here, and not by clients.

use crate::error::{Code, RequestError};
use crate::link::Attached;
use crate::pipeline::{self, Answer, Encoded, Order};
use crate::service::Service;
use serde::Deserialize;
use shm_proto::clock::{self, Nanos};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use vision::postprocess::Options;

/// How long the picture may take: the engine may be warming its lanes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Scores may differ by so much, since processors round differently.
const SCORE: f32 = 0.05;
/// Boxes of the same object overlap by so much.
const IOU: f32 = 0.8;

/// One object, or one class, of the stored answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Expected {
    label: String,
    score: f32,
    /// x1, y1, x2, y2 in pixels of the picture; a class has none.
    #[serde(rename = "box")]
    bbox: Option<[f32; 4]>,
}

/// Why the test was not passed.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// A file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// In the system's words.
        why: String,
    },
    /// The model answers something else.
    #[error("the model fails its golden test ({picture}): {why}")]
    Differs {
        /// The picture.
        picture: PathBuf,
        /// What differs.
        why: String,
    },
    /// There was no answer, which may be different next time.
    #[error("the golden test got no answer: {0}")]
    NoAnswer(RequestError),
}

/// Tests an attached model. A model without a golden picture passes.
///
/// # Errors
/// As [`GoldenError`].
pub async fn test(service: &Arc<Service>, attached: &Arc<Attached>) -> Result<(), GoldenError> {
    let Some(picture) = &attached.facts.golden else { return Ok(()) };
    let answer = picture.with_extension("json");
    let expected: Vec<Expected> =
        serde_json::from_slice(&read(&answer)?).map_err(|error| unusable(&answer, &error))?;
    let encoded = Encoded::Bytes(read(picture)?.into());
    let now = clock::now();
    let order = Order {
        encoded,
        room: service.inputs.room(),
        options: Options::of(&attached.facts.spec),
        keep: false,
        look: false,
        unsure: false,
        arrived: now,
        read: now,
        deadline: now.saturating_add(PATIENCE.as_nanos() as Nanos),
    };
    let run = tokio::time::timeout(PATIENCE, pipeline::run(service, attached, order));
    let run = run.await.unwrap_or_else(|_| Err(Code::DeadlineExceeded.into()));
    let differs = |why| GoldenError::Differs { picture: picture.clone(), why };
    let found = match run {
        Ok(found) => objects(attached, &found.answer),
        Err(error)
            if matches!(error.code, Code::EngineFailed | Code::PoisonInput)
                || error.status().is_client_error() =>
        {
            return Err(differs(error.to_string()));
        }
        Err(error) => return Err(GoldenError::NoAnswer(error)),
    };
    match difference(&expected, &found, attached.facts.spec.score) {
        None => {
            tracing::info!(picture = %picture.display(), objects = found.len(), "the model passes its golden test");
            Ok(())
        }
        Some(why) => Err(differs(why)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, GoldenError> {
    std::fs::read(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> GoldenError {
    GoldenError::File { path: path.to_owned(), why: error.to_string() }
}

fn objects(attached: &Attached, answer: &Answer) -> Vec<Expected> {
    let label = |class| attached.facts.spec.label(class).into_owned();
    match answer {
        Answer::Detections(detections) => {
            let object = |d: &vision::postprocess::Detection| Expected {
                label: label(d.class),
                score: d.score,
                bbox: Some(d.bbox),
            };
            detections.iter().map(object).collect()
        }
        // Only the best: the order of the others hangs on the last digit.
        Answer::Classes(classes) => {
            let best = classes.first();
            best.map(|c| Expected { label: label(c.class), score: c.score, bbox: None }).into_iter().collect()
        }
    }
}

/// The first thing that is not as it should be. Objects near the threshold may be there or not.
fn difference(expected: &[Expected], found: &[Expected], threshold: f32) -> Option<String> {
    let same = |a: &Expected, b: &Expected| {
        let place = match (a.bbox, b.bbox) {
            (Some(a), Some(b)) => vision::postprocess::overlap(&a, &b) >= IOU,
            (None, None) => true,
            _ => false,
        };
        a.label == b.label && (a.score - b.score).abs() <= SCORE && place
    };
    let sure = |object: &&Expected| object.score >= threshold + SCORE;
    if let Some(missing) = expected.iter().filter(sure).find(|e| !found.iter().any(|f| same(e, f))) {
        return Some(format!("{} is missing among {found:?}", missing.label));
    }
    let extra = found.iter().filter(sure).find(|f| !expected.iter().any(|e| same(e, f)));
    extra.map(|extra| format!("{extra:?} should not be there"))
}

#[cfg(test)]
mod tests;
