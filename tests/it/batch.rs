//! Offline batches: every picture exactly once, whatever is killed meanwhile.

use e2e::client::Client;
use e2e::pictures::{COLOURS, plain};
use e2e::service::{asset, command, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use shm_proto::board::{Board, ServiceState};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Pictures in a folder, some of them none.
fn pictures(count: usize, bad: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("in")).expect("room");
    for number in 0..count + bad {
        let bytes =
            if number < count { plain(COLOURS[number % COLOURS.len()].1) } else { b"no picture".to_vec() };
        std::fs::write(folder.path().join(format!("in/{number:04}.png")), bytes).expect("room");
    }
    folder
}

/// A batch over `in` into `output`, with the model `slow`est that the tests have if it is to be caught under way.
fn batch(folder: &Path, output: &str, model: &str, more: &[&str]) -> Command {
    let model = asset(&format!("{model}.onnx"));
    let mut command = command(&["batch", "in", "-o", output, "--procs", "2", "--model"]);
    command.arg(model).args(more).current_dir(folder).stderr(Stdio::piped());
    command
}

fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().expect("the executable runs");
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("an answer file")
}

/// Waits until a batch has written so many lines of its journal.
fn under_way(folder: &Path, child: &mut Child, lines: usize) {
    wait_for("answers", || {
        assert!(child.try_wait().expect("our child").is_none(), "it ended before it was under way");
        let text = std::fs::read_to_string(folder.join("out.jsonl.part")).unwrap_or_default();
        (text.lines().count() > lines).then_some(())
    });
}

