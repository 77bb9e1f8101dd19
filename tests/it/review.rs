//! The review page in a real browser: 200 pictures by keyboard, with undo; marking, moving, boxes, an export. Skipped, with a word,
//! where Chromium is not installed. With `DETECTD_SHOTS=FOLDER` the page's pictures are kept there.

use e2e::browser::{Browser, DESKTOP, Look};
use e2e::client::Client;
use e2e::export;
use e2e::pictures::{jpeg, textured};
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

/// A service that finds so many pictures in its folders, all of them one file's.
fn found(pictures: u32) -> (TempDir, Service) {
    let root = tempfile::tempdir().expect("a folder");
    for (class, share) in [("dog", 0..pictures / 4), ("cat", pictures / 4..pictures)] {
        let folder = root.path().join(class);
        std::fs::create_dir(&folder).expect("room");
        let first = folder.join(format!("{:05}.jpg", share.start));
        std::fs::write(&first, jpeg()).expect("room");
        for number in share.skip(1) {
            std::fs::hard_link(&first, folder.join(format!("{number:05}.jpg"))).expect("room");
        }
    }
    let settings = format!("[harvest]\nroot = {:?}\n", root.path());
    let service = Service::start(&(with_model("yolov8") + &settings));
    wait_for("found pictures", || (counts(&service)["new"].as_u64() == Some(pictures.into())).then_some(()));
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
    browser.wait("document.querySelectorAll('.tile').length >= 20");
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

/// However many there are, few of them have elements; what is seen has its picture; keys and filters reach all.
#[test]
fn thousands_of_pictures_are_few_elements() {
    let (_root, service) = found(3000);
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&format!("{}/review", service.url()));
    browser.wait("document.querySelectorAll('.tile').length >= 20");
    let seen = "const r = e.getBoundingClientRect(); return r.bottom > 0 && r.top < innerHeight";
    let shown = format!(
        "(() => {{ const seen = [...document.querySelectorAll('.tile')].filter((e) => {{ {seen} }});
            return seen.length >= 14 && seen.every((e) => e.querySelector('img')?.naturalWidth > 0) }})()"
    );
    browser.wait(&shown);
    assert_eq!(browser.run("return document.querySelector('.tile').getAttribute('aria-setsize')"), "3000");
    // The end is reached without the way there.
    browser.run("scrollTo(0, document.documentElement.scrollHeight)");
    browser.wait("[...document.querySelectorAll('.tile')].at(-1)?.getAttribute('aria-posinset') === '3000'");
    browser.wait(&shown);
    let mut most = browser.count(".tile");
    let asked = browser.run(
        "return performance.getEntriesByType('resource').filter((e) => e.name.includes('/pictures?')).length",
    );
    assert!(asked.as_u64().is_some_and(|pages| pages <= 3), "{asked} pages");
    for at in [0.1, 0.8, 0.5] {
        browser.run(&format!("scrollTo(0, {at} * document.documentElement.scrollHeight)"));
        browser.wait(&shown);
        most = most.max(browser.count(".tile"));
    }
    assert!(most <= 200, "{most} elements");
    // The end and the beginning by one key each, and on from there: what is current is seen and has the focus.
    for (key, at) in [("End", 3000), ("ArrowLeft", 2999), ("Home", 1), ("ArrowRight", 2)] {
        press(&browser, key, 0);
        browser.wait(&format!("document.activeElement.getAttribute('aria-posinset') === '{at}'"));
        let is_seen = browser.run(&format!("const e = document.activeElement; {seen}"));
        assert_eq!(is_seen, true, "{key}");
    }
    browser.run(
        "const f = document.getElementById('class'); f.value = 'dog'; f.dispatchEvent(new Event('change'))",
    );
    browser.wait("[...document.querySelectorAll('.tile b')].every((e) => e.textContent === 'dog') && document.querySelectorAll('.tile').length >= 20");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Where a key is wanted, the page asks for it once, and shows pictures as well as names.
