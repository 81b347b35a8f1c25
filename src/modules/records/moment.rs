//! Times as people and programs send them (contract 04 §1.7 with R5): read strictly, kept as the clock on the household's wall
//! shows them.

use jiff::civil::{Date, DateTime, Time};

use super::super::zone::Zone;
use crate::clock::{SECOND_MICROS, Timestamp};

/// Reads `YYYY-MM-DDTHH:MM[:SS[.f]][zone]`, with a space or `_` for the `T`, or a Unix time in seconds or, if it is that large,
/// in milliseconds. What names a zone is converted to the household's.
///
/// # Errors
/// What is wrong, in the words of the original's parser.
pub fn read(text: &str, zone: &Zone) -> Result<DateTime, &'static str> {
    parse(text.trim(), zone).or_else(|why| text.trim().parse().map_or(Err(why), |number: f64| of_number(number, zone)))
}

/// Reads the same as the moment that it is: what names a zone has one hour of its own where the household's clocks show it twice.
///
/// # Errors
/// What is wrong, in the words of the original's parser.
pub fn instant(text: &str, zone: &Zone) -> Result<Timestamp, &'static str> {
    let text = text.trim();
    match parts(text) {
        Ok((wall, Some(minutes))) => utc(wall, minutes),
        Ok((wall, None)) => zone.instant(wall).ok_or(OUT_OF_RANGE),
        Err(why) => text.parse().map_or(Err(why), |number: f64| micros_of(number).map(Timestamp)),
    }
}

/// A Unix time on the household's wall.
///
/// # Errors
/// When no calendar has it.
pub fn of_number(number: f64, zone: &Zone) -> Result<DateTime, &'static str> {
    let at = Timestamp(micros_of(number)?);
    zone.wall(at).filter(|wall| (1..=9999).contains(&wall.year())).ok_or(NO_UNIX_TIME)
}

const NO_UNIX_TIME: &str = "dates after 9999 are not supported as unix timestamps";
const OUT_OF_RANGE: &str = "date is out of range";

fn micros_of(number: f64) -> Result<i64, &'static str> {
    // The original's parser takes a larger number for milliseconds.
    const SECONDS_MAX: f64 = 2e10;
    let seconds = if number.abs() > SECONDS_MAX { number / 1000.0 } else { number };
    if !seconds.is_finite() || seconds.abs() > SECONDS_MAX * 13.0 {
        return Err(NO_UNIX_TIME);
    }
    #[expect(clippy::cast_possible_truncation, reason = "within the years of a calendar, checked above")]
    let micros = (seconds * SECOND_MICROS as f64).round() as i64;
    Ok(micros)
}

fn parse(text: &str, zone: &Zone) -> Result<DateTime, &'static str> {
    let (wall, minutes) = parts(text)?;
    let Some(minutes) = minutes else { return Ok(wall) };
    zone.wall(utc(wall, minutes)?).ok_or(OUT_OF_RANGE)
}

/// The moment of a time on a wall so many minutes before UTC.
fn utc(wall: DateTime, minutes: i64) -> Result<Timestamp, &'static str> {
    let utc = wall.checked_sub(jiff::Span::new().minutes(minutes)).map_err(|_| OUT_OF_RANGE)?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(utc).map_err(|_| OUT_OF_RANGE)?;
    Ok(Timestamp(at.as_microsecond()))
}

/// A time as it is written, and how far its zone is from UTC, if it names one.
fn parts(text: &str) -> Result<(DateTime, Option<i64>), &'static str> {
    let bytes = text.as_bytes();
    let date = date(bytes)?;
    match bytes.get(10) {
        None => return Err("input is too short"),
        Some(b'T' | b't' | b' ' | b'_') => {}
        Some(_) => return Err("invalid datetime separator"),
    }
    let (time, rest) = time(&bytes[11..])?;
    Ok((date.to_datetime(time), offset_minutes(rest)?))
}

