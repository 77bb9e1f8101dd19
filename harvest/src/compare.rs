//! Two models' answers to the same pictures, side by side and against what people said: average precision as COCO counts it,
//! accuracy for classifiers, what changed by class, and the pictures they disagree on. Pure; who runs the models is not its
//! business.

use crate::sidecar::Found;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use vision::postprocess::overlap;

/// Overlaps at which COCO asks whether a box was found.
const OVERLAPS: [f32; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];
/// Most boxes of a class in a picture that count.
const MOST: usize = 100;
/// From which overlap on two boxes of a class are one thing.
const SAME: f32 = 0.5;

/// What one model said of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Everything it found at all, best first: for precision at every score.
    pub all: Vec<Found>,
    /// What it would have answered, at its own lowest score.
    pub answered: Vec<Found>,
    /// The best class, of a classifier.
    pub class: Option<(String, f32)>,
}

/// A picture, what people said of it and what both models said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// The boxes that people left on it; `None` where nobody looked over boxes.
    pub boxes: Option<Vec<Found>>,
    /// The class that people gave it; `None` where nobody did.
    pub class: Option<String>,
    /// The models' answers.
    pub answers: [Answer; 2],
}

/// A class in both models.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassRow {
    /// Its name.
    pub class: String,
    /// How often people see it.
    pub truth: usize,
    /// How often each model answers it.
    pub answered: [usize; 2],
    /// How often what each model answers is right.
    pub right: [usize; 2],
    /// Average precision at an overlap of 0.5; `None` where people saw none.
    pub ap50: [Option<f64>; 2],
    /// Its mean over the overlaps from 0.5 to 0.95.
    pub ap: [Option<f64>; 2],
}

/// The comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Pictures compared.
    pub pictures: usize,
    /// Pictures whose boxes people looked over.
    pub with_boxes: usize,
    /// Mean average precision at 0.5 over the classes that people saw.
    pub map50: [Option<f64>; 2],
    /// The same from 0.5 to 0.95.
    pub map: [Option<f64>; 2],
    /// Share of pictures whose best class is the people's; for classifiers.
    pub accuracy: [Option<f64>; 2],
    /// By class.
    pub classes: Vec<ClassRow>,
    /// Pictures on which the models disagree, most first: position in the samples, and how many boxes differ.
    pub disagreements: Vec<(usize, usize)>,
}

