//! Requests that are wrong, as bytes: each is refused in the right way, once, and nothing hangs. Written by hand, by
//! what is wrong with them; what comes after a wrong request on its connection is never read as another one.

use e2e::pictures::plain;
use e2e::service::{PATIENCE, Service, wait_for, with_model};
use std::io::{Read, Write};
use std::net::TcpStream;

/// What a request is refused with: any of these statuses, once. None: the connection ends without a word.
type Expected = &'static [u16];

/// What is wrong, the bytes, the answer.
type Case = (&'static str, Vec<u8>, Expected);

/// A request that would be answered 200 if it were read as one: the body or the rest of wrong requests.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";

fn case(what: &'static str, text: impl AsRef<[u8]>, expected: Expected) -> Case {
    (what, text.as_ref().to_vec(), expected)
}

/// A GET with these lines after the request line.
fn get(lines: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\n{lines}\r\n")
}

/// A POST of a picture with these lines, and this body.
fn post(lines: &str, body: &str) -> String {
    format!("POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n{lines}\r\n{body}")
}

fn request_lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: x\r\nConnection: close\r\n\r\n");
    vec![
        case("zero bytes", b"\0\0\0\0\0\0\0\0\r\n\r\n", &[400]),
        case("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
        case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[]),
        case("the greeting of another protocol", b"EHLO example.com\r\n\r\n", &[400]),
        case("a method alone", line("GET"), &[400]),
        case("no version", line("GET /healthz"), &[400]),
        case("a version from the future", line("GET /healthz HTTP/2.0"), &[400]),
        case("a version that never was", line("GET /healthz HTTP/1.2"), &[400]),
        case("a version from the past", line("GET /healthz HTTP/0.9"), &[400]),
        case("a version in small letters", line("GET /healthz http/1.1"), &[400]),
        case("a version with more digits", line("GET /healthz HTTP/1.10"), &[400]),
        case("something after the version", line("GET /healthz HTTP/1.1 x"), &[400]),
        case("a space too many before the target", line("GET  /healthz HTTP/1.1"), &[400]),
        case("a space in the target", line("GET /heal thz HTTP/1.1"), &[400]),
        case("tabs for spaces", line("GET\t/healthz\tHTTP/1.1"), &[400]),
        case("a space before the method", line(" GET /healthz HTTP/1.1"), &[400]),
        case("a method that is no token", line("GE(T /healthz HTTP/1.1"), &[400]),
        case("a method beyond ASCII", line("GÉT /healthz HTTP/1.1"), &[400]),
        case("a method in small letters", line("get /healthz HTTP/1.1"), &[405]),
        case("a NUL in the target", line("GET /health\0z HTTP/1.1"), &[400]),
        case("a delete in the target", line("GET /health\x7fz HTTP/1.1"), &[400]),
        case("a target that is no path", line("GET healthz HTTP/1.1"), &[400, 404]),
        case("an asterisk for GET", line("GET * HTTP/1.1"), &[400, 404]),
        case("a long target", line(&format!("GET /{} HTTP/1.1", "a".repeat(5000))), &[414]),
        case("a very long target", line(&format!("GET /{} HTTP/1.1", "a".repeat(70_000))), &[414, 431]),
        case("a very long method", line(&format!("{} / HTTP/1.1", "A".repeat(100_000))), &[400, 431]),
        case("CONNECT", line("CONNECT x:443 HTTP/1.1"), &[400, 405]),
        case("TRACE", line("TRACE / HTTP/1.1"), &[405]),
        case("PUT", line("PUT /detect HTTP/1.1"), &[405]),
        case("a target of another host", line("GET http://other/healthz HTTP/1.1"), &[400]),
        case("a target with user information", line("GET http://u@x/healthz HTTP/1.1"), &[400]),
    ]
}

