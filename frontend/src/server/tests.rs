use crate::testing::{Engine, Rig, png, wait_for};
use std::time::Duration;

const DETECT: &str = "POST /detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n";

#[test]
fn draining_finishes_what_is_in_flight_and_ends_its_connection() {
    let mut rig = Rig::start();
    rig.engine(Engine::Holds);
    let mut busy = rig.connect();
    busy.send(DETECT, &png(8, 8));
    wait_for("the request is in flight", || rig.service.board.in_flight() == 1);
    rig.drain(Duration::from_secs(10));
    wait_for("the service closes", || rig.service.is_closing());
    rig.engine(Engine::Answers);
    let answer = busy.answer(false);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(busy.is_closed());
    drop(busy);
    assert!(rig.drained());
}

#[test]
fn a_request_that_comes_while_the_service_closes_is_answered() {
    let mut rig = Rig::start();
    let mut idle = rig.connect();
    assert_eq!(idle.ask(DETECT, &png(8, 8)).status, 200);
    rig.drain(Duration::from_secs(10));
    wait_for("the service closes", || rig.service.is_closing());
    let answer = idle.ask(DETECT, &png(8, 8));
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    drop(idle);
    assert!(rig.drained());
}

#[test]
fn idle_connections_do_not_hold_up_the_drain() {
    let mut rig = Rig::start();
    let mut silent = rig.connect();
    let mut idle = rig.connect();
    assert_eq!(idle.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    rig.drain(Duration::from_secs(15));
    assert!(silent.is_closed() && idle.is_closed());
    drop((silent, idle));
    assert!(rig.drained());
}

#[test]
fn what_cannot_be_done_in_time_is_told_so() {
    let mut rig = Rig::start();
    rig.engine(Engine::Holds);
    let mut busy = rig.connect();
    busy.send(DETECT, &png(8, 8));
    wait_for("the request is in flight", || rig.service.board.in_flight() == 1);
    rig.drain(Duration::from_secs(2));
    let answer = busy.answer(false);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(answer.json()["code"], "draining");
    drop(busy);
    assert!(rig.drained());
}

#[test]
fn what_does_not_end_in_time_is_reported() {
    let mut rig = Rig::start();
    rig.engine(Engine::Holds);
    let mut busy = rig.connect();
    busy.send(DETECT, &png(8, 8));
    wait_for("the request is in flight", || rig.service.board.in_flight() == 1);
    rig.drain(Duration::from_millis(50));
    assert!(!rig.drained(), "its client keeps the connection");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let rig = Rig::with(|config| config.frontend.max_connections = 1, 4, true);
    let mut first = rig.connect();
    assert_eq!(first.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    let mut second = rig.connect();
    let answer = second.answer(false);
    assert_eq!(answer.problem(), (503, "too_many_connections".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(second);
    assert_eq!(first.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let rig = Rig::with(|_| {}, 1, false);
    let mut client = rig.connect();
    // More than the socket's buffers hold: the server has to go on reading for the answer to arrive.
    client.send(DETECT, &vec![0; 4 << 20]);
    assert_eq!(client.answer(false).status, 503);
}

#[test]
fn an_address_has_as_many_connections_as_it_may() {
    let rig = Rig::with(|config| config.frontend.max_connections_per_address = 2, 4, true);
    let (mut first, mut second) = (rig.connect(), rig.connect());
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    }
    let answer = rig.connect().answer(false);
    assert_eq!(answer.problem(), (503, "too_many_connections".to_owned()));
    drop(first);
    wait_for("the first to be forgotten", || {
        rig.connect().ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status == 200
    });
}

#[test]
fn a_connection_that_has_lived_long_enough_ends_with_its_answer() {
    let rig = Rig::with(|config| config.frontend.connection_lifetime = Duration::from_millis(100), 4, true);
    let mut client = rig.connect();
    let answer = client.ask(DETECT, &png(8, 8));
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    std::thread::sleep(Duration::from_millis(120));
    let answer = client.ask(DETECT, &png(8, 8));
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(client.is_closed());
}
