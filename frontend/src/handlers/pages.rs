//! The pages and what they load, all inside the program: they work without any other server.

use super::Call;
use crate::assets::{self, Keep};
use crate::error::{Code, RequestError};
use crate::reply::Reply;
use http::HeaderName;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};

/// Nothing but our own files, pictures that a page made itself, and our own API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Of what a browser could give a page, ours want the camera, and only when it is asked for.
const PERMISSIONS: &str = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()";

/// A page: the file of this name at the top of `web/`.
///
/// # Errors
/// `not_found`, when there is none.
pub fn page(call: &Call<'_>, file: &str) -> Result<Reply, RequestError> {
    let page = assets::find(file).ok_or(Code::NotFound)?;
    Ok(page
        .reply(&call.head.headers, Keep::Ask)
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
        .header(HeaderName::from_static("permissions-policy"), PERMISSIONS))
}

/// What a page loads: `VERSION/PATH`. Of another version than ours, which a browser asks for that loaded its page a moment before
/// an upgrade, it gets ours and does not keep it.
///
/// # Errors
/// `not_found`, when there is no such file.
pub fn asset(call: &Call<'_>, path: &str) -> Result<Reply, RequestError> {
    let (version, path) = path.split_once('/').ok_or(Code::NotFound)?;
    let file = assets::find(path).ok_or(Code::NotFound)?;
    let keep = if version == assets::VERSION { Keep::Always } else { Keep::Ask };
    Ok(file.reply(&call.head.headers, keep))
}

/// An inference service is nothing to be indexed.
pub fn robots() -> Reply {
    Reply::text("User-agent: *\nDisallow: /\n")
}
