//! Levels that are none are refused with what is allowed; control characters cannot forge a line.

use super::*;

#[test]
fn levels() {
    for good in ["info", "debug", "info,engine=debug", "off"] {
        assert!(filter(good).is_ok(), "{good}");
    }
    for bad in ["inf", "info,verbose", "engine=loud", ""] {
        let error = filter(bad).expect_err(bad);
        assert!(error.contains("use error, warn, info"), "{error}");
    }
}

#[test]
fn a_message_stays_one_line() {
    assert_eq!(one_line("a\nb\u{1b}[31m\r"), "a\\nb\\u{1b}[31m\\r");
    assert_eq!(one_line("grün ☃"), "grün ☃");
}
