//! Frontends are killed or hang.

use super::settings;
use crate::chaos::faults::{calm, clients_of, kill_frontend, next_frontend};
use crate::chaos::generator::{Generator, Pace};
use crate::chaos::report::{Report, spread};
use crate::chaos::rest::Rest;
use crate::chaos::{Plan, rate};
use crate::service::{Service, wait_for};
use nix::sys::signal::{Signal, kill};
use std::time::{Duration, Instant};

/// From the kill to a replacement that accepts.
const REPLACED: Duration = Duration::from_millis(250);
/// From the kill to the end of the reaping and the return of the seats.
const SEATS_BACK: Duration = Duration::from_millis(100);

/// kill -9 of one frontend after the other.
pub fn frontend_kills(plan: &Plan) -> Report {
    let times = plan.pick(30, 2);
    let mut report = Report::new(
        &format!("kill -9 a frontend, {times} times"),
        "only requests on its sockets are lost; the next one accepts within 250 ms; its seats are back within 100 ms",
    );
    let service = Service::start(&settings(""));
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let (mut replaced, mut returned) = (Vec::new(), Vec::new());
    for round in 0..times {
        std::thread::sleep(Duration::from_millis(plan.pick(600, 100)));
        calm(&service);
        generator.more(plan.pick(10, 3));
        let slot = round % 2;
        let old = service.frontends()[slot];
        let reaped = || said_of_deaths(&service, slot);
        let before = reaped();
        let killed = kill_frontend(&service, slot, generator.ledger());
        // What the supervisor says of a death it says when the seats are back.
        wait_for("the seats", || (reaped() > before).then_some(()));
        returned.push(killed.elapsed());
        replaced.push(next_frontend(&service, slot, old) - killed);
    }
    let books = generator.stop();
    report.books(&books);
    for (&replaced, &returned) in replaced.iter().zip(&returned) {
        report.within("a replacement accepted after", replaced, REPLACED);
        report.within("seats were back after", returned, SEATS_BACK);
    }
    report.saw(format!("replaced after {}", spread(replaced)));
    report.saw(format!("reaped, seats back after {}", spread(returned)));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

fn said_of_deaths(service: &Service, slot: usize) -> usize {
    let start = format!("frontend {slot} ");
    service.log().lines().filter(|line| line.contains(&start) && line.contains("restarts in")).count()
}

/// SIGSTOP of a frontend: seen by its heartbeat, ended, replaced; waking it up later changes nothing.
pub fn frontend_hangs(plan: &Plan) -> Report {
    let times = plan.pick(4, 1);
    let bound = Duration::from_secs(3 + 1); // silence, then from SIGABRT to SIGKILL
    let mut report = Report::new(
        &format!("SIGSTOP a frontend, {times} times, silence of 3 s allowed"),
        "only requests on its sockets are lost; replaced within 4 s + 1 s; a later SIGCONT does nothing",
    );
    let service = Service::start(&settings(""));
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let mut delays = Vec::new();
    for round in 0..times {
        calm(&service);
        generator.more(5);
        let slot = round % 2;
        let old = service.frontends()[slot];
        let stopped = Instant::now();
        kill(old, Signal::SIGSTOP).expect("a frontend");
        generator.ledger().excuse(&clients_of(old), &format!("frontend {slot} hung and was killed"));
        let delay = next_frontend(&service, slot, old) - stopped;
        let _ = kill(old, Signal::SIGCONT); // it is gone and reaped: nobody hears this
        report.within("it was replaced after", delay, bound + Duration::from_secs(1));
        delays.push(delay);
        generator.more(5);
    }
    let books = generator.stop();
    report.books(&books);
    report.saw(format!("replaced after {}", spread(delays)));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// Pauses that are shorter than the silence that is allowed, of a process or of the whole service (a frozen machine): nobody is
/// replaced for them.
pub fn short_pauses(plan: &Plan) -> Report {
    let times = plan.pick(10, 1);
    let mut report = Report::new(
        &format!("SIGSTOP and SIGCONT after a second, of each process and of all at once, {times} times"),
        "0 failed, nobody replaced",
    );
    let service = Service::start(&settings(""));
    let rate = rate(&service, plan).min(40.0);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let pids = || {
        let mut all = service.frontends();
        all.push(service.engine());
        all
    };
    let before = pids();
    for round in 0..times {
        let everybody = before.iter().copied().chain([service.pid()]);
        let who: Vec<_> = match round % 4 {
            0 => everybody.collect(),
            k => before.get(k - 1).copied().into_iter().collect(),
        };
        for pid in &who {
            kill(*pid, Signal::SIGSTOP).expect("a process of the service");
        }
        // The whole service may stand still for as long as it likes; one process for less than its silence.
        std::thread::sleep(Duration::from_millis(if round % 4 == 0 { 4000 } else { 1000 }));
        for pid in who.iter().rev() {
            kill(*pid, Signal::SIGCONT).expect("a process of the service");
        }
        generator.more(5);
        calm(&service);
    }
    report.must(pids() == before, "somebody was replaced");
    let books = generator.stop();
    report.books(&books);
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}
