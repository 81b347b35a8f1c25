//! The lines of an export as an import reads them: what each says, or what is wrong with it. Pure.

use serde_json::{Map, Value};

use super::super::records::fact::wall_micros;
use super::super::records::kinds::{KINDS, Kind};
use super::super::records::moment;
use super::super::records::read;
use super::super::records::record::{Key, RecordContent};
use super::super::zone::Zone;
use super::links::LINK_KIND_MAX_CHARS;
use crate::clock::Timestamp;
use crate::gate::validate::Body;

/// The version of the format that is written, and the newest that is read.
pub(super) const FORMAT_VERSION: i64 = 1;

/// What a line says.
#[derive(Debug)]
pub(super) enum Line {
    /// Nothing that is to be kept: it is empty, or a header.
    Nothing,
    /// A record.
    Record(Sent),
    /// A link.
    Link(SentLink),
}

/// By what a record is known in the household that it comes from: by its key, and by when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) key: Key,
    pub(super) created_at: Timestamp,
}

/// A record.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) kind: &'static Kind,
    pub(super) identity: Identity,
    pub(super) content: RecordContent,
}

/// One end of a link; without a time it is the record that has this key here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) key: Key,
    pub(super) created_at: Option<Timestamp>,
}

/// A link.
#[derive(Debug)]
pub(super) struct SentLink {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) kind: String,
    pub(super) created_at: Option<Timestamp>,
}

/// Reads lines.
pub(super) struct Lines {
    zone: Zone,
    utc: Zone,
}

impl Lines {
    /// Those of a household that lives here; `utc` is the zone of times of creation.
    pub(super) fn new(zone: Zone, utc: Zone) -> Self {
        Self { zone, utc }
    }

    /// Reads one line.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Line, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        if bytes.is_empty() {
            return Ok(Line::Nothing);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("It is not valid JSON: {error}"))?;
        let Value::Object(members) = &value else { return Err("It is not a JSON object".to_owned()) };
        if let Some(header) = members.get("export") {
            let version = header.get("version").and_then(Value::as_i64);
            return match version {
                Some(1..=FORMAT_VERSION) => Ok(Line::Nothing),
                _ => Err(format!("Its version is not one up to {FORMAT_VERSION}: {}", header["version"])),
            };
        }
        if let Some(link) = members.get("link") {
            return self.link(link).map(Line::Link);
        }
        let kind = kind_of(members)?;
        let key = key_of(members, kind)?;
        let created_at = self.time(members)?.ok_or("time: Field required")?;
        let fields = read::create(kind, &Body::Json(value), &self.zone)
            .map_err(|error| error.message().unwrap_or_default().to_owned())?;
        let content = RecordContent::of(kind, fields);
        Ok(Line::Record(Sent { kind, identity: Identity { key, created_at }, content }))
    }

    fn link(&self, value: &Value) -> Result<SentLink, String> {
        let members = value.as_object().ok_or("link: Input should be an object")?;
        let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default();
        if !(1..=LINK_KIND_MAX_CHARS).contains(&kind.chars().count()) {
            return Err(format!("link.kind: Input should be a text of 1 to {LINK_KIND_MAX_CHARS} characters"));
        }
        let (from, to) = (self.end(members, "from")?, self.end(members, "to")?);
        if from == to {
            return Err("link.to: A record is not linked to itself".to_owned());
        }
        Ok(SentLink { from, to, kind: kind.to_owned(), created_at: self.time(members)? })
    }

    fn end(&self, link: &Map<String, Value>, name: &str) -> Result<End, String> {
        let read = |members: &Map<String, Value>| {
            Ok(End { key: key_of(members, kind_of(members)?)?, created_at: self.time(members)? })
        };
        let members = link.get(name).and_then(Value::as_object).ok_or("Input should be an object".to_owned());
        members.and_then(read).map_err(|why: String| format!("link.{name}: {why}"))
    }

    /// When something was made. What names no zone is in UTC, as the original has it.
    fn time(&self, members: &Map<String, Value>) -> Result<Option<Timestamp>, String> {
        let Some(value) = members.get("time") else { return Ok(None) };
        let text = value.as_str().ok_or("time: Input should be a valid string")?;
        let wall =
            moment::read(text, &self.utc).map_err(|why| format!("time: Input should be a valid datetime, {why}"))?;
        let at = Timestamp(wall_micros(wall));
        // The last hours of the calendar are none of the clock's.
        jiff::Timestamp::from_microsecond(at.0).map_err(|_| "time: date is out of range")?;
        Ok(Some(at))
    }
}

