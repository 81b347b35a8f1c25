//! The description of the whole API for programs, `/api/openapi.json` (contract 04 §1.4): made of the routes that are served. The
//! page that shows it is `app/docs.js`.

use std::cell::OnceCell;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::feature::description::{Api, document};
use crate::gate::{Call, Outcome, Route, Routes};
use crate::net::Response;

/// Where it is.
pub(super) const ROUTE: Route =
    Route::public(&Method::GET, "/api/openapi.json").does("Serve the API description (OpenAPI 3.1)");

/// What the API of the original is called, and the version that its clients know (contract 04 §0.1, C3).
const TITLE: &str = "CIMEIKA API";
const VERSION: &str = "2.2.1";

/// Adds it for one shard, of all that was added before and of itself.
pub(super) fn add(to: &mut Routes, apis: &Arc<[Api]>) {
    let served: Vec<(&Method, &str)> = apis
        .iter()
        .flat_map(|api| api.routes.iter().copied().flatten())
        .filter(|route| to.serves(route.method, route.template) || route.template == ROUTE.template)
        .map(|route| (route.method, route.template))
        .collect();
    let (apis, text) = (Arc::clone(apis), OnceCell::new());
    to.add(ROUTE, move |_: &Call<'_>| {
        let is_served = |route: &Route| served.contains(&(route.method, route.template));
        let text: &Vec<u8> = text.get_or_init(|| described(&apis, is_served).to_string().into_bytes());
        Ok(Outcome::Now(Response::json(StatusCode::OK, text.clone())))
    });
}

fn described(apis: &[Api], is_served: impl Fn(&Route) -> bool) -> Value {
    let mut described = json!({
        "openapi": "3.1.0",
        "info": {
            "title": TITLE, "version": VERSION,
            "description": "Drafts written in turn, live rooms, behaviour metrics and a household's modules, by one server",
        },
    });
    for (member, value) in document(apis, is_served) {
        described[member] = value;
    }
    described
}
