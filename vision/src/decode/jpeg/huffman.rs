//! Huffman tables: from a code to its symbol, from some bits to the two coefficients they hold, and over codes whose values
//! nobody needs, several at a time.

use super::bits::{Bits, FULL, signed};
use super::plane::NATURAL;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// Codes up to this length are found in one step.
const SHORT: u32 = 10;
/// Bits that a step over coefficients looks at.
const STRIDE: u32 = 12;

/// Symbols without a value.
const END: u8 = 0x00;
const SIXTEEN_ZEROS: u8 = 0xf0;

/// Where in a block the k-th coefficient belongs. What is none of it goes to the place of the first one, which is written last.
const PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut k = 0;
    while k < 64 {
        places[k] = NATURAL[k];
        k += 1;
    }
    places
};

/// One table of a file.
#[derive(Debug)]
pub(super) struct Huffman {
    /// As the file has it: how many codes there are of each length, and what they stand for.
    counts: [u8; 16],
    symbols: Vec<u8>,
    /// Length of the code and its symbol by the next [`SHORT`] bits; length 0 for longer codes.
    short: Vec<(u8, u8)>,
    /// By length: one above the last code, left-aligned in 16 bits.
    end: [u32; 17],
    /// By length: what added to a code makes its symbol's index.
    offset: [i32; 17],
    /// Both by the next [`STRIDE`] bits, and made when first needed: which a file of nothing but tables never does.
    pairs: OnceCell<Box<[Pair; 1 << STRIDE]>>,
    steps: OnceCell<Box<[Step; 1 << STRIDE]>>,
    /// Whether more than one file had it, or one file twice.
    is_common: Cell<bool>,
}

/// Tables that are kept per thread: those of two files.
const KEEP: usize = 8;

thread_local! {
    /// The latest ones first. Most files have the standard's tables; to make those anew takes as long as to decode a small picture.
    static KEPT: RefCell<Vec<Rc<Huffman>>> = const { RefCell::new(Vec::new()) };
}

/// What the next [`STRIDE`] bits begin with: one or two coefficients with their values, as far as they are whole.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Bits of both.
    bits: u8,
    /// From the coefficient before to the first one, and from there to the second: [`END_OF_BLOCK`] when no more follow, 0 when it is the
    /// first again; [`LONG`] when not even the first is whole.
    ahead: [u8; 2],
    values: [i16; 2],
}

