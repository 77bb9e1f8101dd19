//! The ring of seats: who may touch which seat when, and who wakes whom. Plain slices of atomics, so that the
//! loom models in `tests` check exactly this code; mapping memory is `arena`'s business.
//!
//! ```text
//!          claim             submit               take                answer
//!  FREE ─────────▶ CLAIMED ─────────▶ SUBMITTED ─────────▶ RUNNING ─────────▶ ANSWERED
//!   ▲ │ hand-off     ▲ │                  │ cancel           │ owner gone        │
//!   │ └──▶ GRANTED ──┘ │                  │                  ▼                   │
//!   │                  │                  │              ABANDONED               │
//!   └──────────────────┴───── release ────┴──────────────────┴───────────────────┘
//! ```
//!
//! Every transition is one atomic step of the seat's word, which names its owner: a compare-and-swap where others may
//! be at it too, a store where the caller alone may. So there is no instant at which a killed process holds a seat
//! that nobody can attribute. Orderings come in the pairs W1–W5 and S1–S3
//! that the crate's README lists.

mod words;

pub use words::{EngineWords, FrontendWords, Job, Outcome, Reclaimed, Run, SeatRecord, Take, Wake};

use crate::clock::Nanos;
use crate::fail::fail_point;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::word::{Owner, SeatState, SeatWord};
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Most frontends of one service.
pub const MAX_FRONTENDS: usize = 64;

/// A seat that was running when an engine died is a suspect: it runs alone, and one suspect at a time. So the second
/// death with a suspect running is its own doing, and after this many it is answered [`Outcome::Poison`].
pub const POISON_ATTEMPTS: u32 = 2;

/// A view of the ring's words. Cheap to make; every process makes its own over the same memory.
#[derive(Clone, Copy)]
pub struct Ring<'a, W: Wake> {
    /// Seat words.
    pub seats: &'a [AtomicU64],
    /// Seat records, as many as seats.
    pub records: &'a [SeatRecord],
    /// Frontends' words by slot.
    pub frontends: &'a [FrontendWords],
    /// The engine's words.
    pub engine: &'a EngineWords,
    /// The waker.
    pub wake: &'a W,
}

