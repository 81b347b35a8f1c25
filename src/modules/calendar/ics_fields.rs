//! What an event of a calendar file says of the fields of an entry. Other calendars know less than we do: what a file does not say of
//! an entry that is there stays.

use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::event::{Event, Status};
use super::expand::{Change, Exceptions, Series};
use crate::modules::records::read::Fields;
use crate::modules::zone::{Zone, wall_text};

/// The body of a new entry.
pub(super) fn new(event: &Event, source: &str) -> Value {
    let mut said = common(event);
    said.insert("scheduled_at".to_owned(), wall_text(event.start).into());
    said.insert("end_time".to_owned(), end(event));
    said.insert("is_recurring".to_owned(), event.rule.is_some().into());
    said.insert("recurrence_pattern".to_owned(), pattern(event));
    if event.rule.is_some() {
        said.insert("exceptions".to_owned(), event.exceptions.to_json());
    }
    said.insert("source_trace".to_owned(), source.into());
    if !event.minutes_before.is_empty() {
        said.insert("reminder_settings".to_owned(), json!({ "minutes_before": event.minutes_before }));
    }
    if let Some(status) = word(event.status) {
        said.insert("status".to_owned(), status.into());
    }
    Value::Object(said)
}

/// The body of a change of an entry that is there: `old` is the same entry as a calendar sees it.
pub(super) fn changed(event: &Event, old: &Event, fields: &Fields, zone: &Zone) -> Value {
    let mut said = common(event);
    let is_same_time = is_same_time(event, old);
    if !is_same_time {
        said.insert("scheduled_at".to_owned(), wall_text(event.start).into());
        said.insert("end_time".to_owned(), end(event));
    }
    let text = |event: &Event| event.rule.as_ref().map(|rule| rule.to_rrule(event.start, event.whole_day, zone));
    if text(event) != text(old) {
        said.insert("recurrence_pattern".to_owned(), pattern(event));
    }
    if event.rule.is_some() != old.rule.is_some() {
        said.insert("is_recurring".to_owned(), event.rule.is_some().into());
    }
    let start = if is_same_time { old.start } else { event.start };
    said.insert("exceptions".to_owned(), exceptions(event, old, start).to_json());
    if !event.minutes_before.is_empty() && event.minutes_before != old.minutes_before {
        let settings = fields.get("reminder_settings").and_then(Value::as_object);
        let mut settings = settings.cloned().unwrap_or_default();
        settings.insert("minutes_before".to_owned(), event.minutes_before.clone().into());
        said.insert("reminder_settings".to_owned(), settings.into());
    }
    // That an entry is done is not in every file. That it is cancelled is, and so is that it no longer is.
    if event.status != old.status && (event.status != Status::Pending || old.status == Status::Cancelled) {
        said.insert("status".to_owned(), word(event.status).into());
    }
    Value::Object(said)
}

fn common(event: &Event) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert("title".to_owned(), event.title.clone().into());
    for (name, text) in [("description", &event.description), ("location", &event.location)] {
        if let Some(text) = text {
            said.insert(name.to_owned(), text.clone().into());
        }
    }
    for (name, texts) in [("participants", &event.participants), ("tags", &event.tags)] {
        if !texts.is_empty() {
            said.insert(name.to_owned(), texts.clone().into());
        }
    }
    said
}

fn word(status: Status) -> Option<&'static str> {
    match status {
        Status::Pending => None,
        Status::Completed => Some("completed"),
        Status::Cancelled => Some("cancelled"),
    }
}

fn pattern(event: &Event) -> Value {
    event.rule.as_ref().map_or(Value::Null, super::rule::Rule::to_json)
}

/// A single day needs no end.
fn end(event: &Event) -> Value {
    let end = event.end.filter(|end| *end > event.start && !(event.whole_day && event.days() == 1));
    end.map_or(Value::Null, |end| wall_text(end).into())
}

/// Whether two are at one time, as far as a file can say it: of whole days the days, of others the seconds.
fn is_same_time(event: &Event, old: &Event) -> bool {
    if event.whole_day && old.whole_day {
        return event.start.date() == old.start.date() && event.days() == old.days();
    }
    let second = |at: DateTime| at.with().subsec_nanosecond(0).build().unwrap_or(at);
    let times = |event: &Event| (second(event.start), event.end.filter(|end| *end > event.start).map(second));
    event.whole_day == old.whole_day && times(event) == times(old)
}

