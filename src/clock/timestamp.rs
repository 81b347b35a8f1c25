//! A moment, and how it is written.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;
use serde::{Serialize, Serializer};

/// Microseconds in a second.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds in an hour.
pub const HOUR_MICROS: i64 = 60 * 60 * SECOND_MICROS;
/// Microseconds in a day.
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// An hour.
pub const HOUR: Duration = Duration::from_secs(60 * 60);
/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A wall clock that is so much away from where elapsed time has it has jumped. Smaller steps are what NTP makes all the
/// time.
pub const JUMP_MIN: Duration = Duration::from_secs(60);

pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A moment of the wall clock: microseconds since 1970-01-01 UTC, as stored (ruling 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `2025-12-23T10:00:00.123456+00:00`, the spelling of answers and sockets (contract 01 §0.2): the fraction
    /// has six digits, or is absent when it is zero.
    pub fn offset_style(self) -> OffsetStyle {
        OffsetStyle(self)
    }

    /// `2025-12-23T10:00:00.123456Z`, the other spelling of answers (contract 01 §0.2), with the same fraction.
    pub fn z_style(self) -> String {
        self.written("Z").as_str().to_owned()
    }

    /// The same fields with this behind them.
    pub fn written(self, zone: &'static str) -> Written {
        Written::of(self, zone)
    }

    /// `2025-12-23`, its day in UTC.
    pub fn date(self) -> String {
        self.written("").as_str().chars().take("2025-12-23".len()).collect()
    }

    /// `2025-12-23T10:00:00.123Z`, as JavaScript writes it.
    pub fn iso_ms(self) -> String {
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MICROS)
    }

    /// The moment so much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// The moment so much earlier.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// How far this lies after another moment; zero if it does not.
    pub fn ahead_of(self, other: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(other.0)).unwrap_or_default())
    }

    /// How old what is dated so is. Nothing when it is dated in the future, by more than clocks are set back all the time:
    /// such a date proves nothing, and never that something is new.
    pub fn age(self, now: Self) -> Option<Duration> {
        (self.ahead_of(now) <= JUMP_MIN).then(|| now.ahead_of(self))
    }

    /// `20251223T100000Z`, for names of files: they sort as the moments do.
    pub fn compact(self) -> String {
        let civil = civil(self);
        let (date, clock) = (civil.date(), civil.time());
        let day = format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
        format!("{day}T{:02}{:02}{:02}Z", clock.hour(), clock.minute(), clock.second())
    }
}

/// What is no moment of the library's calendar is its first or its last.
fn civil(at: Timestamp) -> DateTime {
    if let Ok(time) = jiff::Timestamp::from_microsecond(at.0) {
        return jiff::tz::Offset::UTC.to_datetime(time);
    }
    // The last hours of its calendar lie beyond its moments.
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let end = if at.0 < 0 { DateTime::MIN } else { DateTime::MAX };
    epoch.checked_add(jiff::SignedDuration::from_micros(at.0)).unwrap_or(end)
}

/// A moment as text: `2025-12-23T10:00:00.123456`, without the fraction when it is zero, and a zone. It is made for every answer and
/// every line, so that digits are put where they belong and no formatter is asked.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    bytes: [u8; WRITTEN_MAX_BYTES],
    len: usize,
}

const WRITTEN_MAX_BYTES: usize = "2025-12-23T10:00:00.123456+00:00".len();

impl Written {
    /// A year that has no four digits is shown as the first or the last that has.
    fn of(at: Timestamp, zone: &str) -> Self {
        let (civil, micros) = (civil(at), at.0.rem_euclid(SECOND_MICROS));
        let mut text = Self { bytes: [0; WRITTEN_MAX_BYTES], len: 0 };
        let two = |number: i8| number.unsigned_abs().into();
        text.digits(civil.year().clamp(0, 9999).unsigned_abs().into(), 4);
        for (mark, number) in [
            (b'-', two(civil.month())),
            (b'-', two(civil.day())),
            (b'T', two(civil.hour())),
            (b':', two(civil.minute())),
            (b':', two(civil.second())),
        ] {
            text.put(&[mark]);
            text.digits(number, 2);
        }
        if micros != 0 {
            text.put(b".");
            text.digits(micros.unsigned_abs(), 6);
        }
        text.put(zone.as_bytes());
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // It is ASCII but for the zone, which is a `str`.
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = (self.len + bytes.len()).min(self.bytes.len());
        self.bytes[self.len..end].copy_from_slice(&bytes[..end - self.len]);
        self.len = end;
    }

    fn digits(&mut self, number: u64, count: usize) {
        let mut digits = [b'0'; 6];
        let mut rest = number;
        for digit in digits[..count].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.put(&digits[..count]);
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// [`Timestamp::offset_style`] on its way into a formatter.
#[derive(Debug, Clone, Copy)]
pub struct OffsetStyle(Timestamp);

impl fmt::Display for OffsetStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.written("+00:00").as_str())
    }
}

impl Serialize for OffsetStyle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.written("+00:00").as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_style_has_six_digits_or_none() {
        let at = |micros| Timestamp(micros).offset_style().to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(at(1_766_484_000_123_456), "2025-12-23T10:00:00.123456+00:00");
        assert_eq!(at(1_766_484_000_000_001), "2025-12-23T10:00:00.000001+00:00");
        assert_eq!(at(1_766_484_000_000_000), "2025-12-23T10:00:00+00:00");
        assert_eq!(Timestamp(1_766_484_000_123_456).compact(), "20251223T100000Z");
        assert_eq!(Timestamp(1_766_484_000_123_456).z_style(), "2025-12-23T10:00:00.123456Z");
        assert_eq!(Timestamp(1_766_484_000_000_000).z_style(), "2025-12-23T10:00:00Z");
        assert_eq!(Timestamp(1_766_484_000_123_456).date(), "2025-12-23");
        assert_eq!(Timestamp(1_766_484_000_123_956).iso_ms(), "2025-12-23T10:00:00.123Z");
        assert_eq!(Timestamp(0).iso_ms(), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59.999999+00:00");
        assert_eq!(at(-62_167_219_200_000_000), "0000-01-01T00:00:00+00:00");
        assert_eq!(at(i64::MAX), "9999-12-31T23:59:59.775807+00:00");
        assert_eq!(at(253_402_300_799_999_999), "9999-12-31T23:59:59.999999+00:00");
        assert_eq!(at(i64::MIN), "0000-01-01T00:00:00.224192+00:00");
    }

    #[test]
    fn what_is_dated_in_the_future_has_no_age() {
        let now = Timestamp(1_000_000_000);
        assert_eq!(Timestamp(400_000_000).age(now), Some(Duration::from_secs(600)));
        assert_eq!(now.later(JUMP_MIN).age(now), Some(Duration::ZERO), "clocks are set back a little all the time");
        assert_eq!(now.later(JUMP_MIN + Duration::from_micros(1)).age(now), None);
        assert_eq!((now.ahead_of(Timestamp(7)).as_micros(), Timestamp(7).ahead_of(now)), (999_999_993, Duration::ZERO));
        assert!(Timestamp(i64::MAX).ahead_of(Timestamp(i64::MIN)).as_secs() > 1_000_000_000, "saturates");
    }
}
