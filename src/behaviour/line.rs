//! The stored line: one event as one line of the file, and back (contract 02 §2.2, R13).
//!
//! ```json
//! {"visitor_id": "v-0001a", "event": "page_view", "timestamp": "2025-10-09T12:34:56Z", "metadata": {"path": "/"}, "user_agent": null, "received_at": "2025-10-09T12:34:57.000123Z"}
//! ```
//! The order of the keys and the blanks are those of the original, whose readers look for them; `received_at`, by the
//! server's clock, is ours. What reads lines bears keys that are more, and lines of the original, which lack that one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::Event;
use super::json::{Blanks, check, rewrite, write_text};
use super::time::{parse as parse_time, utc};
use crate::clock::Timestamp;

/// A line has no more bytes than this: a body has 64 KiB, of which each may need a blank behind it.
pub(super) const LINE_MAX_BYTES: usize = 160 * 1024;
/// What a line has of its own, besides what is in the event.
const FRAME_BYTES: usize = 192;
/// What every line of ours begins with.
pub(super) const BEGINNING: &str = "{\"visitor_id\": ";

/// Appends the line of an event that came then, with its line feed.
pub(super) fn write(event: &Event, received_at: Timestamp, out: &mut String) {
    // Unless texts have to be escaped, at once.
    out.reserve(event.bytes() + FRAME_BYTES);
    let came = utc(received_at);
    // Most clients leave it to us when something happened.
    let happened = if event.timestamp == received_at { came } else { utc(event.timestamp) };
    out.push_str(BEGINNING);
    write_text(&event.visitor_id, out);
    out.push_str(", \"event\": ");
    write_text(&event.name, out);
    out.push_str(", \"timestamp\": \"");
    out.push_str(happened.as_str());
    out.push_str("\", \"metadata\": ");
    out.push_str(&event.metadata);
    out.push_str(", \"user_agent\": ");
    match &event.user_agent {
        Some(agent) => write_text(agent, out),
        None => out.push_str("null"),
    }
    out.push_str(", \"received_at\": \"");
    out.push_str(came.as_str());
    out.push_str("\"}\n");
}

/// A line as it is read, its metadata as they stand there or as the reader wants them.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(bound(deserialize = "M: Deserialize<'de>"))]
pub(super) struct Line<'l, M = &'l RawValue> {
    /// Who it was.
    #[serde(borrow)]
    pub(super) visitor_id: Cow<'l, str>,
    /// What happened.
    #[serde(borrow, rename = "event")]
    pub(super) name: Cow<'l, str>,
    /// When, as the client says.
    #[serde(borrow)]
    pub(super) timestamp: Cow<'l, str>,
    /// What the client says of it.
    pub(super) metadata: M,
    /// The client's program, if it says which.
    #[serde(borrow, default)]
    pub(super) user_agent: Option<Cow<'l, str>>,
    /// When it came; the original's lines do not say it.
    #[serde(borrow, default)]
    pub(super) received_at: Option<Cow<'l, str>>,
}

impl<'l> Line<'l> {
    /// Reads a line, with or without its line feed; none if it is no event.
    pub(super) fn parse(bytes: &'l [u8]) -> Option<Self> {
        let line: Self = (bytes.len() <= LINE_MAX_BYTES).then(|| serde_json::from_slice(bytes).ok()).flatten()?;
        line.metadata.get().starts_with('{').then_some(line)
    }

    /// When it came, if the line says so.
    pub(super) fn received_at(&self) -> Option<Timestamp> {
        parse_time(self.received_at.as_deref()?).ok()
    }

