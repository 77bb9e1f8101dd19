//! Heads with boxes and scores as outputs of their own. Boxes come out in input pixels.

use super::numbers::Outputs;
use super::yolo::{best, centred, class_number};
use super::{Detection, Options, PostprocessError};
use crate::model::BoxLayout;

/// Which output is which after an NMS of the graph.
pub(super) struct PostOutputs {
    pub(super) boxes: usize,
    pub(super) classes: usize,
    pub(super) scores: usize,
    pub(super) count: Option<usize>,
}

/// Boxes `[N, 4]` and scores `[N, C]`; with `background`, class 0 is "nothing" and the others count from 0.
pub(super) fn ssd(
    outputs: &Outputs<'_>,
    boxes: usize,
    scores: usize,
    layout: BoxLayout,
    background: bool,
    input: (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "ssd";
    let first = usize::from(background);
    let table = outputs.table(boxes, FAMILY, |columns| columns == 4, "[boxes, 4]")?;
    let probabilities = outputs.table(scores, FAMILY, |columns| columns > first, "[boxes, classes]")?;
    if table.rows != probabilities.rows {
        return Err(outputs.misfit(scores, FAMILY, format!("{} rows, one a box", table.rows)));
    }
    Ok(table
        .iter()
        .zip(probabilities.iter())
        .filter_map(|(b, row)| {
            let (class, score) = best(&row[first..])?;
            (score >= options.score && options.wants(class)).then(|| Detection {
                class,
                score,
                bbox: corners(layout, b, input),
                keypoints: None,
            })
        })
        .collect())
}

/// Boxes `[N, 4]`, classes `[N]`, scores `[N]` and how many of them count.
pub(super) fn ssd_post(
    outputs: &Outputs<'_>,
    which: &PostOutputs,
    layout: BoxLayout,
    first_class: u32,
    input: (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "ssd-post";
    let boxes = outputs.table(which.boxes, FAMILY, |columns| columns == 4, "[boxes, 4]")?;
    let classes = outputs.numbers(which.classes)?;
    let scores = outputs.numbers(which.scores)?;
    for (index, numbers) in [(which.classes, &classes), (which.scores, &scores)] {
        if numbers.len() != boxes.rows {
            return Err(outputs.misfit(index, FAMILY, format!("{} numbers, one a box", boxes.rows)));
        }
    }
    let count = match which.count {
        None => boxes.rows,
        Some(index) => {
            let count = outputs.numbers(index)?;
            let first = count.first().ok_or_else(|| outputs.misfit(index, FAMILY, "one number"))?;
            class_number(*first).unwrap_or(0).min(boxes.rows)
        }
    };
    Ok(boxes
        .iter()
        .zip(classes.iter().zip(scores.iter()))
        .take(count)
        .filter_map(|(b, (&class, &score))| {
            let class = class_number(class)?.checked_sub(first_class as usize)?;
            (score.is_finite() && score >= options.score && options.wants(class)).then(|| Detection {
                class,
                score,
                bbox: corners(layout, b, input),
                keypoints: None,
            })
        })
        .collect())
}

fn corners(layout: BoxLayout, b: &[f32], (width, height): (u32, u32)) -> [f32; 4] {
    let (w, h) = (width as f32, height as f32);
    match layout {
        BoxLayout::XyxyUnit => [b[0] * w, b[1] * h, b[2] * w, b[3] * h],
        BoxLayout::YxyxUnit => [b[1] * w, b[0] * h, b[3] * w, b[2] * h],
        BoxLayout::XyxyPixel => [b[0], b[1], b[2], b[3]],
        BoxLayout::CxcywhUnit => centred(b[0] * w, b[1] * h, b[2] * w, b[3] * h),
        BoxLayout::CxcywhPixel => centred(b[0], b[1], b[2], b[3]),
    }
}
