//! Base64 as clients write it: standard or URL-safe alphabet, padding optional, wrapped lines, `data:` URIs.
//!
//! The usual text is decoded where it lies, into the one buffer that becomes the picture; only text with line
//! breaks in it is copied first.

use base64_simd::{Base64, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;

use crate::error::{Code, RequestError};

/// Longest `data:image/…;base64,` that is looked for.
const LONGEST_PREFIX: usize = 256;

/// Whether the text is a `data:` URI.
pub fn is_data_uri(text: &[u8]) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:"))
}

/// Decodes the text.
pub fn decode(text: &[u8]) -> Result<Bytes, RequestError> {
    let text = payload(text.trim_ascii())?;
    let decoded = match unpadded(text) {
        Some(digits) => alphabet(digits).decode_to_vec(digits).ok(),
        None => None,
    };
    match decoded {
        Some(bytes) => Ok(bytes.into()),
        None => decode_wrapped(text),
    }
}

/// The base64 part of a `data:` URI, or the text itself.
fn payload(text: &[u8]) -> Result<&[u8], RequestError> {
    if !is_data_uri(text) {
        return Ok(text);
    }
    let comma = memchr::memchr(b',', &text[..text.len().min(LONGEST_PREFIX)])
        .ok_or_else(|| Code::BadBase64.because("the data: URI has no comma"))?;
    let (prefix, rest) = text.split_at(comma);
    let marker = prefix.len().saturating_sub(b";base64".len());
    if !prefix[marker..].eq_ignore_ascii_case(b";base64") {
        return Err(Code::BadBase64.because("the data: URI is not marked ;base64"));
    }
    Ok(rest[1..].trim_ascii())
}

/// Drops the padding; `None` when there is some and it is not the right amount.
fn unpadded(text: &[u8]) -> Option<&[u8]> {
    let digits = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] => rest,
        _ => return Some(text),
    };
    text.len().is_multiple_of(4).then_some(digits)
}

/// The alphabet a text is written in, told by the two characters that only one of them has.
fn alphabet(digits: &[u8]) -> &'static Base64 {
    match memchr::memchr2(b'-', b'_', digits) {
        Some(_) => &URL_SAFE_NO_PAD,
        None => &STANDARD_NO_PAD,
    }
}

/// The way of wrapped lines: takes the breaks out and decodes in place, or says what is wrong.
fn decode_wrapped(text: &[u8]) -> Result<Bytes, RequestError> {
    let mut joined: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r' | b'\t')).collect();
    let digits = unpadded(&joined).map(<[u8]>::len).ok_or_else(|| fault(&joined))?;
    joined.truncate(digits);
    let alphabet = alphabet(&joined);
    match alphabet.decode_inplace(&mut joined).map(|bytes| bytes.len()) {
        Ok(length) => joined.truncate(length),
        // The buffer is half decoded by now: the fault is looked for in the text.
        Err(_) => return Err(fault(text)),
    }
    Ok(joined.into())
}

/// What is wrong with a text that could not be decoded.
fn fault(text: &[u8]) -> RequestError {
    let foreign = text.iter().position(|byte| {
        !byte.is_ascii_alphanumeric()
            && !matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\n' | b'\r' | b'\t')
    });
    match foreign.map(|at| (at, text[at])) {
        Some((at, b' ')) => Code::BadBase64.because(format!(
            "there is a space at character {at}; was a + not escaped on its way into a form?"
        )),
        Some((at, b'%')) => {
            Code::BadBase64.because(format!("there is a % at character {at}; is the text escaped twice?"))
        }
        Some((at, _)) => Code::BadBase64.because(format!("character {at} is not a base64 digit")),
        None => {
            Code::BadBase64.because("the text is cut off, badly padded, or mixes the two base64 alphabets")
        }
    }
}

#[cfg(test)]
mod tests;
