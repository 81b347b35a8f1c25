//! Which reminders have come due since somebody last asked.

use jiff::Span;
use jiff::civil::DateTime;
use serde_json::Value;

use super::event::Status;
use super::expand::{EXCEPTIONS_MAX, Exceptions, Series, beginning};
use super::rule::shown;
use crate::clock::{DAY_MICROS, Timestamp};
use crate::modules::zone::Zone;

/// Reminders of one entry.
pub const REMINDERS_MAX: usize = 10;
/// The earliest reminder, in minutes before the start: four weeks.
pub const MINUTES_BEFORE_MAX: i32 = 28 * 24 * 60;
/// The latest, in minutes after the start: a day, so that a whole day can remind at nine in the morning.
pub const MINUTES_AFTER_MAX: i32 = 24 * 60;
/// Reminders in one answer.
pub const DUE_MAX: usize = 500;
/// How far back an answer reaches. What has been due for longer, as after weeks without the server, reminds of nothing.
pub const LOOK_BACK_MAX_MICROS: i64 = 7 * DAY_MICROS;

/// One minute in microseconds.
const MINUTE_MICROS: i64 = 60_000_000;

/// Reads `reminder_settings`: `{"minutes_before": 15}`, or a list; null, and an object without it, is no reminder. Negative is after the start:
/// -540 of a whole day is at nine in the morning. From the earliest, none twice.
///
/// # Errors
///
/// A sentence about what is wrong, with the value and the bounds.
pub fn minutes_before(settings: &Value) -> Result<Vec<i32>, String> {
    let value = match settings {
        Value::Null => return Ok(Vec::new()),
        Value::Object(members) => members.get("minutes_before").unwrap_or(&Value::Null),
        other => return Err(format!("reminder_settings is {}: use an object with minutes_before", shown(other))),
    };
    let values = match value {
        Value::Null => &[],
        Value::Array(values) => &values[..],
        value => std::slice::from_ref(value),
    };
    if values.len() > REMINDERS_MAX {
        return Err(format!("minutes_before has {} values: use at most {REMINDERS_MAX}", values.len()));
    }
    let minutes = values.iter().map(|value| {
        let minutes = value.as_i64().filter(|minutes| is_possible(*minutes));
        minutes.and_then(|minutes| i32::try_from(minutes).ok()).ok_or_else(|| {
            format!(
                "minutes_before has {}: use whole numbers from -{MINUTES_AFTER_MAX} to {MINUTES_BEFORE_MAX}",
                shown(value)
            )
        })
    });
    let mut minutes: Vec<i32> = minutes.collect::<Result<_, _>>()?;
    minutes.sort_unstable_by(|a, b| b.cmp(a));
    minutes.dedup();
    Ok(minutes)
}

/// Whether there can be a reminder so many minutes before.
pub(super) fn is_possible(minutes: i64) -> bool {
    (-i64::from(MINUTES_AFTER_MAX)..=i64::from(MINUTES_BEFORE_MAX)).contains(&minutes)
}

/// An entry that may remind.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'e> {
    /// Its id.
    pub id: i64,
    /// Its occurrences.
    pub series: &'e Series,
    /// What became of single ones: those that are skipped or done do not remind, those that are moved do so at their new time.
    pub exceptions: &'e Exceptions,
    /// Of the whole entry: only what is pending reminds.
    pub status: Status,
    /// What [`minutes_before`] has read.
    pub minutes_before: &'e [i32],
}

/// One reminder. Its entry, `original` and `minutes_before` name it: it comes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When it is due.
    pub at: Timestamp,
    /// The entry.
    pub id: i64,
    /// Which occurrence of it: when it would start, had it not been moved.
    pub original: DateTime,
    /// When the occurrence starts.
    pub start: DateTime,
    /// How long before that it was due.
    pub minutes_before: i32,
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dues {
    /// In the order in which they came due.
    pub due: Vec<Due>,
    /// All that was due until then is in here: the `since` of the next question. It is `now` unless there were more than
    /// [`DUE_MAX`].
    pub until: Timestamp,
}

/// The reminders that came due in (since, now]; those of longer than [`LOOK_BACK_MAX_MICROS`] ago are left out.
#[must_use]
pub fn due<'e>(entries: impl IntoIterator<Item = Watched<'e>>, since: Timestamp, now: Timestamp, zone: &Zone) -> Dues {
    let since = since.max(Timestamp(now.0.saturating_sub(LOOK_BACK_MAX_MICROS)));
    let mut due = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.status == Status::Pending) {
        for minutes in entry.minutes_before {
            due_of(&entry, *minutes, since, now, zone, &mut due);
        }
        // Memory is bounded by the answer, not by the entries. The one more says that there are more.
        if due.len() > 2 * DUE_MAX {
            due.sort_unstable();
            due.truncate(DUE_MAX + 1);
        }
    }
    due.sort_unstable();
    let mut until = now;
    if let Some(left_out) = due.get(DUE_MAX).copied() {
        due.truncate(DUE_MAX);
        // Those of one moment come in one answer, so that the next begins behind it; more than an answer holds are cut.
        if due.first().is_some_and(|first| first.at < left_out.at) {
            due.retain(|due| due.at < left_out.at);
        }
        until = due.last().map_or(now, |last| last.at);
    }
    Dues { due, until }
}

