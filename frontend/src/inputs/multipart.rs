//! The multipart form of a request. Owns which parts matter and how many there may be; `multer` reads them.
//!
//! The body is already here, whole and within its limit, so the parts are cut out of it at once and the part
//! that is the picture is not copied again. File names are read for whether they exist and never used.

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, stream};
use multer::{Field, Multipart};

use super::kind::InputType;
use super::payload::{Img, Named, RawOptions, is_img, quote};
use crate::error::{Code, RequestError};

/// Most parts of a form.
const MOST_PARTS: usize = 16;
/// Longest header of a part, all fields together.
const LONGEST_HEADER: usize = 8 << 10;

/// The boundary that the content type names.
pub fn boundary(content_type: &str) -> Result<String, RequestError> {
    match multer::parse_boundary(content_type) {
        Ok(boundary) if (1..=70).contains(&boundary.len()) => Ok(boundary),
        _ => Err(Code::BadForm.because("Content-Type names no boundary of 1 to 70 characters")),
    }
}

/// Takes the form apart; `asked` is the type when the form states none.
pub fn parse(boundary: &str, body: Bytes, asked: Option<InputType>) -> Result<Named, RequestError> {
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    // Nothing is left to wait for, so the future is ready or the parser is at fault.
    read(Multipart::new(whole, boundary), asked)
        .now_or_never()
        .unwrap_or_else(|| Err(Code::BadForm.because("the form is incomplete")))
}

async fn read(mut form: Multipart<'_>, asked: Option<InputType>) -> Result<Named, RequestError> {
    let mut stated = None;
    let mut img = None;
    let mut other_files = Vec::new();
    let mut options = RawOptions::default();
    let mut count = 0;
    while let Some(part) = form.next_field().await.map_err(fault)? {
        count += 1;
        if count > MOST_PARTS {
            return Err(Code::BadForm.because(format!("the form has more than {MOST_PARTS} parts")));
        }
        let header: usize =
            part.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header > LONGEST_HEADER {
            return Err(
                Code::BadForm.because(format!("a part's header is longer than {LONGEST_HEADER} bytes"))
            );
        }
        let name = part.name().unwrap_or_default().to_owned();
        let again = if name == "type" {
            stated.replace(text(part).await?).is_some()
        } else if is_img(&name) {
            img.replace(picture(part).await?).is_some()
        } else if RawOptions::NAMES.contains(&name.as_str()) {
            let text = text(part).await?;
            options.put(&name, text)?
        } else {
            if part.file_name().is_some() {
                other_files.push(picture(part).await?);
            }
            false
        };
        if again {
            return Err(Code::BadForm.because(format!("the field {} comes twice", quote(&name))));
        }
    }
    let img = match (img, other_files.len()) {
        (Some(img), _) => img,
        (None, 1) => other_files.remove(0),
        (None, 0) => return Err(Code::BadForm.because("the form has no part img and no file")),
        (None, _) => return Err(Code::BadForm.because("the form has several files and none is called img")),
    };
    let stated = InputType::agreed(stated, asked)?;
    let (kind, payload) = img.resolve(stated)?;
    Ok(Named { kind, payload, options })
}

async fn picture(part: Field<'_>) -> Result<Img<'static>, RequestError> {
    let file = part.file_name().is_some();
    let binary = part
        .content_type()
        .is_some_and(|kind| kind.type_() == "image" || kind.essence_str() == "application/octet-stream");
    Ok(Img::Part { content: content(part).await?, file, binary })
}

async fn text(part: Field<'_>) -> Result<String, RequestError> {
    let name = part.name().unwrap_or_default().to_owned();
    let content = content(part).await?;
    String::from_utf8(content.into())
        .map(|text| text.trim().to_owned())
        .map_err(|_| Code::BadForm.because(format!("the field {} is not UTF-8", quote(&name))))
}

/// The part's bytes. With the whole body at hand they come in one piece.
async fn content(mut part: Field<'_>) -> Result<Bytes, RequestError> {
    let first = part.chunk().await.map_err(fault)?.unwrap_or_default();
    let Some(second) = part.chunk().await.map_err(fault)? else { return Ok(first) };
    let mut joined = BytesMut::from(first);
    joined.extend_from_slice(&second);
    while let Some(more) = part.chunk().await.map_err(fault)? {
        joined.extend_from_slice(&more);
    }
    Ok(joined.freeze())
}

fn fault(error: multer::Error) -> RequestError {
    tracing::debug!(%error, "multipart form cannot be read");
    let detail = match error {
        multer::Error::ReadHeaderFailed(_) | multer::Error::IncompleteHeaders => {
            "a part's header cannot be read"
        }
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            "the form ends before its closing boundary"
        }
        _ => "the form is malformed",
    };
    Code::BadForm.because(detail)
}

#[cfg(test)]
mod tests;
