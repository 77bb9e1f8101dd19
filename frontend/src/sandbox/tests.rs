//! What is left to a frontend and what is not, each on a thread of its own, which takes the sandbox with it when it ends.

use super::*;
use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::Command;

/// Runs `check` in a sandbox, where this system has all of it.
fn inside(config: SandboxConfig, check: impl FnOnce() + Send + 'static) {
    let wanted = Guards { seccomp: config.seccomp, landlock: config.landlock };
    let thread = std::thread::spawn(move || {
        let guards = enter(&config);
        assert_eq!(guards.seccomp, wanted.seccomp, "every kernel has this one");
        if guards == wanted { check() } else { println!("SKIPPED: this system has only {guards}") }
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn what_a_frontend_needs_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (readable, writable) = (folder.path().join("in"), folder.path().join("out"));
    fs::create_dir(&readable).expect("room");
    fs::create_dir(&writable).expect("room");
    fs::write(readable.join("a"), "a").expect("room");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let config = SandboxConfig {
        read: vec![readable.clone()],
        write: vec![writable.clone()],
        ..SandboxConfig::default()
    };
    inside(config, move || {
        assert_eq!(fs::read_to_string(readable.join("a")).expect("readable"), "a");
        fs::create_dir(writable.join("b")).expect("writable");
        fs::write(writable.join("b/part"), "c").expect("writable");
        fs::rename(writable.join("b/part"), writable.join("b/c")).expect("writable");
        fs::remove_file(writable.join("b/c")).expect("writable");
        "localhost:80".to_socket_addrs().expect("names are resolved").next().expect("an address");
        TcpStream::connect(address).expect("connections are made");
        listener.accept().expect("and accepted");
        std::thread::spawn(|| ()).join().expect("threads are started");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await }).expect("and its threads");
    });
}

#[test]
fn what_only_an_intruder_needs_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, "s").expect("room");
    inside(SandboxConfig::default(), move || {
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.expect_err("must not work").kind(), ErrorKind::PermissionDenied);
        };
        denied(fs::read(&secret).map(drop));
        denied(fs::write(&secret, "x"));
        denied(fs::write("/dev/shm/detectd-sandbox-test", "x"));
        denied(fs::write("/etc/detectd-sandbox-test", "x"));
        denied(fs::remove_file(&secret));
        denied(TcpListener::bind("127.0.0.1:0").map(drop));
        Command::new("/bin/true").status().expect_err("no program is started");
    });
    assert_eq!(fs::read_to_string(folder.path().join("secret")).expect("outside again"), "s");
}

#[test]
fn each_guards_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, "s").expect("room");
    let path = secret.clone();
    inside(SandboxConfig { landlock: false, ..SandboxConfig::default() }, move || {
        assert_eq!(fs::read_to_string(&path).expect("files are open"), "s");
        Command::new("/bin/true").status().expect_err("no program is started");
    });
    inside(SandboxConfig { seccomp: false, ..SandboxConfig::default() }, move || {
        fs::read(&secret).expect_err("files are not open");
    });
    inside(SandboxConfig { seccomp: false, landlock: false, ..SandboxConfig::default() }, || {
        assert!(Command::new("/bin/true").status().expect("programs are started").success());
    });
}
