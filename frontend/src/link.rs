//! The way to the engine: seats, the requests that wait for one, and the answers.
//!
//! An [`Attached`] is one generation of the model: its facts, its arena, and this frontend's requests in it. A
//! request keeps the one it began with and ends with it; [`Link::attach`] replaces it for those that come after. One task,
//! [`Link::listen`], hears the bell and hands seats and answers to whatever the requests left to be done with them.
//!
//! A request waits for its seat and for its answer without a thread or a task of its own: the thread that worked on
//! it leaves what comes next ([`Then`]) and turns to the next picture. So nobody is woken only to begin to wait. Where
//! the engine answers within what waking somebody takes, the thread of a frontend's only request watches for its answer first.
//!
//! Whatever a request holds is given back by dropping its [`Place`], wherever it is.

use crate::error::{Code, RequestError};
use crate::options::Labels;
use crate::watch;
use arc_swap::ArcSwapOption;
use shm_proto::arena::{AnsweredSeat, Bells, ClaimedSeat, FrontendArena, SubmittedSeat, WATCH};
use shm_proto::clock::Nanos;
use shm_proto::typical::TypicalTime;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use vision::model::ModelFacts;

/// How often seats are looked at without a ring while somebody waits: a bell that was lost, because its ringer
/// was killed between the seat and the ring, then costs this much.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One model generation as this frontend sees it.
#[derive(Debug)]
pub struct Attached {
    /// What the model is.
    pub facts: Arc<ModelFacts>,
    /// Its class names.
    pub labels: Labels,
    /// What it takes to read an answered seat's outputs.
    pub reading: TypicalTime,
    /// How long the engine takes to answer.
    answering: TypicalTime,
    arena: Arc<FrontendArena>,
    requests: Mutex<Requests>,
}

/// What is done with a seat when it is there. Called on whatever thread finds it, without a lock, so it is short;
/// dropped uncalled when the request has gone.
pub type Then<T> = Box<dyn FnOnce(T) + Send>;

/// Requests in an arena, oldest first.
#[derive(Default)]
struct Requests {
    waiting: VecDeque<Waiter>,
    submitted: Vec<Submitted>,
    /// The requests whose [`Place`] is held: for any other, nothing is begun any more.
    held: HashSet<u64>,
    /// Whether another generation took this one's place: its engine is dead, and nobody will answer.
    retired: bool,
    /// Names the next place.
    next: u64,
}

struct Waiter {
    key: u64,
    arrived: Nanos,
    then: Then<ClaimedSeat>,
}

struct Submitted {
    key: u64,
    seat: SubmittedSeat,
    then: Then<AnsweredSeat>,
}

impl Requests {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.submitted.is_empty()
    }

    /// Whether something may still be begun for the request with this key.
    fn serves(&self, key: u64) -> bool {
        !self.retired && self.held.contains(&key)
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, submitted, held, retired, .. } = self;
        write!(out, "{} held, {} waiting, {} submitted", held.len(), waiting.len(), submitted.len())?;
        if *retired { out.write_str(", retired") } else { Ok(()) }
    }
}

/// A request's place in an arena. Dropping it gives back what the request has there.
pub struct Place {
    attached: Arc<Attached>,
    key: u64,
}

impl Place {
    /// What the request is called in the calls of its [`Attached`].
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Why what was to be done for the request was dropped undone.
    pub fn lost(&self) -> RequestError {
        if self.attached.lock().retired {
            Code::EngineUnavailable.because("the engine was replaced by another").retry_after(1)
        } else {
            Code::Internal.because("the request could not be worked on")
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let attached = &self.attached;
        let mut requests = attached.lock();
        requests.held.remove(&self.key);
        let waiter = requests.waiting.iter().position(|waiter| waiter.key == self.key);
        let waiter = waiter.and_then(|place| requests.waiting.remove(place));
        let submitted = requests.submitted.iter().position(|submitted| submitted.key == self.key);
        let submitted = submitted.map(|place| requests.submitted.swap_remove(place));
        // Pictures and seats go back without the lock: that can ring a bell.
        drop(requests);
        let has_waited = waiter.is_some();
        drop((waiter, submitted));
        if has_waited {
            attached.seat_waiters();
        }
    }
}

impl Attached {
    /// A generation over an attached arena.
    pub fn new(arena: Arc<FrontendArena>, facts: ModelFacts) -> Arc<Self> {
        let reading = TypicalTime::guess(facts.outputs.iter().map(|output| output.bytes() as u64).sum());
        Arc::new(Self {
            labels: Labels::of(&facts.spec),
            facts: Arc::new(facts),
            reading,
            answering: TypicalTime::new(1_000_000),
            arena,
            requests: Mutex::default(),
        })
    }

    /// How many seats there are, for all frontends.
    pub fn seats(&self) -> u32 {
        self.arena.geometry().seats
    }

    /// A place for one request.
    pub fn enter(self: &Arc<Self>) -> Place {
        let mut requests = self.lock();
        requests.next += 1;
        let key = requests.next;
        requests.held.insert(key);
        Place { attached: self.clone(), key }
    }

    /// A seat, if one is free and no request of this frontend waits for one. Callable from any thread.
    pub fn seat_at_once(&self) -> Option<ClaimedSeat> {
        let requests = self.lock();
        if requests.waiting.is_empty() && !requests.retired { self.arena.claim() } else { None }
    }

    /// Does `then` with a seat when it is the request's turn. Turns go by `arrived`, over all frontends. Callable
    /// from any thread.
    pub fn when_seated(&self, key: u64, arrived: Nanos, then: Then<ClaimedSeat>) {
        let mut requests = self.lock();
        if requests.serves(key) {
            let place = requests.waiting.partition_point(|other| other.arrived <= arrived);
            requests.waiting.insert(place, Waiter { key, arrived, then });
            drop(requests);
            self.seat_waiters();
        }
    }

