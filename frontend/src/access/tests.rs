//! Keys, limits and origins by themselves; over HTTP in the end-to-end tests.

use super::bucket::Buckets;
use super::*;
use http::Request;
use std::time::Duration;

const KEY: &str = "correct-horse-battery";

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

fn keys(text: &str) -> (tempfile::NamedTempFile, AccessConfig) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&file, text).expect("room");
    let config = AccessConfig { keys: file.path().to_owned(), ..AccessConfig::default() };
    (file, config)
}

fn code(access: &Access, head: &Parts) -> Option<Code> {
    access.check(head, [192, 0, 2, 1].into(), Instant::now()).err().map(|error| error.code)
}

#[test]
fn nothing_is_asked_until_it_is_configured() {
    let access = Access::new(&AccessConfig::default()).expect("no file");
    assert_eq!(code(&access, &head("POST", "/detect", &[])), None);
    let mut answer = HeaderMap::new();
    access.allow_origin(&head("GET", "/", &[("origin", "https://a.example")]), &mut answer);
    assert!(answer.is_empty());
}

#[test]
fn a_key_is_known_in_both_headers_and_both_forms() {
    // printf %s 'staple-of-the-stable' | sha256sum
    let hashed = Sha256Hex::of("staple-of-the-stable");
    let (_file, config) = keys(&format!("# ours\n\nweb {KEY}\nbatch sha256:{hashed}\n"));
    let access = Access::new(&config).expect("keys");
    let asks = |headers: &[(&str, &str)]| code(&access, &head("POST", "/detect", headers));
    assert_eq!(asks(&[]), Some(Code::KeyRequired));
    assert_eq!(asks(&[("authorization", "Basic Zm9vOmJhcg==")]), Some(Code::KeyRequired));
    assert_eq!(asks(&[("x-api-key", KEY)]), None);
    assert_eq!(asks(&[("authorization", &format!("Bearer {KEY}"))]), None);
    assert_eq!(asks(&[("authorization", "bearer staple-of-the-stable")]), None);
    for wrong in ["", "x", &KEY[1..], &format!("{KEY}x"), &hashed, &format!("sha256:{hashed}")] {
        assert_eq!(asks(&[("x-api-key", wrong)]), Some(Code::KeyRefused), "{wrong}");
    }
    for (method, path) in
        [("GET", "/healthz"), ("HEAD", "/"), ("GET", "/assets/app.js"), ("OPTIONS", "/detect")]
    {
        assert_eq!(code(&access, &head(method, path, &[])), None, "{path}");
    }
    for path in ["/metrics", "/stats", "/detect", "/anything/new"] {
        assert_eq!(code(&access, &head("GET", path, &[])), Some(Code::KeyRequired), "{path}");
    }
}

struct Sha256Hex;

