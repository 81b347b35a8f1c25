//! What a report reads of a line, and no more: nothing is copied that need not be.
//!
//! A line as this server writes it is taken apart where its keys are known to stand; whatever else is JSON goes through the
//! parser, and both see the same.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::line::{BEGINNING, Line};

/// A line as a report sees it.
pub(super) type Seen<'l> = Line<'l, Metadata<'l>>;

/// What is counted of what a page says of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata<'l> {
    pub(super) path: Option<Cow<'l, str>>,
    pub(super) href: Option<Cow<'l, str>>,
    pub(super) referrer: Option<Cow<'l, str>>,
}

impl<'l> Seen<'l> {
    /// Reads a line, with or without its line feed; none if it is no event.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Self::read_ours(line).or_else(|| serde_json::from_slice(line).ok())
    }

    /// When it came; what the client says of one that does not say so.
    pub(super) fn said_at(&self) -> &str {
        self.received_at.as_deref().unwrap_or(&self.timestamp)
    }

    /// Reads one that stands there as it is written, without anything escaped; none for all others.
    fn read_ours(line: &'l [u8]) -> Option<Self> {
        // No JSON text has these as they are. Without a way out in between many bytes are looked at in one step.
        if line.iter().fold(false, |found, byte| found | (*byte < b' ')) {
            return None;
        }
        let mut rest = Rest(std::str::from_utf8(line).ok()?);
        rest.skip(BEGINNING)?;
        let visitor_id = rest.text()?;
        rest.skip(", \"event\": ")?;
        let name = rest.text()?;
        rest.skip(", \"timestamp\": ")?;
        let timestamp = rest.text()?;
        rest.skip(", \"metadata\": ")?;
        let metadata = rest.metadata()?;
        rest.skip(", \"user_agent\": ")?;
        let user_agent = if rest.skip("null").is_some() { None } else { Some(rest.text()?) };
        let received_at = if rest.skip(", \"received_at\": ").is_some() { Some(rest.text()?) } else { None };
        (rest.0 == "}").then_some(Self { visitor_id, name, timestamp, metadata, user_agent, received_at })
    }
}

/// What is left of a line.
struct Rest<'l>(&'l str);

