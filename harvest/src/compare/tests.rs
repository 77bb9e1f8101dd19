use super::*;

fn found(label: &str, score: f32, x: f32) -> Found {
    Found { label: label.to_owned(), class: None, score, corners: [x, 0.0, x + 10.0, 10.0] }
}

fn answer(all: Vec<Found>) -> Answer {
    let answered = all.iter().filter(|found| found.score >= 0.5).cloned().collect();
    Answer { all, answered, class: None }
}

/// The numbers are pycocotools' for the same boxes.
#[test]
fn average_precision_is_cocos() {
    let samples = [
        Sample {
            id: "1".into(),
            boxes: Some(vec![found("dog", 1.0, 0.0), found("dog", 1.0, 20.0), found("cat", 1.0, 50.0)]),
            class: None,
            answers: [
                answer(vec![
                    found("dog", 0.9, 0.0),
                    found("dog", 0.8, 21.0),
                    found("dog", 0.7, 70.0),
                    found("cat", 0.6, 50.0),
                ]),
                answer(vec![found("dog", 0.9, 0.0), found("cat", 0.3, 50.0)]),
            ],
        },
        Sample {
            id: "2".into(),
            boxes: Some(vec![found("dog", 1.0, 0.0)]),
            class: None,
            answers: [answer(vec![found("dog", 0.95, 40.0), found("dog", 0.4, 0.5)]), answer(vec![])],
        },
    ];
    let comparison = compare(&samples);
    let rounded =
        |values: [Option<f64>; 2]| values.map(|value| value.map(|value| (value * 1e4).round() / 1e4));
    let row =
        |class: &str| comparison.classes.iter().find(|row| row.class == class).expect("a class").clone();
    assert_eq!(rounded(row("dog").ap50), [Some(0.6442), Some(0.3366)]);
    assert_eq!(rounded(row("cat").ap50), [Some(1.0), Some(1.0)]);
    assert_eq!(rounded(row("dog").ap), [Some(0.5276), Some(0.3366)]);
    assert_eq!(row("dog").answered, [4, 1]);
    assert_eq!(row("dog").right, [2, 1]);
    assert_eq!(comparison.disagreements, [(0, 3), (1, 1)]);
    assert_eq!((comparison.pictures, comparison.with_boxes), (2, 2));
}

#[test]
fn classifiers_are_counted_by_their_best_class() {
    let sample = |id: &str, truth: &str, a: &str, b: &str| Sample {
        id: id.into(),
        boxes: None,
        class: Some(truth.into()),
        answers: [a, b].map(|class| Answer { class: Some((class.into(), 0.9)), ..Answer::default() }),
    };
    let samples = [
        sample("1", "cat", "cat", "cat"),
        sample("2", "cat", "dog", "cat"),
        sample("3", "dog", "dog", "cat"),
        sample("4", "dog", "cat", "dog"),
    ];
    let comparison = compare(&samples);
    assert_eq!(comparison.accuracy, [Some(0.5), Some(0.75)]);
    assert_eq!(comparison.disagreements.len(), 3);
    assert_eq!(comparison.map50, [None, None]);
    let cat = &comparison.classes[0];
    assert_eq!((cat.truth, cat.answered, cat.right), (2, [2, 3], [1, 2]));
    assert_eq!(moves(&samples)[0], ("dog".into(), "cat".into(), 2));
}
