use super::*;
use std::io::Write;

fn touch(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("room");
    std::fs::write(path, b"x").expect("room");
}

/// The names below `folder`, without it.
fn names(folder: &Path, inputs: &[&str]) -> Vec<String> {
    let inputs: Vec<String> = inputs.iter().map(|input| folder.join(input).display().to_string()).collect();
    let listing = Listing::of(&inputs).expect("a listing");
    let prefix = format!("{}/", folder.display());
    listing.items.iter().map(|item| item.name.strip_prefix(&prefix).expect("below").to_owned()).collect()
}

#[test]
fn a_folder_is_walked_by_name_and_only_for_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["b.JPG", "a/z.png", "a/labels.txt", "a/b/c.webp", "README"] {
        touch(&folder.path().join("in").join(name));
    }
    assert_eq!(names(folder.path(), &["in"]), ["in/a/b/c.webp", "in/a/z.png", "in/b.JPG"]);
    let listing = Listing::of(&[folder.path().display().to_string()]).expect("a listing");
    assert_eq!(listing.passed_over, 2);
}

#[test]
fn patterns_lists_and_files_are_taken_by_whatever_name_and_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["1.jpg", "2.jpg", "sub/3.jpg", "odd.bin"] {
        touch(&folder.path().join(name));
    }
    assert_eq!(names(folder.path(), &["*.jpg", "1.jpg"]), ["1.jpg", "2.jpg"]);
    assert_eq!(names(folder.path(), &["**/3.jpg", "odd.bin"]), ["sub/3.jpg", "odd.bin"]);
    std::fs::write(folder.path().join("l.txt"), "# which\n\n2.jpg\r\nmissing.jpg\nsub/3.jpg").expect("room");
    assert_eq!(names(folder.path(), &["l.txt"]), ["2.jpg", "missing.jpg", "sub/3.jpg"]);
}

#[test]
fn what_does_not_exist_is_an_error() {
    for input in ["/nonexistent/folder", "/nonexistent/*.jpg", "[z-a].jpg"] {
        assert!(matches!(Listing::of(&[input.to_owned()]), Err(BatchError::Usage(_))), "{input}");
    }
}

#[test]
fn members_of_archives_are_items() {
    let folder = tempfile::tempdir().expect("a folder");
    let tar_path = folder.path().join("a.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&tar_path).expect("room"));
    for name in ["x/1.jpg", "x/notes.md", "2.png"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, name, &b"abc"[..]).expect("room");
    }
    let bytes = {
        tar.finish().expect("room");
        drop(tar);
        std::fs::read(&tar_path).expect("we wrote it")
    };
    let packed = std::fs::File::create(folder.path().join("b.tgz")).expect("room");
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(&bytes).expect("room");
    packed.finish().expect("room");
    let zipped = std::fs::File::create(folder.path().join("c.zip")).expect("room");
    let mut zip = zip::ZipWriter::new(zipped);
    for name in ["1.jpg", "deep/2.jpeg"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("room");
        zip.write_all(b"hello").expect("room");
    }
    zip.finish().expect("room");

    assert_eq!(names(folder.path(), &["a.tar"]), ["a.tar/x/1.jpg", "a.tar/2.png"]);
    assert_eq!(names(folder.path(), &["b.tgz"]), ["b.tgz/x/1.jpg", "b.tgz/2.png"]);
    assert_eq!(names(folder.path(), &["c.zip"]), ["c.zip/1.jpg", "c.zip/deep/2.jpeg"]);

    let mut found = Vec::new();
    archive::visit(&folder.path().join("c.zip"), &mut |number, name, size, reader| {
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        found.push((number, name.to_owned(), size, text));
        Ok(true)
    })
    .expect("an archive");
    assert_eq!(found[1], (1, "deep/2.jpeg".to_owned(), 5, "hello".to_owned()));
}

#[test]
fn a_broken_archive_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.zip", "a.tar.gz"] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"this is no archive at all").expect("room");
        assert!(Listing::of(&[path.display().to_string()]).is_err(), "{name}");
    }
}

#[test]
fn two_unreadable_names_stay_two() {
    use std::os::unix::ffi::OsStrExt;
    let name = |bytes: &[u8]| name_of(Path::new(OsStr::from_bytes(bytes)));
    assert_ne!(name(b"a\xff.jpg"), name(b"a\xfe.jpg"));
    assert_eq!(name("猫.jpg".as_bytes()), "猫.jpg");
}

#[test]
fn folders_of_files_are_told_once_and_none_below_another() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["in/a/1.jpg", "in/2.jpg", "in-other/3.jpg", "alone/4.jpg", "list/5.jpg"] {
        touch(&folder.path().join(name));
    }
    std::fs::write(folder.path().join("l.txt"), "list/5.jpg\nin/a/1.jpg\n").expect("room");
    let inputs = ["in", "in/a", "in-other/*.jpg", "alone/4.jpg", "l.txt"]
        .map(|input| folder.path().join(input).display().to_string());
    let listing = Listing::of(&inputs).expect("a listing");
    let expected = ["alone", "in", "in-other", "list"].map(|name| folder.path().join(name));
    assert_eq!(listing.folders(), expected);
    let relative = Listing::of(&["src".to_owned()]).expect("a listing");
    assert_eq!(relative.folders(), [std::env::current_dir().expect("a folder").join("src")]);
}
