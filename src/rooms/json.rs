//! The JSON messages of rooms (contract 03 §1.3): what a client says, and what it is told, key for key as the original writes
//! it. Pure.
//!
//! What clients pass to each other is not read: it goes on as it was written, but for the blanks between its parts, so that
//! no number or escape changes on its way.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// How deep what clients say may be nested. `serde_json` has this bound for what it keeps; what it passes over has none, and
/// who reads it in the end may have a smaller stack.
pub const JSON_DEPTH_MAX: usize = 128;

/// The length of the random end of a connection's id, at most.
const RANDOM_MAX_CHARS: u32 = 9;

/// What a client has said in a text frame.
#[derive(Debug)]
pub enum Said<'a> {
    /// To all others: who it is. Not kept. The data is absent if it was.
    Awareness {
        /// Whatever it is.
        data: Option<&'a RawValue>,
    },
    /// To one other, or to all: how to reach it.
    Signal {
        /// The id of the connection it is for; all others if there is none.
        target: Option<Cow<'a, str>>,
        /// Whatever it is.
        signal: Option<&'a RawValue>,
    },
    /// Asks who else is there.
    GetPeers,
    /// To all others: something of the application.
    Custom {
        /// Whatever it is.
        data: Option<&'a RawValue>,
    },
    /// Nothing that is known here: not JSON, not an object, another `type`, nested too deep, or for a target that cannot be.
    Ignored,
}

/// Reads a text frame.
pub fn said(text: &str) -> Said<'_> {
    Said::of(text)
}

impl<'a> Said<'a> {
    fn of(text: &'a str) -> Self {
        if is_too_deep(text) {
            return Self::Ignored;
        }
        let Ok(Members { kind: Text::Is(kind), target, signal, data }) = serde_json::from_str(text) else {
            return Self::Ignored;
        };
        match &*kind {
            "awareness" => Self::Awareness { data },
            "webrtc-signal" => match target {
                Text::Is(target) => Self::Signal { target: Some(target).filter(|target| !target.is_empty()), signal },
                Text::Absent => Self::Signal { target: None, signal },
                Text::Other => Self::Ignored,
            },
            "get-peers" => Self::GetPeers,
            "custom" => Self::Custom { data },
            _ => Self::Ignored,
        }
    }
}

/// The members of an object that mean something here. Of two of one name the last counts, as for `JSON.parse`.
struct Members<'a> {
    kind: Text<'a>,
    target: Text<'a>,
    signal: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
}

/// The value of a member that should be text.
pub(super) enum Text<'a> {
    /// There is none, or one that JavaScript takes for none: `null`, `false`, `0`.
    Absent,
    /// It is.
    Is(Cow<'a, str>),
    /// It is something else.
    Other,
}

impl<'a> Text<'a> {
    pub(super) fn of(value: &'a RawValue) -> Self {
        match value.get() {
            "null" | "false" | "0" | "-0" => Self::Absent,
            text if text.starts_with('"') => {
                serde_json::from_str::<Name<'_>>(text).map_or(Self::Other, |Name(text)| Self::Is(text))
            }
            _ => Self::Other,
        }
    }
}

/// Text that is borrowed if it has no escapes.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'a> Visitor<'a> for MembersVisitor {
    type Value = Members<'a>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members { kind: Text::Absent, target: Text::Absent, signal: None, data: None };
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "type" => members.kind = Text::of(map.next_value()?),
                "targetId" => members.target = Text::of(map.next_value()?),
                "signal" => members.signal = Some(map.next_value()?),
                "data" => members.data = Some(map.next_value()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(members)
    }
}

/// The id of a connection: the room, the time in milliseconds since 1970, and up to nine characters out of a random number.
pub fn connection_id(room: &str, at_ms: i64, random: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut left = random % 36_u64.pow(RANDOM_MAX_CHARS);
    let mut id = format!("{room}-{at_ms}-");
    loop {
        id.push(char::from(DIGITS[(left % 36) as usize]));
        left /= 36;
        if left == 0 {
            return id;
        }
    }
}

/// The first message: its own id and those of the others, in the order in which they came.
pub fn init(connection_id: &str, peers: &[impl AsRef<str>]) -> String {
    Object::of("init").text("connectionId", connection_id).texts("peers", peers).end()
}

/// Who else is there.
pub fn peers(peers: &[impl AsRef<str>]) -> String {
    Object::of("peers").texts("peers", peers).end()
}

/// Somebody has left.
pub fn peer_disconnected(connection_id: &str) -> String {
    Object::of("peer-disconnected").text("connectionId", connection_id).end()
}

/// Who somebody is.
pub fn awareness(client_id: &str, data: Option<&RawValue>) -> String {
    Object::of("awareness").text("clientId", client_id).raw("data", data).end()
}

/// How to reach somebody.
pub fn signal(from: &str, signal: Option<&RawValue>) -> String {
    Object::of("webrtc-signal").text("from", from).raw("signal", signal).end()
}

