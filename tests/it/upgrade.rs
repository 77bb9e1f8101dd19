//! `detectd upgrade` under load: another program in the same process, a file that is none, one that cannot serve.

use e2e::load::Load;
use e2e::pictures::{COLOURS, plain};
use e2e::service::{Service, copy_program, executable, run, wait_for, with_model};
use nix::sys::signal::Signal;
use shm_proto::board::Counter;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const RED: [u8; 3] = COLOURS[0].1;

fn upgrade(service: &Service) -> Output {
    run(&["upgrade", "--name", service.name(), "--timeout", "60s"])
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Puts another file in the program's place in one step, as a package does.
fn replace(service: &Service, content: &str) {
    let source = service.folder().join("source");
    std::fs::write(&source, content).expect("room");
    std::fs::set_permissions(&source, PermissionsExt::from_mode(0o755)).expect("our file");
    replace_by(service, &source);
}

fn replace_by(service: &Service, program: &Path) {
    let new = service.folder().join("new");
    copy_program(program, &new);
    std::fs::rename(&new, service.program()).expect("the same folder");
}

fn requests(service: &Service) -> u64 {
    let board = service.board();
    (0..board.frontends() as u8).map(|slot| board.frontend(slot).counter(Counter::Requests)).sum()
}

/// Processes whose parent is the supervisor.
fn children(service: &Service) -> Vec<String> {
    let path = format!("/proc/{0}/task/{0}/children", service.pid());
    let text = std::fs::read_to_string(path).expect("our child");
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_new_program_takes_over_in_the_same_process_and_nobody_notices() {
    let service = Service::start_copy(&with_model("yolov8"));
    let load = Load::start(&service.url(), 4, &plain(RED));
    for _ in 0..3 {
        load.more(20);
        replace_by(&service, executable());
        let (before, counted) = (service.frontends(), requests(&service));
        let output = upgrade(&service);
        assert!(output.status.success(), "{}\n{}", errors(&output), service.log());
        assert!(String::from_utf8_lossy(&output.stdout).contains("upgraded to detectd"));
        assert!(service.frontends().iter().all(|pid| !before.contains(pid)), "they are new processes");
        assert!(requests(&service) >= counted, "what was counted is kept");
        load.more(20);
    }
    let outcome = load.stop();
    outcome.assert_clean("three upgrades");
    wait_for("the former processes to leave", || (children(&service).len() == 3).then_some(()));
    assert!(requests(&service) >= outcome.answered, "nobody's answers are forgotten");
    let open = std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("our child").count();
    assert!(upgrade(&service).status.success());
    wait_for("the former processes to leave", || (children(&service).len() == 3).then_some(()));
    let now = std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("our child").count();
    assert!(now <= open + 1, "{open} descriptors became {now}");
    assert!(service.stop().success());
}

#[test]
fn what_cannot_serve_is_refused_and_changes_nothing() {
    let service = Service::start_copy(&with_model("yolov8"));
    let load = Load::start(&service.url(), 2, &plain(RED));
    let before = service.frontends();
    replace(&service, "no program at all");
    let output = upgrade(&service);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("nothing changed"), "{}", errors(&output));
    replace_by(&service, executable());
    let good = service.config();
    service.change("frontend", "deadlin", "1s");
    let output = upgrade(&service);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("deadlin"), "{}", errors(&output));
    assert_eq!(service.frontends(), before, "no process was touched");
    service.write_config(&good);
    assert!(upgrade(&service).status.success());
    load.stop().assert_clean("refused upgrades");
}

#[test]
fn a_program_that_does_not_become_ready_is_taken_back() {
    let service = Service::start_copy(&with_model("yolov8"));
    let real = executable().display();
    let load = Load::start(&service.url(), 2, &plain(RED));
    // One refuses its arguments at once, the other finds no model when everything else is there.
    for (wrong, word) in
        [("service.procs=9999", "service.procs"), ("model.path=/nowhere.onnx", "/nowhere.onnx")]
    {
        let script = format!("#!/bin/sh\n[ $1 = check ] && exit 0\nexec {real} \"$@\" --set {wrong}\n");
        replace(&service, &script);
        let output = upgrade(&service);
        assert_eq!(output.status.code(), Some(78), "{}\n{}", errors(&output), service.log());
        assert!(errors(&output).contains(word), "{word}? {}", errors(&output));
        load.more(20);
        wait_for("the former processes to leave", || (children(&service).len() == 3).then_some(()));
    }
    // The program that serves has lost nothing: neither its arguments nor the place where it looks for the next one.
    replace_by(&service, executable());
    let output = upgrade(&service);
    assert!(output.status.success(), "{}", errors(&output));
    load.more(20);
    load.stop().assert_clean("two programs that could not serve");
}

#[test]
fn a_service_that_is_stopped_in_the_middle_of_an_upgrade_stops() {
    let mut service = Service::start_copy(&with_model("yolov8"));
    service.signal(Signal::SIGUSR2);
    wait_for("the upgrade to begin", || service.log().contains("handing over").then_some(()));
    service.signal(Signal::SIGTERM);
    assert!(service.wait().success(), "{}", service.log());
}

/// The status of a page, asked by a client that takes the certificate as it is; `None` where there is no curl.
fn page(url: &str) -> Option<String> {
    let output =
        Command::new("curl").args(["-ks", "-o", "/dev/null", "-w", "%{http_code}", url]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_reload_that_is_asked_for_during_an_upgrade_is_done_by_the_new_program() {
    let service = Service::start_copy(&with_model("yolov8"));
    replace_by(&service, executable());
    service.signal(Signal::SIGUSR2);
    // The new program is being tried, which takes longer than a signal.
    wait_for("the upgrade to begin", || (service.board().changes().begun == 1).then_some(()));
    let output = run(&["reload", "--name", service.name(), "--timeout", "30s"]);
    assert!(output.status.success(), "{}\n{}", errors(&output), service.log());
    assert_eq!(service.board().changes().begun, 2, "{}", service.log());
}

#[test]
fn the_identity_and_the_operators_door_stay() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("an identity");
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("room");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("room");
    let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let service = Service::start_copy(&format!(
        "{}[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n[access]\nadmin_listen = \"{door}\"\n",
        with_model("yolov8")
    ));
    assert!(service.log().contains(&format!("https://{}", service.address())), "{}", service.log());
    for change in ["", "upgrade", "reload", "upgrade"] {
        if !change.is_empty() {
            let output = run(&[change, "--name", service.name(), "--timeout", "60s"]);
            assert!(output.status.success(), "{change}: {}\n{}", errors(&output), service.log());
        }
        let Some(health) = page(&format!("https://{}/healthz", service.address())) else {
            eprintln!("SKIPPED: there is no curl");
            return;
        };
        assert_eq!(health, "200", "after {change:?}");
        assert_eq!(
            page(&format!("https://{}/metrics", service.address())).as_deref(),
            Some("404"),
            "after {change:?}"
        );
        assert_eq!(page(&format!("https://{door}/metrics")).as_deref(), Some("200"), "after {change:?}");
    }
}
