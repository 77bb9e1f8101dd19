//! Huffman tables: from a code to its symbol, from some bits to the two coefficients they hold, and over codes whose values
//! nobody needs, several at a time.

use super::bits::{Bits, FULL, signed};
use super::plane::NATURAL;

/// Codes up to this length are found in one step.
const SHORT: u32 = 10;
/// Bits that a step over coefficients looks at.
const STRIDE: u32 = 12;

/// One table of a file.
#[derive(Clone, Debug)]
pub(super) struct Huffman {
    /// Length of the code and its symbol by the next [`SHORT`] bits; length 0 for longer codes.
    short: Vec<(u8, u8)>,
    /// By length: one above the last code, left-aligned in 16 bits.
    end: [u32; 17],
    /// By length: what added to a code makes its symbol's index.
    offset: [i32; 17],
    symbols: Vec<u8>,
    /// Both by the next [`STRIDE`] bits; of a table for DC coefficients they are empty.
    pairs: Vec<Pair>,
    steps: Vec<Step>,
}

/// What the next [`STRIDE`] bits begin with: one or two coefficients with their values, as far as they are whole.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Bits of both.
    bits: u8,
    /// From the coefficient before to the first one, and from there to the second: [`END_OF_BLOCK`] when no more follow, 0 when it is the first again;
    /// [`LONG`] when not even the first is whole.
    ahead: [u8; 2],
    values: [i16; 2],
}

/// Farther than a block is long.
const END_OF_BLOCK: u8 = 64;
const LONG: u8 = 128;

/// What the next [`STRIDE`] bits hold as a whole: codes with their values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Bits of all of them; 0 when not even one code is whole.
    pub bits: u8,
    /// Coefficients they are about.
    pub count: u8,
    /// The last one says that no more of this block follow.
    pub ends: bool,
}

