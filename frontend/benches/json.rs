//! What a JSON request costs beyond its picture: from the body to the picture's bytes, the same with a raw body beside it.
//!
//! `cargo bench -p frontend` prints the times; nothing is asserted, since a time is no property of the code alone.

use base64_simd::STANDARD;
use bytes::Bytes;
use divan::{Bencher, black_box};
use frontend::inputs::{Asked, Inputs, InputsConfig};
use http::Request;
use http::request::Parts;
use http_body_util::Full;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// A photograph of the repository.
const SAMPLE: &[u8] = include_bytes!("../../docs/sample.jpg");

fn main() {
    divan::main();
}

/// One frontend's reading of requests.
struct Desk {
    runtime: Runtime,
    inputs: Inputs,
}

impl Desk {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { runtime, inputs: Inputs::new(&InputsConfig::default()).expect("the defaults are good") }
    }

    fn read(&self, head: &Parts, body: &Bytes) -> Asked {
        let deadline = Instant::now() + Duration::from_secs(60);
        let received = self.inputs.receive(head, Full::new(body.clone()), deadline);
        self.runtime.block_on(received).expect("a good request").0
    }
}

fn head(media_type: &str) -> Parts {
    let request = Request::post("/detect").header("content-type", media_type);
    request.body(()).expect("a request").into_parts().0
}

#[divan::bench(args = [1, 8])]
fn pictures_in_json(bencher: Bencher, count: usize) {
    let one = format!(r#"{{"type":"base64","img":"{}","score":0.4}}"#, STANDARD.encode_to_string(SAMPLE));
    let body = match count {
        1 => one,
        _ => format!(r#"{{"images":[{}]}}"#, vec![one.as_str(); count].join(",")),
    };
    let (desk, head, body) = (Desk::new(), head("application/json"), Bytes::from(body));
    bencher.bench_local(|| desk.read(&head, black_box(&body)));
}

#[divan::bench]
fn a_raw_body(bencher: Bencher) {
    let (desk, head, body) = (Desk::new(), head("image/jpeg"), Bytes::from_static(SAMPLE));
    bencher.bench_local(|| desk.read(&head, black_box(&body)));
}
