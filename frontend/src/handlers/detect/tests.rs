//! Detection over a real socket, seats and board, with an engine that answers constants.

use super::*;
use crate::testing::{Engine, Rig, facts, png, wait_for};
use shm_proto::arena::Outcome;
use shm_proto::board::ServiceState;
use vision::model::ModelFacts;

#[test]
fn a_picture_is_answered_with_its_boxes_and_times() {
    let rig = Rig::start();
    let answer = rig.detect("", &png(16, 24));
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    // The input is 8×8 stretched over 16×24.
    let dog =
        serde_json::json!([{ "label": "dog", "class": 1, "score": 0.75, "box": [2.0, 6.0, 10.0, 18.0] }]);
    assert_eq!(json["detections"], dog);
    assert_eq!((&json["width"], &json["height"]), (&16.into(), &24.into()));
    assert_eq!((json["model"].as_str(), json["type"].as_str()), (Some("boxes"), Some("bytes")));
    assert_eq!(json["id"].as_str(), answer.header("x-request-id"));
    let times = json["timing_ms"].as_object().unwrap();
    let sum: f64 =
        times.iter().filter(|(name, _)| *name != "total").map(|(_, ms)| ms.as_f64().unwrap()).sum();
    assert!((sum - times["total"].as_f64().unwrap()).abs() < 0.01, "{times:?}");
    assert_eq!(answer.header("server-timing").unwrap().split(", ").count(), Stage::COUNT);
}

#[test]
fn options_count_wherever_they_come_from() {
    let rig = Rig::start();
    let found = |answer: crate::testing::Answer| answer.json()["detections"].as_array().map(Vec::len);
    assert_eq!(found(rig.detect("?score=0.8", &png(8, 8))), Some(0));
    assert_eq!(found(rig.detect("?classes=dog", &png(8, 8))), Some(1));
    assert_eq!(found(rig.detect("?classes=cat", &png(8, 8))), Some(0));
    let form = b"--b\r\nContent-Disposition: form-data; name=\"score\"\r\n\r\n0.8\r\n\
                 --b\r\nContent-Disposition: form-data; name=\"img\"; filename=\"a\"\r\n\r\n";
    let form = [&form[..], &png(8, 8), b"\r\n--b--\r\n"].concat();
    let head = "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n";
    assert_eq!(found(rig.ask(head, &form)), Some(0));
}

#[test]
fn a_drawn_answer_is_a_picture_of_the_same_size() {
    let rig = Rig::start();
    let answer = rig.detect("?format=image", &png(40, 30));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/jpeg")));
    let picture = vision::decode::decode(&answer.body, &Default::default()).expect("a picture");
    assert_eq!((picture.width, picture.height), (40, 30));
    assert!(answer.header("server-timing").is_some());
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let rig = Rig::with(|config| config.images.max_side = 100, 4, true);
    let mut broken = png(30, 30);
    broken.truncate(60);
    for (query, body, status, code) in [
        ("?score=7", png(8, 8), 400, "bad_parameter"),
        ("?nonsense=1", png(8, 8), 400, "bad_parameter"),
        ("", b"hello, this is text".to_vec(), 422, "not_an_image"),
        ("", broken, 422, "corrupt_image"),
        ("", png(101, 8), 413, "image_too_large"),
    ] {
        let answer = rig.detect(query, &body);
        assert_eq!(answer.problem(), (status, code.to_owned()), "{query}");
        assert_eq!(answer.json()["id"].as_str(), answer.header("x-request-id"));
    }
    let head = "POST /detect HTTP/1.1\r\nHost: x\r\nX-Timeout-Ms: soon\r\nContent-Type: image/png\r\n";
    assert_eq!(rig.ask(head, &png(8, 8)).problem(), (400, "bad_parameter".to_owned()));
}

