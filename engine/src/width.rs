//! Whether a run that has the machine to itself takes one thread or several.
//!
//! Several threads make a run shorter where the cores are free and the network's nodes are big, and longer where
//! something else wants the cores. Neither is known beforehand, and it changes: so both are tried now and then, and
//! the one that is faster is taken. Decides only; the runs are `ort_run`'s.

use crate::ort_run::Width;
use shm_proto::clock::Nanos;
use shm_proto::typical::TypicalTime;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Every so manyth run is one of the other width, to learn whether it has become the better one.
const TRY: u32 = 16;
/// What a try counts for: many runs like it were not tried.
const EAGER: u32 = 4;
/// A run that is shorter has nothing to share: waking other threads takes as long.
pub const WORTH_SHARING: Duration = Duration::from_micros(500);

/// What runs of either width take, when nothing else is in service.
#[derive(Debug)]
pub struct Widths {
    narrow: TypicalTime,
    wide: TypicalTime,
    runs: AtomicU32,
}

impl Widths {
    /// With what warming up has shown.
    pub fn new(narrow: Duration, wide: Duration) -> Self {
        let known = |time: Duration| TypicalTime::new(time.as_nanos() as Nanos);
        Self { narrow: known(narrow), wide: known(wide), runs: AtomicU32::new(0) }
    }

    /// The width of the next run.
    pub fn next(&self) -> Width {
        let (better, other) = if self.wide.get() < self.narrow.get() {
            (Width::Wide, Width::Narrow)
        } else {
            (Width::Narrow, Width::Wide)
        };
        // Relaxed: a run that is tried too early or too late is tried all the same.
        if self.runs.fetch_add(1, Relaxed) % TRY == TRY - 1 { other } else { better }
    }

    /// A run that this chose took so long.
    pub fn saw(&self, width: Width, time: Nanos) {
        let (mine, other) = match width {
            Width::Narrow => (&self.narrow, &self.wide),
            Width::Wide => (&self.wide, &self.narrow),
        };
        let counts = if mine.get() > other.get() { EAGER } else { 1 };
        (0..counts).for_each(|_| mine.saw(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(widths: &Widths, count: usize, narrow: Nanos, wide: Nanos) -> usize {
        let of = |width| if width == Width::Wide { wide } else { narrow };
        let chosen = (0..count).map(|_| {
            let width = widths.next();
            widths.saw(width, of(width));
            width
        });
        chosen.filter(|width| *width == Width::Wide).count()
    }

    #[test]
    fn the_faster_one_is_taken_and_the_other_tried() {
        let widths = Widths::new(Duration::from_millis(8), Duration::from_millis(5));
        assert_eq!(runs(&widths, 320, 8_000_000, 5_000_000), 300);
    }

    #[test]
    fn it_notices_when_the_other_becomes_the_faster_one() {
        let widths = Widths::new(Duration::from_millis(8), Duration::from_millis(5));
        // Other programs take the cores: a run of two threads waits for the slower one.
        runs(&widths, 100, 8_000_000, 16_000_000);
        assert!(runs(&widths, 320, 8_000_000, 16_000_000) <= 20);
        // They have gone.
        runs(&widths, 160, 8_000_000, 5_000_000);
        assert!(runs(&widths, 320, 8_000_000, 5_000_000) >= 300);
    }
}
