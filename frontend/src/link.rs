//! The way to the engine: seats, the requests that wait for one, and the answers.
//!
//! An [`Attached`] is one generation of the model: its facts, its arena, and this frontend's requests in it. A
//! request keeps the one it began with and ends with it; [`Link::attach`] replaces it for those that come after. One task,
//! [`Link::listen`], hears the bell and hands seats and answers to the requests that wait for them.
//!
//! Whatever a request holds is given back by dropping its future, wherever it is.

use crate::error::{Code, RequestError};
use crate::options::Labels;
use crate::watch;
use arc_swap::ArcSwapOption;
use shm_proto::arena::{AnsweredSeat, Bells, ClaimedSeat, FrontendArena, SubmittedSeat};
use shm_proto::clock::Nanos;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use vision::model::ModelFacts;

/// How often seats are looked at without a ring while somebody waits: a bell that was lost, because its ringer
/// was killed between the seat and the ring, then costs this much.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One model generation as this frontend sees it.
#[derive(Debug)]
pub struct Attached {
    /// What the model is.
    pub facts: ModelFacts,
    /// Its class names.
    pub labels: Labels,
    arena: Arc<FrontendArena>,
    requests: Mutex<Requests>,
}

/// Requests in an arena, oldest first.
#[derive(Debug, Default)]
struct Requests {
    waiting: VecDeque<Waiter>,
    submitted: Vec<Submitted>,
    /// Whether another generation took this one's place: its engine is dead, and nobody will answer.
    retired: bool,
    /// Names waiters and submissions, so that one that was given up can be found.
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    key: u64,
    arrived: Nanos,
    seat: oneshot::Sender<ClaimedSeat>,
}

#[derive(Debug)]
struct Submitted {
    key: u64,
    seat: SubmittedSeat,
    answer: oneshot::Sender<AnsweredSeat>,
}

impl Requests {
    fn key(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.submitted.is_empty()
    }
}

impl Attached {
    /// A generation over an attached arena.
    pub fn new(arena: Arc<FrontendArena>, facts: ModelFacts) -> Arc<Self> {
        Arc::new(Self { labels: Labels::of(&facts.spec), facts, arena, requests: Mutex::default() })
    }

    /// A seat, if one is free and no request of this frontend waits for one. Callable from any thread.
    pub fn seat_at_once(&self) -> Option<ClaimedSeat> {
        let requests = self.lock();
        if requests.waiting.is_empty() && !requests.retired { self.arena.claim() } else { None }
    }

    /// A seat; waits until it is this request's turn. Turns go by `arrived`, over all frontends.
    ///
    /// # Errors
    /// `engine_unavailable` when another generation took this one's place.
    pub async fn seat(&self, arrived: Nanos) -> Result<ClaimedSeat, RequestError> {
        if let Some(seat) = self.seat_at_once() {
            return Ok(seat);
        }
        let (send, receive) = oneshot::channel();
        let key = {
            let mut requests = self.lock();
            if requests.retired {
                return Err(gone());
            }
            let key = requests.key();
            let place = requests.waiting.partition_point(|other| other.arrived <= arrived);
            requests.waiting.insert(place, Waiter { key, arrived, seat: send });
            key
        };
        let _leave = OnDrop(|| {
            let mut requests = self.lock();
            if let Some(place) = requests.waiting.iter().position(|waiter| waiter.key == key) {
                drop(requests.waiting.remove(place));
                drop(requests);
                self.seat_waiters();
            }
        });
        self.seat_waiters();
        receive.await.map_err(|_| gone())
    }

    /// The answer to a submitted seat; waits until it is there. Dropping the future cancels the seat.
    ///
    /// # Errors
    /// `engine_unavailable` when another generation took this one's place.
    pub async fn answer(&self, seat: SubmittedSeat) -> Result<AnsweredSeat, RequestError> {
        let seat = match seat.poll() {
            Ok(answered) => return Ok(answered),
            Err(seat) => seat,
        };
        let (send, receive) = oneshot::channel();
        let key = {
            let mut requests = self.lock();
            if requests.retired {
                return Err(gone());
            }
            let key = requests.key();
            requests.submitted.push(Submitted { key, seat, answer: send });
            key
        };
        let _leave = OnDrop(|| {
            let mut requests = self.lock();
            let place = requests.submitted.iter().position(|submitted| submitted.key == key);
            let cancelled = place.map(|place| requests.submitted.remove(place));
            // The seat goes back without the lock: that can ring a bell.
            drop(requests);
            drop(cancelled);
        });
        receive.await.map_err(|_| gone())
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
        let mut requests = self.lock();
        while let Some(first) = requests.waiting.front() {
            let Some(seat) = self.arena.granted().or_else(|| self.arena.wait(first.arrived)) else { return };
            // A request that has gone meanwhile lets the seat fall back: the next one is asked.
            if let Some(waiter) = requests.waiting.pop_front() {
                let _ = waiter.seat.send(seat);
            }
        }
        self.arena.withdraw();
        // A seat that was granted to nobody goes on to whoever waits elsewhere.
        while let Some(seat) = self.arena.granted() {
            drop(seat);
        }
    }

    /// Hands out the answers that are there.
    fn collect_answers(&self) {
        let mut requests = self.lock();
        let submitted = std::mem::take(&mut requests.submitted);
        for Submitted { key, seat, answer } in submitted {
            match seat.poll() {
                Ok(answered) => drop(answer.send(answered)),
                Err(seat) => requests.submitted.push(Submitted { key, seat, answer }),
            }
        }
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

/// What a request is told whose engine will not come back.
fn gone() -> RequestError {
    Code::EngineUnavailable.because("the engine was replaced by another").retry_after(1)
}

/// Runs a closure when the scope ends, also when the future around it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
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
