//! The model file's facts and the sidecar become one [`ModelSpec`].
//!
//! Order of belief: the sidecar, then what the file says of itself, then the family's custom. What was not
//! said by the sidecar is noted in [`ModelSpec::guessed`]; what contradicts the file is an error.

use super::guess::{Evidence, recognise};
use super::heads::{self, Facts, Head, assemble, is_background};
use super::metadata::Exported;
use super::preset::{Preset, preset};
use super::{
    Anchor, Channels, Decoder, Family, Filter, InputSidecar, InputSpec, Layout, ModelSpec, RawModel, Resize,
    ResizeMode, ResizeSidecar, Sidecar, SpecError, Task, Triple,
};
use crate::tensor::{Element, TensorInfo};

/// Longest side of an input, in pixels: far above any model's, and small enough that sizes never overflow.
const LONGEST: u32 = 16_384;
/// Most boxes that a description may ask for; NMS costs this many comparisons a candidate.
const MOST_DETECTIONS: usize = 10_000;

impl ModelSpec {
    /// Describes a model from its file and its sidecar.
    ///
    /// `stem` is the file's name without folder and extension; `labels` are those of the sidecar's
    /// `labels_file`, read by the caller and split by [`super::parse_labels`].
    ///
    /// # Errors
    /// When the sidecar contradicts the file, or the file leaves open what the sidecar does not say.
    pub fn resolve(
        stem: &str,
        raw: &RawModel,
        sidecar: Option<&Sidecar>,
        labels: Option<Vec<String>>,
    ) -> Result<Self, SpecError> {
        let none = Sidecar::default();
        let sidecar = sidecar.unwrap_or(&none);
        let exported = Exported::of(raw);
        let mut guessed = Vec::new();

        let tensor = picture_input(raw)?;
        let shape = InputShape::of(tensor, &sidecar.input, exported.as_ref(), &mut guessed)?;
        let mut labels = known_labels(sidecar, labels, exported.as_ref(), &mut guessed)?;

        let heads = heads::heads(raw, tensor.shape[0])?;
        let family = family(sidecar, &heads, &shape, exported.as_ref(), labels.as_deref(), &mut guessed)?;
        let facts = Facts { heads: &heads, input: shape.size, labels: labels.as_deref() };
        let mut assembled = assemble(family, sidecar.decoder.as_ref(), &facts)?;
        if exported.is_some() && sidecar.decoder.as_ref().is_none_or(|said| said.softmax.is_none()) {
            own_softmax(&mut assembled.decoder, &mut assembled.guessed);
        }
        guessed.append(&mut assembled.guessed);

        drop_background(&assembled.decoder, assembled.classes, &mut labels);
        match (&labels, assembled.classes) {
            (Some(labels), Some(classes)) if labels.len() != classes => {
                return Err(SpecError::LabelCount { labels: labels.len(), classes });
            }
            (None, _) => guessed.push("labels = none: classes are answered as numbers".into()),
            _ => {}
        }

        let preset = preset(&assembled, shape.size, exported.as_ref());
        let input = input(tensor, &shape, &sidecar.input, preset, &mut guessed)?;
        let classifier = family == Family::Classifier;
        Ok(Self {
            name: sidecar.name.clone().unwrap_or_else(|| stem.to_owned()),
            task: family.task(),
            input,
            decoder: assembled.decoder,
            labels: labels.unwrap_or_default(),
            score: unit("score", sidecar.score, if classifier { 0.0 } else { 0.25 })?,
            iou: unit("iou", sidecar.iou, 0.45)?,
            max_detections: at_least_one("max_detections", sidecar.max_detections, 300)?,
            top_k: at_least_one("top_k", sidecar.top_k, 5)?,
            guessed,
        })
    }
}

/// The input that takes the picture: the only one, or the only one with four axes.
fn picture_input(raw: &RawModel) -> Result<&TensorInfo, SpecError> {
    match raw.inputs.as_slice() {
        [only] if only.shape.len() == 4 => Ok(only),
        [only] => Err(SpecError::Input(format!(
            "`{}` has shape {:?}; a picture needs four axes, [batch, channel, row, column] or [batch, row, column, channel]",
            only.name, only.shape
        ))),
        [] => Err(SpecError::Input("the model has none".into())),
        several => {
            let names: Vec<&str> = several.iter().map(|input| input.name.as_str()).collect();
            Err(SpecError::Input(format!(
                "the model has {} ({}); only models whose one input is the picture are served",
                several.len(),
                names.join(", ")
            )))
        }
    }
}

