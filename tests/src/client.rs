//! A small client: what a user's program sends to the service, in every form, and what comes back.

use serde_json::{Value, json};
use std::time::Duration;

/// A client of one service. Keeps connections alive.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body of a 200 as JSON.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Status and code of a problem document, after its form was checked.
    pub fn problem(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["id"].as_str(), self.header("x-request-id"), "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        (self.status, problem["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Client {
    /// A client of the service at `base` (`http://host:port`).
    pub fn new(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into(), base: base.to_owned() }
    }

    /// GET.
    pub fn get(&self, path: &str) -> Reply {
        reply(self.agent.get(format!("{}{path}", self.base)).call())
    }

    /// A GET with headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let request = self.agent.get(format!("{}{path}", self.base));
        reply(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call())
    }

    /// POST of a body with a content type.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        reply(self.agent.post(format!("{}{path}", self.base)).content_type(content_type).send(body))
    }

    /// POST with more headers.
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let request = self.agent.post(format!("{}{path}", self.base));
        reply(headers.iter().fold(request, |request, (key, value)| request.header(*key, *value)).send(body))
    }

    /// POST /detect with an image file as the body.
    pub fn detect(&self, image: &[u8]) -> Reply {
        self.post("/detect", "application/octet-stream", image)
    }

    /// The same, for a client that reckons with losing its connection.
    ///
    /// # Errors
    /// What happened to the connection.
    pub fn try_detect(&self, image: &[u8]) -> Result<Reply, String> {
        let request =
            self.agent.post(format!("{}/detect", self.base)).content_type("application/octet-stream");
        request.send(image).map_err(|error| error.to_string()).and_then(try_reply)
    }

    /// POST /detect with `{"type":…,"img":…}`.
    pub fn detect_json(&self, kind: &str, img: Value) -> Reply {
        self.post("/detect", "application/json", json!({"type": kind, "img": img}).to_string().as_bytes())
    }
}

fn reply(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let response = result.unwrap_or_else(|error| panic!("no answer: {error}"));
    try_reply(response).unwrap_or_else(|error| panic!("no whole body: {error}"))
}

fn try_reply(mut response: ureq::http::Response<ureq::Body>) -> Result<Reply, String> {
    let headers = response
        .headers()
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let body =
        response.body_mut().with_config().limit(64 << 20).read_to_vec().map_err(|error| error.to_string())?;
    Ok(Reply { status: response.status().as_u16(), headers, body })
}

/// One part of a form.
pub enum Part<'a> {
    /// A text field.
    Text(&'a str, &'a str),
    /// A file: field, file name, content type, bytes.
    File(&'a str, &'a str, &'a str, &'a [u8]),
}

/// A multipart body and its content type.
pub fn multipart(parts: &[Part<'_>]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "----detectd-e2e";
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=").bytes());
        match part {
            Part::Text(name, text) => body.extend(format!("\"{name}\"\r\n\r\n{text}").bytes()),
            Part::File(name, file, kind, bytes) => {
                body.extend(
                    format!("\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}\r\n\r\n").bytes(),
                );
                body.extend(*bytes);
            }
        }
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// Standard base64.
pub fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}
