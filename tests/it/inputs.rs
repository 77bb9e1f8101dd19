//! Five input types in every form of arrival: the same picture gives the same detections.

use e2e::client::{Part, Reply, base64, multipart};
use e2e::pictures::plain;
use e2e::service::{Service, with_model};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;

const ORANGE: [u8; 3] = [255, 102, 0];

fn service() -> Service {
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("orange.png"), plain(ORANGE)).expect("room");
    let settings = format!(
        "{}[inputs.path]\nroots = [{folder:?}]\n[inputs.url]\nports = []\nallow_networks = [\"127.0.0.0/8\"]\n",
        with_model("yolov8")
    );
    Service::start(&settings)
}

/// A web server that answers every request with one picture.
fn web(picture: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", picture.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&picture));
        }
    });
    format!("http://{address}/orange.png")
}

fn assert_orange(reply: &Reply, kind: &str, what: &str) {
    let answer = reply.ok();
    assert_eq!(answer["type"], kind, "{what}: {answer}");
    assert_eq!((&answer["width"], &answer["height"]), (&json!(96), &json!(64)), "{what}");
    let found: Vec<_> =
        answer["detections"].as_array().expect("detections").iter().map(|found| &found["label"]).collect();
    assert_eq!(found, [&json!("red"), &json!("green")], "{what}: {answer}");
}

#[test]
fn every_type_in_every_form_gives_the_same_detections() {
    let service = service();
    let client = service.client();
    let picture = plain(ORANGE);
    let text = base64(&picture);
    let url = web(picture.clone());
    let path = "orange.png";
    let uri = format!("data:image/png;base64,{text}");
    let url_safe = text.trim_end_matches('=').replace('+', "-").replace('/', "_");

    // JSON
    for (kind, img) in [
        ("base64", json!(text)),
        ("base64", json!(url_safe)),
        ("base64", json!(uri)),
        ("url", json!(url)),
        ("path", json!(path)),
        ("bytes", json!(picture)),
    ] {
        assert_orange(&client.detect_json(kind, img), kind, "JSON");
    }

    // Forms
    let escape = |text: &str| {
        text.replace('%', "%25")
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace(':', "%3A")
    };
    for content_type in ["application/x-www-form-urlencoded", "application/form-data"] {
        for (kind, img) in
            [("base64", &text), ("base64", &url_safe), ("url", &url), ("path", &path.to_owned())]
        {
            let body = format!("type={kind}&img={}", escape(img));
            assert_orange(&client.post("/detect", content_type, body.as_bytes()), kind, content_type);
        }
        // As people write it in a file for a load generator: nothing escaped, a newline at the end; or JSON.
        let body = format!("type=base64&img={text}\n");
        assert_orange(&client.post("/detect", content_type, body.as_bytes()), "base64", content_type);
        let body = json!({"type": "base64", "img": text}).to_string();
        assert_orange(&client.post("/detect", content_type, body.as_bytes()), "base64", content_type);
    }
    for (kind, img) in [("base64", text.as_str()), ("url", url.as_str()), ("path", path)] {
        let (content_type, body) = multipart(&[Part::Text("type", kind), Part::Text("img", img)]);
        assert_orange(&client.post("/detect", &content_type, &body), kind, "multipart");
    }
    for (kind, field) in [("bytes", "img"), ("file", "img"), ("file", "upload")] {
        let parts = [Part::Text("type", kind), Part::File(field, "x.png", "image/png", &picture)];
        let (content_type, body) = multipart(&parts);
        assert_orange(&client.post("/detect", &content_type, &body), kind, "multipart");
    }
    let (content_type, body) = multipart(&[Part::File("img", "x.jpg", "text/plain", &picture)]);
    assert_orange(&client.post("/detect", &content_type, &body), "file", "a file without a type");

    // Raw bodies
    for content_type in ["image/png", "image/jpeg", "application/octet-stream"] {
        assert_orange(&client.post("/detect", content_type, &picture), "bytes", content_type);
        assert_orange(&client.post("/detect?type=bytes", content_type, &picture), "bytes", content_type);
    }
}

#[test]
fn options_change_the_answer() {
    let service = service();
    let client = service.client();
    let labels = |reply: &Reply| -> Vec<String> {
        let answer = reply.ok();
        let found = answer["detections"].as_array().expect("detections");
        found.iter().map(|found| found["label"].as_str().expect("a label").to_owned()).collect()
    };
    let detect = |query: &str| client.post(&format!("/detect{query}"), "image/png", &plain(ORANGE));
    assert_eq!(labels(&detect("?score=0.5")), ["red"]);
    assert_eq!(labels(&detect("?score=0.1&classes=green")), ["green"]);
    assert_eq!(labels(&detect("?classes=0,1")), ["red", "green"]);
    assert_eq!(labels(&detect("?classes=blue")), [""; 0]);
    let image = detect("?format=image");
    assert_eq!((image.status, image.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!(&image.body[..2], [0xFF, 0xD8]);
    for query in ["?score=2", "?score=x", "?classes=purple", "?format=pdf", "?colour=red", "?top_k=0"] {
        assert_eq!(detect(query).problem(), (400, "bad_parameter".to_owned()), "{query}");
    }
}

#[test]
fn an_answer_says_who_when_and_how_long() {
    let service = service();
    let client = service.client();
    let headers = [("content-type", "image/png"), ("x-request-id", "my-own-id")];
    let reply = client.post_with("/detect", &headers, &plain(ORANGE));
    let answer = reply.ok();
    assert_eq!((answer["id"].as_str(), reply.header("x-request-id")), (Some("my-own-id"), Some("my-own-id")));
    assert_eq!(answer["model"], "yolov8");
    let times = answer["timing_ms"].as_object().expect("times");
    let stages = ["read", "wait", "decode", "preprocess", "queue", "infer", "postprocess"];
    let sum: f64 = stages.iter().map(|stage| times[*stage].as_f64().expect(stage)).sum();
    let total = times["total"].as_f64().expect("total");
    assert!((sum - total).abs() <= 0.01, "{times:?}");
    let timing = reply.header("server-timing").expect("the same as a header");
    for stage in stages {
        assert!(timing.contains(&format!("{stage};dur=")), "{timing}");
    }

    let other = client.detect(&plain(ORANGE));
    let id = other.header("x-request-id").expect("an id of ours").to_owned();
    assert_eq!(other.ok()["id"], Value::from(id.clone()));
    assert!(id.len() == 26, "{id}");
}

#[test]
fn a_photograph_is_seen_as_a_person_sees_it() {
    let Some(data) = e2e::reference::data_folder() else {
        println!("SKIPPED: the test data (DETECTD_DATA) is absent");
        return;
    };
    let service = service();
    for orientation in 1..=8 {
        let picture = std::fs::read(data.join(format!("images/variants/dog416_exif{orientation}.jpg")))
            .expect("a picture");
        let answer = service.client().detect(&picture).ok();
        assert_eq!(
            (&answer["width"], &answer["height"]),
            (&json!(416), &json!(312)),
            "orientation {orientation}"
        );
    }
}
