//! Resolving models by the shapes that real files declare.

use super::*;
use crate::tensor::{Element, TensorInfo};

fn tensor(name: &str, element: Element, shape: &[i64]) -> TensorInfo {
    TensorInfo { name: name.into(), element, shape: shape.to_vec() }
}

/// A model of f32 tensors.
fn model(input: (&str, &[i64]), outputs: &[(&str, &[i64])]) -> RawModel {
    RawModel {
        inputs: vec![tensor(input.0, Element::F32, input.1)],
        outputs: outputs.iter().map(|(name, shape)| tensor(name, Element::F32, shape)).collect(),
        ..Default::default()
    }
}

/// A model as Ultralytics exports it, of `count` classes.
fn exported(task: &str, count: usize, input: &[i64], output: &[i64]) -> RawModel {
    let mut raw = model(("images", input), &[("output0", output)]);
    let names: Vec<String> = (0..count).map(|i| format!("{i}: 'c{i}'")).collect();
    for (key, value) in
        [("names", format!("{{{}}}", names.join(", "))), ("task", task.into()), ("stride", "32".into())]
    {
        raw.metadata.insert(key.into(), value);
    }
    raw
}

fn labels(count: usize) -> Option<Vec<String>> {
    Some((0..count).map(|i| format!("l{i}")).collect())
}

fn resolve(raw: &RawModel, sidecar: &str, labels: Option<Vec<String>>) -> Result<ModelSpec, SpecError> {
    ModelSpec::resolve("stem", raw, Some(&Sidecar::parse(sidecar).unwrap()), labels)
}

fn bare(raw: &RawModel) -> ModelSpec {
    ModelSpec::resolve("stem", raw, None, None).unwrap()
}

fn message(raw: &RawModel, sidecar: &str) -> String {
    resolve(raw, sidecar, None).unwrap_err().to_string()
}

const TOP_LEFT: Resize = Resize::Letterbox { anchor: Anchor::TopLeft, upscale: true };
const CENTER: Resize = Resize::Letterbox { anchor: Anchor::Center, upscale: true };

fn yolox(batch: i64) -> RawModel {
    model(("images", &[batch, 3, 416, 416]), &[("output", &[batch, 3549, 85])])
}

fn picodet() -> RawModel {
    let names: Vec<String> =
        [0, 2, 4, 6, 1, 3, 5, 7].iter().map(|i| format!("transpose_{i}.tmp_0")).collect();
    let rows = [1600, 400, 100, 25];
    let shapes: Vec<[i64; 3]> =
        rows.iter().map(|&n| [1, n, 80]).chain(rows.iter().map(|&n| [1, n, 32])).collect();
    let outputs: Vec<(&str, &[i64])> =
        names.iter().map(String::as_str).zip(shapes.iter().map(|s| &s[..])).collect();
    model(("image", &[1, 3, 320, 320]), &outputs)
}

fn yunet(batch: i64, rows: [i64; 3], side: i64) -> RawModel {
    let mut raw = model(("input", &[batch, 3, side, side]), &[]);
    for (part, columns) in [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)] {
        for (stride, rows) in [8, 16, 32].into_iter().zip(rows) {
            raw.outputs.push(tensor(&format!("{part}_{stride}"), Element::F32, &[batch, rows, columns]));
        }
    }
    raw
}

fn ultraface() -> RawModel {
    model(("input", &[1, 3, 240, 320]), &[("scores", &[1, 4420, 2]), ("boxes", &[1, 4420, 4])])
}

fn squeezenet(batch: i64, element: Element) -> RawModel {
    RawModel {
        inputs: vec![tensor("data_0", element, &[batch, 3, 224, 224])],
        outputs: vec![tensor("softmaxout_1", element, &[batch, 1000, 1, 1])],
        ..Default::default()
    }
}

