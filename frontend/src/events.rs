//! Live figures: a server-sent event a second, out of the board, for whoever watches.
//!
//! One document is made a second, however many watch, and none when nobody does. A watcher that is slow finds the newest document
//! when it comes back and has missed those between; it delays nobody. There are so many watchers at most, each stream ends after a
//! while, and all of them end when the service closes. Knows nothing of what the figures mean.

use crate::error::{Code, RequestError};
use crate::service::{Phase, Service};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::StreamBody;
use hyper::body::{Body, Frame};
use serde_json::Value;
use shm_proto::board::Counter;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Streams that one frontend has open at once.
const WATCHERS: usize = 64;
/// After this time a stream ends, and the browser asks again: perhaps another frontend.
const LIFETIME: Duration = Duration::from_secs(600);
/// When a browser asks again, in milliseconds.
const RETRY: u32 = 2000;

/// The newest figures and who watches them.
#[derive(Debug)]
pub struct Events {
    newest: watch::Sender<Bytes>,
    seats: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Self {
        Self { newest: watch::Sender::default(), seats: Arc::new(Semaphore::new(WATCHERS)) }
    }
}

impl Events {
    /// Whether making a document is worth it.
    pub fn is_watched(&self) -> bool {
        self.newest.receiver_count() > 0
    }

    /// Gives everybody who watches a new document.
    pub fn publish(&self, document: &Value) {
        self.newest.send_replace(event("stats", document));
    }
}

/// A stream that begins with these events and goes on with what is published.
///
/// # Errors
/// `too_many_connections`, when as many watch as may.
pub fn watch(
    service: &Arc<Service>,
    first: &[(&str, Value)],
) -> Result<impl Body<Data = Bytes, Error = Infallible> + Send + 'static, RequestError> {
    watch_for(service, first, LIFETIME)
}

fn watch_for(
    service: &Arc<Service>,
    first: &[(&str, Value)],
    lifetime: Duration,
) -> Result<StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static>, RequestError> {
    let events = &service.events;
    let seat = events.seats.clone().try_acquire_owned().map_err(|_| {
        Code::TooManyConnections.because("as many pages watch as may; try again later").retry_after(5)
    })?;
    let mut begin = format!("retry: {RETRY}\n\n").into_bytes();
    for (name, document) in first {
        begin.extend_from_slice(&event(name, document));
    }
    let watcher = Watcher {
        service: service.clone(),
        begin: Some(begin.into()),
        newest: events.newest.subscribe(),
        phase: service.phase(),
        end: Instant::now() + lifetime,
        seat,
    };
    Ok(StreamBody::new(stream::unfold(watcher, |mut watcher| async {
        let piece = watcher.next().await?;
        watcher.service.process().add(Counter::BytesOut, piece.len() as u64);
        Some((Ok(Frame::data(piece)), watcher))
    })))
}

struct Watcher {
    service: Arc<Service>,
    begin: Option<Bytes>,
    newest: watch::Receiver<Bytes>,
    phase: watch::Receiver<Phase>,
    end: Instant,
    #[expect(dead_code, reason = "held as long as the stream is open")]
    seat: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(begin) = self.begin.take() {
            return Some(begin);
        }
        tokio::select! {
            biased;
            _ = self.phase.wait_for(|phase| *phase >= Phase::Closing) => None,
            () = tokio::time::sleep_until(self.end) => None,
            changed = self.newest.changed() => {
                changed.ok()?;
                Some(self.newest.borrow_and_update().clone())
            }
        }
    }
}

/// One event as it goes over the wire; JSON has no line breaks of its own.
fn event(name: &str, document: &Value) -> Bytes {
    format!("event: {name}\ndata: {document}\n\n").into()
}

#[cfg(test)]
mod tests;
