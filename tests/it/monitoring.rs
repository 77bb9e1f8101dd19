//! Files for other people's programs: every metric that alerts, dashboard and autoscaler use is one that the service tells, and the
//! kustomization has every manifest.

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

#[test]
fn the_kustomization_names_every_manifest() {
    let text = std::fs::read_to_string(root().join("k8s/kustomization.yaml")).expect("the kustomization");
    let entries = text.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let named: BTreeSet<_> = entries.filter(|entry| entry.ends_with(".yaml")).map(str::to_owned).collect();
    let files = std::fs::read_dir(root().join("k8s")).expect("the folder").flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let there: BTreeSet<_> =
        names.filter(|name| name.ends_with(".yaml") && name != "kustomization.yaml").collect();
    assert!(!there.is_empty(), "no manifest in k8s");
    assert_eq!(named, there, "listed and there");
}
