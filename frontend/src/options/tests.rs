use super::*;
use vision::model::*;
use vision::tensor::Element;

fn spec(task: Task, labels: &[&str]) -> ModelSpec {
    ModelSpec {
        name: "m".into(),
        task,
        input: InputSpec {
            name: "x".into(),
            width: 8,
            height: 8,
            channels: Channels::Rgb,
            layout: Layout::Nchw,
            element: Element::U8,
            resize: Resize::Stretch,
            filter: Filter::Bilinear,
            fill: 0,
            scale: 1.0,
            mean: [0.0; 3],
            std: [1.0; 3],
        },
        decoder: Decoder::EndToEnd,
        labels: labels.iter().map(|&l| l.to_owned()).collect(),
        score: 0.3,
        iou: 0.5,
        max_detections: 100,
        top_k: 5,
        guessed: vec![],
    }
}

fn resolved(query: &str) -> Result<Options, RequestError> {
    let spec = spec(Task::Detect, &["Cat", "traffic light", "9"]);
    Choices::parse(Some(query))?.resolve(&spec, &Labels::of(&spec))
}

#[test]
fn silence_means_the_models_values() {
    assert_eq!(resolved("").unwrap(), Options::of(&spec(Task::Detect, &[])));
    assert_eq!(Choices::parse(None).unwrap().format(), Format::Json);
}

#[test]
fn each_option_is_taken() {
    let options = resolved("score=0.25&iou=1&top_k=7&classes=traffic%20light,cat,0,9&type=bytes").unwrap();
    assert_eq!(
        options,
        Options { score: 0.25, iou: 1.0, max_detections: 7, top_k: 7, classes: Some(vec![0, 1, 2]) }
    );
}

#[test]
fn a_request_does_not_raise_the_models_cap_on_boxes() {
    assert_eq!(resolved("top_k=1000").unwrap().max_detections, 100);
}

#[test]
fn a_class_without_a_name_goes_by_its_number() {
    let options = Choices::parse(Some("classes=79"))
        .unwrap()
        .resolve(&spec(Task::Detect, &[]), &Labels::of(&spec(Task::Detect, &[])))
        .unwrap();
    assert_eq!(options.classes, Some(vec![79]));
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (query, word) in [
        ("score=2", "score"),
        ("score=nan", "score"),
        ("score=", "score"),
        ("iou=-0.1", "iou"),
        ("top_k=0", "top_k"),
        ("top_k=1001", "top_k"),
        ("top_k=1.5", "top_k"),
        ("classes=", "classes"),
        ("classes=dog", "dog"),
        ("classes=3", "'3'"),
        ("format=xml", "format"),
        ("scores=0.5", "scores"),
        ("score=0.1&score=0.2", "twice"),
    ] {
        let error = resolved(query).expect_err(query);
        assert_eq!(error.code, Code::BadParameter, "{query}");
        assert!(error.detail.contains(word), "{query}: {}", error.detail);
    }
}

#[test]
fn only_a_detector_draws() {
    let choices = Choices::parse(Some("format=image")).unwrap();
    assert!(choices.resolve(&spec(Task::Detect, &[]), &Labels::of(&spec(Task::Detect, &[]))).is_ok());
    assert!(choices.resolve(&spec(Task::Classify, &[]), &Labels::of(&spec(Task::Classify, &[]))).is_err());
}

proptest::proptest! {
    #[test]
    fn no_query_panics(query in ".*") {
        let _ = resolved(&query);
    }
}

#[test]
fn a_name_with_a_comma_is_a_name() {
    let spec = spec(Task::Detect, &["lamp", "lamp, hanging", "cat"]);
    let labels = Labels::of(&spec);
    for (query, expected) in [
        ("classes=Lamp,%20Hanging", vec![1]),
        ("classes=lamp,cat", vec![0, 2]),
        ("classes=2,1,cat,CAT", vec![1, 2]),
    ] {
        let options = Choices::parse(Some(query)).unwrap().resolve(&spec, &labels).unwrap();
        assert_eq!(options.classes, Some(expected), "{query}");
    }
    let mut choices = Choices::default();
    let list = Classes::List(vec!["lamp, hanging".into(), "cat".into()]);
    choices.add(RawOptions { classes: Some(list), ..RawOptions::default() }).unwrap();
    assert_eq!(choices.resolve(&spec, &labels).unwrap().classes, Some(vec![1, 2]));
}

#[test]
fn of_two_classes_of_one_name_the_first_is_meant() {
    let labels = Labels::of(&spec(Task::Detect, &["a", "b", "A"]));
    assert_eq!((labels.number("a"), labels.number("2"), labels.number("3")), (Some(0), Some(2), None));
}
