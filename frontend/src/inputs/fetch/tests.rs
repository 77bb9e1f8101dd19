mod refused;
mod reuse;

use super::*;
use crate::inputs::roomy;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::site::{Act, Site};

const LIMIT: u64 = 1000;
const PICTURE: &[u8] = b"\xff\xd8\xff\xe0 as far as anyone can tell from here";

/// Fetching as the tests need it: from this machine, from any port, in a time that nobody waits for.
fn config() -> UrlConfig {
    UrlConfig {
        ports: Vec::new(),
        allow_networks: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        connect_timeout: Duration::from_secs(30),
        first_byte_timeout: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        ..UrlConfig::default()
    }
}

fn fetcher(config: &UrlConfig) -> Fetcher {
    Fetcher::new(config, LIMIT, Budget::new(1 << 20)).unwrap()
}

async fn fetch(config: &UrlConfig, url: &str) -> Result<Bytes, RequestError> {
    fetch_with(&fetcher(config), url).await.map(|fetched| fetched.bytes)
}

async fn fetch_with(fetcher: &Fetcher, url: &str) -> Result<Fetched, RequestError> {
    fetcher.fetch(url, Instant::now() + Duration::from_secs(60), &mut roomy()).await
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer(&format!("200 OK\r\nContent-Length: {}", body.len()), body)
}

fn to(location: &str) -> Act {
    Act::Send(answer(&format!("302 Found\r\nContent-Length: 0\r\nLocation: {location}"), b""))
}

fn failed() -> RequestError {
    Code::UrlFailed.because("no picture could be fetched from the address")
}

#[tokio::test]
async fn a_picture_is_fetched_with_a_plain_question() {
    let mut site = Site::open(|_| Act::Send(ok(PICTURE))).await;
    assert_eq!(fetch(&config(), &site.url("/a%20b.jpg?x=1&y#part")).await.as_deref(), Ok(PICTURE));
    let request = site.requests.recv().await.unwrap().to_ascii_lowercase();
    let expected = format!(
        "get /a%20b.jpg?x=1&y http/1.1\r\nuser-agent: {AGENT}\r\naccept: image/*\r\n\
         accept-encoding: identity\r\nhost: {}\r\n\r\n",
        site.address
    );
    assert_eq!(request, expected, "and no header more");
}

#[tokio::test]
async fn every_way_to_end_a_body_is_read() {
    let chunked = [
        answer("200 OK\r\nTransfer-Encoding: chunked", b"4\r\n\xff\xd8\xff\xe0\r\n").as_slice(),
        format!("{:x}\r\n", PICTURE.len() - 4).as_bytes(),
        &PICTURE[4..],
        b"\r\n0\r\nTrailer: x\r\n\r\n",
    ]
    .concat();
    let until_close = answer("200 OK\r\nContent-Encoding: identity", PICTURE);
    let old = [b"HTTP/1.0 200 OK\r\n\r\n", PICTURE].concat();
    for bytes in [chunked, until_close, old] {
        let site = Site::open(move |_| Act::Send(bytes.clone())).await;
        assert_eq!(fetch(&config(), &site.url("/")).await.as_deref(), Ok(PICTURE));
    }
}

