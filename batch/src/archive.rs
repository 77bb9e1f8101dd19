//! Reading tar, tar.gz and zip archives from front to back, one member in memory at a time. Nothing is unpacked to a disk, so a
//! member's path decides nothing but its name.

use crate::BatchError;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What is done with a member: its number, its path in the archive, and its bytes. False ends the reading.
type Visit<'a> = dyn FnMut(usize, &str, u64, &mut dyn Read) -> io::Result<bool> + 'a;

#[derive(Clone, Copy)]
enum Kind {
    Tar,
    TarGz,
    Zip,
}

/// Whether a file is an archive, by its name.
pub fn is_one(path: &Path) -> bool {
    kind(path).is_some()
}

fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let ends = |ending| name.ends_with(ending);
    if ends(".tar") {
        Some(Kind::Tar)
    } else if ends(".tar.gz") || ends(".tgz") {
        Some(Kind::TarGz)
    } else if ends(".zip") {
        Some(Kind::Zip)
    } else {
        None
    }
}

/// Names every file in the archive.
///
/// # Errors
/// An archive that cannot be read.
pub fn members(path: &Path, each: &mut dyn FnMut(usize, &str)) -> Result<(), BatchError> {
    visit(path, &mut |number, name, _, _| {
        each(number, name);
        Ok(true)
    })
}

/// Reads the files of the archive in turn, each of its size, until `each` says that it has enough.
///
/// # Errors
/// An archive that cannot be read, or what `each` says.
pub fn visit(path: &Path, each: &mut Visit<'_>) -> Result<(), BatchError> {
    let file = File::open(path).map_err(BatchError::at(path))?;
    let read = match kind(path) {
        Some(Kind::Tar) => tar(BufReader::new(file), each),
        Some(Kind::TarGz) => tar(BufReader::new(MultiGzDecoder::new(file)), each),
        Some(Kind::Zip) => zip(BufReader::new(file), each),
        None => Err(io::Error::other("no archive")),
    };
    read.map_err(BatchError::at(path))
}

fn tar(reader: impl Read, each: &mut Visit<'_>) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    let files = archive.entries()?;
    for (number, entry) in files.enumerate() {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        if !each(number, &name, size, &mut entry)? {
            break;
        }
    }
    Ok(())
}

fn zip(reader: impl Read + io::Seek, each: &mut Visit<'_>) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(reader)?;
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number)?;
        if entry.is_dir() {
            continue;
        }
        let (name, size) = (String::from_utf8_lossy(entry.name_raw()).into_owned(), entry.size());
        if !each(number, &name, size, &mut entry)? {
            break;
        }
    }
    Ok(())
}
