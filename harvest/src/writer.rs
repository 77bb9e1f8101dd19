//! From the queue to files: one thread of low priority that weeds out what is there already or is not wanted any more, and
//! writes the rest, at a pace that leaves the machine to the requests.
//!
//! Nothing that happens here is the request's business: what cannot be kept is counted, said once a minute, and gone.

use crate::config::{Config, Rule};
use crate::files;
use crate::filing;
use crate::index::{self, Entry, Index, IndexError, State};
use crate::intake::{Answer, Count, Event, Specimen, Waiting};
use crate::pace::Pace;
use crate::sidecar::{self, Sidecar};
use rusqlite::{Transaction, params};
use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use ulid::Ulid;
use vision::model::ModelFacts;

/// After the first picture, how long the thread waits for more: a transaction for many costs little more than one for one,
/// and a thread that sleeps by the clock needs no request to wake it.
const GATHER: Duration = Duration::from_millis(100);
/// Most pictures of a transaction.
const BATCH: usize = 32;
/// Time between two tries to open an index that could not be opened.
const AGAIN: Duration = Duration::from_secs(2);
/// Time between two looks at how much room there is.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// Time between two complaints.
const SILENCE: Duration = Duration::from_secs(60);

/// The place of the threads that write: the last one. At 10 the p99 of a busy machine's requests rose.
pub(crate) const LAST: i32 = 19;
/// The place of the thread that makes the index true: people wait for it.
pub(crate) const BEHIND: i32 = 10;

/// Takes a place behind all that answers requests.
pub(crate) fn step_back(place: i32) {
    // Of this thread only; a sandbox that forbids it costs a little speed, no more.
    let _ = rustix::process::setpriority_process(None, place);
}

/// Says something at most once a minute, with how often it would have been said.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    kept: u64,
}

impl Complaint {
    pub(crate) fn say(&mut self, root: &Path, why: &dyn std::fmt::Display) {
        self.kept += 1;
        if self.last.is_none_or(|last| last.elapsed() >= SILENCE) {
            tracing::warn!(root = %root.display(), error = %why, times = self.kept, "pictures cannot be kept");
            (self.last, self.kept) = (Some(Instant::now()), 0);
        }
    }
}

/// Perceptual hashes of the last pictures.
#[derive(Debug, Default)]
struct Memory {
    last: i64,
    hashes: VecDeque<u64>,
}

impl Memory {
    /// Takes up what any process kept since.
    fn catch_up(&mut self, index: &Index, most: usize) -> Result<(), IndexError> {
        let sql = "SELECT n, perceptual FROM (SELECT n, perceptual FROM pictures WHERE n > ?1 ORDER BY n DESC LIMIT ?2) ORDER BY n";
        let mut statement = index.db.prepare_cached(sql)?;
        let rows = statement.query_map(params![self.last, most as i64], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        for row in rows {
            let (n, hash) = row?;
            self.last = n;
            self.hashes.extend(hash.map(i64::cast_unsigned));
        }
        let extra = self.hashes.len().saturating_sub(most);
        self.hashes.drain(..extra);
        Ok(())
    }
}

/// The room there was when it was last looked at.
#[derive(Clone, Copy, Debug)]
struct Room {
    at: Instant,
    /// Bytes that may still come.
    left: u64,
}

pub(crate) struct Writer {
    config: Config,
    waiting: Arc<Waiting>,
    count: Count,
    pace: Pace,
    index: Option<Index>,
    tried: Option<Instant>,
    memory: Memory,
    room: Option<Room>,
    complaint: Complaint,
    models: HashSet<String>,
}

impl Writer {
    pub(crate) fn new(config: Config, waiting: Arc<Waiting>, count: Count, pace: Pace) -> Self {
        Self {
            config,
            waiting,
            count,
            pace,
            index: None,
            tried: None,
            memory: Memory::default(),
            room: None,
            complaint: Complaint::default(),
            models: HashSet::new(),
        }
    }

