//! Which days and times a line of text speaks of, in Ukrainian or English, in words or figures, as seen from the household's
//! wall clock.
//!
//! What people leave out is settled by these rules:
//!
//! - Of a sentence, words like "буде", "треба", "will" say that it is about the future, "була", "ходили", "was" that it is
//!   about the past. Where it has both or neither, it is about neither.
//! - A day of the week is the next one, never today; in a sentence about the past, the last one. "This" and "next" count weeks
//!   from Monday to Sunday, "last" is the one before today.
//! - A day and month without a year are of this year. In a sentence about the future a day that is over is next year's; in
//!   one about the past a day that is to come is last year's. 29 February is that of the nearest leap year.
//! - A time without a day is today's. In a sentence about the future one that is over is tomorrow's; in one about the past one
//!   that is to come is yesterday's.
//! - Hours are those of a clock of 24. Said without minutes or in words, 1 to 6 are of the afternoon: nobody plans for five in
//!   the morning without saying so. A part of the day beside the hour ("ранку", "pm", "ввечері") decides before that.
//! - A part of the day alone is a time: [`MORNING`], [`AFTERNOON`], [`EVENING`] or [`NIGHT`]. Midnight is the end of the day
//!   that it is said of.
//! - A time belongs to the day before it in its sentence, else to the one behind it; of `18:00 – 20:00` the first counts.
//! - A year of two digits is of this century; figures with dots or slashes say the day first.
//! - "Next week" is its Monday, "next month" its first day, a weekend its Saturday, or today where it is Sunday.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};

use super::date_parts::{Clock, Day, Part, Parts};
use super::date_words::{FUTURE, FUTURE_ENDINGS, Half, NOT_FUTURE, PAST, PAST_ENDINGS, PAST_STEMS, Which};
use super::words::{Kind, Token, tokens};

/// Dates and times that are taken from one text; what more there are is left out.
pub const FOUND_MAX: usize = 16;
/// The hour that "in the morning" is.
pub const MORNING: i8 = 9;
/// The hour that "in the afternoon" is.
pub const AFTERNOON: i8 = 14;
/// The hour that "in the evening" is.
pub const EVENING: i8 = 19;
/// The hour that "at night" is.
pub const NIGHT: i8 = 22;
/// Tokens between a time and the part of the day that belongs to it.
const BESIDE: usize = 3;
/// Years within which there is a 29 February.
const LEAP_YEARS_APART: i16 = 8;

/// A day, perhaps with a time, that a text speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// The day on the household's wall.
    pub date: Date,
    /// The time, to the minute, if there was one.
    pub time: Option<Time>,
    /// From the first to the last of the words that say so, in bytes of the text.
    pub span: Range<usize>,
    /// Whether it is over: the time, or, without one, the whole day.
    pub is_past: bool,
}

impl When {
    /// The moment on the wall; without a time, the beginning of the day.
    #[must_use]
    pub fn at(&self) -> DateTime {
        self.date.to_datetime(self.time.unwrap_or(Time::midnight()))
    }
}

/// Every day and time that the text speaks of, in the order of the text: at most [`FOUND_MAX`], and those within its first
/// [`MAX_CHARS`](super::words::MAX_CHARS) characters. `now` is the household's wall time.
#[must_use]
pub fn find(text: &str, now: DateTime) -> Vec<When> {
    let tokens = tokens(text);
    let parts = Parts { tokens: &tokens, now };
    let mut found = Vec::new();
    let (mut at, mut begin, mut sentence) = (0, 0, Vec::new());
    while at < tokens.len() {
        if let Some((part, length)) = parts.at(at) {
            sentence.push((part, at..at + length));
            at += length;
            continue;
        }
        if ends_sentence(text, &tokens, at) {
            settle(&tokens, begin..at, std::mem::take(&mut sentence), now, &mut found);
            begin = at + 1;
        }
        at += 1;
    }
    settle(&tokens, begin..tokens.len(), sentence, now, &mut found);
    found.truncate(FOUND_MAX);
    found
}

/// A full stop that a small letter or a figure follows is one of an abbreviation.
fn ends_sentence(text: &str, tokens: &[Token], at: usize) -> bool {
    match tokens[at].kind {
        Kind::Mark('!' | '?' | ';' | '\n' | '…') => true,
        Kind::Mark('.') => tokens.get(at + 1).is_none_or(|next| {
            let letter = text[next.span.start..].chars().next();
            !letter.is_some_and(|letter| letter.is_lowercase() || letter.is_ascii_digit())
        }),
        _ => false,
    }
}

