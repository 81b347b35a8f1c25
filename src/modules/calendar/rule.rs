//! How an entry recurs: as the household's clients say it in `recurrence_pattern`, and as calendars say it in `RRULE`.
//!
//! A rule says which days there are; the time of the day is that of the entry. A day that a month does not have is left out of
//! that month and not counted (RFC 5545, section 3.3.10): monthly from 31 January is January, March, May.

use jiff::civil::{Date, DateTime, Weekday, time};
use serde_json::{Map, Value, json};

use super::ics_text::{civil_date, civil_time, date_text, utc_text};
use crate::modules::zone::{Zone, wall_text};
use crate::text;

/// Every how many days, weeks, months or years at most.
pub const INTERVAL_MAX: u64 = 1_000;
/// How many times at most, where a rule counts. Daily, that is 27 years.
pub const COUNT_MAX: u64 = 10_000;
/// Days that one rule names at most, of the week or of the month: each of 31 from both ends.
pub const DAYS_MAX: usize = 62;
/// Characters of somebody's value that are repeated in a sentence about it.
const SHOWN_MAX_CHARS: usize = 60;

/// What is repeated: days, weeks, months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freq {
    /// Every day, or every so many; of these, only those of `byweekday` where there are any.
    Daily,
    /// Weeks begin on Monday. Without `byweekday`, the entry's own day of the week.
    Weekly,
    /// Without days, the day of the month that the entry has.
    Monthly,
    /// As monthly, in the entry's own month.
    Yearly,
}

const FREQS: [(&str, Freq); 4] =
    [("daily", Freq::Daily), ("weekly", Freq::Weekly), ("monthly", Freq::Monthly), ("yearly", Freq::Yearly)];

/// One day of `byweekday`: every Monday (`MO`), or within a month the second (`2MO`) or the last one (`-1MO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeekdayOf {
    /// From Monday, which is 0.
    pub(super) weekday: i8,
    /// Which one of the month, from its end where negative; 0 for every one.
    pub(super) nth: i8,
}

/// The names of the days, from Monday, as iCalendar has them.
pub(super) const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const WEEKDAY_NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// When a rule stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It does not.
    Never,
    /// After so many times, the first one counted.
    Count(u32),
    /// With this day, which belongs to it.
    Day(Date),
    /// With this time on the household's clock, which belongs to it.
    Time(DateTime),
}

/// How an entry recurs. Whatever is in here is within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) freq: Freq,
    pub(super) interval: u32,
    /// In order, none twice.
    pub(super) byweekday: Vec<WeekdayOf>,
    /// 1 to 31, or from the end of the month -1 to -31. In order, none twice.
    pub(super) bymonthday: Vec<i8>,
    pub(super) end: End,
}

impl Rule {
    /// Reads `recurrence_pattern`: `{"freq": "weekly", "interval": 2, "byweekday": ["MO", "TH"], "until": "2026-12-31"}`, or only
    /// `"weekly"` (contract 04, C7). Beside `freq` everything may be left out or null; `byweekday` and `bymonthday` take one value
    /// or a list; `until` is a day, which belongs to it, or a time on the household's clock, or one with an offset. Members that
    /// are not known are ignored.
    ///
    /// # Errors
    ///
    /// A sentence about what is wrong, with the value and what is possible instead.
    pub fn from_json(value: &Value, zone: &Zone) -> Result<Self, String> {
        let members = match value {
            Value::String(freq) => return Self::of(freq_named(freq)?, 1, Vec::new(), Vec::new(), End::Never),
            Value::Object(members) => members,
            other => {
                return Err(format!(
                    "recurrence_pattern is {}: use an object with freq, or one of {FREQ_TEXT}",
                    shown(other)
                ));
            }
        };
        let member = |name: &str| members.get(name).filter(|value| !value.is_null());
        let freq = match member("freq") {
            Some(Value::String(freq)) => freq_named(freq)?,
            Some(other) => return Err(format!("freq is {}: use {FREQ_TEXT}", shown(other))),
            None => return Err(format!("recurrence_pattern has no freq: use {FREQ_TEXT}")),
        };
        let interval = number(member("interval"), "interval", INTERVAL_MAX)?.unwrap_or(1);
        let mut byweekday = Vec::new();
        for value in several(member("byweekday"), "byweekday")? {
            let day = value.as_str().and_then(weekday_of);
            byweekday.push(day.ok_or_else(|| {
                format!(
                    "byweekday has {}: use MO, TU, WE, TH, FR, SA or SU, in months with 1 to 5 or -1 to -5 before it",
                    shown(value)
                )
            })?);
        }
        let mut bymonthday = Vec::new();
        for value in several(member("bymonthday"), "bymonthday")? {
            let day = value.as_i64().and_then(month_day);
            bymonthday.push(day.ok_or_else(|| {
                format!("bymonthday has {}: use 1 to 31, or -1 for the last day of a month, to -31", shown(value))
            })?);
        }
        let count = number(member("count"), "count", COUNT_MAX)?;
        let until = member("until").map(|value| until(value, zone)).transpose()?;
        Self::of(freq, interval, byweekday, bymonthday, end(count, until)?)
    }

