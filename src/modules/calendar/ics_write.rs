//! Entries as a calendar file (RFC 5545), for phones and other calendars, to be read once or subscribed to.
//!
//! Times carry the household's zone and the file its rules, whole days are dates, and nothing depends on the machine or the moment.
//! Of single occurrences, what is skipped becomes `EXDATE`, what is moved an event of its own with `RECURRENCE-ID`; that one
//! is done has no word in a calendar and is left out.

use jiff::Span;
use jiff::civil::DateTime;

use super::event::{Event, Status};
use super::expand::{Change, Series};
use super::ics_text::{date_text, escaped, push_line, time_text, utc_text};
use super::ics_zone::push_zone;
use crate::clock::Timestamp;
use crate::modules::zone::Zone;

/// The whole file, under this name.
#[must_use]
pub fn calendar(name: &str, events: &[Event], zone: &Zone) -> Vec<u8> {
    let mut out = Vec::new();
    push_head(&mut out, name, years(events), zone);
    for event in events {
        push_event(&mut out, event, zone);
    }
    push_foot(&mut out);
    out
}

/// The years of all starts with a time, which is how far the zone is needed; none where there are whole days only.
#[must_use]
pub fn years(events: &[Event]) -> Option<(i16, i16)> {
    let timed = events.iter().filter(|event| !event.whole_day);
    let moved = |event: &Event| event.exceptions.iter().filter_map(|(_, change)| change.moved_to).collect::<Vec<_>>();
    let starts = timed.flat_map(|event| std::iter::once(event.start).chain(moved(event)));
    starts.map(DateTime::year).fold(None, |years, year| {
        let (first, last) = years.unwrap_or((year, year));
        Some((first.min(year), last.max(year)))
    })
}

/// What stands before all events: who wrote it, its name, and the zone for starts in these years.
pub fn push_head(out: &mut Vec<u8>, name: &str, years: Option<(i16, i16)>, zone: &Zone) {
    for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//inkring//calendar//EN", "CALSCALE:GREGORIAN"] {
        push_line(out, line);
    }
    // RFC 7986 has the one, every calendar knows the other.
    push_line(out, &format!("NAME:{}", escaped(name)));
    push_line(out, &format!("X-WR-CALNAME:{}", escaped(name)));
    if let Some((first, last)) = years {
        push_zone(out, zone, first, last);
    }
}

/// What stands behind all events.
pub fn push_foot(out: &mut Vec<u8>) {
    push_line(out, "END:VCALENDAR");
}

/// One entry: one event, and one more for each occurrence that was moved.
pub fn push_event(out: &mut Vec<u8>, event: &Event, zone: &Zone) {
    let series = Series::new(event.start, event.end, event.rule.clone());
    let Some(rule) = &event.rule else {
        // One occurrence is the event itself.
        let change = event.exceptions.get(event.start);
        push_one(out, event, change.moved_to.unwrap_or(event.start), change.skip, zone, &[]);
        return;
    };
    // An exception of a rule that has changed since is none.
    let exceptions: Vec<(DateTime, Change)> = event.exceptions.iter().filter(|(at, _)| series.has(*at)).collect();
    let mut lines = vec![format!("RRULE:{}", rule.to_rrule(event.start, event.whole_day, zone))];
    let skipped = exceptions.iter().filter(|(_, change)| change.skip);
    lines.extend(skipped.map(|(at, _)| time_line("EXDATE", *at, event.whole_day, zone)));
    push_one(out, event, event.start, false, zone, &lines);
    for (original, change) in exceptions {
        if let Some(to) = change.moved_to {
            push_one(out, event, to, false, zone, &[time_line("RECURRENCE-ID", original, event.whole_day, zone)]);
        }
    }
}

