use super::*;
use crate::naming::NOTHING;
use crate::testing::{detected, index, lay, pictures, png};

#[test]
fn an_index_that_was_thrown_away_is_made_again() {
    let root = tempfile::tempdir().expect("a folder");
    let sidecars: Vec<_> = (0..5).map(|k| detected(&format!("P{k}"), "dog", 0.5)).collect();
    let rows =
        |index: &Index| (0..5).map(|k| index.entry(&format!("P{k}")).expect("a row")).collect::<Vec<_>>();
    let before = rows(&index(root.path(), &sidecars));
    fs::remove_dir_all(root.path().join(INDEX)).expect("ours");
    let mut again = Index::open(root.path()).expect("an index");
    let report = reconcile(&mut again).expect("a scan");
    assert_eq!(report, Report { taken_in: 5, ..Report::default() });
    assert_eq!(rows(&again), before);
    assert_eq!(reconcile(&mut again).expect("a scan"), Report::default(), "nothing more to do");
}

#[test]
fn sorting_by_hand_is_understood() {
    let root = tempfile::tempdir().expect("a folder");
    let mut index = index(
        root.path(),
        &[detected("P0", "dog", 0.5), detected("P1", "dog", 0.5), detected("P2", "dog", 0.5)],
    );
    let at = |index: &Index, id: &str| index.entry(id).expect("SQLite").expect("a row");
    let path = |index: &Index, id: &str| root.path().join(at(index, id).path);
    // One moved without its sidecar, one deleted, one put there by hand, and a text that is no picture.
    fs::create_dir_all(root.path().join("cat")).expect("room");
    fs::rename(path(&index, "P0"), root.path().join("cat/P0.png")).expect("a move");
    fs::remove_file(path(&index, "P1")).expect("a picture");
    fs::write(root.path().join("cat/holiday.png"), png(9)).expect("room");
    fs::write(root.path().join("cat/broken.jpg"), b"no picture").expect("room");
    let report = reconcile(&mut index).expect("a scan");
    assert_eq!(report, Report { taken_in: 2, forgotten: 1, unreadable: 1 });
    assert_eq!((at(&index, "P0").class.as_str(), at(&index, "P0").state), ("cat", State::New));
    assert_eq!(index.entry("P1").expect("SQLite"), None);
    let holiday = at(&index, "holiday");
    assert_eq!((holiday.class.as_str(), holiday.rule.as_str()), ("cat", "by hand"));
    let sidecar = files::read_sidecar(&root.path().join("cat/P0.png")).expect("it came along");
    assert_eq!(sidecar.detections.as_ref().map(Vec::len), Some(1), "what the model said is not lost");
    assert_eq!(sidecar.top().0, "cat");
    fs::remove_file(root.path().join("cat/broken.jpg")).expect("ours");
    assert_eq!(pictures(root.path()).len(), 3);
}

#[test]
fn links_are_not_followed_and_strangers_json_is_left_alone() {
    let root = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    fs::write(elsewhere.path().join("secret.png"), png(1)).expect("room");
    lay(root.path(), &detected("P0", NOTHING, 0.0), &png(2));
    std::os::unix::fs::symlink(elsewhere.path(), root.path().join("dog")).expect("a link");
    fs::create_dir(root.path().join("cat")).expect("room");
    let (theirs, ours) = (root.path().join("cat/notes.json"), root.path().join("cat/P9.json"));
    fs::write(&theirs, b"{}").expect("room");
    fs::write(&ours, detected("P9", "cat", 0.5).to_json()).expect("room");
    for file in [&theirs, &ours] {
        fs::File::options()
            .write(true)
            .open(file)
            .expect("a file")
            .set_modified(SystemTime::now() - 2 * ABANDONED)
            .expect("a time");
    }
    assert_eq!(pictures(root.path()).len(), 1);
    assert!(theirs.exists() && !ours.exists());
}
