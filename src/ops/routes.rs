//! What there is to ask for.

use std::borrow::Cow;

use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::page;
use super::wiring::{NoBackup, OpenCopy, Wiring};
use crate::audit::read::Wanted;
use crate::audit::store::newest;
use crate::gate::{ApiError, Code};
use crate::net::side_door::{Answer, Peer, Stream};
use crate::net::{Body, Request, Response};
use crate::observe::metrics;
use crate::observe::options::{level, word};

/// The one path that needs no token.
pub(super) const HEALTHZ: &str = "/healthz";

/// The header by which a backup is asked of one process only, by its number.
pub const PROCESS_HEADER: &str = "x-inkring-process";

/// Rows of the audit log in an answer, unless asked for otherwise.
const AUDIT_DEFAULT_ROWS: u32 = 50;
/// And at most.
const AUDIT_MAX_ROWS: u32 = 200;

/// Every path, and its methods as `Allow` lists them. `HEAD` goes with `GET`, but not where that does something.
const PATHS: [(&str, &str); 7] = [
    ("/", "GET, HEAD"),
    ("/audit", "GET, HEAD"),
    ("/backup", "GET, POST"),
    (HEALTHZ, "GET, HEAD"),
    ("/log-level", "GET, HEAD, PUT"),
    ("/metrics", "GET, HEAD"),
    ("/status", "GET, HEAD"),
];

pub(super) struct Routes {
    wiring: Wiring,
}

impl Routes {
    pub(super) fn new(wiring: Wiring) -> Self {
        Self { wiring }
    }

    pub(super) fn answer(&self, request: &Request<'_>, peer: Peer) -> Result<Answer, ApiError> {
        let path = request.path();
        let (_, allow) = PATHS.into_iter().find(|(known, _)| *known == path).ok_or_else(ApiError::no_route)?;
        let method = request.method.as_str();
        if !allow.split(", ").any(|allowed| allowed == method) {
            return Err(ApiError::method_not_allowed(allow));
        }
        if path == "/backup" {
            meant_for_us(request)?;
        }
        // A backup is the whole database: that it was taken is to be seen as well.
        if ["PUT", "POST"].contains(&method) || path == "/backup" {
            log::info!(peer = peer.to_string(), method, path; "ops.request");
        }
        match (&request.method, path) {
            (_, HEALTHZ) => Ok(Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..]).into()),
            (_, "/metrics") => Ok(self.metrics()),
            (_, "/status") => Ok(self.status()),
            (_, "/audit") => self.audit(request.query()),
            (&Method::PUT, "/log-level") => self.set_level(request.body),
            (_, "/log-level") => Ok(self.level()),
            (&Method::POST, "/backup") => self.make_backup(),
            (_, "/backup") => self.stream_backup(),
            _ => Ok(page()),
        }
    }

    fn status(&self) -> Answer {
        json_answer(&(self.wiring.status)())
    }

    fn metrics(&self) -> Answer {
        let mut response = Response::text(StatusCode::OK, "");
        response.content_type = metrics::CONTENT_TYPE;
        response.body = Body::Bytes(Cow::Owned((self.wiring.metrics)().into_bytes()));
        response.into()
    }

    fn audit(&self, query: &str) -> Result<Answer, ApiError> {
        let (mut after, mut rows, mut filters) = (0, AUDIT_DEFAULT_ROWS, [None, None, None]);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
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
        let [user, draft, action] = &filters;
        let wanted = Wanted { after, user: user.as_deref(), draft: draft.as_deref(), action: action.as_deref() };
        let found = newest(&self.wiring.reader.lock(), &wanted, rows)?;
        let mut body = format!("{{\"enabled\":{},\"rows\":[", self.wiring.audit_enabled);
        for (nth, row) in found.iter().enumerate() {
            if nth > 0 {
                body.push(',');
            }
            row.json(&mut body);
        }
        body.push_str("]}");
        Ok(Response::json(StatusCode::OK, body.into_bytes()).into())
    }

    fn level(&self) -> Answer {
        json_answer(&json!({ "level": word(self.wiring.log_level.get()) }))
    }

    fn set_level(&self, body: &[u8]) -> Result<Answer, ApiError> {
        let given = std::str::from_utf8(body.trim_ascii()).ok();
        let level = given.and_then(level).ok_or_else(|| {
            let message = "The body must be one word: off, error, warn, info, debug or trace";
            ApiError::new(Code::ValidationError, message).with_status(StatusCode::UNPROCESSABLE_ENTITY)
        })?;
        self.wiring.log_level.set(level);
        // Logged whatever is logged from now on, as far as anything is.
        log::log!(level.to_level().unwrap_or(log::Level::Error), level = word(level).as_str(); "ops.log_level");
        Ok(self.level())
    }

    fn make_backup(&self) -> Result<Answer, ApiError> {
        Ok(json_answer(&self.wiring.backups.make()?))
    }

    fn stream_backup(&self) -> Result<Answer, ApiError> {
        let OpenCopy { manifest, bytes, from } = self.wiring.backups.open()?;
        let mut response = Response::empty(StatusCode::OK)
            .with(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"inkring-backup.db\""));
        // JSON that holds anything but ASCII is escaped, so that it can be a header.
        if let Ok(value) = HeaderValue::from_str(&ascii_json(&manifest)) {
            response = response.with(HeaderName::from_static("x-backup-manifest"), value);
        }
        response.content_type = "application/vnd.sqlite3";
        Ok(Answer { response, stream: Some(Stream { bytes, from }) })
    }
}

/// Whoever says which process has the database that they want is not given another one.
fn meant_for_us(request: &Request<'_>) -> Result<(), ApiError> {
    let (us, wanted) = (std::process::id().to_string(), request.headers.get(PROCESS_HEADER));
    if wanted.is_none_or(|wanted| wanted == us.as_bytes()) {
        return Ok(());
    }
    let message = format!("This is process {us}, which has another database than the one asked for");
    Err(ApiError::new(Code::HttpError, message).with_status(StatusCode::PRECONDITION_FAILED))
}

/// The dashboard.
fn page() -> Answer {
    let mut response = Response::text(StatusCode::OK, page::HTML);
    response.content_type = "text/html; charset=utf-8";
    response.with(CONTENT_SECURITY_POLICY, page::policy()).into()
}

impl From<NoBackup> for ApiError {
    fn from(none: NoBackup) -> Self {
        match none {
            NoBackup::Busy => Self::new(Code::HttpError, none.to_string()).with_status(StatusCode::CONFLICT),
            NoBackup::Failed(_) => Self::new(Code::StorageUnavailable, none.to_string()),
        }
    }
}

fn json_answer(value: &impl serde::Serialize) -> Answer {
    // Texts and numbers always serialise.
    Response::json(StatusCode::OK, serde_json::to_vec(value).unwrap_or_default()).into()
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
