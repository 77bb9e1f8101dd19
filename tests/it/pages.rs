//! The pages in a real browser: each page's story as a person lives it. Skipped, with a word, where Chromium is not installed.
//!
//! With `DETECTD_SHOTS=FOLDER` the pages' pictures are kept there.

use e2e::browser::{Browser, DESKTOP, Look};
use e2e::load::Load;
use e2e::pictures::plain;
use e2e::service::{Service, root, wait_for, with_model};
use nix::sys::signal::{Signal, kill};
use std::path::PathBuf;
use std::process::Command;

/// What a page may weigh.
const WEIGHT: u64 = 300 << 10;
const PHONE: Look = Look { width: 390, height: 844, ..DESKTOP };

fn sample() -> PathBuf {
    root().join("models/colours.jpg")
}

/// `colours`, which may read its own picture by path and from itself.
fn service() -> Service {
    let models = root().join("models");
    Service::start(&format!(
        "[model]\npath = {:?}\n[inputs.path]\nroots = [{models:?}]\n[inputs.url]\nports = []\nallow_networks = [\"127.0.0.0/8\"]\n",
        models.join("colours.onnx")
    ))
}

/// Pictures that the service has answered.
fn answered(service: &Service) -> u64 {
    service.client().get("/stats").ok()["windows"]["all"]["detections"].as_u64().expect("a number")
}

fn choose_sample(browser: &Browser) {
    browser.type_into("#file", sample().to_str().expect("UTF-8"));
    browser.wait("document.querySelectorAll('.hit').length === 5");
}

