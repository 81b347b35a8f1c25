//! A revocation as it is kept, and for how long.
//!
//! It is kept until no token that it concerns can be good any more. Of one token that is its `exp`, if the operator says it
//! (`--expires`). Else, and for the tokens of a user, it follows from the longest life that the server takes
//! (`JWT_MAX_LIFE_DAYS`, which it holds every token to): a token that was issued before a moment is over so many days after it.
//! Where tokens may live for ever, revocations are kept for ever.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{DAY, Timestamp};
use crate::gate::Revocation;

/// Clocks of who issues tokens may be so much ahead, and a token is taken so much longer than it says.
pub(super) const CLOCKS: Duration = Duration::from_secs(60);
/// A revocation stays this much longer than it has to: a clock that was wrong must not bring a token back.
pub(super) const SLACK: Duration = DAY;

/// A revocation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) revocation: Revocation,
    pub(super) revoked_at: Timestamp,
    /// When the token expires, if the operator has said so.
    pub(super) expires_at: Option<Timestamp>,
}

impl Kept {
    /// From when on it concerns no token that could be good, where tokens live for at most `life`.
    pub(super) fn over_at(&self, life: Option<Duration>) -> Option<Timestamp> {
        let issued = match &self.revocation {
            Revocation::Token(_) => self.revoked_at,
            Revocation::User { before, .. } => *before,
        };
        let by_life = life.map(|life| issued.later(life + CLOCKS));
        let said = self.expires_at.map(|at| at.later(CLOCKS));
        // Either is enough.
        said.into_iter().chain(by_life).min()
    }

    /// Whether it may be removed by now.
    pub(super) fn is_over(&self, life: Option<Duration>, now: Timestamp) -> bool {
        self.over_at(life).is_some_and(|at| at.later(SLACK) <= now)
    }

    pub(super) fn to_json(&self, life: Option<Duration>) -> Value {
        let (jti, user, before) = match &self.revocation {
            Revocation::Token(jti) => (Some(jti), None, None),
            Revocation::User { user, before } => (None, Some(user), Some(text(*before))),
        };
        json!({ "jti": jti, "user": user, "before": before, "revoked_at": text(self.revoked_at),
            "over_at": self.over_at(life).map(text) })
    }
}

/// The revocation that [`Kept::to_json`] has told of.
pub(super) fn of_json(said: &Value) -> Option<Revocation> {
    match (said["jti"].as_str(), said["user"].as_str(), said["before"].as_str()) {
        (Some(jti), ..) => Some(Revocation::Token(jti.to_owned())),
        (None, Some(user), Some(before)) => {
            let before = before.parse::<jiff::Timestamp>().ok()?;
            Some(Revocation::User { user: user.to_owned(), before: Timestamp(before.as_microsecond()) })
        }
        _ => None,
    }
}

/// A time as it is told.
pub(super) fn text(at: Timestamp) -> String {
    at.offset_style().to_string()
}
