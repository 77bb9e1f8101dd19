//! Taking a request's body off the connection, under limits of length, pause, pace and time. Knows nothing of what
//! is in it.

use std::error::Error;
use std::pin::Pin;
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

/// A body on its way in, taken piece by piece.
pub struct Intake<'a, B> {
    body: Pin<Box<B>>,
    limits: Limits,
    deadline: Instant,
    begun: Instant,
    announced: u64,
    received: u64,
    room: &'a mut Room,
}

impl<'a, B> Intake<'a, B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Looks at what is announced of the body. The room grows with what comes.
    ///
    /// # Errors
    /// When the body is announced too long, coded, or longer than there is room for.
    pub fn new(
        headers: &HeaderMap,
        body: B,
        limits: Limits,
        deadline: Instant,
        room: &'a mut Room,
    ) -> Result<Self, RequestError> {
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Code::UnsupportedMediaType.because("the body must come without a content coding"));
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let announced: u64 = announced.unwrap_or(0).max(body.size_hint().lower());
        if announced > limits.bytes {
            return Err(too_large(limits.bytes));
        }
        room.expect(announced)?;
        let (body, begun) = (Box::pin(body), Instant::now());
        Ok(Self { body, limits, deadline, begun, announced, received: 0, room })
    }

    /// The next piece; none after the last.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            let pace = self.limits.time_for(self.received).map_or(self.deadline, |time| self.begun + time);
            let patience = self.deadline.min(pace).min(Instant::now() + self.limits.idle);
            let next = timeout_at(patience, std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)))
                .await
                .map_err(|_| Code::RequestTimeout.because("the body did not come in time"))?;
            let piece = match next {
                None => return Ok(None),
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
            self.received += piece.len() as u64;
            if self.received > self.limits.bytes {
                return Err(too_large(self.limits.bytes));
            }
            self.room.add(piece.len() as u64)?;
            return Ok(Some(piece));
        }
    }

    /// The whole body. One that came in a single piece is handed on without a copy.
    pub async fn whole(mut self) -> Result<Bytes, RequestError> {
        let mut first = Bytes::new();
        let mut rest: Option<Buffer> = None;
        while let Some(piece) = self.piece().await? {
            if rest.is_none() && first.is_empty() {
                first = piece;
                continue;
            }
            let rest = rest.get_or_insert_with(|| {
                let room = (self.announced.min(TRUSTED_LENGTH) as usize).max(first.len() + piece.len());
                let mut rest = Buffer::with_room(room);
                rest.push(&std::mem::take(&mut first));
                rest
            });
            rest.push(&piece);
        }
        Ok(rest.map_or(first, Buffer::freeze))
    }
}

#[cfg(test)]
mod tests;
