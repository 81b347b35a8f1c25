//! What programs are told of the modules' API beyond its routes: made of the kinds of record, so that it cannot say anything else than
//! what is served.

use http::Method;
use serde_json::{Map, Value, json};

use super::records::field::{Field, Form};
use super::records::kinds::{KINDS, Kind};
use super::records::record::CANON;
use crate::feature::description::{content, reference};
use crate::gate::{Reads, Route};

/// What of a path stands for one kind or another.
const COLLECTION: &str = "{module}/{collection}";

/// What there is to say of a route: those of records are one for each kind; of all others, their module.
pub(super) fn describe(route: &Route) -> Vec<(String, Value)> {
    if !route.template.contains(COLLECTION) {
        let path = route.template.replace("{*", "{");
        let says = json!({ "tags": [tag_of(&path)] });
        return vec![(path, says)];
    }
    let of = |kind: &'static Kind| {
        let path = route.template.replace(COLLECTION, &format!("{}/{}", kind.module, kind.collection));
        (path, of_kind(route, kind))
    };
    KINDS.iter().map(of).collect()
}

/// The module that a path is of; what is of none is of the system.
fn tag_of(path: &str) -> String {
    let module = path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next());
    module.filter(|module| !module.contains('{')).unwrap_or("system").to_owned()
}

fn of_kind(route: &Route, kind: &Kind) -> Value {
    let mut says = json!({ "tags": [kind.module] });
    let is_list = *route.method == Method::GET && !route.template.contains("{id}");
    if is_list {
        says["parameters"] = queries(kind).into();
    }
    let body = match (route.method, route.reads) {
        (&Method::POST, Reads::Json | Reads::JsonLater) => Some("Create"),
        (&Method::PUT, Reads::Json | Reads::JsonLater) => Some("Update"),
        _ => None,
    };
    if let Some(body) = body {
        let schema = reference(&format!("{}{body}", kind.noun));
        says["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    let good = if is_list {
        content("Records", json!({ "type": "array", "items": reference(kind.noun) }))
    } else if *route.method != Method::DELETE && !route.template.ends_with("/links") {
        content("The record", reference(kind.noun))
    } else {
        json!({ "description": "Done" })
    };
    says["responses"] = json!({ "200": good });
    says
}

/// The schemas of all kinds: as they are answered, made and changed.
pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for kind in &KINDS {
        schemas.insert(kind.noun.to_owned(), shown(kind));
        schemas.insert(format!("{}Create", kind.noun), sent(kind, true));
        schemas.insert(format!("{}Update", kind.noun), sent(kind, false));
    }
    schemas
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
    fn every_field_is_described_and_every_schema_is_there() {
        let schemas = schemas();
        for kind in &KINDS {
            let shown = schemas[kind.noun]["properties"].as_object().unwrap();
            assert_eq!(shown.len(), kind.all_fields().count() + 4);
            let create = &schemas[&format!("{}Create", kind.noun)];
            assert!(!create["required"].as_array().unwrap().is_empty(), "{}", kind.noun);
        }
        for route in FEATURE.routes.iter().copied().flatten() {
            for (path, says) in describe(route) {
                assert!(!path.contains("{module}/{collection}"), "{path}");
                for reference in says.to_string().split("#/components/schemas/").skip(1) {
                    let name = reference.split('"').next().unwrap();
                    assert!(schemas.contains_key(name), "{name} is not there");
                }
            }
        }
    }
}