#[test]
fn the_engines_outcomes_have_their_codes() {
    let rig = Rig::start();
    for (outcome, status, code) in [
        (Outcome::Failed, 500, "engine_failed"),
        (Outcome::Expired, 504, "deadline_exceeded"),
        (Outcome::Poison, 422, "poison_input"),
    ] {
        rig.engine(Engine::Ends(outcome));
        assert_eq!(rig.detect("", &png(8, 8)).problem(), (status, code.to_owned()));
    }
    rig.engine(Engine::Answers);
    assert_eq!(rig.detect("", &png(9, 8)).status, 200);
    assert_eq!(
        rig.detect("", &png(8, 8)).problem().1,
        "poison_input",
        "what killed engines is not tried again"
    );
}

#[test]
fn a_new_generation_ends_the_requests_of_the_old_one() {
    let rig = Rig::with(|config| config.frontend.decode_threads = 2, 1, true);
    rig.engine(Engine::Holds);
    let mut clients: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.send("POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n", &png(8, 8));
    }
    wait_for("one is submitted, the two others wait", || rig.counter(Counter::SeatWaits) == 2);
    rig.replace();
    for client in &mut clients {
        let answer = client.answer(false);
        assert_eq!(answer.problem(), (503, "engine_unavailable".to_owned()));
        assert!(answer.header("retry-after").is_some());
    }
}

#[test]
fn without_an_engine_there_is_a_503_and_a_time_to_come_back() {
    let rig = Rig::with(|_| {}, 1, false);
    let answer = rig.detect("", &png(8, 8));
    assert_eq!(answer.problem(), (503, "engine_unavailable".to_owned()));
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    drop(rig);

    let rig = Rig::start();
    rig.service.board.set_state(ServiceState::Starting);
    assert_eq!(
        rig.detect("", &png(8, 8)).status,
        200,
        "who has a model answers, while others still load theirs"
    );
    rig.service.board.set_state(ServiceState::EngineDown);
    assert_eq!(rig.detect("", &png(8, 8)).status, 200, "a request waits for the next engine");
}

#[test]
fn a_deadline_ends_the_wait_and_gives_the_seat_back() {
    let rig = Rig::with(|_| {}, 1, true);
    rig.engine(Engine::Holds);
    let head = "POST /detect HTTP/1.1\r\nHost: x\r\nX-Timeout-Ms: 50\r\nContent-Type: image/png\r\n";
    for _ in 0..3 {
        assert_eq!(rig.ask(head, &png(8, 8)).problem(), (504, "deadline_exceeded".to_owned()));
    }
    assert_eq!(rig.counter(Counter::Expired), 3);
    rig.engine(Engine::Answers);
    assert_eq!(rig.detect("", &png(8, 8)).status, 200, "the only seat came back");
}

