//! Nothing is dialled that may not be, however it is written, named, resolved or redirected to: a trap that counts
//! connections stands where all of it leads.

use super::super::dns::Dns;
use super::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use tokio::net::TcpListener;

/// Counts the connections to one port of 127.0.0.1 and, where the machine has it, ::1.
struct Trap {
    port: u16,
    caught: Arc<AtomicUsize>,
    _listeners: JoinSet<()>,
}

impl Trap {
    /// `None` when somebody else has the port.
    async fn set(port: u16) -> Option<Self> {
        let (caught, mut listeners) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let listener = match TcpListener::bind(SocketAddr::new(address, port)).await {
                Ok(listener) => listener,
                // The machine may have no ::1.
                Err(_) if address.is_ipv6() => continue,
                Err(_) => return None,
            };
            let caught = caught.clone();
            listeners.spawn(async move {
                while listener.accept().await.is_ok() {
                    caught.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Some(Self { port, caught, _listeners: listeners })
    }

    fn caught(&self) -> usize {
        self.caught.load(Ordering::SeqCst)
    }
}

/// The only address that may be dialled in these tests: as good as public.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What the names of these tests resolve to.
fn resolve(name: &str, count: usize) -> Vec<IpAddr> {
    let v4 = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
    match name {
        "public.test" => vec![PUBLIC.into()],
        "private.test" | "127.0.0.1.private.test" | "localhost.private.test" => v4("127.0.0.1"),
        "six.test" => v4("::1"),
        "mapped.test" => v4("::ffff:127.0.0.1"),
        "nat64.test" => v4("64:ff9b::7f00:1"),
        "zero.test" => v4("0.0.0.0"),
        "metadata.test" => v4("169.254.169.254"),
        "mixed.test" => vec![PUBLIC.into(), Ipv4Addr::LOCALHOST.into()],
        "mixed6.test" => vec![PUBLIC.into(), Ipv6Addr::LOCALHOST.into()],
        "many.test" => (0..20).map(|_| PUBLIC.into()).chain([Ipv4Addr::LOCALHOST.into()]).collect(),
        "rebind.test" if count == 0 => vec![PUBLIC.into()],
        "rebind.test" => v4("127.0.0.1"),
        _ => Vec::new(),
    }
}

/// Ways to write what must not be dialled; PORT is the trap's.
const REFUSED: &[&str] = &[
    // IPv4, plain and as other parsers read it
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/a.jpg",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://0x7f.1:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0X7F.0x0.0x0.0x1:PORT/",
    "http://0x7f000001:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://0177.0x0.0.1:PORT/",
    "http://00000000177.0.0.1:PORT/",
    "http://127%2e0%2e0%2e1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://127．0．0．1:PORT/",
    "http://0:PORT/",
    "http://00:PORT/",
    "http://0x0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://127.255.255.254:PORT/",
    "http://10.0.0.1:PORT/",
    "http://172.16.0.1:PORT/",
    "http://192.168.0.1:PORT/",
    "http://100.64.0.1:PORT/",
    "http://169.254.169.254:PORT/latest/meta-data/",
    "http://169.254.170.2:PORT/",
    "http://100.100.100.200:PORT/",
    "http://168.63.129.16:PORT/",
    "http://198.18.0.1:PORT/",
    "http://224.0.0.1:PORT/",
    "http://255.255.255.255:PORT/",
    // IPv6, and IPv4 inside it
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::FFFF:7F00:0001]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::7f00:1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[64:ff9b:1::7f00:1]:PORT/",
    "http://[2002:7f00:1::1]:PORT/",
    "http://[2001:0:7f00:1::1]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[fec0::1]:PORT/",
    // user information, backslashes, and what else hides a host
    "http://user@127.0.0.1:PORT/",
    "http://user:pw@127.0.0.1:PORT/",
    "http://127.0.0.2@127.0.0.1:PORT/",
    "http://127.0.0.2:80@127.0.0.1:PORT/",
    "http://127.0.0.2%40127.0.0.1:PORT/",
    "http://public.test@127.0.0.1:PORT/",
    "http://@127.0.0.1:PORT/",
    "http://:@127.0.0.1:PORT/",
    "http://127.0.0.2\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@127.0.0.2/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:/\\127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http:/127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "HTTP://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "https://[::1]:PORT/",
    " http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/ ",
    "http://127.0.0.1\t:PORT/",
    "http://127.0.\n0.1:PORT/",
    "http://127.0.0.1\0:PORT/",
    "http://127.0.0.1%00.public.test:PORT/",
    "http://127.0.0.1\r\nHost: public.test:PORT/",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_x",
    "dict://127.0.0.1:PORT/x",
    "ws://127.0.0.1:PORT/",
    "jar:http://127.0.0.1:PORT/",
    "view-source:http://127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT/",
    // names
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://LocalHost:PORT/",
    "http://localhost.:PORT/",
    "http://ⓛocalhost:PORT/",
    "http://foo.localhost:PORT/",
    "http://private.test:PORT/",
    "http://PRIVATE.test:PORT/",
    "http://private.test.:PORT/",
    "http://ｐrivate.test:PORT/",
    "http://127.0.0.1.private.test:PORT/",
    "http://localhost.private.test:PORT/",
    "http://six.test:PORT/",
    "http://mapped.test:PORT/",
    "http://nat64.test:PORT/",
    "http://zero.test:PORT/",
    "http://metadata.test:PORT/",
    "http://mixed.test:PORT/",
    "http://mixed6.test:PORT/",
    "http://many.test:PORT/",
    "http://absent.test:PORT/",
    "https://private.test:PORT/",
    "https://mixed.test:PORT/",
];

/// A public site whose paths redirect to the refused addresses, by number; the trap on the same port of where they
/// lead; and a fetcher that may dial the site alone.
async fn scene() -> (Site, Trap, Dns, Fetcher) {
    let (site, trap) = loop {
        let site = Site::open_at(PUBLIC, lead_astray).await;
        match Trap::set(site.address.port()).await {
            Some(trap) => break (site, trap),
            None => drop(site),
        }
    };
    let dns = Dns::open(0, resolve).await;
    let config = UrlConfig {
        allow_networks: vec![IpAddr::from(PUBLIC).into()],
        name_servers: vec![dns.address],
        cache: 0,
        ..config()
    };
    let fetcher = fetcher(&config);
    (site, trap, dns, fetcher)
}

/// Redirects to a refused address, or answers a picture.
fn lead_astray(head: &str) -> Act {
    let path = head.split(' ').nth(1).unwrap();
    let port = head.lines().find_map(|line| line.strip_prefix("host: ")?.rsplit(':').next()).unwrap();
    match path.strip_prefix("/to/").and_then(|number| REFUSED.get(number.parse::<usize>().ok()?)) {
        Some(address) => to(&address.replace("PORT", port)),
        None => Act::Keep(ok(PICTURE)),
    }
}

#[tokio::test]
async fn no_spelling_of_a_refused_address_is_dialled() {
    let (site, trap, _dns, fetcher) = scene().await;
    assert!(REFUSED.len() >= 110, "{}", REFUSED.len());
    for address in REFUSED {
        let url = address.replace("PORT", &trap.port.to_string());
        let error = fetch_with(&fetcher, &url).await.expect_err(&url);
        match error.code {
            // What the text itself says may be told.
            Code::UrlForbidden => {}
            _ => assert_eq!(error, failed(), "{url:?}"),
        }
    }
    assert_eq!((trap.caught(), site.connections()), (0, 0), "nobody was dialled");
}

#[tokio::test]
async fn no_redirect_to_a_refused_address_is_followed() {
    let (site, trap, _dns, fetcher) = scene().await;
    for (number, address) in REFUSED.iter().enumerate() {
        // As a redirect these are paths of the site itself.
        if ["127.0.0.1:PORT/", "http:127.0.0.1:PORT/", "http:/127.0.0.1:PORT/"].contains(address) {
            continue;
        }
        let url = site.url(&format!("/to/{number}"));
        let error = fetch_with(&fetcher, &url).await.expect_err(address);
        assert_eq!(error, failed(), "{address:?}: one text, whatever was refused");
    }
    assert_eq!(trap.caught(), 0, "nobody was dialled");
    assert!(site.connections() >= 1, "the site was");
}

#[tokio::test]
async fn a_name_that_moves_to_a_refused_address_is_not_followed_there() {
    let (site, trap, dns, fetcher) = scene().await;
    let url = |path: &str| format!("http://rebind.test:{}{path}", trap.port);
    assert_eq!(fetch_with(&fetcher, &url("/a")).await.unwrap().bytes, PICTURE);
    assert_eq!(dns.queries(), 1);
    // While its connection is open the name is not asked about; what is dialled was judged.
    assert_eq!(fetch_with(&fetcher, &url("/b")).await.unwrap().bytes, PICTURE);
    assert_eq!((dns.queries(), site.connections()), (1, 1));
    // A process under other rules has a pool of its own.
    let config = UrlConfig { name_servers: vec![dns.address], ..config() };
    let strict =
        UrlConfig { allow_networks: vec![IpAddr::from(PUBLIC).into()], keep_alive: Duration::ZERO, ..config };
    assert_eq!(fetch_with(&super::fetcher(&strict), &url("/c")).await.unwrap_err(), failed());
    assert_eq!((trap.caught(), dns.queries()), (0, 2));
}

#[tokio::test]
async fn the_trap_catches_what_may_be_dialled() {
    let (_site, trap, dns, _) = scene().await;
    // The control: with the network opened, the same addresses lead into the trap, which answers nothing.
    let open = UrlConfig {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        name_servers: vec![dns.address],
        first_byte_timeout: Duration::from_millis(50),
        ..config()
    };
    let fetcher = fetcher(&open);
    for (count, host) in ["127.0.0.1", "0x7f000001", "private.test"].into_iter().enumerate() {
        assert!(fetch_with(&fetcher, &format!("http://{host}:{}/", trap.port)).await.is_err());
        assert_eq!(trap.caught(), count + 1, "{host}");
    }
}

#[tokio::test]
async fn names_are_kept_for_as_long_as_their_server_says() {
    let site = Site::open_at(PUBLIC, |_| Act::Send(answer("200 OK\r\nConnection: close", PICTURE))).await;
    for (ttl, expected) in [(60, 1), (0, 3)] {
        let dns = Dns::open(ttl, resolve).await;
        let fetcher = fetcher(&UrlConfig { name_servers: vec![dns.address], ..config() });
        for k in 0..3 {
            let url = format!("http://public.test:{}/{k}", site.address.port());
            assert_eq!(fetch_with(&fetcher, &url).await.unwrap().bytes, PICTURE);
        }
        assert_eq!(dns.queries(), expected, "a time to live of {ttl} s");
    }
}

#[tokio::test]
async fn a_dead_name_server_is_a_timeout() {
    let silent = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let config = UrlConfig {
        name_servers: vec![silent.local_addr().unwrap()],
        connect_timeout: Duration::from_millis(200),
        ..config()
    };
    let begun = Instant::now();
    let error = fetch(&config, "http://public.test/").await.unwrap_err();
    assert!(matches!(error.code, Code::UrlTimeout | Code::UrlFailed), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
