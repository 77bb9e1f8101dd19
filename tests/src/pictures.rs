//! Pictures that tests make themselves.

use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// The colours of `tests/assets/answers.json`.
pub const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [255, 0, 0]),
    ("green", [0, 255, 0]),
    ("blue", [0, 0, 255]),
    ("white", [255, 255, 255]),
    ("black", [0, 0, 0]),
    ("orange", [255, 102, 0]),
];

/// A PNG of one colour, of the size that the tests' models take.
pub fn plain(colour: [u8; 3]) -> Vec<u8> {
    sized(colour, 96, 64)
}

/// A PNG of one colour.
pub fn sized(colour: [u8; 3], width: u32, height: u32) -> Vec<u8> {
    encode(&RgbImage::from_pixel(width, height, Rgb(colour)), ImageFormat::Png)
}

/// A JPEG with some texture, to be cut or bent.
pub fn jpeg() -> Vec<u8> {
    let picture = RgbImage::from_fn(320, 240, |x, y| Rgb([(x ^ y) as u8, (x * 3) as u8, (y * 5) as u8]));
    encode(&picture, ImageFormat::Jpeg)
}

/// A PNG of some 20 KB that no other seed has.
pub fn textured(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let picture = RgbImage::from_fn(96, 64, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, r, g, b] = state.to_le_bytes();
        Rgb([r, g, b])
    });
    encode(&picture, ImageFormat::Png)
}

fn encode(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture can be encoded");
    bytes.into_inner()
}
