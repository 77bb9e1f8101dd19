//! Log-linear histograms of times: buckets of 1 µs at the bottom, then a fixed number of buckets an octave, up to
//! about two minutes. `Buckets` is the arithmetic, [`Histogram`] a copy that can be asked and subtracted.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Largest power of two of microseconds with buckets of its own; longer times count in the last bucket.
const MAX_EXPONENT: u32 = 26;

/// Number of buckets of a histogram with `2^bits` buckets an octave.
pub(super) const fn buckets(bits: u32) -> usize {
    ((MAX_EXPONENT - bits + 2) << bits) as usize
}

/// The bucket of a time.
fn index(bits: u32, nanos: u64) -> usize {
    let micros = nanos / 1000;
    if micros < 1 << bits {
        return micros as usize;
    }
    let exponent = micros.ilog2();
    if exponent > MAX_EXPONENT {
        return buckets(bits) - 1;
    }
    let within = (micros >> (exponent - bits)) as usize & ((1 << bits) - 1);
    (((exponent - bits + 1) as usize) << bits) + within
}

/// The times of a bucket: from this, in nanoseconds, to the next bucket's.
fn lower_bound(bits: u32, index: usize) -> u64 {
    let (octave, within) = (index >> bits, (index & ((1 << bits) - 1)) as u64);
    let micros = if octave == 0 { within } else { ((1 << bits) + within) << (octave - 1) };
    micros * 1000
}

/// Adds a time to a histogram's words: buckets, then sum and maximum.
pub(super) fn record(words: &[AtomicU64], bits: u32, nanos: u64) {
    // One writer a block, but several threads of it: hence read-modify-writes.
    words[index(bits, nanos)].fetch_add(1, Relaxed);
    words[buckets(bits)].fetch_add(nanos, Relaxed);
    words[buckets(bits) + 1].fetch_max(nanos, Relaxed);
}

/// Words of a histogram: its buckets, its sum, its maximum.
pub(super) const fn words(bits: u32) -> usize {
    buckets(bits) + 2
}

/// What was read from the board was written by another process: however large it is, adding it up must not overflow.
fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| count.saturating_add(sum))
}

/// A copy of a histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    bits: u32,
    counts: Vec<u64>,
    sum: u64,
    max: u64,
}

impl Histogram {
    pub(super) fn copy(words: &[AtomicU64], bits: u32) -> Self {
        let counts = words[..buckets(bits)].iter().map(|count| count.load(Relaxed)).collect();
        let [sum, max] = [0, 1].map(|k| words[buckets(bits) + k].load(Relaxed));
        Self { bits, counts, sum, max }
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        sum(&self.counts)
    }

    /// Sum of the times in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest time in nanoseconds since the service began.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Mean time in nanoseconds; 0 of nothing.
    pub fn mean(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum as f64 / count as f64,
        }
    }

    /// The time in nanoseconds below which the share `q` of all lies, taken in the middle of its bucket; 0 of
    /// nothing. The relative error is half a bucket: 1.6 % of the total, 6 % of the stages.
    pub fn quantile(&self, q: f64) -> f64 {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (index, &here) in self.counts.iter().enumerate() {
            seen = here.saturating_add(seen);
            if seen >= rank && here > 0 {
                let (from, to) = (lower_bound(self.bits, index), lower_bound(self.bits, index + 1));
                return (from + to) as f64 / 2.0;
            }
        }
        0.0
    }

    /// How many times were at most `nanos`, to the bucket's precision; for cumulative expositions.
    pub fn count_below(&self, nanos: u64) -> u64 {
        sum(&self.counts[..=index(self.bits, nanos)])
    }

    /// Adds another histogram of the same kind.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bits, other.bits);
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// What was recorded since an earlier copy of the same histogram. The maximum stays that of all time.
    pub fn since(&self, earlier: &Self) -> Self {
        debug_assert_eq!(self.bits, earlier.bits);
        let counts =
            self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { bits: self.bits, counts, sum: self.sum.saturating_sub(earlier.sum), max: self.max }
    }
}

#[cfg(test)]
mod tests;
