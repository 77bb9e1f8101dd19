//! What this crate's tests share: pictures that differ, a model's facts, a root with pictures in it.

use crate::files;
use crate::index::{Index, place};
use crate::intake::{Answer, Specimen};
use crate::look::Look;
use crate::scan;
use crate::sidecar::{Class, Found, ModelName, SCHEMA, Sidecar, now};
use std::path::Path;
use std::sync::Arc;
use vision::draw::encode_png;
use vision::model::*;
use vision::picture::Picture;
use vision::postprocess::Detection;
use vision::tensor::Element;

/// A picture of noise; another seed is another picture that looks different.
pub fn noise(seed: u64) -> Picture {
    let mut dice = fastrand::Rng::with_seed(seed);
    let blocks: Vec<u8> = (0..16 * 12).map(|_| dice.u8(..)).collect();
    let rgb = (0..96u32 * 72).flat_map(|at| {
        let (x, y) = (at % 96, at / 96);
        let value = blocks[(y / 6 * 16 + x / 6) as usize];
        [value, value / 2 + (x % 7) as u8 * 9, 255 - value]
    });
    Picture { width: 96, height: 72, rgb: rgb.collect() }
}

/// The same as a file.
pub fn png(seed: u64) -> Vec<u8> {
    encode_png(&noise(seed)).expect("a picture")
}

/// Facts of a detector of cats and dogs.
pub fn facts() -> Arc<ModelFacts> {
    let input = InputSpec {
        name: "x".into(),
        width: 8,
        height: 8,
        channels: Channels::Rgb,
        layout: Layout::Nhwc,
        element: Element::U8,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        fill: 0,
        scale: 1.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    Arc::new(ModelFacts {
        seat: input.clone(),
        spec: ModelSpec {
            name: "pets".into(),
            task: Task::Detect,
            input: input.clone(),
            decoder: Decoder::EndToEnd,
            labels: vec!["cat".into(), "dog".into()],
            score: 0.5,
            iou: 0.5,
            max_detections: 10,
            top_k: 5,
            guessed: vec![],
        },
        outputs: vec![],
        version: "ab".repeat(32),
        device: "cpu".into(),
        lanes: 1,
        max_batch: 1,
        runtime: "none".into(),
        golden: None,
        samples: vec![],
    })
}

/// A picture with one dog, as a frontend hands it over.
pub fn specimen(seed: u64) -> Specimen {
    let picture = noise(seed);
    Specimen {
        bytes: png(seed).into(),
        width: picture.width,
        height: picture.height,
        look: Look::of(&picture),
        rules: 1,
        request: format!("request-{seed}"),
        source: "bytes",
        facts: facts(),
        answer: Answer::Detections(vec![Detection {
            class: 1,
            score: 0.83,
            bbox: [8.0, 9.0, 40.0, 41.0],
            keypoints: None,
        }]),
        score: 0.5,
        timing: vec![("total", 1.5)],
    }
}

/// A sidecar of a detector's picture.
pub fn detected(id: &str, class: &str, score: f32) -> Sidecar {
    let found = Found { label: class.to_owned(), class: Some(1), score, corners: [8.0, 9.0, 40.0, 41.0] };
    Sidecar { detections: Some(vec![found]), ..blank(id) }
}

/// A sidecar of a classifier's picture.
pub fn classified(id: &str, class: &str, score: f32) -> Sidecar {
    Sidecar { classes: Some(vec![Class { label: class.to_owned(), class: Some(1), score }]), ..blank(id) }
}

fn blank(id: &str) -> Sidecar {
    let model = ModelName { name: "pets".into(), version: "ab".repeat(32) };
    let (schema, id, file) = (SCHEMA, id.to_owned(), format!("{id}.png"));
    Sidecar { schema, id, file, model, time: now(), width: 96, height: 72, bytes: 100, ..Sidecar::default() }
}

/// Puts a picture with this sidecar where it belongs.
pub fn lay(root: &Path, sidecar: &Sidecar, content: &[u8]) {
    let path = place(sidecar);
    files::put(root, &files::sidecar_of(&path), &sidecar.to_json()).expect("room");
    files::put(root, &path, content).expect("room");
}

/// An index over these pictures.
pub fn index(root: &Path, sidecars: &[Sidecar]) -> Index {
    for (seed, sidecar) in sidecars.iter().enumerate() {
        lay(root, sidecar, &png(seed as u64));
    }
    let mut index = Index::open(root).expect("an index");
    scan::reconcile(&mut index).expect("a scan");
    index
}

/// Every picture file below the root, outside our own folders, by name; and that each has its sidecar.
pub fn pictures(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    scan::walk(root, &mut |path| {
        assert!(files::sidecar_of(&root.join(path)).exists(), "{} has no sidecar", path.display());
        found.push(path.display().to_string());
    })
    .expect("the root can be read");
    found.sort();
    found
}