    /// Writes what comes until nobody can send any more. When `leave` is cut off it does not rest any longer.
    pub(crate) fn run(&mut self, receiver: &Receiver<(Specimen, jiff::Timestamp)>, leave: &Receiver<()>) {
        // Ends at once, and from then on always, when the process is to end.
        let rest = |time| {
            let _ = leave.recv_timeout(time); // time over, or time to go
        };
        let mut owed = Duration::ZERO;
        while let Ok(first) = receiver.recv() {
            rest(owed.max(GATHER));
            let mut batch = vec![first];
            batch.extend(receiver.try_iter().take(BATCH - 1));
            let (all, bytes) =
                (batch.len() as u64, batch.iter().map(|(s, _)| s.bytes.len() as u64).sum::<u64>());
            let work = self.pace.begin();
            self.keep(batch);
            owed = self.pace.rest_after(work);
            self.waiting.less(all, bytes);
        }
    }

    fn keep(&mut self, batch: Vec<(Specimen, jiff::Timestamp)>) {
        let all = batch.len();
        match self.try_keep(batch) {
            Ok(events) => events.into_iter().for_each(|event| (self.count)(event)),
            Err(error) => {
                (0..all).for_each(|_| (self.count)(Event::Failed));
                self.complaint.say(&self.config.root, &error);
                self.index = None;
            }
        }
    }

    fn try_keep(&mut self, batch: Vec<(Specimen, jiff::Timestamp)>) -> Result<Vec<Event>, IndexError> {
        let root = self.config.root.clone();
        let mut index = match self.index.take() {
            Some(index) => index,
            None => self.open(&root)?,
        };
        if self.config.drop_near_duplicates {
            self.memory.catch_up(&index, self.config.remember)?;
        }
        self.look_for_room(&index)?;
        let mut written = Vec::new();
        let result = self.keep_all(&mut index, &root, batch, &mut written);
        if result.is_err() {
            // Without their rows nobody would know of them.
            written.iter().for_each(|path: &PathBuf| {
                let _ = files::remove(path); // the scan finds what stays
                let _ = files::remove(&files::sidecar_of(path));
            });
        }
        self.index = Some(index);
        result
    }

    fn open(&mut self, root: &Path) -> Result<Index, IndexError> {
        if self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
            let source = io::Error::other("the folder could not be used a moment ago");
            return Err(IndexError::Io { path: root.to_path_buf(), source });
        }
        let opened = Index::open(root);
        self.tried = opened.is_err().then(Instant::now);
        opened
    }

    fn keep_all(
        &mut self,
        index: &mut Index,
        root: &Path,
        batch: Vec<(Specimen, jiff::Timestamp)>,
        written: &mut Vec<PathBuf>,
    ) -> Result<Vec<Event>, IndexError> {
        let tx = index.write()?;
        let mut events = Vec::with_capacity(batch.len());
        let mut fresh: Vec<u64> = Vec::new();
        for (specimen, time) in batch {
            let sidecar = describe(&specimen, time);
            let perceptual = specimen.look.telling_hash();
            match self.judge(&tx, &sidecar, perceptual, &fresh, &specimen)? {
                Err(event) => events.push(event),
                Ok(rule) => {
                    let sidecar = Sidecar { rule, ..sidecar };
                    let path = index::place(&sidecar);
                    match self.write(root, &path, &sidecar, &specimen) {
                        Ok(()) => {
                            written.push(root.join(&path));
                            let (class, _) = sidecar.top();
                            let entry =
                                Entry { perceptual, ..Entry::of(&path, State::New, &class, &sidecar) };
                            index::put(&tx, &entry)?;
                            fresh.extend(perceptual);
                            self.room
                                .iter_mut()
                                .for_each(|room| room.left = room.left.saturating_sub(sidecar.bytes));
                            events.push(Event::Stored(sidecar.bytes));
                        }
                        Err(error) => {
                            self.complaint.say(root, &error);
                            events.push(Event::Failed);
                        }
                    }
                }
            }
        }
        tx.commit()?;
        Ok(events)
    }

