//! When the occurrences of an entry are, and what became of single ones.
//!
//! All of it is on the household's clock: expansion knows no zone, so 09:00 stays 09:00 on both sides of a change of the clocks.
//! An hour that is left out or comes twice matters only where a moment is needed, to [`Zone::instant`](crate::modules::zone::Zone).

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime, time};
use jiff::{SignedDuration, Span};
use serde_json::{Map, Value, json};

use super::rule::{End, Freq, Rule, shown, shown_text, wall_time};
use crate::modules::zone::{Zone, wall_text};

/// Occurrences of one expansion (contract 04, 5.2).
pub const OCCURRENCES_MAX: usize = 500;
/// Occurrences of one entry that may be skipped, moved or completed.
pub const EXCEPTIONS_MAX: usize = 1_000;
/// Days, weeks, months or years in a row that may be without an occurrence. The calendar repeats after 400 years, which are
/// 4,800 months and whole weeks; so where 4,800 steps of whatever length found nothing, nothing will ever be found.
const EMPTY_MAX: u32 = 4_800;

/// An entry with all its occurrences, as many as there are.
#[derive(Debug, Clone)]
pub struct Series {
    start: DateTime,
    lasting: SignedDuration,
    rule: Option<Rule>,
    /// The last moment that may have an occurrence.
    until: DateTime,
}

impl Series {
    /// An entry that starts and ends then. Without a rule it is once; with one, the rule says which days there are, and the
    /// start is one of them only where the rule has it. A count is walked here, once.
    #[must_use]
    pub fn new(start: DateTime, end: Option<DateTime>, rule: Option<Rule>) -> Self {
        let lasting = end.map_or(SignedDuration::ZERO, |end| start.duration_until(end));
        let lasting = lasting.max(SignedDuration::ZERO);
        let until = match rule.as_ref().map(Rule::end) {
            Some(End::Day(day)) => day.to_datetime(time(23, 59, 59, 999_999_999)),
            Some(End::Time(at)) => at,
            Some(End::Never | End::Count(_)) | None => DateTime::MAX,
        };
        let mut series = Self { start, lasting, rule, until };
        if let Some(End::Count(count)) = series.rule.as_ref().map(Rule::end) {
            let last = series.starts_from(start).take(count as usize).last();
            series.until = last.unwrap_or(DateTime::MIN);
        }
        series
    }

    /// The starts of its occurrences that are not before this time, in order. Steps over what is before at once.
    pub fn starts_from(&self, from: DateTime) -> impl Iterator<Item = DateTime> {
        let once = self.rule.is_none().then_some(self.start);
        let repeated = self.rule.as_ref().map(|rule| Starts::new(self.start, rule, from));
        let starts = once.into_iter().chain(repeated.into_iter().flatten());
        let (first, until) = (from.max(self.start), self.until);
        starts.skip_while(move |at| *at < first).take_while(move |at| *at <= until)
    }

    /// Whether one of its occurrences starts at this time.
    #[must_use]
    pub fn has(&self, at: DateTime) -> bool {
        self.starts_from(at).next() == Some(at)
    }
}

/// Walks the days of a rule: a base and the days from there on that are in it, as bits.
struct Starts<'r> {
    start: DateTime,
    rule: &'r Rule,
    step: i64,
    empty: u32,
    base: Date,
    days: u32,
}

impl<'r> Starts<'r> {
    fn new(start: DateTime, rule: &'r Rule, from: DateTime) -> Self {
        let (begin, from) = (start.date(), from.date().max(start.date()));
        let passed = match rule.freq {
            Freq::Daily => days_between(begin, from),
            Freq::Weekly => days_between(monday(begin), from) / 7,
            Freq::Monthly => month_number(from) - month_number(begin),
            Freq::Yearly => i64::from(from.year()) - i64::from(begin.year()),
        };
        Self { start, rule, step: passed / i64::from(rule.interval), empty: 0, base: begin, days: 0 }
    }

