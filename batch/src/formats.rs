//! The answer file: JSON lines, CSV or COCO, out of the journal, in the order of the inputs. Written beside and renamed, so that a
//! file of this name is always whole.

mod coco;
mod table;

use crate::BatchError;
use crate::journal::Journal;
use crate::sources::Item;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Form of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a picture and line.
    JsonLines,
    /// One row an object, or a picture without any.
    Csv,
    /// One JSON document, as COCO's tools read it. For detectors only.
    Coco,
}

impl Format {
    /// What a file's name says.
    ///
    /// # Errors
    /// Which endings there are.
    pub fn of(path: &Path) -> Result<Self, String> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Coco),
            _ => Err(format!(
                "{}: end the name in .jsonl (JSON lines), .csv or .json (COCO), or say --format",
                path.display()
            )),
        }
    }
}

/// Writes the answers of all items.
///
/// # Errors
/// The system's; an item that is not done.
pub fn write(format: Format, output: &Path, items: &[Item], journal: &Journal) -> Result<(), BatchError> {
    let mut name = output.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let fault = || BatchError::at(&beside);
    let mut file = BufWriter::new(File::create(&beside).map_err(fault())?);
    match format {
        Format::JsonLines => {
            for item in items {
                let line = journal.line(&item.name)?;
                file.write_all(&line).and_then(|()| file.write_all(b"\n")).map_err(fault())?;
            }
        }
        Format::Csv => table::write(&mut file, items, journal)?,
        Format::Coco => coco::write(&mut file, items, journal)?,
    }
    let file = file.into_inner().map_err(|error| fault()(error.into_error()))?;
    file.sync_all().map_err(fault())?;
    std::fs::rename(&beside, output).map_err(BatchError::at(output))
}

#[cfg(test)]
mod tests;
