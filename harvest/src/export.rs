//! Reviewed pictures as data sets: folders that trainers and labelling tools read. Owns the split, the files' places and the
//! manifest; each form is in its own file.
//!
//! Pictures are hard links where the file system allows it, so that an export costs no room; the split depends on a picture's
//! bytes alone, so that it is the same tomorrow and equal pictures are never on both sides.

mod archive;
mod coco;
mod label_studio;
mod yolo;

pub use archive::archive;

use crate::index::{IndexError, State, io_error};
use crate::naming;
use crate::truth::{self, Picture};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A data set's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `train/images`, `train/labels`, `data.yaml`.
    Yolo,
    /// `train/`, `annotations/instances_train.json`.
    Coco,
    /// `train/CLASS/`.
    ImageFolder,
    /// `tasks.json` beside `images/`.
    LabelStudio,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Yolo, Self::Coco, Self::ImageFolder, Self::LabelStudio];

    /// Its name on the command line and in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yolo => "yolo",
            Self::Coco => "coco",
            Self::ImageFolder => "imagefolder",
            Self::LabelStudio => "label-studio",
        }
    }

    /// The form of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What is exported and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The form.
    pub format: Format,
    /// Pictures in these states.
    pub states: Vec<State>,
    /// The share of pictures that are kept for validation, 0–1.
    pub validation: f64,
    /// Whether pictures are copied even where they could be linked.
    pub copy: bool,
    /// What comes before a picture's place in Label Studio's tasks.
    pub prefix: String,
}

impl Order {
    /// What people accepted, a fifth of it for validation.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            states: vec![State::Accepted],
            validation: 0.2,
            copy: false,
            prefix: "/data/local-files/?d=".to_owned(),
        }
    }
}

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folders could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// There is nothing of the kind.
    #[error("there are no such pictures in {0}: accept some in the review first, or name other states")]
    Nothing(PathBuf),
    /// Something is there already.
    #[error("{0} exists already: an export goes into a folder of its own")]
    Exists(PathBuf),
    /// Boxes were asked of pictures that have none.
    #[error("the pictures were classified and have no boxes: export them as imagefolder or label-studio")]
    NoBoxes,
    /// More than one file should hold.
    #[error(
        "the export has {bytes} bytes, and a download at most {most}: use `detectd export` on the machine itself"
    )]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What it may have.
        most: u64,
    },
}

/// A picture of an export.
struct Item<'a> {
    picture: &'a Picture,
    sha256: String,
    split: &'static str,
}

impl Item<'_> {
    fn file(&self) -> &str {
        &self.picture.sidecar.file
    }
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Pictures by split.
    pub pictures: BTreeMap<&'static str, usize>,
    /// Classes, by number.
    pub classes: Vec<String>,
    /// How many pictures are links rather than copies.
    pub linked: usize,
    /// Pictures left out because they cannot be read or the form has no place for them.
    pub left_out: usize,
}

/// Exports into a new folder. It has its name when it is whole.
///
/// # Errors
/// When there is nothing to export, the folder exists, or a file cannot be read or written.
pub fn export(root: &Path, into: &Path, order: &Order) -> Result<Report, ExportError> {
    if into.exists() {
        return Err(ExportError::Exists(into.to_path_buf()));
    }
    let pictures = truth::pictures(root, &order.states)?;
    if pictures.is_empty() {
        return Err(ExportError::Nothing(root.to_path_buf()));
    }
    let boxes = matches!(order.format, Format::Yolo | Format::Coco);
    if boxes && pictures.iter().all(|picture| picture.sidecar.boxes().is_none()) {
        return Err(ExportError::NoBoxes);
    }
    let name = into.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let unfinished = into.with_file_name(format!(".{name}.part-{}", std::process::id()));
    let result = fill(root, &unfinished, order, &pictures, boxes).and_then(|report| {
        fs::rename(&unfinished, into).map_err(io_error(into))?;
        Ok(report)
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&unfinished); // what stays is marked as unfinished by its name
    }
    result
}

