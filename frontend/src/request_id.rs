//! The name of one request in answers, logs and problems: the caller's own, or a fresh ULID.

use http::{HeaderMap, HeaderName};

/// The header that carries the id, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over.
const MAX_LEN: usize = 128;

/// The id to use for a request with these headers.
///
/// A caller's id is taken over when it is 1–128 characters of visible ASCII without quotes and backslashes, so
/// that it can stand in a header, a log line and a JSON text as it is; any other is replaced, not repaired.
pub fn choose(headers: &HeaderMap) -> String {
    let sent = headers.get(HEADER).and_then(|value| value.to_str().ok());
    match sent {
        Some(id) if is_acceptable(id) => id.to_owned(),
        _ => ulid::Ulid::generate().to_string(),
    }
}

fn is_acceptable(id: &str) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests;
