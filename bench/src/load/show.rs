//! A load's figures for eyes and for spreadsheets.

use super::{Figures, Times};
use crate::table::{Table, digits};
use std::fmt::Write as _;

/// Over the figures of a server that says so of itself.
pub const SIMULATED: &str = "SIMULATED: the engine's times are those of a model of an accelerator";

/// As text.
pub fn table(figures: &Figures) -> String {
    let mut out = String::new();
    if figures.simulated {
        out += SIMULATED;
        out.push('\n');
    }
    let pace = match (figures.concurrency, figures.rate) {
        (Some(concurrency), _) => format!("closed loop, concurrency {concurrency}"),
        (_, Some(rate)) => format!("open loop, {} requests/s", digits(rate)),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "{pace}: {} requests in {:.2} s, {} ok, {} errors",
        figures.requests, figures.seconds, figures.ok, figures.errors
    );
    let _ = writeln!(
        out,
        "TPS {:.1}  QPS {:.1}  in flight {}  sent {} MB/s  received {} MB/s\n",
        figures.tps,
        figures.qps,
        digits(figures.in_flight),
        digits(figures.sent_mb_s),
        digits(figures.received_mb_s)
    );
    let mut times =
        Table::new(&["ms", "mean", "stdev", "min", "p50", "p75", "p90", "p95", "p99", "p99.9", "max"]);
    times.row(row("RT", &figures.rt_ms));
    if let Some(delay) = &figures.delay_ms {
        times.row(row("send delay", delay));
    }
    out += &times.text();
    if !figures.server_ms.is_empty() {
        let stages: Vec<String> =
            figures.server_ms.iter().map(|(name, ms)| format!("{name} {}", digits(*ms))).collect();
        let _ = writeln!(out, "\nserver, mean ms: {}", stages.join("  "));
    }
    let counts = |what: &str, counts: Vec<String>| {
        if counts.is_empty() { String::new() } else { format!("{what}: {}\n", counts.join("  ")) }
    };
    out += &counts("\nstatus", figures.statuses.iter().map(|(k, n)| format!("{k} {n}")).collect());
    out += &counts("refused", figures.codes.iter().map(|(k, n)| format!("{k} {n}")).collect());
    out += &counts("no answer", figures.faults.iter().map(|(k, n)| format!("{k} {n}")).collect());
    if figures.unsent > 0 {
        let _ = writeln!(out, "never sent: {} (no connection was free in time)", figures.unsent);
    }
    let g = &figures.generator;
    let _ = writeln!(out, "generator: {} cores, busiest thread {:.0} %", digits(g.cores), g.busiest * 100.0);
    for warning in warnings(figures) {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

/// What a reader of the figures must know.
pub fn warnings(figures: &Figures) -> Vec<String> {
    let mut all = Vec::new();
    if figures.generator.is_bottleneck {
        all.push(format!(
            "the generator's busiest thread used {:.0} % of a core: it may be what was measured; give it more --threads",
            figures.generator.busiest * 100.0
        ));
    }
    if figures.stable == Some(false) {
        all.push("it never became stable: all that was measured is shown".to_owned());
    }
    if let Some(delay) = &figures.delay_ms
        && delay.p99 > 0.1 * figures.rt_ms.p99.max(1.0)
        && figures.unsent == 0
        && figures.generator.busiest > 0.5
    {
        all.push(format!(
            "requests were sent late (p99 {} ms): the generator lacked time",
            digits(delay.p99)
        ));
    }
    if figures.ok == 0 {
        all.push("no request was answered with success".to_owned());
    }
    all
}

fn row(name: &str, t: &Times) -> Vec<String> {
    let numbers = [t.mean, t.stdev, t.min, t.p50, t.p75, t.p90, t.p95, t.p99, t.p999, t.max];
    std::iter::once(name.to_owned()).chain(numbers.map(digits)).collect()
}

/// As one line of comma-separated values under a head, in perf_analyzer's columns where they fit; times there are
/// microseconds. Its columns of the server come from `Server-Timing`: what is not the server's stages is the network's.
pub fn csv(figures: &Figures) -> String {
    let stage = |name: &str| figures.server_ms.get(name).copied().unwrap_or(0.0);
    let staged = !figures.server_ms.is_empty();
    let micros = |ms: f64| format!("{:.0}", ms * 1000.0);
    let of_server = |ms: f64| if staged { micros(ms) } else { String::new() };
    let t = &figures.rt_ms;
    let pace = match figures.rate {
        Some(rate) => ("Request Rate", digits(rate)),
        None => ("Concurrency", figures.concurrency.unwrap_or(0).to_string()),
    };
    let columns = [
        (pace.0, pace.1),
        ("Inferences/Second", format!("{:.3}", figures.tps)),
        ("Network+Server Send/Recv", of_server((t.mean - stage("total")).max(0.0) + stage("read"))),
        ("Server Queue", of_server(stage("wait") + stage("queue"))),
        ("Server Compute Input", of_server(stage("decode") + stage("preprocess"))),
        ("Server Compute Infer", of_server(stage("infer"))),
        ("Server Compute Output", of_server(stage("postprocess"))),
        ("p50 latency", micros(t.p50)),
        ("p90 latency", micros(t.p90)),
        ("p95 latency", micros(t.p95)),
        ("p99 latency", micros(t.p99)),
        ("Avg latency", micros(t.mean)),
        ("Max latency", micros(t.max)),
        ("Request Count", figures.requests.to_string()),
        ("Error Count", figures.errors.to_string()),
        ("Delayed Request Count", figures.unsent.to_string()),
        ("Generator Cores", format!("{:.3}", figures.generator.cores)),
        ("Simulated", figures.simulated.to_string()),
    ];
    let mut table = Table::new(&columns.each_ref().map(|(name, _)| *name));
    table.row(columns.map(|(_, value)| value).to_vec());
    table.csv()
}
