//! The one process that looks after the folders: finishes what crashed reviewers began, makes the index true, and removes
//! what has had its time or is too much. A lock says which process it is; when it dies, another one takes over.

use crate::config::Config;
use crate::files;
use crate::index::{COLUMNS, Entry, Index, IndexError, State, forget, io_error};
use crate::intake::{Count, Event};
use crate::naming::INDEX;
use crate::review;
use crate::scan;
use crate::writer::{BEHIND, Complaint, step_back};
use rusqlite::params;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Time between two rounds.
const ROUND: Duration = Duration::from_secs(5);
/// Time between two looks at all files.
const SCAN: Duration = Duration::from_secs(3600);
/// How far below the cap room is made, so that it need not be made all the time.
const SLACK: f64 = 0.95;
/// Pictures removed in one transaction.
const CHUNK: usize = 100;

/// The thread; it ends when this is dropped, and with the process.
pub(crate) struct Keeper {
    _stop: Sender<()>,
}

impl Keeper {
    pub(crate) fn start(config: Config, count: Count) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        std::thread::Builder::new().name("harvest-keeper".to_owned()).spawn(move || {
            step_back(BEHIND);
            run(&config, &count, &stopped);
        })?;
        Ok(Self { _stop: stop })
    }
}

fn run(config: &Config, count: &Count, stopped: &Receiver<()>) {
    let mut complaint = Complaint::default();
    loop {
        match watch(config, count, stopped) {
            Ok(()) => return,
            Err(error) => complaint.say(&config.root, &error),
        }
        if stopped.recv_timeout(ROUND) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Waits until it is this process's turn, and then does the rounds until it is told to stop.
fn watch(config: &Config, count: &Count, stopped: &Receiver<()>) -> Result<(), IndexError> {
    let mut index = Index::open(&config.root)?;
    let path = config.root.join(INDEX).join("keeper.lock");
    let lock = File::create(&path).map_err(io_error(&path))?;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(io_error(&path)(error)),
        }
        if stopped.recv_timeout(ROUND) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
    }
    let mut scanned: Option<Instant> = None;
    loop {
        review::recover(&mut index)?;
        if scanned.is_none_or(|at| at.elapsed() >= SCAN) {
            scan::reconcile(&mut index)?;
            files::sweep(&config.root);
            scanned = Some(Instant::now());
        }
        trim(&mut index, config, count)?;
        if stopped.recv_timeout(ROUND) != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
    }
}

/// Removes what is too old, and the oldest of what is too much. What people have accepted stays.
pub(crate) fn trim(index: &mut Index, config: &Config, count: &Count) -> Result<(), IndexError> {
    if !config.retention.is_zero() {
        let age = i64::try_from(config.retention.as_millis()).unwrap_or(i64::MAX);
        let before = jiff::Timestamp::now().as_millisecond().saturating_sub(age);
        while remove(index, before, u64::MAX, count)? > 0 {}
    }
    let bytes = index.bytes()?;
    if bytes > config.max_bytes {
        let mut surplus = bytes - (config.max_bytes as f64 * SLACK) as u64;
        while surplus > 0 {
            let removed = remove(index, i64::MAX, surplus, count)?;
            if removed == 0 {
                break;
            }
            surplus = surplus.saturating_sub(removed);
        }
    }
    Ok(())
}

/// Removes up to a chunk of the oldest pictures from before then, until so many bytes are gone. Returns the bytes.
fn remove(index: &mut Index, before: i64, most: u64, count: &Count) -> Result<u64, IndexError> {
    let root = index.root().to_path_buf();
    let tx = index.write()?;
    let entries = {
        // Rejected pictures go before those that nobody has looked at.
        let sql = format!(
            "SELECT {COLUMNS} FROM pictures WHERE state IN (?1, ?2) AND time < ?3 ORDER BY state DESC, time, n LIMIT ?4"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let rows = statement.query_map(
            params![State::New as i64, State::Rejected as i64, before, CHUNK as i64],
            Entry::read,
        )?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    let mut bytes = 0;
    for entry in entries {
        if bytes >= most {
            break;
        }
        let path = root.join(&entry.path);
        files::remove(&path).map_err(io_error(&path))?;
        let _ = files::remove(&files::sidecar_of(&path)); // swept by the scan otherwise
        let _ = files::remove(&thumbnail(&root, &entry.id));
        forget(&tx, &entry.id)?;
        tidy(&path, &root);
        bytes += entry.bytes.max(1);
        count(Event::Removed);
    }
    tx.commit()?;
    Ok(bytes)
}

/// Where a picture's thumbnail is kept.
pub(crate) fn thumbnail(root: &Path, id: &str) -> std::path::PathBuf {
    let tail = &id[id.floor_char_boundary(id.len().saturating_sub(2))..];
    root.join(INDEX).join("thumbs").join(tail).join(format!("{id}.jpg"))
}

/// Removes the folders above a file that have become empty.
pub(crate) fn tidy(path: &Path, root: &Path) {
    let above = path.ancestors().skip(1).take_while(|folder| *folder != root);
    for folder in above {
        if std::fs::remove_dir(folder).is_err() {
            return; // somebody lives there
        }
    }
}

#[cfg(test)]
mod tests;
