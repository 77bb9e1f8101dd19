//! Outputs that no good model gives: they may cost their own answer and nothing else.

use super::*;
use crate::model::BoxLayout;
use proptest::prelude::*;

/// Every decoder, with the shapes of outputs it takes on an input of 64 × 32.
fn decoders() -> Vec<(Decoder, Vec<Vec<usize>>)> {
    let shapes = |shapes: &[&[usize]]| shapes.iter().map(|s| s.to_vec()).collect::<Vec<_>>();
    let ssd = |layout| Decoder::Ssd { boxes: 0, scores: 1, layout, background: true };
    let post = Decoder::SsdPost {
        boxes: 0,
        classes: 1,
        scores: 2,
        count: Some(3),
        layout: BoxLayout::YxyxUnit,
        first_class: 1,
    };
    let yunet = Decoder::YuNet { strides: vec![16], cls: vec![0], obj: vec![1], bbox: vec![2], kps: vec![3] };
    vec![
        (Decoder::Yolox { strides: vec![16, 32] }, shapes(&[&[10, 7]])),
        (Decoder::Yolov5, shapes(&[&[9, 7]])),
        (Decoder::Yolov8 { rows: false }, shapes(&[&[6, 9]])),
        (Decoder::Yolov8 { rows: true }, shapes(&[&[9, 6]])),
        (Decoder::EndToEnd, shapes(&[&[9, 6]])),
        (Decoder::FastestDet, shapes(&[&[7, 2, 4]])),
        (ssd(BoxLayout::XyxyUnit), shapes(&[&[9, 4], &[9, 3]])),
        (ssd(BoxLayout::CxcywhPixel), shapes(&[&[9, 4], &[9, 3]])),
        (post, shapes(&[&[9, 4], &[9], &[9], &[1]])),
        (
            Decoder::PicoDet { strides: vec![16], scores: vec![0], boxes: vec![1] },
            shapes(&[&[8, 2], &[8, 32]]),
        ),
        (yunet, shapes(&[&[8, 1], &[8, 1], &[8, 4], &[8, 10]])),
        (Decoder::Classifier { softmax: true }, shapes(&[&[9]])),
        (Decoder::Classifier { softmax: false }, shapes(&[&[9]])),
    ]
}

/// Any float, the odd ones often.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -2.0f32..70.0,
        1 => prop::num::f32::ANY,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0]),
    ]
}

proptest! {
    #[test]
    fn any_numbers_give_finite_boxes_in_the_picture(numbers in prop::collection::vec(number(), 300), score in number(), iou in number()) {
        for (decoder, shapes) in decoders() {
            let outputs: Vec<Output> = shapes
                .iter()
                .map(|shape| f32s(shape, &numbers[..shape.iter().product()]))
                .collect();
            let spec = spec(decoder);
            let options = Options { score, iou, max_detections: 5, top_k: 3, classes: None };
            if spec.task == Task::Classify {
                let found = classes(&spec, &views(&outputs), &options).unwrap();
                prop_assert!(found.len() <= 3 && found.iter().all(|c| c.score.is_finite()));
                continue;
            }
            let found = detections(&spec, &views(&outputs), &SAME, &options).unwrap();
            prop_assert!(found.len() <= 5);
            prop_assert!(found.is_sorted_by(|a, b| a.score >= b.score));
            for d in found {
                let [x1, y1, x2, y2] = d.bbox;
                prop_assert!(d.score.is_finite() && d.score >= score);
                prop_assert!(0.0 <= x1 && x1 < x2 && x2 <= 64.0 && 0.0 <= y1 && y1 < y2 && y2 <= 32.0);
                prop_assert!(d.keypoints.iter().flatten().flatten().all(|v| v.is_finite()));
            }
        }
    }
}

#[test]
fn outputs_that_do_not_fit_are_errors() {
    for (decoder, shapes) in decoders() {
        let spec = spec(decoder);
        let options = Options::of(&spec);
        let run = |views: &[TensorView<'_>]| match spec.task {
            Task::Detect => detections(&spec, views, &SAME, &options).map(|_| ()),
            Task::Classify => classes(&spec, views, &options).map(|_| ()),
        };
        let good: Vec<Output> =
            shapes.iter().map(|shape| f32s(shape, &vec![0.0; shape.iter().product()])).collect();
        assert_eq!(run(&views(&good)), Ok(()), "{:?}", spec.decoder);

        for index in 0..good.len() {
            let mut short = views(&good);
            short[index].bytes = &short[index].bytes[1..];
            assert!(matches!(run(&short), Err(PostprocessError::Length { .. })), "{:?}", spec.decoder);
            let error = run(&views(&good)[..index]);
            assert!(matches!(error, Err(PostprocessError::MissingOutput { .. })), "{:?}", spec.decoder);
        }
        if spec.task == Task::Detect {
            let mut odd = views(&good);
            odd[0] = TensorView { element: Element::F32, shape: &[2, 3, 5, 7], bytes: &[0; 840] };
            assert!(matches!(run(&odd), Err(PostprocessError::Shape { .. })), "{:?}", spec.decoder);
            odd[0] = TensorView { element: Element::F32, shape: &[3, 3], bytes: &[0; 36] };
            assert!(matches!(run(&odd), Err(PostprocessError::Shape { .. })), "{:?}", spec.decoder);
            odd[0] = TensorView { element: Element::F32, shape: &[0, 0], bytes: &[] };
            assert!(matches!(run(&odd), Err(PostprocessError::Shape { .. })), "{:?}", spec.decoder);
            odd[0] = TensorView { element: Element::F32, shape: &[usize::MAX, 7], bytes: &[] };
            assert!(run(&odd).is_err(), "{:?}", spec.decoder);
            odd[0] = TensorView { element: Element::F32, shape: &[7, usize::MAX, usize::MAX], bytes: &[] };
            assert!(run(&odd).is_err(), "{:?}", spec.decoder);
        }
    }
}

#[test]
fn asking_for_the_other_task_is_an_error() {
    let detector = spec(Decoder::EndToEnd);
    let options = Options::of(&detector);
    assert!(matches!(classes(&detector, &[], &options), Err(PostprocessError::Task { .. })));
    let classifier = spec(Decoder::Classifier { softmax: true });
    assert!(matches!(detections(&classifier, &[], &SAME, &options), Err(PostprocessError::Task { .. })));
}

#[test]
fn a_description_with_a_stride_of_nothing_is_an_error() {
    let outputs = [f32s(&[10, 7], &[0.0; 70])];
    let spec = spec(Decoder::Yolox { strides: vec![0] });
    assert!(detections(&spec, &views(&outputs), &SAME, &Options::of(&spec)).is_err());
}
