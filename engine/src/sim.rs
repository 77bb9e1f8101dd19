//! A modelled accelerator: runs that take the time of a curve, and outputs that are always the same.
//!
//! Owns when a simulated run ends. Everything else of the service is real, so that what it does in front of an
//! accelerator that is not there can be measured. What is found in the outputs is of no worth, and whoever reports
//! says so (`vision::model::ModelFacts::is_simulated`).

use crate::config::Curve;
use nix::sys::prctl;
use shm_proto::clock::{self, Nanos};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The accelerator. Its lanes run side by side, each one batch after the other.
pub struct Simulation {
    curve: Curve,
    /// Every output of one image.
    outputs: Vec<Vec<u8>>,
    /// Addresses of output slices that hold them already: nobody but the engine writes there.
    written: Mutex<HashSet<(usize, usize)>>,
    /// When each lane's run before ended. One thread a lane: Relaxed.
    free: Vec<AtomicU64>,
}

impl Simulation {
    /// An accelerator that answers every image with these outputs.
    pub fn new(curve: Curve, outputs: Vec<Vec<u8>>, lanes: u32) -> Self {
        let free = (0..lanes.max(1)).map(|_| AtomicU64::new(0)).collect();
        Self { curve, outputs, written: Mutex::default(), free }
    }

    /// The time a run takes.
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// Runs a batch whose last image was submitted then; returns when the run is over.
    ///
    /// A real device begins a batch that waits the moment it is done with the one before, however late the thread is
    /// that looks after it. So the run begins then, at the earliest when it was submitted, and ends now at the earliest.
    pub fn run(&self, lane: u32, submitted: Nanos, images: usize, outputs: &mut [&mut [u8]]) {
        let free = &self.free[lane as usize % self.free.len()];
        let time = self.curve.time(u32::try_from(images).unwrap_or(u32::MAX));
        let over = end(free.load(Relaxed), submitted, time, clock::now());
        self.write(outputs);
        // As precise as the machine can: what the kernel may add by itself is 50 µs, a part of a fast run.
        let _ = prctl::set_timerslack(1);
        while let Some(rest) = over.checked_sub(clock::now()).filter(|rest| *rest > 0) {
            std::thread::sleep(Duration::from_nanos(rest));
        }
        free.store(over, Relaxed);
    }

    /// Lays the outputs into slices that do not have them yet.
    fn write(&self, slices: &mut [&mut [u8]]) {
        for (slice, output) in slices.iter_mut().zip(&self.outputs) {
            let place = (slice.as_ptr() as usize, slice.len());
            // A set that a panic left behind is a set: an address the fewer is written again.
            if self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
                slice.chunks_mut(output.len().max(1)).for_each(|image| image.copy_from_slice(output));
            }
        }
    }
}

/// When a run ends that takes `time`, on a device that was `free` then, of a batch submitted then; not before `now`.
fn end(free: Nanos, submitted: Nanos, time: Duration, now: Nanos) -> Nanos {
    free.max(submitted).saturating_add(time.as_nanos() as Nanos).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Point;

    fn accelerator() -> Simulation {
        let points = vec![Point { images: 1, time: Duration::from_millis(20) }];
        Simulation::new(Curve::new(points, 1.0), vec![vec![7, 8], vec![9]], 2)
    }

    #[test]
    fn a_run_takes_the_time_of_the_curve_and_leaves_the_outputs() {
        let accelerator = accelerator();
        let (mut first, mut second) = ([0; 4], [0; 2]);
        let begun = clock::now();
        accelerator.run(0, begun, 2, &mut [&mut first, &mut second]);
        assert!(clock::now() - begun >= 40_000_000);
        assert_eq!((first, second), ([7, 8, 7, 8], [9, 9]));
    }

    #[test]
    fn a_batch_that_waited_begins_when_the_one_before_ends() {
        let time = Duration::from_nanos(100);
        assert_eq!(
            end(1000, 900, time, 1040),
            1100,
            "it waited: from the end of the one before, however late we are"
        );
        assert_eq!(end(1000, 1030, time, 1040), 1130, "it came later: from when it was submitted");
        assert_eq!(end(1000, 900, time, 5000), 5000, "no run ends before it is run");
        assert_eq!(end(0, 0, time, 0), 100);
    }
}
