//! kill -9 at every instant of a seat's life: the fail points of a debug build, one after the other, under requests that fight
//! for two seats.

use e2e::chaos::faults::whole;
use e2e::chaos::generator::{Generator, Pace};
use e2e::chaos::rest::Rest;
use e2e::service::{Service, executable, wait_for, with_model};
use std::time::Duration;

/// The points at which the engine dies.
const OF_THE_ENGINE: [&str; 4] = ["begun", "joined", "run", "answered"];
/// The points at which a frontend does, or, where it frees a seat of one that has gone, the engine.
const OF_A_FRONTEND: [&str; 11] = [
    "claimed",
    "waiting",
    "granted",
    "written",
    "submitted",
    "knocked",
    "answer-seen",
    "held",
    "wait-taken",
    "handed-over",
    "freed",
];
const CLIENTS: usize = 8;

fn has_fail_points() -> bool {
    let name = b"DETECTD_FAIL_POINTS";
    let program = std::fs::read(executable()).expect("the executable can be read");
    program.windows(name.len()).any(|window| window == name)
}

#[test]
fn a_process_may_be_killed_at_any_instant_of_a_seats_life() {
    if !has_fail_points() {
        println!("SKIPPED: a release build has no fail points");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Who is to die removes a file and kills itself, neither of which a guarded frontend may do.
    let settings = "[engine]\nlanes = 1\nmax_batch = 2\nseats = 2\n[service]\nmax_restarts = 1000\n\
                    [sandbox]\nseccomp = false\nlandlock = false\n";
    let environment = [("DETECTD_FAIL_POINTS", folder.path())];
    let mut service = Service::launch_in(&environment, &(with_model("yolov8") + settings), &[]);
    service.wait_ready();
    let warm = Generator::start(service.address(), Pace::Closed(CLIENTS));
    warm.more(50);
    assert!(warm.stop().complaints().is_empty());
    let rest = Rest::of(&service);
    for point in OF_THE_ENGINE.into_iter().chain(OF_A_FRONTEND) {
        // Before the first request: later on no seat is ever free, and none is claimed but by hand-over.
        let token = folder.path().join(point);
        std::fs::write(&token, "").expect("room");
        let generator = Generator::start(service.address(), Pace::Closed(CLIENTS));
        wait_for(&format!("somebody to die at {point:?}"), || (!token.exists()).then_some(()));
        generator.more(20);
        whole(&service);
        // So long that the next death is no early one, which would be answered with a delay.
        std::thread::sleep(Duration::from_millis(1100));
        let books = generator.stop();
        println!("{point}: {}", books.summary());
        assert!(books.violations.is_empty() && books.problems.is_empty(), "{point}: {books:?}");
        // The harness does not know whose connections these were; there were no more than these.
        let most = if OF_THE_ENGINE.contains(&point) { 0 } else { CLIENTS };
        assert!(books.failed.len() <= most, "{point}: {:?}", books.failed);
    }
    let complaints = rest.complaints(&service);
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(service.stop().success());
}