#[test]
fn yolox_nano_needs_nothing_but_labels() {
    for batch in [1, -1] {
        let spec = resolve(&yolox(batch), "", labels(80)).unwrap();
        assert_eq!(spec.decoder, Decoder::Yolox { strides: vec![8, 16, 32] });
        assert_eq!((spec.name.as_str(), spec.task), ("stem", Task::Detect));
        let input = InputSpec {
            name: "images".into(),
            width: 416,
            height: 416,
            channels: Channels::Bgr,
            layout: Layout::Nchw,
            element: Element::F32,
            resize: TOP_LEFT,
            filter: Filter::Bilinear,
            fill: 114,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        assert_eq!(spec.input, input);
        assert_eq!((spec.score, spec.iou, spec.max_detections, spec.top_k), (0.25, 0.45, 300, 5));
        let family =
            "decoder.family = \"yolox\": output [3549, 85] has one row for each cell of strides [8, 16, 32]";
        assert!(spec.guessed.iter().any(|note| note == family), "{:?}", spec.guessed);
    }
}

#[test]
fn picodet_is_recognised_by_its_grids() {
    let spec = resolve(&picodet(), "", labels(80)).unwrap();
    let decoder =
        Decoder::PicoDet { strides: vec![8, 16, 32, 64], scores: vec![0, 1, 2, 3], boxes: vec![4, 5, 6, 7] };
    assert_eq!(spec.decoder, decoder);
    assert_eq!((spec.input.channels, spec.input.resize), (Channels::Rgb, Resize::Stretch));
    assert_eq!((spec.input.mean, spec.input.std), ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));
    assert_eq!(spec.input.scale, 1.0 / 255.0);
}

#[test]
fn picodet_with_distances_first_is_still_read_right() {
    let mut raw = picodet();
    raw.outputs.rotate_left(4);
    let spec = resolve(&raw, "", labels(80)).unwrap();
    let decoder =
        Decoder::PicoDet { strides: vec![8, 16, 32, 64], scores: vec![4, 5, 6, 7], boxes: vec![0, 1, 2, 3] };
    assert_eq!(spec.decoder, decoder);
}

#[test]
fn fastestdet_is_recognised_by_its_planes() {
    let raw = model(("input.1", &[1, 3, 352, 352]), &[("758", &[1, 85, 22, 22])]);
    let spec = resolve(&raw, "", labels(80)).unwrap();
    assert_eq!(spec.decoder, Decoder::FastestDet);
    assert_eq!((spec.input.channels, spec.input.resize), (Channels::Bgr, Resize::Stretch));
    assert_eq!((spec.input.scale, spec.input.mean), (1.0 / 255.0, [0.0; 3]));
}

#[test]
fn ultraface_is_recognised_by_its_priors() {
    let names = vec!["background".to_owned(), "face".to_owned()];
    for (given, kept) in [(Some(names), vec!["face".to_owned()]), (None, Vec::new())] {
        let spec = resolve(&ultraface(), "", given).unwrap();
        let decoder = Decoder::Ssd { boxes: 1, scores: 0, layout: BoxLayout::XyxyUnit, background: true };
        assert_eq!((spec.decoder, spec.labels), (decoder, kept));
        assert_eq!((spec.input.scale, spec.input.mean, spec.input.std), (1.0, [127.0; 3], [128.0; 3]));
        assert_eq!((spec.input.channels, spec.input.resize), (Channels::Rgb, Resize::Stretch));
        assert_eq!((spec.input.width, spec.input.height), (320, 240));
    }
}

#[test]
fn yunet_is_recognised_by_its_names() {
    let spec = resolve(&yunet(1, [1600, 400, 100], 320), "", labels(1)).unwrap();
    let decoder = Decoder::YuNet {
        strides: vec![8, 16, 32],
        cls: vec![0, 1, 2],
        obj: vec![3, 4, 5],
        bbox: vec![6, 7, 8],
        kps: vec![9, 10, 11],
    };
    assert_eq!(spec.decoder, decoder);
    assert_eq!((spec.input.channels, spec.input.resize, spec.input.fill), (Channels::Bgr, TOP_LEFT, 0));
    assert_eq!(spec.input.scale, 1.0);
}

#[test]
fn a_free_size_must_be_said() {
    let raw = yunet(-1, [-1; 3], -1);
    assert_eq!(message(&raw, ""), "the model takes pictures of any size: set input.width in the sidecar");
    let sidecar = "[input]\nwidth = 640\nheight = 480\nresize = { upscale = false }\n[decoder]\nfamily = \"yunet\"\nlandmarks = false";
    let spec = resolve(&raw, sidecar, None).unwrap();
    assert_eq!((spec.input.width, spec.input.height), (640, 480));
    assert_eq!(spec.input.resize, Resize::Letterbox { anchor: Anchor::TopLeft, upscale: false });
    assert!(matches!(spec.decoder, Decoder::YuNet { kps, .. } if kps.is_empty()));
}

