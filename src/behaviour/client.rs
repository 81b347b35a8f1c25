//! What the script in pages goes by: how much it sends, whom it counts, and for how long that is kept.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::options;
use super::pages::SCRIPT;
use crate::gate::{Call, Live, Outcome, Route, Routes};
use crate::net::Response;

/// It is cached, but so shortly that a reload of the settings is soon everywhere.
pub(super) const CONFIG: Route = Route::public(&Method::GET, "/api/metrics/config").carrying(&SCRIPT).does(
    "Read the settings of the script in pages: the fraction of events to send, from whom, and how long they are \
         kept",
);

const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Adds it for one shard.
pub(super) fn add(routes: &mut Routes, live: &Live<options::Live>) {
    let live = live.clone();
    routes.add(CONFIG, move |_: &Call<'_>| {
        let body = config(&live.now()).to_string().into_bytes();
        Ok(Outcome::Now(Response::json(StatusCode::OK, body).with(CACHE_CONTROL, CACHED)))
    });
}

/// Days are null for what is never done.
fn config(live: &options::Live) -> Value {
    json!({
        "sample_rate": live.client.sample_rate,
        "consent": live.client.consent,
        "dev_gate": live.client.dev_gate,
        "server_sample_rate": live.sample_rate,
        "gzip_after_days": live.rules.gzip_after_days,
        "retention_days": live.rules.keep_days,
    })
}
