//! RGB pixels to tensor elements: normalisation, element type, channel order and axis order.
//!
//! A pixel has 256 values, so normalising is a table of 256 finished elements for each channel: exact by
//! construction, and independent of the alignment of the output. What most models read, planes of single precision, is computed
//! instead, many at once: the same arithmetic, so the same bits. Pixels that are normalised later are laid out as they are. Owns no
//! geometry; the caller says which rectangle the pixels fill.

use super::PreprocessError;
use super::geometry::Target;
use crate::model::{Channels, InputSpec, Layout};
use crate::picture::Picture;
use crate::tensor::Element;
use half::f16;
use multiversion::multiversion;

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
    let canvas = Canvas { pixels, target, input };
    let planes = input.layout == Layout::Nchw && input.channels != Channels::Gray;
    match input.element {
        Element::U8 if planes && input.is_pixels() => canvas.planes(out, [[input.fill]; 3], split),
        Element::U8 => canvas.look_up(out, |value| [value.round() as u8]),
        Element::F16 => canvas.look_up(out, |value| f16::from_f32(value).to_ne_bytes()),
        Element::F32 if planes => {
            let shift = Shift::of(input);
            let fill = [0, 1, 2].map(|channel| shift.number(input.fill, channel));
            canvas.planes(out, fill, |rgb, order, rows| split_to_numbers(rgb, order, &shift, rows));
        }
        Element::F32 => canvas.look_up(out, f32::to_ne_bytes),
        other @ (Element::I32 | Element::I64) => return Err(PreprocessError::Element(other)),
    }
    Ok(())
}

/// Numbers of pixels that were written for [`InputSpec::pixels`]: to the last bit what would have been written for `input`, of
/// single precision, at once. As many images as there are.
pub(super) fn normalise(pixels: &[u8], input: &InputSpec, out: &mut [u8]) {
    let shift = Shift::of(input);
    let (numbers, _) = out.as_chunks_mut::<4>();
    let channels = input.channel_count();
    let plane = input.width as usize * input.height as usize;
    if input.layout == Layout::Nhwc && channels == 3 {
        for (numbers, rgb) in numbers.as_chunks_mut::<3>().0.iter_mut().zip(pixels.as_chunks::<3>().0) {
            *numbers = [0, 1, 2].map(|channel| shift.number(rgb[channel], channel));
        }
    } else {
        for (k, (numbers, pixels)) in numbers.chunks_mut(plane).zip(pixels.chunks(plane)).enumerate() {
            to_numbers(pixels, &shift, k % channels, numbers);
        }
    }
}

