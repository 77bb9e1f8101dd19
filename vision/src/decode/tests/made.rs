//! Pictures made here: formats, limits, orientation and damage, without any file from outside.

use super::super::orient;
use super::super::{
    Buffers, DecodeError, Format, Limits, TooLarge, Wanted, decode, decode_into, decode_reduced, sniff,
};
use crate::picture::Picture;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};
use std::io::Cursor;

/// Every pixel differs from its neighbours, and no two corners are alike.
fn sample(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7 + 3) as u8, (y * 11 + 5) as u8, (x * y) as u8])
    })
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, format).expect("encoding");
    out.into_inner()
}

fn too_large(bytes: &[u8], limits: &Limits) -> TooLarge {
    match decode(bytes, limits) {
        Err(DecodeError::TooLarge(measure)) => measure,
        other => panic!("expected TooLarge, got {other:?}"),
    }
}

#[test]
fn lossless_formats_give_back_the_pixels() {
    let image = sample(37, 23);
    for (encoded, expected) in [
        (ImageFormat::Png, Format::Png),
        (ImageFormat::Bmp, Format::Bmp),
        (ImageFormat::Tiff, Format::Tiff),
        (ImageFormat::Pnm, Format::Pnm),
        (ImageFormat::WebP, Format::WebP),
    ] {
        let bytes = encode(image.clone(), encoded);
        assert_eq!(sniff(&bytes), Some(expected));
        let picture = decode(&bytes, &Limits::default()).expect("a picture");
        assert_eq!((picture.width, picture.height), (37, 23));
        assert_eq!(&picture.rgb, image.as_raw(), "{expected}");
    }
}

#[test]
fn every_pixel_layout_becomes_rgb() {
    let rgba = DynamicImage::ImageRgb8(sample(19, 9)).to_rgba8();
    let transparent = image::RgbaImage::from_fn(19, 9, |x, y| {
        let [r, g, b, _] = rgba.get_pixel(x, y).0;
        image::Rgba([r, g, b, (x * 10) as u8])
    });
    let wide = image::ImageBuffer::from_fn(19, 9, |x, y| {
        image::Rgb(
            rgba.get_pixel(x, y)
                .0
                .first_chunk::<3>()
                .map(|rgb| rgb.map(|v| u16::from(v) << 8 | 0xab))
                .unwrap(),
        )
    });
    for image in [DynamicImage::ImageRgba8(transparent), DynamicImage::ImageRgb16(wide)] {
        let picture = decode(&encode(image, ImageFormat::Png), &Limits::default()).expect("a picture");
        assert_eq!(&picture.rgb, sample(19, 9).as_raw());
    }

    let gray = image::GrayImage::from_fn(19, 9, |x, y| image::Luma([(x * 13 + y) as u8]));
    let replicated: Vec<u8> = gray.as_raw().iter().flat_map(|&value| [value; 3]).collect();
    let wide = image::ImageBuffer::from_fn(19, 9, |x, y| {
        image::Luma([u16::from(gray.get_pixel(x, y).0[0]) << 8 | 0xfe])
    });
    let alpha =
        image::GrayAlphaImage::from_fn(19, 9, |x, y| image::LumaA([gray.get_pixel(x, y).0[0], y as u8]));
    let wide_alpha = image::ImageBuffer::from_fn(19, 9, |x, y| {
        image::LumaA([u16::from(gray.get_pixel(x, y).0[0]) << 8 | 0x80, 7u16])
    });
    for image in [
        DynamicImage::ImageLuma8(gray.clone()),
        DynamicImage::ImageLuma16(wide),
        DynamicImage::ImageLumaA8(alpha),
        DynamicImage::ImageLumaA16(wide_alpha),
    ] {
        let color = image.color();
        let picture = decode(&encode(image, ImageFormat::Png), &Limits::default()).expect("a picture");
        assert_eq!(picture.rgb, replicated, "{color:?}");
    }
}

#[test]
fn what_is_no_image_is_told_from_what_is_not_supported() {
    for bytes in [&b""[..], b"hello", b"<html><body>", b"BM says hello to all of you", b"\xff\xd8", &[0; 64]]
    {
        assert_eq!(decode(bytes, &Limits::default()), Err(DecodeError::NotAnImage), "{bytes:?}");
    }
    for (bytes, name) in [
        (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n  <svg/>", "SVG"),
        (b"8BPS\0\x01", "Photoshop"),
    ] {
        let expected = DecodeError::Unsupported { format: name.into() };
        assert_eq!(decode(bytes, &Limits::default()), Err(expected));
    }
}

#[test]
fn limits_are_exact() {
    let bytes = encode(sample(40, 20), ImageFormat::Png);
    let limits = Limits { max_pixels: 800, max_side: 40, min_side: 20, max_aspect: 2, ..Limits::default() };
    decode(&bytes, &limits).expect("at every limit");
    assert_eq!(too_large(&bytes, &Limits { max_pixels: 799, ..limits.clone() }).value, 800);
    assert_eq!(too_large(&bytes, &Limits { max_side: 39, ..limits.clone() }).value, 40);
    assert_eq!(too_large(&bytes, &Limits { max_aspect: 1, ..limits.clone() }).value, 2);
    let error = decode(&bytes, &Limits { min_side: 21, ..limits.clone() }).unwrap_err();
    assert_eq!(error, DecodeError::TooSmall { width: 40, height: 20, min_side: 21 });
}

#[test]
fn memory_is_refused_before_it_is_taken() {
    for format in
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Tiff]
    {
        let bytes = encode(sample(200, 100), format);
        let limits = Limits { max_metadata: 4096, max_alloc: 200 * 100 * 3 - 1, ..Limits::default() };
        let measure = too_large(&bytes, &limits);
        assert!(measure.value >= 60_000, "{format:?}: {measure}");
    }
}

