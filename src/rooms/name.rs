//! What rooms are called (contract 03 §1.1, §4.6): one name, whichever way a URL spells it. Pure.
//!
//! Two names are one room when their bytes are equal after decoding. Nothing else is folded: an `é` of one code point and one of
//! two are two rooms, as they are to every client.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode;

use crate::text::{cut, visible};

/// The longest name, in bytes after decoding.
pub const ROOM_NAME_MAX_BYTES: usize = 255;

/// How much of a refused name is said again. It stands last, as the reason of a close is cut at 123 bytes.
const SHOWN_MAX_CHARS: usize = 40;

/// The name of a room: 1 to [`ROOM_NAME_MAX_BYTES`] bytes of text without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// Why a URL names no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// It names none at all. On the original's URLs this closes with 1008 and these words; all others are 4400.
    #[error("Room ID required")]
    Missing,
    /// Longer than [`ROOM_NAME_MAX_BYTES`].
    #[error("A room name has at most {ROOM_NAME_MAX_BYTES} bytes, this one {bytes}: {shown}")]
    TooLong {
        /// Its beginning.
        shown: String,
        /// How many it has after decoding.
        bytes: usize,
    },
    /// Its bytes are no text after decoding.
    #[error("A room name that is not UTF-8 after decoding: {shown}")]
    NotUtf8 {
        /// Its beginning, as it was sent.
        shown: String,
    },
    /// A control character is in it.
    #[error("A room name with a control character at byte {at}: {shown}")]
    Control {
        /// Its beginning.
        shown: String,
        /// Where the character stands.
        at: usize,
    },
}

impl RoomName {
    /// Out of what follows `/rooms/` in a path, or `/` on the original's port, as it was sent. `%2F` and `/` mean the same, a `+`
    /// is a `+`, and a `%` that begins no escape is a `%`.
    ///
    /// # Errors
    /// It names no room.
    pub fn of_path(raw: &str) -> Result<Self, BadName> {
        Self::decode(raw.as_bytes(), raw)
    }

