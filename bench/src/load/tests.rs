//! Against servers of our own that answer in known ways: what the generator says must be what they did.

use super::threads::is_stable;
use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A server that answers request number `n` of a connection with what `answer` says, after `delay`. It serves as long as the
/// tests' process lives.
fn server(delay: Duration, answer: fn(usize) -> Option<&'static str>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Relaxed);
            std::thread::spawn(move || serve(stream, delay, answer));
        }
    });
    (address, connections)
}

fn serve(mut stream: TcpStream, delay: Duration, answer: fn(usize) -> Option<&'static str>) {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    for n in 0.. {
        // Heads without a body are enough here.
        let end = loop {
            if let Some(at) = kept.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(some) => kept.extend_from_slice(&piece[..some]),
            }
        };
        let closes = String::from_utf8_lossy(&kept[..end]).contains("connection: close");
        kept.drain(..end);
        std::thread::sleep(delay);
        let Some(text) = answer(n) else { return };
        if stream.write_all(text.as_bytes()).is_err() || closes {
            return;
        }
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver-timing: read;dur=0.5, infer;dur=2.5, total;dur=3\r\n\r\nok";
const SAYS_SO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"simulated\":true}";
const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 21\r\n\r\n{\"code\":\"overloaded\"}";

fn load(address: SocketAddr, pace: Pace, until: Until) -> Load {
    let target = Target::parse(&format!("http://{address}/x?y=1")).unwrap();
    let shots = vec![raw_shot(&target, &http::Method::GET, "", Vec::new(), &[]).unwrap()].into();
    let (warmup, timeout) = (Duration::ZERO, Duration::from_secs(30));
    Load { target, shots, pace, until, warmup, keep_alive: true, timeout, threads: 1 }
}

#[test]
fn a_count_is_exact_and_answers_are_told_apart() {
    let (address, _) = server(Duration::ZERO, |n| Some(if n % 4 == 3 { BUSY } else { FINE }));
    let load = load(address, Pace::Closed { concurrency: 1 }, Until::Count(400));
    let figures = run(&load, &mut |_| ()).unwrap();
    assert_eq!((figures.requests, figures.ok, figures.errors), (400, 300, 100));
    assert_eq!(figures.statuses, [(200, 300), (429, 100)].into());
    assert_eq!(figures.codes, [("overloaded".to_owned(), 100)].into());
    assert_eq!(figures.faults.len(), 0);
    assert_eq!(figures.server_ms["infer"], 2.5);
    let csv = csv(&figures);
    let (head, line) = csv.split_once('\n').unwrap();
    let of = |name: &str| {
        let column = head.split(',').position(|cell| cell == name).unwrap();
        line.trim().split(',').nth(column).unwrap().to_owned()
    };
    assert_eq!((of("Concurrency"), of("Server Compute Infer")), ("1".to_owned(), "2500".to_owned()));
    assert_eq!((of("Request Count"), of("Error Count")), ("400".to_owned(), "100".to_owned()));
}

#[test]
fn a_server_that_says_that_it_is_simulated_is_believed() {
    let figures = |answer, keep_alive| {
        let (address, _) = server(Duration::ZERO, answer);
        let load = Load { keep_alive, ..load(address, Pace::Closed { concurrency: 1 }, Until::Count(20)) };
        run(&load, &mut |_| ()).unwrap()
    };
    for keep_alive in [true, false] {
        let plain = figures(|_| Some(FINE), keep_alive);
        assert!(!plain.simulated && !table(&plain).contains("SIMULATED"), "{plain:?}");
        // A refusal says nothing of it; the first success does.
        let said = figures(|n| Some(if n == 0 { BUSY } else { SAYS_SO }), true);
        assert!(said.simulated && table(&said).starts_with(SIMULATED), "{said:?}");
        assert!(csv(&said).lines().nth(1).unwrap().ends_with(",true"), "{}", csv(&said));
    }
}

#[test]
fn the_closed_loop_obeys_littles_law() {
    let (address, _) = server(Duration::from_millis(20), |_| Some(FINE));
    let load = load(address, Pace::Closed { concurrency: 4 }, Until::Time(Duration::from_secs(1)));
    let figures = run(&load, &mut |_| ()).unwrap();
    assert!(figures.rt_ms.p50 >= 20.0 && figures.rt_ms.min >= 20.0, "{figures:?}");
    // However slow the machine: what is in flight is the concurrency.
    assert!((figures.tps * figures.rt_ms.mean / 1000.0 / 4.0 - 1.0).abs() < 0.1, "{figures:?}");
    assert!(!figures.generator.is_bottleneck, "{figures:?}");
}

#[test]
fn keep_alive_can_be_left_off_and_lost_connections_are_faults() {
    let (address, connections) = server(Duration::ZERO, |_| Some(FINE));
    let mut one_each = load(address, Pace::Closed { concurrency: 2 }, Until::Count(50));
    one_each.keep_alive = false;
    assert_eq!(run(&one_each, &mut |_| ()).unwrap().ok, 50);
    assert_eq!(connections.load(Relaxed), 50);

    let (address, _) = server(Duration::ZERO, |n| (n < 4).then_some(FINE));
    let load = load(address, Pace::Closed { concurrency: 1 }, Until::Count(50));
    let figures = run(&load, &mut |_| ()).unwrap();
    assert_eq!((figures.ok, figures.errors), (40, 10));
    assert_eq!(figures.faults, [("closed".to_owned(), 10)].into());
}

#[test]
fn nobody_there_is_a_fault_of_each_request() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let load = load(address, Pace::Closed { concurrency: 2 }, Until::Count(6));
    let figures = run(&load, &mut |_| ()).unwrap();
    assert_eq!((figures.ok, figures.faults), (0, [("connect".to_owned(), 6)].into()));
}

