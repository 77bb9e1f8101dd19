//! The figures and the description of the service, as documents.

use crate::error::RequestError;
use crate::events;
use crate::reply::Reply;
use crate::service::Service;
use crate::{metrics, stats};
use std::sync::Arc;

/// Prometheus text.
pub fn metrics(service: &Service) -> Reply {
    Reply::new("text/plain; version=0.0.4; charset=utf-8", metrics::text(service))
}

/// The figures as JSON.
pub fn stats(service: &Service) -> Reply {
    Reply::json(&stats::document(service))
}

/// The last minute second by second, the figures as they are, and then both every second.
///
/// # Errors
/// When as many watch as may.
pub fn events(service: &Arc<Service>) -> Result<Reply, RequestError> {
    let first = [("history", stats::history(service)), ("stats", stats::document(service))];
    Ok(Reply::streamed("text/event-stream", events::watch(service, &first)?))
}

/// The API description.
pub fn openapi(service: &Service) -> Reply {
    Reply::new("application/json", service.description())
}
