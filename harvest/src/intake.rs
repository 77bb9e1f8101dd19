//! The way in from an answered request: which rules choose its picture, and a bounded queue that never makes a request wait.
//! What is dropped here is counted. Writing, and what is written at all, is `writer`'s.

use crate::config::Config;
use crate::keep;
use crate::look::Look;
use crate::pace::Pace;
use crate::rules::{self, Hit, Subject};
use crate::sidecar::Uncertainty;
use crate::writer::{LAST, Writer, step_back};
use bytes::Bytes;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use vision::model::{ModelFacts, ModelSpec};
use vision::postprocess::{Class, Detection};

/// How long the end of the process waits for what is queued.
const LEAVE: Duration = Duration::from_secs(3);

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was kept, and has so many bytes.
    Stored(u64),
    /// Its bytes were there already.
    Duplicate,
    /// It looks like one that was there already.
    NearDuplicate,
    /// All rules that chose it have had their share.
    Limited,
    /// Its class has had its share.
    Quota,
    /// The folder or the disk is as full as it may be.
    NoRoom,
    /// The queue was full: more came than may be written.
    Dropped,
    /// It could not be written.
    Failed,
    /// An old one was removed to make room, or because its time was over.
    Removed,
}

/// What was found in a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A detector's.
    Detections(Vec<Detection>),
    /// A classifier's, with how sure it was of all its classes.
    Classes(Vec<Class>, Uncertainty),
}

/// A picture that was answered, with all that is worth keeping about it.
#[derive(Clone, Debug)]
pub struct Specimen {
    /// The file as it came.
    pub bytes: Bytes,
    /// Columns, as a person sees it.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// What it looks like.
    pub look: Look,
    /// The rules that chose it.
    pub rules: u32,
    /// The request's id.
    pub request: String,
    /// How it came.
    pub source: &'static str,
    /// The model.
    pub facts: Arc<ModelFacts>,
    /// What was found.
    pub answer: Answer,
    /// Lowest score that was asked for.
    pub score: f32,
    /// Times of the stages in milliseconds.
    pub timing: Vec<(&'static str, f64)>,
}

/// Where events are counted.
pub type Count = Arc<dyn Fn(Event) + Send + Sync>;

/// What waits to be written. Counts only: no memory hangs on them.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pictures: AtomicU64,
    bytes: AtomicU64,
}

/// The way in. Dropping it writes what is queued, within a few seconds.
pub struct Harvest {
    config: Config,
    sender: Option<SyncSender<(Specimen, jiff::Timestamp)>>,
    waiting: Arc<Waiting>,
    count: Count,
    /// Dropped when the process ends: then the thread does not rest any more.
    stay: Option<mpsc::Sender<()>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    done: Mutex<Receiver<()>>,
    _keeper: keep::Keeper,
}

impl Harvest {
    /// Starts the threads of one of `peers` frontends. The folder need not be there or writable yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(config: Config, peers: usize, count: Count) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(config.queue);
        let (finished, done) = mpsc::channel();
        let (stay, leave) = mpsc::channel();
        let waiting = Arc::new(Waiting::default());
        let keeper = keep::Keeper::start(config.clone(), count.clone())?;
        let pace = Pace::new(config.processor_percentage, peers);
        let mut writer = Writer::new(config.clone(), waiting.clone(), count.clone(), pace);
        let thread = std::thread::Builder::new().name("harvest".to_owned()).spawn(move || {
            step_back(LAST);
            writer.run(&receiver, &leave);
            let _ = finished.send(()); // nobody may be waiting
        })?;
        Ok(Self {
            config,
            sender: Some(sender),
            waiting,
            count,
            stay: Some(stay),
            writer: Mutex::new(Some(thread)),
            done: Mutex::new(done),
            _keeper: keeper,
        })
    }

    /// Whether pictures are kept.
    pub fn is_on(&self) -> bool {
        self.config.enabled
    }

    /// The rules that choose a picture with this answer; 0 for none.
    pub fn choose(&self, spec: &ModelSpec, answer: &Answer) -> u32 {
        let labels: Vec<_> = match answer {
            Answer::Detections(found) => found.iter().map(|d| (spec.label(d.class), d.score)).collect(),
            Answer::Classes(found, _) => found.iter().map(|c| (spec.label(c.class), c.score)).collect(),
        };
        let hits: Vec<Hit<'_>> = labels.iter().map(|(label, score)| Hit { label, score: *score }).collect();
        let uncertainty = match answer {
            Answer::Classes(_, uncertainty) => Some(*uncertainty),
            Answer::Detections(_) => None,
        };
        rules::choose(&self.config.rules, &Subject { hits: &hits, uncertainty }, &mut fastrand::Rng::new())
    }

    /// Whether another picture would be taken now: what would not be need not be looked at.
    pub fn has_room(&self) -> bool {
        self.waiting.pictures.load(Relaxed) < self.config.queue as u64
            && self.waiting.bytes.load(Relaxed) < self.config.queue_bytes
    }

    /// Hands a picture over. Never waits.
    pub fn offer(&self, specimen: Specimen) {
        let bytes = specimen.bytes.len() as u64;
        self.waiting.pictures.fetch_add(1, Relaxed);
        let full = self.waiting.bytes.fetch_add(bytes, Relaxed) + bytes > self.config.queue_bytes;
        let sent = match &self.sender {
            Some(sender) if !full => sender.try_send((specimen, jiff::Timestamp::now())),
            _ => Err(TrySendError::Full((specimen, jiff::Timestamp::now()))),
        };
        if sent.is_err() {
            self.waiting.less(1, bytes);
            self.turn_away();
        }
    }

    /// Counts a picture that a rule chose and that there was no room for.
    pub fn turn_away(&self) {
        (self.count)(Event::Dropped);
    }
}

impl Waiting {
    pub(crate) fn less(&self, pictures: u64, bytes: u64) {
        self.pictures.fetch_sub(pictures, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for Harvest {
    fn drop(&mut self) {
        (self.sender, self.stay) = (None, None);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(LEAVE);
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (done, thread) {
            (Ok(()), Some(thread)) => drop(thread.join()),
            // A disk that hangs does not keep the process from ending: files are whole or not there.
            _ => tracing::warn!("pictures were still waiting to be kept when the process ended"),
        }
    }
}
