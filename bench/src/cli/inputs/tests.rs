use super::*;

#[test]
fn what_differs_by_little_is_not_told_apart() {
    let times = vec![(Input::Url, 9.0), (Input::Base64, 4.0), (Input::Bytes, 4.04), (Input::File, 5.0)];
    assert_eq!(order(times), "base64 4.00 ≈ bytes 4.04 < file 5.00 < url 9.00");
}
