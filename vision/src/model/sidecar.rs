//! The sidecar: the TOML beside a model that says what its file does not. Every key is optional.
//!
//! Owns the keys, their spelling and the texts that help with a slip of the pen. What a key means together
//! with a model is `resolve`'s business, and reading files is the caller's.

use super::{Anchor, BoxLayout, Channels, Filter, Layout, SpecError, Task};
use serde::Deserialize;
use std::fmt;

#[cfg(test)]
mod tests;

/// What a sidecar says. What it leaves out is guessed from the model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Name in answers, logs and metrics.
    pub name: Option<String>,
    /// What the model answers.
    pub task: Option<Task>,
    /// Names of the classes.
    pub labels: Option<Vec<String>>,
    /// File with one name a line, relative to the sidecar; the caller reads it, [`parse_labels`] splits it.
    pub labels_file: Option<String>,
    /// A picture, relative to the sidecar, whose answer is known: a list of `label`, `score` and `box` in a file of the
    /// same name with `.json`. The model must give that answer before it serves.
    pub golden: Option<String>,
    /// Pictures, relative to the sidecar, that the demo page offers to try the model on; the golden one when left out.
    pub samples: Option<Vec<String>>,
    /// How the input is filled.
    #[serde(default)]
    pub input: InputSidecar,
    /// How the outputs are read.
    pub decoder: Option<DecoderSidecar>,
    /// Smallest score that is answered.
    pub score: Option<f32>,
    /// IoU above which the lesser of two boxes of a class is dropped.
    pub iou: Option<f32>,
    /// Most boxes that are answered.
    pub max_detections: Option<usize>,
    /// Classes that a classifier answers.
    pub top_k: Option<usize>,
}

/// `[input]` of a sidecar; see [`super::InputSpec`] for the meaning of the keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are InputSpec's")]
pub struct InputSidecar {
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub channels: Option<Channels>,
    pub layout: Option<Layout>,
    pub resize: Option<ResizeSidecar>,
    pub filter: Option<Filter>,
    pub fill: Option<u8>,
    pub scale: Option<Scalar>,
    pub mean: Option<Triple>,
    pub std: Option<Triple>,
}

/// `resize` of a sidecar: a table, or the mode alone as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ResizeSidecar {
    /// How the picture is fitted; the family's way when left out.
    pub mode: Option<ResizeMode>,
    /// Where a letterboxed picture lies.
    pub anchor: Option<Anchor>,
    /// Whether a letterboxed picture smaller than the input is enlarged.
    pub upscale: Option<bool>,
    /// Short side before a centre crop, in pixels.
    pub short: Option<u32>,
}

/// The ways of [`super::Resize`], without their details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the ways are Resize's")]
pub enum ResizeMode {
    Stretch,
    Letterbox,
    CenterCrop,
}

/// `[decoder]` of a sidecar. Outputs are named or counted from 0; what is left out is found by shape.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are Decoder's")]
pub struct DecoderSidecar {
    pub family: Family,
    pub strides: Option<Vec<u32>>,
    pub rows: Option<bool>,
    pub boxes: Option<OneOrMore<OutputRef>>,
    pub scores: Option<OneOrMore<OutputRef>>,
    pub classes: Option<OutputRef>,
    pub count: Option<OutputRef>,
    pub layout: Option<BoxLayout>,
    pub background: Option<bool>,
    pub first_class: Option<u32>,
    pub landmarks: Option<bool>,
    pub softmax: Option<bool>,
}

/// The families of [`super::Decoder`], without their details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the families are Decoder's")]
pub enum Family {
    Yolox,
    Yolov5,
    Yolov8,
    EndToEnd,
    Ssd,
    SsdPost,
    #[serde(alias = "pico-det")]
    Picodet,
    #[serde(alias = "fastest-det")]
    Fastestdet,
    #[serde(alias = "yu-net")]
    Yunet,
    Classifier,
}

