//! One good answer of every family, with a row below the threshold beside it.

use super::*;
use crate::model::BoxLayout;

/// Rows of `columns` zeros with some set.
fn rows(count: usize, columns: usize, set: &[(usize, &[f32])]) -> Output {
    let mut numbers = vec![0.0; count * columns];
    for (row, values) in set {
        numbers[row * columns..][..values.len()].copy_from_slice(values);
    }
    f32s(&[count, columns], &numbers)
}

#[test]
fn yolox_adds_the_cell_and_scales_by_the_stride() {
    // 64 × 32: 8 × 4 cells of stride 8, then 4 × 2 of 16.
    let two = std::f32::consts::LN_2;
    let out = rows(
        40,
        7,
        &[
            (10, &[0.5, 0.5, two, 0.0, 0.8, 0.1, 0.5]), // cell (2, 1) of stride 8
            (32 + 5, &[0.0, 0.0, 0.0, two, 0.9, 1.0, 0.2]), // cell (1, 1) of stride 16
            (3, &[0.5, 0.5, 0.0, 0.0, 0.2, 1.0, 1.0]),
        ],
    );
    let expected = [box_at(0, 0.9, [8.0, 0.0, 24.0, 32.0]), box_at(1, 0.4, [12.0, 8.0, 28.0, 16.0])];
    assert_near(&found(Decoder::Yolox { strides: vec![8, 16] }, &[out]), &expected);
}

#[test]
fn yolov5_multiplies_objectness_and_class() {
    let out =
        rows(3, 7, &[(0, &[20.0, 10.0, 8.0, 4.0, 0.5, 0.2, 0.9]), (2, &[9.0, 9.0, 2.0, 2.0, 0.9, 0.1, 0.2])]);
    assert_near(&found(Decoder::Yolov5, &[out]), &[box_at(1, 0.45, [16.0, 8.0, 24.0, 12.0])]);
}

#[test]
fn yolov8_reads_columns_and_rows_alike() {
    let (n, at) = (1500, 1100); // more than one strip
    let values = [20.0, 10.0, 8.0, 4.0, 0.1, 0.6, 0.3];
    let mut columns = vec![0.0; 7 * n];
    for (plane, value) in values.iter().enumerate() {
        columns[plane * n + at] = *value;
    }
    let expected = [box_at(1, 0.6, [16.0, 8.0, 24.0, 12.0])];
    assert_near(&found(Decoder::Yolov8 { rows: false }, &[f32s(&[7, n], &columns)]), &expected);
    assert_near(&found(Decoder::Yolov8 { rows: true }, &[rows(n, 7, &[(at, &values)])]), &expected);
}

#[test]
fn end_to_end_is_not_suppressed_again() {
    let out = rows(3, 6, &[(0, &[1.0, 2.0, 9.0, 8.0, 0.5, 3.0]), (1, &[1.0, 2.0, 9.0, 8.0, 0.7, 3.0])]);
    let b = [1.0, 2.0, 9.0, 8.0];
    assert_near(&found(Decoder::EndToEnd, &[out]), &[box_at(3, 0.7, b), box_at(3, 0.5, b)]);
}

#[test]
fn fastestdet_weighs_objectness_and_class() {
    // 6 channels and one class more over 2 × 4 cells; cell (3, 1).
    let mut numbers = vec![0.0; 7 * 8];
    for (plane, value) in [0.8, 0.0, 0.0, 0.0, 0.0, 0.1, 0.5].into_iter().enumerate() {
        numbers[plane * 8 + 7] = value;
    }
    let score = 0.8f32.powf(0.6) * 0.5f32.powf(0.4);
    // Centre at the cell's corner (48, 16); logistic of 0 is half the input.
    let expected = [box_at(1, score, [32.0, 8.0, 64.0, 24.0])];
    assert_near(&found(Decoder::FastestDet, &[f32s(&[7, 2, 4], &numbers)]), &expected);
}

