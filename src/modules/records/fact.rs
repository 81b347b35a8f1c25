//! What is derived of a record's fields: when it is, by what it is filtered, and by which words it is found.

use std::borrow::Cow;

use jiff::civil::DateTime;
use serde_json::Value;

use super::field::{Field, Form, Searched};
use super::kinds::Kind;
use super::read::{Fields, text_of};

/// Characters of a value by which lists are filtered; longer ones are told apart by as many.
pub const FACT_MAX_CHARS: usize = 200;
/// Characters of a record that are searched. What is longer is kept, and found by its beginning.
pub const SEARCHED_MAX_CHARS: usize = 100_000;

/// A value of a field, or one of its items.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fact {
    /// The name of the field.
    pub name: &'static str,
    /// The value as text.
    pub value: String,
}

/// What lists filter a record by: names of fields, and their values as text. One may come twice.
pub fn labels<'f>(kind: &Kind, fields: &'f Fields) -> impl Iterator<Item = (&'static str, Cow<'f, str>)> {
    kind.filters().flat_map(|(field, _)| values(field, fields).map(|value| (field.name, value)))
}

/// What of that statements look a record up by, each once.
#[must_use]
pub fn facts(kind: &Kind, fields: &Fields) -> Vec<Fact> {
    let looked_up = kind.filters().map(|(field, _)| field).filter(|field| field.form.is_looked_up());
    let facts = looked_up
        .flat_map(|field| values(field, fields).map(|value| Fact { name: field.name, value: value.into_owned() }));
    let mut facts: Vec<Fact> = facts.collect();
    facts.sort_unstable();
    facts.dedup();
    facts
}

/// The values of a field as text: of a list those of its items, and of an object whether there is anything in it.
fn values<'f>(field: &Field, fields: &'f Fields) -> impl Iterator<Item = Cow<'f, str>> {
    let value = fields.get(field.name);
    let (object, items) = match (field.form, value) {
        (Form::Object(_), value) => {
            let is_there = value.and_then(Value::as_object).is_some_and(|members| !members.is_empty());
            (Some(if is_there { "true" } else { "false" }), &[][..])
        }
        (_, Some(Value::Array(items))) => (None, items.as_slice()),
        (_, value) => (None, value.map_or(&[][..], std::slice::from_ref)),
    };
    let text = |value: &'f Value| match value {
        Value::String(text) => Some(Cow::Borrowed(fact_text(text))),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    };
    object.map(Cow::Borrowed).into_iter().chain(items.iter().filter_map(text))
}

/// A value as it is compared.
#[must_use]
pub fn fact_text(text: &str) -> &str {
    beginning(text, FACT_MAX_CHARS)
}

/// What a record is called where many kinds stand together.
#[must_use]
pub fn title<'f>(kind: &Kind, fields: &'f Fields) -> &'f str {
    let field = kind.all_fields().find(|field| field.searched == Searched::Title);
    field.and_then(|field| text_of(fields, field.name)).unwrap_or_default()
}

/// What is searched besides the title.
#[must_use]
pub fn text(kind: &Kind, fields: &Fields) -> String {
    let mut text = String::new();
    for field in kind.all_fields().filter(|field| field.searched == Searched::Text) {
        match fields.get(field.name) {
            Some(Value::String(part)) => add(&mut text, part),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).for_each(|part| add(&mut text, part)),
            _ => {}
        }
    }
    text.truncate(beginning(&text, SEARCHED_MAX_CHARS).len());
    text
}