    /// The rule by which a picture is kept, or why it is not.
    fn judge(
        &self,
        tx: &Transaction<'_>,
        sidecar: &Sidecar,
        perceptual: Option<u64>,
        fresh: &[u64],
        specimen: &Specimen,
    ) -> Result<Result<String, Event>, IndexError> {
        let config = &self.config;
        let at_least = |sql: &str, params: &[&dyn rusqlite::ToSql], many: u64| -> Result<bool, IndexError> {
            // Counting ends where the answer is known.
            let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM pictures WHERE {sql} LIMIT {many})");
            let count: i64 = tx.prepare_cached(&sql)?.query_row(params, |row| row.get(0))?;
            Ok(count.max(0).cast_unsigned() >= many)
        };
        if config.drop_duplicates && at_least("hash = ?1", &[&sidecar.hash], 1)? {
            return Ok(Err(Event::Duplicate));
        }
        if config.drop_near_duplicates
            && let Some(hash) = perceptual
            && self
                .memory
                .hashes
                .iter()
                .chain(fresh)
                .any(|other| (hash ^ other).count_ones() <= config.near_distance)
        {
            return Ok(Err(Event::NearDuplicate));
        }
        let now = sidecar.millis();
        let mut chosen = None;
        for (number, rule) in
            config.rules.iter().enumerate().filter(|(number, _)| specimen.rules & 1 << number != 0)
        {
            let mut within = true;
            for limit in &rule.limits {
                let since = now - limit.period.millis();
                within &= limit.value > 0
                    && !at_least("rule = ?1 AND time > ?2", &[&rule.name(), &since], limit.value)?;
            }
            if within {
                chosen = Some(number);
                break;
            }
        }
        let rule = match (chosen, config.rules.is_empty()) {
            (Some(number), _) => config.rules.get(number).map_or("all", Rule::name).to_owned(),
            (None, true) => "all".to_owned(),
            (None, false) => return Ok(Err(Event::Limited)),
        };
        let (class, _) = sidecar.top();
        let day_ago = now - 86_400_000;
        let full = config.per_class_daily > 0
            && at_least("class = ?1 AND time > ?2", &[&class, &day_ago], config.per_class_daily)?
            || config.per_class_waiting > 0
                && at_least("state = 0 AND class = ?1", &[&class], config.per_class_waiting)?;
        if full {
            return Ok(Err(Event::Quota));
        }
        if self.room.is_some_and(|room| room.left < sidecar.bytes) {
            return Ok(Err(Event::NoRoom));
        }
        Ok(Ok(rule))
    }

    fn write(&mut self, root: &Path, path: &Path, sidecar: &Sidecar, specimen: &Specimen) -> io::Result<()> {
        if !self.models.contains(&sidecar.model.version) {
            let ModelFacts { version, spec, .. } = &*specimen.facts;
            let named = filing::Model { name: &spec.name, version, task: spec.task, labels: &spec.labels };
            named.describe(root)?;
            self.models.insert(sidecar.model.version.clone());
        }
        filing::lay(root, path, sidecar, &specimen.bytes)
    }

    fn look_for_room(&mut self, index: &Index) -> Result<(), IndexError> {
        if self.room.is_some_and(|room| room.at.elapsed() < ROOM_EVERY) {
            return Ok(());
        }
        let root = index.root();
        let disk = rustix::fs::statvfs(root)
            .map_err(|error| IndexError::Io { path: root.to_path_buf(), source: error.into() })?;
        let free = (disk.f_bavail * disk.f_frsize).saturating_sub(self.config.min_free);
        let left = self.config.max_bytes.saturating_sub(index.bytes()?);
        self.room = Some(Room { at: Instant::now(), left: free.min(left) });
        Ok(())
    }
}

/// A picture's sidecar, but for the rule.
fn describe(specimen: &Specimen, time: jiff::Timestamp) -> Sidecar {
    let Specimen { bytes, width, height, look, facts, answer, .. } = specimen;
    let spec = &facts.spec;
    let (mut detections, mut classes, mut uncertainty) = (None, None, None);
    match answer {
        Answer::Detections(found) => {
            let found = found.iter().map(|d| sidecar::Found {
                label: spec.label(d.class).into_owned(),
                class: Some(d.class),
                score: d.score,
                corners: d.bbox,
            });
            detections = Some(found.collect());
        }
        Answer::Classes(found, sure) => {
            let found = found.iter().map(|c| sidecar::Class {
                label: spec.label(c.class).into_owned(),
                class: Some(c.class),
                score: c.score,
            });
            (classes, uncertainty) = (Some(found.collect()), Some(*sure));
        }
    }
    Sidecar {
        time: jiff::Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time).to_string(),
        request: specimen.request.clone(),
        source: specimen.source.to_owned(),
        model: sidecar::ModelName { name: spec.name.clone(), version: facts.version.clone() },
        score: specimen.score,
        detections,
        classes,
        uncertainty,
        timing_ms: specimen.timing.iter().map(|(name, ms)| ((*name).to_owned(), *ms)).collect(),
        ..Sidecar::of(Ulid::generate().to_string(), bytes, (*width, *height), *look)
    }
}

#[cfg(test)]
mod tests;
