//! Answers on their way out: a handler makes a [`Reply`], and this file makes it HTTP, problems included.
//! Owns the headers that every answer carries; decides nothing.

use crate::error::RequestError;
use crate::request_id;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::Body;
use serde::Serialize;
use std::convert::Infallible;

/// A body on its way out: one that is here, or one that comes piece by piece.
pub type Outgoing = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// What a handler answers.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers besides those every answer carries.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// In place of it, what comes piece by piece. It counts its bytes itself.
    pub stream: Option<UnsyncBoxBody<Bytes, Infallible>>,
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Reply {
    /// A body of this content type, not to be cached.
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status: StatusCode::OK, headers, body: body.into(), stream: None }
    }

    /// A body of this content type that comes piece by piece.
    pub fn streamed(
        content_type: &'static str,
        stream: impl Body<Data = Bytes, Error = Infallible> + Send + 'static,
    ) -> Self {
        Self { stream: Some(UnsyncBoxBody::new(stream)), ..Self::new(content_type, Bytes::new()) }
    }

    /// A JSON document.
    pub fn json(document: &impl Serialize) -> Self {
        // Our documents have text keys and finite numbers or none, which is all that serde_json can refuse.
        Self::new("application/json", serde_json::to_vec(document).unwrap_or_default())
    }

    /// Plain text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::new("text/plain; charset=utf-8", text)
    }

    /// The problem document for an error.
    pub fn problem(error: &RequestError, id: &str) -> Self {
        let mut reply = Self::json(&error.problem(id)).status(error.status());
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if error.status() == StatusCode::UNAUTHORIZED {
            reply.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = error.retry_after {
            reply.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(methods) = error.allow {
            reply.headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        reply
    }

    /// No body: the methods that a route knows.
    pub fn options(methods: &'static str) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        Self { status: StatusCode::NO_CONTENT, headers, body: Bytes::new(), stream: None }
    }

    /// The same with another status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// The same with the stages' times, as `Server-Timing` wants them.
    pub fn server_timing(mut self, text: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.insert(SERVER_TIMING, value);
        }
        self
    }

    /// An error as the bytes of an answer that ends its connection, for where there is no request to answer.
    pub fn raw(error: &RequestError) -> Vec<u8> {
        let id = request_id::choose(&HeaderMap::new());
        let reply = Self::problem(error, &id);
        let body = reply.body.clone();
        let (head, _) = reply.into_response(&id, true).into_parts();
        let mut bytes =
            format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", head.status, body.len()).into_bytes();
        for (name, value) in &head.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The HTTP response to the request with this id; `close` ends the connection after it.
    pub fn into_response(self, id: &str, close: bool) -> Response<Outgoing> {
        let body = self.stream.map_or_else(|| Either::Left(Full::new(self.body)), Either::Right);
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(request_id::HEADER, id);
        }
        if close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
