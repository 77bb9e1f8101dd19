//! Decoding, against pictures made here and, where the shared test data is present, against an independent
//! decoder's results (`reference`) and other projects' malformed files (`hostile`).

mod hostile;
mod made;
mod reference;

use std::path::PathBuf;

/// The folder of test data, or `None` with a line that says what was skipped.
pub(super) fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("DETECTD_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    if folder.join("manifest.json").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED {test}: no test data at {}", folder.display());
    None
}

fn json(path: PathBuf) -> serde_json::Map<String, serde_json::Value> {
    let text = std::fs::read_to_string(path).expect("reference file");
    serde_json::from_str(&text).expect("reference JSON")
}
