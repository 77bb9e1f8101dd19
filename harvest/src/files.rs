//! Files that are whole or not there: written under a name nobody looks at, then renamed. What a killed process leaves lies
//! in one folder and is swept from there.

use crate::naming::INDEX;
use crate::sidecar::Sidecar;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Age from which an unfinished file is nobody's: no write takes so long.
const ABANDONED: Duration = Duration::from_secs(600);

/// The folder of unfinished files.
fn unfinished(root: &Path) -> PathBuf {
    root.join(INDEX).join("tmp")
}

/// Puts a file to its place below the root in one step; what lies there is replaced.
///
/// # Errors
/// The system's. Nothing of the file is left then.
pub fn put(root: &Path, place: &Path, content: &[u8]) -> io::Result<()> {
    let folder = unfinished(root);
    let temporary = folder.join(format!("{}-{}", std::process::id(), ulid::Ulid::generate()));
    let written = write(&temporary, content).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => fs::create_dir_all(&folder).and_then(|()| write(&temporary, content)),
        _ => Err(error),
    });
    let result = written.and_then(|()| rename(&temporary, &root.join(place)));
    if result.is_err() {
        // It may not even exist; what cannot be removed is swept later.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)
}

/// Renames a file into a folder that need not exist yet.
///
/// # Errors
/// The system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(from, to)
        }
        result => result,
    }
}

/// Removes a file that may have gone already.
///
/// # Errors
/// The system's, when it is still there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Where a picture's sidecar lies.
pub fn sidecar_of(picture: &Path) -> PathBuf {
    picture.with_extension("json")
}

/// Reads the sidecar beside a picture.
///
/// # Errors
/// The system's, or that it is no sidecar.
pub fn read_sidecar(picture: &Path) -> io::Result<Sidecar> {
    let text = fs::read(sidecar_of(picture))?;
    serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Whether files can be made below a root, or where it would be made; a disk that is full now will not always be. Leaves nothing
/// behind.
///
/// # Errors
/// The system's, and where.
pub fn try_out(root: &Path) -> Result<(), (PathBuf, io::Error)> {
    let there = root.ancestors().find(|folder| folder.exists()).unwrap_or(root);
    let probe = there.join(format!(".detectd-{}-{}", std::process::id(), ulid::Ulid::generate()));
    let made = File::create_new(&probe).map(drop);
    let removed = remove(&probe);
    made.and(removed).map_err(|error| (there.to_path_buf(), error))
}

/// Makes what was written durable: a file or a folder's entries.
///
/// # Errors
/// The system's.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes unfinished files that nobody finishes any more.
pub fn sweep(root: &Path) {
    let old = |entry: &fs::DirEntry| {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > ABANDONED))
    };
    let Ok(entries) = fs::read_dir(unfinished(root)) else { return };
    for entry in entries.flatten().filter(old) {
        let _ = fs::remove_file(entry.path()); // the next sweep tries again
    }
}

#[cfg(test)]
mod tests;
