//! `[harvest]`: which answered pictures are kept, where, how many and for how long. Owns keys, defaults and which values
//! make no sense. The rules' words are those of Roboflow's active learning, so that a configuration can be moved over.

use serde::{Deserialize, Serialize};
use shm_proto::units;
use std::path::PathBuf;
use std::time::Duration;

/// Most rules: which of them chose a picture is a set in one word.
pub const MOST_RULES: usize = 32;

/// The section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether pictures are kept at all.
    pub enabled: bool,
    /// The folder they are sorted into. Empty: none, and then there is nothing to review either.
    pub root: PathBuf,
    /// What is kept: what any of these chooses. None: everything.
    pub rules: Vec<Rule>,
    /// Whether a picture whose bytes were kept before is left out.
    pub drop_duplicates: bool,
    /// Whether a picture that looks like one of the last `remember` kept ones is left out.
    pub drop_near_duplicates: bool,
    /// How many of the 64 bits of two pictures' perceptual hashes may differ for them to look alike.
    pub near_distance: u32,
    /// How many of the last pictures a new one is compared with.
    pub remember: usize,
    /// Most pictures of one class in 24 hours. 0: any.
    pub per_class_daily: u64,
    /// Most pictures of one class that wait for review. 0: any.
    pub per_class_waiting: u64,
    /// Pictures of one frontend that may wait to be written; more are dropped and counted.
    pub queue: usize,
    /// Bytes of those.
    #[serde(with = "units::bytes")]
    pub queue_bytes: u64,
    /// The share of all processors that writing may take, in percent; what is not written in time is dropped.
    pub processor_percentage: f64,
    /// Most bytes that the folder may hold; the oldest pictures that wait for review go first.
    #[serde(with = "units::bytes")]
    pub max_bytes: u64,
    /// Bytes that must stay free on the file system: nothing is kept below.
    #[serde(with = "units::bytes")]
    pub min_free: u64,
    /// How long a picture waits for review, and a rejected one for second thoughts. Zero: for ever.
    #[serde(with = "units::duration")]
    pub retention: Duration,
    /// Who may see and sort what was kept.
    pub review: ReviewAccess,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            root: PathBuf::new(),
            rules: Vec::new(),
            drop_duplicates: true,
            drop_near_duplicates: true,
            near_distance: 2,
            remember: 100_000,
            per_class_daily: 0,
            per_class_waiting: 0,
            queue: 256,
            queue_bytes: 64 << 20,
            processor_percentage: 2.0,
            max_bytes: 20 << 30,
            min_free: 1 << 30,
            retention: Duration::from_secs(30 * 24 * 3600),
            review: ReviewAccess::Local,
        }
    }
}

/// Who may use the review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewAccess {
    /// Nobody.
    Off,
    /// Browsers of this machine that reached the service without a proxy.
    #[default]
    Local,
    /// Whoever reaches the service.
    All,
}

/// By what a rule chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A share of all.
    Random,
    /// Pictures with scores around a threshold.
    CloseToThreshold,
    /// Pictures with certain classes.
    ClassesBased,
    /// Pictures with few or many detections.
    DetectionsNumberBased,
    /// Classified pictures whose best class is uncertain: 1 − its score.
    LeastConfidence,
    /// Classified pictures whose two best classes are close to each other: the difference of their scores.
    Margin,
    /// Classified pictures with the probability spread over many classes: entropy over that of no knowledge.
    Entropy,
}

/// One rule. Which keys it needs and which it knows depends on its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// By what it chooses.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its name in sidecars; that of its kind if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `random`: the share in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_percentage: Option<f64>,
    /// The share of what the rule would choose that it does choose, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// `close_to_threshold`: around which score; the uncertainty rules: from where on (`margin`: up to where).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// `close_to_threshold`: how far around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f32>,
    /// `close_to_threshold`: how many such objects there must be; 1 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_objects_close_to_threshold: Option<usize>,
    /// `close_to_threshold`: whether only the best class of a classified picture counts; true if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_top_classes: Option<bool>,
    /// `close_to_threshold`, `classes_based`: the only classes that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selected_class_names: Vec<String>,
    /// `detections_number_based`: at least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_than: Option<usize>,
    /// `detections_number_based`: at most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_than: Option<usize>,
    /// How many pictures the rule may keep in a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// A rule's limit, over all frontends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// In which time.
    #[serde(rename = "type")]
    pub period: Period,
    /// How many.
    pub value: u64,
}

