//! Fetching a picture from an address a client named.
//!
//! Every hop is: judge the text, look into the cache, wait for a turn, ask over a connection of the pool, and read
//! no more than the limit. No proxy, no cookies, no credentials, no content codings, redirects by hand. A client
//! learns one thing from a failure: that there was one. The cause goes to the debug log.
//!
//! `dial` alone opens connections, and judges the addresses it dials; `names` resolves; `turns` says how many
//! fetch at once; `flights` lets all who want one address share one fetch; `cache` keeps what may be kept.

mod cache;
mod dial;
mod fault;
mod flights;
mod names;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout, timeout_at};

use super::budget::{Budget, Room};
use super::config::{InputsError, UrlConfig};
use super::url::{Policy, Target};
use crate::error::{Code, RequestError};
use cache::{Cache, Held, Picture};
use dial::{Dialler, First};
use fault::Fault;
use flights::Flights;
use turns::Turns;

/// How this service names itself to others.
const AGENT: &str = concat!("detectd/", env!("CARGO_PKG_VERSION"));
/// A body that has come this far and begins like no picture is not read on.
const ENOUGH_TO_TELL: usize = 64;

/// Where a fetched picture came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its server.
    Server,
    /// The cache, after its server said that it has not changed.
    Confirmed,
    /// The cache.
    Cache,
    /// The fetch of another request.
    Shared,
}

/// A picture that was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The encoded picture.
    pub bytes: Bytes,
    /// Where it came from.
    pub origin: Origin,
    /// Connections that were opened for it.
    pub dialled: u64,
    room: Arc<Room>,
}

/// Fetches pictures, a bounded number at once.
#[derive(Debug)]
pub struct Fetcher {
    means: Arc<Means>,
    flights: Flights<Result<Fetched, Fault>>,
}

/// What a fetch needs.
#[derive(Debug)]
struct Means {
    policy: Policy,
    client: Client<Dialler, Empty<Bytes>>,
    cache: Cache,
    turns: Turns,
    budget: Budget,
    first_byte_timeout: Duration,
    timeout: Duration,
    redirects: u32,
    max_image: u64,
}

/// What one hop led to.
enum Hop {
    Picture(Picture, Origin),
    Moved(Target),
}

impl Fetcher {
    /// A fetcher under the configuration's rules, for pictures of at most `max_image` bytes that take room of the
    /// budget.
    pub fn new(config: &UrlConfig, max_image: u64, budget: Budget) -> Result<Self, InputsError> {
        let idle = if config.keep_alive.is_zero() { 0 } else { config.concurrency_per_host };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.keep_alive)
            .pool_max_idle_per_host(idle)
            .http1_max_headers(64)
            .http1_max_buf_size(32 << 10)
            .http2_max_header_list_size(32 << 10)
            .build(Dialler::new(config)?);
        let means = Means {
            policy: Policy::new(config),
            client,
            cache: Cache::new(config.cache),
            turns: Turns::new(config.concurrency, config.concurrency_per_host),
            budget,
            first_byte_timeout: config.first_byte_timeout,
            timeout: config.timeout,
            redirects: config.redirects,
            max_image,
        };
        Ok(Self { means: Arc::new(means), flights: Flights::default() })
    }

    /// Fetches the picture, not later than `deadline`. Its bytes, which others may use as well, are kept in mind by
    /// the request's room.
    ///
    /// `url_forbidden` when the text itself breaks a rule, `url_timeout` when time ran out, `url_failed` for all
    /// else: a closed port, a refused address, a page that is no picture look the same to the client. `overloaded`
    /// when there is no room for its bytes.
    pub async fn fetch(
        &self,
        text: &str,
        deadline: Instant,
        room: &mut Room,
    ) -> Result<Fetched, RequestError> {
        let target = self.means.policy.admit(text).map_err(|rule| Code::UrlForbidden.because(rule))?;
        let (flight, joined) = self.flights.join(target.key(), || self.means.clone().run(target.clone()));
        let mut fetched =
            timeout_at(deadline, flight).await.unwrap_or(Err(Fault::Late)).map_err(|fault| {
                tracing::debug!(%fault, "fetch failed");
                fault.told()
            })?;
        if joined {
            fetched = Fetched { origin: Origin::Shared, dialled: 0, ..fetched };
        }
        room.share(fetched.room.clone());
        Ok(fetched)
    }
}