/// Size, axis order and channel count of the input tensor.
struct InputShape {
    /// Width and height.
    size: (u32, u32),
    layout: Layout,
    /// 1 or 3.
    channels: i64,
}

impl InputShape {
    fn of(
        tensor: &TensorInfo,
        said: &InputSidecar,
        exported: Option<&Exported>,
        guessed: &mut Vec<String>,
    ) -> Result<Self, SpecError> {
        let axes = &tensor.shape;
        let depth = |axis: i64| axis == 1 || axis == 3;
        let layout = match said.layout {
            Some(layout) => layout,
            None if depth(axes[1]) => Layout::Nchw,
            None if depth(axes[3]) => Layout::Nhwc,
            None if axes[1] == -1 && axes[3] == -1 => {
                return Err(SpecError::Missing {
                    key: "input.layout",
                    message: format!(
                        "input `{}` has shape {axes:?}, so its channel axis is not known",
                        tensor.name
                    ),
                });
            }
            None => {
                return Err(SpecError::Input(format!(
                    "`{}` has shape {axes:?}, and no axis has the 1 or 3 channels of a picture",
                    tensor.name
                )));
            }
        };
        if said.layout.is_none() {
            guessed.push(format!("input.layout = {}: shape {axes:?}", quoted(layout)));
        }
        let (channels, height, width) = match layout {
            Layout::Nchw => (axes[1], axes[2], axes[3]),
            Layout::Nhwc => (axes[3], axes[1], axes[2]),
        };
        let channels = match (channels, said.channels) {
            (-1, Some(Channels::Gray)) => 1,
            (-1, _) => 3,
            (1, None | Some(Channels::Gray)) => 1,
            (3, None | Some(Channels::Rgb | Channels::Bgr)) => 3,
            (n @ (1 | 3), Some(channels)) => {
                return Err(SpecError::Key {
                    key: "input.channels",
                    message: format!("{} does not fit an input of {n} channels", quoted(channels)),
                });
            }
            (n, _) => {
                return Err(SpecError::Key {
                    key: "input.layout",
                    message: format!("makes {n} of shape {axes:?} the channels, and a picture has 1 or 3"),
                });
            }
        };
        let (free_height, free_width) =
            exported.and_then(|e| e.size).map_or((None, None), |(h, w)| (Some(h), Some(w)));
        Ok(Self {
            size: (
                side("input.width", width, said.width, free_width, guessed)?,
                side("input.height", height, said.height, free_height, guessed)?,
            ),
            layout,
            channels,
        })
    }
}

fn side(
    key: &'static str,
    axis: i64,
    said: Option<u32>,
    exported: Option<u32>,
    guessed: &mut Vec<String>,
) -> Result<u32, SpecError> {
    let fixed = u32::try_from(axis).ok();
    let side = match (fixed, said) {
        (Some(fixed), Some(said)) if fixed != said => {
            return Err(SpecError::Key { key, message: format!("{said}, and the model file fixes {fixed}") });
        }
        (Some(side), _) | (None, Some(side)) => side,
        (None, None) => match exported {
            Some(side) => {
                guessed.push(format!("{key} = {side}: imgsz of the export"));
                side
            }
            None => {
                return Err(SpecError::Missing {
                    key,
                    message: "the model takes pictures of any size".into(),
                });
            }
        },
    };
    match side {
        1..=LONGEST => Ok(side),
        _ => Err(SpecError::Key { key, message: format!("{side} is not between 1 and {LONGEST}") }),
    }
}

fn known_labels(
    sidecar: &Sidecar,
    given: Option<Vec<String>>,
    exported: Option<&Exported>,
    guessed: &mut Vec<String>,
) -> Result<Option<Vec<String>>, SpecError> {
    if let (Some(file), None) = (&sidecar.labels_file, &given) {
        return Err(SpecError::Key { key: "labels_file", message: format!("`{file}` was not read") });
    }
    if let Some(labels) = sidecar.labels.clone().or(given) {
        return Ok(Some(labels));
    }
    let names = exported.and_then(|exported| exported.names.clone());
    if let Some(names) = &names {
        guessed.push(format!("labels = {} names: metadata of the export", names.len()));
    }
    Ok(names)
}

