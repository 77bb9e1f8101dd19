use super::*;
use vision::draw::encode_png;
use vision::model::Task;
use vision::picture::Picture;

fn files(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).expect("below").display().to_string())
        .collect();
    found.sort();
    found
}

#[test]
fn pictures_lie_by_class_and_score_once_however_often_they_are_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = || Model {
        name: "m".to_owned(),
        version: "v".to_owned(),
        task: Task::Detect,
        classes: vec!["blue".to_owned(), "red".to_owned()],
    };
    let blank = Picture { width: 64, height: 64, rgb: vec![255; 64 * 64 * 3] };
    let png = encode_png(&blank).expect("a picture");
    let bbox = Some([8.0, 8.0, 56.0, 56.0]);
    let found = Found { label: "red".into(), class: 1, score: 0.93, bbox, keypoints: None };
    let red = Record { detections: Some(vec![found]), error: None, ..Record::bad("x/1.png", "", "") };
    let nothing = Record { detections: Some(vec![]), error: None, ..Record::bad("x/2.png", "", "") };
    for _ in 0..2 {
        let sorting = Sorting::new(folder.path(), model(), "2026-11-25T12:00:00Z").expect("room");
        sorting.sort(&red, &png).expect("room");
        sorting.sort(&nothing, &png).expect("room");
        sorting.sort(&Record::bad("bad.jpg", "corrupt_image", ""), b"").expect("nothing to do");
    }
    let lying = files(folder.path());
    let begin = |text: &str| lying.iter().filter(|file| file.starts_with(text)).count();
    assert_eq!((begin("red/0.9-1.0/2026-11-2"), begin("_nothing/0.0-0.1/2026-11-2")), (2, 2), "{lying:?}");
    assert_eq!((begin("_models/v.json"), lying.len()), (1, 5), "{lying:?}");
    let sidecar = lying.iter().find(|file| file.starts_with("red/") && file.ends_with(".json")).expect("one");
    let sidecar: Sidecar =
        serde_json::from_slice(&std::fs::read(folder.path().join(sidecar)).expect("a file"))
            .expect("a sidecar");
    assert_eq!((sidecar.request.as_str(), sidecar.source.as_str(), sidecar.width), ("x/1.png", "batch", 64));
    assert_eq!(sidecar.found_top(), ("red".to_owned(), 0.93));
}