    /// When it came, or else when it happened as the client says; none if that is no time.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.received_at().or_else(|| parse_time(&self.timestamp).ok())
    }

    /// The event; none if it has a time that is none, or metadata that nobody could read.
    pub(super) fn into_event(self) -> Option<Event> {
        let timestamp = parse_time(&self.timestamp).ok()?;
        check(self.metadata.get()).ok()?;
        let mut metadata = String::new();
        rewrite(self.metadata.get(), Blanks::One, &mut metadata);
        let user_agent = self.user_agent.as_deref().map(Into::into);
        let (visitor_id, name) = (self.visitor_id.into_owned(), self.name.into_owned());
        Some(Event { visitor_id, name, timestamp, metadata, user_agent })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(metadata: &str, user_agent: Option<&str>) -> Event {
        Event {
            visitor_id: "test123abc".to_owned(),
            name: "page_view".to_owned(),
            timestamp: parse_time("2025-10-09T12:34:56Z").unwrap(),
            metadata: metadata.to_owned(),
            user_agent: user_agent.map(Into::into),
        }
    }

    fn written(event: &Event) -> String {
        let mut line = String::new();
        write(event, Timestamp(1_760_013_297_000_123), &mut line);
        line
    }

    #[test]
    fn a_line_is_the_contracts_with_one_key_more() {
        assert_eq!(
            written(&event("{\"path\": \"/\"}", Some("curl/7.88.1"))),
            "{\"visitor_id\": \"test123abc\", \"event\": \"page_view\", \"timestamp\": \"2025-10-09T12:34:56Z\", \
             \"metadata\": {\"path\": \"/\"}, \"user_agent\": \"curl/7.88.1\", \
             \"received_at\": \"2025-10-09T12:34:57.000123Z\"}\n"
        );
        let odd = Event { name: "a\n\"b\"\u{1}літо".to_owned(), ..event("{}", None) };
        let line = written(&odd);
        assert!(
            line.contains(r#""event": "a\n\"b\"\u0001літо", "#) && line.contains(r#""user_agent": null"#),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1, "one event is one line");
    }

    #[test]
    fn lines_of_the_original_are_read_and_those_that_are_none_are_not() {
        let original = b"{\"visitor_id\": \"test123abc\", \"event\": \"page_view\", \"timestamp\": \"2025-10-09T12:34:56Z\", \"metadata\": {\"path\": \"/\"}, \"user_agent\": \"curl/7.88.1\"}\n";
        let line = Line::parse(original).unwrap();
        assert_eq!(line.received_at(), None);
        assert_eq!(line.into_event().unwrap(), event("{\"path\": \"/\"}", Some("curl/7.88.1")));
        let more = b"{\"visitor_id\":\"test123abc\",\"event\":\"x\",\"timestamp\":\"2025-10-09\",\"metadata\":{},\"new\":[1],\"received_at\":\"2025-10-10\"}";
        let line = Line::parse(more).unwrap();
        assert_eq!(line.received_at(), parse_time("2025-10-10").ok());
        for bad in [&b""[..], b"{}", b"{\"visitor_id\": \"test123a", b"[]", b"\xff", &original[1..], &original[..100]] {
            assert!(Line::parse(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
        for (from, to) in [("{\"path\": \"/\"}", "{\"n\": 1e400}"), ("2025-10-09T", "2025-99-09T")] {
            let text = String::from_utf8_lossy(original).replace(from, to);
            assert!(Line::parse(text.as_bytes()).unwrap().into_event().is_none(), "{text}");
        }
        let nan = String::from_utf8_lossy(original).replace("{\"path\": \"/\"}", "{\"n\": NaN}");
        assert!(Line::parse(nan.as_bytes()).is_none());
    }

    #[test]
    fn the_longest_event_is_a_line_that_is_read_again() {
        // Each comma gets a blank.
        let numbers = vec!["1"; super::super::body::EVENTS_BODY_MAX_BYTES / 2].join(", ");
        let line = written(&event(&format!("{{\"n\": [{numbers}]}}"), Some(&"\u{1}".repeat(256))));
        assert!(line.len() <= LINE_MAX_BYTES, "{}", line.len());
        assert!(Line::parse(line.as_bytes()).is_some());
        let longer = line.replace("[1", &format!("[{}1", "1, ".repeat(40_000)));
        assert!(Line::parse(longer.as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            visitor_id: String, name: String, agent: Option<String>, text: String, timestamp in -1_i64 << 55..1 << 55,
        ) {
            let mut quoted = String::new();
            write_text(&text, &mut quoted);
            let metadata = format!("{{\"t\": {quoted}}}");
            let timestamp = Timestamp(timestamp);
            let event = Event { visitor_id, name, timestamp, metadata, user_agent: agent.map(Into::into) };
            let line = written(&event);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(line.starts_with(BEGINNING));
            prop_assert_eq!(Line::parse(line.as_bytes()).unwrap().into_event(), Some(event));
        }
    }
}
