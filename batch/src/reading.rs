//! Pictures read ahead of being asked about, in order, by a few threads: a disk that takes its time, a network's for instance, is
//! asked for several files at once. Owns how a file or an archive's member becomes bytes, and what is too long for the service.

use crate::sources::{Item, Place};
use crate::{BatchError, archive};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::Sender;

/// Files that are read at once.
pub const READERS: usize = 8;

/// One picture to ask about.
pub struct Task {
    /// How the answers call it.
    pub name: String,
    /// What stands in its file.
    pub bytes: io::Result<Bytes>,
}

/// Where the tasks go; an archive that cannot be read ends the run.
pub type Tasks = Sender<Result<Task, BatchError>>;

/// What is left to be read; shared by the readers.
pub struct Reading<'a> {
    rest: Mutex<&'a [&'a Item]>,
    /// Longest file that the service takes.
    longest: u64,
}

impl<'a> Reading<'a> {
    /// Reads these items.
    pub const fn new(items: &'a [&'a Item], longest: u64) -> Self {
        Self { rest: Mutex::new(items), longest }
    }

    /// One reader's work: ends when nothing is left, or nobody wants more.
    pub fn read(&self, tasks: &Tasks) {
        let mut is_wanted = true;
        while is_wanted {
            let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
            let items: &'a [&'a Item] = *rest;
            let Some((first, others)) = items.split_first() else { return };
            match &first.place {
                Place::File(path) => {
                    *rest = others;
                    drop(rest);
                    is_wanted = send(tasks, &first.name, self.file(path));
                }
                // Front to back and one after another, so that what is behind an archive that breaks is not what is done first. The
                // other readers wait: there is nothing that they could read.
                Place::Member(path, _) => {
                    let members: Vec<(usize, &str)> =
                        items.iter().map_while(|item| member(item, path)).collect();
                    is_wanted = self.archive(path, members.iter().copied().collect(), tasks);
                    *rest = &items[members.len()..];
                }
            }
        }
    }

    fn file(&self, path: &Path) -> io::Result<Bytes> {
        let facts = std::fs::metadata(path)?;
        if !facts.is_file() {
            return Err(io::Error::other("is no file")); // a pipe would be waited for
        }
        limited(&mut File::open(path)?, facts.len(), self.longest)
    }

    fn archive(&self, path: &Path, mut wanted: HashMap<usize, &str>, tasks: &Tasks) -> bool {
        let mut is_wanted = true;
        let read = archive::visit(path, &mut |number, _, size, reader| {
            if let Some(name) = wanted.remove(&number) {
                is_wanted = send(tasks, name, limited(reader, size, self.longest));
            }
            Ok(is_wanted && !wanted.is_empty())
        });
        match read {
            Ok(()) => is_wanted,
            Err(error) => {
                // Nobody to hear it means that the run is over.
                let _ = tasks.blocking_send(Err(error));
                false
            }
        }
    }
}

/// Number and name of an item, if it is of this archive.
fn member<'a>(item: &'a Item, archive: &Path) -> Option<(usize, &'a str)> {
    match &item.place {
        Place::Member(path, number) if path == archive => Some((*number, &item.name)),
        _ => None,
    }
}

/// Whether somebody took it.
fn send(tasks: &Tasks, name: &str, bytes: io::Result<Bytes>) -> bool {
    tasks.blocking_send(Ok(Task { name: name.to_owned(), bytes })).is_ok()
}

/// All of a file or member, unless it is longer than the service takes.
fn limited(reader: &mut dyn Read, size: u64, longest: u64) -> io::Result<Bytes> {
    let too_large = || {
        let text = format!("the file is longer than {longest} bytes (inputs.max_image)");
        io::Error::new(io::ErrorKind::FileTooLarge, text)
    };
    if size > longest {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    reader.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest { Err(too_large()) } else { Ok(bytes.into()) }
}
