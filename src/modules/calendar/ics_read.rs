//! Entries out of a calendar file, as phones and other calendars really write them.
//!
//! Each event is read for itself: one that cannot be read says why and in which line, and what cannot be kept of one that can is
//! said beside it. All times become the household's, on whatever clock they are written; times without a zone are taken as the
//! household's. What has a `RECURRENCE-ID` becomes an exception of its series.

use std::collections::HashMap;

use jiff::civil::DateTime;

use super::event::{Event, Status};
use super::expand::Change;
use super::ics_lines::{Component, Components};
use super::ics_read_event::{Found, Reader, note};
use super::ics_read_zone::Places;
use crate::modules::zone::{Zone, wall_text};

/// Bytes of a file.
pub const ICS_FILE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Events of a file.
pub const ICS_EVENTS_MAX: usize = 20_000;

/// What became of one event of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The line in which it begins, from 1.
    pub line: usize,
    /// The event, or a sentence that says why it cannot be read.
    pub event: Result<Event, String>,
    /// What was not kept of it, a sentence each.
    pub left_out: Vec<String>,
}

/// Reads a file, as a household in this zone sees it.
///
/// # Errors
///
/// A sentence, if it is no calendar file or has more than may be in one.
pub fn read(bytes: &[u8], zone: &Zone) -> Result<Vec<Read>, String> {
    if bytes.len() > ICS_FILE_MAX_BYTES {
        return Err(format!("the file has {} bytes: use at most {ICS_FILE_MAX_BYTES}", bytes.len()));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("the file is UTF-16: save it as UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Zones may stand behind the events that name them.
    let mut places = Places::default();
    let mut components = Components::new(bytes);
    for component in components.by_ref().filter(|component| component.name == "VTIMEZONE") {
        places.add(&component);
    }
    if !components.begun {
        return Err("the file is not a calendar: it has no BEGIN:VCALENDAR".to_owned());
    }
    if components.version.as_deref() == Some("1.0") {
        return Err("the file is a vCalendar 1.0 of the last century: save it as iCalendar 2.0".to_owned());
    }
    let reader = Reader { zone, places };
    let mut file = File::default();
    for component in Components::new(bytes).filter(|component| component.name != "VTIMEZONE") {
        if file.read.len() + file.apart.len() == ICS_EVENTS_MAX {
            return Err(format!("the file has more than {ICS_EVENTS_MAX} events"));
        }
        file.add(&component, reader.event(&component));
    }
    Ok(file.whole())
}

/// What has been read of a file.
#[derive(Default)]
struct File {
    read: Vec<Read>,
    /// Where the series of a UID stands in `read`.
    series: HashMap<String, usize>,
    /// Occurrences that were written apart from their series: which one, and what it is.
    apart: Vec<(usize, DateTime, Found)>,
}

impl File {
    fn add(&mut self, component: &Component, found: Result<Found, String>) {
        let line = component.number;
        match found {
            Err(problem) => self.read.push(Read { line, event: Err(problem), left_out: Vec::new() }),
            Ok(mut found) => match found.apart.take() {
                Some(original) => self.apart.push((line, original, found)),
                None => {
                    self.series.insert(found.event.uid.clone(), self.read.len());
                    self.read.push(Read { line, event: Ok(found.event), left_out: found.left_out });
                }
            },
        }
    }

    /// Puts the occurrences that stand apart into their series; one without a series is an event of its own.
    fn whole(mut self) -> Vec<Read> {
        for (line, original, found) in self.apart {
            let at = self.series.get(&found.event.uid).copied();
            // Without a rule there are no occurrences: it could not be kept, or there was none.
            let recurs = |read: &&mut Read| read.event.as_ref().is_ok_and(|series| series.rule.is_some());
            let series = at.and_then(|at| self.read.get_mut(at)).filter(recurs);
            let Some(Read { event: Ok(series), left_out, .. }) = series else {
                let mut event = found.event;
                // Several of one series would otherwise be one event.
                event.uid = format!("{}/{}", event.uid, wall_text(original));
                self.read.push(Read { line, event: Ok(event), left_out: found.left_out });
                continue;
            };
            let (event, day) = (found.event, wall_text(original));
            let is_moved = event.start != original;
            let change = Change {
                skip: event.status == Status::Cancelled,
                moved_to: is_moved.then_some(event.start),
                completed: false,
            };
            if let Err(problem) = series.exceptions.set(original, change) {
                note(left_out, problem);
            }
            let lasting = |event: &Event| event.end.map(|end| event.start.duration_until(end));
            let own = [
                ("title", event.title != series.title),
                ("description", event.description != series.description),
                ("location", event.location != series.location),
                ("length", lasting(&event) != lasting(series)),
            ];
            for (name, _) in own.iter().filter(|(_, is_own)| *is_own && !change.skip) {
                note(
                    left_out,
                    format!("line {line}: the occurrence of {day} has a {name} of its own, which is not kept"),
                );
            }
            found.left_out.into_iter().for_each(|sentence| note(left_out, sentence));
        }
        self.read.sort_by_key(|read| read.line);
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::modules::calendar::expand::EXCEPTIONS_MAX;
    use crate::modules::calendar::ics_lines::{COMPONENT_MAX_LINES, LINE_MAX_BYTES};
    use crate::modules::calendar::ics_read_event::{LEFT_OUT_MAX, NAMES_MAX, UNTITLED};
    use crate::modules::calendar::ics_write;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    /// A file with these lines between its first and its last.
    fn file(lines: &str) -> String {
        format!("BEGIN:VCALENDAR\nVERSION:2.0\n{lines}\nEND:VCALENDAR\n")
    }

    fn all(lines: &str) -> Vec<Read> {
        read(file(lines).as_bytes(), &kyiv()).unwrap()
    }

    /// The only event, which has these lines beside its name and title.
    fn one(lines: &str) -> Read {
        let mut read = all(&format!("BEGIN:VEVENT\nUID:a\nSUMMARY:A\n{lines}\nEND:VEVENT"));
        assert_eq!(read.len(), 1);
        read.remove(0)
    }

    fn stretch(lines: &str) -> (String, Option<String>, bool) {
        let event = one(lines).event.unwrap();
        (wall_text(event.start), event.end.map(wall_text), event.whole_day)
    }

    #[test]
    fn a_calendar_from_the_net_with_a_series_and_what_became_of_it() {
        let text = file(
            "PRODID:-//Some//Calendar 70.9054//EN\nX-WR-TIMEZONE:Europe/Kiev\nBEGIN:VTIMEZONE\nTZID:Europe/Kiev\n\
             BEGIN:STANDARD\nDTSTART:19701025T040000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0200\nEND:STANDARD\nEND:VTIMEZONE\n\
             BEGIN:VEVENT\nDTSTART;TZID=Europe/Kiev:20260302T180000\nDTEND;TZID=Europe/Kiev:20260302T193000\n\
             RRULE:FREQ=WEEKLY;WKST=MO;UNTIL=20260430T205959Z;BYDAY=MO,TH\nEXDATE;TZID=Europe/Kiev:20260309T180000\n\
             DTSTAMP:20260301T100000Z\nUID:series@example.org\nSEQUENCE:2\nSTATUS:CONFIRMED\nSUMMARY:Хор\\, репетиція\n\
             DESCRIPTION:перший рядок\\nдругий\\; з крапкою\nLOCATION:Будинок культури\nTRANSP:OPAQUE\n\
             ATTENDEE;CUTYPE=INDIVIDUAL;CN=\"Коваль: Іван\";X-NUM-GUESTS=0:mailto:ivan@example.org\n\
             ATTENDEE:MAILTO:maria@example.org\nATTENDEE;CUTYPE=ROOM;CN=Зала:mailto:room@example.org\n\
             BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-P0DT0H30M0S\nEND:VALARM\nEND:VEVENT\n\
             BEGIN:VEVENT\nDTSTART;TZID=Europe/Kiev:20260313T100000\nDTEND;TZID=Europe/Kiev:20260313T113000\n\
             RECURRENCE-ID;TZID=Europe/Kiev:20260312T180000\nUID:series@example.org\nSUMMARY:Хор\\, репетиція\n\
             DESCRIPTION:перший рядок\\nдругий\\; з крапкою\nLOCATION:Школа\nEND:VEVENT\n\
             BEGIN:VEVENT\nDTSTART:20260316T160000Z\nDTEND:20260316T173000Z\nRECURRENCE-ID:20260316T160000Z\n\
             UID:series@example.org\nSTATUS:CANCELLED\nSUMMARY:Хор\nEND:VEVENT",
        )
        .replace('\n', "\r\n");
        let mut found = read(text.as_bytes(), &kyiv()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let Read { line, event, left_out } = found.remove(0);
        let event = event.unwrap();
        assert_eq!(
            (line, wall_text(event.start), event.end.map(wall_text)),
            (13, "2026-03-02T18:00:00".to_owned(), Some("2026-03-02T19:30:00".to_owned()))
        );
        assert_eq!((event.title.as_str(), event.location.as_deref()), ("Хор, репетиція", Some("Будинок культури")));
        assert_eq!(event.description.as_deref(), Some("перший рядок\nдругий; з крапкою"));
        assert_eq!(event.participants, ["Коваль: Іван", "maria@example.org"]);
        assert_eq!(event.minutes_before, [30]);
        assert_eq!(event.updated, Some(Timestamp(1_772_359_200_000_000)));
        let rule = event.rule.unwrap().to_json();
        assert_eq!(rule.to_string(), r#"{"freq":"weekly","byweekday":["MO","TH"],"until":"2026-04-30"}"#);
        let exceptions = event.exceptions.to_json().to_string();
        let expected = r#"{"2026-03-09T18:00:00":{"skip":true},"2026-03-12T18:00:00":{"moved_to":"2026-03-13T10:00:00"},"2026-03-16T18:00:00":{"skip":true}}"#;
        assert_eq!(exceptions, expected);
        assert_eq!(
            left_out,
            ["line 34: the occurrence of 2026-03-12T18:00:00 has a location of its own, which is not kept"]
        );
    }

    #[test]
    fn days_and_times_in_all_their_spellings() {
        let rows = [
            ("DTSTART;VALUE=DATE:20260731", "2026-07-31T00:00:00", Some("2026-08-01T00:00:00"), true),
            (
                "DTSTART;VALUE=DATE:20260731\nDTEND;VALUE=DATE:20260803",
                "2026-07-31T00:00:00",
                Some("2026-08-03T00:00:00"),
                true,
            ),
            (
                "DTSTART;VALUE=DATE:20260731\nDTEND;VALUE=DATE:20260731",
                "2026-07-31T00:00:00",
                Some("2026-08-01T00:00:00"),
                true,
            ),
            ("DTSTART;VALUE=DATE:20260731\nDURATION:P2D", "2026-07-31T00:00:00", Some("2026-08-02T00:00:00"), true),
            ("DTSTART:20260731T150000Z", "2026-07-31T18:00:00", None, false),
            ("DTSTART:20260731T180000\nDURATION:PT1H30M", "2026-07-31T18:00:00", Some("2026-07-31T19:30:00"), false),
            ("dtstart;tzid=\"America/New_York\":20260731T180000", "2026-08-01T01:00:00", None, false),
            ("DTSTART;TZID=/mozilla.org/20050126_1/Europe/Kiev:20260731T180000", "2026-07-31T18:00:00", None, false),
            ("DTSTART;TZID=/a/America/Argentina/Salta:20260731T170000", "2026-07-31T23:00:00", None, false),
            (
                "DTSTART:20260731T000000\nDTEND:20260801T000000",
                "2026-07-31T00:00:00",
                Some("2026-08-01T00:00:00"),
                true,
            ),
            (
                "X-MICROSOFT-CDO-ALLDAYEVENT:TRUE\nDTSTART;TZID=America/New_York:20260731T000000\nDTEND;TZID=America/New_York:20260801T000000",
                "2026-07-31T00:00:00",
                Some("2026-08-01T00:00:00"),
                true,
            ),
            // Times that the household's clock leaves out, and has twice.
            (
                "DTSTART:20260329T033000\nDTEND:20260329T050000",
                "2026-03-29T03:30:00",
                Some("2026-03-29T05:00:00"),
                false,
            ),
            (
                "DTSTART:20261025T003000Z\nDTEND:20261025T013000Z",
                "2026-10-25T03:30:00",
                Some("2026-10-25T03:30:00"),
                false,
            ),
        ];
        for (lines, start, end, whole_day) in rows {
            assert_eq!(stretch(lines), (start.to_owned(), end.map(str::to_owned), whole_day), "{lines}");
        }
        let backwards = one("DTSTART:20260731T180000\nDTEND:20260731T170000");
        assert_eq!(backwards.event.unwrap().end, None);
        assert_eq!(backwards.left_out, ["line 6: its end, which is before its start"]);
    }

    #[test]
    fn a_zone_that_only_the_file_knows_is_taken_at_its_word() {
        let zone = "BEGIN:VTIMEZONE\nTZID:FLE Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T040000\nTZOFFSETFROM:+0300\n\
            TZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\n\
            DTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0300\n\
            RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE";
        let event =
            |at: &str| format!("BEGIN:VEVENT\nUID:{at}\nSUMMARY:A\nDTSTART;TZID=FLE Standard Time:{at}\nEND:VEVENT");
        // It stands behind one of the events that name it.
        let lines =
            [event("20260115T100000"), zone.to_owned(), event("20260715T100000"), event("20261025T050000")].join("\n");
        let starts: Vec<String> = all(&lines).into_iter().map(|read| wall_text(read.event.unwrap().start)).collect();
        assert_eq!(starts, ["2026-01-15T10:00:00", "2026-07-15T10:00:00", "2026-10-25T05:00:00"]);
        let far = "BEGIN:VTIMEZONE\nTZID:Moon\nBEGIN:STANDARD\nDTSTART:20200101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:-1130\n\
            RDATE:20250101T000000\nEND:STANDARD\nEND:VTIMEZONE\n\
            BEGIN:VEVENT\nSUMMARY:A\nDTSTART;TZID=Moon:20190101T000000\nEND:VEVENT\n\
            BEGIN:VEVENT\nSUMMARY:A\nDTSTART;TZID=Moon:20260101T000000\nEND:VEVENT";
        let starts: Vec<String> = all(far).into_iter().map(|read| wall_text(read.event.unwrap().start)).collect();
        assert_eq!(starts, ["2019-01-01T02:00:00", "2026-01-01T13:30:00"]);
    }

    #[test]
    fn a_rule_that_cannot_be_kept_is_reported() {
        let read =
            one("DTSTART:20260130T090000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1\nRDATE:20260101T090000");
        assert_eq!(read.event.unwrap().rule, None);
        let sentence = "line 7: RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1 is left out, so this event is once: \
            BYSETPOS=-1 can be kept for one day of the week only";
        assert_eq!(read.left_out, [sentence, "line 8: the further times of RDATE"]);
        // The clock of a rule matters on both sides of a change, and its days where they are others here.
        let read = one("DTSTART;TZID=America/New_York:20260302T200000\nRRULE:FREQ=WEEKLY;BYDAY=MO,SU");
        let event = read.event.unwrap();
        assert_eq!(wall_text(event.start), "2026-03-03T03:00:00");
        assert_eq!(event.rule.unwrap().to_json().to_string(), r#"{"freq":"weekly","byweekday":["MO","TU"]}"#);
        assert_eq!(
            read.left_out,
            ["line 7: it recurs by the clock of America/New_York, and from now on by that of Europe/Kyiv"]
        );
        let read = one("DTSTART;TZID=America/New_York:20260331T200000\nRRULE:FREQ=MONTHLY");
        assert!(
            read.left_out[0].ends_with("so this event is once: on the household's clock it is another day"),
            "{:?}",
            read.left_out
        );
        let same = one("DTSTART;TZID=Europe/Helsinki:20260302T200000\nRRULE:FREQ=WEEKLY;BYDAY=MO");
        assert_eq!(same.left_out, [""; 0]);
    }

    #[test]
    fn occurrences_that_stand_apart_are_found_by_day_and_without_a_series() {
        let by_day = one(
            "DTSTART:20260302T090000\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20260303,20260304\nEXDATE:20260305T090000",
        );
        let days: Vec<String> = by_day.event.unwrap().exceptions.iter().map(|(at, _)| wall_text(at)).collect();
        assert_eq!(days, ["2026-03-03T09:00:00", "2026-03-04T09:00:00", "2026-03-05T09:00:00"]);
        let whole = one("DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY\nEXDATE:20260303T000000");
        assert_eq!(whole.event.unwrap().exceptions.to_json().to_string(), r#"{"2026-03-03T00:00:00":{"skip":true}}"#);
        let lost = all("BEGIN:VEVENT\nUID:a\nSUMMARY:A\nDTSTART:20260302T090000\nRDATE:20260303T090000\nEND:VEVENT\n\
             BEGIN:VEVENT\nUID:a\nSUMMARY:B\nDTSTART:20260303T100000\nRECURRENCE-ID:20260303T090000\nEND:VEVENT");
        assert_eq!(lost[1].event.as_ref().unwrap().title, "B", "there is no series to be part of");
        let alone = one("DTSTART:20260303T100000\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260302T090000");
        assert_eq!(alone.event.unwrap().uid, "a/2026-03-02T09:00:00");
        assert_eq!(alone.left_out, ["line 7: what follows this occurrence is not changed with it"]);
    }

    #[test]
    fn alarms_are_minutes_before_the_start() {
        let alarm = |trigger: &str| format!("BEGIN:VALARM\nACTION:AUDIO\n{trigger}\nEND:VALARM\n");
        let lines = [
            "DTSTART:20260731T150000Z\nDTEND:20260731T160000Z\n".to_owned(),
            alarm("TRIGGER:-PT15M"),
            alarm("TRIGGER;RELATED=END:-PT90M"),
            alarm("TRIGGER;VALUE=DATE-TIME:20260731T140000Z"),
            alarm("TRIGGER:PT9H"),
            alarm("TRIGGER:-P1W"),
            alarm("TRIGGER:-P9W"),
            alarm("TRIGGER:soon"),
            "BEGIN:VALARM\nACTION:NONE\nTRIGGER;VALUE=DATE-TIME:19760401T005545Z\nEND:VALARM".to_owned(),
        ];
        let read = one(&lines.concat());
        assert_eq!(read.event.unwrap().minutes_before, [10_080, 60, 30, 15, -540]);
        assert_eq!(read.left_out, ["line 30: a reminder, TRIGGER:-P9W", "line 34: a reminder, TRIGGER:soon"]);
    }

    #[test]
    fn bytes_as_programs_leave_them() {
        // A byte order mark, lower case, folds with blanks and tabs, one of them inside a letter, blank lines, no end of line at the end.
        let mut bytes = b"\xef\xbb\xbfbegin:vcalendar\r\nversion:2.0\r\n\r\nBEGIN:VEVENT\nDTSTART:2026\n 0731T18\n\t0000\nSUMMARY:\xd0".to_vec();
        bytes.extend_from_slice(
            b"\r\n \x94\xd1\x96\xd0\xbc\nX-PHOTO:\xff\xfe\nCATEGORIES:a\\,b,c\nEND:VEVENT\nEND:VCALENDAR",
        );
        let found = read(&bytes, &kyiv()).unwrap();
        let event = found[0].event.as_ref().unwrap();
        assert_eq!((event.title.as_str(), wall_text(event.start)), ("Дім", "2026-07-31T18:00:00".to_owned()));
        assert_eq!(
            (event.uid.as_str(), &event.tags[..]),
            ("2026-07-31T18:00:00 Дім", &["a,b".to_owned(), "c".to_owned()][..])
        );
    }

    #[test]
    fn one_bad_event_leaves_the_others_alone() {
        let good = "BEGIN:VEVENT\nUID:g\nSUMMARY:G\nDTSTART:20260731T180000\nEND:VEVENT";
        let bad = [
            ("BEGIN:VJOURNAL\nSUMMARY:T\nEND:VJOURNAL", "line 3: a VJOURNAL is not an event, and only events are read"),
            ("BEGIN:VEVENT\nSUMMARY:A\nEND:VEVENT", "line 3: this event has no DTSTART"),
            (
                "BEGIN:VEVENT\nDTSTART:20260230T000000\nEND:VEVENT",
                "line 4: DTSTART is 20260230T000000, which is not a valid date or time",
            ),
            (
                "BEGIN:VEVENT\nDTSTART;TZID=Atlantis:20260731T000000\nEND:VEVENT",
                "line 4: its zone \"Atlantis\" is not in the tz database, and the file does not describe it",
            ),
            (
                "BEGIN:VEVENT\nDTSTART:20260731T000000\nDURATION:-PT1H\nEND:VEVENT",
                "line 5: DURATION is -PT1H, which is not a valid duration",
            ),
            (
                "BEGIN:VEVENT\nDTSTART:20260731T000000\nBEGIN:VALARM\nEND:VEVENT",
                "line 6: VEVENT ends before the VALARM inside it",
            ),
            ("BEGIN:VEVENT\nBEGIN:VEVENT\nEND:VEVENT", "line 4: a VEVENT begins inside another"),
        ];
        for (lines, sentence) in bad {
            let found = all(&format!("{lines}\n{good}"));
            assert_eq!(found.len(), 2, "{lines}");
            assert_eq!(found[0].event.as_ref().unwrap_err(), sentence);
            assert_eq!(found[1].event.as_ref().unwrap().title, "G");
        }
        let cut = read(format!("BEGIN:VCALENDAR\n{good}\nBEGIN:VEVENT\nSUMM").as_bytes(), &kyiv()).unwrap();
        assert!(cut[0].event.is_ok());
        assert_eq!(cut[1].event.as_ref().unwrap_err(), "line 7: the file ends inside this VEVENT");
        let untitled = all("BEGIN:VEVENT\nDTSTART:20260731T180000\nSUMMARY: \nEND:VEVENT").remove(0);
        assert_eq!(untitled.event.unwrap().title, UNTITLED);
        assert_eq!(untitled.left_out, ["line 3: this event has no title"]);
    }

    #[test]
    fn what_is_no_calendar_is_refused_as_a_whole() {
        let rows: [(&[u8], &str); 4] = [
            (b"", "the file is not a calendar: it has no BEGIN:VCALENDAR"),
            (b"BEGIN:VCARD\nEND:VCARD\n", "the file is not a calendar: it has no BEGIN:VCALENDAR"),
            (b"\xff\xfeB\0", "the file is UTF-16: save it as UTF-8"),
            (
                b"BEGIN:VCALENDAR\nVERSION:1.0\nEND:VCALENDAR\n",
                "the file is a vCalendar 1.0 of the last century: save it as iCalendar 2.0",
            ),
        ];
        for (bytes, sentence) in rows {
            assert_eq!(read(bytes, &kyiv()).unwrap_err(), sentence);
        }
    }

    #[test]
    fn files_and_what_is_in_them_are_bounded() {
        let large = vec![b'\n'; ICS_FILE_MAX_BYTES + 1];
        assert_eq!(read(&large, &kyiv()).unwrap_err(), "the file has 16777217 bytes: use at most 16777216");
        let many = "BEGIN:VJOURNAL\nEND:VJOURNAL\n".repeat(ICS_EVENTS_MAX);
        assert_eq!(all(&many).len(), ICS_EVENTS_MAX);
        let more = file(&format!("{many}BEGIN:VJOURNAL\nEND:VJOURNAL"));
        assert_eq!(read(more.as_bytes(), &kyiv()).unwrap_err(), "the file has more than 20000 events");
        // A picture in a line nobody needs is passed over; a title of that length is not.
        let long = "x".repeat(LINE_MAX_BYTES);
        assert!(one(&format!("DTSTART:20260731\nATTACH:{long}")).event.is_ok());
        let refused = one(&format!("DTSTART:20260731\nDESCRIPTION:{long}")).event.unwrap_err();
        assert_eq!(refused, "line 7: it has more than 65536 bytes");
        let lines = |count: usize| one(&format!("DTSTART:20260731\n{}", "X-A:1\n".repeat(count))).event;
        assert!(lines(COMPONENT_MAX_LINES - 3).is_ok());
        assert_eq!(lines(COMPONENT_MAX_LINES - 2).unwrap_err(), "line 2004: this VEVENT has more than 2000 lines");
        let people = |count: usize| {
            one(&format!("DTSTART:20260731\n{}", (0..count).map(|at| format!("CONTACT:{at}\n")).collect::<String>()))
        };
        assert_eq!(people(NAMES_MAX).left_out, [""; 0]);
        let crowd = people(NAMES_MAX + 1);
        assert_eq!((crowd.event.unwrap().participants.len(), crowd.left_out.len()), (NAMES_MAX, 1));
        let days: Vec<String> = (0..EXCEPTIONS_MAX + 100).map(|at| format!("{}0101T000000", 1000 + at)).collect();
        let skipped = one(&format!("DTSTART:20260731T090000\nEXDATE:{}", days.join(",")));
        assert_eq!((skipped.event.unwrap().exceptions.iter().count(), skipped.left_out.len()), (EXCEPTIONS_MAX, 1));
        let alarms = "BEGIN:VALARM\nTRIGGER:-P9W\nEND:VALARM\n".repeat(LEFT_OUT_MAX + 1);
        assert_eq!(one(&format!("DTSTART:20260731\n{alarms}")).left_out.len(), LEFT_OUT_MAX);
        let zone = |name: usize| {
            format!(
                "BEGIN:VTIMEZONE\nTZID:Z{name}\nBEGIN:STANDARD\nDTSTART:20200101T000000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0200\nEND:STANDARD\nEND:VTIMEZONE\n"
            )
        };
        let zones: String = (0..=super::super::ics_read_zone::ZONES_MAX).map(zone).collect();
        let event = |name: usize| format!("BEGIN:VEVENT\nDTSTART;TZID=Z{name}:20260731T000000\nEND:VEVENT\n");
        let found = all(&format!("{zones}{}{}", event(31), event(32)));
        assert!(found[0].event.is_ok() && found[1].event.is_err());
        let onsets = "RDATE:20200101T000000\n".repeat(5);
        let rule = "RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=1SU\n";
        let part = format!(
            "BEGIN:STANDARD\nDTSTART:19000101T000000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0200\n{rule}{onsets}END:STANDARD\n"
        );
        let busy = format!("BEGIN:VTIMEZONE\nTZID:Z0\n{}END:VTIMEZONE\n{}", part.repeat(25), event(0));
        assert_eq!(
            all(&busy)[0].event.as_ref().unwrap_err(),
            "line 282: its zone, which begins in line 3, changes its clocks more than 5000 times"
        );
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let written = "DTSTART;TZID=Europe/Kyiv:20260731T180000\nDTEND;TZID=Europe/Kyiv:20260731T193000\n\
            RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20271231T215959Z\nEXDATE;TZID=Europe/Kyiv:20260831T180000\n\
            CATEGORIES:дім,а\\,б\nCONTACT:Іван\nSTATUS:CANCELLED\nCREATED:20260101T000000Z\nLAST-MODIFIED:20260102T000000Z\n\
            LOCATION:Київ\nDESCRIPTION:а\\nб\nBEGIN:VALARM\nTRIGGER:-PT15M\nEND:VALARM";
        let mut event = one(written).event.unwrap();
        let moved = Change { moved_to: Some("2026-10-01T10:00:00".parse().unwrap()), ..Change::default() };
        event.exceptions.set("2026-09-30T18:00:00".parse().unwrap(), moved).unwrap();
        event.status = Status::Pending;
        let whole = one("DTSTART;VALUE=DATE:20240229\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20280229").event.unwrap();
        let whole = Event { uid: "b".to_owned(), updated: Some(Timestamp(0)), ..whole };
        let bytes = ics_write::calendar("Дім", &[event.clone(), whole.clone()], &kyiv());
        let again = read(&bytes, &kyiv()).unwrap();
        assert!(again.iter().all(|read| read.left_out.is_empty()), "{again:?}");
        let events: Vec<Event> = again.into_iter().map(|read| read.event.unwrap()).collect();
        assert_eq!(events, [event, whole]);
    }
}
