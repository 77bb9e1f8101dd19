//! Every refusal: the right status, the right code, and a service as healthy after as before.

use e2e::client::{Client, Part, base64, multipart};
use e2e::pictures::{jpeg, plain, sized};
use e2e::service::{Service, asset, wait_for, with_model};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

const RED: [u8; 3] = [255, 0, 0];

/// A service with limits small enough to be exceeded in a test.
fn service() -> Service {
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("inside.png"), plain(RED)).expect("room");
    std::os::unix::fs::symlink("/etc/hostname", folder.join("link.png")).expect("a link");
    nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let settings = format!(
        "{}[inputs]\nmax_body = \"200KiB\"\nmax_image = \"100KiB\"\n[images]\nmax_pixels = 100000\nmax_side = 1000\n\
         [inputs.path]\nroots = [{folder:?}]\n",
        with_model("yolov8")
    );
    Service::start(&settings)
}

fn assert_problem(
    client: &Client,
    what: &str,
    path: &str,
    content_type: &str,
    body: &[u8],
    expected: (u16, &str),
) {
    let reply = client.post(path, content_type, body);
    assert_eq!(
        reply.problem(),
        (expected.0, expected.1.to_owned()),
        "{what}: {}",
        String::from_utf8_lossy(&reply.body)
    );
}

#[test]
fn each_mistake_has_its_code_and_harms_nobody() {
    let service = service();
    let client = service.client();
    let pids = (service.frontends(), service.engine());
    let before = client.detect(&plain(RED)).ok()["detections"].clone();
    let check = |what: &str, content_type: &str, body: &[u8], status: u16, code: &str| {
        assert_problem(&client, what, "/detect", content_type, body, (status, code));
    };
    let typed = |what: &str, kind: &str, img: serde_json::Value, status: u16, code: &str| {
        check(
            what,
            "application/json",
            json!({"type": kind, "img": img}).to_string().as_bytes(),
            status,
            code,
        );
    };

    // JSON
    check("cut JSON", "application/json", b"{\"type\":\"base64\",\"img\":", 400, "bad_json");
    check("an array", "application/json", b"[1,2]", 400, "bad_json");
    check("no img", "application/json", b"{\"type\":\"base64\"}", 400, "bad_json");
    check("img is a number", "application/json", b"{\"type\":\"base64\",\"img\":7}", 400, "bad_json");
    check("too deep", "application/json", "[".repeat(10_000).as_bytes(), 400, "bad_json");
    typed("wrong base64", "base64", json!("@@@@"), 400, "bad_base64");
    typed("byte too large", "bytes", json!([1, 256]), 400, "bad_json");
    typed("unknown type", "telepathy", json!("x"), 400, "unsupported_type");

    // Forms
    check("a form without img", "application/x-www-form-urlencoded", b"type=base64", 400, "bad_form");
    check("multipart without boundary", "multipart/form-data", b"x", 400, "bad_form");
    let (content_type, body) = multipart(&[Part::Text("type", "file")]);
    check("no file", &content_type, &body, 400, "bad_form");
    check("a content type nobody knows", "application/x-tar", b"x", 415, "unsupported_media_type");

    // Pictures
    check("nothing", "image/jpeg", b"", 422, "not_an_image");
    check("text named .jpg", "image/jpeg", b"this is not a picture", 422, "not_an_image");
    let (content_type, body) = multipart(&[Part::File("img", "photo.jpg", "image/jpeg", b"neither is this")]);
    check("an uploaded text", &content_type, &body, 422, "not_an_image");
    typed("base64 of a text", "base64", json!(base64(b"nor this")), 422, "not_an_image");
    let photo = jpeg();
    check("a truncated JPEG", "image/jpeg", &photo[..photo.len() / 2], 422, "corrupt_image");
    let mut bent = plain(RED);
    let middle = bent.len() / 2;
    bent[middle] ^= 0x55;
    check("a bent PNG", "image/png", &bent, 422, "corrupt_image");
    check("too many pixels", "image/png", &sized(RED, 400, 400), 413, "image_too_large");
    check("too long a side", "image/png", &sized(RED, 1100, 20), 413, "image_too_large");
    check(
        "a picture format that is not served",
        "image/svg+xml",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        415,
        "unsupported_media_type",
    );

    // Sizes
    check("a body too large", "image/png", &vec![0; 300 << 10], 413, "body_too_large");
    check("an image too large", "image/png", &vec![0; 150 << 10], 413, "body_too_large");
    typed("base64 of too much", "base64", json!(base64(&vec![0; 120 << 10])), 413, "body_too_large");

    // Paths
    for path in [
        "../etc/passwd",
        "/etc/passwd",
        "link.png",
        "fifo",
        ".",
        "absent.png",
        "/proc/self/mem",
        "inside.png/x",
    ] {
        typed(path, "path", json!(path), 403, "path_forbidden");
    }
    assert_eq!(client.detect_json("path", json!("inside.png")).status, 200);

    // Addresses
    for address in [
        "ftp://example.com/x.jpg",
        "file:///etc/passwd",
        "http://user@example.com/",
        "http://127.0.0.1:1/",
        "not an address",
    ] {
        let reply = client.detect_json("url", json!(address));
        let (status, code) = reply.problem();
        assert!(matches!((status, code.as_str()), (403, "url_forbidden")), "{address}: {code}");
    }

    // Routes and methods
    assert_eq!(client.get("/nowhere").problem(), (404, "not_found".to_owned()));
    let wrong = client.get("/detect");
    assert_eq!(wrong.problem(), (405, "method_not_allowed".to_owned()));
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("POST")));
    assert_problem(&client, "POST to a page", "/metrics", "text/plain", b"", (405, "method_not_allowed"));

    let after = client.detect(&plain(RED)).ok()["detections"].clone();
    assert_eq!(before, after);
    assert_eq!(pids, (service.frontends(), service.engine()), "a process died of a bad request");
    assert_eq!(client.get("/readyz").status, 200);
    let seats = service.board().seats();
    let free = wait_for("all seats to be free", || {
        let seats = service.board().seats();
        let free = seats.of(shm_proto::SeatState::Free);
        (free == seats.0.iter().sum::<u32>() && free > 0).then_some(free)
    });
    assert!(free > 0, "{seats:?}");
}

