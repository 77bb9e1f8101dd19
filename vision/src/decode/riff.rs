//! The chunks of a WebP file, looked over before a decoder sees them: the decoder allocates what a chunk says it
//! has, and a chunk of a small file may say 4 GiB. Also where the EXIF orientation is read, straight from the file.
//!
//! Decodes no pixels; a file it lets through may still be broken.

use super::{DecodeError, Format, TooLarge};
use image::metadata::Orientation;

/// How the picture is to be turned.
///
/// # Errors
/// A chunk that reaches past the end of the file, or more than `max_metadata` bytes of it in a text or profile.
pub(super) fn orientation(bytes: &[u8], max_metadata: u64) -> Result<Orientation, DecodeError> {
    let mut exif = None;
    for chunk in Chunks::of(bytes) {
        let (name, content) = chunk?;
        if matches!(name, b"EXIF" | b"ICCP" | b"XMP ") {
            TooLarge::check("metadata in bytes", content.len() as u64, max_metadata)?;
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
