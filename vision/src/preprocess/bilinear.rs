//! Two-tap bilinear resampling at half-pixel centres with clamped edges, as OpenCV's `INTER_LINEAR`.
//!
//! For each row of the result the two picture rows it lies between are blended, then columns are picked from the blend. Only
//! rows that count are read, so a 12-megapixel photo costs little more than a thumbnail; a general separable resizer walks every
//! source row for a kernel of two. A picture that has fewer rows than its result goes the other way: of each row columns are
//! picked once, and blended for all rows of the result that lie below it. Single precision all the way, rounded once, half up.
//!
//! The loops are plain arithmetic, compiled once more for wide vectors. None may fuse a product with a sum: the result
//! is the same to the last bit on every machine.

use super::geometry::{Source, Target};
use crate::decode::Extent;
use crate::picture::Picture;
use multiversion::multiversion;

/// Buffers that are reused from call to call.
#[derive(Debug, Default)]
pub(super) struct Lines {
    columns: Vec<Tap>,
    blend: Vec<f32>,
    picked: [Vec<f32>; 2],
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
    }
    let length = (last + 1 - first) * 3;
    // More numbers than there are: columns are picked four numbers at a time, of two pixels side by side.
    blend.resize(length + 5, 0.0);
    for picked in picked.iter_mut() {
        picked.resize(columns.len() * 3 + 1, 0.0);
    }

    let stride = picture.width as usize * 3;
    let row = |y: usize| &picture.rgb[y * stride + first * 3..][..length];
    let rows = (0..target.height)
        .map(|at| tap(at, target.height, source.top, source.height, extent.height, picture.height))
        .zip(out.chunks_exact_mut(target.width as usize * 3));
    let [upper, lower] = picked;
    if target.height <= picture.height {
        for (tap, line) in rows {
            mix(blend, row(tap.near), row(tap.far), tap.weight);
            pick(columns, blend, upper);
            round(line, upper, upper, 0.0);
        }
        return;
    }
    // What the two hold, of which rows.
    let (mut near, mut far) = (usize::MAX, usize::MAX);
    let mut fill = |y: usize, picked: &mut Vec<f32>| {
        mix(blend, row(y), row(y), 0.0);
        pick(columns, blend, picked);
        y
    };
    for (tap, line) in rows {
        if tap.near == far {
            std::mem::swap(upper, lower);
            std::mem::swap(&mut near, &mut far);
        }
        if tap.near != near {
            near = fill(tap.near, upper);
        }
        if tap.far != far {
            far = fill(tap.far, lower);
        }
        round(line, upper, lower, tap.weight);
    }
}

/// Blends two picture rows.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn mix(blend: &mut [f32], above: &[u8], below: &[u8], weight: f32) {
    for ((sum, above), below) in blend.iter_mut().zip(above).zip(below) {
        let (above, below) = (f32::from(*above), f32::from(*below));
        *sum = above + (below - above) * weight;
    }
}

/// Picks a row's pixels from a blend, three numbers a pixel. Four are what a vector instruction takes: the fourth is the next
/// pixel's first, which writes it anew. The far pixel is the near one's neighbour; the last one has none and gives it no weight.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn pick(columns: &[Tap], blend: &[f32], picked: &mut [f32]) {
    let mut rest = picked;
    for column in columns {
        let Some(both) = blend[column.near..].first_chunk::<8>() else { return };
        let Some(pixel) = rest.first_chunk_mut::<4>() else { return };
        *pixel = std::array::from_fn(|k| both[k] + (both[k + 3] - both[k]) * column.weight);
        rest = &mut rest[3..];
    }
}

/// Blends two rows of picked pixels, and rounds.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn round(line: &mut [u8], above: &[f32], below: &[f32], weight: f32) {
    for ((byte, above), below) in line.iter_mut().zip(above).zip(below) {
        *byte = rounded(above + (below - above) * weight);
    }
}

/// A number of 0 to 255 rounded half up. Adding 2^23 leaves no bit for a fraction, so the sum's last byte is the number
/// rounded half to even; the comparison puts the halves right. A cast would do the same one number at a time.
#[inline(always)]
fn rounded(number: f32) -> u8 {
    const WHOLE: f32 = 8_388_608.0;
    let up = number + 0.5;
    let sum = up + WHOLE;
    sum.to_bits().wrapping_sub(u32::from(sum - WHOLE > up)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways of going through a picture.
    #[test]
    fn rows_first_or_columns_first_makes_no_difference_that_is_seen() {
        let mut random = 1_u32;
        let mut byte = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        };
        let picture = Picture { width: 7, height: 9, rgb: (0..7 * 9 * 3).map(|_| byte()).collect() };
        // Turned by a quarter what is taller than the picture is wider than it.
        let turned = Picture {
            width: 9,
            height: 7,
            rgb: (0..7)
                .flat_map(|x| (0..9).map(move |y| (y * 7 + x) * 3))
                .flat_map(|at| picture.rgb[at..at + 3].to_vec())
                .collect(),
        };
        let made = |picture: &Picture, width: u32, height: u32| {
            let mut out = vec![0; (width * height * 3) as usize];
            let source =
                Source { left: 0.0, top: 0.0, width: picture.width.into(), height: picture.height.into() };
            let target = Target { left: 0, top: 0, width, height };
            resize(picture, &Extent::whole(picture), &source, &target, &mut Lines::default(), &mut out);
            out
        };
        let (tall, wide) = (made(&picture, 5, 23), made(&turned, 23, 5));
        for (x, y) in (0..5).flat_map(|x| (0..23).map(move |y| (x, y))) {
            let (a, b) = (&tall[(y * 5 + x) * 3..][..3], &wide[(x * 23 + y) * 3..][..3]);
            assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1), "{x}, {y}: {a:?} {b:?}");
        }
    }

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
