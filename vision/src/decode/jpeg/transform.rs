//! From a block's lowest frequencies to a few points: the inverse cosine transform of as many points as are wanted
//! instead of eight, axis by axis. One point is the block's mean.

use std::f32::consts::PI;

/// Row `x` holds the weights of the frequencies at point `x` of `n`.
type Basis = [[f32; 8]; 8];

/// The weights for 1, 2, 4 and 8 points.
pub(super) struct Transform([Basis; 4]);

impl Transform {
    pub fn new() -> Self {
        Self([1, 2, 4, 8].map(|points| {
            std::array::from_fn(|x| {
                std::array::from_fn(|u| match (x < points && u < points, u) {
                    (false, _) => 0.0,
                    (true, 0) => 0.5 / 2f32.sqrt(),
                    (true, _) => 0.5 * ((2 * x + 1) as f32 * u as f32 * PI / (2 * points) as f32).cos(),
                })
            })
        }))
    }

    /// Writes `across × down` points of a block (natural order, dequantised) into `out`, whose rows are `stride` apart.
    /// Both numbers are 1, 2, 4 or 8.
    pub fn write(&self, block: &[f32; 64], across: usize, down: usize, out: &mut [u8], stride: usize) {
        match (across, down) {
            (1, 1) => self.points::<1, 1>(block, out, stride),
            (2, 1) => self.points::<2, 1>(block, out, stride),
            (1, 2) => self.points::<1, 2>(block, out, stride),
            (2, 2) => self.points::<2, 2>(block, out, stride),
            (4, 2) => self.points::<4, 2>(block, out, stride),
            (2, 4) => self.points::<2, 4>(block, out, stride),
            (4, 4) => self.points::<4, 4>(block, out, stride),
            (8, 4) => self.points::<8, 4>(block, out, stride),
            (4, 8) => self.points::<4, 8>(block, out, stride),
            (4, 1) => self.points::<4, 1>(block, out, stride),
            (1, 4) => self.points::<1, 4>(block, out, stride),
            (8, 2) => self.points::<8, 2>(block, out, stride),
            (2, 8) => self.points::<2, 8>(block, out, stride),
            _ => self.points::<8, 8>(block, out, stride),
        }
    }

    fn points<const H: usize, const V: usize>(&self, block: &[f32; 64], out: &mut [u8], stride: usize) {
        let (across, down) = (&self.0[H.ilog2() as usize], &self.0[V.ilog2() as usize]);
        let (frequencies, _) = block.as_chunks::<8>();
        let rows: [[f32; H]; V] = std::array::from_fn(|v| {
            std::array::from_fn(|x| (0..H).map(|u| frequencies[v][u] * across[x][u]).sum())
        });
        for (weights, line) in down.iter().zip(out.chunks_mut(stride)).take(V) {
            let mut sums = [128.5; H];
            for v in 0..V {
                for x in 0..H {
                    sums[x] += rows[v][x] * weights[v];
                }
            }
            // The cast cuts off below 0 and above 255.
            line[..H].copy_from_slice(&sums.map(|sum| sum as u8));
        }
    }
}
