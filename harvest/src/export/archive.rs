//! An export as one zip file in memory, for a browser's download. Bounded: what is larger is exported on the machine itself.

use super::{ExportError, Order, export};
use crate::index::io_error;
use crate::naming::INDEX;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use ulid::Ulid;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// The export in a zip file of at most so many bytes.
///
/// # Errors
/// As [`export`]; [`ExportError::TooLarge`] for pictures of more bytes.
pub fn archive(root: &Path, order: &Order, most: u64) -> Result<Vec<u8>, ExportError> {
    let folder = root.join(INDEX).join("exports");
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    let into = folder.join(Ulid::generate().to_string());
    let result = export(root, &into, order).and_then(|_| pack(&into, most));
    let _ = fs::remove_dir_all(&into); // links, for the most part; the next download removes nothing of it
    result
}

fn pack(folder: &Path, most: u64) -> Result<Vec<u8>, ExportError> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    let mut bytes = 0;
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here).map_err(io_error(&here))?.flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) => {
                    bytes += metadata.len();
                    files.push(path);
                }
                Err(error) => return Err(io_error(&path)(error).into()),
            }
        }
    }
    if bytes > most {
        return Err(ExportError::TooLarge { bytes, most });
    }
    files.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Pictures are compressed already.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let wrong = |error: &dyn std::fmt::Display| io_error(folder)(std::io::Error::other(error.to_string()));
    for path in &files {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy();
        let content = fs::read(path).map_err(io_error(path))?;
        zip.start_file(name, options).map_err(|error| wrong(&error))?;
        zip.write_all(&content).map_err(io_error(path))?;
    }
    Ok(zip.finish().map_err(|error| wrong(&error))?.into_inner())
}
