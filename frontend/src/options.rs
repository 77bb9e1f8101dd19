//! What one request chooses for itself: threshold, IoU, number and names of classes, form of the answer.
//!
//! Reads and checks texts, wherever they came from (query or form), and joins them with the model's own values.
//! Knows nothing of HTTP besides the refusal.

use crate::error::{Code, RequestError};
use vision::model::{ModelSpec, Task};
use vision::postprocess::Options;

/// Names of all options, for the API description and the refusal of others.
pub const NAMES: [&str; 5] = ["score", "iou", "top_k", "classes", "format"];

/// Most classes and detections that a request may ask for.
const MAX_TOP_K: usize = 1000;

/// In which form the answer goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The JSON document.
    #[default]
    Json,
    /// The picture with its boxes drawn, as JPEG.
    Image,
}

/// The options a request gave; what it left out is the model's to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    score: Option<f32>,
    iou: Option<f32>,
    top_k: Option<usize>,
    classes: Option<Vec<String>>,
    format: Option<Format>,
}

impl Choices {
    /// Reads a query string. `type` is the inputs' business and passed over here.
    ///
    /// # Errors
    /// `bad_parameter` for a name that is no option, a value out of its range, an option given twice.
    pub fn parse(query: Option<&str>) -> Result<Self, RequestError> {
        let mut choices = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if name != "type" {
                choices.choose(&name, &value)?;
            }
        }
        Ok(choices)
    }

    /// Takes one option in.
    ///
    /// # Errors
    /// As [`Choices::parse`].
    pub fn choose(&mut self, name: &str, value: &str) -> Result<(), RequestError> {
        match name {
            "score" => once(name, &mut self.score, unit(name, value)?),
            "iou" => once(name, &mut self.iou, unit(name, value)?),
            "top_k" => once(name, &mut self.top_k, count(name, value)?),
            "classes" => {
                let classes: Vec<_> =
                    value.split(',').map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect();
                if classes.is_empty() || classes.len() > MAX_TOP_K {
                    return Err(refuse(name, "a comma-separated list of class names or numbers"));
                }
                once(name, &mut self.classes, classes)
            }
            "format" => {
                let format = match value {
                    "json" => Format::Json,
                    "image" => Format::Image,
                    _ => return Err(refuse(name, "'json' or 'image'")),
                };
                once(name, &mut self.format, format)
            }
            _ => Err(Code::BadParameter.because(format!(
                "there is no option '{}'; there are {}",
                shown(name),
                NAMES.join(", ")
            ))),
        }
    }

    /// The form of the answer.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// The options of this request for this model.
    ///
    /// # Errors
    /// `bad_parameter` for a class the model does not have and for a drawn answer of a classifier.
    pub fn resolve(&self, spec: &ModelSpec) -> Result<Options, RequestError> {
        if self.format() == Format::Image && spec.task == Task::Classify {
            return Err(Code::BadParameter
                .because("format=image needs a detector; this model classifies whole pictures"));
        }
        let mut options = Options::of(spec);
        if let Some(score) = self.score {
            options.score = score;
        }
        if let Some(iou) = self.iou {
            options.iou = iou;
        }
        if let Some(top_k) = self.top_k {
            options.top_k = top_k;
            options.max_detections = options.max_detections.min(top_k);
        }
        if let Some(classes) = &self.classes {
            options.classes =
                Some(classes.iter().map(|class| number_of(class, spec)).collect::<Result<_, _>>()?);
        }
        Ok(options)
    }
}

/// A class by its name, in any case, or by its number.
fn number_of(class: &str, spec: &ModelSpec) -> Result<usize, RequestError> {
    let by_name = spec.labels.iter().position(|label| label.to_lowercase() == class.to_lowercase());
    let known = |number: &usize| spec.labels.is_empty() || *number < spec.labels.len();
    by_name
        .or_else(|| class.parse().ok().filter(known))
        .ok_or_else(|| Code::BadParameter.because(format!("the model has no class '{}'", shown(class))))
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), RequestError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Code::BadParameter.because(format!("'{name}' is given twice"))),
    }
}

fn unit(name: &str, value: &str) -> Result<f32, RequestError> {
    value
        .parse()
        .ok()
        .filter(|v: &f32| (0.0..=1.0).contains(v))
        .ok_or_else(|| refuse(name, "a number from 0 to 1"))
}

fn count(name: &str, value: &str) -> Result<usize, RequestError> {
    value
        .parse()
        .ok()
        .filter(|v| (1..=MAX_TOP_K).contains(v))
        .ok_or_else(|| refuse(name, "a whole number from 1 to 1000"))
}

fn refuse(name: &str, wanted: &str) -> RequestError {
    Code::BadParameter.because(format!("'{name}' must be {wanted}"))
}

/// A client's text cut to what fits into a sentence.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

#[cfg(test)]
mod tests;
