//! One event: what a client may send of it, and what is wrong with what it may not (contract 02 §1.1 and §1.7).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use memchr::memchr;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::json::{Blanks, check, rewrite, unquoted};
use super::time::{self, NoTime};
use crate::clock::Timestamp;
use crate::gate::validate::{Length, Problem, echo, echo_text};

const VISITOR_CHARS: Length = Length::between(6, 64);
const NAME_CHARS: Length = Length::between(1, 64);
/// Characters that are kept of a user agent, whoever said it.
pub(super) const AGENT_MAX_CHARS: usize = 256;

/// What happened: an event that was found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Who it was, as the client made it up.
    pub(super) visitor_id: String,
    /// What happened.
    pub(super) name: String,
    /// When, as the client says, or when it came.
    pub(super) timestamp: Timestamp,
    /// A JSON object as text, with [`Blanks::One`].
    pub(super) metadata: String,
    /// Shared by the events of one request.
    pub(super) user_agent: Option<Arc<str>>,
}

/// What is known of the sender besides.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// What its header says, cut.
    pub(super) user_agent: Option<Arc<str>>,
    pub(super) now: Timestamp,
}

impl Sender {
    /// Of a request with this `User-Agent` that came then.
    pub(super) fn new(user_agent: Option<&[u8]>, now: Timestamp) -> Self {
        // What is no UTF-8 is taken as the original takes every header: each byte is a character.
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => first_chars(text).into(),
            Err(_) => bytes.iter().take(AGENT_MAX_CHARS).map(|byte| char::from(*byte)).collect::<String>().into(),
        };
        Self { user_agent: user_agent.map(text), now }
    }
}

fn first_chars(text: &str) -> &str {
    // No character has less than a byte.
    if text.len() <= AGENT_MAX_CHARS {
        return text;
    }
    let end = text.char_indices().nth(AGENT_MAX_CHARS).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

impl Event {
    /// Reads one out of a JSON text that was checked ([`json::check`](super::json::check)).
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the fields. The places begin with `body`.
    pub(super) fn read(text: &str, sender: &Sender) -> Result<Self, Vec<Problem>> {
        let Ok(fields) = serde_json::from_str(text) else {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            return Err(vec![problem("model_attributes_type", None, msg, shown(text))]);
        };
        Self::of(fields, text, sender)
    }

    /// Reads one out of a JSON text whose syntax nobody has looked at; nothing if that is anything but an object that can be kept.
    pub(super) fn read_at_once(text: &str, sender: &Sender) -> Option<Result<Self, Vec<Problem>>> {
        let fields = serde_json::from_str(text).ok()?;
        check(text).ok()?;
        Some(Self::of(fields, text.trim_ascii(), sender))
    }

    fn of(fields: Fields<'_>, text: &str, sender: &Sender) -> Result<Self, Vec<Problem>> {
        let mut found = Found { text, problems: Vec::new() };
        let visitor_id = found.text(fields.visitor_id, "visitor_id", VISITOR_CHARS);
        let name = found.text(fields.event, "event", NAME_CHARS);
        let timestamp = found.time(fields.timestamp);
        let metadata = found.metadata(fields.metadata);
        let user_agent = found.user_agent(fields.user_agent);
        if !found.problems.is_empty() {
            return Err(found.problems);
        }
        Ok(Self {
            visitor_id,
            name,
            timestamp: timestamp.unwrap_or(sender.now),
            metadata,
            user_agent: user_agent.or_else(|| sender.user_agent.clone()),
        })
    }

    /// The memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let agent = self.user_agent.as_ref().map_or(0, |agent| agent.len());
        size_of::<Self>() + self.visitor_id.len() + self.name.len() + self.metadata.len() + agent
    }
}

