use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// A root with every kind of thing in it, and a secret beside it.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        fs::create_dir_all(base.join("root/sub/deep")).unwrap();
        fs::write(base.join("secret.jpg"), "secret").unwrap();
        fs::write(base.join("root/a.jpg"), "picture a").unwrap();
        fs::write(base.join("root/sub/b c.jpg"), "picture b").unwrap();
        fs::write(base.join("root/empty"), "").unwrap();
        fs::write(base.join("root/exact"), [1; 64]).unwrap();
        fs::write(base.join("root/large"), [1; 65]).unwrap();
        symlink("a.jpg", base.join("root/link_inside")).unwrap();
        symlink("../secret.jpg", base.join("root/link_outside")).unwrap();
        symlink(base.join("secret.jpg"), base.join("root/link_absolute")).unwrap();
        symlink("..", base.join("root/sub/link_up")).unwrap();
        symlink(base, base.join("root/link_folder")).unwrap();
        symlink("loop", base.join("root/loop")).unwrap();
        fs::hard_link(base.join("secret.jpg"), base.join("root/hard_link")).unwrap();
        nix::unistd::mkfifo(&base.join("root/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(base.join("root/socket")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

async fn read(roots: &[PathBuf], path: impl Into<String>) -> Result<Bytes, RequestError> {
    let roots = Roots::open(&PathConfig { roots: roots.to_vec() }).unwrap();
    roots
        .read(path.into(), 64, Instant::now() + Duration::from_secs(60), crate::inputs::roomy())
        .await
        .map(|(bytes, _)| bytes)
}

#[tokio::test]
async fn files_under_a_root_are_read() {
    let disk = Disk::new();
    let root = disk.path("root");
    let inside = root.join("a.jpg").to_str().unwrap().to_owned();
    let cases = [
        ("a.jpg", "picture a"),
        ("./a.jpg", "picture a"),
        ("sub/b c.jpg", "picture b"),
        ("sub/../a.jpg", "picture a"),
        ("sub//deep/../../a.jpg", "picture a"),
        ("empty", ""),
        (&inside, "picture a"),
    ];
    for (path, content) in cases {
        assert_eq!(
            read(std::slice::from_ref(&root), path).await.as_deref(),
            Ok(content.as_bytes()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn all_else_is_forbidden_with_one_text() {
    let disk = Disk::new();
    let root = disk.path("root");
    let absolute = |name: &str| disk.path(name).to_str().unwrap().to_owned();
    let paths = [
        "missing.jpg".to_owned(),
        "missing/a.jpg".to_owned(),
        "a.jpg/".to_owned(),
        "a.jpg/b".to_owned(),
        String::new(),
        " ".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
        "sub".to_owned(),
        "sub/".to_owned(),
        "../secret.jpg".to_owned(),
        "sub/../../secret.jpg".to_owned(),
        "sub/deep/../../../secret.jpg".to_owned(),
        "../root/a.jpg".to_owned(),
        absolute("secret.jpg"),
        absolute("root/../secret.jpg"),
        absolute("root"),
        absolute("rooted/a.jpg"),
        "/etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "/proc/self/environ".to_owned(),
        "/proc/self/fd/0".to_owned(),
        "/dev/zero".to_owned(),
        "/dev/null".to_owned(),
        "link_inside".to_owned(),
        "link_outside".to_owned(),
        "link_absolute".to_owned(),
        "link_folder/secret.jpg".to_owned(),
        "link_folder/root/a.jpg".to_owned(),
        "sub/link_up/a.jpg".to_owned(),
        "loop".to_owned(),
        "hard_link".to_owned(),
        "fifo".to_owned(),
        "socket".to_owned(),
        "a.jpg\0".to_owned(),
        "a.jpg\0.png".to_owned(),
        "a.jpg\n".to_owned(),
        "%61.jpg".to_owned(),
        "..\\secret.jpg".to_owned(),
        "~/a.jpg".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x/".repeat(3000),
        "n".repeat(300),
    ];
    for path in paths {
        let error = read(std::slice::from_ref(&root), &path).await.expect_err(&path);
        assert_eq!(error, Code::PathForbidden.because("there is no such file that may be read"), "{path:?}");
    }
}

#[tokio::test]
async fn devices_are_no_files_even_under_a_root() {
    for path in ["zero", "/dev/zero", "null", "fd/0", "stdin", "tty"] {
        let error = read(&["/dev".into()], path).await.expect_err(path);
        assert_eq!(error.code, Code::PathForbidden, "{path}");
    }
    for path in ["proc/self/environ", "/proc/self/status", "sys/kernel/uevent_seqnum"] {
        let error = read(&["/".into()], path).await.expect_err(path);
        assert_eq!(error.code, Code::PathForbidden, "{path}: another file system");
    }
}

#[tokio::test]
async fn without_roots_nothing_is_read() {
    assert_eq!(read(&[], "a.jpg").await.unwrap_err().code, Code::PathForbidden);
    assert_eq!(read(&[], "/etc/hostname").await.unwrap_err().code, Code::PathForbidden);
}

#[tokio::test]
async fn size_is_limited_to_the_byte() {
    let disk = Disk::new();
    assert_eq!(read(&[disk.path("root")], "exact").await.unwrap().len(), 64);
    assert_eq!(read(&[disk.path("root")], "large").await.unwrap_err().code, Code::BodyTooLarge);
}

/// A short file in memory, read; `None` where the disk has to be asked.
fn from_memory(roots: &Roots, path: &str) -> Option<Result<Vec<u8>, RequestError>> {
    // As it is after a longer file.
    let mut buffer = vec![7; 20];
    let file = roots.short_file(path, 64, &mut crate::inputs::roomy()).transpose()?;
    Some(file.and_then(|file| file.read(&mut buffer).map(<[u8]>::to_vec)))
}

/// What was just written is in memory, so no thread is needed for it where the system can tell.
#[test]
fn a_short_file_in_memory_is_left_to_be_read() {
    let disk = Disk::new();
    let file = File::open(disk.path("root/a.jpg")).unwrap();
    let can_tell = preadv2(&file, &mut [IoSliceMut::new(&mut [0; 64])], 0, ReadWriteFlags::NOWAIT).is_ok();
    let mut roots = Roots::open(&PathConfig { roots: vec![disk.path("root")] }).unwrap();
    let read = from_memory(&roots, "a.jpg");
    if roots.roots[0].medium == Medium::Memory || (roots.roots[0].medium == Medium::Disk && can_tell) {
        assert_eq!(read.expect("it is in memory").unwrap(), b"picture a");
        let room = &mut crate::inputs::roomy();
        for (length, is_left) in [(SHORT, true), (SHORT + 1, false)] {
            fs::write(disk.path("root/long"), vec![1; length as usize]).unwrap();
            assert_eq!(roots.short_file("long", SHORT + 1, room).unwrap().is_some(), is_left, "{length}");
        }
        let room = &mut crate::inputs::room_of(1024);
        assert_eq!(roots.short_file("long", SHORT, room).unwrap_err().code, Code::BodyTooLarge);
        fs::write(disk.path("root/long"), [1; 1025]).unwrap();
        assert_eq!(roots.short_file("long", SHORT, room).unwrap_err().code, Code::Overloaded);
    } else {
        assert!(read.is_none());
    }
    let elsewhere = Root { medium: Medium::Elsewhere, ..Root::open(&disk.path("root")).unwrap() };
    roots.roots = [elsewhere].into();
    assert!(from_memory(&roots, "a.jpg").is_none(), "on another machine's disk");
}

/// A file that shrinks or grows after it was opened has no more bytes than there were, and no fewer than there are.
#[test]
fn a_short_file_may_change_before_it_is_read() {
    let disk = Disk::new();
    let path = disk.path("root/a.jpg");
    let short = |length| ShortFile { file: File::open(&path).unwrap(), length };
    assert_eq!(short(7).read(&mut Vec::new()).unwrap(), b"picture");
    assert_eq!(short(30).read(&mut Vec::new()).unwrap(), b"picture a");
}

/// What memory says of a file, if it says anything, is what the disk says.
#[tokio::test]
async fn memory_and_disk_agree() {
    let disk = Disk::new();
    let roots = Roots::open(&PathConfig { roots: vec![disk.path("root")] }).unwrap();
    let names =
        ["a.jpg", "exact", "large", "empty", "missing.jpg", "link_inside", "hard_link", "fifo", "sub"];
    for name in names {
        let on_disk = read(&[disk.path("root")], name).await.map(|bytes| bytes.to_vec());
        match from_memory(&roots, name) {
            Some(remembered) => assert_eq!(remembered, on_disk, "{name}"),
            None => assert!(on_disk.is_ok() || name == "missing.jpg", "{name}"),
        }
    }
}

#[tokio::test]
async fn the_first_root_that_has_the_file_wins() {
    let disk = Disk::new();
    let roots = [disk.path("root/sub"), disk.path("root")];
    assert_eq!(read(&roots, "b c.jpg").await.unwrap(), "picture b");
    assert_eq!(read(&roots, "a.jpg").await.unwrap(), "picture a");
    assert_eq!(read(&roots, "sub/b c.jpg").await.unwrap(), "picture b");
}

#[tokio::test]
async fn a_root_may_be_a_link_and_is_then_known_by_both_names() {
    let disk = Disk::new();
    symlink(disk.path("root"), disk.path("alias")).unwrap();
    for name in [
        "a.jpg".to_owned(),
        disk.path("alias/a.jpg").to_str().unwrap().to_owned(),
        disk.path("root/a.jpg").to_str().unwrap().to_owned(),
    ] {
        assert_eq!(read(&[disk.path("alias")], &name).await.unwrap(), "picture a", "{name}");
    }
}

#[test]
fn a_root_that_is_none_is_refused_at_the_start() {
    let disk = Disk::new();
    for root in [disk.path("missing"), disk.path("secret.jpg"), PathBuf::from("relative"), PathBuf::new()] {
        let error = Roots::open(&PathConfig { roots: vec![root.clone()] }).expect_err("no root");
        assert!(matches!(error, InputsError::Root { .. }), "{}: {error}", root.display());
    }
}

/// What stands under one name changes all the time between what may be read and what may not: not a byte of the
/// latter is ever read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_race_gets_out_of_a_root() {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let disk = Disk::new();
    fs::create_dir(disk.path("outside")).unwrap();
    fs::write(disk.path("outside/a.jpg"), "secret").unwrap();
    fs::create_dir(disk.path("root/inside")).unwrap();
    fs::write(disk.path("root/inside/a.jpg"), "picture a").unwrap();
    symlink(disk.path("outside"), disk.path("root/other")).unwrap();
    fs::write(disk.path("root/file"), "picture a").unwrap();
    symlink(disk.path("secret.jpg"), disk.path("root/file_link")).unwrap();
    fs::write(disk.path("root/single"), "picture a").unwrap();

    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, path) = (stop.clone(), disk.folder.path().join("root"));
        move || {
            let mut swaps = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for (one, other) in [("inside", "other"), ("file", "file_link"), ("single", "hard_link")] {
                    let (one, other) = (path.join(one), path.join(other));
                    renameat2(AT_FDCWD, &one, AT_FDCWD, &other, RenameFlags::RENAME_EXCHANGE).unwrap();
                    swaps += 1;
                }
            }
            swaps
        }
    });
    let roots = Roots::open(&PathConfig { roots: vec![disk.path("root")] }).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let (mut read, mut refused) = (0, 0);
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end || read == 0 || refused == 0 {
        assert!(Instant::now() < deadline, "{read} read, {refused} refused");
        for name in ["inside/a.jpg", "other/a.jpg", "file", "file_link", "single", "hard_link"] {
            let on_disk = roots.read(name.into(), 64, deadline, crate::inputs::roomy()).await;
            let on_disk = on_disk.map(|(bytes, _)| bytes.to_vec());
            for done in [Some(on_disk), from_memory(&roots, name)].into_iter().flatten() {
                match done {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"picture a", "{name}");
                        read += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.code, Code::PathForbidden, "{name}");
                        refused += 1;
                    }
                }
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(swapper.join().unwrap() > 0 && read > 0 && refused > 0);
}
