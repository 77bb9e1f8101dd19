//! Label Studio: tasks with what the model said as predictions and what people said as annotations, boxes in percent of the
//! picture; and the labelling interface that goes with them.

use super::Item;
use crate::sidecar::Found;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

pub(super) fn documents(items: &[Item<'_>], classes: &[String], prefix: &str) -> Vec<(PathBuf, String)> {
    let tasks: Vec<Value> = items.iter().map(|item| task(item, prefix)).collect();
    let boxes = items.iter().any(|item| item.picture.sidecar.boxes().is_some());
    vec![
        ("tasks.json".into(), format!("{:#}\n", Value::from(tasks))),
        ("interface.xml".into(), interface(classes, boxes)),
    ]
}

fn task(item: &Item<'_>, prefix: &str) -> Value {
    let sidecar = &item.picture.sidecar;
    let size = (sidecar.width, sidecar.height);
    let model = &sidecar.model;
    let results = |boxes: &[Found]| -> Vec<Value> {
        boxes
            .iter()
            .enumerate()
            .map(|(k, found)| rectangle(&format!("{}-{k}", sidecar.id), found, size))
            .collect()
    };
    let choice = |class: &str| json!([{ "from_name": "choice", "to_name": "image", "type": "choices", "value": { "choices": [class] } }]);
    let (_, score) = sidecar.found_top();
    let predicted = match &sidecar.detections {
        Some(found) => Value::from(results(found)),
        None => choice(&sidecar.found_top().0),
    };
    let mut task = json!({
        "data": { "image": format!("{prefix}images/{}", item.file()), "id": sidecar.id, "request": sidecar.request },
        "predictions": [{
            "model_version": format!("{} {}", model.name, model.version.get(..12).unwrap_or_default()),
            "score": score, "result": predicted,
        }],
    });
    if let Some(review) = &sidecar.review {
        let result = match sidecar.boxes() {
            Some(boxes) => Value::from(results(boxes)),
            None => choice(&review.class),
        };
        task["annotations"] = json!([{ "result": result, "created_at": review.time }]);
    }
    task
}

fn rectangle(id: &str, found: &Found, (width, height): (u32, u32)) -> Value {
    let [x1, y1, x2, y2] = found.corners.map(f64::from);
    let (across, down) = (100.0 / f64::from(width.max(1)), 100.0 / f64::from(height.max(1)));
    json!({
        "id": id, "from_name": "label", "to_name": "image", "type": "rectanglelabels",
        "original_width": width, "original_height": height, "image_rotation": 0,
        "value": {
            "x": x1 * across, "y": y1 * down, "width": (x2 - x1) * across, "height": (y2 - y1) * down, "rotation": 0,
            "rectanglelabels": [found.label],
        },
        "score": found.score,
    })
}

fn interface(classes: &[String], boxes: bool) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let (open, item, close) = match boxes {
        true => ("<RectangleLabels name=\"label\" toName=\"image\">", "Label", "</RectangleLabels>"),
        false => ("<Choices name=\"choice\" toName=\"image\">", "Choice", "</Choices>"),
    };
    let mut text = format!("<View>\n  <Image name=\"image\" value=\"$image\"/>\n  {open}\n");
    for class in classes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    <{item} value=\"{}\"/>", escaped(class));
    }
    text + &format!("  {close}\n</View>\n")
}
