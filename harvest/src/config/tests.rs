use super::*;

fn rules(text: &str) -> Result<(), String> {
    let text = format!("rules = [{text}]");
    let config: Config = toml::from_str(&text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())
}

#[test]
fn rules_are_written_in_the_fields_words() {
    for good in [
        r#"{ type = "random", traffic_percentage = 0.5, limits = [{ type = "minutely", value = 10 }, { type = "daily", value = 100 }] }"#,
        r#"{ type = "close_to_threshold", threshold = 0.5, epsilon = 0.1, probability = 0.3, minimum_objects_close_to_threshold = 2, only_top_classes = false, selected_class_names = ["a"] }"#,
        r#"{ type = "classes_based", selected_class_names = ["a", "b"], probability = 1.0 }"#,
        r#"{ type = "detections_number_based", more_than = 3, less_than = 9 }"#,
        r#"{ type = "least_confidence", threshold = 0.5 }, { type = "margin", threshold = 0.1 }, { type = "entropy", threshold = 0.6 }"#,
    ] {
        assert_eq!(rules(good), Ok(()), "{good}");
    }
}

#[test]
fn a_key_that_a_rule_would_ignore_is_an_error() {
    for (bad, wanted) in [
        (r#"{ type = "random" }"#, "rule 1, random: needs traffic_percentage"),
        (r#"{ type = "random", traffic_percentage = 1, threshold = 0.5 }"#, "does not know threshold"),
        (r#"{ type = "random", traffic_percentage = 101 }"#, "0 to 100"),
        (r#"{ type = "margin", threshold = 0.1, epsilon = 0.1 }"#, "does not know epsilon"),
        (r#"{ type = "detections_number_based" }"#, "more_than or less_than"),
        (r#"{ type = "entropy", threshold = 7.0 }"#, "threshold must be 0 to 1"),
        (r#"{ type = "dice" }"#, "unknown variant"),
        (
            r#"{ type = "margin", threshold = 0.1 }, { type = "margin", threshold = 0.2 }"#,
            "two are named margin",
        ),
        (
            r#"{ type = "margin", threshold = 0.1, limits = [{ type = "weekly", value = 1 }] }"#,
            "unknown variant",
        ),
    ] {
        let error = rules(bad).expect_err(bad);
        assert!(error.contains(wanted), "{bad}: {error}");
    }
    let enabled = Config { enabled: true, ..Config::default() };
    assert!(enabled.check().expect_err("no root").to_string().contains("harvest.root"));
}
