//! Who a request comes from, for the count of visitors: the key it shows, else the cookie that the page gave it, else
//! its address and program. Keeps nothing but hashes, and decides nothing about what anybody may do.

use crate::request_id;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method};
use std::net::IpAddr;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Name of the page's cookie. It holds a random name and nothing else.
const NAME: &str = "detectd_visitor";
/// Longest value of it that is taken for one of ours.
const LONGEST: usize = 64;

/// Who calls.
pub(crate) struct Visitor {
    /// Hash of who it is.
    pub who: u64,
    /// Hash of where it comes from.
    pub address: u64,
    /// The cookie that the answer gives it, where it has none yet and is a browser that opens the page.
    pub cookie: Option<HeaderValue>,
}

impl Visitor {
    /// The visitor behind a request.
    pub fn of(head: &Parts, peer: IpAddr) -> Self {
        let address = match peer {
            IpAddr::V4(v4) => xxh3_64(&v4.octets()),
            IpAddr::V6(v6) => xxh3_64(&v6.octets()),
        };
        let known = key(&head.headers).or_else(|| cookie(&head.headers));
        if let Some(known) = known {
            return Self { who: xxh3_64(known), address, cookie: None };
        }
        // Counted by the new name at once, or everybody would count twice on the first day.
        if head.method == Method::GET && head.uri.path() == "/" && is_browser(&head.headers) {
            let name = request_id::choose(&HeaderMap::new());
            let text = format!("{NAME}={name}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
            return Self { who: xxh3_64(name.as_bytes()), address, cookie: HeaderValue::try_from(text).ok() };
        }
        let agent = head.headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
        Self { who: xxh3_64_with_seed(agent, address), address, cookie: None }
    }
}

fn key(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(AUTHORIZATION).or_else(|| headers.get("x-api-key")).map(|value| value.as_bytes())
}

fn cookie(headers: &HeaderMap) -> Option<&[u8]> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == NAME)?;
    (!value.is_empty() && value.len() <= LONGEST).then_some(value.as_bytes())
}

/// Programs take anything; a browser that opens a page asks for a page, and keeps cookies.
fn is_browser(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(path: &str, address: [u8; 4], headers: &[(&str, &str)]) -> Visitor {
        let mut request = http::Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("a request").into_parts();
        Visitor::of(&head, address.into())
    }

    #[test]
    fn without_a_name_it_is_address_and_program() {
        let at = |address, agent| visitor("/detect", address, &[("User-Agent", agent)]).who;
        assert_eq!(at([1, 1, 1, 1], "a"), at([1, 1, 1, 1], "a"));
        assert_ne!(at([1, 1, 1, 1], "a"), at([1, 1, 1, 1], "b"));
        assert_ne!(at([1, 1, 1, 1], "a"), at([1, 1, 1, 2], "a"));
    }

    #[test]
    fn a_key_or_a_cookie_is_the_same_visitor_from_everywhere() {
        for header in
            [("Authorization", "Bearer x"), ("X-API-Key", "x"), ("Cookie", "a=b; detectd_visitor=x")]
        {
            let [one, other] =
                [[1, 1, 1, 1], [2, 2, 2, 2]].map(|address| visitor("/detect", address, &[header]));
            assert_eq!(one.who, other.who, "{header:?}");
            assert_ne!(one.address, other.address);
        }
        let two = ["x", "y"].map(|name| {
            visitor("/detect", [1, 1, 1, 1], &[("Cookie", &format!("detectd_visitor={name}"))]).who
        });
        assert_ne!(two[0], two[1]);
    }

    #[test]
    fn a_browser_that_opens_the_page_gets_a_cookie_and_is_counted_by_it() {
        let first = visitor("/", [1, 1, 1, 1], &[("Accept", "text/html,*/*;q=0.8")]);
        let cookie = first.cookie.expect("a cookie");
        let cookie = cookie.to_str().expect("text");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let pair = cookie.split(';').next().expect("a pair");
        let again = visitor("/detect", [3, 3, 3, 3], &[("Cookie", pair)]);
        assert_eq!(first.who, again.who);
        assert!(again.cookie.is_none());
        assert!(visitor("/", [1, 1, 1, 1], &[("Accept", "*/*")]).cookie.is_none(), "curl keeps none");
    }
}
