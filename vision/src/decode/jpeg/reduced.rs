//! A JPEG of which less than the whole is wanted: for each block of 8 × 8 only the points that are asked for are computed. What
//! is asked for is either the pixels where some columns and rows cross, or the picture at a half, a quarter or an eighth of
//! its sides. Of frequencies and blocks that play no part the data is passed over, and so are whole scans of a progressive file.
//!
//! Decodes the ordinary kinds: sequential or progressive Huffman coding, 8 bits, grey or YCbCr. Whatever is not
//! that, or is damaged, is `None`, and the full decoder has the word on it; so nothing is refused here.

use super::axis::Axis;
use super::bits::Bits;
use super::colour::{grey, join};
use super::huffman::Huffman;
use super::plane::{NATURAL, Part, Planes, Steps, make_room, mean};
use super::scan::{Band, Scan};
use super::segments::{FrameHeader, PlaneHeader, ScanHeader, Tables};
use super::{END, RESTART_FIRST, RESTART_LAST, SCAN, START, next_marker, segment};
use crate::picture::Picture;
use multiversion::multiversion;
use std::rc::Rc;

/// What of the stored picture is decoded.
#[derive(Clone, Copy)]
pub(super) enum Take<'a> {
    /// All of it, the sides divided by 2, 4 or 8 and rounded up.
    Divided(u32),
    /// Where these columns and rows cross; both ascend.
    Lines(&'a [u32], &'a [u32]),
}

/// Decodes what is to be taken of the picture.
pub(super) fn decode(bytes: &[u8], take: Take<'_>, planes: &mut Planes, picture: &mut Picture) -> Option<()> {
    let mut file = File::default();
    let mut at = 2;
    loop {
        let (marker, body) = next_marker(bytes, at).ok()?;
        at = body;
        match marker {
            END => break,
            RESTART_FIRST..=RESTART_LAST | START | 0x01 => continue,
            _ => {}
        }
        let segment = segment(bytes, at).ok()?;
        at += 2 + segment.len();
        match marker {
            0xc0..=0xc2 if file.frame.is_none() => {
                let header = FrameHeader::parse(segment)?;
                file.frame = Some(Frame::new(&header, marker == 0xc2, take, planes)?);
            }
            SCAN => at = file.scan(segment, bytes, at, planes)?,
            _ => file.tables.read(marker, segment)?,
        }
    }
    let File { frame, tables } = file;
    let mut frame = frame?;
    if frame.progressive {
        frame.transform_all(&tables.quantisation, planes)?;
    }
    if frame.parts.iter().any(|part| !part.is_seen) {
        return None;
    }
    frame.paint(planes, picture)
}

/// What the segments have said so far.
#[derive(Default)]
struct File {
    frame: Option<Frame>,
    tables: Tables,
}

impl File {
    /// Decodes a scan, or passes over it. Returns where the next marker is to be looked for.
    fn scan(&mut self, segment: &[u8], bytes: &[u8], at: usize, planes: &mut Planes) -> Option<usize> {
        let frame = self.frame.as_mut()?;
        let header = ScanHeader::parse(segment)?;
        let band = Band {
            first: usize::from(header.first),
            last: usize::from(header.last),
            is_refinement: header.approximation >> 4 > 0,
            shift: u32::from(header.approximation & 15),
        };
        let lawful = if frame.progressive {
            band.first <= band.last && band.last < 64 && (band.first == 0) == (band.last == 0)
        } else {
            (band.first, band.last) == (0, 63)
        };
        if !lawful || band.shift > 13 || (header.planes.len() > 1 && band.first > 0) {
            return None;
        }
        let mut chosen: Vec<Chosen<'_>> = Vec::with_capacity(4);
        for [id, tables] in header.planes {
            let index = frame.parts.iter().position(|part| part.id == *id)?;
            if chosen.iter().any(|(other, ..)| *other == index) {
                return None;
            }
            chosen.push((index, self.tables.huffman(0, tables >> 4), self.tables.huffman(1, tables & 15)));
        }
        // Where some frequencies are needed all are: a later scan refines those that are not zero, in one stream of bits.
        if band.first > 0 && chosen.iter().all(|(index, ..)| frame.parts[*index].last == 0) {
            return Some(at);
        }
        let mut scan = Scan {
            bits: Bits::new(bytes, at),
            band,
            quantisation: &self.tables.quantisation,
            skipped_blocks: 0,
        };
        units(&mut scan, frame, &chosen, self.tables.restart, planes)?;
        frame.parts.iter_mut().for_each(|part| part.mean = 0);
        chosen.iter().for_each(|(index, ..)| frame.parts[*index].is_seen |= band.first == 0);
        Some(scan.bits.position())
    }
}

/// A plane of a scan, with the tables its DC and its AC coefficients are coded in.
type Chosen<'a> = (usize, Option<&'a Huffman>, Option<&'a Huffman>);

