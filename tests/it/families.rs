//! Every family, element type, layout and batch axis: the models of `tests/assets` answer the colour of the
//! picture, so a wrong channel, scale, axis, stride or box convention gives another answer.

use e2e::client::Reply;
use e2e::pictures::{COLOURS, plain};
use e2e::service::{Service, asset, with_model};
use serde_json::Value;
use std::collections::BTreeMap;

type Answers = BTreeMap<String, BTreeMap<String, Value>>;

fn answers() -> Answers {
    let text = std::fs::read_to_string(asset("answers.json")).expect("the answers lie beside the models");
    serde_json::from_str(&text).expect("the answers are JSON")
}

/// Asserts that an answer is the expected one, to rounding.
pub fn assert_answer(expected: &Value, reply: &Reply, what: &str) {
    let answer = reply.ok();
    let found = answer.get("detections").or_else(|| answer.get("classes")).and_then(Value::as_array);
    let found = found.unwrap_or_else(|| panic!("{what}: neither detections nor classes in {answer}"));
    let expected = expected.as_array().unwrap_or_else(|| panic!("{what}: no answer is known"));
    assert_eq!(found.len(), expected.len(), "{what}: {answer}");
    // Equal scores may come in either order: labels, of which no expected answer has one twice, tell who is who.
    for expected in expected {
        let found = found.iter().find(|found| found["label"] == expected["label"]);
        let found = found.unwrap_or_else(|| panic!("{what}: no {expected} in {answer}"));
        let near = |a: &Value, b: &Value, tolerance: f64| {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else {
                panic!("{what}: no numbers in {answer}")
            };
            assert!((a - b).abs() <= tolerance, "{what}: {a} for {b} in {answer}");
        };
        near(&found["score"], &expected["score"], 2e-3);
        for k in 0..expected.get("box").map_or(0, |bbox| bbox.as_array().map_or(0, Vec::len)) {
            near(&found["box"][k], &expected["box"][k], 0.1);
        }
    }
}

fn answer_as_expected(models: &[&str]) {
    let answers = answers();
    for model in models {
        let service = Service::start(&with_model(model));
        let client = service.client();
        for (colour, rgb) in COLOURS {
            let expected = &answers[*model][colour];
            if !expected.is_null() {
                assert_answer(expected, &client.detect(&plain(rgb)), &format!("{model}, {colour}"));
            }
        }
    }
}

#[test]
fn grid_and_anchor_families() {
    answer_as_expected(&["yolov8", "yolov8_rows", "yolov5", "yolox", "end_to_end"]);
}

#[test]
fn boxes_and_scores_families() {
    answer_as_expected(&["ssd", "ssd_post", "picodet", "fastestdet", "yunet"]);
}

#[test]
fn classifiers() {
    answer_as_expected(&["classifier"]);
}

#[test]
fn element_types_and_layouts() {
    answer_as_expected(&["u8_nhwc", "f32_nhwc", "f16", "bgr", "gray"]);
}

#[test]
fn fixed_batch_axes() {
    answer_as_expected(&["batch1", "batch4"]);
}

/// The engine rewrites what reads its picture before the runtime sees it.
#[test]
fn a_graph_that_is_rewritten() {
    answer_as_expected(&["focus"]);
}

#[test]
fn every_model_with_an_answer_is_tried() {
    let tried = [
        "yolov8",
        "yolov8_rows",
        "yolov5",
        "yolox",
        "end_to_end",
        "ssd",
        "ssd_post",
        "picodet",
        "fastestdet",
        "yunet",
        "classifier",
        "u8_nhwc",
        "f32_nhwc",
        "f16",
        "bgr",
        "gray",
        "batch1",
        "batch4",
        "focus",
    ];
    // Those that misbehave have tests of their own.
    let apart = ["null", "slow", "nan", "fail", "hang"];
    for model in answers().keys() {
        assert!(tried.contains(&model.as_str()) || apart.contains(&model.as_str()), "nobody tries {model}");
    }
}

/// Many at once through one lane: batches form, and each picture gets its own answer.
#[test]
fn batches_of_different_pictures_do_not_mix() {
    let settings = with_model("slow") + "[engine]\nlanes = 1\nmax_batch = 4\n";
    let service = Service::start(&settings);
    let answers = answers();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            for (colour, rgb) in COLOURS {
                let (client, answers) = (service.client(), &answers);
                scope.spawn(move || {
                    for _ in 0..3 {
                        let reply = client.detect(&plain(rgb));
                        assert_answer(&answers["slow"][colour], &reply, colour);
                    }
                });
            }
        }
    });
    let batches = service.board().engine(0).figures().batch_sizes;
    let images: u64 = batches.iter().zip(0u64..).map(|(runs, size)| runs * size).sum();
    assert_eq!(images, 36);
    assert!(batches[2..].iter().sum::<u64>() > 0, "no batch formed: {batches:?}");
}

#[test]
fn the_built_in_model_finds_its_own_sample() {
    let models = e2e::service::root().join("models");
    let service = Service::start(&format!("[model]\npath = {:?}\n", models.join("colours.onnx")));
    let picture = std::fs::read(models.join("colours.jpg")).expect("the sample");
    let answer = service.client().detect(&picture).ok();
    let golden = std::fs::read_to_string(models.join("colours.json")).expect("the golden answer");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let expected = golden.as_array().expect("a list");
    let found = answer["detections"].as_array().expect("detections");
    assert_eq!(found.len(), expected.len(), "{answer}");
    for expected in expected {
        let near = |found: &&Value| {
            (0..4).all(|k| {
                let (a, b) = (found["box"][k].as_f64(), expected["box"][k].as_f64());
                a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 4.0)
            })
        };
        let same = found.iter().filter(|found| found["label"] == expected["label"]).find(near);
        assert!(same.is_some(), "no {expected} in {answer}");
    }
}
