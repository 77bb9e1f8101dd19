use super::*;
use crate::testing::{Rig, png};
use std::collections::{HashMap, HashSet};

/// Samples by name and labels; fails on a line the format does not have, or a sample outside its family.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut family = String::new();
    let mut families = HashSet::new();
    let mut samples = HashMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap().to_owned();
            assert!(families.insert(family.clone()), "{family} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(rest.starts_with(&family), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} is not of {family}");
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} comes twice");
        }
    }
    samples
}

#[test]
fn the_exposition_is_well_formed_and_adds_up() {
    let rig = Rig::start();
    for _ in 0..3 {
        assert_eq!(rig.detect("", &png(8, 8)).status, 200);
    }
    assert_eq!(rig.detect("?score=9", &png(8, 8)).status, 400);
    let answer = rig.ask("GET /metrics HTTP/1.1\r\nHost: a\r\n", b"");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let samples = samples(&String::from_utf8(answer.body).unwrap());
    assert_eq!(samples["detectd_requests_total{code=\"ok\"}"], 3.0);
    assert_eq!(samples["detectd_requests_total{code=\"bad_parameter\"}"], 1.0);
    assert_eq!(samples["detectd_detections_total"], 3.0);
    assert_eq!(samples["detectd_inputs_total{type=\"bytes\"}"], 3.0);
    assert_eq!(samples["detectd_request_duration_seconds_bucket{le=\"+Inf\"}"], 3.0);
    assert_eq!(samples["detectd_request_duration_seconds_count"], 3.0);
    assert_eq!(samples["detectd_stage_duration_seconds_count{stage=\"decode\"}"], 3.0);
    assert_eq!(samples["detectd_process_up{role=\"frontend\",slot=\"0\"}"], 1.0);
    assert_eq!(samples["detectd_state{state=\"ready\"}"], 1.0);
    assert!(samples["detectd_process_resident_memory_bytes{role=\"frontend\",slot=\"0\"}"] > 1e6);
}

#[test]
fn durations_are_cumulative() {
    let rig = Rig::start();
    assert_eq!(rig.detect("", &png(8, 8)).status, 200);
    let samples = samples(&text(&rig.service));
    let mut last = 0.0;
    for bound in BOUNDS {
        let name = format!("detectd_request_duration_seconds_bucket{{le=\"{}\"}}", bound as f64 / 1e9);
        assert!(samples[&name] >= last, "{name}");
        last = samples[&name];
    }
}
