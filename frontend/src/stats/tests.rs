use super::*;
use crate::testing::{Rig, png};
use shm_proto::board::Stage;

const MS: u64 = 1_000_000;

/// A board on which 40 pictures took 10 ms each, 4 at a time.
fn worked(name: &str) -> Board {
    let board =
        Board::create(&format!("stats-test-{name}-{}", std::process::id()), 2).expect("a board").board;
    for k in 0..40u8 {
        let process = board.frontend(k % 2);
        process.add(Counter::Requests, 1);
        process.add(Counter::Detections, 1);
        process.add(Counter::InFlightNanos, 10 * MS);
        process.record(Stage::Total, 10 * MS);
    }
    board.engine(0).add(Counter::RunNanos, 80 * MS);
    board
}

#[test]
fn rates_are_differences_over_time_and_obey_littles_law() {
    let board = worked("rates");
    let mut then = Snapshot::take(&board);
    then.frontends = then.frontends.since(&then.frontends);
    then.engine = then.engine.since(&then.engine);
    then.requests = vec![0, 0];
    let mut now = Snapshot::take(&board);
    now.at = then.at + 100 * MS;
    let window = now.since(&then);
    assert_eq!((window.tps(), window.qps()), (400.0, 400.0));
    assert!((window.concurrency() - 4.0).abs() < 1e-9);
    let by_law = window.tps() * window.frontends.stage(Stage::Total).mean() / SECOND;
    assert!((by_law - window.concurrency()).abs() < 1e-9, "{by_law}");
    assert!((window.utilisation(2) - 0.4).abs() < 1e-9);
    assert_eq!(window.requests, [20, 20]);
    assert_eq!(window.imbalance(), 1.0);
}

#[test]
fn imbalance_is_the_busiest_over_the_mean() {
    let snapshot = Snapshot::take(&worked("imbalance"));
    let with =
        |requests: &[u64]| Window { requests: requests.to_vec(), ..snapshot.since_start(1.0) }.imbalance();
    assert_eq!((with(&[30, 10]), with(&[9, 0, 0]), with(&[0, 0])), (1.5, 3.0, 0.0));
}

#[test]
fn nothing_happens_in_no_time() {
    let board = worked("nothing");
    let now = Snapshot::take(&board);
    let window = now.since(&now);
    assert_eq!((window.tps(), window.qps(), window.concurrency()), (0.0, 0.0, 0.0));
    assert_eq!(window.frontends.stage(Stage::Total).count(), 0);
}

#[test]
fn a_window_reaches_back_as_far_as_it_says() {
    let board = worked("reach");
    let mut history = History::new(&board);
    let start = Snapshot::take(&board);
    let at = |second: u64| Snapshot { at: start.at + second * 1000 * MS, ..start.clone() };
    for second in 1..=200 {
        history.push(at(second));
    }
    let seconds = |wanted: f64| history.window(&at(200), wanted).seconds;
    assert_eq!((seconds(10.0), seconds(60.0)), (10.0, 60.0));
    assert_eq!(seconds(1000.0), 60.0, "no further than the last snapshot kept");
}

#[test]
fn the_document_counts_what_was_asked() {
    let rig = Rig::start();
    for _ in 0..5 {
        assert_eq!(rig.detect("", &png(8, 8)).status, 200);
    }
    assert_eq!(rig.detect("", b"no picture").status, 422);
    let stats = rig.ask("GET /stats HTTP/1.1\r\nHost: a\r\n", b"").json();
    let all = &stats["windows"]["all"];
    assert_eq!(all["detections"], 5);
    assert_eq!(all["requests"], 6, "the request for the figures is not answered yet");
    assert_eq!(all["problems"], serde_json::json!({ "not_an_image": 1 }));
    assert_eq!(all["inputs"]["bytes"], 6);
    assert_eq!(stats["visitors"]["today"]["pv"], 6);
    assert_eq!(stats["visitors"]["today"]["uv"], 1);
    assert_eq!(stats["visitors"]["today"]["date"], "2024-10-04");
    assert_eq!(stats["model"]["name"], "boxes");
    assert_eq!(stats["service"]["state"], "ready");
    let row = stats["processes"].as_array().unwrap().iter().find(|row| row["role"] == "frontend").unwrap();
    assert_eq!(row["requests"], 6);
    assert_eq!(row["pid"], std::process::id());
}
