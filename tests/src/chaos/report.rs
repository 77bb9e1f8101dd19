//! A scenario's outcome, and the table of all.

use super::ledger::Books;
use std::fmt;
use std::time::Duration;

/// What came of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was done.
    pub scenario: String,
    /// What was promised.
    pub promise: String,
    /// What was seen.
    pub measured: Vec<String>,
    /// Promises about requests and about what is left behind that were not kept. Each is a bug.
    pub broken: Vec<String>,
    /// Promises about times that were not kept: on a busy machine, no wonder.
    pub late: Vec<String>,
}

impl Report {
    /// A report with nothing in it yet.
    pub fn new(scenario: &str, promise: &str) -> Self {
        Self { scenario: scenario.to_owned(), promise: promise.to_owned(), ..Self::default() }
    }

    /// Takes note of something that was seen.
    pub fn saw(&mut self, what: impl Into<String>) {
        self.measured.push(what.into());
    }

    /// Something must be.
    pub fn must(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.broken.push(what.into());
        }
    }

    /// Something must be within a time.
    pub fn within(&mut self, what: &str, took: Duration, most: Duration) {
        if took > most {
            self.late.push(format!("{what} {} and not {}", millis(took), millis(most)));
        }
    }

    /// Takes over the books of a load under which nothing was to fail.
    pub fn books(&mut self, books: &Books) {
        self.saw(books.summary());
        self.broken.extend(books.complaints());
    }

    /// Whether everything was kept, times too.
    pub fn is_kept(&self) -> bool {
        self.broken.is_empty() && self.late.is_empty()
    }

    /// For tests: times are not looked at.
    ///
    /// # Panics
    /// When anything but a time was not kept.
    pub fn assert(&self) {
        println!("{self}");
        assert!(self.broken.is_empty(), "{}: {:#?}", self.scenario, self.broken);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_kept() { "kept" } else { "NOT KEPT" };
        writeln!(f, "{verdict:9} {}", self.scenario)?;
        writeln!(f, "          promise: {}", self.promise)?;
        for line in &self.measured {
            writeln!(f, "          {line}")?;
        }
        for line in &self.broken {
            writeln!(f, "          BROKEN: {line}")?;
        }
        for line in &self.late {
            writeln!(f, "          LATE: {line}")?;
        }
        Ok(())
    }
}

/// All reports as a table in Markdown.
pub fn table(reports: &[Report]) -> String {
    let mut text = "| scenario | promise | measured | |\n|---|---|---|---|\n".to_owned();
    for report in reports {
        let verdict = if report.is_kept() { "kept" } else { "**not kept**" };
        let wrong = report.broken.iter().chain(&report.late);
        let measured: Vec<&str> = report.measured.iter().chain(wrong).map(String::as_str).collect();
        let row = [&report.scenario, &report.promise, &measured.join("; "), verdict];
        text.push_str(&format!("| {} |\n", row.map(|cell: &str| cell.replace('|', "/")).join(" | ")));
    }
    text
}

/// A time as people read it.
pub fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// The middle and the longest of some times.
pub fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let longest = times.last().copied().unwrap_or_default();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("{} (median), {} (longest) of {}", millis(middle), millis(longest), times.len())
}
