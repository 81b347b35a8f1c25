//! One token bucket, as pure arithmetic on whole nanoseconds.
//!
//! A bucket is kept as the moment at which it will be full again, and nothing else. So a bucket that nobody knows and one
//! that is full are the same thing, which is what lets the table forget. The time that one token takes to come back is
//! rounded up to a nanosecond once and for all: nothing adds up over time, and never does more come back than was promised.

const NANOS_PER_MINUTE: u64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How many tokens there are and how fast they come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Tokens that come back in a minute.
    per_minute: u32,
    /// Tokens in a full bucket.
    burst: u32,
}

impl Rate {
    /// The most of either number. A bucket that has this many tokens and gets one a minute needs 19 years to fill, which
    /// is still far from what 64 bits of nanoseconds hold.
    pub(super) const MAX: u32 = 10_000_000;

    /// A rate; both numbers are brought between 1 and [`Rate::MAX`].
    pub(super) fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_minute: per_minute.clamp(1, Self::MAX), burst: burst.clamp(1, Self::MAX) }
    }

    /// Half of it, rounded down, but never nothing (contract 01 §4).
    pub(super) fn halved(self) -> Self {
        Self::new(self.per_minute / 2, self.burst / 2)
    }

    /// This many times as much.
    pub(super) fn times(self, factor: u32) -> Self {
        Self::new(self.per_minute.saturating_mul(factor), self.burst.saturating_mul(factor))
    }

    /// Tokens that come back in a minute.
    pub(super) fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// How long one token takes to come back.
    fn interval_nanos(self) -> u64 {
        NANOS_PER_MINUTE.div_ceil(u64::from(self.per_minute))
    }
}

/// What one request was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether there was a token for it.
    pub(super) allowed: bool,
    /// Whole tokens left now.
    pub(super) remaining: u32,
    /// Until there is one more than that; after a refusal, until there is one.
    pub(super) next_nanos: u64,
}

impl Verdict {
    /// The same in seconds, rounded up: who comes back after them does not come too early.
    pub(super) fn next_seconds(self) -> u64 {
        self.next_nanos.div_ceil(NANOS_PER_SECOND).max(1)
    }
}

/// A bucket. The default one is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When it will be full again, on the clock that `now` is read from; full if that is over.
    pub(super) full_at: u64,
}

impl Bucket {
    /// Takes a token if there is one.
    pub(super) fn take(&mut self, rate: Rate, now: u64) -> Verdict {
        self.take_many(rate, now, 1)
    }

    /// Takes so many tokens if there are as many. A `now` that lies before an earlier one costs its user at most what is in a
    /// bucket: what is owed is never more than all of it.
    pub(super) fn take_many(&mut self, rate: Rate, now: u64, tokens: u32) -> Verdict {
        let interval = rate.interval_nanos();
        let capacity = interval * u64::from(rate.burst);
        let cost = interval * u64::from(tokens);
        let mut owed = self.full_at.saturating_sub(now).min(capacity);
        let allowed = owed.saturating_add(cost) <= capacity;
        if allowed {
            owed += cost;
        }
        self.full_at = now.saturating_add(owed);
        let remaining = (capacity - owed) / interval;
        // A whole token is worth one interval; what is there beyond whole ones is on its way to the next.
        let next_nanos = interval - (capacity - owed) % interval;
        // It never exceeds the burst, which is 32 bits wide.
        Verdict { allowed, remaining: u32::try_from(remaining).unwrap_or(u32::MAX), next_nanos }
    }

