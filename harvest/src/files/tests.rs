use super::*;

#[test]
fn a_file_is_there_whole_and_nothing_else_is() {
    let root = tempfile::tempdir().expect("a folder");
    put(root.path(), Path::new("a/b/c.txt"), b"one").expect("room");
    put(root.path(), Path::new("a/b/c.txt"), b"two").expect("room");
    assert_eq!(fs::read(root.path().join("a/b/c.txt")).expect("a file"), b"two");
    assert_eq!(fs::read_dir(unfinished(root.path())).expect("a folder").count(), 0);
}

#[test]
fn what_cannot_be_put_leaves_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join("a"), b"a file in the way").expect("room");
    put(root.path(), Path::new("a/b.txt"), b"one").expect_err("no folder can be made there");
    assert_eq!(fs::read_dir(unfinished(root.path())).expect("a folder").count(), 0);
}

#[test]
fn the_sweep_takes_what_nobody_finishes() {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(unfinished(root.path())).expect("room");
    let (old, young) = (unfinished(root.path()).join("old"), unfinished(root.path()).join("young"));
    let file = File::create(&old).expect("room");
    file.set_modified(SystemTime::now() - 2 * ABANDONED).expect("a time");
    File::create(&young).expect("room");
    sweep(root.path());
    assert!(!old.exists() && young.exists());
}

#[test]
fn trying_out_a_root_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    try_out(folder.path()).expect("it can be written");
    try_out(&folder.path().join("not/there/yet")).expect("it can be made");
    assert_eq!(fs::read_dir(folder.path()).expect("it can be read").count(), 0);
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("room");
    // Nobody, not even root, makes a file in a file.
    assert_eq!(try_out(&file.join("root")).expect_err("no folder").0, file);
}
