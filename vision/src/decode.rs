//! Bytes of an image file to a [`Picture`], within limits that are checked before anything is allocated.
//!
//! The first bytes decide the format, never a name or a content type. `jpeg` surveys and decodes JPEG, `raster`
//! every other format through the `image` crate, `riff` looks over a WebP file and `ifd` a TIFF file before that, `rgb` brings any pixel layout to RGB in place and `orient`
//! turns the result as EXIF says. Alpha is dropped, not blended; 16 bits keep their high byte; the first frame
//! of an animation is the picture; colour profiles are not applied.
//!
//! Must not trust a byte: every path ends in a picture or a [`DecodeError`], a decoder's panic included.

mod extent;
mod format;
mod ifd;
mod jpeg;
mod orient;
mod raster;
mod rgb;
mod riff;
#[cfg(test)]
mod tests;
mod wanted;

pub use extent::Extent;
pub use format::{Format, sniff};
pub use wanted::Wanted;

use crate::picture::Picture;
use image::metadata::Orientation;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a picture may cost. The defaults let a 64-megapixel photo through and stop what only looks small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels.
    pub max_pixels: u64,
    /// Longest side, in pixels.
    pub max_side: u32,
    /// Shortest side, in pixels.
    pub min_side: u32,
    /// Greatest ratio of the long to the short side.
    pub max_aspect: u32,
    /// Most scans of a JPEG: each one is a pass over the whole picture.
    pub max_scans: u32,
    /// Bytes a decoder may spend besides the pixels: tables, profiles, texts, rows in flight.
    pub max_metadata: u64,
    /// Bytes one decode may hold at its peak: pixels as decoded, the decoder's own planes, the turned copy.
    pub max_alloc: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 64_000_000,
            max_side: 16_384,
            min_side: 2,
            max_aspect: 100,
            max_scans: 100,
            max_metadata: 16 << 20,
            // 64 megapixels in RGB twice over: as decoded and as turned.
            max_alloc: 400 << 20,
        }
    }
}

impl Limits {
    /// Checks a size as a header declares it.
    fn check_size(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        let (long, short) = (width.max(height), width.min(height));
        if short < self.min_side.max(1) {
            return Err(DecodeError::TooSmall { width, height, min_side: self.min_side.max(1) });
        }
        let pixels = u64::from(width) * u64::from(height);
        TooLarge::check("side in pixels", long.into(), self.max_side.into())?;
        TooLarge::check("number of pixels", pixels, self.max_pixels)?;
        TooLarge::check("ratio of the sides", u64::from(long.div_ceil(short)), self.max_aspect.into())
    }

    /// Checks the peak of a decode, in bytes.
    fn check_alloc(&self, bytes: u64) -> Result<(), DecodeError> {
        TooLarge::check("memory needed in bytes", bytes, self.max_alloc)
    }
}

/// Why there is no picture. All of them are the sender's doing except [`DecodeError::OutOfMemory`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No known image format starts with these bytes.
    #[error("not an image: it is empty, or no known format starts like this")]
    NotAnImage,
    /// An image of a format, or of a variety of one, that is not decoded here.
    #[error("not supported: {format}")]
    Unsupported {
        /// The format, and what about it where only a variety is meant.
        format: Cow<'static, str>,
    },
    /// More than the limits allow.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A side shorter than the limits allow.
    #[error("a picture of {width} × {height} pixels is too small, a side needs {min_side}")]
    TooSmall {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Shortest side that is accepted.
        min_side: u32,
    },
    /// Damaged, truncated or contradictory data.
    #[error("corrupt {format} data: {reason}")]
    Corrupt {
        /// The format the bytes start like.
        format: Format,
        /// The decoder's words, at most 160 bytes.
        reason: String,
    },
    /// The decoder panicked; the picture is refused and the process unharmed.
    #[error("the {format} decoder gave up on this file")]
    Panicked {
        /// The format the bytes start like.
        format: Format,
    },
    /// The machine has no memory for a picture that is within the limits.
    #[error("no memory for {bytes} bytes of pixels")]
    OutOfMemory {
        /// Size of the allocation that failed.
        bytes: usize,
    },
}

impl DecodeError {
    fn corrupt(format: Format, reason: impl std::fmt::Display) -> Self {
        let mut reason = reason.to_string();
        reason.truncate(reason.floor_char_boundary(160));
        Self::Corrupt { format, reason }
    }
}

/// A measure above its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too large: {what} is {value}, the limit is {limit}")]
pub struct TooLarge {
    /// What was measured.
    pub what: &'static str,
    /// How much the file asks for, or one above the limit where a decoder stopped counting there.
    pub value: u64,
    /// How much it may.
    pub limit: u64,
}

impl TooLarge {
    fn check(what: &'static str, value: u64, limit: u64) -> Result<(), DecodeError> {
        if value > limit { Err(Self { what, value, limit }.into()) } else { Ok(()) }
    }
}

