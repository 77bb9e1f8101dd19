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
fn the_sum_of_bytes_follows_every_change() {
    let root = tempfile::tempdir().expect("a folder");
    let index = Index::open(root.path()).expect("an index");
    let sum = || index.bytes().expect("a sum");
    let entry = |id: &str, bytes| {
        let sidecar = Sidecar { bytes, ..detected(id, "dog", 0.5) };
        Entry::of(&place(&sidecar), State::New, "dog", &sidecar)
    };
    assert_eq!(sum(), 0);
    for (id, bytes, expected) in [("A", 100, 100), ("B", 50, 150), ("A", 30, 80), ("A", 30, 80)] {
        put(&index.db, &entry(id, bytes)).expect("room");
        assert_eq!(sum(), expected, "{id} {bytes}");
    }
    forget(&index.db, "A").expect("SQLite");
    forget(&index.db, "nothing").expect("SQLite");
    assert_eq!(sum(), 50);
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
