//! A request's body that remembers whether it was read to its end, and counts what came. One that was not makes its answer the last of
//! the connection: what is left of it stands where the next request should begin.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use shm_proto::board::{Counter, Process};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Whether a body was read to its end.
#[derive(Clone, Debug)]
pub(super) struct Whole(Arc<AtomicBool>);

impl Whole {
    /// Watches a body, and counts its bytes among those the process received.
    pub(super) fn watch<B: Body<Data = Bytes> + Send>(
        body: B,
        process: Process<'_>,
    ) -> (Self, impl Body<Data = Bytes, Error = B::Error> + Send) {
        let whole = Self(Arc::new(AtomicBool::new(body.is_end_stream())));
        (whole.clone(), Watched { body: Box::pin(body), whole, process })
    }

    /// The answer now.
    pub(super) fn is_read(&self) -> bool {
        self.0.load(Relaxed)
    }
}

struct Watched<'a, B> {
    body: Pin<Box<B>>,
    whole: Whole,
    process: Process<'a>,
}

impl<B: Body<Data = Bytes>> Body for Watched<'_, B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = self.body.as_mut().poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(piece) = frame.data_ref()
        {
            self.process.add(Counter::BytesIn, piece.len() as u64);
        }
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.whole.0.store(true, Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn only_a_body_that_was_read_is_whole() {
        let rig = crate::testing::Rig::start();
        let (whole, body) = Whole::watch(Full::new(Bytes::from_static(b"x")), rig.service.process());
        assert!(!whole.is_read());
        body.collect().await.expect("a body that cannot fail");
        assert!(whole.is_read());
        assert!(
            Whole::watch(Full::new(Bytes::new()), rig.service.process()).0.is_read(),
            "no body is read already"
        );
    }
}
