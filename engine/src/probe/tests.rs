use super::*;
use vision::model::{Anchor, Channels, Filter, Resize, Task};

fn spec(decoder: Decoder) -> ModelSpec {
    let input = InputSpec {
        name: "images".into(),
        width: 6,
        height: 4,
        channels: Channels::Rgb,
        layout: Layout::Nchw,
        element: Element::F32,
        resize: Resize::Letterbox { anchor: Anchor::Center, upscale: true },
        filter: Filter::Bilinear,
        fill: 114,
        scale: 1.0 / 255.0,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    ModelSpec {
        name: "m".into(),
        task: Task::Detect,
        input,
        decoder,
        labels: Vec::new(),
        score: 0.25,
        iou: 0.45,
        max_detections: 300,
        top_k: 5,
        guessed: Vec::new(),
    }
}

fn port(declared: &[i64], black: &[usize], busy: &[usize], decoder: Decoder) -> Result<Port, String> {
    let info = TensorInfo { name: "out".into(), element: Element::F32, shape: declared.to_vec() };
    let (black, busy) = ((Some(Element::F32), black.to_vec()), (Some(Element::F32), busy.to_vec()));
    output(&info, black.1.first().copied().unwrap_or(1), [&black, &busy], &spec(decoder))
}

const YOLO: Decoder = Decoder::Yolov8 { rows: false };

#[test]
fn an_output_of_one_size_stays_where_the_graph_writes_it() {
    let own = port(&[1, 84, 100], &[1, 84, 100], &[1, 84, 100], YOLO).unwrap();
    assert_eq!((own.shape, own.dynamic), (vec![84, 100], false));
    let four = port(&[4, 84, 100], &[4, 84, 100], &[4, 84, 100], YOLO).unwrap();
    assert_eq!(four.shape, [84, 100]);
    // Free in the file, and the same for both pictures.
    assert!(!port(&[-1, -1, 85], &[1, 70, 85], &[1, 70, 85], YOLO).unwrap().dynamic);
}

#[test]
fn rows_that_depend_on_the_picture_are_copied_behind_a_count() {
    for (declared, black, busy) in [
        (&[1, -1, 6][..], [1, 0, 6], [1, 7, 6]),
        (&[1, -1, 6], [1, 0, 6], [1, 0, 6]),
        (&[1, -1, 6], [1, 9, 6], [1, 9, 6]),
    ] {
        let own = port(declared, &black, &busy, Decoder::EndToEnd).unwrap();
        assert_eq!((&own.shape[..], own.dynamic), (&[ROWS, 6][..], true));
        assert_eq!(own.bytes(), vision::model::OutputFacts::DYNAMIC_HEADER + ROWS * 6 * 4);
    }
    // Said by the file: always 300.
    assert!(!port(&[1, 300, 6], &[1, 300, 6], &[1, 300, 6], Decoder::EndToEnd).unwrap().dynamic);
    let many = port(&[1, -1, 6], &[1, 0, 6], &[1, 5000, 6], Decoder::EndToEnd).unwrap();
    assert_eq!(many.shape[0], 5000);
}

#[test]
fn what_cannot_be_laid_out_is_said() {
    let columns = port(&[1, 6, -1], &[1, 6, 0], &[1, 6, 7], YOLO).unwrap_err();
    assert!(columns.contains("transpose"), "{columns}");
    let number = port(&[], &[], &[], YOLO).unwrap_err();
    assert!(number.contains("batch axis"), "{number}");
    let unbatched = output(
        &TensorInfo { name: "out".into(), element: Element::F32, shape: vec![-1, 6] },
        1,
        [&(Some(Element::F32), vec![3, 6]), &(Some(Element::F32), vec![5, 6])],
        &spec(YOLO),
    );
    assert!(unbatched.unwrap_err().contains("batch axis"));
}

#[test]
fn a_batch_of_two_gives_everything_twice() {
    let one = [port(&[-1, 84, 100], &[1, 84, 100], &[1, 84, 100], YOLO).unwrap()];
    assert_eq!(stacked(&[(Some(Element::F32), vec![2, 84, 100])], &one), Ok(()));
    assert!(stacked(&[(Some(Element::F32), vec![1, 84, 200])], &one).is_err());
    assert!(stacked(&[(Some(Element::F32), vec![2, 84, 99])], &one).is_err());
}

#[test]
fn noise_is_a_picture_as_preprocessing_writes_it() {
    let mut input = spec(YOLO).input;
    assert_eq!(input_dims(&input), [3, 4, 6]);
    let mut bytes = vec![0; input.bytes()];
    noise(&input, &mut bytes);
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|four| f32::from_ne_bytes(four.try_into().unwrap())).collect();
    assert!(
        values.iter().all(|value| (0.0..=1.0).contains(value)) && values.iter().any(|value| *value > 0.4)
    );
    let mut again = vec![0; input.bytes()];
    noise(&input, &mut again);
    assert_eq!(bytes, again);

    input.element = Element::F16;
    input.layout = Layout::Nhwc;
    assert_eq!(input_dims(&input), [4, 6, 3]);
    let mut half = vec![0; input.bytes()];
    noise(&input, &mut half);
    let first = f16::from_ne_bytes([half[0], half[1]]).to_f32();
    assert!((first - values[0]).abs() < 1e-3);
}
