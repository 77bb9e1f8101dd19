//! Loom models: every interleaving of two or three processes at the steps that matter. Run by `make loom`.
//!
//! A process is a thread; a killed process is a thread that ends in the middle, followed by the reclaim that its
//! reaper would do. Sleeping has no timeout here, so that a lost wake-up is a deadlock that loom reports.

use super::*;
use crate::fail::under_loom as fail;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

const A: Owner = Owner { slot: 0, generation: 1 };
const B: Owner = Owner { slot: 1, generation: 1 };
const JOB: Job = Job { deadline: Nanos::MAX, digest: 0 };

/// The memory of a small arena, with eventfds and the futex as loom knows them.
struct Model {
    seats: Vec<AtomicU64>,
    records: Vec<SeatRecord>,
    frontends: Vec<FrontendWords>,
    engine: EngineWords,
    alarms: Alarms,
    /// Each seat's input tensor, to catch an access that the protocol does not order.
    tensors: Vec<UnsafeCell<u64>>,
}

struct Alarms {
    bells: Vec<(Mutex<bool>, Condvar)>,
    lanes: (Mutex<()>, Condvar),
}

impl Wake for Alarms {
    fn frontend(&self, slot: u8) {
        let (rung, condvar) = &self.bells[slot as usize];
        *rung.lock().unwrap() = true;
        condvar.notify_one();
    }

    fn lane(&self) {
        let _guard = self.lanes.0.lock().unwrap();
        self.lanes.1.notify_one();
    }
}

// SAFETY: the cells are only reached through `Model::tensor`, whose callers hold the seat; loom checks that.
unsafe impl Sync for Model {}

