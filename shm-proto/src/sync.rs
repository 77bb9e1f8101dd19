//! The one switch between real atomics and loom's. Everything else of this crate imports them from here, so that
//! the models check the code that runs.

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
