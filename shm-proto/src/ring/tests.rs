//! One process, any order of calls: the ring against a simple model of what each seat must be.

use super::*;
use crate::word::SeatState;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Records who was woken.
#[derive(Default)]
struct Recorder {
    rung: RefCell<Vec<u8>>,
    lanes: RefCell<u32>,
}

impl Wake for Recorder {
    fn frontend(&self, slot: u8) {
        self.rung.borrow_mut().push(slot);
    }
    fn lane(&self) {
        *self.lanes.borrow_mut() += 1;
    }
}

struct Memory {
    seats: Vec<AtomicU64>,
    records: Vec<SeatRecord>,
    frontends: Vec<FrontendWords>,
    engine: EngineWords,
    wake: Recorder,
}

impl Memory {
    fn new(seats: usize, frontends: usize) -> Self {
        Self {
            seats: (0..seats).map(|_| AtomicU64::new(0)).collect(),
            records: (0..seats).map(|_| SeatRecord::default()).collect(),
            frontends: (0..frontends).map(|_| FrontendWords::default()).collect(),
            engine: EngineWords::default(),
            wake: Recorder::default(),
        }
    }

    fn ring(&self) -> Ring<'_, Recorder> {
        Ring {
            seats: &self.seats,
            records: &self.records,
            frontends: &self.frontends,
            engine: &self.engine,
            wake: &self.wake,
        }
    }

    fn submit(&self, owner: Owner, at: Nanos, deadline: Nanos) -> u32 {
        let index = self.ring().claim(owner).expect("a free seat");
        self.ring().submit(index, owner, Job { deadline, digest: 0 }, at);
        index
    }
}

const A: Owner = Owner { slot: 0, generation: 1 };
const B: Owner = Owner { slot: 1, generation: 1 };
const MS: Nanos = 1_000_000;

#[test]
fn neighbours_make_one_batch_and_the_oldest_goes_first() {
    let memory = Memory::new(8, 2);
    for k in 0..5 {
        memory.submit(A, (10 + k) * MS, Nanos::MAX);
    }
    assert_eq!(memory.ring().take(20 * MS, 3, 0), Take::Batch { first: 0, len: 3 });
    assert_eq!(memory.ring().take(20 * MS, 3, 0), Take::Batch { first: 3, len: 2 });
    assert_eq!(memory.ring().take(20 * MS, 3, 0), Take::Nothing);
}

#[test]
fn a_slow_writer_holds_up_nobody() {
    let memory = Memory::new(4, 2);
    memory.submit(A, MS, Nanos::MAX);
    let slow = memory.ring().claim(B).unwrap();
    memory.submit(A, 3 * MS, Nanos::MAX);
    assert_eq!(memory.ring().take(4 * MS, 4, 0), Take::Batch { first: 0, len: 1 });
    assert_eq!(memory.ring().take(4 * MS, 4, 0), Take::Batch { first: 2, len: 1 });
    memory.ring().submit(slow, B, Job { deadline: Nanos::MAX, digest: 0 }, 5 * MS);
    assert_eq!(memory.ring().take(6 * MS, 4, 0), Take::Batch { first: 1, len: 1 });
}

#[test]
fn a_batch_grows_to_both_sides_of_the_oldest() {
    let memory = Memory::new(4, 1);
    let seats: Vec<u32> = (0..4).map(|_| memory.ring().claim(A).unwrap()).collect();
    let job = Job { deadline: Nanos::MAX, digest: 0 };
    for (index, at) in [(1, 5), (2, 4), (3, 6), (0, 7)] {
        memory.ring().submit(seats[index], A, job, at * MS);
    }
    assert_eq!(memory.ring().take(8 * MS, 3, 0), Take::Batch { first: 1, len: 3 });
}

#[test]
fn company_is_waited_for_no_longer_than_the_delay() {
    let memory = Memory::new(4, 1);
    memory.submit(A, 10 * MS, Nanos::MAX);
    assert_eq!(memory.ring().take(11 * MS, 2, 5 * MS), Take::Later(15 * MS));
    assert_eq!(memory.ring().take(15 * MS, 2, 5 * MS), Take::Batch { first: 0, len: 1 });
    memory.submit(A, 20 * MS, Nanos::MAX);
    memory.submit(A, 21 * MS, Nanos::MAX);
    assert_eq!(memory.ring().take(21 * MS, 2, 5 * MS), Take::Batch { first: 1, len: 2 });
}

#[test]
fn what_comes_too_late_is_not_run() {
    let memory = Memory::new(2, 1);
    let late = memory.submit(A, MS, 5 * MS);
    let fine = memory.submit(A, 2 * MS, 50 * MS);
    assert_eq!(memory.ring().take(5 * MS, 2, 0), Take::Batch { first: fine, len: 1 });
    assert!(memory.ring().is_answered(late));
    assert_eq!(memory.ring().answer_of(late).0, Outcome::Expired);
    assert_eq!(*memory.wake.rung.borrow(), [A.slot]);
}