#[test]
fn every_input_type_is_tried_and_drawn() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    assert_eq!(browser.text("#list"), "");

    let came_as = |kind: &str| {
        browser.wait(&format!("document.getElementById('raw').textContent.includes('\"type\":\"{kind}\"')"));
        // List and boxes are drawn anew one after the other.
        browser.wait("document.querySelectorAll('.hit').length === 5 && document.querySelectorAll('#overlay .box').length === 5");
        let shown = browser.run(
            "const i = document.getElementById('picture').getBoundingClientRect(); return i.width > 300 && i.height > 200",
        );
        assert_eq!(shown, true, "{kind}: the picture is not shown");
        let code = browser.text("#snippet");
        assert!(code.contains(&service.url()), "{kind}: {code}");
    };
    choose_sample(&browser);
    came_as("bytes");
    for kind in ["file", "base64"] {
        browser.click(&format!("#send-as label:has([value={kind}])"));
        came_as(kind);
    }
    browser.click("#tab-path");
    browser.type_into("#path", sample().to_str().expect("UTF-8"));
    browser.click("#form-path button");
    came_as("path");
    let samples = service.client().get("/about").ok();
    let address = samples["samples"][0]["address"].as_str().expect("the golden picture is a sample");
    browser.click("#tab-url");
    browser.type_into("#url", &format!("{}{address}", service.url()));
    browser.click("#form-url button");
    came_as("url");
    browser.click("#tab-base64");
    let text = e2e::client::base64(&std::fs::read(sample()).expect("the sample"));
    browser.run(&format!("document.getElementById('base64').value = '{text}'"));
    browser.click("#form-base64 button");
    came_as("base64");
    // And one of the model's own, then a dropped and a pasted one; "send as" stays at base64.
    browser.click("#tab-picture");
    browser.click(".sample");
    came_as("base64");
    for event in [
        "new DragEvent('drop', { dataTransfer: data })",
        "new ClipboardEvent('paste', { clipboardData: data })",
    ] {
        browser.run("document.getElementById('raw').textContent = ''");
        browser.run_async(&format!(
            "fetch('{address}').then((answer) => answer.blob()).then((blob) => {{
                const data = new DataTransfer();
                data.items.add(new File([blob], 'given.jpg', {{ type: blob.type }}));
                dispatchEvent({event});
                done();
            }})"
        ));
        came_as("base64");
        assert!(browser.text("#snippet").contains("given.jpg"), "{event}");
    }
    for language in ["python", "javascript", "ab", "curl"] {
        browser.click(&format!("#as-{language}"));
        assert!(browser.text("#snippet").contains("/detect"), "{language}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn choices_act_without_asking_again_and_list_and_boxes_are_one() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('score').value === '0.5'");
    choose_sample(&browser);
    let before = answered(&service);

    browser.slide("#score", 0.95);
    assert_eq!((browser.count(".hit"), browser.count("#overlay .box")), (1, 1), "only yellow is so sure");
    assert_eq!(browser.text("#score-value"), "0.95");
    assert!(browser.text("#snippet").contains("score=0.95"), "the same request asks for the same");
    browser.slide("#score", 0.05);
    assert_eq!(browser.count(".hit"), 5);
    browser.slide("#iou", 0.3);
    assert!(browser.text("#snippet").contains("iou=0.3"));
    browser.slide("#iou", 0.45);
    browser.slide("#score", 0.5);

    browser.click("#classes .chip");
    assert_eq!((browser.count(".hit"), browser.count("#overlay .box")), (4, 4), "a class is switched off");
    browser.click("#classes .chip");

    browser.run("document.querySelectorAll('.hit')[2].focus()");
    browser.wait("document.querySelectorAll('#overlay .on').length === 2");
    assert_eq!(browser.run("return document.querySelector('#overlay .box.on').dataset.k"), "2");
    browser.run("document.activeElement.blur()");
    browser.wait("document.querySelectorAll('#overlay .on').length === 0");
    browser.run("document.querySelector('#overlay .box[data-k=\"3\"]').dispatchEvent(new PointerEvent('pointerenter'))");
    browser.wait("document.querySelector('.hit.on')?.dataset.k === '3'");

    assert_eq!(answered(&service), before, "a slider has asked the service");
    // The other language and theme, at once and remembered.
    browser.click("#language");
    assert_eq!(browser.text("#found-h"), "结果");
    browser.click("#theme");
    browser.visit(&service.url());
    browser.wait("document.getElementById('found-h').textContent === '结果'");
    assert_eq!(browser.run("return document.documentElement.dataset.theme"), "dark");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// The commands that the page shows are run as they stand, and find what the page found.
#[test]
fn the_same_request_is_the_same() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    std::fs::copy(sample(), service.folder().join("colours.jpg")).expect("room");
    choose_sample(&browser);
    let run = |language: &str, few: &str| {
        let command = browser.text("#snippet").replace("-n 1000 -c 10", few);
        let run = Command::new("bash")
            .args(["-c", &command])
            .current_dir(service.folder())
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(
            run.status.success(),
            "{language}: {command}\n{said}{}",
            String::from_utf8_lossy(&run.stderr)
        );
        said
    };
    let has = |program: &str| Command::new(program).arg("-V").output().is_ok();
    for kind in ["bytes", "file", "base64"] {
        browser.click(&format!("#send-as label:has([value={kind}])"));
        browser.wait(&format!("document.getElementById('raw').textContent.includes('\"type\":\"{kind}\"')"));
        browser.slide("#score", 0.9);
        if has("curl") {
            browser.click("#as-curl");
            let answer: serde_json::Value = serde_json::from_str(&run("curl", "")).expect("JSON");
            assert_eq!(answer["type"], kind);
            assert_eq!(
                answer["detections"].as_array().map(Vec::len),
                Some(browser.count(".hit")),
                "{answer}"
            );
        }
        if has("ab") {
            browser.click("#as-ab");
            let report = run("ab", "-n 20 -c 2");
            assert!(
                report.contains("Complete requests:      20") && !report.contains("Non-2xx"),
                "{kind}: {report}"
            );
        }
    }
}

