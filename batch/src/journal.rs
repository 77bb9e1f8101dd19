//! What is done: `OUT.part`, one line a picture, written as the answers come. Owns its form, and going on after a kill: a line
//! without its end was not written, everything before it was.
//!
//! The first line says what the answers depend on; a journal of other answers is not gone on with.

use crate::BatchError;
use crate::record::Record;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Version of the form.
const FORM: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    detectd_batch: u32,
    /// Digest of model and options.
    of: String,
    /// When the first of the runs began, RFC 3339.
    begun: String,
}

/// The journal of one run, locked against any other.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where each picture's line begins, and how long it is.
    lines: HashMap<String, (u64, usize)>,
    end: u64,
    bad: usize,
    begun: String,
}

impl Journal {
    /// The journal that belongs to an answer file.
    pub fn beside(output: &Path) -> PathBuf {
        let mut name = output.as_os_str().to_owned();
        name.push(".part");
        PathBuf::from(name)
    }

    /// Opens the journal, or begins one. `of`: what the answers depend on. `anew`: what is there is thrown away.
    ///
    /// # Errors
    /// A journal of something else, one that another run writes, and the system's.
    pub fn open(path: &Path, of: &str, anew: bool) -> Result<Self, BatchError> {
        let fault = || BatchError::at(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(fault())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BatchError::Usage(format!("{}: another run is writing it", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(fault()(error)),
        }
        if anew {
            file.set_len(0).map_err(fault())?;
        }
        let mut journal = Self {
            path: path.to_owned(),
            file,
            lines: HashMap::new(),
            end: 0,
            bad: 0,
            begun: harvest::sidecar::now(),
        };
        journal.read(of)?;
        Ok(journal)
    }

    fn read(&mut self, of: &str) -> Result<(), BatchError> {
        let path = self.path.clone();
        let fault = || BatchError::at(&path);
        let file = self.file.try_clone().map_err(fault())?;
        let mut reader = BufReader::new(file);
        reader.rewind().map_err(fault())?;
        let mut line = Vec::new();
        let mut first = true;
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(fault())?;
            if line.last() != Some(&b'\n') {
                break; // the end, or a line that was being written
            }
            if first {
                first = false;
                match serde_json::from_slice::<Head>(&line) {
                    Ok(head) if head.detectd_batch == FORM && head.of == of => self.begun = head.begun,
                    _ => {
                        return Err(BatchError::Usage(format!(
                            "{}: was begun with another model or other options; go on with those, or begin anew with --restart",
                            path.display()
                        )));
                    }
                }
            } else {
                // What a crash of the machine left behind is not taken for an answer, nor what stands after it.
                let Ok(record) = serde_json::from_slice::<Record>(&line) else { break };
                self.bad += usize::from(record.is_bad());
                self.lines.insert(record.image, (self.end, read));
            }
            self.end += read as u64;
        }
        let end = self.end;
        self.file.set_len(end).map_err(fault())?;
        self.file.seek(SeekFrom::Start(end)).map_err(fault())?;
        if first {
            let head = Head { detectd_batch: FORM, of: of.to_owned(), begun: self.begun.clone() };
            let mut line = serde_json::to_vec(&head).unwrap_or_default();
            line.push(b'\n');
            self.append(&line)?;
        }
        Ok(())
    }

    /// Whether a picture is done.
    pub fn has(&self, name: &str) -> bool {
        self.lines.contains_key(name)
    }

    /// When the first of the runs that write it began, RFC 3339.
    pub fn begun(&self) -> &str {
        &self.begun
    }

    /// How many pictures that are done have no answer.
    pub const fn bad(&self) -> usize {
        self.bad
    }

    /// Writes pictures down, those of one answer with one system call.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, records: &[Record]) -> Result<(), BatchError> {
        let mut lines = Vec::new();
        for record in records {
            let begin = lines.len();
            serde_json::to_writer(&mut lines, record)
                .map_err(|error| BatchError::Usage(error.to_string()))?;
            lines.push(b'\n');
            self.bad += usize::from(record.is_bad());
            self.lines.insert(record.image.clone(), (self.end + begin as u64, lines.len() - begin));
        }
        self.append(&lines)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), BatchError> {
        self.file.write_all(lines).map_err(BatchError::at(&self.path))?;
        self.end += lines.len() as u64;
        Ok(())
    }

    /// A picture's line, without its end.
    ///
    /// # Errors
    /// The system's; a picture that is not done.
    pub fn line(&self, name: &str) -> Result<Vec<u8>, BatchError> {
        let Some(&(begin, len)) = self.lines.get(name) else {
            return Err(BatchError::Usage(format!("{name}: has no answer yet")));
        };
        let mut line = vec![0; len - 1];
        self.file.read_exact_at(&mut line, begin).map_err(BatchError::at(&self.path))?;
        Ok(line)
    }

    /// A picture's record.
    ///
    /// # Errors
    /// As [`Journal::line`].
    pub fn record(&self, name: &str) -> Result<Record, BatchError> {
        let line = self.line(name)?;
        serde_json::from_slice(&line).map_err(|error| BatchError::Usage(format!("{name}: {error}")))
    }

    /// Ends the journal: its answers stand elsewhere now.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(self) -> Result<(), BatchError> {
        std::fs::remove_file(&self.path).map_err(BatchError::at(&self.path))
    }
}

#[cfg(test)]
mod tests;
