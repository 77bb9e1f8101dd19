//! The figures and the description of the service, as documents.

use crate::reply::Reply;
use crate::service::Service;
use crate::{metrics, openapi, stats};

/// Prometheus text.
pub fn metrics(service: &Service) -> Reply {
    Reply::new("text/plain; version=0.0.4; charset=utf-8", metrics::text(service))
}

/// The figures as JSON.
pub fn stats(service: &Service) -> Reply {
    Reply::json(&stats::document(service))
}

/// The API description.
pub fn openapi(service: &Service) -> Reply {
    Reply::json(&openapi::document(&service.config))
}
