//! The typical time of something done over and over: its median, followed step by step. A thread that was taken off
//! its core for milliseconds in between does not count for more than any other sample.

use crate::clock::Nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that are looked at in a nanosecond, where nothing is known yet.
const GUESS: u64 = 5;
/// The estimate follows by this part of itself.
const STEP: u64 = 16;

/// A running estimate.
#[derive(Debug)]
pub struct TypicalTime(AtomicU64);

impl TypicalTime {
    /// Before the first sample, for something that looks at so many bytes.
    pub fn guess(bytes: u64) -> Self {
        Self::new(bytes / GUESS)
    }

    /// With a first sample.
    pub fn new(time: Nanos) -> Self {
        Self(AtomicU64::new(time.max(STEP)))
    }

    /// The estimate.
    pub fn get(&self) -> Nanos {
        self.0.load(Relaxed)
    }

    /// Takes note of one more time. Threads that do so at once may lose a step of each other's.
    pub fn saw(&self, time: Nanos) {
        let typical = self.get();
        let step = (typical / STEP).max(1);
        let next = if time > typical { typical + step } else { typical - step };
        self.0.store(next.max(STEP), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_median_and_not_the_mean() {
        let time = TypicalTime::guess(1 << 20);
        assert!(time.get() > 100_000);
        for k in 0..1000u64 {
            time.saw(if k % 10 == 0 { 4_000_000 } else { 20_000 + k % 7 });
        }
        assert!((15_000..25_000).contains(&time.get()), "{}", time.get());
        for _ in 0..100 {
            time.saw(1_000_000);
        }
        assert!(time.get() > 900_000, "{}", time.get());
    }
}