/// Sends bytes and returns the status line and the code of the answer.
fn raw(service: &Service, request: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(service.address()).expect("a connection");
    stream.set_read_timeout(Some(e2e::service::PATIENCE)).expect("a timeout");
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text
        .split("\"code\":\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_default()
        .to_owned();
    (text.lines().next().unwrap_or_default().to_owned(), code)
}

#[test]
fn malformed_requests_are_refused() {
    let service = service();
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(6000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(200));
    for (what, request, status, code) in [
        ("no Host", "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "400", "bad_request"),
        (
            "two Hosts",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
            "400",
            "bad_request",
        ),
        (
            "an expectation",
            "POST /detect HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
            "417",
            "expectation_failed",
        ),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "405", "method_not_allowed"),
        ("a long target", &long, "414", "uri_too_long"),
        (
            "a claim of a huge body",
            "POST /detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n",
            "413",
            "body_too_large",
        ),
    ] {
        let (line, found) = raw(&service, request.as_bytes());
        assert!(line.contains(status), "{what}: {line}");
        assert_eq!(found, code, "{what}");
    }
    // The parser itself answers these, before there is a request.
    for (what, request, status) in [
        ("garbage", "\0\0\0\0\r\n\r\n", "400"),
        ("too many headers", many.as_str(), "431"),
        (
            "two lengths",
            "POST /detect HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "400",
        ),
        (
            "an unknown encoding",
            "POST /detect HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx",
            "400",
        ),
    ] {
        let (line, _) = raw(&service, request.as_bytes());
        assert!(line.contains(status), "{what}: {line}");
    }
    assert_eq!(service.client().get("/healthz").status, 200);
}

#[test]
fn a_model_that_misbehaves_costs_its_own_request_only() {
    let service = Service::start(&with_model("fail"));
    let client = service.client();
    assert_eq!(client.detect(&plain(RED)).problem(), (500, "engine_failed".to_owned()));
    assert_eq!(client.detect(&plain([0, 255, 0])).ok()["detections"][0]["label"], "green");

    let service = Service::start(&with_model("nan"));
    let client = service.client();
    let reply = client.detect(&plain(RED));
    assert!(reply.status == 500 || reply.ok()["detections"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(client.detect(&plain([0, 255, 0])).ok()["detections"][0]["label"], "green");

    let service = Service::start(&with_model("crowd"));
    let answer = service.client().detect(&plain(RED)).ok();
    assert!(answer["detections"].as_array().is_some_and(|found| (1..=300).contains(&found.len())));
}

#[test]
fn a_deadline_is_kept() {
    let service = Service::start(&(with_model("slow") + "[engine]\nlanes = 1\n"));
    std::thread::scope(|scope| {
        // Keep the one lane busy, so that the impatient one is still in the queue when its time is over.
        for _ in 0..6 {
            let client = service.client();
            scope.spawn(move || client.detect(&plain(RED)).ok());
        }
        let client = service.client();
        wait_for("a request in the queue", || (service.board().in_flight() >= 4).then_some(()));
        let headers = [("content-type", "image/png"), ("x-timeout-ms", "1")];
        assert_eq!(
            client.post_with("/detect", &headers, &plain(RED)).problem(),
            (504, "deadline_exceeded".to_owned())
        );
    });
}

#[test]
fn too_many_at_once_are_refused_with_a_time_to_come_back() {
    let service =
        Service::start(&(with_model("slow") + "[engine]\nlanes = 1\n[frontend]\nmax_concurrency = 2\n"));
    let replies: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let client = service.client();
                scope.spawn(move || (0..4).map(|_| client.detect(&plain(RED))).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    });
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(!refused.is_empty() && refused.len() < replies.len(), "{} of {}", refused.len(), replies.len());
    for reply in refused {
        assert_eq!(reply.problem(), (429, "overloaded".to_owned()));
        let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{:?}", reply.headers);
    }
}

#[test]
fn malformed_files_of_other_projects_are_refused_or_answered() {
    let Some(data) = e2e::reference::data_folder() else {
        println!("SKIPPED: the test data (DETECTD_DATA) is absent");
        return;
    };
    let service = Service::start(&with_model("null"));
    let client = service.client();
    let pids = (service.frontends(), service.engine());
    let mut files = Vec::new();
    let mut folders = vec![data.join("bad-images")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 100, "{}", files.len());
    for file in files {
        let reply = client.detect(&std::fs::read(&file).expect("a file"));
        match reply.status {
            200 => {}
            413 | 415 | 422 => {
                reply.problem();
            }
            status => panic!("{}: {status} {}", file.display(), String::from_utf8_lossy(&reply.body)),
        }
    }
    assert_eq!(pids, (service.frontends(), service.engine()), "a process died of a bad file");
    assert!(asset("null.onnx").exists());
}
