//! The requests that are refused before a route, and what each route answers, over a real socket.

use super::*;
use crate::testing::{Rig, wait_for};
use shm_proto::board::Counter;

#[test]
fn requests_that_could_be_misread_are_refused() {
    let rig = Rig::start();
    let long = "a".repeat(MAX_TARGET);
    let fields: String = (0..100).map(|k| format!("x-{k}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(40_000));
    for (request, status, code) in [
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n", 200, ""),
        ("GET /healthz HTTP/1.0\r\n", 200, ""),
        ("GET /healthz HTTP/1.1\r\n", 400, "bad_request"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "bad_request"),
        ("GET http://a/healthz HTTP/1.1\r\nHost: a\r\n", 200, ""),
        ("GET http://b/healthz HTTP/1.1\r\nHost: a\r\n", 400, "bad_request"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n", 417, "expectation_failed"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n", 405, "method_not_allowed"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n", 405, "method_not_allowed"),
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n", 404, "not_found"),
        ("GET /detect HTTP/1.1\r\nHost: a\r\n", 405, "method_not_allowed"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n", 405, "method_not_allowed"),
        (&format!("GET /?{long} HTTP/1.1\r\nHost: a\r\n"), 414, "uri_too_long"),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}"), 431, "header_too_large"),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{large}"), 431, "header_too_large"),
    ] {
        let answer = rig.ask(request, b"");
        let shown = &request[..request.len().min(60)];
        assert_eq!(answer.status, status, "{shown}");
        if !code.is_empty() {
            assert_eq!(answer.problem().1, code, "{shown}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[test]
fn what_hyper_refuses_is_counted_too() {
    let rig = Rig::start();
    let fields: String = (0..200).map(|k| format!("x-{k}: y\r\n")).collect();
    assert_eq!(rig.ask(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}"), b"").status, 431);
    assert_eq!(rig.ask("\0\0 / HTTP/1.1\r\n", b"").status, 400);
    wait_for("both are counted", || {
        rig.refused(Code::HeaderTooLarge) == 1 && rig.refused(Code::BadRequest) == 1
    });
    assert_eq!(rig.counter(Counter::Requests), 2);
}

#[test]
fn bytes_are_counted_where_they_come_in() {
    let rig = Rig::start();
    let head = "POST /detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n";
    rig.ask(head, b"no picture");
    assert_eq!(rig.counter(Counter::BytesIn), 10);
    rig.connect().ask(&format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"), b"");
    assert_eq!(rig.counter(Counter::BytesIn), 13);
}

#[test]
fn every_route_answers_its_methods_and_names_them() {
    let rig = Rig::start();
    for (path, methods) in ROUTES {
        let options = rig.ask(&format!("OPTIONS {path} HTTP/1.1\r\nHost: a\r\n"), b"");
        assert_eq!((options.status, options.header("allow")), (204, Some(methods)), "{path}");
        let wrong = rig.ask(&format!("PUT {path} HTTP/1.1\r\nHost: a\r\n"), b"");
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some(methods)), "{path}");
        // A stream has no length; it has tests of its own.
        if methods == GET && path != "/events" {
            let get = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n"), b"");
            assert_eq!(get.status, 200, "{path}");
            assert!(!get.body.is_empty(), "{path}");
            let head = rig.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n"), b"");
            assert_eq!(head.status, 200, "{path}");
            assert!(head.header("content-length").is_some(), "{path}");
        }
    }
    assert_eq!(rig.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n", b"").status, 204);
}

#[test]
fn a_head_leaves_nothing_behind_on_its_connection() {
    let rig = Rig::start();
    let mut client = rig.connect();
    assert_eq!(client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    assert_eq!(client.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").body, b"ok\n");
}

#[test]
fn every_answer_carries_the_requests_id() {
    let rig = Rig::start();
    for path in ["/healthz", "/nothing"] {
        let answer = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: abc-1\r\n"), b"");
        assert_eq!(answer.header("x-request-id"), Some("abc-1"), "{path}");
        let answer = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n"), b"");
        assert_eq!(answer.header("x-request-id").map(str::len), Some(26), "{path}");
    }
}

#[test]
fn pages_allow_nothing_but_themselves() {
    let rig = Rig::start();
    let page = rig.ask("GET / HTTP/1.1\r\nHost: a\r\n", b"");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let text = String::from_utf8(page.body).unwrap();
    for inline in ["<style", "style=", "onclick", "onload", "http://", "https://", "<script>"] {
        assert!(!text.contains(inline), "the page has {inline}");
    }
}

#[test]
fn what_a_page_loads_is_kept_for_ever_under_its_version_only() {
    let rig = Rig::start();
    let page = String::from_utf8(rig.ask("GET / HTTP/1.1\r\nHost: a\r\n", b"").body).unwrap();
    let address = page.split('"').find(|part| part.ends_with("tokens.css")).expect("a style sheet");
    let css = rig.ask(&format!("GET {address} HTTP/1.1\r\nHost: a\r\n"), b"");
    assert_eq!((css.status, css.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(css.header("cache-control").is_some_and(|keep| keep.contains("immutable")), "{}", css.head);
    let tag = css.header("etag").expect("a tag");
    let known = rig.ask(&format!("GET {address} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n"), b"");
    assert_eq!((known.status, known.body.len()), (304, 0));
    let former = rig.ask("GET /assets/0123/css/tokens.css HTTP/1.1\r\nHost: a\r\n", b"");
    assert_eq!((former.status, former.header("cache-control")), (200, Some("no-cache")));
    for nothing in
        ["/assets/", "/assets/0123", "/assets/0123/", "/assets/0123/parts/head.html", "/assets/0123/../x"]
    {
        assert_eq!(rig.ask(&format!("GET {nothing} HTTP/1.1\r\nHost: a\r\n"), b"").status, 404, "{nothing}");
    }
    let wrong = rig.ask(&format!("PUT {address} HTTP/1.1\r\nHost: a\r\n"), b"");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some(GET)));
}

#[test]
fn readiness_follows_the_service() {
    let rig = Rig::with(|_| {}, 1, false);
    let answer = rig.ask("GET /readyz HTTP/1.1\r\nHost: a\r\n", b"");
    assert_eq!(answer.problem(), (503, "engine_unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(rig.ask("GET /healthz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    drop(rig);

    let rig = Rig::start();
    assert_eq!(rig.ask("GET /readyz HTTP/1.1\r\nHost: a\r\n", b"").status, 200);
    rig.service.board.set_state(shm_proto::board::ServiceState::Draining);
    assert_eq!(rig.ask("GET /readyz HTTP/1.1\r\nHost: a\r\n", b"").problem(), (503, "draining".to_owned()));
}
