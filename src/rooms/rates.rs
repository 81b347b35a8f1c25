//! How much one socket may send (contract 03 §4.6). Pure: the time is given.

use std::time::Instant;

/// Bytes a second, on average, and at once.
pub(super) const BYTES_PER_SECOND_MAX: u32 = 1024 * 1024;
pub(super) const BURST_MAX_BYTES: u32 = 8 * 1024 * 1024;
/// Messages in JSON a second, and at once. Each goes to everybody in the room.
pub(super) const TEXTS_PER_SECOND_MAX: u32 = 100;
pub(super) const TEXTS_BURST_MAX: u32 = 400;
/// Messages with states of clients a second; of more, only the newest is passed on.
pub(super) const AWARENESS_PER_SECOND_MAX: u32 = 30;

/// What one socket has left of one thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    left: f64,
    most: f64,
    per_second: f64,
    at: Instant,
}

impl Allowance {
    /// All of it is left.
    pub(super) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { left: burst.into(), most: burst.into(), per_second: per_second.into(), at: now }
    }

    /// Takes some of it, if there is enough.
    pub(super) fn take(&mut self, amount: usize, now: Instant) -> bool {
        let gone = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.left = (self.left + gone * self.per_second).min(self.most);
        let enough = self.left >= amount as f64;
        if enough {
            self.left -= amount as f64;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_burst_is_taken_and_comes_back_with_time_and_no_further() {
        let start = Clock::system().instant();
        let mut allowance = Allowance::new(10, 20, start);
        assert!(allowance.take(20, start) && !allowance.take(1, start));
        let later = start + Duration::from_millis(500);
        assert!(allowance.take(5, later) && !allowance.take(1, later));
        let much_later = start + Duration::from_secs(60);
        assert!(allowance.take(20, much_later) && !allowance.take(1, much_later));
        assert!(!allowance.take(1, start), "a clock that goes back gives nothing");
    }
}
