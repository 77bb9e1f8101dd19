//! What is said when a service cannot start: one clear line with what, where and what to do, and exit code 2.

use e2e::service::{asset, command, root};
use std::net::TcpListener;
use std::process::Output;

/// Starts a service that must not come up.
fn refuse(config: &str, environment: &[(&str, &str)]) -> (Output, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config).expect("room");
    let mut serve = command(&["serve", "--listen", "127.0.0.1:0", "--config", path.to_str().expect("UTF-8")]);
    serve.env(
        "DETECTD_SERVICE__NAME",
        format!("e2e-start-{}", std::process::id()) + &config.len().to_string(),
    );
    serve.envs(environment.iter().copied());
    let output = serve.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

fn assert_refused(config: &str, environment: &[(&str, &str)], words: &[&str]) {
    let (output, said) = refuse(config, environment);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let line = said.lines().find(|line| words.iter().all(|word| line.contains(word)));
    assert!(line.is_some(), "no line with {words:?} in:\n{said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
}

fn model(name: &str) -> String {
    format!("[model]\npath = {:?}\n", asset(name))
}

#[test]
fn a_key_that_does_not_exist() {
    assert_refused("[engine]\nmax_bacth = 4\n", &[], &["config.toml", "max_bacth", "max_batch"]);
}

#[test]
fn a_value_that_makes_no_sense() {
    for (settings, words) in [
        ("[frontend]\ndeadline = \"soon\"\n", ["deadline", "soon"]),
        ("[service]\nprocs = 1000\n", ["procs", "64"]),
        ("[engine]\ndevice = \"abacus\"\n", ["device", "abacus"]),
    ] {
        assert_refused(&(model("yolov8.onnx") + settings), &[], &words);
    }
}

#[test]
fn a_file_that_is_no_toml() {
    assert_refused("[engine\n", &[], &["config.toml"]);
}

#[test]
fn a_model_that_is_not_there() {
    assert_refused("[model]\npath = \"nowhere.onnx\"\n", &[], &["nowhere.onnx"]);
}

#[test]
fn a_model_that_is_none() {
    assert_refused(&model("broken.onnx"), &[], &["broken.onnx"]);
}

#[test]
fn a_model_that_cannot_be_served() {
    assert_refused(&model("two_inputs.onnx"), &[], &["two_inputs.onnx", "input"]);
}

#[test]
fn a_runtime_that_is_missing() {
    let empty = tempfile::tempdir().expect("a folder");
    let nowhere = empty.path().to_str().expect("UTF-8");
    let environment =
        [("DETECTD_CACHE", nowhere), ("XDG_CACHE_HOME", nowhere), ("HOME", nowhere), ("ORT_DYLIB_PATH", "")];
    let (output, said) = refuse(&model("yolov8.onnx"), &environment);
    if output.status.code() == Some(0) || said.contains("ready") {
        println!("SKIPPED: the system has a runtime of its own");
        return;
    }
    assert_refused(&model("yolov8.onnx"), &environment, &["ONNX Runtime", "fetch-runtime"]);
    let config = model("yolov8.onnx") + "[engine]\nruntime = \"/nowhere/libonnxruntime.so\"\n";
    assert_refused(&config, &[], &["/nowhere/libonnxruntime.so"]);
}

#[test]
fn a_gpu_without_its_provider() {
    let config = model("yolov8.onnx") + "[engine]\ndevice = \"cuda:0\"\n";
    let (output, said) = refuse(&config, &[]);
    // With a GPU and its library this starts; here it must say what is missing.
    assert!(matches!(output.status.code(), Some(2 | 75)), "{said}");
    assert!(said.to_lowercase().contains("cuda"), "{said}");
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = root().join("config.toml");
    let output = command(&["serve", "--listen", &address, "--config", config.to_str().expect("UTF-8")])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.lines().any(|line| line.contains(&address)), "{said}");
}

#[test]
fn a_second_service_of_the_same_name() {
    let first = e2e::service::Service::start(&model("yolov8.onnx"));
    let config = format!("[service]\nname = {:?}\n{}", first.name(), model("yolov8.onnx"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, config).expect("room");
    let output = command(&["serve", "--listen", "127.0.0.1:0", "--config", path.to_str().expect("UTF-8")])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&first.pid().to_string()), "{said}");
    assert_eq!(first.client().get("/readyz").status, 200);
}
