//! The table, written out once more: a change of a status or a name must be made in two places on purpose.

use super::*;

#[test]
fn every_code_has_its_contracted_status() {
    let table = [
        ("bad_request", 400),
        ("bad_json", 400),
        ("bad_base64", 400),
        ("bad_form", 400),
        ("bad_parameter", 400),
        ("unsupported_type", 400),
        ("unsupported_media_type", 415),
        ("not_an_image", 422),
        ("corrupt_image", 422),
        ("image_too_large", 413),
        ("body_too_large", 413),
        ("header_too_large", 431),
        ("uri_too_long", 414),
        ("url_forbidden", 403),
        ("url_failed", 502),
        ("url_timeout", 504),
        ("path_forbidden", 403),
        ("forbidden", 403),
        ("not_found", 404),
        ("method_not_allowed", 405),
        ("request_timeout", 408),
        ("expectation_failed", 417),
        ("poison_input", 422),
        ("overloaded", 429),
        ("too_many_connections", 503),
        ("engine_unavailable", 503),
        ("draining", 503),
        ("deadline_exceeded", 504),
        ("engine_failed", 500),
        ("internal", 500),
        ("key_required", 401),
        ("key_refused", 403),
        ("rate_limited", 429),
    ];
    assert_eq!(table.len(), Code::ALL.len());
    for (code, (name, status)) in Code::ALL.into_iter().zip(table) {
        assert_eq!((code.name(), code.status().as_u16()), (name, status));
    }
}

#[test]
fn the_discriminant_is_the_index_of_the_counter() {
    for (index, code) in Code::ALL.into_iter().enumerate() {
        assert_eq!(code as usize, index);
    }
}

#[test]
fn titles_differ_and_say_something() {
    let mut titles: Vec<_> = Code::ALL.iter().map(|code| code.title()).collect();
    assert!(titles.iter().all(|title| title.len() > 10 && !title.ends_with('.')));
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), Code::ALL.len());
}

#[test]
fn a_problem_has_the_members_clients_rely_on() {
    let problem = Code::BadBase64.because("character 7 is not base64").problem("01J");
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "urn:detectd:problem:bad_base64",
            "title": "The image is not valid base64",
            "status": 400,
            "detail": "character 7 is not base64",
            "code": "bad_base64",
            "id": "01J",
        })
    );
}

#[test]
fn retry_after_is_never_zero() {
    assert_eq!(RequestError::from(Code::Overloaded).retry_after(0).retry_after, Some(1));
}
