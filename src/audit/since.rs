//! From when on: the ways in which people say it.

use crate::clock::{DAY_MICROS, HOUR_MICROS, SECOND_MICROS, Timestamp};

/// Units of a duration, and how many microseconds they are.
const UNITS: [(&str, i64); 5] =
    [("s", SECOND_MICROS), ("m", 60 * SECOND_MICROS), ("h", HOUR_MICROS), ("d", DAY_MICROS), ("w", 7 * DAY_MICROS)];

/// Reads a date (`2026-01-31`), a time of RFC 3339 (`2026-01-31T12:00:00Z`; UTC when it names no offset), or how long
/// ago (`90s`, `30m`, `24h`, `7d`, `2w`).
///
/// # Errors
/// A sentence that says what would be accepted.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    ago(text, now).or_else(|| moment(text)).ok_or_else(|| {
        "use a date such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or how long ago: 90s, 30m, 24h, 7d, 2w"
            .to_owned()
    })
}

fn ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (digits, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let (_, micros) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let micros = digits.parse::<i64>().ok()?.saturating_mul(micros);
    Some(Timestamp(now.0.saturating_sub(micros)))
}

fn moment(text: &str) -> Option<Timestamp> {
    let utc = |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp());
    let date = |text: &str| text.parse::<jiff::civil::Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0)));
    // A lone date first: the parser of dates also takes one out of the beginning of a time.
    let time = if text.len() <= 10 {
        date(text)
    } else {
        text.parse::<jiff::Timestamp>().ok().or_else(|| text.parse::<jiff::civil::DateTime>().ok().and_then(utc))
    };
    Some(Timestamp(time?.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_766_484_000_123_456);

    #[test]
    fn dates_times_and_durations_are_read() {
        let read = |text| since(text, NOW).unwrap().offset_style().to_string();
        assert_eq!(read("2025-12-23"), "2025-12-23T00:00:00+00:00");
        assert_eq!(read("2025-12-23T10:00:00Z"), "2025-12-23T10:00:00+00:00");
        assert_eq!(read(" 2025-12-23T12:00:00.5+02:00 "), "2025-12-23T10:00:00.500000+00:00");
        assert_eq!(read("2025-12-23T10:00"), "2025-12-23T10:00:00+00:00");
        assert_eq!(read("2025-12-23 10:00:00"), "2025-12-23T10:00:00+00:00");
        assert_eq!(read("24h"), "2025-12-22T10:00:00.123456+00:00");
        assert_eq!((read("1d"), read("86400s"), read("1440m")), (read("24h"), read("24h"), read("24H")));
        assert_eq!((read("1w"), read("0s")), (read("7d"), NOW.offset_style().to_string()));
    }

    #[test]
    fn anything_else_is_answered_with_what_would_be() {
        for text in
            ["", "yesterday", "24", "h", "-1h", "1.5h", "1 h", "2025-13-01", "2025-12-23T25:00:00Z", "7days", "٧d"]
        {
            assert!(since(text, NOW).unwrap_err().contains("2026-01-31"), "{text}");
        }
        assert!(since("9999999999999w", NOW).unwrap() < Timestamp(0), "for ever is a long time ago");
        assert!(since("99999999999999999999s", NOW).is_err());
    }
}
