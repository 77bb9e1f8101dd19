//! The supervisor is killed: nobody is left to look after anything.

use super::settings;
use crate::chaos::faults::{children, clients_of, is_alive};
use crate::chaos::generator::{Generator, Pace};
use crate::chaos::report::{Report, spread};
use crate::chaos::{Plan, rate};
use crate::service::{Service, wait_for};
use nix::sys::signal::{Signal, kill};
use std::time::{Duration, Instant};

/// Until the last child is gone.
const GONE: Duration = Duration::from_secs(1);

/// kill -9 of the supervisor; then the next start under the same name.
pub fn supervisor_kill(plan: &Plan) -> Report {
    let times = plan.pick(5, 1);
    let mut report = Report::new(
        &format!("kill -9 supervisor, {times} times"),
        "children are gone within 1 s, nothing is left in /dev/shm but the board, which the next start removes and says so",
    );
    let mut gone = Vec::new();
    let mut service = Service::start(&settings(""));
    for _ in 0..times {
        let rate = rate(&service, plan);
        let generator = Generator::start(service.address(), Pace::Open(rate));
        generator.more(5);
        let everybody = children(&service);
        // From here on nobody listens: what is asked now is for the next one.
        let held: Vec<u16> = everybody.iter().flat_map(|&pid| clients_of(pid)).collect();
        let killed = Instant::now();
        kill(service.pid(), Signal::SIGKILL).expect("the supervisor");
        service.wait();
        wait_for("the children's end", || everybody.iter().all(|&pid| !is_alive(pid)).then_some(()));
        gone.push(killed.elapsed());
        generator.ledger().excuse(&held, "the supervisor was killed");
        let books = generator.stop();
        report.broken.extend(books.violations.iter().cloned());
        report
            .must(!shm_proto::board::list().contains(&service.name().to_owned()), "a dead service is listed");
        service.start_again();
        report.must(service.log().contains("left behind"), "the next start does not say that it cleaned up");
        report.must(service.client().get("/readyz").status == 200, "the next service is not ready");
    }
    for &time in &gone {
        report.within("the last child was gone after", time, GONE);
    }
    report.saw(format!("the last child was gone after {}", spread(gone)));
    let board = format!("/dev/shm/detectd-{}", service.name());
    report.must(service.stop().success(), "the service did not stop cleanly");
    report.must(!std::path::Path::new(&board).exists(), "the board is left behind");
    report
}
