//! Arbitrary bytes as a picture, under narrow limits: in full, at a part of its size, and at some columns and rows only. What comes out is
//! whole and within the limits; nothing is allocated beyond them.
//!
//! A panic of a decoder that is not ours is caught by `vision` and refuses the picture; one of ours is a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::panic::{set_hook, take_hook};
use std::path::Path;
use vision::decode::{Buffers, DecodeError, Extent, Limits, Wanted, decode, decode_reduced};
use vision::picture::Picture;

const PIXELS: usize = 1 << 18;

fuzz_target!(
    init: {
        // In place of the hook that ends the process at every panic.
        drop(take_hook());
        set_hook(Box::new(|panic| {
            if panic.location().is_none_or(|place| !Path::new(place.file()).components().any(|part| part.as_os_str() == "registry")) {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
    },
    |data: &[u8]| {
        let limits = Limits {
            max_pixels: PIXELS as u64,
            max_side: 2048,
            max_metadata: 1 << 20,
            max_alloc: 8 << 20,
            ..Limits::default()
        };
        let whole = decode(data, &limits);
        if let Ok(picture) = &whole {
            assert!(picture.is_consistent() && (1..=PIXELS).contains(&picture.pixels()));
        }
        for by in [0, 1, 2, 4, 8] {
            let mut picture = Picture::default();
            let wanted = |width, height| if by > 0 { Wanted::Divided(by) } else { some_lines(width, height) };
            let small = decode_reduced(data, &limits, &wanted, &mut Buffers::default(), &mut picture);
            match (&whole, small) {
                (Ok(whole), Ok(extent)) => {
                    assert!(picture.is_consistent());
                    assert_eq!((extent.width, extent.height), (whole.width, whole.height));
                    assert!(extent.by == 1 || extent.by == by);
                    assert!(extent.by > 1 || extent.is_lines || extent == Extent::whole(&picture));
                }
                // The smaller decoder passes over data that it does not need, and with it over what is wrong there.
                (Err(DecodeError::NotAnImage | DecodeError::Unsupported { .. } | DecodeError::TooSmall { .. }), Ok(_)) => {
                    panic!("decoded small, though {whole:?}")
                }
                (Err(_), Ok(extent)) => {
                    assert!((extent.by > 1 || extent.is_lines) && picture.is_consistent());
                }
                (Err(_), Err(_)) => assert!(picture.rgb.is_empty()),
                (Ok(_), Err(error)) => panic!("decoded in full, but not by {by}: {error}"),
            }
        }
    }
);

/// Pairs of columns and rows.
fn some_lines(width: u32, height: u32) -> Wanted {
    let lines = |length: u32| (0..length).step_by(5).flat_map(|at| [at, at + 1]).collect();
    Wanted::Lines { columns: lines(width), rows: lines(height) }
}
