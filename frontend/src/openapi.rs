//! `/openapi.json`: the API as the code has it. Codes come from the error table, options from the option table,
//! limits from the configuration; a test compares the paths with the router's.

mod review;

use crate::config::Config;
use crate::error::Code;
use crate::inputs::InputType;
use crate::options;
use serde_json::{Map, Value, json};
use shm_proto::board::Stage;

/// Codes that `POST /detect` cannot answer: they are other routes' or other methods'.
const NOT_DETECT: [Code; 3] = [Code::Forbidden, Code::NotFound, Code::MethodNotAllowed];

/// The description of a service with this configuration.
pub fn document(config: &Config) -> Value {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "detectd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Detection and classification of images.",
        },
        "servers": [{ "url": "/" }],
        "paths": {
            "/": { "get": page("A page to try it on.", "text/html") },
            "/about": { "get": page("The service's state, its model, and pictures to try it on.", "application/json") },
            "/dashboard": { "get": page("A page of live figures.", "text/html") },
            "/detect": { "post": detect(config) },
            "/events": { "get": page("The figures of /stats every second, as server-sent events.", "text/event-stream") },
            "/healthz": { "get": page("Whether the process lives.", "text/plain") },
            "/livez": { "get": page("Whether the process lives.", "text/plain") },
            "/metrics": { "get": page("Figures of the whole service for Prometheus.", "text/plain") },
            "/openapi.json": { "get": page("This document.", "application/json") },
            "/readyz": { "get": ready() },
            "/review": { "get": page("A page to sort kept pictures on.", "text/html") },
            "/robots.txt": { "get": page("Nothing here is to be indexed.", "text/plain") },
            "/stats": { "get": page("Figures of the whole service.", "application/json") },
        },
        "components": {
            "headers": headers(),
            "responses": {
                "Forbidden": problem(&[Code::Forbidden]),
                "NotFound": problem(&[Code::NotFound]),
                "MethodNotAllowed": problem(&[Code::MethodNotAllowed]),
            },
            "schemas": schemas(config),
        },
    });
    let mut add = |part: &str, more: Value| {
        if let (Some(known), Value::Object(more)) =
            (document.pointer_mut(part).and_then(Value::as_object_mut), more)
        {
            known.extend(more);
        }
    };
    add("/paths", review::paths());
    add("/components/schemas", review::schemas());
    document
}

fn text_schema() -> Value {
    json!({ "type": "string" })
}

fn page(summary: &str, media_type: &str) -> Value {
    json!({ "summary": summary, "responses": { "200": { "description": "OK", "content": { media_type: {} } } } })
}

fn ready() -> Value {
    let mut ready = page("Whether the engine is warm and requests are accepted.", "text/plain");
    ready["responses"]["503"] = problem(&[Code::EngineUnavailable, Code::Draining]);
    ready
}

fn detect(config: &Config) -> Value {
    let fields = json!({ "$ref": "#/components/schemas/Fields" });
    // A form may hold the JSON object, so that it may list pictures too.
    let object = json!({ "oneOf": [fields, { "$ref": "#/components/schemas/List" }] });
    let binary = json!({ "schema": { "type": "string", "format": "binary" } });
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "What was found.",
            "headers": {
                "X-Request-Id": header("X-Request-Id"),
                "Server-Timing": header("Server-Timing"),
            },
            "content": {
                "application/json": { "schema": { "oneOf": [
                    { "$ref": "#/components/schemas/Answer" },
                    { "$ref": "#/components/schemas/Answers" },
                ] } },
                "image/jpeg": binary,
            },
        }),
    );
    let all: Vec<_> = Code::ALL.into_iter().filter(|code| !NOT_DETECT.contains(code)).collect();
    let mut statuses: Vec<_> = all.iter().map(|code| code.status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let codes: Vec<_> = all.iter().copied().filter(|code| code.status() == status).collect();
        responses.insert(status.as_u16().to_string(), problem(&codes));
    }
    json!({
        "summary": "Finds objects in one image or in each of a list, or classifies them.",
        "parameters": parameters(),
        "requestBody": {
            "required": true,
            "description": format!(
                "One image of at most {} bytes, or as JSON a list of up to {}, in a body of at most {} bytes.",
                config.inputs.max_image, config.inputs.max_images, config.inputs.max_body
            ),
            "content": {
                "application/json": { "schema": object },
                "application/x-www-form-urlencoded": { "schema": object },
                "application/form-data": { "schema": object },
                "multipart/form-data": { "schema": fields },
                "image/*": binary,
                "application/octet-stream": binary,
            },
        },
        "responses": responses,
    })
}

/// The schema of each option, by its name.
fn option(name: &str) -> Value {
    match name {
        "score" | "iou" => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        "top_k" => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        "format" => json!({ "type": "string", "enum": ["json", "image"], "default": "json" }),
        // Names or numbers, separated by commas.
        _ => json!({ "type": "string", "maxLength": 4096 }),
    }
}

