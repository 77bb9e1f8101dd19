//! Sleeping on a word of shared memory. The word is shared between processes, so the private futex flag must not
//! be used. Holds two of this crate's `unsafe` blocks: the system calls.

use crate::sync::AtomicU32;
use std::time::Duration;

/// Sleeps while `word` is `expected`, at most `patience`. Returns on a wake, a changed word, a signal or the end
/// of the patience, without saying which: the caller looks again in any case.
pub(crate) fn wait(word: &AtomicU32, expected: u32, patience: Duration) {
    let timeout = libc::timespec {
        tv_sec: patience.as_secs() as libc::time_t,
        tv_nsec: patience.subsec_nanos() as libc::c_long,
    };
    // SAFETY: `word` is a live, aligned u32 for the whole call (it is borrowed), `timeout` outlives it too, and
    // FUTEX_WAIT reads both and writes neither. Errors (EAGAIN, EINTR, ETIMEDOUT) are all "look again".
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, &raw const timeout);
    }
}

/// Wakes up to `count` sleepers.
pub(crate) fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: `word` is a live, aligned u32 for the whole call; FUTEX_WAKE uses its address only as a key.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count);
    }
}
