//! The board's bytes: nothing but layout. Every field is an atomic of its own; zero means "nothing yet".

use super::{Counter, MAX_BATCH_SIZE, MAX_CODES, Stage, histogram};
use crate::region::Shared;
use crate::ring::MAX_FRONTENDS;
use crate::sync::{AtomicU32, AtomicU64};
use std::sync::atomic::AtomicU8;

/// First word of a board, stored last.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"DTCTDBD\0");
/// Version of the layout. Changes whenever a byte moves or changes its meaning.
pub(super) const BOARD_VERSION: u32 = 4;

/// Buckets an octave of a stage's histogram: 8.
pub(super) const STAGE_BITS: u32 = 3;
/// Buckets an octave of the total's histogram: 32.
pub(super) const TOTAL_BITS: u32 = 5;
const STAGE_WORDS: usize = histogram::words(STAGE_BITS);
const TOTAL_WORDS: usize = histogram::words(TOTAL_BITS);

/// Longest text on the board.
pub(super) const TEXT_LEN: usize = 240;
/// Days whose visitors can be counted: yesterday, today, tomorrow.
pub(super) const DAYS: usize = 3;
/// Closed days that are remembered.
pub(super) const HISTORY: usize = 31;
/// Registers of a distinct count: 2^16, for a standard error of 0.41 %, so that one day in seventy is off by 1 %.
pub(super) const REGISTER_BITS: u32 = 16;
pub(super) const REGISTERS: usize = 1 << REGISTER_BITS;

/// A short UTF-8 text; written by one process, read by any.
#[repr(C)]
pub(super) struct Text {
    pub(super) len: AtomicU32,
    pub(super) bytes: [AtomicU8; TEXT_LEN],
}

/// One closed day.
#[repr(C)]
pub(super) struct ClosedDay {
    pub(super) day: AtomicU32,
    pub(super) pv: AtomicU64,
    pub(super) uv: AtomicU64,
    pub(super) ip: AtomicU64,
}

/// One day that is being counted.
#[repr(C)]
pub(super) struct OpenDay {
    pub(super) day: AtomicU32,
    pub(super) pv: AtomicU64,
    pub(super) uv: [AtomicU8; REGISTERS],
    pub(super) ip: [AtomicU8; REGISTERS],
}

/// Digests that can be refused at once.
pub(super) const QUARANTINE: usize = 64;

/// An input that killed engines, refused until a time (0: none).
#[repr(C)]
pub(super) struct Quarantined {
    pub(super) digest: AtomicU64,
    pub(super) until: AtomicU64,
}

/// The service's words. All the supervisor's, but `days` and `quarantine`, which the frontends fill.
#[repr(C, align(128))]
pub(super) struct Header {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU32,
    pub(super) frontends: AtomicU32,
    pub(super) supervisor: AtomicU32,
    pub(super) state: AtomicU32,
    pub(super) started: AtomicU64,
    pub(super) started_unix: AtomicU64,
    pub(super) heartbeat: AtomicU64,
    pub(super) generation: AtomicU32,
    pub(super) today: AtomicU32,
    pub(super) seats: [AtomicU32; 8],
    pub(super) listen: Text,
    pub(super) model: Text,
    pub(super) message: Text,
    pub(super) changes_begun: AtomicU32,
    pub(super) changes_ended: AtomicU32,
    pub(super) change_good: AtomicU32,
    pub(super) change: Text,
    pub(super) quarantine: [Quarantined; QUARANTINE],
    pub(super) history: [ClosedDay; HISTORY],
    pub(super) days: [OpenDay; DAYS],
}

/// One process's words, written by that process; `pid` to `restarts` and a dead process's `state` and gauges by
/// the supervisor.
#[repr(C, align(128))]
pub(super) struct Block {
    pub(super) pid: AtomicU32,
    pub(super) generation: AtomicU32,
    pub(super) state: AtomicU32,
    pub(super) restarts: AtomicU32,
    pub(super) started: AtomicU64,
    pub(super) heartbeat: AtomicU64,
    pub(super) connections: AtomicU32,
    pub(super) in_flight: AtomicU32,
    pub(super) reading: AtomicU32,
    pub(super) guards: AtomicU32,
    pub(super) image_nanos: AtomicU64,
    pub(super) counters: [AtomicU64; Counter::COUNT],
    pub(super) codes: [AtomicU64; MAX_CODES],
    pub(super) batch_sizes: [AtomicU64; MAX_BATCH_SIZE + 1],
    pub(super) stages: [[AtomicU64; STAGE_WORDS]; Stage::COUNT - 1],
    pub(super) total: [AtomicU64; TOTAL_WORDS],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Header {}
// SAFETY: repr(C), atomics only.
unsafe impl Shared for Block {}

/// Blocks before the frontends': the engine and a standby.
pub(super) const ENGINES: usize = 2;

/// Bytes of a board.
pub(super) const fn size(frontends: u32) -> usize {
    size_of::<Header>() + (ENGINES + frontends as usize) * size_of::<Block>()
}

/// Offset of a block.
pub(super) const fn block_offset(index: usize) -> usize {
    size_of::<Header>() + index * size_of::<Block>()
}

// The board must fit an ordinary container's /dev/shm many times over.
const _: () = assert!(size(MAX_FRONTENDS as u32) < 2 << 20);
const _: () = assert!(size(8) < 1 << 20);