fn parameters() -> Value {
    let mut parameters: Vec<Value> = options::NAMES
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": option(name) }))
        .collect();
    parameters.push(
        json!({ "name": "type", "in": "query", "schema": { "type": "string", "enum": input_types() } }),
    );
    parameters.push(
        json!({ "name": "X-Request-Id", "in": "header", "schema": { "type": "string", "maxLength": 128 } }),
    );
    parameters.push(
        json!({ "name": "X-Timeout-Ms", "in": "header", "schema": { "type": "integer", "minimum": 1 } }),
    );
    parameters.into()
}

fn input_types() -> Vec<&'static str> {
    InputType::ALL.iter().map(|kind| kind.name()).collect()
}

fn problem(codes: &[Code]) -> Value {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let titles: Vec<_> = codes.iter().map(|code| format!("{}: {}.", code.name(), code.title())).collect();
    let mut headers = Map::from_iter([("X-Request-Id".to_owned(), header("X-Request-Id"))]);
    for code in codes {
        match code.status().as_u16() {
            429 | 503 => headers.insert("Retry-After".to_owned(), header("Retry-After")),
            405 => headers.insert("Allow".to_owned(), header("Allow")),
            _ => None,
        };
    }
    json!({
        "description": titles.join(" "),
        "headers": headers,
        "content": { "application/problem+json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "properties": { "code": { "enum": names } } },
        ] } } },
    })
}

/// A reference to one of [`headers`].
fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The request's id: the caller's own, or a fresh one.",
            "schema": { "type": "string", "maxLength": 128 },
        },
        "Server-Timing": { "description": "Milliseconds of each stage.", "schema": { "type": "string" } },
        "Retry-After": {
            "description": "Seconds after which trying again makes sense.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "Allow": { "description": "The methods that the path has.", "schema": { "type": "string" } },
    })
}

fn schemas(config: &Config) -> Value {
    let number = json!({ "type": "number" });
    let text = text_schema();
    let times: Map<String, Value> =
        Stage::ALL.iter().map(|stage| (stage.name().to_owned(), number.clone())).collect();
    let mut fields: Map<String, Value> =
        options::NAMES.iter().map(|name| ((*name).to_owned(), option(name))).collect();
    fields.insert(
        "classes".to_owned(),
        json!({ "oneOf": [option("classes"), { "type": "array", "items": { "type": ["string", "integer"] } }] }),
    );
    fields.insert("type".to_owned(), json!({ "type": "string", "enum": input_types() }));
    fields.insert(
        "img".to_owned(),
        json!({
            "description": "The image as the type says: base64, an address, a path on the server, the bytes as an \
                            array of integers, or a file part.",
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 255 } },
            ],
        }),
    );
    let pair =
        |items: usize| json!({ "type": "array", "items": number, "minItems": items, "maxItems": items });
    let class = json!({ "label": text, "class": { "type": "integer" }, "score": number });
    let mut detection = class.clone();
    detection["box"] = pair(4);
    detection["keypoints"] = json!({ "type": "array", "items": pair(2) });
    let mut list = fields.clone();
    list.remove("img");
    list.remove("format");
    list.insert(
        "images".to_owned(),
        json!({
            "description": "Each as if it came alone. Options beside the list are for all of them; format is json.",
            "type": "array",
            "minItems": 1,
            "maxItems": config.inputs.max_images,
            "items": { "$ref": "#/components/schemas/Fields" },
        }),
    );
    json!({
        "Fields": { "type": "object", "required": ["img"], "properties": fields },
        "List": { "type": "object", "required": ["images"], "properties": list },
        "Answers": {
            "type": "object",
            "required": ["id", "model", "results", "timing_ms"],
            "properties": {
                "id": text,
                "model": text,
                "results": {
                    "description": "One for each image of the list, in order.",
                    "type": "array",
                    "items": { "oneOf": [
                        { "$ref": "#/components/schemas/Answer" },
                        { "$ref": "#/components/schemas/Problem" },
                    ] },
                },
                "timing_ms": { "type": "object", "properties": { "total": number } },
            },
        },
        "Answer": {
            "type": "object",
            "required": ["id", "model", "type", "width", "height", "timing_ms"],
            "properties": {
                "id": text,
                "model": text,
                "type": { "type": "string", "enum": input_types() },
                "width": { "type": "integer" },
                "height": { "type": "integer" },
                "detections": { "type": "array", "items": {
                    "type": "object", "required": ["label", "class", "score", "box"], "properties": detection,
                } },
                "classes": { "type": "array", "items": {
                    "type": "object", "required": ["label", "class", "score"], "properties": class,
                } },
                "simulated": {
                    "type": "boolean",
                    "description": "Only there, and true, when a modelled accelerator ran in place of the model.",
                },
                "timing_ms": { "type": "object", "properties": times },
            },
        },
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail", "code", "id"],
            "properties": {
                "type": { "type": "string", "format": "uri" },
                "title": text,
                "status": { "type": "integer" },
                "detail": text,
                "code": text,
                "id": text,
                "retry_after": { "type": "integer", "description": "In a list, what Retry-After would say." },
            },
        },
    })
}

#[cfg(test)]
mod tests;