#[tokio::test]
async fn whatever_is_no_picture_fails_with_one_text() {
    let long = LIMIT as usize + 1;
    let large = [PICTURE, &vec![0; long - PICTURE.len()]].concat();
    let headers: String = (0..100).map(|i| format!("X-{i}: 1\r\n")).collect();
    let answers = [
        ok(b"<html>router login</html>"),
        ok(b""),
        answer("204 No Content", b""),
        answer("206 Partial Content\r\nContent-Length: 4", &PICTURE[..4]),
        answer("304 Not Modified", b""),
        answer("401 Unauthorized\r\nContent-Length: 0", b""),
        [b"HTTP/1.1 404 Not Found\r\n\r\n", PICTURE].concat(),
        answer("500 Oops\r\nContent-Length: 0", b""),
        answer("302 Found\r\nContent-Length: 0", b""),
        answer("302 Found\r\nContent-Length: 0\r\nLocation: \u{ff}", b""),
        answer("200 OK\r\nContent-Encoding: gzip", PICTURE),
        answer("200 OK\r\nContent-Length: 100", PICTURE),
        answer("200 OK\r\nTransfer-Encoding: chunked", b"ZZ\r\n"),
        ok(&large),
        answer("200 OK", &large),
        answer(&format!("200 OK\r\nContent-Length: {}", u64::MAX), PICTURE),
        answer(&format!("200 OK\r\n{headers}Content-Length: 4"), &PICTURE[..4]),
        answer(&format!("200 OK\r\nX-Long: {}", "x".repeat(100_000)), PICTURE),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        b"-ERR unknown command 'GET'\r\n".to_vec(),
        b"".to_vec(),
    ];
    for bytes in answers {
        let shown = String::from_utf8_lossy(&bytes).chars().take(60).collect::<String>();
        let site = Site::open(move |_| Act::Send(bytes.clone())).await;
        assert_eq!(fetch(&config(), &site.url("/")).await, Err(failed()), "{shown:?}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(fetch(&config(), &format!("http://{closed}/")).await, Err(failed()), "closed port");
}

#[tokio::test]
async fn a_name_with_a_refused_address_looks_like_a_closed_port_and_is_not_dialled() {
    let mut site = Site::open(|_| Act::Send(ok(PICTURE))).await;
    let strict = UrlConfig { allow_networks: Vec::new(), ..config() };
    let url = format!("http://localhost:{}/", site.address.port());
    assert_eq!(fetch(&strict, &url).await, Err(failed()));
    assert!(site.requests.try_recv().is_err());
    assert_eq!(site.peak.load(Ordering::SeqCst), 0, "nobody connected");
    assert_eq!(
        fetch(&config(), &url).await.as_deref(),
        Ok(PICTURE),
        "with its networks opened it is dialled"
    );
    let literal = fetch(&strict, &site.url("/")).await.unwrap_err();
    assert_eq!(literal.code, Code::UrlForbidden, "what the text itself says may be told");
}

#[tokio::test]
async fn redirects_are_followed_to_a_point() {
    let mut site =
        Site::open(|path| match path.strip_prefix("/hop").map(|hops| hops.parse::<u32>().unwrap()) {
            None | Some(0) => Act::Send(ok(PICTURE)),
            Some(hops) => to(&format!("hop{}", hops - 1)),
        })
        .await;
    for (hops, works) in [(0, true), (1, true), (3, true), (4, false), (9, false)] {
        let got = fetch(&config(), &site.url(&format!("/hop{hops}"))).await;
        assert_eq!(got.is_ok(), works, "{hops} redirects");
        let mut visits = 0;
        while site.requests.try_recv().is_ok() {
            visits += 1;
        }
        assert_eq!(visits, hops.min(3) + 1, "{hops} redirects");
    }
    let none = UrlConfig { redirects: 0, ..config() };
    assert_eq!(fetch(&none, &site.url("/hop1")).await, Err(failed()));
}

#[tokio::test]
async fn a_redirect_gets_nowhere_an_address_would_not() {
    let mut target = Site::open(|_| Act::Send(ok(PICTURE))).await;
    let port = target.address.port();
    let locations = [
        format!("http://[::1]:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://10.0.0.1:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//169.254.169.254:{port}/latest/meta-data/"),
        format!("http:\\\\127.0.0.1:{port}\\"),
        "file:///etc/passwd".to_owned(),
        "data:image/png;base64,QUJD".to_owned(),
        "http://127.0.0.1:0/".to_owned(),
    ];
    let only_v4 = UrlConfig { allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..config() };
    for location in locations {
        let sent = location.clone();
        let site = Site::open(move |_| to(&sent)).await;
        assert_eq!(fetch(&only_v4, &site.url("/")).await, Err(failed()), "{location}: not url_forbidden");
    }
    assert!(target.requests.try_recv().is_err(), "nobody was sent there");
}

#[tokio::test]
async fn silence_is_a_timeout_wherever_it_begins() {
    let late = Err(Code::UrlTimeout.because("no picture came from the address in time"));
    let short = Duration::from_millis(50);
    let cases = [
        (b"".to_vec(), UrlConfig { first_byte_timeout: short, ..config() }),
        (b"".to_vec(), UrlConfig { timeout: short, ..config() }),
        (b"HTTP/1.1 200".to_vec(), UrlConfig { first_byte_timeout: short, ..config() }),
        (answer("200 OK\r\nContent-Length: 100", PICTURE), UrlConfig { timeout: short, ..config() }),
    ];
    for (bytes, config) in cases {
        let mut site = Site::open(move |_| Act::Hang(bytes.clone())).await;
        assert_eq!(fetch(&config, &site.url("/")).await, late);
        site.closed.recv().await.expect("the connection was closed");
    }
    let site = Site::open(|_| Act::Hang(Vec::new())).await;
    let fetched = fetcher(&config()).fetch(&site.url("/"), Instant::now() + short, &mut roomy()).await;
    assert_eq!(fetched.map(|fetched| fetched.bytes), late, "the request's own deadline");
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let mut site = Site::open(|_| Act::Repeat(answer("200 OK", PICTURE), vec![0; 4096])).await;
    assert_eq!(fetch(&config(), &site.url("/")).await, Err(failed()));
    site.closed.recv().await.expect("the connection was closed");
}

#[tokio::test]
async fn a_fetch_nobody_waits_for_hangs_up() {
    let mut site = Site::open(|_| Act::Hang(Vec::new())).await;
    let url = site.url("/");
    let fetch = tokio::spawn(async move { fetch(&config(), &url).await });
    site.requests.recv().await.expect("it asked");
    fetch.abort();
    site.closed.recv().await.expect("the connection was closed");
}

#[tokio::test]
async fn no_more_than_allowed_run_at_once() {
    let site = Site::open(|_| Act::Wait(Duration::from_millis(20), ok(PICTURE))).await;
    let fetcher = Arc::new(fetcher(&UrlConfig { concurrency: 2, ..config() }));
    let mut fetches = JoinSet::new();
    for k in 0..8 {
        let (fetcher, url) = (fetcher.clone(), site.url(&format!("/{k}")));
        fetches.spawn(async move { fetch_with(&fetcher, &url).await });
    }
    while let Some(done) = fetches.join_next().await {
        assert_eq!(done.unwrap().unwrap().bytes, PICTURE);
    }
    // The site counts a connection until it has seen the end of it, which may be one later.
    let peak = site.peak.load(Ordering::SeqCst);
    assert!((2..=4).contains(&peak), "{peak} at once");
}

/// A certificate for the names, and a file that makes it trusted.
fn certificate(names: &[&str]) -> (TlsAcceptor, tempfile::NamedTempFile) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    (TlsAcceptor::from(Arc::new(server)), file)
}

#[tokio::test]
async fn https_needs_a_trusted_certificate_for_the_host() {
    let (acceptor, authority) = certificate(&["localhost", "127.0.0.1"]);
    let mut site = Site::open_tls(acceptor, |_| Act::Send(ok(PICTURE))).await;
    let port = site.address.port();
    let trusting = UrlConfig { ca_file: Some(authority.path().to_owned()), ..config() };
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/a");
        assert_eq!(fetch(&trusting, &url).await.as_deref(), Ok(PICTURE), "{host}");
        let request = site.requests.recv().await.unwrap();
        assert!(request.contains(&format!("host: {host}:{port}\r\n")), "{request}");
        assert_eq!(fetch(&config(), &url).await, Err(failed()), "{host}: not trusted");
    }
    assert_eq!(
        fetch(&trusting, &format!("https://127.0.0.2:{port}/")).await,
        Err(failed()),
        "no such server"
    );
    let (acceptor, authority) = certificate(&["elsewhere.example"]);
    let site = Site::open_tls(acceptor, |_| Act::Send(ok(PICTURE))).await;
    let trusting = UrlConfig { ca_file: Some(authority.path().to_owned()), ..config() };
    let url = format!("https://localhost:{}/", site.address.port());
    assert_eq!(fetch(&trusting, &url).await, Err(failed()), "a certificate for another host");
}

