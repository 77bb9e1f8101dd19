//! The file beside a picture: what was found in it by which model, what it looks like, and what people said of it. Owns the
//! document's form; everything else that is known of a picture follows from it and from where it lies.

use crate::index::State;
use crate::look::{self, Look};
use crate::naming::NOTHING;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vision::decode::{Format, sniff};
use xxhash_rust::xxh3::xxh3_128;

/// Version of the form.
pub const SCHEMA: u32 = 1;

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sidecar {
    /// Version of the form.
    pub schema: u32,
    /// The picture's id, which is its file's stem.
    pub id: String,
    /// The picture's file name.
    pub file: String,
    /// When it was answered, RFC 3339.
    pub time: String,
    /// The request's id, as the client knows it.
    pub request: String,
    /// How it came: url, bytes, base64, path or file; batch, of a picture that a batch sorted.
    pub source: String,
    /// The model that answered.
    pub model: ModelName,
    /// Columns, as a person sees the picture.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// XXH3 of the file, 128 bits in hexadecimal.
    pub hash: String,
    /// Perceptual hash, 64 bits in hexadecimal.
    pub perceptual: String,
    /// The rule that chose it.
    pub rule: String,
    /// What is odd about it.
    pub flags: Vec<String>,
    /// What it looks like.
    pub look: Look,
    /// Lowest score that the request asked for.
    pub score: f32,
    /// What a detector found, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detections: Option<Vec<Found>>,
    /// What a classifier found, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<Class>>,
    /// How sure the classifier was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    /// Times of the request's stages.
    pub timing_ms: BTreeMap<String, f64>,
    /// What people said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// How often people have changed it.
    #[serde(skip_serializing_if = "is_zero")]
    pub revision: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelName {
    /// Its name.
    pub name: String,
    /// SHA-256 of its file.
    pub version: String,
}

/// A detection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Name of the class.
    pub label: String,
    /// Its number in the model; people's boxes may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<usize>,
    /// Score; 1 for people's boxes.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the picture.
    #[serde(rename = "box")]
    pub corners: [f32; 4],
}

/// A class of the whole picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Name.
    pub label: String,
    /// Number in the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<usize>,
    /// Probability.
    pub score: f32,
}

/// The textbook's measures of how little a classifier knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// 1 − the best probability.
    pub least_confidence: f32,
    /// The best probability less the second.
    pub margin: f32,
    /// Entropy over the entropy of all classes being equally likely.
    pub entropy: f32,
}

impl Uncertainty {
    /// Of the probabilities of all classes, best first.
    pub fn of(probabilities: &[f32]) -> Self {
        let best = probabilities.first().copied().unwrap_or(0.0);
        let second = probabilities.get(1).copied().unwrap_or(0.0);
        let entropy: f32 = probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        let most = (probabilities.len().max(2) as f32).ln();
        Self {
            least_confidence: 1.0 - best,
            margin: best - second,
            entropy: (entropy / most).clamp(0.0, 1.0),
        }
    }
}

/// What people said of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Whether it was taken or not.
    pub state: State,
    /// Its class.
    pub class: String,
    /// Its boxes, for a detector's picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boxes: Option<Vec<Found>>,
    /// When, RFC 3339.
    pub time: String,
}

impl Sidecar {
    /// What a picture's file and its pixels say, and nothing else. `size`: columns and rows, as a person sees the picture.
    pub(crate) fn of(id: String, bytes: &[u8], size: (u32, u32), look: Look) -> Self {
        let (width, height) = size;
        Self {
            schema: SCHEMA,
            file: format!("{id}.{}", extension(bytes)),
            id,
            width,
            height,
            bytes: bytes.len() as u64,
            hash: format!("{:032x}", xxh3_128(bytes)),
            perceptual: look.telling_hash().map_or_else(String::new, |hash| format!("{hash:016x}")),
            flags: look::flag_names(look.flags(width, height)).into_iter().map(str::to_owned).collect(),
            look,
            ..Self::default()
        }
    }

    /// The picture's class and score: what people say, or else the best of what was found.
    pub fn top(&self) -> (String, f32) {
        if let Some(review) = &self.review {
            return (review.class.clone(), self.found_top().1);
        }
        self.found_top()
    }

    /// The best of what was found.
    pub fn found_top(&self) -> (String, f32) {
        let detected = self.detections.as_ref().and_then(|found| found.first()).map(|d| (&d.label, d.score));
        let classified = self.classes.as_ref().and_then(|found| found.first()).map(|c| (&c.label, c.score));
        detected
            .or(classified)
            .map_or_else(|| (NOTHING.to_owned(), 0.0), |(label, score)| (label.clone(), score))
    }

    /// The state that people have given it.
    pub fn state(&self) -> State {
        self.review.as_ref().map_or(State::New, |review| review.state)
    }

    /// The boxes that hold: people's, or else the detector's. `None` for a classified picture.
    pub fn boxes(&self) -> Option<&[Found]> {
        let reviewed = self.review.as_ref().and_then(|review| review.boxes.as_deref());
        reviewed.or(self.detections.as_deref())
    }

    /// Milliseconds since 1970; 0 for a time that cannot be read.
    pub fn millis(&self) -> i64 {
        self.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond)
    }

    /// The day it was answered, in local time: the name of its folder.
    pub fn date(&self) -> String {
        let time = self.time.parse::<jiff::Timestamp>().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d").to_string()
    }

    /// The document as text.
    pub fn to_json(&self) -> Vec<u8> {
        // Text keys and finite numbers or none: nothing that serde_json can refuse.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// The extension of a picture file, by its first bytes.
pub(crate) fn extension(bytes: &[u8]) -> &'static str {
    match sniff(bytes) {
        Some(Format::Jpeg) => "jpg",
        Some(Format::Png) => "png",
        Some(Format::WebP) => "webp",
        Some(Format::Gif) => "gif",
        Some(Format::Bmp) => "bmp",
        Some(Format::Tiff) => "tif",
        Some(Format::Pnm) => "pnm",
        None => "bin",
    }
}

/// Now, as sidecars have it.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests;
