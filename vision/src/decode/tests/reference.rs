//! Every picture of the test data against size, mean and hash that another decoder computed.

use super::super::{DecodeError, Limits, decode};
use super::{data, json};
use sha2::{Digest, Sha256};

/// How far a channel's mean may be off for formats that leave the arithmetic to the decoder.
const LOSSY_MEAN: f64 = 0.6;

/// What is allowed to differ, and why.
enum Difference {
    /// Recognised, but not decoded here.
    Unsupported,
    /// Below the smallest side.
    TooSmall,
    /// The pixels differ by this much in the mean, for the reason beside the entry.
    Mean(f64),
}
use Difference::{Mean, TooSmall, Unsupported};

const DIFFERENCES: &[(&str, Difference)] = &[
    (".avif", Unsupported),
    (".avifs", Unsupported),
    (".jp2", Unsupported),
    (".heif", Unsupported),
    (".ico", Unsupported),
    (".qoi", Unsupported),
    (".hdr", Unsupported),
    // Without a magic number.
    (".tga", Unsupported),
    // A variety of TIFF that the decoder refuses.
    ("tiff_strip_ycbcr_jpeg_2x2_sampling.tif", Unsupported),
    // The decoder's colours are wrong, so we refuse.
    ("non_interleaved_420_64x64.jpg", Unsupported),
    ("jpg-size-1x1.jpg", TooSmall),
    ("no_palette.gif", TooSmall),
    // JPEG inside TIFF.
    ("hopper_jpg.tif", Mean(LOSSY_MEAN)),
    ("tiff_tiled_cmyk_jpeg.tif", Mean(1.0)),
    // Colours under transparent pixels, which the two decoders leave in different states.
    ("irs_anim.webp", Mean(3.0)),
];

fn lossy(name: &str, format: &str) -> bool {
    match format {
        "JPEG" | "MPO" => true,
        "WEBP" => !name.contains("lossless"),
        _ => false,
    }
}

#[test]
fn agrees_with_an_independent_decoder() {
    let Some(folder) = data("agrees_with_an_independent_decoder") else { return };
    let mut wrong = Vec::new();
    let mut exact = 0;
    for (name, expected) in json(folder.join("reference/decoded_images.json")) {
        let bytes = std::fs::read(folder.join(&name)).expect("test picture");
        let result = decode(&bytes, &Limits::default());
        let difference = DIFFERENCES.iter().find(|(end, _)| name.ends_with(end)).map(|(_, why)| why);
        let picture = match (result, difference) {
            (Err(DecodeError::Unsupported { .. } | DecodeError::NotAnImage), Some(Unsupported)) => continue,
            (Err(DecodeError::TooSmall { .. }), Some(TooSmall)) => continue,
            (Ok(_), Some(Unsupported | TooSmall)) => {
                wrong.push(format!("{name}: decodes, although listed as not decoded"));
                continue;
            }
            (Err(error), _) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
            (Ok(picture), _) => picture,
        };
        let size = (expected["width"].as_u64(), expected["height"].as_u64());
        if size != (Some(picture.width.into()), Some(picture.height.into())) {
            wrong.push(format!("{name}: {}x{} instead of {size:?}", picture.width, picture.height));
            continue;
        }
        let hash: String = Sha256::digest(&picture.rgb).iter().map(|byte| format!("{byte:02x}")).collect();
        if Some(hash.as_str()) == expected["rgb_sha256"].as_str() {
            exact += 1;
            continue;
        }
        let allowed = match difference {
            Some(Mean(allowed)) => *allowed,
            _ if lossy(&name, expected["format"].as_str().unwrap_or_default()) => LOSSY_MEAN,
            _ => 0.0,
        };
        let off = mean_difference(&picture.rgb, &expected["rgb_mean"]);
        if off >= allowed {
            wrong.push(format!("{name}: other pixels, mean off by {off:.3}, allowed {allowed}"));
        }
    }
    println!("{exact} pictures are identical to the byte");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn mean_difference(rgb: &[u8], expected: &serde_json::Value) -> f64 {
    (0..3)
        .map(|channel| {
            let sum: u64 = rgb.iter().skip(channel).step_by(3).map(|&value| u64::from(value)).sum();
            let mean = sum as f64 / (rgb.len() / 3) as f64;
            (mean - expected[channel].as_f64().unwrap_or(f64::NAN)).abs()
        })
        .fold(0.0, f64::max)
}

/// The same picture in eight orientations: each must come out like the first.
#[test]
fn every_orientation_shows_the_same_picture() {
    let Some(folder) = data("every_orientation_shows_the_same_picture") else { return };
    let upright = |orientation: u32| {
        let name = format!("images/variants/dog416_exif{orientation}.jpg");
        decode(&std::fs::read(folder.join(name)).expect("test picture"), &Limits::default())
            .expect("a picture")
    };
    let first = upright(1);
    for orientation in 2..=8 {
        let picture = upright(orientation);
        assert_eq!((picture.width, picture.height), (first.width, first.height), "orientation {orientation}");
        let sum: u64 = picture.rgb.iter().zip(&first.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / first.rgb.len() as f64;
        // Turned before it was compressed, so not the same bytes; any other orientation is off by more than 30.
        assert!(mean < 3.0, "orientation {orientation} is off by {mean:.2} a channel");
    }
}
