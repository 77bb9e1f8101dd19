//! A picture to an image file, for answers that are pictures.

use crate::picture::Picture;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageResult};

/// Why a picture could not be encoded: an empty or inconsistent one, or a side above the format's 65,535.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be encoded: {0}")]
pub struct EncodeError(String);

/// JPEG of `quality` 1–100.
pub fn encode_jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>, EncodeError> {
    encode(picture, |out| {
        let encoder = JpegEncoder::new_with_quality(out, quality.clamp(1, 100));
        encoder.write_image(&picture.rgb, picture.width, picture.height, ExtendedColorType::Rgb8)
    })
}

/// PNG, lossless.
pub fn encode_png(picture: &Picture) -> Result<Vec<u8>, EncodeError> {
    encode(picture, |out| {
        PngEncoder::new(out).write_image(&picture.rgb, picture.width, picture.height, ExtendedColorType::Rgb8)
    })
}

fn encode(
    picture: &Picture,
    write: impl FnOnce(&mut Vec<u8>) -> ImageResult<()>,
) -> Result<Vec<u8>, EncodeError> {
    if !picture.is_consistent() {
        return Err(EncodeError("it is empty or its buffer does not match its size".into()));
    }
    let mut out = Vec::new();
    write(&mut out).map_err(|error| EncodeError(error.to_string()))?;
    Ok(out)
}
