//! What a user id may be, and a user who is known.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::gate::validate::{Check, Length};

/// The longest user id, in code points.
pub const USER_ID_MAX_CHARS: usize = 100;

/// The claims of a token that was verified, by their names.
pub type Claims = Map<String, Value>;

/// Someone who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub user: String,
    /// All that their token says; none for who has only said a name.
    pub claims: Option<Claims>,
    /// When what they showed is no longer good. A name alone is good as long as it is trusted.
    pub until: Option<Timestamp>,
}

/// Whether this is a user id.
pub fn is_user_id(text: &str) -> bool {
    user_id_rules(text).done().is_ok()
}

/// Holds a user id to its rules, wherever it comes from.
pub(super) fn user_id_rules(user: &str) -> Check {
    let mut check = Check::new();
    check.length("header", "X-User-Id", user, Length::between(1, USER_ID_MAX_CHARS));
    check.user_name("header", "X-User-Id", user);
    check
}
