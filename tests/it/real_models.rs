//! Real models on real pictures, against what an independent program found. The rules are those of
//! `e2e::reference`; what may differ stands with its reason in `tests/reference_exceptions.toml`.

use e2e::reference::{Answer, Object, Ranked, data_folder, exceptions, load};
use e2e::service::{Service, root};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Found {
    label: String,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    #[serde(default)]
    keypoints: Vec<[f32; 2]>,
}

fn answer(value: &serde_json::Value) -> Answer {
    if let Some(classes) = value.get("classes") {
        return Answer::Classes(Vec::<Ranked>::deserialize(classes).expect("classes"));
    }
    let found = Vec::<Found>::deserialize(&value["detections"]).expect("detections");
    Answer::Objects(
        found
            .into_iter()
            .map(|Found { label, score, bbox, keypoints }| {
                let landmarks = keypoints.into_iter().flatten().collect();
                Object { label, score, bbox, landmarks }
            })
            .collect(),
    )
}

/// The labels of a model: the sidecar names a file of the data folder.
fn labels_of(sidecar: &Path, data: &Path) -> Option<String> {
    let table: toml::Table = std::fs::read_to_string(sidecar).ok()?.parse().ok()?;
    let file = table.get("labels_file")?.as_str()?;
    Some(data.join("labels").join(file).display().to_string())
}

fn check(model: &str) {
    let Some(data) = data_folder() else {
        println!("SKIPPED: the test data (DETECTD_DATA) is absent");
        return;
    };
    let text =
        std::fs::read_to_string(root().join("tests/reference_exceptions.toml")).expect("the exceptions");
    let exceptions = exceptions(&text);
    // The model with the free batch axis has no results of its own: its reference says that they are the same.
    let (of, file) = match model {
        "yolox_nano_dynbatch" => ("yolox_nano", Some("models/derived/yolox_nano_dynbatch.onnx")),
        model => (model, None),
    };
    let reference = load(&data).into_iter().find(|reference| reference.model == of).expect("a reference");
    let sidecar = root().join(format!("tests/models/{model}.toml"));
    let labels = labels_of(&sidecar, &data).unwrap_or_default();
    let settings = format!(
        "[model]\npath = {:?}\nsidecar = {sidecar:?}\nlabels = {labels:?}\n",
        data.join(file.unwrap_or(&reference.file))
    );
    let service = Service::start(&settings);
    let client = service.client();
    let (mut checked, mut faults) = (0, Vec::new());
    for case in &reference.cases {
        let excepted = exceptions.iter().any(|exception| {
            exception.image == case.image
                && (exception.models.is_empty() || exception.models.iter().any(|name| name == model))
        });
        if excepted {
            continue;
        }
        let picture = std::fs::read(data.join(&case.image)).expect("a picture");
        let reply = client.detect(&picture);
        if reply.status != 200 {
            faults.push(format!("{}: {}", case.image, String::from_utf8_lossy(&reply.body)));
            continue;
        }
        let json = reply.json();
        if (json["width"].as_u64(), json["height"].as_u64())
            != (Some(case.width.into()), Some(case.height.into()))
        {
            faults.push(format!("{}: {} x {}", case.image, json["width"], json["height"]));
        }
        faults.extend(
            case.faults(model, &answer(&json)).into_iter().map(|fault| format!("{}: {fault}", case.image)),
        );
        checked += 1;
    }
    println!("{model}: {checked} pictures of {}", reference.cases.len());
    assert!(checked > 0, "{model}: nothing was checked");
    assert!(faults.is_empty(), "{model}:\n  {}", faults.join("\n  "));
}

macro_rules! models {
    ($($name:ident)+) => {
        $(#[test] fn $name() { check(stringify!($name)) })+

        #[test]
        fn every_reference_is_tried() {
            let Some(data) = data_folder() else { return };
            for reference in load(&data) {
                // The file's name has a dot where a test's name cannot.
                let name = reference.model.replace('.', "_");
                assert!([$(stringify!($name)),+, "squeezenet1_1_fp32", "squeezenet1_1_fp16"].contains(&name.as_str()), "nobody tries {name}");
            }
        }
    };
}

models! { yolox_nano yolox_nano_dynbatch picodet_xs_320 fastestdet ultraface_rfb_320 yunet_n_320 yunet_n_dynamic cifar10_cnn mnist_cntk }

#[test]
fn squeezenet_f32() {
    check("squeezenet1.1_fp32");
}

#[test]
fn squeezenet_f16() {
    check("squeezenet1.1_fp16");
}
