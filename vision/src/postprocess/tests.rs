//! Families on tiny tensors whose answers can be reckoned by hand.

mod families;
mod hostile;
mod suppression;

use super::*;
use crate::model::{Channels, Filter, InputSpec, Layout, Resize};
use crate::tensor::Element;

/// An output that owns its bytes.
struct Output {
    element: Element,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn f32s(shape: &[usize], numbers: &[f32]) -> Output {
    assert_eq!(shape.iter().product::<usize>(), numbers.len(), "shape and numbers of the test");
    let bytes = numbers.iter().flat_map(|n| n.to_ne_bytes()).collect();
    Output { element: Element::F32, shape: shape.to_vec(), bytes }
}

fn views(outputs: &[Output]) -> Vec<TensorView<'_>> {
    outputs.iter().map(|o| TensorView { element: o.element, shape: &o.shape, bytes: &o.bytes }).collect()
}

/// A detector on an input of 64 × 32.
fn spec(decoder: Decoder) -> ModelSpec {
    let task = if matches!(decoder, Decoder::Classifier { .. }) { Task::Classify } else { Task::Detect };
    ModelSpec {
        name: "test".into(),
        task,
        input: InputSpec {
            name: "x".into(),
            width: 64,
            height: 32,
            channels: Channels::Rgb,
            layout: Layout::Nchw,
            element: Element::F32,
            resize: Resize::Stretch,
            filter: Filter::Bilinear,
            fill: 0,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        decoder,
        labels: Vec::new(),
        score: 0.25,
        iou: 0.45,
        max_detections: 300,
        top_k: 5,
        guessed: Vec::new(),
    }
}

/// The input itself as the picture.
const SAME: Placement =
    Placement { scale_x: 1.0, scale_y: 1.0, offset_x: 0.0, offset_y: 0.0, width: 64, height: 32 };

fn found(decoder: Decoder, outputs: &[Output]) -> Vec<Detection> {
    let spec = spec(decoder);
    detections(&spec, &views(outputs), &SAME, &Options::of(&spec)).unwrap()
}

fn box_at(class: usize, score: f32, bbox: [f32; 4]) -> Detection {
    Detection { class, score, bbox, keypoints: None }
}

#[track_caller]
fn assert_near(found: &[Detection], expected: &[Detection]) {
    let flat = |d: &Detection| -> Vec<f32> {
        let points = d.keypoints.iter().flatten().flatten().copied();
        [d.class as f32, d.score].into_iter().chain(d.bbox).chain(points).collect()
    };
    let (f, e): (Vec<_>, Vec<_>) = (found.iter().map(flat).collect(), expected.iter().map(flat).collect());
    let near = f.len() == e.len()
        && f.iter()
            .zip(&e)
            .all(|(f, e)| f.len() == e.len() && f.iter().zip(e).all(|(f, e)| (f - e).abs() < 1e-3));
    assert!(near, "found {found:?}\nexpected {expected:?}");
}
