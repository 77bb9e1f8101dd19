//! A real browser without a screen: Chromium, driven through its own driver by WebDriver, which is JSON over HTTP. Owns as much of
//! the protocol as the tests of the pages need. Where the two programs are not installed there is no browser, and a test says so.

use crate::service::wait_for;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a session begins with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Whether the system prefers dark colours.
    pub dark: bool,
    /// The languages that the person reads, best first.
    pub language: &'static str,
}

/// A desktop window in English.
pub const DESKTOP: Look = Look { width: 1400, height: 1000, dark: false, language: "en" };

/// What it took to show a page.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Bytes of everything that it loaded, uncompressed.
    pub bytes: u64,
    /// The same as it came over the wire, with headers.
    pub sent: u64,
    /// What of it came from elsewhere.
    pub foreign: Vec<String>,
    /// When the first text or picture was seen, in milliseconds.
    pub first_paint: f64,
}

/// A browser with one page. Closed when dropped.
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
}

impl Browser {
    /// Opens a browser, or says why there is none.
    pub fn open(look: Look) -> Option<Self> {
        let is_there = |program| {
            let run =
                Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        if !["chromium", "chromedriver"].into_iter().all(is_there) {
            eprintln!("skipped: chromium and chromium-driver are not installed");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        let mut browser = Self { driver, agent: config.into(), session: format!("http://127.0.0.1:{port}") };
        wait_for("the browser's driver", || {
            browser.agent.get(format!("{}/status", browser.session)).call().ok()
        });
        let args = [
            "--headless=new".to_owned(),
            // Tests run as root in containers, where Chromium's own sandbox cannot be set up.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--use-fake-device-for-media-stream".to_owned(),
            "--use-fake-ui-for-media-stream".to_owned(),
            format!("--lang={}", look.language),
            format!("--window-size={},{}", look.width, look.height),
        ];
        let begun = browser.call(
            "POST",
            "/session",
            &json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": args, "prefs": { "intl.accept_languages": look.language } },
        } } }),
        );
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}")).to_owned();
        browser.session = format!("{}/session/{id}", browser.session);
        let size = json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600 });
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if look.dark { "dark" } else { "light" };
        browser.devtools(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = format!("{}{path}", self.session);
        let response = match method {
            "POST" => self.agent.post(address).send_json(body),
            "DELETE" => self.agent.delete(address).call(),
            _ => self.agent.get(address).call(),
        };
        let mut response =
            response.unwrap_or_else(|error| panic!("the driver does not answer {path}: {error}"));
        let mut answer: Value = response.body_mut().with_config().limit(64 << 20).read_json().expect("JSON");
        assert!(response.status().is_success(), "{method} {path}: {answer}");
        answer["value"].take()
    }

    /// A command of the browser's own protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Goes to an address.
    pub fn visit(&self, address: &str) {
        self.call("POST", "/url", &json!({ "url": address }));
    }

    /// Runs a script in the page and gives what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that gives its result to `done`.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.call("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true in the page.
    pub fn wait(&self, expression: &str) {
        wait_for(expression, || (self.run(&format!("return Boolean({expression})")) == true).then_some(()));
    }

    fn element(&self, selector: &str) -> String {
        let found = self.call("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|map| map.values().next()).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no {selector}: {found}")).to_owned()
    }

    /// Clicks on an element, as a person would: where something lies over it this fails.
    pub fn click(&self, selector: &str) {
        self.call("POST", &format!("/element/{}/click", self.element(selector)), &json!({}));
    }

    /// Types into an element. Of a file's input, the text is the file's path.
    pub fn type_into(&self, selector: &str, text: &str) {
        self.call("POST", &format!("/element/{}/value", self.element(selector)), &json!({ "text": text }));
    }

    /// Sets a slider as a person would by dragging it.
    pub fn slide(&self, selector: &str, value: f64) {
        self.run(&format!(
            "const s = document.querySelector({selector:?}); s.value = {value}; s.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        ));
    }

    /// An element's text as it is seen.
    pub fn text(&self, selector: &str) -> String {
        self.call("GET", &format!("/element/{}/text", self.element(selector)), &Value::Null)
            .as_str()
            .expect("text")
            .to_owned()
    }

    /// How many elements there are.
    pub fn count(&self, selector: &str) -> usize {
        self.run(&format!("return document.querySelectorAll({selector:?}).length"))
            .as_u64()
            .expect("a number") as usize
    }

    /// What the page wrote into its console since the last look, warnings and errors only.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("a log").iter();
        entries
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// What it took to show the page.
    pub fn weight(&self) -> Weight {
        let loaded = self.run(
            "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
                .map((one) => [one.name, one.decodedBodySize, one.transferSize]);",
        );
        let origin = self.run("return location.origin");
        let origin = origin.as_str().expect("an origin");
        let loaded: Vec<(String, u64, u64)> = serde_json::from_value(loaded).expect("names and sizes");
        let ours = |name: &str| name.starts_with(origin) || name.starts_with("blob:");
        let paint = self.run("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
        Weight {
            bytes: loaded.iter().map(|(_, bytes, _)| bytes).sum(),
            sent: loaded.iter().map(|(.., sent)| sent).sum(),
            foreign: loaded.into_iter().map(|(name, ..)| name).filter(|name| !ours(name)).collect(),
            first_paint: paint.as_f64().expect("something was painted"),
        }
    }

    /// What axe-core finds at fault with the page for people who see or move otherwise: the serious and the critical.
    pub fn barriers(&self) -> Vec<String> {
        const AXE: &str = include_str!("../assets/axe.min.js");
        self.run(AXE);
        let found = self
            .run_async("axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations))");
        let serious = found
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| one["impact"] == "serious" || one["impact"] == "critical");
        serious
            .map(|one| {
                format!(
                    "{}: {} {}",
                    one["id"],
                    one["help"],
                    one["nodes"].as_array().map_or_else(String::new, |nodes| {
                        nodes
                            .iter()
                            .take(3)
                            .map(|node| format!("\n  {}\n  {}", node["html"], node["any"][0]["message"]))
                            .collect()
                    })
                )
            })
            .collect()
    }

    /// Lets the page put downloads there.
    pub fn download_to(&self, folder: &Path) {
        self.devtools("Browser.setDownloadBehavior", &json!({ "behavior": "allow", "downloadPath": folder }));
    }

    /// Bytes of the page's JavaScript objects.
    pub fn heap(&self) -> u64 {
        self.devtools("HeapProfiler.collectGarbage", &json!({}));
        self.devtools("Runtime.getHeapUsage", &json!({}))["usedSize"].as_f64().expect("a number") as u64
    }

    /// Keeps a picture of the page when `DETECTD_SHOTS` names a folder: to be looked at.
    pub fn shoot(&self, name: &str) {
        let Some(folder) = std::env::var_os("DETECTD_SHOTS") else { return };
        let size = self.run("return [innerWidth, document.documentElement.scrollHeight]");
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let shot = self.devtools(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        );
        let bytes =
            base64_simd::STANDARD.decode_to_vec(shot["data"].as_str().expect("base64")).expect("base64");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).expect("room for a picture");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if self.session.contains("/session/") {
            let _ = self.agent.delete(&self.session).call();
        }
        // Its child, the browser, goes with the session; the driver is ours.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
