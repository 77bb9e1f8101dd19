//! The one clock of the protocol: `CLOCK_MONOTONIC`, which all processes of a machine share and no operator sets.

/// Nanoseconds of `CLOCK_MONOTONIC`. Comparable between processes of one machine; 0 means "never".
pub type Nanos = u64;

/// The time now. Never 0.
pub fn now() -> Nanos {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) {
        Ok(t) => (t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64).max(1),
        // Linux always has this clock; a time of 1 would only make waits look old.
        Err(_) => 1,
    }
}
