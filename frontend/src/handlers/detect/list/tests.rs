use crate::testing::{Answer, Engine, Rig, png, wait_for};
use base64_simd::STANDARD;
use serde_json::{Value, json};
use shm_proto::board::Counter;

const HEAD: &str = "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

fn picture(width: u32) -> Value {
    json!({ "type": "base64", "img": STANDARD.encode_to_string(png(width, 8)) })
}

fn ask(rig: &Rig, head: &str, body: &Value) -> Answer {
    rig.ask(head, body.to_string().as_bytes())
}

/// Each result's code, or the width of the picture that was answered.
fn outcomes(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let results = json["results"].as_array().expect("results");
    results.iter().map(|result| result.get("code").unwrap_or(&result["width"]).clone()).collect()
}

#[test]
fn each_picture_has_its_answer_or_its_problem_in_order() {
    let rig = Rig::start();
    let images = json!([
        picture(8),
        { "type": "base64", "img": "***" },
        picture(9),
        { "type": "path", "img": "/etc/passwd" },
        { "type": "url", "img": "http://127.0.0.1/" },
        { "type": "bytes", "img": [1, 2, 3] },
        { "type": "bytes", "img": png(10, 8) },
        { "type": "base64", "img": STANDARD.encode_to_string(png(11, 8)), "score": 0.8 },
        { "type": "base64", "img": STANDARD.encode_to_string(png(12, 8)), "score": 8 },
        { "type": "base64", "img": STANDARD.encode_to_string(png(13, 8)), "format": "json" },
    ]);
    let answer = ask(&rig, HEAD, &json!({ "images": images }));
    let expected = json!([
        8,
        "bad_base64",
        9,
        "path_forbidden",
        "url_forbidden",
        "not_an_image",
        10,
        11,
        "bad_parameter",
        "bad_parameter"
    ]);
    assert_eq!(Value::from(outcomes(&answer)), expected);
    let json = answer.json();
    assert_eq!(json["id"].as_str(), answer.header("x-request-id"));
    let results = json["results"].as_array().unwrap();
    for result in results {
        assert_eq!(result["id"], json["id"], "an answer or a problem like any other");
        assert!(result["timing_ms"]["total"].is_number() || result["status"].is_number(), "{result}");
    }
    assert_eq!(results[0]["detections"].as_array().map(Vec::len), Some(1));
    assert_eq!(results[7]["detections"].as_array().map(Vec::len), Some(0), "its own threshold");
    assert!(answer.header("server-timing").unwrap().starts_with("total;dur="));
    assert!(
        json["timing_ms"]["total"].as_f64().unwrap() >= results[0]["timing_ms"]["total"].as_f64().unwrap()
    );
}

#[test]
fn a_list_is_one_request_and_as_many_pictures_as_were_answered() {
    let rig = Rig::start();
    let days = || rig.service.board.days().first().map_or(0, |today| today.pv);
    let before = days();
    let answer = ask(&rig, HEAD, &json!({ "images": [picture(8), picture(9), { "img": "***" }] }));
    assert_eq!(outcomes(&answer).len(), 3);
    assert_eq!(days() - before, 1, "one call");
    for (counter, expected) in [
        (Counter::Requests, 1),
        (Counter::Detections, 2),
        (Counter::InputBase64, 2),
        (Counter::ListRefused, 1),
    ] {
        assert_eq!(rig.counter(counter), expected, "{counter:?}");
    }
    let figures = rig.service.process().figures();
    assert_eq!(figures.stage(shm_proto::board::Stage::Total).count(), 2);
    assert_eq!(figures.codes.iter().sum::<u64>(), 0, "the request itself was answered");
    assert_eq!(rig.service.board.in_flight(), 0);
}

#[test]
fn each_picture_is_in_flight_until_its_own_answer() {
    let rig = Rig::start();
    rig.engine(Engine::Holds);
    let mut client = rig.connect();
    let body = json!({ "images": [picture(8), picture(9), picture(10)] }).to_string();
    client.send(HEAD, body.as_bytes());
    wait_for("all are in flight", || rig.service.board.in_flight() == 3);
    wait_for("all are in service", || rig.service.board.in_service() == 3);
    rig.engine(Engine::Answers);
    assert_eq!(outcomes(&client.answer(false)), [8, 9, 10]);
    wait_for("none is", || rig.service.board.in_flight() == 0);
}

#[test]
fn pictures_that_are_late_say_so_and_the_others_are_answered() {
    let rig = Rig::start();
    rig.engine(Engine::Holds);
    let head = format!("{HEAD}X-Timeout-Ms: 200\r\n");
    let answer = ask(&rig, &head, &json!({ "images": [picture(8), { "img": "***" }, picture(9)] }));
    assert_eq!(outcomes(&answer), ["deadline_exceeded", "bad_base64", "deadline_exceeded"]);
    rig.engine(Engine::Answers);
    assert_eq!(outcomes(&ask(&rig, HEAD, &json!({ "images": [picture(8)] }))), [8], "the seats came back");
}

#[test]
fn a_long_list_is_answered_with_few_seats() {
    let rig = Rig::with(|_| {}, 1, true);
    let images: Vec<_> = (0..32).map(|k| picture(8 + k)).collect();
    let answer = ask(&rig, HEAD, &json!({ "images": images }));
    assert_eq!(outcomes(&answer), (8..40).collect::<Vec<_>>());
}

#[test]
fn no_more_of_a_list_are_in_service_than_are_let_in() {
    let rig = Rig::with(|config| config.frontend.max_concurrency = 2, 4, true);
    let images: Vec<_> = (0..6).map(|k| picture(8 + k)).collect();
    let answer = ask(&rig, HEAD, &json!({ "images": images }));
    assert_eq!(outcomes(&answer), [8, 9, 10, 11, 12, 13], "they take turns");
}

#[test]
fn what_is_wrong_with_the_request_is_said_for_all() {
    let rig = Rig::with(|config| config.inputs.max_images = 2, 4, true);
    let images = |count: usize| json!({ "images": vec![picture(8); count] });
    assert_eq!(outcomes(&ask(&rig, HEAD, &images(2))), [8, 8]);
    for (query, body, code) in [
        ("", images(3), "bad_json"),
        ("", images(0), "bad_json"),
        ("?format=image", images(1), "bad_parameter"),
        ("?score=0.5", json!({ "score": 0.5, "images": [picture(8)] }), "bad_parameter"),
        ("?classes=cow", images(1), "bad_parameter"),
        ("", json!({ "classes": "cow", "images": [picture(8)] }), "bad_parameter"),
    ] {
        let head = HEAD.replace("/detect", &format!("/detect{query}"));
        assert_eq!(ask(&rig, &head, &body).problem(), (400, code.to_owned()), "{query} {body}");
    }
}

#[test]
fn answers_to_one_list_have_one_length() {
    let rig = Rig::start();
    let body = json!({ "images": [picture(8), { "img": "***" }, picture(9)] });
    let lengths: Vec<_> =
        (0..5).map(|_| ask(&rig, &format!("{HEAD}X-Request-Id: one\r\n"), &body).body.len()).collect();
    assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
}
