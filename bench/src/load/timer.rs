//! When requests of an open loop are due, and a clock that wakes at that time and not up to a millisecond later, as the
//! runtime's own timer does.

use super::Arrivals;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The times at which one thread's share of the requests is due, since the beginning.
pub struct Schedule {
    next: f64,
    interval: f64,
    arrivals: Arrivals,
    random: fastrand::Rng,
}

impl Schedule {
    /// Of thread `index` of `threads` that send `rate` requests a second together.
    pub fn new(rate: f64, arrivals: Arrivals, index: usize, threads: usize) -> Self {
        let interval = threads as f64 / rate;
        let mut schedule = Self {
            next: index as f64 / rate,
            interval,
            arrivals,
            // The same arrivals in every run: what differs between two runs is then the server.
            random: fastrand::Rng::with_seed(0x5eed + index as u64),
        };
        if arrivals == Arrivals::Poisson {
            schedule.next = schedule.gap();
        }
        schedule
    }

    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => self.interval,
            // Exponential gaps; threads' streams together are Poisson again. 1 - x is never 0.
            Arrivals::Poisson => -(1.0 - self.random.f64()).ln() * self.interval,
        }
    }

    /// When the next request is due; it stays the next one until [`Schedule::take`].
    pub fn peek(&self) -> Duration {
        Duration::from_secs_f64(self.next)
    }

    /// Takes it.
    pub fn take(&mut self) {
        self.next += self.gap();
    }
}

/// Wakes a task at a time. A thread of its own sleeps for it, as precisely as the kernel does.
pub struct Timer {
    sleeper: mpsc::Sender<Instant>,
    woken: Arc<Notify>,
}

impl Timer {
    /// Starts the thread; it ends with the timer.
    pub fn new() -> io::Result<Self> {
        let (sleeper, times) = mpsc::channel::<Instant>();
        let woken = Arc::new(Notify::new());
        let wake = woken.clone();
        std::thread::Builder::new().name("load-timer".to_owned()).spawn(move || {
            for then in times {
                std::thread::sleep(then.saturating_duration_since(Instant::now()));
                wake.notify_one();
            }
        })?;
        Ok(Self { sleeper, woken })
    }

    /// Waits until then; at once when that has passed. One wait at a time.
    pub async fn until(&mut self, then: Instant) {
        // A wait that was given up leaves a wake-up behind: hence the loop.
        while Instant::now() < then {
            if self.sleeper.send(then).is_err() {
                return;
            }
            self.woken.notified().await;
        }
    }
}