/// Something of the application.
pub fn custom(from: &str, data: Option<&RawValue>) -> String {
    Object::of("custom").text("from", from).raw("data", data).end()
}

/// Everything up to this number is on disk (contract 03 §4.5). Not of the original; only for who asked for it.
pub fn saved(seq: u64) -> String {
    Object::of("saved").number("seq", seq).end()
}

/// An object while it is written, without blanks.
pub(super) struct Object(String);

impl Object {
    /// With this `type` as its first member.
    pub(super) fn of(kind: &str) -> Self {
        Self::empty().text("type", kind)
    }

    /// Without members.
    pub(super) fn empty() -> Self {
        Self("{".to_owned())
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        push_text(&mut self.0, value);
        self
    }

    pub(super) fn number(mut self, name: &str, value: u64) -> Self {
        self.name(name);
        self.0.push_str(itoa::Buffer::new().format(value));
        self
    }

    /// A value as it was written, but for blanks; no member, if there is none.
    pub(super) fn raw(mut self, name: &str, value: Option<&RawValue>) -> Self {
        if let Some(value) = value {
            self.name(name);
            push_compact(&mut self.0, value.get());
        }
        self
    }

    fn texts(mut self, name: &str, values: &[impl AsRef<str>]) -> Self {
        self.name(name);
        self.0.push('[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            push_text(&mut self.0, value.as_ref());
        }
        self.0.push(']');
        self
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_text(&mut self.0, name);
        self.0.push(':');
    }
}

