//! The names of the five inputs. Owns no behaviour beyond reading and writing a name.

use std::fmt;
use std::str::FromStr;

use http::request::Parts;

use crate::error::{Code, RequestError};

/// How a picture came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InputType {
    /// An http or https address that was fetched.
    Url,
    /// The picture file's bytes, as the body, a form's field or a JSON array.
    Bytes,
    /// The picture file in base64.
    Base64,
    /// A file of the server's.
    Path,
    /// A file part of a multipart form.
    File,
}

impl InputType {
    /// All of them, in the order of their counters.
    pub const ALL: [Self; 5] = [Self::Url, Self::Bytes, Self::Base64, Self::Path, Self::File];

    /// The name in requests, answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Bytes => "bytes",
            Self::Base64 => "base64",
            Self::Path => "path",
            Self::File => "file",
        }
    }

    /// The `type` of the request's query, for bodies that state none.
    pub(super) fn in_query(head: &Parts) -> Result<Option<Self>, RequestError> {
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let mut types = form_urlencoded::parse(query).filter(|(key, _)| key == "type").map(|(_, name)| name);
        match (types.next(), types.next()) {
            (_, Some(_)) => Err(Code::BadParameter.because("'type' is given twice")),
            (name, None) => name.map(|name| name.parse()).transpose(),
        }
    }

    /// The type that body and query state together.
    pub(super) fn agreed(body: Option<String>, query: Option<Self>) -> Result<Option<Self>, RequestError> {
        let body = body.map(|name| name.parse()).transpose()?;
        match (body, query) {
            (Some(body), Some(query)) if body != query => {
                Err(Code::BadParameter
                    .because(format!("the body is of type {body}, and the query says {query}")))
            }
            _ => Ok(body.or(query)),
        }
    }
}

impl fmt::Display for InputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for InputType {
    type Err = RequestError;

    /// Reads a name; anything else is `unsupported_type`.
    fn from_str(text: &str) -> Result<Self, RequestError> {
        let name = text.trim();
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Code::UnsupportedType.because(format!(
                "type {} is none of url, bytes, base64, path and file",
                super::payload::quote(name)
            ))
        })
    }
}
