//! The page at `/` and what it loads, all embedded: the page works without any other server.

use crate::reply::Reply;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};

/// Nothing but our own files, pictures the page made itself, and our own API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub fn index() -> Reply {
    Reply::new("text/html; charset=utf-8", include_str!("../pages/index.html"))
        .header(CONTENT_SECURITY_POLICY, POLICY)
        .header(REFERRER_POLICY, "no-referrer")
}

/// Its script.
pub fn script() -> Reply {
    Reply::new("text/javascript; charset=utf-8", include_str!("../pages/app.js"))
}

/// Its looks.
pub fn style() -> Reply {
    Reply::new("text/css; charset=utf-8", include_str!("../pages/app.css"))
}

/// An inference service is nothing to be indexed.
pub fn robots() -> Reply {
    Reply::text("User-agent: *\nDisallow: /\n")
}
