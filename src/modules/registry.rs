//! The registry of modules and their roots (contract 04 §1.4 to §1.6).

use std::rc::Rc;

use http::header::{LOCATION, VARY};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::module::{MODULES, Module};
use super::records::answer;
use super::records::kinds::{KINDS, Kind};
use super::records::record::CANON;
use super::records::store::{self, Counts};
use super::zone::utc_text;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::Reader;

/// What is served.
pub(super) const ROUTES: [Route; 8] = [
    Route::public(&Method::GET, "/").does("Read the names of the modules"),
    Route::public(&Method::GET, "/api/v1/modules").does("List the modules"),
    Route::public(&Method::GET, "/api/v1/modules/status").does("Read the status of all modules"),
    Route::public(&Method::GET, "/api/v1/modules/{id}/status").does("Read the status of a module"),
    Route::public(&Method::GET, "/api/v1/modules/{id}/metadata").does("Describe a module"),
    Route::public(&Method::POST, "/api/v1/modules/{id}/initialize").does("Activate a module"),
    Route::public(&Method::POST, "/api/v1/modules/{id}/shutdown")
        .does("Deactivate a module: it returns 503 until it is initialized again or the server restarts"),
    Route::public(&Method::GET, "/api/v1/{module}").does("Describe a module, and whether it is active"),
];

/// The version of the API, as the original's clients know it (C3).
pub(super) const API_VERSION: &str = "2.2.1";
/// The version of every module.
const MODULE_VERSION: &str = "0.1.0";

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [root, list, all, status, metadata, initialize, shutdown, module] = ROUTES;
    // Whoever looks what this is uses up nothing (contract 04 §1.3). People are shown the pages, programs told the modules (§8).
    to.add(root, |call: &Call<'_>| {
        if call.headers.items("accept").any(|accepted| accepted.starts_with(b"text/html")) {
            let found = Response::empty(StatusCode::FOUND).with(LOCATION, HeaderValue::from_static("/ci"));
            return Ok(Outcome::Now(found.with(VARY, HeaderValue::from_static("Accept"))));
        }
        let modules: Vec<&str> = MODULES.iter().map(|module| module.listed).collect();
        now(&json!({
            "status": "success", "message": "CIMEIKA FastAPI Backend", "version": API_VERSION, "canon_bundle_id": CANON,
            "docs": "/api/docs", "modules": modules,
        }))
        .map(|answer| answer.carrying([(VARY, HeaderValue::from_static("Accept"))]))
    });
    desk.add_open(to, list, |_, _| {
        let modules: Vec<&str> = MODULES.iter().map(|module| module.id).collect();
        now(&json!({ "status": "success", "modules": modules }))
    });
    desk.add_open(to, all, |desk, call| {
        let asking = Rc::clone(desk);
        desk.parts.read(call, counts, move |counts| {
            let modules: Map<String, Value> =
                MODULES.iter().map(|module| (module.id.to_owned(), state(&asking, module, &counts))).collect();
            Ok(answer(&json!({ "status": "success", "modules": modules })))
        })
    });
    desk.add_open(to, status, |desk, call| {
        let (module, asking) = (named(call)?, Rc::clone(desk));
        desk.parts.read(call, counts, move |counts| {
            let data = state(&asking, module, &counts);
            Ok(answer(&json!({ "status": "success", "module": module.id, "data": data })))
        })
    });
    desk.add_open(to, metadata, |_, call| {
        let Module { id, .. } = named(call)?;
        let data = json!({ "name": id, "version": MODULE_VERSION, "description": format!("{id} module") });
        now(&json!({ "status": "success", "module": id, "data": data }))
    });
    desk.add(to, initialize, |desk, call| {
        let Module { id, .. } = named(call)?;
        desk.shared.states.set(id, true);
        log::info!(module = *id; "module.initialized");
        now(&json!({ "status": "success", "module": id, "initialized": true }))
    });
    desk.add(to, shutdown, |desk, call| {
        let Module { id, .. } = named(call)?;
        desk.shared.states.set(id, false);
        log::info!(module = *id; "module.shut_down");
        now(&json!({ "status": "success", "module": id, "shutdown": true }))
    });
    desk.add_open(to, module, |desk, call| {
        let Module { id, name, description, .. } = Module::of(call.param("module")).ok_or_else(ApiError::no_route)?;
        let status = status_word(desk.shared.states.is_active(id));
        now(&json!({ "module": id, "name": name, "description": description, "status": status }))
    });
}

fn now(value: &Value) -> Result<Outcome, ApiError> {
    Ok(Outcome::Now(answer(value)))
}

fn status_word(active: bool) -> &'static str {
    if active { "active" } else { "inactive" }
}

/// The module that a path of the registry names.
fn named(call: &Call<'_>) -> Result<&'static Module, ApiError> {
    let id = call.param("id");
    Module::of(id)
        .ok_or_else(|| ApiError::new(Code::NotFound, format!("Module '{}' not found", crate::text::cut(id, 64))))
}

/// What each kind counts.
fn counts(reader: &Reader) -> Result<Vec<(&'static Kind, Counts)>, ApiError> {
    KINDS.iter().map(|kind| Ok((kind, store::counts(reader, kind)?))).collect()
}

/// How a module is, with what it has.
fn state(desk: &Desk, module: &Module, counts: &[(&'static Kind, Counts)]) -> Value {
    let active = desk.shared.states.is_active(module.id);
    let mut state = json!({ "status": status_word(active), "name": module.id, "initialized": active });
    if module.id == "ci" {
        state["seo_enabled"] = true.into();
    }
    if let Some((_, Counts { records, changed_at, revision })) =
        counts.iter().find(|(kind, _)| kind.module == module.id)
    {
        state["records"] = (*records).into();
        state["last_write"] = if *revision == 0 { Value::Null } else { utc_text(*changed_at).into() };
    }
    state
}
