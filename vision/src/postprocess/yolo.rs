//! Heads of the YOLO kind: one tensor of boxes with class scores. Boxes come out in input pixels.

use super::numbers::Outputs;
use super::{Detection, Options, PostprocessError};
use crate::model::grid;

/// Columns of a channel-major head that are walked together, so that best score and class stay in the L1 cache.
const STRIP: usize = 1024;

/// `[N, 5+C]`, offsets from the cells of the grids; objectness × class.
pub(super) fn yolox(
    outputs: &Outputs<'_>,
    strides: &[u32],
    input: (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "yolox";
    let table = outputs.table(0, FAMILY, |columns| columns > 5, "[cells, 5+classes]")?;
    let cells: usize = strides.iter().map(|&s| grid(s, input)).map(|(columns, lines)| columns * lines).sum();
    if table.rows != cells {
        return Err(outputs.misfit(0, FAMILY, format!("{cells} rows for strides {strides:?}")));
    }
    let mut found = Vec::new();
    let mut rows = table.iter();
    for &stride in strides {
        let (columns, lines) = grid(stride, input);
        for gy in 0..lines {
            for (gx, row) in (0..columns).zip(rows.by_ref()) {
                let Some((class, score)) = objectness_by_class(row, options) else { continue };
                let s = stride as f32;
                let (cx, cy) = ((row[0] + gx as f32) * s, (row[1] + gy as f32) * s);
                let bbox = centred(cx, cy, row[2].exp() * s, row[3].exp() * s);
                found.push(Detection { class, score, bbox, keypoints: None });
            }
        }
    }
    Ok(found)
}

/// `[N, 5+C]` with boxes decoded in the graph; objectness × class.
pub(super) fn yolov5(outputs: &Outputs<'_>, options: &Options) -> Result<Vec<Detection>, PostprocessError> {
    let table = outputs.table(0, "yolov5", |columns| columns > 5, "[boxes, 5+classes]")?;
    Ok(table
        .iter()
        .filter_map(|row| {
            let (class, score) = objectness_by_class(row, options)?;
            Some(Detection { class, score, bbox: centred(row[0], row[1], row[2], row[3]), keypoints: None })
        })
        .collect())
}

/// `[N, 4+C]`: boxes decoded in the graph; class scores.
pub(super) fn yolov8_rows(
    outputs: &Outputs<'_>,
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    let table = outputs.table(0, "yolov8", |columns| columns > 4, "[boxes, 4+classes]")?;
    Ok(table
        .iter()
        .filter_map(|row| {
            let (class, score) = best(&row[4..])?;
            (score >= options.score && options.wants(class)).then(|| Detection {
                class,
                score,
                bbox: centred(row[0], row[1], row[2], row[3]),
                keypoints: None,
            })
        })
        .collect())
}

/// `[4+C, N]`: as `yolov8_rows`, every quantity a row of its own.
pub(super) fn yolov8_columns(
    outputs: &Outputs<'_>,
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "yolov8";
    let table = outputs.table(0, FAMILY, |_| true, "[4+classes, boxes]")?;
    if table.rows < 5 {
        return Err(outputs.misfit(0, FAMILY, "[4+classes, boxes]"));
    }
    let (cx, cy, w, h) = (table.row(0), table.row(1), table.row(2), table.row(3));
    let mut found = Vec::new();
    best_of_planes(&table.numbers[4 * table.columns..], table.columns, |i, class, score| {
        if score >= options.score && options.wants(class) {
            let bbox = centred(cx[i], cy[i], w[i], h[i]);
            found.push(Detection { class, score, bbox, keypoints: None });
        }
    });
    Ok(found)
}

/// `[N, 6]`: x1, y1, x2, y2, score, class; suppressed in the graph.
pub(super) fn end_to_end(
    outputs: &Outputs<'_>,
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    let table = outputs.table(0, "end-to-end", |columns| columns == 6, "[boxes, 6]")?;
    Ok(table
        .iter()
        .filter_map(|row| {
            let class = class_number(row[5])?;
            (row[4].is_finite() && row[4] >= options.score && options.wants(class)).then(|| Detection {
                class,
                score: row[4],
                bbox: [row[0], row[1], row[2], row[3]],
                keypoints: None,
            })
        })
        .collect())
}

/// `[5+C, rows, columns]`: objectness, box, classes; box relative to the cell and the input.
pub(super) fn fastestdet(
    outputs: &Outputs<'_>,
    (width, height): (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const EXPECTED: &str = "[5+classes, rows, columns]";
    let &[planes, lines, columns] = outputs.shape(0)? else {
        return Err(outputs.misfit(0, "fastestdet", EXPECTED));
    };
    // The numbers come first: that they are there proves that the product of the sides does not overflow.
    let numbers = outputs.numbers(0)?;
    if planes < 6 || numbers.is_empty() {
        return Err(outputs.misfit(0, "fastestdet", EXPECTED));
    }
    let cells = lines * columns;
    let plane = |index: usize| &numbers[index * cells..][..cells];
    let (objectness, dx, dy, w, h) = (plane(0), plane(1), plane(2), plane(3), plane(4));
    let (width, height) = (width as f32, height as f32);
    let mut found = Vec::new();
    best_of_planes(&numbers[5 * cells..], cells, |i, class, probability| {
        let score = objectness[i].powf(0.6) * probability.powf(0.4);
        if score.is_finite() && score >= options.score && options.wants(class) {
            let (gx, gy) = ((i % columns) as f32, (i / columns) as f32);
            let cx = (gx + dx[i].tanh()) / columns as f32 * width;
            let cy = (gy + dy[i].tanh()) / lines as f32 * height;
            let bbox = centred(cx, cy, sigmoid(w[i]) * width, sigmoid(h[i]) * height);
            found.push(Detection { class, score, bbox, keypoints: None });
        }
    });
    Ok(found)
}

/// Score and class of a row `[box, objectness, classes…]`, where the threshold and the wish let it pass.
///
/// Class scores are at most 1, so a row whose objectness is below the threshold is passed over unread.
fn objectness_by_class(row: &[f32], options: &Options) -> Option<(usize, f32)> {
    let objectness = row[4];
    if objectness.is_nan() || objectness < options.score {
        return None;
    }
    let (class, probability) = best(&row[5..])?;
    let score = objectness * probability;
    (score.is_finite() && score >= options.score && options.wants(class)).then_some((class, score))
}

/// Largest finite number and where it stands; the first of equals.
pub(super) fn best(scores: &[f32]) -> Option<(usize, f32)> {
    let mut largest = f32::NEG_INFINITY;
    let mut at = None;
    for (index, &score) in scores.iter().enumerate() {
        if score > largest && score < f32::INFINITY {
            largest = score;
            at = Some(index);
        }
    }
    at.map(|index| (index, largest))
}

/// Calls `seen(position, class, score)` with the best finite class of each position of planes `[C, positions]`.
fn best_of_planes(planes: &[f32], positions: usize, mut seen: impl FnMut(usize, usize, f32)) {
    let mut largest = [0.0f32; STRIP];
    let mut class = [0u32; STRIP];
    for start in (0..positions).step_by(STRIP) {
        let wide = STRIP.min(positions - start);
        let (largest, class) = (&mut largest[..wide], &mut class[..wide]);
        largest.fill(f32::NEG_INFINITY);
        for (number, plane) in planes.chunks_exact(positions).enumerate() {
            for ((score, largest), class) in plane[start..][..wide].iter().zip(&mut *largest).zip(&mut *class)
            {
                // Selects instead of a branch: the loop becomes vector instructions.
                let better = *score > *largest && *score < f32::INFINITY;
                *largest = if better { *score } else { *largest };
                *class = if better { number as u32 } else { *class };
            }
        }
        for (offset, (&score, &class)) in largest.iter().zip(&*class).enumerate() {
            if score > f32::NEG_INFINITY {
                seen(start + offset, class as usize, score);
            }
        }
    }
}

/// A class number that a graph wrote as a float.
pub(super) fn class_number(value: f32) -> Option<usize> {
    // The bound is where f32 stops counting in ones; NaN fails both comparisons.
    (value > -0.5 && value < 16_777_216.0).then(|| value.round() as usize)
}

/// Corners of a box given by its centre and sides.
pub(super) fn centred(cx: f32, cy: f32, w: f32, h: f32) -> [f32; 4] {
    [cx - w / 2.0, cy - h / 2.0, cx + w / 2.0, cy + h / 2.0]
}

fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}
