//! How many bytes of bodies and pictures a frontend holds at once. Owns the count; who is over it is refused at
//! once, since waiting with half a body in hand would keep the room from everybody.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Code, RequestError};

/// Seconds after which trying again makes sense: bodies are held for as long as they take to arrive and decode.
const RETRY: u32 = 1;

/// Bytes there is room for, counted in KiB.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    /// Room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Semaphore::new((bytes.div_ceil(1024) as usize).min(Semaphore::MAX_PERMITS))))
    }

    /// Room for one request, still empty.
    pub fn room(&self) -> Room {
        Room { budget: self.clone(), bytes: 0, held: None, shared: Vec::new() }
    }
}

/// What one request takes of the budget. Dropped when its bytes are.
#[derive(Debug)]
pub struct Room {
    budget: Budget,
    bytes: u64,
    held: Option<OwnedSemaphorePermit>,
    /// Rooms of bytes that other requests use as well.
    shared: Vec<Arc<Room>>,
}

impl Room {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// `overloaded` when they cannot be had at once.
    pub fn add(&mut self, bytes: u64) -> Result<(), RequestError> {
        self.bytes += bytes;
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) as u64;
        let wanted = self.bytes.div_ceil(1024).saturating_sub(held);
        if wanted == 0 {
            return Ok(());
        }
        let more = u32::try_from(wanted).ok();
        let more = more.and_then(|more| self.budget.0.clone().try_acquire_many_owned(more).ok());
        let more = more.ok_or_else(full)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Keeps another room for as long as this one: the request uses bytes that it does not own alone.
    pub fn share(&mut self, other: Arc<Room>) {
        self.shared.push(other);
    }

    /// Whether so many bytes more could be had now. Takes nothing: an announcement costs its sender nothing, so
    /// it must not keep others out.
    ///
    /// # Errors
    /// `overloaded` when they could not.
    pub fn expect(&self, bytes: u64) -> Result<(), RequestError> {
        if self.budget.0.available_permits() as u64 >= bytes.div_ceil(1024) { Ok(()) } else { Err(full()) }
    }
}

fn full() -> RequestError {
    Code::Overloaded.because("as many bytes of images are on their way as are allowed").retry_after(RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_by_the_kibibyte_and_given_back() {
        let budget = Budget::new(3 << 10);
        let left = || budget.0.available_permits();
        let mut room = budget.room();
        for (bytes, expected) in [(0, 3), (1, 2), (1023, 2), (1, 1)] {
            room.add(bytes).expect("room");
            assert_eq!(left(), expected, "after {bytes}");
        }
        assert!(room.expect(1024).is_ok() && room.expect(1025).is_err());
        let refused = budget.room().add(1025).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (Code::Overloaded, Some(RETRY)));
        assert_eq!(left(), 1, "a refusal takes nothing");
        drop(room);
        assert_eq!(left(), 3);
        assert!(budget.room().add(u64::MAX / 2).is_err());
    }
}
