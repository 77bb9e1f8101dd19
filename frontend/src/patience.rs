//! A TCP stream that loses patience: with a client that says nothing, sends its header too slowly, or does not
//! take its answer. hyper sees an I/O error and ends the connection.
//!
//! The body of a request is the inputs' business: while a request is being served, reading is not timed here.

use crate::server::Stream;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection may be in which part of its life.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the connection to the end of its first header, and from the first byte of any other to its end.
    pub header: Duration,
    /// Between an answer and the next request's first byte.
    pub idle: Duration,
    /// Between two bytes that the client takes.
    pub write: Duration,
}

/// What the service tells the stream: whether a request is being served. Even numbers mean "none is", and each
/// request makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<AtomicU32>);

impl Pace {
    /// A request begins or has got its answer.
    pub fn turn(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn count(&self) -> u32 {
        self.0.load(Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.count() % 2 == 1
    }
}

/// The stream. See the module.
pub struct Patient {
    stream: Stream,
    pace: Pace,
    limits: Limits,
    reading: Option<Wait>,
    writing: Option<Wait>,
    /// Count of [`Pace`] at which a header began to come in.
    head: Option<u32>,
    /// Whether a header began and did not come to its end in time.
    late: bool,
}

/// A wait under way: for which count of [`Pace`], and its end.
struct Wait {
    count: u32,
    head: bool,
    sleep: Pin<Box<Sleep>>,
}

impl Wait {
    fn new(count: u32, head: bool, patience: Duration) -> Self {
        Self { count, head, sleep: Box::pin(sleep_until(Instant::now() + patience)) }
    }

    /// Makes this wait another one; keeps the timer's memory.
    fn renew(&mut self, count: u32, head: bool, patience: Duration) {
        (self.count, self.head) = (count, head);
        self.sleep.as_mut().reset(Instant::now() + patience);
    }
}

impl Patient {
    /// Wraps a fresh connection.
    pub fn new(stream: impl Into<Stream>, pace: Pace, limits: Limits) -> Self {
        Self { stream: stream.into(), pace, limits, reading: None, writing: None, head: None, late: false }
    }

    /// Whether the client was given up in the middle of a header: nobody has answered it.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// The stream without its patience.
    pub fn into_inner(self) -> Stream {
        self.stream
    }

    /// Nothing to read: whether the client has run out of time.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.pace.is_busy() {
            return Poll::Pending;
        }
        let count = self.pace.count();
        let head = self.head == Some(count);
        let patience = if head || count == 0 { self.limits.header } else { self.limits.idle };
        // The first header's time began with the connection: its first byte does not start it anew.
        let anew = head && count > 0;
        match &mut self.reading {
            Some(wait) if wait.count == count && wait.head == anew => {}
            Some(wait) => wait.renew(count, anew, patience),
            None => self.reading = Some(Wait::new(count, anew, patience)),
        }
        if let Some(wait) = &mut self.reading {
            ready!(wait.sleep.as_mut().poll(cx));
        }
        self.late = head;
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// The client takes nothing: whether it has run out of time.
    fn poll_stuck(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let wait = self.writing.get_or_insert_with(|| Wait::new(0, false, self.limits.write));
        ready!(wait.sleep.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Progress was made in writing: both clocks start anew.
    fn wrote(&mut self) {
        self.writing = None;
        if let Some(wait) = &mut self.reading {
            // An odd count is never waited for, so the next silence renews the timer.
            wait.count = u32::MAX;
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => this.poll_silence(cx).map(Err),
            done => {
                let count = this.pace.count();
                if buf.filled().len() > before && !this.pace.is_busy() && this.head != Some(count) {
                    this.head = Some(count);
                }
                done
            }
        }
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Pending => this.poll_stuck(cx).map(Err),
            done => {
                this.wrote();
                done
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bytes) {
            Poll::Pending => this.poll_stuck(cx).map(Err),
            done => {
                this.wrote();
                done
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
