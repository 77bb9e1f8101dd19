//! The input that a family is trained with, for what the sidecar leaves out. RGB order; `resolve` reorders.

use super::heads::{Assembled, cells};
use super::metadata::Exported;
use super::{Anchor, Channels, Decoder, Resize};

/// Everything of an input but its name, size, axis order and element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Preset {
    pub(super) channels: Channels,
    pub(super) resize: Resize,
    pub(super) fill: u8,
    pub(super) scale: f32,
    /// R, G, B.
    pub(super) mean: [f32; 3],
    /// R, G, B.
    pub(super) std: [f32; 3],
    /// Where these values come from.
    pub(super) origin: &'static str,
}

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// RGB in 0–1, stretched: what remains to assume when a family has no custom of its own.
const PLAIN: Preset = Preset {
    channels: Channels::Rgb,
    resize: Resize::Stretch,
    fill: 114,
    scale: 1.0 / 255.0,
    mean: [0.0; 3],
    std: [1.0; 3],
    origin: "no custom of the family",
};

/// The family's custom for an input of `(width, height)`.
pub(super) fn preset(assembled: &Assembled, input: (u32, u32), exported: Option<&Exported>) -> Preset {
    let letterbox = |anchor| Resize::Letterbox { anchor, upscale: true };
    match &assembled.decoder {
        Decoder::Yolox { .. } => Preset {
            channels: Channels::Bgr,
            resize: letterbox(Anchor::TopLeft),
            scale: 1.0,
            origin: "YOLOX",
            ..PLAIN
        },
        Decoder::Yolov5 | Decoder::Yolov8 { .. } | Decoder::EndToEnd => {
            Preset { resize: letterbox(Anchor::Center), origin: "Ultralytics", ..PLAIN }
        }
        Decoder::PicoDet { .. } => {
            Preset { mean: IMAGENET_MEAN, std: IMAGENET_STD, origin: "PaddleDetection", ..PLAIN }
        }
        Decoder::FastestDet => Preset { channels: Channels::Bgr, origin: "FastestDet", ..PLAIN },
        Decoder::YuNet { .. } => Preset {
            channels: Channels::Bgr,
            resize: letterbox(Anchor::TopLeft),
            fill: 0,
            scale: 1.0,
            origin: "YuNet",
            ..PLAIN
        },
        Decoder::Ssd { .. } if assembled.priors == Some(ultraface_priors(input)) => {
            Preset { scale: 1.0, mean: [127.0; 3], std: [128.0; 3], origin: "UltraFace", ..PLAIN }
        }
        Decoder::Ssd { .. } => PLAIN,
        Decoder::SsdPost { .. } => {
            Preset { scale: 1.0, origin: "TensorFlow, normalised in the graph", ..PLAIN }
        }
        Decoder::Classifier { .. } => classifier(input, exported),
    }
}

fn classifier((width, height): (u32, u32), exported: Option<&Exported>) -> Preset {
    let side = width.min(height);
    if exported.is_some() {
        return Preset { resize: Resize::CenterCrop { short: side }, origin: "Ultralytics", ..PLAIN };
    }
    // 256 before a cut of 224, the custom of ImageNet models, for any side.
    let short = (f64::from(side) * 256.0 / 224.0).round() as u32;
    Preset {
        resize: Resize::CenterCrop { short },
        mean: IMAGENET_MEAN,
        std: IMAGENET_STD,
        origin: "ImageNet",
        ..PLAIN
    }
}

/// Boxes of UltraFace: three at each cell of strides 8 and 64, two at those of 16 and 32.
fn ultraface_priors(input: (u32, u32)) -> i64 {
    3 * cells(&[8, 64], input) + 2 * cells(&[16, 32], input)
}
