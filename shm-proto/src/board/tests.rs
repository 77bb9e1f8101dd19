use super::*;
use crate::arena::SeatCounts;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// A service name of this test's own.
fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn what_is_written_is_read_by_another_process() {
    let name = name();
    let written = Board::create(&name, 2).expect("a board").board;
    written.set_state(ServiceState::Ready);
    written.set_listen("127.0.0.1:8888");
    written.set_seats(SeatCounts([1, 2, 3, 4, 5, 6, 7]));
    let frontend = written.frontend(1);
    frontend.occupy(77, 3, 2);
    frontend.set_state(ProcessState::Ready);
    frontend.add(Counter::Detections, 5);
    frontend.record(Stage::Total, 12_000_000);
    frontend.record(Stage::Decode, 3_000_000);
    frontend.count_code(4);
    frontend.count_code(MAX_CODES); // one too many is not counted anywhere
    frontend.connection_opened();
    written.engine(0).count_batch(3);
    written.engine(0).count_batch(1000);

    let read = Board::open(&name).expect("the board");
    assert_eq!(
        (read.state(), read.listen().as_str(), read.frontends()),
        (ServiceState::Ready, "127.0.0.1:8888", 2)
    );
    assert_eq!(read.seats(), SeatCounts([1, 2, 3, 4, 5, 6, 7]));
    assert_eq!(read.supervisor(), std::process::id());
    let figures = read.frontend(1).figures();
    assert_eq!((figures.pid, figures.generation, figures.restarts, figures.connections), (77, 3, 2, 1));
    assert_eq!(figures.counter(Counter::Detections), 5);
    assert_eq!((figures.stage(Stage::Total).count(), figures.stage(Stage::Decode).count()), (1, 1));
    assert_eq!(figures.codes.iter().sum::<u64>(), 1);
    let batches = read.engine(0).figures().batch_sizes;
    assert_eq!((batches[3], batches[MAX_BATCH_SIZE]), (1, 1));

    frontend.vacate();
    let figures = read.frontend(1).figures();
    assert_eq!((figures.state, figures.connections), (ProcessState::Dead, 0));
    assert_eq!(figures.counter(Counter::Detections), 5, "counts outlive the process");
}

#[test]
fn the_name_goes_with_the_supervisor_and_a_second_one_is_refused() {
    let name = name();
    let first = Board::create(&name, 1).expect("a board");
    assert_eq!(first.removed, None);
    assert!(list().contains(&name));
    let refused = Board::create(&name, 1).err().expect("refused").to_string();
    assert!(refused.contains(&std::process::id().to_string()), "{refused}");
    drop(first);
    assert!(!list().contains(&name));
    assert!(matches!(Board::open(&name), Err(BoardError::Absent(_))));
}

#[test]
fn a_board_that_a_dead_supervisor_left_is_replaced() {
    let name = name();
    let path = format!("/dev/shm/detectd-{name}");
    std::fs::write(&path, b"left behind").expect("room");
    assert!(matches!(Board::open(&name), Err(BoardError::Foreign(_))));
    let created = Board::create(&name, 1).expect("a board");
    assert_eq!(created.removed, Some(0));
}

#[test]
fn names_are_file_names() {
    for name in ["", "a/b", "..\0", "ü", &"x".repeat(101)] {
        assert!(matches!(Board::create(name, 1), Err(BoardError::Name(_))), "{name}");
    }
}

/// Well-mixed bits of a number.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn distinct_visitors_are_counted_within_one_percent() {
    let board = Board::create(&name(), 1).expect("a board").board;
    board.set_today(20_000);
    let mut seen = 0u64;
    for until in [1, 100, 5_000, 40_000, 300_000] {
        for visitor in seen..until {
            board.visit(mix(visitor), mix(visitor % 1000));
            board.visit(mix(visitor), mix(visitor % 1000)); // again: no one new
        }
        seen = until;
        let today = board.days()[0];
        let error = (today.uv as f64 - until as f64).abs() / until as f64;
        assert!(error <= 0.01, "{} for {until}", today.uv);
        assert_eq!((today.day, today.pv), (20_000, 2 * until));
    }
    let ip = board.days()[0].ip;
    assert!((985..=1015).contains(&ip), "{ip}");
}

#[test]
fn days_follow_each_other_and_are_remembered() {
    let board = Board::create(&name(), 1).expect("a board").board;
    board.visit(mix(1), mix(1)); // nobody has said which day it is
    for day in 100..110 {
        board.set_today(day);
        board.set_today(day);
        for visitor in 0..u64::from(day - 99) {
            board.visit(mix(visitor), mix(0));
        }
    }
    let days = board.days();
    assert_eq!(days.len(), 10);
    for (figures, day) in days.iter().zip((100..110).rev()) {
        let visitors = u64::from(day - 99);
        assert_eq!(*figures, DayFigures { day, pv: visitors, uv: visitors, ip: 1 });
    }
}

