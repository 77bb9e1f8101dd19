//! The entropy-coded blocks of one scan, sequential or progressive: bits to coefficients, and to points where the block is complete.
//! Where blocks lie and which scans are read is `reduced`'s.

use super::bits::Bits;
use super::huffman::Huffman;
use super::plane::{Part, Steps, mean};

/// Which coefficients a scan is about, and how exactly.
#[derive(Clone, Copy)]
pub(super) struct Band {
    pub first: usize,
    pub last: usize,
    pub is_refinement: bool,
    pub shift: u32,
}

pub(super) struct Scan<'a> {
    pub bits: Bits<'a>,
    pub band: Band,
    pub quantisation: &'a [Option<Steps>; 4],
    /// Blocks to come in which the band is empty.
    pub skipped_blocks: u32,
}

impl Scan<'_> {
    pub fn restart(&mut self) -> bool {
        self.skipped_blocks = 0;
        self.bits.restart()
    }

    /// The difference of a block's DC coefficient to the one before.
    #[inline(always)]
    fn dc(&mut self, part: &mut Part, table: &Huffman) -> Option<i32> {
        part.mean = part.mean.wrapping_add(table.difference(&mut self.bits)?);
        Some(part.mean)
    }

    #[inline(always)]
    pub fn sequential(
        &mut self,
        part: &mut Part,
        dc: &Huffman,
        ac: &Huffman,
        at: (usize, usize),
        points: &mut [u8],
    ) -> Option<()> {
        let steps = self.quantisation[part.table].as_ref()?;
        let first = self.dc(part, dc)?;
        if !part.wants(at) {
            return ac.skip_block(&mut self.bits, 1);
        }
        if part.last == 0 {
            part.write_mean(mean(first, steps[0]), at, points)?;
            return ac.skip_block(&mut self.bits, 1);
        }
        let mut block = [0; 64];
        let (last, ends) = ac.coefficients(&mut self.bits, part.last, &mut block)?;
        block[0] = i16::try_from(first).ok()?;
        part.write(&block, steps, last, at, points)?;
        if ends { Some(()) } else { ac.skip_block(&mut self.bits, last as u32 + 1) }
    }

    pub fn progressive(
        &mut self,
        part: &mut Part,
        dc: Option<&Huffman>,
        ac: Option<&Huffman>,
        block: &mut [i16],
    ) -> Option<()> {
        match (self.band.first, self.band.is_refinement) {
            (0, false) => block[0] = (self.dc(part, dc?)? << self.band.shift) as i16,
            (0, true) => block[0] |= i16::from(self.bits.bit()) << self.band.shift,
            (_, false) => self.ac_first(ac?, block)?,
            (_, true) => self.ac_refinement(ac?, block)?,
        }
        Some(())
    }

    fn ac_first(&mut self, table: &Huffman, block: &mut [i16]) -> Option<()> {
        if self.skipped_blocks > 0 {
            self.skipped_blocks -= 1;
            return Some(());
        }
        let mut k = self.band.first;
        while k <= self.band.last {
            self.bits.fill();
            let symbol = table.symbol(&mut self.bits)?;
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            match (run, size) {
                (15, 0) => k += 16,
                (_, 0) => {
                    self.skipped_blocks = (1 << run) - 1 + self.bits.take(run.into()) as u32;
                    break;
                }
                _ => {
                    k += usize::from(run);
                    let value = self.bits.value(size) << self.band.shift;
                    *block.get_mut(k).filter(|_| k <= self.band.last)? = value as i16;
                    k += 1;
                }
            }
        }
        Some(())
    }

    /// Adds a bit to the coefficients that are known, and those that are new with it.
    fn ac_refinement(&mut self, table: &Huffman, block: &mut [i16]) -> Option<()> {
        let one = 1i16 << self.band.shift;
        let mut k = self.band.first;
        if self.skipped_blocks == 0 {
            while k <= self.band.last {
                self.bits.fill();
                let symbol = table.symbol(&mut self.bits)?;
                let (mut run, size) = (symbol >> 4, symbol & 15);
                let mut new = 0;
                match (run, size) {
                    (15, 0) => {}
                    (_, 0) => {
                        self.skipped_blocks = (1 << run) + self.bits.take(run.into()) as u32;
                        break;
                    }
                    (_, 1) => new = if self.bits.take(1) == 1 { one } else { -one },
                    _ => return None,
                }
                while k <= self.band.last {
                    let value = block.get_mut(k)?;
                    k += 1;
                    if *value != 0 {
                        refine(value, one, self.bits.bit());
                    } else if run == 0 {
                        *value = new;
                        break;
                    } else {
                        run -= 1;
                    }
                }
            }
        }
        if self.skipped_blocks > 0 {
            for value in block.get_mut(k..=self.band.last)? {
                if *value != 0 {
                    refine(value, one, self.bits.bit());
                }
            }
            self.skipped_blocks -= 1;
        }
        Some(())
    }
}

fn refine(value: &mut i16, one: i16, bit: bool) {
    if bit && *value & one == 0 {
        *value = value.wrapping_add(if *value > 0 { one } else { -one });
    }
}
