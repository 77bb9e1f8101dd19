//! The reduced decoder against the full one: a picture of an eighth must look like the whole, averaged.

use super::super::{Buffers, DecodeError, Extent, Limits, Wanted, decode, decode_reduced};
use crate::picture::Picture;
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, RgbImage};

/// Smooth, with an edge: what is lost by averaging must not dominate.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let edge = if x * 3 > y * 2 + 40 { 60 } else { 0 };
        image::Rgb([(x * 120 / width) as u8 + edge, (y * 190 / height) as u8, 40 + edge * 2])
    })
}

fn encode(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality).encode_image(image).expect("encoding");
    out
}

fn reduced(bytes: &[u8], by: u32) -> (Picture, Extent) {
    taken(bytes, &|_, _| Wanted::Divided(by))
}

fn taken(bytes: &[u8], wanted: &dyn Fn(u32, u32) -> Wanted) -> (Picture, Extent) {
    let mut picture = Picture::default();
    let extent = decode_reduced(bytes, &Limits::default(), wanted, &mut Buffers::default(), &mut picture)
        .expect("a picture");
    (picture, extent)
}

/// Two columns and rows side by side every now and then, as a filter of two taps wants them.
fn pairs(width: u32, height: u32, (across, down): (usize, usize)) -> (Vec<u32>, Vec<u32>) {
    let lines =
        |length: u32, step| (0..length).step_by(step).flat_map(move |at| [at, (at + 1).min(length - 1)]);
    (lines(width, across).collect(), lines(height, down).collect())
}

/// Mean and greatest difference of what was decoded of some lines to the same pixels of the whole.
fn off(whole: &Picture, bytes: &[u8], steps: (usize, usize)) -> Option<(f64, u8)> {
    let (columns, rows) = pairs(whole.width, whole.height, steps);
    let wanted = |width, height| {
        let (columns, rows) = pairs(width, height, steps);
        Wanted::Lines { columns, rows }
    };
    let (part, extent) = taken(bytes, &wanted);
    assert_eq!((extent.width, extent.height), (whole.width, whole.height));
    if !extent.is_lines {
        assert_eq!(&part, whole);
        return None;
    }
    assert_eq!((part.width as usize, part.height as usize), (columns.len(), rows.len()));
    let (mut sum, mut most) = (0, 0);
    let crossings = rows.iter().flat_map(|y| columns.iter().map(move |x| (y * whole.width + x) as usize * 3));
    for (at, pixel) in crossings.zip(part.rgb.as_chunks::<3>().0) {
        for (ours, theirs) in pixel.iter().zip(&whole.rgb[at..]) {
            sum += u64::from(ours.abs_diff(*theirs));
            most = most.max(ours.abs_diff(*theirs));
        }
    }
    Some((sum as f64 / part.rgb.len() as f64, most))
}

#[test]
fn single_pixels_are_those_of_the_whole() {
    for (width, height) in [(160, 96), (161, 97), (15, 9), (333, 250)] {
        for quality in [40, 95] {
            let bytes = encode(&scene(width, height), quality);
            let whole = decode(&bytes, &Limits::default()).expect("a picture");
            // From more lines than a block has to fewer than one a block.
            for steps in [(1, 1), (2, 3), (5, 7), (19, 11)] {
                let (mean, most) = off(&whole, &bytes, steps).expect("only some lines");
                // Colour that is stored at half size is not mixed across the edges of blocks.
                println!("{width} × {height} at {quality}, {steps:?}: {mean:.3}, at most {most}");
                assert!(mean < 1.0, "{width} × {height} at {quality}, {steps:?}: {mean}");
            }
        }
    }
}

/// Mean difference to the whole picture, averaged over the square that each pixel stands for.
fn difference(whole: &Picture, small: &Picture, extent: &Extent) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for y in 0..small.height {
        for x in 0..small.width {
            let columns = (x * extent.by).saturating_sub(extent.left)
                ..((x + 1) * extent.by - extent.left).min(whole.width);
            let rows = (y * extent.by).saturating_sub(extent.top)
                ..((y + 1) * extent.by - extent.top).min(whole.height);
            if columns.len() < extent.by as usize || rows.len() < extent.by as usize {
                continue; // what stands outside the picture is the encoder's choice
            }
            for channel in 0..3 {
                let mean = rows
                    .clone()
                    .flat_map(|row| columns.clone().map(move |column| (row, column)))
                    .map(|(row, column)| {
                        f64::from(whole.rgb[((row * whole.width + column) * 3 + channel) as usize])
                    })
                    .sum::<f64>()
                    / f64::from(extent.by * extent.by);
                sum += (f64::from(small.rgb[((y * small.width + x) * 3 + channel) as usize]) - mean).abs();
                count += 1;
            }
        }
    }
    // A picture smaller than one square has none to compare.
    sum / f64::from(count.max(1))
}

