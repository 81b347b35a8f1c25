//! What programs are told of the API (OpenAPI 3.1): made of the routes that features declare, and of what these say of them besides.

use std::sync::OnceLock;

use http::Method;
use serde_json::{Map, Value, json};

use crate::gate::{Access, Reads, Route};

/// What a feature says of one of its routes beyond what that says itself: the paths that it stands for, each with members of an OpenAPI
/// operation, which go before the usual ones. Nothing is one path, its own, and nothing more to say.
pub type Describe = fn(&Route) -> Vec<(String, Value)>;

/// The routes of a feature and what there is to say of them.
#[derive(Clone, Copy)]
pub struct Api {
    /// The feature, by which its operations are grouped unless it says otherwise.
    pub name: &'static str,
    /// What it serves to clients.
    pub routes: &'static [&'static [Route]],
    /// What it says of them.
    pub describe: Describe,
    /// The schemas that it refers to as `#/components/schemas/NAME`.
    pub schemas: fn() -> Map<String, Value>,
}

/// The error that any operation may answer. Its two halves are those of the contracts.
const ERROR: &str = "Error";

/// The members `paths` and `components` of a document of all that is served.
pub fn document(apis: &[Api], is_served: impl Fn(&Route) -> bool) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for api in apis {
        schemas.extend((api.schemas)());
        let routes = api.routes.iter().copied().flatten().filter(|route| !route.is_socket() && is_served(route));
        for route in routes {
            let mut described = (api.describe)(route);
            if described.is_empty() {
                described.push((path_of(route), json!({})));
            }
            for (path, says) in described {
                let operation = operation(api.name, route, &path, says);
                let methods = paths.entry(path).or_insert_with(|| json!({}));
                methods[method_of(route)] = operation;
            }
        }
    }
    schemas.insert(ERROR.to_owned(), error());
    let security = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "user": {
            "type": "apiKey", "in": "header", "name": "X-User-Id",
            "description": "Where AUTH_TRUST_USER_HEADER is on, as it is while developing",
        },
        "session": { "type": "apiKey", "in": "cookie", "name": "inkring_session" },
    });
    let components = json!({ "schemas": schemas, "securitySchemes": security });
    [("paths".to_owned(), Value::Object(paths)), ("components".to_owned(), components)].into_iter().collect()
}

fn operation(tag: &str, route: &Route, path: &str, says: Value) -> Value {
    let mut operation = json!({ "tags": [tag], "summary": route.does });
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let mut parameters: Vec<Value> = names
        .map(|name| {
            let form = if name == "id" { "integer" } else { "string" };
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": form } })
        })
        .collect();
    if let Some(body) = body(route) {
        operation["requestBody"] = body;
    }
    match route.access {
        Access::User => operation["security"] = json!([{ "bearer": [] }, { "user": [] }]),
        Access::Either => operation["security"] = json!([{}, { "bearer": [] }]),
        Access::Public | Access::Socket => {}
    }
    let good = json!({ "description": "What the summary says", "content": { "*/*": { "schema": {} } } });
    operation["responses"] = json!({ "2XX": good, "default": content("An error", reference(ERROR)) });
    if let Value::Object(says) = says {
        for (member, value) in says {
            match (member.as_str(), value) {
                ("parameters", Value::Array(more)) => parameters.extend(more),
                ("responses", Value::Object(answers)) => {
                    operation["responses"] = json!({ "default": content("An error", reference(ERROR)) });
                    for (status, answer) in answers {
                        operation["responses"][status] = answer;
                    }
                }
                (_, value) => operation[member] = value,
            }
        }
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

fn body(route: &Route) -> Option<Value> {
    let (content_type, schema) = match route.reads {
        Reads::Nothing => return None,
        Reads::Json | Reads::JsonLater => ("application/json", json!({ "type": "object" })),
        Reads::Bytes | Reads::Stream => ("application/octet-stream", json!({ "type": "string", "format": "binary" })),
    };
    let is_needed = *route.method != Method::DELETE;
    Some(json!({ "required": is_needed, "content": { content_type: { "schema": schema } } }))
}

/// An answer of JSON.
#[must_use]
pub fn content(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// The schema of this name.
#[must_use]
pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What a feature says of its routes as data: a text of JSON with the members `paths`, as OpenAPI has them, and `schemas`.
pub struct Sheet {
    text: &'static str,
    read: OnceLock<Value>,
}

impl Sheet {
    /// Of a file that is a part of the program; a test of its feature holds it to [`Sheet::faults`].
    pub const fn new(text: &'static str) -> Self {
        Self { text, read: OnceLock::new() }
    }

    fn read(&self) -> &Value {
        self.read.get_or_init(|| serde_json::from_str(self.text).unwrap_or_default())
    }

    /// What it says of a route.
    pub fn describe(&self, route: &Route) -> Vec<(String, Value)> {
        let path = path_of(route);
        let says = &self.read()["paths"][&path][method_of(route)];
        if says.is_null() { Vec::new() } else { vec![(path, says.clone())] }
    }

    /// Its schemas.
    pub fn schemas(&self) -> Map<String, Value> {
        self.read()["schemas"].as_object().cloned().unwrap_or_default()
    }

    /// What is wrong with it as a description of these routes: it is no JSON, or speaks of what is not there.
    pub fn faults(&self, routes: &[&[Route]]) -> Vec<String> {
        let mut faults: Vec<String> =
            serde_json::from_str::<Value>(self.text).err().iter().map(ToString::to_string).collect();
        for (path, methods) in self.read()["paths"].as_object().into_iter().flatten() {
            for method in methods.as_object().into_iter().flatten().map(|(method, _)| method) {
                let mut routes = routes.iter().copied().flatten();
                if !routes.any(|route| path_of(route) == *path && method_of(route) == *method) {
                    faults.push(format!("{method} {path} is not a route"));
                }
            }
        }
        let schemas = self.schemas();
        let known = |name: &str| name == ERROR || schemas.contains_key(name);
        let references = self.text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        faults.extend(references.filter(|name| !known(name)).map(|name| format!("there is no schema {name}")));
        faults
    }
}

/// The path of a route as OpenAPI writes it.
fn path_of(route: &Route) -> String {
    route.template.replace("{*", "{")
}

fn method_of(route: &Route) -> String {
    route.method.as_str().to_ascii_lowercase()
}

fn error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "detail": { "description": "What was wrong: a sentence, or for 422 a list of problems with their places" },
            "error": {
                "type": "object",
                "required": ["code", "message", "request_id"],
                "properties": {
                    "code": { "type": "string", "description": "A stable name; docs/ERRORS.md lists them" },
                    "message": { "description": "The same for people" },
                    "request_id": { "type": "string", "description": "By which the log knows it" },
                    "hint": { "type": "string", "description": "What to do about it; most errors with status 401 have one" },
                },
            },
        },
    })
}
