//! What the review's page asks, in the API's description. Names come from the harvest's own tables.

use super::{problem, text_schema};
use crate::error::Code;
use harvest::State;
use harvest::export::Format;
use harvest::look::FLAGS;
use harvest::query::MOST;
use harvest::review;
use serde_json::{Value, json};

/// The paths below `/review/api/`.
pub(super) fn paths() -> Value {
    let id = json!({ "name": "id", "in": "path", "required": true, "schema": text_schema() });
    let file = |summary: &str, kinds: &[&str]| {
        let content: serde_json::Map<String, Value> =
            kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
        let mut operation = get(summary, std::slice::from_ref(&id), &Value::Null, &[Code::NotFound]);
        operation["get"]["responses"]["200"]["content"] = content.into();
        operation
    };
    let score = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let state =
        query("state", &json!({ "type": "string", "enum": State::ALL.map(State::name), "default": "new" }));
    let day = json!({ "type": "string", "format": "date" });
    let filters = [
        state.clone(),
        query("class", &text_schema()),
        query("min", &score),
        query("max", &score),
        query("from", &day),
        query("to", &day),
        query("flag", &json!({ "type": "string", "enum": FLAGS })),
        query(
            "order",
            &json!({ "type": "string", "enum": ["newest", "oldest", "unsure", "sure"], "default": "newest" }),
        ),
        query("after", &json!({ "type": "string", "description": "`next` of the page before." })),
        query(
            "skip",
            &json!({ "type": "integer", "minimum": 0, "default": 0, "description": "Pictures before the page, without `after`." }),
        ),
        query(
            "until",
            &json!({ "type": "integer", "description": "`last` of an earlier page: what came since is left out." }),
        ),
        query("limit", &json!({ "type": "integer", "minimum": 1, "maximum": MOST, "default": 100 })),
    ];
    let mut format = query("format", &json!({ "type": "string", "enum": Format::ALL.map(Format::name) }));
    format["required"] = true.into();
    let export = [
        format,
        query("validation", &json!({ "type": "number", "minimum": 0, "maximum": 1, "default": 0.2 })),
    ];
    let mut zip = get(
        "What was accepted, as a data set.",
        &export,
        &Value::Null,
        &[Code::BadParameter, Code::NotFound],
    );
    zip["get"]["responses"]["200"]["content"] = json!({ "application/zip": {} });
    json!({
        "/review/api/summary": get("How many kept pictures there are of each kind.", &[state], &reference("Kinds"), &[Code::BadParameter]),
        "/review/api/pictures": get("A page of kept pictures.", &filters, &reference("KeptPage"), &[Code::BadParameter]),
        "/review/api/pictures/{id}": get("A kept picture and its sidecar.", std::slice::from_ref(&id), &reference("Kept"), &[Code::NotFound]),
        "/review/api/pictures/{id}/image": file("Its file, or a JPEG where browsers do not show such files.",
            &["image/jpeg", "image/png", "image/webp", "image/gif"]),
        "/review/api/pictures/{id}/thumb": file("A small copy.", &["image/jpeg"]),
        "/review/api/export": zip,
        "/review/api/actions": post("Does something with kept pictures, each as it was seen.", &reference("Change")),
        "/review/api/undo": post("Undoes an action.",
            &json!({ "type": "object", "required": ["batch"], "properties": { "batch": text_schema() } })),
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn query(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

/// Answers that any of these may be: by status.
fn responses(schema: &Value, codes: &[Code]) -> Value {
    let mut responses =
        json!({ "200": { "description": "OK", "content": { "application/json": { "schema": schema } } } });
    let mut all = vec![Code::Forbidden, Code::Internal];
    all.extend(codes);
    for code in &all {
        let same: Vec<Code> = all.iter().copied().filter(|other| other.status() == code.status()).collect();
        responses[code.status().as_str()] = problem(&same);
    }
    responses
}

fn get(summary: &str, parameters: &[Value], schema: &Value, codes: &[Code]) -> Value {
    json!({ "get": { "summary": summary, "parameters": parameters, "responses": responses(schema, codes) } })
}

fn post(summary: &str, body: &Value) -> Value {
    let codes = [
        Code::BadJson,
        Code::BadParameter,
        Code::BodyTooLarge,
        Code::RequestTimeout,
        Code::UnsupportedMediaType,
    ];
    json!({ "post": {
        "summary": summary,
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": responses(&reference("Receipt"), &codes),
    } })
}

/// The schemas that the paths name.
pub(super) fn schemas() -> Value {
    let (text, number, whole) =
        (text_schema(), json!({ "type": "number" }), json!({ "type": "integer", "minimum": 0 }));
    let counts = json!({ "type": "array", "items": {
        "type": "object", "required": ["name", "count"], "properties": { "name": text, "count": whole },
    } });
    let states = State::ALL.map(|state| (state.name().to_owned(), whole.clone()));
    let corners = json!({ "type": "array", "items": number, "minItems": 4, "maxItems": 4 });
    json!({
        "Kinds": { "type": "object", "properties": {
            "states": { "type": "object", "properties": serde_json::Map::from_iter(states) },
            "classes": counts, "flags": counts, "dates": counts, "bytes": whole,
            "labels": { "type": "array", "items": text, "description": "The newest model's classes, by number." },
        } },
        "Kept": { "type": "object", "required": ["id", "revision", "state", "class", "score"], "properties": {
            "id": text, "revision": whole, "state": { "type": "string", "enum": State::ALL.map(State::name) }, "class": text, "score": number,
            "time": text, "date": { "type": "string", "format": "date" }, "flags": { "type": "array", "items": { "enum": FLAGS } },
            "rule": text, "bytes": whole, "width": whole, "height": whole,
            "boxes": { "type": ["array", "null"], "items": { "type": "object", "properties": { "label": text, "score": number, "box": corners } } },
            "sidecar": { "type": "object", "description": "All that is known, where one picture was asked for." },
        } },
        "KeptPage": { "type": "object", "required": ["pictures", "next", "total", "last"], "properties": {
            "pictures": { "type": "array", "maxItems": MOST, "items": reference("Kept") },
            "next": { "type": ["string", "null"] }, "total": whole, "last": whole,
        } },
        "Change": { "type": "object", "required": ["action", "pictures"], "additionalProperties": false, "properties": {
            "action": { "type": "string", "enum": ["accept", "reject", "move", "boxes"] },
            "pictures": { "type": "array", "minItems": 1, "maxItems": review::MOST, "items": {
                "type": "object", "required": ["id", "revision"], "properties": { "id": text, "revision": whole },
            } },
            "class": { "type": "string", "description": "Of the action move: where to." },
            "boxes": { "type": "array", "maxItems": 1000, "description": "Of the action boxes, which is for one picture.", "items": {
                "type": "object", "required": ["label", "box"], "properties": { "label": text, "box": corners },
            } },
        } },
        "Receipt": { "type": "object", "required": ["batch", "pictures"], "properties": {
            "batch": { "type": "string", "description": "By which it can be undone." },
            "pictures": { "type": "array", "items": { "type": "object", "required": ["id", "result"], "properties": {
                "id": text, "result": { "type": "string", "enum": ["done", "conflict", "gone"] },
                "picture": { "oneOf": [reference("Kept"), { "type": "null" }] },
            } } },
        } },
    })
}
