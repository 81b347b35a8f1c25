//! One entry on its way into the log: values are typed, and long ones are cut.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::text::cut;

/// The longest text of an entry, in characters; what is longer is cut.
pub(super) const TEXT_MAX_CHARS: usize = 500;

/// What happened.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The request that asked for it.
    pub request_id: &'a str,
    /// Who asked.
    pub user_id: &'a str,
    /// What was done, a word of the feature that does it.
    pub action: &'static str,
    /// To what: the id of what was changed.
    pub subject: &'a str,
    /// The details.
    pub metadata: &'a [(&'static str, Field<'a>)],
}

/// A detail.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// Text, cut when it is too long.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// A part of a whole.
    Fraction(f64),
    /// Yes or no.
    Flag(bool),
}

/// The details as a JSON object; nothing if there are none.
pub(super) fn metadata(fields: &[(&'static str, Field<'_>)]) -> Result<Option<String>, serde_json::Error> {
    if fields.is_empty() { Ok(None) } else { serde_json::to_string(&Object(fields)).map(Some) }
}

struct Object<'a>(&'a [(&'static str, Field<'a>)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, field) in self.0 {
            match field {
                Field::Text(text) => map.serialize_entry(name, &cut(text, TEXT_MAX_CHARS))?,
                Field::Number(number) => map.serialize_entry(name, number)?,
                Field::Fraction(part) => map.serialize_entry(name, part)?,
                Field::Flag(flag) => map.serialize_entry(name, flag)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_an_object_of_typed_values_or_nothing() {
        assert_eq!(metadata(&[]).unwrap(), None);
        let long = "🖋".repeat(501);
        let fields = [
            ("b", Field::Text("7 \"quoted\"\n")),
            ("a", Field::Number(7)),
            ("is", Field::Flag(true)),
            ("long", Field::Text(&long)),
        ];
        let text = metadata(&fields).unwrap().unwrap();
        assert!(text.starts_with(r#"{"b":"7 \"quoted\"\n","a":7,"is":true,"long":"🖋"#), "{text}");
        assert!(text.ends_with("🖋...<truncated>\"}"), "{text}");
    }
}
