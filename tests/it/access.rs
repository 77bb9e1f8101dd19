//! Who may ask and what a frontend has given up: keys, limits, origins, the sandbox, over a running service.

use e2e::client::Client;
use e2e::pictures::plain;
use e2e::service::{Service, run, wait_for, with_model};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;

const KEY: &str = "a-key-of-the-web-shop";
const RED: [u8; 3] = [255, 0, 0];

fn ask(client: &Client, headers: &[(&str, &str)]) -> (u16, Option<String>) {
    let headers = [&[("Content-Type", "image/png")], headers].concat();
    let reply = client.post_with("/detect", &headers, &plain(RED));
    let code = (reply.status != 200).then(|| reply.problem().1);
    (reply.status, code)
}

#[test]
fn only_who_shows_a_key_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    fs::write(&keys, format!("shop {KEY}\n")).expect("room");
    let service = Service::start(&format!("{}[access]\nkeys = {keys:?}\n", with_model("yolov8")));
    let client = service.client();
    let refused = client.post("/detect", "image/png", &plain(RED));
    assert_eq!(refused.problem(), (401, "key_required".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let wrong = Some("key_refused".to_owned());
    assert_eq!(ask(&client, &[("X-Api-Key", "a-key-of-somebody-else")]), (403, wrong.clone()));
    assert_eq!(ask(&client, &[("X-Api-Key", KEY)]), (200, None));
    let bearer = format!("Bearer {KEY}");
    assert_eq!(ask(&client, &[("Authorization", &bearer)]), (200, None));
    assert_eq!(client.get("/metrics").problem(), (401, "key_required".to_owned()));
    for open in ["/healthz", "/readyz", "/"] {
        assert_eq!(client.get(open).status, 200, "{open}");
    }
    assert!(!service.log().contains(KEY), "a key in the log");

    // Another file in its place, as tools that rotate keys do it.
    fs::write(folder.path().join("new"), "shop the-next-key-of-the-shop\n").expect("room");
    fs::rename(folder.path().join("new"), &keys).expect("one file system");
    wait_for("the new key", || {
        (ask(&client, &[("X-Api-Key", "the-next-key-of-the-shop")]) == (200, None)).then_some(())
    });
    // Both frontends look once a second.
    wait_for("the end of the old key", || {
        (ask(&client, &[("X-Api-Key", KEY)]) == (403, wrong.clone())).then_some(())
    });
}

#[test]
fn keys_that_cannot_be_read_are_said_before_anything_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    fs::write(folder.path().join("keys"), "shop short\n").expect("room");
    fs::write(&config, format!("{}[access]\nkeys = \"keys\"\n", with_model("yolov8"))).expect("room");
    let output = run(&["check", "--config", config.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("access.keys") && said.contains("line 1") && !said.contains("short"), "{said}");
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let settings = format!(
        "{}[service]\nprocs = 1\n[access]\naddress_rate = 2\naddress_burst = 3\ncors_origins = [\"https://shop.example\"]\n",
        with_model("yolov8")
    );
    let service = Service::start(&settings);
    let client = service.client();
    for _ in 0..3 {
        assert_eq!(ask(&client, &[]), (200, None));
    }
    let refused = client.post("/detect", "image/png", &plain(RED));
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    let seconds: u32 = refused.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(client.get("/healthz").status, 200, "signs of life are not counted");

    // A refusal, too, is for the page that asked.
    let origin = [("Origin", "https://shop.example"), ("Content-Type", "image/png")];
    let refused = client.post_with("/detect", &origin, &plain(RED));
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.example"));
    let other = client.post_with("/detect", &[("Origin", "https://other.example")], &plain(RED));
    assert_eq!(other.header("access-control-allow-origin"), None);
}

/// A line of `/proc/PID/task/TID/status` for every thread of a process.
fn threads(pid: Pid, line: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .map(|status| {
            let value =
                status.lines().find_map(|found| found.strip_prefix(line)).expect("a line of that name");
            value.trim_matches([':', '\t', ' ']).to_owned()
        })
        .collect()
}

fn guards(service: &Service) -> Vec<Value> {
    let status = run(&["status", "--json", "--name", service.name()]);
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let processes = status["processes"].as_array().expect("processes").clone();
    let frontends =
        processes.iter().filter(|row| row["process"].as_str().is_some_and(|who| who.starts_with("frontend")));
    frontends.map(|row| row["guards"].clone()).collect()
}

#[test]
fn frontends_give_up_what_they_need_not_and_status_says_so() {
    let service = Service::start(&with_model("yolov8"));
    assert_eq!(ask(&service.client(), &[]), (200, None));
    for pid in service.frontends() {
        // 2: filtered.
        assert!(threads(pid, "Seccomp:").iter().all(|mode| mode == "2"), "{:?}", threads(pid, "Seccomp:"));
    }
    for pid in service.frontends().into_iter().chain([service.engine()]) {
        assert!(threads(pid, "NoNewPrivs:").iter().all(|value| value == "1"));
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    }
    let guards = guards(&service);
    assert_eq!(guards.len(), 2);
    for found in &guards {
        let found: Vec<&str> = found.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(found.contains(&"seccomp"), "{found:?}");
        // Older kernels have no Landlock, and then the log says so.
        assert!(found.contains(&"landlock") || service.log().contains("Landlock"), "{found:?}");
    }
}

#[test]
fn each_guard_can_be_switched_off() {
    let settings = format!("{}[sandbox]\nseccomp = false\nlandlock = false\n", with_model("yolov8"));
    let service = Service::start(&settings);
    assert_eq!(ask(&service.client(), &[]), (200, None));
    assert_eq!(guards(&service), [serde_json::json!([]), serde_json::json!([])]);
    for pid in service.frontends() {
        let outside = fs::read_to_string("/proc/self/status").expect("our own");
        let mode = outside.lines().find_map(|line| line.strip_prefix("Seccomp:")).expect("a line").trim();
        assert!(threads(pid, "Seccomp:").iter().all(|found| found == mode), "only what we have ourselves");
    }
}

#[test]
fn operators_have_a_door_of_their_own() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys");
    fs::write(&keys, format!("shop {KEY}\n")).expect("room");
    let settings = format!("{}[access]\nkeys = {keys:?}\nadmin_listen = \"{free}\"\n", with_model("yolov8"));
    let service = Service::start(&settings);
    let (public, admin) = (service.client(), Client::new(&format!("http://{free}")));
    for path in ["/metrics", "/stats"] {
        assert_eq!(public.get(path).problem(), (404, "not_found".to_owned()), "{path}");
        assert_eq!(admin.get(path).status, 200, "{path}");
    }
    assert_eq!(public.get("/healthz").status, 200);
    assert_eq!(ask(&public, &[("X-Api-Key", KEY)]), (200, None));
    assert_eq!(ask(&public, &[]).0, 401);
    assert_eq!(ask(&admin, &[]), (200, None));
}
