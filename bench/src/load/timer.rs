//! When requests of an open loop are due, and a clock that wakes at that time and not up to a millisecond later, as the
//! runtime's own timer does.

use super::Arrivals;
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

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

struct Descriptor(TimerFd);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A timer with the kernel's precision.
pub struct Timer(AsyncFd<Descriptor>);

impl Timer {
    /// Within a runtime.
    pub fn new() -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        Ok(Self(AsyncFd::new(Descriptor(timer))?))
    }

    /// Waits until then; at once when that has passed.
    pub async fn until(&mut self, then: Instant) -> io::Result<()> {
        let wait = then.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let timer = &self.0.get_ref().0;
        timer.set(Expiration::OneShot(TimeSpec::from_duration(wait)), TimerSetTimeFlags::empty())?;
        loop {
            let mut ready = self.0.readable().await?;
            // Setting the timer anew forgets what it had to tell.
            ready.clear_ready();
            if Instant::now() >= then {
                return Ok(());
            }
        }
    }
}
