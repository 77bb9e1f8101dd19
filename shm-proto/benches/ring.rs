//! What the ring's steps cost by themselves, with nobody asleep and nobody else about: claim and give back, and a
//! seat's whole life from claim to release within one process. `ipc` measures the same way between processes.
//!
//! `cargo bench -p shm-proto --bench ring`

use divan::Bencher;
use shm_proto::arena::{self, BatchLimits, Bells, EngineArena, FrontendArena, Geometry, Job, Outcome};
use shm_proto::board::{Board, Counter, Stage};
use shm_proto::{Owner, clock};
use std::sync::Arc;
use std::time::Duration;

fn main() {
    divan::main();
}

fn arena(seats: u32) -> (Arc<FrontendArena>, Arc<EngineArena>) {
    let geometry = Geometry { seats, frontends: 1, input_bytes: 768, output_bytes: vec![96] };
    let fd = arena::create(&geometry, 1).expect("an arena");
    let bells = Bells::create(1).expect("bells");
    let owner = Owner { slot: 0, generation: 1 };
    let frontend = FrontendArena::attach(&fd, owner, bells.clone()).expect("the arena");
    (frontend, EngineArena::attach(&fd, bells).expect("the arena"))
}

#[divan::bench(args = [8, 64])]
fn claim_and_give_back(bencher: Bencher, seats: u32) {
    let (frontend, _engine) = arena(seats);
    bencher.bench_local(|| drop(frontend.claim()));
}

#[divan::bench(args = [1, 8])]
fn claim_submit_run_answer_release(bencher: Bencher, images: u32) {
    let (frontend, engine) = arena(16);
    let limits = BatchLimits { max_batch: images, max_delay: Duration::ZERO, lane: 0 };
    bencher.bench_local(|| {
        let submitted: Vec<_> = (0..images)
            .map(|_| frontend.claim().expect("a seat").submit(Job { deadline: u64::MAX, digest: 0 }))
            .collect();
        let mut left = images;
        while left > 0 {
            let batch = engine.next(limits, Duration::from_secs(1)).expect("a batch");
            left -= batch.len();
            batch.answer(Outcome::Done);
        }
        frontend.bell_heard();
        submitted.into_iter().for_each(|seat| drop(seat.poll().expect("an answer")));
    });
}

#[divan::bench]
fn count_and_record_a_request(bencher: Bencher) {
    let board = Board::create(&format!("bench-{}", std::process::id()), 1).expect("a board").board;
    let process = board.frontend(0);
    bencher.bench_local(|| {
        process.add(Counter::Requests, 1);
        Stage::ALL.iter().for_each(|stage| process.record(*stage, 1_234_567));
    });
}

#[divan::bench]
fn look_at_the_clock() -> u64 {
    clock::now()
}
