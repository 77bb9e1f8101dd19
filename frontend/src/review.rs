//! The review as requests need it: who may use it, and a few blocking threads with the index at hand. What is done with
//! pictures is the harvest's business, what is said about it the handler's.

use crate::error::{Code, RequestError};
use harvest::{Index, IndexError, ReviewAccess};
use http::header::{CONTENT_TYPE, FORWARDED, HOST, ORIGIN, VIA};
use http::uri::Authority;
use http::{HeaderMap, HeaderName};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Requests of reviewers that are worked on at once; the others wait in line, and detection goes on beside them.
const AT_ONCE: usize = 2;

/// What proxies say of whom they speak for.
const PROXIES: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// The review of one root.
pub struct Review {
    /// Where the pictures are.
    pub root: PathBuf,
    access: ReviewAccess,
    turns: Arc<Semaphore>,
    indexes: Mutex<Vec<Index>>,
}

impl Review {
    /// The review that this configuration describes.
    pub fn new(config: &harvest::Config) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { root: config.root.clone(), access: config.review, turns, indexes: Mutex::default() }
    }

    /// Refuses whom the review is not open to.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<(), RequestError> {
        let local = || {
            // A name of our own machine, so that no page can pass for one of ours by a name that leads here.
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
            let named = host.is_some_and(|host| {
                let name = host.host().trim_start_matches('[').trim_end_matches(']');
                name.eq_ignore_ascii_case("localhost")
                    || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            });
            peer.to_canonical().is_loopback()
                && named
                && !PROXIES.iter().any(|name| headers.contains_key(name))
        };
        match self.access {
            ReviewAccess::All => Ok(()),
            ReviewAccess::Local if local() => Ok(()),
            ReviewAccess::Local => Err(Code::Forbidden.because(
                "the review is open to browsers of the service's own machine, without a proxy between; harvest.review says so",
            )),
            ReviewAccess::Off => Err(Code::Forbidden.because("the review is switched off: harvest.review")),
        }
    }

    /// Does something with the index, on a thread that may wait.
    ///
    /// # Errors
    /// `internal`, when the folder or its index cannot be used.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&mut Index) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, RequestError> {
        let stopped = |_| RequestError::from(Code::Internal);
        let turn = self.turns.clone().acquire_owned().await.map_err(stopped)?;
        let review = self.clone();
        let work = move || {
            let kept = review.indexes.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut index = kept.map_or_else(|| Index::open(&review.root), Ok)?;
            let result = job(&mut index);
            if result.is_ok() {
                review.indexes.lock().unwrap_or_else(PoisonError::into_inner).push(index);
            }
            drop(turn);
            result
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| RequestError::from(Code::Internal))?.map_err(|error| {
            tracing::error!(%error, "the review's folder cannot be used");
            Code::Internal.because("the folder of the pictures cannot be used; the log says why")
        })
    }
}

/// Refuses a change that a page of another site asks for: browsers say where a request comes from, and a body that calls itself
/// JSON cannot be sent to another site without its leave.
///
/// # Errors
/// `forbidden`, `unsupported_media_type`.
pub fn same_site(headers: &HeaderMap) -> Result<(), RequestError> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let fetched = text(&HeaderName::from_static("sec-fetch-site"));
    let foreign = fetched.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = text(&HOST).unwrap_or_default();
    let elsewhere = text(&ORIGIN).is_some_and(|origin| {
        origin.split_once("://").is_none_or(|(_, rest)| !rest.eq_ignore_ascii_case(host))
    });
    if foreign || elsewhere {
        return Err(Code::Forbidden.because("the request comes from a page of another site"));
    }
    let json = text(&CONTENT_TYPE).is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    if json { Ok(()) } else { Err(Code::UnsupportedMediaType.because("a change comes as application/json")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn the_review_is_open_to_whom_the_configuration_says() {
        let review = |access| Review::new(&harvest::Config { review: access, ..harvest::Config::default() });
        let (here, there): (IpAddr, IpAddr) =
            ("127.0.0.1".parse().expect("an address"), "10.0.0.7".parse().expect("an address"));
        let plain = headers(&[("host", "localhost:8888")]);
        for (access, peer, fields, open) in [
            (ReviewAccess::Local, here, plain.clone(), true),
            (ReviewAccess::Local, here, headers(&[("host", "[::1]:8888")]), true),
            (ReviewAccess::Local, "::ffff:127.0.0.1".parse().expect("an address"), plain.clone(), true),
            (ReviewAccess::Local, there, plain.clone(), false),
            (ReviewAccess::Local, here, headers(&[("host", "evil.example:8888")]), false),
            (
                ReviewAccess::Local,
                here,
                headers(&[("host", "localhost"), ("x-forwarded-for", "10.0.0.7")]),
                false,
            ),
            (ReviewAccess::Local, here, HeaderMap::new(), false),
            (ReviewAccess::All, there, headers(&[("host", "detect.example")]), true),
            (ReviewAccess::Off, here, plain, false),
        ] {
            assert_eq!(review(access).admit(&fields, peer).is_ok(), open, "{access:?} {peer} {fields:?}");
        }
    }

    #[test]
    fn changes_come_from_our_own_pages_only() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "localhost:8888");
        for (fields, good) in [
            (vec![host, json], true),
            (vec![host, json, ("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8888")], true),
            (vec![host, json, ("sec-fetch-site", "cross-site")], false),
            (vec![host, json, ("sec-fetch-site", "same-site")], false),
            (vec![host, json, ("origin", "http://localhost:9999")], false),
            (vec![host, json, ("origin", "null")], false),
            (vec![host, ("content-type", "text/plain")], false),
            (vec![host], false),
        ] {
            assert_eq!(same_site(&headers(&fields)).is_ok(), good, "{fields:?}");
        }
    }
}
