//! What operators do under load: reload, swap the model, upgrade, restart; and what they do wrong.

use super::settings;
use crate::chaos::faults::{calm, whole};
use crate::chaos::generator::{Generator, Pace};
use crate::chaos::report::{Report, spread};
use crate::chaos::rest::Rest;
use crate::chaos::{Plan, rate};
use crate::service::{Service, asset, copy_program, executable, run};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

/// `detectd reload` or `detectd upgrade`: whether it says that it is done, and what it says otherwise.
pub(super) fn operate(command: &str, service: &Service) -> Result<(), String> {
    let output = run(&[command, "--name", service.name(), "--timeout", "60s"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command}: {}: {said}", output.status)) }
}

/// Puts a copy of the executable in the place of the one that the service was started from, as a package does.
pub(super) fn install(service: &Service) {
    // Another name each time: two upgrades may be asked for at once.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let new = service.folder().join(format!("new-{}", COUNT.fetch_add(1, Relaxed)));
    copy_program(executable(), &new);
    std::fs::rename(&new, service.program()).expect("the same folder");
}

/// The frame of these scenarios: a service under load, something done to it so many times, a look at what is left.
fn changed(
    plan: &Plan,
    mut report: Report,
    service: Service,
    times: u32,
    mut change: impl FnMut(u32, &Service) -> Result<(), String>,
) -> Report {
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let mut took = Vec::new();
    for round in 0..times {
        calm(&service);
        generator.more(3);
        let begun = Instant::now();
        if let Err(error) = change(round, &service) {
            report.broken.push(error);
            break;
        }
        took.push(begun.elapsed());
    }
    generator.more(3);
    let books = generator.stop();
    whole(&service);
    report.books(&books);
    report.saw(format!("each took {}", spread(took)));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// Reloads that replace every frontend.
pub fn reloads(plan: &Plan) -> Report {
    let times = plan.pick(20, 2);
    let report = Report::new(&format!("rolling reload, {times} times"), "0 failed, 0 refused");
    changed(plan, report, Service::start(&settings("")), times, |round, service| {
        service.change("frontend", "deadline", &format!("{}s", 30 - round % 2));
        operate("reload", service)
    })
}

/// Reloads that load another model.
pub fn model_swaps(plan: &Plan) -> Report {
    let times = plan.pick(10, 2);
    let report = Report::new(&format!("another model, {times} times"), "0 failed, 0 refused");
    changed(plan, report, Service::start(&settings("")), times, |round, service| {
        let model = asset(["yolov8.onnx", "slow.onnx"][round as usize % 2]);
        service.change("model", "path", model.to_str().expect("UTF-8"));
        operate("reload", service)
    })
}

/// Another program in the same process.
pub fn upgrades(plan: &Plan) -> Report {
    let times = plan.pick(5, 1);
    let report = Report::new(
        &format!("upgrade to another program, {times} times"),
        "0 failed, 0 refused; the process id stays",
    );
    let service = Service::start_copy(&settings(""));
    changed(plan, report, service, times, |_, service| {
        install(service);
        operate("upgrade", service)?;
        let board = service.board();
        let stays = board.supervisor() == service.pid().as_raw().cast_unsigned();
        if stays { Ok(()) } else { Err("the process id has changed".to_owned()) }
    })
}

/// SIGTERM and a new start, with the listening socket held by somebody else as systemd does.
pub fn restarts_on_a_socket(plan: &Plan) -> Report {
    let times = plan.pick(5, 1);
    let mut report = Report::new(
        &format!("SIGTERM and start again on a socket that is passed, {times} times"),
        "0 failed, 0 refused",
    );
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut service = Service::start_on(&socket, &settings(""));
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let mut took = Vec::new();
    for _ in 0..times {
        calm(&service);
        generator.more(5);
        let begun = Instant::now();
        service.signal(nix::sys::signal::Signal::SIGTERM);
        let status = service.wait();
        report.must(status.success(), format!("it ended with {status}"));
        service.start_again_on(&socket);
        took.push(begun.elapsed());
    }
    generator.more(5);
    let books = generator.stop();
    report.books(&books);
    report.saw(format!("each took {}", spread(took)));
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}

/// Reloads of what is broken.
pub fn broken_changes(plan: &Plan) -> Report {
    let mut report = Report::new(
        "reload of a broken configuration, a broken model, one that is not there, one that fails",
        "0 failed, nothing changed, exit 78 and a report with file and line",
    );
    let service = Service::start(&settings(""));
    let rate = rate(&service, plan);
    let rest = Rest::of(&service);
    let before = (service.frontends(), service.engine(), service.board().generation());
    let generator = Generator::start(service.address(), Pace::Open(rate));
    let good = service.config();
    let path = |name: &str| asset(name).to_str().expect("UTF-8").to_owned();
    let unknown_key = format!("{good}\n[frontend.nothing]\nof = \"the kind\"\n");
    let no_toml = good.replacen('[', "[[[", 1);
    let model = |value: &str| {
        let mut config: toml::Table = good.parse().expect("TOML");
        let change = format!("[model]\npath = {value:?}\n");
        crate::service::merge(&mut config, change.parse().expect("TOML"));
        config.to_string()
    };
    let cases = [
        (unknown_key, "config.toml:"),
        (no_toml, "config.toml:"),
        (model(&path("broken.onnx")), "broken.onnx"),
        (model("/nowhere.onnx"), "/nowhere.onnx"),
        (model(&path("two_inputs.onnx")), "two_inputs.onnx"),
    ];
    for (config, word) in cases {
        generator.more(2);
        service.write_config(&config);
        let output = run(&["reload", "--name", service.name(), "--timeout", "60s"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        report.must(output.status.code() == Some(78), format!("exit {:?}: {said}", output.status.code()));
        report.must(said.contains(word), format!("no {word:?} in {said:?}"));
        report.must(said.contains("nothing changed"), said);
    }
    service.write_config(&good);
    generator.more(2);
    let books = generator.stop();
    report.must(
        (service.frontends(), service.engine(), service.board().generation()) == before,
        "something changed",
    );
    report.books(&books);
    report.broken.extend(rest.complaints(&service));
    report.must(service.stop().success(), "the service did not stop cleanly");
    report
}
