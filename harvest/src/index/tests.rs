use super::*;
use crate::testing::{detected, index};

#[test]
fn a_row_comes_back_as_it_went() {
    let root = tempfile::tempdir().expect("a folder");
    let index = Index::open(root.path()).expect("an index");
    let sidecar = Sidecar {
        perceptual: "ffffffffffffff0f".to_owned(),
        flags: vec!["dark".into(), "blurry".into()],
        ..detected("A", "dog", 0.25)
    };
    let written = Entry::of(Path::new("dog/0.2-0.3/2026-11-25/A.png"), State::New, "dog", &sidecar);
    put(&index.db, &written).expect("room");
    assert_eq!(index.entry("A").expect("a row"), Some(written.clone()));
    let moved = Entry { state: State::Accepted, revision: 3, ..written };
    put(&index.db, &moved).expect("room");
    assert_eq!(index.entry("A").expect("a row"), Some(moved));
    assert_eq!((index.count().expect("a count"), index.bytes().expect("a sum")), (1, 100));
    assert_eq!(index.entry("B").expect("no row"), None);
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let root = tempfile::tempdir().expect("a folder");
    let first = index(root.path(), &[detected("A", "dog", 0.5)]);
    first.db.pragma_update(None, "user_version", VERSION + 1).expect("a pragma");
    drop(first);
    let mut second = Index::open(root.path()).expect("an index");
    assert_eq!(second.count().expect("a count"), 0);
    crate::scan::reconcile(&mut second).expect("a scan");
    assert_eq!(second.count().expect("a count"), 1);
}
