//! What the frontends dial on a client's word, by the system calls they make: one address that is allowed, and none
//! of those that are not, however they are written or redirected to.

use e2e::pictures::plain;
use e2e::service::{Service, wait_for, with_model};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// Addresses that are refused by what they are; PORT is one where somebody listens.
const REFUSED: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://0x7f000001:PORT/",
    "http://017700000001:PORT/",
    "http://2130706433:PORT/",
    "http://0:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:10.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::1]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://10.0.0.1:PORT/",
    "http://172.16.0.1:PORT/",
    "http://192.168.0.1:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://user@127.0.0.1:PORT/",
    "http://127.0.0.2@127.0.0.1:PORT/",
    "http://127.0.0.2\\@127.0.0.1:PORT/",
    "http://127。0。0。1:PORT/",
    "http://localhost:PORT/",
    "https://localhost:PORT/",
    "https://127.0.0.1:PORT/",
    "ftp://127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
];

/// A web server at 127.0.0.2 that answers `/N` with a redirect to the refused address of that number, all else with
/// a picture.
fn web() -> u16 {
    let listener = TcpListener::bind("127.0.0.2:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        let picture = plain([255, 102, 0]);
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let number = text.split(' ').nth(1).and_then(|path| path[1..].parse::<usize>().ok());
            let answer = match number.and_then(|number| REFUSED.get(number)) {
                Some(address) => format!(
                    "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    address.replace("PORT", &port.to_string())
                )
                .into_bytes(),
                None => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        picture.len()
                    );
                    [head.as_bytes(), &picture].concat()
                }
            };
            let _ = stream.write_all(&answer);
        }
    });
    port
}

#[test]
fn no_system_call_dials_a_refused_address() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: strace is not installed");
        return;
    }
    let port = web();
    let settings = with_model("yolov8")
        + "[inputs.url]\nports = []\nallow_networks = [\"127.0.0.2/32\"]\ncache = \"0B\"\n\
           name_servers = [\"127.0.0.2:1\"]\n";
    let service = Service::start(&settings);
    let client = service.client();

    let trace = service.folder().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=connect", "-o", trace.to_str().expect("UTF-8")]);
    for pid in service.frontends() {
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
        service.frontends().into_iter().all(traced).then_some(())
    });
    let fetch = |address: &str| client.detect_json("url", json!(address));
    for (number, address) in REFUSED.iter().enumerate() {
        let (_, code) = fetch(&address.replace("PORT", &port.to_string())).problem();
        assert!(matches!(code.as_str(), "url_forbidden" | "url_failed"), "{address}: {code}");
        let (status, code) = fetch(&format!("http://127.0.0.2:{port}/{number}")).problem();
        assert_eq!((status, code.as_str()), (502, "url_failed"), "a redirect to {address}");
    }
    // The control: what may be dialled is, and seen.
    assert_eq!(fetch(&format!("http://127.0.0.2:{port}/picture")).status, 200);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(strace.id() as i32), nix::sys::signal::Signal::SIGINT)
        .expect("strace lives");
    strace.wait().expect("strace ends");

    let text = std::fs::read_to_string(&trace).expect("a trace");
    let dialled: Vec<_> = text.lines().filter(|line| line.contains("AF_INET")).collect();
    let allowed = format!("sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.2\")");
    assert!(dialled.len() >= REFUSED.len(), "{} connections", dialled.len());
    for line in dialled {
        assert!(line.contains(&allowed), "{line}");
    }
}
