//! A sequential JPEG in full: bit for bit what `zune-jpeg` makes of it, in less time. One row of units after the other is decoded into
//! bands of lines that stay in the nearest caches, and painted from there.
//!
//! Decodes what is ordinary without exception: one scan of Huffman codes with every plane in it, 8 bits, grey or YCbCr with colour in full or at
//! half its width, height or both, and as much data as there should be, no more and no less. Whatever is not that is `None`, and
//! `zune-jpeg` has the word on it; so nothing is refused here, and nothing is repaired.

use super::bits::Bits;
use super::colour::{between, doubled, grey, join};
use super::huffman::Huffman;
use super::idct;
use super::plane::make_room;
use super::segments::{FrameHeader, PlaneHeader, ScanHeader, Tables};
use super::{END, SCAN, segment};
use crate::picture::Picture;
use multiversion::{multiversion, target::match_target};

/// Lines of a block, and samples of one of them.
const SIDE: usize = 8;

/// Bytes of a file from which on it pays to make tables for it alone.
const WORTH_TABLES: usize = 10 << 10;

/// Whether this is the faster decoder here. Without these vectors it is not: the transform takes longer than it saves.
pub(super) fn is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Decodes the whole picture.
pub(super) fn decode(bytes: &[u8], picture: &mut Picture) -> Option<()> {
    let (mut tables, mut frame) = (Tables::default(), None);
    let mut at = 2;
    let scan = loop {
        // Nothing but segments, and no byte between them: decoders differ about what to make of that.
        let [0xff, marker @ (0xc0..=0xcf | SCAN..=0xfe), ..] = *bytes.get(at..)? else { return None };
        let segment = segment(bytes, at + 2).ok()?;
        at += 4 + segment.len();
        match marker {
            0xc0 | 0xc1 if frame.is_none() => frame = Some(FrameHeader::parse(segment)?),
            SCAN => break ScanHeader::parse(segment)?,
            // What it says of colour is about frames that come later.
            0xee if frame.is_some() => return None,
            // Of such a one `zune-jpeg` skips a byte too many, and what follows is not what it takes it for.
            0xe0 if segment.len() == 4 => return None,
            _ => tables.read(marker, segment)?,
        }
    };
    let frame = frame?;
    let mut planes = planes(&frame, &scan, &tables)?;
    if bytes.len() < WORTH_TABLES && !planes.iter().all(|plane| plane.ac.is_common()) {
        return None;
    }
    let mut picture_lines = Lines::new(&frame, picture)?;
    let mut data =
        Data { bits: Bits::new(bytes, at), interval: tables.restart, until_restart: tables.restart };
    let (across, down) = (frame.width.div_ceil(SIDE * frame.h), frame.height.div_ceil(SIDE * frame.v));
    for row in 0..down {
        read(&mut data, &mut planes, across)?;
        if data.bits.ran_out() {
            return None;
        }
        planes.iter_mut().try_for_each(transform)?;
        picture_lines.paint(&mut planes, row, down)?;
    }
    if !data.bits.is_spent() || !bytes.get(data.bits.position()..)?.starts_with(&[0xff, END]) {
        return None;
    }
    (picture.width, picture.height) = (frame.width as u32, frame.height as u32);
    Some(())
}

/// One plane, as far as it is decoded at a time.
struct Plane<'a> {
    /// Blocks in a unit.
    h: usize,
    v: usize,
    steps: [i16; 64],
    dc: &'a Huffman,
    ac: &'a Huffman,
    /// The DC coefficient of the block before.
    mean: i32,
    /// Of a row of units, block by block in rows: 64 coefficients in natural order, and whether others than the first are not zero.
    coefficients: Vec<i16>,
    varies: Vec<bool>,
    /// The last line of the row of units before, then the lines of this one.
    band: Vec<u8>,
    /// Length of a line, padded to whole units.
    stride: usize,
}

