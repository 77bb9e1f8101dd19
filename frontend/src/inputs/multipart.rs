//! The multipart form of a request. Owns which parts matter and how many there may be; `multer` reads them.
//!
//! The parts are cut out of the body while it comes in, so that a form of too many parts, or with a header that does
//! not end, is refused as soon as that shows. File names are read for whether they exist and never used.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Body;
use multer::{Field, Multipart};

use super::body::Intake;
use super::kind::InputType;
use super::payload::{Img, Named, RawOptions, is_img, quote};
use super::spare::Body as Buffer;
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

/// What a form says, the picture as it came.
#[derive(Debug)]
pub struct Form {
    img: Img<'static>,
    stated: Option<InputType>,
    options: RawOptions,
}

impl Form {
    /// Bytes that are to be decoded before they are a picture.
    pub fn text_length(&self) -> usize {
        self.img.text_length(self.stated)
    }

    /// Says what the form means.
    pub fn named(self) -> Result<Named, RequestError> {
        let (kind, payload) = self.img.resolve(self.stated)?;
        Ok(Named { kind, payload, options: self.options })
    }
}

/// Takes the form apart as it comes; `asked` is the type when the form states none. What comes after the form is read
/// and passed over.
pub async fn read<B>(
    boundary: &str,
    mut intake: Intake<'_, B>,
    asked: Option<InputType>,
) -> Result<Form, RequestError>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Bytes that came since the parser last had something: beyond a header's length, it waits for the end of one.
    let pending = AtomicUsize::new(0);
    let form = {
        let pieces = stream::try_unfold((&mut intake, false), |(intake, again)| {
            let pending = &pending;
            async move {
                if again {
                    // The parser takes what it can get, and is to look at each piece before the next.
                    tokio::task::yield_now().await;
                }
                if pending.load(Relaxed) > LONGEST_HEADER {
                    return Err(long_header());
                }
                let piece = intake.piece().await?;
                pending.fetch_add(piece.as_ref().map_or(0, Bytes::len), Relaxed);
                Ok(piece.map(|piece| (piece, (intake, true))))
            }
        });
        fields(Multipart::new(pieces, boundary), &pending, asked).await?
    };
    while intake.piece().await?.is_some() {}
    Ok(form)
}

fn long_header() -> RequestError {
    Code::BadForm.because(format!("a part's header is longer than {LONGEST_HEADER} bytes"))
}

async fn fields(
    mut form: Multipart<'_>,
    pending: &AtomicUsize,
    asked: Option<InputType>,
) -> Result<Form, RequestError> {
    let mut stated = None;
    let mut img = None;
    let mut other_files = Vec::new();
    let mut options = RawOptions::default();
    let mut count = 0;
    while let Some(mut part) = form.next_field().await.map_err(fault)? {
        pending.store(0, Relaxed);
        count += 1;
        if count > MOST_PARTS {
            return Err(Code::BadForm.because(format!("the form has more than {MOST_PARTS} parts")));
        }
        let header: usize =
            part.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header > LONGEST_HEADER {
            return Err(long_header());
        }
        let name = part.name().unwrap_or_default().to_owned();
        let again = if name == "type" {
            stated.replace(text(part, pending).await?).is_some()
        } else if is_img(&name) {
            img.replace(picture(part, pending).await?).is_some()
        } else if RawOptions::NAMES.contains(&name.as_str()) {
            let text = text(part, pending).await?;
            options.put(&name, text)?
        } else {
            if part.file_name().is_some() {
                other_files.push(picture(part, pending).await?);
            } else {
                while chunk(&mut part, pending).await?.is_some() {}
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
    Ok(Form { img, stated: InputType::agreed(stated, asked)?, options })
}

async fn picture(part: Field<'_>, pending: &AtomicUsize) -> Result<Img<'static>, RequestError> {
    let file = part.file_name().is_some();
    let binary = part
        .content_type()
        .is_some_and(|kind| kind.type_() == "image" || kind.essence_str() == "application/octet-stream");
    Ok(Img::Part { content: content(part, pending).await?, file, binary })
}

async fn text(part: Field<'_>, pending: &AtomicUsize) -> Result<String, RequestError> {
    let name = part.name().unwrap_or_default().to_owned();
    let content = content(part, pending).await?;
    String::from_utf8(content.into())
        .map(|text| text.trim().to_owned())
        .map_err(|_| Code::BadForm.because(format!("the field {} is not UTF-8", quote(&name))))
}

/// The part's bytes. What came in one piece is handed on as it is.
async fn content(mut part: Field<'_>, pending: &AtomicUsize) -> Result<Bytes, RequestError> {
    let first = chunk(&mut part, pending).await?.unwrap_or_default();
    let Some(second) = chunk(&mut part, pending).await? else { return Ok(first) };
    let mut joined = Buffer::with_room(first.len() + second.len());
    joined.push(&first);
    joined.push(&second);
    while let Some(more) = chunk(&mut part, pending).await? {
        joined.push(&more);
    }
    Ok(joined.freeze())
}

async fn chunk(part: &mut Field<'_>, pending: &AtomicUsize) -> Result<Option<Bytes>, RequestError> {
    let chunk = part.chunk().await.map_err(fault)?;
    pending.store(0, Relaxed);
    Ok(chunk)
}

fn fault(error: multer::Error) -> RequestError {
    // What the body itself did wrong.
    let error = match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<RequestError>() {
            Ok(error) => return *error,
            Err(error) => multer::Error::StreamReadFailed(error),
        },
        error => error,
    };
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
