//! One plane of a picture: the blocks it is stored in, which points of them are wanted, and where those go. Knows no bits.

use super::axis::{self, Axis, LANES};
use super::idct;
use std::rc::Rc;

/// Buffers that are kept from picture to picture.
#[derive(Debug, Default)]
pub(in super::super) struct Planes {
    pub points: Vec<u8>,
    pub coefficients: Vec<i16>,
}

impl Planes {
    /// Frees what is above `keep` bytes.
    pub fn trim(&mut self, keep: usize) {
        if self.points.capacity() > keep {
            self.points = Vec::new();
        }
        if self.coefficients.capacity() > keep / 2 {
            self.coefficients = Vec::new();
        }
    }
}

/// Where the k-th coefficient of a block belongs.
pub(super) const NATURAL: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Rows and columns of frequencies that the first k + 1 coefficients of a block lie in.
const SPREAD: [[u8; 2]; 64] = {
    let mut spread = [[1; 2]; 64];
    let mut k = 1;
    while k < 64 {
        let ([rows, columns], row, column) = (spread[k - 1], NATURAL[k] / 8 + 1, NATURAL[k] % 8 + 1);
        spread[k] = [if row > rows { row } else { rows }, if column > columns { column } else { columns }];
        k += 1;
    }
    spread
};

/// What a step of each coefficient is worth, natural order.
pub(super) type Steps = [f32; 64];

/// One plane of the picture.
pub(super) struct Part {
    pub id: u8,
    /// Blocks in a unit.
    pub h: usize,
    pub v: usize,
    pub table: usize,
    /// Blocks without padding.
    pub columns: usize,
    pub rows: usize,
    /// Blocks in a padded row.
    pub stride: usize,
    /// The points that are made of the blocks.
    pub across: Rc<Axis>,
    pub down: Rc<Axis>,
    /// Last coefficient that those need.
    pub last: usize,
    /// Coefficients that are kept of a block of a progressive file.
    pub kept: usize,
    /// Where the plane begins in [`Planes`].
    pub points: usize,
    pub coefficients: usize,
    /// The DC coefficient of the block before.
    pub mean: i32,
    pub is_seen: bool,
}

impl Part {
    /// Writes the points of a block (natural order) at this column and row of blocks; its coefficients behind the `last`th are zero.
    /// What lies to the right of them in their rows may be overwritten: blocks come from left to right.
    #[inline(always)]
    pub fn write(
        &self,
        block: &[i16; 64],
        steps: &Steps,
        last: usize,
        (column, row): (usize, usize),
        points: &mut [u8],
    ) -> Option<()> {
        let (across, down) = (self.across.within(column), self.down.within(row));
        let stride = self.across.len();
        let out = points.get_mut(self.points + down.start * stride + across.start..)?;
        let (width, room) = (across.len(), stride - across.start);
        let [rows, columns] = SPREAD[last & 63].map(usize::from);
        let frequencies = axis::frequencies(block, steps, rows);
        let weights = self.down.weights(down);
        for (group, at) in self.across.groups(column).iter().zip((0..).step_by(LANES)) {
            for (weights, out) in weights.chunks(LANES).zip(out.chunks_mut(LANES * stride)) {
                let points = axis::points(&frequencies, (rows, columns), group, weights);
                for (points, line) in points.iter().zip(out.chunks_mut(stride)).take(weights.len()) {
                    match line.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<LANES>) {
                        Some(whole) if at + LANES <= room => *whole = *points,
                        _ => line
                            .get_mut(at..width)?
                            .iter_mut()
                            .zip(points)
                            .for_each(|(place, point)| *place = *point),
                    }
                }
            }
        }
        Some(())
    }

    /// Writes the one point of a block of which no more is wanted.
    #[inline(always)]
    pub fn write_mean(&self, mean: u8, (column, row): (usize, usize), points: &mut [u8]) -> Option<()> {
        let (across, down) = (self.across.within(column), self.down.within(row));
        *points.get_mut(self.points + down.start * self.across.len() + across.start)? = mean;
        Some(())
    }

    /// Whether anything of a block is wanted.
    #[inline(always)]
    pub fn wants(&self, (column, row): (usize, usize)) -> bool {
        !self.across.within(column).is_empty() && !self.down.within(row).is_empty()
    }
}

pub(super) fn make_room<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> Option<()> {
    buffer.clear();
    buffer.try_reserve_exact(length).ok()?;
    buffer.resize(length, T::default());
    Some(())
}

/// The mean of a block from its DC coefficient.
pub(super) fn mean(coefficient: i32, step: f32) -> u8 {
    idct::mean(coefficient.wrapping_mul(step as i32))
}
