//! How far a run is, on stderr: a bar on a terminal, a line now and then elsewhere. Owns rate and remaining time, which count
//! what this run does, not what an earlier one did.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// The display. Shared by whoever has something to say.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    state: Mutex<State>,
}

struct State {
    begun: Instant,
    said: Instant,
    /// Done before this run.
    before: usize,
    total: usize,
}

impl Progress {
    /// A display that shows nothing yet. `quiet`: no bar and no lines, but for what is wrong.
    pub fn new(quiet: bool) -> Self {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            let form = "{bar:32} {percent:>3}%  {pos}/{len}  {msg}";
            if let Ok(style) = ProgressStyle::with_template(form) {
                bar.set_style(style);
            }
            bar
        });
        let now = Instant::now();
        Self { bar, quiet, state: Mutex::new(State { begun: now, said: now, before: 0, total: 0 }) }
    }

    /// The pictures begin.
    pub fn begin(&self, before: usize, total: usize) {
        let now = Instant::now();
        if let Ok(mut state) = self.state.lock() {
            *state = State { begun: now, said: now, before, total };
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(before as u64);
        }
    }

    /// So many are done, this many of them bad.
    pub fn at(&self, done: usize, bad: usize) {
        let Ok(mut state) = self.state.lock() else { return };
        let text = || rate(done - state.before, state.total - done, bad, state.begun.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(text());
        } else if !self.quiet && state.said.elapsed() >= EVERY {
            line(&format!("{done}/{} pictures, {}", state.total, text()));
            state.said = Instant::now();
        }
    }

    /// Says something above the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(text),
        }
    }

    /// Says something that a quiet run leaves out.
    pub fn tell(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A reader that went away is no error.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `33.1/s, 2 bad, 1m 55s left`.
fn rate(done: usize, left: usize, bad: usize, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
    let mut text = format!("{rate:.1}/s");
    if bad > 0 {
        text += &format!(", {bad} bad");
    }
    if rate > 0.0 && left > 0 {
        text += &format!(", {} left", span((left as f64 / rate) as u64));
    }
    text
}

/// Whole units, the two largest.
fn span(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests;