    /// The one way to a rule: everything that holds of all of them.
    fn of(
        freq: Freq,
        interval: u32,
        mut byweekday: Vec<WeekdayOf>,
        mut bymonthday: Vec<i8>,
        end: End,
    ) -> Result<Self, String> {
        let in_months = matches!(freq, Freq::Monthly | Freq::Yearly);
        if !bymonthday.is_empty() && !in_months {
            return Err("bymonthday goes with monthly and yearly only".to_owned());
        }
        if !in_months && let Some(day) = byweekday.iter().find(|day| day.nth != 0) {
            return Err(format!(
                "byweekday has {}, one day of a month: it goes with monthly and yearly only",
                day.text()
            ));
        }
        byweekday.sort_unstable();
        byweekday.dedup();
        bymonthday.sort_unstable();
        bymonthday.dedup();
        Ok(Self { freq, interval, byweekday, bymonthday, end })
    }

    /// When it stops.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }

    /// What is repeated.
    #[must_use]
    pub fn freq(&self) -> Freq {
        self.freq
    }

    /// The same, with a day more at its end: for zones, whose rules end by UTC and are compared with clocks on walls.
    pub(super) fn ending_a_day_later(mut self) -> Self {
        if let End::Time(at) = self.end {
            self.end = End::Time(at.checked_add(jiff::Span::new().days(1)).unwrap_or(at));
        }
        self
    }

