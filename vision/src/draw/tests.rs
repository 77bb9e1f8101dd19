//! Drawing: marks where they belong, nothing outside, no input that breaks it.

use super::{Annotation, annotate, class_color, encode_jpeg, encode_png};
use crate::decode::{Limits, decode};
use crate::picture::Picture;

fn gray(width: u32, height: u32) -> Picture {
    Picture { width, height, rgb: vec![128; width as usize * height as usize * 3] }
}

fn annotation(r#box: [f32; 4], class: usize) -> Annotation {
    Annotation { r#box, label: "dog".into(), score: 0.876, class }
}

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let at = (y * picture.width + x) as usize * 3;
    [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
}

#[test]
fn a_box_is_a_frame_with_a_label() {
    let mut picture = gray(400, 300);
    annotate(&mut picture, &[annotation([100.0, 100.0, 200.0, 180.0], 3)]);
    let color = class_color(3);
    assert_eq!(pixel(&picture, 150, 100), color, "upper edge");
    assert_eq!(pixel(&picture, 150, 179), color, "lower edge");
    assert_eq!(pixel(&picture, 100, 150), color, "left edge");
    assert_eq!(pixel(&picture, 199, 150), color, "right edge");
    assert_eq!(pixel(&picture, 150, 150), [128; 3], "inside");
    assert_eq!(pixel(&picture, 201, 181), [128; 3], "outside");
    assert_eq!(pixel(&picture, 100, 90), color, "the label's ground");
    let ink = (84..100)
        .flat_map(|y| (100..180).map(move |x| (x, y)))
        .filter(|&(x, y)| pixel(&picture, x, y) == [255; 3]);
    assert!(ink.count() > 40, "letters");
}

#[test]
fn a_label_without_room_above_goes_inside() {
    let mut picture = gray(400, 300);
    annotate(&mut picture, &[annotation([390.0, 0.0, 400.0, 50.0], 0)]);
    assert_eq!(pixel(&picture, 345, 15), class_color(0));
}

#[test]
fn no_box_breaks_it() {
    let infinite = f32::INFINITY;
    for (width, height) in [(1, 1), (3, 200), (400, 300)] {
        for edges in [
            [-50.0, -50.0, 1e9, 1e9],
            [f32::NAN, 0.0, 10.0, 10.0],
            [10.0, 10.0, 5.0, 5.0],
            [-infinite, -infinite, infinite, infinite],
            [7.0, 7.0, 7.0, 7.0],
            [1000.0, 1000.0, 1001.0, 1001.0],
        ] {
            let mut annotation = annotation(edges, usize::MAX);
            annotation.label = "狗 \u{0} ß ".repeat(100);
            let mut picture = gray(width, height);
            annotate(&mut picture, &[annotation]);
            assert!(picture.is_consistent());
        }
    }
    annotate(&mut Picture::default(), &[annotation([0.0; 4], 0)]);
}

#[test]
fn pictures_encode_and_decode() {
    let mut picture = gray(64, 48);
    annotate(&mut picture, &[annotation([5.0, 20.0, 60.0, 40.0], 1)]);
    let png = encode_png(&picture).expect("PNG");
    assert_eq!(decode(&png, &Limits::default()), Ok(picture.clone()));
    let jpeg = decode(&encode_jpeg(&picture, 90).expect("JPEG"), &Limits::default()).expect("a picture");
    assert_eq!((jpeg.width, jpeg.height), (64, 48));
    encode_jpeg(&Picture::default(), 90).expect_err("empty");
}
