use super::*;
use crate::run::tests::{Script, answer_to};

const GOOD: &str = r#"{"id":"1","width":4,"height":3,"detections":[],"timing_ms":{"total":1}}"#;

fn ask(script: &[(u16, &'static str)]) -> Result<Option<Record>, BatchError> {
    let server = Script::serve(answer_to(script.to_vec()));
    let address = server.address.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let picture = Bytes::from_static(b"picture");
    runtime.block_on(Client::new(&address, "", &|| false).detect("p", &picture))
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
