//! The resolved description of a model: everything pre- and postprocessing need, with nothing left to guess.

use crate::tensor::{Element, TensorInfo};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the runtime says of a model file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawModel {
    /// Graph inputs.
    pub inputs: Vec<TensorInfo>,
    /// Graph outputs, in the graph's order.
    pub outputs: Vec<TensorInfo>,
    /// Custom metadata (Ultralytics exports carry `names`, `task`, `stride`, `imgsz`).
    pub metadata: BTreeMap<String, String>,
}

/// What the service answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Boxes with labels and scores.
    Detect,
    /// The best k labels of the whole picture.
    Classify,
}

/// How the channels of the input tensor are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel: (299 R + 587 G + 114 B) / 1000.
    Gray,
}

/// Axis order of the input tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// How a picture of any size becomes one of the input's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Resize {
    /// Each axis by its own factor.
    Stretch,
    /// One factor for both axes, the rest filled with `fill`.
    Letterbox {
        /// Where the picture lies in the input.
        anchor: Anchor,
        /// Whether a picture smaller than the input is enlarged.
        upscale: bool,
    },
    /// The short side becomes `short`, then the centre is cut out.
    CenterCrop {
        /// Length of the short side before the cut, in pixels.
        short: u32,
    },
}

/// Where a letterboxed picture lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// In the middle, padding on both sides (Ultralytics).
    Center,
    /// At the top left, padding at the right and below (YOLOX).
    TopLeft,
}

/// Resampling filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Two taps an axis at half-pixel centres, as OpenCV's `INTER_LINEAR`.
    Bilinear,
    /// Triangle filter widened by the reduction, as Pillow's and torchvision's antialiased bilinear.
    BilinearAntialias,
}

/// How the input tensor is filled: `value = (pixel × scale − mean[c]) ÷ std[c]`, c counted in tensor order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Name in the graph.
    pub name: String,
    /// Columns of the tensor.
    pub width: u32,
    /// Rows of the tensor.
    pub height: u32,
    /// Channel order.
    pub channels: Channels,
    /// Axis order.
    pub layout: Layout,
    /// Element type: `U8`, `F16` or `F32`.
    pub element: Element,
    /// Resizing.
    pub resize: Resize,
    /// Filter of the resizing.
    pub filter: Filter,
    /// Pixel value (0–255) of the padding.
    pub fill: u8,
    /// Factor of the pixel value.
    pub scale: f32,
    /// Subtracted, by channel in tensor order (`Gray` uses the first).
    pub mean: [f32; 3],
    /// Divided by, by channel in tensor order.
    pub std: [f32; 3],
}

impl InputSpec {
    /// Channels of the tensor.
    pub const fn channel_count(&self) -> usize {
        match self.channels {
            Channels::Rgb | Channels::Bgr => 3,
            Channels::Gray => 1,
        }
    }

    /// The same before pixels become numbers: a byte each, as they are.
    pub fn pixels(&self) -> Self {
        Self { element: Element::U8, scale: 1.0, mean: [0.0; 3], std: [1.0; 3], ..self.clone() }
    }

    /// Whether it takes pixels as they are.
    pub fn is_pixels(&self) -> bool {
        (self.element, self.scale, self.mean, self.std) == (Element::U8, 1.0, [0.0; 3], [1.0; 3])
    }

    /// Bytes of one image's tensor.
    pub const fn bytes(&self) -> usize {
        self.width as usize * self.height as usize * self.channel_count() * self.element.bytes()
    }
}

/// Axis order, units and meaning of the box columns, and how a score is made, by model family.
///
/// Output indices count the graph's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decoder {
    /// `[N, 5+C]`: grid offsets and log sizes for the strides, row-major; objectness × class.
    Yolox {
        /// Strides of the grids in the output's order.
        strides: Vec<u32>,
    },
    /// `[N, 5+C]` decoded in the graph: cx, cy, w, h in input pixels; objectness × class (YOLOv5, v7).
    Yolov5,
    /// `[4+C, N]` (or `[N, 4+C]`): cx, cy, w, h in input pixels; class scores (YOLOv8, v9, v11).
    Yolov8 {
        /// Whether the graph gives `[N, 4+C]`.
        rows: bool,
    },
    /// `[N, 6]`: x1, y1, x2, y2, score, class in input pixels, NMS done in the graph (YOLOv10, `nms=True`).
    EndToEnd,
    /// Boxes and scores as two outputs (SSD, RetinaFace-like exports, UltraFace).
    Ssd {
        /// Index of the `[N, 4]` boxes.
        boxes: usize,
        /// Index of the `[N, C]` scores.
        scores: usize,
        /// Units and order of a box.
        layout: BoxLayout,
        /// Whether class 0 means "nothing".
        background: bool,
    },
    /// SSD as TensorFlow exports it after its own NMS: boxes `[N, 4]`, classes `[N]`, scores `[N]`, count.
    SsdPost {
        /// Index of the boxes.
        boxes: usize,
        /// Index of the classes.
        classes: usize,
        /// Index of the scores.
        scores: usize,
        /// Index of the number of boxes, when the graph gives it.
        count: Option<usize>,
        /// Units and order of a box.
        layout: BoxLayout,
        /// Subtracted from the class number (1 where 0 is the background).
        first_class: u32,
    },
    /// PicoDet and other distribution heads: for each stride scores `[n, C]` and `[n, 4·bins]` distances.
    #[serde(rename = "picodet")]
    PicoDet {
        /// Strides, ascending.
        strides: Vec<u32>,
        /// Indices of the score outputs, by stride.
        scores: Vec<usize>,
        /// Indices of the distance outputs, by stride.
        boxes: Vec<usize>,
    },
    /// FastestDet and Yolo-FastestV2-like: `[5+C, rows, columns]`.
    #[serde(rename = "fastestdet")]
    FastestDet,
    /// YuNet: for each stride cls, obj, bbox, kps.
    #[serde(rename = "yunet")]
    YuNet {
        /// Strides, ascending.
        strides: Vec<u32>,
        /// Indices of the class outputs, by stride.
        cls: Vec<usize>,
        /// Indices of the objectness outputs, by stride.
        obj: Vec<usize>,
        /// Indices of the box outputs, by stride.
        bbox: Vec<usize>,
        /// Indices of the landmark outputs, by stride; empty to leave landmarks out.
        kps: Vec<usize>,
    },
    /// Scores of C classes.
    Classifier {
        /// Whether the graph gives logits that softmax turns into probabilities.
        softmax: bool,
    },
}

