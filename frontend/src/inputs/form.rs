//! Which form a body has, and the URL-encoded one.
//!
//! Tools announce one thing and send another (`ab -T application/form-data` with a JSON object in the file), so
//! for the form types the first character decides. What is announced as a picture is never looked into.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use super::kind::InputType;
use super::payload::{Asked, Img, Named, Payload, RawOptions, is_img, quote, unescape};
use super::{json, multipart};
use crate::error::{Code, RequestError};

/// Most fields of a URL-encoded form; ours are seven.
const MOST_FIELDS: usize = 64;

/// What the request's `Content-Type` lets a body be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// The body is the picture.
    Raw,
    /// JSON.
    Json,
    /// A URL-encoded form, or the JSON object in its place.
    Form,
    /// A multipart form with this boundary.
    Multipart(String),
    /// Nothing is said: the body's first characters decide.
    Unsaid,
}

impl MediaType {
    /// Reads the header.
    pub fn of(head: &Parts) -> Result<Self, RequestError> {
        let mut values = head.headers.get_all(CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return match head.headers.contains_key(CONTENT_TYPE) {
                true => Err(Code::BadRequest.because("there is more than one Content-Type")),
                false => Ok(Self::Unsaid),
            };
        };
        let value =
            value.to_str().map_err(|_| Code::UnsupportedMediaType.because("Content-Type is not text"))?;
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "" => Ok(Self::Unsaid),
            "application/json" | "text/json" => Ok(Self::Json),
            "application/form-data" | "application/x-www-form-urlencoded" | "text/plain" => Ok(Self::Form),
            "multipart/form-data" => multipart::boundary(value).map(Self::Multipart),
            "application/octet-stream" => Ok(Self::Raw),
            other if other.starts_with("image/") => Ok(Self::Raw),
            other if other.ends_with("+json") => Ok(Self::Json),
            other => Err(Code::UnsupportedMediaType
                .because(format!("{} is not read; send JSON, a form or image/*", quote(other)))),
        }
    }

    /// Finds the fields in a body that is here; `kind` is the type when the body states none. A JSON object may list
    /// as many as `most` pictures. A multipart form is read as it comes, by `multipart`, and none by then.
    pub fn parse(self, body: Bytes, kind: Option<InputType>, most: usize) -> Result<Asked, RequestError> {
        let named = match self {
            Self::Raw => raw(body, kind),
            Self::Json => return json::parse(&body, kind, most),
            Self::Form | Self::Unsaid if is_object(&body) => return json::parse(&body, kind, most),
            Self::Form => parse(&body, kind),
            Self::Multipart(_) => Err(Code::BadForm.because("the form was not read as it came")),
            Self::Unsaid if is_form(&body) => parse(&body, kind),
            Self::Unsaid => raw(body, kind),
        };
        named.map(Asked::One)
    }
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Whether the body starts with one of our fields.
fn is_form(body: &[u8]) -> bool {
    let start = &body[..body.len().min(16)];
    let Some(end) = memchr::memchr(b'=', start) else { return false };
    str::from_utf8(&start[..end]).is_ok_and(|key| {
        let key = key.trim_ascii_start();
        key == "type" || is_img(key) || RawOptions::NAMES.contains(&key)
    })
}

fn raw(body: Bytes, asked: Option<InputType>) -> Result<Named, RequestError> {
    match asked {
        None | Some(InputType::Bytes) => Ok(Named {
            kind: InputType::Bytes,
            payload: Payload::Picture(body),
            options: RawOptions::default(),
        }),
        Some(other) => Err(Code::UnsupportedType
            .because(format!("a body that is the picture is of type bytes, the query says {other}"))),
    }
}

/// The fields of a form. The newline that an editor puts at the end of a file for `ab -p` is in none.
fn fields(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = body.trim_ascii();
    let ends = memchr::memchr_iter(b'&', body).chain([body.len()]);
    ends.scan(0, move |start, end| Some(&body[std::mem::replace(start, end + 1)..end]))
}

/// Takes a URL-encoded form apart.
fn parse(body: &[u8], asked: Option<InputType>) -> Result<Named, RequestError> {
    let mut stated = None;
    let mut img = None;
    let mut options = RawOptions::default();
    let mut foreign = None;
    for (count, field) in fields(body).enumerate() {
        if count == MOST_FIELDS {
            return Err(Code::BadForm.because(format!("the form has more than {MOST_FIELDS} fields")));
        }
        let (key, value) = match memchr::memchr(b'=', field) {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, &[][..]),
        };
        let key = String::from_utf8_lossy(&unescape(key, true)).into_owned();
        let text = || String::from_utf8_lossy(&unescape(value, true)).into_owned();
        let again = if key == "type" {
            stated.replace(text()).is_some()
        } else if is_img(&key) {
            img.replace(value).is_some()
        } else if RawOptions::NAMES.contains(&key.as_str()) {
            options.put(&key, text())?
        } else {
            foreign = foreign.or(Some(key.clone()));
            false
        };
        if again {
            return Err(Code::BadForm.because(format!("the field {} comes twice", quote(&key))));
        }
    }
    let img = img.ok_or_else(|| {
        Code::BadForm
            .because("the form has no field img; a picture itself is sent as image/* or octet-stream")
    })?;
    let stated = InputType::agreed(stated, asked)?;
    let (kind, payload) = Img::Escaped(img).resolve(stated)?;
    match foreign {
        // `type=url&img=http://host/p?a=1&b=2`: fetching the first half would be a quiet mistake.
        Some(key) if kind == InputType::Url => Err(Code::BadForm
            .because(format!("the field {} is unknown; an & in an address is written %26", quote(&key)))),
        _ => Ok(Named { kind, payload, options }),
    }
}

#[cfg(test)]
mod tests;
