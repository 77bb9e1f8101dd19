//! The harvest: pictures that a service has answered, kept with what was found, sorted into folders, looked over by
//! people, and handed on to training.
//!
//! ```text
//! frontend ─ intake ─ writer ─▶ root/CLASS/SCORES/DATE/ID.jpg + ID.json ◀─ review ─▶ root/_reviewed, root/_rejected
//!              look             │ files, naming, sidecar                             │ journal, undo
//!                               ▼                                                    ▼
//!                             index (SQLite, made again from the folders by scan) ─ query       export ─▶ YOLO, COCO, …
//! ```
//!
//! The folders are the truth: a sidecar beside each picture says everything, and the index can be thrown away. Nothing here
//! knows HTTP, requests in flight or a model's tensors; nothing here runs on the path of a request but [`Harvest::offer`]
//! and [`Look::of`].
#![forbid(unsafe_code)]

pub mod compare;
pub mod config;
pub mod export;
pub mod files;
pub mod filing;
pub mod index;
mod intake;
mod keep;
pub mod look;
pub mod naming;
mod pace;
pub mod query;
pub mod review;
pub mod rules;
pub mod scan;
pub mod sidecar;
#[cfg(test)]
mod testing;
pub mod thumb;
pub mod truth;
mod writer;

pub use config::{Config, ConfigError, ReviewAccess};
pub use index::{Index, IndexError, State};
pub use intake::{Answer, Event, Harvest, Specimen};
pub use look::Look;
pub use sidecar::Sidecar;
