//! The review over 100,000 kept pictures, measured in a real browser; `PICTURES` says how many otherwise:
//!
//! ```sh
//! DETECTD_BIN=$PWD/target/release/detectd cargo run --package e2e --bin many
//! ```
//!
//! Makes a folder of pictures and sidecars as a service leaves them, lets a service make its index, and then does on the page what a
//! person does. Prints one line a figure. Nothing here decides what is fast enough.

use e2e::browser::{Browser, DESKTOP};
use e2e::service::{Service, with_model};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Files that differ; the rest are links to them.
const FILES: usize = 300;
const CLASSES: [&str; 8] = ["person", "car", "bicycle", "dog", "cat", "bird", "bus", "traffic light"];

/// What the page is asked to measure with: when something has come true, seen at the frames that a person sees.
const WATCH: &str = "
    window.until = (holds, from = performance.now()) => new Promise((done) => {
        const look = () => holds() ? done(Math.round((performance.now() - from) * 10) / 10) : requestAnimationFrame(look);
        requestAnimationFrame(look);
    });
    window.all = (holds) => {
        const seen = [...document.querySelectorAll('.tile')].filter((e) => { const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight; });
        return seen.length > 6 && seen.every(holds);
    };
    window.named = () => all((e) => !e.classList.contains('waiting'));
    window.shown = () => all((e) => e.querySelector('img')?.naturalWidth > 0);
    window.both = (done, from = performance.now(), ready = () => true) =>
        Promise.all([until(() => ready() && named(), from), until(() => ready() && shown(), from)]).then(done);
    window.press = (key) => (document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    window.firstGrid = window.until(window.shown, 0);
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => { window.longest = Math.max(window.longest, e.duration); })).observe({ type: 'longtask' });
";

fn row(what: &str, value: &str) {
    println!("{what:<62} {value}");
}

fn ms(what: &str, mut all: Vec<f64>) {
    all.sort_by(f64::total_cmp);
    row(
        what,
        &format!(
            "median {:.0} ms, longest {:.0} ms ({} times)",
            all[all.len() / 2],
            all[all.len() - 1],
            all.len()
        ),
    );
}