/// From a pixel's value to the number of it.
struct Shift {
    scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Shift {
    const fn of(input: &InputSpec) -> Self {
        Self { scale: input.scale, mean: input.mean, std: input.std }
    }

    fn number(&self, pixel: u8, channel: usize) -> [u8; 4] {
        ((f32::from(pixel) * self.scale - self.mean[channel]) / self.std[channel]).to_ne_bytes()
    }

    /// The numbers of a channel's pixels. Taking nothing off and dividing by one changes no bit, and takes time.
    #[inline(always)]
    fn numbers(&self, pixels: &[u8], channel: usize, numbers: &mut [[u8; 4]]) {
        let (scale, mean, std) = (self.scale, self.mean[channel], self.std[channel]);
        if mean == 0.0 && std == 1.0 {
            for (number, pixel) in numbers.iter_mut().zip(pixels) {
                *number = (f32::from(*pixel) * scale).to_ne_bytes();
            }
        } else {
            for (number, pixel) in numbers.iter_mut().zip(pixels) {
                *number = ((f32::from(*pixel) * scale - mean) / std).to_ne_bytes();
            }
        }
    }
}

/// Pixels whose channels are taken apart at once, on the stack.
const CHUNK: usize = 512;

#[multiversion(targets("x86_64+avx2"))]
fn to_numbers(pixels: &[u8], shift: &Shift, channel: usize, numbers: &mut [[u8; 4]]) {
    shift.numbers(pixels, channel, numbers);
}

/// Takes a row of pixels apart into its channels, of which the one that `order` names first comes first.
#[multiversion(targets("x86_64+avx2"))]
fn split(rgb: &[[u8; 3]], order: [usize; 3], rows: [&mut [[u8; 1]]; 3]) {
    take_apart(rgb, order, rows.map(<[[u8; 1]]>::as_flattened_mut));
}

/// As [`split`], and makes numbers of them.
#[multiversion(targets("x86_64+avx2"))]
fn split_to_numbers(rgb: &[[u8; 3]], order: [usize; 3], shift: &Shift, rows: [&mut [[u8; 4]]; 3]) {
    let mut apart = [[0; CHUNK]; 3];
    for (k, rgb) in rgb.chunks(CHUNK).enumerate() {
        take_apart(rgb, order, apart.each_mut().map(|row| &mut row[..rgb.len()]));
        for (channel, pixels) in apart.iter().enumerate() {
            shift.numbers(&pixels[..rgb.len()], channel, &mut rows[channel][k * CHUNK..][..rgb.len()]);
        }
    }
}

/// All three at once, in the order they lie in: so they are read as whole vectors.
#[inline(always)]
fn take_apart(rgb: &[[u8; 3]], order: [usize; 3], rows: [&mut [u8]; 3]) {
    let [first, second, third] = rows;
    let (first, third) = if order[0] == 0 { (first, third) } else { (third, first) };
    for (((rgb, first), second), third) in rgb.iter().zip(first).zip(second).zip(third) {
        (*first, *second, *third) = (rgb[0], rgb[1], rgb[2]);
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
    /// Lays out elements that are made of the normalised values.
    fn look_up<const N: usize>(&self, out: &mut [u8], element: impl Fn(f32) -> [u8; N]) {
        let InputSpec { scale, mean, std, .. } = *self.input;
        // Elements of `N` bytes for each channel and value of a pixel.
        let tables: [[[u8; N]; 256]; 3] = std::array::from_fn(|c| {
            std::array::from_fn(|pixel| element((pixel as f32 * scale - mean[c]) / std[c]))
        });
        self.lay_out(out, |channel, pixel| tables[channel][usize::from(pixel)]);
    }

    /// Lays out elements that are made of a channel, in tensor order, and a pixel's value in it.
    fn lay_out<const N: usize>(&self, out: &mut [u8], element: impl Fn(usize, u8) -> [u8; N]) {
        let (out, _) = out.as_chunks_mut::<N>();
        let fill = self.input.fill;
        let places = match self.input.channels {
            // One channel: both layouts are the same bytes.
            Channels::Gray => return self.paint(out, element(0, fill), |rgb| element(0, luma(rgb))),
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        };
        match self.input.layout {
            Layout::Nchw => {
                let plane = self.input.width as usize * self.input.height as usize;
                for (channel, (out, place)) in out.chunks_exact_mut(plane).zip(places).enumerate() {
                    self.paint(out, element(channel, fill), |rgb| element(channel, rgb[place]));
                }
            }
            Layout::Nhwc => {
                let pixel = |rgb: [u8; 3]| [0, 1, 2].map(|channel| element(channel, rgb[places[channel]]));
                self.paint(out.as_chunks_mut::<3>().0, pixel([fill; 3]), pixel);
            }
        }
    }

    /// Covers the three planes of an input in colour: padding outside the target, rows that `convert` writes inside.
    fn planes<const N: usize>(
        &self,
        out: &mut [u8],
        fill: [[u8; N]; 3],
        convert: impl Fn(&[[u8; 3]], [usize; 3], [&mut [[u8; N]]; 3]),
    ) {
        let (columns, rows) = (self.input.width as usize, self.input.height as usize);
        let (left, width) = (self.target.left as usize, self.target.width as usize);
        let (top, height) = (self.target.top as usize, self.target.height as usize);
        let order = if self.input.channels == Channels::Bgr { [2, 1, 0] } else { [0, 1, 2] };
        let (out, _) = out.as_chunks_mut::<N>();
        let (first, rest) = out.split_at_mut(columns * rows);
        let (second, third) = rest.split_at_mut(columns * rows);
        let planes = [first, second, third].map(|plane| plane.chunks_exact_mut(columns));
        let [first, second, third] = planes;
        for (y, ((first, second), third)) in first.zip(second).zip(third).enumerate() {
            let mut lines = [first, second, third];
            if y < top || y >= top + height {
                lines.iter_mut().zip(fill).for_each(|(line, fill)| line.fill(fill));
                continue;
            }
            for (line, fill) in lines.iter_mut().zip(fill) {
                line[..left].fill(fill);
                line[left + width..].fill(fill);
            }
            convert(self.pixels.row(y - top, width), order, lines.map(|line| &mut line[left..left + width]));
        }
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
