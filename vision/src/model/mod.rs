//! What a model is: the facts its file declares, the sidecar beside it, and the two resolved into one
//! [`ModelSpec`] that says how to fill the input and how to read the outputs.
//!
//! `spec` holds the resolved types, `sidecar` the TOML, `metadata` what exporters write into the file,
//! `guess` the rules that recognise a family, `heads` the outputs a family reads, `preset` the input a family
//! wants, `input` how it is filled, `resolve` puts them together.

mod error;
mod guess;
mod heads;
mod input;
mod metadata;
mod preset;
mod resolve;
mod sidecar;
mod spec;

#[cfg(test)]
mod tests;

pub use error::SpecError;
pub use sidecar::{
    DecoderSidecar, Family, InputSidecar, OneOrMore, OutputRef, ResizeMode, ResizeSidecar, Scalar, Sidecar,
    Triple, parse_labels,
};
pub use spec::*;