#[test]
fn an_open_loop_counts_from_when_a_request_was_due() {
    // One connection that needs 50 ms a request and is asked 40 times a second cannot follow: the last of 40 requests is due
    // after a second and answered after two.
    let (address, _) = server(Duration::from_millis(50), |_| Some(FINE));
    let pace = Pace::Open { rate: 40.0, arrivals: Arrivals::Constant, connections: 1 };
    let figures = run(&load(address, pace, Until::Count(40)), &mut |_| ()).unwrap();
    assert_eq!(figures.ok, 40, "{figures:?}");
    assert!(figures.rt_ms.max >= 1000.0, "the wait for the connection is part of the time: {figures:?}");
    let delay = figures.delay_ms.unwrap();
    assert!(delay.max >= 900.0, "{delay:?}");
}

#[test]
fn an_open_loop_sends_what_it_says() {
    let (address, _) = server(Duration::ZERO, |_| Some(FINE));
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let pace = Pace::Open { rate: 200.0, arrivals, connections: 50 };
        let figures = run(&load(address, pace, Until::Time(Duration::from_secs(2))), &mut |_| ()).unwrap();
        let expected = if arrivals == Arrivals::Constant { 0 } else { 80 };
        // However late: each request that was due is counted, sent or not.
        assert!(figures.requests.abs_diff(400) <= 1 + expected, "{figures:?}");
    }
}

#[test]
fn stable_means_that_three_windows_agree() {
    assert!(!is_stable(&[(0, 0), (100, 1000), (200, 2000)], 0.05));
    assert!(is_stable(&[(0, 0), (100, 1000), (200, 2000), (300, 3000)], 0.05));
    assert!(
        is_stable(&[(0, 0), (50, 900), (150, 1900), (250, 2900), (350, 3900)], 0.05),
        "only the last three"
    );
    assert!(!is_stable(&[(0, 0), (100, 1000), (200, 2000), (280, 2800)], 0.05), "the rate");
    assert!(!is_stable(&[(0, 0), (100, 1000), (200, 2000), (300, 3300)], 0.05), "the time");
    assert!(!is_stable(&[(0, 0); 4], 0.05), "nothing is not stable");
}

#[test]
fn pictures_become_bodies_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.bin");
    std::fs::write(&file, [0xff, 0xd8, 0x00, b'+']).unwrap();
    let name = vec![file.to_str().unwrap().to_owned()];
    let target = Target::parse("http://127.0.0.1:1/detect").unwrap();
    let body = |input, form| {
        let shot = shots(&target, &name, input, form, None, &[]).ok()?.pop()?;
        let kind = shot.request.headers()["content-type"].to_str().unwrap().to_owned();
        let bytes =
            futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(shot.request.into_body()));
        Some((kind, String::from_utf8_lossy(&bytes?.unwrap().to_bytes()).into_owned()))
    };
    let of = |input, form| body(input, form).unwrap_or_else(|| panic!("{input:?} as {form:?}"));
    assert_eq!(
        of(Input::Base64, Form::FormData),
        ("application/form-data".into(), "type=base64&img=/9gAKw==".into())
    );
    assert_eq!(of(Input::Base64, Form::Json).1, r#"{"img":"/9gAKw==","type":"base64"}"#);
    assert_eq!(of(Input::Bytes, Form::Json).1, r#"{"img":[255,216,0,43],"type":"bytes"}"#);
    assert_eq!(of(Input::Bytes, Form::Urlencoded).1, "type=bytes&img=%FF%D8%00%2B");
    assert!(of(Input::File, Form::Multipart).1.contains("filename="));
    assert!(of(Input::Path, Form::Json).1.contains("a.bin"));
    let of_type = |form| shots(&target, &name, Input::Bytes, form, Some("image/jpeg"), &[]);
    assert_eq!(of_type(Form::Raw).unwrap()[0].request.headers()["content-type"], "image/jpeg");
    assert!(of_type(Form::Json).unwrap_err().to_string().contains("--content-type"));
    assert!(body(Input::File, Form::Raw).is_none() && body(Input::Url, Form::Raw).is_none());
}

#[test]
fn addresses_are_read_as_people_write_them() {
    let target = Target::parse("127.0.0.1:8888").unwrap();
    assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8888", "/"));
    assert_eq!(Target::parse("http://[::1]:80/a?b").unwrap().address.port(), 80);
    assert!(Target::parse("https://127.0.0.1/").is_err());
}
