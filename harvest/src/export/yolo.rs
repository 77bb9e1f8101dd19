//! YOLO: a text beside each picture with a line for each box, class number and centre, width, height as shares of the
//! picture. `data.yaml` is what Ultralytics' trainers read; `models/train` reads the folders.

use super::{Item, number};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(super) fn documents(items: &[Item<'_>], classes: &[String]) -> Vec<(PathBuf, String)> {
    let mut documents: Vec<(PathBuf, String)> = items
        .iter()
        .map(|item| {
            let file = Path::new(item.file()).with_extension("txt");
            ([Path::new(item.split), Path::new("labels"), &file].iter().collect(), lines(item, classes))
        })
        .collect();
    let mut yaml = String::from(
        "# Ultralytics: yolo detect train data=data.yaml\ntrain: train/images\nval: val/images\nnames:\n",
    );
    for (number, class) in classes.iter().enumerate() {
        // JSON's strings are YAML's, too. Writing to a string cannot fail.
        let _ = writeln!(yaml, "  {number}: {}", serde_json::Value::from(class.as_str()));
    }
    documents.push(("data.yaml".into(), yaml));
    documents
}

/// The picture's boxes; none at all is said by an empty text.
fn lines(item: &Item<'_>, classes: &[String]) -> String {
    let sidecar = &item.picture.sidecar;
    let (width, height) = (sidecar.width.max(1) as f32, sidecar.height.max(1) as f32);
    let mut text = String::new();
    for found in sidecar.boxes().unwrap_or_default() {
        let Some(class) = number(classes, &found.label) else { continue };
        let [x1, y1, x2, y2] = found.corners;
        let (x, y) = ((x1 + x2) / 2.0 / width, (y1 + y2) / 2.0 / height);
        let _ = writeln!(text, "{class} {x:.6} {y:.6} {:.6} {:.6}", (x2 - x1) / width, (y2 - y1) / height);
    }
    text
}
