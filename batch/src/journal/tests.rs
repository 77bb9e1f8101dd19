use super::*;

fn journal(folder: &tempfile::TempDir) -> PathBuf {
    Journal::beside(&folder.path().join("out.jsonl"))
}

#[test]
fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(&folder);
    assert!(path.ends_with("out.jsonl.part"));
    let mut first = Journal::open(&path, "m", false).expect("a journal");
    let both = [Record::bad("a", "corrupt_image", "x"), Record::bad("b", "unreadable", "y")];
    first.write(&both).expect("room");
    drop(first);
    let mut again = Journal::open(&path, "m", false).expect("the journal");
    assert!(again.has("a") && again.has("b") && !again.has("c"));
    again.write(&[Record::bad("c", "unreadable", "z")]).expect("room");
    assert_eq!(again.record("b").expect("done").error.expect("bad").detail, "y");
    assert_eq!(again.record("c").expect("done").image, "c");
    assert_eq!(again.bad(), 3);
    assert!(again.line("d").is_err());
}

#[test]
fn a_kill_at_any_byte_costs_what_was_not_written_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(&folder);
    let mut whole = Journal::open(&path, "m", false).expect("a journal");
    whole.write(&["first", "second"].map(|name| Record::bad(name, "unreadable", "why"))).expect("room");
    drop(whole);
    let text = std::fs::read(&path).expect("we wrote it");
    for cut in 0..text.len() {
        std::fs::write(&path, &text[..cut]).expect("room");
        let mut journal = Journal::open(&path, "m", false).expect("a journal");
        let lines = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.has("first"), lines >= 2, "cut at {cut}");
        for name in ["first", "second"].into_iter().skip(lines.saturating_sub(1)) {
            journal.write(&[Record::bad(name, "unreadable", "why")]).expect("room");
        }
        drop(journal);
        // What lost its first line began anew, at another time.
        let records = |text: &[u8]| text.splitn(2, |byte| *byte == b'\n').nth(1).map(<[u8]>::to_vec);
        let again = std::fs::read(&path).expect("there");
        assert_eq!(records(&again), records(&text), "cut at {cut}");
        assert!(lines == 0 || again == text, "cut at {cut}");
    }
}

#[test]
fn other_answers_are_not_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(&folder);
    let mut first = Journal::open(&path, "one model", false).expect("a journal");
    first.write(&[Record::bad("a", "unreadable", "x")]).expect("room");
    drop(first);
    let refused = Journal::open(&path, "another", false).expect_err("another model").to_string();
    assert!(refused.contains("--restart"), "{refused}");
    assert!(!Journal::open(&path, "another", true).expect("anew").has("a"));
}

#[test]
fn two_runs_do_not_write_one_journal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = journal(&folder);
    let _first = Journal::open(&path, "m", false).expect("a journal");
    let refused = Journal::open(&path, "m", false).expect_err("locked").to_string();
    assert!(refused.contains("another run"), "{refused}");
}
