//! The instruments: what they say must be what the service says of itself, and an experiment leaves everything it promises.

use e2e::pictures::sized;
use e2e::service::{Service, asset, command, run, with_model};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

/// A picture in a folder.
fn picture(folder: &Path) -> String {
    let path = folder.join("red.png");
    std::fs::write(&path, sized([255, 0, 0], 64, 48)).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_load_counts_what_the_service_counts() {
    let service = Service::start(&with_model("yolov8"));
    let picture = picture(service.folder());
    let load = run(&[
        "bench",
        "load",
        &service.url(),
        "--image",
        &picture,
        "-c",
        "4",
        "-n",
        "300",
        "--warmup",
        "0s",
        "--json",
    ]);
    let load = json(&load);
    assert_eq!((load["ok"].as_u64(), load["errors"].as_u64()), (Some(300), Some(0)), "{load:#}");
    let stats = service.client().get("/stats").ok();
    let all = &stats["windows"]["all"];
    assert_eq!(all["detections"], 300);
    // The generator sees what the service sees, and the way there and back on top.
    let (outside, inside) = (&load["rt_ms"]["mean"], &all["rt_ms"]["mean"]);
    assert!(outside.as_f64() >= inside.as_f64(), "{outside} ms outside, {inside} ms inside");
    assert_eq!(load["server_ms"].as_object().map(|stages| stages.len()), Some(8), "{load:#}");
}

#[test]
fn every_input_in_every_form_is_a_picture_to_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = picture(folder.path());
    let settings = with_model("yolov8")
        + &format!(
            "[inputs.path]\nroots = [{:?}]\n[inputs.url]\nports = []\nallow_networks = [\"127.0.0.0/8\"]\n",
            std::fs::canonicalize(folder.path()).expect("a folder")
        );
    let service = Service::start(&settings);
    let mut asked = 0;
    for input in ["base64", "url", "path", "bytes", "file"] {
        let forms: &[&str] = match input {
            "bytes" => &["raw", "json", "urlencoded", "form-data", "multipart"],
            "file" => &["multipart"],
            _ => &["json", "urlencoded", "form-data", "multipart"],
        };
        for form in forms {
            let output = run(&[
                "bench",
                "load",
                &service.url(),
                "--image",
                &picture,
                "--input",
                input,
                "--form",
                form,
                "-n",
                "3",
                "--warmup",
                "0s",
                "--json",
            ]);
            let load = json(&output);
            assert_eq!(load["ok"], 3, "{input} as {form}: {load:#}");
            asked += 3;
        }
    }
    let stats = service.client().get("/stats").ok();
    assert_eq!(stats["windows"]["all"]["detections"], asked);
}

#[test]
fn refusals_are_told_apart_by_code_and_a_load_without_success_fails() {
    let service = Service::start(&with_model("yolov8"));
    let no_picture = service.folder().join("no-picture");
    std::fs::write(&no_picture, "no picture").expect("room");
    let path = no_picture.to_str().expect("UTF-8");
    let output =
        run(&["bench", "load", &service.url(), "--image", path, "-n", "5", "--warmup", "0s", "--json"]);
    assert!(!output.status.success(), "{}", said(&output));
    let load: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(load["codes"]["not_an_image"], 5, "{load:#}");
    assert_eq!(load["statuses"]["422"], 5, "{load:#}");
}

#[test]
fn the_experiment_leaves_its_report_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = picture(folder.path());
    let (out, model) = (folder.path().join("out"), asset("yolov8.onnx"));
    let scale = |further: &[&str]| {
        let (out, model) = (out.to_str().expect("UTF-8"), model.to_str().expect("UTF-8"));
        let mut args = vec![
            "bench",
            "scale",
            "--image",
            &picture,
            "--model",
            model,
            "--procs",
            "1,2",
            "--concurrency",
            "1,4",
            "--duration",
            "400ms",
            "--warmup",
            "100ms",
            "--out",
            out,
        ];
        args.extend(further);
        command(&args).output().expect("the executable runs")
    };
    let first = scale(&["--rounds", "1"]);
    assert!(first.status.success(), "{}", said(&first));
    let record = || -> Value {
        serde_json::from_slice(&std::fs::read(out.join("scale.json")).expect("a record")).expect("JSON")
    };
    let before = record();
    assert_eq!(before["samples"].as_array().map(Vec::len), Some(4));
    for sample in before["samples"].as_array().into_iter().flatten() {
        assert_eq!(sample["load"]["errors"], 0, "{sample:#}");
        assert!(sample["seen"]["cores"]["engine"].as_f64() > Some(0.0), "{sample:#}");
        assert!(sample["seen"]["memory_mib"].as_f64() > Some(1.0), "{sample:#}");
        let procs = sample["cell"]["setup"]["procs"].as_u64().expect("a number");
        assert_eq!(sample["seen"]["shares"].as_array().map(|shares| shares.len() as u64), Some(procs));
    }
    for file in ["scale.txt", "scale.csv", "scale.html", "tps-by-procs.svg", "tps-by-procs.png", "law.svg"] {
        assert!(out.join(file).is_file(), "no {file}");
    }
    // A second round is added to the first, which stays as it was.
    let second =
        scale(&["--rounds", "2", "--json", "--against", out.join("scale.json").to_str().expect("UTF-8")]);
    let analysis = json(&second);
    assert_eq!(analysis["cells"].as_array().map(Vec::len), Some(4));
    assert!(
        analysis["cells"].as_array().into_iter().flatten().all(|cell| cell["rounds"] == 2),
        "{analysis:#}"
    );
    let after = record();
    assert_eq!(after["samples"].as_array().map(|s| s[..4].to_vec()), before["samples"].as_array().cloned());
    // Other conditions do not mix with these.
    let other = scale(&["--rounds", "3", "--set", "engine.lanes=1"]);
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(said(&other).contains("choose another --out"), "{}", said(&other));
    let plan = run(&["plan", "--pv", "1000000", "--from", out.join("scale.json").to_str().expect("UTF-8")]);
    assert!(plan.status.success() && said(&plan).contains("scale.json"), "{}", said(&plan));
}

