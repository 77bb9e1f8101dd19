use super::*;

#[test]
fn rate_and_remaining_time_count_this_run() {
    assert_eq!(rate(50, 100, 0, Duration::from_secs(10)), "5.0/s, 20s left");
    assert_eq!(rate(50, 0, 2, Duration::from_secs(10)), "5.0/s, 2 bad");
    assert_eq!(rate(0, 100, 0, Duration::ZERO), "0.0/s");
}

#[test]
fn spans_have_two_units() {
    assert_eq!([5, 65, 3600 * 26 + 61].map(span), ["5s", "1m 05s", "26h 01m"]);
}
