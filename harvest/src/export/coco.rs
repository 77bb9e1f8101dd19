//! COCO: one JSON for each split, boxes as x, y, width, height in pixels of the picture as a person sees it, categories
//! numbered from 1.

use super::{Item, number};
use serde_json::{Value, json};
use std::path::PathBuf;

pub(super) fn documents(items: &[Item<'_>], classes: &[String]) -> Vec<(PathBuf, String)> {
    let splits = ["train", "val"];
    splits
        .map(|split| {
            (PathBuf::from(format!("annotations/instances_{split}.json")), document(items, classes, split))
        })
        .into()
}

fn document(items: &[Item<'_>], classes: &[String], split: &str) -> String {
    let (mut images, mut annotations): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for item in items.iter().filter(|item| item.split == split) {
        let sidecar = &item.picture.sidecar;
        let image = images.len() + 1;
        images.push(json!({
            "id": image, "file_name": item.file(), "width": sidecar.width, "height": sidecar.height,
            "date_captured": sidecar.time,
        }));
        for found in sidecar.boxes().unwrap_or_default() {
            let Some(class) = number(classes, &found.label) else { continue };
            let [x1, y1, x2, y2] = found.corners.map(f64::from);
            let (width, height) = (x2 - x1, y2 - y1);
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": image, "category_id": class + 1,
                "bbox": [x1, y1, width, height], "area": width * height, "iscrowd": 0, "segmentation": [],
            }));
        }
    }
    let categories: Vec<Value> = classes
        .iter()
        .enumerate()
        .map(|(k, name)| json!({ "id": k + 1, "name": name, "supercategory": "" }))
        .collect();
    let document = json!({
        "info": { "description": "Exported by detectd" }, "licenses": [], "images": images, "annotations": annotations,
        "categories": categories,
    });
    format!("{document}\n")
}