#[test]
fn with_keys_the_review_shows_pictures_to_who_has_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "ann the-key-of-ann-who-reviews\n").expect("room");
    let settings = format!(
        "[access]\nkeys = {keys:?}\n[harvest]\nenabled = true\nroot = {:?}\nmin_free = \"0B\"\n",
        folder.path().join("kept")
    );
    let service = Service::start(&(with_model("yolov8") + &settings));
    let key = ("x-api-key", "the-key-of-ann-who-reviews");
    let client: Client = service.client();
    client.post_with("/detect", &[key, ("content-type", "image/png")], &textured(1)).ok();
    wait_for("a kept picture", || {
        let summary = client.get_with("/review/api/summary", &[key]).ok();
        (summary["states"]["new"] == 1).then_some(())
    });
    let Some(browser) = Browser::open(DESKTOP) else { return };
    browser.visit(&format!("{}/review", service.url()));
    browser.wait("document.querySelector('.problem .key')");
    browser.type_into(".problem .key input", "the-key-of-ann-who-reviews");
    browser.click(".problem .key button");
    browser.wait("document.querySelector('.tile img')?.naturalWidth > 0");
    press(&browser, "Enter", 0);
    browser.wait("document.getElementById('image').naturalWidth > 0");
    assert_eq!(client.get("/review/api/summary").problem().0, 401, "to others it says nothing");
}

/// The export as people get it: chosen, downloaded, and read by the tools it is for.
#[test]
fn an_export_is_downloaded_and_read() {
    let (_root, service) = kept(12);
    let Some(browser) = Browser::open(DESKTOP) else { return };
    let downloads = tempfile::tempdir().expect("a folder");
    browser.download_to(downloads.path());
    browser.visit(&format!("{}/review", service.url()));
    tiles(&browser, 12);
    press(&browser, "a", 2);
    press(&browser, "a", 0);
    settled(&browser);
    for format in ["coco", "imagefolder", "label-studio", "yolo"] {
        browser.run(&format!(
            "const f = document.getElementById('export'); f.value = '{format}'; f.dispatchEvent(new Event('change'))"
        ));
        let zip = downloads.path().join(format!("detectd-{format}.zip"));
        wait_for("the download", || zip.exists().then_some(()));
        let folder = downloads.path().join(format);
        export::unpack(&zip, &folder);
        export::check(format, &folder, 12);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_review_is_light_local_and_open_to_everybody() {
    let (_root, service) = kept(12);
    for (look, name) in [
        (DESKTOP, "desktop"),
        (Look { dark: true, language: "zh-CN", ..DESKTOP }, "dark-chinese"),
        (PHONE, "phone"),
        (Look { dark: true, language: "zh-CN", ..PHONE }, "phone-dark-chinese"),
    ] {
        let Some(browser) = Browser::open(look) else { return };
        browser.visit(&format!("{}/review", service.url()));
        // A small window need not hold elements of all.
        browser.wait("document.querySelector('.tile')?.getAttribute('aria-setsize') === '12'");
        browser
            .wait("[...document.querySelectorAll('.tile img')].slice(0, 4).every((i) => i.naturalWidth > 0)");
        browser.shoot(&format!("review-{name}"));
        let thumbs = browser.run("return performance.getEntriesByType('resource').filter((e) => e.name.includes('/thumb')).reduce((sum, e) => sum + e.decodedBodySize, 0)");
        let weight = browser.weight();
        eprintln!("{name}: {weight:?}");
        assert_eq!(weight.foreign, Vec::<String>::new());
        assert!(weight.bytes - thumbs.as_u64().expect("bytes") <= WEIGHT, "{weight:?}");
        assert_eq!(browser.barriers(), Vec::<String>::new(), "{name}");
        let wide = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(
            wide.as_i64().is_some_and(|extra| extra <= 0),
            "{name}: the page is wider than the window by {wide}"
        );
        press(&browser, "Enter", 0);
        browser.wait(
            "document.getElementById('single').open && document.getElementById('image').naturalWidth > 0",
        );
        browser.shoot(&format!("review-single-{name}"));
        assert_eq!(browser.barriers(), Vec::<String>::new(), "{name}, one picture");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    }
}