#[test]
fn squeezenet_is_a_classifier_that_is_softmaxed() {
    for (batch, element) in [(1, Element::F16), (-1, Element::F32)] {
        let sidecar = "[input]\nchannels = \"bgr\"\nscale = 1\nmean = [103.94, 116.78, 123.68]";
        let spec = resolve(&squeezenet(batch, element), sidecar, labels(1000)).unwrap();
        assert_eq!((spec.task, spec.decoder), (Task::Classify, Decoder::Classifier { softmax: false }));
        assert_eq!((spec.input.element, spec.score), (element, 0.0));
        assert_eq!(spec.input.resize, Resize::CenterCrop { short: 256 });
        assert_eq!((spec.input.mean, spec.input.std), ([103.94, 116.78, 123.68], [1.0; 3]));
    }
}

#[test]
fn imagenet_numbers_follow_the_channel_order() {
    let raw = squeezenet(1, Element::F32);
    let spec = resolve(&raw, "[input]\nchannels = \"bgr\"", None).unwrap();
    assert_eq!((spec.input.mean, spec.input.std), ([0.406, 0.456, 0.485], [0.225, 0.224, 0.229]));
    assert_eq!(bare(&raw).input.mean, [0.485, 0.456, 0.406]);
}

#[test]
fn small_classifiers_give_logits() {
    let cifar = model(("modelInput", &[-1, 3, 32, 32]), &[("modelOutput", &[-1, 10])]);
    let spec = resolve(&cifar, "[input]\nresize = \"stretch\"\nmean = 0.5\nstd = 0.5", labels(10)).unwrap();
    assert_eq!(spec.decoder, Decoder::Classifier { softmax: true });
    assert_eq!((spec.input.scale, spec.input.mean, spec.input.std), (1.0 / 255.0, [0.5; 3], [0.5; 3]));
    let mnist = model(("Input3", &[1, 1, 28, 28]), &[("Plus214_Output_0", &[1, 10])]);
    let spec = resolve(&mnist, "[input]\nresize = \"stretch\"\nscale = 1", labels(10)).unwrap();
    assert_eq!((spec.input.channels, spec.input.scale, spec.input.mean), (Channels::Gray, 1.0, [0.0; 3]));
}

#[test]
fn ultralytics_exports_describe_themselves() {
    let mut raw = exported("detect", 80, &[-1, 3, -1, -1], &[-1, 84, -1]);
    raw.metadata.insert("imgsz".into(), "[480, 640]".into());
    let spec = bare(&raw);
    assert_eq!(spec.decoder, Decoder::Yolov8 { rows: false });
    assert_eq!((spec.input.width, spec.input.height), (640, 480));
    assert_eq!((spec.input.channels, spec.input.resize, spec.input.fill), (Channels::Rgb, CENTER, 114));
    assert_eq!((spec.labels.len(), &*spec.label(3), &*spec.label(99)), (80, "c3", "99"));

    let five = bare(&exported("detect", 80, &[1, 3, 640, 640], &[1, 25200, 85]));
    assert_eq!(five.decoder, Decoder::Yolov5);
    let ten = bare(&exported("detect", 80, &[1, 3, 640, 640], &[1, 300, 6]));
    assert_eq!(ten.decoder, Decoder::EndToEnd);
    let classes = bare(&exported("classify", 10, &[1, 3, 224, 224], &[1, 10]));
    assert_eq!(classes.decoder, Decoder::Classifier { softmax: false });
    assert_eq!(classes.input.resize, Resize::CenterCrop { short: 224 });
    assert_eq!(classes.input.mean, [0.0; 3]);
}

