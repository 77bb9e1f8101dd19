//! What fetches share: connections, the cache, each other.

use super::*;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::atomic::AtomicUsize;

/// A picture that is not [`PICTURE`].
const OTHER: &[u8] = b"\xff\xd8\xff\xe1 another one, as far as anyone can tell from here";

fn plain() -> UrlConfig {
    UrlConfig { cache: 0, ..config() }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let site = Site::open(|_| Act::Keep(ok(PICTURE))).await;
    let pooled = fetcher(&plain());
    for (path, dialled) in [("/a", 1), ("/b", 0), ("/a", 0)] {
        let fetched = fetch_with(&pooled, &site.url(path)).await.unwrap();
        assert_eq!((&fetched.bytes[..], fetched.origin, fetched.dialled), (PICTURE, Origin::Server, dialled));
    }
    assert_eq!(site.connections(), 1);

    let single = fetcher(&UrlConfig { keep_alive: Duration::ZERO, ..plain() });
    for _ in 0..3 {
        assert_eq!(fetch_with(&single, &site.url("/")).await.unwrap().dialled, 1);
    }
    assert_eq!(site.connections(), 4, "three more");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let site = Site::open(|_| Act::Send(ok(PICTURE))).await;
    let fetcher = fetcher(&plain());
    for count in 1..=5 {
        assert_eq!(fetch_with(&fetcher, &site.url("/")).await.unwrap().bytes, PICTURE);
        assert_eq!(site.connections(), count);
    }
}

#[tokio::test]
async fn what_was_not_read_to_its_end_is_not_used_again() {
    let long = [PICTURE, &vec![0; 4 << 20]].concat();
    let site = Site::open(move |path| Act::Keep(if path == "/long" { ok(&long) } else { ok(PICTURE) })).await;
    let fetcher = fetcher(&plain());
    assert_eq!(fetch_with(&fetcher, &site.url("/long")).await.unwrap_err(), failed());
    assert_eq!(fetch_with(&fetcher, &site.url("/")).await.unwrap().bytes, PICTURE);
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    // Twice the concurrency may be kept; a connection above that serves one fetch.
    let fetcher = fetcher(&UrlConfig { concurrency: 1, ..plain() });
    let mut sites = Vec::new();
    for _ in 0..4 {
        let site = Site::open(|_| Act::Keep(ok(PICTURE))).await;
        fetch_with(&fetcher, &site.url("/")).await.unwrap();
        sites.push(site);
    }
    for site in &sites {
        fetch_with(&fetcher, &site.url("/")).await.unwrap();
    }
    let counts: Vec<_> = sites.iter().map(Site::connections).collect();
    assert_eq!(counts, [1, 1, 2, 2]);
}