/// What a sentence is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tense {
    Past,
    Future,
    Unknown,
}

fn tense(tokens: &[Token]) -> Tense {
    let words = || tokens.iter().map(Token::word).filter(|word| !word.is_empty());
    match (words().any(is_of_future), words().any(is_of_past)) {
        (true, false) => Tense::Future,
        (false, true) => Tense::Past,
        _ => Tense::Unknown,
    }
}

fn is_of_future(word: &str) -> bool {
    let ends = || FUTURE_ENDINGS.iter().any(|ending| word.strip_suffix(ending).is_some_and(|stem| !stem.is_empty()));
    FUTURE.contains(&word) || (!NOT_FUTURE.contains(&word) && ends())
}

fn is_of_past(word: &str) -> bool {
    let verb = |stem: &&str| word.strip_prefix(*stem).is_some_and(|ending| PAST_ENDINGS.contains(&ending));
    // "visited", but not "speed" nor "red".
    let english = || word.is_ascii() && word.len() > 4 && word.ends_with("ed") && !word.ends_with("eed");
    PAST.contains(&word) || PAST_STEMS.iter().any(verb) || (english() && word != "hundred")
}

/// A part that stands for itself: a moment, a day or a time.
enum Item {
    Moment(DateTime),
    Day(Day),
    Clock(Clock),
}

/// Something, and the tokens that say it.
type Placed<T> = (T, Range<usize>);

/// Puts together what one sentence says.
fn settle(tokens: &[Token], sentence: Range<usize>, parts: Vec<Placed<Part>>, now: DateTime, found: &mut Vec<When>) {
    if parts.is_empty() || found.len() >= FOUND_MAX {
        return;
    }
    let rules = Rules { tokens, now, tense: tense(&tokens[sentence]) };
    let (mut day, mut clock): (Option<Placed<Day>>, Option<Placed<Clock>>) = (None, None);
    for (item, place) in items(tokens, parts) {
        match item {
            Item::Moment(moment) => found.extend(rules.moment(moment, place)),
            Item::Day(next) => match day.take() {
                None => day = Some((next, place)),
                Some(before) => {
                    found.extend(rules.when(Some(before), clock.take()));
                    day = Some((next, place));
                }
            },
            Item::Clock(next) => {
                if let Some(before) = clock.take() {
                    // A second time is of the same day.
                    let again = day.as_ref().map(|(day, _)| (*day, place.clone()));
                    found.extend(rules.when(day.take(), Some(before)));
                    day = again;
                }
                clock = Some((next, place));
            }
        }
    }
    found.extend(rules.when(day, clock));
}

/// The items of a sentence: parts of the day are put to the times beside them or become times, and the ends of spans fall away.
fn items(tokens: &[Token], parts: Vec<Placed<Part>>) -> Vec<Placed<Item>> {
    let mut split: Vec<Placed<Part>> = Vec::with_capacity(parts.len());
    for (part, place) in parts {
        if let Part::DayAndHalf(day, half) = part {
            split.push((Part::Day(day), place.clone()));
            split.push((Part::Half(half), place));
        } else if let (Part::Clock(_), Some((Part::Clock(_), before))) = (part, split.last_mut())
            && is_until(&tokens[before.end..place.start])
        {
            before.end = place.end;
        } else {
            split.push((part, place));
        }
    }
    for index in 0..split.len() {
        let (Part::Half(half), place) = split[index].clone() else { continue };
        let beside = |other: &Range<usize>| {
            let gap =
                if other.start >= place.end { other.start - place.end } else { place.start.saturating_sub(other.end) };
            gap <= BESIDE
        };
        let open = |index: &usize| {
            let (part, other) = &split[*index];
            matches!(part, Part::Clock(clock) if clock.half.is_none()) && beside(other)
        };
        let clock = (index + 1..split.len()).find(open).or_else(|| (0..index).rev().find(open));
        if let Some(clock) = clock
            && let Part::Clock(clock) = &mut split[clock].0
        {
            clock.half = Some(half);
        } else {
            let hour = match half {
                Half::Morning => MORNING,
                Half::Afternoon => AFTERNOON,
                Half::Evening => EVENING,
                Half::Night => NIGHT,
            };
            split[index].0 = Part::Clock(Clock { hour, minute: 0, spoken: false, half: Some(half) });
        }
    }
    let item = |(part, place)| match part {
        Part::Moment(moment) => Some((Item::Moment(moment), place)),
        Part::Day(day) => Some((Item::Day(day), place)),
        Part::Clock(clock) => Some((Item::Clock(clock), place)),
        Part::Half(_) | Part::DayAndHalf(..) => None,
    };
    split.into_iter().filter_map(item).collect()
}