/// Compares.
pub fn compare(samples: &[Sample]) -> Comparison {
    let reviewed: Vec<&Sample> = samples.iter().filter(|sample| sample.boxes.is_some()).collect();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for sample in samples {
        names.extend(sample.boxes.iter().flatten().map(|found| found.label.as_str()));
        names.extend(
            sample.answers.iter().flat_map(|answer| &answer.answered).map(|found| found.label.as_str()),
        );
        names.extend(
            sample.answers.iter().filter_map(|answer| answer.class.as_ref()).map(|(class, _)| class.as_str()),
        );
        let classified = sample.answers.iter().any(|answer| answer.class.is_some());
        names.extend(sample.class.as_deref().filter(|_| classified));
    }
    let classes: Vec<ClassRow> =
        names.into_iter().map(|class| class_row(class, samples, &reviewed)).collect();
    let mean = |pick: fn(&ClassRow) -> [Option<f64>; 2]| {
        [0, 1].map(|model| {
            let known: Vec<f64> = classes.iter().filter_map(|row| pick(row)[model]).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
    };
    let accuracy = [0, 1].map(|model| {
        let judged = samples
            .iter()
            .filter_map(|sample| Some(sample.class.as_ref()? == &sample.answers[model].class.as_ref()?.0));
        let judged: Vec<bool> = judged.collect();
        (!judged.is_empty())
            .then(|| judged.iter().filter(|right| **right).count() as f64 / judged.len() as f64)
    });
    let mut disagreements: Vec<(usize, usize)> = samples
        .iter()
        .enumerate()
        .map(|(at, sample)| (at, differences(sample)))
        .filter(|(_, n)| *n > 0)
        .collect();
    disagreements.sort_by_key(|(at, many)| (std::cmp::Reverse(*many), *at));
    Comparison {
        pictures: samples.len(),
        with_boxes: reviewed.len(),
        map50: mean(|row| row.ap50),
        map: mean(|row| row.ap),
        accuracy,
        classes,
        disagreements,
    }
}

fn class_row(class: &str, samples: &[Sample], reviewed: &[&Sample]) -> ClassRow {
    let of = |found: &[Found]| found.iter().filter(|found| found.label == class).count();
    let mut row = ClassRow { class: class.to_owned(), ..ClassRow::default() };
    for sample in samples {
        row.truth += match &sample.boxes {
            Some(boxes) => of(boxes),
            None => usize::from(sample.class.as_deref() == Some(class)),
        };
        for (model, answer) in sample.answers.iter().enumerate() {
            row.answered[model] += of(&answer.answered);
            if let Some((named, _)) = &answer.class
                && named == class
            {
                row.answered[model] += 1;
                row.right[model] += usize::from(sample.class.as_deref() == Some(class));
            }
            if let Some(boxes) = &sample.boxes {
                row.right[model] += pairs(&answer.answered, boxes, Some(class));
            }
        }
    }
    for model in [0, 1] {
        let precisions: Vec<Option<f64>> =
            OVERLAPS.iter().map(|overlap| average_precision(class, reviewed, model, *overlap)).collect();
        row.ap50[model] = precisions[0];
        let known: Vec<f64> = precisions.into_iter().flatten().collect();
        row.ap[model] = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    }
    row
}

/// Area under the curve of precision over recall, read at 101 recalls; `None` where there is nothing to be found.
fn average_precision(class: &str, samples: &[&Sample], model: usize, least: f32) -> Option<f64> {
    let mut hits: Vec<(f32, bool)> = Vec::new();
    let mut there = 0;
    for sample in samples {
        let truth: Vec<&Found> = sample.boxes.iter().flatten().filter(|found| found.label == class).collect();
        there += truth.len();
        let mut taken = vec![false; truth.len()];
        let mut found: Vec<&Found> =
            sample.answers[model].all.iter().filter(|found| found.label == class).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        for found in found.into_iter().take(MOST) {
            let free = truth.iter().enumerate().filter(|(k, _)| !taken[*k]);
            let best = free
                .map(|(k, truth)| (k, overlap(&found.corners, &truth.corners)))
                .filter(|(_, overlap)| *overlap >= least)
                .max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((k, _)) = best {
                taken[k] = true;
            }
            hits.push((found.score, best.is_some()));
        }
    }
    if there == 0 {
        return None;
    }
    hits.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = 0;
    let mut curve: Vec<(f64, f64)> = hits
        .iter()
        .enumerate()
        .map(|(k, (_, hit))| {
            right += usize::from(*hit);
            (right as f64 / there as f64, right as f64 / (k + 1) as f64)
        })
        .collect();
    // A precision counts for every recall below it.
    for k in (1..curve.len()).rev() {
        curve[k - 1].1 = curve[k - 1].1.max(curve[k].1);
    }
    let at = |recall: f64| {
        curve.iter().find(|(reached, _)| *reached >= recall - 1e-12).map_or(0.0, |(_, precision)| *precision)
    };
    Some((0..=100).map(|k| at(f64::from(k) / 100.0)).sum::<f64>() / 101.0)
}

/// Boxes that are in both, each with one partner of its class.
fn pairs(a: &[Found], b: &[Found], class: Option<&str>) -> usize {
    let mut taken = vec![false; b.len()];
    let mut pairs = 0;
    for found in a.iter().filter(|found| class.is_none_or(|class| found.label == class)) {
        let same = |(k, other): &(usize, &Found)| {
            !taken[*k] && other.label == found.label && overlap(&found.corners, &other.corners) >= SAME
        };
        if let Some((k, _)) = b.iter().enumerate().find(same) {
            taken[k] = true;
            pairs += 1;
        }
    }
    pairs
}

/// Boxes that only one of the models answers; 1 for two different classes of the whole picture.
fn differences(sample: &Sample) -> usize {
    let [a, b] = &sample.answers;
    let both = pairs(&a.answered, &b.answered, None);
    let classes = a.class.as_ref().map(|(class, _)| class) != b.class.as_ref().map(|(class, _)| class);
    a.answered.len() + b.answered.len() - 2 * both + usize::from(classes)
}

/// How often each class of one model becomes which of the other, for classifiers: what moved, most first.
pub fn moves(samples: &[Sample]) -> Vec<(String, String, usize)> {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for sample in samples {
        if let [Some((a, _)), Some((b, _))] = [&sample.answers[0].class, &sample.answers[1].class]
            && a != b
        {
            *counts.entry((a.clone(), b.clone())).or_default() += 1;
        }
    }
    let mut moves: Vec<_> = counts.into_iter().map(|((a, b), many)| (a, b, many)).collect();
    moves.sort_by_key(|moved| std::cmp::Reverse(moved.2));
    moves
}

#[cfg(test)]
mod tests;
