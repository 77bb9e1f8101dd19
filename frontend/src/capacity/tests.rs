use super::*;
use crate::stats::Snapshot;
use shm_proto::board::{Board, Counter};

/// A second with so many answers, each of which took so long, of which so long to arrive.
fn second(answers: u64, took: Duration, to_arrive: Duration) -> Window {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let board = Board::create(&format!("capacity-{}-{count}", std::process::id()), 1).expect("a board").board;
    let frontend = board.frontend(0);
    frontend.add(Counter::Detections, answers);
    for _ in 0..answers {
        frontend.record(Stage::Total, took.as_nanos() as u64);
        frontend.record(Stage::Read, to_arrive.as_nanos() as u64);
    }
    Snapshot::take(&board).since_start(1.0)
}

/// A second in which this generation's engine served throughout, after one in which it may have begun to.
fn see(capacity: &mut Capacity, generation: u32, ideal: f64, window: &Window) {
    if capacity.generation != generation {
        capacity.observe(&Observation { generation, servers: 4, ideal, window });
    }
    capacity.glance(Nanos::from(generation), true);
    capacity.interrupted = false;
    capacity.observe(&Observation { generation, servers: 4, ideal, window });
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_limit_is_what_can_be_answered_in_time() {
    let mut capacity = Capacity::default();
    assert_eq!(capacity.limit(SECOND, 256), 256, "nothing is known yet");
    // 100 a second that took 200 ms each: 20 in service for 4 that are worked on.
    see(&mut capacity, 1, 500.0, &second(100, 200 * MS, Duration::ZERO));
    assert_eq!(capacity.rate(), 100.0);
    assert_eq!(capacity.limit(SECOND, 256), 70);
    assert_eq!(capacity.limit(2 * SECOND, 256), 140);
    assert_eq!(capacity.limit(2 * SECOND, 100), 100, "never more than allowed");
    assert_eq!(capacity.limit(10 * MS, 256), FEWEST);
    assert_eq!(capacity.limit(Duration::ZERO, 256), 256, "no promise, no limit");
}

#[test]
fn what_a_quiet_service_does_is_not_what_it_could_do() {
    let mut capacity = Capacity::default();
    see(&mut capacity, 1, 200.0, &second(3, 20 * MS, Duration::ZERO));
    assert_eq!(capacity.rate(), 200.0, "the engine's word");
    see(&mut capacity, 1, 200.0, &second(100, 200 * MS, Duration::ZERO));
    see(&mut capacity, 1, 200.0, &second(3, 20 * MS, Duration::ZERO));
    assert_eq!(capacity.rate(), 100.0, "measured, and kept");
    see(&mut capacity, 1, 200.0, &second(0, Duration::ZERO, Duration::ZERO));
    assert_eq!(capacity.rate(), 100.0);
}

#[test]
fn the_estimate_follows_the_machine_and_forgets_another_model() {
    let mut capacity = Capacity::default();
    for _ in 0..10 {
        see(&mut capacity, 1, 0.0, &second(100, 200 * MS, Duration::ZERO));
    }
    for _ in 0..10 {
        see(&mut capacity, 1, 0.0, &second(50, 400 * MS, Duration::ZERO));
    }
    assert!((capacity.rate() - 50.0).abs() < 1.0, "{}", capacity.rate());
    see(&mut capacity, 2, 900.0, &second(3, 20 * MS, Duration::ZERO));
    assert_eq!(capacity.rate(), 900.0);
}

#[test]
fn slow_clients_are_no_queue() {
    let mut capacity = Capacity::default();
    // 1,000 in flight, but nobody waits for us.
    see(&mut capacity, 1, 200.0, &second(100, 10 * SECOND, 10 * SECOND - 20 * MS));
    assert_eq!(capacity.rate(), 200.0);
}

#[test]
fn a_second_in_which_the_engine_stood_still_is_no_measurement() {
    let mut capacity = Capacity::default();
    see(&mut capacity, 1, 0.0, &second(100, 200 * MS, Duration::ZERO));
    let queue = second(10, 2 * SECOND, Duration::ZERO);
    let mut during = |engine, moves| {
        capacity.glance(engine, moves);
        capacity.observe(&Observation { generation: 1, servers: 4, ideal: 0.0, window: &queue });
        capacity.rate()
    };
    assert_eq!(during(1, false), 100.0, "it does not move");
    assert_eq!(during(0, false), 100.0, "it is gone");
    assert_eq!(during(2, true), 100.0, "another one has come");
    assert_eq!(during(2, true), 55.0, "that one is slower");
}

#[test]
fn the_second_in_which_another_model_came_is_no_measurement() {
    let mut capacity = Capacity::default();
    see(&mut capacity, 1, 0.0, &second(100, 200 * MS, Duration::ZERO));
    capacity.glance(1, true);
    let window = second(10, 2 * SECOND, Duration::ZERO);
    capacity.observe(&Observation { generation: 2, servers: 4, ideal: 300.0, window: &window });
    assert_eq!(capacity.rate(), 300.0, "the new engine's word");
}
