//! Pages that are files, to be handed on: the comparison of two models and the experiment's report, opened in a real browser as people
//! open them. Skipped, with a word, where Chromium is not installed. With `DETECTD_SHOTS=FOLDER` their pictures are kept there.

use e2e::browser::{Browser, DESKTOP, Look};
use e2e::pictures::{COLOURS, plain};
use e2e::service::{Service, asset, run, wait_for, with_model};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Light and dark, large and small: nothing to complain of, nobody shut out, nothing loaded, nothing wider than the window.
fn is_good(file: &Path, name: &str) {
    for (width, dark) in [(1400, false), (1400, true), (390, false), (390, true)] {
        let Some(browser) = Browser::open(Look { width, dark, ..DESKTOP }) else { return };
        browser.visit(&format!("file://{}", file.display()));
        let what = format!("{name}-{width}-{}", if dark { "dark" } else { "light" });
        browser.shoot(&what);
        assert_eq!(browser.barriers(), Vec::<String>::new(), "{what}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{what}");
        let resources = browser.run("return performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('data:')).length");
        assert_eq!(resources, 0, "{what} loads something");
        let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{what} is {wide} pixels too wide");
    }
}

#[test]
fn the_comparison_is_open_to_everybody() {
    let root = tempfile::tempdir().expect("a folder");
    let settings = format!("[harvest]\nenabled = true\nroot = {:?}\nmin_free = \"0B\"\n", root.path());
    let service = Service::start(&(with_model("yolov8") + &settings));
    let client = service.client();
    for (_, colour) in COLOURS {
        client.detect(&plain(colour)).ok();
    }
    let page = wait_for("kept pictures", || {
        let page = client.get("/review/api/pictures").ok();
        (page["total"] == COLOURS.len()).then_some(page)
    });
    let all: Vec<Value> = page["pictures"]
        .as_array()
        .expect("pictures")
        .iter()
        .map(|one| json!({ "id": one["id"], "revision": one["revision"] }))
        .collect();
    let body = json!({ "action": "accept", "pictures": all }).to_string();
    client.post("/review/api/actions", "application/json", body.as_bytes()).ok();
    assert!(service.stop().success());
    let html = root.path().join("_index/compare.html");
    let [one, other] = ["yolov8", "crowd"].map(|name| asset(&format!("{name}.onnx")));
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    succeeds(&run(&[
        "compare",
        "--model",
        &text(&one),
        "--model",
        &text(&other),
        "-o",
        &text(&html),
        &text(root.path()),
    ]));
    let written = std::fs::read_to_string(&html).expect("a page");
    assert!(written.matches("<figure>").count() >= 1, "there is nothing to look at");
    is_good(&html, "compare");
}

#[test]
fn the_report_is_open_to_everybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (picture, out) = (folder.path().join("red.png"), folder.path().join("out"));
    std::fs::write(&picture, plain([255, 0, 0])).expect("room");
    let model = asset("yolov8.onnx");
    let [picture, model, to] = [&picture, &model, &out].map(|path| path.to_str().expect("UTF-8"));
    let fixed = [
        "--procs",
        "1,2",
        "--concurrency",
        "1,4",
        "--duration",
        "300ms",
        "--warmup",
        "100ms",
        "--rounds",
        "1",
    ];
    let mut args = vec!["bench", "scale", "--image", picture, "--model", model, "--out", to];
    args.extend(fixed);
    succeeds(&run(&args));
    is_good(&out.join("scale.html"), "report");
}
