//! Section `[engine.sim]`: the accelerator that the device `sim` models.
//!
//! Owns the curve: how long a run of so many images takes. Measuring one is `model`'s business, keeping its time
//! `sim`'s.

use serde::{Deserialize, Serialize};
use shm_proto::units;
use std::time::Duration;

/// Section `[engine.sim]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Points of the curve, with growing numbers of images. Empty: as measured with the model on this machine's CPU, one
    /// thread a lane.
    pub curve: Vec<Point>,
    /// By how much the accelerator is faster than the curve.
    pub speedup: f64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self { curve: Vec::new(), speedup: 1.0 }
    }
}

impl SimConfig {
    /// Says which value cannot be used, naming its key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.speedup.is_finite() && self.speedup > 0.0) {
            return Err(format!("engine.sim.speedup = {}: it must be above 0", self.speedup));
        }
        let grows = self.curve.is_sorted_by(|a, b| a.images < b.images);
        if !grows || self.curve.iter().any(|point| point.images == 0 || point.time.is_zero()) {
            return Err(
                "engine.sim.curve: the points need growing numbers of images and times above 0, for example \
                 [{ images = 1, time = \"2ms\" }, { images = 8, time = \"6ms\" }]"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// A run of so many images takes so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Images.
    pub images: u32,
    /// Time of the run.
    #[serde(with = "units::duration")]
    pub time: Duration,
}

/// The time of a run by its number of images: straight lines between points, the last line going on beyond the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    points: Vec<Point>,
    speedup: f64,
}

impl Curve {
    /// A curve through `points`, of which there is at least one, with every time divided by `speedup`.
    pub fn new(points: Vec<Point>, speedup: f64) -> Self {
        Self { points, speedup }
    }

    /// The time of a run.
    pub fn time(&self, images: u32) -> Duration {
        let at = |point: &Point| (f64::from(point.images), point.time.as_secs_f64());
        let seconds = match self.points.as_slice() {
            [] => 0.0,
            // One point says what an image takes.
            [only] => only.time.as_secs_f64() / f64::from(only.images.max(1)) * f64::from(images),
            [first, ..] if images <= first.images => first.time.as_secs_f64(),
            points => {
                let end = points.partition_point(|point| point.images < images).clamp(1, points.len() - 1);
                let ((x0, y0), (x1, y1)) = (at(&points[end - 1]), at(&points[end]));
                y0 + (y1 - y0) * (f64::from(images) - x0) / (x1 - x0)
            }
        };
        Duration::from_secs_f64((seconds / self.speedup).max(0.0))
    }

    /// The least time an image takes, over all runs of up to `most` images.
    pub fn per_image(&self, most: u32) -> Duration {
        (1..=most.max(1)).map(|images| self.time(images) / images).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
