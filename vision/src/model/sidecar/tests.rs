use super::super::{BoxLayout, Filter, SpecError};
use super::*;

fn error(text: &str) -> String {
    match Sidecar::parse(text) {
        Err(error) => error.to_string(),
        Ok(sidecar) => panic!("accepted: {sidecar:?}"),
    }
}

#[test]
fn every_key_is_read() {
    let sidecar = Sidecar::parse(
        r#"
        name = "faces"
        task = "detect"
        labels = ["face"]
        score = 0.7
        iou = 0.3
        max_detections = 20
        top_k = 3

        [input]
        width = 320
        height = 240
        channels = "bgr"
        layout = "nhwc"
        filter = "bilinear-antialias"
        fill = 0
        scale = "1/128"
        mean = [0.1, 0.2, 0.3]
        std = 2
        resize = { mode = "letterbox", anchor = "top-left", upscale = false }

        [decoder]
        family = "ssd"
        boxes = "boxes"
        scores = 0
        layout = "xyxy-unit"
        background = true
        "#,
    )
    .unwrap();
    assert_eq!(sidecar.name.as_deref(), Some("faces"));
    assert_eq!(sidecar.task, Some(Task::Detect));
    assert_eq!(sidecar.labels, Some(vec!["face".to_owned()]));
    assert_eq!((sidecar.score, sidecar.iou), (Some(0.7), Some(0.3)));
    assert_eq!((sidecar.max_detections, sidecar.top_k), (Some(20), Some(3)));
    let input = &sidecar.input;
    assert_eq!((input.width, input.height, input.fill), (Some(320), Some(240), Some(0)));
    assert_eq!((input.channels, input.layout), (Some(Channels::Bgr), Some(Layout::Nhwc)));
    assert_eq!(input.filter, Some(Filter::BilinearAntialias));
    assert_eq!(input.scale, Some(Scalar(1.0 / 128.0)));
    assert_eq!((input.mean, input.std), (Some(Triple([0.1, 0.2, 0.3])), Some(Triple([2.0; 3]))));
    let resize = ResizeSidecar {
        mode: Some(ResizeMode::Letterbox),
        anchor: Some(Anchor::TopLeft),
        upscale: Some(false),
        short: None,
    };
    assert_eq!(input.resize, Some(resize));
    let decoder = sidecar.decoder.unwrap();
    assert_eq!(decoder.family, Family::Ssd);
    assert_eq!(decoder.boxes, Some(OneOrMore::One(OutputRef::Name("boxes".into()))));
    assert_eq!(decoder.scores, Some(OneOrMore::One(OutputRef::Index(0))));
    assert_eq!((decoder.layout, decoder.background), (Some(BoxLayout::XyxyUnit), Some(true)));
}

#[test]
fn an_empty_sidecar_says_nothing() {
    assert_eq!(Sidecar::parse("").unwrap(), Sidecar::default());
}

#[test]
fn short_forms_are_accepted() {
    let sidecar = Sidecar::parse("[input]\nresize = \"stretch\"\nscale = 0.5\nmean = 127").unwrap();
    assert_eq!(sidecar.input.resize.unwrap().mode, Some(ResizeMode::Stretch));
    assert_eq!(sidecar.input.scale, Some(Scalar(0.5)));
    assert_eq!(sidecar.input.mean, Some(Triple([127.0; 3])));
}

#[test]
fn a_slip_names_line_key_and_the_nearest_right_one() {
    let text = error("[input]\nwidth = 320\nchanels = \"bgr\"\n");
    assert!(text.starts_with("sidecar line 3: unknown key `chanels`, did you mean `channels`?"), "{text}");
    let text = error("[input]\nchannels = \"brg\"\n");
    assert!(text.starts_with("sidecar line 2: unknown value `brg`, did you mean `bgr`?"), "{text}");
    let text = error("lables = []\n");
    assert!(text.starts_with("sidecar line 1: unknown key `lables`, did you mean `labels`?"), "{text}");
    let text = error("\n\n[decoder]\nfamily = \"yolo8\"\n");
    assert!(text.starts_with("sidecar line 4: unknown value `yolo8`, did you mean `yolov8`?"), "{text}");
    let text = error("[input]\n\nresize = { mode = \"leterbox\" }\n");
    assert!(
        text.starts_with("sidecar line 3: unknown value `leterbox`, did you mean `letterbox`?"),
        "{text}"
    );
    let text = error("[input]\nresize = { mode = \"letterbox\", ancor = \"center\" }\n");
    assert!(text.starts_with("sidecar line 2: unknown key `ancor`, did you mean `anchor`?"), "{text}");
}

#[test]
fn a_word_like_no_other_lists_what_there_is_without_a_hint() {
    let text = error("[input]\nzzz = 1\n");
    assert!(text.contains("unknown key `zzz` (known: width, height, channels"), "{text}");
}

#[test]
fn a_wrong_type_names_line_and_key() {
    let text = error("[input]\nwidth = \"wide\"\n");
    assert!(text.starts_with("sidecar line 2: `width`: invalid type: string \"wide\""), "{text}");
    let text = error("[input]\nmean = [1, 2]\n");
    assert!(text.starts_with("sidecar line 2: `mean`: expected one number or three"), "{text}");
    let text = error("[input]\nscale = \"1:255\"\n");
    assert!(text.starts_with("sidecar line 2: `scale`: expected a number or a fraction"), "{text}");
    let text = error("[decoder]\nfamily = \"ssd\"\nboxes = 1.5\n");
    assert!(text.starts_with("sidecar line 3: `boxes`: expected an output"), "{text}");
}

#[test]
fn a_decoder_needs_its_family() {
    let text = error("[decoder]\nstrides = [8]\n");
    assert!(text.contains("missing field `family`"), "{text}");
}

#[test]
fn broken_toml_names_the_line() {
    let text = error("name = \"x\"\n[input\n");
    assert!(text.starts_with("sidecar line 2: "), "{text}");
}

#[test]
fn labels_come_from_one_place() {
    let error = Sidecar::parse("labels = [\"a\"]\nlabels_file = \"x.txt\"").unwrap_err();
    assert!(matches!(error, SpecError::Key { key: "labels_file", .. }));
}

#[test]
fn a_file_of_labels_has_one_a_line() {
    assert_eq!(parse_labels("\u{feff}person\r\n bicycle \ncar\n\n"), ["person", "bicycle", "car"]);
    assert_eq!(parse_labels("a\n\nc"), ["a", "", "c"]);
    assert_eq!(parse_labels("\n"), Vec::<String>::new());
}
