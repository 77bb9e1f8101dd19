//! Output tensors to detections or classes of the picture.
//!
//! Owns the reading of every family's outputs, the threshold, NMS and the way back to picture pixels. What a
//! model writes is not trusted: numbers that are not finite are dropped, shapes and lengths are checked,
//! nothing panics. Keeps no state and knows nothing of how the tensors came to be.
//!
//! `numbers` reads elements, `yolo`, `ssd`, `grid` know the heads, `nms` suppresses.

mod grid;
mod nms;
mod numbers;
mod ssd;
mod yolo;

#[cfg(test)]
mod tests;

use crate::model::{Decoder, ModelSpec, Task};
use crate::preprocess::Placement;
use crate::tensor::TensorView;
pub use nms::overlap;
use numbers::Outputs;

/// One object found in the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Number of the class, an index into [`ModelSpec::labels`].
    pub class: usize,
    /// Confidence, 0–1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the picture, inside it, x1 < x2 and y1 < y2.
    pub bbox: [f32; 4],
    /// Landmarks in pixels of the picture, x and y each, not clipped; for models that give them.
    pub keypoints: Option<Vec<[f32; 2]>>,
}

/// One class of the whole picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Number of the class, an index into [`ModelSpec::labels`].
    pub class: usize,
    /// Probability, 0–1.
    pub score: f32,
}

/// What a request may choose; [`Options::of`] gives the model's own values.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Smallest score that is answered.
    pub score: f32,
    /// IoU above which the lesser of two boxes of a class is dropped.
    pub iou: f32,
    /// Most boxes that are answered.
    pub max_detections: usize,
    /// The only classes that are answered; `None` for all.
    pub classes: Option<Vec<usize>>,
    /// Most classes that a classifier answers.
    pub top_k: usize,
}

impl Options {
    /// What holds when a request says nothing.
    pub fn of(spec: &ModelSpec) -> Self {
        Self {
            score: spec.score,
            iou: spec.iou,
            max_detections: spec.max_detections,
            classes: None,
            top_k: spec.top_k,
        }
    }

    fn wants(&self, class: usize) -> bool {
        self.classes.as_ref().is_none_or(|wanted| wanted.contains(&class))
    }
}

/// Why outputs could not be read. Each is a disagreement of model and description, never a client's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostprocessError {
    /// The description names an output that the model did not give.
    #[error("the model gave {given} outputs, and its description reads output {index} (counted from 0)")]
    MissingOutput {
        /// Index that the decoder wanted.
        index: usize,
        /// Outputs there were.
        given: usize,
    },
    /// An output's bytes are not what its shape and element type say.
    #[error("output {index} has {bytes} bytes where its shape {shape:?} wants {expected}")]
    Length {
        /// Index of the output.
        index: usize,
        /// Its shape without the batch axis.
        shape: Vec<usize>,
        /// Bytes there were.
        bytes: usize,
        /// Bytes the shape wants.
        expected: usize,
    },
    /// An output's shape is not one the family has.
    #[error("output {index} has shape {shape:?}; {family} wants {expected}")]
    Shape {
        /// Index of the output.
        index: usize,
        /// Its shape without the batch axis.
        shape: Vec<usize>,
        /// Family in words.
        family: &'static str,
        /// What would have fitted.
        expected: String,
    },
    /// Detections were asked of a classifier, or classes of a detector.
    #[error("the model's task is {has:?}, not {wanted:?}")]
    Task {
        /// What the model does.
        has: Task,
        /// What was asked.
        wanted: Task,
    },
}