impl<'l> Rest<'l> {
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn text(&mut self) -> Option<Cow<'l, str>> {
        let inside = self.0.strip_prefix('"')?;
        let end = memchr2(b'"', b'\\', inside.as_bytes())?;
        self.0 = inside[end..].strip_prefix('"')?;
        Some(Cow::Borrowed(&inside[..end]))
    }

    fn metadata(&mut self) -> Option<Metadata<'l>> {
        if let Some((metadata, rest)) = self.texts() {
            *self = rest;
            return Some(metadata);
        }
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter();
        let metadata = values.next()?.ok()?;
        let end = values.byte_offset();
        self.0 = &self.0[end..];
        Some(metadata)
    }

    /// Metadata of nothing but texts, as our script sends them, and what is behind them.
    fn texts(&self) -> Option<(Metadata<'l>, Self)> {
        let (mut found, mut rest) = (Metadata::default(), Self(self.0));
        if rest.skip("{}").is_some() {
            return Some((found, rest));
        }
        rest.skip("{")?;
        loop {
            let name = rest.text()?;
            rest.skip(": ")?;
            let text = Some(rest.text()?);
            match &*name {
                "path" => found.path = text,
                "href" => found.href = text,
                "referrer" => found.referrer = text,
                _ => {}
            }
            if rest.skip(", ").is_none() {
                rest.skip("}")?;
                return Some((found, rest));
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Name {
    Path,
    Href,
    Referrer,
    #[serde(other)]
    Other,
}

/// By hand: whatever a page says there is no reason to take its event for none, so what is no text is as absent, and of what
/// is there twice the last counts.
impl<'de: 'l, 'l> Deserialize<'de> for Metadata<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Metadata<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Metadata<'de>, M::Error> {
                let mut found = Metadata::default();
                while let Some(name) = members.next_key::<Name>()? {
                    let field = match name {
                        Name::Path => &mut found.path,
                        Name::Href => &mut found.href,
                        Name::Referrer => &mut found.referrer,
                        Name::Other => {
                            members.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = members.next_value::<Text<'de>>()?.0;
                }
                Ok(found)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A text, or anything else.
struct Text<'l>(Option<Cow<'l, str>>);

impl<'de: 'l, 'l> Deserialize<'de> for Text<'l> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Text<'de>, S::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Text<'de>, M::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::event::Event;
    use super::super::json::{Blanks, rewrite};
    use super::super::line;
    use super::*;
    use crate::clock::Timestamp;

    const PLAIN: &str = "{\"visitor_id\": \"v-0001a\", \"event\": \"page_view\", \"timestamp\": \"2025-10-09T12:34:56Z\", \
         \"metadata\": {\"path\": \"/літо\", \"n\": [1, {\"path\": 2}]}, \"user_agent\": null, \
         \"received_at\": \"2025-10-09T12:34:57.000123Z\"}\n";

    fn slow(line: &str) -> Option<Seen<'_>> {
        serde_json::from_str(line).ok()
    }

    #[test]
    fn a_line_of_ours_needs_no_parser_and_says_the_same() {
        let quick = Seen::read_ours(PLAIN.trim_end().as_bytes()).unwrap();
        assert_eq!(Some(&quick), slow(PLAIN).as_ref());
        assert_eq!((quick.said_at(), quick.metadata.path.as_deref()), ("2025-10-09T12:34:57.000123Z", Some("/літо")));
        let original = PLAIN.replace(", \"received_at\": \"2025-10-09T12:34:57.000123Z\"", "");
        let quick = Seen::read_ours(original.trim_end().as_bytes()).unwrap();
        assert_eq!((Some(&quick), quick.said_at()), (slow(&original).as_ref(), "2025-10-09T12:34:56Z"));
        let texts = |texts: &str| PLAIN.replace("{\"path\": \"/літо\", \"n\": [1, {\"path\": 2}]}", texts);
        for ours in ["{}", "{\"referrer\": \"\", \"x\": \"\", \"path\": \"/\", \"href\": \"#\", \"path\": \"/літо\"}"]
        {
            let line = texts(ours);
            assert_eq!(Seen::read_ours(line.trim_end().as_bytes()), slow(&line), "{line}");
        }
        for other in [
            texts("{\"path\": \"/\", \"path\": null}"),
            texts("{\"path\": \"\\u002f\", \"\\u0070ath\": \"/\"}"),
            texts("{\"path\": \"/\",\"href\": \"/\"}"),
            PLAIN.replace(": ", ":"),
            PLAIN.replace("v-0001a", "v-\\u0030001a"),
            PLAIN.replace("null", "\"a \\\"b\\\"\""),
            PLAIN.replace("{\"path\"", "{\"href\": 7, \"path\": \"/x\", \"path\""),
            PLAIN.replace("\"event\"", "\"more\": {}, \"event\""),
        ] {
            let seen = Seen::read(other.as_bytes());
            assert!(seen.is_some() && seen == slow(&other), "{other}");
        }
        for bad in ["", "\n", "{}", "[]", "null", &PLAIN[1..], &PLAIN[..100], &PLAIN.replace("[1,", "[NaN,")] {
            assert_eq!(Seen::read(bad.as_bytes()), None, "{bad}");
        }
        for bad in [
            PLAIN.replace("{\"path\"", "[\"path\""),
            PLAIN.replace("v-0001a", "v\n"),
            PLAIN.replace("}\n", "}}\n"),
            texts("{\"path\": \"/\", }"),
            texts("{\"path\": \"/\u{1f}\"}"),
            texts("{\"path\": \"/\""),
        ] {
            assert_eq!(Seen::read(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_seen_as_the_parser_sees_it(
            visitor_id: String, name: String, agent: Option<String>, path: String, key: String, at in 0_i64..1 << 52,
        ) {
            let value = if at % 2 == 0 { json!([1.5, null]) } else { json!(key) };
            let text = json!({ "path": path, key: value, "referrer": agent.as_deref() }).to_string();
            let mut metadata = String::new();
            rewrite(&text, Blanks::One, &mut metadata);
            let event = Event { visitor_id, name, timestamp: Timestamp(at), metadata, user_agent: agent.map(Into::into) };
            let mut line = String::new();
            line::write(&event, Timestamp(at), &mut line);
            let seen = Seen::read(line.as_bytes());
            prop_assert_eq!(&seen, &slow(&line));
            prop_assert_eq!(&*seen.unwrap().visitor_id, event.visitor_id);
        }
    }
}