/// The planes of a scan, if it is about all of them and of a kind that is decoded here.
fn planes<'a>(frame: &FrameHeader, scan: &ScanHeader<'_>, tables: &'a Tables) -> Option<Vec<Plane<'a>>> {
    let [first, colours @ ..] = frame.planes.as_slice() else { return None };
    let is_ordinary = (first.h, first.v) == (frame.h, frame.v)
        && frame.h <= 2
        && frame.v <= 2
        && colours.iter().all(|plane| (plane.h, plane.v) == (1, 1))
        && (!colours.is_empty() || (first.h, first.v) == (1, 1));
    if !is_ordinary
        || (scan.first, scan.last, scan.approximation) != (0, 63, 0)
        || scan.planes.len() != frame.planes.len()
    {
        return None;
    }
    let plane = |(plane, [id, numbers]): (&PlaneHeader, &[u8; 2])| {
        let mut steps = [0; 64];
        for (to, from) in steps.iter_mut().zip(tables.quantisation[plane.table].as_ref()?) {
            *to = (1.0..=f32::from(i16::MAX)).contains(from).then_some(*from as i16)?;
        }
        let stride = frame.width.div_ceil(SIDE * frame.h) * SIDE * plane.h;
        let (mut coefficients, mut varies, mut band) = (Vec::new(), Vec::new(), Vec::new());
        make_room(&mut coefficients, stride / SIDE * plane.v * 64)?;
        make_room(&mut varies, stride / SIDE * plane.v)?;
        make_room(&mut band, (1 + SIDE * plane.v) * stride)?;
        (*id == plane.id).then_some(Plane {
            h: plane.h,
            v: plane.v,
            steps,
            dc: tables.huffman(0, numbers >> 4)?,
            ac: tables.huffman(1, numbers & 15)?,
            mean: 0,
            coefficients,
            varies,
            band,
            stride,
        })
    };
    frame.planes.iter().zip(scan.planes).map(plane).collect()
}

/// Entropy-coded data, from restart to restart.
struct Data<'a> {
    bits: Bits<'a>,
    /// Units between restarts, and how many there are until the next one; 0 and 0: there are none.
    interval: u32,
    until_restart: u32,
}

/// Takes the coefficients of a row of units. More than half of the time goes here: compiled twice, as shifts by any register pay.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt"))]
fn read(data: &mut Data<'_>, planes: &mut [Plane<'_>], across: usize) -> Option<()> {
    for x in 0..across {
        if data.interval > 0 {
            if data.until_restart == 0 {
                if !data.bits.is_spent() || !data.bits.restart() {
                    return None;
                }
                planes.iter_mut().for_each(|plane| plane.mean = 0);
                data.until_restart = data.interval;
            }
            data.until_restart -= 1;
        }
        for plane in &mut *planes {
            for row in 0..plane.v {
                for column in x * plane.h..(x + 1) * plane.h {
                    plane.read(&mut data.bits, row * across * plane.h + column)?;
                }
            }
        }
    }
    Some(())
}

/// Makes samples of a row of units' coefficients.
#[multiversion(targets("x86_64+avx2"))]
fn transform(plane: &mut Plane<'_>) -> Option<()> {
    let mut places = (0..plane.v).flat_map(|row| {
        let line = (1 + row * SIDE) * plane.stride;
        (line..line + plane.stride).step_by(SIDE)
    });
    for (block, varies) in plane.coefficients.as_chunks().0.iter().zip(&plane.varies) {
        let samples = if *varies {
            let fast = match_target! {
                "x86_64+avx2" => idct::avx2::samples(block, &plane.steps),
                _ => None,
            };
            fast.unwrap_or_else(|| idct::samples(block, &plane.steps))
        } else {
            [[idct::mean(i32::from(block[0]) * i32::from(plane.steps[0])); SIDE]; SIDE]
        };
        let lines = plane.band.get_mut(places.next()?..)?;
        for (line, samples) in samples.iter().enumerate() {
            *lines.get_mut(line * plane.stride..)?.first_chunk_mut()? = *samples;
        }
    }
    Some(())
}

