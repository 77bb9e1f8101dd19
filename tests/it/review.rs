//! The review page in a real browser: 200 pictures by keyboard, with undo; marking, moving, boxes, an export. Skipped, with a word,
//! where Chromium is not installed. With `DETECTD_SHOTS=FOLDER` the page's pictures are kept there.

use e2e::browser::{Browser, DESKTOP, Look};
use e2e::pictures::textured;
use e2e::service::{Service, wait_for, with_model};
use serde_json::{Value, json};
use tempfile::TempDir;

const WEIGHT: u64 = 300 << 10;
const PHONE: Look = Look { width: 390, height: 844, ..DESKTOP };

/// A service that has kept so many pictures.
fn kept(pictures: u32) -> (TempDir, Service) {
    let root = tempfile::tempdir().expect("a folder");
    let settings = format!(
        "[harvest]\nenabled = true\nroot = {:?}\nmin_free = \"0B\"\ndrop_near_duplicates = false\n",
        root.path()
    );
    let service = Service::start(&(with_model("yolov8") + &settings));
    for seed in 0..pictures {
        service.client().detect(&textured(seed)).ok();
    }
    wait_for("kept pictures", || (counts(&service)["new"].as_u64() == Some(pictures.into())).then_some(()));
    (root, service)
}

fn counts(service: &Service) -> Value {
    service.client().get("/review/api/summary").ok()["states"].clone()
}

/// Presses a key as a person does.
fn press(browser: &Browser, key: &str, modifiers: u32) {
    let text = if key.chars().count() == 1 && modifiers == 0 { key } else { "" };
    let code = match key {
        " " => 32,
        "Enter" => 13,
        "Escape" => 27,
        _ => 0,
    };
    let event = |kind: &str, text: &str| json!({ "type": kind, "key": key, "text": text, "modifiers": modifiers, "windowsVirtualKeyCode": code });
    browser.devtools(
        "Input.dispatchKeyEvent",
        &event(if text.is_empty() { "rawKeyDown" } else { "keyDown" }, text),
    );
    browser.devtools("Input.dispatchKeyEvent", &event("keyUp", ""));
}

/// Waits until the service has done what was pressed.
fn settled(browser: &Browser) {
    browser.wait("document.body.dataset.open === '0'");
}

fn tiles(browser: &Browser, many: usize) {
    browser.wait(&format!("document.querySelectorAll('.tile').length === {many}"));
}

#[test]
fn two_hundred_pictures_are_reviewed_by_keyboard_with_undo() {
    let (_root, service) = kept(200);
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&format!("{}/review", service.url()));
    browser.wait("document.querySelectorAll('.tile').length >= 100");
    browser.shoot("review-grid");
    for k in 0..200 {
        browser.wait("document.querySelectorAll('.tile').length > 0");
        press(&browser, if k % 4 == 3 { "x" } else { "a" }, 0);
        if k % 20 == 19 {
            press(&browser, "u", 0);
            settled(&browser);
            press(&browser, "x", 0);
        }
    }
    settled(&browser);
    tiles(&browser, 0);
    browser.wait("!document.getElementById('empty').hidden");
    assert_eq!(counts(&service), json!({ "new": 0, "accepted": 150, "rejected": 50 }));
    for _ in 0..5 {
        press(&browser, "u", 0);
    }
    settled(&browser);
    tiles(&browser, 5);
    assert_eq!(counts(&service)["new"], 5);
    for _ in 0..5 {
        press(&browser, "a", 0);
    }
    settled(&browser);
    assert_eq!(counts(&service)["new"], 0);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn many_are_marked_and_moved_and_one_is_boxed() {
    let (_root, service) = kept(24);
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&format!("{}/review", service.url()));
    tiles(&browser, 24);
    // Three by a range, one alone, and then to a class by name.
    press(&browser, "ArrowRight", 8);
    press(&browser, "ArrowRight", 8);
    press(&browser, "ArrowDown", 0);
    press(&browser, " ", 0);
    browser.wait("document.querySelectorAll('.tile[aria-selected=true]').length === 4");
    press(&browser, "m", 0);
    browser.wait("document.getElementById('ask').open");
    browser.type_into("#ask-class", "zebra");
    browser.click("#ask button.primary");
    settled(&browser);
    tiles(&browser, 20);
    assert_eq!(counts(&service)["accepted"], 4);
    let zebras = service.client().get("/review/api/pictures?state=accepted&class=zebra").ok();
    assert_eq!(zebras["total"], 4);

    press(&browser, "Enter", 0);
    browser
        .wait("document.getElementById('single').open && document.getElementById('image').naturalWidth > 0");
    let before = browser.count("#box-list button");
    press(&browser, "n", 0);
    browser.wait(&format!("document.querySelectorAll('#box-list button').length === {}", before + 1));
    browser.run("const f = document.getElementById('box-class'); f.value = 'lion'; f.dispatchEvent(new Event('input')); f.blur()");
    press(&browser, "ArrowRight", 1);
    press(&browser, "ArrowDown", 9);
    browser.shoot("review-single");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    press(&browser, "s", 0);
    settled(&browser);
    let boxed = service.client().get("/review/api/pictures?state=accepted&order=newest").ok();
    let lions = boxed["pictures"].to_string().matches("\"lion\"").count();
    assert!(lions >= 1, "{boxed:#}");
    // The next one is shown: a box is drawn with the pointer, and thrown away with another picture.
    browser.wait("document.getElementById('single').open");
    let shown = browser.run("return document.getElementById('boxes').getBoundingClientRect().toJSON()");
    let (x, y) = (shown["x"].as_f64().expect("x"), shown["y"].as_f64().expect("y"));
    while browser.count("#boxes g") > 0 {
        press(&browser, "Delete", 0);
    }
    for (kind, by, buttons) in [
        ("mousePressed", 30.0, 1),
        ("mouseMoved", 60.0, 1),
        ("mouseMoved", 90.0, 1),
        ("mouseReleased", 90.0, 0),
    ] {
        let mouse = json!({ "type": kind, "x": x + by, "y": y + by, "button": "left", "buttons": buttons, "clickCount": 1 });
        browser.devtools("Input.dispatchMouseEvent", &mouse);
    }
    assert_eq!(browser.count("#boxes g"), 1);
    press(&browser, "Escape", 0);
    browser.wait("!document.getElementById('single').open");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_review_is_light_local_and_open_to_everybody() {
    let (_root, service) = kept(12);
    for (look, name) in [
        (DESKTOP, "desktop"),
        (Look { dark: true, language: "zh-CN", ..DESKTOP }, "dark-chinese"),
        (PHONE, "phone"),
    ] {
        let Some(browser) = Browser::open(look) else { return };
        browser.visit(&format!("{}/review", service.url()));
        tiles(&browser, 12);
        browser
            .wait("[...document.querySelectorAll('.tile img')].slice(0, 4).every((i) => i.naturalWidth > 0)");
        browser.shoot(&format!("review-{name}"));
        let thumbs = browser.run("return performance.getEntriesByType('resource').filter((e) => e.name.includes('/thumb')).reduce((sum, e) => sum + e.decodedBodySize, 0)");
        let (bytes, foreign) = browser.weight();
        assert_eq!(foreign, Vec::<String>::new());
        assert!(bytes - thumbs.as_u64().expect("bytes") <= WEIGHT, "{bytes} bytes");
        assert_eq!(browser.barriers(), Vec::<String>::new(), "{name}");
        let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(
            wide.as_i64().is_some_and(|extra| extra <= 0),
            "{name}: the page is wider than the window by {wide}"
        );
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    }
}
