use super::*;
use crate::run::tests::{Script, answer_to};
use std::path::Path;

const GOOD: &str = r#"{"id":"1","width":4,"height":3,"detections":[],"timing_ms":{"total":1}}"#;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn ask(script: &[(u16, &'static str)]) -> Result<Option<Record>, BatchError> {
    let server = Script::serve(answer_to(script.to_vec()));
    let picture = Bytes::from_static(b"picture");
    runtime().block_on(Client::new(&server.endpoint(), "", &|| false).detect("p", &picture))
}

/// What comes of asking about two files together.
fn ask_together(status: u16, answer: &'static str) -> Vec<Option<Record>> {
    let server = Script::serve(answer_to(vec![(status, answer)]));
    let files = ["a", "b"].map(|name| Named { name, path: Path::new(name) });
    runtime().block_on(Client::new(&server.endpoint(), "", &|| false).detect_files(&files))
}

#[test]
fn of_files_asked_about_together_each_has_its_record_or_none() {
    let half = r#"{"id":"1","results":[{"status":403,"code":"path_forbidden","detail":"no"},
        {"id":"1","width":4,"height":3,"detections":[]}],"timing_ms":{"total":1}}"#;
    let records = ask_together(200, half);
    assert!(records[0].is_none(), "to be asked about alone");
    assert_eq!(records[1].as_ref().expect("an answer").image, "b");
}

#[test]
fn a_list_without_an_answer_leaves_all_of_it_to_be_asked_about_alone() {
    let busy = r#"{"code":"overloaded","detail":"later"}"#;
    for (status, answer) in [(429, busy), (0, ""), (200, GOOD), (200, r#"{"results":[]}"#)] {
        assert_eq!(ask_together(status, answer), [None, None], "{status} {answer}");
    }
}

#[test]
fn paths_are_sent_whole_and_the_key_is_shown() {
    let server = Script::serve(Box::new(|body| {
        let asked: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let here = std::path::absolute("a").expect("a folder");
        assert_eq!(asked["images"][0]["type"], "path");
        assert_eq!(asked["images"][0]["img"], here.to_str().expect("text"));
        (200, r#"{"results":[{"width":1,"height":1,"classes":[]}]}"#.to_owned())
    }));
    let files = [Named { name: "a", path: Path::new("a") }];
    let endpoint = server.endpoint();
    let records = runtime().block_on(Client::new(&endpoint, "", &|| false).detect_files(&files));
    assert!(records[0].is_some());
    assert!(server.heads().contains(&format!("x-api-key: {}", endpoint.key)), "{}", server.heads());
}

#[test]
fn an_answer_becomes_a_record_without_what_differs_from_run_to_run() {
    let record = ask(&[(200, GOOD)]).expect("an answer").expect("nobody stops");
    assert_eq!(
        serde_json::to_string(&record).expect("JSON"),
        r#"{"image":"p","width":4,"height":3,"detections":[]}"#
    );
}

#[test]
fn what_may_pass_is_tried_again() {
    let busy = r#"{"code":"overloaded","detail":"later"}"#;
    let down = r#"{"code":"engine_unavailable","detail":"later"}"#;
    // Status 0: the connection is closed without a word.
    let record =
        ask(&[(429, busy), (0, ""), (503, down), (200, GOOD)]).expect("an answer").expect("nobody stops");
    assert!(!record.is_bad());
}

#[test]
fn a_bad_picture_is_a_record() {
    let record = ask(&[(422, r#"{"code":"corrupt_image","detail":"it ends"}"#)]).expect("an answer");
    assert_eq!(record.expect("nobody stops").error.expect("bad").code, "corrupt_image");
}

#[test]
fn a_picture_on_which_the_model_fails_is_tried_three_times() {
    let failed = r#"{"code":"engine_failed","detail":"x"}"#;
    let record = ask(&[(500, failed), (500, failed), (500, failed)]).expect("an answer");
    assert_eq!(record.expect("nobody stops").error.expect("bad").code, "engine_failed");
    let record = ask(&[(500, failed), (200, GOOD)]).expect("an answer");
    assert!(!record.expect("nobody stops").is_bad());
}

#[test]
fn a_refusal_of_every_picture_ends_the_run() {
    let refused = ask(&[(400, r#"{"code":"bad_parameter","detail":"no class 'x'"}"#)]);
    assert!(matches!(refused, Err(BatchError::Refused(text)) if text.contains("no class 'x'")));
}