fn family(
    sidecar: &Sidecar,
    heads: &[Head<'_>],
    shape: &InputShape,
    exported: Option<&Exported>,
    labels: Option<&[String]>,
    guessed: &mut Vec<String>,
) -> Result<Family, SpecError> {
    let stated = exported.and_then(|exported| exported.task.as_deref());
    let family = match (&sidecar.decoder, sidecar.task, stated) {
        (Some(said), ..) => said.family,
        (None, Some(Task::Classify), _) | (None, None, Some("classify")) => {
            guessed.push("decoder.family = \"classifier\": the task".into());
            Family::Classifier
        }
        (None, _, Some(task)) if task != "detect" && task != "classify" => {
            return Err(SpecError::Unsupported(task.to_owned()));
        }
        (None, ..) => {
            let evidence =
                Evidence { heads, input: shape.size, exported, labels: labels.map(<[String]>::len) };
            let (family, sign) = recognise(&evidence)?;
            guessed.push(format!("decoder.family = \"{family}\": {sign}"));
            family
        }
    };
    match sidecar.task {
        Some(task) if task != family.task() => Err(SpecError::Key {
            key: "task",
            message: format!("{}, and family {family} does {}", quoted(task), quoted(family.task())),
        }),
        _ => Ok(family),
    }
}

/// Classifiers of this origin end in a softmax under an output name that does not say so.
fn own_softmax(decoder: &mut Decoder, guessed: &mut Vec<String>) {
    if let Decoder::Classifier { softmax } = decoder {
        *softmax = false;
        guessed.retain(|note| !note.starts_with("decoder.softmax"));
        guessed.push("decoder.softmax = false: an Ultralytics export".into());
    }
}

/// A label for "nothing" leaves the list, so that class numbers and labels count alike.
fn drop_background(decoder: &Decoder, classes: Option<usize>, labels: &mut Option<Vec<String>>) {
    let Some(labels) = labels else { return };
    let surplus = classes.is_some_and(|classes| labels.len() == classes + 1);
    let named = labels.first().is_some_and(|label| is_background(label));
    if matches!(decoder, Decoder::Ssd { background: true, .. }) && surplus && named {
        labels.remove(0);
    }
}

fn input(
    tensor: &TensorInfo,
    shape: &InputShape,
    said: &InputSidecar,
    preset: Preset,
    guessed: &mut Vec<String>,
) -> Result<InputSpec, SpecError> {
    if !matches!(tensor.element, Element::U8 | Element::F16 | Element::F32) {
        return Err(SpecError::Input(format!(
            "`{}` has elements of {:?}; pictures go into u8, f16 or f32",
            tensor.name, tensor.element
        )));
    }
    let (width, height) = shape.size;
    let channels = match (shape.channels, said.channels) {
        (_, Some(channels)) => channels,
        (1, None) => Channels::Gray,
        (_, None) => {
            guessed.push(format!("input.channels = {}: {}", quoted(preset.channels), preset.origin));
            preset.channels
        }
    };
    let resize = resize(said.resize.unwrap_or_default(), preset, shape.size, guessed)?;
    let filter = said.filter.unwrap_or(Filter::Bilinear);
    let numbers = Numbers::of(said, preset, channels, tensor.element, guessed)?;
    let Numbers { scale, mean, std } = numbers;
    Ok(InputSpec {
        name: tensor.name.clone(),
        width,
        height,
        channels,
        layout: shape.layout,
        element: tensor.element,
        resize,
        filter,
        fill: said.fill.unwrap_or(preset.fill),
        scale,
        mean,
        std,
    })
}

fn resize(
    said: ResizeSidecar,
    preset: Preset,
    (width, height): (u32, u32),
    guessed: &mut Vec<String>,
) -> Result<Resize, SpecError> {
    let usual = match preset.resize {
        Resize::Stretch => ResizeMode::Stretch,
        Resize::Letterbox { .. } => ResizeMode::Letterbox,
        Resize::CenterCrop { .. } => ResizeMode::CenterCrop,
    };
    let mode = said.mode.unwrap_or_else(|| {
        guessed.push(format!("input.resize = {}: {}", quoted(preset.resize), preset.origin));
        usual
    });
    let foreign = |key, set: bool, owner| match set && mode != owner {
        true => Err(SpecError::Key { key, message: format!("has no meaning for mode {mode:?}") }),
        false => Ok(()),
    };
    foreign("input.resize.anchor", said.anchor.is_some(), ResizeMode::Letterbox)?;
    foreign("input.resize.upscale", said.upscale.is_some(), ResizeMode::Letterbox)?;
    foreign("input.resize.short", said.short.is_some(), ResizeMode::CenterCrop)?;
    Ok(match mode {
        ResizeMode::Stretch => Resize::Stretch,
        ResizeMode::Letterbox => {
            let (anchor, upscale) = match preset.resize {
                Resize::Letterbox { anchor, upscale } => (anchor, upscale),
                _ => (Anchor::Center, true),
            };
            Resize::Letterbox {
                anchor: said.anchor.unwrap_or(anchor),
                upscale: said.upscale.unwrap_or(upscale),
            }
        }
        ResizeMode::CenterCrop => {
            let longest = width.max(height);
            let short = said.short.unwrap_or(match preset.resize {
                Resize::CenterCrop { short } => short,
                _ => longest,
            });
            if short < longest {
                return Err(SpecError::Key {
                    key: "input.resize.short",
                    message: format!("{short} is shorter than the {longest} that are cut out of it"),
                });
            }
            Resize::CenterCrop { short }
        }
    })
}

/// How a pixel becomes a number.
struct Numbers {
    scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Numbers {
    fn of(
        said: &InputSidecar,
        preset: Preset,
        channels: Channels,
        element: Element,
        guessed: &mut Vec<String>,
    ) -> Result<Self, SpecError> {
        let numbers = if said.scale.is_some() || said.mean.is_some() || said.std.is_some() {
            // One of the three said makes the custom's other two meaningless, but for the range of pixels.
            Self {
                scale: said.scale.map_or(if element == Element::U8 { 1.0 } else { preset.scale }, |s| s.0),
                mean: said.mean.unwrap_or(Triple([0.0; 3])).0,
                std: said.std.unwrap_or(Triple([1.0; 3])).0,
            }
        } else if element == Element::U8 {
            guessed.push("input.scale = 1: pixels of u8 are normalised in the graph".into());
            Self { scale: 1.0, mean: [0.0; 3], std: [1.0; 3] }
        } else {
            guessed.push(format!(
                "input.scale = {}, mean = {:?}, std = {:?} (R, G, B): {}",
                preset.scale, preset.mean, preset.std, preset.origin
            ));
            let ordered = |[r, g, b]: [f32; 3]| match channels {
                Channels::Bgr => [b, g, r],
                Channels::Rgb => [r, g, b],
                // One number for the one channel, by the weights that make it.
                Channels::Gray => [0.299 * r + 0.587 * g + 0.114 * b; 3],
            };
            Self { scale: preset.scale, mean: ordered(preset.mean), std: ordered(preset.std) }
        };
        let bad = |key, message: &str| Err(SpecError::Key { key, message: message.to_owned() });
        if !numbers.scale.is_finite() || numbers.scale == 0.0 {
            return bad("input.scale", "must be a finite number other than 0");
        }
        if !numbers.mean.iter().all(|v| v.is_finite()) {
            return bad("input.mean", "must be finite numbers");
        }
        if !numbers.std.iter().all(|v| v.is_finite() && *v != 0.0) {
            return bad("input.std", "must be finite numbers other than 0");
        }
        Ok(numbers)
    }
}

fn unit(key: &'static str, said: Option<f32>, usual: f32) -> Result<f32, SpecError> {
    match said.unwrap_or(usual) {
        value @ 0.0..=1.0 => Ok(value),
        value => Err(SpecError::Key { key, message: format!("{value} is not between 0 and 1") }),
    }
}

fn at_least_one(key: &'static str, said: Option<usize>, usual: usize) -> Result<usize, SpecError> {
    match said.unwrap_or(usual) {
        value @ 1..=MOST_DETECTIONS => Ok(value),
        value => {
            Err(SpecError::Key { key, message: format!("{value} is not between 1 and {MOST_DETECTIONS}") })
        }
    }
}

/// A value as the sidecar writes it.
fn quoted(value: impl serde::Serialize) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}
