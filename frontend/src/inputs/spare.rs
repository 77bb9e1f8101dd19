//! Buffers of long bodies, kept for the next ones: fresh memory for every one of them costs the kernel's time, page
//! by page.

use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// Buffers that are kept, and the most bytes of one: pictures of ordinary cameras.
const KEPT: usize = 2;
const LONGEST: usize = 4 << 20;

/// Least room that is offered for what comes next.
const PIECE: usize = 4 << 10;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn spare() -> std::sync::MutexGuard<'static, Vec<Vec<u8>>> {
    // A list that a panic left behind is a list.
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A body that grows. Its buffer goes back when the last of its bytes is dropped.
#[derive(Debug, Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    /// An empty body with room for so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        let mut kept = spare().pop().unwrap_or_default();
        kept.reserve(bytes);
        Self(kept)
    }
    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    /// Adds what `read` puts into the room it is given, until it puts nothing there or there are more than `limit`. All that is expected finds room at once.
    ///
    /// # Errors
    /// The first of `read`.
    pub fn fill<E>(
        &mut self,
        expected: usize,
        limit: usize,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        while self.0.len() <= limit {
            let at = self.0.len();
            self.0.resize(if at < expected { expected } else { at + PIECE }, 0);
            let done = read(&mut self.0[at..]);
            self.0.truncate(at + done.as_ref().map_or(0, |read| *read));
            if done? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The whole, to be read.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        if (1..=LONGEST).contains(&buffer.capacity()) {
            let mut spare = spare();
            if spare.len() < KEPT {
                spare.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_serves_again_and_shows_nothing_of_before() {
        let mut first = Body::with_room(1000);
        first.push(b"secret");
        assert_eq!(first.as_ref(), b"secret");
        let bytes = first.freeze();
        let part = bytes.slice(2..);
        drop(bytes);
        assert_eq!(&part[..], b"cret", "a part keeps the whole alive");
        drop(part);
        let next = Body::with_room(10);
        assert_eq!(next.as_ref(), b"");
    }

    #[test]
    fn a_reader_fills_a_body_piece_by_piece_and_never_far_above_the_limit() {
        let source = b"picture";
        let piecewise = |left: &'static [u8]| {
            let mut left = left;
            move |rest: &mut [u8]| {
                let most = rest.len().min(3);
                std::io::Read::read(&mut left, &mut rest[..most])
            }
        };
        let mut body = Body::default();
        body.fill(7, 100, piecewise(source)).expect("no error");
        assert_eq!(body.as_ref(), source);
        let mut body = Body::default();
        body.fill(1, 3, piecewise(source)).expect("no error");
        assert_eq!(body.as_ref(), &source[..4], "the limit and what came with its last byte");
        let mut answers = [Ok(2), Err("broken")].into_iter();
        let failed = |_: &mut [u8]| answers.next().expect("no third try");
        let mut body = Body::default();
        assert_eq!(body.fill(10, 100, failed), Err("broken"));
        assert_eq!(body.as_ref().len(), 2);
    }

    #[test]
    fn few_are_kept_and_none_that_is_too_long() {
        for bytes in [LONGEST + 1, 10, 10, 10, 10] {
            drop(Body::with_room(bytes));
        }
        let kept = spare();
        assert!(kept.len() <= KEPT && kept.iter().all(|buffer| buffer.capacity() <= LONGEST));
    }
}