    /// The days of the step that comes next; none behind the last year that a calendar has.
    fn period(&self) -> Option<(Date, u32)> {
        let begin = self.start.date();
        let steps = self.step * i64::from(self.rule.interval);
        match self.rule.freq {
            Freq::Daily => {
                let day = begin.checked_add(Span::new().try_days(steps).ok()?).ok()?;
                let wanted = &self.rule.byweekday;
                let is_in = wanted.is_empty() || wanted.iter().any(|wanted| wanted.is(day.weekday()));
                Some((day, u32::from(is_in)))
            }
            Freq::Weekly => {
                let base = monday(begin).checked_add(Span::new().try_weeks(steps).ok()?).ok()?;
                let own = 1 << begin.weekday().to_monday_zero_offset();
                let wanted = &self.rule.byweekday;
                Some((
                    base,
                    if wanted.is_empty() { own } else { wanted.iter().fold(0, |days, day| days | 1 << day.weekday) },
                ))
            }
            Freq::Monthly | Freq::Yearly => {
                let months = if self.rule.freq == Freq::Yearly { steps * 12 } else { steps };
                let month = month_number(begin) + months;
                let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
                let base = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
                Some((base, days_of_month(base, self.rule, begin.day())))
            }
        }
    }
}

impl Iterator for Starts<'_> {
    type Item = DateTime;

    fn next(&mut self) -> Option<DateTime> {
        while self.days == 0 {
            if self.empty == EMPTY_MAX {
                return None;
            }
            (self.base, self.days) = self.period()?;
            self.step += 1;
            self.empty += 1;
        }
        self.empty = 0;
        let first = self.days.trailing_zeros();
        self.days &= self.days - 1;
        let day = self.base.checked_add(Span::new().days(i64::from(first))).ok()?;
        Some(day.to_datetime(self.start.time()))
    }
}

/// The days of one month that a rule has, as bits from the first; of both kinds of days where it has both.
fn days_of_month(first: Date, rule: &Rule, own: i8) -> u32 {
    let length = first.days_in_month();
    // Day 0 is the last of the month before and so on: what is outside is in no month.
    let bit = |day: i8| if (1..=length).contains(&day) { 1u32 << (day - 1) } else { 0 };
    if rule.bymonthday.is_empty() && rule.byweekday.is_empty() {
        return bit(own);
    }
    let all = u32::MAX;
    let by_day = rule.bymonthday.iter().fold(0, |days, day| days | bit(if *day > 0 { *day } else { length + 1 + day }));
    let by_weekday = rule.byweekday.iter().fold(0, |days, wanted| {
        let begin = 1 + (wanted.weekday - first.weekday().to_monday_zero_offset()).rem_euclid(7);
        let last = begin + (length - begin) / 7 * 7;
        days | match wanted.nth {
            0 => (0..5).fold(0, |days, week| days | bit(begin + 7 * week)),
            nth if nth > 0 => bit(begin + 7 * (nth - 1)),
            nth => bit(last + 7 * (nth + 1)),
        }
    });
    let by_day = if rule.bymonthday.is_empty() { all } else { by_day };
    let by_weekday = if rule.byweekday.is_empty() { all } else { by_weekday };
    by_day & by_weekday
}

fn monday(day: Date) -> Date {
    day.saturating_sub(Span::new().days(i64::from(day.weekday().to_monday_zero_offset())))
}

fn month_number(day: Date) -> i64 {
    i64::from(day.year()) * 12 + i64::from(day.month()) - 1
}

fn days_between(from: Date, to: Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

/// What became of one occurrence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// It does not take place.
    pub skip: bool,
    /// It starts at this time instead, and lasts as long.
    pub moved_to: Option<DateTime>,
    /// It is done.
    pub completed: bool,
}

/// What became of single occurrences, by when each of them would start. Those whose rule has changed since wait for it to
/// change back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions(BTreeMap<DateTime, Change>);