impl Huffman {
    /// From a table's segment: the number of codes of each length, then the symbols. Also how long that was.
    pub fn parse(segment: &[u8], is_ac: bool) -> Option<(Self, usize)> {
        let (counts, rest) = segment.split_first_chunk::<16>()?;
        let total = counts.iter().map(|count| usize::from(*count)).sum();
        let symbols = rest.get(..total).filter(|_| total <= 256)?.to_vec();
        let mut table = Self {
            short: vec![(0, 0); 1 << SHORT],
            end: [0; 17],
            offset: [0; 17],
            symbols,
            pairs: Vec::new(),
            steps: Vec::new(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if length <= SHORT {
                    let from = (code << (SHORT - length)) as usize;
                    let entry = (length as u8, table.symbols[index]);
                    table.short.get_mut(from..from + (1 << (SHORT - length)))?.fill(entry);
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None; // more codes than that length has room for
            }
            table.end[length as usize] = code << (16 - length);
            code <<= 1;
        }
        if is_ac {
            table.pairs = (0..1usize << STRIDE).map(|bits| table.pair(bits)).collect();
            table.steps = (0..1usize << STRIDE).map(|bits| table.step(bits)).collect();
        }
        Some((table, 16 + total))
    }

    /// Length and symbol of the code that these 16 bits begin with.
    fn find(&self, bits: usize) -> Option<(u8, u8)> {
        let entry = self.short[bits >> (16 - SHORT)];
        if entry.0 > 0 {
            return Some(entry);
        }
        let length = (SHORT as usize + 1..=16).find(|&length| (bits as u32) < self.end[length])?;
        let code = (bits >> (16 - length)) as i32;
        let symbol = self.symbols.get(usize::try_from(code + self.offset[length]).ok()?)?;
        Some((length as u8, *symbol))
    }

    fn step(&self, bits: usize) -> Step {
        let bits = bits << (16 - STRIDE);
        let mut step = Step::default();
        while u32::from(step.bits) < STRIDE {
            let Some((length, symbol)) = self.find(bits << step.bits & 0xffff) else { break };
            if u32::from(step.bits + length) > STRIDE {
                break; // bits behind the stride are part of it
            }
            step.bits += length + (symbol & 15);
            match symbol {
                0x00 => {
                    step.ends = true;
                    break;
                }
                _ => step.count += (symbol >> 4) + 1,
            }
        }
        step
    }

    fn pair(&self, bits: usize) -> Pair {
        let bits = bits << (16 - STRIDE);
        let mut pair = Pair { bits: 0, ahead: [LONG, 0], values: [0, 0] };
        for i in 0..2 {
            let Some((length, symbol)) = self.find(bits << pair.bits & 0xffff) else { break };
            let size = symbol & 15;
            let whole = pair.bits + length + size;
            if u32::from(whole) > STRIDE {
                break;
            }
            let value = bits >> (16 - whole) & ((1 << size) - 1);
            pair.bits = whole;
            pair.values[i..].fill(signed(value as i32, size.into()) as i16);
            pair.ahead[i] = if symbol == 0 { END_OF_BLOCK } else { (symbol >> 4) + 1 };
            if symbol == 0 {
                break;
            }
        }
        pair
    }

    /// Takes a sequential block's coefficients behind the first, up to `last` at least, into `block` (natural order). Returns
    /// the last one it took, and whether the block ends there.
    #[inline(always)]
    pub fn coefficients(
        &self,
        bits: &mut Bits<'_>,
        last: usize,
        block: &mut [i16; 64],
    ) -> Option<(usize, bool)> {
        let mut put = |k: usize, value| block[usize::from(NATURAL[k & 63]) & 63] = value;
        let pairs = self.pairs.first_chunk::<{ 1 << STRIDE }>()?;
        let (mut k, mut steps_held) = (0, 0);
        while k < last {
            // Counted, which is foretold better than how many bits a step takes.
            if steps_held == 0 {
                bits.fill_up();
                steps_held = FULL / STRIDE;
            }
            steps_held -= 1;
            let pair = &pairs[bits.peek(STRIDE)];
            let first = k + usize::from(pair.ahead[0]);
            let second = first + usize::from(pair.ahead[1]);
            if second < 64 {
                put(first, pair.values[0]);
                put(second, pair.values[1]);
                bits.skip(pair.bits.into());
                k = second;
                continue;
            }
            if pair.ahead[0] == END_OF_BLOCK {
                bits.skip(pair.bits.into());
                return Some((k, true));
            }
            // Behind the last coefficient no end is written: what looks like one is the next block's.
            if pair.ahead[1] == END_OF_BLOCK && first < 63 {
                put(first, pair.values[0]);
                bits.skip(pair.bits.into());
                return Some((first, true));
            }
            // One alone: it is long, or the second is the next block's.
            bits.fill();
            steps_held = 0;
            let symbol = self.symbol(bits)?;
            if symbol == 0 {
                return Some((k, true));
            }
            k += usize::from(symbol >> 4) + 1;
            if k > 63 {
                return None;
            }
            put(k, bits.value(u32::from(symbol & 15)) as i16);
        }
        Some((k, k == 63))
    }

    /// Takes a code and returns its symbol. At least 16 bits must be held.
    #[inline(always)]
    pub fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let (length, symbol) = match self.short[bits.peek(SHORT)] {
            (0, _) => self.find(bits.peek(16))?,
            entry => entry,
        };
        bits.skip(length.into());
        Some(symbol)
    }

    /// Passes over what is left of a sequential block, from coefficient `at` on.
    #[inline(always)]
    pub fn skip_block(&self, bits: &mut Bits<'_>, mut at: u32) -> Option<()> {
        let steps = self.steps.first_chunk::<{ 1 << STRIDE }>()?;
        while at < 64 {
            bits.fill();
            let step = &steps[bits.peek(STRIDE)];
            let next = at + u32::from(step.count);
            // Behind the last coefficient no end is written: what looks like more is the next block.
            if step.bits > 0 && (next < 64 || next == 64 && !step.ends) {
                bits.skip(step.bits.into());
                if step.ends {
                    return Some(());
                }
                at = next;
                continue;
            }
            let symbol = self.symbol(bits)?;
            if symbol == 0 {
                return Some(());
            }
            bits.skip(u32::from(symbol & 15));
            at += u32::from(symbol >> 4) + 1;
        }
        (at == 64).then_some(())
    }
}

#[cfg(test)]
mod tests;
