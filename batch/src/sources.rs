//! Which pictures there are: folders, patterns, lists, archives and single files become one list of items, in an order that is
//! the same at each run. Opens no picture.
//!
//! In folders and archives files with the ending of a picture are taken; what is named by itself is taken whatever its name.

use crate::{BatchError, archive};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Endings of pictures, without regard to case.
const ENDINGS: [&str; 17] = [
    "avif", "bmp", "gif", "heic", "jfif", "jpe", "jpeg", "jpg", "jp2", "pbm", "pgm", "png", "pnm", "ppm",
    "tif", "tiff", "webp",
];
/// Endings of lists: one path a line.
const LISTS: [&str; 2] = ["list", "txt"];

/// One picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// How the answers call it; no two items have the same.
    pub name: String,
    /// Where its bytes are.
    pub place: Place,
}

/// Where a picture's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of its own.
    File(PathBuf),
    /// The member of that number of an archive.
    Member(PathBuf, usize),
}

/// All items, and how many files of folders and archives were passed over because of their name.
#[derive(Debug, Default)]
pub struct Listing {
    /// In order.
    pub items: Vec<Item>,
    /// Files without the ending of a picture.
    pub passed_over: usize,
    names: HashSet<String>,
    /// Absolute; what an input names, or where it is.
    folders: BTreeSet<PathBuf>,
}

impl Listing {
    /// Looks at the inputs: each a folder, an archive, a list, a pattern, a picture, or `-` for a list on standard input.
    ///
    /// # Errors
    /// An input that does not exist or cannot be read, a pattern that is none or matches nothing.
    pub fn of(inputs: &[String]) -> Result<Self, BatchError> {
        let mut listing = Self::default();
        for input in inputs {
            listing.add(input)?;
        }
        Ok(listing)
    }

    /// The folders that all files of their own are below, none of them below another.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in &self.folders {
            // In order a folder is followed by all that is below it.
            if folders.last().is_none_or(|last| !folder.starts_with(last)) {
                folders.push(folder.clone());
            }
        }
        folders
    }

    fn add(&mut self, input: &str) -> Result<(), BatchError> {
        let path = Path::new(input);
        if input == "-" {
            return self.list(std::io::stdin().lock(), path, Path::new(""));
        }
        if path.is_dir() {
            return self.folder(path);
        }
        if path.exists() {
            if ends_in(path, &LISTS) {
                let file = std::fs::File::open(path).map_err(BatchError::at(path))?;
                let base = path.parent().unwrap_or(Path::new(""));
                return self.list(std::io::BufReader::new(file), path, base);
            }
            return self.file(path);
        }
        if !input.contains(['*', '?', '[']) {
            return Err(BatchError::Usage(format!("{input}: no such file or folder")));
        }
        let found = glob::glob(input).map_err(|error| BatchError::Usage(format!("{input}: {error}")))?;
        let before = self.items.len();
        for path in found {
            let path = path.map_err(|error| BatchError::Usage(error.to_string()))?;
            if path.is_file() {
                self.file(&path)?;
            }
        }
        if self.items.len() == before {
            return Err(BatchError::Usage(format!("{input}: matches no file that was not named before")));
        }
        Ok(())
    }

    /// Everything below a folder, by name; links are followed, loops are an error.
    fn folder(&mut self, folder: &Path) -> Result<(), BatchError> {
        self.folders.extend(absolute(folder));
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| BatchError::Usage(error.to_string()))?;
            if !entry.file_type().is_file() {
                continue;
            }
            if ends_in(entry.path(), &ENDINGS) {
                self.push(name_of(entry.path()), Place::File(entry.into_path()));
            } else {
                self.passed_over += 1;
            }
        }
        Ok(())
    }

    /// A list's lines, each a path relative to the list's folder. Empty ones and those that begin with # say nothing.
    fn list(&mut self, lines: impl BufRead, list: &Path, base: &Path) -> Result<(), BatchError> {
        for line in lines.lines() {
            let line = line.map_err(BatchError::at(list))?;
            let line = line.trim_end_matches('\r');
            if !line.trim().is_empty() && !line.starts_with('#') {
                // A file that is not there is one picture's fault, and found when it is read.
                self.push_file(&base.join(line));
            }
        }
        Ok(())
    }

    /// A file that was named by itself: an archive's members, or a picture.
    fn file(&mut self, path: &Path) -> Result<(), BatchError> {
        if !archive::is_one(path) {
            self.push_file(path);
            return Ok(());
        }
        let whole = name_of(path);
        archive::members(path, &mut |number, member| {
            if ends_in(Path::new(member), &ENDINGS) {
                self.push(format!("{whole}/{member}"), Place::Member(path.to_owned(), number));
            } else {
                self.passed_over += 1;
            }
        })
    }

    fn push_file(&mut self, path: &Path) {
        self.folders.extend(absolute(path).and_then(|path| Some(path.parent()?.to_owned())));
        self.push(name_of(path), Place::File(path.to_owned()));
    }

    /// What was named twice is done once.
    fn push(&mut self, name: String, place: Place) {
        if self.names.insert(name.clone()) {
            self.items.push(Item { name, place });
        }
    }
}

/// The path from the root on, as it was named; an empty one is none.
fn absolute(path: &Path) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

/// A path as text; bytes that are none are escaped, so that two paths never have one name by being unreadable.
fn name_of(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
    }
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    ending.is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests;
