//! Every way a request can fail, and the one table from problem code to HTTP status.
//!
//! A handler that cannot go on returns `Err(Code::X.because("what was wrong"))`; nothing else decides a
//! status. The texts go to clients: they name what the client sent and never a host, a path of the server,
//! an address or an internal type.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde_json::{Value, json};

/// Stable name of a failure. Clients and dashboards match on [`Code::name`]; the discriminant is the index of
/// the code's counter on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Code {
    /// The request is malformed in a way no other code names.
    BadRequest,
    /// The body is not the JSON that was announced, or a member has the wrong shape.
    BadJson,
    /// `img` is not base64.
    BadBase64,
    /// The form cannot be read, or lacks a field.
    BadForm,
    /// A query option is unknown or out of its range.
    BadParameter,
    /// `type` names none of the five inputs, or one that is switched off.
    UnsupportedType,
    /// The body's content type cannot be read, or the picture's format is recognised but not enabled.
    UnsupportedMediaType,
    /// The bytes begin like no picture format.
    NotAnImage,
    /// A picture format was recognised and its content is broken.
    CorruptImage,
    /// More pixels, or a longer side, than allowed.
    ImageTooLarge,
    /// More bytes than allowed.
    BodyTooLarge,
    /// Too many header fields, or too long.
    HeaderTooLarge,
    /// The request target is too long.
    UriTooLong,
    /// The address may not be fetched.
    UrlForbidden,
    /// The address could not be fetched.
    UrlFailed,
    /// The address did not answer in time.
    UrlTimeout,
    /// The path is not under an allowed root, or there is no such file.
    PathForbidden,
    /// Not open to this client.
    Forbidden,
    /// No such route.
    NotFound,
    /// The route does not know the method.
    MethodNotAllowed,
    /// The client sent its request too slowly.
    RequestTimeout,
    /// An `Expect` other than `100-continue`.
    ExpectationFailed,
    /// The picture made the engine die twice.
    PoisonInput,
    /// As many requests are in flight as are allowed.
    Overloaded,
    /// As many connections are open as are allowed.
    TooManyConnections,
    /// There is no engine to answer.
    EngineUnavailable,
    /// The service is being stopped.
    Draining,
    /// The answer did not come before the request's deadline.
    DeadlineExceeded,
    /// The engine could not run the model on this picture.
    EngineFailed,
    /// A fault of ours.
    Internal,
    /// A key is asked for and none was shown.
    KeyRequired,
    /// The key that was shown is none of ours.
    KeyRefused,
    /// More requests than this key or address may make.
    RateLimited,
}

impl Code {
    /// All codes, in the order of their counters.
    pub const ALL: [Code; 33] = [
        Code::BadRequest,
        Code::BadJson,
        Code::BadBase64,
        Code::BadForm,
        Code::BadParameter,
        Code::UnsupportedType,
        Code::UnsupportedMediaType,
        Code::NotAnImage,
        Code::CorruptImage,
        Code::ImageTooLarge,
        Code::BodyTooLarge,
        Code::HeaderTooLarge,
        Code::UriTooLong,
        Code::UrlForbidden,
        Code::UrlFailed,
        Code::UrlTimeout,
        Code::PathForbidden,
        Code::Forbidden,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::RequestTimeout,
        Code::ExpectationFailed,
        Code::PoisonInput,
        Code::Overloaded,
        Code::TooManyConnections,
        Code::EngineUnavailable,
        Code::Draining,
        Code::DeadlineExceeded,
        Code::EngineFailed,
        Code::Internal,
        Code::KeyRequired,
        Code::KeyRefused,
        Code::RateLimited,
    ];