#[test]
fn ssd_reads_every_layout_and_leaves_out_the_background() {
    let layouts = [
        (BoxLayout::XyxyUnit, [0.25, 0.5, 0.75, 1.0]),
        (BoxLayout::YxyxUnit, [0.5, 0.25, 1.0, 0.75]),
        (BoxLayout::XyxyPixel, [16.0, 16.0, 48.0, 32.0]),
        (BoxLayout::CxcywhUnit, [0.5, 0.75, 0.5, 0.5]),
        (BoxLayout::CxcywhPixel, [32.0, 24.0, 32.0, 16.0]),
    ];
    for (layout, values) in layouts {
        let boxes = rows(2, 4, &[(0, &values), (1, &values)]);
        let scores = rows(2, 3, &[(0, &[0.6, 0.1, 0.3]), (1, &[0.9, 0.05, 0.05])]);
        let decoder = |background| Decoder::Ssd { boxes: 1, scores: 0, layout, background };
        let b = [16.0, 16.0, 48.0, 32.0];
        let outputs = [scores, boxes];
        assert_near(&found(decoder(true), &outputs), &[box_at(1, 0.3, b)]);
        assert_near(&found(decoder(false), &outputs), &[box_at(0, 0.9, b)]);
    }
}

#[test]
fn ssd_post_counts_and_numbers_from_the_first_class() {
    let boxes =
        rows(3, 4, &[(0, &[0.0, 0.0, 0.5, 0.5]), (1, &[0.5, 0.5, 1.0, 1.0]), (2, &[0.0, 0.0, 1.0, 1.0])]);
    let classes = f32s(&[3], &[2.0, 0.0, 1.0]);
    let scores = f32s(&[3], &[0.9, 0.8, 0.7]);
    let outputs = [boxes, classes, scores, f32s(&[1], &[2.0])];
    let decoder = |count, first_class| Decoder::SsdPost {
        boxes: 0,
        classes: 1,
        scores: 2,
        count,
        layout: BoxLayout::YxyxUnit,
        first_class,
    };
    let first = [0.0, 0.0, 32.0, 16.0];
    let second = [32.0, 16.0, 64.0, 32.0];
    let third = [0.0, 0.0, 64.0, 32.0];
    assert_near(&found(decoder(Some(3), 1), &outputs), &[box_at(1, 0.9, first)]);
    assert_near(&found(decoder(Some(3), 0), &outputs), &[box_at(2, 0.9, first), box_at(0, 0.8, second)]);
    assert_near(&found(decoder(None, 1), &outputs), &[box_at(1, 0.9, first), box_at(0, 0.7, third)]);
}

#[test]
fn picodet_takes_the_mean_of_each_distribution() {
    // Stride 32: 2 × 1 cells, 8 bins a side; a lone high logit is its bin, two alike are between them.
    let mut sides = vec![-100.0; 2 * 32];
    for (side, bins) in [&[1][..], &[0, 1], &[0], &[1, 2]].into_iter().enumerate() {
        for bin in bins {
            sides[32 + side * 8 + bin] = 5.0;
        }
    }
    let outputs = [f32s(&[2, 2], &[0.1, 0.2, 0.3, 0.9]), f32s(&[2, 32], &sides)];
    let decoder = Decoder::PicoDet { strides: vec![32], scores: vec![0], boxes: vec![1] };
    // Centre (48, 16); left 32, top 16, right 0, bottom 48 (clipped).
    assert_near(&found(decoder, &outputs), &[box_at(1, 0.9, [16.0, 0.0, 48.0, 32.0])]);
}

#[test]
fn yunet_gives_landmarks() {
    let outputs = [
        f32s(&[2, 1], &[0.5, 4.0]), // clipped to 1
        f32s(&[2, 1], &[0.1, 0.64]),
        f32s(&[2, 4], &[0.0, 0.0, 0.0, 0.0, -0.5, 0.5, 0.0, 0.0]),
        f32s(&[2, 4], &[0.0, 0.0, 0.0, 0.0, 0.5, 0.25, -0.5, 1.0]),
    ];
    let decoder = |kps| Decoder::YuNet { strides: vec![32], cls: vec![0], obj: vec![1], bbox: vec![2], kps };
    let plain = box_at(0, 0.8, [0.0, 0.0, 32.0, 32.0]);
    let marked = Detection { keypoints: Some(vec![[48.0, 8.0], [16.0, 32.0]]), ..plain.clone() };
    assert_near(&found(decoder(vec![3]), &outputs), &[marked]);
    assert_near(&found(decoder(vec![]), &outputs), &[plain]);
}

