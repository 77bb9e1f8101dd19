//! What the review's page asks: how many pictures there are, a page of them, one of them, its picture and thumbnail, an export;
//! and what it changes: actions and undoing them. Reads requests and writes answers; `harvest::review` does the work.

use super::Call;
use crate::error::{Code, RequestError};
use crate::reply::Reply;
use crate::review::{Review, same_site};
use crate::service::Service;
use bytes::Bytes;
use harvest::export::{self, ExportError, Format, Order};
use harvest::index::{Entry, State};
use harvest::query::{self, Filter};
use harvest::review::{self as actions, Action, Outcome, Receipt, Seen};
use harvest::sidecar::{Found, Sidecar};
use harvest::{files, look, thumb, truth};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{Method, request::Parts};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vision::decode::{Format as Encoding, Limits, decode, sniff};
use vision::draw::encode_jpeg;

/// Longest body of a change.
const MAX_BODY: usize = 1 << 20;
/// How long such a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest name of a class.
const MAX_CLASS: usize = 200;
/// Most bytes of an export that is downloaded.
const MAX_EXPORT: u64 = 256 << 20;
/// Most bytes of a picture that is shown.
const MAX_PICTURE: u64 = 64 << 20;

/// Whether something is changed there, and asked for by POST.
pub fn changes(path: &str) -> bool {
    matches!(path, "actions" | "undo")
}

/// Answers what was asked below `/review/api/`.
///
/// # Errors
/// `forbidden`, `not_found`, `bad_parameter`, `bad_json`.
pub async fn answer<B>(
    service: &Arc<Service>,
    call: &Call<'_>,
    path: &str,
    body: B,
) -> Result<Reply, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let keeping = service.keeping.as_ref().ok_or_else(|| {
        Code::Forbidden.because("nothing is kept for review: set harvest.root and harvest.enabled")
    })?;
    let review = &keeping.review;
    review.admit(&call.head.headers, call.peer)?;
    if call.head.method == Method::POST {
        same_site(&call.head.headers)?;
        let body = collect(body).await?;
        return match path {
            "actions" => act(review, &body).await,
            _ => undo(review, &body).await,
        };
    }
    let query = Query::of(call.head);
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["summary"] => summary(review, &query).await,
        ["pictures"] => pictures(review, &query).await,
        ["pictures", id] => picture(review, id).await,
        ["pictures", id, "image"] => image(review, id, service.config.images.limits()).await,
        ["pictures", id, "thumb"] => thumbnail(review, id, service.config.images.limits()).await,
        ["export"] => download(review, &query).await,
        _ => Err(Code::NotFound.into()),
    }
}

async fn collect<B>(body: B) -> Result<Bytes, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let whole = Limited::new(Box::pin(body), MAX_BODY).collect();
    let whole =
        tokio::time::timeout(BODY_TIME, whole).await.map_err(|_| RequestError::from(Code::RequestTimeout))?;
    Ok(whole.map_err(|error| Code::BodyTooLarge.because(error.to_string()))?.to_bytes())
}

/// A query's fields.
struct Query(HashMap<String, String>);

