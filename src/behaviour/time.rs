//! Times of events: the many spellings that are read, and the one that is written (contract 02 §1.1).

use std::fmt;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, date};

use crate::clock::{DAY_MICROS, SECOND_MICROS, Timestamp, Written};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
/// The first and the last moment of the years that are read and written: 0001 to 9999.
const FIRST: Timestamp = Timestamp(-62_135_596_800 * SECOND_MICROS);
const LAST: Timestamp = Timestamp(253_402_300_800 * SECOND_MICROS - 1);
/// A number beyond this is one of milliseconds.
const SECONDS_MAX: f64 = 2e10;

const TOO_SHORT: &str = "input is too short";
const UNEXPECTED: &str = "unexpected extra characters at the end of the input";

/// Why something is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoTime {
    /// A text that is none, and why.
    Text(&'static str),
    /// A number of seconds that lies outside of the years 1 to 9999.
    OutOfRange,
}

/// The moment that a text names. One without a zone is taken as UTC.
pub(super) fn parse(text: &str) -> Result<Timestamp, NoTime> {
    match calendar(text.as_bytes()) {
        Ok(at) => Ok(at),
        Err(why) => number(text).unwrap_or(Err(NoTime::Text(why))),
    }
}

/// The moment that a number names, in seconds or milliseconds since 1970; none if the text is no plain number.
pub(super) fn number(text: &str) -> Option<Result<Timestamp, NoTime>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_plain = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_plain {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let is_milliseconds = value.abs() > SECONDS_MAX;
    let micros = match text.parse::<i64>() {
        Ok(whole) => whole.checked_mul(if is_milliseconds { 1000 } else { SECOND_MICROS }),
        Err(_) => {
            let micros = (value * if is_milliseconds { 1e3 } else { 1e6 }).round();
            // Within a range that both hold.
            (micros.abs() < 9e18).then_some(micros as i64)
        }
    };
    Some(micros.map(Timestamp).and_then(within).ok_or(NoTime::OutOfRange))
}

fn within(at: Timestamp) -> Option<Timestamp> {
    (FIRST..=LAST).contains(&at).then_some(at)
}

/// A date, or a date and a time, as RFC 3339 has them, and a little more freely.
fn calendar(text: &[u8]) -> Result<Timestamp, &'static str> {
    let mut rest = Rest(text);
    let year = rest.digits(4, "invalid character in year")?;
    rest.mark(b"-", "invalid date separator, expected `-`")?;
    let month = rest.digits(2, "invalid character in month")?;
    rest.mark(b"-", "invalid date separator, expected `-`")?;
    let day = rest.digits(2, "invalid character in day")?;
    if !(1..=12).contains(&month) {
        return Err("month value is outside expected range of 1-12");
    }
    if year == 0 {
        return Err("year 0 is out of range");
    }
    // Years have four digits, months and days two.
    let day = Date::new(year as i16, month as i8, day as i8).map_err(|_| "day value is outside expected range")?;
    let midnight = Timestamp(day.to_datetime(jiff::civil::Time::midnight()).duration_since(EPOCH).as_micros() as i64);
    if rest.0.is_empty() {
        return Ok(midnight);
    }
    rest.mark(b"Tt _", "invalid datetime separator, expected `T`, `t`, `_` or space")?;
    let hour = rest.digits(2, "invalid character in hour")?;
    rest.mark(b":", "invalid time separator, expected `:`")?;
    let minute = rest.digits(2, "invalid character in minute")?;
    if hour > 23 {
        return Err("hour value is outside expected range of 0-23");
    }
    if minute > 59 {
        return Err("minute value is outside expected range of 0-59");
    }
    let mut micros = (hour * 3600 + minute * 60) * SECOND_MICROS;
    if rest.mark(b":", "").is_ok() {
        let second = rest.digits(2, "invalid character in second")?;
        if second > 59 {
            return Err("second value is outside expected range of 0-59");
        }
        micros += second * SECOND_MICROS + rest.fraction()?;
    }
    let offset = rest.zone()?;
    if !rest.0.is_empty() {
        return Err(UNEXPECTED);
    }
    within(Timestamp(midnight.0 + micros - offset * SECOND_MICROS)).ok_or("year is out of range in UTC")
}

