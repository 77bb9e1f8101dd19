//! Taking a request's body off the connection, under limits of length, pause, pace and time. Knows nothing of what
//! is in it.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};

use super::budget::Room;
use super::spare::Body as Buffer;
use crate::error::{Code, RequestError};

/// Most that is set aside on the word of a `Content-Length` before the bytes are there.
const TRUSTED_LENGTH: u64 = 1 << 20;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, in bytes.
    pub bytes: u64,
    /// Longest pause between two pieces.
    pub idle: Duration,
    /// Fewest bytes a second, on average from the start of the body; 0 for none.
    pub min_rate: u64,
}

/// How long a body may take to get going before its rate counts.
const START: Duration = Duration::from_secs(5);

impl Limits {
    /// The time a body may have taken when so many bytes of it are here and no more come.
    fn time_for(self, received: u64) -> Option<Duration> {
        let full = (received * 1000).checked_div(self.min_rate)?;
        Some(Duration::from_millis(full).max(START))
    }

    /// The same with no more than `bytes`.
    pub fn at_most(self, bytes: u64) -> Self {
        Self { bytes: self.bytes.min(bytes), ..self }
    }
}

/// The refusal of a body or picture of more than `limit` bytes.
pub fn too_large(limit: u64) -> RequestError {
    Code::BodyTooLarge.because(format!("no more than {limit} bytes are taken"))
}

/// Reads the whole body. One that came in a single piece is handed on without a copy.
pub async fn collect<B>(
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
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Code::UnsupportedMediaType.because("the body must come without a content coding"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced: u64 = announced.unwrap_or(0).max(body.size_hint().lower());
    if announced > limits.bytes {
        return Err(too_large(limits.bytes));
    }
    room.expect(announced)?;
    let begun = Instant::now();
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut rest: Option<Buffer> = None;
    loop {
        let received = (first.len() + rest.as_ref().map_or(0, Buffer::len)) as u64;
        let pace = limits.time_for(received).map_or(deadline, |time| begun + time);
        let patience = deadline.min(pace).min(Instant::now() + limits.idle);
        let next = timeout_at(patience, std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)))
            .await
            .map_err(|_| Code::RequestTimeout.because("the body did not come in time"))?;
        let piece = match next {
            None => break,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) => piece,
                // Trailers say nothing about the picture.
                Err(_) => continue,
            },
            Some(Err(error)) => {
                tracing::debug!(error = %error.into(), "body broke off");
                return Err(Code::BadRequest.because("the body broke off or is malformed"));
            }
        };
        if received + piece.len() as u64 > limits.bytes {
            return Err(too_large(limits.bytes));
        }
        room.add(piece.len() as u64)?;
        if rest.is_none() && first.is_empty() {
            first = piece;
            continue;
        }
        let rest = rest.get_or_insert_with(|| {
            let room = (announced.min(TRUSTED_LENGTH) as usize).max(first.len() + piece.len());
            let mut rest = Buffer::with_room(room);
            rest.push(&std::mem::take(&mut first));
            rest
        });
        rest.push(&piece);
    }
    Ok(rest.map_or(first, Buffer::freeze))
}

#[cfg(test)]
mod tests;