/// Decodes all units of a scan. Almost all the time of a sequential file goes here: compiled twice, as wider vectors and shifts by any
/// register pay.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt"))]
fn units(
    scan: &mut Scan<'_>,
    frame: &mut Frame,
    chosen: &[Chosen<'_>],
    restart: u32,
    planes: &mut Planes,
) -> Option<()> {
    let Frame { parts, across, down, progressive, .. } = frame;
    let (across, down) = match chosen {
        // Alone, a plane has no padding to whole units.
        [(only, ..)] => (parts[*only].columns, parts[*only].rows),
        _ => (*across, *down),
    };
    let is_alone = chosen.len() == 1;
    let mut until_restart = restart;
    for y in 0..down {
        for x in 0..across {
            if restart > 0 {
                if until_restart == 0 {
                    if !scan.restart() {
                        return None;
                    }
                    parts.iter_mut().for_each(|part| part.mean = 0);
                    until_restart = restart;
                }
                until_restart -= 1;
            }
            for (index, dc, ac) in chosen {
                let part = &mut parts[*index];
                let (h, v) = if is_alone { (1, 1) } else { (part.h, part.v) };
                for inner in 0..h * v {
                    let (column, row) = (x * h + inner % h, y * v + inner / h);
                    if *progressive {
                        let place = part.coefficients + (row * part.stride + column) * part.kept;
                        let block = planes.coefficients.get_mut(place..place + part.kept)?;
                        scan.progressive(part, *dc, *ac, block)?;
                    } else {
                        scan.sequential(part, (*dc)?, (*ac)?, (column, row), &mut planes.points)?;
                    }
                }
            }
        }
        if scan.bits.ran_out() {
            return None;
        }
    }
    Some(())
}

struct Frame {
    /// Of what is taken.
    width: usize,
    height: usize,
    /// Units in a row, and rows of them.
    across: usize,
    down: usize,
    progressive: bool,
    parts: Vec<Part>,
}

impl Frame {
    fn new(header: &FrameHeader, progressive: bool, take: Take<'_>, planes: &mut Planes) -> Option<Self> {
        let FrameHeader { width, height, h: h_most, v: v_most, .. } = *header;
        let across = width.div_ceil(8 * h_most);
        let down = height.div_ceil(8 * v_most);
        let (mut points, mut coefficients) = (0, 0);
        let mut parts = Vec::with_capacity(3);
        for PlaneHeader { id, h, v, table } in &header.planes {
            let (h, v) = (*h, *v);
            let (stride, lines) = (across * h, down * v);
            let like = parts.iter().find(|part: &&Part| (part.h, part.v) == (h, v));
            let (columns, rows): (Rc<Axis>, Rc<Axis>) = match (take, like) {
                (_, Some(like)) => (like.across.clone(), like.down.clone()),
                (Take::Divided(by), None) => {
                    let points = |factor: usize| {
                        let points = 8 * factor / by as usize;
                        matches!(points, 1 | 2 | 4 | 8).then_some(points)
                    };
                    (
                        Axis::even(stride, points(h_most / h)?).grouped().into(),
                        Axis::even(lines, points(v_most / v)?).into(),
                    )
                }
                (Take::Lines(columns, rows), None) => (
                    Axis::lines(stride, h_most / h, columns).grouped().into(),
                    Axis::lines(lines, v_most / v, rows).into(),
                ),
            };
            let needed = |place: u8| {
                usize::from(place % 8) < columns.frequencies && usize::from(place / 8) < rows.frequencies
            };
            let last = NATURAL.iter().rposition(|place| needed(*place)).unwrap_or(0);
            let kept = if last == 0 { 1 } else { 64 };
            let part = Part {
                id: *id,
                h,
                v,
                table: *table,
                columns: (width * h).div_ceil(8 * h_most),
                rows: (height * v).div_ceil(8 * v_most),
                stride,
                across: columns,
                down: rows,
                last,
                kept,
                points,
                coefficients,
                mean: 0,
                is_seen: false,
            };
            points += part.across.len() * part.down.len();
            coefficients += stride * lines * kept;
            parts.push(part);
        }
        make_room(&mut planes.points, points)?;
        make_room(&mut planes.coefficients, if progressive { coefficients } else { 0 })?;
        let (width, height) = match take {
            Take::Divided(by) => (width.div_ceil(by as usize), height.div_ceil(by as usize)),
            Take::Lines(columns, rows) => (columns.len(), rows.len()),
        };
        Some(Self { width, height, across, down, progressive, parts })
    }

    /// Makes points of all coefficients, when the last scan is through.
    fn transform_all(&mut self, quantisation: &[Option<Steps>; 4], planes: &mut Planes) -> Option<()> {
        for part in &self.parts {
            let steps = quantisation[part.table].as_ref()?;
            for row in 0..part.rows {
                for column in 0..part.columns {
                    if !part.wants((column, row)) {
                        continue;
                    }
                    let place = part.coefficients + (row * part.stride + column) * part.kept;
                    let coefficients = planes.coefficients.get(place..place + part.kept)?;
                    if part.kept == 1 {
                        part.write_mean(
                            mean(i32::from(coefficients[0]), steps[0]),
                            (column, row),
                            &mut planes.points,
                        )?;
                        continue;
                    }
                    let mut block = [0; 64];
                    for k in 0..=part.last {
                        block[usize::from(NATURAL[k])] = coefficients[k];
                    }
                    part.write(&block, steps, part.last, (column, row), &mut planes.points)?;
                }
            }
        }
        Some(())
    }

    /// Joins the planes to pixels. All of them have points of the same size by now.
    fn paint(&self, planes: &Planes, picture: &mut Picture) -> Option<()> {
        let (width, height) = (self.width, self.height);
        let bytes = width * height * 3;
        picture.rgb.clear();
        picture.rgb.try_reserve_exact(bytes).ok()?;
        picture.rgb.resize(bytes, 0);
        for (y, line) in picture.rgb.chunks_exact_mut(width * 3).enumerate() {
            let row = |part: &Part| planes.points.get(part.points + y * part.across.len()..)?.get(..width);
            match self.parts.as_slice() {
                [luma, blue, red] => join(row(luma)?, row(blue)?, row(red)?, line),
                [luma, ..] => grey(row(luma)?, line),
                [] => return None,
            }
        }
        (picture.width, picture.height) = (width as u32, height as u32);
        Some(())
    }
}
