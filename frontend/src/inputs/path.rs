//! Reading a picture from the server's own disk, from under the configured roots and nowhere else.
//!
//! The kernel keeps the path inside its root (`openat2`), so there is no check that a rename could outrun. A
//! client gets one and the same text whatever the reason, so that it cannot feel its way around the disk.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, ResolveFlags, fstatfs, open, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2, retry_on_intr};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::body;
use super::budget::Room;
use super::config::{InputsError, PathConfig};
use super::spare::Body as Buffer;
use crate::error::{Code, RequestError};

/// Most files that are read at once; a dead network disk then costs that many threads and no more.
const MOST_READERS: usize = 32;

/// Files up to this length are read where they are asked for, when no disk is needed for it: copying them takes less than
/// handing them to another thread and back.
const SHORT: u64 = 512 << 10;

/// File systems whose files can be opened without asking anybody: btrfs, ext, f2fs, tmpfs, XFS.
const LOCAL: [u32; 5] = [0x9123_683e, 0xef53, 0xf2f5_2010, 0x0102_1994, 0x5846_5342];

/// Where a file may be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// In what the system has in memory.
    Memory,
    /// Wherever it is; that may take any time.
    Disk,
}

/// What is not in memory.
#[derive(Debug)]
struct WouldWait;

/// The folders that files may be under, open since the start.
#[derive(Debug)]
pub struct Roots {
    roots: Arc<[Root]>,
    readers: Arc<Semaphore>,
}

#[derive(Debug)]
struct Root {
    folder: OwnedFd,
    /// Whether it lies on a disk of this machine. Elsewhere even opening a file may ask a server that is dead.
    is_local: bool,
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
        if let Some(done) = from_memory(&self.roots, Path::new(&path), limit, &mut room) {
            return done.map(|bytes| (bytes, room));
        }
        let late = || Code::DeadlineExceeded.because("the file could not be read in time");
        let reader = timeout_at(deadline, self.readers.clone().acquire_owned()).await.map_err(|_| late())?;
        let roots = self.roots.clone();
        let work = tokio::task::spawn_blocking(move || {
            let bytes = from_disk(&roots, Path::new(&path), limit, &mut room);
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
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(&real, flags, Mode::empty()).map_err(|errno| fault(errno.into()))?;
        let is_local = fstatfs(&folder).is_ok_and(|system| LOCAL.contains(&(system.f_type as u32)));
        let root = Self { folder, is_local, names: [path.to_owned(), real] };
        match root.open_beneath(Path::new("."), Source::Disk) {
            Err(errno @ (Errno::NOSYS | Errno::PERM)) => Err(InputsError::Openat2(errno.into())),
            // That the folder may be passed through but not listed is no obstacle.
            Err(Errno::ACCESS) | Ok(_) => Ok(root),
            Err(errno) => Err(fault(errno.into())),
        }
    }

    fn open_beneath(&self, path: &Path, source: Source) -> Result<OwnedFd, Errno> {
        // Non-blocking, lest a FIFO without a writer holds the thread before it is recognised as one.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        resolve.set(ResolveFlags::CACHED, source == Source::Memory);
        openat2(&self.folder, path, flags, Mode::empty(), resolve)
    }

    /// The path as seen from this root; `None` when it is absolute and elsewhere.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        if path.is_relative() {
            return Some(path);
        }
        self.names.iter().find_map(|name| path.strip_prefix(name).ok())
    }
}

fn forbidden() -> RequestError {
    Code::PathForbidden.because("there is no such file that may be read")
}

/// The file, or why it is refused, without waiting for a disk; `None` when that cannot be.
fn from_memory(
    roots: &[Root],
    path: &Path,
    limit: u64,
    room: &mut Room,
) -> Option<Result<Bytes, RequestError>> {
    let Some((file, length)) = find(roots, path, Source::Memory).ok()? else { return Some(Err(forbidden())) };
    if length > limit {
        return Some(Err(body::too_large(limit)));
    }
    if length > SHORT {
        return None;
    }
    let read =
        |rest: &mut [u8], at| preadv2(&file, &mut [IoSliceMut::new(rest)], at as u64, ReadWriteFlags::NOWAIT);
    let mut bytes = Buffer::with_room(length as usize + 1);
    bytes.fill(length as usize + 1, limit as usize, read).ok()?;
    // Not before it is read: it may be read a second time.
    Some(if bytes.as_ref().len() as u64 > limit {
        Err(body::too_large(limit))
    } else {
        room.add(bytes.as_ref().len() as u64).map(|()| bytes.freeze())
    })
}

/// The file, or why it is refused, however long its disk takes.
fn from_disk(roots: &[Root], path: &Path, limit: u64, room: &mut Room) -> Result<Bytes, RequestError> {
    let found = find(roots, path, Source::Disk).unwrap_or_default();
    let (file, length) = found.ok_or_else(forbidden)?;
    if length > limit {
        return Err(body::too_large(limit));
    }
    room.add(length)?;
    let mut bytes = Buffer::with_room(length as usize + 1);
    let read = |rest: &mut [u8], _| retry_on_intr(|| rustix::io::read(&file, &mut *rest));
    bytes.fill(length as usize + 1, limit as usize, read).map_err(|_| forbidden())?;
    if bytes.as_ref().len() as u64 > limit { Err(body::too_large(limit)) } else { Ok(bytes.freeze()) }
}

/// The file of that name below the first root that has one, and its length.
fn find(roots: &[Root], path: &Path, source: Source) -> Result<Option<(File, u64)>, WouldWait> {
    for root in roots {
        let Some(below) = root.below(path) else { continue };
        if source == Source::Memory && !root.is_local {
            return Err(WouldWait);
        }
        let file = match root.open_beneath(below, source) {
            Ok(file) => File::from(file),
            // INVAL: a kernel before 5.12, which cannot look into its memory only.
            Err(Errno::AGAIN | Errno::INVAL) if source == Source::Memory => return Err(WouldWait),
            Err(_) => continue,
        };
        let Ok(facts) = file.metadata() else { continue };
        // A second link could lead to a file outside that someone linked in, which no path check can see.
        if facts.is_file() && facts.nlink() == 1 {
            return Ok(Some((file, facts.len())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