    /// What [`Rule::from_json`] reads as the same rule: always an object, nothing that goes without saying, and one day of the
    /// month as a number.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("freq".to_owned(), json!(self.freq_text()));
        if self.interval != 1 {
            members.insert("interval".to_owned(), json!(self.interval));
        }
        if !self.byweekday.is_empty() {
            let days: Vec<String> = self.byweekday.iter().map(|day| day.text()).collect();
            members.insert("byweekday".to_owned(), json!(days));
        }
        match &self.bymonthday[..] {
            [] => {}
            [day] => drop(members.insert("bymonthday".to_owned(), json!(day))),
            days => drop(members.insert("bymonthday".to_owned(), json!(days))),
        }
        match self.end {
            End::Never => {}
            End::Count(count) => drop(members.insert("count".to_owned(), json!(count))),
            End::Day(day) => drop(members.insert("until".to_owned(), json!(day.to_string()))),
            End::Time(at) => drop(members.insert("until".to_owned(), json!(wall_text(at)))),
        }
        Value::Object(members)
    }

    fn freq_text(&self) -> &'static str {
        FREQS.iter().find(|(_, freq)| *freq == self.freq).map_or("", |(name, _)| name)
    }

    /// The value of `RRULE` for an entry that starts then: for a whole day its end is a date, else a time in UTC, as RFC 5545
    /// demands of entries with a zone.
    #[must_use]
    pub fn to_rrule(&self, start: DateTime, whole_day: bool, zone: &Zone) -> String {
        let mut text = format!("FREQ={}", self.freq_text().to_ascii_uppercase());
        if self.interval != 1 {
            text += &format!(";INTERVAL={}", self.interval);
        }
        if self.freq == Freq::Yearly && !(self.byweekday.is_empty() && self.bymonthday.is_empty()) {
            text += &format!(";BYMONTH={}", start.month());
        }
        let listed = |days: Vec<String>| days.join(",");
        if !self.bymonthday.is_empty() {
            text += &format!(";BYMONTHDAY={}", listed(self.bymonthday.iter().map(i8::to_string).collect()));
        }
        if !self.byweekday.is_empty() {
            text += &format!(";BYDAY={}", listed(self.byweekday.iter().map(|day| day.text()).collect()));
        }
        let last = match self.end {
            End::Never => return text,
            End::Count(count) => return format!("{text};COUNT={count}"),
            End::Day(day) => day.at(23, 59, 59, 0),
            End::Time(at) => at,
        };
        if whole_day {
            // A date takes its whole day with it, so the last day is one on which there still is an occurrence.
            let is_over = last.time() < start.time();
            let day = if is_over { last.date().yesterday().unwrap_or(Date::MIN) } else { last.date() };
            return format!("{text};UNTIL={}", date_text(day));
        }
        // An end beyond the years that a calendar has is none.
        zone.instant(last).map_or(text.clone(), |at| format!("{text};UNTIL={}", utc_text(at)))
    }

    /// Reads the value of `RRULE` of an event that starts then. What says only what the start says anyway (`BYMONTH` of a
    /// yearly event, `BYHOUR`) is taken in silence. The last day of an event of whole days belongs to it, also where a program
    /// has written its end as a time.
    ///
    /// # Errors
    ///
    /// A sentence about the part that means something else than a [`Rule`] can say; nothing is kept by halves.
    pub fn from_rrule(text: &str, start: DateTime, whole_day: bool, zone: &Zone) -> Result<Self, String> {
        let mut parts = Parts { whole_day, ..Parts::default() };
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{} has no =", quoted(part)))?;
            parts.take(&name.trim().to_ascii_uppercase(), value.trim(), start, zone)?;
        }
        parts.rule(start)
    }
}

/// What has been read of an `RRULE`.
#[derive(Default)]
struct Parts {
    /// Of the event, whose rule this is.
    whole_day: bool,
    freq: Option<Freq>,
    interval: Option<u32>,
    count: Option<u32>,
    until: Option<End>,
    byweekday: Vec<WeekdayOf>,
    bymonthday: Vec<i8>,
    bymonth: Option<String>,
    position: Option<i8>,
    week_starts: Option<String>,
}

impl Parts {
    fn take(&mut self, name: &str, value: &str, start: DateTime, zone: &Zone) -> Result<(), String> {
        let not_kept = || format!("{name}={} cannot be kept", shown_text(value));
        let bounded = |max: u64| {
            let number = value.parse().ok().filter(|number| (1..=max).contains(number));
            let number = number.ok_or_else(|| format!("{name} is {}: 1 to {max} is kept", shown_text(value)))?;
            Ok::<_, String>(u32::try_from(number).unwrap_or(u32::MAX))
        };
        let listed = || value.split(',').map(str::trim);
        if name.starts_with("BY") && listed().count() > DAYS_MAX {
            return Err(format!("{name} has {} values: {DAYS_MAX} are kept", listed().count()));
        }
        match name {
            "FREQ" => self.freq = Some(freq_named(value)?),
            "INTERVAL" => self.interval = Some(bounded(INTERVAL_MAX)?),
            "COUNT" => self.count = Some(bounded(COUNT_MAX)?),
            "UNTIL" => self.until = Some(until_of_rrule(value, self.whole_day, zone).ok_or_else(not_kept)?),
            "BYDAY" => self.byweekday = listed().map(weekday_of).collect::<Option<_>>().ok_or_else(not_kept)?,
            "BYMONTHDAY" => {
                let day = |text: &str| text.parse().ok().and_then(month_day);
                self.bymonthday = listed().map(day).collect::<Option<_>>().ok_or_else(not_kept)?;
            }
            "BYMONTH" => self.bymonth = Some(value.to_owned()),
            "BYSETPOS" => self.position = Some(value.parse().map_err(|_| not_kept())?),
            "WKST" => self.week_starts = Some(value.to_ascii_uppercase()),
            "BYHOUR" if value.parse() == Ok(start.hour()) => {}
            "BYMINUTE" if value.parse() == Ok(start.minute()) => {}
            "BYSECOND" if value.parse() == Ok(start.second()) => {}
            _ => return Err(not_kept()),
        }
        Ok(())
    }

