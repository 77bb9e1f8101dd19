//! What comes next to be asked about, in order, taken by a few threads: a disk that takes its time, a network's for instance, is
//! asked for several files at once. Files that the service reaches are passed on by their paths; of all others this owns how
//! a file or an archive's member becomes bytes, and what is too long for the service.

use crate::sources::{Item, Place};
use crate::{BatchError, archive};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc::Sender;

/// Files that are read at once.
pub const READERS: usize = 8;

/// What to ask about in one request.
pub enum Task<'a> {
    /// One picture: how the answers call it, and what stands in its file.
    Picture(&'a str, io::Result<Bytes>),
    /// Some that the service reads itself.
    Files(Vec<Named<'a>>),
}

/// A picture in a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// How the answers call it.
    pub name: &'a str,
    /// Where it is.
    pub path: &'a Path,
}

impl Task<'_> {
    /// Pictures of it.
    pub const fn pictures(&self) -> usize {
        match self {
            Self::Picture(..) => 1,
            Self::Files(files) => files.len(),
        }
    }
}

/// Where the tasks go; an archive that cannot be read ends the run.
pub type Tasks<'a> = Sender<Result<Task<'a>, BatchError>>;

/// What is left to be asked about; shared by the readers.
pub struct Reading<'a> {
    rest: Mutex<&'a [&'a Item]>,
    /// Longest file that the service takes.
    longest: u64,
    /// Folders from which the service reads itself.
    roots: &'a [PathBuf],
    /// Most files of one task.
    together: AtomicUsize,
}

impl<'a> Reading<'a> {
    /// Takes these items in turn.
    pub const fn new(items: &'a [&'a Item], longest: u64, roots: &'a [PathBuf]) -> Self {
        Self { rest: Mutex::new(items), longest, roots, together: AtomicUsize::new(1) }
    }

    /// From now on so many files at most are one task.
    pub fn take_together(&self, files: usize) {
        // A number by itself, of which no reader needs the latest value.
        self.together.store(files, Ordering::Relaxed);
    }

    /// One reader's work: ends when nothing is left, or nobody wants more.
    pub fn read(&self, tasks: &Tasks<'a>) {
        let mut is_wanted = true;
        while is_wanted {
            let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
            let items: &'a [&'a Item] = *rest;
            let Some(first) = items.first() else { return };
            match &first.place {
                Place::File(_) => {
                    let most = self.together.load(Ordering::Relaxed).max(1);
                    let files: Vec<Named<'_>> =
                        items.iter().take(most).map_while(|item| named(item)).collect();
                    *rest = &items[files.len()..];
                    drop(rest);
                    is_wanted = self.files(files, tasks);
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

    /// Passes on what the service reaches, and reads what it does not.
    fn files(&self, files: Vec<Named<'a>>, tasks: &Tasks<'a>) -> bool {
        let (near, far): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| self.is_reached(file.path));
        let mut is_wanted = near.is_empty() || send(tasks, Task::Files(near));
        for Named { name, path } in far {
            is_wanted = is_wanted && send(tasks, Task::Picture(name, file(path, self.longest)));
        }
        is_wanted
    }

    /// Whether the service will read that file: below a root, and by no link (`type=path` follows none). Where it looks
    /// otherwise to the service, the service says so.
    fn is_reached(&self, path: &Path) -> bool {
        let is_below = || {
            let path = std::path::absolute(path).ok()?;
            path.to_str()?;
            self.roots.iter().find(|root| path.starts_with(root))
        };
        let is_single = |facts: std::fs::Metadata| facts.is_file() && facts.nlink() == 1;
        is_below().is_some() && path.symlink_metadata().is_ok_and(is_single)
    }

    fn archive(&self, path: &Path, mut wanted: HashMap<usize, &'a str>, tasks: &Tasks<'a>) -> bool {
        let mut is_wanted = true;
        let read = archive::visit(path, &mut |number, _, size, reader| {
            if let Some(name) = wanted.remove(&number) {
                is_wanted = send(tasks, Task::Picture(name, limited(reader, size, self.longest)));
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

fn named(item: &Item) -> Option<Named<'_>> {
    match &item.place {
        Place::File(path) => Some(Named { name: &item.name, path }),
        Place::Member(..) => None,
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
fn send<'a>(tasks: &Tasks<'a>, task: Task<'a>) -> bool {
    tasks.blocking_send(Ok(task)).is_ok()
}

/// All of a file, unless it is longer than the service takes.
pub fn file(path: &Path, longest: u64) -> io::Result<Bytes> {
    let facts = std::fs::metadata(path)?;
    if !facts.is_file() {
        return Err(io::Error::other("is no file")); // a pipe would be waited for
    }
    limited(&mut File::open(path)?, facts.len(), longest)
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