/// What a page shows of the least that it asks for is what the service answers when it is asked for no more.
#[test]
fn the_page_chooses_as_the_service_does() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    let picture = std::fs::read(sample()).expect("the sample");
    let ask = |query: &str| {
        service.client().post(&format!("/detect?{query}"), "image/jpeg", &picture).ok()["detections"].take()
    };
    let module = browser
        .run("return document.querySelector('script[type=module]').src.replace('main.js', 'boxes.js')");
    let shown = |detections: &serde_json::Value, choices: &str| {
        browser.run_async(&format!(
            "import({module}).then((boxes) => done(boxes.shown({detections}, {choices}).map((one) => one.score)))"
        ))
    };
    let scores = |detections: serde_json::Value| -> serde_json::Value {
        detections.as_array().expect("a list").iter().map(|one| one["score"].clone()).collect()
    };
    let all = ask("score=0.05&iou=0.9&top_k=1000");
    for score in [0.05, 0.5, 0.9, 0.95] {
        let expected = scores(ask(&format!("score={score}")));
        assert_eq!(
            shown(&all, &format!("{{ score: {score}, iou: 0.45, off: new Set() }}")),
            expected,
            "{score}"
        );
    }
    // Of two of a class that overlap by a half the better stays, of two classes both; and nothing goes where the model has chosen.
    let two = serde_json::json!([
        { "class": 0, "score": 0.6, "box": [0, 0, 20, 10] }, { "class": 0, "score": 0.9, "box": [0, 0, 10, 10] },
        { "class": 1, "score": 0.7, "box": [0, 0, 10, 10] },
    ]);
    for (choices, expected) in [
        ("{ score: 0, iou: 0.45, off: new Set() }", serde_json::json!([0.9, 0.7])),
        ("{ score: 0, iou: 0.55, off: new Set() }", serde_json::json!([0.9, 0.7, 0.6])),
        ("{ score: 0, iou: null, off: new Set([1]) }", serde_json::json!([0.9, 0.6])),
    ] {
        assert_eq!(shown(&two, choices), expected, "{choices}");
    }
}

#[test]
fn the_camera_is_as_fast_as_the_answers_and_stops() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    browser.click("#tab-camera");
    browser.click("#camera");
    let before = answered(&service);
    wait_for("frames", || (answered(&service) >= before + 10).then_some(()));
    for _ in 0..20 {
        let stats = service.client().get("/stats").ok();
        assert!(
            stats["service"]["in_flight"].as_u64().is_some_and(|n| n <= 1),
            "one frame at a time: {stats:#}"
        );
    }
    browser.wait("/a second/.test(document.getElementById('camera-rate').textContent)");
    browser.wait("document.getElementById('video').getBoundingClientRect().width > 300");
    browser.shoot("camera");
    browser.click("#camera");
    browser.wait("document.getElementById('stage').dataset.shows === 'nothing'");
    let stopped = answered(&service) + 1;
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(answered(&service) <= stopped, "frames are still sent");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_goes_wrong_is_said_and_can_be_tried_again() {
    let mut service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    let text = service.folder().join("no-picture.jpg");
    std::fs::write(&text, "no picture").expect("room");
    browser.type_into("#file", text.to_str().expect("UTF-8"));
    browser.wait("document.querySelector('.problem.refused')");
    assert!(browser.text(".problem").contains("not_an_image"), "{}", browser.text(".problem"));
    browser.shoot("refused");
    choose_sample(&browser);
    assert_eq!(browser.count(".problem"), 0, "what is over is not shown any more");

    service.signal(Signal::SIGTERM);
    service.wait();
    browser.type_into("#file", sample().to_str().expect("UTF-8"));
    browser.wait("document.querySelector('.problem:not(.refused) button')");
    browser.wait("document.getElementById('state').dataset.state === 'gone'");
    browser.shoot("failed");
}

/// A request that takes its time is seen to be under way, and another picture may be chosen meanwhile.
#[test]
fn what_takes_its_time_is_seen() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    let engine = service.engine();
    kill(engine, Signal::SIGSTOP).expect("the engine");
    browser.type_into("#file", sample().to_str().expect("UTF-8"));
    browser.wait("document.getElementById('busy').checkVisibility({ visibilityProperty: true })");
    browser.shoot("busy");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    kill(engine, Signal::SIGCONT).expect("the engine");
    browser.wait("document.querySelectorAll('.hit').length === 5 && document.getElementById('busy').hidden");
}

