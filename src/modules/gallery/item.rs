//! The record that an upload becomes, and the files that records name.

use serde_json::{Map, Value, json};

use super::super::zone::wall_text;
use super::exif::Facts;
use super::shelf::Name;
use super::upload::Uploaded;

/// Where files are served.
const MEDIA: &str = "/media/";

/// What an upload is, without where it lies.
pub(super) struct Described<'u> {
    name: Name,
    shown: &'u str,
    bytes: u64,
    facts: &'u Facts,
    has_thumbnails: bool,
    said: &'u [(String, String)],
}

impl<'u> Described<'u> {
    /// Of one that has come. `said` is what stands in its query, which counts for one that is no form.
    pub(super) fn of(uploaded: &'u Uploaded, said: &'u [(String, String)]) -> Self {
        let Uploaded { held, shown, bytes, facts, has_thumbnails, fields } = uploaded;
        let said = if fields.is_empty() { said } else { fields };
        Self { name: held.name, shown, bytes: *bytes, facts, has_thumbnails: *has_thumbnails, said }
    }

    /// The record as a client would send it. What was said and means nothing here is left out, as it is of any record.
    pub(super) fn body(&self) -> Value {
        let Self { name, shown, bytes, facts, has_thumbnails, said } = self;
        let last = |wanted: &str| {
            let found = said.iter().rev().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
        };
        let tags = said.iter().filter(|(name, _)| name == "tags" || name == "tag");
        let tags = tags.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|tag| !tag.is_empty());
        let mut metadata =
            Map::from_iter([("sha256".to_owned(), Value::from(name.hex())), ("name".to_owned(), Value::from(*shown))]);
        if let Some((width, height)) = facts.shown_size() {
            metadata.insert("width".to_owned(), width.into());
            metadata.insert("height".to_owned(), height.into());
        }
        let address = address(name);
        let taken = facts.taken.map(wall_text);
        json!({
            "title": last("title").unwrap_or(shown),
            "description": last("description"),
            "media_type": name.kind.media.word(),
            "thumbnail_url": has_thumbnails.then(|| format!("{address}?size=small")),
            "url": address,
            "file_size": bytes,
            "mime_type": name.kind.mime,
            "media_metadata": metadata,
            "taken_at": last("taken_at").map(str::to_owned).or(taken),
            "tags": tags.collect::<Vec<_>>(),
            "source_trace": last("source_trace"),
        })
    }
}

/// Where a file is served: `/media/abcd….jpg`.
pub(super) fn address(name: &Name) -> String {
    format!("{MEDIA}{name}")
}

/// How the address of a file of this name begins, whatever it is said to be.
pub(super) fn beginning(hash_of: &Name) -> String {
    format!("{MEDIA}{}", hash_of.hex())
}

/// The files that a record names, wherever in it.
pub(super) fn named(record: &str) -> impl Iterator<Item = Name> {
    record.match_indices(MEDIA).filter_map(|(at, _)| {
        let rest = &record[at + MEDIA.len()..];
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.').unwrap_or(rest.len());
        Name::parse(&rest[..end])
    })
}

/// The name that people see of the file that a record is of.
pub(super) fn shown(record: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).ok()?;
    record["media_metadata"]["name"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::kind::Kind;
    use super::*;

    fn name() -> Name {
        Name { hash: [0xab; 32], kind: Kind::named("image/jpeg") }
    }

    fn body(facts: &Facts, has_thumbnails: bool, said: &[(&str, &str)]) -> Value {
        let said: Vec<_> = said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Described { name: name(), shown: "a.jpg", bytes: 7, facts, has_thumbnails, said: &said }.body()
    }

    #[test]
    fn an_upload_says_what_it_is_and_its_sender_says_the_rest() {
        let taken = jiff::civil::date(2024, 5, 6).at(7, 8, 9, 0);
        let facts = Facts { taken: Some(taken), orientation: 6, size: Some((600, 400)) };
        let plain = body(&facts, true, &[("title", " "), ("url", "https://example.com"), ("file_size", "9")]);
        let address = format!("/media/{}.jpg", "ab".repeat(32));
        assert_eq!(
            (&plain["title"], &plain["url"], &plain["file_size"]),
            (&json!("a.jpg"), &json!(address), &json!(7))
        );
        assert_eq!(plain["thumbnail_url"], format!("{address}?size=small"));
        assert_eq!((&plain["media_type"], &plain["mime_type"]), (&json!("photo"), &json!("image/jpeg")));
        assert_eq!((&plain["taken_at"], &plain["tags"]), (&json!("2024-05-06T07:08:09"), &json!([])));
        assert_eq!(
            plain["media_metadata"],
            json!({ "sha256": "ab".repeat(32), "name": "a.jpg", "width": 400, "height": 600 })
        );
        let nothing = Facts { taken: None, orientation: 1, size: None };
        let said = [("tags", "дім, літо,"), ("title", "A"), ("title", "Б"), ("tag", "x"), ("taken_at", "2020-01-01")];
        let said = body(&nothing, false, &said);
        assert_eq!((&said["title"], &said["tags"]), (&json!("Б"), &json!(["дім", "літо", "x"])));
        assert_eq!((&said["taken_at"], &said["thumbnail_url"]), (&json!("2020-01-01"), &Value::Null));
        assert_eq!(said["media_metadata"].as_object().unwrap().len(), 2);
    }

    #[test]
    fn files_are_found_wherever_a_record_names_them() {
        let other = Name { hash: [0x01; 32], ..name() };
        let record = format!(
            r#"{{"url":"/media/{}","x":["/media/{other}?size=small","/media/","/media/ab.jpg","/media/{}.exe"]}}"#,
            name(),
            name().hex()
        );
        assert_eq!(named(&record).collect::<Vec<_>>(), [name(), other]);
        assert!(address(&other).starts_with(&beginning(&other)));
        assert_eq!(shown(r#"{"media_metadata":{"name":"я.jpg"}}"#).as_deref(), Some("я.jpg"));
        assert_eq!((shown(r#"{"media_metadata":null}"#), shown("?")), (None, None));
    }
}
