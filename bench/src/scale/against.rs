//! Two runs side by side: the same cells, what changed, and whether it is more than chance does.

use super::analysis::{Analysis, CellFigures};
use crate::table::{Table, digits, percent};

/// A table of the cells that both runs have; `old` is what `new` is compared with.
pub fn compare(new: &Analysis, old: &Analysis) -> Table {
    let mut table = Table::new(&[
        "input",
        "procs",
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
    for now in &new.cells {
        let Some(before) = old.cells.iter().find(|c| c.cell == now.cell) else { continue };
        let change = |now: f64, before: f64| if before > 0.0 { now / before - 1.0 } else { f64::NAN };
        table.row(vec![
            now.cell.input.name().to_owned(),
            now.cell.setup.procs.to_string(),
            now.cell.requests.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            now.cell.concurrency.to_string(),
            format!("{:.1}", before.tps),
            format!("{:.1}", now.tps),
            signed(change(now.tps, before.tps)),
            digits(before.p50_ms),
            digits(now.p50_ms),
            signed(change(now.p50_ms, before.p50_ms)),
            digits(before.p99_ms),
            digits(now.p99_ms),
            signed(change(now.p99_ms, before.p99_ms)),
            verdict(now, before).to_owned(),
        ]);
    }
    table
}

fn signed(share: f64) -> String {
    if share > 0.0 { format!("+{}", percent(share)) } else { percent(share) }
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
