use super::*;
use crate::testing::{classified, detected};

#[test]
fn a_sidecar_survives_its_text() {
    for sidecar in [detected("A", "dog", 0.83), classified("B", "cat", 0.4)] {
        let text = sidecar.to_json();
        assert_eq!(serde_json::from_slice::<Sidecar>(&text).expect("JSON"), sidecar);
    }
    // What a later version adds, and what an earlier one lacked, is no reason to lose a picture.
    let strange = serde_json::from_str::<Sidecar>(r#"{"id":"C","news":[1]}"#).expect("JSON");
    assert_eq!((strange.id.as_str(), strange.state()), ("C", State::New));
}

#[test]
fn people_have_the_last_word() {
    let mut sidecar = detected("A", "dog", 0.83);
    assert_eq!(sidecar.top(), ("dog".to_owned(), 0.83));
    let review =
        Review { state: State::Accepted, class: NOTHING.to_owned(), boxes: Some(vec![]), time: now() };
    sidecar.review = Some(review);
    assert_eq!(sidecar.top().0, NOTHING);
    assert_eq!((sidecar.boxes(), sidecar.state()), (Some(&[][..]), State::Accepted));
    assert_eq!(Sidecar::default().top(), (NOTHING.to_owned(), 0.0));
}

#[test]
fn a_day_is_a_local_one() {
    let sidecar = Sidecar { time: "2026-11-25T12:00:00.250Z".to_owned(), ..Sidecar::default() };
    assert_eq!(sidecar.millis() % 1000, 250);
    assert!(["2026-11-24", "2026-11-25", "2026-11-26"].contains(&sidecar.date().as_str()));
}