#[test]
fn a_smaller_picture_is_the_whole_averaged() {
    for (width, height) in [(160, 96), (161, 97), (15, 9), (333, 250)] {
        for quality in [40, 95] {
            let bytes = encode(&scene(width, height), quality);
            let whole = decode(&bytes, &Limits::default()).expect("a picture");
            for by in [2, 4, 8] {
                let (small, extent) = reduced(&bytes, by);
                assert_eq!(extent, Extent { width, height, by, left: 0, top: 0, is_lines: false });
                assert_eq!((small.width, small.height), (width.div_ceil(by), height.div_ceil(by)));
                assert!(small.is_consistent());
                let off = difference(&whole, &small, &extent);
                // Half and quarter keep frequencies that an average does not.
                assert!(
                    off < if by == 8 { 1.0 } else { 4.0 },
                    "{width} × {height} at {quality} by {by}: {off}"
                );
            }
        }
    }
}

/// As the fuzzer found it: what the first of two frames says of the size was decoded, what the second says was checked.
#[test]
fn a_second_frame_is_refused() {
    let bytes = encode(&scene(160, 96), 80);
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    let mut huge = bytes[frame..frame + 19].to_vec();
    huge[5..9].fill(0xff);
    let bytes = [&bytes[..frame], &huge, &bytes[frame..]].concat();
    for wanted in [Wanted::Whole, Wanted::Divided(8)] {
        let mut picture = Picture::default();
        let got = decode_reduced(
            &bytes,
            &Limits::default(),
            &|_, _| wanted.clone(),
            &mut Buffers::default(),
            &mut picture,
        );
        assert!(matches!(got, Err(DecodeError::Corrupt { .. })), "{got:?}");
    }
}

#[test]
fn grey_is_grey() {
    let grey = GrayImage::from_fn(80, 64, |x, y| image::Luma([(x + y) as u8]));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&grey).expect("encoding");
    let whole = decode(&bytes, &Limits::default()).expect("a picture");
    for by in [2, 4, 8] {
        let (small, extent) = reduced(&bytes, by);
        assert!(small.rgb.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
        assert!(difference(&whole, &small, &extent) < 1.0);
    }
}

/// The files of the test data: every way of sampling, progressive ones, restarts; with EXIF of every kind.
#[test]
fn real_files_agree_with_the_full_decoder() {
    let Some(folder) = super::super::tests::data("real_files_agree_with_the_full_decoder") else { return };
    let (mut compared, mut smaller) = (0, 0);
    for part in ["images/photos", "images/variants", "images/exif", "images/formats"] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else { continue };
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if !path.extension().is_some_and(|end| end == "jpg" || end == "jpeg") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("test picture");
            let Ok(whole) = decode(&bytes, &Limits::default()) else { continue };
            if let Some((mean, most)) = off(&whole, &bytes, (5, 7)) {
                println!("{} lines: {mean:.2}, at most {most}", path.display());
                assert!(mean < 2.0, "{}: {mean}", path.display());
            }
            if path.to_string_lossy().contains("progressive") {
                // Of the rows of blocks below nothing is wanted.
                let top = |_, _| Wanted::Lines { columns: vec![0, 100, 200], rows: vec![0, 1] };
                assert!(taken(&bytes, &top).1.is_lines, "{}", path.display());
            }
            for by in [2, 4, 8] {
                let (small, extent) = reduced(&bytes, by);
                assert_eq!((extent.width, extent.height), (whole.width, whole.height), "{}", path.display());
                compared += 1;
                if extent.by == 1 {
                    println!("{} by {by}: in full", path.display());
                    assert_eq!(small, whole, "{}", path.display());
                    assert!(!path.to_string_lossy().contains("progressive"), "{} by {by}", path.display());
                    continue;
                }
                smaller += 1;
                let off = difference(&whole, &small, &extent);
                println!("{} by {by}: {off:.2}", path.display());
                // A few of the lowest frequencies are near an average, not equal to it; where edges are sharp, less so.
                assert!(off < if by == 8 { 4.0 } else { 10.0 }, "{} by {by}: {off}", path.display());
            }
        }
    }
    println!("{smaller} of {compared} were decoded smaller");
    assert!(smaller * 2 > compared, "{smaller} of {compared}");
}

#[test]
fn what_is_damaged_is_left_to_the_full_decoder() {
    let bytes = encode(&scene(160, 96), 80);
    let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan");
    for at in (scan + 20..bytes.len() - 2).step_by(7) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        let mut picture = Picture::default();
        let small = decode_reduced(
            &broken,
            &Limits::default(),
            &|_, _| Wanted::Divided(8),
            &mut Buffers::default(),
            &mut picture,
        );
        let full = decode(&broken, &Limits::default());
        assert!(small.is_ok() || full.is_err(), "refused at {at}, though the full decoder takes it");
        if let Ok(extent) = small {
            assert!(picture.is_consistent() && (extent.width, extent.height) == (160, 96));
        }
    }
}
