//! The chunks of a WebP file, looked over before a decoder sees them: the decoder allocates what a chunk says it
//! has, and a chunk of a small file may say 4 GiB; it makes room for a frame of any size before it sees that the picture has no
//! place for it. Also where the EXIF orientation is read, straight from the file.
//!
//! Decodes no pixels; a file it lets through may still be broken.

use super::{DecodeError, Format, TooLarge};
use image::metadata::Orientation;

/// How the picture is to be turned.
///
/// # Errors
/// A chunk that reaches past the end of the file, more than `max_metadata` bytes of it in a text or profile, or a frame that
/// is larger than the picture.
pub(super) fn orientation(bytes: &[u8], max_metadata: u64) -> Result<Orientation, DecodeError> {
    let mut exif = None;
    let mut canvas = None;
    for chunk in Chunks::of(bytes) {
        let (name, content) = chunk?;
        if matches!(name, b"EXIF" | b"ICCP" | b"XMP ") {
            TooLarge::check("metadata in bytes", content.len() as u64, max_metadata)?;
        }
        match name {
            b"VP8X" => canvas = content.get(4..10).map(|sides| (side(&sides[..3]), side(&sides[3..]))),
            // A frame of an animation: its place and time, then chunks of its own.
            b"ANMF" => {
                for inner in (Chunks { rest: content.get(16..).unwrap_or_default() }) {
                    let (name, content) = inner?;
                    fits(canvas, frame(name, content))?;
                }
            }
            _ => fits(canvas, frame(name, content))?,
        }
        if name == b"EXIF" {
            // The first one counts, as it does for the decoder.
            exif = exif.or(Some(content));
        }
    }
    // Files often keep the marker that EXIF has in a JPEG.
    let exif = exif.map(|chunk| chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk));
    Ok(exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms))
}

/// A side as three bytes say it, one less.
fn side(bytes: &[u8]) -> u32 {
    1 + bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// Size of the frame that a chunk holds, when it holds one whose header can be read.
fn frame(name: &[u8; 4], content: &[u8]) -> Option<(u32, u32)> {
    match (name, content) {
        (b"VP8 ", [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
            // The two high bits of each ask for scaling.
            Some((
                u32::from(u16::from_le_bytes([*w0, *w1]) & 0x3fff),
                u32::from(u16::from_le_bytes([*h0, *h1]) & 0x3fff),
            ))
        }
        (b"VP8L", [0x2f, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Some((1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)))
        }
        _ => None,
    }
}

/// Refuses a frame that the picture has no place for.
fn fits(canvas: Option<(u32, u32)>, frame: Option<(u32, u32)>) -> Result<(), DecodeError> {
    match (canvas, frame) {
        (Some(canvas), Some(frame)) if frame.0 > canvas.0 || frame.1 > canvas.1 => {
            Err(DecodeError::corrupt(Format::WebP, "a frame is larger than the picture"))
        }
        _ => Ok(()),
    }
}

/// The chunks behind the file's 12 bytes of header, as name and content.
struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        // What stands behind the declared end is no chunk; a decoder does not look there either.
        let declared = match bytes.get(4..8).and_then(<[u8]>::first_chunk) {
            Some(size) => u32::from_le_bytes(*size) as usize + 8,
            None => 0,
        };
        Self { rest: bytes.get(12..declared.min(bytes.len())).unwrap_or_default() }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<(&'a [u8; 4], &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.rest.split_first_chunk::<4>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let size = u32::from_le_bytes(*size) as usize;
        let Some((content, rest)) = rest.split_at_checked(size) else {
            self.rest = &[];
            return Some(Err(DecodeError::corrupt(Format::WebP, "a chunk reaches past the end of the file")));
        };
        // Contents of odd length are followed by a byte of padding.
        self.rest = rest.get(size % 2..).unwrap_or_default();
        Some(Ok((name, content)))
    }
}

#[cfg(test)]
mod tests;
