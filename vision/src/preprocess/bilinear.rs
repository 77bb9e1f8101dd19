//! Two-tap bilinear resampling at half-pixel centres with clamped edges, as OpenCV's `INTER_LINEAR`.
//!
//! For each row of the result the two picture rows it lies between are blended (plain arithmetic, which the
//! compiler vectorises), then columns are picked from the blend. Only rows that count are read, so a
//! 12-megapixel photo costs little more than a thumbnail; a general separable resizer walks every source row
//! for a kernel of two. Single precision all the way, rounded once, half up.

use super::geometry::{Source, Target};
use crate::decode::Extent;
use crate::picture::Picture;

/// Buffers that are reused from call to call.
#[derive(Debug, Default)]
pub(super) struct Lines {
    columns: Vec<Tap>,
    blend: Vec<f32>,
    picked: Vec<f32>,
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

/// The columns and rows of a picture of `width × height` that [`resize`] reads, two for each of the target's.
pub(super) fn lines(source: &Source, target: &Target, width: u32, height: u32) -> (Vec<u32>, Vec<u32>) {
    let axis = |count: u32, from: f64, length: f64, limit: u32| {
        let taps = (0..count).map(|at| Tap::new(at, count, from, length, limit));
        taps.flat_map(|tap| [tap.near as u32, tap.far as u32]).collect()
    };
    (
        axis(target.width, source.left, source.width, width),
        axis(target.height, source.top, source.height, height),
    )
}

/// Fills `out`, `target.width × target.height` RGB pixels, from the part `source` of the picture.
pub(super) fn resize(
    picture: &Picture,
    extent: &Extent,
    source: &Source,
    target: &Target,
    lines: &mut Lines,
    out: &mut [u8],
) {
    let tap = |at: u32, count: u32, from: f64, length: f64, whole: u32, here: u32| match extent.is_lines {
        false => Tap::new(at, count, from, length, here),
        // The lines that it reads are all there is.
        true => Tap {
            near: 2 * at as usize,
            far: 2 * at as usize + 1,
            ..Tap::new(at, count, from, length, whole)
        },
    };
    let Lines { columns, blend, picked } = lines;
    columns.clear();
    columns.extend(
        (0..target.width)
            .map(|at| tap(at, target.width, source.left, source.width, extent.width, picture.width)),
    );
    // Columns left and right of the taps need no blending.
    let (Some(first), Some(last)) = (columns.first().map(|tap| tap.near), columns.last().map(|tap| tap.far))
    else {
        return;
    };
    for tap in columns.iter_mut() {
        tap.near = (tap.near - first) * 3;
        tap.far = (tap.far - first) * 3;
    }
    let length = (last + 1 - first) * 3;
    // A number more than there are: columns are picked four numbers at a time.
    blend.resize(length + 1, 0.0);
    picked.resize(columns.len() * 3 + 1, 0.0);

    let stride = picture.width as usize * 3;
    let row = |y: usize| &picture.rgb[y * stride + first * 3..][..length];
    for (at, line) in out.chunks_exact_mut(target.width as usize * 3).enumerate() {
        let tap = tap(at as u32, target.height, source.top, source.height, extent.height, picture.height);
        for ((sum, above), below) in blend.iter_mut().zip(row(tap.near)).zip(row(tap.far)) {
            let (above, below) = (f32::from(*above), f32::from(*below));
            *sum = above + (below - above) * tap.weight;
        }
        pick(columns, blend, picked);
        for (byte, number) in line.iter_mut().zip(picked.iter()) {
            *byte = rounded(*number);
        }
    }
}

/// Picks a row's pixels from a blend, both three numbers a pixel and one more at the end. Four numbers are what a
/// vector instruction takes: the fourth is the next pixel's first, which writes it anew.
fn pick(columns: &[Tap], blend: &[f32], picked: &mut [f32]) {
    let four = |at: usize| blend[at..].first_chunk::<4>().copied().unwrap_or_default();
    for (at, column) in columns.iter().enumerate() {
        let (near, far) = (four(column.near), four(column.far));
        if let Some(pixel) = picked[at * 3..].first_chunk_mut::<4>() {
            *pixel = std::array::from_fn(|k| near[k] + (far[k] - near[k]) * column.weight);
        }
    }
}

/// A number of 0 to 255 rounded half up. Adding 2^23 leaves no bit for a fraction, so the sum's last byte is the number
/// rounded half to even; the comparison puts the halves right. A cast would do the same one number at a time.
fn rounded(number: f32) -> u8 {
    const WHOLE: f32 = 8_388_608.0;
    let up = number + 0.5;
    let nearest = (up + WHOLE) - WHOLE;
    let floor = if nearest > up { nearest - 1.0 } else { nearest };
    (floor + WHOLE).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_a_cast_to_the_last_bit() {
        let mut number = 0.0f32;
        while number <= 255.0 {
            assert_eq!(rounded(number), (number + 0.5) as u8, "{number}");
            number = if number < 1e-3 { number + 1e-5 } else { f32::from_bits(number.to_bits() + 997) };
        }
        for half in 0..255u8 {
            for near in [f32::from(half), f32::from(half) + 0.5] {
                for number in [
                    near,
                    f32::from_bits(near.to_bits().saturating_sub(1)),
                    f32::from_bits(near.to_bits() + 1),
                ] {
                    assert_eq!(rounded(number), (number + 0.5) as u8, "{number}");
                }
            }
        }
    }
}
