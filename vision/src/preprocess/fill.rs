//! RGB pixels to tensor elements: normalisation, element type, channel order and axis order.
//!
//! A pixel has 256 values, so normalising is a table of 256 finished elements for each channel: exact by
//! construction, the same cost for every element type, and independent of the alignment of the output. Owns
//! no geometry; the caller says which rectangle the pixels fill.

use super::PreprocessError;
use super::geometry::Target;
use crate::model::{Channels, InputSpec, Layout};
use crate::picture::Picture;
use crate::tensor::Element;
use half::f16;

/// A window of RGB pixels: rows of at least the target's width, `stride` bytes apart.
pub(super) struct Pixels<'a> {
    pub rgb: &'a [u8],
    pub stride: usize,
}

impl<'a> Pixels<'a> {
    /// The picture's pixels from column `left` and row `top` on.
    pub fn window(picture: &'a Picture, left: usize, top: usize) -> Self {
        let stride = picture.width as usize * 3;
        Self { rgb: &picture.rgb[top * stride + left * 3..], stride }
    }

    fn row(&self, y: usize, width: usize) -> &'a [[u8; 3]] {
        self.rgb[y * self.stride..][..width * 3].as_chunks().0
    }
}

/// Writes all of `out`: `pixels` into the rectangle `target`, the padding everywhere else.
pub(super) fn write(
    pixels: &Pixels,
    target: &Target,
    input: &InputSpec,
    out: &mut [u8],
) -> Result<(), PreprocessError> {
    match input.element {
        Element::U8 => lay_out(pixels, target, input, out, |value| [value.round() as u8]),
        Element::F16 => lay_out(pixels, target, input, out, |value| f16::from_f32(value).to_ne_bytes()),
        Element::F32 => lay_out(pixels, target, input, out, f32::to_ne_bytes),
        other @ (Element::I32 | Element::I64) => return Err(PreprocessError::Element(other)),
    }
    Ok(())
}

/// Elements of `N` bytes for each value of a pixel.
type Table<const N: usize> = [[u8; N]; 256];

fn table<const N: usize>(input: &InputSpec, channel: usize, element: impl Fn(f32) -> [u8; N]) -> Table<N> {
    std::array::from_fn(|pixel| {
        element((pixel as f32 * input.scale - input.mean[channel]) / input.std[channel])
    })
}

fn lay_out<const N: usize>(
    pixels: &Pixels,
    target: &Target,
    input: &InputSpec,
    out: &mut [u8],
    element: impl Fn(f32) -> [u8; N],
) {
    let [first, second, third] = std::array::from_fn(|channel| table(input, channel, &element));
    let (out, _) = out.as_chunks_mut::<N>();
    let canvas = Canvas { pixels, target, input };
    let plane = input.width as usize * input.height as usize;
    match (input.channels, input.layout) {
        // One channel: both layouts are the same bytes.
        (Channels::Gray, _) => canvas.plane(out, &first, luma),
        (Channels::Rgb, Layout::Nchw) => {
            canvas.plane(&mut out[..plane], &first, |rgb| rgb[0]);
            canvas.plane(&mut out[plane..2 * plane], &second, |rgb| rgb[1]);
            canvas.plane(&mut out[2 * plane..], &third, |rgb| rgb[2]);
        }
        (Channels::Bgr, Layout::Nchw) => {
            canvas.plane(&mut out[..plane], &first, |rgb| rgb[2]);
            canvas.plane(&mut out[plane..2 * plane], &second, |rgb| rgb[1]);
            canvas.plane(&mut out[2 * plane..], &third, |rgb| rgb[0]);
        }
        (Channels::Rgb, Layout::Nhwc) => canvas.interleaved(out, |[r, g, b]| {
            [first[usize::from(r)], second[usize::from(g)], third[usize::from(b)]]
        }),
        (Channels::Bgr, Layout::Nhwc) => canvas.interleaved(out, |[r, g, b]| {
            [first[usize::from(b)], second[usize::from(g)], third[usize::from(r)]]
        }),
    }
}

/// Rounded (299 R + 587 G + 114 B) ÷ 1000; equal channels give back their value.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

struct Canvas<'a> {
    pixels: &'a Pixels<'a>,
    target: &'a Target,
    input: &'a InputSpec,
}

impl Canvas<'_> {
    fn plane<const N: usize>(&self, out: &mut [[u8; N]], table: &Table<N>, channel: impl Fn([u8; 3]) -> u8) {
        let padding = table[usize::from(self.input.fill)];
        self.paint(out, padding, |rgb| table[usize::from(channel(rgb))]);
    }

    fn interleaved<const N: usize>(&self, out: &mut [[u8; N]], pixel: impl Fn([u8; 3]) -> [[u8; N]; 3]) {
        let (out, _) = out.as_chunks_mut::<3>();
        self.paint(out, pixel([self.input.fill; 3]), pixel);
    }

    /// Covers a plane of the input's size with cells: padding outside the target, converted pixels inside.
    fn paint<C: Copy>(&self, out: &mut [C], padding: C, convert: impl Fn([u8; 3]) -> C) {
        let (left, width) = (self.target.left as usize, self.target.width as usize);
        let (top, height) = (self.target.top as usize, self.target.height as usize);
        for (y, row) in out.chunks_exact_mut(self.input.width as usize).enumerate() {
            if y < top || y >= top + height {
                row.fill(padding);
                continue;
            }
            let (before, rest) = row.split_at_mut(left);
            let (inside, after) = rest.split_at_mut(width);
            before.fill(padding);
            for (cell, rgb) in inside.iter_mut().zip(self.pixels.row(y - top, width)) {
                *cell = convert(*rgb);
            }
            after.fill(padding);
        }
    }
}
