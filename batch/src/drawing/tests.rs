use super::*;
use crate::record::Found;
use vision::decode::Limits;
use vision::draw::encode_png;
use vision::picture::Picture;

#[test]
fn no_name_leaves_the_folder() {
    for (name, path) in [
        ("a/b.jpg", "a/b.jpg"),
        ("/in/b.JPEG", "in/b.JPEG"),
        ("../../etc/passwd", "etc/passwd.jpg"),
        ("a.tar/x/../1.png", "a.tar/x/1.png.jpg"),
    ] {
        assert_eq!(below(name), Path::new(path), "{name}");
    }
}

#[test]
fn boxes_are_drawn_where_they_were_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let blank = Picture { width: 64, height: 64, rgb: vec![255; 64 * 64 * 3] };
    let png = encode_png(&blank).expect("a picture");
    let bbox = Some([8.0, 8.0, 56.0, 56.0]);
    let found = Found { label: "red".into(), class: 0, score: 0.9, bbox, keypoints: None };
    let record = Record { detections: Some(vec![found]), error: None, ..Record::bad("x/1.png", "", "") };
    draw(folder.path(), &record, &png).expect("room");
    let bytes = std::fs::read(folder.path().join("x/1.png.jpg")).expect("drawn");
    let drawn = decode(&bytes, &Limits::default()).expect("a JPEG");
    let green = |x: usize, y: usize| drawn.rgb[(y * 64 + x) * 3 + 1];
    assert!(green(8, 40) < 128 && green(32, 40) > 200, "{} {}", green(8, 40), green(32, 40));

    draw(folder.path(), &Record::bad("bad.jpg", "corrupt_image", ""), b"").expect("nothing to do");
    assert!(!folder.path().join("bad.jpg").exists());
}
