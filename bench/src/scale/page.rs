//! One HTML page with everything, to be handed on: it asks nobody for anything.

use super::analysis::Analysis;
use super::report::{cells, findings, heading, procs};
use crate::table::{Table, digits};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d8dde3;--ground:#fff;--raised:#f6f8fa}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4af;--line:#343b43;--ground:#14181c;--raised:#1d2329}}\
body{margin:0 auto;max-width:1180px;padding:24px 20px 60px;background:var(--ground);color:var(--ink);\
font:15px/1.5 system-ui,sans-serif}\
h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:34px 0 8px}p,li{max-width:80ch}\
.soft{color:var(--soft)}.warn{font-weight:600}\
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13px;white-space:nowrap}\
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--line)}\
th{background:var(--raised);font-weight:600}th:first-child,td:first-child{text-align:left}\
tbody tr:last-child td{border-bottom:0}\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:14px}\
.plots svg{width:100%;height:auto;border:1px solid var(--line);border-radius:6px;background:#fff}\
@media print{.scroll{overflow:visible}table{font-size:9px}}";

/// The page; `plots` are SVG documents with their titles.
pub fn page(analysis: &Analysis, plots: &[(String, String)]) -> String {
    let c = &analysis.conditions;
    let mut out = String::new();
    let title = format!("{} on {} cores", c.model, c.cores);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style></head><body><main>\n<h1>{0}</h1>\n",
        escape(&title)
    );
    let _ = writeln!(
        out,
        "<p class=\"soft\">detectd {}, device {}, {} lanes; {}; pictures: {} ({} bytes); {} s a cell after {} s of warm-up; admission off.</p>",
        escape(&c.version),
        escape(&c.device),
        c.lanes,
        escape(&c.processor),
        escape(&c.pictures.join(", ")),
        c.picture_bytes,
        digits(c.seconds),
        digits(c.warmup)
    );
    let mut set: Vec<String> =
        c.set.iter().chain(&c.environment).map(|(key, value)| format!("{key} = {value}")).collect();
    set.extend(c.config.iter().map(|_| "a configuration file, which scale.json has whole".to_owned()));
    if !set.is_empty() {
        let _ = writeln!(out, "<p class=\"soft\">Set: {}</p>", escape(&set.join("; ")));
    }
    if analysis.simulated {
        let _ = writeln!(
            out,
            "<p class=\"warn\">Simulated: the engine's times are those of a model of an accelerator.</p>"
        );
    }
    for family in &analysis.families {
        let _ = writeln!(out, "<h2>{}</h2>\n<ul>", escape(&heading(family)));
        for finding in findings(family, analysis) {
            let _ = writeln!(out, "<li>{}</li>", escape(&finding));
        }
        let _ = writeln!(out, "</ul>\n{}", html(&procs(family)));
        let _ = writeln!(
            out,
            "<p class=\"soft\">N·f: what so many frontends can feed. Predicted: min(N·f, E, C). Knee: the smallest concurrency with 95 % of \
             the best TPS. Within target: the largest concurrency with p99 ≤ {} ms.</p>",
            digits(analysis.rt_target_ms)
        );
    }
    let _ = writeln!(out, "<h2>Plots</h2>\n<div class=\"plots\">");
    for (title, svg) in plots {
        let labelled =
            svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\" ", escape(title)), 1);
        let _ = writeln!(out, "{}", with_view_box(&labelled));
    }
    let _ = writeln!(out, "</div>\n<h2>Every cell</h2>\n{}", html(&cells(analysis)));
    if analysis.cells.iter().any(|c| c.disturbed) {
        let _ =
            writeln!(out, "<p class=\"soft\">* others used the machine meanwhile (more than 0.1 cores).</p>");
    }
    out += "</main></body></html>\n";
    out
}

/// A drawing of fixed size scales only when it says what of it is to be seen.
fn with_view_box(svg: &str) -> String {
    let attribute = |name: &str| {
        let from = svg.find(&format!(" {name}=\""))? + name.len() + 3;
        svg[from..].split('"').next()?.parse::<u32>().ok()
    };
    match (svg.contains("viewBox"), attribute("width"), attribute("height")) {
        (false, Some(width), Some(height)) => {
            svg.replacen("<svg ", &format!("<svg viewBox=\"0 0 {width} {height}\" "), 1)
        }
        _ => svg.to_owned(),
    }
}

fn html(table: &Table) -> String {
    let row = |cells: &Vec<String>, tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    let (head, body) = table.rows().split_at(1);
    let head: String = head.iter().map(|cells| row(cells, "th")).collect();
    let body: String = body.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
