use super::*;

fn object(label: &str, score: f32, x: f32) -> Expected {
    Expected { label: label.to_owned(), score, bbox: Some([x, 0.0, x + 100.0, 100.0]) }
}

#[test]
fn small_differences_pass() {
    let expected = [object("cat", 0.9, 10.0), object("dog", 0.8, 300.0)];
    let found = [object("dog", 0.83, 305.0), object("cat", 0.88, 10.0)];
    assert_eq!(difference(&expected, &found, 0.5), None);
}

#[test]
fn what_is_near_the_threshold_may_come_and_go() {
    let (sure, unsure) = (object("cat", 0.9, 10.0), object("dog", 0.52, 300.0));
    assert_eq!(difference(&[sure.clone(), unsure.clone()], std::slice::from_ref(&sure), 0.5), None);
    assert_eq!(difference(std::slice::from_ref(&sure), &[sure.clone(), unsure], 0.5), None);
}

#[test]
fn another_label_place_or_score_and_anything_more_or_less_is_a_difference() {
    let expected = [object("cat", 0.9, 10.0)];
    for found in [
        vec![],
        vec![object("dog", 0.9, 10.0)],
        vec![object("cat", 0.9, 60.0)],
        vec![object("cat", 0.7, 10.0)],
        vec![object("cat", 0.9, 10.0), object("cat", 0.9, 300.0)],
    ] {
        assert!(difference(&expected, &found, 0.5).is_some(), "{found:?}");
    }
}

#[test]
fn a_class_has_no_place() {
    let class = |score| Expected { label: "pelican".to_owned(), score, bbox: None };
    assert_eq!(difference(&[class(0.9)], &[class(0.91)], 0.0), None);
    assert!(difference(&[class(0.9)], &[object("pelican", 0.9, 0.0)], 0.0).is_some());
}
