//! What a JPEG's segments say to a decoder of ours: tables, the frame, who takes part in a scan. Knows neither the entropy-coded
//! data nor pixels.
//!
//! Whatever is not of the ordinary kinds is `None`, and the full decoder has the word on it.

use super::huffman::Huffman;
use super::plane::{NATURAL, Steps};
use std::rc::Rc;

/// What the segments have said so far.
#[derive(Default)]
pub(super) struct Tables {
    /// By class (0: DC, 1: AC) and number.
    huffman: [[Option<Rc<Huffman>>; 4]; 2],
    pub quantisation: [Option<Steps>; 4],
    /// MCUs between restarts; 0: none.
    pub restart: u32,
}

impl Tables {
    /// Takes in a segment that is neither a frame nor a scan.
    pub fn read(&mut self, marker: u8, segment: &[u8]) -> Option<()> {
        match marker {
            0xc4 => self.read_huffman(segment)?,
            0xdb => self.read_quantisation(segment)?,
            0xdd => self.restart = u16::from_be_bytes(*segment.first_chunk()?).into(),
            // Adobe's other transform is RGB.
            0xee if segment.starts_with(b"Adobe") && segment.get(11) != Some(&1) => return None,
            // Other frames, arithmetic coding, lines that are counted behind the scan.
            0xc0..=0xcf | 0xdc | 0xde | 0xdf => return None,
            _ => {}
        }
        Some(())
    }

    fn read_huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let (class, number) = (usize::from(place >> 4), usize::from(place & 15));
            let (table, length) = Huffman::parse(rest)?;
            *self.huffman.get_mut(class)?.get_mut(number)? = Some(table);
            segment = &rest[length..];
        }
        Some(())
    }

    fn read_quantisation(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let (steps, length) = match place >> 4 {
                0 => (rest.first_chunk::<64>()?.map(u16::from), 64),
                1 => {
                    let (pairs, _) = rest.get(..128)?.as_chunks::<2>();
                    (std::array::from_fn(|k| u16::from_be_bytes(pairs[k])), 128)
                }
                _ => return None,
            };
            let mut table = [0.0; 64];
            for (place, step) in NATURAL.iter().zip(steps) {
                table[usize::from(*place)] = f32::from(step);
            }
            *self.quantisation.get_mut(usize::from(place & 15))? = Some(table);
            segment = &rest[length..];
        }
        Some(())
    }

    /// The table of a class (0: DC, 1: AC) that has this number.
    pub fn huffman(&self, class: usize, number: u8) -> Option<&Huffman> {
        self.huffman[class].get(usize::from(number))?.as_deref()
    }
}

/// A frame's header: 8 bits, grey or three planes that are not called R, G and B.
pub(super) struct FrameHeader {
    pub width: usize,
    pub height: usize,
    /// Most blocks in a unit that any plane has.
    pub h: usize,
    pub v: usize,
    pub planes: Vec<PlaneHeader>,
}

/// What a frame's header says of a plane.
pub(super) struct PlaneHeader {
    pub id: u8,
    /// Blocks in a unit; each divides the frame's.
    pub h: usize,
    pub v: usize,
    /// Number of its quantisation table, 0 to 3.
    pub table: usize,
}

impl FrameHeader {
    pub fn parse(segment: &[u8]) -> Option<Self> {
        let [8, h1, h0, w1, w0, count, rest @ ..] = segment else { return None };
        let (width, height) =
            (usize::from(u16::from_be_bytes([*w1, *w0])), usize::from(u16::from_be_bytes([*h1, *h0])));
        if width == 0 || height == 0 || !matches!(count, 1 | 3) {
            return None;
        }
        let triples = rest.get(..3 * usize::from(*count))?.as_chunks::<3>().0;
        if triples.iter().map(|triple| triple[0]).eq(*b"RGB") {
            return None;
        }
        let planes: Vec<PlaneHeader> = triples
            .iter()
            .map(|[id, factors, table]| PlaneHeader {
                id: *id,
                h: usize::from(factors >> 4),
                v: usize::from(factors & 15),
                table: usize::from(*table),
            })
            .collect();
        let most = |factor: fn(&PlaneHeader) -> usize| planes.iter().map(factor).max();
        let (h, v) = (most(|plane| plane.h)?, most(|plane| plane.v)?);
        let lawful = |plane: &PlaneHeader| {
            let divides = |factor, most: usize| factor > 0 && most <= 4 && most.is_multiple_of(factor);
            divides(plane.h, h) && divides(plane.v, v) && plane.table < 4
        };
        planes.iter().all(lawful).then_some(Self { width, height, h, v, planes })
    }
}

/// A scan's header.
pub(super) struct ScanHeader<'a> {
    /// Of each plane that takes part its id, and the numbers of its DC and AC tables in the high and the low half of a byte.
    pub planes: &'a [[u8; 2]],
    /// First and last coefficient.
    pub first: u8,
    pub last: u8,
    /// Bits that are known already, and bits that come later, in the high and the low half.
    pub approximation: u8,
}

impl<'a> ScanHeader<'a> {
    pub fn parse(segment: &'a [u8]) -> Option<Self> {
        let [count, rest @ ..] = segment else { return None };
        let (pairs, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let [first, last, approximation, ..] = rest else { return None };
        let planes = pairs.as_chunks::<2>().0;
        (!planes.is_empty()).then_some(Self {
            planes,
            first: *first,
            last: *last,
            approximation: *approximation,
        })
    }
}
