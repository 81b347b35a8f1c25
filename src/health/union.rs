//! What `/health` and `/ready` say: the keys of contracts 02, 03 and 04 together (ruling 16). What they carry of the features
//! they know by no name: each gives its own.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::reason::{Needed, NotReady};
use crate::clock::Timestamp;
use crate::feature::{Check, Figures};
use crate::net::Response;

/// What both are made of.
pub(super) struct Union {
    /// What everyone is asked.
    pub(super) checks: Arc<[Check]>,
    /// What everyone has to say.
    pub(super) figures: Arc<[Figures]>,
    /// `ENV`.
    pub(super) environment: String,
}

impl Union {
    /// `/health`: this process serves.
    pub(super) fn alive(&self, now: Timestamp) -> Response {
        Response::json(StatusCode::OK, Value::from(self.begin("ok", true, now)).to_string().into_bytes())
    }

    /// `/ready` of a server that is.
    pub(super) fn ready(&self, now: Timestamp) -> Response {
        let mut body = self.begin("ready", true, now);
        body.insert("deps".to_owned(), json!({ "env": "ok", "database": "ok" }));
        body.insert("checks".to_owned(), self.words(None).into());
        Response::json(StatusCode::OK, Value::from(body).to_string().into_bytes())
    }

    /// The members of `/ready` of a server that is not, before those of every error.
    pub(super) fn not_ready(&self, why: &NotReady, now: Timestamp) -> Value {
        let mut body = self.begin("not_ready", false, now);
        let database = Needed::Database.word(Some(why.failed));
        body.insert("deps".to_owned(), json!({ "env": "missing_required", "database": database }));
        body.insert("checks".to_owned(), self.words(Some(why.failed)).into());
        body.insert("detail".to_owned(), why.detail.as_str().into());
        body.into()
    }

    fn begin(&self, status: &str, ok: bool, now: Timestamp) -> Map<String, Value> {
        let own = [("status", status.into()), ("ok", ok.into()), ("timestamp", now.iso_ms().into())];
        let own = own.map(|(name, value): (_, Value)| (name.to_owned(), value));
        own.into_iter().chain(self.figures.iter().flat_map(|figures| figures())).collect()
    }

    /// One word for each check. Those of the features are asked again: they know by heart.
    fn words(&self, failed: Option<Needed>) -> Map<String, Value> {
        let needed = Needed::NAMED.iter().map(|(needed, name)| (*name, needed.word(failed)));
        let asked = self.checks.iter().map(|check| (check.name, check.word()));
        let mut words: Map<String, Value> =
            needed.chain(asked).map(|(name, word)| (name.to_owned(), word.into())).collect();
        // The original has a place to send errors to; this server has none.
        let monitoring = json!({ "sentry_enabled": false, "environment": self.environment });
        words.insert("monitoring".to_owned(), monitoring);
        words
    }
}
