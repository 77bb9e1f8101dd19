//! Fetched pictures that may be used again: as long as their servers say (`Cache-Control`, `Expires`), and after
//! that when the server confirms that they have not changed (`ETag`, `Last-Modified`). In memory only, bounded by
//! bytes, the longest unused go first. Owns no connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, VARY,
};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_cache_semantics::{AfterResponse, BeforeRequest, CachePolicy, RequestLike};
use lru::LruCache;

use crate::inputs::budget::{Budget, Room};

/// What an entry takes besides its picture, its key and its headers.
const OVERHEAD: u64 = 1 << 10;
/// The headers that decide whether a picture may be used again; no other is kept.
const KEPT: [HeaderName; 8] = [AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED, PRAGMA, VARY];

/// A picture's bytes and the room they take, whoever's it is.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) bytes: Bytes,
    pub(super) room: Arc<Room>,
}

struct Entry {
    picture: Picture,
    policy: CachePolicy,
}

/// The pictures.
pub(super) struct Cache {
    entries: Mutex<LruCache<String, Entry>>,
    /// Bytes of entries that exist: of one that was dropped while a request uses it, too.
    budget: Budget,
    bytes: u64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// What the cache has for a request.
pub(super) enum Held {
    /// The answer.
    Fresh(Picture),
    /// A picture that the server has to confirm: the request that asks it to.
    Stale(Box<Stale>),
    /// Nothing.
    Nothing,
}

/// A picture that may have changed since.
pub(super) struct Stale {
    picture: Picture,
    policy: CachePolicy,
    headers: HeaderMap,
}

impl Stale {
    /// The request's headers, with the validators.
    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }
}

impl Cache {
    /// A cache of so many bytes; of none, it keeps nothing.
    pub(super) fn new(bytes: u64) -> Self {
        Self { entries: Mutex::new(LruCache::unbounded()), budget: Budget::new(bytes), bytes }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, LruCache<String, Entry>> {
        // Entries come and go whole.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for this request.
    pub(super) fn look(&self, key: &str, request: &Request<()>) -> Held {
        let mut entries = self.entries();
        let Some(Entry { picture, policy }) = entries.get(key) else { return Held::Nothing };
        match policy.before_request(request, SystemTime::now()) {
            BeforeRequest::Fresh(_) => Held::Fresh(picture.clone()),
            BeforeRequest::Stale { request, matches: true } => Held::Stale(Box::new(Stale {
                picture: picture.clone(),
                policy: policy.clone(),
                headers: request.headers,
            })),
            BeforeRequest::Stale { matches: false, .. } => Held::Nothing,
        }
    }

    /// The picture that the server confirms with this answer; `None` when it speaks of another.
    pub(super) fn confirm<B>(
        &self,
        key: &str,
        request: &Request<()>,
        stale: Stale,
        answer: &Response<B>,
    ) -> Option<Picture> {
        let mut told = kept(answer);
        // A server that names no validator means the ones it was asked about.
        let validators = [ETAG, LAST_MODIFIED];
        if !validators.iter().any(|name| told.headers().contains_key(name)) {
            for (name, asked) in validators.iter().zip([IF_NONE_MATCH, IF_MODIFIED_SINCE]) {
                if let Some(value) = stale.headers.get(asked) {
                    told.headers_mut().insert(name, value.clone());
                }
            }
        }
        match stale.policy.after_response(request, &told, SystemTime::now()) {
            AfterResponse::NotModified(policy, _) => {
                if let Some(entry) = self.entries().get_mut(key) {
                    entry.policy = policy;
                }
                Some(stale.picture)
            }
            AfterResponse::Modified(..) => {
                self.entries().pop(key);
                None
            }
        }
    }

    /// Keeps a picture if its server allows that and there is room. Returns it with the room it takes now.
    pub(super) fn keep<B>(
        &self,
        key: &str,
        request: &impl RequestLike,
        answer: &Response<B>,
        picture: Picture,
    ) -> Picture {
        let told = kept(answer);
        let now = SystemTime::now();
        let policy = CachePolicy::new_options(request, &told, now, Default::default());
        let can_be_used = !policy.is_stale(now)
            || [ETAG, LAST_MODIFIED].iter().any(|name| told.headers().contains_key(name));
        let mut entries = self.entries();
        entries.pop(key);
        if self.bytes == 0 || told.status() != StatusCode::OK || !policy.is_storable() || !can_be_used {
            return picture;
        }
        let headers: usize =
            told.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let cost = picture.bytes.len() as u64 + (key.len() + headers) as u64 + OVERHEAD;
        // Others go only for what can find room when they are gone.
        if cost > self.bytes {
            return picture;
        }
        let mut room = self.budget.room();
        while room.add(cost).is_err() {
            if entries.pop_lru().is_none() {
                // What is left of the budget belongs to pictures that requests still use.
                return picture;
            }
            room = self.budget.room();
        }
        let picture = Picture { bytes: picture.bytes, room: Arc::new(room) };
        entries.put(key.to_owned(), Entry { picture: picture.clone(), policy });
        picture
    }
}

/// The part of an answer that matters here.
fn kept<B>(answer: &Response<B>) -> Response<()> {
    let mut part = Response::new(());
    *part.status_mut() = answer.status();
    for name in KEPT {
        for value in answer.headers().get_all(&name) {
            part.headers_mut().append(name.clone(), value.clone());
        }
    }
    part
}

#[cfg(test)]
mod tests;
