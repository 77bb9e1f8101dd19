//! Pictures as the folders have them, for export and comparison: read from the sidecars, in an order that depends on nothing
//! but their ids. Needs no index and no running service.

use crate::files;
use crate::index::{IndexError, State};
use crate::naming::{self, MODELS};
use crate::scan::walk;
use crate::sidecar::Sidecar;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A picture and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// What people said.
    pub state: State,
    /// Its class.
    pub class: String,
    /// Its sidecar.
    pub sidecar: Sidecar,
}

/// What a model called its classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Labels {
    /// SHA-256 of the model's file.
    pub version: String,
    /// The names, by number.
    pub labels: Vec<String>,
    /// Since when it served here.
    pub since: String,
}

/// The pictures below a root in one of these states, by id.
///
/// # Errors
/// The file system's, for a folder that cannot be read.
pub fn pictures(root: &Path, states: &[State]) -> Result<Vec<Picture>, IndexError> {
    let mut found = Vec::new();
    walk(root, &mut |place| {
        let path = root.join(place);
        let (Some((state, class)), Ok(sidecar)) = (naming::read(place), files::read_sidecar(&path)) else {
            return;
        };
        if states.contains(&state) {
            found.push(Picture { path, state, class, sidecar });
        }
    })?;
    found.sort_by(|a, b| a.sidecar.id.cmp(&b.sidecar.id));
    Ok(found)
}

/// The classes of these pictures in the newest model's order; those that it does not have come after them.
pub fn classes(root: &Path, pictures: &[Picture]) -> Vec<String> {
    let used: BTreeSet<&str> = pictures
        .iter()
        .flat_map(|picture| match picture.sidecar.boxes() {
            Some(boxes) => boxes.iter().map(|found| found.label.as_str()).collect::<Vec<_>>(),
            None => vec![picture.class.as_str()],
        })
        .filter(|class| *class != naming::NOTHING)
        .collect();
    let mut classes = newest(root).map_or_else(Vec::new, |labels| labels.labels);
    for class in used {
        if !classes.iter().any(|known| known == class) {
            classes.push(class.to_owned());
        }
    }
    classes
}

/// The model that came last.
pub fn newest(root: &Path) -> Option<Labels> {
    let entries = fs::read_dir(root.join(MODELS)).ok()?;
    let read = |entry: fs::DirEntry| serde_json::from_slice::<Labels>(&fs::read(entry.path()).ok()?).ok();
    entries.flatten().filter_map(read).max_by(|a, b| a.since.cmp(&b.since))
}