fn push_one(out: &mut Vec<u8>, event: &Event, start: DateTime, is_skipped: bool, zone: &Zone, recurrence: &[String]) {
    let mut text = |name: &str, value: &str| push_line(out, &format!("{name}:{}", escaped(value)));
    text("BEGIN", "VEVENT");
    text("UID", &event.uid);
    // The moment of the last change, and not of this writing: the same entry is the same bytes.
    text("DTSTAMP", &utc_text(event.updated.or(event.created).unwrap_or(Timestamp(0))));
    text("SUMMARY", &event.title);
    for (name, value) in [("DESCRIPTION", &event.description), ("LOCATION", &event.location)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            text(name, value);
        }
    }
    // `ATTENDEE` is for invitations and wants an address. These are people of whom the household has written down a name.
    for participant in &event.participants {
        text("CONTACT", participant);
    }
    let cancelled = is_skipped || event.status == Status::Cancelled;
    text("STATUS", if cancelled { "CANCELLED" } else { "CONFIRMED" });
    for (name, at) in [("CREATED", event.created), ("LAST-MODIFIED", event.updated)] {
        if let Some(at) = at {
            text(name, &utc_text(at));
        }
    }
    if !event.tags.is_empty() {
        let tags: Vec<String> = event.tags.iter().map(|tag| escaped(tag)).collect();
        push_line(out, &format!("CATEGORIES:{}", tags.join(",")));
    }
    push_line(out, &time_line("DTSTART", start, event.whole_day, zone));
    if let Some(end) = end_of(event, start) {
        push_line(out, &time_line("DTEND", end, event.whole_day, zone));
    }
    for line in recurrence {
        push_line(out, line);
    }
    for minutes in &event.minutes_before {
        push_line(out, "BEGIN:VALARM");
        push_line(out, "ACTION:DISPLAY");
        push_line(out, &format!("DESCRIPTION:{}", escaped(&event.title)));
        let sign = if *minutes > 0 { "-" } else { "" };
        push_line(out, &format!("TRIGGER:{sign}PT{}M", minutes.unsigned_abs()));
        push_line(out, "END:VALARM");
    }
    push_line(out, "END:VEVENT");
}

/// As long after this start as the entry's end is; of whole days, the day after the last.
fn end_of(event: &Event, start: DateTime) -> Option<DateTime> {
    if event.whole_day {
        return start.checked_add(Span::new().days(event.days())).ok();
    }
    let end = event.end.filter(|end| *end > event.start)?;
    start.checked_add(event.start.duration_until(end)).ok()
}

