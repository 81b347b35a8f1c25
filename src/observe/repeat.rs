//! Thinning of repetitive warnings.
//!
//! Responsibility: decide which occurrences of one and the same event deserve
//! a log line, so that a failing disk or a scanning client cannot bury
//! everything else in the log (or fill the bounded queue of the sink).
//!
//! Invariants: the first occurrence is always reported, the running count is
//! part of every yes, and the gap between two yeses never exceeds [`STEP`].
//!
//! Threads: one atomic counter, no locks; a `Sampler` is meant to live in a
//! `static` next to its call site. Every count is handed out exactly once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Largest gap between two reported occurrences.
pub const STEP: u64 = 1_000;

/// Says yes for occurrence 1, 10, 100, 1000 and then for every 1000th.
///
/// ```
/// use inkring::observe::repeat::Sampler;
///
/// static BUSY: Sampler = Sampler::new();
/// for _ in 0..10 {
///     if let Some(count) = BUSY.hit() {
///         log::warn!(count; "database.busy"); // with counts 1 and 10
///     }
/// }
/// assert_eq!(BUSY.hit(), None);
/// ```
#[derive(Debug, Default)]
pub struct Sampler {
    seen: AtomicU64,
}

impl Sampler {
    /// A sampler that has seen nothing yet.
    #[must_use]
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
        static SAMPLER: Sampler = Sampler::new();
        let yes: Vec<u64> = (0..4_500).filter_map(|_| SAMPLER.hit()).collect();
        assert_eq!(yes, [1, 10, 100, 1_000, 2_000, 3_000, 4_000]);
    }

    #[test]
    fn threads_together_get_every_yes_exactly_once() {
        let sampler = Sampler::new();
        let mut yes: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..500).filter_map(|_| sampler.hit()).collect::<Vec<_>>())).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        yes.sort_unstable();
        assert_eq!(yes, [1, 10, 100, 1_000, 2_000]);
    }
}