/// Farther than two coefficients behind the last but one can be.
const END_OF_BLOCK: u8 = 96;
/// Farther than an end behind any coefficient.
const LONG: u8 = 192;

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
    pub fn parse(segment: &[u8]) -> Option<(Rc<Self>, usize)> {
        let (counts, rest) = segment.split_first_chunk::<16>()?;
        let total = counts.iter().map(|count| usize::from(*count)).sum();
        let symbols = rest.get(..total).filter(|_| total <= 256)?;
        KEPT.with_borrow_mut(|kept| {
            match kept.iter().position(|table| table.counts == *counts && table.symbols == symbols) {
                Some(place) => {
                    kept[place].is_common.set(true);
                    kept[..=place].rotate_right(1);
                }
                None => {
                    let table = Self::new(counts, symbols)?;
                    kept.truncate(KEEP - 1);
                    kept.insert(0, Rc::new(table));
                }
            }
            Some((kept[0].clone(), 16 + total))
        })
    }

    /// Whether what [`Huffman::coefficients`] looks up is there already, or is likely to be looked up by other files as well.
    pub fn is_common(&self) -> bool {
        self.is_common.get() || self.pairs.get().is_some()
    }

    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            counts: *counts,
            symbols: symbols.to_vec(),
            short: vec![(0, 0); 1 << SHORT],
            end: [0; 17],
            offset: [0; 17],
            pairs: OnceCell::new(),
            steps: OnceCell::new(),
            is_common: Cell::new(false),
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
        Some(table)
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

    #[cold]
    fn steps(&self) -> Box<[Step; 1 << STRIDE]> {
        Box::new(std::array::from_fn(|bits| self.step(bits)))
    }

    #[cold]
    fn pairs(&self) -> Box<[Pair; 1 << STRIDE]> {
        let singles = self.singles();
        Box::new(std::array::from_fn(|bits| {
            let first = singles[bits];
            let second = singles[bits << first.bits & ((1 << STRIDE) - 1)];
            let whole = first.bits + second.bits;
            if first.ahead[0] >= END_OF_BLOCK || second.bits == 0 || u32::from(whole) > STRIDE {
                return first;
            }
            Pair {
                bits: whole,
                ahead: [first.ahead[0], second.ahead[0]],
                values: [first.values[0], second.values[0]],
            }
        }))
    }

    /// What the next [`STRIDE`] bits begin with, but no more than one coefficient.
    fn singles(&self) -> Vec<Pair> {
        let mut singles = vec![Pair { bits: 0, ahead: [LONG, 0], values: [0; 2] }; 1 << STRIDE];
        let (mut code, mut symbols) = (0, self.symbols.iter());
        for (count, length) in self.counts.iter().zip(1..=STRIDE) {
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                let (run, size) = (symbol >> 4, u32::from(symbol & 15));
                let whole = length + size;
                // Of those without a value two are lawful.
                if whole <= STRIDE && (size > 0 || matches!(*symbol, END | SIXTEEN_ZEROS)) {
                    let ahead = if *symbol == END { END_OF_BLOCK } else { run + 1 };
                    let rest = STRIDE - whole;
                    for value in 0..1 << size {
                        let values = [signed(value, size) as i16; 2];
                        let from = (code << size | value as usize) << rest;
                        singles[from..from + (1 << rest)].fill(Pair {
                            bits: whole as u8,
                            ahead: [ahead, 0],
                            values,
                        });
                    }
                }
                code += 1;
            }
            code <<= 1;
        }
        singles
    }

    /// Takes a sequential block's coefficients behind the first, up to `last` at least, into `block` (natural order). Returns
    /// the last one it took, and whether the block ends there. The first one is to be written behind this, not before.
    #[inline(always)]
    pub fn coefficients(
        &self,
        bits: &mut Bits<'_>,
        last: usize,
        block: &mut [i16; 64],
    ) -> Option<(usize, bool)> {
        let pairs = self.pairs.get_or_init(|| self.pairs());
        let mut put = |k: usize, value| block[usize::from(PLACES[k & 255]) & 63] = value;
        let (mut reader, mut k, mut steps_held) = (*bits, 0, 0);
        while k < last {
            // Counted, which is foretold better than how many bits a step takes.
            if steps_held == 0 {
                reader.fill_up();
                steps_held = FULL / STRIDE;
            }
            steps_held -= 1;
            let pair = &pairs[reader.peek(STRIDE)];
            let first = k + usize::from(pair.ahead[0]);
            let second = first + usize::from(pair.ahead[1]);
            // Without asking whether they are coefficients of this block.
            put(first, pair.values[0]);
            put(second, pair.values[1]);
            if second < 64 {
                reader.skip(pair.bits.into());
                k = second;
                continue;
            }
            // Behind the last coefficient no end is written: what looks like one is the next block's.
            let fits = !(63..END_OF_BLOCK.into()).contains(&first);
            if fits && (END_OF_BLOCK.into()..LONG.into()).contains(&second) {
                reader.skip(pair.bits.into());
                *bits = reader;
                return Some((if first < 64 { first } else { k }, true));
            }
            // One alone: it is long, or the second is the next block's.
            reader.fill_up();
            steps_held = 0;
            let symbol = self.symbol(&mut reader)?;
            let size = u32::from(symbol & 15);
            if size == 0 && symbol != SIXTEEN_ZEROS {
                *bits = reader;
                return (symbol == END).then_some((k, true));
            }
            k += usize::from(symbol >> 4) + 1;
            if k > 63 {
                return None;
            }
            put(k, reader.value(size) as i16);
        }
        *bits = reader;
        Some((k, k == 63))
    }

    /// Takes the difference of a block's first coefficient to the one before.
    #[inline(always)]
    pub fn difference(&self, bits: &mut Bits<'_>) -> Option<i32> {
        bits.fill_up();
        let size = u32::from(self.symbol(bits)?);
        (size < 16).then(|| bits.value(size))
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
        let steps = self.steps.get_or_init(|| self.steps());
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