/// The reminders of one entry that come so many minutes before each of its occurrences.
fn due_of(entry: &Watched<'_>, minutes: i32, since: Timestamp, now: Timestamp, zone: &Zone, due: &mut Vec<Due>) {
    let before = i64::from(minutes) * MINUTE_MICROS;
    let wall = |at: Timestamp| zone.wall(Timestamp(at.0.saturating_add(before)));
    let (Some(from), Some(to)) = (wall(since), wall(now)) else { return };
    // A day on both sides is more than any change of the clocks; what is meant is compared as moments below.
    let margin = Span::new().days(1);
    let from = from.checked_sub(margin).unwrap_or(DateTime::MIN);
    let to = to.checked_add(margin).unwrap_or(DateTime::MAX);
    // At most one a day, and all that were moved there.
    let max = EXCEPTIONS_MAX + usize::try_from(LOOK_BACK_MAX_MICROS / DAY_MICROS).unwrap_or_default() + 4;
    for occurrence in beginning(entry.series, entry.exceptions, from, to, max).occurrences {
        let Some(start) = zone.instant(occurrence.start) else { continue };
        let at = Timestamp(start.0 - before);
        if !occurrence.completed && since < at && at <= now {
            let (original, start) = (occurrence.original, occurrence.start);
            due.push(Due { at, id: entry.id, original, start, minutes_before: minutes });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::calendar::expand::Change;
    use crate::modules::calendar::rule::Rule;
    use crate::modules::zone::wall_text;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn moment(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn series(start: &str, pattern: &Value) -> Series {
        let rule = (!pattern.is_null()).then(|| Rule::from_json(pattern, &kyiv()).unwrap());
        Series::new(at(start), None, rule)
    }

    /// The starts of the occurrences that are reminded of between these moments in UTC.
    fn reminded(entry: Watched<'_>, since: &str, now: &str) -> Vec<String> {
        let dues = due([entry], moment(since), moment(now), &kyiv());
        assert_eq!(dues.until, moment(now));
        dues.due.iter().map(|due| wall_text(due.start)).collect()
    }

    #[test]
    fn settings_are_a_number_or_some() {
        let rows = [
            (json!(null), Ok(vec![])),
            (json!({}), Ok(vec![])),
            (json!({"minutes_before": null, "sound": "bell"}), Ok(vec![])),
            (json!({"minutes_before": 15}), Ok(vec![15])),
            (json!({"minutes_before": [0, 60, 15, 60, -540]}), Ok(vec![60, 15, 0, -540])),
            (json!(15), Err("reminder_settings is 15: use an object with minutes_before")),
            (json!({"minutes_before": "15"}), Err(r#"minutes_before has "15": use whole numbers from -1440 to 40320"#)),
            (json!({"minutes_before": 40_321}), Err("minutes_before has 40321: use whole numbers from -1440 to 40320")),
            (
                json!({"minutes_before": [-1441]}),
                Err("minutes_before has -1441: use whole numbers from -1440 to 40320"),
            ),
            (
                json!({"minutes_before": vec![1; REMINDERS_MAX + 1]}),
                Err("minutes_before has 11 values: use at most 10"),
            ),
        ];
        for (settings, read) in rows {
            assert_eq!(minutes_before(&settings), read.map_err(str::to_owned), "{settings}");
        }
    }

    #[test]
    fn a_reminder_comes_once_at_its_time_before_the_start() {
        let once = series("2026-07-31T18:00:00", &Value::Null);
        let none = Exceptions::default();
        let entry =
            Watched { id: 7, series: &once, exceptions: &none, status: Status::Pending, minutes_before: &[60, 15] };
        // 18:00 in Kyiv in summer is 15:00 in UTC. The end of a stretch belongs to it, its beginning does not.
        let dues = due([entry], moment("2026-07-31T13:59:59Z"), moment("2026-07-31T14:45:00Z"), &kyiv());
        let seen: Vec<_> = dues.due.iter().map(|due| (due.at, due.id, due.minutes_before)).collect();
        assert_eq!(seen, [(moment("2026-07-31T14:00:00Z"), 7, 60), (moment("2026-07-31T14:45:00Z"), 7, 15)]);
        let next = due([entry], dues.until, moment("2026-08-01T00:00:00Z"), &kyiv());
        assert_eq!(next.due, []);
        for status in [Status::Completed, Status::Cancelled] {
            let over = due(
                [Watched { status, ..entry }],
                moment("2026-07-31T13:59:59Z"),
                moment("2026-07-31T15:00:00Z"),
                &kyiv(),
            );
            assert_eq!(over.due, []);
        }
    }

    #[test]
    fn occurrences_that_are_skipped_done_or_moved_remind_as_they_are() {
        let daily = series("2026-07-01T09:00:00", &json!("daily"));
        let mut exceptions = Exceptions::default();
        exceptions.set(at("2026-07-11T09:00:00"), Change { skip: true, ..Change::default() }).unwrap();
        exceptions.set(at("2026-07-12T09:00:00"), Change { completed: true, ..Change::default() }).unwrap();
        let evening = Change { moved_to: Some(at("2026-07-14T20:00:00")), ..Change::default() };
        exceptions.set(at("2026-07-13T09:00:00"), evening).unwrap();
        let entry = Watched {
            id: 1,
            series: &daily,
            exceptions: &exceptions,
            status: Status::Pending,
            minutes_before: &[1440],
        };
        let seen = reminded(entry, "2026-07-09T00:00:00Z", "2026-07-14T00:00:00Z");
        assert_eq!(seen, ["2026-07-10T09:00:00", "2026-07-14T09:00:00", "2026-07-14T20:00:00"]);
    }

    #[test]
    fn on_the_days_when_the_clocks_change_a_reminder_is_so_many_minutes_before() {
        let nightly = series("2026-03-20T03:30:00", &json!("daily"));
        let none = Exceptions::default();
        let entry =
            Watched { id: 1, series: &nightly, exceptions: &none, status: Status::Pending, minutes_before: &[30] };
        let times = |since: &str, now: &str| -> Vec<String> {
            let dues = due([entry], moment(since), moment(now), &kyiv());
            dues.due.iter().map(|due| jiff::Timestamp::from_microsecond(due.at.0).unwrap().to_string()).collect()
        };
        // 03:30 is left out on 29 March and becomes 04:30, which is 01:30 in UTC; on 25 October it comes twice, and the first counts.
        let spring = times("2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z");
        assert_eq!(spring, ["2026-03-28T01:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
        let autumn = times("2026-10-23T12:00:00Z", "2026-10-27T00:00:00Z");
        assert_eq!(autumn, ["2026-10-24T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"]);
    }

    #[test]
    fn what_was_due_long_ago_is_left_out() {
        let daily = series("2026-01-01T09:00:00", &json!("daily"));
        let none = Exceptions::default();
        let entry = Watched { id: 1, series: &daily, exceptions: &none, status: Status::Pending, minutes_before: &[0] };
        assert_eq!(reminded(entry, "2026-01-01T00:00:00Z", "2026-07-31T00:00:00Z").len(), 7);
        let far = due([entry], Timestamp(i64::MIN), Timestamp(i64::MAX), &kyiv());
        assert_eq!(far.due, []);
    }

    #[test]
    fn an_answer_holds_so_many_and_the_next_goes_on_behind_it() {
        let none = Exceptions::default();
        let start = |minute: usize| format!("2026-07-31T{:02}:{:02}:00", 10 + minute / 60, minute % 60);
        // Three entries each minute: the cut never parts those of one minute.
        let all: Vec<Series> = (0..600).map(|number| series(&start(number / 3), &Value::Null)).collect();
        let watched = || {
            (0..).zip(&all).map(|(id, series)| Watched {
                id,
                series,
                exceptions: &none,
                status: Status::Pending,
                minutes_before: &[0],
            })
        };
        let (begin, now) = (moment("2026-07-31T00:00:00Z"), moment("2026-08-01T00:00:00Z"));
        let first = due(watched(), begin, now, &kyiv());
        assert_eq!((first.due.len(), first.until < now), (498, true));
        let second = due(watched(), first.until, now, &kyiv());
        assert_eq!((second.due.len(), second.until), (102, now));
        let ids: std::collections::BTreeSet<i64> = first.due.iter().chain(&second.due).map(|due| due.id).collect();
        assert_eq!(ids.len(), 600);
        // All at one moment: as many as an answer holds.
        let crowd: Vec<Series> = (0..2 * DUE_MAX + 2).map(|_| series(&start(0), &Value::Null)).collect();
        let watched = (0..).zip(&crowd).map(|(id, series)| Watched {
            id,
            series,
            exceptions: &none,
            status: Status::Pending,
            minutes_before: &[0],
        });
        assert_eq!(due(watched, begin, now, &kyiv()).due.len(), DUE_MAX);
    }
}
