//! What a tensor is: element type, shape, and a borrowed view of one. Owns no data.

use serde::{Deserialize, Serialize};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// Unsigned byte.
    U8,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
}

impl Element {
    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }
}

/// One input or output as the model file declares it. A dimension of -1 is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Dimensions, the batch axis included; -1 where the file leaves it free.
    pub shape: Vec<i64>,
}

/// One image's part of an output tensor, as bytes that the engine wrote.
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    /// Element type.
    pub element: Element,
    /// Dimensions without the batch axis.
    pub shape: &'a [usize],
    /// Exactly `shape.product() × element.bytes()` bytes, native endian; alignment is not promised.
    pub bytes: &'a [u8],
}