/// Where a key is wanted, the page asks for it, sends it from then on, and goes on with what it was about to do.
#[test]
fn a_key_is_asked_for_and_sent() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    browser.run(
        "const asked = window.fetch;
         window.fetch = async (address, options) => options?.headers?.get('X-Api-Key') === 'secret' ? asked(address, options)
             : new Response(JSON.stringify({ status: 401, code: 'key_required', title: 'An API key is needed', detail: 'send it', id: '1' }), { status: 401 });",
    );
    browser.type_into("#file", sample().to_str().expect("UTF-8"));
    browser.wait("document.querySelector('.problem .key')");
    browser.type_into(".problem .key input", "secret");
    browser.click(".problem .key button");
    browser.wait("document.querySelectorAll('.hit').length === 5");
    assert_eq!(browser.count(".problem"), 0);
}

#[test]
fn a_classifier_has_classes_and_no_boxes() {
    let service = Service::start(&with_model("classifier"));
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&service.url());
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    let picture = service.folder().join("red.png");
    std::fs::write(&picture, plain([255, 0, 0])).expect("room");
    browser.type_into("#file", picture.to_str().expect("UTF-8"));
    browser.wait("document.querySelectorAll('.hit').length > 0");
    assert!(browser.text(".hit").contains("red"), "{}", browser.text("#list"));
    assert_eq!(browser.count("#overlay .box"), 0);
    assert_eq!(browser.run("return document.getElementById('iou-field').hidden"), true);
    browser.shoot("classifier");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_dashboard_moves_under_load() {
    let service = service();
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&format!("{}/dashboard", service.url()));
    browser.wait("document.getElementById('state').dataset.state === 'ready'");
    browser.wait("document.querySelectorAll('#processes tr').length === 3");
    assert_eq!(browser.count(".chart canvas"), 5);
    service.client().detect(b"no picture");

    let load = Load::start(&service.url(), 4, &std::fs::read(sample()).expect("the sample"));
    browser.wait("Number(document.getElementById('tps').textContent.replace(',', '')) > 1");
    let figures = "return ['tps', 'p50', 'concurrency', 'utilisation'].map((id) => document.getElementById(id).textContent).join()";
    let then = browser.run(figures);
    wait_for("figures that move", || (browser.run(figures) != then).then_some(()));
    browser.wait("/not_an_image/.test(document.getElementById('refused').textContent)");
    browser.wait("/counted/.test(document.getElementById('little').textContent)");
    // The curves show the seconds as they pass.
    browser.wait("!/pictures 0,/.test(document.getElementById('rate').getAttribute('aria-label'))");
    browser.shoot("dashboard-under-load");
    load.stop().assert_clean("watching");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Light and dark, large and small, English and Chinese: nothing to complain of, nobody shut out, little to load.
#[test]
fn pages_are_light_quiet_and_open_to_everybody() {
    let service = service();
    for (name, look) in [
        ("1400-light", DESKTOP),
        ("1400-dark", Look { dark: true, ..DESKTOP }),
        ("1400-light-chinese", Look { language: "zh-CN", ..DESKTOP }),
        ("390-light", PHONE),
        ("390-dark-chinese", Look { dark: true, language: "zh-CN", ..PHONE }),
    ] {
        let Some(browser) = Browser::open(look) else { return };
        for page in ["", "dashboard"] {
            browser.visit(&format!("{}/{page}", service.url()));
            browser.wait("document.getElementById('state').dataset.state === 'ready'");
            let what = format!("{}-{name}", if page.is_empty() { "demo" } else { page });
            if page.is_empty() {
                browser.shoot(&format!("{what}-empty"));
                choose_sample(&browser);
            } else {
                browser.wait("document.querySelectorAll('#processes tr').length === 3");
            }
            browser.shoot(&what);
            let weight = browser.weight();
            eprintln!("{what}: {weight:?}");
            assert!(weight.bytes <= WEIGHT, "{what} weighs {weight:?}");
            assert_eq!(weight.foreign, Vec::<String>::new(), "{what} loads from elsewhere");
            let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
            assert!(wide.as_i64().is_some_and(|wide| wide <= 0), "{what} is {wide} pixels too wide");
            assert_eq!(browser.barriers(), Vec::<String>::new(), "{what}");
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{what}");
        }
    }
}
