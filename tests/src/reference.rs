//! What real models find on real pictures, and how near an answer must come to it.
//!
//! Owns the reading of the references in the test data, the tolerances, and the table of exceptions
//! (`reference_exceptions.toml`). Knows neither how an answer was made nor a test framework, so the library's
//! own check and the checks over HTTP compare alike.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One object, as found or as expected.
#[derive(Clone, Debug, Deserialize)]
pub struct Object {
    /// Name of its class.
    pub label: String,
    /// Confidence, 0–1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the picture.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// x and y in turn; empty where there are none.
    #[serde(default)]
    pub landmarks: Vec<f32>,
}

/// One class of a picture, as found or as expected.
#[derive(Clone, Debug, Deserialize)]
pub struct Ranked {
    /// Its name.
    pub label: String,
    /// Probability, 0–1.
    pub score: f32,
}

/// What a model says of a picture.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A detector's.
    Objects(Vec<Object>),
    /// A classifier's, best first.
    Classes(Vec<Ranked>),
}

/// One picture's expectation.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Path below the data folder.
    pub image: String,
    /// Columns, as displayed.
    pub width: u32,
    /// Rows, as displayed.
    pub height: u32,
    detections: Option<Vec<Object>>,
    top5: Option<Vec<Ranked>>,
}

/// One model's expectations.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// The model file's stem.
    pub model: String,
    /// Path of the model below the data folder.
    pub file: String,
    /// One a picture.
    #[serde(rename = "results")]
    pub cases: Vec<Case>,
}

/// What is allowed to differ, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Path below the data folder.
    pub image: String,
    /// Stems of the models; none means that the picture is not decoded at all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Pictures of 416 × 312 that hold the same pixels: no resizing is involved in a 416 letterbox.
const LOSSLESS: [&str; 8] = [
    "rgb.png",
    "rgb16.png",
    "rgba_half.png",
    "rgba_opaque.png",
    "rgb.bmp",
    "rgb.tif",
    "rgb.ppm",
    "lossless.webp",
];

/// How near an answer must come.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    /// Expected objects below this score are not asked for; found ones only from `ask + score` on.
    ask: f32,
    /// Greatest difference of scores.
    score: f32,
    /// Smallest IoU, where boxes are compared by it.
    iou: f32,
    /// Greatest difference of a coordinate in pixels, where boxes are compared by that.
    pixels: Option<f32>,
}

const RESIZED: Tolerance = Tolerance { ask: 0.4, score: 0.1, iou: 0.8, pixels: None };
const IDENTICAL: Tolerance = Tolerance { ask: 0.25, score: 0.005, iou: 0.0, pixels: Some(0.5) };

/// The test data: `DETECTD_DATA`, or `shared/data` beside the repository.
pub fn data_folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("DETECTD_DATA").map_or_else(beside, PathBuf::from);
    folder.join("reference").is_dir().then_some(folder)
}

/// All references of the data folder, by name of the model.
pub fn load(data: &Path) -> Vec<Reference> {
    let mut found: Vec<Reference> = std::fs::read_dir(data.join("reference"))
        .expect("the reference folder can be listed")
        .map(|entry| entry.expect("the reference folder can be listed").path())
        .filter_map(|path| {
            let text = std::fs::read_to_string(&path).expect("a reference can be read");
            // The folder holds other tables too, which name no model.
            serde_json::from_str(&text).ok()
        })
        .collect();
    found.sort_by(|a, b| a.model.cmp(&b.model));
    found
}

/// The exceptions of `tests/reference_exceptions.toml`.
pub fn exceptions(text: &str) -> Vec<Exception> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        exception: Vec<Exception>,
    }
    toml::from_str::<File>(text).expect("the table of exceptions can be read").exception
}

impl Case {
    /// What is wrong with `answer`, one line a fault; none when it is near enough.
    pub fn faults(&self, model: &str, answer: &Answer) -> Vec<String> {
        match (answer, &self.detections, &self.top5) {
            (Answer::Objects(found), Some(expected), _) => objects(expected, found, self.tolerance(model)),
            (Answer::Classes(found), _, Some(expected)) => classes(expected, found),
            _ => vec!["an answer of the other task".into()],
        }
    }

    fn tolerance(&self, model: &str) -> Tolerance {
        let variant = self.image.strip_prefix("images/variants/dog416_");
        let identical = model.starts_with("yolox_nano") && variant.is_some_and(|v| LOSSLESS.contains(&v));
        if identical { IDENTICAL } else { RESIZED }
    }
}

fn objects(expected: &[Object], found: &[Object], tolerance: Tolerance) -> Vec<String> {
    let mut faults = Vec::new();
    let mut taken = vec![false; found.len()];
    for e in expected.iter().filter(|e| e.score >= tolerance.ask) {
        let nearest = (0..found.len())
            .filter(|&i| !taken[i] && found[i].label == e.label)
            .max_by(|&a, &b| overlap(&found[a].bbox, &e.bbox).total_cmp(&overlap(&found[b].bbox, &e.bbox)));
        match nearest {
            Some(i) if near(e, &found[i], tolerance) => taken[i] = true,
            Some(i) => faults.push(format!("expected {} and the nearest is {}", show(e), show(&found[i]))),
            None => faults.push(format!("expected {} and found none", show(e))),
        }
    }
    // The reverse: what is found with certainty must be in the reference, at whatever score.
    for (i, f) in found.iter().enumerate() {
        let sure = !taken[i] && f.score >= tolerance.ask + tolerance.score;
        if sure && !expected.iter().any(|e| e.label == f.label && near(e, f, tolerance)) {
            faults.push(format!("found {}, which is not expected", show(f)));
        }
    }
    faults
}

fn near(expected: &Object, found: &Object, tolerance: Tolerance) -> bool {
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let size = (expected.bbox[2] - expected.bbox[0]).max(expected.bbox[3] - expected.bbox[1]);
    let place = match tolerance.pixels {
        Some(pixels) => apart(&expected.bbox, &found.bbox) <= pixels,
        None => overlap(&expected.bbox, &found.bbox) >= tolerance.iou,
    };
    // Landmarks move as much as the sides of a box that keeps the IoU.
    let landmarks = expected.landmarks.len() == found.landmarks.len()
        && apart(&expected.landmarks, &found.landmarks) <= tolerance.pixels.unwrap_or(0.15 * size);
    place && landmarks && (expected.score - found.score).abs() <= tolerance.score
}

fn show(object: &Object) -> String {
    let Object { label, score, bbox: [x1, y1, x2, y2], .. } = object;
    format!("{label} {score:.3} [{x1:.1}, {y1:.1}, {x2:.1}, {y2:.1}]")
}

fn classes(expected: &[Ranked], found: &[Ranked]) -> Vec<String> {
    let (Some(e), Some(f)) = (expected.first(), found.first()) else {
        return vec!["no classes".into()];
    };
    // Below this the order of the first two is a matter of the resizing filter.
    let sure = e.score >= RESIZED.ask;
    if sure && (e.label != f.label || (e.score - f.score).abs() > RESIZED.score) {
        return vec![format!("expected {} {:.3} and found {} {:.3}", e.label, e.score, f.label, f.score)];
    }
    Vec::new()
}

fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |c: &[f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let shared = side(0) * side(1);
    shared / (area(a) + area(b) - shared)
}
