//! What the fields of a request mean: the type, stated or inferred, and from it the picture or where to find
//! it. Owns the rules that all forms of arrival share; does not know how the fields came, and fetches nothing.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode;

use super::base64;
use super::kind::InputType;
use crate::error::{Code, RequestError};

/// Longest text of an option.
pub(super) const LONGEST_OPTION: usize = 4 << 10;

/// Classes as a request names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// One class, or several separated by commas.
    Text(String),
    /// One by one.
    List(Vec<String>),
}

/// Options that came in the body, as text. The query's options have the same names and the same spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawOptions {
    /// Lowest score that is answered.
    pub score: Option<String>,
    /// IoU above which the lesser of two boxes is dropped.
    pub iou: Option<String>,
    /// Most detections or classes.
    pub top_k: Option<String>,
    /// The classes that are answered.
    pub classes: Option<Classes>,
    /// `json` or `image`.
    pub format: Option<String>,
}

impl RawOptions {
    /// The options' names.
    pub const NAMES: [&'static str; 5] = ["score", "iou", "top_k", "classes", "format"];

    /// Takes the option of that name in. Returns whether it was there already.
    ///
    /// # Errors
    /// `bad_parameter` for more text than an option can need.
    pub(super) fn put(&mut self, name: &str, text: String) -> Result<bool, RequestError> {
        check_length(name, text.len())?;
        Ok(match name {
            "score" => self.score.replace(text).is_some(),
            "iou" => self.iou.replace(text).is_some(),
            "top_k" => self.top_k.replace(text).is_some(),
            "classes" => self.classes.replace(Classes::Text(text)).is_some(),
            _ => self.format.replace(text).is_some(),
        })
    }

    /// Takes a list of classes in.
    ///
    /// # Errors
    /// As [`RawOptions::put`].
    pub(super) fn put_classes(&mut self, list: Vec<String>) -> Result<(), RequestError> {
        check_length("classes", list.iter().map(|class| class.len() + 1).sum())?;
        self.classes = Some(Classes::List(list));
        Ok(())
    }
}

fn check_length(name: &str, length: usize) -> Result<(), RequestError> {
    if length > LONGEST_OPTION {
        return Err(
            Code::BadParameter.because(format!("the option {name} is longer than {LONGEST_OPTION} bytes"))
        );
    }
    Ok(())
}

/// A request taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// One picture.
    One(Named),
    /// A list of pictures, each with its own mistakes, and options for all of them.
    Many(Vec<Result<Named, RequestError>>, RawOptions),
}

/// What a request names, not yet fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// How the picture came.
    pub kind: InputType,
    /// The picture, or where it is.
    pub(super) payload: Payload,
    /// Options that came beside it.
    pub options: RawOptions,
}

/// The picture, or where it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload {
    /// The encoded picture.
    Picture(Bytes),
    /// An address to fetch.
    Address(String),
    /// A file of the server's to read.
    Path(String),
}