fn headers() -> Vec<Case> {
    let with = |lines: &str| get(&format!("Host: x\r\nConnection: close\r\n{lines}"));
    let many = |count: usize| with(&"A: b\r\n".repeat(count));
    vec![
        case("no Host", get("Connection: close\r\n"), &[400]),
        case("two Hosts", get("Host: a\r\nHost: b\r\nConnection: close\r\n"), &[400]),
        case("the same Host twice", get("Host: a\r\nHost: a\r\nConnection: close\r\n"), &[400]),
        case("a Host with a path", get("Host: a/b\r\nConnection: close\r\n"), &[400]),
        case("a Host with user information", get("Host: u@a\r\nConnection: close\r\n"), &[400]),
        case("a Host with a space", get("Host: a b\r\nConnection: close\r\n"), &[400]),
        case("a Host with a wrong port", get("Host: a:b:c\r\nConnection: close\r\n"), &[400]),
        case("a space before the colon", get("Host : x\r\nConnection: close\r\n"), &[400]),
        case("a tab before the colon", with("A\t: b\r\n"), &[400]),
        case("no colon", with("nonsense\r\n"), &[400]),
        case("no name", with(": b\r\n"), &[400]),
        case("a name that is no token", with("A(b: c\r\n"), &[400]),
        case("a name beyond ASCII", with("Ä: b\r\n"), &[400]),
        case("a name with a NUL", with("A\0: b\r\n"), &[400]),
        case("a folded line", with("A: b\r\n c\r\n"), &[400]),
        case("a folded line with a tab", with("A: b\r\n\tc\r\n"), &[400]),
        case("a folded first line", get(" Host: x\r\nConnection: close\r\n"), &[400]),
        case("a NUL in a value", with("A: b\0c\r\n"), &[400]),
        case("a bare CR in a value", with("A: b\rc\r\n"), &[400]),
        case("a bare CR for a line's end", with("A: b\rB: c\r\n"), &[400]),
        case("a control character in a value", with("A: b\x01c\r\n"), &[400]),
        case("an escape in a value", with("A: b\x1b[31m\r\n"), &[400]),
        case("a delete in a value", with("A: b\x7f\r\n"), &[400]),
        case("101 fields", many(99), &[431]),
        case("200 fields", many(198), &[431]),
        case("10,000 fields", many(10_000), &[431]),
        case("a long field", with(&format!("A: {}\r\n", "b".repeat(40_000))), &[431]),
        case("a very long field", with(&format!("A: {}\r\n", "b".repeat(200_000))), &[431]),
        case("a very long name", with(&format!("{}: b\r\n", "A".repeat(70_000))), &[400, 431]),
        case("an expectation", with("Expect: a-miracle\r\n"), &[417]),
        case("two expectations", with("Expect: 100-continue, a-miracle\r\n"), &[417]),
        case(
            "two content types",
            post("Content-Type: text/plain\r\nContent-Length: 1\r\nConnection: close\r\n", "x"),
            &[400],
        ),
        case(
            "a content coding",
            post("Content-Encoding: gzip\r\nContent-Length: 1\r\nConnection: close\r\n", "x"),
            &[415],
        ),
    ]
}

fn lengths() -> Vec<Case> {
    let length = |value: &str| post(&format!("Content-Length: {value}\r\nConnection: close\r\n"), "xxx");
    vec![
        case("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", SMUGGLED), &[400]),
        case("two lengths in one", length("3, 4"), &[400]),
        case("one length twice in one", length("3, 3"), &[400]),
        case("a length with a plus", length("+3"), &[400]),
        case("a length with a minus", length("-3"), &[400]),
        case("a length in base 16", length("0x3"), &[400]),
        case("a length with a fraction", length("3.0"), &[400]),
        case("a length with an exponent", length("3e0"), &[400]),
        case("a length with a space", length("3 3"), &[400]),
        case("a length with an underscore", length("1_0"), &[400]),
        case("a length in other digits", length("３"), &[400]),
        case("a length of letters", length("three"), &[400]),
        case("no length at all", length(""), &[400]),
        case("a length of more than 64 bits", length("99999999999999999999999"), &[400]),
        case("a length of 64 bits", length("18446744073709551615"), &[400, 413, 431]),
        case("a length beyond the limit", length("99999999999"), &[413]),
        case(
            "a request in the body of a GET",
            get(&format!("Host: x\r\nConnection: close\r\nContent-Length: {}\r\n", SMUGGLED.len()))
                + SMUGGLED,
            &[200],
        ),
        case(
            "a request in the body of a refused one",
            format!(
                "PUT /detect HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            &[405],
        ),
        case(
            "a request after a refused one whose body is not read",
            post("Content-Length: 99999999\r\n", SMUGGLED),
            &[413],
        ),
    ]
}