/// Objects that a detector found, best first.
///
/// `outputs` are one image's parts of all graph outputs, in the graph's order; `placement` is what
/// preprocessing said of that image.
///
/// # Errors
/// When the outputs do not have the shapes that the model's family has.
pub fn detections(
    spec: &ModelSpec,
    outputs: &[TensorView<'_>],
    placement: &Placement,
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    let outputs = Outputs::new(outputs);
    let input = (spec.input.width, spec.input.height);
    let found = match &spec.decoder {
        Decoder::Yolox { strides } => yolo::yolox(&outputs, strides, input, options)?,
        Decoder::Yolov5 => yolo::yolov5(&outputs, options)?,
        Decoder::Yolov8 { rows: false } => yolo::yolov8_columns(&outputs, options)?,
        Decoder::Yolov8 { rows: true } => yolo::yolov8_rows(&outputs, options)?,
        Decoder::EndToEnd => yolo::end_to_end(&outputs, options)?,
        Decoder::FastestDet => yolo::fastestdet(&outputs, input, options)?,
        Decoder::Ssd { boxes, scores, layout, background } => {
            ssd::ssd(&outputs, *boxes, *scores, *layout, *background, input, options)?
        }
        Decoder::SsdPost { boxes, classes, scores, count, layout, first_class } => {
            let columns =
                ssd::PostOutputs { boxes: *boxes, classes: *classes, scores: *scores, count: *count };
            ssd::ssd_post(&outputs, &columns, *layout, *first_class, input, options)?
        }
        Decoder::PicoDet { strides, scores, boxes } => {
            grid::picodet(&outputs, strides, scores, boxes, input, options)?
        }
        Decoder::YuNet { strides, cls, obj, bbox, kps } => {
            let heads = grid::YuNetOutputs { cls, obj, bbox, kps };
            grid::yunet(&outputs, strides, &heads, input, options)?
        }
        Decoder::Classifier { .. } => {
            return Err(PostprocessError::Task { has: Task::Classify, wanted: Task::Detect });
        }
    };
    let mut found = into_picture(found, placement);
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    if suppresses(&spec.decoder) {
        return Ok(nms::suppress(found, options.iou, options.max_detections));
    }
    found.truncate(options.max_detections);
    Ok(found)
}

/// Whether boxes that overlap are ours to drop: some models do it themselves, and the `iou` of a request means nothing to them.
pub const fn suppresses(decoder: &Decoder) -> bool {
    !matches!(decoder, Decoder::EndToEnd | Decoder::SsdPost { .. } | Decoder::Classifier { .. })
}

/// Classes of the whole picture, best first, at most `top_k`.
///
/// # Errors
/// When the model is no classifier or its output holds no scores.
pub fn classes(
    spec: &ModelSpec,
    outputs: &[TensorView<'_>],
    options: &Options,
) -> Result<Vec<Class>, PostprocessError> {
    let Decoder::Classifier { softmax } = spec.decoder else {
        return Err(PostprocessError::Task { has: spec.task, wanted: Task::Classify });
    };
    let outputs = Outputs::new(outputs);
    let scores = outputs.numbers(0)?;
    // Dividing by the sum at the end turns logits into probabilities and leaves probabilities alone.
    let largest = scores.iter().copied().filter(|v| v.is_finite()).fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = match softmax {
        true => scores.iter().filter(|v| v.is_finite()).map(|v| (v - largest).exp()).sum(),
        false => 1.0,
    };
    let probability = |v: f32| if softmax { (v - largest).exp() / total } else { v };

    let mut found: Vec<Class> = scores
        .iter()
        .enumerate()
        .map(|(class, &v)| Class { class, score: probability(v) })
        .filter(|c| c.score.is_finite() && c.score >= options.score && options.wants(c.class))
        .collect();
    if options.top_k < found.len() {
        found.select_nth_unstable_by(options.top_k, better);
        found.truncate(options.top_k);
    }
    found.sort_unstable_by(better);
    return Ok(found);

    fn better(a: &Class, b: &Class) -> std::cmp::Ordering {
        b.score.total_cmp(&a.score).then(a.class.cmp(&b.class))
    }
}

/// Boxes in input pixels become boxes of the picture, clipped; what lies outside it or is not finite goes.
fn into_picture(found: Vec<Detection>, placement: &Placement) -> Vec<Detection> {
    let place = |mut d: Detection| {
        if !d.bbox.iter().all(|v| v.is_finite()) {
            return None;
        }
        d.bbox = placement.box_to_picture(d.bbox);
        if d.bbox[0] >= d.bbox[2] || d.bbox[1] >= d.bbox[3] {
            return None;
        }
        d.keypoints = d
            .keypoints
            .map(|points| {
                points.into_iter().map(|[x, y]| placement.to_picture(x, y).into()).collect::<Vec<_>>()
            })
            .filter(|points| points.iter().flatten().all(|v: &f32| v.is_finite()));
        Some(d)
    };
    found.into_iter().filter_map(place).collect()
}
