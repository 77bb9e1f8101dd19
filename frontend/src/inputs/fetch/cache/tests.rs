use super::*;

fn request() -> Request<()> {
    Request::get("http://a/").body(()).unwrap()
}

fn fresh() -> Response<()> {
    Response::builder().header(CACHE_CONTROL, "max-age=60").body(()).unwrap()
}

fn picture(bytes: usize) -> Picture {
    Picture { bytes: vec![1; bytes].into(), room: Arc::new(Budget::new(1 << 20).room()) }
}

fn has(cache: &Cache, key: &str) -> bool {
    matches!(cache.look(key, &request()), Held::Fresh(_))
}

#[test]
fn the_longest_unused_goes_first() {
    // Each takes two kibibytes: its 1000 bytes, its headers and what an entry costs.
    let cache = Cache::new(7 << 10);
    for key in ["a", "b", "c"] {
        cache.keep(key, &request(), &fresh(), picture(1000));
    }
    assert!(has(&cache, "a") && has(&cache, "b") && has(&cache, "c"));
    assert!(has(&cache, "a"), "b is the longest unused now");
    cache.keep("d", &request(), &fresh(), picture(1000));
    assert!(!has(&cache, "b"));
    assert!(has(&cache, "a") && has(&cache, "c") && has(&cache, "d"));
}

#[test]
fn what_a_request_uses_counts_until_it_is_done() {
    let cache = Cache::new(4 << 10);
    let used = cache.keep("a", &request(), &fresh(), picture(2000));
    assert!(has(&cache, "a"));
    cache.keep("b", &request(), &fresh(), picture(2000));
    assert!(!has(&cache, "b"), "the first one's bytes are still there");
    assert!(!has(&cache, "a"), "but it had to go");
    drop(used);
    cache.keep("b", &request(), &fresh(), picture(2000));
    assert!(has(&cache, "b"));
}

#[test]
fn what_is_too_large_puts_nothing_out() {
    let cache = Cache::new(4 << 10);
    cache.keep("a", &request(), &fresh(), picture(100));
    cache.keep("b", &request(), &fresh(), picture(5000));
    assert!(has(&cache, "a") && !has(&cache, "b"));
}

#[test]
fn a_cache_of_nothing_keeps_nothing() {
    let cache = Cache::new(0);
    let back = cache.keep("a", &request(), &fresh(), picture(10));
    assert_eq!(back.bytes.len(), 10);
    assert!(!has(&cache, "a"));
}

#[test]
fn a_picture_that_may_not_be_kept_ends_the_one_before() {
    let cache = Cache::new(1 << 20);
    cache.keep("a", &request(), &fresh(), picture(10));
    let secret = Response::builder().header(CACHE_CONTROL, "no-store").body(()).unwrap();
    cache.keep("a", &request(), &secret, picture(10));
    assert!(!has(&cache, "a"));
}

#[test]
fn long_headers_count_and_others_are_left_out() {
    let cache = Cache::new(8 << 10);
    let long = Response::builder()
        .header(CACHE_CONTROL, "max-age=60")
        .header(ETAG, format!("\"{}\"", "x".repeat(9000)))
        .body(())
        .unwrap();
    cache.keep("a", &request(), &long, picture(10));
    assert!(!has(&cache, "a"));
    let other = Response::builder().header(CACHE_CONTROL, "max-age=60").header("x-note", "x".repeat(9000));
    cache.keep("a", &request(), &other.body(()).unwrap(), picture(10));
    assert!(has(&cache, "a"));
}
