//! Which occurrences of a repeated event deserve a line of the log, so that a failing disk or a scanning client cannot bury
//! everything else in it, or fill the queue of the sink.

use std::sync::atomic::{AtomicU64, Ordering};

/// Largest gap between two reported occurrences.
pub const STEP: u64 = 1_000;

/// Says yes for occurrence 1, 10, 100, 1000 and then for every 1000th. One atomic counter, often a `static` beside the call.
///
/// ```
/// use inkring::observe::throttle::LogThrottle;
///
/// static BUSY: LogThrottle = LogThrottle::new();
/// for _ in 0..10 {
///     if let Some(count) = BUSY.hit() {
///         log::warn!(count; "database.busy"); // with counts 1 and 10
///     }
/// }
/// assert_eq!(BUSY.hit(), None);
/// ```
#[derive(Debug, Default)]
pub struct LogThrottle {
    seen: AtomicU64,
}

impl LogThrottle {
    /// One that has seen nothing yet.
    pub const fn new() -> Self {
        Self { seen: AtomicU64::new(0) }
    }

    /// Counts one occurrence; `Some(running count)` when it should be logged.
    pub fn hit(&self) -> Option<u64> {
        // Relaxed: the count orders nothing but itself.
        let count = self.seen.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        (matches!(count, 1 | 10 | 100) || count.is_multiple_of(STEP)).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_yes_at_growing_distances_then_every_thousand() {
        static THROTTLE: LogThrottle = LogThrottle::new();
        let yes: Vec<u64> = (0..4_500).filter_map(|_| THROTTLE.hit()).collect();
        assert_eq!(yes, [1, 10, 100, 1_000, 2_000, 3_000, 4_000]);
    }

    #[test]
    fn threads_together_get_every_yes_exactly_once() {
        let throttle = LogThrottle::new();
        let mut yes: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).filter_map(|_| throttle.hit()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        yes.sort_unstable();
        assert_eq!(yes, [1, 10, 100, 1_000, 2_000]);
    }
}
