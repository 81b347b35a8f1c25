//! One body: an event, or several of them (an array, or a line each). Values in, values out.

use serde::Deserialize as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::event::{Event, Sender};
use super::json::{self, Flaw};
use super::line;
use crate::clock::Timestamp;
use crate::gate::validate::{Problem, char_offset, echo, error_place, json_invalid, plain_bytes};

/// Bytes of a body.
pub(super) const EVENTS_BODY_MAX_BYTES: usize = 65_536;
/// Events in a body.
pub(super) const EVENTS_PER_BODY_MAX: usize = 100;
/// Problems that the answer to several events lists.
pub(super) const PROBLEMS_MAX: usize = 20;

/// What a body holds.
#[derive(Debug)]
pub(super) enum Sent {
    /// One event.
    One(Event),
    /// Several, the good ones in their order.
    Many(Many),
}

/// Several events, of which at least one is good.
#[derive(Debug, Default)]
pub(super) struct Many {
    /// Those that are good.
    pub(super) events: Vec<Event>,
    /// Which are not, counted from 0.
    pub(super) rejected: Vec<usize>,
    /// Why: the first of all that is wrong, [`PROBLEMS_MAX`] at most. Behind `body` a place has the number of the event.
    pub(super) problems: Vec<Problem>,
}

/// The lines that a body comes to that is sent then without a `User-Agent`, each with its line feed; none if nothing of it is
/// taken. It is the way of every body but for sampling, for tests and fuzzing, which stand outside.
#[must_use]
pub fn lines_of(body: &[u8], now: Timestamp) -> Option<String> {
    let events = match read(body, &Sender::new(None, now)).ok()? {
        Sent::One(event) => vec![event],
        Sent::Many(many) => many.events,
    };
    let mut lines = String::new();
    events.iter().for_each(|event| line::write(event, now, &mut lines));
    Some(lines)
}

/// Reads a body, whatever its content type says (contract 02 R17).
///
/// # Errors
/// What is wrong with it, if nothing of it is good.
pub(super) fn read(bytes: &[u8], sender: &Sender) -> Result<Sent, Vec<Problem>> {
    let bytes = &*plain_bytes(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| vec![json_invalid(char_offset(bytes, error.valid_up_to()), "invalid UTF-8")])?;
    if text.is_empty() {
        return Err(vec![nothing()]);
    }
    // Most bodies are one good event.
    if let Some(read) = Event::read_at_once(text, sender) {
        return read.map(Sent::One);
    }
    let value = match whole(text) {
        Ok(value) => value,
        Err(problems) => match lines(text) {
            Some(lines) => return many(lines.into_iter().map(whole), sender),
            None => return Err(problems),
        },
    };
    match value.as_bytes().first() {
        Some(b'[') => {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(value) else { return Err(vec![nothing()]) };
            many(items.into_iter().map(|item| Ok(item.get())), sender)
        }
        _ if value == "null" => Err(vec![nothing()]),
        _ => Event::read(value, sender).map(Sent::One),
    }
}

/// The one JSON value that a text is, without blanks around it.
fn whole(text: &str) -> Result<&str, Vec<Problem>> {
    let invalid = |at: usize, why: &str| vec![json_invalid(char_offset(text.as_bytes(), at), why)];
    let value = serde_json::from_str::<&RawValue>(text)
        .map_err(|error| invalid(error_place(text.as_bytes(), &error), &error.to_string()))?;
    json::check(text).map_err(|Flaw { at, why }| invalid(at, &why))?;
    Ok(value.get())
}

/// The lines that have something, if a text is one JSON value a line, of which the first is good JSON.
fn lines(text: &str) -> Option<Vec<&str>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(EVENTS_PER_BODY_MAX + 1).collect();
    let is_whole = |line: &str| <&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(line)).is_ok();
    (lines.len() > 1 && is_whole(lines[0])).then_some(lines)
}