#[test]
fn a_seat_that_kills_engines_runs_alone_and_then_no_more() {
    let memory = Memory::new(4, 1);
    let seats: Vec<u32> = (1..4).map(|k| memory.submit(A, k * MS, Nanos::MAX)).collect();
    assert_eq!(memory.ring().take(5 * MS, 8, 0), Take::Batch { first: 0, len: 3 });
    assert_eq!(memory.ring().reclaim_engine(), Reclaimed { requeued: 3, ..Default::default() });
    let fresh = memory.submit(A, 6 * MS, Nanos::MAX);
    // Each alone; the first kills again.
    assert_eq!(memory.ring().take(7 * MS, 8, 0), Take::Batch { first: 0, len: 1 });
    memory.ring().reclaim_engine();
    assert_eq!(memory.ring().take(8 * MS, 8, 0), Take::Batch { first: 1, len: 1 });
    assert!(memory.ring().is_answered(seats[0]));
    let (outcome, run) = memory.ring().answer_of(seats[0]);
    assert_eq!((outcome, run.attempts), (Outcome::Poison, 2));
    memory.ring().answer(1, Outcome::Done);
    assert_eq!(memory.ring().take(9 * MS, 8, 0), Take::Batch { first: 2, len: 1 });
    assert_eq!(memory.ring().take(9 * MS, 8, 0), Take::Batch { first: fresh, len: 1 });
}

#[test]
fn lanes_that_work_beside_a_killer_are_not_taken_for_it() {
    let memory = Memory::new(6, 1);
    let killer = memory.submit(A, MS, Nanos::MAX);
    for k in 2..5 {
        memory.submit(A, k * MS, Nanos::MAX);
    }
    // As many lanes as seats, one image each; every engine that runs the killer dies of it.
    let mut now = 10 * MS;
    let mut deaths = 0;
    while memory.ring().count(SeatState::Submitted) > 0 {
        now += MS;
        let mut taken = Vec::new();
        while let Take::Batch { first, .. } = memory.ring().take(now, 1, 0) {
            taken.push(first);
        }
        if taken.contains(&killer) {
            deaths += 1;
            memory.ring().reclaim_engine();
        } else {
            taken.into_iter().for_each(|index| memory.ring().answer(index, Outcome::Done));
        }
    }
    assert_eq!(deaths, 2);
    for index in 0..4 {
        let expected = if index == killer { Outcome::Poison } else { Outcome::Done };
        assert_eq!(memory.ring().answer_of(index).0, expected, "seat {index}");
    }
}

#[test]
fn seats_go_to_whoever_waits_longest() {
    let memory = Memory::new(1, 3);
    let c = Owner { slot: 2, generation: 1 };
    let seat = memory.ring().claim(A).unwrap();
    assert_eq!(memory.ring().wait(B, 30), None);
    assert_eq!(memory.ring().wait(c, 20), None);
    memory.ring().give_back(seat, A);
    assert_eq!(memory.ring().claim(A), None, "a granted seat is not free");
    assert_eq!(memory.ring().granted(B), None);
    let seat = memory.ring().granted(c).unwrap();
    memory.ring().give_back(seat, c);
    assert_eq!(memory.ring().granted(B), Some(seat));
    assert_eq!(*memory.wake.rung.borrow(), [c.slot, B.slot]);
}

#[test]
fn a_stopped_waiter_holds_at_most_one_seat() {
    let memory = Memory::new(2, 2);
    let seats = [memory.ring().claim(A).unwrap(), memory.ring().claim(A).unwrap()];
    assert_eq!(memory.ring().wait(B, 1), None); // and is stopped
    for seat in seats {
        memory.ring().give_back(seat, A);
    }
    assert_eq!(memory.ring().count(SeatState::Granted), 1);
    assert!(memory.ring().claim(A).is_some());
}

#[test]
fn a_bell_rings_once_until_it_is_heard() {
    let memory = Memory::new(4, 1);
    let seats: Vec<u32> = (1..4).map(|k| memory.submit(A, k * MS, Nanos::MAX)).collect();
    memory.ring().take(5 * MS, 3, 0);
    memory.ring().answer(seats[0], Outcome::Done);
    memory.ring().answer(seats[1], Outcome::Done);
    assert_eq!(memory.wake.rung.borrow().len(), 1);
    memory.ring().bell_heard(A.slot);
    memory.ring().answer(seats[2], Outcome::Failed);
    assert_eq!(memory.wake.rung.borrow().len(), 2);
    assert_eq!(memory.ring().answer_of(seats[2]).0, Outcome::Failed);
}

#[test]
fn lanes_are_woken_only_while_one_sleeps() {
    let memory = Memory::new(4, 1);
    memory.submit(A, MS, Nanos::MAX);
    assert_eq!(*memory.wake.lanes.borrow(), 0);
    let doorbell = memory.ring().drowse();
    memory.submit(A, MS, Nanos::MAX);
    assert_eq!(*memory.wake.lanes.borrow(), 1);
    assert_ne!(memory.engine.doorbell().load(Relaxed), doorbell);
    memory.ring().awake();
}

