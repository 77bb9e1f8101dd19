use super::*;
use crate::scan;
use crate::testing::{classified, detected, index, pictures};
use std::fs;

fn seen(index: &Index, ids: &[&str]) -> Vec<Seen> {
    let revision = |id: &&str| index.entry(id).expect("SQLite").map_or(0, |entry| entry.revision);
    ids.iter().map(|id| Seen { id: (*id).to_owned(), revision: revision(id) }).collect()
}

fn places(root: &Path) -> Vec<String> {
    pictures(root)
}

#[test]
fn actions_move_files_and_can_be_undone() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(
        root.path(),
        &[detected("A", "dog", 0.8), classified("B", "dog", 0.4), detected("C", "dog", 0.6)],
    );
    let before = places(root.path());
    let boxed = Found { label: "bird".into(), class: None, score: 1.0, corners: [1.0, 2.0, 30.0, 40.0] };
    let done = [
        (vec!["A"], Action::Accept, vec!["_reviewed/dog/A.png"]),
        (vec!["A", "B"], Action::Move("cat".into()), vec!["_reviewed/cat/A.png", "_reviewed/cat/B.png"]),
        (vec!["C"], Action::Boxes(vec![boxed.clone()]), vec!["_reviewed/bird/C.png"]),
        (vec!["C"], Action::Reject, vec!["_rejected/bird/C.png"]),
        (vec!["C"], Action::Boxes(vec![]), vec!["_reviewed/_nothing/C.png"]),
    ];
    let mut batches = Vec::new();
    for (ids, action, wanted) in done {
        let receipt = {
            let seen = seen(&index, &ids);
            apply(&mut index, &seen, &action).expect("done")
        };
        assert!(
            receipt.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Done(_))),
            "{receipt:?}"
        );
        let found = places(root.path());
        assert!(
            wanted.iter().all(|place| found.iter().any(|path| path == place)),
            "{found:?} for {wanted:?}"
        );
        batches.push(receipt.batch);
    }
    let moved = files::read_sidecar(&root.path().join("_reviewed/cat/A.png")).expect("a sidecar");
    assert_eq!(
        moved.boxes().map(|boxes| boxes[0].label.as_str()),
        Some("cat"),
        "the box that was wrong has the new label"
    );
    for batch in batches.iter().rev() {
        let receipt = undo(&mut index, batch).expect("undone");
        assert!(
            receipt.outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Done(_))),
            "{receipt:?}"
        );
    }
    assert_eq!(places(root.path()), before);
    let first = files::read_sidecar(&root.path().join(&before[0])).expect("a sidecar");
    assert_eq!((first.state(), first.review), (State::New, None));
    assert_eq!(undo(&mut index, &batches[0]).expect("nothing left").outcomes, []);
    // Index and folders agree.
    assert_eq!(scan::reconcile(&mut index).expect("a scan"), scan::Report::default());
}

#[test]
fn two_reviewers_do_not_overwrite_each_other() {
    let root = tempfile::tempdir().expect("a folder");
    let mut one = index(root.path(), &[detected("A", "dog", 0.8), detected("B", "dog", 0.8)]);
    let mut two = Index::open(root.path()).expect("an index");
    let both = seen(&one, &["A", "B"]);
    apply(&mut one, &both[..1], &Action::Reject).expect("done");
    let receipt = apply(&mut two, &both, &Action::Accept).expect("done");
    assert!(
        matches!(&receipt.outcomes[0].1, Outcome::Conflict(entry) if entry.state == State::Rejected),
        "{receipt:?}"
    );
    assert!(matches!(&receipt.outcomes[1].1, Outcome::Done(_)));
    assert_eq!(places(root.path()), ["_rejected/dog/A.png", "_reviewed/dog/B.png"]);
    // What somebody has changed since is not undone.
    let again = seen(&one, &["B"]);
    apply(&mut one, &again, &Action::Reject).expect("done");
    let undone = undo(&mut two, &receipt.batch).expect("undone");
    assert!(matches!(undone.outcomes[..], [(_, Outcome::Conflict(_))]), "{undone:?}");
}