#[test]
fn one_request_more_than_allowed_is_told_when_to_come_back() {
    let rig = Rig::with(|config| config.frontend.max_concurrency = 1, 4, true);
    rig.engine(Engine::Holds);
    let mut first = rig.connect();
    first.send("POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n", &png(8, 8));
    wait_for("the first is in flight", || rig.service.board.in_flight() == 1);
    // Not a byte of the body is sent: the refusal does not wait for it.
    let mut second = rig.connect();
    second.write(
        b"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n",
    );
    let refused = second.answer(false);
    assert_eq!(refused.problem(), (429, "overloaded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    rig.engine(Engine::Answers);
    assert_eq!(first.answer(false).status, 200);
    assert_eq!(rig.detect("", &png(8, 8)).status, 200);
}

#[test]
fn requests_wait_for_seats_in_turn_and_all_are_answered() {
    let rig = Rig::with(|config| config.frontend.decode_threads = 2, 1, true);
    rig.engine(Engine::Holds);
    let mut clients: Vec<_> = (0..12).map(|_| rig.connect()).collect();
    for client in &mut clients {
        client.send("POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n", &png(8, 8));
    }
    wait_for("all are in flight", || rig.service.board.in_flight() == 12);
    wait_for("some wait for the seat", || rig.counter(Counter::SeatWaits) > 0);
    rig.engine(Engine::Answers);
    for client in &mut clients {
        assert_eq!(client.answer(false).status, 200);
    }
    assert_eq!(rig.counter(Counter::Detections), 12);
    wait_for("nothing is in flight", || rig.service.board.in_flight() == 0);
}

#[test]
fn in_runs_of_one_the_seat_comes_first_and_in_batches_or_with_few_seats_the_picture() {
    let broken = || png(8, 8)[..40].to_vec();
    let head = "POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n";
    for (max_batch, seats, waits) in [(1, 3, true), (1, 2, false), (4, 3, false)] {
        let facts = ModelFacts { max_batch, ..facts() };
        let rig = Rig::serving(Some(facts), |config| config.frontend.decode_threads = 1, seats);
        rig.engine(Engine::Holds);
        let mut first: Vec<_> = (0..seats).map(|_| rig.connect()).collect();
        first.iter_mut().for_each(|client| client.send(head, &png(8, 8)));
        let submitted = format!("{seats} submitted");
        wait_for("all seats are taken", || format!("{:?}", rig.service.link.current()).contains(&submitted));
        let mut second = rig.connect();
        second.send(head, &broken());
        if waits {
            wait_for("it waits for the seat", || rig.counter(Counter::SeatWaits) == 1);
            assert_eq!(rig.refused(Code::CorruptImage), 0);
            rig.engine(Engine::Answers);
        }
        assert_eq!(second.answer(false).problem(), (422, "corrupt_image".to_owned()), "{max_batch}, {seats}");
        rig.engine(Engine::Answers);
        first.iter_mut().for_each(|client| assert_eq!(client.answer(false).status, 200));
        for _ in 0..seats {
            assert_eq!(rig.detect("", &png(8, 8)).status, 200, "the seat of what was no picture came back");
        }
    }
}

#[test]
fn a_client_that_leaves_takes_nothing_along() {
    let rig = Rig::with(|config| config.frontend.decode_threads = 2, 2, true);
    rig.engine(Engine::Holds);
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..6).map(|_| rig.connect()).collect();
        for client in &mut clients {
            client.send("POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n", &png(8, 8));
        }
        wait_for("all are in flight", || rig.service.board.in_flight() == 6);
        drop(clients);
        wait_for("nothing is in flight", || rig.service.board.in_flight() == 0);
    }
    assert_eq!(rig.counter(Counter::Cancelled), 18);
    rig.engine(Engine::Answers);
    for _ in 0..4 {
        assert_eq!(rig.detect("", &png(8, 8)).status, 200, "both seats came back");
    }
}

#[test]
fn the_body_of_ab_is_read_as_it_stands() {
    let rig = Rig::start();
    let base64 = |bytes: &[u8]| {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let sextets = bytes.chunks(3).flat_map(|three| {
            let word = three
                .iter()
                .enumerate()
                .fold(0u32, |word, (k, &byte)| word | u32::from(byte) << (16 - 8 * k));
            (0..=three.len()).map(move |k| digits[(word >> (18 - 6 * k)) as usize & 63] as char)
        });
        sextets.collect::<String>()
    };
    let img = base64(&png(8, 8));
    let head = "POST /detect HTTP/1.0\r\nHost: x\r\nContent-Type: application/form-data\r\n";
    for body in [format!("{{\"type\":\"base64\",\"img\":\"{img}\"}}"), format!("type=base64&img={img}")] {
        let answer = rig.ask(head, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["type"], "base64");
    }
    assert_eq!(rig.counter(Counter::InputBase64), 2);
}

#[test]
fn a_class_without_a_name_goes_by_its_number() {
    let spec = crate::testing::facts().spec;
    assert_eq!((label(&spec, 1), label(&spec, 9)), ("dog".to_owned(), "9".to_owned()));
}

#[test]
fn times_are_milliseconds_with_three_decimals() {
    assert_eq!(
        server_timing(&[1_234_567, 0, 0, 0, 0, 0, 999, 1_500_000]).split(", ").collect::<Vec<_>>(),
        [
            "read;dur=1.235",
            "wait;dur=0.000",
            "decode;dur=0.000",
            "preprocess;dur=0.000",
            "queue;dur=0.000",
            "infer;dur=0.000",
            "postprocess;dur=0.001",
            "total;dur=1.500",
        ]
    );
}
