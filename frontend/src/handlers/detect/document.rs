//! What was found as JSON, written straight from what was found: the answer to one picture or to a list of them.

use crate::error::RequestError;
use crate::inputs::InputType;
use crate::pipeline::{Answer, Found};
use crate::reply::Reply;
use serde::ser::{Serialize, SerializeMap, Serializer};
use shm_proto::board::Stage;
use shm_proto::clock::Nanos;
use vision::model::{ModelFacts, ModelSpec};

/// A class's name; its number where it has none.
pub(super) fn label(spec: &ModelSpec, class: usize) -> String {
    spec.labels.get(class).cloned().unwrap_or_else(|| class.to_string())
}

pub(super) fn millis(nanos: Nanos) -> f64 {
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
pub(super) fn one(document: &Document<'_>) -> Reply {
    padded(Reply::json(document), padding(&Timing(&document.times)))
}

/// The JSON answer to a list, of one length as well.
pub(super) fn many(documents: &Documents<'_>) -> Reply {
    let answered = documents.results.iter().flatten();
    let padding: usize = answered.map(|document| padding(&Timing(&document.times))).sum();
    padded(Reply::json(documents), padding + self::padding(&Total(documents.total)))
}

/// Spaces that make up for what the times have fewer digits than they may.
fn padding(times: &impl Serialize) -> usize {
    TIMING_LEN.saturating_sub(serde_json::to_vec(times).map_or(0, |text| text.len()))
}

fn padded(mut reply: Reply, spaces: usize) -> Reply {
    let mut body = Vec::from(reply.body);
    body.resize(body.len() + spaces, b' ');
    reply.body = body.into();
    reply
}

/// The answer to a list: one result for each picture, in order, which is its answer or its problem.
pub(super) struct Documents<'a> {
    pub(super) id: &'a str,
    pub(super) facts: &'a ModelFacts,
    pub(super) results: Vec<Result<Document<'a>, RequestError>>,
    pub(super) total: Nanos,
}

impl Serialize for Documents<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("model", &self.facts.spec.name)?;
        let results: Vec<_> = self.results.iter().map(|result| Outcome { id: self.id, result }).collect();
        map.serialize_entry("results", &results)?;
        map.serialize_entry("timing_ms", &Total(self.total))?;
        map.end()
    }
}

/// One picture's answer or problem.
struct Outcome<'a> {
    id: &'a str,
    result: &'a Result<Document<'a>, RequestError>,
}

impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.result {
            Ok(document) => document.serialize(serializer),
            Err(error) => {
                let mut problem = error.problem(self.id);
                // There is one header for all pictures, so what it would say stands here.
                if let Some(seconds) = error.retry_after {
                    problem["retry_after"] = seconds.into();
                }
                problem.serialize(serializer)
            }
        }
    }
}

/// The answer to one picture.
pub(super) struct Document<'a> {
    pub(super) id: &'a str,
    pub(super) facts: &'a ModelFacts,
    pub(super) kind: InputType,
    pub(super) found: Found,
    pub(super) times: [Nanos; Stage::COUNT],
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

/// The time of a whole list.
struct Total(Nanos);

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(Stage::Total.name(), millis(self.0))])
    }
}