impl Model {
    fn new(seats: usize, frontends: usize) -> Arc<Self> {
        Arc::new(Self {
            seats: (0..seats).map(|_| AtomicU64::new(0)).collect(),
            records: (0..seats).map(|_| SeatRecord::default()).collect(),
            frontends: (0..frontends).map(|_| FrontendWords::default()).collect(),
            engine: EngineWords::default(),
            alarms: Alarms {
                bells: (0..frontends).map(|_| (Mutex::new(false), Condvar::new())).collect(),
                lanes: (Mutex::new(()), Condvar::new()),
            },
            tensors: (0..seats).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn ring(&self) -> Ring<'_, Alarms> {
        Ring {
            seats: &self.seats,
            records: &self.records,
            frontends: &self.frontends,
            engine: &self.engine,
            wake: &self.alarms,
        }
    }

    /// Sleeps until the bell rings.
    fn hear(&self, owner: Owner) {
        let (rung, condvar) = &self.alarms.bells[owner.slot as usize];
        let mut guard = rung.lock().unwrap();
        while !*guard {
            guard = condvar.wait(guard).unwrap();
        }
        *guard = false;
        drop(guard);
        self.ring().bell_heard(owner.slot);
    }

    /// A seat, waited for as long as it takes.
    fn seat(&self, owner: Owner, arrived: Nanos) -> u32 {
        if let Some(index) = self.ring().claim(owner) {
            return index;
        }
        if let Some(index) = self.ring().wait(owner, arrived) {
            return index;
        }
        loop {
            self.hear(owner);
            if let Some(index) = self.ring().granted(owner) {
                return index;
            }
        }
    }

    fn write(&self, index: u32, value: u64) {
        // SAFETY: loom panics if another thread's access is not ordered before or after this one.
        self.tensors[index as usize].with_mut(|cell| unsafe { *cell = value });
    }

    fn read(&self, index: u32) -> u64 {
        // SAFETY: as in `write`.
        self.tensors[index as usize].with(|cell| unsafe { *cell })
    }

    /// The engine's next batch, slept for as the lanes do.
    fn next(&self) -> (u32, u32) {
        loop {
            if let Take::Batch { first, len } = self.ring().take(1, 2, 0) {
                return (first, len);
            }
            let doorbell = self.ring().drowse();
            let found = self.ring().take(1, 2, 0);
            if found == Take::Nothing {
                let mut guard = self.alarms.lanes.0.lock().unwrap();
                while self.engine.doorbell.load(Acquire) == doorbell {
                    guard = self.alarms.lanes.1.wait(guard).unwrap();
                }
            }
            self.ring().awake();
            if let Take::Batch { first, len } = found {
                return (first, len);
            }
        }
    }

    fn assert_all_free(&self) {
        for word in &self.seats {
            assert_eq!(word.load(Acquire), 0, "a seat is not free");
        }
    }
}

#[test]
fn loom_one_seat_serves_two_frontends_in_turn() {
    loom::model(|| {
        let model = Model::new(1, 2);
        let other = {
            let model = model.clone();
            thread::spawn(move || {
                let index = model.seat(B, 2);
                model.write(index, 2);
                model.ring().give_back(index, B);
            })
        };
        let index = model.seat(A, 1);
        model.write(index, 1);
        model.ring().give_back(index, A);
        other.join().unwrap();
        model.assert_all_free();
    });
}

#[test]
fn loom_a_submit_wakes_a_sleeping_lane_and_the_answer_its_owner() {
    loom::model(|| {
        let model = Model::new(1, 1);
        let engine = {
            let model = model.clone();
            thread::spawn(move || {
                let (first, len) = model.next();
                assert_eq!(len, 1);
                let pixel = model.read(first);
                model.write(first, pixel + 1);
                model.ring().stamp(first, 1, 2, len, 0);
                model.ring().answer(first, Outcome::Done);
            })
        };
        let index = model.ring().claim(A).unwrap();
        model.write(index, 41);
        model.ring().submit(index, A, JOB, 1 << 10);
        while !model.ring().is_answered(index) {
            model.hear(A);
        }
        assert_eq!(model.ring().answer_of(index).0, Outcome::Done);
        assert_eq!(model.read(index), 42);
        model.ring().give_back(index, A);
        engine.join().unwrap();
        model.assert_all_free();
    });
}

#[test]
fn loom_who_hushes_the_bell_misses_no_answer() {
    loom::model(|| {
        let model = Model::new(2, 1);
        let engine = {
            let model = model.clone();
            thread::spawn(move || {
                let mut answered = 0;
                while answered < 2 {
                    let (first, len) = model.next();
                    (first..first + len).for_each(|index| model.ring().answer(index, Outcome::Done));
                    answered += len;
                }
            })
        };
        for index in 0..2 {
            assert_eq!(model.ring().claim(A), Some(index));
            model.ring().submit(index, A, JOB, (1 + u64::from(index)) << 10);
        }
        let answered = || (0..2).all(|index| model.ring().is_answered(index));
        let mut are_seen = false;
        if model.ring().hush(A.slot) {
            // Watched for no time at all.
            model.ring().bell_heard(A.slot);
            are_seen = answered();
        }
        while !are_seen {
            model.hear(A);
            are_seen = answered();
        }
        engine.join().unwrap();
    });
}

#[test]
fn loom_two_submits_reach_one_lane() {
    loom::model(|| {
        let model = Model::new(2, 2);
        let frontend = |owner: Owner| {
            let model = model.clone();
            thread::spawn(move || {
                let index = model.ring().claim(owner).unwrap();
                model.write(index, 7);
                model.ring().submit(index, owner, JOB, 1 << 10);
            })
        };
        let threads = [frontend(A), frontend(B)];
        let mut images = 0;
        while images < 2 {
            let (first, len) = model.next();
            images += len;
            for index in first..first + len {
                assert_eq!(model.read(index), 7);
                model.ring().answer(index, Outcome::Done);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn loom_a_cancelled_seat_becomes_free_whatever_the_lane_does() {
    loom::model(|| {
        let model = Model::new(1, 1);
        let index = model.ring().claim(A).unwrap();
        model.ring().submit(index, A, JOB, 1 << 10);
        let engine = {
            let model = model.clone();
            thread::spawn(move || {
                if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
                    model.write(first, 1);
                    model.ring().answer(first, Outcome::Done);
                }
            })
        };
        model.ring().give_back(index, A);
        engine.join().unwrap();
        model.assert_all_free();
    });
}

#[test]
fn loom_two_lanes_never_share_a_seat() {
    loom::model(|| {
        let model = Model::new(2, 1);
        for time in [1, 2] {
            let index = model.ring().claim(A).unwrap();
            model.ring().submit(index, A, JOB, time << 10);
        }
        let lane = |model: Arc<Model>| {
            let mut images = 0;
            if let Take::Batch { first, len } = model.ring().take(1, 1, 0) {
                for index in first..first + len {
                    model.write(index, 1);
                    model.ring().answer(index, Outcome::Done);
                    images += 1;
                }
            }
            images
        };
        let other = {
            let model = model.clone();
            thread::spawn(move || lane(model))
        };
        let mine = lane(model.clone());
        assert_eq!(mine + other.join().unwrap(), 2);
    });
}

/// The steps after which a frontend may be killed.
fn frontend_until(model: &Model, step: usize) {
    let Some(index) = model.ring().claim(A) else { return };
    if step == 0 {
        return; // claimed
    }
    model.write(index, 1);
    if step == 1 {
        return; // written
    }
    model.ring().submit(index, A, JOB, 1 << 10);
    if step == 2 {
        return; // submitted
    }
    let _ = model.ring().is_answered(index);
    if step == 3 {
        return; // looked
    }
    // Waits for another seat, and is granted one that nobody picks up.
    let _ = model.ring().wait(A, 1);
}

#[test]
fn loom_a_frontend_may_die_at_any_step_while_the_engine_works() {
    for step in 0..5 {
        loom::model(move || {
            let model = Model::new(1, 1);
            let engine = {
                let model = model.clone();
                thread::spawn(move || {
                    if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
                        model.write(first, 9);
                        model.ring().answer(first, Outcome::Done);
                    }
                })
            };
            let frontend = {
                let model = model.clone();
                thread::spawn(move || frontend_until(&model, step))
            };
            // Reaped: everything it did happened before this.
            frontend.join().unwrap();
            model.ring().reclaim_frontend(A.slot);
            engine.join().unwrap();
            // What the engine answered after the reclaim was abandoned and freed by it.
            model.assert_all_free();
        });
    }
}

#[test]
fn loom_a_frontend_dies_holding_the_only_seat_and_the_other_gets_it() {
    loom::model(|| {
        let model = Model::new(1, 2);
        let index = model.ring().claim(A).unwrap();
        let other = {
            let model = model.clone();
            thread::spawn(move || {
                let index = model.seat(B, 5);
                model.ring().give_back(index, B);
            })
        };
        assert_eq!(index, 0);
        // A was killed and reaped.
        model.ring().reclaim_frontend(A.slot);
        other.join().unwrap();
        model.assert_all_free();
    });
}

#[test]
fn loom_a_grant_to_a_frontend_that_dies_is_not_lost() {
    loom::model(|| {
        let model = Model::new(1, 2);
        let index = model.ring().claim(A).unwrap();
        assert_eq!(model.ring().wait(B, 1), None);
        let reaper = {
            let model = model.clone();
            // B is killed and reaped while A gives its seat to B.
            thread::spawn(move || model.ring().reclaim_frontend(B.slot))
        };
        model.ring().give_back(index, A);
        reaper.join().unwrap();
        // B's successor finds what was granted to the slot.
        let next = Owner { slot: B.slot, generation: 2 };
        if let Some(index) = model.ring().granted(next) {
            model.ring().give_back(index, next);
        }
        model.assert_all_free();
    });
}

/// The steps after which an engine may be killed.
fn engine_until(model: &Model, step: usize) {
    if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
        if step == 0 {
            return; // taken
        }
        model.write(first, 1);
        if step == 1 {
            return; // half written
        }
        model.ring().stamp(first, 1, 2, 1, 0);
        model.ring().answer(first, Outcome::Done);
    }
}

#[test]
fn loom_an_engine_may_die_at_any_step_and_the_next_one_answers() {
    for step in 0..3 {
        loom::model(move || {
            let model = Model::new(1, 1);
            let index = model.ring().claim(A).unwrap();
            model.write(index, 0);
            model.ring().submit(index, A, JOB, 1 << 10);
            let engine = {
                let model = model.clone();
                thread::spawn(move || {
                    engine_until(&model, step);
                    // Killed and reaped, then the next engine.
                    model.ring().reclaim_engine();
                    if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
                        model.write(first, 2);
                        model.ring().answer(first, Outcome::Done);
                    }
                })
            };
            while !model.ring().is_answered(index) {
                model.hear(A);
            }
            assert_ne!(model.read(index), 0);
            model.ring().give_back(index, A);
            engine.join().unwrap();
            model.assert_all_free();
        });
    }
}

#[test]
fn loom_an_owner_leaves_while_the_engine_dies() {
    for step in 0..3 {
        loom::model(move || {
            let model = Model::new(1, 1);
            let index = model.ring().claim(A).unwrap();
            model.ring().submit(index, A, JOB, 1 << 10);
            let engine = {
                let model = model.clone();
                thread::spawn(move || {
                    engine_until(&model, step);
                    model.ring().reclaim_engine();
                })
            };
            model.ring().give_back(index, A);
            engine.join().unwrap();
            if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
                panic!("seat {first} runs for nobody");
            }
            model.assert_all_free();
        });
    }
}

#[test]
fn loom_frontend_and_engine_die_together() {
    for (frontend_step, engine_step) in [(2, 0), (2, 1), (3, 2), (4, 0)] {
        loom::model(move || {
            let model = Model::new(1, 1);
            let engine = {
                let model = model.clone();
                thread::spawn(move || engine_until(&model, engine_step))
            };
            frontend_until(&model, frontend_step);
            engine.join().unwrap();
            model.ring().reclaim_frontend(A.slot);
            model.ring().reclaim_engine();
            model.assert_all_free();
        });
    }
}

// ---- death between any two steps: the fail points, one after the other ----

#[test]
fn loom_a_frontend_may_die_between_any_two_of_its_steps() {
    for point in ["claimed", "written", "submitted", "knocked", "answer-seen", "held", "freed"] {
        loom::model(move || {
            fail::at(point);
            let model = Model::new(1, 1);
            let engine = {
                let model = model.clone();
                thread::spawn(move || {
                    fail::process(|| {
                        if let Take::Batch { first, .. } = model.ring().take(1, 1, 0) {
                            model.write(first, 9);
                            model.ring().answer(first, Outcome::Done);
                        }
                    })
                })
            };
            let frontend = fail::process(|| {
                let Some(index) = model.ring().claim(A) else { return };
                model.write(index, 1);
                model.ring().submit(index, A, JOB, 1 << 10);
                if model.ring().is_answered(index) {
                    let _ = model.ring().answer_of(index);
                }
                model.ring().give_back(index, A);
            });
            if frontend.is_none() {
                model.ring().reclaim_frontend(A.slot);
            }
            // The engine may have been the one that freed the seat, and died of it.
            if engine.join().unwrap().is_none() {
                model.ring().reclaim_engine();
            }
            model.assert_all_free();
        });
    }
}

#[test]
fn loom_a_seat_on_its_way_to_another_frontend_is_not_lost_with_either_of_them() {
    for point in ["held", "wait-taken", "handed-over", "freed", "waiting", "granted", "claimed"] {
        loom::model(move || {
            let model = Model::new(1, 2);
            let index = model.ring().claim(A).unwrap();
            fail::at(point);
            let giver = {
                let model = model.clone();
                thread::spawn(move || fail::process(|| model.ring().give_back(index, A)))
            };
            let mut taker = fail::process(|| model.ring().wait(B, 1).or_else(|| model.ring().granted(B)));
            if giver.join().unwrap().is_none() {
                model.ring().reclaim_frontend(A.slot);
            }
            if taker == Some(None) {
                // Who waits looks again now and then: a giver that died may have taken the wait with it.
                taker = fail::process(|| model.ring().granted(B).or_else(|| model.ring().wait(B, 1)));
                assert_ne!(taker, Some(None), "the seat is nobody's, and B does not find it");
            }
            fail::none();
            match taker {
                Some(Some(index)) => model.ring().give_back(index, B),
                _ => drop(model.ring().reclaim_frontend(B.slot)),
            }
            model.ring().withdraw(B);
            if let Some(index) = model.ring().granted(B) {
                model.ring().give_back(index, B);
            }
            model.assert_all_free();
        });
    }
}

#[test]
fn loom_an_engine_may_die_between_any_two_of_its_steps_and_the_next_one_answers_all() {
    for point in ["begun", "joined", "run", "answered"] {
        loom::model(move || {
            let model = Model::new(2, 1);
            for time in [1, 2] {
                let index = model.ring().claim(A).unwrap();
                model.ring().submit(index, A, JOB, time << 10);
            }
            fail::at(point);
            let engine = {
                let model = model.clone();
                thread::spawn(move || {
                    let lane = || {
                        while let Take::Batch { first, len } = model.ring().take(1, 2, 0) {
                            for index in first..first + len {
                                model.write(index, 1);
                                model.ring().answer(index, Outcome::Done);
                            }
                        }
                    };
                    let died = fail::process(lane).is_none();
                    if died {
                        model.ring().reclaim_engine();
                        lane();
                    }
                    died
                })
            };
            // One of its requests is given up meanwhile.
            model.ring().give_back(1, A);
            engine.join().unwrap();
            assert!(model.ring().is_answered(0), "seat 0 was forgotten");
            model.ring().give_back(0, A);
            model.assert_all_free();
        });
    }
}
