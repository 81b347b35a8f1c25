//! What a caller may do in a room, by the claims of its token (contract 03 §3.2). Pure.

use serde_json::{Map, Value};

/// What a socket or a request may do in one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// Change the document.
    pub(super) write: bool,
    /// Show itself to the others.
    pub(super) awareness: bool,
    /// Take the document out, put it in, delete the room.
    pub(super) admin: bool,
}

impl Grant {
    /// Of who is known by no token: everything that people in a room do.
    pub(super) const MEMBER: Self = Self { write: true, awareness: true, admin: false };

    /// Of a token with these claims, for this room. `rooms` is a list of names, of which one that ends with `/*` stands for
    /// all that begin so; `room` is a single one; without either it is for all rooms, unless it has to name them. `perm` is
    /// `read`, `write` (the default) or `admin`.
    ///
    /// # Errors
    /// Why it may not even read, in words for the client.
    pub(super) fn of(claims: &Map<String, Value>, room: &str, must_name: bool) -> Result<Self, &'static str> {
        let listed = match (claims.get("rooms"), claims.get("room")) {
            (Some(Value::Array(names)), _) => {
                Some(names.iter().filter_map(Value::as_str).any(|pattern| matches(pattern, room)))
            }
            (None, Some(Value::String(name))) => Some(name == room),
            (None, None) => None,
            _ => return Err("The claims rooms and room of the token should be a list of names and a name"),
        };
        match listed {
            Some(true) => {}
            Some(false) => return Err("The token is not for this room"),
            None if must_name => return Err("The token names no room"),
            None => {}
        }
        let (write, admin) = match claims.get("perm").map(Value::as_str) {
            None | Some(Some("write")) => (true, false),
            Some(Some("read")) => (false, false),
            Some(Some("admin")) => (true, true),
            Some(_) => return Err("The claim perm of the token should be read, write or admin"),
        };
        let awareness = match claims.get("awareness") {
            None => true,
            Some(Value::Bool(allowed)) => *allowed,
            Some(_) => return Err("The claim awareness of the token should be true or false"),
        };
        Ok(Self { write, awareness, admin })
    }
}

/// Whether a name in a token stands for this room.
fn matches(pattern: &str, room: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) if prefix.ends_with('/') => room.len() > prefix.len() && room.starts_with(prefix),
        _ => pattern == room,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grant(claims: Value, room: &str, must_name: bool) -> Result<Grant, &'static str> {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        Grant::of(&claims, room, must_name)
    }

    #[test]
    fn a_token_is_for_the_rooms_that_it_names_and_without_a_name_for_all_unless_it_must_name_them() {
        let no = Err("The token is not for this room");
        for (claims, room, expected) in [
            (json!({}), "a", Ok(Grant::MEMBER)),
            (json!({ "room": "a" }), "a", Ok(Grant::MEMBER)),
            (json!({ "room": "a" }), "b", no),
            (json!({ "room": "a/*" }), "a/b", no),
            (json!({ "rooms": ["a", "team/*"] }), "a", Ok(Grant::MEMBER)),
            (json!({ "rooms": ["a", "team/*"] }), "team/x/y", Ok(Grant::MEMBER)),
            (json!({ "rooms": ["a", "team/*"] }), "team/", no),
            (json!({ "rooms": ["a", "team/*"] }), "team", no),
            (json!({ "rooms": ["*"] }), "a", no),
            (json!({ "rooms": ["*"] }), "*", Ok(Grant::MEMBER)),
            (json!({ "rooms": [] }), "a", no),
            (json!({ "rooms": [7], "room": "a" }), "a", no),
        ] {
            assert_eq!(grant(claims.clone(), room, false), expected, "{claims} {room}");
        }
        assert_eq!(grant(json!({}), "a", true), Err("The token names no room"));
        assert_eq!(grant(json!({ "room": "a" }), "a", true), Ok(Grant::MEMBER));
    }

    #[test]
    fn perm_and_awareness_say_what_may_be_done() {
        let of = |claims| grant(claims, "a", false);
        assert_eq!(of(json!({ "perm": "read" })), Ok(Grant { write: false, ..Grant::MEMBER }));
        assert_eq!(of(json!({ "perm": "admin" })), Ok(Grant { admin: true, ..Grant::MEMBER }));
        assert_eq!(of(json!({ "awareness": false })), Ok(Grant { awareness: false, ..Grant::MEMBER }));
    }

    #[test]
    fn claims_of_another_form_are_not_guessed_at() {
        for claims in [
            json!({ "rooms": "a" }),
            json!({ "room": 7 }),
            json!({ "perm": "owner" }),
            json!({ "perm": 1 }),
            json!({ "awareness": "no" }),
        ] {
            assert!(grant(claims.clone(), "a", false).is_err(), "{claims}");
        }
    }
}
