//! No image travels between our processes but through shared memory: every system call that could carry one is
//! watched during a hundred detections, and none between the processes carries more than a wake-up.

use e2e::pictures::sized;
use e2e::service::{Service, wait_for, with_model};
use std::collections::HashMap;
use std::process::{Command, Stdio};

/// Most bytes in one write or send between processes.
const LIMIT: i64 = 256;

#[test]
fn nothing_but_wake_ups_is_written_between_processes() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: strace is not installed");
        return;
    }
    let service = Service::start(&with_model("yolov8"));
    let client = service.client();
    let picture = sized([255, 102, 0], 640, 480);
    client.detect(&picture).ok();

    let trace = service.folder().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-yy", "-qq", "-s", "0", "-o", trace.to_str().expect("UTF-8")]);
    strace.args([
        "-e",
        "trace=write,writev,pwrite64,sendto,sendmsg,sendmmsg,splice,vmsplice,tee,sendfile,process_vm_writev",
    ]);
    for pid in service.frontends().into_iter().chain([service.engine(), service.pid()]) {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace.stderr(Stdio::null()).spawn().expect("strace starts");
    wait_for("strace to attach", || {
        let traced = |pid: nix::unistd::Pid| {
            std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| {
                text.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
            })
        };
        if let Some(status) = strace.try_wait().expect("our child") {
            panic!("strace ended with {status}");
        }
        service.frontends().into_iter().chain([service.engine()]).all(traced).then_some(())
    });
    // Some more than are asked for: the last ones may be under way when strace leaves.
    for _ in 0..105 {
        client.detect(&picture).ok();
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(strace.id() as i32), nix::sys::signal::Signal::SIGINT)
        .expect("strace lives");
    strace.wait().expect("strace ends");

    let text = std::fs::read_to_string(&trace).expect("a trace");
    let (mut answers, mut wakes) = (0, 0);
    for line in whole_lines(&text) {
        let Some(bytes) = line.rsplit("= ").next().and_then(|rest| rest.trim().parse::<i64>().ok()) else {
            continue;
        };
        if line.contains("TCP:[") || line.contains("TCPv6:[") {
            answers += 1; // to the client
        } else if line.contains("(2<") || line.contains("(1<") {
            // the log
        } else {
            wakes += 1;
            assert!(bytes <= LIMIT, "{bytes} bytes between processes: {line}");
        }
    }
    println!("{answers} writes to clients, {wakes} between processes");
    assert!(answers >= 100, "the trace saw {answers} answers");
    assert!(wakes > 0, "the trace saw no wake-up at all");
}

/// The calls of a trace, with those that strace saw in two parts put together.
fn whole_lines(trace: &str) -> Vec<String> {
    let mut begun: HashMap<&str, &str> = HashMap::new();
    let mut whole = Vec::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        if let Some(first) = line.strip_suffix("<unfinished ...>") {
            begun.insert(thread, first);
        } else if let Some((_, second)) = line.split_once("resumed>") {
            whole.push(begun.remove(thread).unwrap_or_default().to_owned() + second);
        } else {
            whole.push(line.to_owned());
        }
    }
    whole
}
