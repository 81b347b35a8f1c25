//! The only place that reads time.
//!
//! Two kinds of time, never mixed: [`Clock::now`] is the wall clock, for what people read and what is stored;
//! [`Clock::instant`] never goes back and is for deadlines and durations. Rules take times as values; their
//! callers ask the clock. Tests hold the hands of a [`Clock::manual`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// Microseconds in a second.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds in an hour.
pub const HOUR_MICROS: i64 = 60 * 60 * SECOND_MICROS;
/// Microseconds in a day.
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

fn micros(time: Duration) -> i64 {
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

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MICROS)
    }

    /// The moment so much later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// `20251223T100000Z`, for names of files: they sort as the moments do.
    pub fn compact(self) -> String {
        let civil = civil(self);
        let (date, clock) = (civil.date(), civil.time());
        let day = format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
        format!("{day}T{:02}{:02}{:02}Z", clock.hour(), clock.minute(), clock.second())
    }
}

fn civil(at: Timestamp) -> jiff::civil::DateTime {
    let time = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::UTC.to_datetime(time)
}

/// [`Timestamp::offset_style`] on its way into a formatter.
#[derive(Debug, Clone, Copy)]
pub struct OffsetStyle(Timestamp);

impl fmt::Display for OffsetStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = civil(self.0);
        let (date, clock) = (civil.date(), civil.time());
        write!(f, "{:04}-{:02}-{:02}T", date.year(), date.month(), date.day())?;
        write!(f, "{:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second())?;
        let micros = self.0.0.rem_euclid(1_000_000);
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("+00:00")
    }
}

impl Serialize for OffsetStyle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where time comes from. Cheap to clone; clones share the hands.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual { wall: Arc<AtomicI64>, start: Instant, elapsed_micros: Arc<AtomicU64> },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn manual(at: Timestamp) -> Self {
        let (wall, elapsed_micros) = (Arc::new(AtomicI64::new(at.0)), Arc::default());
        Self(Source::Manual { wall, start: Self::monotonic(), elapsed_micros })
    }

    /// Moves both hands of a manual clock by this many microseconds; if negative, the wall clock alone goes back, as when
    /// somebody sets it. The machine's clock moves by itself.
    pub fn advance(&self, micros: i64) {
        if let Source::Manual { wall, elapsed_micros, .. } = &self.0 {
            wall.fetch_add(micros, Ordering::Relaxed);
            elapsed_micros.fetch_add(u64::try_from(micros).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// The wall clock, to the microsecond.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that may")]
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Source::Manual { wall, .. } => Timestamp(wall.load(Ordering::Relaxed)),
        }
    }

    /// The clock for deadlines and durations.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System => Self::monotonic(),
            Source::Manual { start, elapsed_micros, .. } => {
                *start + Duration::from_micros(elapsed_micros.load(Ordering::Relaxed))
            }
        }
    }

    /// When this moment of the wall clock is, by the other clock: for what must happen then even if the wall clock is
    /// moved meanwhile. What is past is now; `None` is later than can be told.
    pub fn instant_of(&self, at: Timestamp) -> Option<Instant> {
        let micros = at.0.saturating_sub(self.now().0);
        self.instant().checked_add(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
    }

    /// Microseconds of the system's `CLOCK_MONOTONIC`, which other processes can compare with theirs.
    pub fn monotonic_micros() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000);
        u64::try_from(micros).unwrap_or_default()
    }

    fn monotonic() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        Instant::now()
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
    }

    #[test]
    fn a_moment_of_the_wall_clock_is_as_far_away_by_the_other() {
        let clock = Clock::manual(Timestamp(5_000_000));
        let at = |micros| clock.instant_of(Timestamp(micros)).map(|at| at.saturating_duration_since(clock.instant()));
        assert_eq!(at(7_000_001), Some(Duration::from_micros(2_000_001)));
        assert_eq!([at(5_000_000), at(0), at(i64::MIN)], [Some(Duration::ZERO); 3]);
        assert!(at(i64::MAX).is_none_or(|time| time.as_secs() > 1_000_000_000));
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(Timestamp(5));
        let began = clock.instant();
        assert_eq!((clock.now(), clock.instant()), (Timestamp(5), began));
        clock.clone().advance(7);
        assert_eq!((clock.now(), clock.instant()), (Timestamp(12), began + Duration::from_micros(7)));
        clock.advance(-20);
        assert_eq!((clock.now(), clock.instant()), (Timestamp(-8), began + Duration::from_micros(7)), "never back");
    }
}