impl<W: Wake> Ring<'_, W> {
    // ---- frontends ----

    /// Takes a free seat for `owner`. Never waits; `None` when all are taken.
    pub fn claim(&self, owner: Owner) -> Option<u32> {
        let seats = self.seats.len();
        // Relaxed: the cursor is a hint that keeps claims side by side, so that they make one batch.
        let start = self.engine.cursor.load(Relaxed) as usize % seats;
        for step in 0..seats {
            let index = (start + step) % seats;
            if self.swap(index, SeatWord::FREE, SeatWord::new(SeatState::Claimed, owner, 0)) {
                fail_point!("claimed");
                self.engine.cursor.store(((index + 1) % seats) as u32, Relaxed);
                return Some(index as u32);
            }
        }
        None
    }

    /// Says that `owner` waits for a seat since `oldest`, then looks once more. `Some` is a seat after all: the
    /// frontend then waits no longer. After `None` its bell rings when a seat was granted to it. May be called
    /// again at any time, with a newer `oldest` too; a frontend that waits repeats it now and then, because a
    /// releaser that was killed between taking the wait and granting the seat took the wait with it.
    pub fn wait(&self, owner: Owner, oldest: Nanos) -> Option<u32> {
        let waiting = &self.frontends[owner.slot as usize].waiting;
        waiting.store(oldest.max(1), Release);
        fail_point!("waiting");
        // S2: pairs with the fence in `release`: either we see its free seat or it sees that we wait.
        fence(SeqCst);
        let index = self.claim(owner)?;
        // A seat that is granted meanwhile is found by `granted` and given back.
        waiting.store(0, Release);
        Some(index)
    }

    /// Says that `owner` waits no longer. A seat granted meanwhile is found by [`Ring::granted`].
    pub fn withdraw(&self, owner: Owner) {
        self.frontends[owner.slot as usize].waiting.store(0, Release);
    }

    /// Picks up a seat that was granted to `owner`'s slot, to whatever process had it.
    pub fn granted(&self, owner: Owner) -> Option<u32> {
        (0..self.seats.len())
            .find(|&index| {
                self.word(index).is_some_and(|word| {
                    word.state() == SeatState::Granted
                        && word.owner().slot == owner.slot
                        && self.swap(index, word, SeatWord::new(SeatState::Claimed, owner, 0))
                })
            })
            .map(|index| {
                fail_point!("granted");
                index as u32
            })
    }

    /// Hands a claimed and written seat to the engine. `ticket` orders the queue; the caller is the owner.
    pub fn submit(&self, index: u32, owner: Owner, job: Job, now: Nanos) {
        let record = &self.records[index as usize];
        record.deadline.store(job.deadline, Relaxed);
        record.digest.store(job.digest, Relaxed);
        record.submitted.store(now, Relaxed);
        record.attempts.store(0, Relaxed);
        fail_point!("written");
        // About a microsecond is fine enough for a queue, and the circle is then long enough: 39 hours.
        let word = SeatWord::new(SeatState::Submitted, owner, now >> 10);
        // W2: publishes the input and the record to the lane that takes the seat (`begin`).
        self.seats[index as usize].store(word.raw(), Release);
        fail_point!("submitted");
        self.knock();
        fail_point!("knocked");
    }

    /// Whether the seat's answer is there. The caller is the owner.
    pub fn is_answered(&self, index: u32) -> bool {
        // W3: pairs with `answer`; the outputs and the record are ours to read after it.
        self.word(index as usize).is_some_and(|word| word.state() == SeatState::Answered)
    }

    /// What the engine wrote of an answered seat. The caller is the owner and saw [`Ring::is_answered`].
    pub fn answer_of(&self, index: u32) -> (Outcome, Run) {
        fail_point!("answer-seen");
        let record = &self.records[index as usize];
        let run = Run {
            submitted: record.submitted.load(Relaxed),
            started: record.started.load(Relaxed),
            ended: record.ended.load(Relaxed),
            batch: record.batch.load(Relaxed),
            lane: record.lane.load(Relaxed),
            attempts: record.attempts.load(Relaxed),
        };
        (Outcome::decode(record.outcome.load(Relaxed)), run)
    }

    /// Gives a seat back, in whatever state it is; a running one goes back when its run ends. The caller is the
    /// owner and forgets the seat.
    pub fn give_back(&self, index: u32, owner: Owner) {
        self.forsake(index as usize, |word| word.owner() == owner, &mut Reclaimed::default());
    }

    /// To be called when the bell was heard, before the seats are looked at.
    pub fn bell_heard(&self, slot: u8) {
        // W5: a read-modify-write, so that it reads from the last ring and everything before that ring is seen;
        // a ring after it finds 0 and wakes again.
        self.frontends[slot as usize].bell.swap(0, AcqRel);
    }

    /// Keeps a frontend's bell from ringing until it is heard. Whether it was silent: then the caller has to hear it
    /// ([`Ring::bell_heard`]) and look at all seats before long. If it rings already, whoever it rings for does that.
    pub fn hush(&self, slot: u8) -> bool {
        // W5: as a ring, so that hearing it shows what was set before any ring that came to nothing meanwhile.
        self.frontends[slot as usize].bell.swap(1, AcqRel) == 0
    }

    // ---- engine ----

    /// Takes the longest waiting seat and its submitted neighbours, at most `max_batch`, for one run. A seat
    /// alone waits for company until `max_delay` after its submission. Seats whose deadline has passed, and those
    /// that killed engines, are answered on the way.
    pub fn take(&self, now: Nanos, max_batch: u32, max_delay: Nanos) -> Take {
        while let Some((index, word)) = self.oldest() {
            let record = &self.records[index];
            let attempts = record.attempts.load(Relaxed);
            let expired = record.deadline.load(Relaxed) <= now;
            if expired || attempts >= POISON_ATTEMPTS {
                if self.begin(index, word) {
                    let outcome = if expired { Outcome::Expired } else { Outcome::Poison };
                    self.stamp(index as u32, now, now, 0, 0);
                    self.answer(index as u32, outcome);
                }
                continue;
            }
            if attempts > 0 {
                if self.begin_suspect(index, word) {
                    return Take::Batch { first: index as u32, len: 1 };
                }
                continue;
            }
            if max_batch > 1 && max_delay > 0 {
                let until = record.submitted.load(Relaxed).saturating_add(max_delay);
                if now < until && self.count(SeatState::Submitted) < max_batch {
                    return Take::Later(until);
                }
            }
            if !self.begin(index, word) {
                continue; // cancelled, or another lane was faster: look again
            }
            fail_point!("begun");
            let (mut first, mut end) = (index, index + 1);
            while end < self.seats.len() && ((end - first) as u32) < max_batch && self.join(end, now) {
                end += 1;
                fail_point!("joined");
            }
            while first > 0 && ((end - first) as u32) < max_batch && self.join(first - 1, now) {
                first -= 1;
            }
            return Take::Batch { first: first as u32, len: (end - first) as u32 };
        }
        Take::Nothing
    }

    /// Announces that a lane is about to sleep, and returns the doorbell's value to sleep on. The lane looks with
    /// [`Ring::take`] once more before it sleeps, and calls [`Ring::awake`] after, slept or not.
    pub fn drowse(&self) -> u32 {
        self.engine.sleepers.fetch_add(1, Relaxed);
        // S1: pairs with the fence in `knock`: either we see the seat or the submitter sees that we sleep.
        fence(SeqCst);
        self.engine.doorbell.load(Acquire)
    }

    /// The lane is awake again.
    pub fn awake(&self) {
        self.engine.sleepers.fetch_sub(1, Relaxed);
    }

    /// Writes when and how a seat ran. The caller runs it.
    pub fn stamp(&self, index: u32, started: Nanos, ended: Nanos, batch: u32, lane: u32) {
        let record = &self.records[index as usize];
        record.started.store(started, Relaxed);
        record.ended.store(ended, Relaxed);
        record.batch.store(batch, Relaxed);
        record.lane.store(lane, Relaxed);
    }

    /// Ends a seat's run: its owner is woken, or the seat freed when the owner has gone.
    pub fn answer(&self, index: u32, outcome: Outcome) {
        // The caller runs this seat: if it is the suspect, the next one may begin.
        let _ = self.engine.suspect.compare_exchange(index + 1, 0, Relaxed, Relaxed);
        let index = index as usize;
        self.records[index].outcome.store(outcome as u32, Relaxed);
        fail_point!("run");
        while let Some(word) = self.word(index) {
            match word.state() {
                SeatState::Running => {
                    // W3: publishes outputs and record to the owner (`is_answered`).
                    if self.swap(index, word, word.with_state(SeatState::Answered)) {
                        fail_point!("answered");
                        return self.bell(word.owner().slot);
                    }
                }
                SeatState::Abandoned => return self.release(index, word),
                // The caller runs this seat, so only its owner or the reaper of its owner can have touched it.
                _ => return,
            }
        }
    }

    /// A new engine has the arena; no lane of the old one sleeps any more. Called by the supervisor or by the
    /// engine before its first lane runs.
    pub fn reset_lanes(&self) {
        self.engine.sleepers.store(0, Relaxed);
        self.engine.suspect.store(0, Relaxed);
    }

    // ---- after a death; the process was killed and reaped ----

    /// Gives back what the dead process of this slot held. A seat of its that runs is freed by the engine.
    pub fn reclaim_frontend(&self, slot: u8) -> Reclaimed {
        let mut report = Reclaimed::default();
        self.frontends[slot as usize].waiting.store(0, Release);
        self.frontends[slot as usize].bell.store(0, Release);
        for index in 0..self.seats.len() {
            self.forsake(index, |word| word.owner().slot == slot, &mut report);
        }
        report
    }

    /// Puts the seats that the dead engine was running back into the queue, in their old order.
    pub fn reclaim_engine(&self) -> Reclaimed {
        let mut report = Reclaimed::default();
        self.reset_lanes();
        for index in 0..self.seats.len() {
            while let Some(word) = self.word(index) {
                match word.state() {
                    SeatState::Running => {
                        self.records[index].attempts.fetch_add(1, Relaxed);
                        if self.swap(index, word, word.with_state(SeatState::Submitted)) {
                            report.requeued += 1;
                            break;
                        }
                        // Its owner gave it up meanwhile: look again.
                    }
                    SeatState::Abandoned => {
                        self.release(index, word);
                        report.freed += 1;
                        break;
                    }
                    _ => break,
                }
            }
        }
        report
    }

    // ---- looking ----

    /// How many seats are in this state now.
    pub fn count(&self, state: SeatState) -> u32 {
        (0..self.seats.len())
            .filter(|&index| self.word(index).is_some_and(|word| word.state() == state))
            .count() as u32
    }

    /// When the seat was submitted.
    pub fn submitted(&self, index: u32) -> Nanos {
        self.records[index as usize].submitted.load(Relaxed)
    }

    /// The digest that the seat's owner gave.
    pub fn digest(&self, index: u32) -> u64 {
        self.records[index as usize].digest.load(Relaxed)
    }

    // ---- steps ----

    fn word(&self, index: usize) -> Option<SeatWord> {
        SeatWord::decode(self.seats[index].load(Acquire))
    }

    /// The one transition. W1 (release → claim) and W2/W3/W4 meet here: acquire what the previous holder
    /// published, publish what this one wrote.
    fn swap(&self, index: usize, from: SeatWord, to: SeatWord) -> bool {
        self.seats[index].compare_exchange(from.raw(), to.raw(), AcqRel, Relaxed).is_ok()
    }

    /// SUBMITTED → RUNNING. W2: the input and the record are ours to read after it.
    fn begin(&self, index: usize, word: SeatWord) -> bool {
        self.swap(index, word, word.with_state(SeatState::Running))
    }

    /// SUBMITTED → RUNNING for a suspect, unless another one runs.
    fn begin_suspect(&self, index: usize, word: SeatWord) -> bool {
        let me = index as u32 + 1;
        // Relaxed: the word orders nothing but itself; it is the lanes of one engine that take turns.
        if self.engine.suspect.compare_exchange(0, me, Relaxed, Relaxed).is_err() {
            return false;
        }
        let begun = self.begin(index, word);
        if !begun {
            self.engine.suspect.store(0, Relaxed);
        }
        begun
    }

    /// Takes a neighbour into a batch if it is submitted, in time and harmless.
    fn join(&self, index: usize, now: Nanos) -> bool {
        let record = &self.records[index];
        self.word(index).is_some_and(|word| {
            word.state() == SeatState::Submitted
                && record.attempts.load(Relaxed) == 0
                && record.deadline.load(Relaxed) > now
                && self.begin(index, word)
        })
    }

    /// The seat that waits longest; suspects are passed over while one runs.
    fn oldest(&self) -> Option<(usize, SeatWord)> {
        let suspect_runs = self.engine.suspect.load(Relaxed) != 0;
        let mut oldest: Option<(usize, SeatWord)> = None;
        for index in 0..self.seats.len() {
            if let Some(word) = self.word(index)
                && word.state() == SeatState::Submitted
                && oldest.is_none_or(|(_, best)| word.is_older_than(best))
                && !(suspect_runs && self.records[index].attempts.load(Relaxed) > 0)
            {
                oldest = Some((index, word));
            }
        }
        oldest
    }

    /// Wakes a lane if one sleeps.
    fn knock(&self) {
        // S1: pairs with the fence in `drowse`.
        fence(SeqCst);
        if self.engine.sleepers.load(Relaxed) > 0 {
            // S3: a lane that read the old value finds its futex changed and does not sleep.
            self.engine.doorbell.fetch_add(1, Release);
            self.wake.lane();
        }
    }

    /// Rings a frontend's bell, unless it rings already.
    fn bell(&self, slot: u8) {
        if let Some(words) = self.frontends.get(slot as usize)
            // W5: pairs with `bell_heard`.
            && words.bell.swap(1, AcqRel) == 0
        {
            self.wake.frontend(slot);
        }
    }

    /// Lets go of a seat if `mine` says so: frees it, or abandons it to the engine that runs it.
    fn forsake(&self, index: usize, mine: impl Fn(SeatWord) -> bool, report: &mut Reclaimed) {
        while let Some(word) = self.word(index) {
            if word.state() == SeatState::Free || word.state() == SeatState::Abandoned || !mine(word) {
                return;
            }
            if word.state() == SeatState::Running {
                if self.swap(index, word, word.with_state(SeatState::Abandoned)) {
                    report.abandoned += 1;
                    return;
                }
                continue; // the run ended meanwhile
            }
            // Held under the same owner until it is free, so that a death on the way is a death with this seat.
            let held = word.with_state(SeatState::Claimed);
            if self.swap(index, word, held) {
                fail_point!("held");
                self.release(index, held);
                report.freed += 1;
                return;
            }
        }
    }

    /// Frees a seat that the caller holds under the word `held`: hands it to the frontend that waits longest, or
    /// lays it open to all.
    fn release(&self, index: usize, held: SeatWord) {
        loop {
            if let Some(slot) = self.take_longest_wait() {
                fail_point!("wait-taken");
                let owner = Owner { slot, generation: 0 };
                // W4: pairs with `granted`.
                self.seats[index].store(SeatWord::new(SeatState::Granted, owner, 0).raw(), Release);
                fail_point!("handed-over");
                return self.bell(slot);
            }
            // W1: pairs with `claim`.
            self.seats[index].store(SeatWord::FREE.raw(), Release);
            fail_point!("freed");
            // S2: pairs with the fence in `wait`.
            fence(SeqCst);
            if self.longest_wait().is_none() || !self.swap(index, SeatWord::FREE, held) {
                return;
            }
        }
    }

    fn longest_wait(&self) -> Option<(u8, Nanos)> {
        (0u8..)
            .zip(self.frontends)
            .map(|(slot, words)| (slot, words.waiting.load(Acquire)))
            .filter(|&(_, since)| since != 0)
            .min_by_key(|&(_, since)| since)
    }

    /// Ends the longest wait, so that exactly one releaser answers it.
    fn take_longest_wait(&self) -> Option<u8> {
        loop {
            let (slot, since) = self.longest_wait()?;
            let waiting = &self.frontends[slot as usize].waiting;
            if waiting.compare_exchange(since, 0, AcqRel, Relaxed).is_ok() {
                return Some(slot);
            }
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
