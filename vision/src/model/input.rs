//! How the input is filled: the file's shape and element, the sidecar's `[input]` and the family's custom put
//! together. What contradicts the file is an error that names the key.

use super::metadata::Exported;
use super::preset::Preset;
use super::{
    Anchor, Channels, Filter, InputSidecar, InputSpec, Layout, RawModel, Resize, ResizeMode, ResizeSidecar,
    SpecError, Triple,
};
use crate::tensor::{Element, TensorInfo};

/// Longest side of an input, in pixels: far above any model's, and small enough that sizes never overflow.
const LONGEST: u32 = 16_384;

/// The input that takes the picture: the only one, or the only one with four axes.
pub(super) fn picture_input(raw: &RawModel) -> Result<&TensorInfo, SpecError> {
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
pub(super) struct InputShape {
    /// Width and height.
    pub(super) size: (u32, u32),
    layout: Layout,
    /// 1 or 3.
    channels: i64,
}

impl InputShape {
    pub(super) fn of(
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

/// The input, resolved.
pub(super) fn input(
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

/// A value as the sidecar writes it.
pub(super) fn quoted(value: impl serde::Serialize) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}
