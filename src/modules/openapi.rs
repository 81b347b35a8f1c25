//! The description of the modules' API for programs, `/api/openapi.json`, and the page that shows it, `/api/docs` (contract 04 §1.4,
//! R15). Both are made of the routes and the kinds of record, so that they cannot say anything else than what is served.

use std::sync::OnceLock;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::desk;
use super::records::field::{Field, Form};
use super::records::kinds::{KINDS, Kind};
use super::records::record::CANON;
use super::registry::API_VERSION;
use crate::gate::headers::OWN_PAGE;
use crate::gate::{Asset, Call, Outcome, Reads, Route, Routes};
use crate::net::Response;

/// What is served.
pub(super) const ROUTES: [Route; 5] = [
    Route::public(&Method::GET, "/api/openapi.json")
        .carrying(&desk::HEADERS)
        .does("Describe the modules' API, by OpenAPI 3.1"),
    page("/api/docs").does("Show that description as a page on which requests can be tried"),
    page("/api/redoc").does("The same"),
    page("/api/docs.js").does("Give the script of that page"),
    page("/api/docs.css").does("Give its style"),
];

const fn page(template: &'static str) -> Route {
    Route::public(&Method::GET, template).carrying(&OWN_PAGE)
}

const CACHED: &str = "public, max-age=600";

static HTML: Asset = Asset::new(include_bytes!("pages/docs.html"), "text/html; charset=utf-8", CACHED);
static JS: Asset = Asset::new(include_bytes!("pages/docs.js"), "text/javascript; charset=utf-8", CACHED);
static CSS: Asset = Asset::new(include_bytes!("pages/docs.css"), "text/css; charset=utf-8", CACHED);

/// The description, from the first time on that somebody asks: one for all shards, as there is one list of routes.
static DOCUMENT: OnceLock<String> = OnceLock::new();

/// Adds them for one shard. Nobody needs a session to read how things are done, and it is not counted.
pub(super) fn add(to: &mut Routes, described: &'static [&'static [Route]]) {
    let [document, docs, redoc, script, style] = ROUTES;
    to.add(document, move |_: &Call<'_>| {
        let text = DOCUMENT.get_or_init(|| self::document(described).to_string());
        Ok(Outcome::Now(Response::json(StatusCode::OK, text.as_bytes())))
    });
    for (route, asset) in [(docs, &HTML), (redoc, &HTML), (script, &JS), (style, &CSS)] {
        to.add(route, move |call: &Call<'_>| asset.answer(call).map(Outcome::Now));
    }
}

/// The description of these routes.
fn document(described: &[&[Route]]) -> Value {
    let mut paths = Map::new();
    for route in described.iter().copied().flatten().filter(|route| !route.is_socket()) {
        if route.template.contains("{module}/{collection}") {
            for kind in &KINDS {
                let path =
                    route.template.replace("{module}/{collection}", &format!("{}/{}", kind.module, kind.collection));
                operation(&mut paths, route, path, Some(kind));
            }
        } else {
            operation(&mut paths, route, route.template.replace("{*", "{"), None);
        }
    }
    let mut schemas = Map::new();
    for kind in &KINDS {
        schemas.insert(kind.noun.to_owned(), shown(kind));
        schemas.insert(format!("{}Create", kind.noun), sent(kind, true));
        schemas.insert(format!("{}Update", kind.noun), sent(kind, false));
    }
    schemas.insert("Error".to_owned(), json!({
        "type": "object",
        "properties": {
            "detail": { "description": "What was wrong, in the words of the original: a sentence, or for 422 a list" },
            "error": {
                "type": "object",
                "properties": {
                    "code": { "type": "string" }, "message": { "type": "string" }, "request_id": { "type": "string" },
                },
            },
        },
    }));
    json!({
        "openapi": "3.1.0",
        "info": { "title": "CIMEIKA API", "version": API_VERSION, "description": "A household's seven modules" },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "inkring_session" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn operation(paths: &mut Map<String, Value>, route: &Route, path: String, kind: Option<&Kind>) {
    let tag = kind.map_or_else(|| tag_of(&path), |kind| kind.module.to_owned());
    let is_item = route.template.contains("{id}");
    let mut parameters: Vec<Value> = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| {
            let form = if name == "id" { "integer" } else { "string" };
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": form } })
        })
        .collect();
    let mut operation = json!({ "tags": [tag], "summary": route.does });
    if let Some(kind) = kind {
        if route.method == Method::GET && !is_item {
            parameters.extend(queries(kind));
        }
        let body = match (route.method, route.reads) {
            (&Method::POST, Reads::Json) => Some("Create"),
            (&Method::PUT, Reads::Json) => Some("Update"),
            _ => None,
        };
        if let Some(body) = body {
            let schema = json!({ "$ref": format!("#/components/schemas/{}{body}", kind.noun) });
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
    } else if route.reads == Reads::Json {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } });
    } else if route.reads == Reads::Stream {
        let schema = json!({ "type": "string", "format": "binary" });
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/octet-stream": { "schema": schema } } });
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    let content = |description: &str, schema: Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    let good = match kind {
        Some(kind) if route.method == Method::GET && !is_item => {
            content("Records", json!({ "type": "array", "items": reference(kind.noun) }))
        }
        Some(kind) if route.method != Method::DELETE && !route.template.ends_with("/links") => {
            content("The record", reference(kind.noun))
        }
        _ => json!({ "description": "Done" }),
    };
    operation["responses"] = json!({ "200": good, "default": content("An error", reference("Error")) });
    let methods = paths.entry(path).or_insert_with(|| json!({}));
    methods[route.method.as_str().to_ascii_lowercase()] = operation;
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The module that a path is of; what is of none is of the system.
fn tag_of(path: &str) -> String {
    let module = path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next());
    module.filter(|module| !module.contains('{')).unwrap_or("system").to_owned()
}

/// The parameters of a list of this kind.
fn queries(kind: &Kind) -> Vec<Value> {
    let query = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let text = || json!({ "type": "string" });
    let mut found = vec![
        query("skip", json!({ "type": "integer", "minimum": 0, "default": 0 })),
        query("limit", json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 100 })),
        query("order", json!({ "type": "string", "enum": ["asc", "desc"], "default": "asc" })),
        query("q", text()),
        query("from", text()),
        query("to", text()),
    ];
    found.extend(kind.filters().map(|(field, name)| {
        query(name, if matches!(field.form, Form::Flag) { json!({ "type": "boolean" }) } else { text() })
    }));
    found
}

