use super::*;
use crate::inputs::budget::Budget;
use crate::inputs::roomy;
use http::HeaderValue;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;

const LIMITS: Limits = Limits { bytes: 10, idle: Duration::from_secs(10), min_rate: 0 };

fn headers(fields: &[(http::HeaderName, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

fn in_an_hour() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A body in pieces, each with the pause before it.
fn pieces(pieces: Vec<(u64, &'static str)>) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(futures_util::stream::unfold(pieces.into_iter(), |mut rest| async move {
        let (seconds, piece) = rest.next()?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Some((Ok(Frame::data(Bytes::from_static(piece.as_bytes()))), rest))
    }))
}

/// The whole body, read under these limits.
async fn collect<B>(
    headers: &HeaderMap,
    body: B,
    limits: Limits,
    deadline: Instant,
    room: &mut Room,
) -> Result<Bytes, RequestError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Intake::new(headers, body, limits, deadline, room)?.whole().await
}

/// A body that must not be read.
fn untouchable() -> impl Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(futures_util::stream::poll_fn(|_| panic!("the body was read")))
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    let sent = Bytes::from(vec![7; 10]);
    let got = collect(&HeaderMap::new(), Full::new(sent.clone()), LIMITS, in_an_hour(), &mut roomy())
        .await
        .unwrap();
    assert_eq!(got.as_ptr(), sent.as_ptr());
    assert_eq!(got, sent);
}

#[tokio::test(start_paused = true)]
async fn pieces_are_joined_up_to_the_limit() {
    let cases = [
        (vec![], Ok("")),
        (vec![(0, "ab")], Ok("ab")),
        (vec![(0, ""), (0, "ab"), (0, ""), (0, "c")], Ok("abc")),
        (vec![(9, "01234"), (9, "56789")], Ok("0123456789")),
        (vec![(0, "01234"), (0, "567890")], Err(Code::BodyTooLarge)),
        (vec![(0, "01234567890")], Err(Code::BodyTooLarge)),
        (vec![(11, "a")], Err(Code::RequestTimeout)),
        (vec![(0, "a"), (11, "b")], Err(Code::RequestTimeout)),
    ];
    for (sent, expected) in cases {
        let got = collect(&HeaderMap::new(), pieces(sent.clone()), LIMITS, in_an_hour(), &mut roomy()).await;
        assert_eq!(got.map_err(|error| error.code), expected.map(Bytes::from), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickle_ends_at_the_deadline() {
    let trickle = vec![(4, "a"); 8];
    let begun = Instant::now();
    let got =
        collect(&HeaderMap::new(), pieces(trickle), LIMITS, begun + Duration::from_secs(30), &mut roomy())
            .await;
    assert_eq!(got.unwrap_err().code, Code::RequestTimeout);
    assert_eq!(begun.elapsed(), Duration::from_secs(30), "by the paused clock");
}

#[tokio::test]
async fn what_is_announced_too_long_or_coded_is_not_read() {
    let cases = [
        (headers(&[(CONTENT_LENGTH, "11")]), Code::BodyTooLarge),
        (headers(&[(CONTENT_LENGTH, "18446744073709551615")]), Code::BodyTooLarge),
        (headers(&[(CONTENT_ENCODING, "gzip")]), Code::UnsupportedMediaType),
        (headers(&[(CONTENT_ENCODING, "br"), (CONTENT_LENGTH, "3")]), Code::UnsupportedMediaType),
    ];
    for (headers, code) in cases {
        let got = collect(&headers, untouchable(), LIMITS, in_an_hour(), &mut roomy()).await;
        assert_eq!(got.unwrap_err().code, code, "{headers:?}");
    }
    let plain = headers(&[(CONTENT_ENCODING, "identity"), (CONTENT_LENGTH, "2")]);
    assert_eq!(
        collect(&plain, pieces(vec![(0, "ab")]), LIMITS, in_an_hour(), &mut roomy()).await.unwrap(),
        "ab"
    );
}

#[tokio::test]
async fn a_broken_body_is_a_bad_request() {
    let broken = StreamBody::new(futures_util::stream::iter([
        Ok(Frame::data(Bytes::from_static(b"ab"))),
        Err(std::io::Error::other("10.0.0.7 went away")),
    ]));
    let error = collect(&HeaderMap::new(), broken, LIMITS, in_an_hour(), &mut roomy()).await.unwrap_err();
    assert_eq!(error.code, Code::BadRequest);
    assert!(!error.detail.contains("10.0.0.7"), "a cause is not for clients: {}", error.detail);
}

#[tokio::test(start_paused = true)]
async fn a_body_must_keep_its_pace() {
    let limits = Limits { bytes: 1000, min_rate: 2, ..LIMITS };
    for (sent, expected) in [
        (vec![(4, "ab"), (4, "cd")], Err(Code::RequestTimeout)),
        (vec![(2, "0123456789"), (2, "0123456789"), (5, "0")], Ok(21)),
        (vec![(4, "0123456789"), (0, "0123456789"), (7, "0")], Err(Code::RequestTimeout)),
        (vec![(6, "0123456789")], Err(Code::RequestTimeout)),
    ] {
        let got = collect(&HeaderMap::new(), pieces(sent.clone()), limits, in_an_hour(), &mut roomy()).await;
        assert_eq!(got.map(|body| body.len()).map_err(|error| error.code), expected, "{sent:?}");
    }
}

#[tokio::test]
async fn a_body_without_room_is_refused_and_what_is_announced_before_it_is_read() {
    let limits = Limits { bytes: 1 << 20, ..LIMITS };
    let budget = Budget::new(1 << 10);
    let long = headers(&[(CONTENT_LENGTH, "1025")]);
    let got = collect(&long, untouchable(), limits, in_an_hour(), &mut budget.room()).await;
    assert_eq!(got.unwrap_err().code, Code::Overloaded);
    let mut room = budget.room();
    let got = collect(&HeaderMap::new(), pieces(vec![(0, "ab")]), limits, in_an_hour(), &mut room).await;
    assert!(got.is_ok());
    let got =
        collect(&HeaderMap::new(), pieces(vec![(0, "ab")]), limits, in_an_hour(), &mut budget.room()).await;
    assert_eq!(got.unwrap_err().code, Code::Overloaded, "the first body is still held");
    drop(room);
    let got =
        collect(&HeaderMap::new(), pieces(vec![(0, "ab")]), limits, in_an_hour(), &mut budget.room()).await;
    assert!(got.is_ok());
}