    /// Does `then` with the answer to a submitted seat when it is there. Callable from any thread but the runtime's.
    pub fn when_answered(&self, key: u64, seat: SubmittedSeat, then: Then<AnsweredSeat>) {
        // Where others wait for this thread or for the engine, the time is theirs.
        let is_alone = || {
            let requests = self.lock();
            requests.serves(key) && requests.held.len() == 1
        };
        if self.answering.get() <= WATCH && is_alone() && seat.watch() {
            self.look();
        }
        let mut requests = self.lock();
        if !requests.serves(key) {
            return;
        }
        // Looked at under the lock: an answer before this is found here, and the bell of one after it leads to
        // `collect_answers`, which waits for the lock and finds the entry.
        match seat.poll() {
            Err(seat) => requests.submitted.push(Submitted { key, seat, then }),
            Ok(answered) => {
                drop(requests);
                self.hand_out(answered, then);
            }
        }
    }

    /// Ends the requests that wait here, and those that come.
    fn retire(&self) {
        let mut requests = self.lock();
        requests.retired = true;
        let waiting = std::mem::take(&mut requests.waiting);
        let submitted = std::mem::take(&mut requests.submitted);
        // Seats go back without the lock: that can ring a bell.
        drop(requests);
        drop((waiting, submitted));
        self.seat_waiters();
    }

    /// Hands seats that are free or were granted to the requests that wait, oldest first, and says to the other
    /// processes whether any still waits.
    fn seat_waiters(&self) {
        let mut seated = Vec::new();
        let mut requests = self.lock();
        while let Some(first) = requests.waiting.front() {
            let Some(seat) = self.arena.granted().or_else(|| self.arena.wait(first.arrived)) else { break };
            if let Some(waiter) = requests.waiting.pop_front() {
                seated.push((waiter.then, seat));
            }
        }
        let mut surplus = Vec::new();
        if requests.waiting.is_empty() {
            self.arena.withdraw();
            // A seat that was granted to nobody goes on to whoever waits elsewhere.
            surplus.extend(std::iter::from_fn(|| self.arena.granted()));
        }
        drop(requests);
        drop(surplus);
        for (then, seat) in seated {
            then(seat);
        }
    }

    /// Hands out the answers that are there.
    fn collect_answers(&self) {
        let mut answered = Vec::new();
        let mut requests = self.lock();
        let mut at = 0;
        while at < requests.submitted.len() {
            if requests.submitted[at].seat.is_answered() {
                answered.push(requests.submitted.swap_remove(at));
            } else {
                at += 1;
            }
        }
        drop(requests);
        for Submitted { seat, then, .. } in answered {
            if let Ok(seat) = seat.poll() {
                self.hand_out(seat, then);
            }
        }
    }

    fn hand_out(&self, seat: AnsweredSeat, then: Then<AnsweredSeat>) {
        let run = seat.run();
        self.answering.saw(run.ended.saturating_sub(run.submitted));
        then(seat);
    }

    /// Looks at all seats after a ring. Returns whether anybody still waits.
    fn look(&self) -> bool {
        self.arena.bell_heard();
        self.collect_answers();
        self.seat_waiters();
        !self.lock().is_idle()
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // Every change is whole before the lock is released, a panic in between included.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All generations that have requests, and which one new requests take.
#[derive(Debug)]
pub struct Link {
    bells: Bells,
    slot: u8,
    current: ArcSwapOption<Attached>,
    all: Mutex<Vec<Weak<Attached>>>,
}

impl Link {
    /// A link of the frontend in `slot`, with no model yet.
    pub fn new(bells: Bells, slot: u8) -> Self {
        Self { bells, slot, current: ArcSwapOption::empty(), all: Mutex::default() }
    }

    /// The model that a new request takes; `None` before the first and between two.
    pub fn current(&self) -> Option<Arc<Attached>> {
        self.current.load_full()
    }

    /// Hears the bell for this generation, too, which takes no requests yet.
    pub fn admit(&self, attached: &Arc<Attached>) {
        self.lock().push(Arc::downgrade(attached));
    }

    /// Makes this generation, which was admitted, the one that new requests take. A new generation is a new engine, and the old one is
    /// dead: the requests that wait for it end here.
    pub fn attach(&self, attached: Arc<Attached>) {
        if let Some(previous) = self.current.swap(Some(attached)) {
            previous.retire();
        }
    }

    /// Hears the bell for as long as it is polled.
    ///
    /// # Errors
    /// When the bell cannot be waited for.
    pub async fn listen(&self) -> io::Result<()> {
        let fd = self.bells.fd(self.slot).ok_or(io::ErrorKind::NotFound)?.try_clone_to_owned()?;
        let bell = watch::readable(fd)?;
        let mut pending = false;
        loop {
            // Nothing pending: a request that begins to wait now does not interrupt this, but its bell will, and
            // looking without a ring is only the net for lost rings.
            let patience = if pending { LOOK_AGAIN } else { 10 * LOOK_AGAIN };
            if let Ok(ring) = tokio::time::timeout(patience, bell.readable()).await {
                ring?.clear_ready();
            }
            self.bells.silence(self.slot);
            pending = self.look();
        }
    }

    fn look(&self) -> bool {
        let mut pending = false;
        let mut all = self.lock();
        all.retain(|attached| match attached.upgrade() {
            Some(attached) => {
                pending |= attached.look();
                true
            }
            None => false,
        });
        pending
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Attached>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
