//! The sidecar that is printed can be read as one, for every family.

use super::*;
use vision::model::{Anchor, BoxLayout, Channels, Decoder, Filter, InputSpec, Layout, Resize, Sidecar, Task};
use vision::tensor::Element;

fn spec(decoder: Decoder, resize: Resize) -> ModelSpec {
    ModelSpec {
        name: "m".to_owned(),
        task: Task::Detect,
        input: InputSpec {
            name: "images".to_owned(),
            width: 416,
            height: 320,
            channels: Channels::Bgr,
            layout: Layout::Nchw,
            element: Element::F32,
            resize,
            filter: Filter::Bilinear,
            fill: 114,
            scale: 1.0 / 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        },
        decoder,
        labels: vec!["a".to_owned(), "b".to_owned()],
        score: 0.25,
        iou: 0.45,
        max_detections: 300,
        top_k: 5,
        guessed: Vec::new(),
    }
}

#[test]
fn every_family_becomes_a_sidecar_that_reads_back() {
    let letterbox = Resize::Letterbox { anchor: Anchor::TopLeft, upscale: true };
    let boxes = BoxLayout::XyxyUnit;
    let families = [
        (Decoder::Yolox { strides: vec![8, 16, 32] }, letterbox),
        (Decoder::Yolov5, Resize::Letterbox { anchor: Anchor::Center, upscale: false }),
        (Decoder::Yolov8 { rows: false }, Resize::Stretch),
        (Decoder::EndToEnd, letterbox),
        (Decoder::Ssd { boxes: 1, scores: 0, layout: boxes, background: true }, Resize::Stretch),
        (
            Decoder::SsdPost {
                boxes: 0,
                classes: 1,
                scores: 2,
                count: Some(3),
                layout: boxes,
                first_class: 1,
            },
            Resize::Stretch,
        ),
        (Decoder::PicoDet { strides: vec![8, 16], scores: vec![0, 1], boxes: vec![2, 3] }, Resize::Stretch),
        (Decoder::FastestDet, Resize::Stretch),
        (
            Decoder::YuNet { strides: vec![8], cls: vec![0], obj: vec![1], bbox: vec![2], kps: vec![3] },
            letterbox,
        ),
        (Decoder::Classifier { softmax: true }, Resize::CenterCrop { short: 256 }),
    ];
    for (decoder, resize) in families {
        let text = sidecar(&spec(decoder.clone(), resize)).expect("TOML");
        let read = Sidecar::parse(&text).unwrap_or_else(|error| panic!("{decoder:?}: {error}\n{text}"));
        assert_eq!(read.input.width, Some(416), "{text}");
        assert_eq!(read.iou, Some(0.45));
        assert!(text.contains("iou = 0.45\n"), "{text}");
        assert!(read.decoder.is_some(), "{text}");
    }
}