impl Exceptions {
    /// Reads what [`Exceptions::to_json`] writes:
    /// `{"2026-03-31T09:00:00": {"skip": true}, "2026-05-31T09:00:00": {"moved_to": "2026-06-01T10:00:00", "completed": true}}`.
    /// Null is none of them. Times with an offset are converted to the household's clock. What is skipped is nothing else.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong, with the value and what is possible instead.
    pub fn from_json(value: &Value, zone: &Zone) -> Result<Self, String> {
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            other => return Err(format!("exceptions is {}: use an object of times", shown(other))),
        };
        let mut exceptions = Self::default();
        for (text, change) in members {
            let at = wall_time(text, zone);
            let at = at.ok_or_else(|| {
                format!(
                    "exceptions has {:?}: use the time of an occurrence, like 2026-03-31T09:00:00",
                    shown_text(text)
                )
            })?;
            exceptions.set(at, change_of(text, change, zone)?)?;
        }
        Ok(exceptions)
    }

    /// As it is stored with the entry, in the order of time.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        for (at, change) in &self.0 {
            let mut said = Map::new();
            if change.skip {
                said.insert("skip".to_owned(), json!(true));
            }
            if let Some(to) = change.moved_to {
                said.insert("moved_to".to_owned(), json!(wall_text(to)));
            }
            if change.completed {
                said.insert("completed".to_owned(), json!(true));
            }
            members.insert(wall_text(*at), Value::Object(said));
        }
        Value::Object(members)
    }

    /// Says what became of the occurrence that would start then; [`Change::default`] takes back what was said.
    ///
    /// # Errors
    ///
    /// A sentence, if there are [`EXCEPTIONS_MAX`] already.
    pub fn set(&mut self, at: DateTime, change: Change) -> Result<(), String> {
        let change = if change.skip { Change { skip: true, ..Change::default() } } else { change };
        if change == Change::default() {
            self.0.remove(&at);
        } else if self.0.len() == EXCEPTIONS_MAX && !self.0.contains_key(&at) {
            return Err(format!(
                "{EXCEPTIONS_MAX} occurrences of this entry are exceptions already, which is as many as there may be"
            ));
        } else {
            self.0.insert(at, change);
        }
        Ok(())
    }

    /// What became of the occurrence that would start then.
    #[must_use]
    pub fn get(&self, at: DateTime) -> Change {
        self.0.get(&at).copied().unwrap_or_default()
    }

    /// All of them, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = (DateTime, Change)> {
        self.0.iter().map(|(at, change)| (*at, *change))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn change_of(at: &str, value: &Value, zone: &Zone) -> Result<Change, String> {
    let at = shown_text(at);
    let form = r#"{"skip": true}, {"moved_to": "2026-04-01T09:00:00"} or {"completed": true}"#;
    let Value::Object(members) = value else {
        return Err(format!("the exception of {at} is {}: use {form}", shown(value)));
    };
    let flag = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(format!("{name} of {at} is {}: use true or false", shown(other))),
    };
    let moved_to = match members.get("moved_to") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let to = value.as_str().and_then(|text| wall_time(text, zone));
            Some(
                to.ok_or_else(|| format!("moved_to of {at} is {}: use a time like 2026-04-01T09:00:00", shown(value)))?,
            )
        }
    };
    Ok(Change { skip: flag("skip")?, moved_to, completed: flag("completed")? })
}

/// One occurrence of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// When it starts.
    pub start: DateTime,
    /// When it ends: as long after its start as the entry's own end is.
    pub end: DateTime,
    /// When it would start if it had not been moved. With the entry's id, this names it.
    pub original: DateTime,
    /// Whether it is done.
    pub completed: bool,
}

/// The occurrences within a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// In the order of their starts.
    pub occurrences: Vec<Occurrence>,
    /// Whether there are more, which were left out.
    pub capped: bool,
}

