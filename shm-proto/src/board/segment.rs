//! The named segment: making, finding, locking and removing a board. The lock tells a live board from one that a
//! dead supervisor left: it is held on the segment's file for as long as the supervisor lives.

use super::layout::{self, BOARD_VERSION, Block, ENGINES, Header, MAGIC, QUARANTINE, TEXT_LEN, Text};
use super::process::Process;
use super::visitors::{self, DayFigures};
use super::{Changes, ProcessState, ServiceState};
use crate::arena::SeatCounts;
use crate::clock::{self, Nanos};
use crate::region::{Region, uninterrupted};
use crate::ring::MAX_FRONTENDS;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::time::Duration;

/// Where POSIX shared memory has its names.
const FOLDER: &str = "/dev/shm";
/// Begins the name of every board.
const PREFIX: &str = "detectd-";

/// Why a board cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// A name that is no file name.
    #[error("'{0}' cannot name a service: use letters, digits, '-', '_' and '.'")]
    Name(String),
    /// Another supervisor lives under this name.
    #[error(
        "a service named '{name}' is running already (process {pid}); stop it, or give this one another service.name"
    )]
    InUse {
        /// The name.
        name: String,
        /// Its supervisor.
        pid: u32,
    },
    /// No such board.
    #[error("no service named '{0}' is running")]
    Absent(String),
    /// The file is no board of this version.
    #[error("'{0}' is not a board of this version of detectd")]
    Foreign(String),
    /// The memory cannot be had.
    #[error(
        "cannot reserve {needed} bytes in {FOLDER} for the board ({source}): give {FOLDER} more room or free it"
    )]
    NoMemory {
        /// Bytes asked for.
        needed: usize,
        /// The kernel's word.
        source: Errno,
    },
    /// A system call failed.
    #[error("the board {path}: {text}")]
    System {
        /// The segment's file.
        path: String,
        /// What failed.
        text: String,
    },
}

/// The board of one service.
pub struct Board {
    region: Region,
    frontends: u32,
    name: String,
    /// Keeps the mapping; unlinks the name when this is the supervisor's.
    _segment: Segment,
    /// The supervisor's proof of life.
    _lock: Option<(Flock<File>, OwnedFd)>,
}

/// The library's handle. It has raw pointers, which nothing uses after `Region` was made of them.
struct Segment(#[allow(dead_code, reason = "held for its drop")] Shmem);

// SAFETY: the handle is only kept to be dropped; unmapping and unlinking may happen on any thread.
unsafe impl Send for Segment {}
// SAFETY: no method of the handle is called through a shared reference.
unsafe impl Sync for Segment {}

/// A new board.
pub struct Created {
    /// The board.
    pub board: Board,
    /// The supervisor whose board lay there, when a dead one had left one.
    pub removed: Option<u32>,
    /// That board, if this version can read it.
    pub old: Option<Board>,
}

fn path_of(name: &str) -> PathBuf {
    PathBuf::from(format!("{FOLDER}/{PREFIX}{name}"))
}

fn check_name(name: &str) -> Result<(), BoardError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || !name.chars().all(fine) {
        return Err(BoardError::Name(name.to_owned()));
    }
    Ok(())
}

/// Names of the services that live on this machine and whose boards this user may read.
pub fn list() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(FOLDER) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(PREFIX)?.to_owned()))
        .filter(|name| has_supervisor(name))
        .collect();
    names.sort();
    names
}

