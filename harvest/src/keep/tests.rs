use super::*;
use crate::review::{Action, Seen, apply};
use crate::sidecar::Sidecar;
use crate::testing::{detected, index, pictures};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn counting() -> (Count, Arc<AtomicUsize>) {
    let removed = Arc::new(AtomicUsize::new(0));
    let seen = removed.clone();
    let count = move |event| {
        assert_eq!(event, Event::Removed);
        seen.fetch_add(1, Relaxed);
    };
    (Arc::new(count), removed)
}

fn made(days_ago: i64, id: &str) -> Sidecar {
    let time =
        jiff::Timestamp::from_millisecond(jiff::Timestamp::now().as_millisecond() - days_ago * 86_400_000)
            .expect("a time");
    Sidecar { time: time.to_string(), bytes: 1000, ..detected(id, "dog", 0.5) }
}

#[test]
fn what_has_had_its_time_goes_and_what_was_accepted_stays() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(root.path(), &[made(40, "A"), made(40, "B"), made(40, "C"), made(1, "D")]);
    let seen = |id: &str| [Seen { id: id.to_owned(), revision: 0 }];
    apply(&mut index, &seen("A"), &Action::Accept).expect("done");
    apply(&mut index, &seen("B"), &Action::Reject).expect("done");
    let (count, removed) = counting();
    let config = Config { root: root.path().to_path_buf(), ..Config::default() };
    trim(&mut index, &config, &count).expect("room");
    assert_eq!(removed.load(Relaxed), 2);
    let left = pictures(root.path());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].ends_with("A.png") && left[1].ends_with("D.png"), "{left:?}");
}

#[test]
fn the_oldest_make_room() {
    let root = tempfile::tempdir().expect("a folder");
    let all: Vec<Sidecar> = (0..20).map(|k| made(20 - k, &format!("P{k:02}"))).collect();
    let mut index = index(root.path(), &all);
    let (count, removed) = counting();
    let config = Config {
        root: root.path().to_path_buf(),
        max_bytes: 10_000,
        retention: Duration::ZERO,
        ..Config::default()
    };
    trim(&mut index, &config, &count).expect("room");
    assert!(index.bytes().expect("a sum") <= 9_500);
    let left = pictures(root.path());
    assert_eq!(left.len(), 20 - removed.load(Relaxed));
    assert!(left.iter().all(|path| path.rsplit('/').next() > Some("P09.png")), "{left:?}");
    // Emptied folders go with them.
    assert_eq!(std::fs::read_dir(root.path().join("dog/0.5-0.6")).expect("a folder").count(), left.len());
}
