//! A line on the terminal that says how it goes; nothing where nobody looks.

use crate::load::{Live, Load, Until};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar for a load.
pub struct Progress {
    bar: ProgressBar,
    length: Duration,
    count: Option<u64>,
}

impl Progress {
    /// For this load; `label` says which one. Hidden when standard error is no terminal.
    pub fn new(load: &Load, label: &str) -> Self {
        let (length, count) = match load.until {
            Until::Count(n) => (Duration::ZERO, Some(n)),
            Until::Time(time) => (load.warmup + time, None),
            Until::Stable { most, .. } => (load.warmup + most, None),
        };
        let bar = ProgressBar::new(count.unwrap_or(length.as_millis() as u64));
        // A template of ours: it parses.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        Self { bar, length, count }
    }

    /// Shows how it goes.
    pub fn show(&self, live: &Live) {
        let done = match self.count {
            Some(count) => (live.answered + live.failed).min(count),
            None => live.elapsed.min(self.length).as_millis() as u64,
        };
        self.bar.set_position(done);
        let phase = if live.measuring { "" } else { "warm-up, " };
        let failed = if live.failed > 0 { format!(", {} failed", live.failed) } else { String::new() };
        self.bar.set_message(format!("{phase}{:.0}/s, {} answered{failed}", live.rate, live.answered));
    }

    /// Takes it away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}
