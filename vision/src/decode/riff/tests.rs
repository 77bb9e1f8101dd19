use super::*;
use crate::decode::{Limits, decode};

/// A file of these chunks, each with the size it declares.
fn file(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (name, size, content) in chunks {
        body.extend_from_slice(*name);
        body.extend(size.to_le_bytes());
        body.extend_from_slice(content);
    }
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// EXIF with an orientation, little-endian.
const TURNED: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

#[test]
fn the_orientation_is_read_with_and_without_its_marker() {
    let marked = [b"Exif\0\0", TURNED].concat();
    for exif in [TURNED, &marked] {
        let file = file(&[(b"VP8L", 3, b"abc\0"), (b"EXIF", exif.len() as u32, exif)]);
        assert_eq!(orientation(&file, 1000), Ok(Orientation::Rotate90));
    }
    assert_eq!(orientation(&file(&[]), 1000), Ok(Orientation::NoTransforms));
}

#[test]
fn a_chunk_cannot_have_more_than_its_file() {
    // Extended, 8 × 8 pixels, EXIF announced: the decoder alone would set 4 GiB aside.
    let extended = [8, 0, 0, 0, 7, 0, 0, 7, 0, 0];
    let file = file(&[(b"VP8X", 10, &extended), (b"VP8L", 2, b"ab"), (b"EXIF", 0xffff_fff0, b"")]);
    assert!(matches!(decode(&file, &Limits::default()), Err(DecodeError::Corrupt { .. })));
}

#[test]
fn metadata_has_a_limit() {
    for name in [b"EXIF", b"ICCP", b"XMP "] {
        let file = file(&[(name, 8, b"12345678")]);
        assert!(orientation(&file, 8).is_ok());
        assert!(matches!(orientation(&file, 7), Err(DecodeError::TooLarge(_))));
    }
}

#[test]
fn cut_headers_and_what_follows_the_declared_end_are_passed_over() {
    for length in 0..20 {
        let _ = orientation(&file(&[(b"EXIF", 0, b"")])[..length], 8);
    }
    let mut file = file(&[(b"VP8L", 2, b"ab")]);
    file.extend_from_slice(b"junkjunkjunk");
    assert_eq!(orientation(&file, 8), Ok(Orientation::NoTransforms));
}

/// The decoder makes room for the frame, and only then compares.
#[test]
fn a_frame_larger_than_the_picture_is_refused_before_there_is_room_for_it() {
    let extended = [0, 0, 0, 0, 7, 0, 0, 7, 0, 0];
    let lossy =
        |side: u16| [&[0x30, 1, 0, 0x9d, 0x01, 0x2a][..], &side.to_le_bytes(), &side.to_le_bytes()].concat();
    let lossless = |side: u32| [&[0x2f][..], &((side - 1) | (side - 1) << 14).to_le_bytes(), &[0]].concat();
    let refused = |chunk: (&[u8; 4], u32, &[u8])| orientation(&file(&[(b"VP8X", 10, &extended), chunk]), 100);
    for (side, fits) in [(8u16, true), (9, false), (16_000, false)] {
        let (lossy, lossless) = (lossy(side), lossless(side.into()));
        assert_eq!(refused((b"VP8 ", 10, &lossy)).is_ok(), fits, "lossy, {side}");
        assert_eq!(refused((b"VP8L", 6, &lossless)).is_ok(), fits, "lossless, {side}");
        let animated = [&[0; 16][..], b"VP8 ", &10u32.to_le_bytes(), &lossy].concat();
        assert_eq!(refused((b"ANMF", animated.len() as u32, &animated)).is_ok(), fits, "animated, {side}");
    }
    // Without a canvas the frame is the picture, and the limits see to it.
    assert!(orientation(&file(&[(b"VP8 ", 10, &lossy(16_000))]), 100).is_ok());
}
