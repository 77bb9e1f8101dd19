//! What a picture looks like, in a few numbers: how bright, how sharp, how much there is to see, and a hash that pictures
//! that look alike share. Works on some thousand samples, whatever the picture's size: it runs once for every picture that
//! may be kept, beside the requests.
//!
//! The flags have the names of CleanVision's issues.

use serde::{Deserialize, Serialize};
use vision::picture::Picture;

/// Side of the miniature in cells.
const SIDE: usize = 64;
/// Points at which sharpness is looked at, along each side.
const POINTS: usize = 48;
/// Long side at which sharpness is looked at, roughly: a photo of twelve megapixels is soft at its own.
const SHARP_AT: u32 = 1024;

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Mean brightness, 0–1.
    pub brightness: f32,
    /// Brightness that 95 % of the picture stay below.
    pub highlights: f32,
    /// Brightness that 95 % of the picture stay above.
    pub shadows: f32,
    /// Standard deviation of the brightness's second derivative, in its 256 steps.
    pub sharpness: f32,
    /// Entropy of the brightness, 0–1.
    pub information: f32,
    /// Whether there is no colour.
    pub grey: bool,
    /// Which of two neighbours is brighter, in 8 × 8 places.
    #[serde(skip)]
    pub hash: u64,
}

/// What is odd about a picture: a set of bits, by [`FLAGS`].
pub type Flags = u8;

/// Names of the flags, by bit.
pub const FLAGS: [&str; 7] =
    ["dark", "light", "blurry", "low_information", "grayscale", "odd_size", "odd_aspect_ratio"];

const LOW_INFORMATION: Flags = 1 << 3;

/// The flags of these names; names that are none are passed over.
pub fn flags_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Flags {
    let bit = |name: &str| FLAGS.iter().position(|flag| *flag == name);
    names.into_iter().filter_map(bit).fold(0, |set, bit| set | 1 << bit)
}

/// The names of these flags.
pub fn flag_names(flags: Flags) -> Vec<&'static str> {
    FLAGS.iter().enumerate().filter(|(bit, _)| flags & 1 << bit != 0).map(|(_, name)| *name).collect()
}

impl Look {
    /// Looks at a picture. An empty one looks like nothing.
    pub fn of(picture: &Picture) -> Self {
        if !picture.is_consistent() {
            return Self::default();
        }
        let (width, height) = (picture.width as usize, picture.height as usize);
        let luma = |x: usize, y: usize| -> i32 {
            let at = (y * width + x) * 3;
            let pixel = &picture.rgb[at..at + 3];
            (i32::from(pixel[0]) * 299 + i32::from(pixel[1]) * 587 + i32::from(pixel[2]) * 114) / 1000
        };

        // Four samples a cell, so that a fine pattern does not become a coarse one.
        let mut cells = [0u8; SIDE * SIDE];
        let mut counts = [0u32; 256];
        for (row, line) in cells.chunks_exact_mut(SIDE).enumerate() {
            let y = [(row * 4 + 1) * height / (SIDE * 4), (row * 4 + 3) * height / (SIDE * 4)];
            for (column, cell) in line.iter_mut().enumerate() {
                let x = [(column * 4 + 1) * width / (SIDE * 4), (column * 4 + 3) * width / (SIDE * 4)];
                let sum = luma(x[0], y[0]) + luma(x[1], y[0]) + luma(x[0], y[1]) + luma(x[1], y[1]);
                *cell = (sum / 4) as u8;
                counts[usize::from(*cell)] += 1;
            }
        }
        let total = (SIDE * SIDE) as f32;
        let share = |level: f32| {
            let mut below = 0.0;
            counts.iter().position(|&count| {
                below += count as f32;
                below >= level * total
            })
        };
        let entropy: f32 = counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| count as f32 / total)
            .map(|p| -p * p.log2())
            .sum();
        Self {
            brightness: cells.iter().map(|&cell| f32::from(cell)).sum::<f32>() / total / 255.0,
            highlights: share(0.95).unwrap_or(255) as f32 / 255.0,
            shadows: share(0.05).unwrap_or(0) as f32 / 255.0,
            sharpness: sharpness(width, height, luma),
            information: entropy / 8.0,
            grey: is_grey(picture),
            hash: hash(&cells),
        }
    }

    /// What is odd about a picture that looks so and has this size.
    pub fn flags(&self, width: u32, height: u32) -> Flags {
        let (long, short) = (width.max(height), width.min(height));
        let odd = [
            self.highlights < 0.32,
            self.shadows > 0.95,
            self.sharpness < 4.0,
            self.information < 0.3,
            self.grey,
            short < 64,
            f64::from(short) < 0.35 * f64::from(long),
        ];
        odd.iter().enumerate().filter(|(_, odd)| **odd).fold(0, |set, (bit, _)| set | 1 << bit)
    }

    /// The perceptual hash, where it says something: all empty pictures look alike and need not be the same.
    pub fn telling_hash(&self) -> Option<u64> {
        (self.flags(1, 1) & LOW_INFORMATION == 0).then_some(self.hash)
    }
}

fn sharpness(width: usize, height: usize, luma: impl Fn(usize, usize) -> i32) -> f32 {
    let step = (width.max(height) / SHARP_AT as usize).max(1);
    if width <= 2 * step || height <= 2 * step {
        return 0.0;
    }
    let (mut sum, mut squares, mut count) = (0.0f64, 0.0f64, 0.0f64);
    for row in 0..POINTS {
        let y = step + row * (height - 2 * step) / POINTS;
        for column in 0..POINTS {
            let x = step + column * (width - 2 * step) / POINTS;
            let around = luma(x - step, y) + luma(x + step, y) + luma(x, y - step) + luma(x, y + step);
            let value = f64::from(around - 4 * luma(x, y));
            (sum, squares, count) = (sum + value, squares + value * value, count + 1.0);
        }
    }
    let mean = sum / count;
    (squares / count - mean * mean).max(0.0).sqrt() as f32
}

/// A sample of pixels decides: colour that none of them has is no colour to speak of.
fn is_grey(picture: &Picture) -> bool {
    let step = (picture.pixels() / 4096).max(1);
    let (pixels, _) = picture.rgb.as_chunks::<3>();
    pixels.iter().step_by(step).all(|[r, g, b]| r.abs_diff(*g) <= 8 && g.abs_diff(*b) <= 8)
}

/// The difference hash: 8 rows of 9 places, one bit for each pair of neighbours.
fn hash(cells: &[u8]) -> u64 {
    let mean = |row: usize, column: usize| -> u32 {
        let (top, bottom) = (row * SIDE / 8, (row + 1) * SIDE / 8);
        let (left, right) = (column * SIDE / 9, (column + 1) * SIDE / 9);
        let lines = cells.chunks_exact(SIDE).take(bottom).skip(top);
        let sum: u32 = lines.flat_map(|line| &line[left..right]).map(|&cell| u32::from(cell)).sum();
        sum * 64 / ((bottom - top) * (right - left)) as u32
    };
    let mut hash = 0;
    for row in 0..8 {
        let places: [u32; 9] = std::array::from_fn(|column| mean(row, column));
        hash = places.windows(2).fold(hash, |hash, pair| hash << 1 | u64::from(pair[0] < pair[1]));
    }
    hash
}

#[cfg(test)]
mod tests;
