//! The shape of what clients send: typed values out of bodies and queries, all problems at once.
//!
//! The items of a 422 are those of contract 01 §3.3: `type`, `loc`, `msg`, `input` and, for bounds, `ctx`. Lengths
//! count Unicode code points. An echoed input is capped (R20c): a client sees what it sent without being sent it all.

use std::borrow::Cow;
use std::num::IntErrorKind;
use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::error::ApiError;
pub use super::problem::Problem;
use crate::text::cut;

/// Code points of a string that an error echoes.
pub const ECHO_CHARS: usize = 200;
/// Items or members that an error looks at of an object or array that it echoes.
const ECHO_PARTS: usize = 200;
/// Bytes of JSON that an error echoes of an object or array; a larger one is echoed as its beginning.
pub const ECHO_JSON_BYTES: usize = 1024;
/// curl and forms send something else unless told, and the item of `detail` alone does not say so.
const NOT_SENT_AS_JSON: &str = "; was it sent with Content-Type: application/json?";

/// The body of a request, as far as it can be told before anyone knows what it should hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// There was none, or it was `null`.
    Absent,
    /// A JSON value.
    Json(Value),
    /// Something that does not say it is JSON.
    Other(String),
    /// Something that should be JSON and is not, by what is wrong with it; only where the handler is to say so
    /// ([`Reads::JsonLater`](super::Reads)).
    Broken(Problem),
}

impl Body {
    /// Reads a body by its content type (contract 01 §0.5): JSON for `application/json`, `application/*+json` and when
    /// nothing is said.
    ///
    /// # Errors
    /// 422 `json_invalid`.
    pub fn read(content_type: Option<&[u8]>, bytes: &[u8]) -> Result<Self, ApiError> {
        let body = Self::parse(content_type, bytes);
        body.is_whole().map(|()| body)
    }

    /// The same, where what cannot be parsed is a body, too.
    #[must_use]
    pub fn parse(content_type: Option<&[u8]>, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::Absent;
        }
        let bytes = &*plain_bytes(bytes);
        if !content_type.is_none_or(is_json) {
            return Self::Other(String::from_utf8_lossy(bytes).into_owned());
        }
        let parsed = serde_json::from_slice(bytes);
        // Another reading only after the strict one: hardly any body has such a number.
        match parsed.or_else(|error| {
            without_non_numbers(bytes).and_then(|plain| serde_json::from_slice(&plain).ok()).ok_or(error)
        }) {
            Ok(Value::Null) => Self::Absent,
            Ok(value) => Self::Json(value),
            Err(error) => {
                Self::Broken(json_invalid(char_offset(bytes, error_place(bytes, &error)), &error.to_string()))
            }
        }
    }

    /// Whether what should be JSON is.
    ///
    /// # Errors
    /// 422 `json_invalid`.
    pub fn is_whole(&self) -> Result<(), ApiError> {
        match self {
            Self::Broken(problem) => Err(ApiError::invalid(std::slice::from_ref(problem))),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a body that is no JSON from this character on, in the parser's words.
pub fn json_invalid(at: usize, why: &str) -> Problem {
    Problem {
        kind: "json_invalid",
        loc: vec!["body".into(), at.into()],
        msg: "JSON decode error".to_owned(),
        input: json!({}),
        ctx: Some(json!({ "error": why })),
        hint: "",
    }
}

/// The bytes as UTF-8, if they are in one of the encodings that are read, and without a byte order mark. The original's parser takes UTF-16 and UTF-32 as well, told by their mark or
/// by where the zeros are: a JSON text begins with two ASCII characters.
pub fn plain_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let decoded = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return Cow::Borrowed(rest),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0, 0, 0, 1..=255, ..] => utf32(bytes, u32::from_be_bytes),
        [1..=255, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [0, 1..=255, ..] => utf16(bytes, u16::from_be_bytes),
        [1..=255, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => None,
    };
    decoded.map_or(Cow::Borrowed(bytes), |text| Cow::Owned(text.into_bytes()))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect();
    text.ok().filter(|_| rest.is_empty())
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text: Option<String> = units.iter().map(|bytes| char::from_u32(unit(*bytes))).collect();
    text.filter(|_| rest.is_empty())
}

/// The text with `null` for each `NaN`, `Infinity` and `-Infinity`, which the original's parser reads as numbers; none where
/// there are none. No field of ours is a number, so it does not matter which it was.
fn without_non_numbers(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut plain, mut rest, mut found) = (Vec::with_capacity(bytes.len()), bytes, false);
    let mut quoted = false;
    while let Some((&first, others)) = rest.split_first() {
        let word = [&b"NaN"[..], b"-Infinity", b"Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word));
        if let Some(word) = word {
            plain.extend_from_slice(b"null");
            (rest, found) = (&rest[word.len()..], true);
            continue;
        }
        plain.push(first);
        rest = others;
        match first {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                if let Some((&escaped, others)) = rest.split_first() {
                    plain.push(escaped);
                    rest = others;
                }
            }
            _ => {}
        }
    }
    found.then_some(plain)
}

fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || (essence.starts_with(b"application/") && essence.ends_with(b"+json"))
}

/// Where a parse error is, in bytes from the beginning; a text that stops too early is wrong at its end.
pub fn error_place(bytes: &[u8], error: &serde_json::Error) -> usize {
    let line_start: usize =
        bytes.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    let column = line_start + error.column().saturating_sub(1);
    if error.is_eof() { bytes.len() } else { column.min(bytes.len()) }
}

/// How many code points stand before this place.
pub fn char_offset(bytes: &[u8], place: usize) -> usize {
    String::from_utf8_lossy(&bytes[..place.min(bytes.len())]).chars().count()
}

/// Collects problems while a handler takes its values; [`Check::done`] turns them into one 422.
#[derive(Debug, Default)]
pub struct Check {
    problems: Vec<Problem>,
}

/// Bounds of a text in code points.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    min: usize,
    max: usize,
}

impl Length {
    /// Any text.
    pub const ANY: Self = Self { min: 0, max: usize::MAX };

    /// From `min` to `max` code points, both allowed.
    pub const fn between(min: usize, max: usize) -> Self {
        Self { min, max }
    }

    /// What is wrong with the length of a text, if anything is. `sent` is what the client has sent for it, and `loc` makes its place.
    pub fn problem(self, loc: impl FnOnce() -> Vec<Value>, text: &str, sent: &str) -> Option<Problem> {
        let (Self { min, max }, chars) = (self, text.chars().count());
        let (kind, msg, ctx) = if chars < min {
            let plural = if min == 1 { "" } else { "s" };
            let msg = format!("String should have at least {min} character{plural}");
            ("string_too_short", msg, json!({ "min_length": min }))
        } else if chars > max {
            ("string_too_long", format!("String should have at most {max} characters"), json!({ "max_length": max }))
        } else {
            return None;
        };
        Some(Problem { kind, loc: loc(), msg, input: echo_text(sent), ctx: Some(ctx), hint: "" })
    }
}

