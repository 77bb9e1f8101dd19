//! What of the whole a decoded picture shows. Arithmetic only.

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
}

impl Extent {
    /// Pixel for pixel.
    pub const fn whole(picture: &Picture) -> Self {
        Self { width: picture.width, height: picture.height, by: 1, left: 0, top: 0 }
    }

    /// For a picture stored as `width × height`, decoded with its sides divided by `by` and rounded up, and then turned.
    pub(super) fn reduced(width: u32, height: u32, by: u32, orientation: Orientation) -> Self {
        use Orientation as O;
        // What the last pixel of a stored row and column reaches beyond the picture.
        let (right, bottom) = (width.next_multiple_of(by) - width, height.next_multiple_of(by) - height);
        let (left, top) = match orientation {
            O::NoTransforms | O::Rotate90FlipH => (0, 0),
            O::FlipHorizontal => (right, 0),
            O::FlipVertical => (0, bottom),
            O::Rotate180 => (right, bottom),
            O::Rotate90 => (bottom, 0),
            O::Rotate270 => (0, right),
            O::Rotate270FlipH => (bottom, right),
        };
        let (width, height) = match super::orient::swaps_sides(orientation) {
            true => (height, width),
            false => (width, height),
        };
        Self { width, height, by, left, top }
    }
}
