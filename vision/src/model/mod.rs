//! What a model is: the facts its file declares, the sidecar beside it, and the two resolved into one
//! [`ModelSpec`] that says how to fill the input and how to read the outputs.
//!
//! `spec` holds the resolved types, `sidecar` the TOML, `guess` the rules that recognise a family.

mod spec;

pub use spec::*;