/// Takes values out of fields, and notes what is wrong with them.
struct Found<'t> {
    /// The whole object.
    text: &'t str,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn text(&mut self, field: Option<&RawValue>, name: &'static str, length: Length) -> String {
        let Some(raw) = field.map(RawValue::get) else {
            self.problems.push(problem("missing", Some(name), "Field required", shown(self.text)));
            return String::new();
        };
        let Some(sent) = text_of(raw) else {
            self.problems.push(problem("string_type", Some(name), "Input should be a valid string", shown(raw)));
            return String::new();
        };
        let text = sent.trim();
        self.problems.extend(length.problem(|| place(Some(name)), text, &sent));
        text.to_owned()
    }

    fn time(&mut self, field: Option<&RawValue>) -> Option<Timestamp> {
        const NAME: &str = "timestamp";
        let raw = field?.get();
        let read = match text_of(raw) {
            Some(text) => Some(time::parse(&text)),
            None => time::number(raw),
        };
        let found = match read {
            Some(Ok(at)) => return Some(at),
            None => problem("datetime_type", Some(NAME), "Input should be a valid datetime", shown(raw)),
            Some(Err(NoTime::Text(why))) => {
                let msg = format!("Input should be a valid datetime or date, {why}");
                let problem = problem("datetime_from_date_parsing", Some(NAME), &msg, shown(raw));
                Problem { ctx: Some(json!({ "error": why })), ..problem }
            }
            Some(Err(NoTime::OutOfRange)) => {
                let why = "only unix timestamps of the years 1 to 9999 are supported";
                let msg = format!("Input should be a valid datetime, {why}");
                let problem = problem("datetime_parsing", Some(NAME), &msg, shown(raw));
                Problem { ctx: Some(json!({ "error": why })), ..problem }
            }
        };
        self.problems.push(found);
        None
    }

    fn metadata(&mut self, field: Option<&RawValue>) -> String {
        let raw = field.map_or("{}", RawValue::get);
        let mut text = String::with_capacity(raw.len() + raw.len() / 8);
        if raw.starts_with('{') {
            rewrite(raw, Blanks::One, &mut text);
        } else {
            self.problems.push(problem(
                "dict_type",
                Some("metadata"),
                "Input should be a valid dictionary",
                shown(raw),
            ));
        }
        text
    }

    fn user_agent(&mut self, field: Option<&RawValue>) -> Option<Arc<str>> {
        let raw = field?.get();
        if raw == "null" {
            return None;
        }
        let text = text_of(raw);
        if text.is_none() {
            let found = problem("string_type", Some("user_agent"), "Input should be a valid string", shown(raw));
            self.problems.push(found);
        }
        text.map(|text| first_chars(&text).into())
    }
}

/// What a JSON text says if it is a string.
fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    let quoted = raw.strip_prefix('"')?.strip_suffix('"')?;
    // Nearly every text is as it is.
    if memchr(b'\\', quoted.as_bytes()).is_none() {
        return Some(Cow::Borrowed(quoted));
    }
    unquoted(raw).map(Cow::Owned)
}

fn place(field: Option<&'static str>) -> Vec<Value> {
    [Some("body"), field].into_iter().flatten().map(Value::from).collect()
}

fn problem(kind: &'static str, field: Option<&'static str>, msg: &str, input: Value) -> Problem {
    Problem { kind, loc: place(field), msg: msg.to_owned(), input, ctx: None, hint: "" }
}

/// As much of a JSON text as an error repeats.
fn shown(raw: &str) -> Value {
    // A number with hundreds of digits is none that a value can hold.
    serde_json::from_str(raw).map_or_else(|_| echo_text(raw), |value| echo(&value))
}

/// The fields of an object as they were sent; of one that comes twice the last. All others are ignored.
#[derive(Default)]
struct Fields<'t> {
    visitor_id: Option<&'t RawValue>,
    event: Option<&'t RawValue>,
    timestamp: Option<&'t RawValue>,
    metadata: Option<&'t RawValue>,
    user_agent: Option<&'t RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    VisitorId,
    Event,
    Timestamp,
    Metadata,
    UserAgent,
    #[serde(other)]
    Other,
}