    /// The code's name, its HTTP status and its title: the table.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Code::BadRequest => ("bad_request", StatusCode::BAD_REQUEST, "The request is malformed"),
            Code::BadJson => ("bad_json", StatusCode::BAD_REQUEST, "The JSON body cannot be used"),
            Code::BadBase64 => ("bad_base64", StatusCode::BAD_REQUEST, "The image is not valid base64"),
            Code::BadForm => ("bad_form", StatusCode::BAD_REQUEST, "The form cannot be used"),
            Code::BadParameter => ("bad_parameter", StatusCode::BAD_REQUEST, "A query option is not valid"),
            Code::UnsupportedType => {
                ("unsupported_type", StatusCode::BAD_REQUEST, "The input type is not served")
            }
            Code::UnsupportedMediaType => {
                ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The format is not served")
            }
            Code::NotAnImage => {
                ("not_an_image", StatusCode::UNPROCESSABLE_ENTITY, "The bytes are not an image")
            }
            Code::CorruptImage => {
                ("corrupt_image", StatusCode::UNPROCESSABLE_ENTITY, "The image cannot be decoded")
            }
            Code::ImageTooLarge => {
                ("image_too_large", StatusCode::PAYLOAD_TOO_LARGE, "The image has too many pixels")
            }
            Code::BodyTooLarge => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Code::HeaderTooLarge => (
                "header_too_large",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request's header is too large",
            ),
            Code::UriTooLong => ("uri_too_long", StatusCode::URI_TOO_LONG, "The request target is too long"),
            Code::UrlForbidden => ("url_forbidden", StatusCode::FORBIDDEN, "The address may not be fetched"),
            Code::UrlFailed => ("url_failed", StatusCode::BAD_GATEWAY, "The address could not be fetched"),
            Code::UrlTimeout => {
                ("url_timeout", StatusCode::GATEWAY_TIMEOUT, "The address did not answer in time")
            }
            Code::PathForbidden => ("path_forbidden", StatusCode::FORBIDDEN, "The path cannot be read"),
            Code::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "This is not open to you"),
            Code::NotFound => ("not_found", StatusCode::NOT_FOUND, "There is nothing here"),
            Code::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here")
            }
            Code::RequestTimeout => {
                ("request_timeout", StatusCode::REQUEST_TIMEOUT, "The request came too slowly")
            }
            Code::ExpectationFailed => {
                ("expectation_failed", StatusCode::EXPECTATION_FAILED, "The expectation cannot be met")
            }
            Code::PoisonInput => (
                "poison_input",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The image made the engine fail repeatedly",
            ),
            Code::Overloaded => {
                ("overloaded", StatusCode::TOO_MANY_REQUESTS, "Too many requests are in flight")
            }
            Code::TooManyConnections => {
                ("too_many_connections", StatusCode::SERVICE_UNAVAILABLE, "Too many connections are open")
            }
            Code::EngineUnavailable => {
                ("engine_unavailable", StatusCode::SERVICE_UNAVAILABLE, "No engine is ready")
            }
            Code::Draining => ("draining", StatusCode::SERVICE_UNAVAILABLE, "The service is stopping"),
            Code::DeadlineExceeded => {
                ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT, "The answer did not come in time")
            }
            Code::EngineFailed => {
                ("engine_failed", StatusCode::INTERNAL_SERVER_ERROR, "The model could not be run")
            }
            Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "A fault of the service"),
            Code::KeyRequired => ("key_required", StatusCode::UNAUTHORIZED, "An API key is needed"),
            Code::KeyRefused => ("key_refused", StatusCode::FORBIDDEN, "The API key is not known"),
            Code::RateLimited => {
                ("rate_limited", StatusCode::TOO_MANY_REQUESTS, "Too many requests from one client")
            }
        }
    }

    /// The name clients match on: lower case with underscores, never changed once released.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with the code.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// One sentence for people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The error with what was wrong this time.
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> RequestError {
        RequestError { code: self, detail: detail.into(), retry_after: None, allow: None }
    }
}

impl From<Code> for RequestError {
    /// The error with nothing to add to the code's title.
    fn from(code: Code) -> Self {
        code.because(code.title())
    }
}

/// A request that ends without an answer: what the client is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RequestError {
    /// Which failure.
    pub code: Code,
    /// What was wrong this time, for people.
    pub detail: Cow<'static, str>,
    /// Whole seconds after which trying again makes sense; sent as `Retry-After`.
    pub retry_after: Option<u32>,
    /// Methods the route does know; sent as `Allow`.
    pub allow: Option<&'static str>,
}

impl RequestError {
    /// The same, with the time after which the client should come back (at least one second).
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// The same, with the methods that are allowed.
    pub fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The RFC 9457 document for the request with this id.
    pub fn problem(&self, id: &str) -> Value {
        json!({
            "type": format!("urn:detectd:problem:{}", self.code.name()),
            "title": self.code.title(),
            "status": self.status().as_u16(),
            "detail": self.detail,
            "code": self.code.name(),
            "id": id,
        })
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

#[cfg(test)]
mod tests;
