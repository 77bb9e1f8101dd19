//! Clients that are slow, against a whole server with short limits. No test asserts how long anything took.

use super::*;
use crate::error::Code;
use crate::testing::Rig;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn rig() -> Rig {
    Rig::with(
        |config| {
            config.frontend.header_timeout = Duration::from_millis(80);
            config.frontend.keep_alive = Duration::from_millis(80);
        },
        4,
        true,
    )
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    assert!(rig().connect().is_closed());
}

#[test]
fn a_header_that_never_ends_is_answered_408_and_closed() {
    let rig = rig();
    let mut client = rig.connect();
    client.write(b"GET /healthz HTTP/1.1\r\nHost:");
    let answer = client.answer(false);
    assert_eq!(answer.problem(), (408, "request_timeout".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.json()["id"].as_str(), answer.header("x-request-id"));
    assert!(client.is_closed());
    assert_eq!(rig.refused(Code::RequestTimeout), 1);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let rig = rig();
    let mut client = rig.connect();
    assert_eq!(client.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    assert_eq!(client.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_request_that_takes_longer_than_the_header_may_is_answered() {
    let rig = rig();
    rig.engine(crate::testing::Engine::Holds);
    let mut client = rig.connect();
    client
        .send("POST /detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n", &crate::testing::png(8, 8));
    std::thread::sleep(Duration::from_millis(250));
    rig.engine(crate::testing::Engine::Answers);
    assert_eq!(client.answer(false).status, 200);
}

/// A stream under these limits, with nothing served on it, and its client.
async fn pair(limits: Limits) -> (Patient, TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a client");
    let (stream, _) = listener.accept().await.expect("a connection");
    (Patient::new(stream, Pace::default(), limits), client)
}

#[tokio::test]
async fn the_first_headers_time_begins_with_the_connection() {
    let long = Duration::from_secs(3600);
    let (mut stream, mut client) = pair(Limits { header: long, idle: long, write: long }).await;
    let mut bytes = [0; 8];
    let silent = poll_once(&mut stream, &mut bytes).await;
    assert!(silent.is_pending());
    let end = |stream: &Patient| stream.reading.as_ref().expect("a wait").sleep.deadline();
    let first = end(&stream);
    client.write_all(b"GET").await.expect("sent");
    assert_eq!(stream.read(&mut bytes).await.expect("three bytes"), 3);
    assert!(poll_once(&mut stream, &mut bytes).await.is_pending());
    assert_eq!(end(&stream), first, "its first byte does not start it anew");
    assert!(!stream.is_late());
}

async fn poll_once(stream: &mut Patient, bytes: &mut [u8]) -> Poll<()> {
    let mut buffer = ReadBuf::new(bytes);
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut buffer).map(drop))).await
}