#[test]
fn answers_are_those_of_the_service_and_bad_pictures_are_counted() {
    let folder = pictures(12, 2);
    let output = run(batch(folder.path(), "out.jsonl", "yolov8", &[]), 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("14 of 14 pictures done, 2 of them without an answer"), "{said}");
    let text = read(folder.path(), "out.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 14);
    for (number, line) in lines[..12].iter().enumerate() {
        assert_eq!(line["image"], format!("in/{number:04}.png"));
        assert!(line["detections"].is_array() && line["width"] == 96, "{line}");
    }
    assert_eq!(lines[13]["error"]["code"], "not_an_image");
    assert!(!folder.path().join("out.jsonl.part").exists());
    // A second time only when that is meant.
    run(batch(folder.path(), "out.jsonl", "yolov8", &[]), 2);
    run(batch(folder.path(), "out.jsonl", "yolov8", &["--restart", "--quiet"]), 1);
    assert_eq!(read(folder.path(), "out.jsonl"), text);

    run(batch(folder.path(), "out.csv", "yolov8", &["--draw", "drawn"]), 1);
    assert_eq!(read(folder.path(), "out.csv").matches("not_an_image").count(), 2);
    assert!(folder.path().join("drawn/in/0000.png.jpg").is_file());
    run(batch(folder.path(), "out.json", "yolov8", &[]), 1);
    let coco: Value = serde_json::from_str(&read(folder.path(), "out.json")).expect("JSON");
    assert_eq!(coco["images"].as_array().expect("images").len(), 14);
    run(batch(folder.path(), "strict.csv", "yolov8", &["--strict"]), 1);
    assert!(!folder.path().join("strict.csv").exists());
}

#[test]
fn a_batch_that_was_killed_goes_on_without_losing_or_repeating_a_picture() {
    let folder = pictures(60, 1);
    run(batch(folder.path(), "whole.jsonl", "slow", &[]), 1);
    let mut left = 61;
    for kills in 1..=2 {
        let mut child = batch(folder.path(), "out.jsonl", "slow", &[]).spawn().expect("it starts");
        under_way(folder.path(), &mut child, kills * 15);
        let service = format!("batch-{}", child.id());
        child.kill().expect("our child");
        child.wait().expect("our child");
        // Its service does not outlive it.
        wait_for("the end of its service", || Board::open(&service).is_err().then_some(()));
        left = 61 + 1 - read(folder.path(), "out.jsonl.part").lines().count();
    }
    assert!(left < 32, "{left}");
    let output = run(batch(folder.path(), "out.jsonl", "slow", &[]), 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("61 of 61 pictures done"), "{said}");
    assert_eq!(read(folder.path(), "out.jsonl"), read(folder.path(), "whole.jsonl"));
}

/// The service of a batch reads its owner's files, so nobody else may ask it anything. Files that it does not reach, here by
/// links, are sent.
#[test]
fn a_batch_reads_files_for_its_owner_alone_and_sends_what_is_linked() {
    let folder = pictures(40, 0);
    let below = |name: &str| folder.path().join(name);
    std::fs::create_dir(below("far")).expect("room");
    std::fs::rename(below("in/0000.png"), below("far/0000.png")).expect("it is there");
    std::os::unix::fs::symlink(below("far"), below("in/a")).expect("room");
    std::os::unix::fs::symlink("0001.png", below("in/b.png")).expect("room");
    std::fs::hard_link(below("in/0002.png"), below("in/c.png")).expect("room");
    let mut child = batch(folder.path(), "out.jsonl", "slow", &[]).spawn().expect("it starts");
    under_way(folder.path(), &mut child, 3);
    let board = Board::open(&format!("batch-{}", child.id())).expect("a board");
    let address = board.listen();
    let asked = Client::new(&format!("http://{address}")).post(
        "/detect",
        "application/json",
        br#"{"type":"path","img":"0003.png"}"#,
    );
    assert_eq!(asked.status, 401, "{}", String::from_utf8_lossy(&asked.body));
    let output = child.wait_with_output().expect("our child");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = read(folder.path(), "out.jsonl");
    assert_eq!(text.matches("detections").count(), 42, "{text}");
    assert!(text.contains("in/a/0000.png") && text.contains("in/b.png") && text.contains("in/c.png"));
}

#[test]
fn a_batch_survives_the_death_of_its_engine_and_frontends() {
    let folder = pictures(40, 0);
    let mut child = batch(folder.path(), "out.jsonl", "slow", &[]).spawn().expect("it starts");
    under_way(folder.path(), &mut child, 5);
    let board = Board::open(&format!("batch-{}", child.id())).expect("a board");
    assert_eq!(board.state(), ServiceState::Ready);
    for pid in [board.engine(0).pid(), board.frontend(0).pid()] {
        kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it lives");
    }
    let output = child.wait_with_output().expect("our child");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = read(folder.path(), "out.jsonl");
    assert_eq!(text.matches("detections").count(), 40, "{text}");
}

#[test]
fn ctrl_c_ends_a_batch_in_good_order() {
    let folder = pictures(60, 0);
    let mut child = batch(folder.path(), "out.jsonl", "slow", &[]).spawn().expect("it starts");
    under_way(folder.path(), &mut child, 5);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it lives");
    let output = child.wait_with_output().expect("our child");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("the same command goes on"), "{said}");
    run(batch(folder.path(), "out.jsonl", "slow", &[]), 0);
    assert_eq!(read(folder.path(), "out.jsonl").lines().count(), 60);
}

#[test]
fn sorted_pictures_lie_there_once_and_make_a_data_set() {
    let folder = pictures(40, 2);
    let sort = ["--sort", "sorted"];
    let mut child = batch(folder.path(), "out.jsonl", "slow", &sort).spawn().expect("it starts");
    under_way(folder.path(), &mut child, 10);
    child.kill().expect("our child");
    child.wait().expect("our child");
    run(batch(folder.path(), "out.jsonl", "slow", &sort), 1);
    let export = ["export", "set", "--format", "coco", "--root", "sorted", "--state", "new"];
    let mut export = command(&export);
    export.current_dir(folder.path());
    run(export, 0);
    let images = |part: &str| {
        let text = read(folder.path(), &format!("set/annotations/instances_{part}.json"));
        let document: Value = serde_json::from_str(&text).expect("JSON");
        document["images"].as_array().expect("pictures").len()
    };
    assert_eq!(images("train") + images("val"), 40);
}
