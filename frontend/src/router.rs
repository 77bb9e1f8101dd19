//! From a request to its answer: what is refused before any route is looked at, and the one match on method and
//! path. hyper's types stop here.

mod whole;

use crate::error::{Code, RequestError};
use crate::handlers::{Call, about, detect, health, monitoring, pages, review};
use crate::reply::{Outgoing, Reply};
use crate::request_id;
use crate::server::Door;
use crate::service::Service;
use bytes::Bytes;
use http::header::{EXPECT, HOST, HeaderValue, SET_COOKIE, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, Version};
use shm_proto::clock;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use whole::Whole;

/// Longest request target.
const MAX_TARGET: usize = 4096;
/// Most bytes of all header fields together, and most fields.
pub const MAX_HEADER: usize = 32 << 10;
pub const MAX_FIELDS: usize = 64;
/// Most bytes of a path that are logged.
const LOGGED: usize = 256;

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";
const ANY: &str = "GET, HEAD, POST, OPTIONS";

/// Every route and the methods it knows, for `Allow`, `OPTIONS` and the API description.
pub const ROUTES: [(&str, &str); 13] = [
    ("/", GET),
    ("/about", GET),
    ("/dashboard", GET),
    ("/detect", POST),
    ("/events", GET),
    ("/healthz", GET),
    ("/livez", GET),
    ("/metrics", GET),
    ("/openapi.json", GET),
    ("/readyz", GET),
    ("/review", GET),
    ("/robots.txt", GET),
    ("/stats", GET),
];

/// Below it is what the pages load, and below this one the pictures to try the model on.
const ASSETS: &str = "/assets/";
const SAMPLES: &str = "/samples/";

/// Below it is what the review's page asks.
pub(crate) const REVIEW: &str = "/review/api/";

/// The methods of a path that there is.
pub(crate) fn methods(path: &str) -> Option<&'static str> {
    let route = ROUTES.into_iter().find(|(route, _)| *route == path).map(|(_, methods)| methods);
    let review = || path.strip_prefix(REVIEW).map(|path| if review::changes(path) { POST } else { GET });
    route.or((path.starts_with(ASSETS) || path.starts_with(SAMPLES)).then_some(GET)).or_else(review)
}

/// Answers a request. Never fails: what goes wrong is a problem document.
pub async fn handle<B>(
    service: &Arc<Service>,
    (peer, door): (IpAddr, Door),
    request: Request<B>,
) -> Response<Outgoing>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let arrived = clock::now();
    let id = request_id::choose(request.headers());
    let (head, body) = request.into_parts();
    let (whole, body) = Whole::watch(body, service.process());
    let mut visit = service.visit(&head, peer);
    let allowed = check(&head).and_then(|()| match door {
        _ if !door.leads_to(head.uri.path()) => Err(Code::NotFound.into()),
        Door::Admin => Ok(()),
        Door::Only | Door::Public => service.access.check(&head, peer, Instant::now()),
    });
    let result = match allowed {
        Ok(()) => route(service, &Call { id: &id, head: &head, peer, arrived }, body).await,
        Err(error) => Err(error),
    };
    let mut reply = match result {
        Ok(reply) => reply,
        Err(error) => {
            visit.refused(error.code);
            let (method, path) = (&head.method, logged(&head));
            if matches!(error.code, Code::Overloaded | Code::RateLimited) {
                // Comes by the thousands, and from a service that has no time for them.
                tracing::debug!(id, %method, path, %error, "refused");
            } else {
                tracing::info!(id, %method, path, %error, "refused");
            }
            Reply::problem(&error, &id)
        }
    };
    if let Some(cookie) = visit.take_cookie() {
        reply.headers.insert(SET_COOKIE, cookie);
    }
    service.access.allow_origin(&head, &mut reply.headers);
    visit.answered(reply.body.len());
    tracing::debug!(
        id,
        peer = %peer,
        method = %head.method,
        path = logged(&head),
        status = reply.status.as_u16(),
        bytes = reply.body.len(),
        took = ?Duration::from_nanos(clock::now().saturating_sub(arrived)),
        "answered"
    );
    reply.into_response(&id, service.is_closing() || !whole.is_read())
}

