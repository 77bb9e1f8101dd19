//! The first directory of a TIFF file, looked over before its decoder has it: that one makes room for as many values as an entry
//! declares, and has no limit of ours by then.

use super::{DecodeError, TooLarge};

/// Bytes that the decoder holds for each value of an entry.
const VALUE: u64 = 32;

/// Refuses a file of which an entry that the decoder reads has values that would take more than `most` bytes. Says nothing of
/// other mistakes: the decoder will.
pub(super) fn check(bytes: &[u8], most: u64) -> Result<(), DecodeError> {
    let entries = Directory::of(bytes).into_iter().flatten();
    for count in entries.filter(|(tag, _)| is_read(*tag)).map(|(_, count)| count) {
        TooLarge::check("number of values of a TIFF tag", count, most / VALUE)?;
    }
    Ok(())
}

/// Tags that say how a picture is stored. Others, such as descriptions and profiles, may be long, and nobody reads them.
fn is_read(tag: u64) -> bool {
    matches!(tag, 254..=266 | 273 | 274 | 277..=284 | 317 | 320..=325 | 338..=347 | 512..=532)
}

/// Goes through the entries: the tag and the number of values of each.
struct Directory<'a> {
    bytes: &'a [u8],
    is_little: bool,
    /// With counts of eight bytes.
    is_big: bool,
    at: usize,
    left: u64,
}

impl<'a> Directory<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut directory =
            Self { bytes, is_little: bytes.starts_with(b"II"), is_big: false, at: 0, left: 0 };
        directory.is_big = directory.number(2, 2)? == 43;
        let (offset, first) = if directory.is_big { (8, 8) } else { (4, 2) };
        let start = usize::try_from(directory.number(offset, if directory.is_big { 8 } else { 4 })?).ok()?;
        directory.left = directory.number(start, first)?;
        directory.at = start.checked_add(first)?;
        Some(directory)
    }

    fn number(&self, at: usize, length: usize) -> Option<u64> {
        let field = self.bytes.get(at..at.checked_add(length)?)?.iter();
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_little { field.rev().fold(0, join) } else { field.fold(0, join) })
    }
}

impl Iterator for Directory<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        self.left = self.left.checked_sub(1)?;
        let (length, count) = if self.is_big { (20, 8) } else { (12, 4) };
        let entry = (self.number(self.at, 2)?, self.number(self.at.checked_add(4)?, count)?);
        self.at += length;
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
