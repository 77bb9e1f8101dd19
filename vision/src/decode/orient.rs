//! EXIF orientation: turns and mirrors a picture so that it is as a person sees it.
//!
//! Flips and half turns happen in place. Quarter turns need a second buffer and go in tiles, because a
//! 12-megapixel column walk misses the cache on every pixel.

use super::{DecodeError, allocate};
use crate::picture::Picture;
use image::metadata::Orientation;

/// Side of a tile: its rows and columns both stay in the first-level cache.
const TILE: usize = 32;

/// Whether columns and rows change places, which takes a second buffer.
pub(super) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// Whether a person sees the stored columns from the right, and the stored rows from the bottom.
pub(super) fn mirrors(orientation: Orientation) -> (bool, bool) {
    match orientation {
        Orientation::NoTransforms | Orientation::Rotate90FlipH => (false, false),
        Orientation::FlipHorizontal | Orientation::Rotate270 => (true, false),
        Orientation::FlipVertical | Orientation::Rotate90 => (false, true),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => (true, true),
    }
}

/// Turns the picture. `spare` is a buffer for a copy, and holds the old one after.
pub(super) fn apply(
    orientation: Orientation,
    picture: &mut Picture,
    spare: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    match orientation {
        Orientation::NoTransforms => Ok(()),
        Orientation::FlipHorizontal => {
            for row in rows(picture) {
                row.as_chunks_mut::<3>().0.reverse();
            }
            Ok(())
        }
        Orientation::FlipVertical => {
            flip_vertically(picture);
            Ok(())
        }
        Orientation::Rotate180 => {
            picture.rgb.as_chunks_mut::<3>().0.reverse();
            Ok(())
        }
        Orientation::Rotate90FlipH => transpose(picture, false, false, spare),
        Orientation::Rotate90 => transpose(picture, true, false, spare),
        Orientation::Rotate270 => transpose(picture, false, true, spare),
        Orientation::Rotate270FlipH => transpose(picture, true, true, spare),
    }
}

fn rows(picture: &mut Picture) -> std::slice::ChunksExactMut<'_, u8> {
    let stride = picture.width as usize * 3;
    picture.rgb.chunks_exact_mut(stride.max(1))
}

fn flip_vertically(picture: &mut Picture) {
    let half = picture.height as usize / 2;
    let stride = picture.width as usize * 3;
    let middle = picture.rgb.len() - half * stride;
    let (upper, lower) = picture.rgb.split_at_mut(middle);
    for (above, below) in upper.chunks_exact_mut(stride).zip(lower.chunks_exact_mut(stride).rev()) {
        above.swap_with_slice(below);
    }
}

/// Columns become rows; `from_bottom` reads the old rows upwards, `from_right` the old columns leftwards.
fn transpose(
    picture: &mut Picture,
    from_bottom: bool,
    from_right: bool,
    turned: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    allocate(turned, picture.rgb.len())?;
    let (old, _) = picture.rgb.as_chunks::<3>();
    let (new, _) = turned.as_chunks_mut::<3>();
    for top in (0..width).step_by(TILE) {
        for left in (0..height).step_by(TILE) {
            for y in top..(top + TILE).min(width) {
                let column = if from_right { width - 1 - y } else { y };
                let row = &mut new[y * height..][..height];
                for (x, pixel) in row.iter_mut().enumerate().skip(left).take(TILE) {
                    let line = if from_bottom { height - 1 - x } else { x };
                    *pixel = old[line * width + column];
                }
            }
        }
    }
    std::mem::swap(&mut picture.rgb, turned);
    (picture.width, picture.height) = (picture.height, picture.width);
    Ok(())
}
