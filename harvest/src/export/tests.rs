use super::*;
use crate::review::{Action, Seen, apply};
use crate::testing::{classified, detected, index};
use std::os::unix::fs::MetadataExt;

/// A root with 30 accepted pictures, 2 new ones, and a rejected one.
fn reviewed(classify: bool) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let made = |k: usize| {
        let (id, class) = (format!("P{k:02}"), if k.is_multiple_of(3) { "cat" } else { "dog" });
        if classify { classified(&id, class, 0.5) } else { detected(&id, class, 0.5) }
    };
    let mut index = index(root.path(), &(0..33).map(made).collect::<Vec<_>>());
    let seen = |range: std::ops::Range<usize>| {
        range.map(|k| Seen { id: format!("P{k:02}"), revision: 0 }).collect::<Vec<_>>()
    };
    apply(&mut index, &seen(0..29), &Action::Accept).expect("done");
    apply(&mut index, &seen(29..30), &if classify { Action::Accept } else { Action::Boxes(vec![]) })
        .expect("done");
    apply(&mut index, &seen(30..31), &Action::Reject).expect("done");
    root
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn listed(folder: PathBuf) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn yolo_has_a_text_for_every_picture_and_numbers_in_shares() {
    let root = reviewed(false);
    let into = root.path().with_extension("yolo");
    let report = export(root.path(), &into, &Order::new(Format::Yolo)).expect("an export");
    assert_eq!(report.pictures.values().sum::<usize>(), 30);
    assert!(report.pictures["val"] > 0 && report.linked == 30, "{report:?}");
    for split in ["train", "val"] {
        let stems = |part: &str| {
            listed(into.join(split).join(part)).iter().map(|name| name[..3].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(stems("images"), stems("labels"));
    }
    let label = |id: &str| {
        ["train", "val"]
            .iter()
            .find_map(|split| fs::read_to_string(into.join(split).join(format!("labels/{id}.txt"))).ok())
            .expect("a label")
    };
    assert_eq!(label("P00"), "0 0.250000 0.347222 0.333333 0.444444\n");
    assert_eq!(label("P29"), "", "a picture with nothing in it is worth learning from, too");
    assert!(text(into.join("data.yaml")).ends_with("names:\n  0: \"cat\"\n  1: \"dog\"\n"));
    let picture = listed(into.join("train/images"))[0].clone();
    assert_eq!(fs::metadata(into.join("train/images").join(picture)).expect("a picture").nlink(), 2);
    assert!(matches!(export(root.path(), &into, &Order::new(Format::Yolo)), Err(ExportError::Exists(_))));
    fs::remove_dir_all(into).expect("ours");
}

#[test]
fn the_split_is_the_same_again_and_the_manifest_is_true() {
    let root = reviewed(false);
    let manifests: Vec<serde_json::Value> = ["a", "b"]
        .iter()
        .map(|name| {
            let into = root.path().with_extension(name);
            let order = Order { copy: *name == "b", ..Order::new(Format::Coco) };
            export(root.path(), &into, &order).expect("an export");
            for line in text(into.join("SHA256SUMS")).lines() {
                let (sum, path) = line.split_once("  ").expect("sum and path");
                let digest = Sha256::digest(fs::read(into.join(path)).expect("a picture"));
                assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), sum);
            }
            let manifest = serde_json::from_str(&text(into.join("manifest.json"))).expect("JSON");
            fs::remove_dir_all(into).expect("ours");
            manifest
        })
        .collect();
    assert_eq!(manifests[0], manifests[1]);
    assert_eq!(manifests[0]["files"].as_array().map(Vec::len), Some(30));
}

#[test]
fn coco_counts_from_one_and_knows_every_box() {
    let root = reviewed(false);
    let into = root.path().with_extension("coco");
    export(root.path(), &into, &Order::new(Format::Coco)).expect("an export");
    let mut boxes = 0;
    for split in ["train", "val"] {
        let document: serde_json::Value =
            serde_json::from_str(&text(into.join(format!("annotations/instances_{split}.json"))))
                .expect("JSON");
        let images = document["images"].as_array().expect("images");
        assert_eq!(images.len(), listed(into.join(split)).len());
        for annotation in document["annotations"].as_array().expect("annotations") {
            assert!(images.iter().any(|image| image["id"] == annotation["image_id"]));
            assert_eq!(annotation["bbox"], json!([8.0, 9.0, 32.0, 32.0]));
            boxes += 1;
        }
        assert_eq!(
            document["categories"],
            json!([{"id":1,"name":"cat","supercategory":""},{"id":2,"name":"dog","supercategory":""}])
        );
    }
    assert_eq!(boxes, 29);
    fs::remove_dir_all(into).expect("ours");
}

#[test]
fn classes_become_folders_and_tasks() {
    let root = reviewed(true);
    let folders = root.path().with_extension("folders");
    export(root.path(), &folders, &Order::new(Format::ImageFolder)).expect("an export");
    assert_eq!(listed(folders.join("train")), ["cat", "dog"]);
    fs::remove_dir_all(folders).expect("ours");
    assert!(matches!(
        export(root.path(), &root.path().with_extension("none"), &Order::new(Format::Yolo)),
        Err(ExportError::NoBoxes)
    ));
    let nowhere = tempfile::tempdir().expect("a folder");
    let empty = export(nowhere.path(), &nowhere.path().join("out"), &Order::new(Format::Coco));
    assert!(matches!(empty, Err(ExportError::Nothing(_))));

    let tasks = root.path().with_extension("tasks");
    let order = Order { states: State::ALL.to_vec(), ..Order::new(Format::LabelStudio) };
    export(root.path(), &tasks, &order).expect("an export");
    let document: serde_json::Value = serde_json::from_str(&text(tasks.join("tasks.json"))).expect("JSON");
    assert_eq!(document.as_array().map(Vec::len), Some(33));
    assert_eq!(document[0]["data"]["image"], "/data/local-files/?d=images/P00.png");
    assert_eq!(document[0]["annotations"][0]["result"][0]["value"]["choices"], json!(["cat"]));
    assert!(document[32].get("annotations").is_none(), "nobody has said anything of it");
    fs::remove_dir_all(tasks).expect("ours");
}

#[test]
fn label_studio_counts_in_percent() {
    let root = reviewed(false);
    let into = root.path().with_extension("studio");
    export(root.path(), &into, &Order::new(Format::LabelStudio)).expect("an export");
    let document: serde_json::Value = serde_json::from_str(&text(into.join("tasks.json"))).expect("JSON");
    let value = &document[0]["annotations"][0]["result"][0]["value"];
    assert!(
        (value["x"].as_f64().expect("x") - 100.0 / 12.0).abs() < 1e-9
            && value["height"].as_f64() == Some(32.0 / 72.0 * 100.0),
        "{value}"
    );
    assert_eq!(value["rectanglelabels"], json!(["cat"]));
    assert!(text(into.join("interface.xml")).contains("<Label value=\"dog\"/>"));
    fs::remove_dir_all(into).expect("ours");
}
