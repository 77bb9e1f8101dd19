//! Damaged and hostile files: a picture within the limits or an error, never a panic that escapes, a hang or
//! an allocation that the limits do not cover.

use super::super::{DecodeError, Limits, decode};
use super::{data, json};
use std::collections::BTreeMap;

#[test]
fn bad_files_end_in_a_picture_or_an_error() {
    let Some(folder) = data("bad_files_end_in_a_picture_or_an_error") else { return };
    let limits = Limits::default();
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut panicked = Vec::new();
    for name in json(folder.join("reference/bad_images_pillow.json")).keys() {
        let bytes = std::fs::read(folder.join(name)).expect("test file");
        let kind = match decode(&bytes, &limits) {
            Ok(picture) => {
                assert!(picture.is_consistent(), "{name}");
                assert!(picture.pixels() as u64 <= limits.max_pixels, "{name}");
                "decoded"
            }
            Err(DecodeError::NotAnImage) => "not an image",
            Err(DecodeError::Unsupported { .. }) => "unsupported",
            Err(DecodeError::TooLarge(_)) => "too large",
            Err(DecodeError::TooSmall { .. }) => "too small",
            Err(DecodeError::Corrupt { .. }) => "corrupt",
            Err(DecodeError::Panicked { .. }) => {
                panicked.push(name.clone());
                "panicked"
            }
            Err(DecodeError::OutOfMemory { .. }) => panic!("{name}: an allocation that no limit stopped"),
        };
        println!("{kind}: {name}");
        *kinds.entry(kind).or_default() += 1;
    }
    println!("{kinds:?}; decoders that panicked: {panicked:?}");
    assert!(panicked.is_empty(), "the guard held, but these decoders need a look");
    assert!(kinds["corrupt"] > 50 && kinds["too large"] > 0 && kinds["not an image"] > 0);
}
