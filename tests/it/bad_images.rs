//! Other projects' malformed pictures and bombs, every one of them, over HTTP: each is answered, no frontend dies, and
//! memory comes back. Prints the slowest answers and what memory was at its peak; asserts no speed.

use e2e::reference::data_folder;
use e2e::service::{Service, with_model};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

/// A line of `/proc/PID/status` in MiB.
fn mib(pid: Pid, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let value = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line of that name");
    value.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().expect("a number") >> 10
}

#[test]
fn every_bad_picture_is_answered_and_nothing_is_left_of_it() {
    let Some(data) = data_folder() else { return println!("SKIPPED: no test data") };
    let mut paths = Vec::new();
    files(&data.join("bad-images"), &mut paths);
    paths.sort();
    assert!(paths.len() > 200, "{} files", paths.len());
    let service = Service::start(&format!("{}[service]\nprocs = 1\n", with_model("yolov8")));
    let client = service.client();
    let before = service.frontends();
    // The first picture of all makes buffers that stay.
    client.detect(&e2e::pictures::plain([255, 0, 0])).ok();
    let resident = mib(before[0], "VmRSS:");

    let mut times: Vec<(Duration, u16, PathBuf)> = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).expect("test picture");
        let begun = Instant::now();
        let reply = client.detect(&bytes);
        times.push((begun.elapsed(), reply.status, path.clone()));
        assert!(
            reply.status == 200 || (400..500).contains(&reply.status),
            "{}: {}",
            path.display(),
            reply.status
        );
        if reply.status != 200 {
            reply.problem();
        }
    }
    assert_eq!(service.frontends(), before, "a frontend died");
    times.sort();
    for (time, status, path) in times.iter().rev().take(5) {
        println!("{time:>8.1?} {status} {}", path.strip_prefix(&data).expect("below it").display());
    }
    let (after, peak) = (mib(before[0], "VmRSS:"), mib(before[0], "VmHWM:"));
    println!(
        "{} pictures; resident before {resident} MiB, at most {peak} MiB, after {after} MiB",
        times.len()
    );
    assert!(after < resident + 64, "{after} MiB resident, {resident} before");
    client.detect(&e2e::pictures::plain([255, 0, 0])).ok();
}