#[test]
fn many_reviewers_at_once_lose_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let all: Vec<String> = (0..40).map(|k| format!("P{k:02}")).collect();
    let sidecars: Vec<_> = all.iter().map(|id| detected(id, "dog", 0.5)).collect();
    drop(index(root.path(), &sidecars));
    let done: usize = std::thread::scope(|scope| {
        let reviewers = (0..4).map(|k| {
            let (all, root) = (&all, root.path());
            scope.spawn(move || {
                let mut index = Index::open(root).expect("an index");
                let action = Action::Move(format!("class{k}"));
                let count = |receipt: Receipt| {
                    receipt.outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Done(_))).count()
                };
                all.iter()
                    .map(|id| {
                        count(
                            apply(&mut index, &[Seen { id: id.clone(), revision: 0 }], &action)
                                .expect("done"),
                        )
                    })
                    .sum::<usize>()
            })
        });
        reviewers.collect::<Vec<_>>().into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(done, 40, "each picture was one reviewer's");
    assert_eq!(places(root.path()).len(), 40);
}

/// Every point at which a process can die between what is written down and what is done.
#[test]
fn a_crash_in_the_middle_is_finished_by_the_next() {
    for crash in 0..4 {
        let root = tempfile::tempdir().expect("a folder");
        let mut index = index(root.path(), &[detected("A", "dog", 0.8)]);
        let entry = index.entry("A").expect("SQLite").expect("a row");
        let before = files::read_sidecar(&root.path().join(&entry.path)).expect("a sidecar");
        let after = changed(&before, &entry, &Action::Accept);
        let to = place(&after);
        {
            let tx = index.write().expect("a transaction");
            begin(&tx, "batch", &entry.path, &before, &to, &after).expect("room");
            tx.commit().expect("room");
        }
        let (old, new) = (root.path().join(&entry.path), root.path().join(&to));
        if crash > 0 {
            files::put(root.path(), &files::sidecar_of(&to), &after.to_json()).expect("room");
        }
        if crash > 1 {
            files::rename(&old, &new).expect("a move");
        }
        if crash > 2 {
            files::remove(&files::sidecar_of(&old)).expect("a sidecar");
        }
        drop(index);
        // Wherever it died, the picture is in one of both places, and whole.
        assert_eq!(usize::from(old.exists()) + usize::from(new.exists()), 1, "crash {crash}");
        let mut next = Index::open(root.path()).expect("an index");
        recover(&mut next).expect("recovered");
        assert_eq!(places(root.path()), ["_reviewed/dog/A.png"], "crash {crash}");
        assert!(!files::sidecar_of(&old).exists(), "crash {crash}");
        let row = next.entry("A").expect("SQLite").expect("a row");
        assert_eq!((row.state, row.revision, row.path), (State::Accepted, 1, to), "crash {crash}");
        assert_eq!(scan::reconcile(&mut next).expect("a scan"), scan::Report::default(), "crash {crash}");
        let undone = undo(&mut next, "batch").expect("undone");
        assert!(matches!(undone.outcomes[..], [(_, Outcome::Done(_))]), "crash {crash}: {undone:?}");
    }
}

#[test]
fn a_picture_that_has_gone_is_said_to_have_gone() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(root.path(), &[detected("A", "dog", 0.8)]);
    let known = seen(&index, &["A"]);
    fs::remove_dir_all(root.path().join("dog")).expect("ours");
    let receipt = apply(&mut index, &known, &Action::Accept).expect("an answer");
    assert_eq!(receipt.outcomes, [("A".to_owned(), Outcome::Gone)]);
    let unknown = [Seen { id: "no such".to_owned(), revision: 0 }];
    assert_eq!(apply(&mut index, &unknown, &Action::Accept).expect("an answer").outcomes[0].1, Outcome::Gone);
}
