//! From a block's frequencies to the points of it that are wanted: an inverse cosine transform of those points alone.
//! Columns and rows are each an [`Axis`]; a point is where one of either cross.

use std::f32::consts::PI;
use std::ops::Range;

/// What each of the eight frequencies of a block weighs at one place of it.
pub(super) type Weights = [f32; 8];

/// The lines that are wanted along one axis of a plane, in ascending order.
#[derive(Debug)]
pub(super) struct Axis {
    /// Index of a block's first line; of a last block that is not there, the number of lines.
    first: Vec<u32>,
    weights: Vec<Weights>,
    /// Frequencies that count, the lowest ones.
    pub frequencies: usize,
}

impl Axis {
    /// `points` (1, 2, 4 or 8) evenly spaced ones of each of so many blocks, as a transform of that size makes them: an average
    /// of what lies between.
    pub fn even(blocks: usize, points: usize) -> Self {
        let block: Vec<Weights> = (0..points)
            .map(|x| std::array::from_fn(|u| if u < points { cosine(x as f32, u, points) } else { 0.0 }))
            .collect();
        Self {
            first: (0..=blocks).map(|block| (block * points) as u32).collect(),
            weights: block.repeat(blocks),
            frequencies: points,
        }
    }

    /// The lines of the whole picture that are given, in a plane of so many blocks that has one sample to `factor` of the
    /// picture's. Between samples values are interpolated; the first and last of a block are not mixed with its neighbours'.
    pub fn lines(blocks: usize, factor: usize, lines: &[u32]) -> Self {
        let basis: [Weights; 8] = std::array::from_fn(|x| std::array::from_fn(|u| cosine(x as f32, u, 8)));
        let (mut first, weights) = (Vec::with_capacity(blocks + 1), Vec::with_capacity(lines.len()));
        first.push(0);
        let mut axis = Self { first, weights, frequencies: 8 };
        for line in lines.iter().map(|line| *line as usize) {
            let block = line / (8 * factor);
            while axis.first.len() <= block {
                axis.first.push(axis.weights.len() as u32);
            }
            let at = ((line % (8 * factor)) as f32 + 0.5) / factor as f32 - 0.5;
            let at = at.clamp(0.0, 7.0);
            let (near, far) = (&basis[at as usize], &basis[(at as usize + 1).min(7)]);
            axis.weights.push(std::array::from_fn(|u| near[u] + (far[u] - near[u]) * at.fract()));
        }
        axis.first.resize(blocks.max(axis.first.len() - 1) + 1, axis.weights.len() as u32);
        axis
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Which lines lie in this block.
    #[inline(always)]
    pub fn within(&self, block: usize) -> Range<usize> {
        match self.first.get(block..) {
            Some([from, to, ..]) => *from as usize..*to as usize,
            _ => 0..0,
        }
    }

    /// The weights of these lines.
    #[inline(always)]
    pub fn weights(&self, lines: Range<usize>) -> &[Weights] {
        self.weights.get(lines).unwrap_or_default()
    }
}

/// Frequency `u` at point `x` of `points`.
fn cosine(x: f32, u: usize, points: usize) -> f32 {
    match u {
        0 => 0.5 / 2f32.sqrt(),
        _ => 0.5 * ((2.0 * x + 1.0) * u as f32 * PI / (2 * points) as f32).cos(),
    }
}

/// Writes a block's points into `out`, whose rows are `stride` apart. Of the block (natural order) only the first `rows` rows of
/// frequencies are not zero.
#[inline(always)]
pub(super) fn write(
    block: &[i16; 64],
    steps: &[f32; 64],
    rows: usize,
    across: &[Weights],
    down: &[Weights],
    out: &mut [u8],
    stride: usize,
) {
    let (quantised, steps) = (block.as_chunks::<8>().0, steps.as_chunks::<8>().0);
    for (weights, line) in down.iter().zip(out.chunks_mut(stride)) {
        let mut sums = [0f32; 8];
        for v in 0..rows.min(8) {
            for u in 0..8 {
                sums[u] += f32::from(quantised[v][u]) * steps[v][u] * weights[v];
            }
        }
        for (point, weights) in line.iter_mut().zip(across) {
            let pairs: [f32; 4] =
                std::array::from_fn(|u| sums[u] * weights[u] + sums[u + 4] * weights[u + 4]);
            // The cast cuts off below 0 and above 255.
            *point = (pairs[0] + pairs[2] + (pairs[1] + pairs[3]) + 128.5) as u8;
        }
    }
}
