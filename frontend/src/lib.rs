//! The frontend role: HTTP, the inputs, pixels and answers. Never loads a model or a runtime.
//!
//! ```text
//! server ─ connection ─ router ─┬─ handlers::detect ─ admission ─ inputs ─ pipeline ─┬─ work (decode threads)
//!   gate    patience            ├─ handlers::{health, monitoring, pages}             └─ link (seats, answers)
//!                               └─ error ─ reply: every refusal, one table
//! ```
//!
//! One thread runs all sockets and waits (a current-thread runtime); pixels are worked on by the decode threads. A
//! frontend is disposable: killing it harms only the requests whose connections it holds.
#![forbid(unsafe_code)]

pub mod access;
pub mod config;
pub mod error;
pub mod inputs;

mod admission;
mod assets;
mod capacity;
mod events;
mod golden;
mod handlers;
mod keeping;
mod life;
mod link;
mod metrics;
mod openapi;
mod options;
mod patience;
mod pipeline;
mod reply;
mod request_id;
mod review;
mod router;
pub mod sandbox;
mod server;
mod service;
mod stamp;
mod stats;
#[cfg(test)]
mod testing;
pub mod tls;
mod visitor;
mod watch;
mod work;

pub use config::Config;
pub use life::{RunError, run};
