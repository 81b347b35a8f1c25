//! The routes of the operator.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::page::DASHBOARD;
use super::sampler::{Kept, Sights};
use super::status::{Shown, ready};
use crate::audit::read::Wanted;
use crate::audit::store::newest;
use crate::feature::{Serving, ShardParts};
use crate::gate::{ApiError, Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::observe::metrics;
use crate::observe::options::{level, word};
use crate::plane::{self, OPS_BODY_MAX_BYTES};
use crate::store::Reader;

/// Rows of the audit log in an answer, unless asked for otherwise.
const AUDIT_DEFAULT_ROWS: u32 = 50;
/// And at most.
pub(super) const AUDIT_MAX_ROWS: u32 = 200;

/// What the handlers work with.
pub(super) struct Operator {
    pub(super) parts: ShardParts,
    pub(super) shown: Arc<Shown>,
    pub(super) sights: Arc<Sights>,
    pub(super) kept: Arc<Kept>,
    pub(super) serving: Arc<Serving>,
}

/// What is served to the operator.
pub(super) const ROUTES: [Route; 8] = [
    Route::public(&Method::GET, "/").does("Show the dashboard"),
    Route::public(&Method::GET, "/audit").does("List the newest rows of the audit log, newest first"),
    Route::public(&Method::GET, "/log-level").does("Show the log level"),
    Route::public(&Method::PUT, "/log-level").taking(OPS_BODY_MAX_BYTES).does(
        "Change the log level until the next start or reload; the body is one word: `off`, `error`, `warn`, `info`, `debug` \
         or `trace`",
    ),
    Route::public(&Method::GET, "/metrics").does("Show the metrics, in the text format 0.0.4 of Prometheus"),
    Route::public(&Method::GET, "/paths").does("List the busiest paths of the last hour, busiest first"),
    Route::public(&Method::GET, "/recent")
        .does(
            "Read the samples of the last five minutes, for the dashboard's charts; query: `after`, the last sample \
             known",
        ),
    Route::public(&Method::GET, "/status").does(
        "Read the status: version, uptime, readiness with reasons, writer, database, disk, backups, configuration \
         without secrets",
    ),
];

/// Adds them all.
pub(super) fn add(routes: &mut Routes, operator: Operator) {
    let operator = Rc::new(operator);
    let with = |handler: fn(&Operator, &Call<'_>) -> Result<Outcome, ApiError>| {
        let operator = Rc::clone(&operator);
        move |call: &Call<'_>| handler(&operator, call)
    };
    let [to_page, to_audit, to_level, to_set_level, to_metrics, to_paths, to_recent, to_status] = ROUTES;
    routes.add(to_page, |_| Ok(Outcome::Now(DASHBOARD.answer())));
    routes.add(to_audit, with(audit));
    routes.add(to_level, with(|operator, _| Ok(operator.level())));
    routes.add(to_set_level, with(set_level));
    routes.add(to_metrics, with(metrics));
    routes.add(to_paths, with(|operator, call| Ok(operator.paths(call))));
    routes.add(to_recent, with(recent));
    routes.add(to_status, with(status));
}

impl Operator {
    fn level(&self) -> Outcome {
        Outcome::Now(json_answer(&json!({ "level": word(self.shown.logs.level()) })))
    }

    fn paths(&self, call: &Call<'_>) -> Outcome {
        let told = self.kept.paths.lock().told(call.clock.instant(), &self.sights.by_path());
        Outcome::Now(Response::json(StatusCode::OK, told))
    }
}

fn status(operator: &Operator, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (shown, serving) = (Arc::clone(&operator.shown), Arc::clone(&operator.serving));
    operator.parts.block(call, move || Ok(shown.status(&serving)), |status| Ok(json_answer(&status)))
}

fn metrics(operator: &Operator, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (metrics, serving) = (operator.shown.metrics.clone(), Arc::clone(&operator.serving));
    let encode = move || {
        // Nobody else may ask whether it is ready, and what is scraped shall be so now.
        ready(&serving);
        Ok(metrics.encode())
    };
    operator.parts.block(call, encode, |text| Ok(metrics_page(text)))
}

fn recent(operator: &Operator, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let after = call.query_value("after").map_or(Ok(0), |value| number("after", &value, 0, i64::MAX))?;
    let told = operator.kept.recent.lock().told(call.clock.instant(), after.unsigned_abs());
    Ok(Outcome::Now(Response::json(StatusCode::OK, told)))
}

/// The metrics, in the text format 0.0.4 of Prometheus.
pub(super) fn metrics_page(text: String) -> Response {
    Response { content_type: metrics::CONTENT_TYPE, ..Response::json(StatusCode::OK, text.into_bytes()) }
}

fn audit(operator: &Operator, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (mut after, mut rows, mut filters) = (0, AUDIT_DEFAULT_ROWS, [None, None, None]);
    for (name, value) in form_urlencoded::parse(call.query.as_bytes()) {
        let given = Some(value).filter(|value| !value.is_empty());
        match (&*name, given) {
            ("limit", Some(value)) => rows = number(&name, &value, 1, i64::from(AUDIT_MAX_ROWS))? as u32,
            ("after", Some(value)) => after = number(&name, &value, 0, i64::MAX)?,
            ("user", given) => filters[0] = given,
            ("draft", given) => filters[1] = given,
            ("action", given) => filters[2] = given,
            _ => {}
        }
    }
    let [user, subject, action] = filters.map(|filter| filter.map(Cow::into_owned));
    let fetch = move |reader: &Reader| {
        let wanted = Wanted { after, user: user.as_deref(), subject: subject.as_deref(), action: action.as_deref() };
        Ok(newest(reader, &wanted, rows)?)
    };
    let enabled = operator.shown.audits();
    operator.parts.read(call, fetch, move |found| {
        let mut body = format!("{{\"enabled\":{enabled},\"rows\":[");
        for (nth, row) in found.iter().enumerate() {
            if nth > 0 {
                body.push(',');
            }
            row.json(&mut body);
        }
        body.push_str("]}");
        Ok(Response::json(StatusCode::OK, body.into_bytes()))
    })
}

fn set_level(operator: &Operator, call: &Call<'_>) -> Result<Outcome, ApiError> {
    plane::log_request(call, "PUT");
    let given = std::str::from_utf8(call.bytes.trim_ascii()).ok();
    let level = given.and_then(level).ok_or_else(|| {
        let message = "The body must be one word: off, error, warn, info, debug or trace";
        ApiError::malformed(message)
    })?;
    operator.shown.logs.set_level(level);
    // Logged whatever is logged from now on, as far as anything is.
    log::log!(level.to_level().unwrap_or(log::Level::Error), level = word(level).as_str(); "ops.log_level");
    Ok(operator.level())
}

fn json_answer(value: &impl serde::Serialize) -> Response {
    // Texts and numbers always serialise.
    Response::json(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default())
}

fn number(name: &str, text: &str, min: i64, max: i64) -> Result<i64, ApiError> {
    text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        let message = if max == i64::MAX {
            format!("{name} must be a whole number from {min} on")
        } else {
            format!("{name} must be a whole number from {min} to {max}")
        };
        ApiError::malformed(message)
    })
}
