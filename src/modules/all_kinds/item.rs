//! What stands in lists of all kinds of record: as much as one needs to know which it is.

use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::super::records::fact::{title, wall};
use super::super::records::kinds::Kind;
use super::super::records::read::Fields;
use super::super::records::record::Key;
use super::super::zone::wall_text;
use super::store::Listed;
use crate::store::Error;

/// A record in such a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The module that keeps it.
    pub(super) module: &'static str,
    /// The last part of its path but one.
    pub(super) collection: &'static str,
    /// Its id among its kind.
    pub(super) id: i64,
    /// What it is called.
    pub(super) title: String,
    /// When it is on the household's wall.
    pub(super) moment: DateTime,
    /// Which occurrence of it this is, where it recurs, and whether that is done.
    pub(super) occurrence: Option<(DateTime, bool)>,
}

impl Item {
    /// That of a record.
    pub(super) fn of(kind: &'static Kind, fields: &Fields, key: Key, moment: i64) -> Self {
        let Kind { module, collection, .. } = *kind;
        let title = title(kind, fields).to_owned();
        Self { module, collection, id: key.id(), title, moment: wall(moment), occurrence: None }
    }

    /// Where it is read.
    pub(super) fn url(&self) -> String {
        url(self.module, self.collection, self.id)
    }

    /// Its members in an answer.
    pub(super) fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("module".to_owned(), self.module.into());
        members.insert("id".to_owned(), self.id.into());
        members.insert("title".to_owned(), self.title.clone().into());
        members.insert("moment".to_owned(), wall_text(self.moment).into());
        members.insert("url".to_owned(), self.url().into());
        if let Some((original, completed)) = self.occurrence {
            let occurrence = json!({ "original": wall_text(original), "completed": completed });
            members.insert("occurrence".to_owned(), occurrence);
        }
        members
    }
}

/// Where a record is read.
pub(super) fn url(module: &str, collection: &str, id: i64) -> String {
    format!("/api/v1/{module}/{collection}/{id}")
}

/// The kind and the fields of a record, while there is such a kind.
pub(super) fn opened(key: Key, json: &[u8]) -> Result<Option<(&'static Kind, Fields)>, Error> {
    let Some(kind) = key.kind() else { return Ok(None) };
    let fields = serde_json::from_slice(json).map_err(|error| damaged(key, &error))?;
    Ok(Some((kind, fields)))
}

fn damaged(key: Key, error: &serde_json::Error) -> Error {
    Error::Damaged(format!("the record {:#x} cannot be read: {error}", key.0))
}

/// A record as an item, while there is its kind.
pub(super) fn item(listed: &Listed) -> Result<Option<Item>, Error> {
    let opened = opened(listed.key, &listed.json)?;
    Ok(opened.map(|(kind, fields)| Item::of(kind, &fields, listed.key, listed.moment)))
}

/// A reference to a record, as links have them at both ends.
pub(super) fn reference(key: Key) -> Value {
    json!({ "module": key.kind().map(|kind| kind.module), "id": key.id() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_it_is_called() {
        let (kazkar, nastrij) = (Kind::of_module("kazkar").unwrap(), Kind::of_module("nastrij").unwrap());
        let title = |kind, json: &str| {
            let fields = opened(Key::of(kind, 1).unwrap(), json.as_bytes())?.unwrap().1;
            Ok::<String, Error>(title(kind, &fields).to_owned())
        };
        assert_eq!(title(kazkar, r#"{"a":{"title":"no"},"title":"\u0407\"жак","b":[1]}"#).unwrap(), "Ї\"жак");
        assert_eq!(title(nastrij, r#"{"title":"no","emotion_state":"calm"}"#).unwrap(), "calm");
        for none in ["{}", r#"{"title":null}"#, r#"{"title":["T"]}"#] {
            assert_eq!(title(kazkar, none).unwrap(), "", "{none}");
        }
        for damaged in ["", "[]", r#"{"title":"T""#] {
            assert!(title(kazkar, damaged).unwrap_err().is_damage(), "{damaged}");
        }
    }
}
