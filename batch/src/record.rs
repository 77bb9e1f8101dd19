//! One line of the answers: a picture's name, and what was found in it or what is wrong with it. The same for journal and JSON
//! lines, so that what was written once is never made anew.

use serde::{Deserialize, Serialize};

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name: the path as the inputs named it; of a member of an archive, the archive's followed by its own.
    pub image: String,
    /// Columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Of a detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detections: Option<Vec<Found>>,
    /// Of a classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<Found>>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// An object, or a class of the whole picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The class's name.
    pub label: String,
    /// The class's number.
    pub class: u64,
    /// 0 to 1.
    pub score: f64,
    /// x1, y1, x2, y2 in pixels.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f64; 4]>,
    /// Points, of models that find them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keypoints: Option<Vec<[f64; 2]>>,
}

/// What is wrong with a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A code of the HTTP interface, or `unreadable`.
    pub code: String,
    /// For people.
    pub detail: String,
}

impl Record {
    /// The record of a picture without an answer.
    pub fn bad(image: &str, code: &str, detail: impl Into<String>) -> Self {
        let error = Some(Fault { code: code.to_owned(), detail: detail.into() });
        Self { image: image.to_owned(), width: None, height: None, detections: None, classes: None, error }
    }

    /// Whether there is no answer.
    pub const fn is_bad(&self) -> bool {
        self.error.is_some()
    }

    /// Objects or classes.
    pub fn found(&self) -> &[Found] {
        self.detections.as_deref().or(self.classes.as_deref()).unwrap_or_default()
    }
}
