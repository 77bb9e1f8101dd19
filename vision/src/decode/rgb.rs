//! Any pixel layout to 8-bit RGB, in the buffer it was decoded into, so that a decode needs one buffer only.
//!
//! Alpha is dropped, grey replicated, 16 bits keep the high byte, floats are cut to 0–1.

use super::DecodeError;
use image::ColorType;

/// Byte of a native-endian 16-bit sample that is kept.
const HIGH: usize = if cfg!(target_endian = "little") { 1 } else { 0 };

/// Bytes the buffer needs on the way: whichever is longer, the pixels as decoded or as RGB.
pub(super) fn peak_bytes(decoded: u64, pixels: u64) -> u64 {
    decoded.max(pixels.saturating_mul(3))
}

/// Turns `buffer`, holding `pixels` pixels of `color`, into RGB.
pub(super) fn convert(buffer: &mut Vec<u8>, color: ColorType, pixels: usize) -> Result<(), DecodeError> {
    match color {
        ColorType::Rgb8 => {}
        ColorType::Rgba8 => compact(buffer, pixels, |[r, g, b, _]: [u8; 4]| [r, g, b]),
        ColorType::L8 => widen(buffer, pixels, |[l]: [u8; 1]| [l; 3])?,
        ColorType::La8 => widen(buffer, pixels, |[l, _]: [u8; 2]| [l; 3])?,
        ColorType::L16 => widen(buffer, pixels, |sample: [u8; 2]| [sample[HIGH]; 3])?,
        ColorType::La16 => compact(buffer, pixels, |sample: [u8; 4]| [sample[HIGH]; 3]),
        ColorType::Rgb16 => compact(buffer, pixels, |s: [u8; 6]| [s[HIGH], s[2 + HIGH], s[4 + HIGH]]),
        ColorType::Rgba16 => compact(buffer, pixels, |s: [u8; 8]| [s[HIGH], s[2 + HIGH], s[4 + HIGH]]),
        ColorType::Rgb32F => compact(buffer, pixels, |s: [u8; 12]| float_rgb(&s)),
        ColorType::Rgba32F => compact(buffer, pixels, |s: [u8; 16]| float_rgb(&s)),
        other => return Err(DecodeError::Unsupported { format: format!("pixels of {other:?}").into() }),
    }
    Ok(())
}

/// Turns `buffer`, holding amounts of ink, into RGB by the plain formula, without a colour profile.
pub(super) fn convert_cmyk(buffer: &mut Vec<u8>, pixels: usize) {
    compact(buffer, pixels, |[c, m, y, k]: [u8; 4]| {
        [c, m, y].map(|ink| (((255 - u32::from(ink)) * (255 - u32::from(k)) + 127) / 255) as u8)
    });
}

/// Samples of at least three bytes: front to back, each pixel lands at or before where it was read.
fn compact<const N: usize>(buffer: &mut Vec<u8>, pixels: usize, rgb: impl Fn([u8; N]) -> [u8; 3]) {
    for pixel in 0..pixels {
        let sample = std::array::from_fn(|i| buffer[pixel * N + i]);
        buffer[pixel * 3..][..3].copy_from_slice(&rgb(sample));
    }
    buffer.truncate(pixels * 3);
}

/// Samples of fewer than three bytes: back to front, each pixel lands at or behind where it was read.
fn widen<const N: usize>(
    buffer: &mut Vec<u8>,
    pixels: usize,
    rgb: impl Fn([u8; N]) -> [u8; 3],
) -> Result<(), DecodeError> {
    let bytes = pixels * 3;
    buffer.try_reserve_exact(bytes - buffer.len()).map_err(|_| DecodeError::OutOfMemory { bytes })?;
    buffer.resize(bytes, 0);
    for pixel in (0..pixels).rev() {
        let sample = std::array::from_fn(|i| buffer[pixel * N + i]);
        buffer[pixel * 3..][..3].copy_from_slice(&rgb(sample));
    }
    Ok(())
}

fn float_rgb(sample: &[u8]) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let bytes = [0, 1, 2, 3].map(|i| sample[channel * 4 + i]);
        // A float outside 0–1 or not a number saturates in the cast.
        (f32::from_ne_bytes(bytes) * 255.0).round() as u8
    })
}
