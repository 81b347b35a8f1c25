//! Why a server is not ready, and how far it has looked.

use std::cmp::Ordering;
use std::time::Instant;

use http::StatusCode;
use log::kv::ToValue as _;
use serde_json::Value;

use crate::gate::{ApiError, Code};
use crate::net::Response;
use crate::observe::sample::Sample;

/// What nobody is served without, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needed {
    /// The server is not on its way out.
    Accepting,
    /// The storage takes changes.
    Disk,
    /// The database is read, and a row was committed.
    Database,
    /// The tables are ours and all there.
    Schema,
    /// Whatever the features need: each says so under a name of its own.
    Features,
    /// No commit is stuck.
    Writer,
}

impl Needed {
    /// Those that are said by a name.
    pub(super) const NAMED: [(Self, &str); 5] = [
        (Self::Accepting, "accepting"),
        (Self::Disk, "disk"),
        (Self::Database, "database"),
        (Self::Schema, "schema"),
        (Self::Writer, "writer"),
    ];

    /// What is known of it once readiness was looked at as far as `failed`.
    pub(super) fn word(self, failed: Option<Self>) -> &'static str {
        match failed.map(|failed| self.cmp(&failed)) {
            None | Some(Ordering::Less) => "ok",
            Some(Ordering::Equal) => "failed",
            Some(Ordering::Greater) => "unknown",
        }
    }
}

/// Why it is not ready.
pub(super) struct NotReady {
    /// What it was found by.
    pub(super) failed: Needed,
    pub(super) code: Code,
    /// For the prober, in the contract's words where it has some.
    pub(super) detail: String,
    /// For the log only.
    pub(super) context: Option<String>,
}

impl NotReady {
    pub(super) fn busy(failed: Needed, detail: impl Into<String>) -> Self {
        Self { failed, code: Code::Overloaded, detail: detail.into(), context: None }
    }

    pub(super) fn unusable(failed: Needed, detail: String, context: Option<String>) -> Self {
        Self { failed, code: Code::StorageUnavailable, detail, context }
    }

    pub(super) fn unreachable(context: impl Into<Option<String>>) -> Self {
        Self::unusable(Needed::Database, "database unreachable".to_owned(), context.into())
    }

    /// What keeps the probe's row from being committed.
    pub(super) fn unwritable(error: &ApiError) -> Self {
        match error.code() {
            Code::Overloaded => Self::busy(Needed::Writer, "writer stalled: too many changes are waiting"),
            // The probe was the change that met the fault.
            Code::StorageReadonly => {
                let detail = "database read-only: it takes no changes".to_owned();
                let context = error.context().map(str::to_owned);
                Self { failed: Needed::Disk, code: Code::StorageReadonly, detail, context }
            }
            _ => Self::unreachable(error.context().map(str::to_owned)),
        }
    }

    /// 503, with these members before those of every error.
    pub(super) fn answer(&self, before: Value, request_id: &str, now: Instant) -> Response {
        let (detail, context) = (self.detail.as_str(), self.context.as_deref());
        static NOT_READY: Sample = Sample::new();
        NOT_READY.event(now, log::Level::Warn, "health.not_ready", || {
            vec![("request_id", request_id.into()), ("detail", detail.into()), ("context", context.to_value())]
        });
        let error = ApiError::new(self.code, detail);
        Response::json(StatusCode::SERVICE_UNAVAILABLE, error.body(request_id, Some(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_what_was_not_looked_at() {
        let words = |failed| Needed::NAMED.map(|(needed, _)| needed.word(failed));
        assert_eq!(words(None), ["ok"; 5]);
        assert_eq!(words(Some(Needed::Accepting)), ["failed", "unknown", "unknown", "unknown", "unknown"]);
        assert_eq!(words(Some(Needed::Schema)), ["ok", "ok", "ok", "failed", "unknown"]);
        assert_eq!(words(Some(Needed::Features)), ["ok", "ok", "ok", "ok", "unknown"]);
        assert_eq!(words(Some(Needed::Writer)), ["ok", "ok", "ok", "ok", "failed"]);
    }
}
