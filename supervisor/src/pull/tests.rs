//! Fetching from a little server of our own: the right file, a wrong one, none.

use super::*;
use std::net::TcpListener;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Answers one request with `abc`, or with 404.
fn server(found: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let answer = if found {
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        } else {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    format!("http://{address}/models/m.onnx?x=1")
}

fn args(url: String, sha256: &str, output: Option<PathBuf>) -> PullArgs {
    PullArgs { url, sha256: sha256.to_owned(), output }
}

#[test]
fn the_right_file_is_kept_and_not_fetched_again() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("m.onnx");
    let url = server(true);
    assert!(run(&args(url.clone(), &ABC.to_uppercase(), Some(file.clone()))).is_ok());
    assert_eq!(fs::read(&file).expect("file"), b"abc");
    assert!(run(&args(url, ABC, Some(file))).is_ok(), "the server answers once only");
}

#[test]
fn a_wrong_file_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let wrong = ABC.replace('b', "0");
    let failure = run(&args(server(true), &wrong, Some(folder.path().join("m.onnx")))).expect_err("refused");
    assert!(failure.why.contains(ABC) && failure.why.contains("nothing was kept"), "{}", failure.why);
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
}

#[test]
fn a_missing_file_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let failure = run(&args(server(false), ABC, Some(folder.path().join("m.onnx")))).expect_err("refused");
    assert!(failure.why.contains("404"), "{}", failure.why);
    assert_eq!(failure.exit, Exit::Temporary);
}

#[test]
fn the_name_comes_from_the_address() {
    let name = |url: &str| output(&args(url.to_owned(), ABC, None));
    assert_eq!(name("https://example.com/a/m.onnx?x=1").expect("name"), Path::new("m.onnx"));
    assert!(name("https://example.com/").is_err());
    assert!(name("https://example.com/a/..").is_err());
}

#[test]
fn a_hash_that_is_none_is_refused_before_anything_is_fetched() {
    let failure = run(&args("http://127.0.0.1:1/m.onnx".to_owned(), "abc", None)).expect_err("refused");
    assert!(failure.why.contains("64 hexadecimal"), "{}", failure.why);
}