impl Family {
    /// Name as the sidecar writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yolox => "yolox",
            Self::Yolov5 => "yolov5",
            Self::Yolov8 => "yolov8",
            Self::EndToEnd => "end-to-end",
            Self::Ssd => "ssd",
            Self::SsdPost => "ssd-post",
            Self::Picodet => "picodet",
            Self::Fastestdet => "fastestdet",
            Self::Yunet => "yunet",
            Self::Classifier => "classifier",
        }
    }

    /// What a model of this family answers.
    pub const fn task(self) -> Task {
        match self {
            Self::Classifier => Task::Classify,
            _ => Task::Detect,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An output, by its name in the graph or its place among the outputs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected an output's name or its number, counted from 0")]
#[expect(missing_docs, reason = "said above")]
pub enum OutputRef {
    Index(usize),
    Name(String),
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected an output (name or number, counted from 0) or a list of them")]
#[expect(missing_docs, reason = "said above")]
pub enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

/// A factor: a number, or a fraction as text (`"1/255"`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalar(pub f32);

/// A value for each channel, in tensor order; one number stands for all three.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triple(pub [f32; 3]);

impl Sidecar {
    /// Reads a sidecar.
    ///
    /// # Errors
    /// [`SpecError::Sidecar`] with the line, the key and, for an unknown key or word, the nearest right one.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let sidecar: Self = toml::from_str(text).map_err(|error| explain(text, &error))?;
        if sidecar.labels.is_some() && sidecar.labels_file.is_some() {
            return Err(SpecError::Key {
                key: "labels_file",
                message: "labels says the same; keep one of the two".into(),
            });
        }
        Ok(sidecar)
    }
}

/// Labels of a file with one name a line. Blank lines at the end are no labels; one between others is.
pub fn parse_labels(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.trim_end().lines().map(|line| line.trim().to_owned()).collect()
}

fn explain(text: &str, error: &toml::de::Error) -> SpecError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let message = match slip(error.message()) {
        Some(message) => message,
        None => match key_of(text, line) {
            Some(key) => format!("`{key}`: {}", error.message()),
            None => error.message().to_owned(),
        },
    };
    SpecError::Sidecar { line, message }
}

/// The key that a line sets.
fn key_of(text: &str, line: usize) -> Option<&str> {
    let (key, _) = text.lines().nth(line - 1)?.split_once('=')?;
    let key = key.trim();
    key.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c)).then_some(key).filter(|k| !k.is_empty())
}

/// For serde's "unknown field `a`, expected one of `b`, `c`": the same with the nearest of the right words first.
fn slip(message: &str) -> Option<String> {
    let (what, rest) = [("unknown field ", "key"), ("unknown variant ", "value")]
        .iter()
        .find_map(|(start, what)| Some((what, message.strip_prefix(start)?)))?;
    let mut words = rest.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    let right: Vec<&str> = words.collect();
    let wrong_lower = wrong.to_lowercase();
    // The one forgives a wrong end, the other swapped letters in short words.
    let likeness = |word: &str| {
        strsim::jaro_winkler(&wrong_lower, word)
            .max(strsim::normalized_damerau_levenshtein(&wrong_lower, word))
    };
    let nearest = right
        .iter()
        .map(|word| (likeness(word), word))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.65);
    let hint = nearest.map(|(_, word)| format!(", did you mean `{word}`?")).unwrap_or_default();
    Some(format!("unknown {what} `{wrong}`{hint} (known: {})", right.join(", ")))
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number or a fraction like \"1/255\"")]
        enum Written {
            Number(f32),
            Fraction(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number)),
            Written::Fraction(text) => text
                .split_once('/')
                .and_then(|(over, under)| Some((over.trim().parse().ok()?, under.trim().parse().ok()?)))
                .map(|(over, under): (f32, f32)| Self(over / under))
                .ok_or_else(|| serde::de::Error::custom("expected a number or a fraction like \"1/255\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Triple {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected one number or three")]
        enum Written {
            One(f32),
            Three([f32; 3]),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::One(number) => Self([number; 3]),
            Written::Three(numbers) => Self(numbers),
        })
    }
}

impl<'de> Deserialize<'de> for ResizeSidecar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            mode: Option<ResizeMode>,
            anchor: Option<Anchor>,
            upscale: Option<bool>,
            short: Option<u32>,
        }
        struct Visitor;
        // By hand rather than `untagged`, which would lose the text for an unknown key or mode.
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ResizeSidecar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mode or a table with mode, anchor, upscale, short")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<ResizeSidecar, E> {
                let mode = ResizeMode::deserialize(serde::de::value::StrDeserializer::new(word))?;
                Ok(ResizeSidecar { mode: Some(mode), ..Default::default() })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<ResizeSidecar, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let Table { mode, anchor, upscale, short } = table;
                Ok(ResizeSidecar { mode, anchor, upscale, short })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
