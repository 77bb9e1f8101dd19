//! Arbitrary bodies of every kind that is read: JSON, forms, multipart forms, pictures. Each comes twice, in one piece and in many,
//! and must mean the same both times. No panic, no allocation from a length that was not checked.
//!
//! The first byte is the content type and the query, the second the length of the pieces, the rest the body.
#![no_main]

use bytes::Bytes;
use frontend::error::RequestError;
use frontend::inputs::{Asked, Inputs, InputsConfig};
use http::Request;
use http::request::Parts;
use http_body_util::StreamBody;
use hyper::body::Frame;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

const TYPES: [Option<&str>; 6] = [
    Some("application/json"),
    Some("application/x-www-form-urlencoded"),
    Some("multipart/form-data; boundary=X"),
    Some("multipart/form-data; boundary=\"a longer one\""),
    Some("image/jpeg"),
    None,
];
const QUERIES: [&str; 4] = ["", "?type=base64", "?type=url&score=0.5", "?type=bytes"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
static INPUTS: LazyLock<Inputs> = LazyLock::new(|| {
    let mut config = InputsConfig::default();
    config.url.enabled = false;
    Inputs::new(&config).expect("the defaults are good")
});

fuzz_target!(|data: &[u8]| {
    let [choice, length, body @ ..] = data else { return };
    let (kind, query) = (usize::from(*choice) % TYPES.len(), usize::from(*choice) / TYPES.len() % QUERIES.len());
    let mut request = Request::post(format!("/detect{}", QUERIES[query]));
    if let Some(kind) = TYPES[kind] {
        request = request.header("content-type", kind);
    }
    let head = request.body(()).expect("a request").into_parts().0;
    let whole = receive(&head, body, body.len());
    let pieces = receive(&head, body, usize::from(*length));
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert!(whole == pieces, "{whole:?} and {pieces:?}"),
        (Err(whole), Err(pieces)) => assert_eq!(whole.code, pieces.code),
        (whole, pieces) => panic!("{whole:?} and {pieces:?}"),
    }
});

/// What a body means that comes in pieces of this length.
fn receive(head: &Parts, body: &[u8], length: usize) -> Result<Asked, RequestError> {
    let pieces: Vec<_> = body
        .chunks(length.max(1))
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    let deadline = Instant::now() + Duration::from_secs(60);
    RUNTIME.block_on(INPUTS.receive(head, body, deadline)).map(|(asked, _)| asked)
}