/// A record as it is answered.
fn shown(kind: &Kind) -> Value {
    let mut properties: Map<String, Value> =
        kind.all_fields().map(|field| (field.name.to_owned(), schema(field))).collect();
    properties.insert("id".to_owned(), json!({ "type": "integer" }));
    properties.insert("module".to_owned(), json!({ "const": kind.module }));
    properties.insert("time".to_owned(), json!({ "type": "string", "format": "date-time" }));
    properties.insert("canon_bundle_id".to_owned(), json!({ "const": CANON }));
    let required: Vec<String> = properties.keys().cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// What is sent of a record.
fn sent(kind: &Kind, new: bool) -> Value {
    let properties: Map<String, Value> =
        kind.all_fields().map(|field| (field.name.to_owned(), schema(field))).collect();
    let required: Vec<&str> = kind.all_fields().filter(|field| new && field.required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn schema(field: &Field) -> Value {
    let of = |form: &str| if field.required { json!(form) } else { json!([form, "null"]) };
    match field.form {
        Form::Text => json!({ "type": of("string") }),
        Form::Address => json!({ "type": of("string"), "format": "uri-reference" }),
        Form::Moment => {
            json!({ "type": of("string"), "description": "A time on the household's wall: 2026-11-21T10:00:00" })
        }
        Form::Flag => json!({ "type": "boolean" }),
        Form::Whole => json!({ "type": of("integer") }),
        Form::Number(least, most) => json!({ "type": of("number"), "minimum": least, "maximum": most }),
        Form::Words => json!({ "type": "array", "items": { "type": "string" } }),
        Form::Texts => json!({ "type": of("array"), "items": { "type": "string" } }),
        Form::Wholes => json!({ "type": of("array"), "items": { "type": "integer" } }),
        Form::Object(_) => json!({ "type": of("object") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::FEATURE;

    #[test]
    fn every_route_and_every_field_is_described() {
        let document = document(FEATURE.routes);
        let paths = document["paths"].as_object().unwrap();
        for route in FEATURE.routes.iter().copied().flatten().filter(|route| !route.is_socket()) {
            let path = route.template.replace("{module}/{collection}", "kazkar/stories").replace("{*", "{");
            let operation = &paths[&path][route.method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["summary"], route.does, "{path}");
        }
        for kind in &KINDS {
            let shown = document["components"]["schemas"][kind.noun]["properties"].as_object().unwrap();
            assert_eq!(shown.len(), kind.all_fields().count() + 4);
            let create = &document["components"]["schemas"][format!("{}Create", kind.noun)];
            assert!(!create["required"].as_array().unwrap().is_empty(), "{}", kind.noun);
        }
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not there");
        }
    }
}
