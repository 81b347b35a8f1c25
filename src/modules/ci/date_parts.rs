//! The parts of what says when, each read where it stands: a day, a time, a part of the day, a distance from now. How parts
//! come together is [`super::when`]'s.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, ToSpan};

use super::date_words::{
    ABOUT, AT, BEFORE_HALF, DAY_ENDINGS, ENGLISH_HALF, ENGLISH_HOURS, ENGLISH_ORDINALS, HALF_ALONE, HALF_HOUR,
    HALF_OF_CLOCK, HALVES, Half, MEASURES, MIDNIGHT, MONTHS, NEAR_DAYS, NOON, OCLOCK, ORDINAL_ENDINGS, ORDINALS,
    SHORT_WEEKDAYS, TENS, UNITS, Unit, WEEKDAYS, WHICH, Which, YEAR_WORDS, look_up,
};
use super::words::{Kind, Token};

/// Numbers beyond this count nothing that a household plans.
const COUNT_MAX: i64 = 100_000;

/// A day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// This one.
    Fixed(Date),
    /// A month and a day of it.
    Yearless(i8, i8),
    /// A day of the week.
    Week(Weekday, Which),
}

/// A time as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// 0 to 24.
    pub(super) hour: i8,
    /// 0 to 59.
    pub(super) minute: i8,
    /// In words, or in figures without minutes: the hour may be one of the afternoon without a word about it.
    pub(super) spoken: bool,
    /// The part of the day beside it.
    pub(super) half: Option<Half>,
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Day(Day),
    Clock(Clock),
    Half(Half),
    /// A day and a part of it in one word: "tonight".
    DayAndHalf(Day, Half),
    Moment(DateTime),
}

/// Reads parts out of tokens.
pub(super) struct Parts<'t> {
    pub(super) tokens: &'t [Token],
    pub(super) now: DateTime,
}

