//! Non-maximum suppression: what always holds, whatever the boxes.

use super::nms::{overlap, suppress};
use super::*;
use proptest::prelude::*;

fn sorted(mut boxes: Vec<Detection>) -> Vec<Detection> {
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
    boxes
}

fn boxes() -> impl Strategy<Value = Vec<Detection>> {
    let one = (0usize..3, 0.0f32..1.0, 0u8..20, 0u8..20, 1u8..20, 1u8..20).prop_map(
        |(class, score, x, y, w, h)| {
            let [x, y, w, h] = [x, y, w, h].map(f32::from);
            box_at(class, score, [x, y, x + w, y + h])
        },
    );
    prop::collection::vec(one, 0..60).prop_map(sorted)
}

proptest! {
    #[test]
    fn kept_boxes_of_a_class_overlap_little(boxes in boxes(), iou in 0.0f32..1.0) {
        let kept = suppress(boxes, iou, usize::MAX);
        for (i, a) in kept.iter().enumerate() {
            for b in &kept[i + 1..] {
                prop_assert!(a.score >= b.score);
                prop_assert!(a.class != b.class || overlap(&a.bbox, &b.bbox) <= iou);
            }
        }
    }

    #[test]
    fn dropped_boxes_are_covered_by_a_better_one(boxes in boxes(), iou in 0.0f32..1.0) {
        let kept = suppress(boxes.clone(), iou, usize::MAX);
        for dropped in boxes.iter().filter(|b| !kept.contains(b)) {
            prop_assert!(kept.iter().any(|k| k.class == dropped.class
                && k.score >= dropped.score
                && overlap(&k.bbox, &dropped.bbox) > iou));
        }
    }

    #[test]
    fn a_cap_keeps_the_best(boxes in boxes(), iou in 0.0f32..1.0, most in 0usize..10) {
        let all = suppress(boxes.clone(), iou, usize::MAX);
        let capped = suppress(boxes, iou, most);
        prop_assert_eq!(&capped[..], &all[..most.min(all.len())]);
    }

    #[test]
    fn suppressing_twice_changes_nothing(boxes in boxes(), iou in 0.0f32..1.0) {
        let once = suppress(boxes, iou, usize::MAX);
        prop_assert_eq!(suppress(once.clone(), iou, usize::MAX), once);
    }

    #[test]
    fn overlap_is_a_symmetric_fraction(boxes in boxes()) {
        for pair in boxes.windows(2) {
            let (a, b) = (&pair[0].bbox, &pair[1].bbox);
            prop_assert_eq!(overlap(a, b), overlap(b, a));
            prop_assert!((0.0..=1.0).contains(&overlap(a, b)));
            prop_assert_eq!(overlap(a, a), 1.0);
        }
    }
}

#[test]
fn overlap_is_shared_over_joint_area() {
    assert_eq!(overlap(&[0.0, 0.0, 2.0, 2.0], &[1.0, 0.0, 3.0, 2.0]), 1.0 / 3.0);
    assert_eq!(overlap(&[0.0, 0.0, 1.0, 1.0], &[2.0, 2.0, 3.0, 3.0]), 0.0);
    assert_eq!(overlap(&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0, 1.0, 1.0]), 0.0);
}

#[test]
fn boxes_that_overlap_exactly_as_much_as_allowed_stay() {
    let third = 1.0 / 3.0;
    let pair = vec![box_at(0, 0.9, [0.0, 0.0, 2.0, 2.0]), box_at(0, 0.8, [1.0, 0.0, 3.0, 2.0])];
    assert_eq!(suppress(pair.clone(), third, 9).len(), 2);
    assert_eq!(suppress(pair, third - 0.001, 9).len(), 1);
}
