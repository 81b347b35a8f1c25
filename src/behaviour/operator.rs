//! What the operator is served: what visitors do, a look after the files, and that a visitor is erased from them.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::erase::Visitor;
use super::kept_reports::{Asked, PAGE, Reports};
use super::options::{self, Rules};
use super::report::{DAYS_DEFAULT, REPORT_DAYS_MAX, TOP_DEFAULT, TOP_MAX};
use super::upkeep::Upkeep;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Live, Outcome, Route, Routes};
use crate::net::Response;
use crate::plane::{self, OPS_BODY_MAX_BYTES};

/// What is served to the operator.
pub(super) const ROUTES: [Route; 4] = [
    Route::public(&Method::GET, SHOWN).does("Show the page of behaviour metrics"),
    Route::public(&Method::POST, ERASE).taking(OPS_BODY_MAX_BYTES).does(
        "Erase all events of a visitor; the body is `{\"visitor_id\":\"…\"}`; the response has the number of lines \
         and files",
    ),
    Route::public(&Method::GET, "/behaviour/report").does(
        "Report what visitors did, like `inkring metrics report --format json`; query: `days`, `top` and \
         `with_programs`, like its options. One report is made at a time, and cached for five seconds, or ten times \
         as long as it took",
    ),
    Route::public(&Method::POST, ROTATE).does(
        "Rotate, compress and remove event files now; query: `max_bytes`, `gzip_after_days` and `keep_days` override \
         the settings; 0 bytes means at once, 0 days never",
    ),
];

/// Where the page is.
pub(super) const SHOWN: &str = "/behaviour";
/// Where a visitor is erased.
pub(super) const ERASE: &str = "/behaviour/erase";
/// Where files are looked after.
pub(super) const ROTATE: &str = "/behaviour/rotate";

/// What the handlers work with.
#[derive(Clone)]
pub(super) struct Operated {
    pub(super) upkeep: Arc<Upkeep>,
    pub(super) reports: Arc<Reports>,
    pub(super) live: Live<options::Live>,
}

/// Adds them.
pub(super) fn add(routes: &mut Routes, parts: &ShardParts, operated: &Operated) {
    let with = |handler: fn(&ShardParts, &Operated, &Call<'_>) -> Result<Outcome, ApiError>| {
        let (parts, operated) = (parts.clone(), operated.clone());
        move |call: &Call<'_>| handler(&parts, &operated, call)
    };
    let [to_show, to_erase, to_report, to_rotate] = ROUTES;
    routes.add(to_show, |_| Ok(Outcome::Now(PAGE.answer())));
    routes.add(to_erase, with(erase));
    routes.add(to_report, with(report));
    routes.add(to_rotate, with(rotate));
}

fn rotate(parts: &ShardParts, operated: &Operated, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "file of events")?;
    plane::log_request(call, "POST");
    let rules = asked(operated.live.now().rules, call)?;
    let upkeep = Arc::clone(&operated.upkeep);
    parts.block(
        call,
        move || Ok(upkeep.pass(rules, &|| false).to_json()),
        |passed| Ok(Response::json(StatusCode::OK, passed.to_string().into_bytes())),
    )
}

fn erase(parts: &ShardParts, operated: &Operated, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::meant_for_us(call, "file of events")?;
    plane::log_request(call, "POST");
    let visitor = visitor(call)?;
    let upkeep = Arc::clone(&operated.upkeep);
    let erase = move || {
        let erased = upkeep.erase(&visitor);
        // Not who: that would be one more place to erase them from.
        log::info!(lines = erased.lines, files = erased.files; "behaviour.erased");
        Ok(erased.to_json())
    };
    parts.block(call, erase, |erased| Ok(Response::json(StatusCode::OK, erased.to_string().into_bytes())))
}

fn report(parts: &ShardParts, operated: &Operated, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let number = |name: &str, default: u32, most: u32| match call.query_value(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| ApiError::malformed(format!("{name} must be a whole number from 1 to {most}"))),
    };
    let asked = Asked {
        days: number("days", DAYS_DEFAULT, REPORT_DAYS_MAX)?,
        top: number("top", TOP_DEFAULT, TOP_MAX)?,
        with_programs: call.query_value("with_programs").is_some_and(|value| value == "true"),
    };
    let reports = Arc::clone(&operated.reports);
    let make = move || match reports.json(asked) {
        Ok(Some(json)) => Ok(json),
        Ok(None) => Err(ApiError::overloaded("Another report is being made; ask again in a moment")),
        Err(error) => Err(ApiError::internal(format!("the files of events cannot be listed: {error}"))),
    };
    parts.block(call, make, |json| Ok(Response::json(StatusCode::OK, json)))
}

/// Who is to be erased.
fn visitor(call: &Call<'_>) -> Result<Visitor, ApiError> {
    let body: Option<serde_json::Value> = serde_json::from_slice(call.bytes).ok();
    let id = body.as_ref().and_then(|body| body["visitor_id"].as_str()).map(Visitor::new);
    id.filter(|visitor| !visitor.id.is_empty())
        .ok_or_else(|| ApiError::malformed("The body must be an object with a visitor_id"))
}

/// The rules with what the query says in their place.
fn asked(mut rules: Rules, call: &Call<'_>) -> Result<Rules, ApiError> {
    let number = |name: &str| match call.query_value(name) {
        None => Ok(None),
        Some(text) => {
            text.parse::<i64>().map(Some).map_err(|_| ApiError::malformed(format!("{name} must be a whole number")))
        }
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
