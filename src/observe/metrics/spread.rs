//! How values are spread, for who looks at it within the process: a histogram can only be written out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::row::SECONDS;

/// Up to each of [`SECONDS`], and beyond.
pub const SPREAD_BUCKETS: usize = SECONDS.len() + 1;

/// Counts durations by the buckets of a histogram of [`SECONDS`].
#[derive(Debug, Default)]
pub struct Spread([AtomicU64; SPREAD_BUCKETS]);

impl Spread {
    /// Something took so long.
    pub fn count(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = SECONDS.partition_point(|bound| *bound < seconds);
        // Relaxed: nobody concludes anything from one about another.
        self.0[at].fetch_add(1, Ordering::Relaxed);
    }

    /// So many took up to each bound, and not up to the one before; the last are beyond all of them.
    pub fn counts(&self) -> [u64; SPREAD_BUCKETS] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_beyond_all_to_the_last() {
        let spread = Spread::default();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            spread.count(Duration::from_micros(micros));
        }
        let mut expected = [0; SPREAD_BUCKETS];
        (expected[0], expected[1], expected[13], expected[14]) = (2, 1, 1, 1);
        assert_eq!(spread.counts(), expected);
    }
}
