//! An entry as calendars see it: what `.ics` is written from, and what is read out of it.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Unit};

use super::expand::Exceptions;
use super::rule::Rule;
use crate::clock::Timestamp;

/// What became of an entry as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// It is to come, or nobody has said what became of it.
    #[default]
    Pending,
    /// It is done.
    Completed,
    /// It does not take place.
    Cancelled,
}

impl Status {
    /// Reads the word of an entry; one that is not known, and none, is [`Status::Pending`].
    #[must_use]
    pub fn named(word: Option<&str>) -> Self {
        match word.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "completed" | "done" => Self::Completed,
            "cancelled" | "canceled" => Self::Cancelled,
            _ => Self::Pending,
        }
    }
}

/// An entry with its rule. All times without a zone are on the household's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What calendars know it by, over all its versions.
    pub uid: String,
    /// Its title; of a file never blank.
    pub title: String,
    /// More about it, in several lines.
    pub description: Option<String>,
    /// Where it is.
    pub location: Option<String>,
    /// `scheduled_at`.
    pub start: DateTime,
    /// `end_time`: not included, as everywhere in calendars.
    pub end: Option<DateTime>,
    /// Whether it takes whole days, as [`whole_days`] finds.
    pub whole_day: bool,
    /// How it recurs.
    pub rule: Option<Rule>,
    /// What became of single occurrences.
    pub exceptions: Exceptions,
    /// Who takes part, as names or mail addresses.
    pub participants: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What became of it as a whole.
    pub status: Status,
    /// How many minutes before it somebody wants to be reminded; negative is after its start.
    pub minutes_before: Vec<i32>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
}

/// The days of an entry that takes whole days: the first, and the one after the last. None for an entry with times.
///
/// An entry takes whole days if its type says so (`all_day`, `all-day`, `allday`), or if it starts at midnight
/// and ends at midnight, at 23:59 or 23:59:59, or has no end: that is what one gets by choosing a day and no time. An end at midnight is
/// not included, as in calendars: from 31 July, 00:00 to 1 August, 00:00 is 31 July. An end within a day takes that day. Whoever means
/// midnight itself gives an end some minutes later.
#[must_use]
pub fn whole_days(start: DateTime, end: Option<DateTime>, entry_type: Option<&str>) -> Option<(Date, Date)> {
    const TYPES: [&str; 3] = ["all_day", "all-day", "allday"];
    let is_said = entry_type.is_some_and(|kind| TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind.trim())));
    let is_midnight = |at: DateTime| at.time() == Time::midnight();
    let is_last_minute = |at: DateTime| at.hour() == 23 && at.minute() == 59;
    let is_shown = is_midnight(start) && end.is_none_or(|end| is_midnight(end) || is_last_minute(end));
    if !is_said && !is_shown {
        return None;
    }
    let first = start.date();
    let next = |day: Date| day.saturating_add(Span::new().days(1));
    let after = match end {
        Some(end) if is_midnight(end) => end.date(),
        Some(end) => next(end.date()),
        None => next(first),
    };
    Some((first, after.max(next(first))))
}

impl Event {
    /// How many days its whole days are, at least one.
    pub(super) fn days(&self) -> i64 {
        let days = whole_days(self.start, self.end, Some("all_day"));
        let days = days.and_then(|(first, after)| first.until((Unit::Day, after)).ok());
        days.map_or(1, |days| i64::from(days.get_days()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_days_are_said_or_seen() {
        let rows = [
            ("2026-07-31T00:00:00", None, None, Some(("2026-07-31", "2026-08-01"))),
            ("2026-07-31T00:00:00", Some("2026-08-01T00:00:00"), None, Some(("2026-07-31", "2026-08-01"))),
            ("2026-07-31T00:00:00", Some("2026-07-31T00:00:00"), None, Some(("2026-07-31", "2026-08-01"))),
            ("2026-07-31T00:00:00", Some("2026-08-02T23:59:59"), None, Some(("2026-07-31", "2026-08-03"))),
            ("2026-07-31T00:00:00", Some("2026-07-31T00:30:00"), None, None),
            ("2026-07-31T09:00:00", Some("2026-08-01T00:00:00"), None, None),
            ("2026-07-31T09:00:00", None, Some("plan"), None),
            ("2026-07-31T09:00:00", None, Some(" All_Day "), Some(("2026-07-31", "2026-08-01"))),
            ("2026-07-31T09:00:00", Some("2026-08-01T10:00:00"), Some("all-day"), Some(("2026-07-31", "2026-08-02"))),
            ("2026-07-31T09:00:00", Some("2026-07-30T10:00:00"), Some("allday"), Some(("2026-07-31", "2026-08-01"))),
            ("9999-12-31T00:00:00", None, None, Some(("9999-12-31", "9999-12-31"))),
        ];
        for (start, end, kind, days) in rows {
            let end = end.map(|end| end.parse().unwrap());
            let found = whole_days(start.parse().unwrap(), end, kind);
            let found = found.map(|(first, after)| (first.to_string(), after.to_string()));
            assert_eq!(
                found,
                days.map(|(first, after)| (first.to_owned(), after.to_owned())),
                "{start} {end:?} {kind:?}"
            );
        }
    }

    #[test]
    fn words_of_a_status_are_few_and_others_say_nothing() {
        let rows = [
            (None, Status::Pending),
            (Some("waiting"), Status::Pending),
            (Some(" Completed"), Status::Completed),
            (Some("canceled"), Status::Cancelled),
        ];
        for (word, status) in rows {
            assert_eq!(Status::named(word), status, "{word:?}");
        }
    }
}
