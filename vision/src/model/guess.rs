//! Recognising a family by the names and shapes of the outputs.
//!
//! The rules are exact arithmetic on the input's size, tried from the most to the least distinctive; what two
//! families could both have written is an error that names the key to set.

use super::heads::{Head, cells};
use super::metadata::Exported;
use super::{Family, SpecError};

/// What the rules look at.
pub(super) struct Evidence<'a> {
    pub(super) heads: &'a [Head<'a>],
    /// Width and height of the input.
    pub(super) input: (u32, u32),
    /// Facts of an Ultralytics export.
    pub(super) exported: Option<&'a Exported>,
    /// Number of labels given.
    pub(super) labels: Option<usize>,
}

/// The usual strides of anchor-free heads, and of those with one level more at either end.
const PYRAMIDS: [&[u32]; 3] = [&[8, 16, 32], &[8, 16, 32, 64], &[4, 8, 16, 32]];

/// The family, and the sign it was recognised by.
pub(super) fn recognise(evidence: &Evidence<'_>) -> Result<(Family, String), SpecError> {
    by_names(evidence)
        .or_else(|| classifier(evidence))
        .or_else(|| single(evidence))
        .or_else(|| pair(evidence))
        .or_else(|| levels(evidence))
        .or_else(|| planes(evidence))
        .ok_or_else(|| unknown(evidence.heads))
}

fn unknown(heads: &[Head<'_>]) -> SpecError {
    let outputs: Vec<String> = heads.iter().map(|head| format!("{} {:?}", head.name, head.shape)).collect();
    SpecError::Missing {
        key: "decoder.family",
        message: format!("the outputs ({}) are those of no known family, or of several", outputs.join(", ")),
    }
}

fn by_names(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let has = |word: &str| evidence.heads.iter().any(|head| head.name.contains(word));
    if ["detection_boxes", "detection_scores", "detection_classes"].into_iter().all(has) {
        return Some((Family::SsdPost, "outputs named detection_boxes, detection_scores, …".into()));
    }
    if ["cls_8", "obj_8", "bbox_8"].into_iter().all(has) {
        return Some((Family::Yunet, "outputs named cls_8, obj_8, bbox_8, …".into()));
    }
    None
}

fn classifier(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let [head] = evidence.heads else { return None };
    let classes = head.classes().filter(|&classes| classes > 1)?;
    Some((Family::Classifier, format!("one output of {classes} scores")))
}

/// Families with one tensor. Older exports append raw feature maps, so further outputs of more axes may follow.
fn single(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let (head, others) = evidence.heads.split_first()?;
    if others.iter().any(|other| other.shape.len() <= head.shape.len()) {
        return None;
    }
    let (rows, columns) = head.table()?;
    let shape = format!("output [{rows}, {columns}]");
    let labels = evidence.labels.map(|labels| labels as i64);
    let is_export = evidence.exported.is_some();
    let pyramid = |axis: i64| PYRAMIDS.iter().find(|strides| cells(strides, evidence.input) == axis);
    let anchors = |axis: i64| PYRAMIDS.iter().find(|strides| 3 * cells(strides, evidence.input) == axis);

    if evidence.exported.is_some_and(|exported| exported.end_to_end) && columns == 6 {
        return Some((Family::EndToEnd, format!("{shape}, and the export did NMS in the graph")));
    }
    if let Some(strides) = anchors(rows).filter(|_| columns > 5) {
        return Some((
            Family::Yolov5,
            format!("{shape} has three rows for each cell of strides {strides:?}"),
        ));
    }
    if let Some(strides) = pyramid(columns).filter(|_| rows > 4) {
        return Some((
            Family::Yolov8,
            format!("{shape} has one column for each cell of strides {strides:?}"),
        ));
    }
    if let Some(strides) = pyramid(rows).filter(|_| columns > 4) {
        let eight = is_export || labels == Some(columns - 4) || (labels.is_none() && columns == 84);
        if eight {
            return Some((
                Family::Yolov8,
                format!("{shape} has one row for each cell, 4 columns and the classes"),
            ));
        }
        let x = *strides == PYRAMIDS[0] && columns > 5;
        return x
            .then(|| (Family::Yolox, format!("{shape} has one row for each cell of strides {strides:?}")));
    }
    if columns == 6 && rows != -1 {
        return Some((Family::EndToEnd, format!("{shape} with as many rows as no grid has cells")));
    }
    if columns == -1 && rows > 4 {
        return Some((Family::Yolov8, format!("{shape} has a free number of columns")));
    }
    if rows == -1 && is_export && labels == Some(columns - 5) {
        return Some((
            Family::Yolov5,
            format!("{shape} of an Ultralytics export with {} names", columns - 5),
        ));
    }
    None
}

fn pair(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let [first, second] = evidence.heads else { return None };
    let (a, b) = (first.table()?, second.table()?);
    (a.0 == b.0 && (a.1 == 4 || b.1 == 4))
        .then(|| (Family::Ssd, format!("two outputs, [{}, {}] and [{}, {}]", a.0, a.1, b.0, b.1)))
}

/// Two outputs for each of three or more strides, as many rows as cells.
fn levels(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let strides: &[u32] = match evidence.heads.len() {
        6 => &[8, 16, 32],
        8 => &[8, 16, 32, 64],
        10 => &[8, 16, 32, 64, 128],
        _ => return None,
    };
    let fitting = |stride: &u32| {
        let rows = cells(&[*stride], evidence.input);
        evidence.heads.iter().filter(|head| matches!(head.table(), Some((n, _)) if n == rows)).count() == 2
    };
    strides
        .iter()
        .all(fitting)
        .then(|| (Family::Picodet, format!("two outputs for the cells of each stride {strides:?}")))
}

/// One tensor of planes at a sixteenth of the input.
fn planes(evidence: &Evidence<'_>) -> Option<(Family, String)> {
    let [head] = evidence.heads else { return None };
    let [planes, rows, columns] = *head.shape else { return None };
    let (width, height) = evidence.input;
    (planes > 5 && rows * 16 == i64::from(height) && columns * 16 == i64::from(width)).then(|| {
        (Family::Fastestdet, format!("output [{planes}, {rows}, {columns}] at a sixteenth of the input"))
    })
}