fn kind_of(members: &Map<String, Value>) -> Result<&'static Kind, String> {
    let module = members.get("module").and_then(Value::as_str).unwrap_or_default();
    Kind::of_module(module).ok_or_else(|| {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.module).collect();
        format!("module: Input should be one of {}", known.join(", "))
    })
}

fn key_of(members: &Map<String, Value>, kind: &Kind) -> Result<Key, String> {
    let id = members.get("id").and_then(Value::as_i64);
    id.and_then(|id| Key::of(kind, id)).ok_or_else(|| "id: Input should be the id of a record".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines::new(Zone::named("Europe/Kyiv").unwrap(), Zone::named("UTC").unwrap())
    }

    #[test]
    fn a_line_says_what_it_is() {
        let lines = lines();
        for nothing in ["", " \r", "\u{feff}", r#"{"export":{"version":1,"counts":{}}}"#] {
            assert!(matches!(lines.read(nothing.as_bytes()), Ok(Line::Nothing)), "{nothing}");
        }
        let record = r#"{"title":"T","content":"C","id":7,"module":"kazkar","time":"2026-11-21T07:31:26.710931Z"}"#;
        let Ok(Line::Record(sent)) = lines.read(record.as_bytes()) else { panic!("it is a record") };
        assert_eq!((sent.kind.module, sent.identity.key.id()), ("kazkar", 7));
        assert_eq!(sent.identity.created_at, Timestamp(1_795_246_286_710_931));
        assert_eq!((&sent.content.fields["title"], &sent.content.fields["tags"]), (&"T".into(), &Value::Array(vec![])));
        let original = record.replace("931Z", "931");
        let Ok(Line::Record(naive)) = lines.read(original.as_bytes()) else { panic!("it is a record") };
        assert_eq!(
            (naive.identity, naive.content.fields),
            (sent.identity, sent.content.fields),
            "as the original writes it"
        );
        let link = r#"{"link":{"from":{"module":"malya","id":1,"time":"1970-01-01T00:00:01Z"},"to":{"module":"malya","id":2},"kind":"ї"}}"#;
        let Ok(Line::Link(sent)) = lines.read(link.as_bytes()) else { panic!("it is a link") };
        assert_eq!(
            (sent.from.created_at, sent.to.created_at, sent.created_at),
            (Some(Timestamp(1_000_000)), None, None)
        );
        assert_eq!((sent.from.key.id(), sent.to.key.id(), &*sent.kind), (1, 2, "ї"));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let lines = lines();
        let long = format!(r#"{{"link":{{"kind":"{}"}}}}"#, "x".repeat(LINK_KIND_MAX_CHARS + 1));
        for (line, why) in [
            ("{", "It is not valid JSON: EOF while parsing an object at line 1 column 1"),
            ("[]", "It is not a JSON object"),
            (r#"{"export":{"version":2}}"#, "Its version is not one up to 1: 2"),
            (r#"{"export":7}"#, "Its version is not one up to 1: null"),
            (r#"{"title":"T"}"#, "module: Input should be one of kazkar, podija, nastrij, malya, gallery, calendar"),
            (r#"{"module":"kazkar","id":"1"}"#, "id: Input should be the id of a record"),
            (r#"{"module":"kazkar","id":0}"#, "id: Input should be the id of a record"),
            (r#"{"module":"kazkar","id":1}"#, "time: Field required"),
            (
                r#"{"module":"kazkar","id":1,"time":"soon"}"#,
                "time: Input should be a valid datetime, invalid character in year",
            ),
            (r#"{"module":"kazkar","id":1,"time":"9999-12-31T23:59"}"#, "time: date is out of range"),
            (
                r#"{"module":"kazkar","id":1,"time":"2026-01-01T00:00","title":1}"#,
                "body.title: Input should be a valid string; body.content: Field required",
            ),
            (&*long, "link.kind: Input should be a text of 1 to 64 characters"),
            (r#"{"link":{"kind":"x"}}"#, "link.from: Input should be an object"),
            (r#"{"link":{"kind":"x","from":{"module":"malya"}}}"#, "link.from: id: Input should be the id of a record"),
            (
                r#"{"link":{"kind":"x","from":{"module":"malya","id":1},"to":{"module":"malya","id":1}}}"#,
                "link.to: A record is not linked to itself",
            ),
        ] {
            assert_eq!(lines.read(line.as_bytes()).unwrap_err(), why, "{line}");
        }
        assert!(lines.read(b"\"\xff\"").unwrap_err().starts_with("It is not valid JSON: "));
    }
}
