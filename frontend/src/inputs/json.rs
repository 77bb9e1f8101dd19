//! The JSON form of a request: `{"type": …, "img": …}` with options beside them, or `{"images": [{…}, …]}`.
//!
//! `img` is borrowed from the body, so the text of a picture is never copied. Members that are not ours are
//! skipped; those that are ours may have no other shape, which also bounds how deep the parser goes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::config::MOST_IMAGES;
use super::kind::InputType;
use super::payload::{Asked, Classes, Img, LONGEST_OPTION, Named, RawOptions};
use crate::error::{Code, RequestError};

/// Longest message of the parser that is passed on.
const LONGEST_MESSAGE: usize = 160;

/// The object: one picture, or a list of them.
#[derive(serde::Deserialize)]
#[serde(expecting = "a JSON object")]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow, alias = "image", alias = "value", alias = "file")]
    img: Option<Picture<'a>>,
    #[serde(borrow)]
    images: Option<List<'a>>,
    score: Option<Scalar>,
    iou: Option<Scalar>,
    top_k: Option<Scalar>,
    classes: Option<Wanted>,
    format: Option<Scalar>,
}

/// One picture of a list: the same members, but no list.
#[derive(serde::Deserialize)]
#[serde(expecting = "an object with img")]
struct Element<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow, alias = "image", alias = "value", alias = "file")]
    img: Option<Picture<'a>>,
    score: Option<Scalar>,
    iou: Option<Scalar>,
    top_k: Option<Scalar>,
    classes: Option<Wanted>,
    format: Option<Scalar>,
}

/// Takes the object apart; `kind` is the type when the object states none. It may list as many as `most` pictures.
pub fn parse(body: &[u8], kind: Option<InputType>, most: usize) -> Result<Asked, RequestError> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Code::BadJson.because("the body is not a JSON object"));
    }
    let Message { kind: stated, img, images, score, iou, top_k, classes, format } =
        serde_json::from_slice(body).map_err(fault)?;
    let Some(List(images)) = images else {
        let element = Element { kind: stated, img, score, iou, top_k, classes, format };
        return element.named(kind).map(Asked::One);
    };
    if img.is_some() {
        return Err(Code::BadJson.because("the object has both img and images"));
    }
    if images.is_empty() || images.len() > most {
        return Err(Code::BadJson.because(format!("images must be a list of 1 to {most}")));
    }
    let kind = InputType::agreed(stated, kind)?;
    let options = options(score, iou, top_k, classes, format)?;
    Ok(Asked::Many(images.into_iter().map(|element| element.named(kind)).collect(), options))
}

impl Element<'_> {
    /// What the members name; `kind` is the type when they state none.
    fn named(self, kind: Option<InputType>) -> Result<Named, RequestError> {
        let stated = InputType::agreed(self.kind, kind)?;
        let img = self.img.ok_or_else(|| Code::BadJson.because("the object has no img"))?;
        let (kind, payload) = img.0.resolve(stated)?;
        let options = options(self.score, self.iou, self.top_k, self.classes, self.format)?;
        Ok(Named { kind, payload, options })
    }
}

fn options(
    score: Option<Scalar>,
    iou: Option<Scalar>,
    top_k: Option<Scalar>,
    classes: Option<Wanted>,
    format: Option<Scalar>,
) -> Result<RawOptions, RequestError> {
    let mut options = RawOptions::default();
    for (name, value) in [("score", score), ("iou", iou), ("top_k", top_k), ("format", format)] {
        if let Some(Scalar(text)) = value {
            options.put(name, text)?;
        }
    }
    match classes.map(|Wanted(classes)| classes) {
        Some(Classes::Text(text)) => drop(options.put("classes", text)?),
        Some(Classes::List(list)) => options.put_classes(list)?,
        None => {}
    }
    Ok(options)
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

/// The pictures of a list, and one more than there may be if there are too many: an element takes a hundred times
/// the memory of its shortest text.
struct List<'a>(Vec<Element<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor).map(List)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<Element<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects with img")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = array.next_element()? {
            if list.len() <= MOST_IMAGES {
                list.push(element);
            }
        }
        Ok(list)
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

/// An option's value, a string or a number, as the query would spell it.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Scalar)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
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
}

/// The value of `classes`: one of the above, or an array of them.
struct Wanted(Classes);

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WantedVisitor).map(Wanted)
    }
}

struct WantedVisitor;

impl<'de> Visitor<'de> for WantedVisitor {
    type Value = Classes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or an array of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Classes, E> {
        ScalarVisitor.visit_str(text).map(Classes::Text)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Classes, E> {
        ScalarVisitor.visit_u64(number).map(Classes::Text)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Classes, E> {
        ScalarVisitor.visit_i64(number).map(Classes::Text)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Classes, E> {
        ScalarVisitor.visit_f64(number).map(Classes::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Classes, A::Error> {
        let mut list = Vec::new();
        // One that is too long is refused for that; no more of it is kept than shows it.
        while let Some(Scalar(text)) = array.next_element()? {
            if list.len() <= LONGEST_OPTION {
                list.push(text);
            }
        }
        Ok(Classes::List(list))
    }
}

#[cfg(test)]
mod tests;
