//! The only place that reads time, and that says how far it is to be trusted.
//!
//! Two kinds of time, never mixed: [`Clock::now`] is the wall clock, for what people read and what is stored;
//! [`Clock::instant`] never goes back and is for deadlines and durations. Rules take times as values; their
//! callers ask the clock. Tests hold the hands of a [`Clock::manual`].
//!
//! What removes by age, or takes a date for a proof that something is new, asks the [`Timekeeper`] first: the wall
//! clock can be years off for a minute ([`steady`]).

pub mod steady;
mod timekeeper;
mod timestamp;
mod zone;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use steady::Reading;
pub use timekeeper::{Retention, Standing, Timekeeper};
pub use timestamp::{
    DAY, DAY_MICROS, HOUR, HOUR_MICROS, JUMP_MIN, MINUTE, OffsetStyle, SECOND_MICROS, Timestamp, Written,
};
pub use zone::zone_of_machine;

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
        self.set(micros);
        if let Source::Manual { elapsed_micros, .. } = &self.0 {
            elapsed_micros.fetch_add(u64::try_from(micros).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// Moves the wall clock of a manual clock alone, as when somebody sets it.
    pub fn set(&self, by_micros: i64) {
        if let Source::Manual { wall, .. } = &self.0 {
            wall.fetch_add(by_micros, Ordering::Relaxed);
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

    /// The wall clock, and the time that has elapsed. That is the clock that goes on while the machine sleeps, or each
    /// sleep would look like a jump.
    pub fn reading(&self) -> Reading {
        let elapsed = match &self.0 {
            Source::System => time_of(rustix::time::ClockId::Boottime),
            Source::Manual { elapsed_micros, .. } => Duration::from_micros(elapsed_micros.load(Ordering::Relaxed)),
        };
        Reading { wall: self.now(), elapsed }
    }

    /// When this moment of the wall clock is, by the other clock: for what must happen then even if the wall clock is
    /// moved meanwhile. What is past is now; `None` is later than can be told.
    pub fn instant_of(&self, at: Timestamp) -> Option<Instant> {
        let micros = at.0.saturating_sub(self.now().0);
        self.instant().checked_add(Duration::from_micros(u64::try_from(micros).unwrap_or_default()))
    }

    /// Microseconds of the system's `CLOCK_MONOTONIC`, which other processes can compare with theirs.
    pub fn monotonic_micros() -> u64 {
        u64::try_from(time_of(rustix::time::ClockId::Monotonic).as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        Instant::now()
    }
}

/// One of the system's clocks that begin at zero with the machine.
fn time_of(clock: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

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
