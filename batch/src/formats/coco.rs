//! COCO: `images`, `annotations` with `score`, and `categories`, as pycocotools and labelling tools read them. A category's id is the
//! class's number; only classes that were found stand there. What is bad stands under `errors`, which COCO does not know.

use crate::BatchError;
use crate::journal::Journal;
use crate::sources::Item;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

pub fn write(out: &mut dyn Write, items: &[Item], journal: &Journal) -> Result<(), BatchError> {
    let fault =
        |error: serde_json::Error| BatchError::Usage(format!("the answers cannot be written: {error}"));
    let (mut images, mut annotations, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    let mut categories = BTreeMap::new();
    for (number, item) in items.iter().enumerate() {
        let record = journal.record(&item.name)?;
        let id = number + 1;
        let (width, height) = (record.width, record.height);
        images.push(json!({"id": id, "file_name": record.image, "width": width, "height": height}));
        if let Some(fault) = &record.error {
            errors.push(json!({"image_id": id, "code": fault.code, "detail": fault.detail}));
        }
        for found in record.found() {
            let [x1, y1, x2, y2] = found.bbox.unwrap_or_default();
            let (w, h) = (hundredths(x2 - x1), hundredths(y2 - y1));
            categories.entry(found.class).or_insert_with(|| found.label.clone());
            annotations.push(json!({
                "id": annotations.len() + 1,
                "image_id": id,
                "category_id": found.class,
                "bbox": [x1, y1, w, h],
                "area": hundredths(w * h),
                "iscrowd": 0,
                "score": found.score,
            }));
        }
    }
    let categories: Vec<Value> =
        categories.iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    let document = json!({
        "info": {"description": "made by detectd batch"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
        "errors": errors,
    });
    serde_json::to_writer(&mut *out, &document).map_err(fault)?;
    out.write_all(b"\n").map_err(|error| fault(serde_json::Error::io(error)))
}

/// As precise as the corners are.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