impl Parts<'_> {
    /// The part that begins at this token, and how many tokens it has.
    pub(super) fn at(&self, at: usize) -> Option<(Part, usize)> {
        let day = |(day, length)| (Part::Day(day), length);
        let clock = |(clock, length)| (Part::Clock(clock), length);
        self.moment(at)
            .or_else(|| self.near(at))
            .or_else(|| self.clock(at).map(clock))
            .or_else(|| self.figures(at).map(day))
            .or_else(|| self.day_and_month(at).map(day))
            .or_else(|| self.weekday(at).map(day))
            .or_else(|| self.half(at).map(|half| (Part::Half(half), 1)))
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", Token::word)
    }

    fn is_word(&self, at: usize, words: &[&str]) -> bool {
        words.contains(&self.word(at))
    }

    fn is_mark(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Mark(mark))
    }

    /// Whether nothing stands between this token and the one before it.
    fn is_glued(&self, at: usize) -> bool {
        match (at.checked_sub(1).and_then(|before| self.tokens.get(before)), self.tokens.get(at)) {
            (Some(before), Some(token)) => before.span.end == token.span.start,
            _ => false,
        }
    }

    /// A figure of at most so many digits.
    fn number(&self, at: usize, digits: usize) -> Option<i64> {
        let token = self.tokens.get(at).filter(|token| token.kind == Kind::Digits && token.text.len() <= digits)?;
        token.text.parse().ok()
    }

    /// The figure behind this mark, nothing between them.
    fn behind(&self, at: usize, mark: char, digits: usize) -> Option<i64> {
        let joined = self.is_mark(at, mark) && self.is_glued(at) && self.is_glued(at + 1);
        if joined { self.number(at + 1, digits) } else { None }
    }

    /// Whether the figure here is the tail of something longer: `1.2.15.03`, `v15.03`.
    fn is_tail(&self, at: usize) -> bool {
        self.is_glued(at)
            && at
                .checked_sub(1)
                .and_then(|before| self.tokens.get(before))
                .is_some_and(|token| matches!(token.kind, Kind::Mark('.' | '-' | '/' | ':' | '_') | Kind::Letters))
    }

    /// `2027-03-15`, `15.03.2027`, `15.03.27`, `15.03`, `15/03/2027`.
    fn figures(&self, at: usize) -> Option<(Day, usize)> {
        if self.is_tail(at) {
            return None;
        }
        let first = self.number(at, 4)?;
        let (year, month, day, length) = if self.tokens[at].text.len() == 4 {
            (Some(first), self.behind(at + 1, '-', 2)?, self.behind(at + 3, '-', 2)?, 5)
        } else if let Some(month) = self.behind(at + 1, '.', 2) {
            match self.behind(at + 3, '.', 4) {
                Some(year) => (Some(full_year(year, self.tokens[at + 4].text.len())?), month, first, 5),
                None if self.tokens[at + 2].text.len() == 2 => (None, month, first, 3),
                None => return None,
            }
        } else {
            let (month, year) = (self.behind(at + 1, '/', 2)?, self.behind(at + 3, '/', 4)?);
            (Some(full_year(year, self.tokens[at + 4].text.len())?), month, first, 5)
        };
        let goes_on =
            self.tokens.get(at + length).is_some_and(|token| matches!(token.kind, Kind::Mark('%' | '€' | '₴')))
                || [('.', 9), ('-', 9), ('/', 9)]
                    .iter()
                    .any(|(mark, digits)| self.behind(at + length, *mark, *digits).is_some());
        if goes_on || (year.is_none() && self.is_word(at + length, MEASURES)) {
            return None;
        }
        Some((dated(year, month, day)?, length))
    }

    /// `15 березня`, `15-го березня 2027 року`, `15th of March`, `March 15, 2027`, `двадцять п'яте грудня`.
    fn day_and_month(&self, at: usize) -> Option<(Day, usize)> {
        if let Some(month) = look_up(MONTHS, self.word(at)) {
            let (day, length) = self.day_number(at + 1)?;
            return self.with_year(i64::from(month), day, at, 1 + length);
        }
        let (day, mut length) = self.day_number(at)?;
        if self.is_word(at + length, &["of"]) {
            length += 1;
        }
        let month = look_up(MONTHS, self.word(at + length))?;
        self.with_year(i64::from(month), day, at, length + 1)
    }

    fn with_year(&self, month: i64, day: i64, at: usize, length: usize) -> Option<(Day, usize)> {
        let comma = usize::from(self.is_mark(at + length, ','));
        let year_at = at + length + comma;
        let year = self.number(year_at, 4).filter(|_| self.tokens[year_at].text.len() == 4);
        let named = self.is_word(year_at + 1, YEAR_WORDS);
        match year.filter(|year| named || (1900..2200).contains(year)) {
            Some(year) => Some((dated(Some(year), month, day)?, length + comma + 1 + usize::from(named))),
            None => Some((dated(None, month, day)?, length)),
        }
    }

    /// The number of a day in its month, in figures or words.
    fn day_number(&self, at: usize) -> Option<(i64, usize)> {
        if let Some(day) = self.number(at, 2) {
            if self.is_tail(at) || (self.is_mark(at + 1, ':') && self.is_glued(at + 1)) {
                return None;
            }
            let hyphen = usize::from(self.is_mark(at + 1, '-') && self.is_glued(at + 1));
            let ending = self.is_glued(at + 1 + hyphen) && self.is_word(at + 1 + hyphen, DAY_ENDINGS);
            return Some((day, if ending { 2 + hyphen } else { 1 }));
        }
        if let Some(tens) = look_up(TENS, self.word(at)) {
            let hyphen = usize::from(self.is_mark(at + 1, '-'));
            let units = ordinal(self.word(at + 1 + hyphen)).filter(|units| *units < 10)?;
            return Some((i64::from(tens + units), 2 + hyphen));
        }
        ordinal(self.word(at)).map(|day| (i64::from(day), 1))
    }

    fn weekday(&self, at: usize) -> Option<(Day, usize)> {
        if let Some(weekday) = look_up(WEEKDAYS, self.word(at)) {
            return Some((Day::Week(weekday, Which::Any), 1));
        }
        if self.is_word(at, &["в", "у", "on"]) {
            let weekday = look_up(SHORT_WEEKDAYS, self.word(at + 1))?;
            return Some((Day::Week(weekday, Which::Any), 2));
        }
        let which = look_up(WHICH, self.word(at))?;
        let weekday = look_up(WEEKDAYS, self.word(at + 1))?;
        Some((Day::Week(weekday, which), 2))
    }

    /// Days that are named by how near they are.
    fn near(&self, at: usize) -> Option<(Part, usize)> {
        let today = self.now.date();
        let day = |days: i64| Some(Day::Fixed(today.checked_add(days.days()).ok()?));
        let words = [self.word(at), self.word(at + 1), self.word(at + 2)];
        let which = look_up(WHICH, words[0]);
        Some(match (words, which) {
            (["day", "after", "tomorrow"], _) => (Part::Day(day(2)?), 3),
            (["day", "before", "yesterday"], _) => (Part::Day(day(-2)?), 3),
            (["tonight", ..], _) => (Part::DayAndHalf(day(0)?, Half::Evening), 1),
            (["last", "night", _], _) => (Part::DayAndHalf(day(-1)?, Half::Evening), 2),
            ([_, "тижня" | "week", _], Some(Which::Next)) => {
                (Part::Day(day(7 - i64::from(today.weekday().to_monday_zero_offset()))?), 2)
            }
            ([_, "місяця" | "month", _], Some(Which::Next)) => {
                (Part::Day(Day::Fixed(today.last_of_month().tomorrow().ok()?)), 2)
            }
            (["вихідних" | "вихідні" | "weekend", ..], _) => {
                let offset = i64::from(today.weekday().to_monday_zero_offset());
                (Part::Day(day((5 - offset).max(0))?), 1)
            }
            _ => (Part::Day(day(look_up(NEAR_DAYS, words[0])?)?), 1),
        })
    }

    /// `через 2 години`, `in 3 days`, `два тижні тому`, `an hour ago`.
    fn moment(&self, at: usize) -> Option<(Part, usize)> {
        if self.is_word(at, &["через", "in"]) {
            let (halves, unit, length) = self.amount(at + 1)?;
            return Some((self.moved(halves, unit)?, 1 + length));
        }
        let (halves, unit, length) = self.amount(at)?;
        let ago = self.is_word(at + length, &["тому", "ago"]);
        if ago { Some((self.moved(-halves, unit)?, length + 1)) } else { None }
    }

    /// How many halves of what.
    fn amount(&self, at: usize) -> Option<(i64, Unit, usize)> {
        if self.is_word(at, HALF_HOUR) {
            return Some((1, Unit::Hour, 1));
        }
        if let Some(unit) = look_up(UNITS, self.word(at)) {
            // English says how many: "in days" is no time.
            return (!self.word(at).is_ascii()).then_some((2, unit, 1));
        }
        let (halves, mut length) = match self.number(at, 6) {
            Some(number) => (number * 2, 1),
            None if self.is_word(at, &["a"]) && self.is_word(at + 1, &["couple"]) => (4, 2),
            None => (look_up(HALVES, self.word(at))?, 1),
        };
        // "half an hour", "a couple of days"
        if self.is_word(at + length, &["an", "of"]) {
            length += 1;
        }
        Some((halves, look_up(UNITS, self.word(at + length))?, length + 1))
    }

    fn moved(&self, halves: i64, unit: Unit) -> Option<Part> {
        if halves.abs() > 2 * COUNT_MAX {
            return None;
        }
        let minutes = |count: i64| Some(Part::Moment(self.now.checked_add(count.minutes()).ok()?));
        let days = |span: Span| Some(Part::Day(Day::Fixed(self.now.date().checked_add(span).ok()?)));
        match unit {
            Unit::Minute => minutes(halves / 2),
            Unit::Hour => minutes(halves * 30),
            Unit::Day if halves % 2 != 0 => minutes(halves * 12 * 60),
            Unit::Day => days((halves / 2).days()),
            Unit::Week if halves.abs() == 1 => days((halves * 3).days()),
            Unit::Week => days(Span::new().try_weeks(halves / 2).ok()?),
            Unit::Month if halves.abs() == 1 => days((halves * 15).days()),
            Unit::Month => days(Span::new().try_months(halves / 2).ok()?),
            Unit::Year => days(Span::new().try_months(halves * 6).ok()?),
        }
    }

    /// A time of the day.
    fn clock(&self, at: usize) -> Option<(Clock, usize)> {
        if self.is_word(at, NOON) || self.is_word(at, MIDNIGHT) {
            let hour = if self.is_word(at, NOON) { 12 } else { 24 };
            return Some((Clock { hour, minute: 0, spoken: false, half: None }, 1));
        }
        let asked = usize::from(self.is_word(at, AT));
        let about = usize::from(self.is_word(at + asked, ABOUT));
        let begin = at + asked + about;
        let named = asked > 0;
        if asked + about > 0 && (self.is_word(begin, NOON) || self.is_word(begin, MIDNIGHT)) {
            return self.clock(begin).map(|(clock, length)| (clock, asked + about + length));
        }
        let (mut clock, mut length) =
            self.fraction_of_hour(begin).or_else(|| self.written(begin, named)).or_else(|| self.hour(begin))?;
        let sure = named || !clock.spoken || clock.minute != 0;
        if self.is_word(begin + length, OCLOCK) {
            length += 1;
        }
        if let Some((half, words)) = self.half_of_clock(begin + length) {
            if !named && clock.spoken && half == Half::Afternoon && self.is_word(begin + length, &["дня"]) {
                // "2 дня" may be two days.
                return None;
            }
            clock.half = Some(half);
            length += words;
        } else if !sure {
            return None;
        }
        Some((clock, asked + about + length))
    }

    /// `18:30`; behind "о" or "at" also `18.30` and `18-30`.
    fn written(&self, at: usize, named: bool) -> Option<(Clock, usize)> {
        let is_time = |hour: i64, minute: i64| hour < 24 && minute < 60 || (hour == 24 && minute == 0);
        let hour = self.number(at, 2).filter(|_| !self.is_tail(at) || self.is_word(at.wrapping_sub(1), &["t"]))?;
        for mark in [':', '.', '-'] {
            let Some(minute) = self.behind(at + 1, mark, 2).filter(|_| mark == ':' || named) else { continue };
            if self.tokens[at + 2].text.len() != 2 || !is_time(hour, minute) {
                continue;
            }
            let seconds = self.behind(at + 3, ':', 2).filter(|_| mark == ':');
            let length = if seconds.is_some() { 5 } else { 3 };
            return Some((clock_of(hour, minute, false)?, length));
        }
        None
    }

    /// An hour alone, in figures or words.
    fn hour(&self, at: usize) -> Option<(Clock, usize)> {
        if let Some(hour) = self.number(at, 2).filter(|hour| *hour <= 24 && !self.is_tail(at)) {
            // "о 9-й"
            let ending = self.is_mark(at + 1, '-')
                && self.is_glued(at + 1)
                && self.is_word(at + 2, &["й", "ій", "ї", "та", "а"]);
            let share = self.tokens.get(at + 1).is_some_and(|token| token.kind == Kind::Mark('%'));
            return if share { None } else { Some((clock_of(hour, 0, true)?, if ending { 3 } else { 1 })) };
        }
        let hour = hour_word(self.word(at))?;
        Some((clock_of(i64::from(hour), 0, true)?, 1))
    }

    /// `пів на шосту`, `чверть на шосту`, `за чверть шоста`, `half past five`, `quarter to six`.
    fn fraction_of_hour(&self, at: usize) -> Option<(Clock, usize)> {
        let words = [self.word(at), self.word(at + 1), self.word(at + 2)];
        let hour_at = |at: usize| {
            self.number(at, 2)
                .filter(|hour| (1..=24).contains(hour))
                .or_else(|| hour_word(self.word(at)).map(i64::from))
        };
        // Ukrainian counts on the way to the hour that is named.
        let (minute, before, length) = match words {
            ["пів", "на", _] => (30, true, 2),
            ["пів", ..] => (30, true, 1),
            ["чверть", "на", _] => (15, true, 2),
            ["за", "чверть", _] | ["quarter", "to", _] => (45, true, 2),
            ["half", "past", _] => (30, false, 2),
            ["quarter", "past", _] => (15, false, 2),
            _ => return None,
        };
        let named = hour_at(at + length)?;
        let hour = match (before, named) {
            (true, 1) => 12,
            (true, hour) => hour - 1,
            (false, hour) => hour,
        };
        Some((clock_of(hour, minute, true)?, length + 1))
    }

    /// The part of the day behind a time, and how many tokens say it.
    fn half_of_clock(&self, at: usize) -> Option<(Half, usize)> {
        if let Some(half) = look_up(HALF_OF_CLOCK, self.word(at)) {
            return Some((half, 1));
        }
        let letters = [self.word(at), self.word(at + 2)];
        let dots = self.is_mark(at + 1, '.') && self.is_glued(at + 1) && self.is_glued(at + 2);
        let half = match letters {
            ["a", "m"] if dots => Half::Morning,
            ["p", "m"] if dots => Half::Afternoon,
            _ => return None,
        };
        Some((half, if self.is_mark(at + 3, '.') && self.is_glued(at + 3) { 4 } else { 3 }))
    }

    fn half(&self, at: usize) -> Option<Half> {
        look_up(HALF_ALONE, self.word(at)).or_else(|| {
            let before = at.checked_sub(1)?;
            let meant = self.is_word(before, BEFORE_HALF) || look_up(WEEKDAYS, self.word(before)).is_some();
            look_up(ENGLISH_HALF, self.word(at)).filter(|_| meant)
        })
    }
}