    /// Out of the first `room` of a query, as the query was sent: decoded as a form is, so that a `+` is a blank.
    ///
    /// # Errors
    /// It names no room.
    pub fn of_query(query: &str) -> Result<Self, BadName> {
        let raw = query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_bytes(key).as_ref() == b"room").then_some(value)
        });
        let raw = raw.ok_or(BadName::Missing)?;
        Self::decode(&spaced(raw), raw)
    }

    /// Out of text that needs no decoding.
    ///
    /// # Errors
    /// It names no room.
    pub fn new(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Missing);
        }
        if text.len() > ROOM_NAME_MAX_BYTES {
            return Err(BadName::TooLong { shown: shown(text), bytes: text.len() });
        }
        match text.find(char::is_control) {
            Some(at) => Err(BadName::Control { shown: shown(text), at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, to be kept by others without a copy.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    fn decode(escaped: &[u8], raw: &str) -> Result<Self, BadName> {
        let decoded = percent_decode(escaped).decode_utf8().map_err(|_| BadName::NotUtf8 { shown: shown(raw) })?;
        Self::new(&decoded)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Each `+` as the blank that it is in a form.
fn spaced(raw: &str) -> Cow<'_, [u8]> {
    if raw.contains('+') { Cow::Owned(raw.replace('+', " ").into_bytes()) } else { Cow::Borrowed(raw.as_bytes()) }
}

fn form_bytes(raw: &str) -> Cow<'_, [u8]> {
    match spaced(raw) {
        Cow::Borrowed(bytes) => percent_decode(bytes).into(),
        Cow::Owned(bytes) => Cow::Owned(percent_decode(&bytes).collect()),
    }
}

/// A refused name as far as it is said again.
fn shown(name: &str) -> String {
    format!("\"{}\"", visible(&cut(name, SHOWN_MAX_CHARS)))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn path(raw: &str) -> Result<String, BadName> {
        RoomName::of_path(raw).map(|name| name.to_string())
    }

    fn query(raw: &str) -> Result<String, BadName> {
        RoomName::of_query(raw).map(|name| name.to_string())
    }

    #[test]
    fn one_room_is_one_name_by_every_spelling() {
        for (paths, queries, name) in [
            (&["caf%C3%A9", "caf%c3%a9", "café"][..], &["room=caf%C3%A9", "room=café"][..], "café"),
            (&["a%20b", "a b"], &["room=a+b", "room=a%20b"], "a b"),
            (&["a%2Fb", "a%2fb", "a/b"], &["room=a/b", "room=a%2Fb"], "a/b"),
            (&["%zz", "%25zz"], &["room=%zz"], "%zz"),
            (&["a+b", "a%2Bb"], &["room=a%2Bb"], "a+b"),
            (&["%D0%BA%D1%96%D1%82"], &["x=1&room=кіт&room=other", "r%6Fom=%D0%BA%D1%96%D1%82"], "кіт"),
            (&["100%"], &["room=100%"], "100%"),
            (&["X/NAME/"], &["room=X/NAME/"], "X/NAME/"),
        ] {
            paths.iter().for_each(|raw| assert_eq!(path(raw).as_deref(), Ok(name), "{raw}"));
            queries.iter().for_each(|raw| assert_eq!(query(raw).as_deref(), Ok(name), "{raw}"));
        }
    }

    #[test]
    fn composed_and_decomposed_letters_stay_two_rooms() {
        assert_ne!(RoomName::of_path("caf%C3%A9"), RoomName::of_path("cafe%CC%81"));
    }

    #[test]
    fn a_name_that_is_not_there_is_a_case_of_its_own() {
        assert_eq!(path(""), Err(BadName::Missing));
        for raw in ["", "room", "room=", "rooms=a", "json=1&Room=a"] {
            assert_eq!(query(raw), Err(BadName::Missing), "{raw}");
        }
        assert_eq!(BadName::Missing.to_string(), "Room ID required");
    }

    #[test]
    fn a_name_has_255_bytes_after_decoding_and_not_one_more() {
        for letter in ["a", "%61"] {
            assert!(path(&letter.repeat(255)).is_ok());
            let error = path(&letter.repeat(256)).unwrap_err();
            assert!(matches!(error, BadName::TooLong { bytes: 256, .. }), "{error:?}");
        }
        assert!(path(&"é".repeat(127)).is_ok());
        let said = query(&format!("room={}", "%C3%A9".repeat(300))).unwrap_err().to_string();
        assert_eq!(
            said,
            format!("A room name has at most 255 bytes, this one 600: \"{}...<truncated>\"", "é".repeat(40))
        );
    }

    #[test]
    fn bytes_that_are_no_text_and_controls_are_refused() {
        for raw in ["%80", "a%C3", "%ED%A0%80", "%ff"] {
            assert!(matches!(path(raw), Err(BadName::NotUtf8 { .. })), "{raw}");
            assert!(matches!(query(&format!("room={raw}")), Err(BadName::NotUtf8 { .. })), "{raw}");
        }
        for (raw, at) in [("%00", 0), ("a%0Ab", 1), ("%7f", 0), ("%C3%A9%C2%85", 2), ("a\tb", 1)] {
            assert!(matches!(path(raw), Err(BadName::Control { at: found, .. }) if found == at), "{raw}");
        }
        let said = path("a%0Ab").unwrap_err().to_string();
        assert_eq!(said, r#"A room name with a control character at byte 1: "a\nb""#);
    }

    proptest! {
        #[test]
        fn what_is_escaped_as_clients_do_is_one_room_by_both_forms(name in "[^\\p{Cc}]{1,60}") {
            let escaped = utf8_percent_encode(&name, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(path(&escaped), Ok(name.clone()));
            prop_assert_eq!(query(&format!("a=b&room={escaped}")), Ok(name.clone()));
            let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("room", &name).finish();
            prop_assert_eq!(query(&form), Ok(name));
        }

        #[test]
        fn any_text_is_a_room_or_a_refusal(raw: String) {
            for name in [RoomName::of_path(&raw), RoomName::of_query(&format!("room={raw}"))].into_iter().flatten() {
                let text = name.as_str();
                prop_assert!(!text.is_empty() && text.len() <= ROOM_NAME_MAX_BYTES && !text.contains(char::is_control));
            }
        }
    }
}
