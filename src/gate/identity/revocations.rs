//! Which tokens were revoked: the rule, over values alone.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::user::Claims;
use crate::clock::{SECOND_MICROS, Timestamp};

/// Revocations that there may be at once: all of them are held in memory.
pub const REVOCATIONS_MAX: usize = 10_000;
/// The longest `jti` that is revoked, in code points.
pub const JTI_MAX_CHARS: usize = 255;

/// What an operator revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The token with this `jti`.
    Token(String),
    /// All tokens of a user that were issued before a moment, and those that do not say when they were (`iat`).
    User {
        /// Whose.
        user: String,
        /// Before when.
        before: Timestamp,
    },
}

/// All that is revoked, to be asked on every request with a token.
#[derive(Debug, Default)]
pub struct Revocations {
    tokens: HashSet<String>,
    users: HashMap<String, Timestamp>,
}

/// What a token says of itself as far as a revocation asks.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenId {
    /// Whose it is.
    user: String,
    /// Its name, if it has one that is a text.
    jti: Option<String>,
    /// When it was issued, in seconds, if it says so.
    issued: Option<f64>,
}

impl TokenId {
    /// Of the token with these claims.
    pub fn of(user: &str, claims: &Claims) -> Self {
        Self { user: user.to_owned(), jti: jti(claims).map(str::to_owned), issued: issued(claims) }
    }
}

impl FromIterator<Revocation> for Revocations {
    /// Of one user the latest moment counts.
    fn from_iter<I: IntoIterator<Item = Revocation>>(all: I) -> Self {
        let mut found = Self::default();
        for revocation in all {
            match revocation {
                Revocation::Token(jti) => _ = found.tokens.insert(jti),
                Revocation::User { user, before } => {
                    let latest = found.users.entry(user).or_insert(before);
                    *latest = before.max(*latest);
                }
            }
        }
        found
    }
}

impl Revocations {
    /// Whether the token of this user with these claims is revoked. Nothing is looked at while nothing is.
    pub fn revoke(&self, user: &str, claims: &Claims) -> bool {
        !self.is_empty() && self.name(user, jti(claims), issued(claims))
    }

    /// The same of a token of which this is known.
    pub fn revoke_known(&self, token: &TokenId) -> bool {
        self.name(&token.user, token.jti.as_deref(), token.issued)
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.users.is_empty()
    }

    fn name(&self, user: &str, jti: Option<&str>, issued: Option<f64>) -> bool {
        let before = |before: &Timestamp| issued.is_none_or(|issued| issued < before.0 as f64 / SECOND_MICROS as f64);
        jti.is_some_and(|jti| self.tokens.contains(jti)) || self.users.get(user).is_some_and(before)
    }
}

fn jti(claims: &Claims) -> Option<&str> {
    claims.get("jti").and_then(Value::as_str)
}

fn issued(claims: &Claims) -> Option<f64> {
    claims.get("iat").and_then(Value::as_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(claims: Value) -> Claims {
        claims.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_token_is_revoked_by_its_name_whoever_has_it() {
        let revoked: Revocations = [Revocation::Token("j-1".to_owned())].into_iter().collect();
        for (said, expected) in [
            (json!({ "jti": "j-1", "iat": 5 }), true),
            (json!({ "jti": "j-1" }), true),
            (json!({ "jti": "j-2", "iat": 5 }), false),
            (json!({ "jti": 1 }), false),
            (json!({ "iat": 5 }), false),
            (json!({}), false),
        ] {
            let said = claims(said);
            assert_eq!(revoked.revoke("alice", &said), expected, "{said:?}");
            assert_eq!(revoked.revoke_known(&TokenId::of("alice", &said)), expected, "{said:?}");
        }
    }

    #[test]
    fn a_users_tokens_are_revoked_up_to_a_moment_and_those_that_name_none() {
        let before =
            |seconds| Revocation::User { user: "alice".to_owned(), before: Timestamp(seconds * SECOND_MICROS) };
        let revoked: Revocations = [before(50), before(100), before(70)].into_iter().collect();
        for (said, expected) in [
            (json!({ "iat": 99 }), true),
            (json!({ "iat": 99.9 }), true),
            (json!({ "iat": 100 }), false),
            (json!({ "iat": 101, "jti": "j-1" }), false),
            (json!({ "iat": -1 }), true),
            (json!({}), true),
            (json!({ "iat": "99" }), true),
        ] {
            let said = claims(said);
            assert_eq!(revoked.revoke("alice", &said), expected, "{said:?}");
            assert!(!revoked.revoke("bob", &said), "{said:?}");
        }
        assert!(!Revocations::default().revoke("alice", &claims(json!({}))));
    }
}
