//! `detectd reload` under load: another model, another configuration, a broken one; nobody is refused, and the exit status
//! tells what came of it. And the engine's standby.

use crate::families::assert_answer;
use e2e::load::Load;
use e2e::pictures::{COLOURS, plain};
use e2e::service::{Service, asset, root, run, wait_for, with_model};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use shm_proto::board::ProcessState;
use std::process::Output;

const RED: [u8; 3] = COLOURS[0].1;

fn answers(model: &str) -> Value {
    let text = std::fs::read_to_string(asset("answers.json")).expect("the answers lie beside the models");
    serde_json::from_str::<Value>(&text).expect("JSON")[model]["red"].clone()
}

fn reload(service: &Service) -> Output {
    run(&["reload", "--name", service.name(), "--timeout", "30s"])
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn models_are_swapped_under_load_and_nobody_is_refused() {
    let service = Service::start(&with_model("yolov8"));
    let load = Load::start(&service.url(), 4, &plain(RED));
    for model in ["yolov8_rows", "yolov8", "yolox"] {
        load.more(20);
        service.change("model", "path", asset(&format!("{model}.onnx")).to_str().expect("UTF-8"));
        let output = reload(&service);
        assert!(output.status.success(), "{}", errors(&output));
        assert!(service.board().model().starts_with(&format!("{model} ")), "{}", service.board().model());
        assert_answer(&answers(model), &service.client().detect(&plain(RED)), model);
        load.more(20);
    }
    load.stop().assert_clean("three swaps");
    // The old engines are gone, and so are their arenas.
    let engines = |board: &shm_proto::board::Board| {
        (0..2).filter(|&slot| board.engine(slot).state() == ProcessState::Ready).count()
    };
    wait_for("one engine", || (engines(&service.board()) == 1).then_some(()));
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", service.pid())).expect("our child");
    assert_eq!(maps.matches("detectd-arena").count(), 1, "{maps}");
}

#[test]
fn a_model_file_that_was_replaced_in_its_place_is_taken_up() {
    let service = Service::start(&with_model("yolov8"));
    let path = service.folder().join("model.onnx");
    std::fs::copy(asset("yolov8.onnx"), &path).expect("a copy");
    service.change("model", "path", path.to_str().expect("UTF-8"));
    assert!(reload(&service).status.success());
    let before = service.board().model();
    std::fs::copy(asset("yolov8_rows.onnx"), &path).expect("a copy");
    std::fs::copy(asset("yolov8_rows.toml"), path.with_extension("toml")).expect("a copy");
    assert!(reload(&service).status.success());
    assert_ne!(service.board().model(), before);
    assert_answer(&answers("yolov8_rows"), &service.client().detect(&plain(RED)), "the new file");
}

#[test]
fn what_is_broken_changes_nothing_and_is_named() {
    let service = Service::start(&with_model("yolov8"));
    let before = service.frontends();
    let load = Load::start(&service.url(), 2, &plain(RED));
    let good = service.config();
    let cases = [
        ("model", "path", asset("broken.onnx"), "broken.onnx"),
        ("model", "path", "/nowhere.onnx".into(), "/nowhere.onnx"),
        ("frontend", "deadlin", "1s".into(), "config.toml:"),
    ];
    for (section, key, value, word) in cases {
        service.change(section, key, value.to_str().expect("UTF-8"));
        let output = reload(&service);
        assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
        assert!(errors(&output).contains(word), "{word}? {}", errors(&output));
        assert!(errors(&output).contains("nothing changed"), "{}", errors(&output));
        service.write_config(&good);
        load.more(10);
    }
    load.stop().assert_clean("broken reloads");
    assert_eq!(service.frontends(), before, "no frontend was touched");
    assert_answer(&answers("yolov8"), &service.client().detect(&plain(RED)), "the old model");
    // And a good one works after all that.
    service.change("frontend", "deadline", "7s");
    let pid = service.pid().to_string();
    assert!(run(&["reload", "--pid", &pid, "--timeout", "30s"]).status.success());
    assert_ne!(service.frontends(), before);
}

/// A copy of `colours` whose golden answer says something else.
fn mistaken(service: &Service) -> String {
    let models = root().join("models");
    let path = service.folder().join("colours.onnx");
    for name in ["colours.onnx", "colours.toml", "colours.jpg"] {
        std::fs::copy(models.join(name), service.folder().join(name)).expect("a copy");
    }
    let golden = std::fs::read_to_string(models.join("colours.json")).expect("the golden answer");
    let wrong = golden.replace("\"yellow\"", "\"cyan\"");
    assert_ne!(golden, wrong);
    std::fs::write(service.folder().join("colours.json"), wrong).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_model_that_fails_its_golden_test_does_not_come_into_service() {
    let service = Service::start(&with_model("yolov8"));
    let load = Load::start(&service.url(), 2, &plain(RED));
    service.change("model", "path", &mistaken(&service));
    let output = reload(&service);
    assert_eq!(output.status.code(), Some(78), "{}", errors(&output));
    assert!(errors(&output).contains("golden"), "{}", errors(&output));
    load.more(10);
    load.stop().assert_clean("a refused model");
    assert_answer(&answers("yolov8"), &service.client().detect(&plain(RED)), "the old model");
    // With it, no service starts, either.
    let mut other =
        Service::launch(&format!("[model]\npath = {:?}\n", service.folder().join("colours.onnx")), &[]);
    assert_eq!(other.wait().code(), Some(2), "{}", other.log());
    assert!(other.log().contains("golden"), "{}", other.log());
}

#[test]
fn a_reload_of_nothing_that_runs_says_so() {
    let output = run(&["reload", "--name", "nobody-has-this-name"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("nobody-has-this-name"), "{}", errors(&output));
}

#[test]
fn a_standby_takes_over_when_the_engine_is_killed_and_nobody_notices() {
    let service = Service::start(&(with_model("yolov8") + "[engine]\nstandby = true\n"));
    let board = service.board();
    let load = Load::start(&service.url(), 4, &plain(RED));
    for round in 0..4 {
        let (serving, spare) = (round % 2, 1 - round % 2);
        wait_for("a standby", || (board.engine(spare).state() == ProcessState::Standby).then_some(()));
        load.more(20);
        kill(nix::unistd::Pid::from_raw(board.engine(serving).pid() as i32), Signal::SIGKILL)
            .expect("the engine");
        wait_for("its successor", || (board.engine(spare).state() == ProcessState::Ready).then_some(()));
        load.more(20);
    }
    load.stop().assert_clean("four dead engines");
    // A reload gives the standby's place to the new model, and a standby of the new one takes it.
    service.change("model", "path", asset("yolox.onnx").to_str().expect("UTF-8"));
    let output = reload(&service);
    assert!(output.status.success(), "{}", errors(&output));
    assert_answer(&answers("yolox"), &service.client().detect(&plain(RED)), "the new model");
    let standby = || (0..2).any(|slot| board.engine(slot).state() == ProcessState::Standby);
    wait_for("a standby of the new model", || standby().then_some(()));
}
