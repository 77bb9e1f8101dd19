//! Pure functions between picture bytes, tensors and detections.
//!
//! ```text
//! bytes ──decode──▶ Picture ──preprocess──▶ tensor (a slice given by the caller) + Placement
//!                                              │ the engine runs the model
//! Vec<Detection> / Vec<Class> ◀──postprocess── output tensors (slices) + Placement
//! ```
//!
//! What a model wants and what its outputs mean is a [`model::ModelSpec`]: read from a sidecar TOML, guessed
//! from the file's own metadata and shapes where that can be done. Nothing here opens a file, a socket or a
//! thread, knows of HTTP, shared memory or a runtime, or keeps state between calls.

pub mod decode;
pub mod draw;
pub mod model;
pub mod picture;
pub mod postprocess;
pub mod preprocess;
pub mod tensor;
pub mod thumbnail;
