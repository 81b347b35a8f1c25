//! True sliding windows: how often something happened within the last minute, hour or whatever, to the millisecond.
//!
//! What was taken is kept as a log of its times, four bytes each, oldest first. All windows count by the same log: the widest says
//! how long it is kept. So what is full, how much is left and when there is room again are read off one list and are exact: who
//! asks evenly within a limit is never refused, and no window of that width has more, wherever it begins. What is refused is not
//! taken down: it makes nobody wait longer.

use std::collections::VecDeque;
use std::time::Duration;

/// So often within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    limit: usize,
    span_ms: u32,
}

impl Window {
    /// `limit` times within `span`, both at least one (a time, a millisecond); a span is at most 24 days.
    #[must_use]
    pub fn new(limit: u32, span: Duration) -> Self {
        // Half of what the times are told apart by.
        let longest = u128::from(u32::MAX / 2);
        let span_ms = u32::try_from(span.as_millis().clamp(1, longest)).unwrap_or(u32::MAX / 2);
        Self { limit: usize::try_from(limit.max(1)).unwrap_or(usize::MAX), span_ms }
    }

    /// How often.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }
}

/// How something stands with its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<const N: usize> {
    /// Whether every window had room; then it was taken down.
    pub allowed: bool,
    /// What is left in each window now.
    pub remaining: [usize; N],
    /// Milliseconds until each window has room; 0 where there was some.
    pub wait_ms: [u32; N],
}

/// What one client has taken. The default has taken nothing.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// When it was looked at last: everything in `taken` lies within the widest window before it.
    at_ms: u64,
    /// The low half of each time, in milliseconds, oldest first.
    taken: VecDeque<u32>,
}

impl Log {
    /// Takes one if every window has room for it. `now_ms` is by a clock that does not go back; where threads hand in their times
    /// a little out of order, the later one counts.
    pub fn take<const N: usize>(&mut self, windows: &[Window; N], now_ms: u64) -> Standing<N> {
        let now_ms = self.forget(windows, now_ms);
        let age = |taken: u32| low(now_ms).wrapping_sub(taken);
        let used = windows.map(|window| {
            let past = self.taken.partition_point(|taken| age(*taken) >= window.span_ms);
            self.taken.len() - past
        });
        let mut wait_ms = [0; N];
        for (wait, (window, used)) in wait_ms.iter_mut().zip(windows.iter().zip(used)) {
            if used >= window.limit {
                // The one that has to be past before there is room: of those that count, the last but `limit - 1`.
                let blocking = self.taken.get(self.taken.len() - window.limit);
                *wait = blocking.map_or(1, |taken| window.span_ms - age(*taken));
            }
        }
        let allowed = wait_ms.iter().all(|wait| *wait == 0);
        if allowed {
            self.taken.push_back(low(now_ms));
        }
        let mut remaining = [0; N];
        for (left, (window, used)) in remaining.iter_mut().zip(windows.iter().zip(used)) {
            *left = window.limit.saturating_sub(used + usize::from(allowed));
        }
        Standing { allowed, remaining, wait_ms }
    }

    /// Gives back the one that was taken last, if any was.
    pub fn give_back(&mut self) {
        self.taken.pop_back();
    }

    /// Drops what no window counts any more. Returns the time that it is now.
    fn forget(&mut self, windows: &[Window], now_ms: u64) -> u64 {
        let now_ms = now_ms.max(self.at_ms);
        let widest = windows.iter().map(|window| window.span_ms).max().unwrap_or_default();
        if now_ms - self.at_ms >= u64::from(widest) {
            // All of it is past, and too long ago to be told apart by half a time.
            self.taken.clear();
        }
        while self.taken.front().is_some_and(|taken| low(now_ms).wrapping_sub(*taken) >= widest) {
            self.taken.pop_front();
        }
        self.at_ms = now_ms;
        now_ms
    }
}

