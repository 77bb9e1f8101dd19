use super::*;
use crate::config::Config;

fn rule(text: &str) -> Rule {
    let config: Config = toml::from_str(&format!("rules = [{{ {text} }}]")).expect("a rule");
    config.check().expect("a good rule");
    config.rules[0].clone()
}

fn chosen(text: &str, hits: &[(&str, f32)], uncertainty: Option<Uncertainty>) -> bool {
    let hits: Vec<Hit<'_>> = hits.iter().map(|(label, score)| Hit { label, score: *score }).collect();
    let subject = Subject { hits: &hits, uncertainty };
    choose(&[rule(text)], &subject, &mut fastrand::Rng::with_seed(1)) == 1
}

#[test]
fn each_rule_chooses_what_its_name_says() {
    let close = r#"type = "close_to_threshold", threshold = 0.5, epsilon = 0.1"#;
    assert!(chosen(close, &[("cat", 0.9), ("dog", 0.45)], None));
    assert!(!chosen(close, &[("cat", 0.9), ("dog", 0.3)], None));
    let two = &format!("{close}, minimum_objects_close_to_threshold = 2");
    assert!(!chosen(two, &[("cat", 0.9), ("dog", 0.45)], None));
    assert!(chosen(two, &[("cat", 0.55), ("dog", 0.45)], None));
    assert!(!chosen(&format!(r#"{close}, selected_class_names = ["cat"]"#), &[("dog", 0.45)], None));

    let classes = r#"type = "classes_based", selected_class_names = ["Dog"]"#;
    assert!(chosen(classes, &[("cat", 0.9), ("dog", 0.1)], None));
    assert!(!chosen(classes, &[("cat", 0.9)], None));
    assert!(!chosen(classes, &[], None));

    let many = r#"type = "detections_number_based", more_than = 2, less_than = 3"#;
    let hits = [("cat", 0.9); 4];
    assert_eq!([1, 2, 3, 4].map(|n| chosen(many, &hits[..n], None)), [false, true, true, false]);
    assert!(chosen(r#"type = "detections_number_based", less_than = 0"#, &[], None));
}

#[test]
fn a_classifiers_doubt_is_measured_as_in_the_textbook() {
    let sure = Uncertainty::of(&[0.97, 0.01, 0.01, 0.01]);
    let torn = Uncertainty::of(&[0.48, 0.46, 0.03, 0.03]);
    let lost = Uncertainty::of(&[0.25; 4]);
    assert!((sure.least_confidence - 0.03).abs() < 1e-6 && (torn.margin - 0.02).abs() < 1e-6);
    assert!((lost.entropy - 1.0).abs() < 1e-6 && sure.entropy < 0.15);
    let hits = [("cat", 0.5)];
    for (text, wanted) in [
        (r#"type = "least_confidence", threshold = 0.5"#, [false, true, true]),
        (r#"type = "margin", threshold = 0.1"#, [false, true, true]),
        (r#"type = "entropy", threshold = 0.9"#, [false, false, true]),
    ] {
        assert_eq!([sure, torn, lost].map(|u| chosen(text, &hits, Some(u))), wanted, "{text}");
        assert!(!chosen(text, &hits, None), "a detector has no such doubt");
    }
    // Only the best class of a classified picture counts, unless it is said.
    let close = r#"type = "close_to_threshold", threshold = 0.5, epsilon = 0.1"#;
    assert!(!chosen(close, &[("cat", 0.9), ("dog", 0.5)], Some(sure)));
    assert!(chosen(&format!("{close}, only_top_classes = false"), &[("cat", 0.9), ("dog", 0.5)], Some(sure)));
}

#[test]
fn shares_are_kept_over_many() {
    let mut dice = fastrand::Rng::with_seed(7);
    let subject = Subject { hits: &[Hit { label: "cat", score: 0.5 }], uncertainty: None };
    let rules = [
        rule(r#"type = "random", traffic_percentage = 20"#),
        rule(r#"type = "classes_based", selected_class_names = ["cat"], probability = 0.5"#),
    ];
    let sets: Vec<u32> = (0..10_000).map(|_| choose(&rules, &subject, &mut dice)).collect();
    let share = |bit: u32| sets.iter().filter(|set| **set & bit != 0).count();
    assert!((1800..2200).contains(&share(1)), "{}", share(1));
    assert!((4700..5300).contains(&share(2)), "{}", share(2));
    assert_eq!(choose(&[], &subject, &mut dice), 1, "no rules keep everything");
}
