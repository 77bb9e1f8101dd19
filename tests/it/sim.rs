//! A modelled accelerator behind the real service: it takes its time, and nobody is left in doubt that it is none.

use e2e::pictures::{plain, sized};
use e2e::service::{Service, asset, run, with_model};
use std::time::Instant;

const SETTINGS: &str = "[engine]\ndevice = \"sim\"\nlanes = 1\nmax_batch = 2\n\
                        [engine.sim]\ncurve = [{ images = 1, time = \"30ms\" }, { images = 2, time = \"40ms\" }]\n";

#[test]
fn every_report_says_that_it_is_simulated() {
    let service = Service::start(&(with_model("yolov8") + SETTINGS));
    let client = service.client();
    let answer = client.detect(&plain([255, 0, 0])).ok();
    assert_eq!(answer["simulated"], true, "{answer:#}");
    let stats = client.get("/stats").ok();
    assert_eq!((&stats["model"]["simulated"], &stats["model"]["device"]), (&true.into(), &"sim".into()));
    let metrics = String::from_utf8(client.get("/metrics").body).expect("text");
    assert!(metrics.contains("detectd_simulated 1\n"), "{metrics}");
    let status = run(&["status", "--name", service.name()]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("SIMULATED"), "{status:?}");
}

#[test]
fn the_instruments_say_it_too_and_the_floor_refuses_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (picture, out, model) = (path("red.png"), path("out"), asset("yolov8.onnx"));
    std::fs::write(&picture, sized([255, 0, 0], 64, 48)).expect("room");
    let bench = |what: &str, further: &[&str]| {
        let model = model.to_str().expect("UTF-8");
        let common =
            ["bench", what, "--image", &picture, "--model", model, "--procs", "1", "--concurrency", "2"];
        let short = ["--rounds", "1", "-d", "300ms", "--set", "engine.device=sim"];
        run(&[&common[..], &short, further].concat())
    };
    let scale = bench("scale", &["--out", &out, "--json"]);
    let analysis: serde_json::Value = serde_json::from_slice(&scale.stdout).expect("JSON");
    assert_eq!(analysis["simulated"], true, "{analysis:#}");
    let record = std::fs::read_to_string(path("out/scale.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let sample = &record["samples"][0];
    assert_eq!(sample["load"]["simulated"], true, "the load generator reads it in the answers: {sample:#}");
    assert!(sample["seen"]["decode_threads"].as_u64() > Some(0), "{sample:#}");
    let plan = run(&["plan", "--pv", "100", "--from", &path("out/scale.json"), "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    assert_eq!(plan["simulated"], true, "{plan:#}");
    let floor = bench("floor", &[]);
    assert_eq!(floor.status.code(), Some(2), "{floor:?}");
    assert!(String::from_utf8_lossy(&floor.stderr).contains("simulated"), "{floor:?}");
}

#[test]
fn a_run_takes_the_time_of_the_curve_and_batches_as_it_says() {
    let service = Service::start(&(with_model("yolov8") + SETTINGS));
    let client = service.client();
    let begun = Instant::now();
    for _ in 0..5 {
        let answer = client.detect(&plain([255, 0, 0])).ok();
        // The modelled run begins when the batch is formed; a thread that comes late shows the rest as queue.
        let times = &answer["timing_ms"];
        let run = times["queue"].as_f64().zip(times["infer"].as_f64()).map(|(queue, infer)| queue + infer);
        assert!(run.expect("both times") >= 29.0, "{answer:#}");
    }
    assert!(begun.elapsed().as_millis() >= 150);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let client = service.client();
            scope.spawn(move || (0..5).for_each(|_| drop(client.detect(&plain([255, 0, 0])).ok())));
        }
    });
    let stats = client.get("/stats").ok();
    let engine = &stats["windows"]["all"]["engine"];
    assert_eq!(engine["images"], 25, "{engine:#}");
    let closed: u64 =
        ["full", "waited", "all", "split"].iter().filter_map(|why| engine["closed"][why].as_u64()).sum();
    assert_eq!(Some(closed), engine["batches"].as_u64(), "every run was closed for one reason: {engine:#}");
    assert!(engine["closed"]["full"].as_u64() > Some(0), "four at once make batches of two: {engine:#}");
}

#[test]
fn the_curve_is_measured_where_none_is_given() {
    let service =
        Service::start(&(with_model("yolov8") + "[engine]\ndevice = \"sim\"\n[engine.sim]\nspeedup = 10\n"));
    let stats = service.client().get("/stats").ok();
    assert_eq!(stats["model"]["max_batch"], 8, "as on a GPU");
    assert!(service.client().detect(&plain([255, 0, 0])).ok()["simulated"].as_bool() == Some(true));
}