#[test]
fn shapes_that_look_alike_are_told_apart_by_counting() {
    let at =
        |rows: i64, columns: i64| model(("images", &[1, 3, 640, 640]), &[("output", &[1, rows, columns])]);
    let decoder = |raw: &RawModel| bare(raw).decoder;
    let x = Decoder::Yolox { strides: vec![8, 16, 32] };
    assert_eq!(decoder(&at(8400, 85)), x);
    assert_eq!(decoder(&at(25200, 85)), Decoder::Yolov5);
    assert_eq!(decoder(&at(25500, 6)), Decoder::Yolov5, "four strides, one class");
    assert_eq!(decoder(&at(84, 8400)), Decoder::Yolov8 { rows: false });
    assert_eq!(decoder(&at(8400, 84)), Decoder::Yolov8 { rows: true });
    assert_eq!(decoder(&at(6, 8400)), Decoder::Yolov8 { rows: false }, "two classes");
    assert_eq!(decoder(&at(8400, 6)), x, "one class");
    assert_eq!(decoder(&at(25200, 6)), Decoder::Yolov5, "one class");
    assert_eq!(decoder(&at(100, 6)), Decoder::EndToEnd);
    // 85 columns are 80 classes of one family or 81 of another; the labels say which.
    assert_eq!(resolve(&at(8400, 85), "", labels(81)).unwrap().decoder, Decoder::Yolov8 { rows: true });
    let of_export = bare(&exported("detect", 81, &[1, 3, 640, 640], &[1, 8400, 85]));
    assert_eq!(of_export.decoder, Decoder::Yolov8 { rows: true });
}

#[test]
fn the_feature_maps_of_old_exports_are_passed_over() {
    let mut raw = exported("detect", 80, &[1, 3, 640, 640], &[1, 25200, 85]);
    for side in [80, 40, 20] {
        raw.outputs.push(tensor("map", Element::F32, &[1, 3, side, side, 85]));
    }
    assert_eq!(bare(&raw).decoder, Decoder::Yolov5);
}

#[test]
fn tensorflow_ssd_takes_bytes_row_by_row() {
    let raw = RawModel {
        inputs: vec![tensor("image_tensor:0", Element::U8, &[1, 300, 300, 3])],
        outputs: vec![
            tensor("num_detections:0", Element::F32, &[1]),
            tensor("detection_boxes:0", Element::F32, &[1, 100, 4]),
            tensor("detection_scores:0", Element::F32, &[1, 100]),
            tensor("detection_classes:0", Element::F32, &[1, 100]),
        ],
        ..Default::default()
    };
    let spec = bare(&raw);
    let decoder = Decoder::SsdPost {
        boxes: 1,
        classes: 3,
        scores: 2,
        count: Some(0),
        layout: BoxLayout::YxyxUnit,
        first_class: 1,
    };
    assert_eq!(spec.decoder, decoder);
    assert_eq!((spec.input.layout, spec.input.element), (Layout::Nhwc, Element::U8));
    assert_eq!((spec.input.scale, spec.input.mean, spec.input.std), (1.0, [0.0; 3], [1.0; 3]));
    assert!(spec.guessed.iter().any(|note| note.starts_with("input.scale = 1: ")), "{:?}", spec.guessed);
}

#[test]
fn the_sidecar_names_outputs() {
    let raw =
        model(("x", &[-1, 3, 300, 300]), &[("a", &[-1, 50, 4]), ("b", &[-1, 50, 4]), ("c", &[-1, 50, 3])]);
    assert_eq!(
        message(&raw, "[decoder]\nfamily = \"ssd\""),
        "no output, or more than one, could be the boxes [N, 4]: set decoder.boxes in the sidecar"
    );
    let sidecar = "[decoder]\nfamily = \"ssd\"\nboxes = \"b\"\nscores = 2\nlayout = \"cxcywh-pixel\"\nbackground = false";
    let spec = resolve(&raw, sidecar, labels(3)).unwrap();
    let decoder = Decoder::Ssd { boxes: 1, scores: 2, layout: BoxLayout::CxcywhPixel, background: false };
    assert_eq!(spec.decoder, decoder);
    assert_eq!(
        message(&raw, "[decoder]\nfamily = \"ssd\"\nboxes = \"d\""),
        "decoder.boxes: no output is named `d`; there are: a, b, c"
    );
}