fn transfer_codings() -> Vec<Case> {
    let coding = |lines: &str| post(lines, &format!("0\r\n\r\n{SMUGGLED}"));
    let chunks = |body: &str| post("Transfer-Encoding: chunked\r\nConnection: close\r\n", body);
    vec![
        case("an unknown coding", coding("Transfer-Encoding: gzip\r\n"), &[400]),
        case("a coding after chunked", coding("Transfer-Encoding: chunked, gzip\r\n"), &[400]),
        case("a coding before chunked", coding("Transfer-Encoding: gzip, chunked\r\n"), &[400]),
        case("chunked twice", coding("Transfer-Encoding: chunked, chunked\r\n"), &[400]),
        case(
            "chunked on two lines",
            coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            &[400],
        ),
        case("identity", coding("Transfer-Encoding: identity\r\n"), &[400]),
        case("identity before chunked", coding("Transfer-Encoding: identity, chunked\r\n"), &[400]),
        case("almost chunked", coding("Transfer-Encoding: xchunked\r\n"), &[400]),
        case("chunked in quotes", coding("Transfer-Encoding: \"chunked\"\r\n"), &[400]),
        case("chunked with a parameter", coding("Transfer-Encoding: chunked;q=1\r\n"), &[400]),
        case("chunked behind a vertical tab", coding("Transfer-Encoding: \x0bchunked\r\n"), &[400]),
        case("no coding at all", coding("Transfer-Encoding:\r\n"), &[400]),
        case("a space before the colon of the coding", coding("Transfer-Encoding : chunked\r\n"), &[400]),
        case("a folded coding", coding("Transfer-Encoding:\r\n chunked\r\n"), &[400]),
        case(
            "a coding in HTTP/1.0",
            format!("POST /detect HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"),
            &[400],
        ),
        // RFC 9112 lets the coding win if the connection ends: what another reader would take for a request is not
        // read. The picture is empty.
        case(
            "a length before the coding",
            coding("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            &[400, 422],
        ),
        case(
            "a length after the coding",
            coding("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            &[400, 422],
        ),
        case("a chunk's size of letters", chunks("zz\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a negative chunk", chunks("-3\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk's size with a prefix", chunks("0x3\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk's size of more than 64 bits", chunks("fffffffffffffffff\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk's size with a NUL", chunks("3\0\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("no size before a chunk", chunks("\r\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk longer than its size", chunks("3\r\nxxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk's size ended by a bare LF", chunks("3\nxxx\r\n0\r\n\r\n"), &[400]),
        case("a chunk ended by a bare LF", chunks("3\r\nxxx\n0\r\n\r\n"), &[400]),
        case("a chunk ended by nothing", chunks("3\r\nxxx0\r\n\r\n"), &[400]),
        case(
            "a chunk with a long extension",
            chunks(&format!("3;{}\r\nxxx\r\n0\r\n\r\n", "a".repeat(40_000))),
            &[400],
        ),
        case(
            "many chunks with extensions",
            chunks(&(format!("1;{}\r\nx\r\n", "a".repeat(500)).repeat(100) + "0\r\n\r\n")),
            &[400],
        ),
        case(
            "long trailers",
            chunks(&format!("3\r\nxxx\r\n0\r\nA: {}\r\n\r\n", "b".repeat(100_000))),
            &[400],
        ),
        case(
            "more than allowed, chunk by chunk",
            chunks(&format!("{:x}\r\n{}", 300_000, "x".repeat(300_000))),
            &[413],
        ),
    ]
}

/// Those that stop in the middle.
fn unfinished() -> Vec<Case> {
    vec![
        case("nothing", "", &[]),
        case("half a request line", "GET /heal", &[408]),
        case("half a header", "GET /healthz HTTP/1.1\r\nHost: x\r\nA: ", &[408]),
        case("a header without its end", "GET /healthz HTTP/1.1\r\nHost: x\r\n", &[408]),
        case("half a body", post("Content-Length: 100\r\n", "xxx"), &[408]),
        case("no body", post("Content-Length: 100\r\n", ""), &[408]),
        case("half a chunk", post("Transfer-Encoding: chunked\r\n", "64\r\nxxx"), &[408]),
        case("no last chunk", post("Transfer-Encoding: chunked\r\n", "3\r\nxxx\r\n"), &[408]),
        case("half a chunk's size", post("Transfer-Encoding: chunked\r\n", "6"), &[408]),
        case("half a trailer", post("Transfer-Encoding: chunked\r\n", "3\r\nxxx\r\n0\r\nA: b"), &[408]),
        case("no body after 100 Continue", post("Content-Length: 9\r\nExpect: 100-continue\r\n", ""), &[408]),
    ]
}

/// The statuses of all answers on a connection until the server ends it.
fn replay(service: &Service, bytes: &[u8]) -> Result<Vec<u16>, String> {
    let mut stream = TcpStream::connect(service.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A server that has seen enough may stop reading.
    let _ = stream.write_all(bytes);
    let mut answers = Vec::new();
    match stream.read_to_end(&mut answers) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(format!("{error}, after {:?}", String::from_utf8_lossy(&answers))),
        Ok(_) => {}
    }
    let mut statuses = Vec::new();
    let mut rest = &answers[..];
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or("half an answer")?;
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let status = head.strip_prefix("http/1.1 ").or(head.strip_prefix("http/1.0 "));
        let status = status.and_then(|text| text.get(..3)?.parse().ok()).ok_or("no status")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let body = length.unwrap_or(0usize);
        rest = rest.get(end + 4 + body..).ok_or("half a body")?;
        // 100 Continue is no answer.
        if status != 100 {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

#[test]
fn each_malformed_request_is_refused_once_and_nothing_hangs() {
    let settings = with_model("yolov8")
        + "[frontend]\nheader_timeout = \"1s\"\n[inputs]\nbody_idle = \"1s\"\nmax_body = \"256KiB\"\n\
           max_image = \"200KiB\"\n";
    let service = Service::start(&settings);
    let pids = (service.frontends(), service.engine());
    let categories = [
        ("request line", request_lines()),
        ("header", headers()),
        ("length", lengths()),
        ("transfer coding", transfer_codings()),
        ("unfinished", unfinished()),
    ];
    let count: usize = categories.iter().map(|(_, cases)| cases.len()).sum();
    assert!(count >= 120, "{count}");
    let mut wrong = Vec::new();
    for (category, cases) in categories {
        std::thread::scope(|scope| {
            let service = &service;
            let threads: Vec<_> = cases
                .into_iter()
                .map(|(what, bytes, expected)| (what, expected, scope.spawn(move || replay(service, &bytes))))
                .collect();
            for (what, expected, thread) in threads {
                let got = thread.join().expect("a client");
                let is_right = match &got {
                    Ok(statuses) => match statuses[..] {
                        [] => expected.is_empty(),
                        [status] => expected.contains(&status),
                        _ => false,
                    },
                    Err(_) => false,
                };
                if !is_right {
                    wrong.push(format!("{category}: {what}: {got:?}, expected one of {expected:?}"));
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));

    assert_eq!(pids, (service.frontends(), service.engine()), "a process died of a bad request");
    assert_eq!(service.client().detect(&plain([255, 0, 0])).status, 200);
    wait_for("nothing to be in flight", || (service.board().in_flight() == 0).then_some(()));
}

#[test]
fn requests_one_behind_the_other_are_answered_in_turn() {
    let service = Service::start(&with_model("yolov8"));
    let many = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    let last = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let statuses = replay(&service, (many + last + SMUGGLED).as_bytes()).expect("answers");
    assert_eq!(statuses.len(), 501, "and none after the last");
    assert!(statuses[..500].iter().all(|status| *status == 200) && statuses[500] == 404);
}
