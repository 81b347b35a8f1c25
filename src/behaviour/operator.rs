//! What the operator is served: a look after the files, when asked for.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::options::{self, Rules};
use super::upkeep::Upkeep;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Live, Route, Routes};
use crate::net::Response;
use crate::plane;

/// What is served to the operator.
pub(super) const ROUTES: [Route; 1] = [Route::public(&Method::POST, ROTATE).does(
    "Rotate, compress and remove files of events now. In the query `max_bytes`, `gzip_after_days` and `keep_days` stand for the \
     settings: 0 bytes for at once, 0 days for never",
)];

/// Where that is.
pub(super) const ROTATE: &str = "/behaviour/rotate";

/// Adds them.
pub(super) fn add(routes: &mut Routes, parts: &ShardParts, upkeep: &Arc<Upkeep>, live: &Live<options::Live>) {
    let (parts, upkeep, live) = (parts.clone(), Arc::clone(upkeep), live.clone());
    let [to_rotate] = ROUTES;
    routes.add(to_rotate, move |call| {
        plane::meant_for_us(call, "file of events")?;
        plane::log_request(call, "POST");
        let rules = asked(live.now().rules, call)?;
        let upkeep = Arc::clone(&upkeep);
        parts.block(
            call,
            move || Ok(upkeep.pass(rules, &|| false).to_json()),
            |passed| Ok(Response::json(StatusCode::OK, passed.to_string().into_bytes())),
        )
    });
}

/// The rules with what the query says in their place.
fn asked(mut rules: Rules, call: &Call<'_>) -> Result<Rules, ApiError> {
    let number = |name: &str| match call.query_value(name) {
        None => Ok(None),
        Some(text) => text.parse::<i64>().map(Some).map_err(|_| {
            let error = ApiError::new(Code::ValidationError, format!("{name} must be a whole number"));
            error.with_status(StatusCode::UNPROCESSABLE_ENTITY)
        }),
    };
    if let Some(bytes) = number("max_bytes")? {
        rules.max_bytes = u64::try_from(bytes).ok();
    }
    let days = |days: i64| Some(u32::try_from(days.min(i64::from(u32::MAX))).unwrap_or(0)).filter(|days| *days > 0);
    if let Some(asked) = number("gzip_after_days")? {
        rules.gzip_after_days = days(asked);
    }
    if let Some(asked) = number("keep_days")? {
        rules.keep_days = days(asked);
    }
    Ok(rules)
}
