//! What the pages must know of the service: its state, its model, and the pictures that the model brings to be tried on, as its
//! sidecar names them. Shows no figure of the service's work.

use super::Call;
use crate::assets::unless_known;
use crate::error::{Code, RequestError};
use crate::link::Attached;
use crate::reply::Reply;
use crate::service::Service;
use crate::stats;
use crate::work::Turn;
use http::header::CACHE_CONTROL;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use vision::decode::decode;
use vision::draw::encode_jpeg;
use vision::thumbnail::thumbnail;

/// Largest sample in bytes.
const MAX_BYTES: u64 = 8 << 20;
/// Longest side of a small one, twice what the page shows it at, and its JPEG quality.
const SMALL: u32 = 180;
const QUALITY: u8 = 72;
/// Digits of the model's version in an address: another model's samples have other addresses.
const DIGITS: usize = 12;

/// State, model and samples. A service without a model has no samples either.
pub fn about(service: &Service) -> Reply {
    let attached = service.link.current();
    let model = attached.as_ref().map(|attached| {
        let mut model = stats::model(&attached.facts, service.board.generation());
        model["classes"] = json!(attached.facts.spec.labels);
        model
    });
    let samples: Vec<_> = attached.map_or_else(Vec::new, |attached| {
        let version = version(&attached);
        let address = |k| format!("/samples/{version}/{k}");
        let samples = attached.facts.samples.iter().enumerate();
        samples
            .map(|(k, path)| json!({ "name": name(path), "address": address(k), "small": format!("{}/small", address(k)) }))
            .collect()
    });
    Reply::json(&json!({
        "state": service.board.state().name(),
        "version": env!("CARGO_PKG_VERSION"),
        "model": model,
        "samples": samples,
    }))
}

/// One of them: `VERSION/NUMBER`, or `VERSION/NUMBER/small`.
///
/// # Errors
/// `not_found`, when the model that serves has no such sample, or its file is gone.
pub async fn sample(service: &Arc<Service>, call: &Call<'_>, address: &str) -> Result<Reply, RequestError> {
    let attached = service.link.current().ok_or(Code::NotFound)?;
    let mut parts = address.split('/');
    let (asked, number, rest) = (parts.next(), parts.next(), parts.next());
    let is_small = match (rest, parts.next()) {
        (None, _) => false,
        (Some("small"), None) => true,
        _ => return Err(Code::NotFound.into()),
    };
    if asked != Some(version(&attached)) {
        return Err(Code::NotFound.into());
    }
    let number: Option<usize> = number.and_then(|text| text.parse().ok());
    let path = number.and_then(|k| attached.facts.samples.get(k)).ok_or(Code::NotFound)?.clone();
    let media_type = if is_small { "image/jpeg" } else { media_type(&path) };
    let limits = service.config.images.limits();
    let read = move |_: &mut _| {
        let bytes = read(&path)?;
        if !is_small {
            return Ok(bytes);
        }
        let picture = decode(&bytes, &limits).map_err(io::Error::other)?;
        encode_jpeg(&thumbnail(&picture, SMALL), QUALITY).map_err(io::Error::other)
    };
    let bytes = service.pool.run(Turn::Arrival, read).await?.map_err(|error: io::Error| {
        tracing::warn!(%error, "a sample cannot be shown");
        RequestError::from(Code::NotFound)
    })?;
    let reply = Reply::new(media_type, bytes).header(CACHE_CONTROL, "no-cache");
    Ok(unless_known(reply, &call.head.headers))
}

fn version(attached: &Attached) -> &str {
    let version = &attached.facts.version;
    version.get(..DIGITS).unwrap_or(version)
}

fn name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("{} has more than {MAX_BYTES} bytes", path.display())));
    }
    Ok(bytes)
}
