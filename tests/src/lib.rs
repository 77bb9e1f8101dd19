//! Harness of the end-to-end tests: a service of the real executable in a folder of its own, a client for it, and
//! the pictures and models they share. Tests wait for events with a deadline; they never sleep and hope.

pub mod browser;
pub mod chaos;
pub mod client;
pub mod export;
pub mod load;
pub mod pictures;
#[allow(missing_docs, reason = "also included by the library's own check, where it is private")]
pub mod reference;
pub mod service;