fn push_text(out: &mut String, text: &str) {
    // Text always serialises; the error type only has no way to say so.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Appends JSON without the blanks between its parts.
fn push_compact(out: &mut String, json: &str) {
    out.reserve(json.len());
    let mut texts = Texts::default();
    out.extend(json.chars().filter(|letter| {
        let is_in_text = texts.is_within(*letter);
        is_in_text || !matches!(letter, ' ' | '\t' | '\n' | '\r')
    }));
}

/// Follows JSON and knows where its texts are.
#[derive(Default)]
struct Texts {
    is_in: bool,
    is_escaped: bool,
}

impl Texts {
    /// Whether this character, which comes next, belongs to a text. Its quotes do not.
    fn is_within(&mut self, letter: char) -> bool {
        let was_in = self.is_in;
        match letter {
            _ if std::mem::take(&mut self.is_escaped) => {}
            '\\' => self.is_escaped = self.is_in,
            '"' => self.is_in = !self.is_in,
            _ => {}
        }
        was_in && self.is_in
    }
}

/// Whether this JSON is nested deeper than [`JSON_DEPTH_MAX`].
pub(super) fn is_too_deep(json: &str) -> bool {
    let (mut texts, mut depth) = (Texts::default(), 0_usize);
    json.chars().any(|letter| {
        if !texts.is_within(letter) {
            match letter {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        depth > JSON_DEPTH_MAX
    })
}

/// Whether this is JSON, an object, and not too deep. Nothing is kept of it.
pub(super) fn is_object(json: &str) -> bool {
    // Looked at without a stack of its own: the depth is no danger before it is known.
    json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok() && !is_too_deep(json)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// What is made of it, in words.
    fn heard(text: &str) -> String {
        let raw = |value: Option<&RawValue>| value.map_or("-", RawValue::get).to_owned();
        match said(text) {
            Said::Awareness { data } => format!("awareness {}", raw(data)),
            Said::Signal { target, signal } => {
                format!("signal to {} {}", target.as_deref().unwrap_or("all"), raw(signal))
            }
            Said::GetPeers => "get-peers".to_owned(),
            Said::Custom { data } => format!("custom {}", raw(data)),
            Said::Ignored => "ignored".to_owned(),
        }
    }

    #[test]
    fn what_the_original_understands_is_understood() {
        for (text, meaning) in [
            (r#"{"type":"awareness","data":{"n":1}}"#, r#"awareness {"n":1}"#),
            (r#"{"type":"awareness"}"#, "awareness -"),
            (r#" { "data" : null , "type" : "awareness" } "#, "awareness null"),
            (
                r#"{"type":"webrtc-signal","targetId":"r-1-a","signal":{"sdp":"v=0"}}"#,
                r#"signal to r-1-a {"sdp":"v=0"}"#,
            ),
            (r#"{"type":"webrtc-signal","targetId":"r\u002d1","signal":1}"#, "signal to r-1 1"),
            (r#"{"type":"webrtc-signal","targetId":"","signal":1}"#, "signal to all 1"),
            (r#"{"type":"webrtc-signal","targetId":null,"signal":1}"#, "signal to all 1"),
            (r#"{"type":"webrtc-signal","targetId":0}"#, "signal to all -"),
            (r#"{"type":"webrtc-signal","signal":"s"}"#, r#"signal to all "s""#),
            (r#"{"type":"webrtc-signal","targetId":7,"signal":1}"#, "ignored"),
            (r#"{"type":"webrtc-signal","targetId":{},"signal":1}"#, "ignored"),
            (r#"{"type":"get-peers"}"#, "get-peers"),
            (r#"{"typ\u0065":"get-peers","x":[{}]}"#, "get-peers"),
            (r#"{"type":"custom","data":[1, 2]}"#, "custom [1, 2]"),
            (r#"{"type":"custom","data":1,"type":"awareness","data":2}"#, "awareness 2"),
            (r#"{"type":"custom","type":null}"#, "ignored"),
            (r#"{"type":"Custom"}"#, "ignored"),
            (r#"{"type":7}"#, "ignored"),
            (r#"{"type":["custom"]}"#, "ignored"),
            ("{}", "ignored"),
            ("null", "ignored"),
            ("7", "ignored"),
            (r#"["custom"]"#, "ignored"),
            (r#""custom""#, "ignored"),
            (r#"{"type":"get-peers"} {}"#, "ignored"),
            (r#"{"type":"get-peers""#, "ignored"),
            ("", "ignored"),
            ("hello", "ignored"),
            ("\u{feff}{\"type\":\"get-peers\"}", "ignored"),
        ] {
            assert_eq!(heard(text), meaning, "{text}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_ignored() {
        let nested = |depth: usize| {
            format!(r#"{{"type":"custom","data":{}"]}}"{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert!(heard(&nested(JSON_DEPTH_MAX)).starts_with("custom"));
        assert_eq!(heard(&nested(JSON_DEPTH_MAX + 1)), "ignored");
        assert_eq!(heard(&nested(30_000)), "ignored");
        assert!(!is_object(&nested(JSON_DEPTH_MAX + 1)) && is_object(&nested(JSON_DEPTH_MAX)));
    }

    /// The `data` of what a client says.
    fn data(text: &str) -> Option<&RawValue> {
        match said(text) {
            Said::Custom { data } => data,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_told_is_the_contracts_byte_for_byte() {
        let some = data(r#"{"type":"custom","data": { "a b" : [ 1 , 2.50 , "x \" y \\" ] , "e" : "\u00e9\ud83d" } }"#);
        let passed = r#"{"a b":[1,2.50,"x \" y \\"],"e":"\u00e9\ud83d"}"#;
        for (told, expected) in [
            (
                init("room-123-1706438400000-abc123", &["room-123-1706438300000-def456"]),
                r#"{"type":"init","connectionId":"room-123-1706438400000-abc123","peers":["room-123-1706438300000-def456"]}"#.to_owned(),
            ),
            (init("a", &[""; 0]), r#"{"type":"init","connectionId":"a","peers":[]}"#.to_owned()),
            (peers(&["a", "b\"é"]), r#"{"type":"peers","peers":["a","b\"é"]}"#.to_owned()),
            (peer_disconnected("a"), r#"{"type":"peer-disconnected","connectionId":"a"}"#.to_owned()),
            (awareness("a", some), format!(r#"{{"type":"awareness","clientId":"a","data":{passed}}}"#)),
            (awareness("a", None), r#"{"type":"awareness","clientId":"a"}"#.to_owned()),
            (signal("a", some), format!(r#"{{"type":"webrtc-signal","from":"a","signal":{passed}}}"#)),
            (signal("a", None), r#"{"type":"webrtc-signal","from":"a"}"#.to_owned()),
            (custom("a", some), format!(r#"{{"type":"custom","from":"a","data":{passed}}}"#)),
            (custom("a", data(r#"{"type":"custom","data":null}"#)), r#"{"type":"custom","from":"a","data":null}"#.to_owned()),
            (saved(42), r#"{"type":"saved","seq":42}"#.to_owned()),
        ] {
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn ids_have_the_room_the_time_and_up_to_nine_characters() {
        assert_eq!(connection_id("room-123", 1_706_438_400_000, 0), "room-123-1706438400000-0");
        assert_eq!(connection_id("r", 1, 35 + 36), "r-1-z1");
        for random in [u64::MAX, 36_u64.pow(9) - 1, 123_456_789_012] {
            let id = connection_id("r", 1, random);
            let end = id.strip_prefix("r-1-").unwrap();
            assert!(
                (1..=9).contains(&end.len())
                    && end.bytes().all(|byte| b"0123456789abcdefghijklmnopqrstuvwxyz".contains(&byte)),
                "{id}"
            );
        }
    }

    /// Any JSON that nests no deeper than it may.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_passed_on_is_what_was_said(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let came = format!("{{\n\"data\" : {text}, \"type\":\"custom\" }}");
            let told = custom("a", data(&came));
            prop_assert_eq!(&told, &format!(r#"{{"type":"custom","from":"a","data":{value}}}"#));
        }

        #[test]
        fn any_text_is_understood_or_ignored(text: String) {
            prop_assert!(!matches!(said(&text), Said::GetPeers));
            let _ = is_object(&text);
        }
    }
}
