//! The price of the way through shared memory: submit → answer with an engine that does nothing, in a process of
//! its own, as a frontend sees it that watches for a moment and then sleeps on its bell. Prints, asserts nothing.
//!
//! `cargo bench -p shm-proto --bench ipc`

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use shm_proto::arena::{self, BatchLimits, Bells, EngineArena, FrontendArena, Geometry, Job, Outcome};
use shm_proto::{Owner, clock};
use std::time::Duration;

const ROUNDS: usize = 20_000;
const LIMITS: BatchLimits = BatchLimits { max_batch: 8, max_delay: Duration::ZERO, lane: 0 };

fn main() {
    let geometry = Geometry { seats: 16, frontends: 1, input_bytes: 768, output_bytes: vec![96] };
    let fd = arena::create(&geometry, 1).expect("an arena");
    let bells = Bells::create(1).expect("bells");
    // SAFETY: no thread exists yet, so the child may do anything that the parent might.
    let engine = match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            let engine = EngineArena::attach(&fd, bells).expect("the arena");
            loop {
                if let Some(batch) = engine.next(LIMITS, Duration::from_millis(100)) {
                    batch.answer(Outcome::Done);
                }
            }
        }
        ForkResult::Parent { child } => child,
    };
    let frontend =
        FrontendArena::attach(&fd, Owner { slot: 0, generation: 1 }, bells.clone()).expect("the arena");

    println!("submit -> answer, engine in another process, {ROUNDS} rounds");
    for (name, pause) in
        [("busy (next at once)", Duration::ZERO), ("idle (1 ms apart)", Duration::from_millis(1))]
    {
        let rounds = if pause.is_zero() { ROUNDS } else { ROUNDS / 10 };
        let mut times: Vec<u64> = (0..rounds)
            .map(|_| {
                if !pause.is_zero() {
                    std::thread::sleep(pause);
                }
                round(&frontend, &bells)
            })
            .collect();
        times.sort_unstable();
        let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize] as f64 / 1e3;
        println!("  {name:<22} p50 {:6.1} us   p90 {:6.1} us   p99 {:6.1} us", at(0.5), at(0.9), at(0.99));
    }

    let begun = clock::now();
    for _ in 0..1_000_000 {
        drop(frontend.claim());
    }
    println!("claim + give back: {:.0} ns", (clock::now() - begun) as f64 / 1e6);

    kill(engine, Signal::SIGKILL).expect("the engine");
    waitpid(engine, None).expect("the engine");
}

/// One image through the engine: nanoseconds from submit to the answer in hand.
fn round(frontend: &std::sync::Arc<FrontendArena>, bells: &Bells) -> u64 {
    let mut seat = frontend.claim().expect("a seat");
    seat.input_mut().fill(1);
    let begun = clock::now();
    let submitted = seat.submit(Job { deadline: u64::MAX, digest: 0 });
    // As a frontend does where the engine answers at once.
    if submitted.watch() {
        frontend.bell_heard();
    }
    let mut submitted = match submitted.poll() {
        Ok(_answered) => return clock::now() - begun,
        Err(seat) => seat,
    };
    loop {
        let mut polls = [PollFd::new(bells.fd(0).expect("a bell"), PollFlags::POLLIN)];
        poll(&mut polls, PollTimeout::NONE).expect("the bell");
        bells.silence(0);
        frontend.bell_heard();
        match submitted.poll() {
            Ok(_answered) => return clock::now() - begun,
            Err(seat) => submitted = seat,
        }
    }
}