    fn rule(mut self, start: DateTime) -> Result<Rule, String> {
        let freq = self.freq.ok_or("FREQ is missing")?;
        let by_days = !(self.byweekday.is_empty() && self.bymonthday.is_empty());
        match (&self.bymonth, freq) {
            (None, Freq::Yearly) if by_days => {
                return Err("days of a whole year cannot be kept, only those of one month".to_owned());
            }
            (Some(month), Freq::Yearly) if month.parse() == Ok(start.month()) => {}
            (Some(month), _) => return Err(format!("BYMONTH={} cannot be kept", shown_text(month))),
            (None, _) => {}
        }
        // `BYDAY=TH;BYSETPOS=3` of Outlook is `3TH`; of several days together it is something else.
        if let Some(position) = self.position {
            match &mut self.byweekday[..] {
                [day] if day.nth == 0 && (1..=5).contains(&position.unsigned_abs()) && self.bymonthday.is_empty() => {
                    day.nth = position;
                }
                _ => return Err(format!("BYSETPOS={position} can be kept for one day of the week only")),
            }
        }
        // Where weeks begin makes a difference only to every second week and the like, with several days in it.
        if let Some(day) = self.week_starts.filter(|day| day != "MO")
            && freq == Freq::Weekly
            && self.interval.unwrap_or(1) > 1
            && self.byweekday.len() > 1
        {
            return Err(format!("WKST={} cannot be kept: weeks begin on Monday", shown_text(&day)));
        }
        let end = end(self.count, self.until)?;
        Rule::of(freq, self.interval.unwrap_or(1), self.byweekday, self.bymonthday, end)
    }
}

impl WeekdayOf {
    fn text(self) -> String {
        let name = usize::try_from(self.weekday).ok().and_then(|at| WEEKDAYS.get(at)).unwrap_or(&"MO");
        if self.nth == 0 { (*name).to_owned() } else { format!("{}{name}", self.nth) }
    }

    /// The same day, so many days later in the week.
    pub(super) fn later(self, days: i8) -> Self {
        Self { weekday: (self.weekday + days).rem_euclid(7), ..self }
    }

    /// Whether it is every such day, and this one.
    pub(super) fn is(self, weekday: Weekday) -> bool {
        self.weekday == weekday.to_monday_zero_offset()
    }
}

const FREQ_TEXT: &str = "daily, weekly, monthly or yearly";

fn freq_named(name: &str) -> Result<Freq, String> {
    let found = FREQS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
    found.map(|(_, freq)| *freq).ok_or_else(|| format!("freq is {}: use {FREQ_TEXT}", quoted(name)))
}