impl Check {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The members of a body that must be an object. `None` when it is not; its fields are then not looked at.
    pub fn object<'b>(&mut self, body: &'b Body) -> Option<&'b Map<String, Value>> {
        let not_an_object = "Input should be a valid dictionary or object to extract fields from";
        let (kind, msg, input) = match body {
            Body::Json(Value::Object(members)) => return Some(members),
            Body::Broken(problem) => {
                self.problems.push(problem.clone());
                return None;
            }
            Body::Absent => ("missing", "Field required", Value::Null),
            Body::Json(other) => ("model_attributes_type", not_an_object, echo(other)),
            Body::Other(text) => ("model_attributes_type", not_an_object, echo_text(text)),
        };
        let hint = if matches!(body, Body::Other(_)) { NOT_SENT_AS_JSON } else { "" };
        self.problems.push(Problem { kind, loc: vec!["body".into()], msg: msg.to_owned(), input, ctx: None, hint });
        None
    }

    /// A required text of the body. What it returns is only meaningful after [`Check::done`].
    pub fn text(&mut self, members: Option<&Map<String, Value>>, name: &'static str, length: Length) -> String {
        let Some(members) = members else { return String::new() };
        match members.get(name) {
            Some(value) => self.body_text(value, name, length),
            None => {
                self.missing("body", name, echo(&Value::Object(members.clone())));
                String::new()
            }
        }
    }

    /// A text of the body that may be absent or `null`.
    pub fn optional_text(
        &mut self,
        members: Option<&Map<String, Value>>,
        name: &'static str,
        length: Length,
    ) -> Option<String> {
        let value = members?.get(name).filter(|value| !value.is_null())?;
        Some(self.body_text(value, name, length))
    }

    /// A required whole number of the body. What it returns is only meaningful after [`Check::done`].
    pub fn required_number(
        &mut self,
        members: Option<&Map<String, Value>>,
        name: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> i64 {
        if let Some(members) = members.filter(|members| !members.contains_key(name)) {
            self.missing("body", name, echo(&Value::Object(members.clone())));
        }
        self.number(members, name, bounds).unwrap_or_default()
    }

    /// An object of the body that may be absent or `null`.
    pub fn optional_object<'b>(
        &mut self,
        members: Option<&'b Map<String, Value>>,
        name: &'static str,
    ) -> Option<&'b Map<String, Value>> {
        let value = members?.get(name).filter(|value| !value.is_null())?;
        if !value.is_object() {
            let (kind, msg) = ("dict_type", "Input should be a valid dictionary".to_owned());
            let loc = vec!["body".into(), name.into()];
            self.problems.push(Problem { kind, loc, msg, input: echo(value), ctx: None, hint: "" });
        }
        value.as_object()
    }

    /// One of these words of the body; none if it is absent. `kind` is what the catalogue calls a value that is none of them.
    pub fn choice(
        &mut self,
        members: Option<&Map<String, Value>>,
        (name, kind): (&'static str, &'static str),
        words: &[&'static str],
    ) -> Option<&'static str> {
        let value = members?.get(name)?;
        let chosen = words.iter().find(|word| value.as_str() == Some(word));
        if chosen.is_none() {
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            let expected = match quoted.split_last() {
                Some((last, [])) => last.clone(),
                Some((last, others)) => format!("{} or {last}", others.join(", ")),
                None => String::new(),
            };
            let (loc, msg) = (vec!["body".into(), name.into()], format!("Input should be {expected}"));
            let ctx = Some(json!({ "expected": expected }));
            self.problems.push(Problem { kind, loc, msg, input: echo(value), ctx, hint: "" });
        }
        chosen.copied()
    }

    /// One of these words of the body, which must be there.
    pub fn required_choice(
        &mut self,
        members: Option<&Map<String, Value>>,
        (name, kind): (&'static str, &'static str),
        words: &[&'static str],
    ) -> Option<&'static str> {
        if let Some(members) = members.filter(|members| !members.contains_key(name)) {
            self.missing("body", name, echo(&Value::Object(members.clone())));
        }
        self.choice(members, (name, kind), words)
    }

    /// A yes or no of the body, in any of the spellings that the original takes; none if it is absent.
    pub fn flag(&mut self, members: Option<&Map<String, Value>>, name: &'static str) -> Option<bool> {
        let value = members?.get(name)?;
        let read = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
            Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
            Value::Number(_) => None,
            Value::String(text) => flag_of(text),
            _ => {
                let msg = "Input should be a valid boolean".to_owned();
                let loc = vec!["body".into(), name.into()];
                self.problems.push(Problem { kind: "bool_type", loc, msg, input: echo(value), ctx: None, hint: "" });
                return None;
            }
        };
        self.read_flag(read, "body", name, || echo(value))
    }

    /// A yes or no of the query.
    pub fn query_flag(&mut self, value: Option<String>, name: &'static str) -> Option<bool> {
        let text = value?;
        self.read_flag(flag_of(&text), "query", name, || echo_text(&text))
    }

    fn read_flag(
        &mut self,
        read: Option<bool>,
        place: &'static str,
        name: &'static str,
        input: impl FnOnce() -> Value,
    ) -> Option<bool> {
        if read.is_none() {
            let msg = "Input should be a valid boolean, unable to interpret input".to_owned();
            let loc = vec![place.into(), name.into()];
            self.problems.push(Problem { kind: "bool_parsing", loc, msg, input: input(), ctx: None, hint: "" });
        }
        read
    }

    /// A whole number of the body within bounds, also one that is written as a text or with `.0`; none if it is absent.
    pub fn number(
        &mut self,
        members: Option<&Map<String, Value>>,
        name: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = members?.get(name)?;
        let (kind, why) = match value {
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => return self.within("body", name, whole, bounds, || echo(value)),
                (None, Some(float)) if float.fract() != 0.0 => {
                    ("int_from_float", ", got a number with a fractional part")
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole; what is too large for it is out of any bounds"
                )]
                (None, Some(float)) => return self.within("body", name, float as i64, bounds, || echo(value)),
                _ => ("int_parsing", ", unable to parse string as an integer"),
            },
            Value::String(text) => match text.trim().strip_suffix(".0").unwrap_or(text.trim()).parse::<i64>() {
                Ok(whole) => return self.within("body", name, whole, bounds, || echo(value)),
                Err(_) => ("int_parsing", ", unable to parse string as an integer"),
            },
            _ => ("int_type", ""),
        };
        let (loc, msg) = (vec!["body".into(), name.into()], format!("Input should be a valid integer{why}"));
        self.problems.push(Problem { kind, loc, msg, input: echo(value), ctx: None, hint: "" });
        None
    }

    fn within(
        &mut self,
        place: &'static str,
        name: &'static str,
        number: i64,
        bounds: RangeInclusive<i64>,
        input: impl FnOnce() -> Value,
    ) -> Option<i64> {
        let (min, max) = bounds.into_inner();
        let (kind, msg, ctx) = if number < min {
            ("greater_than_equal", format!("Input should be greater than or equal to {min}"), json!({ "ge": min }))
        } else if number > max {
            ("less_than_equal", format!("Input should be less than or equal to {max}"), json!({ "le": max }))
        } else {
            return Some(number);
        };
        let loc = vec![place.into(), name.into()];
        self.problems.push(Problem { kind, loc, msg, input: input(), ctx: Some(ctx), hint: "" });
        None
    }

    fn body_text(&mut self, value: &Value, name: &'static str, length: Length) -> String {
        let Value::String(text) = value else {
            let msg = "Input should be a valid string".to_owned();
            let loc = vec!["body".into(), name.into()];
            self.problems.push(Problem { kind: "string_type", loc, msg, input: echo(value), ctx: None, hint: "" });
            return String::new();
        };
        self.length("body", name, text, length);
        text.clone()
    }

    /// A required text of the query.
    pub fn query_text(&mut self, value: Option<String>, name: &'static str, length: Length) -> String {
        match value {
            Some(text) => {
                self.length("query", name, &text, length);
                text
            }
            None => {
                self.missing("query", name, Value::Null);
                String::new()
            }
        }
    }

    /// An optional whole number of the query.
    pub fn query_number(
        &mut self,
        value: Option<String>,
        name: &'static str,
        bounds: RangeInclusive<i64>,
    ) -> Option<i64> {
        let text = value?;
        let (min, max) = bounds.into_inner();
        let is_small = match text.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => return Some(number),
            Ok(number) => Some(number < min),
            Err(error) if *error.kind() == IntErrorKind::NegOverflow => Some(true),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(false),
            Err(_) => None,
        };
        let should = "Input should be";
        let (kind, msg, ctx) = match is_small {
            Some(true) => {
                ("greater_than_equal", format!("{should} greater than or equal to {min}"), Some(json!({"ge": min})))
            }
            Some(false) => {
                ("less_than_equal", format!("{should} less than or equal to {max}"), Some(json!({"le": max})))
            }
            None => ("int_parsing", format!("{should} a valid integer, unable to parse string as an integer"), None),
        };
        let loc = vec!["query".into(), name.into()];
        self.problems.push(Problem { kind, loc, msg, input: cut(&text, ECHO_CHARS).into(), ctx, hint: "" });
        None
    }

    /// Refuses what has no business in the name of a user: control characters, and bytes that are not UTF-8, which
    /// arrive here replaced, so that different names would have become one.
    pub fn user_name(&mut self, place: &'static str, name: &'static str, text: &str) {
        if text.chars().any(char::is_control) {
            self.refuse(place, name, text, "String should not contain control characters");
        }
        if text.contains(char::REPLACEMENT_CHARACTER) {
            self.refuse(place, name, text, "String should be valid UTF-8");
        }
    }

    /// Refuses a value for a reason that is no bound.
    pub fn refuse(&mut self, place: &'static str, name: &'static str, text: &str, why: &str) {
        let (loc, msg) = (vec![place.into(), name.into()], why.to_owned());
        let ctx = Some(json!({ "error": msg }));
        self.problems.push(Problem { kind: "value_error", loc, msg, input: echo_text(text), ctx, hint: "" });
    }

    /// Holds a text to its bounds.
    pub fn length(&mut self, place: &'static str, name: &'static str, text: &str, length: Length) {
        self.problems.extend(length.problem(|| vec![place.into(), name.into()], text, text));
    }

    fn missing(&mut self, place: &'static str, name: &'static str, input: Value) {
        let (loc, msg) = (vec![place.into(), name.into()], "Field required".to_owned());
        self.problems.push(Problem { kind: "missing", loc, msg, input, ctx: None, hint: "" });
    }

    /// The end of checking, for those who have found more by themselves.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The end of checking.
    ///
    /// # Errors
    /// One 422 with every problem, in the order in which they were found.
    pub fn done(self) -> Result<(), ApiError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(&self.problems)) }
    }
}