/// Decodes an image file. The picture's longest-lived allocation is its `rgb`; see [`decode_into`] to reuse it.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, DecodeError> {
    let mut picture = Picture::default();
    decode_into(bytes, limits, &mut picture)?;
    Ok(picture)
}

/// Decodes an image file into `picture`, reusing its buffer. After an error the picture is empty: nothing of
/// this or of an earlier file is left to see.
pub fn decode_into(bytes: &[u8], limits: &Limits, picture: &mut Picture) -> Result<(), DecodeError> {
    guarded(bytes, limits, picture, None).map(drop)
}

/// Decodes as [`decode_into`], but no more than is wanted where the format can do that at less cost. `wanted` is given the size
/// of the whole picture as a person sees it. Returns what of the whole the picture is.
pub fn decode_reduced(
    bytes: &[u8],
    limits: &Limits,
    wanted: &dyn Fn(u32, u32) -> Wanted,
    buffers: &mut Buffers,
    picture: &mut Picture,
) -> Result<Extent, DecodeError> {
    let mut reduce = Reduce { wanted, buffers };
    guarded(bytes, limits, picture, Some(&mut reduce))
}

/// Buffers of the decoders, to be kept per thread: after the first few calls most pictures need no other.
#[derive(Debug, Default)]
pub struct Buffers {
    planes: jpeg::Planes,
    turned: Vec<u8>,
}

/// Buffers above this many bytes are freed after the call that needed them.
const KEEP: usize = 12 << 20;

impl Buffers {
    fn trim(&mut self) {
        self.planes.trim(KEEP);
        if self.turned.capacity() > KEEP {
            self.turned = Vec::new();
        }
    }
}

/// Leave to decode less than the whole.
struct Reduce<'a> {
    wanted: &'a dyn Fn(u32, u32) -> Wanted,
    buffers: &'a mut Buffers,
}

impl Reduce<'_> {
    /// What is wanted of a picture that is stored as `width × height`, in columns and rows as they are stored; divided by 2, 4 or 8.
    fn taken(&self, width: u32, height: u32, orientation: Orientation) -> Wanted {
        let swaps = orient::swaps_sides(orientation);
        let wanted = if swaps { (self.wanted)(height, width) } else { (self.wanted)(width, height) };
        match wanted {
            wanted if !wanted.is_less() => Wanted::Whole,
            Wanted::Divided(most) => Wanted::Divided([8, 4].into_iter().find(|by| *by <= most).unwrap_or(2)),
            Wanted::Lines { columns, rows } => {
                let (mut columns, mut rows) = if swaps { (rows, columns) } else { (columns, rows) };
                let (from_right, from_bottom) = orient::mirrors(orientation);
                for (lines, length, is_mirrored) in
                    [(&mut columns, width, from_right), (&mut rows, height, from_bottom)]
                {
                    lines.iter_mut().for_each(|line| *line = (*line).min(length - 1));
                    if is_mirrored {
                        lines.iter_mut().for_each(|line| *line = length - 1 - *line);
                        lines.reverse();
                    }
                }
                Wanted::Lines { columns, rows }
            }
            Wanted::Whole => Wanted::Whole,
        }
    }
}

fn guarded(
    bytes: &[u8],
    limits: &Limits,
    picture: &mut Picture,
    reduce: Option<&mut Reduce<'_>>,
) -> Result<Extent, DecodeError> {
    let Some(format) = sniff(bytes) else {
        picture.clear();
        return Err(match format::sniff_foreign(bytes) {
            Some(name) => DecodeError::Unsupported { format: name.into() },
            None => DecodeError::NotAnImage,
        });
    };
    // Emptied below on failure, so a half-written picture is never observed.
    let result = catch_unwind(AssertUnwindSafe(|| by_format(format, bytes, limits, picture, reduce)))
        .unwrap_or(Err(DecodeError::Panicked { format }));
    if result.is_err() {
        picture.clear();
    }
    result
}

fn by_format(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
    picture: &mut Picture,
    mut reduce: Option<&mut Reduce<'_>>,
) -> Result<Extent, DecodeError> {
    let (orientation, extent) = match format {
        Format::Jpeg => jpeg::decode(bytes, limits, picture, reduce.as_deref_mut())?,
        _ => (raster::decode(format, bytes, limits, picture)?, None),
    };
    match reduce {
        Some(reduce) => {
            orient::apply(orientation, picture, &mut reduce.buffers.turned)?;
            reduce.buffers.trim();
        }
        None => orient::apply(orientation, picture, &mut Vec::new())?,
    }
    Ok(extent.unwrap_or_else(|| Extent::whole(picture)))
}

/// Makes `buffer` exactly `bytes` zeros, reporting exhaustion instead of aborting. Zeros, because a damaged file
/// may leave parts unwritten and what an earlier request left there is not its business.
fn allocate(buffer: &mut Vec<u8>, bytes: usize) -> Result<(), DecodeError> {
    buffer.clear();
    buffer.try_reserve_exact(bytes).map_err(|_| DecodeError::OutOfMemory { bytes })?;
    buffer.resize(bytes, 0);
    Ok(())
}
