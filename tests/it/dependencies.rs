//! Which crate may use which: the arrows of ARCHITECTURE.md, held here.

use e2e::service::root;
use std::collections::{BTreeMap, BTreeSet};

/// Each package, what of ours it may use, and what it must never use of others'.
const ALLOWED: [(&str, &[&str], &[&str]); 9] = [
    ("shm-proto", &[], &["tokio", "hyper", "ort", "tracing", "image", "serde_json"]),
    ("vision", &[], &["tokio", "hyper", "ort", "tracing", "nix", "libc"]),
    ("harvest", &["shm-proto", "vision"], &["tokio", "hyper", "ort", "nix", "libc"]),
    ("frontend", &["shm-proto", "vision", "harvest"], &["ort", "ort-sys"]),
    ("engine", &["shm-proto", "vision"], &["tokio", "hyper", "image"]),
    ("bench", &["shm-proto", "vision", "engine"], &["ort", "ort-sys"]),
    (
        "detectd",
        &["shm-proto", "vision", "harvest", "frontend", "engine", "bench", "batch"],
        &["tokio", "hyper", "ort"],
    ),
    ("batch", &["vision", "harvest"], &["ort", "ort-sys", "nix"]),
    ("e2e", &["shm-proto", "vision"], &["tokio", "hyper", "ort"]),
];

fn dependencies(folder: &str) -> (String, BTreeSet<String>) {
    let path = root().join(folder).join("Cargo.toml");
    let manifest: toml::Table = std::fs::read_to_string(&path).expect("a manifest").parse().expect("TOML");
    let name = manifest["package"]["name"].as_str().expect("a name").to_owned();
    // What tests of a crate use is not what the crate is made of.
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    (name, table.map(|table| table.keys().cloned().collect()).unwrap_or_default())
}

#[test]
fn arrows_point_one_way() {
    let workspace: toml::Table =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest").parse().expect("TOML");
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let found: BTreeMap<String, BTreeSet<String>> =
        members.iter().map(|member| dependencies(member.as_str().expect("a folder"))).collect();
    let ours: BTreeSet<&str> = ALLOWED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), ours, "a crate without a rule");
    for (name, may, never) in ALLOWED {
        for used in &found[name] {
            assert!(
                !ours.contains(used.as_str()) || may.contains(&used.as_str()),
                "{name} must not use {used}"
            );
            assert!(!never.contains(&used.as_str()), "{name} must not use {used}");
        }
    }
}

/// `unsafe` has an address: these files and no others.
#[test]
fn unsafe_lives_in_few_files() {
    let allowed = [
        "engine/src/ort_run.rs",
        "engine/src/trim.rs",
        "shm-proto/benches/ipc.rs",
        "shm-proto/src/board/layout.rs",
        "shm-proto/src/board/segment.rs",
        "shm-proto/src/arena/engine.rs",
        "shm-proto/src/arena/frontend.rs",
        "shm-proto/src/control.rs",
        "shm-proto/src/control/child.rs",
        "shm-proto/src/futex.rs",
        "shm-proto/src/region.rs",
        "shm-proto/src/ring/loom_tests.rs",
        "supervisor/src/batch/turns.rs",
        "supervisor/src/spawn.rs",
    ];
    let mut folders = vec![root()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                // Neither comments nor texts are code.
                let code = |line: &str| -> String {
                    line.split("//").next().unwrap_or_default().split('"').step_by(2).collect()
                };
                let marks = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe trait", "unsafe extern"];
                if text.lines().map(code).any(|line| marks.iter().any(|mark| line.contains(mark))) {
                    found.insert(path.strip_prefix(root()).expect("below the root").display().to_string());
                }
            }
        }
    }
    assert_eq!(found, allowed.iter().map(|path| (*path).to_owned()).collect());
}
