//! Two runs side by side: the same cells, what changed, and whether it is more than chance does.

use super::analysis::{Analysis, CellFigures};
use super::grid::Cell;
use crate::table::{Table, digits, percent};
use serde::Serialize;
use std::fmt::Write as _;

/// One run against an earlier one.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Conditions that are not the same: what of a change may be theirs.
    pub differences: Vec<String>,
    /// Whether the earlier run was simulated.
    pub simulated_before: bool,
    /// Whether this one was.
    pub simulated: bool,
    /// The cells that both have.
    pub cells: Vec<Pair>,
}

/// One cell, then and now.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Which.
    pub cell: Cell,
    /// Successes a second.
    pub tps: Change,
    /// Median of the response time in milliseconds.
    pub p50_ms: Change,
    /// Its 99th percentile.
    pub p99_ms: Change,
    /// What the change of TPS is worth.
    pub verdict: &'static str,
}

/// A figure, then and now.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Change {
    /// Then.
    pub before: f64,
    /// Now.
    pub now: f64,
    /// now / before - 1.
    pub change: f64,
}

impl Change {
    fn of(now: f64, before: f64) -> Self {
        Self { before, now, change: if before > 0.0 { now / before - 1.0 } else { f64::NAN } }
    }

    fn row(self) -> [String; 3] {
        let sign = if self.change > 0.0 { "+" } else { "" };
        [digits(self.before), digits(self.now), format!("{sign}{}", percent(self.change))]
    }
}

/// Compares the cells that both runs have; `old` is what `new` is compared with.
pub fn compare(new: &Analysis, old: &Analysis) -> Comparison {
    let pair = |now: &CellFigures| {
        let before = old.cells.iter().find(|c| c.cell == now.cell)?;
        Some(Pair {
            cell: now.cell,
            tps: Change::of(now.tps, before.tps),
            p50_ms: Change::of(now.p50_ms, before.p50_ms),
            p99_ms: Change::of(now.p99_ms, before.p99_ms),
            verdict: verdict(now, before),
        })
    };
    Comparison {
        differences: old.conditions.differences(&new.conditions),
        simulated_before: old.simulated,
        simulated: new.simulated,
        cells: new.cells.iter().filter_map(pair).collect(),
    }
}

impl Comparison {
    /// As text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match (self.simulated_before, self.simulated) {
            (false, false) => {}
            (true, true) => out += "SIMULATED: both are of a modelled accelerator\n",
            (true, false) => out += "SIMULATED: what was before is of a modelled accelerator\n",
            (false, true) => out += "SIMULATED: what is now is of a modelled accelerator\n",
        }
        for difference in &self.differences {
            let _ = writeln!(out, "not the same: {difference}");
        }
        if self.cells.is_empty() {
            return out + "no cell is in both\n";
        }
        let mut table = Table::new(&[
            "input",
            "procs",
            "lanes",
            "max_batch",
            "requests",
            "c",
            "TPS before",
            "now",
            "change",
            "p50 before",
            "now",
            "change",
            "p99 before",
            "now",
            "change",
            "verdict",
        ]);
        for pair in &self.cells {
            let (cell, setup) = (&pair.cell, &pair.cell.setup);
            let optional = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
            let mut row = vec![
                cell.input.name().to_owned(),
                setup.procs.to_string(),
                optional(setup.lanes.map(u64::from)),
                optional(setup.max_batch.map(u64::from)),
                optional(cell.requests),
                cell.concurrency.to_string(),
            ];
            row.extend([pair.tps, pair.p50_ms, pair.p99_ms].into_iter().flat_map(Change::row));
            row.push(pair.verdict.to_owned());
            table.row(row);
        }
        out + &table.text()
    }
}

/// A difference counts when it is larger than rounds of the same cell differ among themselves.
fn verdict(now: &CellFigures, before: &CellFigures) -> &'static str {
    let change = if before.tps > 0.0 { now.tps / before.tps - 1.0 } else { return "nothing before" };
    if now.rounds < 2 || before.rounds < 2 {
        return "one round only";
    }
    let chance = now.spread.max(before.spread).max(0.01);
    match change {
        c if c > chance => "faster",
        c if c < -chance => "slower",
        _ => "the same",
    }
}