/// The number that these digits are.
fn digits(bytes: &[u8], from: usize, count: usize, why: &'static str) -> Result<i16, &'static str> {
    let digits = bytes.get(from..from + count).ok_or("input is too short")?;
    digits
        .iter()
        .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0')))
        .ok_or(why)
}

/// At most 99, so that it fits.
fn pair(bytes: &[u8], from: usize, why: &'static str) -> Result<i8, &'static str> {
    digits(bytes, from, 2, why).map(|number| i8::try_from(number).unwrap_or(i8::MAX))
}

fn separator(bytes: &[u8], at: usize, wanted: u8, why: &'static str) -> Result<(), &'static str> {
    match bytes.get(at) {
        None => Err("input is too short"),
        Some(byte) if *byte == wanted => Ok(()),
        Some(_) => Err(why),
    }
}

/// A date alone: the ten bytes of `YYYY-MM-DD`, and nothing of what is behind them.
///
/// # Errors
/// What is wrong, in the words of the original's parser.
pub fn date(bytes: &[u8]) -> Result<Date, &'static str> {
    let year = digits(bytes, 0, 4, "invalid character in year")?;
    separator(bytes, 4, b'-', "invalid date separator")?;
    let month = pair(bytes, 5, "invalid character in month")?;
    separator(bytes, 7, b'-', "invalid date separator")?;
    let day = pair(bytes, 8, "invalid character in day")?;
    if year == 0 {
        return Err("year 0 is out of range");
    }
    if !(1..=12).contains(&month) {
        return Err("month value is outside expected range of 1-12");
    }
    Date::new(year, month, day).map_err(|_| "day value is outside expected range")
}

/// A time, and what is behind it.
fn time(bytes: &[u8]) -> Result<(Time, &[u8]), &'static str> {
    let hour = pair(bytes, 0, "invalid character in hour")?;
    separator(bytes, 2, b':', "invalid time separator")?;
    let minute = pair(bytes, 3, "invalid character in minute")?;
    let (mut second, mut nanos, mut rest) = (0, 0, &bytes[5..]);
    if let Some(after) = rest.strip_prefix(b":") {
        second = pair(after, 0, "invalid character in second")?;
        rest = &after[2..];
        if let Some(after) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
            let count = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 {
                return Err("second fraction is missing digits");
            }
            // What is finer than a microsecond is left out.
            let micros =
                (0..6).fold(0, |sum, at| sum * 10 + after[..count].get(at).map_or(0, |digit| i32::from(digit - b'0')));
            (nanos, rest) = (micros * 1000, &after[count..]);
        }
    }
    match (hour, minute, second) {
        (24.., ..) => Err("hour value is outside expected range of 0-23"),
        (_, 60.., _) => Err("minute value is outside expected range of 0-59"),
        (.., 60..) => Err("second value is outside expected range of 0-59"),
        _ => Time::new(hour, minute, second, nanos).map(|time| (time, rest)).map_err(|_| "invalid time"),
    }
}