/// The low half of a time.
fn low(ms: u64) -> u32 {
    // What is cut off is the purpose.
    ms as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn minute_and_hour(minute: u32, hour: u32) -> [Window; 2] {
        [Window::new(minute, Duration::from_secs(60)), Window::new(hour, Duration::from_secs(3600))]
    }

    #[test]
    fn a_window_slides_and_waits_are_exact() {
        let (windows, mut log) = ([Window::new(3, Duration::from_secs(60))], Log::default());
        let mut at = |ms| {
            let Standing { allowed, remaining: [left], wait_ms: [wait] } = log.take(&windows, ms);
            (allowed, left, wait)
        };
        assert_eq!([at(0), at(10_000), at(20_000)], [(true, 2, 0), (true, 1, 0), (true, 0, 0)]);
        assert_eq!(at(20_000), (false, 0, 40_000));
        assert_eq!(at(59_999), (false, 0, 1), "a refusal takes nothing");
        assert_eq!(at(60_000), (true, 0, 0), "the first one is past");
        assert_eq!(at(60_000), (false, 0, 10_000));
        assert_eq!(at(10 * MINUTE), (true, 2, 0));
    }

    #[test]
    fn the_wider_window_refuses_when_the_narrower_has_room() {
        let (windows, mut log) = (minute_and_hour(2, 3), Log::default());
        let mut at = |ms| log.take(&windows, ms);
        assert_eq!(at(0), Standing { allowed: true, remaining: [1, 2], wait_ms: [0, 0] });
        at(0);
        assert_eq!(at(0), Standing { allowed: false, remaining: [0, 1], wait_ms: [60_000, 0] });
        assert_eq!(at(MINUTE), Standing { allowed: true, remaining: [1, 0], wait_ms: [0, 0] });
        assert_eq!(at(2 * MINUTE), Standing { allowed: false, remaining: [2, 0], wait_ms: [0, 58 * 60_000] });
        assert!(at(60 * MINUTE).allowed);
    }

    #[test]
    fn what_is_given_back_was_never_taken() {
        let (windows, mut log) = ([Window::new(1, Duration::from_secs(60))], Log::default());
        log.give_back();
        for now in 0..5 {
            assert!(log.take(&windows, now).allowed);
            log.give_back();
        }
        assert!(log.take(&windows, 5).allowed && !log.take(&windows, 6).allowed);
    }

    #[test]
    fn times_are_told_apart_however_long_the_process_runs() {
        let (windows, round) = ([Window::new(1, Duration::from_secs(60))], 1 << 32);
        for began in [round - 10, 5 * round - 30_000, 5 * round] {
            let mut log = Log::default();
            assert!(log.take(&windows, began).allowed);
            assert!(!log.take(&windows, began + MINUTE - 1).allowed, "{began}");
            assert!(log.take(&windows, began + MINUTE).allowed, "{began}");
            // Exactly once round: half a time alone could not tell.
            assert!(log.take(&windows, began + MINUTE + round).allowed, "{began}");
        }
    }

    #[test]
    fn times_out_of_order_count_as_the_later_one() {
        let (windows, mut log) = ([Window::new(1, Duration::from_secs(60))], Log::default());
        assert!(log.take(&windows, 1000).allowed);
        assert_eq!(log.take(&windows, 0).wait_ms, [60_000]);
        assert!(log.take(&windows, 1000 + MINUTE).allowed);
    }

    #[test]
    fn a_limit_that_was_lowered_waits_for_as_many_as_are_too_many() {
        let mut log = Log::default();
        let of = |limit| [Window::new(limit, Duration::from_secs(60))];
        for second in 0..5 {
            log.take(&of(5), second * 1000);
        }
        let refused = log.take(&of(2), 5000);
        assert_eq!((refused.remaining, refused.wait_ms), ([0], [58_000]), "the fourth of five has to be past");
        assert!(log.take(&of(2), 63_000).allowed);
    }

    proptest! {
        #[test]
        fn no_window_anywhere_has_more_and_nobody_is_refused_who_has_room(
            minute in 1..6_u32,
            hour in 1..12_u32,
            steps in prop::collection::vec(prop_oneof![0..2000_u64, 0..90_000_u64, 0..4_000_000_u64], 1..120),
        ) {
            let (windows, mut log) = (minute_and_hour(minute, hour), Log::default());
            // As one would write it down: every time that was taken, for ever.
            let (mut now, mut all) = (u64::from(u32::MAX) - 100_000, Vec::<u64>::new());
            for step in steps {
                now += step;
                let within = |span: u64| all.iter().filter(|at| now - **at < span).count();
                let (in_minute, in_hour) = (within(MINUTE), within(60 * MINUTE));
                let has_room = in_minute < minute as usize && in_hour < hour as usize;
                let standing = log.take(&windows, now);
                prop_assert_eq!(standing.allowed, has_room);
                let left = |limit: u32, used: usize| (limit as usize).saturating_sub(used + usize::from(has_room));
                prop_assert_eq!(standing.remaining, [left(minute, in_minute), left(hour, in_hour)]);
                if has_room {
                    all.push(now);
                } else {
                    let wait = u64::from(standing.wait_ms.into_iter().max().unwrap());
                    let mut early = log.clone();
                    prop_assert!(wait > 0 && !early.take(&windows, now + wait - 1).allowed, "not a moment too long");
                    let mut back = log.clone();
                    prop_assert!(back.take(&windows, now + wait).allowed, "and long enough");
                }
            }
        }
    }
}