impl Means {
    /// One fetch from its beginning to its end, whoever waits for it.
    async fn run(self: Arc<Self>, target: Target) -> Result<Fetched, Fault> {
        timeout(self.timeout, self.follow(target)).await.unwrap_or(Err(Fault::Late))
    }

    async fn follow(&self, mut target: Target) -> Result<Fetched, Fault> {
        let mut dialled = 0;
        for _ in 0..=self.redirects {
            match self.visit(&target, &mut dialled).await? {
                Hop::Picture(Picture { bytes, room }, origin) => {
                    return Ok(Fetched { bytes, origin, dialled, room });
                }
                Hop::Moved(next) => target = next,
            }
        }
        Err(Fault::Redirect("too many"))
    }

    async fn visit(&self, target: &Target, dialled: &mut u64) -> Result<Hop, Fault> {
        let request = question(target);
        let stale = match self.cache.look(target.key(), &request) {
            Held::Fresh(picture) => return Ok(Hop::Picture(picture, Origin::Cache)),
            Held::Stale(stale) => Some(stale),
            Held::Nothing => None,
        };
        let _turn = self.turns.take(target.authority()).await.ok_or(Fault::Late)?;
        let headers = stale.as_ref().map_or_else(|| request.headers().clone(), |stale| stale.headers());
        let answer = self.ask(target, headers).await?;
        if answer.extensions().get::<First>().is_some_and(First::take) {
            *dialled += 1;
        }
        if let Some(location) = moved(&answer) {
            return self.policy.follow(target, location).map(Hop::Moved).map_err(Fault::Redirect);
        }
        if let (StatusCode::NOT_MODIFIED, Some(stale)) = (answer.status(), stale) {
            let picture = self.cache.confirm(target.key(), &request, *stale, &answer);
            let picture = picture.ok_or(Fault::Status(StatusCode::NOT_MODIFIED))?;
            return Ok(Hop::Picture(picture, Origin::Confirmed));
        }
        if answer.status() != StatusCode::OK {
            return Err(Fault::Status(answer.status()));
        }
        if answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Fault::Coded);
        }
        let (head, body) = answer.into_parts();
        let picture = self.receive(body).await?;
        let answer = Response::from_parts(head, ());
        Ok(Hop::Picture(self.cache.keep(target.key(), &request, &answer, picture), Origin::Server))
    }

    /// Asks over a connection that is open or, failing that, a new one. Connecting has its own time, which the
    /// dialler keeps; the answer's time begins when there is a connection.
    async fn ask(&self, target: &Target, headers: HeaderMap) -> Result<Response<Incoming>, Fault> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target.uri().clone();
        *request.headers_mut() = headers;
        let mut connection = capture_connection(&mut request);
        // In a block of its own, since what it gives is a lock.
        let connected = async move {
            connection.wait_for_connection_metadata().await;
        };
        let mut answer = self.client.request(request);
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer?),
            () = connected => {}
        }
        Ok(timeout(self.first_byte_timeout, answer).await.map_err(|_| Fault::Late)??)
    }

    async fn receive(&self, mut body: Incoming) -> Result<Picture, Fault> {
        let announced = body.size_hint().lower();
        if announced > self.max_image {
            return Err(Fault::TooLarge(self.max_image));
        }
        let mut room = self.budget.room();
        let mut picture = BytesMut::with_capacity(announced.min(1 << 20) as usize);
        let mut is_picture = false;
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            if (picture.len() + piece.len()) as u64 > self.max_image {
                return Err(Fault::TooLarge(self.max_image));
            }
            room.add(piece.len() as u64).map_err(Fault::NoRoom)?;
            picture.extend_from_slice(&piece);
            if !is_picture && picture.len() >= ENOUGH_TO_TELL {
                is_picture = begins_like_one(&picture)?;
            }
        }
        begins_like_one(&picture)?;
        Ok(Picture { bytes: picture.freeze(), room: Arc::new(room) })
    }
}

/// Not the decoder's job here: a client must not learn that something else answered.
fn begins_like_one(picture: &[u8]) -> Result<bool, Fault> {
    vision::decode::sniff(picture).map(|_| true).ok_or(Fault::NotAPicture)
}

fn question(target: &Target) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = target.uri().clone();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("image/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request
}

/// Where an answer sends us, if it does.
fn moved(answer: &Response<Incoming>) -> Option<&str> {
    match answer.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => answer.headers().get(LOCATION)?.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod dns;
#[cfg(test)]
mod site;
#[cfg(test)]
mod tests;