fn many<'t>(
    items: impl ExactSizeIterator<Item = Result<&'t str, Vec<Problem>>>,
    sender: &Sender,
) -> Result<Sent, Vec<Problem>> {
    let count = items.len();
    if !(1..=EVENTS_PER_BODY_MAX).contains(&count) {
        return Err(vec![wrong_count(count)]);
    }
    let mut many = Many::default();
    for (number, item) in items.enumerate() {
        match item.and_then(|text| Event::read(text, sender)) {
            Ok(event) => many.events.push(event),
            Err(problems) => {
                many.rejected.push(number);
                let room = PROBLEMS_MAX - many.problems.len();
                let numbered = problems.into_iter().take(room).map(|mut problem| {
                    problem.loc.insert(1, number.into());
                    problem
                });
                many.problems.extend(numbered);
            }
        }
    }
    if many.events.is_empty() { Err(many.problems) } else { Ok(Sent::Many(many)) }
}

fn nothing() -> Problem {
    let loc = vec!["body".into()];
    Problem { kind: "missing", loc, msg: "Field required".to_owned(), input: Value::Null, ctx: None, hint: "" }
}

fn wrong_count(count: usize) -> Problem {
    let (kind, msg, ctx) = if count == 0 {
        ("too_short", "List should have at least 1 item".to_owned(), json!({ "min_length": 1 }))
    } else {
        let msg = format!("List should have at most {EVENTS_PER_BODY_MAX} items");
        ("too_long", msg, json!({ "max_length": EVENTS_PER_BODY_MAX }))
    };
    Problem { kind, loc: vec!["body".into()], msg, input: echo(&json!([])), ctx: Some(ctx), hint: "" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;

    proptest! {
        #[test]
        fn what_is_read_at_once_is_what_is_read_step_by_step(
            members in prop::collection::vec((0_usize..9, 0_usize..14), 0..6),
            blanks in prop::sample::select(vec!["", " ", "\n\t", "\u{c}", "\u{a0}"]),
            lost in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        ) {
            let names = ["visitor_id", "event", "timestamp", "metadata", "user_agent", "\\u0065vent", "\\ud800", "x", "event"];
            let values = [
                "\"v-0001a\"", "\"page_view\"", "{}", "{\"n\":[1,{\"a\":null}]}", "null", "1e400", "12345678901234567890", "true",
                "\"\\ud83d\\ude00\"", "\"\\udc00\"", "\"2025-02-30\"", "NaN", "\"\u{1}\"", "[]",
            ];
            let members: Vec<String> =
                members.into_iter().map(|(name, value)| format!("\"{}\":{blanks}{}", names[name], values[value])).collect();
            let good = r#""visitor_id":"v-0001a","event":"x""#;
            for first in [good, ""] {
                let comma = if first.is_empty() || members.is_empty() { "" } else { "," };
                let mut text = format!("{blanks}{{{first}{comma}{}}}{blanks}", members.join(","));
                if let Some(lost) = lost {
                    let letter = lost.index(text.chars().count());
                    text = text.chars().enumerate().filter(|(at, _)| *at != letter).map(|(_, letter)| letter).collect();
                }
                let sender = Sender::new(None, Timestamp(7));
                let shown = |read: Result<Event, Vec<Problem>>| {
                    read.map_err(|problems| problems.iter().map(Problem::to_json).collect::<Vec<_>>())
                };
                let slowly = whole(&text).and_then(|value| Event::read(value, &sender));
                match Event::read_at_once(&text, &sender) {
                    Some(at_once) => prop_assert_eq!(shown(at_once), shown(slowly)),
                    None => prop_assert!(slowly.is_err(), "{text}"),
                }
            }
        }
    }

    const GOOD: &str = r#"{"visitor_id":"v-0001a","event":"page_view"}"#;

    fn sent(body: &[u8]) -> Result<Sent, Vec<Value>> {
        let sender = Sender::new(None, Timestamp(1_760_013_296_000_000));
        read(body, &sender).map_err(|problems| problems.iter().map(Problem::to_json).collect())
    }

    fn only(body: impl AsRef<[u8]>) -> Value {
        let problems = sent(body.as_ref()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    fn together(body: &str) -> Many {
        match sent(body.as_bytes()) {
            Ok(Sent::Many(many)) => many,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn one_event_in_whatever_encoding() {
        let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for body in
            [GOOD.as_bytes(), format!("\u{feff}{GOOD}\n").as_bytes(), format!(" {GOOD}\r\n\r\n").as_bytes(), &utf16]
        {
            assert!(matches!(sent(body), Ok(Sent::One(_))), "{body:?}");
        }
        let pretty = GOOD.replace(',', ",\n  ").replace('{', "{\n");
        assert!(matches!(sent(pretty.as_bytes()), Ok(Sent::One(_))), "lines of one event are no events");
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        assert_eq!(only(""), json!({ "type": "missing", "loc": ["body"], "msg": "Field required", "input": null }));
        assert_eq!(only("null")["type"], "missing");
        let broken = only("{\"é\": tru}");
        assert_eq!((&broken["type"], &broken["loc"]), (&json!("json_invalid"), &json!(["body", 9])));
        assert_eq!((&broken["msg"], &broken["input"]), (&json!("JSON decode error"), &json!({})));
        for (body, at) in [
            ("{\"visitor_id\":\"v-0001a\",\"event\":\"x\",\"metadata\":{\"n\":1e400}}", 52),
            ("{\"ignored\":NaN}", 11),
            ("[{\"ignored\":-Infinity}]", 13),
            ("{\"ignored\":\"\\ud800\"}", 11),
            ("   ", 3),
            ("{} {}", 3),
            ("hello", 0),
        ] {
            let problem = only(body);
            assert_eq!((&problem["type"], &problem["loc"][1]), (&json!("json_invalid"), &json!(at)), "{body}");
        }
        assert_eq!(only(b"{\"a\":\"\xff\"}")["loc"], json!(["body", 6]));
        assert_eq!(only("[".repeat(65_536))["type"], "json_invalid");
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(only(&deep)["ctx"]["error"], "it is nested deeper than 64 levels");
        for body in ["\"text\"", "7", "true"] {
            assert_eq!(only(body)["type"], "model_attributes_type", "{body}");
        }
    }

    #[test]
    fn several_come_as_an_array_or_line_by_line() {
        let bad = r#"{"visitor_id":"short"}"#;
        let array = together(&format!("[{GOOD},{bad},{GOOD},7]"));
        let lines = together(&format!("{GOOD}\n\n{bad}\r\n{GOOD}\n7\n"));
        for many in [array, lines] {
            assert_eq!((many.events.len(), many.rejected), (2, vec![1, 3]));
            let places: Vec<_> = many.problems.iter().map(|problem| json!(problem.loc)).collect();
            assert_eq!(places, [json!(["body", 1, "visitor_id"]), json!(["body", 1, "event"]), json!(["body", 3])]);
        }
        let torn = together(&format!("{GOOD}\n{{\"visitor_id\"\n{GOOD}"));
        assert_eq!((torn.events.len(), torn.rejected), (2, vec![1]));
        assert_eq!(torn.problems[0].kind, "json_invalid");
        assert_eq!(together(&format!("[{GOOD}]")).events.len(), 1, "an array of one is an array");
    }

    #[test]
    fn so_many_events_fit_a_body_and_so_many_problems_an_answer() {
        let list = |item: &str, count: usize, by: &str| vec![item; count].join(by);
        assert_eq!(together(&format!("[{}]", list(GOOD, EVENTS_PER_BODY_MAX, ","))).events.len(), 100);
        assert_eq!(together(&list(GOOD, EVENTS_PER_BODY_MAX, "\n")).events.len(), 100);
        assert_eq!(only(format!("[{}]", list(GOOD, EVENTS_PER_BODY_MAX + 1, ",")))["type"], "too_long");
        assert_eq!(only(list(GOOD, EVENTS_PER_BODY_MAX + 1, "\n"))["type"], "too_long");
        assert_eq!(only("[]")["type"], "too_short");
        let problems = sent(format!("[{}]", list("{}", 50, ",")).as_bytes()).unwrap_err();
        assert_eq!(problems.len(), PROBLEMS_MAX, "none is good, so nothing is taken");
    }
}