/// A header may claim any size; only its claim is read.
#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut png = encode(sample(4, 4), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let sum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(too_large(&png, &Limits::default()).value, 30_000);

    let mut jpeg = encode(sample(16, 16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(too_large(&jpeg, &Limits::default()).value, 65_535);
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 },
        )
    })
}

#[test]
fn a_truncated_file_is_never_a_picture() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Pnm]
    {
        let bytes = encode(sample(64, 48), format);
        for percent in [5, 25, 50, 75, 95, 99] {
            let cut = &bytes[..bytes.len() * percent / 100];
            assert!(decode(cut, &Limits::default()).is_err(), "{format:?} cut to {percent} %");
        }
    }
}

#[test]
fn rubbish_behind_the_end_does_not_matter() {
    let mut bytes = encode(sample(64, 48), ImageFormat::Jpeg);
    let clean = decode(&bytes, &Limits::default()).expect("a picture");
    bytes.extend_from_slice(b"\xff\xda\xff\xc0 and more");
    assert_eq!(decode(&bytes, &Limits::default()), Ok(clean));
}

#[test]
fn scans_are_counted_before_they_are_decoded() {
    let bytes = encode(sample(16, 16), ImageFormat::Jpeg);
    let start = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan");
    let (head, scan) = bytes.split_at(start);
    let scan = &scan[..scan.len() - 2];
    let many = [head, &scan.repeat(101), &[0xff, 0xd9]].concat();
    let measure = too_large(&many, &Limits::default());
    assert_eq!((measure.what, measure.value, measure.limit), ("number of scans", 101, 100));
}

#[test]
fn nothing_of_an_earlier_picture_survives() {
    let mut picture = Picture::default();
    decode_into(&encode(sample(80, 60), ImageFormat::Png), &Limits::default(), &mut picture)
        .expect("a picture");
    let small = encode(sample(8, 6), ImageFormat::Png);
    decode_into(&small, &Limits::default(), &mut picture).expect("a picture");
    assert_eq!(&picture.rgb, sample(8, 6).as_raw());
    decode_into(&small[..small.len() / 2], &Limits::default(), &mut picture).expect_err("cut");
    assert_eq!(picture, Picture::default());
}

#[test]
fn nothing_of_a_recycled_picture_survives() {
    let mut buffers = Buffers::default();
    let reduced = |_, _| Wanted::Divided(2);
    let whole = |_, _| Wanted::Whole;
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff] {
        let bytes = encode(sample(40, 30), format);
        for wanted in [&whole as &dyn Fn(u32, u32) -> Wanted, &reduced] {
            let mut read = |bytes: &[u8], picture: &mut Picture| {
                decode_reduced(bytes, &Limits::default(), &wanted, &mut buffers, picture)
            };
            let mut fresh = Picture::default();
            read(&bytes, &mut fresh).expect("a picture");
            for left in [10, 40 * 30 * 3, 10_000] {
                let mut picture = Picture { width: 1, height: 1, rgb: vec![77; left] };
                picture.recycle(usize::MAX);
                read(&bytes, &mut picture).expect("a picture");
                assert_eq!(picture, fresh, "{format:?}, {left} bytes before");
                picture.recycle(usize::MAX);
                assert!(read(&bytes[..bytes.len() / 2], &mut picture).is_err(), "cut");
                assert_eq!(picture, Picture::default());
            }
        }
    }
}

/// Against `image`'s own turns, on sides that are no multiple of a tile.
#[test]
fn all_eight_orientations() {
    for (width, height) in [(1, 1), (5, 3), (67, 33), (32, 64)] {
        let image = sample(width, height);
        for orientation in (1..=8).filter_map(Orientation::from_exif) {
            let mut expected = DynamicImage::ImageRgb8(image.clone());
            expected.apply_orientation(orientation);
            let mut picture = Picture { width, height, rgb: image.as_raw().clone() };
            orient::apply(orientation, &mut picture, &mut Vec::new()).expect("memory");
            assert_eq!((picture.width, picture.height), (expected.width(), expected.height()));
            assert_eq!(picture.rgb, expected.into_rgb8().into_raw(), "{orientation:?}, {width} × {height}");
        }
    }
}

proptest::proptest! {
    /// One changed byte anywhere ends in a whole picture or an error.
    #[test]
    fn damage_is_survived(at in 0usize..4000, value: u8, which in 0usize..4) {
        let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp];
        let mut bytes = encode(sample(24, 16), formats[which]);
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(picture) = decode(&bytes, &Limits { max_pixels: 1_000_000, ..Limits::default() }) {
            proptest::prop_assert!(picture.is_consistent());
        }
    }
}

#[test]
fn a_webp_is_turned_with_and_without_the_jpeg_marker() {
    let plain = encode(sample(3, 2), ImageFormat::WebP);
    // Little-endian TIFF with one entry: orientation 6, a quarter turn.
    let exif = [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"[..], &[0; 4]].concat();
    for marker in [&b""[..], b"Exif\0\0"] {
        let exif = [marker, &exif].concat();
        // Flags (EXIF), three reserved bytes, then width - 1 and height - 1 in three bytes each.
        let extended = [0x08, 0, 0, 0, 2, 0, 0, 1, 0, 0];
        let chunk = |name: &[u8], body: &[u8]| [name, &(body.len() as u32).to_le_bytes(), body].concat();
        let body = [&b"WEBP"[..], &chunk(b"VP8X", &extended), &plain[12..], &chunk(b"EXIF", &exif)].concat();
        let turned = decode(&chunk(b"RIFF", &body), &Limits { min_side: 1, ..Limits::default() }).unwrap();
        assert_eq!((turned.width, turned.height), (2, 3), "marker {marker:?}");
    }
}
