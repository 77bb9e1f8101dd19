//! JPEG: a survey of the markers first, then a decoder of our own: `reduced` where less than the whole is wanted, `whole` for
//! what is ordinary in full. Every file either has a doubt about goes to `zune-jpeg` (the decoder behind the `image` crate), straight into the
//! picture's buffer, as RGB.
//!
//! The survey reads no pixel. It knows the size, what the decoder will hold, the number of scans (each is a
//! pass over everything, so hundreds of them in a small file are an attack) and whether the file reaches its
//! end: `zune-jpeg` fills what is missing with grey and calls that success.

mod axis;
mod bits;
mod colour;
mod huffman;
mod idct;
mod plane;
mod reduced;
mod scan;
mod segments;
#[cfg(test)]
mod tests;
mod whole;

pub(super) use plane::Planes;

use super::{DecodeError, Extent, Format, Limits, Reduce, TooLarge, Wanted, allocate, orient, rgb};
use crate::picture::Picture;
use image::metadata::Orientation;
use reduced::Take;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Decodes in full, or what `reduce` wants of it. Returns how the picture is to be turned and, when it is not in full, what of
/// the whole it will be then.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Limits,
    picture: &mut Picture,
    reduce: Option<&mut Reduce<'_>>,
) -> Result<(Orientation, Option<Extent>), DecodeError> {
    let survey = Survey::of(bytes, limits.max_scans)?;
    limits.check_size(survey.width, survey.height)?;
    if survey.apart_and_subsampled {
        // The decoder would get the colours wrong and call it success.
        return Err(DecodeError::Unsupported {
            format: "JPEG with subsampled colour in sequential scans".into(),
        });
    }
    let pixels = u64::from(survey.width) * u64::from(survey.height);
    let orientation = survey.orientation;
    if let Some(reduce) = reduce {
        let (width, height) = (survey.width, survey.height);
        let taken = reduce.taken(width, height, orientation);
        let take = match &taken {
            Wanted::Whole => None,
            Wanted::Divided(by) => Some((Take::Divided(*by), pixels.div_ceil(u64::from(by * by)))),
            Wanted::Lines { columns, rows } => {
                Some((Take::Lines(columns, rows), (columns.len() * rows.len()) as u64))
            }
        };
        if let Some((take, points)) = take {
            // Points of the planes, pixels and turned pixels; the edges are padded to whole blocks.
            let points = points + u64::from(width + height) * 8;
            limits.check_alloc(points * 9 + survey.coefficient_bytes)?;
            if reduced::decode(bytes, take, &mut reduce.buffers.planes, picture).is_some() {
                let extent = match take {
                    Take::Divided(by) => Extent::divided(width, height, by, orientation),
                    Take::Lines(..) => Extent::lines(width, height, orientation),
                };
                return Ok((orientation, Some(extent)));
            }
        }
    }
    // The decoder takes every CMYK for Adobe's, which stores complements; the other kind is converted here.
    let (color, channels) = if survey.plain_cmyk { (ColorSpace::CMYK, 4) } else { (ColorSpace::RGB, 3) };
    limits.check_alloc(pixels * channels + survey.coefficient_bytes)?;

    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(survey.width as usize)
        .set_max_height(survey.height as usize)
        .jpeg_set_max_scans(limits.max_scans as usize)
        .jpeg_set_out_colorspace(color);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(translate)?;
    let agreed = decoder.dimensions() == Some((survey.width as usize, survey.height as usize))
        && decoder.output_buffer_size() == Some((pixels * channels) as usize);
    if !agreed {
        return Err(DecodeError::corrupt(Format::Jpeg, "more than one size is declared"));
    }
    if orient::swaps_sides(orientation) {
        limits.check_alloc(pixels * 6)?;
    }

    // What the headers are worth is known by now; what is left is the data.
    if whole::is_faster() && whole::decode(bytes, picture).is_some() {
        return Ok((orientation, None));
    }
    allocate(&mut picture.rgb, (pixels * channels) as usize)?;
    decoder.decode_into(&mut picture.rgb).map_err(translate)?;
    if survey.plain_cmyk {
        rgb::convert_cmyk(&mut picture.rgb, pixels as usize);
    }
    (picture.width, picture.height) = (survey.width, survey.height);
    Ok((orientation, None))
}

fn translate(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::Unsupported(scheme) => {
            DecodeError::Unsupported { format: format!("JPEG, {scheme:?}").into() }
        }
        other => DecodeError::corrupt(Format::Jpeg, format_args!("{other:?}")),
    }
}

/// What the markers of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// As the first EXIF segment says.
    pub orientation: Orientation,
    pub width: u32,
    pub height: u32,
    pub scans: u32,
    /// Bytes of coefficients that are kept when a picture comes in more than one scan.
    pub coefficient_bytes: u64,
    /// Sequential, the planes in scans of their own and of different sizes.
    pub apart_and_subsampled: bool,
    /// Four channels of ink, not Adobe's complements.
    pub plain_cmyk: bool,
}

