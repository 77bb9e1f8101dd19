//! How many bytes lie where in an arena. Pure arithmetic, checked; the header's bytes are written and read here.

use super::{ArenaError, LAYOUT_VERSION, MAGIC};
use crate::ring::{EngineWords, FrontendWords, MAX_FRONTENDS, SeatRecord};
use serde::{Deserialize, Serialize};

/// Most seats of an arena.
pub const MAX_SEATS: u32 = 4096;
/// Most outputs of a model.
pub const MAX_OUTPUTS: usize = 24;

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 4096;
/// The engine's words follow the header.
pub(super) const CONTROL_OFFSET: usize = HEADER_LEN;
const PAGE: usize = 4096;

const _: () = assert!(size_of::<EngineWords>() == 128 && align_of::<EngineWords>() == 128);
const _: () = assert!(size_of::<FrontendWords>() == 128 && align_of::<FrontendWords>() == 128);
const _: () = assert!(size_of::<SeatRecord>() == 64 && align_of::<SeatRecord>() == 64);
const _: () = assert!(8 + 4 * 4 + 8 + 4 + MAX_OUTPUTS * 8 <= HEADER_LEN);

/// The sizes an arena is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Places for one image each.
    pub seats: u32,
    /// Frontend slots.
    pub frontends: u32,
    /// Bytes of one image's input tensor.
    pub input_bytes: u64,
    /// Bytes of one image's part of each output.
    pub output_bytes: Vec<u64>,
}

/// Sizes that make no arena.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Seats out of range.
    #[error("{0} seats; 1 to {MAX_SEATS} are possible")]
    Seats(u32),
    /// Frontends out of range.
    #[error("{0} frontends; 1 to {MAX_FRONTENDS} are possible")]
    Frontends(u32),
    /// No input, or outputs out of range.
    #[error(
        "an input of {input} bytes and {outputs} outputs; an input and 1 to {MAX_OUTPUTS} outputs are possible"
    )]
    Tensors {
        /// Bytes of the input.
        input: u64,
        /// Number of outputs.
        outputs: usize,
    },
    /// More than a file can hold.
    #[error("the arena would be larger than memory can be")]
    TooLarge,
}

/// Offsets from the arena's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArenaLayout {
    pub(super) frontends: usize,
    pub(super) seats: usize,
    pub(super) records: usize,
    pub(super) inputs: usize,
    pub(super) outputs: Vec<usize>,
    pub(super) total: usize,
}

impl Geometry {
    /// Whether an arena of these sizes can be.
    ///
    /// # Errors
    /// Says which size is out of range.
    pub fn check(&self) -> Result<(), GeometryError> {
        self.layout().map(|_| ())
    }

    /// Bytes of the whole arena.
    ///
    /// # Errors
    /// As [`Geometry::check`].
    pub fn total_bytes(&self) -> Result<u64, GeometryError> {
        self.layout().map(|layout| layout.total as u64)
    }

    pub(super) fn layout(&self) -> Result<ArenaLayout, GeometryError> {
        if !(1..=MAX_SEATS).contains(&self.seats) {
            return Err(GeometryError::Seats(self.seats));
        }
        if !(1..=MAX_FRONTENDS as u32).contains(&self.frontends) {
            return Err(GeometryError::Frontends(self.frontends));
        }
        if self.input_bytes == 0 || !(1..=MAX_OUTPUTS).contains(&self.output_bytes.len()) {
            return Err(GeometryError::Tensors { input: self.input_bytes, outputs: self.output_bytes.len() });
        }
        let mut end = CONTROL_OFFSET + size_of::<EngineWords>();
        let mut place = |count: u64, each: u64, align: usize| -> Result<usize, GeometryError> {
            let start = end.checked_next_multiple_of(align).ok_or(GeometryError::TooLarge)?;
            let len = count
                .checked_mul(each)
                .and_then(|len| usize::try_from(len).ok())
                .ok_or(GeometryError::TooLarge)?;
            end = start
                .checked_add(len)
                .filter(|&end| end <= isize::MAX as usize)
                .ok_or(GeometryError::TooLarge)?;
            Ok(start)
        };
        let seats = u64::from(self.seats);
        Ok(ArenaLayout {
            frontends: place(self.frontends.into(), size_of::<FrontendWords>() as u64, 128)?,
            seats: place(seats, 8, 128)?,
            records: place(seats, size_of::<SeatRecord>() as u64, 128)?,
            inputs: place(seats, self.input_bytes, PAGE)?,
            outputs: self
                .output_bytes
                .iter()
                .map(|&each| place(seats, each, PAGE))
                .collect::<Result<_, _>>()?,
            total: place(0, 0, PAGE)?,
        })
    }

    /// The header's bytes: magic, version, generation, seats, frontends, input bytes, number of outputs, outputs.
    pub(super) fn header(&self, generation: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend(MAGIC);
        for word in [LAYOUT_VERSION, generation, self.seats, self.frontends] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(self.input_bytes.to_ne_bytes());
        bytes.extend((self.output_bytes.len() as u32).to_ne_bytes());
        for each in &self.output_bytes {
            bytes.extend(each.to_ne_bytes());
        }
        bytes.resize(HEADER_LEN, 0);
        bytes
    }

    /// Reads a header. Sizes are checked by the caller, by asking for the layout.
    pub(super) fn from_header(header: &[u8; HEADER_LEN]) -> Result<(Self, u32), ArenaError> {
        let mut rest = &header[..];
        if take::<8>(&mut rest) != MAGIC {
            return Err(ArenaError::Foreign("it does not begin with the arena's mark".to_owned()));
        }
        let version = u32::from_ne_bytes(take(&mut rest));
        if version != LAYOUT_VERSION {
            return Err(ArenaError::Foreign(format!(
                "its layout is version {version} and not {LAYOUT_VERSION}"
            )));
        }
        let [generation, seats, frontends] = [(); 3].map(|()| u32::from_ne_bytes(take(&mut rest)));
        let input_bytes = u64::from_ne_bytes(take(&mut rest));
        let outputs = u32::from_ne_bytes(take(&mut rest)) as usize;
        if outputs > MAX_OUTPUTS {
            return Err(GeometryError::Tensors { input: input_bytes, outputs }.into());
        }
        let output_bytes = (0..outputs).map(|_| u64::from_ne_bytes(take(&mut rest))).collect();
        Ok((Self { seats, frontends, input_bytes, output_bytes }, generation))
    }
}

/// Takes `N` bytes off a header. The header's length was asserted to hold all fields.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk::<N>().expect("the header holds every field");
    *rest = tail;
    *head
}
