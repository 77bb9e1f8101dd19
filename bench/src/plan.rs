//! Capacity: from page views a day to queries a second at the peak to machines, every step with its formula. Pure arithmetic.

use serde::Serialize;
use std::fmt::Write as _;

const DAY: f64 = 86_400.0;
const MONTH_DAYS: f64 = 30.0;

/// How the day's requests are spread over it.
#[derive(Clone, Debug, PartialEq)]
pub enum Peak {
    /// So much of them in so much of the day: 0.8 in 0.2.
    Share {
        /// Of the requests.
        requests: f64,
        /// Of the day.
        day: f64,
    },
    /// The peak is so many times the mean.
    Factor(f64),
    /// Weights of equal parts of the day.
    Curve(Vec<f64>),
}

/// Page views, that is requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Views {
    /// So many a day.
    Day(f64),
    /// So many in a month of 30 days.
    Month(f64),
}

/// What is to be served, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// How many requests.
    pub views: Views,
    /// How they are spread.
    pub peak: Peak,
    /// What one machine serves a second.
    pub qps: f64,
    /// Where that figure comes from.
    pub source: String,
    /// Whether it is that of a modelled accelerator.
    pub simulated: bool,
    /// Share of a machine that stays free at the peak.
    pub headroom: f64,
    /// Machines that may fail at the peak.
    pub spare: u32,
    /// Price of a machine for an hour.
    pub hourly: Option<f64>,
}

/// One step of the reckoning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What is reckoned.
    pub what: String,
    /// How, in symbols.
    pub formula: String,
    /// With the numbers.
    pub numbers: String,
    /// What comes out.
    pub value: f64,
}

/// The reckoning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Requests a day.
    pub pv: f64,
    /// Requests a second at the peak, rounded up.
    pub peak_qps: u64,
    /// Machines to have.
    pub machines: u64,
    /// What one of them serves a second.
    pub qps: f64,
    /// Where that figure comes from.
    pub source: String,
    /// Whether it is that of a modelled accelerator.
    pub simulated: bool,
    /// Step by step.
    pub steps: Vec<Step>,
}

/// What cannot be planned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

