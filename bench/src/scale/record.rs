//! What was measured, and under which conditions: one JSON file, written anew after every sample, that a later run goes on
//! with.

use super::grid::Cell;
use crate::BenchError;
use crate::load::Figures;
use crate::look::Seen;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What must be the same for samples to belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The program.
    pub version: String,
    /// The model, by name and hash.
    pub model: String,
    /// Where it ran.
    pub device: String,
    /// Lanes of the engine, as the first service had them.
    pub lanes: u32,
    /// The pictures' file names.
    pub pictures: Vec<String>,
    /// Their bytes in all.
    pub picture_bytes: u64,
    /// Seconds of a measurement that is not counted.
    pub seconds: f64,
    /// Seconds before it.
    pub warmup: f64,
    /// Keys of the configuration that were set.
    pub set: Vec<(String, String)>,
    /// The variables that set some.
    pub environment: Vec<(String, String)>,
    /// The configuration file's text, if there was one.
    pub config: Option<String>,
    /// The processor.
    pub processor: String,
    /// Its cores that this program may use.
    pub cores: usize,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of what.
    pub cell: Cell,
    /// In which round.
    pub round: u32,
    /// When, in seconds since 1970.
    pub unix: u64,
    /// From outside.
    pub load: Figures,
    /// From the board and `/proc`.
    pub seen: Seen,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Under which conditions.
    pub conditions: Conditions,
    /// What was measured.
    pub samples: Vec<Sample>,
}

impl Record {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read_to_string(path).map_err(|error| BenchError::file(path, &error))?;
        serde_json::from_str(&text).map_err(|error| BenchError::file(path, &error))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let wrong = |error: std::io::Error| BenchError::file(path, &error);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Readable as any other file that a command writes; temporary ones are made for their owner alone.
        let readable = std::fs::Permissions::from_mode(0o644);
        let mut file = tempfile::Builder::new().permissions(readable).tempfile_in(folder).map_err(wrong)?;
        serde_json::to_writer_pretty(&mut file, self).map_err(|error| wrong(error.into()))?;
        file.write_all(b"\n").map_err(wrong)?;
        file.persist(path).map_err(|error| wrong(error.error))?;
        Ok(())
    }

    /// Whether this was measured already; `clean`: while nobody else used the machine.
    pub fn has(&self, cell: &Cell, round: u32, clean: bool) -> bool {
        let same = |sample: &&Sample| sample.cell == *cell && sample.round == round;
        self.samples.iter().any(|sample| same(&sample) && !(clean && sample.seen.is_disturbed()))
    }

    /// Adds a sample. Of two of the same cell and round the less disturbed one stays.
    pub fn add(&mut self, sample: Sample) {
        let same = |old: &Sample| old.cell == sample.cell && old.round == sample.round;
        match self.samples.iter().position(same) {
            Some(at) if self.samples[at].seen.others() <= sample.seen.others() => {}
            Some(at) => self.samples[at] = sample,
            None => self.samples.push(sample),
        }
    }

    /// What keeps samples of other conditions out.
    ///
    /// # Errors
    /// Names the conditions that differ.
    pub fn check(&self, now: &Conditions) -> Result<(), BenchError> {
        match self.conditions.differences(now).join("; ") {
            none if none.is_empty() => Ok(()),
            some => Err(BenchError::usage(format!(
                "the samples there were taken under other conditions ({some}): choose another --out"
            ))),
        }
    }
}

impl Conditions {
    /// Whether no real device was measured.
    pub fn is_simulated(&self) -> bool {
        self.device == "sim"
    }

    /// What is not the same now, each with both values.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let both = |of: &dyn Fn(&Self) -> String| (of(self), of(now));
        let pairs = |pairs: &[(String, String)]| match pairs {
            [] => "none".to_owned(),
            some => some.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "),
        };
        let config = |config: &Option<String>| match config {
            None => "none",
            some if *some == self.config => "one",
            _ => "another",
        };
        [
            ("program", both(&|c| c.version.clone())),
            ("model", both(&|c| c.model.clone())),
            ("device", both(&|c| c.device.clone())),
            ("processor", both(&|c| c.processor.clone())),
            ("cores", both(&|c| c.cores.to_string())),
            ("lanes", both(&|c| c.lanes.to_string())),
            ("pictures", both(&|c| format!("{} of {} bytes", c.pictures.join(", "), c.picture_bytes))),
            ("seconds of warm-up and measurement", both(&|c| format!("{} and {}", c.warmup, c.seconds))),
            ("keys set", both(&|c| pairs(&c.set))),
            ("variables", both(&|c| pairs(&c.environment))),
            ("configuration file", both(&|c| config(&c.config).to_owned())),
        ]
        .into_iter()
        .filter(|(_, (was, is))| was != is)
        .map(|(what, (was, is))| format!("{what}: {was}, now {is}"))
        .collect()
    }
}

/// The processor's name.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
