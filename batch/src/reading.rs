//! Pictures read ahead of being asked about, in order, by a few threads: a disk that takes its time, a network's for instance, is
//! asked for several at once. Owns how a file or an archive's member becomes bytes, and what is too long for the service.

use crate::sources::{Item, Place};
use crate::{BatchError, archive};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
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

/// What one reader takes at a time.
enum Share<'a> {
    File(&'a str, &'a Path),
    /// All that are wanted of one archive, which is read front to back.
    Archive(&'a Path, HashMap<usize, &'a str>),
}

impl<'a> Reading<'a> {
    /// Reads these items.
    pub const fn new(items: &'a [&'a Item], longest: u64) -> Self {
        Self { rest: Mutex::new(items), longest }
    }

    /// One reader's work: ends when nothing is left, or nobody wants more.
    pub fn read(&self, tasks: &Tasks) {
        while let Some(share) = self.share() {
            let is_wanted = match share {
                Share::File(name, path) => send(tasks, name, self.file(path)),
                Share::Archive(path, wanted) => self.archive(path, wanted, tasks),
            };
            if !is_wanted {
                return;
            }
        }
    }

    fn share(&self) -> Option<Share<'a>> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *rest.first()?;
        let (taken, share) = match &first.place {
            Place::File(path) => (1, Share::File(&first.name, path)),
            Place::Member(path, _) => {
                let members = rest.iter().map_while(|item| match &item.place {
                    Place::Member(other, number) if other == path => Some((*number, item.name.as_str())),
                    _ => None,
                });
                let wanted: HashMap<usize, &str> = members.collect();
                (wanted.len(), Share::Archive(path, wanted))
            }
        };
        *rest = &rest[taken..];
        Some(share)
    }

    fn file(&self, path: &Path) -> io::Result<Bytes> {
        // Not to wait for whoever writes into a pipe before it is recognised as one.
        let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("is no file"));
        }
        limited(&mut file, facts.len(), self.longest)
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
