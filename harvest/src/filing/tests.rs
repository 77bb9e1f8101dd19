use super::*;
use crate::State;
use crate::testing::{detected, noise, pictures, png};
use crate::truth;

#[test]
fn a_picture_that_is_sorted_again_lies_there_once_and_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let found = || Sidecar { time: "2026-11-25T12:00:00Z".to_owned(), ..detected("unused", "dog", 0.87) };
    for _ in 0..2 {
        sort(root, "in/1.png", &png(1), &noise(1), found()).expect("room");
    }
    sort(root, "in/2.png", &png(1), &noise(1), found()).expect("room");
    let lying = pictures(root);
    assert_eq!(lying.len(), 2, "{lying:?}");
    assert!(lying.iter().all(|path| path.starts_with("dog/0.8-0.9/2026-11-2")), "{lying:?}");
    let known = truth::pictures(root, &[State::New]).expect("folders");
    assert_eq!(known.len(), 2);
    let sidecar = &known[0].sidecar;
    assert_eq!((sidecar.width, sidecar.bytes), (noise(1).width, png(1).len() as u64));
    assert_eq!(sidecar.found_top().0, "dog");
}

#[test]
fn a_model_is_described_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let labels = ["cat".to_owned(), "dog".to_owned()];
    let model = Model { name: "pets", version: "abc", task: Task::Detect, labels: &labels };
    model.describe(folder.path()).expect("room");
    let first = truth::newest(folder.path()).expect("a model");
    model.describe(folder.path()).expect("nothing to do");
    assert_eq!(truth::newest(folder.path()), Some(first.clone()));
    assert_eq!((first.version.as_str(), first.labels.as_slice()), ("abc", labels.as_slice()));
}
