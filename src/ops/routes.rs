//! What there is to ask for.

use std::sync::Arc;

use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::page;
use super::wiring::{NoBackup, OpenCopy, Wiring};
use crate::audit::read::Wanted;
use crate::audit::store::newest;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::body::ReadSource;
use crate::net::{Body, Response};
use crate::observe::metrics;
use crate::observe::options::{level, word};

/// A request's body: the longest is one word.
pub(super) const OPS_BODY_MAX_BYTES: usize = 1024;

/// The one path that needs no token.
pub(super) const HEALTHZ: &str = "/healthz";

/// The header by which a backup is asked of one process only, by its number.
pub const PROCESS_HEADER: &str = "x-inkring-process";

/// Rows of the audit log in an answer, unless asked for otherwise.
const AUDIT_DEFAULT_ROWS: u32 = 50;
/// And at most.
const AUDIT_MAX_ROWS: u32 = 200;

/// Adds what the plane itself has to say and to do.
pub(super) fn add(routes: &mut Routes, parts: &ShardParts, wiring: &Arc<Wiring>) {
    let with = |handler: fn(&ShardParts, &Arc<Wiring>, &Call<'_>) -> Result<Outcome, ApiError>| {
        let (parts, wiring) = (parts.clone(), Arc::clone(wiring));
        move |call: &Call<'_>| handler(&parts, &wiring, call)
    };
    let alive = |_: &Call<'_>| Ok(Outcome::Now(Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..])));
    routes.add(Method::GET, Route::public("/", |_| Ok(Outcome::Now(page()))));
    routes.add(Method::GET, Route::public("/audit", with(audit)));
    routes.add(Method::GET, Route::public("/backup", with(stream_backup)).without_head());
    routes.add(Method::POST, Route::public("/backup", with(make_backup)));
    routes.add(Method::GET, Route::public(HEALTHZ, alive));
    routes.add(Method::GET, Route::public("/log-level", with(|_, wiring, _| Ok(Outcome::Now(level_of(wiring))))));
    routes.add(Method::PUT, Route::public("/log-level", with(set_level)).taking(OPS_BODY_MAX_BYTES));
    routes.add(Method::GET, Route::public("/metrics", with(metrics)));
    routes.add(Method::GET, Route::public("/status", with(status)));
}

fn status(parts: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wiring = Arc::clone(wiring);
    parts.block(call, move || Ok((wiring.status)()), |status| Ok(json_answer(&status)))
}

fn metrics(parts: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let wiring = Arc::clone(wiring);
    parts.block(
        call,
        move || Ok((wiring.metrics)()),
        |text| {
            let json = Response::json(StatusCode::OK, text.into_bytes());
            Ok(Response { content_type: metrics::CONTENT_TYPE, ..json })
        },
    )
}

fn audit(parts: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
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
    let [user, subject, action] = &filters;
    let wanted = Wanted { after, user: user.as_deref(), subject: subject.as_deref(), action: action.as_deref() };
    let found = newest(&parts.reader, &wanted, rows)?;
    let mut body = format!("{{\"enabled\":{},\"rows\":[", wiring.audit_enabled);
    for (nth, row) in found.iter().enumerate() {
        if nth > 0 {
            body.push(',');
        }
        row.json(&mut body);
    }
    body.push_str("]}");
    Ok(Outcome::Now(Response::json(StatusCode::OK, body.into_bytes())))
}

fn level_of(wiring: &Wiring) -> Response {
    json_answer(&json!({ "level": word(wiring.log_level.get()) }))
}

fn set_level(_: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    log_request(call, "PUT");
    let given = std::str::from_utf8(call.bytes.trim_ascii()).ok();
    let level = given.and_then(level).ok_or_else(|| {
        let message = "The body must be one word: off, error, warn, info, debug or trace";
        ApiError::new(Code::ValidationError, message).with_status(StatusCode::UNPROCESSABLE_ENTITY)
    })?;
    wiring.log_level.set(level);
    // Logged whatever is logged from now on, as far as anything is.
    log::log!(level.to_level().unwrap_or(log::Level::Error), level = word(level).as_str(); "ops.log_level");
    Ok(Outcome::Now(level_of(wiring)))
}

fn make_backup(parts: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    meant_for_us(call)?;
    log_request(call, "POST");
    let wiring = Arc::clone(wiring);
    parts.block(call, move || Ok(wiring.backups.make()?), |manifest| Ok(json_answer(&manifest)))
}

fn stream_backup(parts: &ShardParts, wiring: &Arc<Wiring>, call: &Call<'_>) -> Result<Outcome, ApiError> {
    meant_for_us(call)?;
    // A backup is the whole database: that it was taken is to be seen.
    log_request(call, "GET");
    let wiring = Arc::clone(wiring);
    parts.block(
        call,
        move || Ok(wiring.backups.open()?),
        |OpenCopy { manifest, bytes, from }| {
            let mut response = Response::empty(StatusCode::OK)
                .with(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"inkring-backup.db\""));
            // JSON that holds anything but ASCII is escaped, so that it can be a header.
            if let Ok(value) = HeaderValue::from_str(&ascii_json(&manifest)) {
                response = response.with(HeaderName::from_static("x-backup-manifest"), value);
            }
            response.content_type = "application/vnd.sqlite3";
            response.body = Body::Source { length: Some(bytes), source: Box::new(ReadSource(from)) };
            Ok(response)
        },
    )
}

fn log_request(call: &Call<'_>, method: &str) {
    log::info!(peer = call.peer.to_string(), method, path = call.path; "ops.request");
}

/// Whoever says which process has the database that they want is not given another one.
fn meant_for_us(call: &Call<'_>) -> Result<(), ApiError> {
    let (us, wanted) = (std::process::id().to_string(), call.headers.get(PROCESS_HEADER));
    if wanted.is_none_or(|wanted| wanted == us.as_bytes()) {
        return Ok(());
    }
    let message = format!("This is process {us}, which has another database than the one asked for");
    Err(ApiError::new(Code::HttpError, message).with_status(StatusCode::PRECONDITION_FAILED))
}

/// The dashboard.
fn page() -> Response {
    let mut response = Response::text(StatusCode::OK, page::HTML);
    response.content_type = "text/html; charset=utf-8";
    response.with(CONTENT_SECURITY_POLICY, page::policy())
}

impl From<NoBackup> for ApiError {
    fn from(none: NoBackup) -> Self {
        match none {
            NoBackup::Busy => Self::new(Code::HttpError, none.to_string()).with_status(StatusCode::CONFLICT),
            NoBackup::Failed(_) => Self::new(Code::StorageUnavailable, none.to_string()),
        }
    }
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
        ApiError::new(Code::ValidationError, message).with_status(StatusCode::UNPROCESSABLE_ENTITY)
    })
}

/// JSON in ASCII: every other character by its number.
fn ascii_json(value: &Value) -> String {
    let mut text = String::new();
    for letter in value.to_string().chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_fits_a_header_and_reads_back() {
        let manifest = json!({ "path": "/srv/Entwürfe/🖋.db", "bytes": 4096 });
        let text = ascii_json(&manifest);
        assert!(HeaderValue::from_str(&text).is_ok() && text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), manifest);
    }
}
