//! Two-tap bilinear resampling at half-pixel centres with clamped edges, as OpenCV's `INTER_LINEAR`.
//!
//! For each row of the result the two picture rows it lies between are blended (plain arithmetic, which the
//! compiler vectorises), then columns are picked from the blend. Only rows that count are read, so a
//! 12-megapixel photo costs little more than a thumbnail; a general separable resizer walks every source row
//! for a kernel of two. Single precision all the way, rounded once, half up.

use super::geometry::{Source, Target};
use crate::picture::Picture;

/// Buffers that are reused from call to call.
#[derive(Debug, Default)]
pub(super) struct Lines {
    columns: Vec<Tap>,
    blend: Vec<f32>,
}

/// The two pixels of an axis that make one, and the weight of the second.
#[derive(Clone, Copy, Debug)]
struct Tap {
    near: usize,
    far: usize,
    weight: f32,
}

impl Tap {
    /// For position `at` of `count` that a stretch of `length` from `from` becomes, on an axis of `limit` pixels.
    fn new(at: u32, count: u32, from: f64, length: f64, limit: u32) -> Self {
        let last = limit - 1;
        let centre = from + (f64::from(at) + 0.5) * length / f64::from(count) - 0.5;
        let centre = centre.clamp(0.0, f64::from(last));
        let near = centre as u32;
        let weight = (centre - f64::from(near)) as f32;
        Self { near: near as usize, far: (near + 1).min(last) as usize, weight }
    }
}

/// Fills `out`, `target.width × target.height` RGB pixels, from the part `source` of the picture.
pub(super) fn resize(picture: &Picture, source: &Source, target: &Target, lines: &mut Lines, out: &mut [u8]) {
    let Lines { columns, blend } = lines;
    columns.clear();
    columns.extend(
        (0..target.width).map(|at| Tap::new(at, target.width, source.left, source.width, picture.width)),
    );
    // Columns left and right of the taps need no blending.
    let (Some(first), Some(last)) = (columns.first().map(|tap| tap.near), columns.last().map(|tap| tap.far))
    else {
        return;
    };
    for tap in columns.iter_mut() {
        tap.near -= first;
        tap.far -= first;
    }
    let length = (last + 1 - first) * 3;
    blend.resize(length, 0.0);

    let stride = picture.width as usize * 3;
    let row = |y: usize| &picture.rgb[y * stride + first * 3..][..length];
    let (out, _) = out.as_chunks_mut::<3>();
    for (at, line) in out.chunks_exact_mut(target.width as usize).enumerate() {
        let tap = Tap::new(at as u32, target.height, source.top, source.height, picture.height);
        for ((sum, above), below) in blend.iter_mut().zip(row(tap.near)).zip(row(tap.far)) {
            let (above, below) = (f32::from(*above), f32::from(*below));
            *sum = above + (below - above) * tap.weight;
        }
        let (blend, _) = blend.as_chunks::<3>();
        for (pixel, column) in line.iter_mut().zip(columns.iter()) {
            let (near, far) = (blend[column.near], blend[column.far]);
            *pixel = std::array::from_fn(|channel| {
                (near[channel] + (far[channel] - near[channel]) * column.weight + 0.5) as u8
            });
        }
    }
}
