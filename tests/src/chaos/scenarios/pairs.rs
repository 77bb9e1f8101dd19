//! Two faults at once, drawn by chance, again and again. The seed draws the same faults at the same distances.

use super::changes::{install, operate};
use super::clients::{SlowClients, vanish};
use super::settings;
use crate::chaos::faults::{calm, clients_of, engine, kill_frontend, whole};
use crate::chaos::generator::{Generator, Pace};
use crate::chaos::report::Report;
use crate::chaos::rest::Rest;
use crate::chaos::{Plan, rate};
use crate::service::{Service, asset};
use nix::sys::signal::{Signal, kill};
use std::time::{Duration, Instant};

/// One thing that may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KillEngine,
    KillFrontend(usize),
    HangEngine,
    HangFrontend(usize),
    PauseEngine,
    PauseFrontend(usize),
    Reload,
    SwapModel,
    Upgrade,
    ClientsVanish,
    ClientsDrip,
}

impl Fault {
    fn draw(chance: &mut fastrand::Rng) -> Self {
        let slot = chance.usize(..2);
        match chance.u8(..11) {
            0 => Self::KillEngine,
            1 => Self::KillFrontend(slot),
            2 => Self::HangEngine,
            3 => Self::HangFrontend(slot),
            4 => Self::PauseEngine,
            5 => Self::PauseFrontend(slot),
            6 => Self::Reload,
            7 => Self::SwapModel,
            8 => Self::Upgrade,
            9 => Self::ClientsVanish,
            _ => Self::ClientsDrip,
        }
    }

    /// Whether the engine stands still in it. One that does so while an upgrade hands over is not replaced: what it holds is told so.
    fn stops_an_engine(self) -> bool {
        matches!(self, Self::HangEngine | Self::PauseEngine)
    }

    /// Whether engines die of it. A request that was with two of them when they died is taken for their killer.
    fn ends_an_engine(self) -> bool {
        matches!(self, Self::KillEngine | Self::HangEngine | Self::SwapModel | Self::Upgrade)
    }
}

/// Random pairs for as long as the plan says.
pub fn random_pairs(plan: &Plan) -> Report {
    let mut report = Report::new(
        &format!("random pairs of faults, seed {}, {} s", plan.seed, plan.duration.as_secs()),
        "each id answered once, with its own picture's answer or why there is none, or its connection broke with its process; \
         afterwards everything is where it was",
    );
    let service = Service::start_copy(&settings(
        "[service]\nengine_silence = \"2s\"\nfrontend_silence = \"2s\"\ndrain_timeout = \"5s\"\n",
    ));
    let rate = rate(&service, plan).min(30.0) * 0.75;
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let mut chance = fastrand::Rng::with_seed(plan.seed);
    let (begun, mut pairs, mut lethal, mut stalled) = (Instant::now(), 0, 0, 0);
    while begun.elapsed() < plan.duration || pairs == 0 {
        let faults = [Fault::draw(&mut chance), Fault::draw(&mut chance)];
        let apart = Duration::from_millis(chance.u64(..400));
        let seed = chance.u64(..);
        println!("  {:7.1} s: {faults:?}, {} ms apart", begun.elapsed().as_secs_f64(), apart.as_millis());
        lethal += u32::from(faults.iter().all(|fault| fault.ends_an_engine()));
        stalled +=
            u32::from(faults.contains(&Fault::Upgrade) && faults.iter().any(|fault| fault.stops_an_engine()));
        std::thread::scope(|scope| {
            for (k, fault) in faults.into_iter().enumerate() {
                let (service, generator) = (&service, &generator);
                scope.spawn(move || {
                    std::thread::sleep(apart * k as u32);
                    happen(fault, service, generator, fastrand::Rng::with_seed(seed));
                });
            }
        });
        pairs += 1;
        // Until then nobody is answered; after the wait, everybody is.
        whole(&service);
        generator.more(3);
        calm(&service);
    }
    let books = generator.stop();
    whole(&service);
    if let Err(error) = operate("reload", &service) {
        report.broken.push(error);
    }
    report.saw(format!("{pairs} pairs; {}", books.summary()));
    report.broken.extend(books.lost());
    let of = |kind: &str| books.problems.iter().filter(|problem| *problem == kind).count();
    let (poison, unfinished) = (of("422 poison_input"), of("503 draining"));
    report.must(
        books.problems.len() == poison + unfinished,
        format!("{} problems, such as {:?}", books.problems.len(), books.problems.first()),
    );
    report.must(books.refused.is_empty(), format!("{} requests were refused", books.refused.len()));
    report.must(
        unfinished == 0 || stalled > 0,
        format!("{unfinished} requests were told that the service stops, and no engine stood still during an upgrade"),
    );
    report
        .must(poison as u32 <= lethal, format!("{poison} requests were taken for poison in {lethal} pairs"));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

fn happen(fault: Fault, service: &Service, generator: &Generator, mut chance: fastrand::Rng) {
    let signal = |pid, signal| {
        let _ = kill(pid, signal); // it may be gone already: another fault was faster
    };
    match fault {
        Fault::KillEngine => {
            if let Some((_, pid)) = engine(service) {
                signal(pid, Signal::SIGKILL);
            }
        }
        Fault::KillFrontend(slot) => drop(kill_frontend(service, slot, generator.ledger())),
        Fault::HangEngine => {
            if let Some((_, pid)) = engine(service) {
                signal(pid, Signal::SIGSTOP);
            }
        }
        Fault::HangFrontend(slot) => {
            let pid = service.frontends()[slot];
            signal(pid, Signal::SIGSTOP);
            generator.ledger().excuse(&clients_of(pid), &format!("frontend {slot} hung and was killed"));
        }
        Fault::PauseEngine => {
            if let Some((_, pid)) = engine(service) {
                signal(pid, Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(chance.u64(..800)));
                signal(pid, Signal::SIGCONT);
            }
        }
        Fault::PauseFrontend(slot) => {
            let pid = service.frontends()[slot];
            signal(pid, Signal::SIGSTOP);
            // The other fault may end it while it stands.
            generator.ledger().excuse(&clients_of(pid), &format!("frontend {slot} was stopped, and killed"));
            std::thread::sleep(Duration::from_millis(chance.u64(..800)));
            signal(pid, Signal::SIGCONT);
        }
        // Whether they succeed depends on the other fault; that the service is whole afterwards does not.
        Fault::Reload => {
            service.change("frontend", "deadline", &format!("{}s", 30 - chance.u8(..5)));
            let _ = operate("reload", service);
        }
        Fault::SwapModel => {
            let name = ["yolov8.onnx", "slow.onnx"][chance.usize(..2)];
            service.change("model", "path", asset(name).to_str().expect("UTF-8"));
            let _ = operate("reload", service);
        }
        Fault::Upgrade => {
            install(service);
            let _ = operate("upgrade", service);
        }
        Fault::ClientsVanish => {
            vanish(service.address().parse().expect("an address"), 50, &mut chance);
        }
        Fault::ClientsDrip => {
            let slow = SlowClients::start(service.address().parse().expect("an address"), 100);
            std::thread::sleep(Duration::from_secs(2));
            slow.stop();
        }
    }
}