/// Whether this stands between the two ends of a span.
fn is_until(between: &[Token]) -> bool {
    match between {
        [token] => {
            matches!(token.kind, Kind::Mark('-' | '–' | '—')) || ["до", "to", "till", "until"].contains(&token.word())
        }
        _ => false,
    }
}

/// Settles what was left out.
struct Rules<'t> {
    tokens: &'t [Token],
    now: DateTime,
    tense: Tense,
}

impl Rules<'_> {
    fn when(&self, day: Option<Placed<Day>>, clock: Option<Placed<Clock>>) -> Option<When> {
        let place = match (&day, &clock) {
            (Some((_, day)), Some((_, clock))) => day.start.min(clock.start)..day.end.max(clock.end),
            (Some((_, place)), None) | (None, Some((_, place))) => place.clone(),
            (None, None) => return None,
        };
        let time = match clock {
            Some((clock, _)) => Some(time_of(clock)?),
            None => None,
        };
        let today = self.now.date();
        let mut date = match day {
            Some((day, _)) => self.date(day)?,
            None => today,
        };
        if let (None, Some((time, days))) = (day, time) {
            let at = date.checked_add(days.days()).ok()?.to_datetime(time);
            match self.tense {
                Tense::Future if at < self.now => date = date.tomorrow().ok()?,
                Tense::Past if at > self.now => date = date.yesterday().ok()?,
                _ => {}
            }
        }
        let days = time.map_or(0, |(_, days)| days);
        self.found(date.checked_add(days.days()).ok()?, time.map(|(time, _)| time), place)
    }

    fn moment(&self, moment: DateTime, place: Range<usize>) -> Option<When> {
        let time = Time::new(moment.hour(), moment.minute(), 0, 0).ok()?;
        self.found(moment.date(), Some(time), place)
    }

    fn found(&self, date: Date, time: Option<Time>, place: Range<usize>) -> Option<When> {
        let is_past = time.map_or(date < self.now.date(), |time| date.to_datetime(time) < self.now);
        let span = self.tokens[place.start].span.start..self.tokens[place.end - 1].span.end;
        Some(When { date, time, span, is_past })
    }

    fn date(&self, day: Day) -> Option<Date> {
        let today = self.now.date();
        match day {
            Day::Fixed(date) => Some(date),
            Day::Yearless(month, day) => self.year_for(month, day),
            Day::Week(weekday, Which::Any) if self.tense == Tense::Past => today.nth_weekday(-1, weekday).ok(),
            Day::Week(weekday, Which::Any) => today.nth_weekday(1, weekday).ok(),
            Day::Week(weekday, Which::Last) => today.nth_weekday(-1, weekday).ok(),
            Day::Week(weekday, Which::This) => self.of_week(weekday, 0),
            Day::Week(weekday, Which::Next) => self.of_week(weekday, 7),
        }
    }

    fn of_week(&self, weekday: Weekday, later: i64) -> Option<Date> {
        let today = self.now.date();
        let offset = i64::from(weekday.to_monday_zero_offset()) - i64::from(today.weekday().to_monday_zero_offset());
        today.checked_add((offset + later).days()).ok()
    }

    fn year_for(&self, month: i8, day: i8) -> Option<Date> {
        let today = self.now.date();
        let in_year = |later: i16| Date::new(today.year().checked_add(later)?, month, day).ok();
        let coming = || (0..=LEAP_YEARS_APART).filter_map(in_year).find(|date| *date >= today);
        match self.tense {
            Tense::Future => coming(),
            Tense::Past => (0..=LEAP_YEARS_APART).filter_map(|back| in_year(-back)).find(|date| *date <= today),
            Tense::Unknown => in_year(0).or_else(coming),
        }
    }
}