fn beginning(text: &str, max_chars: usize) -> &str {
    // Most texts are shorter, and need not be counted.
    if text.len() <= max_chars {
        return text;
    }
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

fn add(text: &mut String, part: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(part);
}

/// When a record is on the household's wall: what it says, or else when it was created.
#[must_use]
pub fn moment(kind: &Kind, fields: &Fields, created: DateTime) -> DateTime {
    let said = kind.moment.and_then(|name| text_of(fields, name));
    said.and_then(|text| text.parse().ok()).unwrap_or(created)
}

/// A time on the wall as a number that is ordered as times are: microseconds as if the wall were in UTC.
#[must_use]
pub fn wall_micros(wall: DateTime) -> i64 {
    let days = jiff::civil::date(1970, 1, 1).until(wall.date()).map_or(0, |span| i64::from(span.get_days()));
    let time = wall.time();
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    days * crate::clock::DAY_MICROS + seconds * crate::clock::SECOND_MICROS + i64::from(time.subsec_nanosecond()) / 1000
}

/// The time on the wall whose number this is; the first or the last one beyond the years that a calendar has.
#[must_use]
pub fn wall(micros: i64) -> DateTime {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let beyond = if micros < 0 { DateTime::MIN } else { DateTime::MAX };
    epoch.checked_add(jiff::SignedDuration::from_micros(micros)).unwrap_or(beyond)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_record_is_found_by_what_its_kind_says() {
        let podija = Kind::of_module("podija").unwrap();
        let fields = fields(json!({
            "title": "День народження", "description": "Торт", "event_date": "2026-03-05T18:00:00", "is_completed": false,
            "participants": ["Іван", "Іван", "Олена"], "location": null, "tags": ["родина"], "source_trace": "x",
        }));
        let found: Vec<_> = labels(podija, &fields).map(|(name, value)| format!("{name}={value}")).collect();
        let named =
            ["is_completed=false", "participants=Іван", "participants=Іван", "participants=Олена", "tags=родина"];
        assert_eq!(found, named);
        assert_eq!(title(podija, &fields), "День народження");
        assert_eq!(text(podija, &fields), "Торт\nІван\nІван\nОлена\nродина");
        let created = jiff::civil::date(2026, 1, 1).at(9, 0, 0, 0);
        assert_eq!(moment(podija, &fields, created), jiff::civil::date(2026, 3, 5).at(18, 0, 0, 0));
        let kazkar = Kind::of_module("kazkar").unwrap();
        assert_eq!(moment(kazkar, &fields, created), created);
    }

    #[test]
    fn of_an_object_it_is_known_whether_it_is_there() {
        let calendar = Kind::of_module("calendar").unwrap();
        let fields = fields(json!({ "recurrence_pattern": { "freq": "daily" }, "reminder_settings": {} }));
        let found: Vec<_> = labels(calendar, &fields).map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(found, ["recurrence_pattern=true", "reminder_settings=false"]);
    }

    #[test]
    fn statements_look_up_ids_addresses_and_objects_alone() {
        let of = |module, value| {
            let facts = facts(Kind::of_module(module).unwrap(), &fields(value));
            facts.into_iter().map(|fact| format!("{}={}", fact.name, fact.value)).collect::<Vec<_>>()
        };
        let idea = json!({ "title": "T", "related_ideas": [10, 9, 10], "tags": ["a"], "status": "draft" });
        assert_eq!(of("malya", idea), ["related_ideas=10", "related_ideas=9"]);
        let item = json!({ "url": "/media/a.png", "thumbnail_url": "/media/a.png?size=small", "media_type": "image" });
        assert_eq!(of("gallery", item), ["thumbnail_url=/media/a.png?size=small", "url=/media/a.png"]);
        let entry = json!({ "recurrence_pattern": { "freq": "daily" }, "is_recurring": true });
        assert_eq!(of("calendar", entry), ["recurrence_pattern=true", "reminder_settings=false"]);
        assert_eq!(of("kazkar", json!({ "title": "T", "location": "Київ" })), [""; 0]);
    }

    #[test]
    fn times_on_the_wall_are_ordered_as_their_numbers() {
        let at = |text: &str| wall_micros(text.parse().unwrap());
        assert_eq!(at("1970-01-01T00:00:00"), 0);
        assert_eq!(at("1969-12-31T23:59:59.999999"), -1);
        assert_eq!(at("2026-11-21T07:31:26.710931"), 1_795_246_286_710_931);
        assert!(at("0001-01-01T00:00:00") < at("9999-12-31T23:59:59"));
        for text in
            ["0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "2026-11-21T07:31:26.710931", "9999-12-31T23:59:59"]
        {
            assert_eq!(wall(at(text)), text.parse().unwrap(), "{text}");
        }
        assert_eq!((wall(i64::MIN), wall(i64::MAX)), (DateTime::MIN, DateTime::MAX));
    }

    #[test]
    fn long_values_and_texts_are_cut() {
        let kazkar = Kind::of_module("kazkar").unwrap();
        let long =
            fields(json!({ "title": "T", "content": "ї".repeat(SEARCHED_MAX_CHARS + 5), "location": "к".repeat(300) }));
        assert_eq!(text(kazkar, &long).chars().count(), SEARCHED_MAX_CHARS);
        assert_eq!(labels(kazkar, &long).map(|(_, value)| value.chars().count()).collect::<Vec<_>>(), [FACT_MAX_CHARS]);
    }
}
