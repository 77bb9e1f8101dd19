use super::*;
use crate::record::{Found, Record};
use crate::sources::Place;

/// A picture with two objects, one with none, a bad one.
fn answers(format: Format) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let mut journal = Journal::open(&Journal::beside(&output), "m", false).expect("a journal");
    let found =
        |label: &str, class, bbox| Found { label: label.into(), class, score: 0.5, bbox, keypoints: None };
    let good = |image: &str, detections| Record {
        width: Some(640),
        height: Some(480),
        detections: Some(detections),
        error: None,
        ..Record::bad(image, "", "")
    };
    let two = vec![
        found("dog, big", 16, Some([10.0, 20.0, 30.5, 40.25])),
        found("cat", 15, Some([0.0, 0.0, 1.0, 2.0])),
    ];
    // Not in the order of the items.
    journal.write(&[Record::bad("c.jpg", "corrupt_image", "it ends early")]).expect("room");
    journal.write(&[good("b.jpg", vec![])]).expect("room");
    journal.write(&[good("a.jpg", two)]).expect("room");
    let items =
        ["a.jpg", "b.jpg", "c.jpg"].map(|name| Item { name: name.into(), place: Place::File(name.into()) });
    write(format, &output, &items, &journal).expect("room");
    std::fs::read_to_string(output).expect("we wrote it")
}

#[test]
fn json_lines_in_the_order_of_the_inputs() {
    assert_eq!(
        answers(Format::JsonLines),
        concat!(
            r#"{"image":"a.jpg","width":640,"height":480,"detections":[{"label":"dog, big","class":16,"score":0.5,"#,
            r#""box":[10.0,20.0,30.5,40.25]},{"label":"cat","class":15,"score":0.5,"box":[0.0,0.0,1.0,2.0]}]}"#,
            "\n",
            r#"{"image":"b.jpg","width":640,"height":480,"detections":[]}"#,
            "\n",
            r#"{"image":"c.jpg","error":{"code":"corrupt_image","detail":"it ends early"}}"#,
            "\n"
        )
    );
}

#[test]
fn csv_has_a_row_for_every_object_and_every_picture() {
    assert_eq!(
        answers(Format::Csv),
        "image,width,height,label,class,score,x1,y1,x2,y2,error\n\
         a.jpg,640,480,\"dog, big\",16,0.5,10,20,30.5,40.25,\n\
         a.jpg,640,480,cat,15,0.5,0,0,1,2,\n\
         b.jpg,640,480,,,,,,,,\n\
         c.jpg,,,,,,,,,,corrupt_image\n"
    );
}

#[test]
fn coco_names_images_categories_and_annotations() {
    let document: serde_json::Value = serde_json::from_str(&answers(Format::Coco)).expect("JSON");
    assert_eq!(document["images"][1]["file_name"], "b.jpg");
    assert_eq!(document["annotations"][0]["bbox"], serde_json::json!([10.0, 20.0, 20.5, 20.25]));
    assert_eq!(document["annotations"][0]["image_id"], document["images"][0]["id"]);
    assert_eq!(document["annotations"][0]["area"], 415.13);
    assert_eq!(
        document["categories"],
        serde_json::json!([{"id": 15, "name": "cat"}, {"id": 16, "name": "dog, big"}])
    );
    assert_eq!(document["errors"][0]["image_id"], 3);
}

#[test]
fn a_name_says_the_form() {
    assert_eq!(Format::of(Path::new("o.jsonl")), Ok(Format::JsonLines));
    assert_eq!(Format::of(Path::new("o.csv")), Ok(Format::Csv));
    assert_eq!(Format::of(Path::new("o.json")), Ok(Format::Coco));
    assert!(Format::of(Path::new("o.xml")).is_err() && Format::of(Path::new("o")).is_err());
}