/// The time of a limit, counted back from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// 60 seconds.
    Minutely,
    /// 60 minutes.
    Hourly,
    /// 24 hours.
    Daily,
}

impl Period {
    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        match self {
            Self::Minutely => 60_000,
            Self::Hourly => 3_600_000,
            Self::Daily => 86_400_000,
        }
    }
}

impl Kind {
    /// The kind as the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::CloseToThreshold => "close_to_threshold",
            Self::ClassesBased => "classes_based",
            Self::DetectionsNumberBased => "detections_number_based",
            Self::LeastConfidence => "least_confidence",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
        }
    }

    /// Keys it needs, and keys it knows besides.
    const fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Random => (&["traffic_percentage"], &[]),
            Self::CloseToThreshold => (
                &["threshold", "epsilon"],
                &[
                    "probability",
                    "minimum_objects_close_to_threshold",
                    "only_top_classes",
                    "selected_class_names",
                ],
            ),
            Self::ClassesBased => (&["selected_class_names"], &["probability"]),
            Self::DetectionsNumberBased => (&[], &["probability", "more_than", "less_than"]),
            Self::LeastConfidence | Self::Margin | Self::Entropy => (&["threshold"], &["probability"]),
        }
    }
}

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct ConfigError {
    /// The key as it stands in the file.
    pub key: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Rule {
    /// The rule's name in sidecars and counts.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { self.kind.name() } else { &self.name }
    }

    /// The kind's keys that are set.
    fn set(&self) -> Vec<&'static str> {
        [
            ("traffic_percentage", self.traffic_percentage.is_some()),
            ("probability", self.probability.is_some()),
            ("threshold", self.threshold.is_some()),
            ("epsilon", self.epsilon.is_some()),
            ("minimum_objects_close_to_threshold", self.minimum_objects_close_to_threshold.is_some()),
            ("only_top_classes", self.only_top_classes.is_some()),
            ("selected_class_names", !self.selected_class_names.is_empty()),
            ("more_than", self.more_than.is_some()),
            ("less_than", self.less_than.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, set)| set.then_some(key))
        .collect()
    }

    fn check(&self) -> Result<(), String> {
        let (needed, known) = self.kind.keys();
        let set = self.set();
        if let Some(key) = needed.iter().find(|key| !set.contains(key)) {
            return Err(format!("needs {key}"));
        }
        if let Some(key) = set.iter().find(|key| !needed.contains(key) && !known.contains(key)) {
            return Err(format!("does not know {key}; it knows {}", [needed, known].concat().join(", ")));
        }
        if self.kind == Kind::DetectionsNumberBased && self.more_than.is_none() && self.less_than.is_none() {
            return Err("needs more_than or less_than".to_owned());
        }
        if self.traffic_percentage.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
            return Err("traffic_percentage must be 0 to 100".to_owned());
        }
        let unit = |value: f64| (0.0..=1.0).contains(&value);
        for (key, value) in [
            ("probability", self.probability),
            ("threshold", self.threshold.map(f64::from)),
            ("epsilon", self.epsilon.map(f64::from)),
        ] {
            if value.is_some_and(|value| !unit(value)) {
                return Err(format!("{key} must be 0 to 1"));
            }
        }
        Ok(())
    }
}

impl Config {
    /// Refuses values that nothing can be kept with.
    ///
    /// # Errors
    /// The first such value, by its key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fault = |key, reason: String| Err(ConfigError { key, reason });
        if self.enabled && self.root.as_os_str().is_empty() {
            return fault("harvest.root", "must name a folder when harvest.enabled is true".to_owned());
        }
        if self.rules.len() > MOST_RULES {
            return fault("harvest.rules", format!("at most {MOST_RULES}"));
        }
        for (number, rule) in self.rules.iter().enumerate() {
            if let Err(reason) = rule.check() {
                return fault("harvest.rules", format!("rule {}, {}: {reason}", number + 1, rule.name()));
            }
            if self.rules[..number].iter().any(|other| other.name() == rule.name()) {
                return fault("harvest.rules", format!("two are named {}; give one a name", rule.name()));
            }
        }
        if self.near_distance > 32 {
            return fault("harvest.near_distance", "must be at most 32".to_owned());
        }
        if self.queue == 0 {
            return fault("harvest.queue", "must be at least 1".to_owned());
        }
        if !(0.01..=100.0).contains(&self.processor_percentage) {
            return fault("harvest.processor_percentage", "must be 0.01 to 100".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
