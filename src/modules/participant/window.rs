//! So many calls in any sixty seconds (contract 04 §1.3), as values: who asks says what time it is.

use std::collections::VecDeque;

/// Calls in one window.
pub const PARTICIPANT_CALLS_MAX: usize = 30;
/// How long a window is, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;

/// What a call was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Allowed {
        /// Calls that are left now.
        remaining: usize,
    },
    /// It may not, and is not counted: who asks again and again is let in as soon as who waits.
    Refused {
        /// Until there is room again, rounded up, at least 1.
        retry_after_seconds: u64,
    },
}

/// The times of the calls that were let in; never more than [`PARTICIPANT_CALLS_MAX`].
#[derive(Debug, Clone, Default)]
pub struct SlidingWindow {
    calls: VecDeque<u64>,
}

impl SlidingWindow {
    /// Counts a call at this time, in milliseconds of a steady clock. A time before an earlier one counts as that one's.
    pub fn call(&mut self, now_ms: u64) -> Verdict {
        let now = now_ms.max(self.calls.back().copied().unwrap_or(0));
        while self.calls.front().is_some_and(|first| now - first >= WINDOW_MS) {
            self.calls.pop_front();
        }
        match self.calls.front() {
            Some(first) if self.calls.len() >= PARTICIPANT_CALLS_MAX => {
                Verdict::Refused { retry_after_seconds: (WINDOW_MS - (now - first)).div_ceil(1000).max(1) }
            }
            _ => {
                self.calls.push_back(now);
                Verdict::Allowed { remaining: PARTICIPANT_CALLS_MAX - self.calls.len() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn thirty_calls_fit_and_the_next_waits_for_the_first() {
        let mut window = SlidingWindow::default();
        for call in 0..PARTICIPANT_CALLS_MAX {
            assert_eq!(
                window.call(1000 + call as u64),
                Verdict::Allowed { remaining: PARTICIPANT_CALLS_MAX - 1 - call }
            );
        }
        assert_eq!(window.call(1030), Verdict::Refused { retry_after_seconds: 60 });
        assert_eq!(window.call(60_999), Verdict::Refused { retry_after_seconds: 1 });
        assert_eq!(window.call(61_000), Verdict::Allowed { remaining: 0 });
        assert_eq!(window.call(61_000), Verdict::Refused { retry_after_seconds: 1 });
    }

    #[test]
    fn a_steady_caller_is_never_refused() {
        let mut window = SlidingWindow::default();
        assert!((0..10_000).all(|call| matches!(window.call(call * 2000), Verdict::Allowed { .. })));
    }

    proptest! {
        #[test]
        fn no_window_has_more_calls_than_the_limit(steps in prop::collection::vec(0_u64..5000, 1..300)) {
            let (mut window, mut now, mut allowed) = (SlidingWindow::default(), 0, Vec::new());
            for step in steps {
                now += step;
                if matches!(window.call(now), Verdict::Allowed { .. }) {
                    allowed.push(now);
                }
                prop_assert!(window.calls.len() <= PARTICIPANT_CALLS_MAX);
                prop_assert!(allowed.iter().filter(|at| now - *at < WINDOW_MS).count() <= PARTICIPANT_CALLS_MAX);
            }
        }

        #[test]
        fn a_clock_that_goes_back_is_no_surprise(times: Vec<u64>) {
            let mut window = SlidingWindow::default();
            for time in times {
                window.call(time);
                prop_assert!(window.calls.len() <= PARTICIPANT_CALLS_MAX);
            }
        }
    }
}
