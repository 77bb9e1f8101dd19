//! The engine is killed, hangs, or meets a picture that kills it.

use super::settings;
use crate::chaos::faults::{calm, next_engine, serving_engine, standby, whole};
use crate::chaos::generator::{Generator, Pace, request};
use crate::chaos::report::{Report, millis, spread};
use crate::chaos::rest::Rest;
use crate::chaos::wire::Connection;
use crate::chaos::{Plan, rate};
use crate::pictures::plain;
use crate::service::{Service, wait_for, with_model};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Most that a pause lasts beyond loading and warming up the model.
const BEYOND_LOADING: Duration = Duration::from_millis(500);
/// Most that it lasts with a standby, beyond one run and the time until the next request comes.
const WITH_STANDBY: Duration = Duration::from_millis(150);

/// kill -9 of the engine, again and again.
pub fn engine_kills(plan: &Plan) -> Report {
    kills(plan, false)
}

/// The same with a standby.
pub fn standby_kills(plan: &Plan) -> Report {
    kills(plan, true)
}

fn kills(plan: &Plan, with_standby: bool) -> Report {
    let times = plan.pick(30, 2);
    let mut report = if with_standby {
        Report::new(
            &format!("kill -9 engine with a standby, {times} times"),
            "0 failed; pause at most 150 ms and a run",
        )
    } else {
        Report::new(
            &format!("kill -9 engine, {times} times"),
            "0 failed; pause at most load + warm-up + 0.5 s",
        )
    };
    let service = Service::start(&settings(&format!("[engine]\nstandby = {with_standby}\n")));
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let (mut pauses, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..times {
        // Two standbys that die in a row before they have worked would be delayed, as they should.
        std::thread::sleep(Duration::from_millis(plan.pick(1000, 100)));
        calm(&service);
        if with_standby {
            standby(&service);
        }
        generator.more(plan.pick(10, 3));
        let (_, old) = serving_engine(&service);
        let killed = Instant::now();
        kill(old, Signal::SIGKILL).expect("the engine");
        let ready = next_engine(&service, old);
        let board = service.board();
        let (slot, _) = serving_engine(&service);
        let started = board.engine(slot).figures().started;
        let load = Duration::from_nanos(shm_proto::clock::now().saturating_sub(started));
        generator.more(plan.pick(10, 3));
        let answers = generator.ledger().answers_since(killed);
        let points: Vec<Instant> = std::iter::once(killed).chain(answers).collect();
        let pause = points
            .windows(2)
            .filter(|pair| pair[0] <= ready + Duration::from_secs(1))
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or_default();
        let unhurried = Duration::from_secs_f64(1.0 / rate) + run_time(&service);
        if with_standby {
            report.within("a pause lasted", pause, WITH_STANDBY + unhurried);
        } else {
            report.within("a pause lasted", pause, load + BEYOND_LOADING + unhurried);
            loads.push(load);
        }
        pauses.push(pause);
    }
    let books = generator.stop();
    whole(&service);
    if with_standby {
        standby(&service);
    }
    report.books(&books);
    report.saw(format!("pause {}", spread(pauses)));
    if !loads.is_empty() {
        report.saw(format!("load + warm-up {}", spread(loads)));
    }
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// The mean time of a run.
fn run_time(service: &Service) -> Duration {
    use shm_proto::board::Stage;
    let board = service.board();
    let mean = (0..board.frontends() as u8)
        .map(|slot| board.frontend(slot).figures().stage(Stage::Infer).mean())
        .fold(0.0, f64::max);
    Duration::from_nanos(mean as u64)
}

/// SIGSTOP of the engine: seen by its heartbeat, ended, replaced; waking it up later changes nothing.
pub fn engine_hangs(plan: &Plan) -> Report {
    let times = plan.pick(3, 1);
    let bound = Duration::from_secs(3 + 2); // silence, then from SIGABRT to SIGKILL
    let mut report = Report::new(
        &format!("SIGSTOP engine, {times} times, silence of 3 s allowed"),
        "0 failed; replaced within 5 s + load + 1 s; a later SIGCONT does nothing",
    );
    let service = Service::start(&settings("[service]\nengine_silence = \"3s\"\n"));
    let rate = rate(&service, plan).min(20.0); // what comes during the pause must find room
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let mut delays = Vec::new();
    for _ in 0..times {
        calm(&service);
        generator.more(5);
        let (_, old) = serving_engine(&service);
        let stopped = Instant::now();
        kill(old, Signal::SIGSTOP).expect("the engine");
        let delay = next_engine(&service, old) - stopped;
        let _ = kill(old, Signal::SIGCONT); // it is gone and reaped: nobody hears this
        let board = service.board();
        let (slot, _) = serving_engine(&service);
        let load = shm_proto::clock::now().saturating_sub(board.engine(slot).figures().started);
        report.within(
            "it was replaced after",
            delay,
            bound + Duration::from_nanos(load) + Duration::from_secs(1),
        );
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

/// A picture that engines die of, among others.
pub fn poison(plan: &Plan) -> Report {
    let mut report = Report::new(
        "a picture that engines die of, among good ones",
        "its sender is answered 422, all others 200, at most 2 engine restarts; the same picture again: 422, no restart",
    );
    let service =
        Service::start(&settings(&format!("{}[engine]\nrun_timeout = \"1s\"\n", with_model("hang"))));
    let generator = Generator::start(service.address(), Pace::Open(plan.pick(60.0, 20.0)));
    generator.more(10);
    let restarts = || {
        let board = service.board();
        (0..2).map(|slot| board.engine(slot).figures().restarts).sum::<u32>()
    };
    for round in 0..2 {
        let before = restarts();
        let sent = Instant::now();
        let answer = Connection::open(service.address().parse().expect("an address"))
            .and_then(|mut connection| connection.ask(&request("poison", &plain([255, 0, 0]), true)));
        let took = sent.elapsed();
        let (status, code) = answer.map_or((0, "no answer".to_owned()), |answer| {
            let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            (answer.status, document["code"].as_str().unwrap_or_default().to_owned())
        });
        report.must(
            (status, code.as_str()) == (422, "poison_input"),
            format!("its sender was answered {status} {code}"),
        );
        wait_for("an engine", || crate::chaos::faults::engine(&service));
        let deaths = restarts() - before;
        report.saw(format!(
            "sent the {} time: {status} after {}, {deaths} restarts",
            ["first", "second"][round],
            millis(took)
        ));
        report.must(deaths <= 2 * u32::from(round == 0), format!("{deaths} restarts"));
        generator.more(10);
    }
    let books = generator.stop();
    report.books(&books);
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}