/// `DTSTART;VALUE=DATE:20260731`, or `DTSTART;TZID=Europe/Kyiv:20260731T180000`.
fn time_line(name: &str, at: DateTime, whole_day: bool, zone: &Zone) -> String {
    if whole_day {
        format!("{name};VALUE=DATE:{}", date_text(at.date()))
    } else {
        format!("{name};TZID={}:{}", zone.name(), time_text(at))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::modules::calendar::event::whole_days;
    use crate::modules::calendar::expand::Exceptions;
    use crate::modules::calendar::ics_text::LINE_MAX_OCTETS;
    use crate::modules::calendar::rule::Rule;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn event(start: &str, end: Option<&str>, pattern: &Value) -> Event {
        let start = start.parse().unwrap();
        let end = end.map(|end| end.parse().unwrap());
        Event {
            uid: "calendar-7@inkring".to_owned(),
            title: "День народження".to_owned(),
            description: None,
            location: None,
            start,
            end,
            whole_day: whole_days(start, end, None).is_some(),
            rule: (!pattern.is_null()).then(|| Rule::from_json(pattern, &kyiv()).unwrap()),
            exceptions: Exceptions::default(),
            participants: Vec::new(),
            tags: Vec::new(),
            status: Status::Pending,
            minutes_before: Vec::new(),
            created: None,
            updated: Some(Timestamp(1_785_000_000_000_000)),
        }
    }

    fn written(events: &[Event]) -> String {
        String::from_utf8(calendar("Дім", events, &kyiv())).unwrap()
    }

    #[test]
    fn whole_days_are_dates_and_their_end_is_not_included() {
        let text = written(&[
            event("2026-07-31T00:00:00", Some("2026-08-01T00:00:00"), &Value::Null),
            event("2024-02-29T00:00:00", None, &json!("yearly")),
        ]);
        for lines in [
            "DTSTART;VALUE=DATE:20260731\r\nDTEND;VALUE=DATE:20260801\r\n",
            "DTSTART;VALUE=DATE:20240229\r\nDTEND;VALUE=DATE:20240301\r\nRRULE:FREQ=YEARLY\r\n",
        ] {
            assert!(text.contains(lines), "{lines} in {text}");
        }
        assert!(!text.contains("VTIMEZONE"), "nothing in it needs a zone");
    }

    #[test]
    fn times_carry_their_zone_and_the_file_its_rules() {
        let mut recurring = event(
            "2026-07-31T18:00:00",
            Some("2026-07-31T19:30:00"),
            &json!({"freq": "weekly", "until": "2026-12-31"}),
        );
        let changes = json!({
            "2026-08-07T18:00:00": {"skip": true},
            "2026-08-14T18:00:00": {"moved_to": "2026-08-15T10:00:00"},
            "2026-08-21T18:00:00": {"completed": true},
            "2026-08-22T18:00:00": {"skip": true},
        });
        recurring.exceptions = Exceptions::from_json(&changes, &kyiv()).unwrap();
        recurring.minutes_before = vec![15, 0, -540];
        let text = written(&[recurring]);
        let head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//inkring//calendar//EN\r\nCALSCALE:GREGORIAN\r\nNAME:Дім\r\n\
            X-WR-CALNAME:Дім\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Kyiv\r\n";
        assert!(text.starts_with(head), "{text}");
        let first = "DTSTART;TZID=Europe/Kyiv:20260731T180000\r\nDTEND;TZID=Europe/Kyiv:20260731T193000\r\n\
            RRULE:FREQ=WEEKLY;UNTIL=20261231T215959Z\r\nEXDATE;TZID=Europe/Kyiv:20260807T180000\r\nBEGIN:VALARM\r\n";
        assert!(text.contains(first), "{text}");
        let moved = "DTSTART;TZID=Europe/Kyiv:20260815T100000\r\nDTEND;TZID=Europe/Kyiv:20260815T113000\r\n\
            RECURRENCE-ID;TZID=Europe/Kyiv:20260814T180000\r\n";
        assert!(text.contains(moved), "{text}");
        assert_eq!((text.matches("BEGIN:VEVENT").count(), text.matches("EXDATE").count()), (2, 1));
        for trigger in ["TRIGGER:-PT15M\r\n", "TRIGGER:PT0M\r\n", "TRIGGER:PT540M\r\n"] {
            assert!(text.contains(trigger), "{text}");
        }
        // Never a time that means something else elsewhere: rules of zones alone are told in local time.
        let (zone, events) = text.split_once("END:VTIMEZONE").unwrap();
        assert!(zone.contains("BYMONTH=3;BYDAY=-1SU\r\n") && zone.contains("BYMONTH=10;BYDAY=-1SU\r\n"), "{zone}");
        for line in
            events.lines().filter(|line| line.starts_with("DT") || line.starts_with("EX") || line.starts_with("REC"))
        {
            assert!(line.contains(";TZID=") || line.ends_with('Z'), "{line}");
        }
    }

    #[test]
    fn one_occurrence_that_was_moved_or_skipped_is_the_event_itself() {
        let mut once = event("2026-07-31T18:00:00", None, &Value::Null);
        let to = Change { moved_to: Some("2026-08-01T10:00:00".parse().unwrap()), ..Change::default() };
        once.exceptions.set(once.start, to).unwrap();
        let text = written(&[once.clone()]);
        assert!(text.contains("DTSTART;TZID=Europe/Kyiv:20260801T100000\r\nEND:VEVENT"), "{text}");
        once.exceptions.set(once.start, Change { skip: true, ..Change::default() }).unwrap();
        assert!(written(&[once]).contains("STATUS:CANCELLED\r\n"));
    }

    #[test]
    fn another_calendar_reads_what_is_written() {
        let mut long = event("2026-07-31T18:00:00", None, &json!({"freq": "monthly", "bymonthday": -1}));
        long.title = "Довга назва; з комами, \"лапками\" і \\ рисками ".repeat(5);
        long.description = Some("перший рядок\nдругий: рядок\r\nBEGIN:VEVENT\u{0}".to_owned());
        long.location = Some("Київ".to_owned());
        long.participants = vec!["Іван, син".to_owned(), "Марія".to_owned()];
        long.tags = vec!["дім".to_owned(), "а,б".to_owned()];
        long.created = Some(Timestamp(0));
        long.status = Status::Cancelled;
        long.minutes_before = vec![60];
        let text = written(&[long.clone(), event("2026-07-31T00:00:00", None, &Value::Null)]);
        for line in text.split("\r\n") {
            assert!(line.len() <= LINE_MAX_OCTETS && !line.contains(['\r', '\n']), "{line}");
        }
        let unfolded = icalendar::parser::unfold(&text);
        let read = icalendar::parser::read_calendar(&unfolded).unwrap();
        let events: Vec<_> = read.components.iter().filter(|part| part.name == "VEVENT").collect();
        assert_eq!(events.len(), 2);
        let value = |name: &str| events[0].find_prop(name).map(|found| found.val.as_ref().to_owned()).unwrap();
        assert_eq!(value("SUMMARY"), long.title);
        assert_eq!(value("DESCRIPTION"), "перший рядок\nдругий: рядок\nBEGIN:VEVENT");
        assert_eq!(value("RRULE"), "FREQ=MONTHLY;BYMONTHDAY=-1");
        assert_eq!(value("STATUS"), "CANCELLED");
        assert_eq!(value("CREATED"), "19700101T000000Z");
    }
}