/// `MO`, `2MO`, `-1MO`, or `monday`.
fn weekday_of(text: &str) -> Option<WeekdayOf> {
    let text = text.trim();
    let named = |names: &[&str; 7], name: &str| {
        let at = names.iter().position(|known| known.eq_ignore_ascii_case(name))?;
        i8::try_from(at).ok()
    };
    if let Some(weekday) = named(&WEEKDAY_NAMES, text) {
        return Some(WeekdayOf { weekday, nth: 0 });
    }
    let (nth, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let weekday = named(&WEEKDAYS, name)?;
    let nth: i8 = if nth.is_empty() { 0 } else { nth.parse().ok().filter(|nth| *nth != 0)? };
    (-5..=5).contains(&nth).then_some(WeekdayOf { weekday, nth })
}

fn month_day(day: i64) -> Option<i8> {
    i8::try_from(day).ok().filter(|day| (1..=31).contains(&day.unsigned_abs()))
}

fn end(count: Option<u32>, until: Option<End>) -> Result<End, String> {
    match (count, until) {
        (Some(_), Some(_)) => Err("count and until are both given: use one of them".to_owned()),
        (Some(count), None) => Ok(End::Count(count)),
        (None, until) => Ok(until.unwrap_or(End::Never)),
    }
}

fn number(value: Option<&Value>, name: &str, max: u64) -> Result<Option<u32>, String> {
    let Some(value) = value else { return Ok(None) };
    let number =
        value.as_u64().filter(|number| (1..=max).contains(number)).and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("{name} is {}: use a whole number from 1 to {max}", shown(value)))
}

/// One value, or a list of them.
fn several<'v>(value: Option<&'v Value>, name: &str) -> Result<&'v [Value], String> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(values)) if values.len() > DAYS_MAX => {
            Err(format!("{name} has {} values: use at most {DAYS_MAX}", values.len()))
        }
        Some(Value::Array(values)) => Ok(values),
        Some(value) => Ok(std::slice::from_ref(value)),
    }
}

fn until(value: &Value, zone: &Zone) -> Result<End, String> {
    let wrong = || format!("until is {}: use a day like 2026-12-31, or a time like 2026-12-31T18:00:00", shown(value));
    let text = value.as_str().ok_or_else(wrong)?.trim();
    match text.len() {
        10 => text.parse().map(End::Day).map_err(|_| wrong()),
        _ => wall_time(text, zone).map(End::Time).ok_or_else(wrong),
    }
}

/// A time as clients write it: on the household's clock, or with an offset or `Z`, which is then converted to it (contract 04,
/// R5). None for anything else, a mere day as well.
pub(super) fn wall_time(text: &str, zone: &Zone) -> Option<DateTime> {
    if text.len() <= 10 {
        return None;
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => zone.wall(crate::clock::Timestamp(at.as_microsecond())),
        Err(_) => text.parse().ok(),
    }
}

/// A day, a time on the clock, or one in UTC. The last second of a day is that day.
fn until_of_rrule(text: &str, whole_day: bool, zone: &Zone) -> Option<End> {
    if let Some(day) = civil_date(text) {
        return Some(End::Day(day));
    }
    let written = civil_time(text.trim_end_matches(['Z', 'z']))?;
    let at = if text.ends_with(['Z', 'z']) {
        let at = written.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        zone.wall(crate::clock::Timestamp(at.timestamp().as_microsecond()))?
    } else {
        written
    };
    if whole_day {
        // Midnight is how programs write a mere day as a time, whatever zone they say that it is in.
        let day = if written.time() == jiff::civil::Time::midnight() { written.date() } else { at.date() };
        return Some(End::Day(day));
    }
    Some(if at.time() == time(23, 59, 59, 0) { End::Day(at.date()) } else { End::Time(at) })
}

/// Somebody's value as a sentence can repeat it.
pub(super) fn shown(value: &Value) -> String {
    shown_text(&value.to_string())
}

fn quoted(text: &str) -> String {
    format!("{:?}", text::cut(text, SHOWN_MAX_CHARS))
}

