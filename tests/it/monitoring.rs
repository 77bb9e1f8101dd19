//! Alerts and dashboard: every name they use is one that the service tells.

use e2e::service::{Service, root, with_model};
use std::collections::BTreeSet;

/// Names of metrics in a text. A histogram's series count as the histogram.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("detectd_"))
        .map(|word| {
            let series = ["_bucket", "_sum", "_count"];
            series.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn alerts_and_dashboard_use_names_that_exist() {
    let service = Service::start(&with_model("yolov8"));
    let told = service.client().get("/metrics");
    let told = names(&String::from_utf8(told.body).expect("text"));
    for file in ["monitoring/rules.yml", "monitoring/dashboard.json", "k8s/hpa.yaml"] {
        let used = names(&std::fs::read_to_string(root().join(file)).expect(file));
        assert!(!used.is_empty(), "{file} uses none");
        let unknown: Vec<_> = used.difference(&told).collect();
        assert!(unknown.is_empty(), "{file} uses {unknown:?}");
    }
}
