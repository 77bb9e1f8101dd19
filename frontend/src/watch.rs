//! Waiting for a descriptor on the runtime. Owns one call, so that its reason is given once.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor to be waited for until it is readable. It has to be non-blocking.
///
/// # Errors
/// When it cannot be waited for.
#[expect(
    deprecated,
    reason = "its successor is unsafe because a type could name a descriptor that it does not own; one that is \
              AsFd promises that it does"
)]
pub fn readable<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, Interest::READABLE)
}
