//! Small pictures of pictures, for lists that people look through.

use crate::picture::Picture;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

/// The picture with no side longer than `side`, in its proportions. One that is small enough is given back as it is.
///
/// # Panics
/// Never for a picture that is consistent.
pub fn thumbnail(picture: &Picture, side: u32) -> Picture {
    let long = picture.width.max(picture.height);
    if long <= side || !picture.is_consistent() {
        return picture.clone();
    }
    let scaled = |length: u32| (u64::from(length) * u64::from(side) / u64::from(long)).max(1) as u32;
    let (width, height) = (scaled(picture.width), scaled(picture.height));
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let from = TypedImageRef::<U8x3>::from_buffer(picture.width, picture.height, &picture.rgb);
    let to = TypedImage::<U8x3>::from_buffer(width, height, &mut rgb);
    let (from, mut to) = (from.expect("consistent"), to.expect("of this size"));
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
    Resizer::new().resize_typed(&from, &mut to, &options).expect("both have pixels");
    Picture { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: u32, height: u32) -> Picture {
        Picture { width, height, rgb: [200, 100, 50].repeat((width * height) as usize) }
    }

    #[test]
    fn the_long_side_shrinks_and_the_colour_stays() {
        for (width, height, expected) in
            [(640, 480, (160, 120)), (480, 640, (120, 160)), (100, 50, (100, 50)), (4000, 2, (160, 1))]
        {
            let small = thumbnail(&plain(width, height), 160);
            assert_eq!((small.width, small.height), expected);
            assert!(small.is_consistent() && small.rgb.chunks(3).all(|pixel| pixel == [200, 100, 50]));
        }
    }
}
