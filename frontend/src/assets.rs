//! The files of `web/` as they are inside the program: found by their path, and answered with what lets a browser keep them.
//!
//! All files but the pages lie below `/assets/VERSION/`, where the version is a hash of all of them: what a browser has from there
//! it never asks for again, and relative imports between scripts stay within one version. Owns no page's policy.

use crate::reply::Reply;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, IF_NONE_MATCH, VARY};
use http::{HeaderValue, StatusCode};
use xxhash_rust::xxh3::xxh3_64;

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// One file.
#[derive(Debug)]
pub struct File {
    /// Below `web/`.
    pub path: &'static str,
    /// What it is.
    pub media_type: &'static str,
    /// Its bytes; a page's with its parts in place.
    pub plain: &'static [u8],
    /// The same compressed, where that is worth it.
    pub gzip: Option<&'static [u8]>,
}

/// How long a browser may keep an answer without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// For ever: another version has another address.
    Always,
    /// Until it has asked whether it changed.
    Ask,
}

/// A file by its path below `web/`.
pub fn find(path: &str) -> Option<&'static File> {
    // Sorted by path: the build script reads them out of a sorted map.
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().and_then(|k| FILES.get(k))
}

impl File {
    /// The answer to a request for it.
    pub fn reply(&self, request: &HeaderMap, keep: Keep) -> Reply {
        let gzip = self.gzip.filter(|_| accepts_gzip(request));
        let body = gzip.unwrap_or(self.plain);
        let keep = match keep {
            Keep::Always => "public, max-age=31536000, immutable",
            Keep::Ask => "no-cache",
        };
        let mut reply =
            Reply::new(self.media_type, body).header(CACHE_CONTROL, keep).header(VARY, "accept-encoding");
        if gzip.is_some() {
            reply = reply.header(CONTENT_ENCODING, "gzip");
        }
        unless_known(reply, request)
    }
}

/// The answer with the tag of its body, and without its body for a client that says it has it.
pub fn unless_known(mut reply: Reply, request: &HeaderMap) -> Reply {
    let tag = format!("\"{:016x}\"", xxh3_64(&reply.body));
    let is_known = is_known(request, &tag);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        reply.headers.insert(ETAG, tag);
    }
    if is_known {
        reply.headers.remove(CONTENT_ENCODING);
        reply.body.clear();
        reply = reply.status(StatusCode::NOT_MODIFIED);
    }
    reply
}

/// Whether the request takes gzip: named, and not with a weight of nothing.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let codings = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let is_gzip = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = words.find_map(|word| word.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        is_gzip && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// Whether the client has what has this tag. A proxy may have made the tag a weak one; it is the same file.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let tags = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == tag || known == "*")
}

#[cfg(test)]
mod tests;
