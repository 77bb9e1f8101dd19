//! Pictures in the harvest's folders, by what was found in them: for people to clean, and to be exported.

use crate::BatchError;
use crate::client::Model;
use crate::record::{Found, Record};
use harvest::filing;
use harvest::sidecar::{self, ModelName, Sidecar};
use std::path::{Path, PathBuf};
use vision::decode::decode;

/// Where to, and what is the same for all pictures of a run.
pub struct Sorting {
    folder: PathBuf,
    model: ModelName,
    begun: String,
}

impl Sorting {
    /// Sorts below this folder what this model finds. `begun`: when the first of the runs began, whose day names the folders, so that a
    /// picture that is done again is not there twice.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn new(folder: &Path, model: Model, begun: &str) -> Result<Self, BatchError> {
        let Model { name, version, task, classes } = model;
        let described = filing::Model { name: &name, version: &version, task, labels: &classes };
        described.describe(folder).map_err(BatchError::at(folder))?;
        Ok(Self { folder: folder.to_owned(), model: ModelName { name, version }, begun: begun.to_owned() })
    }

    /// Puts a picture to its place. Nothing for one without an answer.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn sort(&self, record: &Record, bytes: &[u8]) -> Result<(), BatchError> {
        if record.is_bad() {
            return Ok(());
        }
        let Ok(picture) = decode(bytes, &crate::decoded_before()) else { return Ok(()) };
        let found = Sidecar {
            time: self.begun.clone(),
            request: record.image.clone(),
            source: "batch".to_owned(),
            model: self.model.clone(),
            rule: "all".to_owned(),
            detections: record.detections.as_deref().map(|found| found.iter().map(detection).collect()),
            classes: record.classes.as_deref().map(|found| found.iter().map(class).collect()),
            ..Sidecar::default()
        };
        filing::sort(&self.folder, &record.image, bytes, &picture, found)
            .map_err(BatchError::at(&self.folder))
    }
}

fn detection(found: &Found) -> sidecar::Found {
    sidecar::Found {
        label: found.label.clone(),
        class: usize::try_from(found.class).ok(),
        score: found.score as f32,
        corners: found.bbox.unwrap_or_default().map(|x| x as f32),
    }
}

fn class(found: &Found) -> sidecar::Class {
    sidecar::Class {
        label: found.label.clone(),
        class: usize::try_from(found.class).ok(),
        score: found.score as f32,
    }
}

#[cfg(test)]
mod tests;
