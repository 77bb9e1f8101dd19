//! More requests than can be answered.

use crate::chaos::generator::{Generator, Pace};
use crate::chaos::ledger::quantile;
use crate::chaos::report::{Report, millis};
use crate::chaos::rest::Rest;
use crate::chaos::{Plan, capacity};
use crate::service::{Service, with_model};
use std::time::{Duration, Instant};

/// Of the capacity, what is answered all the same.
const GOODPUT: f64 = 0.95;
/// The response time that is promised by default.
const TARGET: Duration = Duration::from_secs(1);
/// How soon those are told who are refused.
const REFUSAL: Duration = Duration::from_millis(10);
/// Not looked at: until the service has seen how fast it is.
const SETTLING: Duration = Duration::from_secs(3);

/// Three times as many as can be answered.
pub fn overload_threefold(plan: &Plan) -> Report {
    overload(plan, 3.0)
}

/// Ten times as many.
pub fn overload_tenfold(plan: &Plan) -> Report {
    overload(plan, 10.0)
}

fn overload(plan: &Plan, factor: f64) -> Report {
    let seconds = plan.pick(30, 3);
    let mut report = Report::new(
        &format!("{factor} times the capacity for {seconds} s"),
        "at least 95 % of the capacity answered, p99 of them within rt_target (1 s), p99 of the refusals within 10 ms",
    );
    let service = Service::start(&(with_model("slow") + "[engine]\nlanes = 1\n"));
    let capacity = capacity(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(factor * capacity));
    std::thread::sleep(SETTLING.min(Duration::from_secs(seconds)));
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let (answers, window) = (generator.ledger().answers_since(begun).len(), begun.elapsed());
    let books = generator.stop();
    let goodput = answers as f64 / window.as_secs_f64();
    report.saw(books.summary());
    report.saw(format!(
        "capacity {capacity:.1}/s, answered {goodput:.1}/s ({:.0} %)",
        100.0 * goodput / capacity
    ));
    let (answered, refused) = (quantile(&books.found, 0.99), quantile(&books.refused, 0.99));
    report.saw(format!("answers p50 {}, p99 {}", millis(quantile(&books.found, 0.5)), millis(answered)));
    report.saw(format!("refusals p50 {}, p99 {}", millis(quantile(&books.refused, 0.5)), millis(refused)));
    report.broken.extend(books.lost());
    report.must(
        books.problems.is_empty(),
        format!("{} other problems: {:?}", books.problems.len(), books.problems.first()),
    );
    report.must(!books.refused.is_empty(), "nobody was refused");
    report.must(!books.found.is_empty(), "nobody was answered");
    if goodput < GOODPUT * capacity {
        report.late.push(format!("answered {goodput:.1}/s of {capacity:.1}/s"));
    }
    report.within("p99 of the answers", answered, TARGET);
    report.within("p99 of the refusals", refused, REFUSAL);
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}