impl Query {
    fn of(head: &Parts) -> Self {
        let text = head.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RequestError> {
        let refuse = || Code::BadParameter.because(format!("'{name}' must be {wanted}"));
        self.text(name).map(|text| read(text).ok_or_else(refuse)).transpose()
    }

    fn state(&self) -> Result<State, RequestError> {
        let named = |text: &str| State::ALL.into_iter().find(|state| state.name() == text);
        Ok(self.read("state", "new, accepted or rejected", named)?.unwrap_or_default())
    }

    fn score(&self, name: &str) -> Result<Option<f32>, RequestError> {
        self.read(name, "a number from 0 to 1", |text| text.parse().ok().filter(|v| (0.0..=1.0).contains(v)))
    }

    fn day(&self, name: &str) -> Result<Option<String>, RequestError> {
        let is_day = |text: &str| text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        self.read(name, "a day like 2026-11-25", |text| is_day(text).then(|| text.to_owned()))
    }
}

async fn summary(review: &Arc<Review>, query: &Query) -> Result<Reply, RequestError> {
    let state = query.state()?;
    let document = review.run(move |index| {
        let summary = index.summary(state)?;
        let count = |rows: &[(String, u64)]| -> Vec<Value> {
            rows.iter().map(|(name, count)| json!({ "name": name, "count": count })).collect()
        };
        Ok(json!({
            "states": summary.states.iter().map(|(name, count)| (*name, *count)).collect::<HashMap<_, _>>(),
            "classes": count(&summary.classes),
            "flags": summary.flags.iter().map(|(name, count)| json!({ "name": name, "count": count })).collect::<Vec<_>>(),
            "dates": count(&summary.dates),
            "bytes": summary.bytes,
            "labels": truth::newest(index.root()).map(|labels| labels.labels).unwrap_or_default(),
        }))
    });
    Ok(Reply::json(&document.await?))
}

async fn pictures(review: &Arc<Review>, query: &Query) -> Result<Reply, RequestError> {
    let filter = Filter {
        state: query.state()?,
        class: query.text("class").map(str::to_owned),
        min_score: query.score("min")?,
        max_score: query.score("max")?,
        from: query.day("from")?,
        to: query.day("to")?,
        flag: query
            .read("flag", "a quality flag", |text| look::FLAGS.contains(&text).then(|| text.to_owned()))?,
        until: query.read("until", "a number", |text| text.parse().ok())?,
    };
    let order = |text: &str| match text {
        "newest" => Some(query::Order::Newest),
        "oldest" => Some(query::Order::Oldest),
        "unsure" => Some(query::Order::Unsure),
        "sure" => Some(query::Order::Sure),
        _ => None,
    };
    let order = query.read("order", "newest, oldest, unsure or sure", order)?.unwrap_or_default();
    let limit = query
        .read("limit", "1 to 500", |text| text.parse().ok().filter(|n| (1..=query::MOST).contains(n)))?;
    let skip = query.read("skip", "a number", |text| text.parse().ok())?;
    let start = match query.text("after") {
        Some(place) => query::Start::After(place.to_owned()),
        None => query::Start::Skip(skip.unwrap_or_default()),
    };
    let document = review.run(move |index| {
        let page = index.page(&filter, order, &start, limit.unwrap_or(100))?;
        let rows = page.entries.iter().map(|entry| {
            let sidecar = files::read_sidecar(&index.root().join(&entry.path)).ok();
            row(entry, sidecar.as_ref())
        });
        Ok(json!({
            "pictures": rows.collect::<Vec<_>>(), "next": page.next, "total": page.total, "last": page.last,
        }))
    });
    Ok(Reply::json(&document.await?))
}

/// A picture as lists have it: boxes with the index's facts.
fn row(entry: &Entry, sidecar: Option<&Sidecar>) -> Value {
    let time = sidecar.map(|sidecar| sidecar.time.as_str());
    json!({
        "id": entry.id, "revision": entry.revision, "state": entry.state, "class": entry.class, "score": entry.score,
        "time": time, "date": entry.date, "flags": look::flag_names(entry.flags), "rule": entry.rule, "bytes": entry.bytes,
        "width": sidecar.map(|s| s.width), "height": sidecar.map(|s| s.height), "boxes": sidecar.and_then(Sidecar::boxes),
    })
}

async fn picture(review: &Arc<Review>, id: &str) -> Result<Reply, RequestError> {
    let id = id.to_owned();
    let found = review.run(move |index| {
        let Some(entry) = index.entry(&id)? else { return Ok(None) };
        let sidecar = files::read_sidecar(&index.root().join(&entry.path)).ok();
        let mut document = row(&entry, sidecar.as_ref());
        document["sidecar"] = json!(sidecar);
        Ok(Some(document))
    });
    Ok(Reply::json(&found.await?.ok_or(Code::NotFound)?))
}

/// Does something with the file of a picture; a picture that is not there any more is not found.
async fn of_file(
    review: &Arc<Review>,
    id: &str,
    read: impl FnOnce(&Path, &Entry) -> io::Result<(Vec<u8>, &'static str)> + Send + 'static,
) -> Result<Reply, RequestError> {
    let id = id.to_owned();
    let found = review.run(move |index| Ok(index.entry(&id)?.map(|entry| read(index.root(), &entry))));
    let (bytes, content_type) = found.await?.and_then(Result::ok).ok_or(Code::NotFound)?;
    // What a picture's id stands for never changes; a file that a client sent is shown as a picture and as nothing else.
    Ok(Reply::new(content_type, bytes)
        .header(CACHE_CONTROL, "private, max-age=3600, immutable")
        .header(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
}

async fn thumbnail(review: &Arc<Review>, id: &str, limits: Limits) -> Result<Reply, RequestError> {
    of_file(review, id, move |root, entry| {
        Ok((thumb::of(root, &entry.id, &entry.path, &limits)?, "image/jpeg"))
    })
    .await
}

async fn image(review: &Arc<Review>, id: &str, limits: Limits) -> Result<Reply, RequestError> {
    of_file(review, id, move |root, entry| {
        let path = root.join(&entry.path);
        if std::fs::metadata(&path)?.len() > MAX_PICTURE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let bytes = std::fs::read(&path)?;
        Ok(match sniff(&bytes) {
            Some(Encoding::Jpeg) => (bytes, "image/jpeg"),
            Some(Encoding::Png) => (bytes, "image/png"),
            Some(Encoding::WebP) => (bytes, "image/webp"),
            Some(Encoding::Gif) => (bytes, "image/gif"),
            // What browsers do not show.
            _ => {
                let picture = decode(&bytes, &limits).map_err(io::Error::other)?;
                (encode_jpeg(&picture, 90).map_err(io::Error::other)?, "image/jpeg")
            }
        })
    })
    .await
}

/// A change as the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    action: Verb,
    pictures: Vec<Named>,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    boxes: Option<Vec<Boxed>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Accept,
    Reject,
    Move,
    Boxes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
    revision: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Boxed {
    label: String,
    #[serde(rename = "box")]
    corners: [f32; 4],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undone {
    batch: String,
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RequestError> {
    serde_json::from_slice(body).map_err(|error| Code::BadJson.because(error.to_string()))
}

/// A class that a picture may be moved to.
fn class(name: Option<&str>) -> Result<String, RequestError> {
    let name = name.unwrap_or_default().trim();
    if name.is_empty() || name.len() > MAX_CLASS || name.chars().any(char::is_control) {
        return Err(Code::BadParameter.because(format!("a class has a name of 1 to {MAX_CLASS} bytes")));
    }
    Ok(name.to_owned())
}

async fn act(review: &Arc<Review>, body: &[u8]) -> Result<Reply, RequestError> {
    let change: Change = parse(body)?;
    if change.pictures.is_empty() || change.pictures.len() > actions::MOST {
        return Err(Code::BadParameter.because(format!("an action is for 1 to {} pictures", actions::MOST)));
    }
    let action = match (change.action, change.boxes) {
        (Verb::Accept, None) => Action::Accept,
        (Verb::Reject, None) => Action::Reject,
        (Verb::Move, None) => Action::Move(class(change.class.as_deref())?),
        (Verb::Boxes, Some(boxes)) if change.pictures.len() == 1 && boxes.len() <= 1000 => {
            let read = |boxed: Boxed| {
                let [x1, y1, x2, y2] = boxed.corners;
                if !(boxed.corners.iter().all(|v| v.is_finite())
                    && 0.0 <= x1
                    && x1 < x2
                    && 0.0 <= y1
                    && y1 < y2)
                {
                    return Err(
                        Code::BadParameter.because("a box is [x1, y1, x2, y2], x1 below x2 and y1 below y2")
                    );
                }
                Ok(Found {
                    label: class(Some(&boxed.label))?,
                    class: None,
                    score: 1.0,
                    corners: boxed.corners,
                })
            };
            Action::Boxes(boxes.into_iter().map(read).collect::<Result<_, _>>()?)
        }
        _ => {
            return Err(Code::BadParameter
                .because("'boxes' belongs to the action boxes, for one picture and at most 1000"));
        }
    };
    let seen: Vec<Seen> =
        change.pictures.into_iter().map(|named| Seen { id: named.id, revision: named.revision }).collect();
    let receipt =
        review.run(move |index| actions::apply(index, &seen, &action).map(|r| told(index.root(), &r)));
    Ok(Reply::json(&receipt.await?))
}

async fn undo(review: &Arc<Review>, body: &[u8]) -> Result<Reply, RequestError> {
    let Undone { batch } = parse(body)?;
    let receipt = review.run(move |index| actions::undo(index, &batch).map(|r| told(index.root(), &r)));
    Ok(Reply::json(&receipt.await?))
}

/// What became of each picture.
fn told(root: &Path, receipt: &Receipt) -> Value {
    let rows = receipt.outcomes.iter().map(|(id, outcome)| {
        let (result, entry) = match outcome {
            Outcome::Done(entry) => ("done", Some(entry)),
            Outcome::Conflict(entry) => ("conflict", Some(entry)),
            Outcome::Gone => ("gone", None),
        };
        let picture =
            entry.map(|entry| row(entry, files::read_sidecar(&root.join(&entry.path)).ok().as_ref()));
        json!({ "id": id, "result": result, "picture": picture })
    });
    json!({ "batch": receipt.batch, "pictures": rows.collect::<Vec<_>>() })
}

async fn download(review: &Arc<Review>, query: &Query) -> Result<Reply, RequestError> {
    let format = query.read("format", "yolo, coco, imagefolder or label-studio", Format::of)?;
    let format = format.ok_or_else(|| Code::BadParameter.because("'format' must be given"))?;
    let share = |text: &str| text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
    let validation = query.read("validation", "a number from 0 to 1", share)?;
    let mut order = Order::new(format);
    order.validation = validation.unwrap_or(order.validation);
    let packed = review.run(move |index| Ok(export::archive(index.root(), &order, MAX_EXPORT))).await?;
    let bytes = packed.map_err(|error| match error {
        ExportError::TooLarge { .. } | ExportError::NoBoxes => Code::BadParameter.because(error.to_string()),
        ExportError::Nothing(_) => Code::NotFound.because("nothing has been accepted yet"),
        ExportError::Index(_) | ExportError::Exists(_) => {
            tracing::error!(%error, "an export failed");
            Code::Internal.into()
        }
    })?;
    let name = match format {
        Format::Yolo => "attachment; filename=\"detectd-yolo.zip\"",
        Format::Coco => "attachment; filename=\"detectd-coco.zip\"",
        Format::ImageFolder => "attachment; filename=\"detectd-imagefolder.zip\"",
        Format::LabelStudio => "attachment; filename=\"detectd-label-studio.zip\"",
    };
    Ok(Reply::new("application/zip", bytes).header(CONTENT_DISPOSITION, name))
}