#[test]
fn garbage_in_a_seat_word_is_nobodys_and_hurts_nobody() {
    let memory = Memory::new(2, 1);
    memory.seats[0].store(u64::MAX, Relaxed);
    let seat = memory.submit(A, MS, Nanos::MAX);
    assert_eq!(memory.ring().take(2 * MS, 4, 0), Take::Batch { first: seat, len: 1 });
    memory.ring().reclaim_frontend(A.slot);
    memory.ring().reclaim_engine();
    memory.ring().answer(0, Outcome::Done);
    // An owner that does not exist is answered without a bell.
    let stranger = SeatWord::new(SeatState::Running, Owner { slot: 200, generation: 0 }, 0);
    memory.seats[0].store(stranger.raw(), Relaxed);
    memory.ring().answer(0, Outcome::Done);
    assert!(memory.ring().is_answered(0));
}

#[derive(Clone, Debug)]
enum Step {
    Claim(u8),
    Submit(u8),
    Take(u32),
    Answer,
    GiveBack(u8),
    Wait(u8),
    Granted(u8),
    KillFrontend(u8),
    KillEngine,
}

fn steps() -> impl Strategy<Value = Step> {
    let slot = 0u8..3;
    prop_oneof![
        4 => slot.clone().prop_map(Step::Claim),
        4 => slot.clone().prop_map(Step::Submit),
        4 => (1u32..5).prop_map(Step::Take),
        4 => Just(Step::Answer),
        4 => slot.clone().prop_map(Step::GiveBack),
        2 => slot.clone().prop_map(Step::Wait),
        2 => slot.clone().prop_map(Step::Granted),
        1 => slot.prop_map(Step::KillFrontend),
        1 => Just(Step::KillEngine),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a seat has one holder, nothing is lost, and once all are dead and
    /// reaped every seat is free.
    #[test]
    fn seats_are_conserved(script in proptest::collection::vec(steps(), 0..120)) {
        let memory = Memory::new(4, 3);
        let ring = memory.ring();
        let mut generation = [1u16; 3];
        let mut held: BTreeMap<u32, (Owner, bool)> = BTreeMap::new(); // seat → owner, submitted
        let mut running: Vec<(u32, u32)> = Vec::new();
        let mut now = MS;
        for step in script {
            now += MS;
            let owner = |slot: u8, generation: &[u16; 3]| Owner { slot, generation: generation[slot as usize] };
            match step {
                Step::Claim(slot) => if let Some(index) = ring.claim(owner(slot, &generation)) {
                    prop_assert!(held.insert(index, (owner(slot, &generation), false)).is_none());
                    prop_assert!(!running.iter().any(|&(first, len)| (first..first + len).contains(&index)));
                },
                Step::Wait(slot) => if let Some(index) = ring.wait(owner(slot, &generation), now) {
                    prop_assert!(held.insert(index, (owner(slot, &generation), false)).is_none());
                },
                Step::Granted(slot) => if let Some(index) = ring.granted(owner(slot, &generation)) {
                    prop_assert!(held.insert(index, (owner(slot, &generation), false)).is_none());
                },
                Step::Submit(slot) => {
                    let mine = held.iter().find(|(_, (owner, submitted))| owner.slot == slot && !submitted);
                    if let Some((&index, _)) = mine {
                        let owner = owner(slot, &generation);
                        ring.submit(index, owner, Job { deadline: Nanos::MAX, digest: 0 }, now);
                        held.insert(index, (owner, true));
                    }
                }
                Step::Take(max) => if let Take::Batch { first, len } = ring.take(now, max, 0) {
                    prop_assert!(len <= max);
                    for index in first..first + len {
                        prop_assert!(held.get(&index).is_some_and(|&(_, submitted)| submitted));
                        prop_assert!(!running.iter().any(|&(first, len)| (first..first + len).contains(&index)));
                    }
                    running.push((first, len));
                },
                Step::Answer => if !running.is_empty() {
                    let (first, len) = running.remove(0);
                    for index in first..first + len {
                        ring.answer(index, Outcome::Done);
                        if held.contains_key(&index) {
                            prop_assert!(ring.is_answered(index));
                        }
                    }
                },
                Step::GiveBack(slot) => {
                    let mine = held.iter().find(|(_, (owner, _))| owner.slot == slot).map(|(&index, _)| index);
                    if let Some(index) = mine {
                        let (owner, _) = held.remove(&index).unwrap();
                        ring.give_back(index, owner);
                        prop_assert!(!ring.is_answered(index));
                    }
                }
                Step::KillFrontend(slot) => {
                    held.retain(|_, (owner, _)| owner.slot != slot);
                    ring.reclaim_frontend(slot);
                    generation[slot as usize] += 1;
                }
                Step::KillEngine => {
                    running.clear();
                    ring.reclaim_engine();
                    prop_assert_eq!(ring.count(SeatState::Running), 0);
                    prop_assert_eq!(ring.count(SeatState::Abandoned), 0);
                }
            }
        }
        for slot in 0..3 {
            ring.reclaim_frontend(slot);
        }
        ring.reclaim_engine();
        prop_assert_eq!(ring.count(SeatState::Free), 4);
    }
}