#[test]
fn what_does_not_fit_says_so() {
    let count = resolve(&yolox(1), "", labels(79)).unwrap_err();
    assert_eq!(count, SpecError::LabelCount { labels: 79, classes: 80 }, "{count}");
    assert_eq!(message(&yolox(1), "[input]\nwidth = 640"), "input.width: 640, and the model file fixes 416");
    assert_eq!(
        message(&yolox(1), "[decoder]\nfamily = \"yolox\"\nstrides = [8, 16]"),
        "outputs do not fit family yolox: 3549 rows, and the cells of strides [8, 16] are 3380"
    );
    assert_eq!(
        message(&yolox(1), "[decoder]\nfamily = \"yolov5\"\nstrides = [8]"),
        "decoder.strides: has no meaning for family yolov5"
    );
    assert_eq!(
        message(&yolox(1), "[decoder]\nfamily = \"yunet\""),
        "outputs do not fit family yunet: no outputs named cls_, obj_ and bbox_ for strides [8, 16, 32]"
    );
    assert_eq!(
        message(&yolox(1), "task = \"classify\""),
        "outputs do not fit family classifier: shape [3549, 85] instead of [classes]"
    );
    assert_eq!(
        message(&yolox(1), "task = \"classify\"\n[decoder]\nfamily = \"yolox\""),
        "task: \"classify\", and family yolox does \"detect\""
    );
    assert_eq!(message(&yolox(1), "score = 1.5"), "score: 1.5 is not between 0 and 1");
    assert_eq!(message(&yolox(1), "max_detections = 0"), "max_detections: 0 is not between 1 and 10000");
    assert_eq!(message(&yolox(1), "[input]\nstd = 0"), "input.std: must be finite numbers other than 0");
    assert_eq!(
        message(&yolox(1), "[input]\nresize = { mode = \"stretch\", anchor = \"center\" }"),
        "input.resize.anchor: has no meaning for mode Stretch"
    );
    assert_eq!(
        message(&yolox(1), "[input]\nresize = { mode = \"center-crop\", short = 400 }"),
        "input.resize.short: 400 is shorter than the 416 that are cut out of it"
    );
    assert_eq!(
        message(&yolox(1), "[input]\nchannels = \"gray\""),
        "input.channels: \"gray\" does not fit an input of 3 channels"
    );
    assert_eq!(message(&yolox(1), "labels_file = \"a.txt\""), "labels_file: `a.txt` was not read");
}

#[test]
fn models_that_are_not_served_say_why() {
    let two = RawModel {
        inputs: vec![tensor("image", Element::F32, &[1, 3, 8, 8]), tensor("size", Element::I64, &[1, 2])],
        ..Default::default()
    };
    assert!(message(&two, "").contains("the model has 2 (image, size)"));
    let text = model(("tokens", &[1, 128]), &[("y", &[1, 2])]);
    assert!(message(&text, "").contains("a picture needs four axes"));
    let deep = model(("x", &[1, 4, 64, 64]), &[("y", &[1, 2])]);
    assert!(message(&deep, "").contains("no axis has the 1 or 3 channels"));
    let whole = RawModel { inputs: vec![tensor("x", Element::I64, &[1, 3, 8, 8])], ..yolox(1) };
    assert!(message(&whole, "[decoder]\nfamily = \"yolov5\"").contains("pictures go into u8, f16 or f32"));
    let segments = exported("segment", 80, &[1, 3, 640, 640], &[1, 116, 8400]);
    assert_eq!(ModelSpec::resolve("s", &segments, None, None), Err(SpecError::Unsupported("segment".into())));
    let odd = model(("x", &[1, 3, 64, 64]), &[("y", &[1, 7, 9, 11, 13])]);
    assert_eq!(
        message(&odd, ""),
        "the outputs (y [7, 9, 11, 13]) are those of no known family, or of several: set decoder.family in the sidecar"
    );
    let unbatched = model(("x", &[1, 3, 64, 64]), &[("boxes", &[100, 4])]);
    assert!(matches!(ModelSpec::resolve("s", &unbatched, None, None), Err(SpecError::Batch { .. })));
}

#[test]
fn a_spec_survives_serialisation() {
    for raw in
        [yolox(1), picodet(), ultraface(), yunet(1, [1600, 400, 100], 320), squeezenet(1, Element::F16)]
    {
        let spec = bare(&raw);
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ModelSpec>(&text).unwrap(), spec);
    }
}
