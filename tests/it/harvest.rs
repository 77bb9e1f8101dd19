//! Answered pictures are kept, whole and counted, whatever the disk does; people sort them, together and undone; what they
//! accepted becomes a data set that public tools read.

use e2e::client::Client;
use e2e::export;
use e2e::pictures::{plain, textured};
use e2e::service::{Service, command, run, wait_for, with_model};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const RED: [u8; 3] = [255, 0, 0];

fn kept(root: &Path, more: &str) -> String {
    with_model("yolov8")
        + &format!(
            "[harvest]\nenabled = true\nroot = {root:?}\nmin_free = \"0B\"\ndrop_near_duplicates = false\n{more}\n"
        )
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Pictures below the root, each checked to be whole and to have a whole sidecar.
fn pictures(root: &Path) -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(here) = folders.pop() {
        for entry in std::fs::read_dir(&here).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("_index") && !path.ends_with("_models") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "png") {
                let bytes = std::fs::read(&path).expect("a picture");
                image::load_from_memory(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let text = std::fs::read(path.with_extension("json"))
                    .unwrap_or_else(|_| panic!("{} has no sidecar", path.display()));
                found.push((path, serde_json::from_slice(&text).expect("JSON")));
            } else if here != root {
                assert!(
                    path.extension().is_some_and(|extension| extension == "json"),
                    "{} is half of something",
                    path.display()
                );
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// What became of pictures, by the metrics.
fn outcome(client: &Client, name: &str) -> u64 {
    let text = String::from_utf8(client.get("/metrics").body).expect("text");
    let sample = format!("detectd_harvest_pictures_total{{outcome=\"{name}\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&sample)?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[test]
fn answered_pictures_are_sorted_and_counted() {
    let root = folder();
    let service = Service::start(&kept(root.path(), ""));
    let asked = service
        .client()
        .post_with("/detect", &[("content-type", "image/png"), ("x-request-id", "mine")], &plain(RED))
        .ok();
    for seed in 0..20 {
        service.client().detect(&textured(seed)).ok();
    }
    service.client().detect(&plain(RED)).ok();
    let headers = [("content-type", "image/png"), ("x-harvest", "off")];
    service.client().post_with("/detect", &headers, &textured(100)).ok();
    let wrong = [("content-type", "image/png"), ("x-harvest", "perhaps")];
    assert_eq!(
        service.client().post_with("/detect", &wrong, &textured(101)).problem(),
        (400, "bad_parameter".to_owned())
    );
    let client = service.client();
    wait_for("21 kept pictures", || (outcome(&client, "stored") == 21).then_some(()));
    wait_for("the duplicate", || (outcome(&client, "duplicate") == 1).then_some(()));
    assert_eq!(
        (outcome(&client, "opted_out"), outcome(&client, "failed"), outcome(&client, "dropped")),
        (1, 0, 0)
    );

    let found = pictures(root.path());
    assert_eq!(found.len(), 21);
    let (path, sidecar) =
        found.iter().find(|(_, sidecar)| sidecar["request"] == "mine").expect("the red one");
    assert!(path.starts_with(root.path().join("red")), "{}", path.display());
    assert_eq!(std::fs::read(path).expect("a picture"), plain(RED));
    assert_eq!(sidecar["detections"][0]["label"], asked["detections"][0]["label"]);
    assert_eq!(sidecar["source"], "bytes");
    assert!(
        sidecar["timing_ms"]["infer"].is_number()
            && sidecar["model"]["version"].as_str().is_some_and(|v| v.len() == 64)
    );
    // What is queued when the service is stopped is written.
    for seed in 200..210 {
        service.client().detect(&textured(seed)).ok();
    }
    assert!(service.stop().success());
    assert_eq!(pictures(root.path()).len(), 31);
}

/// A small disk of its own; `None` where that is not allowed.
struct Disk(TempDir);

impl Disk {
    fn new(options: &str, flags: MsFlags) -> Option<Self> {
        let folder = folder();
        match mount(Some("tmpfs"), folder.path(), Some("tmpfs"), flags, Some(options)) {
            Ok(()) => Some(Self(folder)),
            Err(error) => {
                eprintln!("SKIPPED: a disk of its own cannot be mounted ({error})");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_costs_no_request_and_leaves_no_half_file() {
    let Some(disk) = Disk::new("size=1500k", MsFlags::empty()) else { return };
    let service = Service::start(&kept(disk.0.path(), ""));
    let client = service.client();
    for seed in 0..120 {
        client.detect(&textured(seed)).ok();
    }
    wait_for("every picture's fate", || {
        (outcome(&client, "stored") + outcome(&client, "failed") + outcome(&client, "no_room") == 120)
            .then_some(())
    });
    assert!(outcome(&client, "stored") > 5 && outcome(&client, "failed") + outcome(&client, "no_room") > 20);
    assert_eq!(pictures(disk.0.path()).len() as u64, outcome(&client, "stored"));
    let warnings = service.log().matches("pictures cannot be kept").count();
    assert!(warnings <= 4, "{warnings} warnings in less than a minute from two processes");
    assert!(service.stop().success());
}

#[test]
fn a_read_only_folder_costs_no_request() {
    let Some(disk) = Disk::new("size=1m", MsFlags::MS_RDONLY) else { return };
    let service = Service::start(&kept(disk.0.path(), ""));
    let client = service.client();
    for seed in 0..20 {
        client.detect(&textured(seed)).ok();
    }
    wait_for("twenty failures", || (outcome(&client, "failed") == 20).then_some(()));
    assert!(service.log().contains("pictures cannot be kept"));
    // The pages say what is wrong, and go on.
    assert_eq!(client.get("/review/api/summary").problem().0, 500);
    client.detect(&plain(RED)).ok();
    assert!(service.stop().success());
}

#[test]
fn a_killed_frontend_leaves_no_half_file() {
    let root = folder();
    let service = Service::start(&kept(root.path(), ""));
    let mut seed = 0;
    for round in 0..6 {
        let before = pictures(root.path()).len();
        for _ in 0..15 {
            seed += 1;
            let _ = service.client().try_detect(&textured(seed)); // its frontend may just have been killed
        }
        // Some are kept, however slow the machine; the others are on their way when it dies.
        wait_for("a picture that is kept", || (pictures(root.path()).len() > before).then_some(()));
        let victims = service.frontends();
        kill(victims[round % 2], Signal::SIGKILL).expect("a frontend");
        wait_for("another frontend", || (service.frontends()[round % 2] != victims[round % 2]).then_some(()));
    }
    wait_for("a service that answers", || {
        service.client().try_detect(&plain(RED)).ok().filter(|reply| reply.status == 200)
    });
    let client = service.client();
    assert!(service.stop().success());
    drop(client);
    let found = pictures(root.path());
    assert!(found.len() >= 6, "only {} pictures", found.len());
    // The next service knows them all.
    let service = Service::start(&kept(root.path(), ""));
    let client = service.client();
    wait_for("an index that is true", || {
        let summary = client.get("/review/api/summary").ok();
        (summary["states"]["new"].as_u64() == Some(found.len() as u64)).then_some(())
    });
}

fn change(client: &Client, path: &str, body: &Value) -> Value {
    client.post(path, "application/json", body.to_string().as_bytes()).ok()
}

#[test]
fn people_sort_pictures_together_and_export_them() {
    let root = folder();
    let service = Service::start(&kept(root.path(), ""));
    let client = service.client();
    for seed in 0..30 {
        client.detect(&textured(seed)).ok();
    }
    wait_for("30 kept pictures", || (outcome(&client, "stored") == 30).then_some(()));
    let page = client.get("/review/api/pictures?limit=20&order=oldest").ok();
    assert_eq!((page["total"].as_u64(), page["pictures"].as_array().map(Vec::len)), (Some(30), Some(20)));
    let next = page["next"].as_str().expect("another page");
    let rest = client.get(&format!("/review/api/pictures?limit=20&order=oldest&after={next}")).ok();
    let all: Vec<Value> = [&page, &rest]
        .iter()
        .flat_map(|page| page["pictures"].as_array().expect("pictures").clone())
        .collect();
    let ids: BTreeSet<&str> = all.iter().map(|picture| picture["id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 30);

    let named = |range: std::ops::Range<usize>| -> Vec<Value> {
        all[range]
            .iter()
            .map(|picture| json!({ "id": picture["id"], "revision": picture["revision"] }))
            .collect()
    };
    let results = |reply: &Value| -> Vec<String> {
        let rows = reply["pictures"].as_array().expect("pictures");
        rows.iter().map(|row| row["result"].as_str().expect("a result").to_owned()).collect()
    };
    // Two people on two frontends, with one picture in common.
    let one = change(
        &service.client(),
        "/review/api/actions",
        &json!({ "action": "accept", "pictures": named(0..12) }),
    );
    let two = change(
        &service.client(),
        "/review/api/actions",
        &json!({ "action": "reject", "pictures": named(11..14) }),
    );
    assert!(results(&one).iter().all(|result| result == "done"));
    assert_eq!(results(&two), ["conflict", "done", "done"]);
    let boxes = json!([{ "label": "cat", "box": [1, 2, 30, 40] }]);
    let boxed = change(
        &client,
        "/review/api/actions",
        &json!({ "action": "boxes", "pictures": named(14..15), "boxes": boxes }),
    );
    assert_eq!(results(&boxed), ["done"]);
    let moved = change(
        &client,
        "/review/api/actions",
        &json!({ "action": "move", "class": "dog", "pictures": named(15..25) }),
    );
    assert_eq!(results(&moved).len(), 10);
    let counts = |client: &Client| client.get("/review/api/summary").ok()["states"].clone();
    assert_eq!(counts(&client), json!({ "new": 5, "accepted": 23, "rejected": 2 }));
    let undone = change(&client, "/review/api/undo", &json!({ "batch": two["batch"] }));
    assert_eq!(results(&undone), ["done", "done"]);
    assert_eq!(counts(&client), json!({ "new": 7, "accepted": 23, "rejected": 0 }));
    assert_eq!(pictures(root.path()).len(), 30);

    let id = all[0]["id"].as_str().expect("an id");
    assert_eq!(
        client.get(&format!("/review/api/pictures/{id}/image")).body,
        std::fs::read(place(root.path(), id)).expect("a picture")
    );
    for _ in 0..2 {
        assert_eq!(
            client.get(&format!("/review/api/pictures/{id}/thumb")).header("content-type"),
            Some("image/jpeg")
        );
    }
    assert_eq!(client.get("/review/api/pictures/nothing/thumb").problem(), (404, "not_found".to_owned()));

    let zip = client.get("/review/api/export?format=coco");
    assert_eq!((zip.status, zip.header("content-type")), (200, Some("application/zip")));
    let file = root.path().join("_index/download.zip");
    std::fs::write(&file, &zip.body).expect("room");
    let unpacked = folder();
    export::unpack(&file, unpacked.path());
    export::check("coco", unpacked.path(), 23);
}

fn place(root: &Path, id: &str) -> PathBuf {
    let found = pictures(root);
    found
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.file_stem().is_some_and(|stem| stem == id))
        .expect("a picture")
}

#[test]
fn other_sites_and_other_machines_change_nothing() {
    let root = folder();
    let service = Service::start(&kept(root.path(), ""));
    let client = service.client();
    let json = ("content-type", "application/json");
    let body = json!({ "action": "accept", "pictures": [{ "id": "x", "revision": 0 }] }).to_string();
    let post = |headers: &[(&str, &str)]| client.post_with("/review/api/actions", headers, body.as_bytes());
    assert_eq!(post(&[json, ("sec-fetch-site", "cross-site")]).problem(), (403, "forbidden".to_owned()));
    assert_eq!(post(&[json, ("origin", "http://evil.example")]).problem(), (403, "forbidden".to_owned()));
    assert_eq!(post(&[("content-type", "text/plain")]).problem(), (415, "unsupported_media_type".to_owned()));
    assert_eq!(post(&[json, ("x-forwarded-for", "10.0.0.1")]).problem(), (403, "forbidden".to_owned()));
    assert_eq!(post(&[json]).ok()["pictures"][0]["result"], "gone");
    assert_eq!(client.get("/review/api/actions").problem(), (405, "method_not_allowed".to_owned()));
    for (path, code) in [
        ("/review/api/pictures?state=lost", "bad_parameter"),
        ("/review/api/pictures?limit=501", "bad_parameter"),
        ("/review/api/pictures?flag=ugly", "bad_parameter"),
        ("/review/api/nothing", "not_found"),
        ("/review/api/export?format=zip", "bad_parameter"),
        ("/review/api/export?format=coco", "not_found"),
    ] {
        assert_eq!(client.get(path).problem().1, code, "{path}");
    }
    let odd = json!({ "action": "boxes", "pictures": [{ "id": "x", "revision": 0 }], "boxes": [{ "label": "a", "box": [9, 0, 1, 1] }] });
    assert_eq!(client.post_with("/review/api/actions", &[json], odd.to_string().as_bytes()).problem().0, 400);
    let off = Service::start(&with_model("yolov8"));
    assert_eq!(off.client().get("/review/api/summary").problem(), (403, "forbidden".to_owned()));
    assert_eq!(off.client().get("/review").status, 200);
}

#[test]
fn accepted_pictures_are_exported_and_compared() {
    let root = folder();
    let service = Service::start(&kept(root.path(), ""));
    let client = service.client();
    for colour in e2e::pictures::COLOURS {
        client.detect(&plain(colour.1)).ok();
    }
    wait_for("kept pictures", || (outcome(&client, "stored") == 6).then_some(()));
    let page = client.get("/review/api/pictures").ok();
    let all: Vec<Value> = page["pictures"]
        .as_array()
        .expect("pictures")
        .iter()
        .map(|p| json!({ "id": p["id"], "revision": 0 }))
        .collect();
    change(&client, "/review/api/actions", &json!({ "action": "accept", "pictures": all }));
    assert!(service.stop().success());

    let into = folder();
    for format in ["yolo", "coco", "label-studio", "imagefolder"] {
        let target = into.path().join(format);
        let output = run(&[
            "export",
            target.to_str().expect("UTF-8"),
            "--format",
            format,
            "--root",
            root.path().to_str().expect("UTF-8"),
            "--validation",
            "0.5",
        ]);
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let sums = Command::new("sha256sum")
            .args(["--check", "--quiet", "SHA256SUMS"])
            .current_dir(&target)
            .status()
            .expect("sha256sum");
        assert!(sums.success(), "{format}");
        // A picture without a class has no folder to lie in.
        export::check(format, &target, if format == "imagefolder" { 5 } else { 6 });
    }
    let again = run(&[
        "export",
        into.path().join("yolo").to_str().expect("UTF-8"),
        "--format",
        "yolo",
        "--root",
        root.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(again.status.code(), Some(2), "an export does not go over another");

    let html = into.path().join("compare.html");
    let models = ["yolov8", "yolox"].map(|name| e2e::service::asset(&format!("{name}.onnx")));
    let output = command(&["compare", "--json", "-o", html.to_str().expect("UTF-8")])
        .arg("--model")
        .arg(&models[0])
        .arg("--model")
        .arg(&models[0])
        .arg(root.path())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let same: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(same["comparison"]["pictures"], 6);
    assert_eq!(same["disagree"], json!([]), "a model agrees with itself");
    assert_eq!(same["comparison"]["map50"], json!([1.0, 1.0]), "people accepted what it said: {same:#}");
    assert!(std::fs::read_to_string(&html).expect("a page").starts_with("<!doctype html>"));
    let other = command(&["compare"])
        .arg("--model")
        .arg(&models[0])
        .arg("--model")
        .arg(&models[1])
        .arg(root.path())
        .output()
        .expect("it runs");
    assert!(
        other.status.success() && String::from_utf8_lossy(&other.stdout).contains("mAP 0.5"),
        "{}",
        String::from_utf8_lossy(&other.stderr)
    );
}
