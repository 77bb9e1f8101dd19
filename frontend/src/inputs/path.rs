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
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, retry_on_intr};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::body;
use super::budget::Room;
use super::config::{InputsError, PathConfig};
use super::spare::Body as Buffer;
use crate::error::{Code, RequestError};

/// Most files that are read at once; a dead network disk then costs that many threads and no more.
const MOST_READERS: usize = 32;

/// Files up to this length that are in memory are read by the thread that decodes them: copying them takes less than handing them
/// from thread to thread, and what has just been copied is in that thread's cache.
const SHORT: u64 = 512 << 10;

/// File systems on disks of this machine: btrfs, ext, f2fs, XFS.
const ON_DISK: [u32; 4] = [0x9123_683e, 0xef53, 0xf2f5_2010, 0x5846_5342];
/// The file system that is nowhere but in memory: tmpfs.
const IN_MEMORY: u32 = 0x0102_1994;

/// What has to be asked for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    /// Nobody, unless it was swapped out.
    Memory,
    /// A disk of this machine, unless the system has the file in memory.
    Disk,
    /// Perhaps a server, which may be dead; even to open it.
    Elsewhere,
}

impl Medium {
    fn of(folder: &OwnedFd) -> Self {
        match fstatfs(folder).map_or(0, |system| system.f_type as u32) {
            IN_MEMORY => Self::Memory,
            system if ON_DISK.contains(&system) => Self::Disk,
            _ => Self::Elsewhere,
        }
    }
}

/// Where a file may be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// In what the system has in memory.
    Memory,
    /// Wherever it is; that may take any time.
    Disk,
}

/// Why it is not known whether there is such a file.
#[derive(Debug)]
enum Unknown {
    /// It would take a disk to tell.
    WouldWait,
    /// Neither descriptors nor memory are left to open it.
    Exhausted,
}

/// A short file, open, whose bytes the system has in memory.
#[derive(Debug)]
pub struct ShortFile {
    file: File,
    length: usize,
}

impl ShortFile {
    fn new(Found { file, length, medium }: Found) -> Option<Self> {
        let is_here = |at| {
            let mut byte = [0];
            preadv2(&file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT).is_ok()
        };
        // What lies between its ends is there as well as a rule; if not, whoever reads it waits for a disk of this machine.
        let is_here = || medium == Medium::Memory || (is_here(0) && is_here(length.saturating_sub(1)));
        (length <= SHORT && is_here()).then_some(Self { file, length: length as usize })
    }

    /// The bytes, in a buffer that serves again, as many as there were when the file was opened.
    ///
    /// # Errors
    /// `path_forbidden` when they cannot be read any more.
    pub fn read<'a>(&self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], RequestError> {
        if buffer.len() < self.length {
            buffer.resize(self.length, 0);
        }
        let mut done = 0;
        while done < self.length {
            let rest = &mut buffer[done..self.length];
            match retry_on_intr(|| pread(&self.file, &mut *rest, done as u64)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(_) => return Err(forbidden()),
            }
        }
        Ok(&buffer[..done])
    }
}

/// The folders that files may be under, open since the start.
#[derive(Debug)]
pub struct Roots {
    roots: Arc<[Root]>,
    readers: Arc<Semaphore>,
}

#[derive(Debug)]
struct Root {
    folder: OwnedFd,
    medium: Medium,
    /// The texts that absolute paths into this root begin with: as configured, and as the system sees it.
    names: [PathBuf; 2],
}

impl Roots {
    /// Opens the roots. Fails when one is not a folder that can be opened, or the kernel has no `openat2`.
    pub fn open(config: &PathConfig) -> Result<Self, InputsError> {
        let roots = config.roots.iter().map(|path| Root::open(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { roots: roots.into(), readers: Arc::new(Semaphore::new(MOST_READERS)) })
    }

    /// The file, of at most `limit` bytes, if it is short and in memory. Waits for nothing.
    ///
    /// # Errors
    /// `path_forbidden` whatever the reason, `body_too_large`, `overloaded`.
    pub fn short_file(
        &self,
        path: &str,
        limit: u64,
        room: &mut Room,
    ) -> Result<Option<ShortFile>, RequestError> {
        let found = match find(&self.roots, Path::new(path), Source::Memory) {
            Ok(found) => found.ok_or_else(forbidden)?,
            // Few are open at a time where files are read from the disk.
            Err(Unknown::WouldWait | Unknown::Exhausted) => return Ok(None),
        };
        if found.length > limit {
            return Err(body::too_large(limit));
        }
        let file = ShortFile::new(found);
        if let Some(file) = &file {
            room.add(file.length as u64)?;
        }
        Ok(file)
    }

    /// Reads the file, of at most `limit` bytes, not later than `deadline`.
    ///
    /// The path is relative to a root, the first that has such a file, or absolute and under one.
    ///
    /// # Errors
    /// `path_forbidden` whatever the reason, `body_too_large`, `overloaded`, `deadline_exceeded`.
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
        let medium = Medium::of(&folder);
        let root = Self { folder, medium, names: [path.to_owned(), real] };
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

/// The file, or why it is refused, however long its disk takes.
fn from_disk(roots: &[Root], path: &Path, limit: u64, room: &mut Room) -> Result<Bytes, RequestError> {
    let exhausted = |_| Code::Overloaded.because("no more files can be opened").retry_after(1);
    let found = find(roots, path, Source::Disk).map_err(exhausted)?;
    let Found { file, length, .. } = found.ok_or_else(forbidden)?;
    if length > limit {
        return Err(body::too_large(limit));
    }
    room.add(length)?;
    let mut bytes = Buffer::with_room(length as usize + 1);
    let read = |rest: &mut [u8]| retry_on_intr(|| rustix::io::read(&file, &mut *rest));
    bytes.fill(length as usize + 1, limit as usize, read).map_err(|_| forbidden())?;
    if bytes.as_ref().len() as u64 > limit { Err(body::too_large(limit)) } else { Ok(bytes.freeze()) }
}

/// A file below a root.
struct Found {
    file: File,
    /// When it was opened.
    length: u64,
    medium: Medium,
}

/// The file of that name below the first root that has one.
fn find(roots: &[Root], path: &Path, source: Source) -> Result<Option<Found>, Unknown> {
    for root in roots {
        let Some(below) = root.below(path) else { continue };
        if source == Source::Memory && root.medium == Medium::Elsewhere {
            return Err(Unknown::WouldWait);
        }
        let file = match root.open_beneath(below, source) {
            Ok(file) => File::from(file),
            // INVAL: a kernel before 5.12, which cannot look into its memory only.
            Err(Errno::AGAIN | Errno::INVAL) if source == Source::Memory => return Err(Unknown::WouldWait),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => return Err(Unknown::Exhausted),
            Err(_) => continue,
        };
        let Ok(facts) = file.metadata() else { continue };
        // A second link could lead to a file outside that someone linked in, which no path check can see.
        if facts.is_file() && facts.nlink() == 1 {
            return Ok(Some(Found { file, length: facts.len(), medium: root.medium }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