#[tokio::test]
async fn a_host_has_its_own_bound() {
    let site = Site::open(|_| Act::KeepLate(Duration::from_millis(20), ok(PICTURE))).await;
    let fetcher = Arc::new(fetcher(&UrlConfig { concurrency_per_host: 2, ..plain() }));
    let mut fetches = JoinSet::new();
    for k in 0..8 {
        let (fetcher, url) = (fetcher.clone(), site.url(&format!("/{k}")));
        fetches.spawn(async move { fetch_with(&fetcher, &url).await });
    }
    while let Some(done) = fetches.join_next().await {
        assert_eq!(done.unwrap().unwrap().bytes, PICTURE);
    }
    assert_eq!(site.peak.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn one_http2_connection_carries_many_fetches() {
    let (acceptor, authority) = certificate_for(&["localhost"], &[b"h2"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut tasks = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let stream = acceptor.accept(stream).await.unwrap();
            tasks.spawn(async move {
                let answer = service_fn(|request: Request<Incoming>| async move {
                    assert_eq!(request.version(), http::Version::HTTP_2);
                    assert!(request.headers().get(http::header::HOST).is_none());
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(PICTURE))))
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    let trusting = UrlConfig { ca_file: Some(authority.path().to_owned()), ..plain() };
    let fetcher = Arc::new(fetcher(&trusting));
    fetch_with(&fetcher, &format!("https://localhost:{port}/")).await.unwrap();
    let mut fetches = JoinSet::new();
    for k in 0..16 {
        let fetcher = fetcher.clone();
        fetches.spawn(async move { fetch_with(&fetcher, &format!("https://localhost:{port}/{k}")).await });
    }
    while let Some(done) = fetches.join_next().await {
        let fetched = done.unwrap().unwrap();
        assert_eq!((&fetched.bytes[..], fetched.dialled), (PICTURE, 0));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn all_who_want_one_address_share_one_fetch() {
    let mut site = Site::open(|_| Act::KeepLate(Duration::from_millis(300), ok(PICTURE))).await;
    let fetcher = Arc::new(fetcher(&plain()));
    let mut fetches = JoinSet::new();
    for _ in 0..64 {
        let (fetcher, url) = (fetcher.clone(), site.url("/slow.jpg"));
        fetches.spawn(async move {
            fetch_with(&fetcher, &url).await.map(|fetched| (fetched.bytes, fetched.origin))
        });
    }
    let mut origins = Vec::new();
    while let Some(done) = fetches.join_next().await {
        let (bytes, origin) = done.unwrap().unwrap();
        assert_eq!(bytes, PICTURE);
        origins.push(origin);
    }
    assert_eq!(origins.iter().filter(|&&origin| origin == Origin::Server).count(), 1);
    assert_eq!(origins.iter().filter(|&&origin| origin == Origin::Shared).count(), 63);
    assert_eq!((site.asked(), site.connections()), (1, 1));
}

#[tokio::test]
async fn who_began_a_shared_fetch_may_leave_it() {
    let mut site = Site::open(|_| Act::KeepLate(Duration::from_millis(200), ok(PICTURE))).await;
    let fetcher = Arc::new(fetcher(&plain()));
    let begin = |deadline: Duration| {
        let (fetcher, url) = (fetcher.clone(), site.url("/"));
        tokio::spawn(async move { fetcher.fetch(&url, Instant::now() + deadline, &mut roomy()).await })
    };
    let first = begin(Duration::from_secs(60));
    let hasty = begin(Duration::from_millis(50));
    let patient = begin(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(20)).await;
    first.abort();
    assert_eq!(hasty.await.unwrap().unwrap_err().code, Code::UrlTimeout, "each has its own deadline");
    assert_eq!(patient.await.unwrap().unwrap().bytes, PICTURE);
    assert_eq!(site.asked(), 1);
}

/// What a site says of its picture, and where the second fetch of it comes from.
#[tokio::test]
async fn servers_say_what_may_be_kept() {
    use Origin::{Cache, Confirmed, Server};
    let cases = [
        ("", Server),
        ("Cache-Control: max-age=60", Cache),
        ("Cache-Control: s-maxage=60", Cache),
        ("Cache-Control: public, max-age=60", Cache),
        ("Cache-Control: max-age=0, s-maxage=60", Cache),
        ("Cache-Control: max-age=60\r\nAge: 10", Cache),
        ("Cache-Control: max-age=60\r\nAge: 61", Server),
        ("Cache-Control: max-age=60\r\nAge: 61\r\nETag: \"v1\"", Confirmed),
        ("Cache-Control: no-store", Server),
        ("Cache-Control: no-store, max-age=60", Server),
        ("Cache-Control: no-store\r\nETag: \"v1\"", Server),
        ("Cache-Control: private, max-age=60", Server),
        ("Cache-Control: no-cache", Server),
        ("Cache-Control: no-cache\r\nETag: \"v1\"", Confirmed),
        ("Cache-Control: max-age=0\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT", Confirmed),
        ("Cache-Control: must-revalidate, max-age=60", Cache),
        ("Cache-Control: max-age=60\r\nVary: *", Server),
        ("Cache-Control: max-age=60\r\nVary: Accept, Cookie", Cache),
        ("Pragma: no-cache", Server),
        ("Expires: Thu, 01 Jan 1970 00:00:00 GMT", Server),
        ("Expires: Fri, 01 Jan 2100 00:00:00 GMT", Cache),
        ("Expires: 0\r\nETag: W/\"v1\"", Confirmed),
        ("ETag: \"v1\"", Confirmed),
        ("ETag: W/\"v1\"", Confirmed),
        // Ten percent of its age is what nobody objects to.
        ("Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT", Cache),
    ];
    for (said, expected) in cases {
        let mut site = Site::open_at(std::net::Ipv4Addr::LOCALHOST, move |head| {
            let asks_again = head.contains("if-none-match: ") || head.contains("if-modified-since: ");
            Act::Keep(if asks_again { answer("304 Not Modified", b"") } else { said_of(PICTURE, said) })
        })
        .await;
        let fetcher = fetcher(&config());
        let first = fetch_with(&fetcher, &site.url("/a")).await.unwrap();
        assert_eq!(first.origin, Server, "{said}");
        // Another address, and the same with a fragment, which a server never sees.
        assert_eq!(fetch_with(&fetcher, &site.url("/b")).await.unwrap().origin, Server, "{said}");
        let second = fetch_with(&fetcher, &site.url("/a#part")).await.unwrap();
        assert_eq!((second.origin, &second.bytes[..]), (expected, PICTURE), "{said}");
        assert_eq!(site.asked(), if expected == Cache { 2 } else { 3 }, "{said}");
    }
}

fn said_of(picture: &[u8], said: &str) -> Vec<u8> {
    let line = if said.is_empty() { String::new() } else { format!("{said}\r\n") };
    answer(&format!("200 OK\r\n{line}Content-Length: {}", picture.len()), picture)
}

#[tokio::test]
async fn a_picture_that_changed_is_fetched_anew() {
    let versions = AtomicUsize::new(0);
    let site = Site::open_at(std::net::Ipv4Addr::LOCALHOST, move |head| {
        let version = versions.fetch_add(1, Ordering::SeqCst);
        match version {
            0 => Act::Keep(said_of(PICTURE, "ETag: \"v0\"")),
            1 => {
                assert!(head.contains("if-none-match: \"v0\"\r\n"), "{head}");
                Act::Keep(said_of(OTHER, "ETag: \"v1\""))
            }
            2 => {
                assert!(head.contains("if-none-match: \"v1\"\r\n"), "{head}");
                // An answer about something that was never kept.
                Act::Keep(answer("304 Not Modified\r\nETag: \"v9\"", b""))
            }
            _ => {
                assert!(!head.contains("if-none-match"), "{head}");
                Act::Keep(said_of(PICTURE, "Cache-Control: max-age=60"))
            }
        }
    })
    .await;
    let fetcher = fetcher(&config());
    let url = site.url("/");
    for expected in [
        Ok((PICTURE, Origin::Server)),
        Ok((OTHER, Origin::Server)),
        Err(failed()),
        Ok((PICTURE, Origin::Server)),
        Ok((PICTURE, Origin::Cache)),
    ] {
        let got = fetch_with(&fetcher, &url).await.map(|fetched| (fetched.bytes, fetched.origin));
        assert_eq!(got, expected.map(|(bytes, origin)| (Bytes::from_static(bytes), origin)));
    }
}

#[tokio::test]
async fn redirects_are_judged_and_what_they_lead_to_is_kept() {
    let mut site = Site::open(|path| match path {
        "/old" => Act::Keep(answer(
            "301 Moved\r\nCache-Control: max-age=60\r\nContent-Length: 0\r\nLocation: /new",
            b"",
        )),
        _ => Act::Keep(said_of(PICTURE, "Cache-Control: max-age=60")),
    })
    .await;
    let fetcher = fetcher(&config());
    assert_eq!(fetch_with(&fetcher, &site.url("/old")).await.unwrap().origin, Origin::Server);
    assert_eq!(site.asked(), 2);
    assert_eq!(fetch_with(&fetcher, &site.url("/old")).await.unwrap().origin, Origin::Cache);
    assert_eq!(site.asked(), 1, "where an address leads is asked each time");
    assert_eq!(fetch_with(&fetcher, &site.url("/new")).await.unwrap().origin, Origin::Cache);
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn mistakes_are_not_kept() {
    let asked = AtomicUsize::new(0);
    let site = Site::open(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Act::Keep(answer("404 Not Found\r\nCache-Control: max-age=60\r\nContent-Length: 0", b"")),
        1 => Act::Keep(said_of(
            b"<html> this is a page, and a long one at that, which is no picture",
            "Cache-Control: max-age=60",
        )),
        _ => Act::Keep(ok(PICTURE)),
    })
    .await;
    let fetcher = fetcher(&config());
    for _ in 0..2 {
        assert_eq!(fetch_with(&fetcher, &site.url("/")).await.unwrap_err(), failed());
    }
    assert_eq!(fetch_with(&fetcher, &site.url("/")).await.unwrap().bytes, PICTURE);
}

/// A certificate as [`certificate`] makes it, for a server that speaks these protocols.
fn certificate_for(names: &[&str], protocols: &[&[u8]]) -> (TlsAcceptor, tempfile::NamedTempFile) {
    let (acceptor, file) = certificate(names);
    let mut config = ServerConfig::clone(acceptor.config());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), file)
}