/// Pictures and sidecars, as if they had come over the last days.
fn lay(root: &Path, many: usize) {
    let sources = root.join("_index");
    std::fs::create_dir_all(&sources).expect("room");
    let source = |k: usize| sources.join(format!("source-{k}.jpg"));
    for k in 0..FILES {
        let picture = RgbImage::from_fn(320, 240, |x, y| {
            let k = k as u32;
            Rgb([(x ^ (y + k)) as u8, (x * 3 + k * 7) as u8, (y * (1 + k % 5)) as u8])
        });
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(&picture).expect("a picture");
        std::fs::write(source(k), bytes).expect("room");
    }
    let mut dice = fastrand::Rng::with_seed(1);
    for k in 0..many {
        let (class, score) = (CLASSES[dice.usize(..CLASSES.len())], 0.3 + 0.7 * dice.f32());
        let (day, second) = (1 + k * 28 / many, k % 86_400);
        let (id, date) = (format!("K{k:08}"), format!("2026-11-{day:02}"));
        let tenth = ((score * 10.0) as u32).min(9);
        let folder =
            root.join(class).join(format!("0.{tenth}-{:.1}", f64::from(tenth + 1) / 10.0)).join(&date);
        std::fs::create_dir_all(&folder).expect("room");
        let boxes: Vec<Value> = (0..1 + k % 3)
            .map(|n| {
                let at = 20.0 + 60.0 * n as f64;
                json!({ "label": class, "class": 0, "score": score, "box": [at, at / 2.0, at + 80.0, at / 2.0 + 90.0] })
            })
            .collect();
        let flags: &[&str] = if k % 20 == 0 { &["blurry"] } else { &[] };
        let sidecar = json!({
            "schema": 1, "id": id, "file": format!("{id}.jpg"), "source": "bytes", "request": id,
            "time": format!("{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60),
            "model": { "name": "yolo", "version": "ab".repeat(32) }, "width": 320, "height": 240, "bytes": 20_000,
            "hash": format!("{k:032x}"), "perceptual": "", "rule": "all", "flags": flags, "score": 0.3, "detections": boxes,
        });
        std::fs::write(folder.join(format!("{id}.json")), sidecar.to_string()).expect("room");
        std::fs::hard_link(source(k % FILES), folder.join(format!("{id}.jpg"))).expect("links");
    }
}

/// MiB that the frontends have to themselves, with their share of what is shared.
fn memory(service: &Service) -> String {
    let pss = |pid: &nix::unistd::Pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("ours");
        let line = text.lines().find(|line| line.starts_with("Pss:")).expect("Pss");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("KiB") / 1024.0
    };
    service.frontends().iter().map(|pid| format!("{:.0}", pss(pid))).collect::<Vec<_>>().join(" + ") + " MiB"
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn main() {
    let many: usize = std::env::var("PICTURES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    lay(root, many);
    let begun = Instant::now();
    let settings = format!("[harvest]\nroot = {root:?}\n");
    let service = Service::start(&(with_model("yolov8") + &settings));
    let before = memory(&service);
    while service.client().get("/review/api/summary").ok()["states"]["new"].as_u64() != Some(many as u64) {
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(begun.elapsed().as_secs() < 1200, "the index is not made: {}", service.log());
    }
    row("pictures in the index", &many.to_string());
    row("index made from the folders", &format!("{:.1} s", begun.elapsed().as_secs_f64()));

    let browser = Browser::open(DESKTOP).expect("chromium and chromium-driver are wanted");
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCH }));
    let address = format!("{}/review", service.url());
    let first = || {
        browser.visit(&address);
        number(&browser.run_async("firstGrid.then(done)"))
    };
    row("page opened until every picture in the window is shown, cold", &format!("{:.0} ms", first()));
    ms("the same again", (0..5).map(|_| first()).collect());
    let pair = |value: &Value| [number(&value[0]), number(&value[1])];
    let two = |what: &str, all: &[[f64; 2]]| {
        ms(&format!("{what}: names and boxes"), all.iter().map(|one| one[0]).collect());
        ms(&format!("{what}: and every picture"), all.iter().map(|one| one[1]).collect());
    };
    let jump = |at: f64| {
        pair(
            &browser
                .run_async(&format!("scrollTo(0, {at} * document.documentElement.scrollHeight); both(done)")),
        )
    };
    two("scrolled to the middle", &[jump(0.5)]);
    two("scrolled to the end", &[jump(1.0)]);
    let places: Vec<f64> = (0..10).map(|k| f64::from(k * 7 % 10) / 10.0 + 0.03).collect();
    two("scrolled to new places", &places.iter().map(|at| jump(*at)).collect::<Vec<_>>());
    two("scrolled to known places", &places.iter().map(|at| jump(*at)).collect::<Vec<_>>());
    ms("key End or Home until its picture is shown", ["Home", "End", "Home", "End"].map(|key| {
        number(&browser.run_async(&format!(
            "press('{key}'); until(() => document.activeElement.querySelector('img')?.naturalWidth > 0 && shown()).then(done)"
        )))
    }).to_vec());
    // A long pull at the bar, one screen a frame.
    let frames = browser.run_async(
        "scrollTo(0, 0); const times = []; let then = performance.now(); let k = 0;
         const next = (now) => { times.push(now - then); then = now; if (k++ < 300) { scrollBy(0, 700); requestAnimationFrame(next); } else done(times.slice(2)); };
         requestAnimationFrame(next);",
    );
    ms("frames while 300 screens go by", frames.as_array().expect("times").iter().map(number).collect());
    let choose = |id: &str, value: &str| {
        pair(&browser.run_async(&format!(
            "const e = document.getElementById('{id}'); e.value = '{value}'; const old = document.querySelector('.tile');
             const begun = performance.now(); e.dispatchEvent(new Event('change')); both(done, begun, () => !old?.isConnected)"
        )))
    };
    for (what, id, values) in [
        ("a class chosen", "class", ["dog", "car", "cat", ""]),
        ("a quality chosen", "flag", ["blurry", "", "blurry", ""]),
        ("another order", "order", ["sure", "unsure", "oldest", "newest"]),
        ("a least score", "min", ["0.9", "0.5", "0.8", ""]),
        ("a day", "from", ["2026-11-20", "2026-11-27", "2026-11-10", ""]),
    ] {
        two(what, &values.iter().map(|value| choose(id, value)).collect::<Vec<_>>());
    }
    let act = |key: &str| {
        let both = browser.run_async(&format!(
            "const begun = performance.now(); press('{key}'); const ran = performance.now() - begun;
             requestAnimationFrame(() => requestAnimationFrame(() => {{ const seen = performance.now() - begun;
                 until(() => document.body.dataset.open === '0', begun).then((all) => done([ran, seen, all])); }}));"
        ));
        [0, 1, 2].map(|k| number(&both[k]))
    };
    for (key, what) in [("a", "accept"), ("u", "undo"), ("x", "reject"), ("u", "undo the rejected")] {
        let all: Vec<[f64; 3]> = (0..20).map(|_| act(key)).collect();
        ms(&format!("{what}: the key's own work on the page"), all.iter().map(|one| one[0]).collect());
        ms(&format!("{what}: until it is on the disk"), all.iter().map(|one| one[2]).collect());
    }
    row("longest task of the page in all this", &format!("{:.0} ms", number(&browser.run("return longest"))));
    row("elements of pictures", &browser.count(".tile").to_string());
    row("JavaScript objects of the page", &format!("{:.1} MiB", browser.heap() as f64 / f64::from(1 << 20)));
    row("frontends' memory, before and after", &format!("{before}, {}", memory(&service)));
    let index = std::fs::metadata(root.join("_index/index.sqlite")).expect("an index").len();
    row("index file", &format!("{:.1} MiB", index as f64 / f64::from(1 << 20)));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    assert!(service.stop().success());
    // The index is thrown away and made again.
    for entry in std::fs::read_dir(root.join("_index")).expect("a folder").flatten() {
        if entry.file_name().to_string_lossy().starts_with("index.sqlite") {
            std::fs::remove_file(entry.path()).expect("ours");
        }
    }
    let service = Service::start(&(with_model("yolov8") + &settings));
    let begun = Instant::now();
    service.client().get("/review/api/summary").ok();
    row("counts while the index is made", &format!("{} ms", begun.elapsed().as_millis()));
    while service.client().get("/review/api/summary").ok()["states"]["new"].as_u64() != Some(many as u64) {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    row("index made again, files in the cache", &format!("{:.1} s", begun.elapsed().as_secs_f64()));
}
