//! Data sets read by the tools that people would train or label with. Where a Python with such a tool is not found, a test says so.

use crate::service::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unpacks a downloaded export.
pub fn unpack(zip: &Path, into: &Path) {
    let program = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let status = Command::new("python3").args(["-c", program]).arg(zip).arg(into).status();
    assert!(status.expect("python3 runs").success(), "{} is no zip file", zip.display());
}

/// Has an export of so many pictures read. `DETECTD_PYTHON` names a Python with pycocotools and label-studio-sdk.
pub fn check(format: &str, folder: &Path, pictures: usize) {
    let python = std::env::var_os("DETECTD_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let output = Command::new(python)
        .arg(root().join("tests/assets/check_export.py"))
        .args([format.as_ref(), folder.as_os_str(), pictures.to_string().as_ref()])
        .output()
        .expect("Python runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{format}: {said}");
    if said.contains("SKIPPED") {
        eprintln!("{said}");
    }
}
