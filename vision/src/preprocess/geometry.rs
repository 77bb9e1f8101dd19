//! Where a picture lands in the input: pure arithmetic, no pixels.
//!
//! Every mode comes down to one thing: a box of the picture (in fractions of a pixel) is scaled onto a
//! rectangle of the input, and the rest of the input is filled. The roundings are those of the frameworks
//! that train the models, because a box that is off by one pixel of padding is off by several in the picture.

use crate::decode::Extent;
use crate::model::{Anchor, InputSpec, Resize};

/// The way back from input pixels to picture pixels: `picture = input × scale + offset`, by axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Picture pixels to an input pixel, horizontally.
    pub scale_x: f32,
    /// Picture pixels to an input pixel, vertically.
    pub scale_y: f32,
    /// Picture column of the input's left edge (negative where there is padding).
    pub offset_x: f32,
    /// Picture row of the input's top edge (negative where there is padding).
    pub offset_y: f32,
    /// Columns of the picture.
    pub width: u32,
    /// Rows of the picture.
    pub height: u32,
}

impl Placement {
    /// A point of the input as a point of the picture; not clipped, so padding maps outside the picture.
    pub fn to_picture(&self, x: f32, y: f32) -> (f32, f32) {
        (x * self.scale_x + self.offset_x, y * self.scale_y + self.offset_y)
    }

    /// A box x1, y1, x2, y2 in input pixels as one in picture pixels, clipped to the picture.
    pub fn box_to_picture(&self, [x1, y1, x2, y2]: [f32; 4]) -> [f32; 4] {
        let (x1, y1) = self.to_picture(x1, y1);
        let (x2, y2) = self.to_picture(x2, y2);
        let (right, bottom) = (self.width as f32, self.height as f32);
        [x1.clamp(0.0, right), y1.clamp(0.0, bottom), x2.clamp(0.0, right), y2.clamp(0.0, bottom)]
    }
}

/// A box of the picture, in pixels and fractions of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// A rectangle of the input, in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// One picture's way into the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub source: Source,
    pub target: Target,
    pub placement: Placement,
}

impl Plan {
    /// Plans a picture of `width × height` (neither zero) for `input`.
    pub fn new(width: u32, height: u32, input: &InputSpec) -> Self {
        match input.resize {
            Resize::Stretch => stretch(width, height, input),
            Resize::Letterbox { anchor, upscale } => letterbox(width, height, input, anchor, upscale),
            Resize::CenterCrop { short } => center_crop(width, height, input, short.max(1)),
        }
    }

    /// The same plan for a picture that shows the whole as `extent` says.
    pub fn within(mut self, extent: &Extent) -> Self {
        let by = f64::from(extent.by);
        let Source { left, top, width, height } = self.source;
        self.source = Source {
            left: (left + f64::from(extent.left)) / by,
            top: (top + f64::from(extent.top)) / by,
            width: width / by,
            height: height / by,
        };
        self
    }

    /// Left and top of the source when it lands pixel for pixel, so that nothing needs to be resampled.
    pub fn unscaled(&self) -> Option<(usize, usize)> {
        let Source { left, top, width, height } = self.source;
        let same = width == f64::from(self.target.width) && height == f64::from(self.target.height);
        (same && left.fract() == 0.0 && top.fract() == 0.0).then_some((left as usize, top as usize))
    }
}

fn stretch(width: u32, height: u32, input: &InputSpec) -> Plan {
    Plan {
        source: whole(width, height),
        target: Target { left: 0, top: 0, width: input.width, height: input.height },
        placement: Placement {
            scale_x: (f64::from(width) / f64::from(input.width)) as f32,
            scale_y: (f64::from(height) / f64::from(input.height)) as f32,
            offset_x: 0.0,
            offset_y: 0.0,
            width,
            height,
        },
    }
}

/// Both axes map back by the one ratio, as the frameworks do it, although the rounded size of the target
/// stands for a slightly different one on each axis.
fn letterbox(width: u32, height: u32, input: &InputSpec, anchor: Anchor, upscale: bool) -> Plan {
    let (w, h) = (f64::from(width), f64::from(height));
    let fit = (f64::from(input.width) / w).min(f64::from(input.height) / h);
    let ratio = if upscale { fit } else { fit.min(1.0) };
    let side = |length: f64, limit: u32| {
        let scaled = match anchor {
            Anchor::TopLeft => length * ratio,
            Anchor::Center => (length * ratio).round_ties_even(),
        };
        // The cast cuts off the fraction, which is what the top-left family does.
        (scaled as u32).clamp(1, limit)
    };
    let (target_width, target_height) = (side(w, input.width), side(h, input.height));
    let pad = |limit: u32, used: u32| match anchor {
        Anchor::TopLeft => 0,
        // Half of an odd padding goes to the far side.
        Anchor::Center => (f64::from(limit - used) / 2.0 - 0.1).round().max(0.0) as u32,
    };
    let target = Target {
        left: pad(input.width, target_width),
        top: pad(input.height, target_height),
        width: target_width,
        height: target_height,
    };
    let scale = 1.0 / ratio;
    Plan {
        source: whole(width, height),
        target,
        placement: Placement {
            scale_x: scale as f32,
            scale_y: scale as f32,
            offset_x: (-f64::from(target.left) * scale) as f32,
            offset_y: (-f64::from(target.top) * scale) as f32,
            width,
            height,
        },
    }
}

/// Only the part of the picture that survives the cut is resampled. Where the scaled picture is smaller than
/// the input (a `short` below the input's side), what is missing is filled.
fn center_crop(width: u32, height: u32, input: &InputSpec, short: u32) -> Plan {
    let (scaled_width, scaled_height) = if width <= height {
        (short, scale_half_up(height, short, width))
    } else {
        (scale_half_up(width, short, height), short)
    };
    let across = cut(width, scaled_width, input.width);
    let down = cut(height, scaled_height, input.height);
    Plan {
        source: Source { left: across.from, top: down.from, width: across.length, height: down.length },
        target: Target { left: across.at, top: down.at, width: across.side, height: down.side },
        placement: Placement {
            scale_x: across.scale as f32,
            scale_y: down.scale as f32,
            offset_x: (across.from - f64::from(across.at) * across.scale) as f32,
            offset_y: (down.from - f64::from(down.at) * down.scale) as f32,
            width,
            height,
        },
    }
}

/// One axis of a centre crop: `length` picture pixels from `from` become `side` input pixels from `at`.
struct Cut {
    from: f64,
    length: f64,
    at: u32,
    side: u32,
    scale: f64,
}

fn cut(picture: u32, scaled: u32, input: u32) -> Cut {
    let scale = f64::from(picture) / f64::from(scaled);
    let side = scaled.min(input);
    let from = f64::from((scaled - side) / 2) * scale;
    Cut {
        from,
        // A box that rounding pushes past the picture's edge by an ulp would be refused.
        length: (f64::from(side) * scale).min(f64::from(picture) - from),
        at: (input - side) / 2,
        side,
        scale,
    }
}

/// `length × to ÷ from`, rounded half up, at least 1.
fn scale_half_up(length: u32, to: u32, from: u32) -> u32 {
    let (length, to, from) = (u64::from(length), u64::from(to), u64::from(from));
    u32::try_from((2 * length * to + from) / (2 * from)).unwrap_or(u32::MAX).max(1)
}

fn whole(width: u32, height: u32) -> Source {
    Source { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) }
}