/// The time on a clock of 24 hours, and how many days later it is.
fn time_of(clock: Clock) -> Option<(Time, i64)> {
    let hour = match (clock.half, clock.hour) {
        (Some(Half::Morning), 12) => 0,
        (Some(Half::Evening | Half::Night), 12) => 24,
        (Some(Half::Afternoon | Half::Evening), hour @ 1..=11) => hour + 12,
        (Some(Half::Night), hour @ 8..=11) => hour + 12,
        (None, hour @ 1..=6) if clock.spoken => hour + 12,
        (_, hour) => hour,
    };
    let (hour, days) = if hour == 24 { (0, 1) } else { (hour, 0) };
    Some((Time::new(hour, clock.minute, 0, 0).ok()?, days))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    /// A Wednesday, at noon.
    fn now() -> DateTime {
        date(2026, 11, 18).at(12, 0, 0, 0)
    }

    /// What was found as `date[Ttime] "span"`, with `<` where it is over.
    fn said(text: &str) -> String {
        let one = |when: &When| {
            let time = when.time.map_or(String::new(), |time| format!("T{:02}:{:02}", time.hour(), time.minute()));
            let over = if when.is_past { " <" } else { "" };
            format!("{}{time} {:?}{over}", when.date, &text[when.span.clone()])
        };
        find(text, now()).iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn hold(cases: &[(&str, &str)]) {
        let wrong: Vec<String> = cases
            .iter()
            .filter(|(text, expected)| said(text) != *expected)
            .map(|(text, expected)| format!("{text}\n  is      {}\n  and not {expected}", said(text)))
            .collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn days_near_today() {
        hold(&[
            ("Сьогодні був дощ", r#"2026-11-18 "Сьогодні""#),
            ("Завтра до лікаря", r#"2026-11-19 "Завтра""#),
            ("ПІСЛЯЗАВТРА", r#"2026-11-20 "ПІСЛЯЗАВТРА""#),
            ("вчора дзвонила мама", r#"2026-11-17 "вчора" <"#),
            ("позавчора", r#"2026-11-16 "позавчора" <"#),
            ("tomorrow", r#"2026-11-19 "tomorrow""#),
            ("Yesterday we met", r#"2026-11-17 "Yesterday" <"#),
            ("the day after tomorrow", r#"2026-11-20 "day after tomorrow""#),
            ("day before yesterday", r#"2026-11-16 "day before yesterday" <"#),
            ("movie tonight", r#"2026-11-18T19:00 "tonight""#),
            ("dinner tonight at 8", r#"2026-11-18T20:00 "tonight at 8""#),
            ("last night the dog barked", r#"2026-11-17T19:00 "last night" <"#),
            ("на вихідних у гори", r#"2026-11-21 "вихідних""#),
            ("next week", r#"2026-11-23 "next week""#),
            ("наступного місяця", r#"2026-12-01 "наступного місяця""#),
        ]);
    }

    #[test]
    fn days_of_the_week() {
        hold(&[
            ("у п'ятницю", r#"2026-11-20 "п'ятницю""#),
            ("У П’ЯТНИЦЮ ходили в цирк", r#"2026-11-13 "П’ЯТНИЦЮ" <"#),
            ("в середу басейн", r#"2026-11-25 "середу""#),
            ("наступного вівторка", r#"2026-11-24 "наступного вівторка""#),
            ("наступної п'ятниці", r#"2026-11-27 "наступної п'ятниці""#),
            ("цієї п'ятниці", r#"2026-11-20 "цієї п'ятниці""#),
            ("цього понеділка", r#"2026-11-16 "цього понеділка" <"#),
            ("минулої неділі", r#"2026-11-15 "минулої неділі" <"#),
            ("next Friday", r#"2026-11-27 "next Friday""#),
            ("on Friday", r#"2026-11-20 "Friday""#),
            ("last Monday we moved", r#"2026-11-16 "last Monday" <"#),
            ("we visited grandma on Sunday", r#"2026-11-15 "Sunday" <"#),
            ("зустріч у пт о 10", r#"2026-11-20T10:00 "у пт о 10""#),
            ("Friday morning", r#"2026-11-20T09:00 "Friday morning""#),
            ("щопонеділка, середина", ""),
        ]);
    }

    #[test]
    fn days_of_the_calendar() {
        hold(&[
            ("15.03 о 18:00", r#"2026-03-15T18:00 "15.03 о 18:00" <"#),
            ("15.03 о 18:00 буде концерт", r#"2027-03-15T18:00 "15.03 о 18:00""#),
            ("15.12 були в театрі", r#"2025-12-15 "15.12" <"#),
            ("18.11 треба здати звіт", r#"2026-11-18 "18.11""#),
            ("15.03.2027", r#"2027-03-15 "15.03.2027""#),
            ("1.9.27", r#"2027-09-01 "1.9.27""#),
            ("15/03/2027", r#"2027-03-15 "15/03/2027""#),
            ("2027-03-15T18:30", r#"2027-03-15T18:30 "2027-03-15T18:30""#),
            ("2027-03-15 18:30:15", r#"2027-03-15T18:30 "2027-03-15 18:30:15""#),
            ("15 березня поїдемо до бабусі", r#"2027-03-15 "15 березня""#),
            ("15-го грудня", r#"2026-12-15 "15-го грудня""#),
            ("20 грудня 2026 року", r#"2026-12-20 "20 грудня 2026 року""#),
            ("Народилася 7 липня 1985", r#"1985-07-07 "7 липня 1985" <"#),
            ("двадцять п'ятого грудня", r#"2026-12-25 "двадцять п'ятого грудня""#),
            ("перше січня будемо вдома", r#"2027-01-01 "перше січня""#),
            ("March 15", r#"2026-03-15 "March 15" <"#),
            ("We will go on March 15th", r#"2027-03-15 "March 15th""#),
            ("March 15, 2027 at 6pm", r#"2027-03-15T18:00 "March 15, 2027 at 6pm""#),
            ("the 3rd of December", r#"2026-12-03 "3rd of December""#),
            ("December twenty-fifth", r#"2026-12-25 "December twenty-fifth""#),
            ("29 лютого буде свято", r#"2028-02-29 "29 лютого""#),
            ("29.02 була гостина", r#"2024-02-29 "29.02" <"#),
            ("29.02", r#"2028-02-29 "29.02""#),
        ]);
    }

    #[test]
    fn times_of_the_day() {
        hold(&[
            ("о 9", r#"2026-11-18T09:00 "о 9" <"#),
            ("Нагадай о 9", r#"2026-11-19T09:00 "о 9""#),
            ("дзвонили о 23:00", r#"2026-11-17T23:00 "о 23:00" <"#),
            ("18:30", r#"2026-11-18T18:30 "18:30""#),
            ("завтра о 6", r#"2026-11-19T18:00 "завтра о 6""#),
            ("завтра о 6 ранку", r#"2026-11-19T06:00 "завтра о 6 ранку""#),
            ("завтра о 06:00", r#"2026-11-19T06:00 "завтра о 06:00""#),
            ("завтра о 18.30", r#"2026-11-19T18:30 "завтра о 18.30""#),
            ("завтра о пів на шосту", r#"2026-11-19T17:30 "завтра о пів на шосту""#),
            ("завтра о пів на шосту ранку", r#"2026-11-19T05:30 "завтра о пів на шосту ранку""#),
            ("завтра пів на 10", r#"2026-11-19T09:30 "завтра пів на 10""#),
            ("завтра о дев'ятій вечора", r#"2026-11-19T21:00 "завтра о дев'ятій вечора""#),
            ("завтра о третій", r#"2026-11-19T15:00 "завтра о третій""#),
            ("завтра чверть на восьму", r#"2026-11-19T07:15 "завтра чверть на восьму""#),
            ("завтра за чверть восьма", r#"2026-11-19T07:45 "завтра за чверть восьма""#),
            ("завтра о 2 ночі", r#"2026-11-19T02:00 "завтра о 2 ночі""#),
            ("завтра опівночі", r#"2026-11-20T00:00 "завтра опівночі""#),
            ("завтра опівдні", r#"2026-11-19T12:00 "завтра опівдні""#),
            ("завтра вранці", r#"2026-11-19T09:00 "завтра вранці""#),
            ("завтра ввечері о 7", r#"2026-11-19T19:00 "завтра ввечері о 7""#),
            ("о 7 завтра ввечері", r#"2026-11-19T19:00 "о 7 завтра""#),
            ("tomorrow at 6pm", r#"2026-11-19T18:00 "tomorrow at 6pm""#),
            ("tomorrow at 6 p.m. sharp", r#"2026-11-19T18:00 "tomorrow at 6 p.m.""#),
            ("tomorrow at 12 am", r#"2026-11-19T00:00 "tomorrow at 12 am""#),
            ("tomorrow half past five", r#"2026-11-19T17:30 "tomorrow half past five""#),
            ("tomorrow at quarter to nine", r#"2026-11-19T08:45 "tomorrow at quarter to nine""#),
            ("tomorrow at eleven o'clock", r#"2026-11-19T11:00 "tomorrow at eleven o'clock""#),
            ("tomorrow at noon", r#"2026-11-19T12:00 "tomorrow at noon""#),
            ("tomorrow morning", r#"2026-11-19T09:00 "tomorrow morning""#),
            ("завтра з 18:00 до 20:00", r#"2026-11-19T18:00 "завтра з 18:00 до 20:00""#),
            ("завтра 18:00–20:00", r#"2026-11-19T18:00 "завтра 18:00–20:00""#),
        ]);
    }

    #[test]
    fn distances_from_now() {
        hold(&[
            ("через 2 години", r#"2026-11-18T14:00 "через 2 години""#),
            ("через годину", r#"2026-11-18T13:00 "через годину""#),
            ("через пів години", r#"2026-11-18T12:30 "через пів години""#),
            ("через півтори години", r#"2026-11-18T13:30 "через півтори години""#),
            ("через 3 дні", r#"2026-11-21 "через 3 дні""#),
            ("через два тижні о 10:00", r#"2026-12-02T10:00 "через два тижні о 10:00""#),
            ("через місяць", r#"2026-12-18 "через місяць""#),
            ("in 3 days", r#"2026-11-21 "in 3 days""#),
            ("in an hour", r#"2026-11-18T13:00 "in an hour""#),
            ("in half an hour", r#"2026-11-18T12:30 "in half an hour""#),
            ("in a couple of weeks", r#"2026-12-02 "in a couple of weeks""#),
            ("два тижні тому", r#"2026-11-04 "два тижні тому" <"#),
            ("рік тому", r#"2025-11-18 "рік тому" <"#),
            ("3 days ago", r#"2026-11-15 "3 days ago" <"#),
            ("an hour ago", r#"2026-11-18T11:00 "an hour ago" <"#),
        ]);
    }

    #[test]
    fn several_in_one_text() {
        hold(&[
            ("Завтра о 9 лікар, о 12 обід", r#"2026-11-19T09:00 "Завтра о 9", 2026-11-19T12:00 "о 12""#),
            ("о 10 ранку в п'ятницю", r#"2026-11-20T10:00 "о 10 ранку в п'ятницю""#),
            (
                "Вчора були в лікаря. Наступний прийом буде 15.03 о 18:00.",
                r#"2026-11-17 "Вчора" <, 2027-03-15T18:00 "15.03 о 18:00""#,
            ),
            ("у п'ятницю й суботу", r#"2026-11-20 "п'ятницю", 2026-11-21 "суботу""#),
        ]);
        assert_eq!(find(&"завтра. ".repeat(100), now()).len(), FOUND_MAX);
    }

    #[test]
    fn what_is_no_date_is_none() {
        hold(&[
            ("", ""),
            ("молоко 15.10 грн", ""),
            ("192.168.10.12", ""),
            ("версія 1.2.10.11", ""),
            ("31.02", ""),
            ("45.12", ""),
            ("3.5 кілометра", ""),
            ("рахунок 16:9", ""),
            ("25:61", ""),
            ("2027-13-45", ""),
            ("доброго ранку, good morning", ""),
            ("через 99999999999999999999 років", ""),
            ("через 999999 років", ""),
            ("in days", ""),
            ("у п'ятому класі 28 учнів", ""),
            ("два дні", ""),
        ]);
    }

    #[test]
    fn the_ends_of_time_are_no_surprise() {
        for now in [DateTime::MIN, DateTime::MAX] {
            for text in
                ["завтра", "вчора", "у п'ятницю", "через 2 години", "рік тому", "29.02 буде", "опівночі", "next month"]
            {
                let _ = find(text, now);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(
            text in prop_oneof![
                ".*",
                prop::collection::vec(prop_oneof![
                    "[0-9]{1,5}", "[.:/ -]", Just("о ".to_owned()), Just("at ".to_owned()), Just(" завтра".to_owned()),
                    Just("через ".to_owned()), Just(" днів".to_owned()), Just(" тому".to_owned()), Just("пів на ".to_owned()),
                    Just(" березня ".to_owned()), Just("p.m.".to_owned()), Just(" next ".to_owned()), Just("Friday".to_owned()),
                    Just("двадцять ".to_owned()), Just("п’ятого".to_owned()), Just(" ночі".to_owned()), Just("лютого".to_owned()),
                ], 0..12).prop_map(|words| words.concat()),
            ],
            days in -700_000_i64..2_900_000,
        ) {
            let now = now().checked_add(days.days()).unwrap_or(DateTime::MAX);
            let found = find(&text, now);
            prop_assert!(found.len() <= FOUND_MAX);
            for when in &found {
                prop_assert!(!text[when.span.clone()].is_empty());
            }
            prop_assert_eq!(found, find(&text, now));
        }
    }
}