/// The occurrences of an entry that start in [from, to), or have started before and last into it; the first `max` of them, which
/// is [`OCCURRENCES_MAX`] where clients ask.
#[must_use]
pub fn expand(series: &Series, exceptions: &Exceptions, from: DateTime, to: DateTime, max: usize) -> Expansion {
    let early = from.checked_sub(series.lasting).unwrap_or(DateTime::MIN);
    found(series, exceptions, early, to, max, |at| at.start >= from || at.end > from)
}

/// The first `max` occurrences of an entry that start in [from, to).
#[must_use]
pub fn beginning(series: &Series, exceptions: &Exceptions, from: DateTime, to: DateTime, max: usize) -> Expansion {
    found(series, exceptions, from, to, max, |at| at.start >= from)
}

/// The first `max` occurrences before `to` that are wanted, none of which would start before `early`.
fn found(
    series: &Series,
    exceptions: &Exceptions,
    early: DateTime,
    to: DateTime,
    max: usize,
    is_wanted: impl Fn(&Occurrence) -> bool,
) -> Expansion {
    let occurrence = |original: DateTime, change: Change| {
        let start = change.moved_to.unwrap_or(original);
        let end = start.checked_add(series.lasting).unwrap_or(DateTime::MAX);
        Occurrence { start, end, original, completed: change.completed }
    };
    let is_within = |at: &Occurrence| at.start < to && is_wanted(at);
    let unmoved = series
        .starts_from(early)
        .take_while(|at| *at < to)
        .map(|original| (original, exceptions.get(original)))
        .filter(|(_, change)| !change.skip && change.moved_to.is_none())
        .map(|(original, change)| occurrence(original, change))
        .filter(is_within);
    // One more than is wanted, to know whether there are more.
    let mut occurrences: Vec<Occurrence> = unmoved.take(max.saturating_add(1)).collect();
    let moved = exceptions.iter().filter(|(_, change)| change.moved_to.is_some());
    let moved = moved.map(|(original, change)| occurrence(original, change));
    occurrences.extend(moved.filter(|at| is_within(at) && series.has(at.original)));
    occurrences.sort_unstable();
    let capped = occurrences.len() > max;
    occurrences.truncate(max);
    Expansion { occurrences, capped }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    fn rule(pattern: &Value) -> Rule {
        Rule::from_json(pattern, &kyiv()).unwrap()
    }

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn starts(start: &str, pattern: Value, max: usize) -> Vec<String> {
        let series = Series::new(at(start), None, Some(rule(&pattern)));
        series.starts_from(DateTime::MIN).take(max).map(|at| at.date().to_string()).collect()
    }

    #[test]
    fn months_without_the_day_are_left_out_and_not_counted() {
        let last = json!({"freq": "monthly", "bymonthday": -1});
        let rows: [(&str, Value, &[&str]); 10] = [
            (
                "2026-01-31T09:00:00",
                json!({"freq": "monthly", "count": 5}),
                &["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"],
            ),
            (
                "2025-03-31T01:01:00",
                json!({"freq": "monthly", "interval": 6, "count": 3}),
                &["2025-03-31", "2026-03-31", "2027-03-31"],
            ),
            (
                "2026-12-30T09:00:00",
                json!({"freq": "monthly", "count": 4}),
                &["2026-12-30", "2027-01-30", "2027-03-30", "2027-04-30"],
            ),
            ("2024-02-29T08:00:00", json!({"freq": "yearly", "count": 3}), &["2024-02-29", "2028-02-29", "2032-02-29"]),
            ("2096-02-29T08:00:00", json!({"freq": "yearly", "count": 2}), &["2096-02-29", "2104-02-29"]),
            ("2026-01-31T09:00:00", last, &["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]),
            // A leap year's last day of February, and a day from the end that February does not have.
            (
                "2024-02-29T09:00:00",
                json!({"freq": "yearly", "bymonthday": -1, "count": 2}),
                &["2024-02-29", "2025-02-28"],
            ),
            (
                "2026-01-01T09:00:00",
                json!({"freq": "monthly", "bymonthday": -31, "count": 2}),
                &["2026-01-01", "2026-03-01"],
            ),
            // The start is one of them only where the rule has it.
            (
                "2026-01-07T09:00:00",
                json!({"freq": "weekly", "byweekday": ["MO"], "count": 2}),
                &["2026-01-12", "2026-01-19"],
            ),
            (
                "2026-02-01T09:00:00",
                json!({"freq": "monthly", "byweekday": "FR", "bymonthday": 13, "until": "2026-12-31"}),
                &["2026-02-13", "2026-03-13", "2026-11-13"],
            ),
        ];
        for (start, pattern, days) in rows {
            assert_eq!(starts(start, pattern.clone(), 5), days, "{start} {pattern}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_ordinals_count_within_a_month() {
        let second_weeks = json!({"freq": "weekly", "interval": 2, "byweekday": ["SU", "MO"]});
        assert_eq!(
            starts("2026-03-01T09:00:00", second_weeks, 4),
            ["2026-03-01", "2026-03-09", "2026-03-15", "2026-03-23"]
        );
        let fifth = json!({"freq": "monthly", "byweekday": ["5MO"]});
        assert_eq!(starts("2026-01-01T09:00:00", fifth, 3), ["2026-03-30", "2026-06-29", "2026-08-31"]);
        let last = json!({"freq": "yearly", "byweekday": ["-1SU"], "until": "2028-12-31"});
        assert_eq!(starts("2026-10-01T09:00:00", last, 9), ["2026-10-25", "2027-10-31", "2028-10-29"]);
        let workdays =
            json!({"freq": "daily", "byweekday": ["MO", "TU", "WE", "TH", "FR"], "until": "2026-03-10T08:59:59"});
        assert_eq!(starts("2026-03-06T09:00:00", workdays, 9), ["2026-03-06", "2026-03-09"]);
    }

    #[test]
    fn rules_that_never_come_or_come_late_end_soon() {
        // Each is a whole walk: bounded by EMPTY_MAX, by COUNT_MAX or by the last year, and none of them by a client's patience.
        let far = date(9000, 1, 1).at(0, 0, 0, 0);
        let rows = [
            ("2026-02-01T09:00:00", json!({"freq": "yearly", "bymonthday": 30}), 0),
            ("2026-04-01T09:00:00", json!({"freq": "monthly", "interval": 12, "bymonthday": 31}), 0),
            ("2026-02-01T09:00:00", json!({"freq": "daily", "interval": 7, "byweekday": "MO"}), 0),
            ("2026-02-01T09:00:00", json!({"freq": "daily", "count": 10_000}), 0),
            ("0001-01-01T09:00:00", json!("daily"), 365),
            ("0001-01-01T09:00:00", json!({"freq": "monthly", "interval": 1000}), 0),
            ("2026-01-31T09:00:00", json!({"freq": "monthly", "interval": 12}), 1),
            ("9999-12-01T09:00:00", json!({"freq": "monthly", "byweekday": ["5WE"]}), 0),
        ];
        for (start, pattern, expected) in rows {
            let series = Series::new(at(start), None, Some(rule(&pattern)));
            let to = date(9001, 1, 1).at(0, 0, 0, 0);
            let found = expand(&series, &Exceptions::default(), far, to, OCCURRENCES_MAX);
            assert_eq!((found.occurrences.len(), found.capped), (expected, false), "{start} {pattern}");
        }
        let yearly = Series::new(
            at("2026-01-31T09:00:00"),
            None,
            Some(rule(&json!({"freq": "monthly", "interval": 12, "until": "2100-12-31"}))),
        );
        assert_eq!(yearly.starts_from(DateTime::MIN).count(), 75);
    }

    #[test]
    fn a_count_is_counted_from_the_start_wherever_one_looks() {
        let series = Series::new(at("2026-01-31T09:00:00"), None, Some(rule(&json!({"freq": "monthly", "count": 5}))));
        let seen: Vec<DateTime> = series.starts_from(at("2026-06-01T00:00:00")).collect();
        assert_eq!(seen, [at("2026-07-31T09:00:00"), at("2026-08-31T09:00:00")]);
        assert!(series.has(at("2026-08-31T09:00:00")) && !series.has(at("2026-10-31T09:00:00")));
        let never = Series::new(
            at("2026-02-01T09:00:00"),
            None,
            Some(rule(&json!({"freq": "yearly", "bymonthday": 30, "count": 1}))),
        );
        assert_eq!(never.starts_from(DateTime::MIN).next(), None);
    }

    #[test]
    fn a_time_on_the_wall_stays_the_same_on_the_days_when_the_clocks_change() {
        for (day, pattern) in [("2026-03-28", "03:30:00"), ("2026-10-24", "03:30:00")] {
            let series = Series::new(at(&format!("{day}T{pattern}")), None, Some(rule(&json!("daily"))));
            let seen: Vec<String> = series.starts_from(DateTime::MIN).take(3).map(|at| at.time().to_string()).collect();
            assert_eq!(seen, ["03:30:00"; 3]);
        }
        // In March that hour is left out: what needs the moment has it an hour later. In October the first of the two is meant.
        let hours = |from: &str, to: &str| {
            let instant = |text| kyiv().instant(at(text)).unwrap().0;
            (instant(to) - instant(from)) / 3_600_000_000
        };
        assert_eq!(hours("2026-03-28T03:30:00", "2026-03-29T03:30:00"), 24);
        assert_eq!(hours("2026-03-29T03:30:00", "2026-03-30T03:30:00"), 23);
        assert_eq!(hours("2026-10-24T03:30:00", "2026-10-25T03:30:00"), 24);
        assert_eq!(hours("2026-10-25T03:30:00", "2026-10-26T03:30:00"), 25);
    }

    #[test]
    fn an_expansion_says_that_there_is_more() {
        let daily = Series::new(at("2026-01-01T09:00:00"), None, Some(rule(&json!("daily"))));
        let none = Exceptions::default();
        let (from, to) = (at("2026-01-01T00:00:00"), at("2030-01-01T00:00:00"));
        let found = expand(&daily, &none, from, to, OCCURRENCES_MAX);
        assert_eq!((found.occurrences.len(), found.capped), (OCCURRENCES_MAX, true));
        let exactly = expand(&daily, &none, from, at("2026-01-04T00:00:00"), 3);
        assert_eq!((exactly.occurrences.len(), exactly.capped), (3, false));
        // Begin and end of a stretch: the one belongs to it, the other does not.
        let edges = expand(&daily, &none, at("2026-01-02T09:00:00"), at("2026-01-03T09:00:00"), 9);
        assert_eq!(edges.occurrences.iter().map(|seen| seen.start).collect::<Vec<_>>(), [at("2026-01-02T09:00:00")]);
    }

    #[test]
    fn what_has_begun_before_and_lasts_is_seen() {
        let start = at("2026-07-31T22:00:00");
        let nights =
            Series::new(start, Some(at("2026-08-01T06:00:00")), Some(rule(&json!({"freq": "weekly", "count": 2}))));
        let none = Exceptions::default();
        let on = |from: &str, to: &str| expand(&nights, &none, at(from), at(to), 9).occurrences;
        let night = on("2026-08-01T00:00:00", "2026-08-02T00:00:00");
        assert_eq!(night.len(), 1);
        assert_eq!((night[0].start, night[0].end), (start, at("2026-08-01T06:00:00")));
        assert_eq!(on("2026-08-01T06:00:00", "2026-08-02T00:00:00"), []);
        let once = Series::new(start, Some(at("2026-07-01T00:00:00")), None);
        let found = expand(&once, &none, start, at("2026-08-01T00:00:00"), 9).occurrences;
        assert_eq!((found.len(), found[0].end), (1, start), "an end before the start is none");
    }

    #[test]
    fn single_occurrences_are_skipped_moved_and_completed() {
        let series = Series::new(
            at("2026-01-31T09:00:00"),
            Some(at("2026-01-31T10:00:00")),
            Some(rule(&json!({"freq": "monthly", "count": 5}))),
        );
        let said = json!({
            "2026-03-31T09:00:00": {"skip": true},
            "2026-05-31T09:00:00": {"moved_to": "2026-07-31T08:00:00", "completed": true},
            "2026-07-31T09:00:00": {"completed": true},
            "2026-08-31T09:00:00": {"moved_to": "2031-01-01T00:00:00"},
            "2026-06-30T09:00:00": {"moved_to": "2026-07-01T00:00:00"},
        });
        let exceptions = Exceptions::from_json(&said, &kyiv()).unwrap();
        assert_eq!(Exceptions::from_json(&exceptions.to_json(), &kyiv()).unwrap(), exceptions);
        let found = expand(&series, &exceptions, at("2026-01-01T00:00:00"), at("2027-01-01T00:00:00"), 9).occurrences;
        let seen: Vec<_> =
            found.iter().map(|seen| (wall_text(seen.start), wall_text(seen.original), seen.completed)).collect();
        let expected = [
            ("2026-01-31T09:00:00", "2026-01-31T09:00:00", false),
            ("2026-07-31T08:00:00", "2026-05-31T09:00:00", true),
            ("2026-07-31T09:00:00", "2026-07-31T09:00:00", true),
        ];
        assert_eq!(seen, expected.map(|(start, original, done)| (start.to_owned(), original.to_owned(), done)));
        assert_eq!(wall_text(found[1].end), "2026-07-31T09:00:00", "as long as the entry");
        // What was moved far away is found there.
        let far = expand(&series, &exceptions, at("2031-01-01T00:00:00"), at("2031-01-02T00:00:00"), 9).occurrences;
        assert_eq!((far.len(), far[0].original), (1, at("2026-08-31T09:00:00")));
    }

    #[test]
    fn what_is_wrong_with_exceptions_is_said() {
        let rows = [
            (json!([]), "exceptions is []: use an object of times"),
            (
                json!({"2026-03-31": {"skip": true}}),
                r#"exceptions has "2026-03-31": use the time of an occurrence, like 2026-03-31T09:00:00"#,
            ),
            (
                json!({"2026-03-31T09:00:00": "skip"}),
                r#"the exception of 2026-03-31T09:00:00 is "skip": use {"skip": true}, {"moved_to": "2026-04-01T09:00:00"} or {"completed": true}"#,
            ),
            (json!({"2026-03-31T09:00:00": {"skip": 1}}), "skip of 2026-03-31T09:00:00 is 1: use true or false"),
            (
                json!({"2026-03-31T09:00:00": {"moved_to": "2026-02-30T09:00:00"}}),
                r#"moved_to of 2026-03-31T09:00:00 is "2026-02-30T09:00:00": use a time like 2026-04-01T09:00:00"#,
            ),
        ];
        for (given, sentence) in rows {
            assert_eq!(Exceptions::from_json(&given, &kyiv()).unwrap_err(), sentence);
        }
        let nothing = json!({"2026-03-31T09:00:00": {"skip": false}, "2026-04-30T09:00:00": {}});
        assert!(Exceptions::from_json(&nothing, &kyiv()).unwrap().is_empty());
        let converted =
            Exceptions::from_json(&json!({"2026-03-31T09:00:00Z": {"skip": true, "completed": true}}), &kyiv())
                .unwrap();
        assert_eq!(converted.to_json(), json!({"2026-03-31T12:00:00": {"skip": true}}));
    }

    #[test]
    fn so_many_occurrences_are_exceptions_and_not_one_more() {
        let mut exceptions = Exceptions::default();
        let skip = Change { skip: true, ..Change::default() };
        let series = Series::new(at("2026-01-01T09:00:00"), None, Some(rule(&json!("daily"))));
        let days: Vec<DateTime> = series.starts_from(DateTime::MIN).take(EXCEPTIONS_MAX + 1).collect();
        for day in &days[..EXCEPTIONS_MAX] {
            exceptions.set(*day, skip).unwrap();
        }
        let refused = exceptions.set(days[EXCEPTIONS_MAX], skip).unwrap_err();
        assert_eq!(refused, "1000 occurrences of this entry are exceptions already, which is as many as there may be");
        exceptions.set(days[0], Change { completed: true, ..Change::default() }).unwrap();
        exceptions.set(days[0], Change::default()).unwrap();
        exceptions.set(days[EXCEPTIONS_MAX], skip).unwrap();
    }

    fn patterns() -> impl Strategy<Value = Value> {
        let weekday = prop::sample::select(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"]);
        let ordinal = (prop::sample::select(vec!["1", "2", "4", "-1", "-2"]), weekday.clone());
        let ordinal = ordinal.prop_map(|(nth, day)| format!("{nth}{day}"));
        let month_day = prop::sample::select(vec![1, 13, 28, 29, 30, 31, -1, -2, -28, -31]);
        let plain = prop::collection::vec(weekday.prop_map(str::to_owned), 0..4);
        // Of `MO,1MO` the oracle finds the one, RFC 5545 all of them: so never both kinds in one rule.
        let weekdays = prop_oneof![plain.clone(), prop::collection::vec(ordinal, 0..3)];
        let in_months = (weekdays, prop::collection::vec(month_day, 0..3));
        let days = prop_oneof![
            plain.clone().prop_map(|days| json!({"freq": "daily", "byweekday": days})),
            plain.prop_map(|days| json!({"freq": "weekly", "byweekday": days})),
            in_months
                .clone()
                .prop_map(|(week, month)| json!({"freq": "monthly", "byweekday": week, "bymonthday": month})),
            in_months.prop_map(|(week, month)| json!({"freq": "yearly", "byweekday": week, "bymonthday": month})),
        ];
        let end = prop_oneof![
            Just(json!({})),
            (1..40u32).prop_map(|count| json!({"count": count})),
            (2030..2040i16).prop_map(|year| json!({"until": format!("{year}-07-31")})),
        ];
        let interval = prop_oneof![1..5u32, Just(12), Just(100)];
        (days, interval, end).prop_map(|(mut pattern, interval, end)| {
            pattern["interval"] = json!(interval);
            pattern.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
            pattern
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// The crate that this is not built on, as an oracle: the same days, from the start and from anywhere.
        #[test]
        fn the_days_are_those_of_another_implementation(
            pattern in patterns(),
            (year, month, day) in (1990..2030i16, 1..13i8, 1..32i8),
            look in 1985..2035i16,
        ) {
            let Ok(day) = Date::new(year, month, day) else { return Ok(()) };
            let start = day.at(9, 0, 0, 0);
            let rule = rule(&pattern);
            let utc = Zone::named("UTC").unwrap();
            let text = format!("DTSTART:{}Z\nRRULE:{}", super::super::ics_text::time_text(start), rule.to_rrule(start, false, &utc));
            let oracle: rrule::RRuleSet = text.parse().unwrap();
            let theirs: Vec<i64> =
                oracle.into_iter().take_while(|at| at.timestamp() < 2_208_988_800).take(60).map(|at| at.timestamp()).collect();
            let seconds = |at: DateTime| at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
            let series = Series::new(start, None, Some(rule));
            let ours: Vec<i64> =
                series.starts_from(DateTime::MIN).map(seconds).take_while(|at| *at < 2_208_988_800).take(60).collect();
            prop_assert_eq!(&ours, &theirs, "{}", text);
            // Stepping over the past finds what walking through it finds.
            let from = date(look, 6, 15).at(9, 0, 0, 0);
            let stepped: Vec<i64> = series.starts_from(from).map(seconds).take(5).collect();
            let walked: Vec<i64> = series.starts_from(DateTime::MIN).skip_while(|at| *at < from).map(seconds).take(5).collect();
            prop_assert_eq!(stepped, walked);
        }
    }
}
