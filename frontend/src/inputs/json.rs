//! The JSON form of a request: `{"type": …, "img": …}` with options beside them.
//!
//! `img` is borrowed from the body, so the text of a picture is never copied. Members that are not ours are
//! skipped; those that are ours may have no other shape, which also bounds how deep the parser goes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::kind::InputType;
use super::payload::{Img, Named, RawOptions};
use crate::error::{Code, RequestError};

/// Longest message of the parser that is passed on.
const LONGEST_MESSAGE: usize = 160;

#[derive(serde::Deserialize)]
#[serde(expecting = "a JSON object")]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow, alias = "image", alias = "value", alias = "file")]
    img: Option<Picture<'a>>,
    score: Option<Scalar>,
    iou: Option<Scalar>,
    top_k: Option<Scalar>,
    classes: Option<Scalar>,
    format: Option<Scalar>,
}

/// Takes the object apart; `asked` is the type when the object states none.
pub fn parse(body: &[u8], asked: Option<InputType>) -> Result<Named, RequestError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Code::BadJson.because("the body is not a JSON object"));
    }
    let message: Message = serde_json::from_slice(body).map_err(fault)?;
    let stated = message.kind.map(|name| name.parse()).transpose()?.or(asked);
    let img = message.img.ok_or_else(|| Code::BadJson.because("the object has no img"))?;
    let (kind, payload) = img.0.resolve(stated)?;
    let text = |scalar: Option<Scalar>| scalar.map(|Scalar(text)| text);
    let options = RawOptions {
        score: text(message.score),
        iou: text(message.iou),
        top_k: text(message.top_k),
        classes: text(message.classes),
        format: text(message.format),
    };
    Ok(Named { kind, payload, options })
}

/// Reads an array of integers 0 to 255 that came in a form.
pub fn parse_array(text: &[u8]) -> Result<Vec<u8>, RequestError> {
    serde_json::from_slice(text).map_err(fault)
}

/// The parser quotes what it did not expect, which may be a whole picture.
fn fault(error: serde_json::Error) -> RequestError {
    let message = error.to_string();
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => Code::BadJson.because(format!("{}…", &message[..end])),
        None => Code::BadJson.because(message),
    }
}

struct Picture<'a>(Img<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Picture<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PictureVisitor).map(Picture)
    }
}

struct PictureVisitor;

impl<'de> Visitor<'de> for PictureVisitor {
    type Value = Img<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("img to be a string or an array of integers 0 to 255")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Img::Text(Cow::Borrowed(text)))
    }

    // Text with escapes in it, such as the `\/` that PHP writes.
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Img::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = array.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(Img::Array(bytes))
    }
}

/// An option's value: a string, a number, or an array of them, as the query would spell it.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor { array: true }).map(Scalar)
    }
}

struct Element(String);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor { array: false }).map(Element)
    }
}

struct ScalarVisitor {
    array: bool,
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.array {
            "a string, a number or an array of them"
        } else {
            "a string or a number"
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<String, A::Error> {
        if !self.array {
            return Err(A::Error::custom("an array within an array is no option"));
        }
        let mut joined = String::new();
        while let Some(Element(text)) = array.next_element()? {
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(&text);
        }
        Ok(joined)
    }
}

#[cfg(test)]
mod tests;
