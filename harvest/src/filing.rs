//! Puts pictures into the folders, without the index: the next scan of a service takes them in. Owns what lies there of a picture
//! and of a model, and in which order it comes.

use crate::files;
use crate::index::place;
use crate::look::Look;
use crate::naming::{self, MODELS};
use crate::sidecar::{Sidecar, now};
use serde_json::json;
use std::io;
use std::path::Path;
use vision::model::Task;
use vision::picture::Picture;
use xxhash_rust::xxh3::Xxh3;

/// What is left word of about a model.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// SHA-256 of its file.
    pub version: &'a str,
    /// What it does.
    pub task: Task,
    /// Its classes.
    pub labels: &'a [String],
}

impl Model<'_> {
    /// Leaves word of the classes, in the model's order: exports number them so.
    ///
    /// # Errors
    /// The system's.
    pub fn describe(&self, root: &Path) -> io::Result<()> {
        let Self { name, version, task, labels } = *self;
        let place = Path::new(MODELS).join(format!("{}.json", naming::folder(version)));
        if root.join(&place).exists() {
            return Ok(());
        }
        let document =
            json!({ "name": name, "version": version, "task": task, "labels": labels, "since": now() });
        files::put(root, &place, format!("{document:#}\n").as_bytes())
    }
}

/// Puts a picture and its sidecar to a place. The sidecar comes first: a picture that is seen has one.
pub(crate) fn lay(root: &Path, place: &Path, sidecar: &Sidecar, bytes: &[u8]) -> io::Result<()> {
    files::put(root, &files::sidecar_of(place), &sidecar.to_json())?;
    files::put(root, place, bytes).inspect_err(|_| {
        let _ = files::remove(&root.join(files::sidecar_of(place))); // swept later otherwise
    })
}

/// Sorts a picture by what `found` says of it, whose time decides the day's folder. Its id follows from its name and its bytes:
/// who does it again with the same answer and the same time replaces it.
///
/// # Errors
/// The system's.
pub fn sort(root: &Path, name: &str, bytes: &[u8], picture: &Picture, found: Sidecar) -> io::Result<()> {
    let mut hash = Xxh3::new();
    hash.update(&(name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    hash.update(bytes);
    let id = format!("{:032x}", hash.digest128());
    let seen = Sidecar::of(id, bytes, (picture.width, picture.height), Look::of(picture));
    let Sidecar { time, request, source, model, rule, score, detections, classes, .. } = found;
    let sidecar = Sidecar { time, request, source, model, rule, score, detections, classes, ..seen };
    lay(root, &place(&sidecar), &sidecar, bytes)
}

#[cfg(test)]
mod tests;