/// By hand: a derived one refuses a field that comes twice, and takes `null` for one that is absent.
impl<'de: 't, 't> Deserialize<'de> for Fields<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Fields::default();
                while let Some(name) = members.next_key::<Name>()? {
                    let field = match name {
                        Name::VisitorId => &mut fields.visitor_id,
                        Name::Event => &mut fields.event,
                        Name::Timestamp => &mut fields.timestamp,
                        Name::Metadata => &mut fields.metadata,
                        Name::UserAgent => &mut fields.user_agent,
                        Name::Other => {
                            members.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = Some(members.next_value()?);
                }
                Ok(fields)
            }
        }

        de::Deserializer::deserialize_map(deserializer, Object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::utc;
    use super::*;

    const NOW: Timestamp = Timestamp(1_760_013_296_000_007);

    fn read_as(text: &str, agent: Option<&[u8]>) -> Result<Event, Vec<Value>> {
        check(text).unwrap();
        Event::read(text, &Sender::new(agent, NOW)).map_err(|problems| problems.iter().map(Problem::to_json).collect())
    }

    fn good(text: &str) -> Event {
        read_as(text, Some(b"curl/8.5")).unwrap()
    }

    fn bad(text: &str) -> Value {
        let problems = read_as(text, None).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    /// An event in which this member stands instead of a good one.
    fn with(member: &str) -> String {
        let name = member.split(':').next().unwrap();
        let all = [r#""visitor_id":"v-0001a""#, r#""event":"page_view""#];
        let others: Vec<&str> = all.into_iter().filter(|other| !other.starts_with(name)).collect();
        format!("{{{},{member}}}", others.join(","))
    }

    #[test]
    fn fields_are_trimmed_and_what_is_absent_has_its_default() {
        let event = good(&with(r#""visitor_id":"\u00a0 v-0001a\n""#));
        assert_eq!((event.visitor_id.as_str(), event.name.as_str()), ("v-0001a", "page_view"));
        assert_eq!((event.timestamp, event.metadata.as_str()), (NOW, "{}"));
        assert_eq!(event.user_agent.as_deref(), Some("curl/8.5"));
        assert_eq!(good(&with(r#""event":" перегляд ""#)).name, "перегляд");
        assert_eq!(
            good(&with(r#""metadata":{"n":12345678901234567890123,"a":[1,{}]}"#)).metadata,
            r#"{"n": 12345678901234567890123, "a": [1, {}]}"#
        );
        let event = good(&with(r#""visitor_id":"first-1","visitor_id":"second-2""#));
        assert_eq!(event.visitor_id, "second-2", "the last one counts");
        assert_eq!(good(&with(r#""\u0065vent":"x","unknown":[null]"#)).name, "x", "names may be escaped, too");
    }

    #[test]
    fn the_agent_is_the_clients_or_else_the_headers_and_cut_in_either_case() {
        let long = "é".repeat(300);
        let of = |member: &str, header: Option<&[u8]>| read_as(&with(member), header).unwrap().user_agent;
        assert_eq!(of(r#""user_agent":null"#, Some(b"a")).as_deref(), Some("a"));
        assert_eq!(of(r#""user_agent":"""#, Some(b"a")).as_deref(), Some(""));
        assert_eq!(of(r#""x":1"#, Some(b"")).as_deref(), Some(""));
        assert_eq!(of(r#""x":1"#, None), None);
        assert_eq!(of(&format!(r#""user_agent":"{long}""#), None).as_deref(), Some(&*"é".repeat(256)));
        assert_eq!(of(r#""x":1"#, Some(long.as_bytes())).as_deref(), Some(&*"é".repeat(256)));
        assert_eq!(of(r#""x":1"#, Some(b"caf\xe9")).as_deref(), Some("café"));
        assert_eq!(bad(&with(r#""user_agent":7"#))["type"], "string_type");
    }

    #[test]
    fn lengths_are_those_of_the_trimmed_text_in_characters() {
        for (id, fits) in [("абвгде", true), ("  12345 ", false), (&"🖋".repeat(64), true), (&"x".repeat(65), false)]
        {
            assert_eq!(read_as(&with(&format!(r#""visitor_id":"{id}""#)), None).is_ok(), fits, "{id}");
        }
        assert_eq!(
            bad(&with(r#""visitor_id":"  123 ""#)),
            json!({ "type": "string_too_short", "loc": ["body", "visitor_id"],
                    "msg": "String should have at least 6 characters", "input": "  123 ", "ctx": { "min_length": 6 } })
        );
        assert_eq!(bad(&with(r#""event":"   ""#))["msg"], "String should have at least 1 character");
        let long = bad(&with(&format!(r#""event":"{}""#, "x".repeat(65))));
        assert_eq!((&long["type"], &long["ctx"]), (&json!("string_too_long"), &json!({ "max_length": 64 })));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_in_the_order_of_the_fields() {
        let problems = read_as(r#"{"user_agent":[],"metadata":[],"timestamp":true,"event":1}"#, None).unwrap_err();
        let said: Vec<_> =
            problems.iter().map(|problem| (problem["type"].as_str().unwrap(), problem["loc"][1].clone())).collect();
        assert_eq!(
            said,
            [
                ("missing", json!("visitor_id")),
                ("string_type", json!("event")),
                ("datetime_type", json!("timestamp")),
                ("dict_type", json!("metadata")),
                ("string_type", json!("user_agent"))
            ]
        );
        assert_eq!(problems[0]["input"]["event"], 1, "the whole object");
        for (member, kind) in [
            (r#""timestamp":null"#, "datetime_type"),
            (r#""timestamp":[1]"#, "datetime_type"),
            (r#""timestamp":"20251009T123456Z""#, "datetime_from_date_parsing"),
            (r#""timestamp":1e300"#, "datetime_parsing"),
            (r#""metadata":null"#, "dict_type"),
            (r#""metadata":"{}""#, "dict_type"),
        ] {
            assert_eq!(bad(&with(member))["type"], kind, "{member}");
        }
        let bad_time = bad(&with(r#""timestamp":"2025-02-30""#));
        assert_eq!(bad_time["msg"], "Input should be a valid datetime or date, day value is outside expected range");
        assert_eq!(bad_time["ctx"]["error"], "day value is outside expected range");
        assert_eq!(bad("\"text\"")["type"], "model_attributes_type");
        assert_eq!(bad(&"9".repeat(400))["input"].as_str().unwrap().len(), 200 + "...<truncated>".len());
    }

    #[test]
    fn times_of_all_kinds_become_utc() {
        let at = |value: &str| utc(good(&with(&format!(r#""timestamp":{value}"#))).timestamp).to_string();
        assert_eq!(at(r#""2025-10-09T12:34:56+03:00""#), "2025-10-09T09:34:56Z");
        assert_eq!(at("1760013296789"), "2025-10-09T12:34:56.789000Z");
        assert_eq!(at("-0.5"), "1969-12-31T23:59:59.500000Z");
        assert_eq!(at(r#""1760013296""#), "2025-10-09T12:34:56Z");
    }
}
