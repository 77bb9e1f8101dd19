//! The instruments: what the service, this machine and a plan can bear, measured and computed.
//!
//! ```text
//! load     a load generator: closed or open loop, any input, exact percentiles
//! scale    the experiment: process count × concurrency × input, each cell measured from outside and from the board
//! floor    the same work in one process without HTTP: what the machine can do at most
//! beside   a batch and the floor in turns, which makes the one a share of the other
//! plan     from requests a day to requests a second to machines
//! ```
//!
//! `service` starts and stops the service that is measured, `look` reads its board and `/proc`, `files` serves pictures by
//! address, `table` and `progress` show what comes of it, `cli` is the command line. Nothing here serves anybody: it asks, and
//! it never ends a process that it did not start.
#![deny(unsafe_code)]

mod beside;
pub mod cli;
mod error;
mod files;
pub mod floor;
pub mod load;
mod look;
pub mod plan;
mod progress;
pub mod scale;
mod service;
mod table;

pub use error::BenchError;
