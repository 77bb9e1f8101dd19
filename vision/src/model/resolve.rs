//! The model file's facts and the sidecar become one [`ModelSpec`].
//!
//! Order of belief: the sidecar, then what the file says of itself, then the family's custom. What was not
//! said by the sidecar is noted in [`ModelSpec::guessed`]; what contradicts the file is an error.

use super::guess::{Evidence, recognise};
use super::heads::{self, Facts, Head, assemble, is_background};
use super::input::{InputShape, input, picture_input, quoted};
use super::metadata::Exported;
use super::preset::preset;
use super::{Decoder, Family, ModelSpec, RawModel, Sidecar, SpecError, Task};

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
