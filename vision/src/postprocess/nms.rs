//! Non-maximum suppression, class by class. Owns IoU and the greedy choice; the order of the boxes is given.

use super::Detection;

/// Keeps of `sorted` (best first) each box that overlaps no kept box of its class by more than `iou`.
///
/// Stops at `most`, so the work is bounded by `sorted.len() × most` comparisons.
pub(super) fn suppress(sorted: Vec<Detection>, iou: f32, most: usize) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::with_capacity(most.min(sorted.len()));
    for candidate in sorted {
        if kept.len() >= most {
            break;
        }
        let covered =
            kept.iter().any(|k| k.class == candidate.class && overlap(&k.bbox, &candidate.bbox) > iou);
        if !covered {
            kept.push(candidate);
        }
    }
    kept
}

/// Intersection over union of two boxes (x1, y1, x2, y2); 0 for boxes without area.
pub fn overlap(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let shared = width * height;
    let union = area(a) + area(b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

fn area(b: &[f32; 4]) -> f32 {
    (b[2] - b[0]) * (b[3] - b[1])
}