/// Reckons.
///
/// # Errors
/// Says which number makes no sense.
pub fn plan(demand: &Demand) -> Result<Plan, PlanError> {
    let positive = |what: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(PlanError(format!("{what}: {value} is not above 0")))
        }
    };
    let (Views::Day(views) | Views::Month(views)) = demand.views;
    positive("page views", views)?;
    positive("QPS of a machine", demand.qps)?;
    if !(0.0..1.0).contains(&demand.headroom) {
        return Err(PlanError(format!("headroom {}: from 0 to below 1", demand.headroom)));
    }
    let mut steps = Vec::new();
    let mut step = |what: &str, formula: &str, numbers: String, value: f64| {
        steps.push(Step { what: what.to_owned(), formula: formula.to_owned(), numbers, value });
        value
    };
    let pv = match demand.views {
        Views::Day(pv) => pv,
        Views::Month(month) => {
            step("requests a day", "PV a month / 30", format!("{month} / 30"), month / MONTH_DAYS)
        }
    };
    let day = short(pv);
    let mean = step("mean QPS", "PV / 86400 s", format!("{day} / 86400"), pv / DAY);
    let peak = match &demand.peak {
        Peak::Share { requests, day: share } => {
            positive("share of the requests", *requests)?;
            positive("share of the day", *share)?;
            if *requests > 1.0 || *share > 1.0 {
                return Err(PlanError(
                    "shares of the day's requests and of the day are at most 1".to_owned(),
                ));
            }
            step(
                "peak QPS",
                "PV × share of requests / (86400 s × share of the day)",
                format!("{day} × {requests} / (86400 × {share})"),
                pv * requests / (DAY * share),
            )
        }
        Peak::Factor(factor) => {
            positive("peak factor", *factor)?;
            step("peak QPS", "mean QPS × peak factor", format!("{} × {factor}", short(mean)), mean * factor)
        }
        Peak::Curve(weights) => {
            let sum: f64 = weights.iter().sum();
            if weights.is_empty() || weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
                return Err(PlanError("a traffic curve has weights of 0 or more".to_owned()));
            }
            positive("sum of the traffic curve", sum)?;
            let (most, parts) = (weights.iter().copied().fold(0.0, f64::max), weights.len() as f64);
            step(
                "peak QPS",
                "PV × largest weight / sum of weights / (86400 s / parts)",
                format!("{day} × {most} / {} / (86400 / {parts})", short(sum)),
                pv * most / sum / (DAY / parts),
            )
        }
    };
    let whole = step("peak QPS, whole", "⌈peak QPS⌉", format!("⌈{}⌉", short(peak)), up(peak));
    let mut usable = demand.qps;
    if demand.headroom > 0.0 {
        usable = step(
            "usable QPS of a machine",
            "QPS × (1 - headroom)",
            format!("{} × (1 - {})", short(demand.qps), demand.headroom),
            demand.qps * (1.0 - demand.headroom),
        );
    }
    let needed = step(
        "machines needed",
        "⌈peak QPS / usable QPS⌉",
        format!("⌈{whole} / {}⌉", short(usable)),
        up(whole / usable),
    );
    let machines = step(
        "machines",
        "machines needed + spare ones",
        format!("{needed} + {}", demand.spare),
        needed + f64::from(demand.spare),
    );
    step(
        "utilisation at the peak",
        "peak QPS / (machines × QPS)",
        format!("{} / ({machines} × {})", short(peak), short(demand.qps)),
        peak / (machines * demand.qps),
    );
    step(
        "utilisation over the day",
        "mean QPS / (machines × QPS)",
        format!("{} / ({machines} × {})", short(mean), short(demand.qps)),
        mean / (machines * demand.qps),
    );
    // Spare machines may be those that failed: they are no capacity.
    step(
        "most requests a day",
        "machines needed × usable QPS × PV / peak QPS",
        format!("{needed} × {} × {day} / {}", short(usable), short(peak)),
        needed * usable * pv / peak,
    );
    if let Views::Day(pv) = demand.views {
        step("requests a month", "PV × 30", format!("{day} × 30"), pv * MONTH_DAYS);
    }
    if let Some(hourly) = demand.hourly {
        positive("price of a machine for an hour", hourly)?;
        let cost = step(
            "cost a day",
            "machines × price × 24 h",
            format!("{machines} × {hourly} × 24"),
            machines * hourly * 24.0,
        );
        step("cost a month", "cost a day × 30", format!("{} × 30", short(cost)), cost * MONTH_DAYS);
        step(
            "cost of a million images",
            "cost a day / PV × 10⁶",
            format!("{} / {day} × 10⁶", short(cost)),
            cost / pv * 1e6,
        );
    }
    Ok(Plan {
        pv,
        peak_qps: whole as u64,
        machines: machines as u64,
        qps: demand.qps,
        source: demand.source.clone(),
        simulated: demand.simulated,
        steps,
    })
}

/// Rounds up, but not for what floating point adds to a whole number.
fn up(value: f64) -> f64 {
    (value - 1e-9).ceil().max(1.0)
}

/// Two decimals, and below 1 three digits that mean something, however small it is.
fn short(value: f64) -> String {
    let magnitude = value.abs().log10().floor();
    let decimals = if value != 0.0 && magnitude < 0.0 { 2 - magnitude as i32 } else { 2 };
    let text = format!("{value:.*}", decimals.unsigned_abs() as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As text, every formula shown.
pub fn text(plan: &Plan) -> String {
    let mut out =
        format!("{} requests a day, {} QPS a machine ({})\n\n", short(plan.pv), short(plan.qps), plan.source);
    for step in &plan.steps {
        let _ = writeln!(
            out,
            "{}\n    = {}\n    = {}\n    = {}",
            step.what,
            step.formula,
            step.numbers,
            short(step.value)
        );
    }
    let simulated = if plan.simulated { " (SIMULATED: of a modelled accelerator)" } else { "" };
    let _ = writeln!(out, "\n{} QPS at the peak: {} machines{simulated}", plan.peak_qps, plan.machines);
    out
}

#[cfg(test)]
mod tests;