impl Sha256Hex {
    fn of(text: &str) -> String {
        use sha2::Digest;
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[test]
fn configured_digests_are_keys_alone_and_beside_a_file() {
    let digest = Sha256Hex::of("staple-of-the-stable");
    let alone = AccessConfig { key_digests: vec![digest.clone()], ..AccessConfig::default() };
    let (_file, beside) = keys(&format!("web {KEY}\n"));
    let beside = AccessConfig { key_digests: vec![digest.clone()], ..beside };
    for (config, file_counts) in [(alone, false), (beside, true)] {
        let access = Access::new(&config).expect("keys");
        let asks = |key| code(&access, &head("POST", "/detect", &[("x-api-key", key)]));
        assert_eq!(asks("staple-of-the-stable"), None);
        assert_eq!(asks(&digest), Some(Code::KeyRefused));
        assert_eq!(asks(KEY), if file_counts { None } else { Some(Code::KeyRefused) });
        assert_eq!(code(&access, &head("POST", "/detect", &[])), Some(Code::KeyRequired));
    }
    for bad in ["", "x", &digest[1..], &format!("sha256:{digest}")] {
        let config =
            AccessConfig { key_digests: vec![digest.clone(), bad.to_owned()], ..AccessConfig::default() };
        let error = Access::new(&config).expect_err("no digest").to_string();
        assert!(error.contains("access.key_digests: entry 2"), "{error}");
    }
}

#[test]
fn a_file_that_is_changed_is_taken_up_and_a_bad_one_is_not() {
    let (file, config) = keys(&format!("web {KEY}\n"));
    let access = Access::new(&config).expect("keys");
    let asks = |key: &str| code(&access, &head("POST", "/detect", &[("x-api-key", key)]));
    std::fs::write(&file, "web short\n").expect("room");
    access.refresh();
    assert_eq!(asks(KEY), None, "a bad file changes nothing");
    std::fs::write(&file, "web another-key-of-ours\n").expect("room");
    access.refresh();
    assert_eq!(asks(KEY), Some(Code::KeyRefused));
    assert_eq!(asks("another-key-of-ours"), None);
}

#[test]
fn files_that_hold_no_keys_are_refused_without_telling_them() {
    for text in ["", "# nothing\n", "web\n", "web secret\n", "web a b\n", "web sha256:12\n"] {
        let (_file, config) = keys(text);
        let error = Access::new(&config).expect_err(text).to_string();
        assert!(error.starts_with("access.keys: ") && !error.contains("secret"), "{error}");
    }
    let config = AccessConfig { keys: "/nonexistent/keys".into(), ..AccessConfig::default() };
    Access::new(&config).expect_err("no file");
}

#[test]
fn a_bucket_allows_a_burst_and_then_the_rate() {
    let buckets = Buckets::new(30, 3).expect("a limit");
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(buckets.take("a", start), Ok(()));
    }
    assert_eq!(buckets.take("a", start), Err(2), "one in two seconds");
    assert_eq!(buckets.take("b", start), Ok(()), "each has a bucket");
    assert_eq!(buckets.take("a", start + Duration::from_secs(2)), Ok(()));
    assert_eq!(buckets.take("a", start + Duration::from_secs(2)), Err(2));
    for _ in 0..3 {
        assert_eq!(buckets.take("a", start + Duration::from_secs(3600)), Ok(()), "never more than the burst");
    }
    assert!(buckets.take("a", start + Duration::from_secs(3600)).is_err());
    assert!(Buckets::<u8>::new(0, 5).is_none());
}

#[test]
fn strangers_without_number_share_what_is_left() {
    let buckets = Buckets::new(1, 1).expect("a limit");
    let start = Instant::now();
    let admitted = (0..200_000u32).filter(|client| buckets.take(*client, start).is_ok()).count();
    assert_eq!(admitted, (1 << 16) + 1);
    assert_eq!(buckets.take(300_000, start + Duration::from_secs(60)), Ok(()), "full buckets are forgotten");
}

#[test]
fn an_address_that_asks_too_often_is_told_when_to_come_back() {
    let config = AccessConfig { address_rate: 6, address_burst: 1, ..AccessConfig::default() };
    let access = Access::new(&config).expect("no file");
    let now = Instant::now();
    let ask = |peer: &str, path: &str| {
        access.check(&head("POST", path, &[]), peer.parse().expect("an address"), now)
    };
    assert_eq!(ask("2001:db8::1", "/detect"), Ok(()));
    let refused = ask("2001:db8::2", "/detect").expect_err("the same network");
    assert_eq!((refused.code, refused.retry_after), (Code::RateLimited, Some(10)));
    assert_eq!(ask("2001:db8:0:1::1", "/detect"), Ok(()));
}

#[test]
fn only_listed_origins_hear_what_browsers_ask_for() {
    let origins = vec!["https://a.example".to_owned()];
    let access =
        Access::new(&AccessConfig { cors_origins: origins, ..AccessConfig::default() }).expect("no file");
    let answer = |method: &str, headers: &[(&str, &str)]| {
        let mut answer = HeaderMap::new();
        access.allow_origin(&head(method, "/detect", headers), &mut answer);
        answer
    };
    let allowed = answer("POST", &[("origin", "https://a.example")]);
    assert_eq!(allowed.get("access-control-allow-origin").expect("allowed"), "https://a.example");
    assert!(!allowed.contains_key("access-control-allow-methods"));
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    assert!(answer("OPTIONS", &preflight).contains_key("access-control-allow-headers"));
    let other = answer("POST", &[("origin", "https://a.example.evil")]);
    assert!(!other.contains_key("access-control-allow-origin"));
    assert_eq!(other.get("vary").expect("answers differ"), "Origin");
    let bad = |origin: &str| {
        let config = AccessConfig { cors_origins: vec![origin.to_owned()], ..AccessConfig::default() };
        config.bad_origin().is_some()
    };
    assert!(bad("example.com") && bad("https://a.example/") && !bad("*") && !bad("http://localhost:3000"));
}