/// How far a zone is from UTC; nothing where none is named.
fn offset_minutes(bytes: &[u8]) -> Result<Option<i64>, &'static str> {
    let (sign, rest) = match bytes {
        [] => return Ok(None),
        [b'Z' | b'z', rest @ ..] => return if rest.is_empty() { Ok(Some(0)) } else { Err(EXTRA) },
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        // A minus sign as people type it.
        [0xe2, 0x88, 0x92, rest @ ..] => (-1, rest),
        _ => return Err("unexpected extra characters at the end of the input"),
    };
    const EXTRA: &str = "unexpected extra characters at the end of the input";
    let hours = pair(rest, 0, "invalid timezone hour")?;
    let minutes = match &rest[2..] {
        [b':', ..] => 3,
        _ => 2,
    };
    if rest.len() > minutes + 2 {
        return Err(EXTRA);
    }
    let minutes = pair(rest, minutes, "invalid timezone minute")?;
    if hours > 23 || minutes > 59 {
        return Err("timezone offset must be less than 24 hours");
    }
    Ok(Some(sign * (i64::from(hours) * 60 + i64::from(minutes))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::zone::wall_text;
    use super::*;

    fn said(text: &str) -> Result<String, &'static str> {
        read(text, &Zone::named("Europe/Kyiv").unwrap()).map(wall_text)
    }

    #[test]
    fn times_are_read_as_the_contract_says() {
        for (text, wall) in [
            ("2026-11-21T10:00", "2026-11-21T10:00:00"),
            ("2026-11-21 10:00:07", "2026-11-21T10:00:07"),
            ("2026-11-21T10:00:07.5", "2026-11-21T10:00:07.500000"),
            ("2026-11-21t10:00:07.1234567", "2026-11-21T10:00:07.123456"),
            // Converted to the household's zone, summer and winter.
            ("2026-11-21T10:00:00Z", "2026-11-21T12:00:00"),
            ("2026-07-21T10:00:00Z", "2026-07-21T13:00:00"),
            ("2026-11-21T10:00:00+02:00", "2026-11-21T10:00:00"),
            ("2026-11-21T10:00:00+0530", "2026-11-21T06:30:00"),
            ("2026-01-01T00:30:00+14:00", "2025-12-31T12:30:00"),
            ("1700000000", "2023-11-15T00:13:20"),
            ("1700000000000", "2023-11-15T00:13:20"),
            ("2024-02-29T08:00:00", "2024-02-29T08:00:00"),
        ] {
            assert_eq!(said(text).as_deref(), Ok(wall), "{text}");
        }
    }

    #[test]
    fn a_moment_with_a_zone_is_one_of_the_two_that_the_wall_shows() {
        let kyiv = Zone::named("Europe/Kyiv").unwrap();
        let at = |text: &str| instant(text, &kyiv).map(|at| at.0 / SECOND_MICROS);
        // 25 October 2026, 03:30: at first in summer time, an hour later in winter time.
        for (text, seconds) in [
            ("2026-10-25T00:30:00Z", 1_792_888_200),
            ("2026-10-25T01:30:00Z", 1_792_891_800),
            ("2026-10-25T03:30:00+02:00", 1_792_891_800),
            ("2026-10-25T03:30", 1_792_888_200),
            (" 1792891800 ", 1_792_891_800),
        ] {
            assert_eq!(at(text), Ok(seconds), "{text}");
        }
        assert_eq!(at("soon"), Err("invalid character in year"));
        assert_eq!(at("1e300"), Err(NO_UNIX_TIME));
    }

    #[test]
    fn what_is_no_time_is_told_why() {
        for (text, why) in [
            ("", "input is too short"),
            ("2026-11-21", "input is too short"),
            ("tomorrow", "invalid character in year"),
            ("2026/11/21T10:00", "invalid date separator"),
            ("2026-13-21T10:00", "month value is outside expected range of 1-12"),
            ("2026-02-30T09:00:00", "day value is outside expected range"),
            ("2025-02-29T09:00:00", "day value is outside expected range"),
            ("2026-11-21x10:00", "invalid datetime separator"),
            ("2026-11-21T24:00", "hour value is outside expected range of 0-23"),
            ("2026-11-21T10:60", "minute value is outside expected range of 0-59"),
            ("2026-11-21T10:00:60", "second value is outside expected range of 0-59"),
            ("2026-11-21T10:00:00.", "second fraction is missing digits"),
            ("2026-11-21T10:00:00Europe", "unexpected extra characters at the end of the input"),
            ("2026-11-21T10:00:00+25:00", "timezone offset must be less than 24 hours"),
            ("0000-01-01T00:00", "year 0 is out of range"),
            ("1e300", "dates after 9999 are not supported as unix timestamps"),
        ] {
            assert_eq!(said(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", digits in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Z-]{0,25}") {
            for text in [text, digits] {
                if let Ok(wall) = said(&text) {
                    prop_assert_eq!(said(&wall), Ok(wall));
                }
            }
        }
    }
}
