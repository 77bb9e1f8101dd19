//! The commands beside `serve`: what they say and the exit codes they end with.

use e2e::service::{Service, asset, root, run, with_model};
use serde_json::Value;
use std::process::Output;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn check_says_yes_to_the_repository_s_own_configuration() {
    let config = root().join("config.toml");
    // Another port, so that a service that runs on the usual one is not in the way.
    let output = run(&["check", "--config", config.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn check_says_no_to_a_broken_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    for config in
        ["[engine]\nlnaes = 1\n".to_owned(), format!("[model]\npath = {:?}\n", asset("broken.onnx"))]
    {
        std::fs::write(&path, config).expect("room");
        let output = run(&["check", "--config", path.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    }
}

#[test]
fn check_says_whether_pictures_can_be_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    // Nobody, not even root, makes a folder in a file.
    for (root, exit, word) in [("kept", 0, "can be written"), ("config.toml/kept", 2, "config.toml: ")] {
        let harvest = format!("[harvest]\nenabled = true\nroot = {root:?}\n");
        std::fs::write(&path, with_model("yolov8") + &harvest).expect("room");
        let output = run(&["check", "--config", path.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(exit), "{}", said(&output));
        let line = said(&output).lines().find(|line| line.contains("harvest")).map(str::to_owned);
        assert!(line.as_ref().is_some_and(|line| line.contains(word)), "{line:?}");
    }
    assert!(!folder.path().join("kept").exists(), "check makes nothing");
}

#[test]
fn inspect_says_what_a_model_is() {
    let model = asset("yolov8.onnx");
    let output = run(&["model", "inspect", model.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = said(&output);
    for word in ["yolov8", "detect", "96", "64", "red"] {
        assert!(text.contains(word), "no {word} in:\n{text}");
    }
    let output = run(&["model", "inspect", model.to_str().expect("UTF-8"), "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert!(json.to_string().contains("yolov8"));
    let output = run(&["model", "inspect", asset("broken.onnx").to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn status_shows_the_running_service_even_when_it_is_stuck() {
    let service = Service::start(&with_model("yolov8"));
    let frontends = service.frontends();
    // Stopped processes answer nothing; the board still says who they are.
    for &pid in &frontends {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).expect("a frontend");
    }
    let output = run(&["status", "--name", service.name(), "--json"]);
    for &pid in &frontends {
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT);
    }
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    for pid in frontends.iter().chain([&service.engine()]) {
        assert!(json.to_string().contains(&pid.to_string()), "no {pid} in {json:#}");
    }
    let text = said(&run(&["status", "--name", service.name()]));
    assert!(text.contains("ready") && text.contains("engine"), "{text}");
}

#[test]
fn status_of_nothing_says_so() {
    let output = run(&["status", "--name", "e2e-no-such-service"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(said(&output).contains("e2e-no-such-service"), "{}", said(&output));
}

#[test]
fn wrong_words_are_a_usage_error() {
    assert_eq!(run(&["srve"]).status.code(), Some(2));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    // Roles are started by the supervisor only.
    assert_ne!(run(&["role", "engine", "--control", "nowhere"]).status.code(), Some(0));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let config = "[service]\nprocs = 1\n".to_owned() + &with_model("yolov8");
    let mut service = Service::launch(&config, &["--procs", "3"]);
    service.wait_ready();
    assert_eq!(service.frontends().len(), 3);
}
