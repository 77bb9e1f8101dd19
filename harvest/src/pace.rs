//! How much of the machine the keeping of pictures may take. Whatever comes in, a writer works for its share of the
//! processors and rests for the remainder: requests lose no more than that, and what the writers do not get done is dropped.
//!
//! Decides how long to rest; sleeping and dropping are the writer's.

use rustix::time::{ClockId, clock_gettime};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

/// The share of one writer among its peers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Of one processor.
    share: f64,
    peers: f64,
}

/// Work that has begun.
pub(crate) struct Work {
    at: Instant,
    used: Duration,
}

impl Pace {
    /// Of one of so many writers, which together may take a percentage of all processors.
    pub(crate) fn new(percentage: f64, peers: usize) -> Self {
        let processors = available_parallelism().map_or(1, usize::from) as f64;
        let peers = peers.max(1) as f64;
        Self { share: percentage / 100.0 * processors / peers, peers }
    }

    pub(crate) fn begin(self) -> Work {
        Work { at: Instant::now(), used: used() }
    }

    /// How long to rest after work that ends now.
    pub(crate) fn rest_after(self, work: Work) -> Duration {
        self.rest(work.at.elapsed(), used().saturating_sub(work.used))
    }

    /// After work that took so long and so much of a processor.
    fn rest(self, took: Duration, used: Duration) -> Duration {
        let for_requests =
            (used.as_secs_f64() / self.share - took.as_secs_f64()).clamp(0.0, LONGEST.as_secs_f64());
        // Whoever writes holds the index: half the time it is free for people, however slow the disk.
        let for_people = took.mul_f64(2.0 * self.peers).min(LONGEST);
        Duration::from_secs_f64(for_requests).max(for_people)
    }
}

/// Longest rest.
const LONGEST: Duration = Duration::from_secs(60);

/// What this thread has had of a processor.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.max(0).cast_unsigned(), time.tv_nsec.max(0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_writer_takes_its_share_of_the_processors_and_no_more() {
        let pace = Pace { share: 0.02, peers: 2.0 };
        for (took, used, rest) in [
            (ms(10), ms(2), ms(90)),
            (ms(10), ms(10), ms(490)),
            (ms(0), ms(0), ms(0)),
            // A slow disk: the index is left alone for as long as all peers together may hold it.
            (ms(1000), ms(1), ms(4000)),
            (Duration::from_secs(3600), ms(1), LONGEST),
        ] {
            let found = pace.rest(took, used);
            assert!(found.abs_diff(rest) < ms(1), "{took:?} {used:?}: {found:?}");
        }
    }

    #[test]
    fn peers_share() {
        let (alone, together) = (Pace::new(2.0, 1), Pace::new(2.0, 4));
        assert!((alone.share - 4.0 * together.share).abs() < 1e-9);
    }

    #[test]
    fn work_is_measured_in_processor_time() {
        let pace = Pace { share: 1.0, peers: 1.0 };
        let work = pace.begin();
        let until = used() + ms(20);
        while used() < until {}
        assert!(used().saturating_sub(work.used) >= ms(20));
        assert!(pace.rest_after(work) >= ms(40), "twice what it held the index");
    }
}