/// The path, cut to what a log line needs.
fn logged(head: &Parts) -> &str {
    let path = head.uri.path();
    &path[..path.floor_char_boundary(LOGGED)]
}

async fn route<B>(service: &Arc<Service>, call: &Call<'_>, body: B) -> Result<Reply, RequestError>
where
    B: hyper::body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // A HEAD is a GET whose body hyper leaves out.
    let head = call.head;
    let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    match (method.as_str(), head.uri.path()) {
        ("POST", "/detect") => detect::answer(service, call, body).await,
        ("GET", "/") => pages::page(call, "index.html"),
        ("GET", "/review") => pages::page(call, "review.html"),
        ("GET", "/robots.txt") => Ok(pages::robots()),
        ("GET", "/healthz" | "/livez") => Ok(health::alive()),
        ("GET", "/readyz") => health::ready(service),
        ("GET", "/metrics") => Ok(monitoring::metrics(service)),
        ("GET", "/about") => Ok(about::about(service)),
        ("GET", "/dashboard") => pages::page(call, "dashboard.html"),
        ("GET", "/events") => monitoring::events(service),
        ("GET", "/stats") => Ok(monitoring::stats(service)),
        ("GET", "/openapi.json") => Ok(monitoring::openapi(service)),
        ("OPTIONS", "*") => Ok(Reply::options(ANY)),
        (method, path) => {
            if method == "GET"
                && let Some(path) = path.strip_prefix(ASSETS)
            {
                return pages::asset(call, path);
            }
            if method == "GET"
                && let Some(path) = path.strip_prefix(SAMPLES)
            {
                return about::sample(service, call, path).await;
            }
            let known = methods(path);
            if let Some(path) = path.strip_prefix(REVIEW)
                && known.is_some_and(|methods| methods.starts_with(method))
            {
                return review::answer(service, call, path, body).await;
            }
            match known {
                Some(methods) if method == "OPTIONS" => Ok(Reply::options(methods)),
                Some(methods) => Err(RequestError::from(Code::MethodNotAllowed).allow(methods)),
                None => Err(Code::NotFound.into()),
            }
        }
    }
}

/// What no route would answer: requests that two readers could take for different ones, and those that ask for
/// something a server of ours never does.
fn check(head: &Parts) -> Result<(), RequestError> {
    if head.method == Method::CONNECT || head.method == Method::TRACE {
        return Err(RequestError::from(Code::MethodNotAllowed).allow(ANY));
    }
    if head.uri.path_and_query().map_or(0, |target| target.as_str().len()) > MAX_TARGET {
        return Err(Code::UriTooLong.because(format!("the request target may have {MAX_TARGET} bytes")));
    }
    let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head.headers.len() > MAX_FIELDS || size > MAX_HEADER {
        return Err(Code::HeaderTooLarge
            .because(format!("a header may have {MAX_FIELDS} fields and {MAX_HEADER} bytes")));
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version >= Version::HTTP_11 => {
            return Err(Code::BadRequest.because("an HTTP/1.1 request needs a Host header"));
        }
        (Some(_), Some(_)) => return Err(Code::BadRequest.because("there is more than one Host header")),
        (Some(host), _) if !is_host(host) => {
            return Err(Code::BadRequest.because("the Host header names no host"));
        }
        (host, _) => {
            let named = host.map(|host| host.as_bytes());
            if let Some(authority) = head.uri.authority()
                && named.is_some_and(|named| !named.eq_ignore_ascii_case(authority.as_str().as_bytes()))
            {
                return Err(
                    Code::BadRequest.because("the request target and the Host header name different hosts")
                );
            }
        }
    }
    // hyper reads any list that ends in chunked, and what comes before would stay in the body.
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        return Err(Code::BadRequest.because("the only transfer coding that is read is chunked"));
    }
    if head
        .headers
        .get_all(EXPECT)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(Code::ExpectationFailed.because("the only expectation that is met is 100-continue"));
    }
    Ok(())
}

/// Whether a Host header can be one: a host, perhaps with a port; or nothing, for a target that has no host.
fn is_host(value: &HeaderValue) -> bool {
    let text = value.as_bytes();
    text.is_empty() || (!text.contains(&b'@') && Authority::try_from(text).is_ok())
}

#[cfg(test)]
mod tests;
