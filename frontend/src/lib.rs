//! The frontend role: HTTP, the inputs, decoding and answering. Never loads a model or a runtime.
#![forbid(unsafe_code)]

pub mod error;
