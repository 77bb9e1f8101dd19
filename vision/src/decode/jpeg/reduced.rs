//! A JPEG of which less than the whole is wanted: for each block of 8 × 8 only the points that are asked for are computed. What
//! is asked for is either the pixels where some columns and rows cross, or the picture at a half, a quarter or an eighth of
//! its sides. Of frequencies and blocks that play no part the data is passed over, and so are whole scans of a progressive file.
//!
//! Decodes the ordinary kinds: sequential or progressive Huffman coding, 8 bits, grey or YCbCr. Whatever is not
//! that, or is damaged, is `None`, and the full decoder has the word on it; so nothing is refused here.

use super::axis::Axis;
use super::bits::Bits;
use super::huffman::Huffman;
use super::plane::{NATURAL, Part, Planes, Steps, make_room, mean};
use super::scan::{Band, Scan};
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
                file.frame = Some(Frame::parse(segment, marker == 0xc2, take, planes)?);
            }
            0xc4 => file.huffman(segment)?,
            0xdb => file.quantisation(segment)?,
            0xdd => file.restart = u16::from_be_bytes(*segment.first_chunk()?).into(),
            SCAN => at = file.scan(segment, bytes, at, planes)?,
            // Adobe's other transform is RGB.
            0xee if segment.starts_with(b"Adobe") && segment.get(11) != Some(&1) => return None,
            // Other frames, arithmetic coding, lines that are counted behind the scan.
            0xc0..=0xcf | 0xdc | 0xde | 0xdf => return None,
            _ => {}
        }
    }
    let File { frame, quantisation, .. } = file;
    let mut frame = frame?;
    if frame.progressive {
        frame.transform_all(&quantisation, planes)?;
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
    /// By class (0: DC, 1: AC) and number.
    huffman: [[Option<Huffman>; 4]; 2],
    quantisation: [Option<Steps>; 4],
    /// MCUs between restarts; 0: none.
    restart: u32,
}

impl File {
    fn huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let (class, number) = (usize::from(place >> 4), usize::from(place & 15));
            let (table, length) = Huffman::parse(rest, class == 1)?;
            *self.huffman.get_mut(class)?.get_mut(number)? = Some(table);
            segment = &rest[length..];
        }
        Some(())
    }

    fn quantisation(&mut self, mut segment: &[u8]) -> Option<()> {
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

    /// Decodes a scan, or passes over it. Returns where the next marker is to be looked for.
    fn scan(&mut self, segment: &[u8], bytes: &[u8], at: usize, planes: &mut Planes) -> Option<usize> {
        let frame = self.frame.as_mut()?;
        let [count, rest @ ..] = segment else { return None };
        let (pairs, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let [first, last, approximation, ..] = rest else { return None };
        let band = Band {
            first: usize::from(*first),
            last: usize::from(*last),
            is_refinement: approximation >> 4 > 0,
            shift: u32::from(approximation & 15),
        };
        let lawful = if frame.progressive {
            band.first <= band.last && band.last < 64 && (band.first == 0) == (band.last == 0)
        } else {
            (band.first, band.last) == (0, 63)
        };
        if !lawful || band.shift > 13 || *count == 0 || (*count > 1 && band.first > 0) {
            return None;
        }
        let mut chosen: Vec<Chosen<'_>> = Vec::with_capacity(4);
        for pair in pairs.as_chunks::<2>().0 {
            let index = frame.parts.iter().position(|part| part.id == pair[0])?;
            if chosen.iter().any(|(other, ..)| *other == index) {
                return None;
            }
            let table = |class: usize, number: u8| self.huffman[class].get(usize::from(number))?.as_ref();
            chosen.push((index, table(0, pair[1] >> 4), table(1, pair[1] & 15)));
        }
        // Where some frequencies are needed all are: a later scan refines those that are not zero, in one stream of bits.
        if band.first > 0 && chosen.iter().all(|(index, ..)| frame.parts[*index].last == 0) {
            return Some(at);
        }
        let mut scan =
            Scan { bits: Bits::new(bytes, at), band, quantisation: &self.quantisation, skipped_blocks: 0 };
        units(&mut scan, frame, &chosen, self.restart, planes)?;
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
    fn parse(segment: &[u8], progressive: bool, take: Take<'_>, planes: &mut Planes) -> Option<Self> {
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
        let most = |shift: u8| triples.iter().map(|triple| usize::from(triple[1] >> shift & 15)).max();
        let (h_most, v_most) = (most(4)?, most(0)?);
        if !matches!(h_most, 1..=4) || !matches!(v_most, 1..=4) {
            return None;
        }
        let across = width.div_ceil(8 * h_most);
        let down = height.div_ceil(8 * v_most);
        let (mut points, mut coefficients) = (0, 0);
        let mut parts = Vec::with_capacity(3);
        for [id, factors, table] in triples {
            let (h, v) = (usize::from(factors >> 4), usize::from(factors & 15));
            if h == 0 || v == 0 || h_most % h > 0 || v_most % v > 0 || *table > 3 {
                return None;
            }
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
                table: usize::from(*table),
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
                [luma, ..] => line
                    .as_chunks_mut::<3>()
                    .0
                    .iter_mut()
                    .zip(row(luma)?)
                    .for_each(|(pixel, luma)| *pixel = [*luma; 3]),
                [] => return None,
            }
        }
        (picture.width, picture.height) = (width as u32, height as u32);
        Some(())
    }
}

/// Pixels of one line.
#[multiversion(targets("x86_64+avx2"))]
fn join(luma: &[u8], blue: &[u8], red: &[u8], line: &mut [u8]) {
    const LANES: usize = 16;
    let mut at = 0;
    // Four bytes a pixel, of which the next pixel's overwrite the last.
    while let Some(pixels) = line.get_mut(3 * at..).and_then(<[u8]>::first_chunk_mut::<{ 3 * LANES + 1 }>)
        && let (Some(luma), Some(blue), Some(red)) =
            (chunk::<LANES>(luma, at), chunk::<LANES>(blue, at), chunk::<LANES>(red, at))
    {
        let mut packed = [0; LANES];
        for x in 0..LANES {
            let [r, g, b] = rgb(luma[x], blue[x], red[x]);
            packed[x] = r | g << 8 | b << 16;
        }
        for x in 0..LANES {
            pixels[3 * x..3 * x + 4].copy_from_slice(&packed[x].to_le_bytes());
        }
        at += LANES;
    }
    let rest = line.get_mut(3 * at..).unwrap_or_default().as_chunks_mut::<3>().0;
    for (k, pixel) in rest.iter_mut().enumerate() {
        *pixel = rgb(luma[at + k], blue[at + k], red[at + k]).map(|value| value as u8);
    }
}

#[inline(always)]
fn chunk<const N: usize>(line: &[u8], at: usize) -> Option<&[u8; N]> {
    line.get(at..)?.first_chunk()
}

/// BT.601 in full range, as JFIF has it.
#[inline(always)]
fn rgb(luma: u8, blue: u8, red: u8) -> [u32; 3] {
    let (luma, blue, red) = (i32::from(luma) << 16 | 1 << 15, i32::from(blue) - 128, i32::from(red) - 128);
    [luma + 91_881 * red, luma - 22_554 * blue - 46_802 * red, luma + 116_130 * blue]
        .map(|value| (value >> 16).clamp(0, 255) as u32)
}