/// The supervisor's lock; `None` while another supervisor holds it. Whoever lists services holds it for an instant.
fn lock(mut file: File) -> Option<Flock<File>> {
    for _ in 0..50 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((back, _)) => file = back,
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Whether the supervisor of this board lives: it holds the lock.
fn has_supervisor(name: &str) -> bool {
    File::open(path_of(name)).is_ok_and(|file| Flock::lock(file, FlockArg::LockSharedNonblock).is_err())
}

impl Board {
    /// Makes the board of the service `name`, for its supervisor. A dead supervisor's board is removed first.
    ///
    /// # Errors
    /// `InUse` while another supervisor of that name lives, `NoMemory` when the pages cannot be reserved.
    pub fn create(name: &str, frontends: u32) -> Result<Created, BoardError> {
        check_name(name)?;
        let path = path_of(name);
        let system = |text: String| BoardError::System { path: path.display().to_string(), text };
        let in_use = || {
            let pid = Self::open(name).map_or(0, |board| board.supervisor());
            BoardError::InUse { name: name.to_owned(), pid }
        };
        let open = || OpenOptions::new().read(true).write(true).open(&path);

        // One supervisor of a name at a time, from before the segment is made: the name of a socket is taken in one step.
        let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| system(errno.to_string()))?;
        let address = UnixAddr::new_abstract(format!("{PREFIX}{name}").as_bytes());
        let address = address.map_err(|errno| system(errno.to_string()))?;
        bind(socket.as_raw_fd(), &address).map_err(|_| in_use())?;

        let (mut removed, mut old) = (None, None);
        if let Ok(file) = open() {
            // Another network namespace has other sockets, and may share this folder.
            let Some(_lock) = lock(file) else { return Err(in_use()) };
            old = Self::open(name).ok();
            removed = Some(old.as_ref().map_or(0, Self::supervisor));
            std::fs::remove_file(&path).map_err(|error| system(error.to_string()))?;
        }

        let size = layout::size(frontends.clamp(1, MAX_FRONTENDS as u32));
        let mut segment =
            ShmemConf::new().os_id(format!("/{PREFIX}{name}")).size(size).create().map_err(|error| {
                match error {
                    ShmemError::MappingIdExists => in_use(),
                    error => system(error.to_string()),
                }
            })?;
        // Not ours to unlink before the lock says so: somebody else's board may have the name by then.
        segment.set_owner(false);
        let file = open().map_err(|error| system(error.to_string()))?;
        let lock = lock(file).ok_or_else(in_use)?;
        // Two supervisors may have begun at once: the one whose file still has the name goes on.
        let same =
            std::fs::metadata(&path).ok().zip(lock.metadata().ok()).is_some_and(|(a, b)| a.ino() == b.ino());
        if !same {
            return Err(in_use());
        }
        segment.set_owner(true);
        // Reserve the pages before any is touched: one that cannot be had would kill us.
        uninterrupted(|| nix::fcntl::posix_fallocate(&*lock, 0, size as i64))
            .map_err(|source| BoardError::NoMemory { needed: size, source })?;

        let board = Self::over(name, segment, frontends, Some((lock, socket)))?;
        let header = board.header();
        header.version.store(BOARD_VERSION, Relaxed);
        header.frontends.store(frontends, Relaxed);
        header.supervisor.store(std::process::id(), Relaxed);
        header.started.store(clock::now(), Relaxed);
        header.started_unix.store(unix_now(), Relaxed);
        header.heartbeat.store(clock::now(), Relaxed);
        // Published last; pairs with `open`.
        header.magic.store(MAGIC, Release);
        Ok(Created { board, removed, old })
    }

    /// Opens the board of the service `name`, whether its supervisor lives or not.
    ///
    /// # Errors
    /// `Absent` when there is none, `Foreign` when it is another version's.
    pub fn open(name: &str) -> Result<Self, BoardError> {
        check_name(name)?;
        let segment =
            ShmemConf::new().os_id(format!("/{PREFIX}{name}")).open().map_err(|error| match error {
                ShmemError::MapOpenFailed(errno) if errno == Errno::ENOENT as u32 => {
                    BoardError::Absent(name.to_owned())
                }
                error => {
                    BoardError::System { path: path_of(name).display().to_string(), text: error.to_string() }
                }
            })?;
        let foreign = || BoardError::Foreign(name.to_owned());
        if segment.len() < size_of::<Header>() {
            return Err(foreign());
        }
        // Looked at through a board of one frontend, which the header check below replaces by the real size.
        let frontends = {
            let base = NonNull::new(segment.as_ptr()).ok_or_else(foreign)?;
            let region = Region::borrowed(base, segment.len());
            let header: &Header = region.one(0);
            // Pairs with `create`.
            let known = header.magic.load(Acquire) == MAGIC && header.version.load(Relaxed) == BOARD_VERSION;
            let frontends = header.frontends.load(Relaxed);
            if !known || frontends == 0 || frontends as usize > MAX_FRONTENDS {
                return Err(foreign());
            }
            frontends
        };
        Self::over(name, segment, frontends, None)
    }

    fn over(
        name: &str,
        segment: Shmem,
        frontends: u32,
        lock: Option<(Flock<File>, OwnedFd)>,
    ) -> Result<Self, BoardError> {
        let base = NonNull::new(segment.as_ptr()).ok_or_else(|| BoardError::Foreign(name.to_owned()))?;
        if segment.len() < layout::size(frontends) {
            return Err(BoardError::Foreign(name.to_owned()));
        }
        let region = Region::borrowed(base, segment.len());
        Ok(Self { region, frontends, name: name.to_owned(), _segment: Segment(segment), _lock: lock })
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Frontend slots.
    pub fn frontends(&self) -> u32 {
        self.frontends
    }

    /// The block of a frontend.
    ///
    /// # Panics
    /// When there is no such slot.
    pub fn frontend(&self, slot: u8) -> Process<'_> {
        assert!(u32::from(slot) < self.frontends, "no frontend slot {slot}");
        self.block(ENGINES + slot as usize)
    }

    /// The block of the engine (0) or of the standby (1).
    ///
    /// # Panics
    /// When there is no such slot.
    pub fn engine(&self, slot: u8) -> Process<'_> {
        assert!((slot as usize) < ENGINES, "no engine slot {slot}");
        self.block(slot as usize)
    }

    // ---- the service's words; set by the supervisor ----

    /// What the service does.
    pub fn state(&self) -> ServiceState {
        ServiceState::decode(self.header().state.load(Relaxed))
    }

    /// Sets what the service does.
    pub fn set_state(&self, state: ServiceState) {
        self.header().state.store(state as u32, Relaxed);
    }

    /// The supervisor's process id.
    pub fn supervisor(&self) -> u32 {
        self.header().supervisor.load(Relaxed)
    }

    /// When the service began.
    pub fn started(&self) -> Nanos {
        self.header().started.load(Relaxed)
    }

    /// When the service began, in seconds since 1970.
    pub fn started_unix(&self) -> u64 {
        self.header().started_unix.load(Relaxed)
    }

    /// The supervisor's last sign of life.
    pub fn heartbeat(&self) -> Nanos {
        self.header().heartbeat.load(Relaxed)
    }

    /// The supervisor gives a sign of life.
    pub fn beat(&self) {
        self.header().heartbeat.store(clock::now(), Relaxed);
    }

    /// The model generation that serves.
    pub fn generation(&self) -> u32 {
        self.header().generation.load(Relaxed)
    }

    /// Sets the model generation that serves.
    pub fn set_generation(&self, generation: u32) {
        self.header().generation.store(generation, Relaxed);
    }

    /// Seats by state, as the supervisor last saw them.
    pub fn seats(&self) -> SeatCounts {
        SeatCounts(std::array::from_fn(|k| self.header().seats[k].load(Relaxed)))
    }

    /// Sets the seats by state.
    pub fn set_seats(&self, counts: SeatCounts) {
        for (word, count) in self.header().seats.iter().zip(counts.0) {
            word.store(count, Relaxed);
        }
    }

    /// The address the service listens on.
    pub fn listen(&self) -> String {
        read_text(&self.header().listen)
    }

    /// Sets the address the service listens on.
    pub fn set_listen(&self, text: &str) {
        write_text(&self.header().listen, text);
    }

    /// The model's name and version.
    pub fn model(&self) -> String {
        read_text(&self.header().model)
    }

    /// Sets the model's name and version.
    pub fn set_model(&self, text: &str) {
        write_text(&self.header().model, text);
    }

    /// The supervisor's last remark.
    pub fn message(&self) -> String {
        read_text(&self.header().message)
    }

    /// Sets the supervisor's last remark.
    pub fn set_message(&self, text: &str) {
        write_text(&self.header().message, text);
    }

    /// A reload or an upgrade begins.
    pub fn begin_change(&self) {
        self.header().changes_begun.fetch_add(1, Relaxed);
    }

    /// The reload or upgrade has ended: whether it is in force, and one line about it.
    pub fn end_change(&self, good: bool, text: &str) {
        let header = self.header();
        write_text(&header.change, text);
        header.change_good.store(u32::from(good), Relaxed);
        // Pairs with `changes`: whoever sees the count sees its outcome.
        header.changes_ended.store(header.changes_begun.load(Relaxed), Release);
    }

    /// The reloads and upgrades so far.
    pub fn changes(&self) -> Changes {
        let header = self.header();
        // Pairs with `end_change`.
        let ended = header.changes_ended.load(Acquire);
        Changes {
            begun: header.changes_begun.load(Relaxed),
            ended,
            good: header.change_good.load(Relaxed) != 0,
            text: read_text(&header.change),
        }
    }

    /// Goes on counting where another board stood.
    pub fn continue_changes(&self, begun: u32) {
        self.header().changes_begun.store(begun, Relaxed);
        self.header().changes_ended.store(begun.saturating_sub(1), Relaxed);
    }

    // ---- inputs that killed engines; written by any frontend ----

    /// Refuses inputs of this digest until then.
    pub fn quarantine(&self, digest: u64, until: Nanos) {
        let cell = &self.header().quarantine[digest as usize % QUARANTINE];
        // Two digests that share a cell push each other out: the newer one is the one that kills now.
        cell.until.store(0, Relaxed);
        cell.digest.store(digest, Relaxed);
        cell.until.store(until, Release);
    }

    /// Whether inputs of this digest are refused now.
    pub fn is_quarantined(&self, digest: u64, now: Nanos) -> bool {
        let cell = &self.header().quarantine[digest as usize % QUARANTINE];
        // Pairs with `quarantine`; a digest that is replaced this instant may be missed, and is then found again.
        cell.until.load(Acquire) > now && cell.digest.load(Relaxed) == digest
    }

    // ---- visitors ----

    /// Makes `day` (days since 1970-01-01, local time) today. The supervisor calls it now and then.
    pub fn set_today(&self, day: u32) {
        visitors::set_today(self.header(), day);
    }

    /// Counts a call by `visitor` from `address`, both as well-mixed hashes.
    pub fn visit(&self, visitor: u64, address: u64) {
        visitors::visit(self.header(), visitor, address);
    }

    /// Figures of today and of the days before, newest first.
    pub fn days(&self) -> Vec<DayFigures> {
        visitors::days(self.header())
    }

    // ---- sums ----

    /// Detect requests in flight in all frontends.
    pub fn in_flight(&self) -> u32 {
        let processes = (0..self.frontends as u8).map(|slot| self.frontend(slot));
        processes.fold(0, |sum, process| process.in_flight().saturating_add(sum))
    }

    /// Those of them whose picture has arrived: what costs time.
    pub fn in_service(&self) -> u32 {
        let processes = (0..self.frontends as u8).map(|slot| self.frontend(slot));
        // Two words of one process may be a request apart.
        let arrived = processes.map(|process| process.in_flight().saturating_sub(process.reading()));
        arrived.fold(0, |sum, count| count.saturating_add(sum))
    }

    /// Fewest open connections of a frontend that is ready and gave a sign of life since `alive_since`.
    pub fn fewest_connections(&self, alive_since: Nanos) -> Option<u32> {
        (0..self.frontends as u8)
            .map(|slot| self.frontend(slot))
            .filter(|process| process.state() == ProcessState::Ready && process.heartbeat() >= alive_since)
            .map(|process| process.connections())
            .min()
    }

    pub(super) fn header(&self) -> &Header {
        self.region.one(0)
    }

    pub(super) fn block(&self, index: usize) -> Process<'_> {
        Process { block: self.region.one::<Block>(layout::block_offset(index)) }
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board")
            .field("name", &self.name)
            .field("frontends", &self.frontends)
            .finish_non_exhaustive()
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn write_text(text: &Text, value: &str) {
    let mut len = value.len().min(TEXT_LEN);
    while !value.is_char_boundary(len) {
        len -= 1;
    }
    text.len.store(0, Release);
    for (cell, byte) in text.bytes.iter().zip(value.as_bytes()) {
        cell.store(*byte, Relaxed);
    }
    text.len.store(len as u32, Release);
}

fn read_text(text: &Text) -> String {
    let len = (text.len.load(Acquire) as usize).min(TEXT_LEN);
    let bytes: Vec<u8> = text.bytes[..len].iter().map(|byte| byte.load(Relaxed)).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