/// A yes or no as people and programs write it.
pub fn flag_of(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// As much of a text as an error repeats.
pub fn echo_text(text: &str) -> Value {
    Value::String(cut(text, ECHO_CHARS).into_owned())
}

/// A value as sent if it is small, else as much of it as a reader needs to recognise it.
pub fn echo(value: &Value) -> Value {
    let (small, parts) = match value {
        Value::String(text) => return echo_text(text),
        Value::Array(items) => (Value::Array(items.iter().take(ECHO_PARTS).map(echo).collect()), items.len()),
        Value::Object(members) => {
            let few = members.iter().take(ECHO_PARTS);
            (few.map(|(name, value)| (cut(name, ECHO_CHARS).into_owned(), echo(value))).collect(), members.len())
        }
        _ => return value.clone(),
    };
    let text = small.to_string();
    // Some of it is echoed only as a text that shows where it was cut, never as a whole that was not sent.
    if parts <= ECHO_PARTS && text.len() <= ECHO_JSON_BYTES { small } else { echo_text(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(check: Check) -> Vec<Value> {
        check.problems.iter().map(Problem::to_json).collect()
    }

    #[test]
    fn what_the_originals_parser_reads_is_read() {
        let text = r#"{"a":"NaN, \"Infinity\" é🖋","b":1}"#;
        let expected = Body::Json(serde_json::from_str(text).unwrap());
        let utf16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let utf32 = |unit: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| unit(c.into())).collect::<Vec<u8>>();
        let marked = |mark: &[u8], text: Vec<u8>| [mark, &text].concat();
        for bytes in [
            marked(b"\xef\xbb\xbf", text.into()),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            marked(b"\xff\xfe", utf16(u16::to_le_bytes)),
            marked(b"\xfe\xff", utf16(u16::to_be_bytes)),
            utf32(u32::to_le_bytes),
            utf32(u32::to_be_bytes),
            marked(b"\xff\xfe\0\0", utf32(u32::to_le_bytes)),
            marked(b"\0\0\xfe\xff", utf32(u32::to_be_bytes)),
        ] {
            assert_eq!(Body::read(None, &bytes).unwrap(), expected, "{bytes:?}");
        }
        let numbers = br#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \\"}"#;
        assert_eq!(
            Body::read(None, numbers).unwrap(),
            Body::Json(json!({ "a": null, "b": [null, null], "c": "NaN \\" }))
        );
        for none in
            [&b"\xef\xbb\xbf"[..], b"\xff\xfe{", b"{\"a\":nan}", b"NaNa", b"{\"a\":\"\0\"}", b"\0", b"\xff\xfe\0\xd8"]
        {
            assert!(Body::read(None, none).is_err(), "{none:?}");
        }
    }

    #[test]
    fn a_body_is_read_by_what_it_says_it_is() {
        let read =
            |content_type: Option<&str>, body: &str| Body::read(content_type.map(str::as_bytes), body.as_bytes());
        let object = Body::Json(json!({}));
        assert_eq!(read(None, "{}").unwrap(), object);
        assert_eq!(read(Some("application/json; charset=utf-8"), "{}").unwrap(), object);
        assert_eq!(read(Some("Application/Problem+JSON"), "{}").unwrap(), object);
        assert_eq!(read(Some("text/plain"), "{}").unwrap(), Body::Other("{}".to_owned()));
        let broken = Body::parse(None, b"{");
        assert_eq!(broken.is_whole().unwrap_err().body("r", None), read(None, "{").unwrap_err().body("r", None));
        let mut check = Check::new();
        assert!(check.object(&broken).is_none());
        assert_eq!(check.done().unwrap_err().body("r", None), read(None, "{").unwrap_err().body("r", None));
        assert_eq!(read(None, "").unwrap(), Body::Absent);
        assert_eq!(read(None, "null").unwrap(), Body::Absent);
        let error = read(None, "{\"ä\": tru}").unwrap_err();
        let detail: Value = serde_json::from_slice(&error.body("r", None)).unwrap();
        assert_eq!(detail["detail"][0]["loc"], json!(["body", 9]));
        assert_eq!(detail["detail"][0]["type"], "json_invalid");
        assert!(read(None, r#"{"a":"\ud800"}"#).is_err(), "a lone surrogate is no text");
        assert!(read(None, &"[".repeat(10_000)).is_err(), "depth is bounded");
    }

    #[test]
    fn every_problem_is_reported_in_field_order() {
        let body = Body::Json(json!({ "title": "", "platform": 7 }));
        let mut check = Check::new();
        let members = check.object(&body);
        check.text(members, "title", Length::between(1, 200));
        check.text(members, "platform", Length::ANY);
        check.text(members, "content", Length::between(1, 500));
        assert_eq!(
            problems(check),
            [
                json!({"type": "string_too_short", "loc": ["body", "title"], "input": "",
                       "msg": "String should have at least 1 character", "ctx": {"min_length": 1}}),
                json!({"type": "string_type", "loc": ["body", "platform"], "input": 7,
                       "msg": "Input should be a valid string"}),
                json!({"type": "missing", "loc": ["body", "content"], "input": {"title": "", "platform": 7},
                       "msg": "Field required"}),
            ]
        );
    }

    #[test]
    fn a_body_that_was_not_sent_as_json_is_told_so() {
        let mut check = Check::new();
        assert!(check.object(&Body::Other("{}".to_owned())).is_none());
        assert!(check.problems[0].sentence().ends_with("was it sent with Content-Type: application/json?"));
        assert_eq!(check.problems[0].to_json()["input"], "{}");
    }

    #[test]
    fn lengths_are_code_points() {
        let mut check = Check::new();
        check.length("body", "title", &"🖋".repeat(200), Length::between(1, 200));
        assert!(check.problems.is_empty());
        check.length("body", "title", &"🖋".repeat(201), Length::between(1, 200));
        assert_eq!(check.problems[0].input, json!("🖋".repeat(200) + "...<truncated>"));
    }

    #[test]
    fn an_echo_is_small_whatever_was_sent() {
        let huge = json!({ "a": vec![vec!["x".repeat(10_000); 40]; 40], "b": "y".repeat(10_000) });
        assert!(echo(&huge).to_string().len() < 2 * ECHO_JSON_BYTES);
        assert_eq!(echo(&json!([1, null, "a"])), json!([1, null, "a"]));
        let items = echo(&json!(vec![1; ECHO_PARTS + 1]));
        assert!(
            items.as_str().is_some_and(|text| text.ends_with("...<truncated>")),
            "a part is not shown as the whole"
        );
    }
}
