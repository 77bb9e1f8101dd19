//! Every format but JPEG, through the decoders of the `image` crate.
//!
//! Decoders made one by one start without limits, so this file owns the order: a bound on what reading the
//! header may cost, the header, our check of its size, the bound on the rest, and only then metadata and pixels.

use super::{DecodeError, Format, Limits, TooLarge, allocate, ifd, orient, rgb, riff};
use crate::picture::Picture;
use image::codecs::{bmp, gif, png, pnm, tiff, webp};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder};
use std::io::Cursor;

pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
    picture: &mut Picture,
) -> Result<Orientation, DecodeError> {
    let source = Cursor::new(bytes);
    let failed = |error: ImageError| translate(format, limits.max_metadata, error);
    match format {
        Format::Png => {
            let header = memory(limits.max_metadata);
            read(format, png::PngDecoder::with_limits(source, header).map_err(failed)?, turn, limits, picture)
        }
        Format::WebP => {
            let turn = riff::orientation(bytes, limits.max_metadata)?;
            read(format, webp::WebPDecoder::new(source).map_err(failed)?, |_| turn, limits, picture)
        }
        Format::Gif => read(format, gif::GifDecoder::new(source).map_err(failed)?, turn, limits, picture),
        Format::Bmp => read(format, bmp::BmpDecoder::new(source).map_err(failed)?, turn, limits, picture),
        Format::Tiff => {
            ifd::check(bytes, limits.max_metadata)?;
            read(format, tiff::TiffDecoder::new(source).map_err(failed)?, turn, limits, picture)
        }
        Format::Pnm => read(format, pnm::PnmDecoder::new(source).map_err(failed)?, turn, limits, picture),
        Format::Jpeg => unreachable!("JPEG has a module of its own"),
    }
}

fn read<D: ImageDecoder>(
    format: Format,
    mut decoder: D,
    turn: impl FnOnce(&mut D) -> Orientation,
    limits: &Limits,
    picture: &mut Picture,
) -> Result<Orientation, DecodeError> {
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;

    let pixels = u64::from(width) * u64::from(height);
    let color = decoder.color_type();
    let decoded = pixels * u64::from(color.bytes_per_pixel());
    let working = decoded + planes(format, color, pixels) + limits.max_metadata;
    limits.check_alloc(rgb::peak_bytes(working, pixels))?;
    let failed = |error| translate(format, working, error);
    decoder.set_limits(memory(working)).map_err(failed)?;

    let orientation = turn(&mut decoder);
    let turned = if orient::swaps_sides(orientation) { pixels * 6 } else { 0 };
    limits.check_alloc(turned)?;
    allocate(&mut picture.rgb, decoded as usize)?;
    decoder.read_image(&mut picture.rgb).map_err(failed)?;
    rgb::convert(&mut picture.rgb, color, pixels as usize)?;
    (picture.width, picture.height) = (width, height);
    Ok(orientation)
}

/// How the picture is to be turned. A file whose metadata cannot be read is still a picture, seen as it is stored.
fn turn(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Bytes a decoder keeps for itself in proportion to the picture, besides the buffer it fills.
fn planes(format: Format, color: ColorType, pixels: u64) -> u64 {
    match format {
        // Lossless: RGBA; lossy: luma, chroma and alpha planes, which are less.
        Format::WebP => pixels * 4,
        // All strips are decoded before they are handed over; CMYK has a channel more than its RGB.
        Format::Tiff => pixels * u64::from(color.bytes_per_pixel().max(4)),
        // A frame that does not fill the screen is decoded apart.
        Format::Gif => pixels * 4,
        Format::Jpeg | Format::Png | Format::Bmp | Format::Pnm => 0,
    }
}

/// A bound on the decoder's memory alone: sizes are checked by [`Limits`], which can say by how much they are off.
fn memory(bytes: u64) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

fn translate(format: Format, limit: u64, error: ImageError) -> DecodeError {
    match error {
        ImageError::Unsupported(error) => DecodeError::Unsupported { format: error.to_string().into() },
        ImageError::Limits(_) => TooLarge { what: "memory of the decoder", value: limit + 1, limit }.into(),
        other => DecodeError::corrupt(format, other),
    }
}
