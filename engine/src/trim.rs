//! Gives memory back that loading took: parsing and rewriting a graph leaves holes in the heap that no run fills.
#![allow(unsafe_code)]

/// Returns what the allocator holds and nobody uses to the system. For when a load is over, not for every day.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function; it takes no pointer, locks what it needs and touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