    /// Puts tokens back that were taken for what was then refused, or cost less.
    pub(super) fn give_back(&mut self, rate: Rate, tokens: u32) {
        self.full_at = self.full_at.saturating_sub(rate.interval_nanos() * u64::from(tokens));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = NANOS_PER_SECOND;

    fn taken(bucket: &mut Bucket, rate: Rate, now: u64) -> (bool, u32, u64) {
        let verdict = bucket.take(rate, now);
        (verdict.allowed, verdict.remaining, verdict.next_seconds())
    }

    #[test]
    fn a_bucket_starts_full_and_is_refilled_evenly() {
        let (rate, mut bucket) = (Rate::new(6, 4), Bucket::default());
        for remaining in [3, 2, 1, 0] {
            assert_eq!(taken(&mut bucket, rate, 0), (true, remaining, 10));
        }
        assert_eq!(taken(&mut bucket, rate, 0), (false, 0, 10));
        assert_eq!(taken(&mut bucket, rate, 4 * SECOND), (false, 0, 6), "a refusal takes nothing");
        assert_eq!(taken(&mut bucket, rate, 10 * SECOND - 1), (false, 0, 1));
        assert_eq!(taken(&mut bucket, rate, 10 * SECOND), (true, 0, 10));
        assert_eq!(taken(&mut bucket, rate, 35 * SECOND), (true, 1, 5));
        assert_eq!(taken(&mut bucket, rate, 10_000 * SECOND), (true, 3, 10), "no more than a burst is saved up");
    }

    #[test]
    fn the_contracts_examples() {
        let rate = Rate::new(1, 1);
        let mut bucket = Bucket::default();
        assert_eq!(taken(&mut bucket, rate, 0), (true, 0, 60));
        assert_eq!(taken(&mut bucket, rate, 0), (false, 0, 60));
        assert_eq!(taken(&mut bucket, rate, 61 * SECOND), (true, 0, 60));
        assert_eq!(Rate::new(6, 4).halved(), Rate::new(3, 2));
        assert_eq!(Rate::new(3, 1).halved(), Rate::new(1, 1));
        let (mutation, mut bucket) = (Rate::new(3, 2), Bucket::default());
        let answers: Vec<_> = (0..3).map(|_| taken(&mut bucket, mutation, 5)).collect();
        assert_eq!(answers, [(true, 1, 20), (true, 0, 20), (false, 0, 20)]);
        // 60 / 7 is 8.57: the original said 8, and clients that believed it came too early.
        let (seven, mut bucket) = (Rate::new(7, 1), Bucket::default());
        assert_eq!(taken(&mut bucket, seven, 0), (true, 0, 9));
        assert_eq!(taken(&mut bucket, seven, 8 * SECOND), (false, 0, 1));
        assert_eq!(taken(&mut bucket, seven, 9 * SECOND), (true, 0, 9));
    }

    #[test]
    fn many_are_taken_at_once_or_none_and_what_is_given_back_was_never_taken() {
        let (rate, mut bucket) = (Rate::new(60, 10), Bucket::default());
        bucket.take(rate, 0);
        let before = bucket;
        assert!(bucket.take_many(rate, SECOND / 3, 9).allowed);
        bucket.give_back(rate, 9);
        assert_eq!(bucket, before);
        assert!(!bucket.take_many(rate, 0, 10).allowed);
        assert_eq!(bucket, before, "a refusal takes nothing");
        assert!(!bucket.take_many(rate, 0, u32::MAX).allowed);
        assert!(bucket.take_many(rate, SECOND, 10).allowed);
        assert_eq!(taken(&mut bucket, rate, SECOND), (false, 0, 1));
        let mut full = Bucket::default();
        full.give_back(rate, 10);
        assert_eq!(full, Bucket::default(), "there is never more than a full one");
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let (rate, mut bucket) = (Rate::new(60, 3), Bucket::default());
        let late = 3600 * SECOND;
        assert!(bucket.take(rate, late).allowed);
        assert_eq!(taken(&mut bucket, rate, 0), (false, 0, 1), "at worst it is empty");
        assert_eq!(taken(&mut bucket, rate, SECOND), (true, 0, 1), "and fills as ever");
        for now in [u64::MAX, 0, u64::MAX - 1, 7] {
            bucket.take(Rate::new(1, Rate::MAX), now);
            bucket.take(Rate::new(Rate::MAX, 1), now);
        }
    }

    /// As one would write it down: how much is there, and since when.
    struct Model {
        level_nanos: u128,
        at: u128,
    }

    impl Model {
        fn take(&mut self, per_minute: u32, burst: u32, now: u128) -> (bool, u128, u128) {
            let token = 60_000_000_000_u128.div_ceil(u128::from(per_minute));
            self.level_nanos = (self.level_nanos + now - self.at).min(token * u128::from(burst));
            self.at = now;
            let allowed = self.level_nanos >= token;
            if allowed {
                self.level_nanos -= token;
            }
            let remaining = self.level_nanos / token;
            (allowed, remaining, (remaining + 1) * token - self.level_nanos)
        }
    }

    proptest! {
        #[test]
        fn a_bucket_does_what_its_model_does(
            per_minute in prop_oneof![1..200_u32, 1..=Rate::MAX],
            burst in prop_oneof![1..50_u32, 1..=Rate::MAX],
            // Steps of all sizes, many of which are about what a token takes.
            steps in prop::collection::vec((0..40_u32, 0..1000_u64), 1..200),
        ) {
            let rate = Rate::new(per_minute, burst);
            let full = u128::from(rate.interval_nanos()) * u128::from(burst);
            let (mut bucket, mut model) = (Bucket::default(), Model { level_nanos: full, at: 0 });
            let (mut now, mut allowed) = (0_u64, 0_u128);
            for (shift, mantissa) in steps {
                now += mantissa << shift;
                let verdict = bucket.take(rate, now);
                let expected = model.take(per_minute, burst, u128::from(now));
                let found = (verdict.allowed, u128::from(verdict.remaining), u128::from(verdict.next_nanos));
                prop_assert_eq!(found, expected);
                allowed += u128::from(verdict.allowed);
                // Never more than promised, whatever is rounded.
                let promised = u128::from(burst) + u128::from(now) * u128::from(per_minute) / 60_000_000_000;
                prop_assert!(allowed <= promised, "{} of {}", allowed, promised);
                if !verdict.allowed {
                    // Coming back when told to is neither too early nor later than needed.
                    let mut early = bucket;
                    prop_assert!(!early.take(rate, now + verdict.next_nanos - 1).allowed);
                    let mut back = bucket;
                    prop_assert!(back.take(rate, now + verdict.next_nanos).allowed);
                }
            }
        }
    }
}