pub(super) fn shown_text(text: &str) -> String {
    text::cut(&text::visible(text), SHOWN_MAX_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn kyiv() -> Zone {
        Zone::named("Europe/Kyiv").unwrap()
    }

    #[test]
    fn a_pattern_is_read_and_said_again_in_one_way() {
        let rows = [
            (json!("daily"), json!({"freq": "daily"})),
            (json!("WEEKLY"), json!({"freq": "weekly"})),
            (json!({"freq": "monthly", "interval": 1}), json!({"freq": "monthly"})),
            (
                json!({"freq": "yearly", "interval": 2, "note": "kept by nobody"}),
                json!({"freq": "yearly", "interval": 2}),
            ),
            (
                json!({"freq": "weekly", "byweekday": ["TH", "mo", "MO"], "count": 4, "until": null}),
                json!({"freq": "weekly", "byweekday": ["MO", "TH"], "count": 4}),
            ),
            (json!({"freq": "weekly", "byweekday": "sunday"}), json!({"freq": "weekly", "byweekday": ["SU"]})),
            (
                json!({"freq": "monthly", "byweekday": ["-1FR", "2tu"]}),
                json!({"freq": "monthly", "byweekday": ["2TU", "-1FR"]}),
            ),
            (json!({"freq": "monthly", "bymonthday": -1}), json!({"freq": "monthly", "bymonthday": -1})),
            (json!({"freq": "monthly", "bymonthday": [15, 1, 15]}), json!({"freq": "monthly", "bymonthday": [1, 15]})),
            (json!({"freq": "daily", "until": "2026-12-31"}), json!({"freq": "daily", "until": "2026-12-31"})),
            (
                json!({"freq": "daily", "until": "2026-12-31T18:00"}),
                json!({"freq": "daily", "until": "2026-12-31T18:00:00"}),
            ),
            (
                json!({"freq": "daily", "until": "2026-12-31T18:00:00Z"}),
                json!({"freq": "daily", "until": "2026-12-31T20:00:00"}),
            ),
            (
                json!({"freq": "daily", "until": "2026-07-31T18:00:00+02:00"}),
                json!({"freq": "daily", "until": "2026-07-31T19:00:00"}),
            ),
        ];
        for (given, said) in rows {
            let rule = Rule::from_json(&given, &kyiv()).unwrap_or_else(|problem| panic!("{given}: {problem}"));
            assert_eq!(rule.to_json(), said, "{given}");
            assert_eq!(Rule::from_json(&said, &kyiv()).unwrap(), rule);
        }
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_with_the_value_and_the_bound() {
        let many = vec![json!(1); DAYS_MAX + 1];
        let rows = [
            (json!(7), "recurrence_pattern is 7: use an object with freq, or one of daily, weekly, monthly or yearly"),
            (json!("hourly"), r#"freq is "hourly": use daily, weekly, monthly or yearly"#),
            (json!({}), "recurrence_pattern has no freq: use daily, weekly, monthly or yearly"),
            (json!({"freq": null}), "recurrence_pattern has no freq: use daily, weekly, monthly or yearly"),
            (json!({"freq": 1}), "freq is 1: use daily, weekly, monthly or yearly"),
            (json!({"freq": "daily", "interval": 0}), "interval is 0: use a whole number from 1 to 1000"),
            (json!({"freq": "daily", "interval": 1001}), "interval is 1001: use a whole number from 1 to 1000"),
            (json!({"freq": "daily", "interval": 1.5}), "interval is 1.5: use a whole number from 1 to 1000"),
            (json!({"freq": "daily", "interval": "2"}), r#"interval is "2": use a whole number from 1 to 1000"#),
            (json!({"freq": "daily", "count": 10_001}), "count is 10001: use a whole number from 1 to 10000"),
            (json!({"freq": "daily", "count": -1}), "count is -1: use a whole number from 1 to 10000"),
            (
                json!({"freq": "weekly", "byweekday": [0]}),
                "byweekday has 0: use MO, TU, WE, TH, FR, SA or SU, in months with 1 to 5 or -1 to -5 before it",
            ),
            (
                json!({"freq": "monthly", "byweekday": ["6MO"]}),
                r#"byweekday has "6MO": use MO, TU, WE, TH, FR, SA or SU, in months with 1 to 5 or -1 to -5 before it"#,
            ),
            (
                json!({"freq": "weekly", "byweekday": ["2MO"]}),
                "byweekday has 2MO, one day of a month: it goes with monthly and yearly only",
            ),
            (
                json!({"freq": "monthly", "bymonthday": 32}),
                "bymonthday has 32: use 1 to 31, or -1 for the last day of a month, to -31",
            ),
            (
                json!({"freq": "monthly", "bymonthday": [0]}),
                "bymonthday has 0: use 1 to 31, or -1 for the last day of a month, to -31",
            ),
            (json!({"freq": "monthly", "bymonthday": many}), "bymonthday has 63 values: use at most 62"),
            (json!({"freq": "weekly", "bymonthday": 1}), "bymonthday goes with monthly and yearly only"),
            (
                json!({"freq": "daily", "until": "2026-02-30"}),
                r#"until is "2026-02-30": use a day like 2026-12-31, or a time like 2026-12-31T18:00:00"#,
            ),
            (
                json!({"freq": "daily", "until": 2100}),
                "until is 2100: use a day like 2026-12-31, or a time like 2026-12-31T18:00:00",
            ),
            (
                json!({"freq": "daily", "until": "2026-12-31", "count": 1}),
                "count and until are both given: use one of them",
            ),
        ];
        for (given, sentence) in rows {
            assert_eq!(Rule::from_json(&given, &kyiv()).unwrap_err(), sentence, "{given}");
        }
        let long = Rule::from_json(&json!({"freq": "x".repeat(10_000)}), &kyiv()).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn an_rrule_says_the_same_in_both_directions() {
        let start = date(2024, 2, 29).at(8, 0, 0, 0);
        let rows = [
            (json!("yearly"), false, "FREQ=YEARLY"),
            (json!({"freq": "daily", "interval": 3, "count": 10}), false, "FREQ=DAILY;INTERVAL=3;COUNT=10"),
            (json!({"freq": "weekly", "byweekday": ["MO", "TH"]}), false, "FREQ=WEEKLY;BYDAY=MO,TH"),
            (json!({"freq": "monthly", "bymonthday": -1}), false, "FREQ=MONTHLY;BYMONTHDAY=-1"),
            (json!({"freq": "monthly", "byweekday": ["-1SU"]}), false, "FREQ=MONTHLY;BYDAY=-1SU"),
            (json!({"freq": "yearly", "bymonthday": -1}), false, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"),
            (json!({"freq": "daily", "until": "2026-07-31"}), true, "FREQ=DAILY;UNTIL=20260731"),
            // The end of a day in Kyiv is three hours earlier in UTC in summer, and two in winter.
            (json!({"freq": "daily", "until": "2026-07-31"}), false, "FREQ=DAILY;UNTIL=20260731T205959Z"),
            (json!({"freq": "daily", "until": "2026-12-31"}), false, "FREQ=DAILY;UNTIL=20261231T215959Z"),
            (json!({"freq": "daily", "until": "2026-12-31T18:30:00"}), false, "FREQ=DAILY;UNTIL=20261231T163000Z"),
        ];
        for (pattern, whole_day, text) in rows {
            let rule = Rule::from_json(&pattern, &kyiv()).unwrap();
            assert_eq!(rule.to_rrule(start, whole_day, &kyiv()), text);
            assert_eq!(Rule::from_rrule(text, start, whole_day, &kyiv()).unwrap(), rule, "{text}");
        }
    }

    #[test]
    fn the_last_of_whole_days_belongs_to_them() {
        let midnight = date(2026, 7, 1).at(0, 0, 0, 0);
        let new_york = Zone::named("America/New_York").unwrap();
        let rows = [
            "20261231",
            "20261231T000000",
            "20261231T000000Z",
            // The same midnight, and the end of that day, in Kyiv.
            "20261230T220000Z",
            "20261231T215959Z",
        ];
        for text in rows {
            let rule = Rule::from_rrule(&format!("FREQ=DAILY;UNTIL={text}"), midnight, true, &kyiv()).unwrap();
            assert_eq!(rule.end(), End::Day(date(2026, 12, 31)), "{text}");
        }
        let elsewhere = Rule::from_rrule("FREQ=DAILY;UNTIL=20261231T000000Z", midnight, true, &new_york).unwrap();
        assert_eq!(elsewhere.end(), End::Day(date(2026, 12, 31)), "a day is a day wherever the household is");
        // What is called a whole day may start in the morning: an end before that leaves the day out.
        let morning = date(2026, 7, 1).at(9, 0, 0, 0);
        for (until, last) in [("2026-12-31T08:59:59", "20261230"), ("2026-12-31T09:00:00", "20261231")] {
            let rule = Rule::from_json(&json!({"freq": "daily", "until": until}), &kyiv()).unwrap();
            assert_eq!(rule.to_rrule(morning, true, &kyiv()), format!("FREQ=DAILY;UNTIL={last}"));
        }
    }

    #[test]
    fn what_calendars_write_is_taken_or_refused_as_a_whole() {
        let start = date(2026, 11, 26).at(9, 30, 0, 0);
        let read = |text: &str| Rule::from_rrule(text, start, false, &kyiv()).map(|rule| rule.to_json().to_string());
        let taken = [
            ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;", r#"{"freq":"yearly","byweekday":["4TH"]}"#),
            ("FREQ=MONTHLY;BYDAY=TH;BYSETPOS=4", r#"{"freq":"monthly","byweekday":["4TH"]}"#),
            ("freq=weekly;wkst=SU;byday=th", r#"{"freq":"weekly","byweekday":["TH"]}"#),
            ("FREQ=WEEKLY;WKST=SU;INTERVAL=2;BYDAY=TH", r#"{"freq":"weekly","interval":2,"byweekday":["TH"]}"#),
            ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", r#"{"freq":"daily","byweekday":["MO","TU","WE","TH","FR"]}"#),
            ("FREQ=DAILY;BYHOUR=9;BYMINUTE=30;BYSECOND=0", r#"{"freq":"daily"}"#),
            ("FREQ=DAILY;UNTIL=20261231T180000", r#"{"freq":"daily","until":"2026-12-31T18:00:00"}"#),
        ];
        for (text, json) in taken {
            assert_eq!(read(text).as_deref(), Ok(json), "{text}");
        }
        let refused = [
            ("", "FREQ is missing"),
            ("FREQ", r#""FREQ" has no ="#),
            ("FREQ=HOURLY", r#"freq is "HOURLY": use daily, weekly, monthly or yearly"#),
            ("FREQ=DAILY;BYHOUR=9,17", "BYHOUR=9,17 cannot be kept"),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL is 0: 1 to 1000 is kept"),
            ("FREQ=DAILY;COUNT=100000", "COUNT is 100000: 1 to 10000 is kept"),
            ("FREQ=DAILY;UNTIL=20260230", "UNTIL=20260230 cannot be kept"),
            ("FREQ=DAILY;BYMONTH=1", "BYMONTH=1 cannot be kept"),
            ("FREQ=YEARLY;BYMONTH=3,11", "BYMONTH=3,11 cannot be kept"),
            ("FREQ=YEARLY;BYDAY=20MO", "BYDAY=20MO cannot be kept"),
            ("FREQ=YEARLY;BYDAY=MO", "days of a whole year cannot be kept, only those of one month"),
            ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "BYSETPOS=-1 can be kept for one day of the week only"),
            ("FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO", "WKST=SU cannot be kept: weeks begin on Monday"),
            ("FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO=20 cannot be kept"),
            ("FREQ=DAILY;COUNT=3;UNTIL=20261231", "count and until are both given: use one of them"),
        ];
        for (text, sentence) in refused {
            assert_eq!(read(text).unwrap_err(), sentence, "{text}");
        }
    }
}
