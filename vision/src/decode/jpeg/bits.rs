//! Entropy-coded data as bits: the zero behind every 0xff byte left out, zeros behind its end. Owns the position in
//! the data; knows no code.

/// Reads a scan's bits, most significant first.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next `have` (at most 63) bits, left-aligned. Below them may stand the first bits of the byte at `at`.
    held: u64,
    have: u32,
    /// Bits among those held that are behind the end of the data.
    made_up: u32,
}

/// What `size` bits mean as a value: those that begin with 0 are negative. Without a branch, as signs are not foretold.
#[inline(always)]
pub(super) fn signed(bits: i32, size: u32) -> i32 {
    let is_negative = bits < 1 << size >> 1;
    bits + i32::from(is_negative) * (1 - (1 << size))
}

/// Bits that are held at least when no more fit in.
pub(super) const FULL: u32 = 56;

/// A zero behind every 0xff.
const STUFFED: u8 = 0;

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, held: 0, have: 0, made_up: 0 }
    }

    /// Holds at least 32 bits: a code of 16 and as many of its value.
    #[inline(always)]
    pub fn fill(&mut self) {
        if self.have < 32 {
            self.fill_up();
        }
    }

    /// Holds at least [`FULL`] bits.
    #[inline(always)]
    pub fn fill_up(&mut self) {
        if let Some(bytes) = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(*bytes);
            // A zero byte in the complement is an 0xff.
            let complement = !word;
            let has_ff =
                complement.wrapping_sub(0x0101_0101_0101_0101) & !complement & 0x8080_8080_8080_8080 != 0;
            if !has_ff {
                self.held |= word >> self.have;
                let whole = (63 - self.have) / 8;
                self.at += whole as usize;
                self.have += whole * 8;
                return;
            }
        }
        *self = self.filled_bytewise();
    }

    /// By value: whoever has no address taken of it can be in registers.
    #[cold]
    fn filled_bytewise(mut self) -> Self {
        self.held &= !(u64::MAX.checked_shr(self.have).unwrap_or(0));
        while self.have < FULL {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(&STUFFED)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.made_up += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.have);
            self.have += 8;
        }
        self
    }

    /// The next `count` bits (1 to 16) without taking them.
    #[inline(always)]
    pub fn peek(&self, count: u32) -> usize {
        (self.held >> (64 - count)) as usize
    }

    /// Passes over `count` bits, fewer than are held.
    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        self.held <<= count;
        self.have -= count;
    }

    /// Takes `count` bits (0 to 16) as a number.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> i32 {
        let bits = (self.held >> 1 >> (63 - count)) as i32;
        self.skip(count);
        bits
    }

    /// Takes a value of `size` bits (0 to 16) as JPEG writes them.
    #[inline(always)]
    pub fn value(&mut self, size: u32) -> i32 {
        signed(self.take(size), size)
    }

    /// Takes one bit, filling up before.
    #[inline(always)]
    pub fn bit(&mut self) -> bool {
        self.fill();
        self.take(1) == 1
    }

    /// Whether bits were taken that are not in the data.
    pub fn ran_out(&self) -> bool {
        self.made_up > self.have
    }

    /// Where the data goes on: at the next marker, when all of it was read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether the data is at its end, but for what fills up the last byte.
    pub fn is_spent(&mut self) -> bool {
        self.fill_up();
        (self.made_up..self.made_up + 8).contains(&self.have)
    }

    /// Goes on behind the restart marker that must come now. Whether it does.
    pub fn restart(&mut self) -> bool {
        let mut at = self.at;
        while self.data.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1;
        }
        let found = matches!(self.data.get(at..at + 2), Some([0xff, 0xd0..=0xd7]));
        if found && !self.ran_out() {
            *self = Self::new(self.data, at + 2);
        }
        found
    }
}