impl Survey {
    /// Walks the markers up to the end of the image; bytes behind it (a second picture, rubbish) do not matter.
    pub fn of(bytes: &[u8], max_scans: u32) -> Result<Self, DecodeError> {
        let mut survey = Self {
            orientation: Orientation::NoTransforms,
            width: 0,
            height: 0,
            scans: 0,
            coefficient_bytes: 0,
            apart_and_subsampled: false,
            plain_cmyk: false,
        };
        let mut exif = None;
        let mut frame = None;
        let mut progressive = false;
        let mut adobe = false;
        let mut at = 2;
        loop {
            let (marker, body) = next_marker(bytes, at)?;
            at = body;
            match marker {
                END => break,
                RESTART_FIRST..=RESTART_LAST | START | 0x01 => continue,
                _ => {}
            }
            let segment = segment(bytes, at)?;
            at += 2 + segment.len();
            match marker {
                // Huffman tables, the JPG extension and arithmetic tables share the numbers of the frames.
                0xc4 | 0xc8 | 0xcc => {}
                0xc0..=0xcf => {
                    // What is checked must be what is decoded: no choice of sizes.
                    if frame.is_some() {
                        return Err(DecodeError::corrupt(Format::Jpeg, "more than one size is declared"));
                    }
                    progressive = marker == 0xc2;
                    frame = Some(Frame::parse(segment)?);
                }
                0xe1 => exif = exif.or(segment.strip_prefix(b"Exif\0\0")),
                0xee => adobe |= segment.starts_with(b"Adobe"),
                SCAN => {
                    survey.scans += 1;
                    TooLarge::check("number of scans", survey.scans.into(), max_scans.into())?;
                }
                _ => {}
            }
        }
        let Some(frame) = frame.filter(|_| survey.scans > 0) else {
            return Err(DecodeError::corrupt(Format::Jpeg, "there is no picture in it"));
        };
        survey.orientation = exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
        (survey.width, survey.height) = (frame.width, frame.height);
        if progressive || survey.scans > 1 {
            survey.coefficient_bytes = frame.coefficients * 2;
        }
        survey.apart_and_subsampled = !progressive && survey.scans > 1 && frame.subsampled;
        survey.plain_cmyk = frame.components == 4 && !adobe;
        Ok(survey)
    }
}

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const RESTART_FIRST: u8 = 0xd0;
const RESTART_LAST: u8 = 0xd7;

/// The next marker at or behind `at` and where its body starts. Skips entropy-coded data, in which a marker's
/// first byte is always followed by a zero, and fill bytes.
fn next_marker(bytes: &[u8], mut at: usize) -> Result<(u8, usize), DecodeError> {
    let truncated = || DecodeError::corrupt(Format::Jpeg, "the file ends before the image does");
    loop {
        let rest = bytes.get(at..).ok_or_else(truncated)?;
        at += memchr::memchr(0xff, rest).ok_or_else(truncated)? + 1;
        match bytes.get(at).ok_or_else(truncated)? {
            0x00 => at += 1,
            0xff => {}
            marker => return Ok((*marker, at + 1)),
        }
    }
}

/// The payload of the segment whose length field is at `at`.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], DecodeError> {
    let payload = || {
        let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        bytes.get(at + 2..at + length.max(2))
    };
    payload().ok_or_else(|| DecodeError::corrupt(Format::Jpeg, "a segment is longer than the file"))
}

/// A frame header: size and planes.
struct Frame {
    width: u32,
    height: u32,
    components: u8,
    /// Planes differ in size.
    subsampled: bool,
    /// Samples of all planes, padded to whole blocks of the frame.
    coefficients: u64,
}

impl Frame {
    fn parse(segment: &[u8]) -> Result<Self, DecodeError> {
        let [_, h1, h0, w1, w0, components, planes @ ..] = segment else {
            return Err(DecodeError::corrupt(Format::Jpeg, "the frame header is too short"));
        };
        let width = u32::from(u16::from_be_bytes([*w1, *w0]));
        let height = u32::from(u16::from_be_bytes([*h1, *h0]));
        let factors = || {
            planes.chunks_exact(3).take(usize::from(*components)).map(|plane| (plane[1] >> 4, plane[1] & 15))
        };
        let across = u64::from(factors().map(|(h, _)| h).max().unwrap_or(1).max(1));
        let down = u64::from(factors().map(|(_, v)| v).max().unwrap_or(1).max(1));
        let units = u64::from(width).div_ceil(8 * across) * u64::from(height).div_ceil(8 * down);
        let blocks: u64 = factors().map(|(h, v)| u64::from(h) * u64::from(v)).sum();
        Ok(Self {
            width,
            height,
            components: *components,
            subsampled: factors().any(|pair| factors().next() != Some(pair)),
            coefficients: units * blocks * 64,
        })
    }
}