/// What became of single occurrences of an entry that starts then: what the file says, and that some are done, which it cannot
/// say, and what is kept for a rule that was changed.
fn exceptions(event: &Event, old: &Event, start: DateTime) -> Exceptions {
    if event.rule.is_none() {
        return Exceptions::default();
    }
    // A file knows the days of whole days, and nothing of when on them the entry starts.
    let time = start.time();
    let at_time = |at: DateTime| if event.whole_day { at.date().to_datetime(time) } else { at };
    let series = Series::new(start, event.end, event.rule.clone());
    let mut exceptions = Exceptions::default();
    for (at, change) in event.exceptions.iter() {
        let change = Change { moved_to: change.moved_to.map(at_time), ..change };
        drop(exceptions.set(at_time(at), change));
    }
    for (at, change) in old.exceptions.iter() {
        let said = exceptions.get(at);
        let kept = match change {
            change if !series.has(at) => change,
            Change { completed: true, .. } if !said.skip => Change { completed: true, ..said },
            _ => continue,
        };
        // As many as there may be, those of the file first.
        drop(exceptions.set(at, kept));
    }
    exceptions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::calendar::ics_read;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn read(lines: &str) -> Event {
        let file = format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nSUMMARY:A\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
        ics_read::read(file.as_bytes(), &kyiv()).unwrap().remove(0).event.unwrap()
    }

    #[test]
    fn a_new_entry_is_what_the_file_says() {
        let event = read(
            "DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY;UNTIL=20260331\nEXDATE;VALUE=DATE:20260303\n\
             BEGIN:VALARM\nTRIGGER:-PT15M\nEND:VALARM\nSTATUS:CANCELLED\nCATEGORIES:дім",
        );
        let body = json!({
            "title": "A", "tags": ["дім"], "scheduled_at": "2026-03-02T00:00:00", "end_time": null, "is_recurring": true,
            "recurrence_pattern": { "freq": "daily", "until": "2026-03-31" },
            "exceptions": { "2026-03-03T00:00:00": { "skip": true } }, "source_trace": "ics:a",
            "reminder_settings": { "minutes_before": [15] }, "status": "cancelled",
        });
        assert_eq!(new(&event, "ics:a"), body);
    }

    #[test]
    fn what_a_file_does_not_say_stays() {
        let kyiv = kyiv();
        let plain = read("DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY;UNTIL=20260331\nEXDATE;VALUE=DATE:20260303");
        let done = Change { completed: true, ..Change::default() };
        let mut old = Event {
            start: "2026-03-02T09:00:00".parse().unwrap(),
            end: None,
            minutes_before: vec![60],
            tags: vec!["дім".to_owned()],
            status: Status::Completed,
            ..plain.clone()
        };
        old.exceptions = Exceptions::default();
        for day in ["2026-03-04T09:00:00", "2026-03-03T09:00:00", "2026-09-01T09:00:00"] {
            old.exceptions.set(day.parse().unwrap(), done).unwrap();
        }
        let kept = json!({
            "2026-03-03T09:00:00": { "skip": true }, "2026-03-04T09:00:00": { "completed": true },
            "2026-09-01T09:00:00": { "completed": true },
        });
        let said = changed(&plain, &old, &Fields::new(), &kyiv);
        assert_eq!(said, json!({ "title": "A", "exceptions": kept }));

        let timed = read("DTSTART:20260302T100000\nDTEND:20260302T110000\nBEGIN:VALARM\nTRIGGER:PT0S\nEND:VALARM");
        let cancelled = Event { status: Status::Cancelled, ..old };
        let fields = json!({ "reminder_settings": { "minutes_before": 60, "sound": "bell" } });
        let said = changed(&timed, &cancelled, fields.as_object().unwrap(), &kyiv);
        let body = json!({
            "title": "A", "scheduled_at": "2026-03-02T10:00:00", "end_time": "2026-03-02T11:00:00",
            "recurrence_pattern": null, "is_recurring": false, "exceptions": {},
            "reminder_settings": { "minutes_before": [0], "sound": "bell" }, "status": null,
        });
        assert_eq!(said, body);
    }

    #[test]
    fn parts_of_a_second_are_none_of_a_file() {
        let read = read("DTSTART:20260302T100000\nDTEND:20260302T110000");
        let mut old = read.clone();
        old.start = "2026-03-02T10:00:00.5".parse().unwrap();
        old.end = Some("2026-03-02T11:00:00.25".parse().unwrap());
        assert!(is_same_time(&read, &old));
        old.end = None;
        assert!(!is_same_time(&read, &old));
    }
}
