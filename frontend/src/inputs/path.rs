//! Reading a picture from the server's own disk, from under the configured roots and nowhere else.
//!
//! The kernel keeps the path inside its root (`openat2`), so there is no check that a rename could outrun. A
//! client gets one and the same text whatever the reason, so that it cannot feel its way around the disk.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::body;
use super::budget::Room;
use super::config::{InputsError, PathConfig};
use crate::error::{Code, RequestError};

/// Most files that are read at once; a dead network disk then costs that many threads and no more.
const MOST_READERS: usize = 32;

/// The folders that files may be under, open since the start.
#[derive(Debug)]
pub struct Roots {
    roots: Arc<[Root]>,
    readers: Arc<Semaphore>,
}

#[derive(Debug)]
struct Root {
    folder: OwnedFd,
    /// The texts that absolute paths into this root begin with: as configured, and as the system sees it.
    names: [PathBuf; 2],
}

impl Roots {
    /// Opens the roots. Fails when one is not a folder that can be opened, or the kernel has no `openat2`.
    pub fn open(config: &PathConfig) -> Result<Self, InputsError> {
        let roots = config.roots.iter().map(|path| Root::open(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { roots: roots.into(), readers: Arc::new(Semaphore::new(MOST_READERS)) })
    }

    /// Reads the file, of at most `limit` bytes, not later than `deadline`.
    ///
    /// The path is relative to a root, the first that has such a file, or absolute and under one.
    pub async fn read(
        &self,
        path: String,
        limit: u64,
        deadline: Instant,
        mut room: Room,
    ) -> Result<(Bytes, Room), RequestError> {
        let late = || Code::DeadlineExceeded.because("the file could not be read in time");
        let reader = timeout_at(deadline, self.readers.clone().acquire_owned()).await.map_err(|_| late())?;
        let roots = self.roots.clone();
        let work = tokio::task::spawn_blocking(move || {
            let bytes = read(&roots, Path::new(&path), limit, &mut room);
            drop(reader);
            bytes.map(|bytes| (bytes, room))
        });
        let done = timeout_at(deadline, work).await.map_err(|_| late())?;
        done.map_err(|_| Code::Internal.because("the file could not be read"))?
    }
}

impl Root {
    fn open(path: &Path) -> Result<Self, InputsError> {
        let fault = |source| InputsError::Root { path: path.to_owned(), source };
        if !path.is_absolute() {
            return Err(fault(io::Error::other("a root must be an absolute path")));
        }
        let real = path.canonicalize().map_err(fault)?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(&real, flags, Mode::empty()).map_err(|errno| fault(errno.into()))?;
        let root = Self { folder, names: [path.to_owned(), real] };
        match root.open_beneath(Path::new(".")) {
            Err(errno @ (Errno::ENOSYS | Errno::EPERM)) => Err(InputsError::Openat2(errno.into())),
            // That the folder may be passed through but not listed is no obstacle.
            Err(Errno::EACCES) | Ok(_) => Ok(root),
            Err(errno) => Err(fault(errno.into())),
        }
    }

    fn open_beneath(&self, path: &Path) -> nix::Result<OwnedFd> {
        // Non-blocking, lest a FIFO without a writer holds the thread before it is recognised as one.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(
                ResolveFlag::RESOLVE_BENEATH
                    | ResolveFlag::RESOLVE_NO_SYMLINKS
                    | ResolveFlag::RESOLVE_NO_MAGICLINKS
                    | ResolveFlag::RESOLVE_NO_XDEV,
            );
        openat2(self.folder.as_fd(), path, how)
    }

    /// The path as seen from this root; `None` when it is absolute and elsewhere.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        if path.is_relative() {
            return Some(path);
        }
        self.names.iter().find_map(|name| path.strip_prefix(name).ok())
    }
}

fn read(roots: &[Root], path: &Path, limit: u64, room: &mut Room) -> Result<Bytes, RequestError> {
    let forbidden = || Code::PathForbidden.because("there is no such file that may be read");
    let file =
        roots.iter().filter_map(|root| root.open_beneath(root.below(path)?).ok()).map(File::from).find_map(
            |file| {
                let facts = file.metadata().ok()?;
                // A second link could lead to a file outside that someone linked in, which no path check can see.
                (facts.is_file() && facts.nlink() == 1).then_some((file, facts.len()))
            },
        );
    let (file, length) = file.ok_or_else(forbidden)?;
    if length > limit {
        return Err(body::too_large(limit));
    }
    room.add(length)?;
    let mut bytes = Vec::with_capacity(length as usize + 1);
    // The file may have grown since.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|_| forbidden())?;
    if bytes.len() as u64 > limit {
        return Err(body::too_large(limit));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests;
