//! The engine: the one process that loads ONNX Runtime and the model. It knows tensors, never pictures or HTTP.
//!
//! ```text
//! config ─▶ runtime ─▶ graph ──▶ session ─▶ probe ─▶ model ─▶ lanes ──▶ pixels ──▶ ort_run
//!           find lib   rewrite   load file  shapes   facts    threads  to numbers  batch, answers in place, in the arena
//!                                                              └▶ sim (in its place: an accelerator that is not there)
//! ```
//!
//! [`run()`] is the role: it speaks with the supervisor and keeps the lanes going. [`inspect()`] is the same up to the model, for commands that only want to know.
#![deny(unsafe_code)]

pub mod config;
pub mod error;
pub mod graph;
pub mod inspect;
pub mod lanes;
pub mod model;
pub mod ort_run;
pub mod pixels;
pub mod probe;
mod role;
pub mod runtime;
pub mod session;
pub mod sim;
mod trim;
pub mod width;

pub use config::{Config, Device, EngineBoot, ModelConfig, Optimization, SimConfig};
pub use error::EngineError;
pub use inspect::{Inspection, inspect};
pub use model::Model;
pub use role::run;
pub use runtime::Runtime;
