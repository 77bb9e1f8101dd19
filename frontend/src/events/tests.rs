use super::*;
use crate::testing::{Client, Rig, wait_for};
use std::io::{BufRead, BufReader};

/// The lines of a stream that was just opened, after its head.
fn open(rig: &Rig) -> (String, BufReader<std::net::TcpStream>) {
    let Client { stream, .. } = {
        let mut client = rig.connect();
        client.send("GET /events HTTP/1.1\r\nHost: a\r\n", b"");
        client
    };
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
    }
    (head.to_lowercase(), reader)
}

/// The data of the next event of this name.
fn next(reader: &mut impl BufRead, name: &str) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(reader.read_line(&mut line).expect("an event") > 0, "the stream ended");
        if line.trim_end() == format!("event: {name}") {
            line.clear();
            reader.read_line(&mut line).expect("its data");
            return serde_json::from_str(line.strip_prefix("data: ").expect("data")).expect("JSON");
        }
    }
}

#[test]
fn a_watcher_gets_the_past_at_once_and_then_a_document_a_second() {
    // A stream is no idle connection, however little idleness is allowed.
    let rig = Rig::with(|config| config.frontend.keep_alive = Duration::from_secs(2), 4, true);
    let (head, mut reader) = open(&rig);
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    assert!(next(&mut reader, "history").is_array());
    rig.detect("", &crate::testing::png(8, 8));
    let mut last = next(&mut reader, "stats");
    for _ in 0..4 {
        last = next(&mut reader, "stats");
    }
    assert_eq!(last["windows"]["all"]["detections"], 1, "{last:#}");
    assert!(last["second"]["t"].as_f64().is_some_and(|t| t > 0.0), "{last:#}");
}

#[test]
fn nothing_is_made_for_nobody_and_a_watcher_that_has_gone_is_forgotten() {
    let rig = Rig::start();
    assert!(!rig.service.events.is_watched());
    let (_, reader) = open(&rig);
    assert!(rig.service.events.is_watched());
    drop(reader);
    wait_for("the stream's end", || !rig.service.events.is_watched());
    assert_eq!(rig.service.events.seats.available_permits(), WATCHERS);
}

#[test]
fn one_watcher_too_many_is_told_so() {
    let rig = Rig::start();
    let seats: Vec<_> = (0..WATCHERS)
        .map(|_| rig.service.events.seats.clone().try_acquire_owned().expect("a seat"))
        .collect();
    let refused = rig.ask("GET /events HTTP/1.1\r\nHost: a\r\n", b"");
    assert_eq!(refused.problem(), (503, "too_many_connections".to_owned()));
    assert!(refused.header("retry-after").is_some());
    drop(seats);
    assert!(open(&rig).0.starts_with("http/1.1 200"));
}

#[test]
fn a_watcher_that_does_not_read_is_let_go_and_delays_nobody() {
    let rig = Rig::with(|config| config.frontend.write_timeout = Duration::from_secs(1), 4, true);
    let (_, stuck) = open(&rig);
    let (_, mut reader) = open(&rig);
    let large = serde_json::json!({ "large": "x".repeat(1 << 20) });
    wait_for("the end of the stuck stream", || {
        rig.service.events.publish(&large);
        next(&mut reader, "stats");
        rig.service.events.seats.available_permits() == WATCHERS - 1
    });
    drop(stuck);
}

#[test]
fn a_drain_ends_the_streams() {
    let mut rig = Rig::start();
    let (_, mut reader) = open(&rig);
    rig.drain(Duration::from_secs(20));
    assert!(rig.drained(), "a stream held up the drain");
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut rest).expect("the end");
    assert!(rest.ends_with(b"0\r\n\r\n"), "the last piece says that it is the last");
}

#[tokio::test]
async fn a_stream_ends_after_its_time() {
    use http_body_util::BodyExt;
    let rig = Rig::start();
    let body = watch_for(&rig.service, &[], Duration::from_millis(50)).expect("a seat");
    let whole = tokio::time::timeout(Duration::from_secs(20), body.collect()).await.expect("it ends");
    assert!(whole.expect("a body that cannot fail").to_bytes().starts_with(b"retry: "));
}