/// An ordinal in either language, up to twenty and thirty.
fn ordinal(word: &str) -> Option<i8> {
    let ukrainian = ORDINALS
        .iter()
        .find(|(_, stem)| word.strip_prefix(stem).is_some_and(|ending| ORDINAL_ENDINGS.contains(&ending)));
    ukrainian.map(|(number, _)| *number).or_else(|| look_up(ENGLISH_ORDINALS, word))
}

/// An hour in a word.
fn hour_word(word: &str) -> Option<i8> {
    look_up(ENGLISH_HOURS, word).or_else(|| ordinal(word).filter(|hour| *hour <= 12 && !word.is_ascii()))
}

fn clock_of(hour: i64, minute: i64, spoken: bool) -> Option<Clock> {
    let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
    Some(Clock { hour, minute, spoken, half: None })
}

/// A year of two digits is of this century.
fn full_year(year: i64, digits: usize) -> Option<i64> {
    match digits {
        2 => Some(2000 + year),
        4 => Some(year),
        _ => None,
    }
}

fn dated(year: Option<i64>, month: i64, day: i64) -> Option<Day> {
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    match year {
        Some(year) => Date::new(i16::try_from(year).ok()?, month, day).ok().map(Day::Fixed),
        // 29 February is one in a leap year.
        None => Date::new(2024, month, day).ok().map(|_| Day::Yearless(month, day)),
    }
}
