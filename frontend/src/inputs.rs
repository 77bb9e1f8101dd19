//! The five inputs: from a request to the picture's encoded bytes, or the short file that has them.
//!
//! Owns how a picture may arrive, which servers and files may be read for it, and how many bytes it may have.
//! Does not look into the picture, does not know the engine, and answers nothing: what goes wrong is a
//! [`RequestError`] whose text names what the client sent and nothing of ours.
//!
//! A request is read in three steps, each in its own file: `body` takes the bytes off the connection, `json` and
//! `form` find the fields in them (`multipart` while they come), `payload` says what the fields mean. Only then is anything
//! fetched (`fetch`, under the rules of `url` and `address`) or opened (`path`), picture by picture.

mod address;
mod base64;
mod body;
mod budget;
mod config;
mod fetch;
mod form;
mod json;
mod kind;
mod multipart;
mod path;
mod payload;
mod spare;
mod url;

use std::error::Error;

use bytes::Bytes;
use http::request::Parts;
use tokio::time::Instant;

/// What is fuzzed by itself.
#[cfg(fuzzing)]
pub use self::{
    base64::decode as decode_base64,
    url::{Policy, Target},
};
pub use address::Addresses;
pub use budget::Room;
pub use config::{InputsConfig, InputsError, PathConfig, UrlConfig};
pub use fetch::Origin;
pub use kind::InputType;
pub use path::{Roots, ShortFile};
pub use payload::{Asked, Classes, Named, RawOptions};

use crate::error::{Code, RequestError};
use body::{Intake, Limits};
use budget::Budget;
use fetch::Fetcher;
use form::MediaType;
use payload::Payload;

/// Bodies longer than this are taken apart on a blocking thread: a millisecond of JSON would otherwise hold up
/// every other connection of the runtime's thread. Most base64 is shorter, and then not worth the detour.
const LONG_BODY: usize = 512 << 10;

/// A picture as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// How it came.
    pub kind: InputType,
    /// The encoded picture, never more than [`InputsConfig::max_image`] bytes; may be empty or no picture.
    pub bytes: Bytes,
    /// Options that came in the body, next to the picture.
    pub options: RawOptions,
    /// Of a fetched picture: where it came from, and how many connections were opened for it.
    pub fetched: Option<(Origin, u64)>,
}

/// Reads pictures out of requests. One for a process, shared by its connections.
#[derive(Debug)]
pub struct Inputs {
    limits: Limits,
    budget: Budget,
    max_image: u64,
    max_images: usize,
    fetcher: Option<Fetcher>,
    roots: Roots,
}

impl Inputs {
    /// Room for one picture in the budget, still empty.
    pub fn room(&self) -> Room {
        self.budget.room()
    }

    /// Opens the roots and reads the certificates that the configuration names.
    pub fn new(config: &InputsConfig) -> Result<Self, InputsError> {
        config.check()?;
        let budget = Budget::new(config.max_buffered);
        let fetcher = || Fetcher::new(&config.url, config.max_image, budget.clone());
        let fetcher = config.url.enabled.then(fetcher).transpose()?;
        Ok(Self {
            limits: Limits { bytes: config.max_body, idle: config.body_idle, min_rate: config.min_rate },
            budget,
            max_image: config.max_image,
            max_images: config.max_images,
            fetcher,
            roots: Roots::open(&config.path)?,
        })
    }

    /// Reads the body and takes it apart: one picture, or a list of them. What they name is not fetched yet; see
    /// [`Inputs::load`].
    ///
    /// Nothing is read of a body whose length is announced and too great, or whose content type is not served. A
    /// body that is not there at `deadline` is `request_timeout`.
    ///
    /// The room that the body takes is to be dropped with what came out of it.
    pub async fn receive<B>(
        &self,
        head: &Parts,
        body: B,
        deadline: Instant,
    ) -> Result<(Asked, Room), RequestError>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let media_type = MediaType::of(head)?;
        let kind = InputType::in_query(head)?;
        let limits = match media_type {
            // The body is the picture, so the picture's limit can be enforced before it is read.
            MediaType::Raw => self.limits.at_most(self.max_image),
            _ => self.limits,
        };
        let mut room = self.room();
        let intake = Intake::new(&head.headers, body, limits, deadline, &mut room)?;
        if let MediaType::Multipart(boundary) = &media_type {
            let form = multipart::read(boundary, intake, kind).await?;
            let is_long = form.text_length() > LONG_BODY;
            return take_apart(is_long, room, move || form.named().map(Asked::One)).await;
        }
        let body = intake.whole().await?;
        let most = self.max_images;
        let is_long = body.len() > LONG_BODY && !matches!(media_type, MediaType::Raw);
        take_apart(is_long, room, move || media_type.parse(body, kind, most)).await
    }

    /// A short file that is in memory, if that is what is named: whoever decodes it reads it.
    ///
    /// # Errors
    /// As [`Roots::short_file`].
    pub fn short_file(&self, named: &Named, room: &mut Room) -> Result<Option<ShortFile>, RequestError> {
        match &named.payload {
            Payload::Path(path) => self.roots.short_file(path, self.max_image, room),
            Payload::Picture(_) | Payload::Address(_) => Ok(None),
        }
    }

    /// Turns what a request names into bytes: fetches an address, reads a file.
    ///
    /// Dropping the future stops a fetch that nobody else waits for. An address that has not answered at `deadline`
    /// is `url_timeout`.
    ///
    /// The room that the picture takes is to be dropped with it.
    pub async fn load(
        &self,
        named: Named,
        deadline: Instant,
        mut room: Room,
    ) -> Result<(Input, Room), RequestError> {
        let Named { kind, payload, options } = named;
        let mut origin = None;
        let bytes = match payload {
            Payload::Picture(bytes) => bytes,
            Payload::Address(text) => {
                let fetcher = self.fetcher.as_ref();
                let fetcher = fetcher
                    .ok_or_else(|| Code::UrlForbidden.because("addresses are not fetched by this service"))?;
                let fetched = fetcher.fetch(&text, deadline, &mut room).await?;
                origin = Some((fetched.origin, fetched.dialled));
                fetched.bytes
            }
            Payload::Path(path) => {
                let bytes;
                (bytes, room) = self.roots.read(path, self.max_image, deadline, room).await?;
                bytes
            }
        };
        if bytes.len() as u64 > self.max_image {
            return Err(body::too_large(self.max_image));
        }
        Ok((Input { kind, bytes, options, fetched: origin }, room))
    }
}

/// Takes a body apart: a long one on a blocking thread, with its room, since the thread goes on when the client has gone.
async fn take_apart(
    is_long: bool,
    room: Room,
    work: impl FnOnce() -> Result<Asked, RequestError> + Send + 'static,
) -> Result<(Asked, Room), RequestError> {
    if !is_long {
        return Ok((work()?, room));
    }
    tokio::task::spawn_blocking(move || work().map(|asked| (asked, room)))
        .await
        .map_err(|_| Code::Internal.because("the body could not be taken apart"))?
}

/// Room as if nobody else wanted any.
#[cfg(test)]
pub fn roomy() -> Room {
    room_of(1 << 30)
}

/// Room in a budget of so many bytes.
#[cfg(test)]
pub fn room_of(bytes: u64) -> Room {
    Budget::new(bytes).room()
}

#[cfg(test)]
mod tests;
