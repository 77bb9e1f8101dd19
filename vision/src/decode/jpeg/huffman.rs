//! Huffman tables: from a code to its symbol, and over codes whose values nobody needs, several at a time.

use super::bits::Bits;

/// Codes up to this length are found in one step.
const SHORT: u32 = 10;
/// Bits that a step over unneeded values looks at.
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
    steps: Vec<Step>,
    values: Vec<Coefficient>,
}

/// What the next [`SHORT`] bits begin with, if it is whole: a code with its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coefficient {
    /// Bits of both; 0 when they are not whole.
    pub bits: u8,
    /// Coefficients before it that are zero; [`END_OF_BLOCK`] when all that follow are.
    pub zeros: u8,
    pub value: i16,
}

/// No coefficient follows in this block.
pub(super) const END_OF_BLOCK: u8 = 64;

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
            steps: Vec::new(),
            values: Vec::new(),
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
            table.steps = (0..1usize << STRIDE).map(|bits| table.step(bits)).collect();
            table.values = (0..1usize << SHORT).map(|bits| table.value(bits)).collect();
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

    fn value(&self, bits: usize) -> Coefficient {
        let (length, symbol) = self.short[bits];
        let size = symbol & 15;
        if length == 0 || u32::from(length + size) > SHORT {
            return Coefficient::default();
        }
        let rest = bits >> (SHORT - u32::from(length + size)) & ((1 << size) - 1);
        let value = super::bits::signed(rest as i32, size.into()) as i16;
        let zeros = if symbol == 0 { END_OF_BLOCK } else { symbol >> 4 };
        Coefficient { bits: length + size, zeros, value }
    }

    /// Takes a code with its value. At least 32 bits must be held.
    #[inline(always)]
    pub fn coefficient(&self, bits: &mut Bits<'_>) -> Option<Coefficient> {
        let short = self.values[bits.peek(SHORT)];
        if short.bits > 0 {
            bits.skip(short.bits.into());
            return Some(short);
        }
        let symbol = self.symbol(bits)?;
        let value = bits.value(u32::from(symbol & 15)) as i16;
        let zeros = if symbol == 0 { END_OF_BLOCK } else { symbol >> 4 };
        Some(Coefficient { bits: 0, zeros, value })
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
        while at < 64 {
            bits.fill();
            let step = self.steps[bits.peek(STRIDE)];
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
