//! Picture to input tensor: resize, place, normalise, convert and lay out, straight into the caller's bytes.
//!
//! `geometry` says which part of the picture lands where, `bilinear` samples, `fill` writes elements; this file
//! joins them, and the antialiasing resizer of a crate. Every byte of the output is written on every call, whatever the picture's shape, so nothing of
//! an earlier tenant of that memory can survive. Knows no model, no shared memory and keeps nothing between
//! calls but scratch buffers.

mod bilinear;
mod fill;
mod geometry;
#[cfg(test)]
mod tests;

pub use geometry::Placement;

use crate::decode::{Extent, Wanted};
use crate::model::{Filter, InputSpec};
use crate::picture::Picture;
use crate::tensor::Element;
use bilinear::Lines;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use fill::Pixels;
use geometry::{Plan, Source, Target};

/// Scratch above this many bytes is freed after the call that needed it: ordinary pictures reuse theirs, and a
/// rare giant does not keep its buffers for the life of the thread.
const KEEP: usize = 32 << 20;

/// Picture pixels to an input pixel, along both axes, from which on computing single pixels costs less than all of them.
const SPARSE: f64 = 3.5;

/// Why a tensor could not be written. All but [`PreprocessError::EmptyPicture`] are faults of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreprocessError {
    /// The picture has no pixels, or its buffer does not fit its size.
    #[error("the picture is empty or its buffer does not match its size")]
    EmptyPicture,
    /// The input's width or height is zero.
    #[error("the input has no pixels")]
    EmptyInput,
    /// The output slice is not exactly one image's tensor.
    #[error("the tensor has {found} bytes, the input needs {expected}")]
    Length {
        /// What [`InputSpec::bytes`] says.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// Of the picture other lines were decoded than this input takes.
    #[error("the picture was decoded for another input")]
    Lines,
    /// The input's element type holds no pixels.
    #[error("an input of {0:?} cannot be filled from a picture")]
    Element(Element),
    /// The resizer refused; carries its own words.
    #[error("resizing failed: {0}")]
    Resize(String),
}

/// Buffers of the resizer, to be kept per thread: after the first few calls writing a tensor allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    resizer: Resizer,
    lines: Lines,
    rgb: Vec<u8>,
}

impl Scratch {
    /// Empty scratch; it grows with use.
    pub fn new() -> Self {
        Self::default()
    }

    fn trim(&mut self) {
        if self.resizer.size_of_internal_buffers() > KEEP {
            self.resizer.reset_internal_buffers();
        }
        if self.rgb.capacity() > KEEP {
            self.rgb = Vec::new();
        }
    }
}

/// Writes `picture` as one image's input tensor into `out` (exactly `input.bytes()` bytes, any alignment,
/// native endian) and says how points of the tensor map back to the picture.
pub fn write_tensor(
    picture: &Picture,
    input: &InputSpec,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<Placement, PreprocessError> {
    write_tensor_of(picture, &Extent::whole(picture), input, scratch, out)
}

/// Writes a picture that may be smaller than the one it stands for, as [`write_tensor`] does; points map back to the whole.
pub fn write_tensor_of(
    picture: &Picture,
    extent: &Extent,
    input: &InputSpec,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Result<Placement, PreprocessError> {
    if !picture.is_consistent() {
        return Err(PreprocessError::EmptyPicture);
    }
    if input.width == 0 || input.height == 0 {
        return Err(PreprocessError::EmptyInput);
    }
    if out.len() != input.bytes() {
        return Err(PreprocessError::Length { expected: input.bytes(), found: out.len() });
    }
    let plan = Plan::new(extent.width, extent.height, input).within(extent);
    let Target { width, height, .. } = plan.target;
    // Lines are of use only to who asked for them.
    if extent.is_lines
        && (input.filter != Filter::Bilinear || (picture.width, picture.height) != (2 * width, 2 * height))
    {
        return Err(PreprocessError::Lines);
    }
    let pixels = match plan.unscaled() {
        Some((left, top)) => Pixels::window(picture, left, top),
        None => resize(picture, extent, &plan, input.filter, scratch)?,
    };
    fill::write(&pixels, &plan.target, input, out)?;
    scratch.trim();
    Ok(plan.placement)
}

/// Makes the numbers of single precision that `input` asks for of tensors that were written for its [`InputSpec::pixels`]: to the last
/// bit what [`write_tensor`] would have written at once. `pixels` and `out` hold the same number of images.
///
/// # Panics
/// When the lengths do not match, or `input` is not of single precision.
pub fn normalise(pixels: &[u8], input: &InputSpec, out: &mut [u8]) {
    assert!(
        input.element == Element::F32 && out.len() == 4 * pixels.len(),
        "a byte becomes a number of four"
    );
    fill::normalise(pixels, input, out);
}

/// What is wanted of a picture of `width × height` to be resized for `input`. For a filter of two taps, the lines that it reads,
/// so that the tensor is what the whole picture would make it. For one that averages, the picture averaged, at least twice as
/// large as what the input takes of it. All of a picture that is not much larger than the input: decoding it is quicker so.
pub fn wanted(width: u32, height: u32, input: &InputSpec) -> Wanted {
    if width == 0 || height == 0 || input.width == 0 || input.height == 0 {
        return Wanted::Whole;
    }
    let Plan { source, target, .. } = Plan::new(width, height, input);
    let across = source.width / f64::from(target.width);
    let down = source.height / f64::from(target.height);
    let least = across.min(down);
    match input.filter {
        // The cast cuts off the fraction, and what is below 1.
        Filter::BilinearAntialias => Wanted::Divided((least / 2.0) as u32),
        Filter::Bilinear if least < SPARSE => Wanted::Whole,
        Filter::Bilinear => {
            let (columns, rows) = bilinear::lines(&source, &target, width, height);
            Wanted::Lines { columns, rows }
        }
    }
}

fn resize<'a>(
    picture: &'a Picture,
    extent: &Extent,
    plan: &Plan,
    filter: Filter,
    scratch: &'a mut Scratch,
) -> Result<Pixels<'a>, PreprocessError> {
    let Plan { source, target, .. } = plan;
    let bytes = target.width as usize * target.height as usize * 3;
    if scratch.rgb.len() < bytes {
        scratch.rgb.resize(bytes, 0);
    }
    let rgb = &mut scratch.rgb[..bytes];
    match filter {
        Filter::Bilinear => bilinear::resize(picture, extent, source, target, &mut scratch.lines, rgb),
        Filter::BilinearAntialias => antialias(picture, source, target, &mut scratch.resizer, rgb)?,
    }
    Ok(Pixels { rgb, stride: target.width as usize * 3 })
}

fn antialias(
    picture: &Picture,
    source: &Source,
    target: &Target,
    resizer: &mut Resizer,
    rgb: &mut [u8],
) -> Result<(), PreprocessError> {
    let refused = |reason: &dyn std::fmt::Display| PreprocessError::Resize(reason.to_string());
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(source.left, source.top, source.width, source.height)
        .use_alpha(false);
    // The typed call compiles the resizer for this one pixel type instead of for all of them.
    let from = TypedImageRef::<U8x3>::from_buffer(picture.width, picture.height, &picture.rgb)
        .map_err(|error| refused(&error))?;
    let mut to =
        TypedImage::<U8x3>::from_buffer(target.width, target.height, rgb).map_err(|error| refused(&error))?;
    resizer.resize_typed(&from, &mut to, &options).map_err(|error| refused(&error))
}
