//! The report of a real board: alive, without a supervisor, and its rates.

use super::*;

fn board(tag: &str) -> Board {
    let name = format!("status-test-{tag}-{}", std::process::id());
    Board::create(&name, 2).expect("a board in /dev/shm").board
}

#[test]
fn a_ready_service_serves_and_its_rates_come_from_two_looks() {
    let board = board("ready");
    board.set_state(ServiceState::Ready);
    board.set_listen("127.0.0.1:1");
    let before = processes(&board);
    board.frontend(1).add(Counter::Requests, 40);
    board.frontend(1).record(Stage::Total, 5_000_000);
    let report = Report::new(&board, &before, processes(&board));
    assert!(report.serves());
    assert_eq!(report.rates.requests, 40.0);
    assert!((report.rates.mean - 5.0).abs() < 0.5, "{}", report.rates.mean);
    let json = report.json();
    assert_eq!(json["state"], "ready");
    assert_eq!(json["processes"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["processes"][2]["requests"], 40);
    assert!(report.text().contains("40.0 requests/s"), "{}", report.text());
}

#[test]
fn a_board_whose_supervisor_is_gone_says_so() {
    let board = board("dead");
    board.set_state(ServiceState::Ready);
    let now = processes(&board);
    let mut report = Report::new(&board, &now, now.clone());
    report.supervisor.1 = false;
    assert!(!report.serves());
    assert!(report.text().contains("has died"), "{}", report.text());
    report.supervisor = (1, true, Duration::from_secs(10));
    assert!(report.text().contains("no sign of life for 10s"), "{}", report.text());
}

#[test]
fn spans_are_short() {
    for (seconds, text) in
        [(0.25, "250ms"), (12.0, "12s"), (185.0, "3m05s"), (7620.0, "2h07m"), (356_400.0, "4d03h")]
    {
        assert_eq!(span(Duration::from_secs_f64(seconds)), text);
    }
}

#[test]
fn a_service_is_found_by_where_it_listens() {
    let name = format!("status-test-{}", std::process::id());
    let board = Board::create(&name, 1).expect("a board").board;
    board.set_listen("127.0.0.1:19");
    assert_eq!(at("127.0.0.1:19").ok(), Some(name));
    assert!(at("127.0.0.1:20").is_err());
}
