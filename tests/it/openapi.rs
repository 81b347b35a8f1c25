//! The description of the API (contract 04 §1.4): it has all that is served and nothing else, and what it says can be relied on.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use http::Method;
use inkring::features;
use inkring::gate::Route;
use serde_json::{Value, json};

use crate::repository::root;
use crate::support::needs::skip;
use crate::support::{Server, household};

const DOCUMENT: &str = "/api/openapi.json";
/// What schemathesis looks at in each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Method and path of each operation.
fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

/// The operations that a route stands for.
fn expected(route: &Route) -> Vec<(String, String)> {
    let kinds =
        ["kazkar/stories", "podija/events", "nastrij/emotions", "malya/ideas", "gallery/items", "calendar/entries"];
    let path = route.template.replace("{*", "{");
    let paths = match path.contains("{module}/{collection}") {
        true => kinds.iter().map(|kind| path.replace("{module}/{collection}", kind)).collect(),
        false => vec![path],
    };
    paths.into_iter().map(|path| (route.method.to_string(), path)).collect()
}

#[test]
fn everything_that_is_served_is_described_and_nothing_else() {
    let server = Server::with(&[("METRICS_PUBLIC", "true")]);
    let mut client = server.connect();
    let document = client.get(DOCUMENT, None).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!((&document["info"]["title"], &document["info"]["version"]), (&json!("CIMEIKA API"), &json!("2.2.1")));
    let described = operations(&document);
    let routes = features::routes();
    let served: BTreeSet<_> = routes.iter().filter(|route| !route.is_socket()).flat_map(expected).collect();
    assert_eq!(described, served);
    for (method, path) in &described {
        let operation = &document["paths"][path][method.to_lowercase()];
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
        assert!(operation["responses"].as_object().is_some_and(|answers| answers.contains_key("default")));
        let named: BTreeSet<&str> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let given = parameters.filter(|one| one["in"] == "path").filter_map(|one| one["name"].as_str());
        assert_eq!(given.collect::<BTreeSet<_>>(), named, "{method} {path}");
    }
    for reference in document.to_string().split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "there is no schema {name}");
    }
}

#[test]
fn what_is_switched_off_is_not_described() {
    let server = Server::with(&[("MODULES_ENABLED", "false"), ("ROOMS_ENABLED", "false")]);
    let mut client = server.connect();
    let document = client.get(DOCUMENT, None).json();
    let described = operations(&document);
    assert!(described.contains(&("POST".to_owned(), "/v1/collab/drafts".to_owned())));
    assert!(
        described.iter().all(|(_, path)| !path.starts_with("/api/v1") && !path.starts_with("/rooms")),
        "{described:?}"
    );
}

/// A program that knows nothing but the description asks for everything in it, with good and with bad values: nothing fails in the
/// server, and every answer has the status, the type and the shape that the description says.
#[test]
fn a_program_that_believes_the_description_is_not_deceived() {
    let schemathesis = root().join("target/clients/python/bin/schemathesis");
    if !schemathesis.is_file() {
        return skip("schemathesis, as .ci/run installs it");
    }
    let unlimited = [("MODULES_LIMIT_PER_MINUTE", "10000"), ("MODULES_LIMIT_PER_HOUR", "10000")];
    let server = Server::with(&unlimited);
    // It keeps notes where it runs.
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(schemathesis)
        .current_dir(directory.path())
        .args(["run", &format!("http://{}{DOCUMENT}", server.address), "--header", "X-User-Id: alice"])
        // Bounded, and the same in every run.
        .args(["--phases", "fuzzing", "--max-examples", "1", "--seed", "1", "--workers", "2"])
        .args(["--checks", CHECKS, "--suppress-health-check", "all", "--request-timeout", "30", "--no-color"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether a value is what a schema says, as far as our schemas say anything: types, required members, items, references.
fn check(value: &Value, schema: &Value, document: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return check(value, &document["components"]["schemas"][name], document, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let schema = any.iter().find(|one| (one["type"] == "null") == value.is_null());
        return check(value, schema.unwrap_or(&any[0]), document, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = |one: &&str| match *one {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    };
    assert!(types.iter().any(is), "{at} is {value} instead of {types:?}");
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.is_null() || value.get(name).is_some(), "{at} has no {name}: {value}");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        check(member, &schema["properties"][name], document, &format!("{at}.{name}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], document, &format!("{at}[{index}]"));
    }
}

#[test]
fn answers_are_what_the_description_says() {
    let server = household();
    let mut client = server.connect();
    let document = client.get(DOCUMENT, None).json();
    let answer = |method: &Method, path: &str| {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        let mut answers = operation["responses"].as_object().unwrap().iter();
        let good = answers.find_map(|(status, answer)| Some((status.parse::<u16>().ok()?, answer)));
        let (status, answer) = good.unwrap_or_else(|| panic!("nothing is said of what {method} {path} answers"));
        (status, answer["content"]["application/json"]["schema"].clone())
    };
    let steps = [
        ("POST", "/v1/collab/drafts", json!({ "title": "T", "platform": "x", "initial_segment": "Once" })),
        ("GET", "/v1/collab/drafts", Value::Null),
        ("GET", "/v1/collab/drafts/{draft_id}", Value::Null),
        ("POST", "/v1/collab/drafts/{draft_id}/segments", json!({ "content": "upon", "idempotency_key": "1" })),
        ("GET", "/v1/collab/drafts/{draft_id}/events", Value::Null),
        ("POST", "/v1/collab/drafts/{draft_id}/pass-ring", json!({ "to_user_id": "alice", "idempotency_key": "1" })),
        ("POST", "/api/metrics/event", json!({ "visitor_id": "somebody", "event": "page_view" })),
        ("GET", "/api/metrics/behavior", Value::Null),
        ("POST", "/api/v1/kazkar/stories", json!({ "title": "T", "content": "C" })),
        ("GET", "/api/v1/kazkar/stories", Value::Null),
        ("GET", "/api/v1/kazkar/stories/{id}", Value::Null),
        ("PUT", "/api/v1/kazkar/stories/{id}", json!({ "location": "Kaniv" })),
    ];
    let mut draft = String::new();
    for (method, path, body) in steps {
        let method: Method = method.parse().unwrap();
        let (status, schema) = answer(&method, path);
        let target = path.replace("{draft_id}", &draft).replace("{id}", "1");
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("X-User-Id", "alice"), ("Content-Type", "application/json")];
        let got = client.request(method.as_str(), &target, &headers, &body);
        assert_eq!(got.status, status, "{method} {path}: {got:?}");
        let got = got.json();
        check(&got, &schema, &document, &format!("{method} {path}"));
        if let Some(id) = got["data"]["draft_id"].as_str() {
            draft = id.to_owned();
        }
    }
}
