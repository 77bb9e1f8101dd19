//! Health, metrics, statistics and the API's own description, for the whole service from any frontend.

use e2e::pictures::plain;
use e2e::service::{Service, wait_for, with_model};
use nix::sys::signal::{Signal, kill};

const RED: [u8; 3] = [255, 0, 0];

#[test]
fn a_service_that_warms_up_lives_and_is_not_ready() {
    // Every batch size is run before the service is ready: with this model and these sizes that takes a while.
    let mut service = Service::launch(&(with_model("slow") + "[engine]\nlanes = 1\nmax_batch = 10\n"), &[]);
    let board = wait_for("a board with an address", || {
        shm_proto::board::Board::open(service.name()).ok().filter(|board| !board.listen().is_empty())
    });
    let client = e2e::client::Client::new(&format!("http://{}", board.listen()));
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/readyz").problem(), (503, "engine_unavailable".to_owned()));
    let early = client.detect(&plain(RED));
    assert_eq!(early.problem(), (503, "engine_unavailable".to_owned()));
    assert!(early.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));

    service.wait_ready();
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    assert_eq!(client.detect(&plain(RED)).status, 200);
}

/// The value of a Prometheus sample.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in:\n{text}"))
}

#[test]
fn every_frontend_counts_for_the_whole_service() {
    let service = Service::start(&with_model("yolov8"));
    let detections = 40;
    for _ in 0..detections {
        // A connection each, so that they spread over the frontends.
        service.client().detect(&plain(RED)).ok();
    }
    service.client().detect(b"no picture");
    for _ in 0..4 {
        let text = String::from_utf8(service.client().get("/metrics").body).expect("text");
        assert!(sample(&text, "detectd_requests_total{code=\"ok\"}") >= f64::from(detections), "{text}");
        assert_eq!(sample(&text, "detectd_requests_total{code=\"not_an_image\"}"), 1.0);
        assert_eq!(sample(&text, "detectd_request_duration_seconds_count"), f64::from(detections));
        assert_eq!(sample(&text, "detectd_inputs_total{type=\"bytes\"}"), f64::from(detections + 1));
        let stats = service.client().get("/stats").ok();
        assert_eq!(stats["windows"]["all"]["detections"], detections, "{stats:#}");
        assert!(
            stats["visitors"]["today"]["pv"].as_u64().is_some_and(|pv| pv >= detections as u64),
            "{stats:#}"
        );
        assert_eq!(stats["visitors"]["today"]["ip"], 1, "{stats:#}");
    }
    // Counts outlive the processes that made them.
    let victim = service.frontends()[0];
    kill(victim, Signal::SIGKILL).expect("a frontend");
    wait_for("another frontend", || (service.frontends()[0] != victim).then_some(()));
    let text = String::from_utf8(service.client().get("/metrics").body).expect("text");
    assert_eq!(sample(&text, "detectd_request_duration_seconds_count"), f64::from(detections));
}

#[test]
fn statistics_agree_with_a_count_from_outside() {
    let service = Service::start(&(with_model("slow") + "[engine]\nlanes = 2\n"));
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let client = service.client();
            scope.spawn(move || {
                while begun.elapsed().as_secs_f64() < 4.0 {
                    client.detect(&plain(RED)).ok();
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(3500));
        let stats = service.client().get("/stats").ok();
        let window = &stats["windows"]["10s"];
        let number = |name: &str| window[name].as_f64().unwrap_or_else(|| panic!("no {name} in {stats:#}"));
        let (tps, rt, concurrency) =
            (number("tps"), window["rt_ms"]["mean"].as_f64().expect("rt"), number("concurrency"));
        assert!(tps > 0.0 && rt > 0.0, "{stats:#}");
        // Little's law holds for what is counted, up to the requests that are cut by the window's ends.
        let expected = tps * rt / 1000.0;
        assert!(
            (expected - concurrency).abs() / concurrency < 0.25,
            "{expected} and {concurrency}: {stats:#}"
        );
    });
}

#[test]
fn the_api_describes_itself_truly() {
    let root = tempfile::tempdir().expect("a folder");
    let harvest = format!("[harvest]\nroot = {:?}\n", root.path());
    let service = Service::start(&(with_model("yolov8") + &harvest));
    let client = service.client();
    let api = client.get("/openapi.json").ok();
    assert!(api["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    for (path, methods) in api["paths"].as_object().expect("paths") {
        // Of what has a name of its own there is none yet. The stream of figures has no end to wait for; the pages' tests read it.
        if methods.get("get").is_some() && path != "/events" && !path.contains('{') {
            let parameters = methods["get"]["parameters"].as_array();
            let asks =
                parameters.is_some_and(|all| all.iter().any(|parameter| parameter["required"] == true));
            assert_eq!(client.get(path).status, if asks { 400 } else { 200 }, "GET {path}");
        }
        if methods.get("post").is_some() {
            assert_ne!(client.post(path, "application/json", b"{}").status, 404, "POST {path}");
        }
    }
    assert!(api["paths"]["/detect"]["post"].is_object());
}

#[test]
fn the_page_and_what_it_loads_are_there() {
    let service = Service::start(&with_model("yolov8"));
    let page = service.client().get("/");
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.body.clone()).expect("text");
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("default-src"), "{policy}");
    for part in html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert!(part.starts_with('/'), "{part} comes from elsewhere");
        assert_eq!(service.client().get(part).status, 200, "{part}");
    }
}
