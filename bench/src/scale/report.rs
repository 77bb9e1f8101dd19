//! The experiment for a terminal and for a spreadsheet.

use super::analysis::{Analysis, CellFigures, Family};
use crate::load::SIMULATED;
use crate::table::{Table, digits, percent};
use std::fmt::Write as _;

/// One line a cell, for eyes.
pub fn cells(analysis: &Analysis) -> Table {
    let mut table = Table::new(&[
        "input",
        "procs",
        "requests",
        "c",
        "TPS",
        "±",
        "RT ms",
        "p50",
        "p99",
        "TPS·RT/c-1",
        "predicted",
        "frontend ms",
        "engine ms",
        "batch",
        "queue ms",
        "imbalance",
        "limit",
        "errors",
    ]);
    for c in &analysis.cells {
        table.row(vec![
            family_name(c),
            c.cell.setup.procs.to_string(),
            c.cell.requests.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            c.cell.concurrency.to_string(),
            format!("{:.1}", c.tps),
            percent(c.spread / 2.0),
            digits(c.rt_ms),
            digits(c.p50_ms),
            digits(c.p99_ms),
            percent(c.law_error),
            digits(c.predicted),
            digits(c.cpu_ms[0]),
            digits(c.cpu_ms[1]),
            format!("{:.2}", c.mean_batch),
            digits(c.queue_ms),
            format!("{:.2}", c.imbalance),
            format!("{}{}", c.limit.name(), if c.disturbed { " *" } else { "" }),
            c.errors.to_string(),
        ]);
    }
    table
}

fn family_name(c: &CellFigures) -> String {
    let mut name = c.cell.input.name().to_owned();
    for (what, value) in [("lanes", c.cell.setup.lanes), ("batch", c.cell.setup.max_batch)] {
        if let Some(value) = value {
            name += &format!(" {what} {value}");
        }
    }
    name
}

/// One line a cell with everything, for machines.
pub fn cells_csv(analysis: &Analysis) -> String {
    let mut table = Table::new(&[
        "input",
        "procs",
        "lanes",
        "max_batch",
        "requests",
        "concurrency",
        "rounds",
        "tps",
        "spread",
        "rt_ms",
        "p50_ms",
        "p99_ms",
        "law_error",
        "predicted_tps",
        "errors",
        "frontend_cpu_ms",
        "engine_cpu_ms",
        "generator_cpu_ms",
        "service_cores",
        "generator_cores",
        "other_cores",
        "imbalance",
        "mean_batch",
        "lanes_busy",
        "run_ms",
        "queue_ms",
        "seat_waits",
        "switches_per_request",
        "memory_mib",
        "limit",
        "disturbed",
        "simulated",
    ]);
    for c in &analysis.cells {
        let optional = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let number = |value: f64| format!("{value:.4}");
        let mut row = vec![
            c.cell.input.name().to_owned(),
            c.cell.setup.procs.to_string(),
            optional(c.cell.setup.lanes.map(u64::from)),
            optional(c.cell.setup.max_batch.map(u64::from)),
            optional(c.cell.requests),
            c.cell.concurrency.to_string(),
            c.rounds.to_string(),
        ];
        row.extend([c.tps, c.spread, c.rt_ms, c.p50_ms, c.p99_ms, c.law_error, c.predicted].map(number));
        row.push(c.errors.to_string());
        row.extend(c.cpu_ms.into_iter().chain(c.cores).map(number));
        let rest = [
            c.imbalance,
            c.mean_batch,
            c.lanes_busy,
            c.run_ms,
            c.queue_ms,
            c.seat_waits,
            c.switches,
            c.memory_mib,
        ];
        row.extend(rest.map(number));
        row.push(c.limit.name().to_owned());
        row.push(c.disturbed.to_string());
        row.push(analysis.simulated.to_string());
        table.row(row);
    }
    table.csv()
}