#[test]
fn the_floor_and_the_inputs_are_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = picture(folder.path());
    let model = asset("yolov8.onnx");
    let model = model.to_str().expect("UTF-8");
    let floor = json(&run(&[
        "bench",
        "floor",
        "--model",
        model,
        "--image",
        &picture,
        "--procs",
        "1",
        "--concurrency",
        "4",
        "-d",
        "300ms",
        "--rounds",
        "1",
        "--json",
    ]));
    assert!(floor["job"][0].as_f64() > Some(0.0) && floor["session"][0].as_f64() > Some(0.0), "{floor:#}");
    assert!(floor["services"][0]["efficiency"].as_f64() > Some(0.0), "{floor:#}");
    assert_eq!(floor["steps_ms"]["read"].as_f64(), Some(0.0), "it was in memory: {floor:#}");
    let folder = folder.path().to_str().expect("UTF-8");
    let alone = ["bench", "floor", "--model", model, "--image", folder, "--alone", "--from-files"];
    let floor = json(&run(&[&alone[..], &["-d", "300ms", "--rounds", "1", "--json"]].concat()));
    assert!(floor["steps_ms"]["read"].as_f64() > Some(0.0), "{floor:#}");
    let floor =
        json(&run(&[&alone[..], &["--part", "job", "-d", "300ms", "--rounds", "1", "--json"]].concat()));
    assert!(floor["job"][0].as_f64() > Some(0.0) && floor["session"] == serde_json::json!([]), "{floor:#}");
    assert!(floor.get("steps_ms").is_none(), "{floor:#}");
    let session = run(&[&alone[..], &["--part", "session", "-d", "300ms", "--rounds", "1"]].concat());
    let text = String::from_utf8_lossy(&session.stdout).into_owned();
    assert!(text.contains("session alone") && !text.contains("whole job"), "{}{text}", said(&session));
    let inputs =
        run(&["bench", "inputs", "--model", model, "--image", &picture, "-d", "300ms", "--rounds", "1"]);
    assert!(inputs.status.success(), "{}", said(&inputs));
    let text = String::from_utf8_lossy(&inputs.stdout).into_owned();
    for input in ["base64", "url", "path", "bytes", "file"] {
        assert!(
            text.lines().any(|line| line.contains(input) && line.contains("red.png")),
            "no {input}:\n{text}"
        );
    }
}

#[test]
fn a_batch_is_measured_beside_the_floor() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = picture(folder.path());
    let (model, inputs) = (asset("yolov8.onnx"), folder.path().join("in"));
    std::fs::create_dir(&inputs).expect("room");
    let (model, inputs) = (model.to_str().expect("UTF-8"), inputs.to_str().expect("UTF-8"));
    let measure = |words: &[&str]| {
        run(&[&["bench", "floor", "--batch", "--model", model, "--image", inputs], words].concat())
    };
    let fill = |count: usize| {
        for number in 0..count {
            std::fs::copy(&picture, format!("{inputs}/{number}.png")).expect("room");
        }
    };
    fill(1);
    // It is over in its first turn.
    let short = measure(&["-d", "3s"]);
    assert!(short.status.code() == Some(2) && said(&short).contains("too few pictures"), "{}", said(&short));
    let long = measure(&["-d", "4s"]);
    assert!(long.status.code() == Some(2) && said(&long).contains("--duration"), "{}", said(&long));
    fill(3000);
    let floor = json(&measure(&["-d", "50ms", "--json"]));
    let share = floor["efficiency"].as_f64().expect("a share");
    assert!(share > 0.0 && floor["whole_efficiency"].as_f64() > Some(0.0), "{floor:#}");
    let shown = measure(&["-d", "50ms", "--set", "service.procs=2"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("start and end included") && text.contains(" ± "), "{}", said(&shown));
    // What only the batch finds wrong, and what would be no floor of it.
    let failed = measure(&["-d", "50ms", "--set", "model.sidecar=/nowhere.toml"]);
    assert!(said(&failed).contains("the batch ended with exit status: 2"), "{}", said(&failed));
    let simulated = measure(&["-d", "50ms", "--set", "engine.device=sim"]);
    assert!(
        simulated.status.code() == Some(2) && said(&simulated).contains("simulated"),
        "{}",
        said(&simulated)
    );
}

#[test]
fn the_plan_of_the_report() {
    let output = run(&["plan", "--pv", "1000000", "--qps", "35"]);
    let text = said(&output);
    assert!(output.status.success() && text.contains("46.3\n"), "{text}");
    assert!(text.contains("47 QPS at the peak: 2 machines"), "{text}");
    assert_eq!(run(&["plan", "--pv", "0", "--qps", "35"]).status.code(), Some(2));
}