#[test]
fn the_fewest_connections_are_those_of_a_living_frontend() {
    let board = Board::create(&name(), 3).expect("a board").board;
    assert_eq!(board.fewest_connections(0), None);
    for slot in 0..3 {
        board.frontend(slot).occupy(1, 1, 0);
        board.frontend(slot).set_state(ProcessState::Ready);
        (0..=slot).for_each(|_| board.frontend(slot).connection_opened());
    }
    assert_eq!(board.fewest_connections(1), Some(1));
    board.frontend(0).set_state(ProcessState::Draining);
    assert_eq!(board.fewest_connections(1), Some(2));
    assert_eq!(board.fewest_connections(crate::clock::now() + 1), None, "all silent");
}

#[test]
fn a_digest_is_refused_until_its_time_and_alone() {
    let board = Board::create(&name(), 1).expect("a board").board;
    assert!(!board.is_quarantined(7, 1) && !board.is_quarantined(0, 1));
    board.quarantine(7, 100);
    assert!(board.is_quarantined(7, 99) && !board.is_quarantined(7, 100));
    assert!(!board.is_quarantined(7 + 64, 50), "another digest in the same cell");
    board.quarantine(7 + 64, 200);
    assert!(board.is_quarantined(7 + 64, 150) && !board.is_quarantined(7, 50));
}

#[test]
fn long_texts_are_cut_between_characters() {
    let board = Board::create(&name(), 1).expect("a board").board;
    board.set_message(&"é".repeat(500));
    assert_eq!(board.message(), "é".repeat(120));
}

#[test]
fn a_board_goes_on_where_another_one_stood() {
    let old = Board::create(&name(), 3).expect("a board").board;
    old.set_today(50);
    old.frontend(0).add(Counter::Requests, 5);
    old.frontend(2).add(Counter::Requests, 7);
    old.engine(0).count_batch(4);
    old.frontend(1).record(Stage::Total, 1_000_000);
    old.visit(mix(1), mix(1));
    old.quarantine(7, 100);
    let reader = Board::open(old.name()).expect("it is there");
    let new = Board::create(&name(), 2).expect("a board").board;
    let mut heritage = Heritage::new(reader, &new);
    new.set_today(50);
    let requests = |slot| new.frontend(slot).counter(Counter::Requests);
    assert_eq!((requests(0), requests(1)), (12, 0), "the third slot's are counted in the first");
    assert_eq!(new.engine(0).figures().batch_sizes[4], 1);
    assert_eq!(new.frontend(1).figures().stage(Stage::Total).count(), 1);
    assert!(new.is_quarantined(7, 99));
    assert_eq!(new.started(), old.started());
    // Both go on: nothing is counted twice, nobody is two visitors.
    old.frontend(0).add(Counter::Requests, 1);
    new.frontend(0).add(Counter::Requests, 1);
    old.visit(mix(1), mix(1));
    old.visit(mix(2), mix(1));
    heritage.take(&new);
    heritage.take(&new);
    assert_eq!((requests(0), requests(1)), (14, 0));
    assert_eq!(new.days()[0], DayFigures { day: 50, pv: 3, uv: 2, ip: 1 });
}

proptest! {
    /// Whatever a faulty process leaves on the board behind its first words, reading it neither panics nor leaves the segment.
    #[test]
    fn arbitrary_words_on_a_board_are_read_safely(words in proptest::collection::vec(any::<u64>(), 64), zeros in 0u32..3) {
        use std::os::unix::fs::FileExt;
        let name = name();
        let created = Board::create(&name, 2).expect("a board").board;
        let file = std::fs::File::options().write(true).open(format!("/dev/shm/detectd-{name}")).expect("the board");
        let size = file.metadata().expect("a file").len();
        // Magic, version and number of frontends stay; everything behind them is overwritten.
        let mut bytes: Vec<u8> = (0..size / 8).flat_map(|k| words[k as usize % words.len()].to_ne_bytes()).collect();
        if zeros > 0 {
            bytes.iter_mut().step_by(zeros as usize + 1).for_each(|byte| *byte = 0);
        }
        file.write_all_at(&bytes[16..], 16).expect("room");
        let board = Board::open(&name).expect("its first words are good");
        let texts = [board.listen(), board.model(), board.message(), board.changes().text];
        prop_assert!(texts.iter().all(|text| text.len() < 4096));
        let _ = (board.state(), board.seats(), board.days(), board.in_flight(), board.in_service());
        board.visit(1, 2);
        for slot in 0..2 {
            for figures in [board.frontend(slot).figures(), board.engine(slot).figures()] {
                for stage in Stage::ALL {
                    let times = figures.stage(*stage);
                    let mut sum = times.clone();
                    sum.merge(times);
                    prop_assert!(times.quantile(0.99) >= 0.0 && sum.since(times).count() <= sum.count());
                    let _ = times.count_below(1_000_000);
                }
            }
        }
        drop(created);
    }
}
