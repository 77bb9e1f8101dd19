//! The instruments: what the service, this machine and a plan can bear, measured and computed.
//!
//! ```text
//! load     a load generator: closed or open loop, any input, exact percentiles
//! ```
//!
//! `files` serves pictures by address, `table` and `progress` show what comes of it, `cli` is the command line. Nothing here
//! serves anybody: it asks, and it never stops a process that it did not start.
#![deny(unsafe_code)]

pub mod cli;
mod error;
mod files;
pub mod load;
mod progress;
mod table;

pub use error::BenchError;