/// What is left of a text.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn digits(&mut self, count: usize, otherwise: &'static str) -> Result<i64, &'static str> {
        let (digits, rest) = self.0.split_at_checked(count).ok_or(TOO_SHORT)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(otherwise);
        }
        self.0 = rest;
        Ok(digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// One of these.
    fn mark(&mut self, marks: &[u8], otherwise: &'static str) -> Result<u8, &'static str> {
        let (mark, rest) = self.0.split_first().ok_or(TOO_SHORT)?;
        if !marks.contains(mark) {
            return Err(otherwise);
        }
        self.0 = rest;
        Ok(*mark)
    }

    /// Microseconds of a fraction; what is smaller is dropped.
    fn fraction(&mut self) -> Result<i64, &'static str> {
        if self.mark(b".,", "").is_err() {
            return Ok(0);
        }
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return Err("second fraction value is missing");
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let padded = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Ok(padded.take(6).fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// Seconds by which a zone is ahead of UTC; without one it is UTC.
    fn zone(&mut self) -> Result<i64, &'static str> {
        let sign = match self.mark(b"Zz+-", UNEXPECTED) {
            Ok(b'+') => 1,
            Ok(b'-') => -1,
            Ok(_) => return Ok(0),
            Err(_) if self.0.is_empty() => return Ok(0),
            Err(why) => return Err(why),
        };
        let hours = self.digits(2, "invalid timezone hour")?;
        let _ = self.mark(b":", "");
        let minutes = self.digits(2, "invalid timezone minute")?;
        if hours > 23 || minutes > 59 {
            return Err("timezone offset must be less than 24 hours");
        }
        Ok(sign * (hours * 3600 + minutes * 60))
    }
}

/// `2025-10-09T12:34:56Z`; a fraction has six digits, or is absent when it is zero. What cannot be a moment of ours is the first or
/// the last that can.
pub(super) fn utc(at: Timestamp) -> Written {
    at.clamp(FIRST, LAST).written("Z")
}

/// What cannot be a moment of ours is the first or the last that can.
fn civil(at: Timestamp) -> DateTime {
    EPOCH.checked_add(SignedDuration::from_micros(at.clamp(FIRST, LAST).0)).unwrap_or(DateTime::MAX)
}

/// A day of UTC, as the number of days since 1970-01-01. Displays as `2025-10-09`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(i64);

impl Day {
    /// The day of a moment.
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.clamp(FIRST, LAST).0.div_euclid(DAY_MICROS))
    }

    /// Reads `2025-10-09` and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (text.len() == 10).then(|| calendar(text.as_bytes()).ok()).flatten().map(Self::of)
    }

    /// Its first moment.
    pub(super) fn begins(self) -> Timestamp {
        Timestamp(self.0 * DAY_MICROS)
    }

    /// The one so many days later.
    pub(super) fn plus(self, days: i64) -> Self {
        Self::of(Self(self.0 + days).begins())
    }

    /// How many days it lies before another one; less than 0 if it does not.
    pub(super) fn before(self, other: Self) -> i64 {
        other.0 - self.0
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = civil(self.begins()).date();
        write!(f, "{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        parse(text).map_or_else(|why| format!("{why:?}"), |at| utc(at).to_string())
    }

    #[test]
    fn every_spelling_of_the_contract_is_read() {
        for (text, utc) in [
            ("2025-10-09T12:34:56Z", "2025-10-09T12:34:56Z"),
            ("2025-10-09t12:34:56z", "2025-10-09T12:34:56Z"),
            ("2025-10-09 12:34:56", "2025-10-09T12:34:56Z"),
            ("2025-10-09_12:34", "2025-10-09T12:34:00Z"),
            ("2025-10-09T12:34+03:00", "2025-10-09T09:34:00Z"),
            ("2025-10-09T12:34:56.5-0330", "2025-10-09T16:04:56.500000Z"),
            ("2025-10-09T12:34:56,123456789Z", "2025-10-09T12:34:56.123456Z"),
            ("2025-10-09", "2025-10-09T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("0001-01-01", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
            ("1760013296", "2025-10-09T12:34:56Z"),
            ("1760013296.25", "2025-10-09T12:34:56.250000Z"),
            ("1760013296789", "2025-10-09T12:34:56.789000Z"),
            ("-1", "1969-12-31T23:59:59Z"),
            ("-1.5", "1969-12-31T23:59:58.500000Z"),
            ("+0", "1970-01-01T00:00:00Z"),
            ("20000000000", "2603-10-11T11:33:20Z"),
            ("20000000001", "1970-08-20T11:33:20.001000Z"),
            ("1.76e9", "2025-10-09T08:53:20Z"),
        ] {
            assert_eq!(read(text), utc, "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            " ",
            " 2025-10-09",
            "2025-10-09 ",
            "2025-10-09T12:34:56Z ",
            "20251009T123456Z",
            "Thu, 09 Oct 2025 12:34:56 GMT",
            "2025-10-09T12:34:60Z",
            "2025-10-09T25:00:00Z",
            "2025-10-09T12:60",
            "2025-02-30",
            "2025-13-01",
            "2025-00-01",
            "2023-02-29T00:00:00Z",
            "0000-01-01",
            "2025-10-09T12",
            "2025-10-09T12:34:56.Z",
            "2025-10-09T12:34:56+24:00",
            "2025-10-09T12:34:56+3",
            "2025-10-09X12:34",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "inf",
            "nan",
            "1e400",
            "0x10",
            "1_000",
            "1760013296 ",
            "٢٠٢٥-١٠-٠٩",
        ] {
            assert!(parse(text).is_err(), "{text} is {}", read(text));
        }
        assert_eq!(parse("99999999999999999999"), Err(NoTime::OutOfRange));
        assert_eq!(parse("-63000000000000"), Err(NoTime::OutOfRange));
        assert_eq!(number("true"), None);
        assert_eq!(parse("2025-1-9"), Err(NoTime::Text("invalid character in month")));
    }

    #[test]
    fn days_are_counted_in_utc() {
        let day = |text: &str| Day::of(parse(text).unwrap());
        assert_eq!(day("2025-10-09T23:59:59.999999Z").to_string(), "2025-10-09");
        assert_eq!(day("2025-10-10T01:00:00+03:00").to_string(), "2025-10-09");
        assert_eq!(Day::parse("2025-10-09"), Some(day("2025-10-09")));
        for no in ["2025-10-9", "2025-10-09T", "2025-02-30", "x", "20251009", "1760013296"] {
            assert_eq!(Day::parse(no), None, "{no}");
        }
        assert_eq!(Day::of(Timestamp(-1)).to_string(), "1969-12-31");
        assert_eq!(day("2025-10-09").before(day("2025-11-08")), 30);
        assert_eq!(Day::of(Timestamp(i64::MAX)).to_string(), "9999-12-31");
        assert_eq!(utc(Timestamp(i64::MIN)).to_string(), "0001-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(micros in FIRST.0..=LAST.0) {
            let text = utc(Timestamp(micros)).to_string();
            prop_assert_eq!(parse(&text), Ok(Timestamp(micros)), "{}", text);
            prop_assert!(text.starts_with(&Day::of(Timestamp(micros)).to_string()));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