impl Plane<'_> {
    /// Takes the coefficients of a block.
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, index: usize) -> Option<()> {
        let block = self.coefficients.as_chunks_mut().0.get_mut(index)?;
        *block = [0; 64];
        self.mean = self.mean.wrapping_add(self.dc.difference(bits)?);
        let (last, _) = self.ac.coefficients(bits, 63, block)?;
        block[0] = i16::try_from(self.mean).ok()?;
        *self.varies.get_mut(index)? = last > 0;
        Some(())
    }

    fn line(&self, index: usize) -> Option<&[u8]> {
        self.band.get(index * self.stride..(index + 1) * self.stride)
    }
}

/// The picture's lines.
struct Lines<'a> {
    rgb: &'a mut [u8],
    width: usize,
    height: usize,
    colours: [Colour; 2],
}

/// A plane of colour on its way to the picture's size.
#[derive(Default)]
struct Colour {
    /// Whether it is stored at half the width and height.
    is_half: (bool, bool),
    /// A line between two of its lines, and one of the picture's width.
    between: Vec<u8>,
    wide: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(frame: &FrameHeader, picture: &'a mut Picture) -> Option<Self> {
        let (width, height) = (frame.width, frame.height);
        // What an earlier picture left there is overwritten, or the picture is refused or made anew.
        let bytes = width * height * 3;
        picture.rgb.truncate(bytes);
        if picture.rgb.capacity() < bytes {
            picture.rgb.clear(); // lest it is copied
        }
        picture.rgb.try_reserve_exact(bytes - picture.rgb.len()).ok()?;
        picture.rgb.resize(bytes, 0);
        let mut colours = [Colour::default(), Colour::default()];
        for colour in &mut colours {
            colour.is_half = (frame.h == 2, frame.v == 2);
            let stride = width.div_ceil(SIDE * frame.h) * SIDE;
            make_room(&mut colour.between, stride)?;
            make_room(&mut colour.wide, 2 * stride)?;
        }
        Some(Self { rgb: &mut picture.rgb, width, height, colours })
    }

    /// Paints down to this row of units out of `rows`, but for a line that waits for the colour below it.
    fn paint(&mut self, planes: &mut [Plane<'_>], row: usize, rows: usize) -> Option<()> {
        let [luma, colours @ ..] = &mut *planes else { return None };
        let height = SIDE * luma.v;
        if row == 0 {
            // Above the first line is nothing but itself.
            colours.iter_mut().for_each(|plane| plane.band.copy_within(plane.stride..2 * plane.stride, 0));
        }
        let waiting = luma.v - 1;
        let from = (row * height).saturating_sub(waiting);
        let to = if row + 1 == rows { self.height } else { (row + 1) * height - waiting };
        for y in from..to {
            let line = self.rgb.get_mut(y * self.width * 3..(y + 1) * self.width * 3)?;
            let luma = luma.line(1 + y - row * height)?.get(..self.width)?;
            let near = 1 + y / (1 + waiting) - row * SIDE;
            let far = if y % 2 == 0 { near - 1 } else { (near + 1).min(SIDE) };
            let [first, second] = &mut self.colours;
            match &*colours {
                [blue, red] => join(luma, first.line(blue, near, far)?, second.line(red, near, far)?, line),
                _ => grey(luma, line),
            }
        }
        for plane in planes {
            plane.band.copy_within(SIDE * plane.v * plane.stride.., 0);
        }
        Some(())
    }
}

impl Colour {
    /// The line of the picture's that lies in the plane's `near` one, towards its `far` one.
    fn line<'a>(&'a mut self, plane: &'a Plane<'_>, near: usize, far: usize) -> Option<&'a [u8]> {
        let mut line = plane.line(near)?;
        if self.is_half.1 {
            between(line, plane.line(far)?, &mut self.between);
            line = &self.between;
        }
        if self.is_half.0 {
            doubled(line, &mut self.wide);
            line = &self.wide;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests;