#[tokio::test]
async fn a_redirect_out_of_https_is_refused() {
    let mut plain = Site::open(|_| Act::Send(ok(PICTURE))).await;
    let location = plain.url("/");
    let (acceptor, authority) = certificate(&["localhost"]);
    let site = Site::open_tls(acceptor, move |_| to(&location)).await;
    let trusting = UrlConfig { ca_file: Some(authority.path().to_owned()), ..config() };
    let url = format!("https://localhost:{}/", site.address.port());
    assert_eq!(fetch(&trusting, &url).await, Err(failed()));
    assert!(plain.requests.try_recv().is_err());
}

#[tokio::test]
async fn plain_text_on_a_tls_port_and_the_reverse_fail() {
    let plain = Site::open(|_| Act::Send(ok(PICTURE))).await;
    assert_eq!(fetch(&config(), &plain.url("/").replace("http:", "https:")).await, Err(failed()));
    let (acceptor, _) = certificate(&["localhost"]);
    let secure = Site::open_tls(acceptor, |_| Act::Send(ok(PICTURE))).await;
    assert_eq!(fetch(&config(), &secure.url("/")).await, Err(failed()));
}

#[test]
fn a_certificate_file_that_is_none_is_refused_at_the_start() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for path in [empty.path().to_owned(), broken.path().to_owned(), "/nonexistent/ca.pem".into()] {
        let config = UrlConfig { ca_file: Some(path.clone()), ..config() };
        let error = Fetcher::new(&config, LIMIT, Budget::new(0)).expect_err("no certificate");
        assert!(matches!(error, InputsError::Certificates { .. }), "{}: {error}", path.display());
    }
}

#[tokio::test]
async fn what_is_fetched_takes_room_too() {
    let site = Site::open(|_| Act::Send(ok(PICTURE))).await;
    let budget = Budget::new(1 << 10);
    let fetcher = Fetcher::new(&UrlConfig { cache: 0, ..config() }, LIMIT, budget.clone()).unwrap();
    let (mut room, deadline) = (roomy(), Instant::now() + Duration::from_secs(60));
    assert!(fetcher.fetch(&site.url("/"), deadline, &mut room).await.is_ok());
    let refused = fetcher.fetch(&site.url("/"), deadline, &mut roomy()).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (Code::Overloaded, Some(1)));
    drop(room);
    assert!(
        fetcher.fetch(&site.url("/"), deadline, &mut roomy()).await.is_ok(),
        "given back with the request's"
    );
}