/// The field `img`, still in the body's own spelling.
#[derive(Debug)]
pub enum Img<'a> {
    /// A JSON string.
    Text(Cow<'a, str>),
    /// A JSON array.
    Array(Vec<u8>),
    /// A field of a URL-encoded form, escapes and all.
    Escaped(&'a [u8]),
    /// A part of a multipart form.
    Part {
        /// Its content.
        content: Bytes,
        /// Whether it has a file name.
        file: bool,
        /// Whether its content type says picture or bytes.
        binary: bool,
    },
}

/// The name under which the picture is found; `img` is the documented one, the others are what neighbours of
/// this service call it.
pub fn is_img(name: &str) -> bool {
    matches!(name, "img" | "image" | "value" | "file")
}

impl Img<'_> {
    /// Says what the field means. Without a stated type a file part is `file`, an array or a part marked as a
    /// picture is `bytes`, an http(s) address is `url` and any other text `base64`.
    pub fn resolve(self, stated: Option<InputType>) -> Result<(InputType, Payload), RequestError> {
        let kind = stated.unwrap_or_else(|| self.inferred());
        let payload = match kind {
            InputType::File => Payload::Picture(self.file()?),
            InputType::Bytes => Payload::Picture(self.bytes()?),
            InputType::Base64 => Payload::Picture(base64::decode(&self.text(false)?)?),
            // A space cannot be part of an address, so a + is itself.
            InputType::Url => Payload::Address(self.string(false)?.trim().to_owned()),
            InputType::Path => Payload::Path(self.string(true)?),
        };
        Ok((kind, payload))
    }

    /// Of a part: bytes that are to be decoded before they are a picture.
    pub fn text_length(&self, stated: Option<InputType>) -> usize {
        let Img::Part { content, .. } = self else { return 0 };
        let is_text = match stated.unwrap_or_else(|| self.inferred()) {
            InputType::Base64 => true,
            InputType::Bytes => is_array(content),
            InputType::File | InputType::Url | InputType::Path => false,
        };
        if is_text { content.len() } else { 0 }
    }

    fn inferred(&self) -> InputType {
        match self {
            Img::Array(_) => InputType::Bytes,
            Img::Part { file: true, .. } => InputType::File,
            Img::Part { binary: true, .. } => InputType::Bytes,
            Img::Text(text) => inferred_from(text.as_bytes()),
            Img::Part { content, .. } => inferred_from(content),
            // Only the first characters matter, and escapes hide no more than three bytes for one.
            Img::Escaped(raw) => {
                let start: Vec<u8> = percent_decode(&raw[..raw.len().min(64)]).collect();
                inferred_from(&start)
            }
        }
    }

    fn file(self) -> Result<Bytes, RequestError> {
        match self {
            Img::Part { content, .. } => Ok(content),
            _ => Err(Code::UnsupportedType.because("type file needs a part of a multipart/form-data body")),
        }
    }

    fn bytes(self) -> Result<Bytes, RequestError> {
        let content = match self {
            Img::Array(bytes) => return Ok(bytes.into()),
            Img::Text(_) => {
                return Err(Code::BadJson.because("type bytes needs img to be an array of integers 0 to 255"));
            }
            Img::Escaped(raw) => unescape(raw, true).into_owned().into(),
            Img::Part { content, .. } => content,
        };
        if is_array(&content) { super::json::parse_array(&content).map(Bytes::from) } else { Ok(content) }
    }

    fn text(&self, plus_is_space: bool) -> Result<Cow<'_, [u8]>, RequestError> {
        match self {
            Img::Text(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Img::Escaped(raw) => Ok(unescape(raw, plus_is_space)),
            Img::Part { content, .. } => Ok(Cow::Borrowed(content)),
            Img::Array(_) => Err(Code::BadJson.because("img is an array, which only type bytes takes")),
        }
    }

    fn string(&self, plus_is_space: bool) -> Result<String, RequestError> {
        String::from_utf8(self.text(plus_is_space)?.into_owned())
            .map_err(|_| Code::BadRequest.because("img is not text in UTF-8"))
    }
}

/// No picture format begins with a bracket, so this is the array that JSON has, in a form.
fn is_array(content: &[u8]) -> bool {
    content.trim_ascii_start().first() == Some(&b'[')
}

fn inferred_from(text: &[u8]) -> InputType {
    let text = text.trim_ascii_start();
    let begins =
        |scheme: &[u8]| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if begins(b"http://") || begins(b"https://") { InputType::Url } else { InputType::Base64 }
}

/// Resolves `%xx`, and `+` where it stands for a space. Text without either is not copied.
///
/// A `+` in base64 is a digit that people forget to escape, and base64 has no spaces; hence the choice.
pub fn unescape(raw: &[u8], plus_is_space: bool) -> Cow<'_, [u8]> {
    if plus_is_space && memchr::memchr(b'+', raw).is_some() {
        let spaced: Vec<u8> = raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    match memchr::memchr(b'%', raw) {
        Some(_) => Cow::Owned(percent_decode(raw).collect()),
        None => Cow::Borrowed(raw),
    }
}

/// What a client wrote, cut short and harmless to print.
pub fn quote(text: &str) -> String {
    let start: String = text.chars().take(32).collect();
    let dots = if start.len() < text.len() { "…" } else { "" };
    format!("'{}{dots}'", start.escape_default())
}

#[cfg(test)]
mod tests;
