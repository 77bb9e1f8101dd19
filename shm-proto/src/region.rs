//! A mapped range of shared memory and the only typed views of it. Together with `futex` this is where `unsafe`
//! lives in this crate; `arena` and `board` compute offsets, and every offset is checked here against the mapping.

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

/// Repeats a call that a signal cut short.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// Types that may be viewed in shared memory.
///
/// # Safety
/// Any bit pattern is a valid value, and every field is an atomic (so that a `&T` may exist while another process
/// writes) or is written by nobody after the segment was made. `repr(C)`, no padding that matters, no pointer.
pub(crate) unsafe trait Shared {}

// SAFETY: an atomic integer, any bits.
unsafe impl Shared for std::sync::atomic::AtomicU64 {}
// SAFETY: an atomic integer, any bits.
unsafe impl Shared for std::sync::atomic::AtomicU32 {}
// SAFETY: an atomic integer, any bits.
unsafe impl Shared for std::sync::atomic::AtomicU8 {}
// SAFETY: repr(C), atomic integers only.
unsafe impl Shared for crate::ring::SeatRecord {}
// SAFETY: repr(C), atomic integers only.
unsafe impl Shared for crate::ring::FrontendWords {}
// SAFETY: repr(C), atomic integers only.
unsafe impl Shared for crate::ring::EngineWords {}

/// A shared mapping, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Region {
    base: NonNull<u8>,
    len: usize,
    /// `None` when somebody else unmaps it (the board's `shared_memory` handle).
    owned: bool,
}

// SAFETY: the region is memory that other processes write anyway; all views of it are atomics, or byte slices
// whose exclusiveness the seat protocol keeps (see `bytes` and `bytes_mut`). Nothing in it is tied to a thread.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps the first `len` bytes of `file`, readable and writable.
    pub(crate) fn map(file: impl AsFd, len: usize) -> nix::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(nix::errno::Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choosing aliases no Rust object. The file is a
        // sealed memfd that cannot shrink (checked by `arena` before it maps), so no access raises SIGBUS.
        let base = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self { base: base.cast(), len, owned: true })
    }

    /// A view of memory that `base` keeps mapped. The caller keeps the mapping alive as long as this value.
    pub(crate) fn borrowed(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len, owned: false }
    }

    /// The address range of the mapping.
    pub(crate) fn addresses(&self) -> std::ops::Range<usize> {
        let base = self.base.as_ptr() as usize;
        base..base + self.len
    }

    /// `count` values of `T` at `offset`.
    ///
    /// # Panics
    /// When they do not lie in the region or are not aligned: offsets are computed from a checked geometry, so
    /// this is a bug of ours and never a peer's doing.
    pub(crate) fn slice<T: Shared>(&self, offset: usize, count: usize) -> &[T] {
        let pointer =
            self.place(offset, count.checked_mul(size_of::<T>()).expect("size fits"), align_of::<T>());
        // SAFETY: in bounds and aligned (just checked); `T: Shared` allows any bits and concurrent writers; the
        // mapping lives as long as `self`, which the returned slice borrows.
        unsafe { std::slice::from_raw_parts(pointer.cast::<T>(), count) }
    }

    /// One value of `T` at `offset`. Panics as [`Region::slice`].
    pub(crate) fn one<T: Shared>(&self, offset: usize) -> &T {
        &self.slice(offset, 1)[0]
    }

    /// `len` bytes at `offset`, to read. Panics as [`Region::slice`].
    ///
    /// # Safety
    /// Nobody writes these bytes while the slice lives. For a seat's tensors the seat protocol keeps that: the
    /// caller holds the seat in a state in which only it may touch them.
    pub(crate) unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        let pointer = self.place(offset, len, 1);
        // SAFETY: in bounds (just checked), initialised (the kernel zeroes memfd pages), and not written while
        // the slice lives (the caller's promise).
        unsafe { std::slice::from_raw_parts(pointer, len) }
    }

    /// `len` bytes at `offset`, to write. Panics as [`Region::slice`].
    ///
    /// # Safety
    /// Nobody else reads or writes these bytes while the slice lives, and the caller makes no second slice of
    /// them. For a seat's tensors the seat protocol keeps that, and the seat's value is borrowed mutably.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn bytes_mut(&self, offset: usize, len: usize) -> &mut [u8] {
        let pointer = self.place(offset, len, 1);
        // SAFETY: in bounds (just checked), initialised, and exclusive (the caller's promise).
        unsafe { std::slice::from_raw_parts_mut(pointer, len) }
    }

    fn place(&self, offset: usize, len: usize, align: usize) -> *mut u8 {
        let end = offset.checked_add(len).expect("offset fits");
        assert!(end <= self.len, "bytes {offset}..{end} lie outside a region of {}", self.len);
        // SAFETY: `offset <= self.len`, so the result stays within the mapping or one past its end.
        let pointer = unsafe { self.base.as_ptr().add(offset) };
        assert!((pointer as usize).is_multiple_of(align), "offset {offset} is not aligned to {align}");
        pointer
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: this is the mapping that `map` made, of this length; views borrow `self` and are gone.
            // A failure leaves the mapping until the process ends, which harms nobody.
            let _ = unsafe { munmap(self.base.cast::<c_void>(), self.len) };
        }
    }
}