/// Units and order of a box as a model writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxLayout {
    /// x1, y1, x2, y2 in 0–1 of the input.
    XyxyUnit,
    /// y1, x1, y2, x2 in 0–1 of the input (TensorFlow).
    YxyxUnit,
    /// x1, y1, x2, y2 in input pixels.
    XyxyPixel,
    /// cx, cy, w, h in 0–1 of the input.
    CxcywhUnit,
    /// cx, cy, w, h in input pixels.
    CxcywhPixel,
}

/// Columns and rows of the grid that a stride lays over an input of `(width, height)`.
pub(crate) const fn grid(stride: u32, (width, height): (u32, u32)) -> (usize, usize) {
    // A description read from elsewhere may hold a stride of 0, which must not become a division by it.
    let stride = if stride == 0 { 1 } else { stride };
    (width.div_ceil(stride) as usize, height.div_ceil(stride) as usize)
}

/// A model, resolved: what the engine, the frontends and the operator need to know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Name in answers, logs and metrics (the file's stem unless the sidecar says otherwise).
    pub name: String,
    /// What it answers.
    pub task: Task,
    /// Its input.
    pub input: InputSpec,
    /// Its outputs' meaning.
    pub decoder: Decoder,
    /// Names of the classes; a class without a name is answered as its number.
    pub labels: Vec<String>,
    /// Smallest score that is answered, unless the request says otherwise.
    pub score: f32,
    /// IoU above which the lesser of two boxes of a class is dropped, unless the request says otherwise.
    pub iou: f32,
    /// Most boxes that are answered.
    pub max_detections: usize,
    /// Classes that a classifier answers, unless the request says otherwise.
    pub top_k: usize,
    /// Which of these facts were guessed and from what, for `detectd model inspect`.
    pub guessed: Vec<String>,
}

/// One output of the model as it lies in shared memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFacts {
    /// Name in the graph.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Dimensions of one image's part, without the batch axis; for a `dynamic` output the first is the most rows.
    pub shape: Vec<usize>,
    /// Whether the number of rows depends on the picture. Such an output is copied, behind a count of its rows.
    pub dynamic: bool,
}

impl OutputFacts {
    /// Bytes before the data of a `dynamic` output: its number of rows as a native-endian `u64`, then padding.
    pub const DYNAMIC_HEADER: usize = 64;

    /// Bytes that one image's part takes in shared memory.
    pub fn bytes(&self) -> usize {
        let header = if self.dynamic { Self::DYNAMIC_HEADER } else { 0 };
        header + self.shape.iter().product::<usize>() * self.element.bytes()
    }
}

/// What the engine tells the frontends of the model it serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// How to fill the input and read the outputs.
    pub spec: ModelSpec,
    /// What the input is in shared memory: the model's own, or [`InputSpec::pixels`] of it, which the engine normalises.
    pub seat: InputSpec,
    /// The outputs, in the graph's order.
    pub outputs: Vec<OutputFacts>,
    /// SHA-256 of the model file, in hexadecimal.
    pub version: String,
    /// Where it runs: `cpu`, `cuda:N`, or `sim` for nowhere.
    pub device: String,
    /// Concurrent runs.
    pub lanes: u32,
    /// Most images in one run.
    pub max_batch: u32,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// A picture whose answer is known and lies beside it as JSON; see `golden` in the sidecar.
    pub golden: Option<PathBuf>,
    /// Pictures to try it on; see `samples` in the sidecar.
    #[serde(default)]
    pub samples: Vec<PathBuf>,
}

impl ModelFacts {
    /// Whether no model runs at all: a modelled accelerator takes its time, and what is found is of no worth.
    pub fn is_simulated(&self) -> bool {
        self.device == "sim"
    }
}

impl ModelSpec {
    /// Name of a class; its number where it has no label.
    pub fn label(&self, class: usize) -> Cow<'_, str> {
        match self.labels.get(class) {
            Some(label) if !label.is_empty() => Cow::Borrowed(label),
            _ => Cow::Owned(class.to_string()),
        }
    }
}