/// One line a process count.
pub fn procs(family: &Family) -> Table {
    let mut table = Table::new(&[
        "procs",
        "best TPS",
        "at c",
        "N·f",
        "predicted",
        "error",
        "knee c",
        "TPS there",
        "c within target",
        "p99/p50",
        "MiB",
    ]);
    for p in &family.procs {
        table.row(vec![
            p.procs.to_string(),
            format!("{:.1}", p.best),
            p.at.to_string(),
            digits(p.frontends),
            digits(p.predicted),
            percent(p.error),
            p.knee.0.to_string(),
            format!("{:.1}", p.knee.1),
            p.within_target.map_or_else(|| "none".to_owned(), |(c, _)| c.to_string()),
            format!("{:.2}", p.unfairness),
            digits(p.memory_mib),
        ]);
    }
    table
}

/// The heading of a family.
pub fn heading(family: &Family) -> String {
    let mut text = format!("input {}", family.input.name());
    let further = [
        ("requests", family.requests),
        ("lanes", family.lanes.map(u64::from)),
        ("max_batch", family.max_batch.map(u64::from)),
    ];
    for (what, value) in further {
        if let Some(value) = value {
            text += &format!(", {what} {value}");
        }
    }
    text
}

/// What a family says, in sentences.
pub fn findings(family: &Family, analysis: &Analysis) -> Vec<String> {
    let mut all = Vec::new();
    let [cf, ce, cg] = family.cpu_ms;
    all.push(format!(
        "A picture costs the frontends {} ms of processor time, the engine {} ms, the generator {} ms; alone it is answered in {} ms.",
        digits(cf), digits(ce), digits(cg), digits(family.rt1_ms)
    ));
    all.push(format!(
        "Ceilings: the engine E = {} images/s (lanes / run time), the cores C = {} images/s (cores / processor time of a picture; less where others used some of them).",
        digits(family.engine), digits(family.machine)
    ));
    if family.procs.len() > 1 {
        let relation = if family.by_procs <= family.by_chance.max(0.03) {
            "TPS does not follow the number of processes"
        } else {
            "TPS depends on the number of processes"
        };
        let best: Vec<String> =
            family.procs.iter().map(|p| format!("{} with {}", digits(p.best), p.procs)).collect();
        all.push(format!(
            "{relation}: best TPS {}; they differ by {}, rounds of one cell by up to {}.",
            best.join(", "),
            percent(family.by_procs),
            percent(family.by_chance)
        ));
    }
    let same = |c: &&CellFigures| {
        (c.cell.input, c.cell.requests, c.cell.setup.lanes, c.cell.setup.max_batch)
            == (family.input, family.requests, family.lanes, family.max_batch)
    };
    let errors = analysis.cells.iter().filter(same).map(|c| c.law_error.abs());
    all.push(format!(
        "TPS = concurrency / RT holds within {} in every cell.",
        percent(errors.fold(0.0, f64::max))
    ));
    let error = family.procs.iter().map(|p| p.error.abs()).fold(0.0, f64::max);
    all.push(format!("min(N·f, E, C) predicts the best TPS within {}.", percent(error)));
    all
}

/// The whole report.
pub fn text(analysis: &Analysis) -> String {
    let c = &analysis.conditions;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "detectd {}, model {}, device {}, {} lanes; {} cores, {}\npictures: {} ({} bytes); {} s a cell after {} s; admission off",
        c.version,
        c.model,
        c.device,
        c.lanes,
        c.cores,
        c.processor,
        c.pictures.join(", "),
        c.picture_bytes,
        digits(c.seconds),
        digits(c.warmup)
    );
    for (key, value) in c.set.iter().chain(&c.environment) {
        let _ = writeln!(out, "set: {key} = {value}");
    }
    if c.config.is_some() {
        let _ = writeln!(out, "set: by a configuration file, which scale.json has whole");
    }
    if analysis.simulated {
        let _ = writeln!(out, "{SIMULATED}");
    }
    let _ = writeln!(out, "\n{}", cells(analysis).text());
    if analysis.cells.iter().any(|c| c.disturbed) {
        let _ = writeln!(out, "* others used the machine meanwhile (more than 0.1 cores)\n");
    }
    for family in &analysis.families {
        let _ = writeln!(
            out,
            "{} (c within target: largest concurrency with p99 <= {} ms)\n{}",
            heading(family),
            digits(analysis.rt_target_ms),
            procs(family).text()
        );
        for finding in findings(family, analysis) {
            let _ = writeln!(out, "- {finding}");
        }
        out.push('\n');
    }
    out
}
