//! What Ultralytics exports write into the model file: class names, task, input size.
//!
//! The values are Python literals as text. Text that cannot be read counts as absent, never as an error.

use super::RawModel;
use std::collections::BTreeMap;

/// Facts of an Ultralytics export, as far as the file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    /// Class names, by number.
    pub(super) names: Option<Vec<String>>,
    /// `detect`, `classify`, `segment`, ….
    pub(super) task: Option<String>,
    /// Height and width that the model was exported for, in pixels.
    pub(super) size: Option<(u32, u32)>,
    /// Whether NMS is done in the graph.
    pub(super) end_to_end: bool,
}

impl Exported {
    /// The facts, or `None` for a file of another origin.
    pub(super) fn of(raw: &RawModel) -> Option<Self> {
        let metadata = &raw.metadata;
        let ours = metadata.contains_key("names") && metadata.contains_key("stride")
            || metadata.get("author").is_some_and(|author| author == "Ultralytics");
        ours.then(|| Self {
            names: metadata.get("names").and_then(|text| names(text)),
            task: metadata.get("task").cloned(),
            size: metadata.get("imgsz").and_then(|text| size(text)),
            end_to_end: ["end2end", "nms"].iter().any(|key| truth(metadata, key)),
        })
    }
}

fn truth(metadata: &BTreeMap<String, String>, key: &str) -> bool {
    // Newer exports keep export options as one dictionary in `args`.
    let named = metadata.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let in_args = metadata.get("args").is_some_and(|args| args.contains(&format!("'{key}': True")));
    named || in_args
}

/// `[640, 480]` (height, width) or `640`.
fn size(text: &str) -> Option<(u32, u32)> {
    let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
    let mut sides = inner.split(',').map(|side| side.trim().parse().ok().filter(|&side| side > 0));
    let height = sides.next()??;
    let width = sides.next().unwrap_or(Some(height))?;
    Some((height, width))
}

/// `{0: 'person', 1: "rock 'n' roll"}` or `['person', 'car']`; numbers must run from 0 without a gap.
fn names(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if let Some(items) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return list(items);
    }
    let mut rest = text.strip_prefix('{')?.strip_suffix('}')?.trim_start();
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (number, after) = rest.split_once(':')?;
        let number = number.trim().trim_matches(['\'', '"']).parse::<usize>().ok()?;
        let (name, after) = quoted(after.trim_start())?;
        found.insert(number, name);
        rest = comma(after)?;
    }
    let dense = found.keys().copied().eq(0..found.len());
    (dense && !found.is_empty()).then(|| found.into_values().collect())
}

fn list(items: &str) -> Option<Vec<String>> {
    let mut rest = items.trim_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (name, after) = quoted(rest)?;
        found.push(name);
        rest = comma(after)?;
    }
    (!found.is_empty()).then_some(found)
}

/// What follows a comma, or nothing at the end.
fn comma(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    if rest.is_empty() { Some(rest) } else { Some(rest.strip_prefix(',')?.trim_start()) }
}

/// A Python string literal at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            c if c == quote => return Some((name, &text[at + c.len_utf8()..])),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&str, &str)]) -> RawModel {
        let metadata = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        RawModel { metadata, ..Default::default() }
    }

    #[test]
    fn a_python_dictionary_becomes_names() {
        let expected = ["person", "rock 'n' roll", "it's", "a, b: c", "人"].map(str::to_owned).to_vec();
        let text = r#"{0: 'person', 1: "rock 'n' roll", 2: 'it\'s', 3: 'a, b: c', 4: '人'}"#;
        assert_eq!(names(text), Some(expected));
        assert_eq!(names("['x', \"y\"]"), Some(vec!["x".into(), "y".into()]));
    }

    #[test]
    fn broken_names_count_as_absent() {
        for text in [
            "",
            "{",
            "{0: person}",
            "{0: 'a', 2: 'c'}",
            "{0: 'a'",
            "[1, 2]",
            "{}",
            "{0: 'a' 1: 'b'}",
            "{0: 'é",
        ] {
            assert_eq!(names(text), None, "{text}");
        }
    }

    #[test]
    fn size_is_height_and_width() {
        assert_eq!(size("[480, 640]"), Some((480, 640)));
        assert_eq!(size("320"), Some((320, 320)));
        assert_eq!(size("[0, 640]"), None);
        assert_eq!(size("auto"), None);
    }

    #[test]
    fn only_exports_of_this_kind_are_taken_for_one() {
        assert_eq!(Exported::of(&raw(&[("task", "detect")])), None);
        let facts = Exported::of(&raw(&[("names", "{0: 'a'}"), ("stride", "32"), ("args", "{'nms': True}")]))
            .unwrap();
        assert_eq!(facts.names, Some(vec!["a".into()]));
        assert!(facts.end_to_end);
    }
}
