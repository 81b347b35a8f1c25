//! The kinds of record, as data (contract 04 §1.7 and §5.2). Everything else about records is made of these tables.

use super::super::calendar::shapes;
use super::field::{Field, Form};
use crate::store::TextGroup;

/// A kind of record.
#[derive(Debug)]
pub struct Kind {
    /// Its number in the database, which it keeps for ever; from 1 to 127.
    pub number: i64,
    /// The module that it belongs to.
    pub module: &'static str,
    /// The last part of its path: `/api/v1/kazkar/stories`.
    pub collection: &'static str,
    /// What a message calls one.
    pub noun: &'static str,
    /// What the original calls its id in messages about paths.
    pub id: &'static str,
    /// Its own fields in the order in which they are shown.
    pub fields: &'static [Field],
    /// The field that says when it is; without one, or where that is null, it is when it was created.
    pub moment: Option<&'static str>,
    /// Two moments of which the first may not be behind the second.
    pub span: Option<(&'static str, &'static str)>,
}

/// What every kind has behind its own fields.
pub static COMMON: [Field; 2] =
    [Field::new("tags", Form::Words).searched().filter("tag"), Field::new("source_trace", Form::Text)];

/// All of them, by their number.
pub static KINDS: [Kind; 6] = [
    Kind {
        number: 1,
        module: "kazkar",
        collection: "stories",
        noun: "Story",
        id: "story_id",
        fields: &[
            Field::text("title").required().title(),
            Field::text("content").required(),
            Field::new("story_type", Form::Text).filter("story_type"),
            Field::new("participants", Form::Texts).searched().filter("person"),
            Field::text("location").filter("place"),
        ],
        moment: None,
        span: None,
    },
    Kind {
        number: 2,
        module: "podija",
        collection: "events",
        noun: "Event",
        id: "event_id",
        fields: &[
            Field::text("title").required().title(),
            Field::text("description"),
            Field::new("event_date", Form::Moment),
            Field::new("event_type", Form::Text).filter("event_type"),
            Field::new("is_completed", Form::Flag).filter("is_completed"),
            Field::new("participants", Form::Texts).searched().filter("person"),
            Field::text("location").filter("place"),
        ],
        moment: Some("event_date"),
        span: None,
    },
    Kind {
        number: 3,
        module: "nastrij",
        collection: "emotions",
        noun: "Emotion",
        id: "emotion_id",
        fields: &[
            Field::text("emotion_state").required().title().filter("emotion_state"),
            Field::new("intensity", Form::Number(0.0, 10.0)),
            Field::text("context"),
            Field::new("triggers", Form::Texts).searched().filter("trigger"),
            Field::text("notes"),
            Field::new("occurred_at", Form::Moment),
        ],
        moment: Some("occurred_at"),
        span: None,
    },
    Kind {
        number: 4,
        module: "malya",
        collection: "ideas",
        noun: "Idea",
        id: "idea_id",
        fields: &[
            Field::text("title").required().title(),
            Field::text("description").required(),
            Field::new("idea_type", Form::Text).filter("idea_type"),
            Field::new("status", Form::Text).filter("status").synonyms(&[("realized", "completed")]),
            Field::new("related_ideas", Form::Wholes).filter("related_to"),
            Field::new("resources", Form::Texts).searched(),
            Field::new("priority", Form::Text).filter("priority"),
        ],
        moment: None,
        span: None,
    },
    Kind {
        number: 5,
        module: "gallery",
        collection: "items",
        noun: "Item",
        id: "item_id",
        fields: &[
            Field::text("title").required().title(),
            Field::text("description"),
            Field::new("media_type", Form::Text).required().filter("media_type"),
            Field::new("url", Form::Address).required().filter("url"),
            Field::new("thumbnail_url", Form::Address).filter("thumbnail_url"),
            Field::new("file_size", Form::Whole),
            Field::new("mime_type", Form::Text).filter("mime_type"),
            Field::new("media_metadata", Form::Object(|object, _| Ok(object.clone()))).alias("metadata"),
            Field::new("taken_at", Form::Moment),
        ],
        moment: Some("taken_at"),
        span: None,
    },
    Kind {
        number: 6,
        module: "calendar",
        collection: "entries",
        noun: "Entry",
        id: "entry_id",
        fields: &[
            Field::text("title").required().title(),
            Field::text("description"),
            Field::new("scheduled_at", Form::Moment).required(),
            Field::new("end_time", Form::Moment),
            Field::new("entry_type", Form::Text).filter("entry_type"),
            Field::new("is_recurring", Form::Flag).filter("is_recurring"),
            Field::new("recurrence_pattern", Form::Object(shapes::recurrence)).filter("recurs"),
            Field::text("location").filter("place"),
            Field::new("participants", Form::Texts).searched().filter("person"),
            Field::new("reminder_settings", Form::Object(shapes::reminders)).filter("reminds"),
            Field::new("status", Form::Text).filter("status"),
            Field::new("exceptions", Form::Object(shapes::exceptions)),
        ],
        moment: Some("scheduled_at"),
        span: Some(("scheduled_at", "end_time")),
    },
];

impl Kind {
    /// The kind that a module keeps.
    #[must_use]
    pub fn of_module(module: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.module == module)
    }

    /// The kind of this path.
    #[must_use]
    pub fn at(module: &str, collection: &str) -> Option<&'static Self> {
        Self::of_module(module).filter(|kind| kind.collection == collection)
    }

    /// The kind of this number.
    #[must_use]
    pub fn numbered(number: i64) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.number == number)
    }

    /// The group of its texts in the index of words.
    #[must_use]
    pub fn texts(&self) -> TextGroup {
        // No number is too large.
        TextGroup(u8::try_from(self.number).unwrap_or_default())
    }

    /// All its fields, its own first, in the order in which they are shown.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().chain(&COMMON)
    }

    /// The fields by which its lists are filtered, with the parameters' names.
    pub fn filters(&self) -> impl Iterator<Item = (&'static Field, &'static str)> + use<> {
        self.all_fields().filter_map(|field| Some((field, field.filter?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_and_fields_have_one_name() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert_eq!(kind.number, i64::try_from(index).unwrap() + 1, "a number is kept for ever");
            let mut names: Vec<_> =
                kind.all_fields().flat_map(|field| [Some(field.name), field.alias]).flatten().collect();
            names.extend(["id", "module", "time", "canon_bundle_id"]);
            let mut parameters: Vec<_> = kind.filters().map(|(_, parameter)| parameter).collect();
            parameters.extend(["skip", "limit", "order", "q", "from", "to"]);
            for mut words in [names, parameters] {
                let count = words.len();
                words.sort_unstable();
                words.dedup();
                assert_eq!(words.len(), count, "{}: {words:?}", kind.module);
            }
            let moments = kind.moment.into_iter().chain(kind.span.into_iter().flat_map(|(first, last)| [first, last]));
            for name in moments {
                assert!(
                    kind.fields.iter().any(|field| field.name == name && matches!(field.form, Form::Moment)),
                    "{name}"
                );
            }
        }
        assert_eq!(Kind::at("malya", "ideas").map(|kind| kind.noun), Some("Idea"));
        assert!(Kind::at("malya", "stories").is_none() && Kind::of_module("ci").is_none());
    }
}
