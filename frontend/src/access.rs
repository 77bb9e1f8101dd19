//! Who may ask, how often, and from which pages: API keys, rate limits and CORS. Decides from a request's header and its
//! sender's address alone; knows no route's work.
//!
//! `keys` reads and compares keys, `bucket` counts. Everything is off until it is configured.

mod bucket;
mod keys;
#[cfg(test)]
mod tests;

pub use keys::KeysError;

use crate::error::{Code, RequestError};
use bucket::Buckets;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use keys::{Keys, Name};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;

/// `[access]`: who may ask and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// File of API keys, one `NAME KEY` or `NAME sha256:HEX` a line; none: nobody is asked for a key.
    pub keys: PathBuf,
    /// Further keys by their SHA-256, 64 hexadecimal digits each.
    pub key_digests: Vec<String>,
    /// Requests a minute that one key may make of one frontend, on average. 0: any.
    pub key_rate: u32,
    /// Requests that one key may make at once beyond that. 0: as many as in a second, at least one.
    pub key_burst: u32,
    /// The same for one client address (of IPv6: one /64 network).
    pub address_rate: u32,
    /// The same for one client address.
    pub address_burst: u32,
    /// Another address to listen on, for operators: their pages and figures are then there only. Empty: none.
    pub admin_listen: String,
    /// Origins whose pages may call from a browser: `"https://example.com"`, or `"*"` for all.
    pub cors_origins: Vec<String>,
}

impl AccessConfig {
    /// Where operators have a door of their own.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin_listen.parse().ok()
    }

    /// The first origin that no browser would send, if there is one.
    pub fn bad_origin(&self) -> Option<&str> {
        let is_origin = |text: &str| {
            text == "*" || url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
        };
        self.cors_origins.iter().map(String::as_str).find(|origin| !is_origin(origin))
    }
}

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a client may do, as configured.
#[derive(Debug)]
pub struct Access {
    keys: Option<Keys>,
    by_key: Option<Buckets<Name>>,
    by_address: Option<Buckets<IpAddr>>,
    origins: Vec<String>,
}

impl Access {
    /// Reads the keys, if there are any.
    ///
    /// # Errors
    /// When the file of keys cannot be used, or a digest is none.
    pub fn new(config: &AccessConfig) -> Result<Self, KeysError> {
        Ok(Self {
            keys: Keys::open(&config.keys, &config.key_digests)?,
            by_key: Buckets::new(config.key_rate, config.key_burst),
            by_address: Buckets::new(config.address_rate, config.address_burst),
            origins: config.cors_origins.clone(),
        })
    }

    /// Lets a request pass, or says why not. What shows nothing of the service's work is open to all.
    ///
    /// # Errors
    /// `rate_limited`, `key_required` or `key_refused`.
    pub fn check(&self, head: &Parts, peer: IpAddr, now: Instant) -> Result<(), RequestError> {
        if is_public(head) {
            return Ok(());
        }
        // First, so that keys cannot be guessed any faster.
        if let Some(buckets) = &self.by_address {
            buckets.take(crate::server::network(peer), now).map_err(limited)?;
        }
        let Some(keys) = &self.keys else { return Ok(()) };
        let key = presented(&head.headers).ok_or(
            Code::KeyRequired.because("send the key as Authorization: Bearer KEY or X-Api-Key: KEY"),
        )?;
        let name = keys.find(key).ok_or(RequestError::from(Code::KeyRefused))?;
        match &self.by_key {
            Some(buckets) => buckets.take(name, now).map_err(limited),
            None => Ok(()),
        }
    }

    /// Takes up keys that were changed in their file. Keys that cannot be read leave those before in force.
    pub fn refresh(&self) {
        if let Some(keys) = &self.keys {
            keys.refresh();
        }
    }

    /// Adds what a browser wants to hear before it lets a page of another origin see the answer.
    pub fn allow_origin(&self, head: &Parts, answer: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = head.headers.get(header::ORIGIN) else { return };
        let is_allowed = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        if !self.origins.iter().any(is_allowed) {
            return;
        }
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = HeaderValue::from_static("Retry-After, Server-Timing, X-Request-Id");
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if head.method == Method::OPTIONS && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
                (
                    header::ACCESS_CONTROL_ALLOW_HEADERS,
                    "Authorization, Content-Type, X-Api-Key, X-Request-Id, X-Timeout-Ms",
                ),
                (header::ACCESS_CONTROL_MAX_AGE, "600"),
            ] {
                answer.insert(name, HeaderValue::from_static(value));
            }
        }
    }
}

fn limited(seconds: u32) -> RequestError {
    Code::RateLimited
        .because("more requests than you may make; the limit allows one again soon")
        .retry_after(seconds)
}

/// Whether a request is for something that everybody may have: signs of life, and the pages' frames without their figures.
fn is_public(head: &Parts) -> bool {
    let path = head.uri.path();
    head.method == Method::OPTIONS
        || (matches!(head.method, Method::GET | Method::HEAD)
            && (matches!(
                path,
                "/" | "/dashboard"
                    | "/review"
                    | "/healthz"
                    | "/livez"
                    | "/readyz"
                    | "/robots.txt"
                    | "/openapi.json"
            ) || path.starts_with("/assets/")))
}

/// The key that a request shows.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}
