//! Base64 in all its spellings, against another decoder's encoder: what is decoded must be what the text says, and what is
//! encoded in any spelling must come back.
//!
//! The first byte is the spelling in which the rest is encoded; then the rest is taken for base64 as it is.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use frontend::inputs::decode_base64;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&spelling, bytes)) = data.split_first() else { return };
    let encoded = spelled(spelling, bytes);
    assert_eq!(decode_base64(encoded.as_bytes()).expect("good base64"), bytes);

    if let Ok(decoded) = decode_base64(bytes) {
        assert_eq!(STANDARD_NO_PAD.encode(decoded), digits(bytes));
    }
});

fn spelled(spelling: u8, bytes: &[u8]) -> String {
    let text = match spelling & 3 {
        0 => STANDARD.encode(bytes),
        1 => STANDARD_NO_PAD.encode(bytes),
        2 => URL_SAFE.encode(bytes),
        _ => URL_SAFE_NO_PAD.encode(bytes),
    };
    let line = usize::from(spelling >> 4);
    let mut out = String::from(if spelling & 4 > 0 { "data:image/png;base64," } else { "" });
    for (at, digit) in text.char_indices() {
        if spelling & 8 > 0 && line > 0 && at > 0 && at % line == 0 {
            out.push_str("\r\n");
        }
        out.push(digit);
    }
    out
}

/// The digits of a text that was decoded, in the standard alphabet and without padding.
fn digits(text: &[u8]) -> String {
    let text = text.trim_ascii();
    let start = match text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:")) {
        true => text.iter().position(|byte| *byte == b',').expect("it was decoded") + 1,
        false => 0,
    };
    text[start..]
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=')
        .map(|byte| match byte {
            b'-' => '+',
            b'_' => '/',
            byte => char::from(*byte),
        })
        .collect()
}
