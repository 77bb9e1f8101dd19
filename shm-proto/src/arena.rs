//! The arena: one sealed memfd with the ring's words and the tensors of all seats. Owns the segment's making,
//! its checks on attach, and the seats as values that move from state to state.
//!
//! `geometry` computes offsets, `frontend` and `engine` are the two sides, `control` is what the supervisor sees.
//! Nothing here knows what a tensor means.

mod bells;
mod control;
mod engine;
mod frontend;
mod geometry;
mod memory;

pub use crate::ring::{Job, MAX_FRONTENDS, Outcome, Reclaimed, Run};
pub use bells::Bells;
pub use control::{ControlArena, SeatCounts};
pub use engine::{Batch, BatchLimits, Closed, EngineArena};
pub use frontend::{AnsweredSeat, ClaimedSeat, FrontendArena, SubmittedSeat, WATCH};
pub use geometry::{Geometry, GeometryError, MAX_OUTPUTS, MAX_SEATS};

use crate::region::Region;
use crate::ring::{Ring, Wake};
use geometry::{CONTROL_OFFSET, HEADER_LEN};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::uio::{pread, pwrite};
use std::os::fd::{AsFd, OwnedFd};

/// First bytes of an arena.
const MAGIC: [u8; 8] = *b"DTCTDAR\0";

/// Version of the layout. Changes whenever a byte moves or changes its meaning.
pub const LAYOUT_VERSION: u32 = 1;

/// Why an arena cannot be made or attached.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The sizes make no sense.
    #[error("the arena's sizes are wrong: {0}")]
    Geometry(#[from] GeometryError),
    /// The memory cannot be had.
    #[error(
        "cannot reserve {needed} bytes of shared memory for {seats} seats ({source}): free memory, raise the \
         memory limit of the service, or lower engine.seats or engine.max_batch"
    )]
    NoMemory {
        /// Bytes asked for.
        needed: u64,
        /// Seats they were for.
        seats: u32,
        /// The kernel's word.
        source: Errno,
    },
    /// The file is no arena of this version.
    #[error("not an arena of this version: {0}")]
    Foreign(String),
    /// A system call failed.
    #[error("{call} failed on the arena: {source}")]
    System {
        /// The call.
        call: &'static str,
        /// The kernel's word.
        source: Errno,
    },
}

fn system(call: &'static str) -> impl Fn(Errno) -> ArenaError {
    move |source| ArenaError::System { call, source }
}

/// Makes an arena: reserves its pages, writes its header and seals it against resizing. It is not mapped here;
/// all-zero control words are an empty ring.
///
/// # Errors
/// `Geometry` for sizes that make no sense, `NoMemory` when the pages cannot be reserved.
pub fn create(geometry: &Geometry, generation: u32) -> Result<OwnedFd, ArenaError> {
    let layout = geometry.layout()?;
    let no_memory =
        |source| ArenaError::NoMemory { needed: layout.total as u64, seats: geometry.seats, source };
    // Asked first, because the kernel would rather kill a process than refuse it its last pages.
    if memory::available().is_some_and(|available| layout.total as u64 > available) {
        return Err(no_memory(Errno::ENOMEM));
    }
    let fd = memfd_create(c"detectd-arena", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
        .map_err(system("memfd_create"))?;
    let size = i64::try_from(layout.total).map_err(|_| GeometryError::TooLarge)?;
    // Reserve every page now: a page that cannot be had later would kill the process that touches it.
    crate::region::uninterrupted(|| fallocate(&fd, nix::fcntl::FallocateFlags::empty(), 0, size))
        .map_err(no_memory)?;
    let header = geometry.header(generation);
    let written = pwrite(&fd, &header, 0).map_err(system("pwrite"))?;
    if written != header.len() {
        return Err(ArenaError::System { call: "pwrite", source: Errno::EIO });
    }
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).map_err(system("fcntl(F_ADD_SEALS)"))?;
    Ok(fd)
}

/// A checked arena: its geometry, copied once out of the header, and the mapping.
#[derive(Debug)]
struct Mapped {
    geometry: Geometry,
    layout: geometry::ArenaLayout,
    generation: u32,
    region: Region,
}

impl Mapped {
    /// Checks seals and header, then maps the whole arena, or its control part only.
    fn open(fd: impl AsFd, whole: bool) -> Result<Self, ArenaError> {
        let seals = fcntl(&fd, FcntlArg::F_GET_SEALS).map_err(system("fcntl(F_GET_SEALS)"))?;
        if seals & SealFlag::F_SEAL_SHRINK.bits() == 0 {
            return Err(ArenaError::Foreign("it is not sealed against shrinking".to_owned()));
        }
        let mut header = [0u8; HEADER_LEN];
        let read = pread(&fd, &mut header, 0).map_err(system("pread"))?;
        if read != HEADER_LEN {
            return Err(ArenaError::Foreign(format!("it ends after {read} bytes")));
        }
        let (geometry, generation) = Geometry::from_header(&header)?;
        let layout = geometry.layout()?;
        let size = nix::sys::stat::fstat(&fd).map_err(system("fstat"))?.st_size;
        if size as u64 != layout.total as u64 {
            return Err(ArenaError::Foreign(format!("it has {size} bytes and not {}", layout.total)));
        }
        let len = if whole { layout.total } else { layout.inputs };
        let region = Region::map(&fd, len).map_err(system("mmap"))?;
        Ok(Self { geometry, layout, generation, region })
    }

    fn ring<'a, W: Wake>(&'a self, wake: &'a W) -> Ring<'a, W> {
        let seats = self.geometry.seats as usize;
        Ring {
            seats: self.region.slice(self.layout.seats, seats),
            records: self.region.slice(self.layout.records, seats),
            frontends: self.region.slice(self.layout.frontends, self.geometry.frontends as usize),
            engine: self.region.one(CONTROL_OFFSET),
            wake,
        }
    }

    /// Offset and length of the inputs of `len` seats from `first`.
    fn input(&self, first: u32, len: u32) -> (usize, usize) {
        let each = self.geometry.input_bytes as usize;
        (self.layout.inputs + first as usize * each, len as usize * each)
    }

    /// Offset and length of output `j` of `len` seats from `first`.
    fn output(&self, j: usize, first: u32, len: u32) -> (usize, usize) {
        let each = self.geometry.output_bytes[j] as usize;
        (self.layout.outputs[j] + first as usize * each, len as usize * each)
    }
}

#[cfg(test)]
mod tests;