#[test]
fn a_classifier_ranks() {
    let logits = f32s(&[4, 1, 1], &[1.0, 3.0, 2.0, 3.0]);
    let spec = spec(Decoder::Classifier { softmax: true });
    let all = Options { score: 0.0, ..Options::of(&spec) };
    let outputs = [logits];
    let views = views(&outputs);
    let found = classes(&spec, &views, &all).unwrap();
    assert_eq!(found.iter().map(|c| c.class).collect::<Vec<_>>(), [1, 3, 2, 0]);
    assert!((found.iter().map(|c| c.score).sum::<f32>() - 1.0).abs() < 1e-6);
    assert!((found[0].score / found[2].score - std::f32::consts::E).abs() < 1e-4);

    let numbers = |options: &Options| -> Vec<usize> {
        classes(&spec, &views, options).unwrap().iter().map(|c| c.class).collect()
    };
    assert_eq!(numbers(&Options { top_k: 2, ..all.clone() }), [1, 3]);
    assert_eq!(numbers(&Options { classes: Some(vec![0, 2]), ..all.clone() }), [2, 0]);
    assert_eq!(numbers(&Options { score: 0.3, ..all.clone() }), [1, 3]);
    assert_eq!(numbers(&Options { top_k: 0, ..all }), [0usize; 0]);
}

#[test]
fn probabilities_are_left_alone() {
    let spec = spec(Decoder::Classifier { softmax: false });
    let outputs = [f32s(&[1, 3], &[0.2, 0.7, 0.1])];
    let found = classes(&spec, &views(&outputs), &Options { score: 0.0, ..Options::of(&spec) }).unwrap();
    assert_eq!((found[0], found.len()), (Class { class: 1, score: 0.7 }, 3));
}

#[test]
fn elements_of_every_type_and_alignment_read_alike() {
    let numbers = [4.0, 2.0, 20.0, 10.0, 1.0, 3.0];
    let encoded: [(Element, Vec<u8>); 5] = [
        (Element::F32, numbers.iter().flat_map(|n: &f32| n.to_ne_bytes()).collect()),
        (Element::F16, numbers.iter().flat_map(|n| half::f16::from_f32(*n).to_ne_bytes()).collect()),
        (Element::U8, numbers.iter().map(|n| *n as u8).collect()),
        (Element::I32, numbers.iter().flat_map(|n| (*n as i32).to_ne_bytes()).collect()),
        (Element::I64, numbers.iter().flat_map(|n| (*n as i64).to_ne_bytes()).collect()),
    ];
    let spec = spec(Decoder::EndToEnd);
    for (element, bytes) in encoded {
        for shift in 0..8 {
            let mut shifted = vec![0; shift];
            shifted.extend_from_slice(&bytes);
            let view = TensorView { element, shape: &[1, 6], bytes: &shifted[shift..] };
            let found = detections(&spec, &[view], &SAME, &Options::of(&spec)).unwrap();
            assert_eq!(found, [box_at(3, 1.0, [4.0, 2.0, 20.0, 10.0])], "{element:?} at {shift}");
        }
    }
}

#[test]
fn boxes_go_back_through_the_placement() {
    let out = rows(2, 6, &[(0, &[10.0, 10.0, 20.0, 20.0, 0.9, 0.0]), (1, &[0.0, 0.0, 9.0, 4.0, 0.8, 0.0])]);
    let placement =
        Placement { scale_x: 2.0, scale_y: 3.0, offset_x: -20.0, offset_y: -15.0, width: 18, height: 100 };
    let spec = spec(Decoder::EndToEnd);
    let found = detections(&spec, &views(&[out]), &placement, &Options::of(&spec)).unwrap();
    // The second lies in the padding.
    assert_near(&found, &[box_at(0, 0.9, [0.0, 15.0, 18.0, 45.0])]);
}

#[test]
fn only_wanted_classes_are_answered() {
    let out = rows(2, 6, &[(0, &[1.0, 2.0, 9.0, 8.0, 0.5, 3.0]), (1, &[1.0, 2.0, 9.0, 8.0, 0.7, 4.0])]);
    let spec = spec(Decoder::EndToEnd);
    let options = Options { classes: Some(vec![3]), ..Options::of(&spec) };
    let found = detections(&spec, &views(&[out]), &SAME, &options).unwrap();
    assert_eq!(found.iter().map(|d| d.class).collect::<Vec<_>>(), [3]);
}
