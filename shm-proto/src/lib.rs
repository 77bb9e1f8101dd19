//! The shared-memory protocol: every atomic, every ordering and every `unsafe` view of shared memory.
//!
//! ```text
//! arena   one sealed memfd a model generation: control words │ inputs: seats × input │ outputs: seats × output
//! board   one named segment a service: process table, heartbeats, counters, histograms
//! control one socket a child: boot packet with file descriptors, wake-ups, death; typed messages by ipc-channel
//! ```
//!
//! The arena's element is the *seat*, the place of one image. A frontend claims a seat, writes the model's
//! input tensor into it and submits it; a lane of the engine takes a run of neighbouring submitted seats, which
//! is a *batch* whose tensors are contiguous already; the outputs stay in the seats until their owners have read
//! them. A seat is a value that is moved: [`arena::ClaimedSeat`] → [`arena::SubmittedSeat`] →
//! [`arena::AnsweredSeat`] → dropped, and each of them gives the seat back when it is dropped.
//!
//! `ring` is the protocol itself, over plain slices of atomics, and knows nothing of mappings: it is what the
//! loom models check. `README.md` beside this crate names each pair of orderings.
//!
//! This crate must not know pictures, models, HTTP, an async runtime or a logger.

pub mod clock;
mod fail;
pub mod ring;
pub mod sync;
pub mod typical;
pub mod units;
mod word;

#[cfg(not(loom))]
pub mod arena;
#[cfg(not(loom))]
pub mod board;
#[cfg(not(loom))]
pub mod control;
#[cfg(not(loom))]
mod futex;
#[cfg(not(loom))]
mod region;

pub use clock::Nanos;
pub use word::{Owner, SeatState};
