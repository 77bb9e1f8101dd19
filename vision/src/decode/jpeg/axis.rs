//! From a block's frequencies to the points of it that are wanted: an inverse cosine transform of those points alone.
//! Columns and rows are each an [`Axis`]; a point is where one of either cross.

use std::f32::consts::PI;
use std::ops::Range;

/// What each of the eight frequencies of a block weighs at one place of it.
pub(super) type Weights = [f32; 8];

/// Lines of one block, as many as a vector is wide: what each frequency weighs at each of them.
pub(super) type Group = [[f32; LANES]; 8];

/// Lines of a [`Group`], and as many rows are made at once.
pub(super) const LANES: usize = 8;

/// The lines that are wanted along one axis of a plane, in ascending order.
#[derive(Debug)]
pub(super) struct Axis {
    /// Index of a block's first line; of a last block that is not there, the number of lines.
    first: Vec<u32>,
    /// Of each line, unless they are in groups.
    weights: Vec<Weights>,
    /// Index of a block's first group. What its last group has room for besides weighs nothing.
    first_group: Vec<u32>,
    groups: Vec<Group>,
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
        let first = (0..=blocks).map(|block| (block * points) as u32).collect();
        Self::new(first, block.repeat(blocks), points)
    }

    /// The lines of the whole picture that are given, in a plane of so many blocks that has one sample to `factor` of the
    /// picture's. Between samples values are interpolated; the first and last of a block are not mixed with its neighbours'.
    pub fn lines(blocks: usize, factor: usize, lines: &[u32]) -> Self {
        let basis: [Weights; 8] = std::array::from_fn(|x| std::array::from_fn(|u| cosine(x as f32, u, 8)));
        let (mut first, mut weights) = (Vec::with_capacity(blocks + 1), Vec::with_capacity(lines.len()));
        first.push(0);
        for line in lines.iter().map(|line| *line as usize) {
            let block = line / (8 * factor);
            while first.len() <= block {
                first.push(weights.len() as u32);
            }
            let at = ((line % (8 * factor)) as f32 + 0.5) / factor as f32 - 0.5;
            let at = at.clamp(0.0, 7.0);
            let (near, far) = (&basis[at as usize], &basis[(at as usize + 1).min(7)]);
            weights.push(std::array::from_fn(|u| near[u] + (far[u] - near[u]) * at.fract()));
        }
        first.resize(blocks.max(first.len() - 1) + 1, weights.len() as u32);
        Self::new(first, weights, 8)
    }

    fn new(first: Vec<u32>, weights: Vec<Weights>, frequencies: usize) -> Self {
        Self { first, weights, frequencies, first_group: Vec::new(), groups: Vec::new() }
    }

    /// The same lines in groups instead of one by one, as the axis across needs them.
    pub fn grouped(self) -> Self {
        let Self { first, weights, frequencies, .. } = self;
        let count = |block: &[u32]| (block[1] - block[0]).div_ceil(LANES as u32) as usize;
        let mut groups = Vec::with_capacity(first.windows(2).map(count).sum());
        let mut first_group = Vec::with_capacity(first.len());
        first_group.push(0);
        for block in first.windows(2) {
            for lines in weights[block[0] as usize..block[1] as usize].chunks(LANES) {
                let weight = |u: usize, x: usize| lines.get(x).map_or(0.0, |weights: &Weights| weights[u]);
                groups.push(std::array::from_fn(|u| std::array::from_fn(|x| weight(u, x))));
            }
            first_group.push(groups.len() as u32);
        }
        Self { first, weights: Vec::new(), frequencies, first_group, groups }
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.first.last().map_or(0, |lines| *lines as usize)
    }

    /// Which lines lie in this block.
    #[inline(always)]
    pub fn within(&self, block: usize) -> Range<usize> {
        match self.first.get(block..) {
            Some([from, to, ..]) => *from as usize..*to as usize,
            _ => 0..0,
        }
    }

    /// The groups of this block's lines.
    #[inline(always)]
    pub fn groups(&self, block: usize) -> &[Group] {
        match self.first_group.get(block..) {
            Some([from, to, ..]) => self.groups.get(*from as usize..*to as usize).unwrap_or_default(),
            _ => &[],
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

/// What each frequency of a block (natural order) is worth; only its first `rows` rows may hold anything but zeros.
#[inline(always)]
pub(super) fn frequencies(block: &[i16; 64], steps: &[f32; 64], rows: usize) -> [Weights; 8] {
    let mut frequencies = [[0.0; 8]; 8];
    let pairs = block.as_chunks::<8>().0.iter().zip(steps.as_chunks::<8>().0);
    for (line, (quantised, steps)) in frequencies.iter_mut().zip(pairs).take(rows) {
        *line = std::array::from_fn(|u| f32::from(quantised[u]) * steps[u]);
    }
    frequencies
}

/// The points where lines of one axis, at most [`LANES`], cross a group of the other. Of the frequencies only the first `rows` rows and
/// `columns` columns may hold anything but zeros.
#[inline(always)]
pub(super) fn points(
    frequencies: &[Weights; 8],
    (rows, columns): (usize, usize),
    across: &Group,
    down: &[Weights],
) -> [[u8; LANES]; LANES] {
    let mut sums = [[0.0; LANES]; LANES];
    for (sums, weights) in sums.iter_mut().zip(down) {
        let mut line = [0.0; 8];
        for (frequencies, weight) in frequencies.iter().zip(weights).take(rows) {
            line = std::array::from_fn(|u| line[u] + frequencies[u] * weight);
        }
        let mut points = [128.0; LANES];
        for (frequency, weights) in line.iter().zip(across).take(columns) {
            points = std::array::from_fn(|x| points[x] + frequency * weights[x]);
        }
        *sums = points;
    }
    let mut points = [[0; LANES]; LANES];
    for (point, value) in points.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        *point = nearest(*value);
    }
    points
}

/// As a cast to a byte of what is rounded does it, for several at once.
#[inline(always)]
#[expect(clippy::manual_clamp, reason = "its word on what is no number costs more than all the rest")]
fn nearest(value: f32) -> u8 {
    /// Above it every number is whole, and stands in the lowest bits.
    const WHOLE: f32 = (1 << 23) as f32;
    (value.max(0.0).min(255.0) + WHOLE).to_bits() as u8
}
