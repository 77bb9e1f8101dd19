//! Which pictures are worth keeping: each rule's verdict on what was found. Pure but for the dice; limits, duplicates and
//! room are the writer's business.

use crate::config::{Kind, Rule};
use crate::sidecar::Uncertainty;

/// One thing that was found, or one class.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// Its class's name.
    pub label: &'a str,
    /// Its score.
    pub score: f32,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Detections or classes, best first.
    pub hits: &'a [Hit<'a>],
    /// How sure a classifier is; `None` for a detector.
    pub uncertainty: Option<Uncertainty>,
}

/// The rules that choose this picture, as a set: bit k for rule k. No rules at all choose everything, by bit 0.
pub fn choose(rules: &[Rule], subject: &Subject<'_>, dice: &mut fastrand::Rng) -> u32 {
    if rules.is_empty() {
        return 1;
    }
    let chosen = rules.iter().enumerate().filter(|(_, rule)| chooses(rule, subject, dice));
    chosen.fold(0, |set, (number, _)| set | 1 << number)
}

fn chooses(rule: &Rule, subject: &Subject<'_>, dice: &mut fastrand::Rng) -> bool {
    let counts = |label: &str| {
        let names = &rule.selected_class_names;
        names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(label))
    };
    let threshold = rule.threshold.unwrap_or_default();
    let fits = match rule.kind {
        Kind::Random => return dice.f64() * 100.0 < rule.traffic_percentage.unwrap_or_default(),
        Kind::CloseToThreshold => {
            let classified = subject.uncertainty.is_some();
            let hits = match classified && rule.only_top_classes.unwrap_or(true) {
                true => &subject.hits[..subject.hits.len().min(1)],
                false => subject.hits,
            };
            let epsilon = rule.epsilon.unwrap_or_default();
            let close = |hit: &&Hit<'_>| counts(hit.label) && (hit.score - threshold).abs() <= epsilon;
            hits.iter().filter(close).count() >= rule.minimum_objects_close_to_threshold.unwrap_or(1).max(1)
        }
        // Of a classified picture, the best class is what it is.
        Kind::ClassesBased => match subject.uncertainty {
            Some(_) => subject.hits.first().is_some_and(|hit| counts(hit.label)),
            None => subject.hits.iter().any(|hit| counts(hit.label)),
        },
        Kind::DetectionsNumberBased => {
            let found = subject.hits.len();
            rule.more_than.is_none_or(|least| found >= least)
                && rule.less_than.is_none_or(|most| found <= most)
        }
        Kind::LeastConfidence => subject.uncertainty.is_some_and(|u| u.least_confidence >= threshold),
        Kind::Margin => subject.uncertainty.is_some_and(|u| u.margin <= threshold),
        Kind::Entropy => subject.uncertainty.is_some_and(|u| u.entropy >= threshold),
    };
    fits && rule.probability.is_none_or(|share| dice.f64() < share)
}

#[cfg(test)]
mod tests;
