use super::super::{DecodeError, Limits, decode};
use super::*;
use image::{ImageFormat, RgbImage};
use std::io::Cursor;

const MOST: u64 = 16 << 20;

/// A file of one directory with one entry.
fn file(is_little: bool, is_big: bool, tag: u16, count: u64) -> Vec<u8> {
    let mut out = if is_little { b"II".to_vec() } else { b"MM".to_vec() };
    let mut put = |number: u64, length: usize| match is_little {
        true => out.extend(&number.to_le_bytes()[..length]),
        false => out.extend(&number.to_be_bytes()[8 - length..]),
    };
    let fields: &[(u64, usize)] = match is_big {
        true => &[(43, 2), (8, 2), (0, 2), (16, 8), (1, 8), (tag.into(), 2), (3, 2), (count, 8), (0, 8)],
        false => &[(42, 2), (8, 4), (1, 2), (tag.into(), 2), (3, 2), (count, 4), (0, 4)],
    };
    fields.iter().for_each(|(number, length)| put(*number, *length));
    out
}

#[test]
fn an_entry_of_too_many_values_is_refused() {
    for (is_little, is_big) in [(true, false), (false, false), (true, true), (false, true)] {
        assert!(check(&file(is_little, is_big, 262, MOST / 32), MOST).is_ok());
        let error = check(&file(is_little, is_big, 262, MOST / 32 + 1), MOST).expect_err("too many");
        assert!(matches!(error, DecodeError::TooLarge(_)), "{error}");
        // A long description is not read.
        assert!(check(&file(is_little, is_big, 270, 5_000_000), MOST).is_ok());
    }
    assert!(check(&file(true, true, 273, u64::MAX), MOST).is_err());
}

#[test]
fn what_is_no_directory_is_left_to_the_decoder() {
    let whole = file(true, true, 262, 1);
    for length in 0..whole.len() {
        assert!(check(&whole[..length], MOST).is_ok());
    }
    for byte in 0..whole.len() {
        let mut broken = whole.clone();
        broken[byte] = 0xff;
        let _ = check(&broken, MOST);
    }
}

/// As the fuzzer found it: of a small picture the colour's tag says that it has seven million values.
#[test]
fn a_picture_that_announces_millions_of_values_is_too_large() {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(9, 8).write_to(&mut bytes, ImageFormat::Tiff).expect("encoding");
    let mut bytes = bytes.into_inner();
    assert!(decode(&bytes, &Limits::default()).is_ok());
    let at = bytes.windows(4).rposition(|entry| entry == [0x06, 0x01, 0x03, 0x00]).expect("the tag");
    bytes[at + 6] = 0x6f;
    let error = decode(&bytes, &Limits::default()).expect_err("too many");
    assert!(matches!(error, DecodeError::TooLarge(_)), "{error}");
}
