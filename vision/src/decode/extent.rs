//! What of the whole a decoded picture shows. Arithmetic only.

use super::orient;
use crate::picture::Picture;
use image::metadata::Orientation;

/// The whole that a decoded picture stands for, and how its pixels lie on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Columns of the whole, as a person sees it.
    pub width: u32,
    /// Rows of the whole.
    pub height: u32,
    /// Sides of the square of the whole that one decoded pixel stands for.
    pub by: u32,
    /// Columns by which the first decoded column reaches out of the whole: its side need not be a multiple of `by`.
    pub left: u32,
    /// Rows by which the first decoded row does.
    pub top: u32,
    /// Only the columns and rows that were wanted are there, side by side.
    pub is_lines: bool,
}

impl Extent {
    /// Pixel for pixel.
    pub const fn whole(picture: &Picture) -> Self {
        Self { width: picture.width, height: picture.height, by: 1, left: 0, top: 0, is_lines: false }
    }

    /// For a picture stored as `width × height`, of which some lines were decoded, and then turned.
    pub(super) fn lines(width: u32, height: u32, orientation: Orientation) -> Self {
        Self { is_lines: true, ..Self::divided(width, height, 1, orientation) }
    }

    /// For a picture stored as `width × height`, decoded with its sides divided by `by` and rounded up, and then turned.
    pub(super) fn divided(width: u32, height: u32, by: u32, orientation: Orientation) -> Self {
        // What the last pixel of a stored row and column reaches beyond the picture.
        let beyond = |length: u32, is_mirrored: bool| {
            if is_mirrored { length.next_multiple_of(by) - length } else { 0 }
        };
        let (from_right, from_bottom) = orient::mirrors(orientation);
        let (across, down) = (beyond(width, from_right), beyond(height, from_bottom));
        match orient::swaps_sides(orientation) {
            true => Self { width: height, height: width, by, left: down, top: across, is_lines: false },
            false => Self { width, height, by, left: across, top: down, is_lines: false },
        }
    }
}
