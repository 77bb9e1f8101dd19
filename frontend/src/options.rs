//! What one request chooses for itself: threshold, IoU, number and names of classes, form of the answer.
//!
//! Reads and checks texts, wherever they came from (query or form), and joins them with the model's own values.
//! Knows nothing of HTTP besides the refusal.

use crate::error::{Code, RequestError};
use crate::inputs::{Classes, RawOptions};
use std::collections::HashMap;
use vision::model::{ModelSpec, Task};
use vision::postprocess::Options;

/// Names of all options, for the API description and the refusal of others.
pub const NAMES: [&str; 5] = ["score", "iou", "top_k", "classes", "format"];

/// Most detections that a request may ask for.
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
    classes: Option<Classes>,
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
            "classes" => once(name, &mut self.classes, Classes::Text(value.to_owned())),
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

    /// Takes the options in that came in the body.
    ///
    /// # Errors
    /// As [`Choices::parse`].
    pub fn add(&mut self, raw: RawOptions) -> Result<(), RequestError> {
        let RawOptions { score, iou, top_k, classes, format } = raw;
        for (name, value) in [("score", score), ("iou", iou), ("top_k", top_k), ("format", format)] {
            if let Some(value) = value {
                self.choose(name, &value)?;
            }
        }
        classes.map_or(Ok(()), |classes| once("classes", &mut self.classes, classes))
    }

    /// The form of the answer.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// The options of this request for this model.
    ///
    /// # Errors
    /// `bad_parameter` for a class the model does not have and for a drawn answer of a classifier.
    pub fn resolve(&self, spec: &ModelSpec, labels: &Labels) -> Result<Options, RequestError> {
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
            options.classes = Some(labels.numbers(classes)?);
        }
        Ok(options)
    }
}

/// A model's class names, to be found in any case. Made once for a model: a request then costs no more than its own
/// names.
#[derive(Debug)]
pub struct Labels {
    numbers: HashMap<String, usize>,
    count: usize,
}

impl Labels {
    /// The names of this model's classes.
    pub fn of(spec: &ModelSpec) -> Self {
        // Backwards, so that the first of two classes of one name is the one that is kept.
        let numbers =
            spec.labels.iter().enumerate().rev().map(|(k, label)| (label.to_lowercase(), k)).collect();
        Self { numbers, count: spec.labels.len() }
    }

    /// The classes' numbers, each once.
    fn numbers(&self, classes: &Classes) -> Result<Vec<usize>, RequestError> {
        let names: Vec<&str> = match classes {
            // A name may have a comma in it.
            Classes::Text(text) => match self.number(text.trim()) {
                Some(number) => return Ok(vec![number]),
                None => text.split(',').collect(),
            },
            Classes::List(list) => list.iter().map(String::as_str).collect(),
        };
        let mut numbers = names
            .into_iter()
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| {
                self.number(name).ok_or_else(|| {
                    Code::BadParameter.because(format!("the model has no class '{}'", shown(name)))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            return Err(refuse("classes", "a comma-separated list of class names or numbers"));
        }
        Ok(numbers)
    }

    /// A class by its name, in any case, or by its number.
    fn number(&self, class: &str) -> Option<usize> {
        let known = |number: &usize| self.count == 0 || *number < self.count;
        self.numbers.get(&class.to_lowercase()).copied().or_else(|| class.parse().ok().filter(known))
    }
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