fn fill(
    root: &Path,
    into: &Path,
    order: &Order,
    pictures: &[Picture],
    boxes: bool,
) -> Result<Report, ExportError> {
    let classes = truth::classes(root, pictures);
    let mut report = Report { classes, ..Report::default() };
    let mut items = Vec::new();
    for picture in pictures {
        let skip = boxes && picture.sidecar.boxes().is_none()
            || order.format == Format::ImageFolder && picture.class == naming::NOTHING;
        match fs::read(&picture.path) {
            Ok(bytes) if !skip => {
                let digest = Sha256::digest(&bytes);
                let split = if order.format != Format::LabelStudio && share(&digest) < order.validation {
                    "val"
                } else {
                    "train"
                };
                *report.pictures.entry(split).or_default() += 1;
                let sha256 = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
                items.push(Item { picture, sha256, split });
            }
            _ => report.left_out += 1,
        }
    }
    for item in &items {
        let to = into.join(place(order.format, item));
        report.linked += usize::from(link(&item.picture.path, &to, order.copy)?);
    }
    let mut documents = match order.format {
        Format::Yolo => yolo::documents(&items, &report.classes),
        Format::Coco => coco::documents(&items, &report.classes),
        Format::ImageFolder => Vec::new(),
        Format::LabelStudio => label_studio::documents(&items, &report.classes, &order.prefix),
    };
    documents.extend(manifest(order, &items, &report));
    for (place, text) in documents {
        let path = into.join(place);
        make_room(&path)?;
        fs::write(&path, text).map_err(io_error(&path))?;
    }
    Ok(report)
}

/// Where a picture goes.
fn place(format: Format, item: &Item<'_>) -> PathBuf {
    match format {
        Format::Yolo => [item.split, "images", item.file()].iter().collect(),
        Format::Coco => [item.split, item.file()].iter().collect(),
        Format::ImageFolder => {
            [item.split, &naming::folder(&item.picture.class), item.file()].iter().collect()
        }
        Format::LabelStudio => ["images", item.file()].iter().collect(),
    }
}

/// A number from 0 to 1 that is a picture's own.
fn share(digest: &[u8]) -> f64 {
    let head = digest.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(head) as f64 / 2f64.powi(64)
}

/// Puts a picture there; whether by a link.
fn link(from: &Path, to: &Path, copy: bool) -> Result<bool, IndexError> {
    make_room(to)?;
    if !copy && fs::hard_link(from, to).is_ok() {
        return Ok(true);
    }
    fs::copy(from, to).map_err(io_error(to))?;
    Ok(false)
}

fn make_room(path: &Path) -> Result<(), IndexError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(io_error(folder))
}

/// The list of all pictures, once for programs and once for `sha256sum --check`.
fn manifest(order: &Order, items: &[Item<'_>], report: &Report) -> Vec<(PathBuf, String)> {
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let sidecar = &item.picture.sidecar;
            json!({
                "path": place(order.format, item), "split": item.split, "sha256": item.sha256, "id": sidecar.id,
                "state": item.picture.state, "class": item.picture.class, "width": sidecar.width, "height": sidecar.height,
                "time": sidecar.time, "model": sidecar.model,
            })
        })
        .collect();
    let document = json!({
        "format": order.format.name(), "classes": report.classes, "pictures": report.pictures,
        "validation": order.validation, "files": rows,
    });
    let sums: String = items
        .iter()
        .map(|item| format!("{}  {}\n", item.sha256, place(order.format, item).display()))
        .collect();
    vec![("manifest.json".into(), format!("{document:#}\n")), ("SHA256SUMS".into(), sums)]
}

/// A class's number.
fn number(classes: &[String], class: &str) -> Option<usize> {
    classes.iter().position(|known| known == class)
}

#[cfg(test)]
mod tests;
