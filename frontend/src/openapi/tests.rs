use super::*;
use crate::router::{REVIEW, ROUTES, methods};

#[test]
fn the_paths_are_the_routers() {
    let document = document(&Config::default());
    let described: Vec<(&str, Vec<&str>)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, methods)| {
            (path.as_str(), methods.as_object().unwrap().keys().map(String::as_str).collect())
        })
        .collect();
    let method = |methods: &str| vec![if methods.starts_with("GET") { "get" } else { "post" }];
    let (review, others): (Vec<_>, Vec<_>) =
        described.into_iter().partition(|(path, _)| path.starts_with(REVIEW));
    let routed: Vec<_> = ROUTES.into_iter().map(|(path, methods)| (path, method(methods))).collect();
    assert_eq!(others, routed);
    assert_eq!(review.len(), 8);
    for (path, described) in review {
        assert_eq!(methods(&path.replace("{id}", "X")).map(method), Some(described), "{path}");
    }
}

#[test]
fn every_code_is_described_where_its_status_is() {
    let document = document(&Config::default());
    let detect = &document["paths"]["/detect"]["post"]["responses"];
    for code in Code::ALL {
        let response = match code {
            Code::Forbidden => &document["components"]["responses"]["Forbidden"],
            Code::NotFound => &document["components"]["responses"]["NotFound"],
            Code::MethodNotAllowed => &document["components"]["responses"]["MethodNotAllowed"],
            _ => &detect[code.status().as_str()],
        };
        let codes = &response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]
            ["enum"];
        assert!(codes.as_array().is_some_and(|codes| codes.contains(&code.name().into())), "{}", code.name());
    }
}

#[test]
fn what_detect_cannot_answer_is_not_described_there() {
    let document = document(&Config::default());
    let responses = document["paths"]["/detect"]["post"]["responses"].to_string();
    for code in NOT_DETECT {
        assert!(!responses.contains(&format!("\"{}\"", code.name())), "{}", code.name());
    }
    let busy = &document["paths"]["/detect"]["post"]["responses"]["429"]["headers"];
    assert!(busy["Retry-After"].is_object() && busy["X-Request-Id"].is_object());
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').expect("a reference within the document");
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                map.values().for_each(|value| check(value, document));
            }
            Value::Array(values) => values.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = document(&Config::default());
    check(&document, &document);
}

#[test]
fn options_have_the_schema_of_what_they_are() {
    for name in options::NAMES {
        assert!(option(name)["type"].is_string(), "{name}");
    }
}
