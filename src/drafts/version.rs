//! A draft's version on the wire: `ETag`, and the conditions that go by it (RFC 9110 §13).
//!
//! The version is the number of the draft's newest event, so every change gives it another one. It is one of the draft and not of
//! an answer's bytes: `metrics` are of the moment in which they are asked for, and whoever has the draft of a version can do
//! without newer ones.

use http::header::ETAG;
use http::{HeaderValue, StatusCode};

use super::error::STALE_VERSION;
use crate::gate::{ApiError, Call, Code, Conditions};
use crate::net::Response;

/// The answer with the version of the draft that it shows.
pub(super) fn tagged(response: Response, version: i64) -> Response {
    response.with(ETAG, tag(version))
}

/// 304: the client has this version.
pub(super) fn not_modified(version: i64) -> Response {
    tagged(Response::empty(StatusCode::NOT_MODIFIED), version)
}

fn tag(version: i64) -> HeaderValue {
    // Digits and quotation marks are a header value, always.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the sender of this request has this version already (`If-None-Match`).
#[derive(Debug)]
pub(super) struct Known(Option<Conditions>);

impl Known {
    /// As this request says.
    pub(super) fn of(call: &Call<'_>) -> Self {
        let is_said = call.headers.get("if-none-match").is_some();
        Self(is_said.then(|| Conditions::of(call)))
    }

    /// Whether it is this one.
    pub(super) fn is(&self, version: i64) -> bool {
        self.0.as_ref().is_some_and(|conditions| conditions.have(&version.to_string()))
    }
}

/// What the sender of a change takes the draft for (`If-Match`).
#[derive(Debug)]
pub(super) struct Expected(Option<Conditions>);

impl Expected {
    /// Whatever it is.
    pub(super) fn anything() -> Self {
        Self(None)
    }

    /// As this request says.
    pub(super) fn of(call: &Call<'_>) -> Self {
        let is_said = call.headers.get("if-match").is_some();
        Self(is_said.then(|| Conditions::of(call)))
    }

    /// Whether it is what the draft is, where the sender says anything of it.
    ///
    /// # Errors
    /// 412 with the version that the draft has.
    pub(super) fn check(&self, version: i64) -> Result<(), ApiError> {
        if self.0.as_ref().is_none_or(|conditions| conditions.hold_for(&version.to_string())) {
            return Ok(());
        }
        let message = format!("The draft is at version {version}, which If-Match does not name; nothing was changed");
        Err(ApiError::new(Code::Of(&STALE_VERSION), message)
            .with_header(ETAG, tag(version))
            .with_member("current_version", version))
    }
}
