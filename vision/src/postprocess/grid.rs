//! Heads with separate outputs for each stride: PicoDet, YuNet. Boxes come out in input pixels.

use super::numbers::{Outputs, Table};
use super::yolo::{best, centred};
use super::{Detection, Options, PostprocessError};
use crate::model::grid;

/// Which output is which of YuNet, each list by stride; `kps` may be empty.
pub(super) struct YuNetOutputs<'a> {
    pub(super) cls: &'a [usize],
    pub(super) obj: &'a [usize],
    pub(super) bbox: &'a [usize],
    pub(super) kps: &'a [usize],
}

/// Cells of one stride, row by row.
struct Grid {
    stride: u32,
    columns: usize,
    cells: usize,
}

impl Grid {
    fn new(stride: u32, input: (u32, u32)) -> Self {
        let (columns, rows) = grid(stride, input);
        Self { stride, columns, cells: columns * rows }
    }

    fn position(&self, index: usize) -> (f32, f32) {
        ((index % self.columns) as f32, (index / self.columns) as f32)
    }

    /// An output of this stride: one row a cell.
    fn table<'a>(
        &self,
        outputs: &Outputs<'a>,
        index: Option<&usize>,
        family: &'static str,
        columns: impl Fn(usize) -> bool,
        expected: &str,
    ) -> Result<Table<'a>, PostprocessError> {
        let index = *index.unwrap_or(&usize::MAX);
        let table = outputs.table(index, family, columns, expected)?;
        if table.rows != self.cells {
            let rows = format!("{} rows, the cells of stride {}", self.cells, self.stride);
            return Err(outputs.misfit(index, family, rows));
        }
        Ok(table)
    }
}

/// For each stride scores `[cells, C]` and distances to the four sides `[cells, 4·bins]` as distributions.
pub(super) fn picodet(
    outputs: &Outputs<'_>,
    strides: &[u32],
    scores: &[usize],
    boxes: &[usize],
    input: (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "picodet";
    let mut found = Vec::new();
    for (level, &stride) in strides.iter().enumerate() {
        let grid = Grid::new(stride, input);
        let scores = grid.table(outputs, scores.get(level), FAMILY, |_| true, "[cells, classes]")?;
        let wide = |columns: usize| columns.is_multiple_of(4) && columns >= 8;
        let sides = grid.table(outputs, boxes.get(level), FAMILY, wide, "[cells, 4·bins]")?;
        for (index, row) in scores.iter().enumerate() {
            let Some((class, score)) = best(row).filter(|(_, score)| *score >= options.score) else {
                continue;
            };
            if !options.wants(class) {
                continue;
            }
            let (gx, gy) = grid.position(index);
            let s = stride as f32;
            let (cx, cy) = ((gx + 0.5) * s, (gy + 0.5) * s);
            let mut distances =
                sides.row(index).chunks_exact(sides.columns / 4).map(|bins| expectation(bins) * s);
            let mut next = || distances.next().unwrap_or(f32::NAN);
            let (left, top, right, bottom) = (next(), next(), next(), next());
            let bbox = [cx - left, cy - top, cx + right, cy + bottom];
            found.push(Detection { class, score, bbox, keypoints: None });
        }
    }
    Ok(found)
}

/// For each stride class, objectness, box and five landmarks; score = √(class × objectness).
pub(super) fn yunet(
    outputs: &Outputs<'_>,
    strides: &[u32],
    which: &YuNetOutputs<'_>,
    input: (u32, u32),
    options: &Options,
) -> Result<Vec<Detection>, PostprocessError> {
    const FAMILY: &str = "yunet";
    let mut found = Vec::new();
    for (level, &stride) in strides.iter().enumerate() {
        let grid = Grid::new(stride, input);
        let cls = grid.table(outputs, which.cls.get(level), FAMILY, |_| true, "[cells, classes]")?;
        let obj = grid.table(outputs, which.obj.get(level), FAMILY, |columns| columns == 1, "[cells, 1]")?;
        let bbox =
            grid.table(outputs, which.bbox.get(level), FAMILY, |columns| columns == 4, "[cells, 4]")?;
        let even = |columns: usize| columns.is_multiple_of(2);
        let kps = match which.kps.get(level) {
            None => None,
            some => Some(grid.table(outputs, some, FAMILY, even, "[cells, 2·points]")?),
        };
        for (index, row) in cls.iter().enumerate() {
            let Some((class, probability)) = best(row) else { continue };
            let score = (probability.clamp(0.0, 1.0) * obj.row(index)[0].clamp(0.0, 1.0)).sqrt();
            if !(score >= options.score && options.wants(class)) {
                continue;
            }
            let (gx, gy) = grid.position(index);
            let s = stride as f32;
            let b = bbox.row(index);
            let bbox = centred((gx + b[0]) * s, (gy + b[1]) * s, b[2].exp() * s, b[3].exp() * s);
            let keypoints = kps.as_ref().map(|kps| {
                let (points, _) = kps.row(index).as_chunks::<2>();
                points.iter().map(|[x, y]| [(x + gx) * s, (y + gy) * s]).collect()
            });
            found.push(Detection { class, score, bbox, keypoints });
        }
    }
    Ok(found)
}

/// Mean of a distribution given by logits over 0, 1, 2, ….
fn expectation(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut sum) = (0.0, 0.0);
    for (bin, &logit) in logits.iter().enumerate() {
        let weight = (logit - largest).exp();
        total += weight;
        sum += weight * bin as f32;
    }
    sum / total
}
