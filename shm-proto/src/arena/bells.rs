//! The frontends' bells: one eventfd a slot, made by the supervisor, inherited by every process, so that whoever
//! answers or hands over a seat can wake its owner. Owns the descriptors and the wake-up of sleeping lanes.

use crate::futex;
use crate::ring::Wake;
use crate::sync::AtomicU32;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// All frontends' bells, by slot.
#[derive(Clone, Debug)]
pub struct Bells {
    fds: Arc<Vec<OwnedFd>>,
}

impl Bells {
    /// Makes the bells of `frontends` slots: non-blocking, closed on exec.
    ///
    /// # Errors
    /// The kernel's, when descriptors run out.
    pub fn create(frontends: u32) -> nix::Result<Self> {
        let fds = (0..frontends)
            .map(|_| EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(OwnedFd::from))
            .collect::<nix::Result<_>>()?;
        Ok(Self { fds: Arc::new(fds) })
    }

    /// Bells received from the supervisor.
    pub fn from_fds(fds: Vec<OwnedFd>) -> Self {
        Self { fds: Arc::new(fds) }
    }

    /// The descriptors, by slot.
    pub fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.fds.iter().map(AsFd::as_fd)
    }

    /// The descriptor of one slot, for a poll; `None` when there is no such slot.
    pub fn fd(&self, slot: u8) -> Option<BorrowedFd<'_>> {
        self.fds.get(slot as usize).map(AsFd::as_fd)
    }

    /// Takes the ring off a bell, so that it can be waited for again. Never blocks.
    pub fn silence(&self, slot: u8) {
        if let Some(fd) = self.fds.get(slot as usize) {
            // One read empties an eventfd; EAGAIN means that it was silent.
            let _ = nix::unistd::read(fd, &mut [0; 8]);
        }
    }

    fn ring(&self, slot: u8) {
        if let Some(fd) = self.fds.get(slot as usize) {
            // EAGAIN would mean 2^64 - 2 rings unheard: it rings then in any case.
            let _ = nix::unistd::write(fd, &1u64.to_ne_bytes());
        }
    }
}

/// Wakes through the bells and through the doorbell's futex.
#[derive(Debug)]
pub(super) struct Waker<'a> {
    pub(super) bells: &'a Bells,
    pub(super) doorbell: &'a AtomicU32,
}

impl Wake for Waker<'_> {
    fn frontend(&self, slot: u8) {
        self.bells.ring(slot);
    }

    fn lane(&self) {
        futex::wake(self.doorbell, 1);
    }
}
