//! A record as it is kept and answered.

use std::fmt::Write as _;
use std::sync::Arc;

use super::fact::{Fact, facts, labels, text, title};
use super::kinds::Kind;
use super::read::Fields;
use crate::clock::Timestamp;
use crate::store::TextWords;

/// The name of the canon that every record carries (contract 04 §1.7).
pub const CANON: &str = "CIMEIKA_CANON_TZ_v1";

/// Bits of a record's key that are its id; above them stands the number of its kind. Ids count up to a million millions.
const ID_BITS: u32 = 40;
/// The largest id that a key can hold.
pub const ID_MAX: i64 = (1 << ID_BITS) - 1;

/// The number by which a record is known in the whole database: ordered by kind, and in each by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub i64);

impl Key {
    /// That of this id; nothing if there can be no such id.
    #[must_use]
    pub fn of(kind: &Kind, id: i64) -> Option<Self> {
        (1..=ID_MAX).contains(&id).then_some(Self((kind.number << ID_BITS) | id))
    }

    /// The kind of its record, while there is such a kind.
    #[must_use]
    pub fn kind(self) -> Option<&'static Kind> {
        Kind::numbered(self.0 >> ID_BITS)
    }

    /// The id among its kind.
    #[must_use]
    pub fn id(self) -> i64 {
        self.0 & ID_MAX
    }

    /// The first and the last key that a kind can have.
    #[must_use]
    pub fn range(kind: &Kind) -> (i64, i64) {
        let first = kind.number << ID_BITS;
        (first, first | ID_MAX)
    }
}

/// Room for the fields of most records.
const USUAL_BYTES: usize = 512;
/// Room for the end that all kinds have.
const END_BYTES: usize = 160;

/// What a record says, with all that follows from it: made before the change, so that the writer has less to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContent {
    /// What clients have sent, read by its kind.
    pub fields: Fields,
    /// What statements look it up by.
    pub facts: Vec<Fact>,
    /// By which words it is found, and by which values it is filtered.
    pub words: Arc<TextWords>,
    /// The fields as they are answered, without an end.
    json: String,
}

impl RecordContent {
    /// That of a record with these fields.
    #[must_use]
    pub fn of(kind: &Kind, fields: Fields) -> Self {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        json.push(b'{');
        for field in kind.all_fields() {
            json.push(b'"');
            json.extend_from_slice(field.name.as_bytes());
            json.extend_from_slice(b"\":");
            // Values can be written, and a vector takes them.
            _ = match fields.get(field.name) {
                Some(value) => serde_json::to_writer(&mut json, value),
                None => serde_json::to_writer(&mut json, &field.default()),
            };
            json.push(b',');
        }
        // JSON is always text.
        let json = String::from_utf8(json).unwrap_or_default();
        let mut words = TextWords::of(kind.texts(), title(kind, &fields), &text(kind, &fields));
        labels(kind, &fields).for_each(|(name, value)| words.label(kind.texts(), name, &value));
        Self { facts: facts(kind, &fields), words: Arc::new(words), fields, json }
    }

    /// The record as it is answered: the fields, and the end that all kinds have.
    #[must_use]
    pub fn json(&self, key: Key, created: Timestamp) -> String {
        let (id, module, time) = (key.id(), key.kind().map_or("", |kind| kind.module), created.written("Z"));
        let mut json = String::with_capacity(self.json.len() + END_BYTES);
        json.push_str(&self.json);
        // Writing to a String cannot fail.
        _ = write!(json, r#""id":{id},"module":"{module}","time":"{time}","canon_bundle_id":"{CANON}"}}"#);
        json
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_ordered_by_kind_and_id_and_is_read_back() {
        let (kazkar, calendar) = (Kind::of_module("kazkar").unwrap(), Kind::of_module("calendar").unwrap());
        let key = Key::of(calendar, 17).unwrap();
        assert_eq!((key.kind().map(|kind| kind.module), key.id()), (Some("calendar"), 17));
        assert!(Key::of(kazkar, ID_MAX).unwrap() < Key::of(calendar, 1).unwrap());
        assert_eq!([0, -1, ID_MAX + 1, i64::MAX, i64::MIN].map(|id| Key::of(kazkar, id)), [None; 5]);
        assert_eq!(Key(0).kind().map(|kind| kind.module), None);
    }

    #[test]
    fn a_record_is_shown_in_the_contracts_order() {
        let fields = json!({
            "source_trace": null, "title": "T", "content": "C", "story_type": "memory", "participants": ["Іван"],
            "location": "Київ", "tags": ["a"],
        });
        let kazkar = Kind::of_module("kazkar").unwrap();
        let content = RecordContent::of(kazkar, fields.as_object().unwrap().clone());
        assert_eq!(
            content.json(Key::of(kazkar, 1).unwrap(), Timestamp(1_795_246_286_710_931)),
            r#"{"title":"T","content":"C","story_type":"memory","participants":["Іван"],"location":"Київ","tags":["a"],"source_trace":null,"id":1,"module":"kazkar","time":"2026-11-21T07:31:26.710931Z","canon_bundle_id":"CIMEIKA_CANON_TZ_v1"}"#
        );
    }
}
