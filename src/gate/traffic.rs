//! How many requests there were of late, of whatever kind, and how many of them were refused or failed; and since the start, of
//! which path and how long they took.
//!
//! Threads count into buckets of a second, each of which is one number: which second it is for, and both counts. So to count is one
//! exchange of that number, which nobody waits for, and a bucket that has come round begins anew in the same step.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::StatusCode;
use parking_lot::Mutex;

use crate::observe::metrics::{SPREAD_BUCKETS, Spread};

/// Of late: so many seconds.
const SECONDS: u64 = 5 * 60;

/// Bits of either count: a million a second, which is more than there can be.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
/// Bits of the second: it is told apart from another for 194 days.
const SECOND_MASK: u64 = (1 << (64 - 2 * COUNT_BITS)) - 1;

/// First digits of a status: 1 to 5.
pub const STATUS_CLASSES: usize = 5;

/// Counts what is answered to clients. Clones share it.
#[derive(Debug, Clone)]
pub struct Traffic(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    total: AtomicU64,
    by_class: [AtomicU64; STATUS_CLASSES],
    /// One for each path of a route: locked when a shard starts and when somebody looks, and never for a request.
    by_path: Mutex<Vec<(&'static str, Arc<Spread>)>>,
    /// Of each second, by its remainder.
    buckets: [AtomicU64; SECONDS as usize],
}

/// Requests, and those among them that were answered 4xx or 5xx.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// All of them.
    pub requests: u64,
    /// Those that were refused or failed.
    pub errors: u64,
}

/// What is in one bucket.
#[derive(Clone, Copy)]
struct Bucket {
    second: u64,
    answered: Answered,
}

impl Bucket {
    fn unpack(number: u64) -> Self {
        let (errors, requests) = (number >> COUNT_BITS & COUNT_MAX, number & COUNT_MAX);
        Self { second: number >> (2 * COUNT_BITS), answered: Answered { requests, errors } }
    }

    fn pack(self) -> u64 {
        let Answered { requests, errors } = self.answered;
        self.second << (2 * COUNT_BITS) | errors.min(COUNT_MAX) << COUNT_BITS | requests.min(COUNT_MAX)
    }
}

impl Traffic {
    /// Nothing was answered yet. `began` is when its time begins.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        let (total, buckets) = (AtomicU64::new(0), array::from_fn(|_| AtomicU64::new(0)));
        Self(Arc::new(Shared { began, total, by_class: Default::default(), by_path: Mutex::default(), buckets }))
    }

    /// A request was answered now.
    pub(super) fn count(&self, status: StatusCode, now: Instant) {
        self.0.total.fetch_add(1, Ordering::Relaxed);
        let second = self.second(now);
        let failed = u64::from(status.is_client_error() || status.is_server_error());
        let add = |number| {
            let mut bucket = Bucket::unpack(number);
            if bucket.second != second & SECOND_MASK {
                bucket = Bucket { second: second & SECOND_MASK, answered: Answered::default() };
            }
            bucket.answered.requests += 1;
            bucket.answered.errors += failed;
            Some(bucket.pack())
        };
        // It never fails, as there is always something to put in.
        let _ = self.bucket(second).fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// A request was answered that is more than a look at how things are.
    pub(super) fn count_class(&self, status: StatusCode) {
        // Of what is no status the nearest.
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUS_CLASSES);
        self.0.by_class[class - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// What counts the requests of one path: that of a route, so there are no more than routes.
    pub(super) fn path(&self, template: &'static str) -> Arc<Spread> {
        let mut paths = self.0.by_path.lock();
        if let Some((_, spread)) = paths.iter().find(|(known, _)| *known == template) {
            return Arc::clone(spread);
        }
        let spread = Arc::new(Spread::default());
        paths.push((template, Arc::clone(&spread)));
        spread
    }

    /// So many were answered since the start on each path, by how long they took as in [`Spread::counts`]; without probes, and
    /// without what was not a valid request.
    #[must_use]
    pub fn by_path(&self) -> Vec<(&'static str, [u64; SPREAD_BUCKETS])> {
        self.0.by_path.lock().iter().map(|(path, spread)| (*path, spread.counts())).collect()
    }

    /// So many were answered since the start by 1xx, 2xx and so on; probes are not among them, nor is what was no valid
    /// request.
    #[must_use]
    pub fn by_class(&self) -> [u64; STATUS_CLASSES] {
        self.0.by_class.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// Requests since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }

    /// Those of the last five minutes, this second among them.
    #[must_use]
    pub fn of_late(&self, now: Instant) -> Answered {
        let now = self.second(now);
        let seconds = now.saturating_sub(SECONDS - 1)..=now;
        seconds.fold(Answered::default(), |sum, second| {
            let bucket = Bucket::unpack(self.bucket(second).load(Ordering::Relaxed));
            if bucket.second != second & SECOND_MASK {
                return sum;
            }
            let Answered { requests, errors } = bucket.answered;
            Answered { requests: sum.requests + requests, errors: sum.errors + errors }
        })
    }

    /// Seconds since the start.
    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.0.began).as_secs()
    }

    fn bucket(&self, second: u64) -> &AtomicU64 {
        // The remainder is less than the number of buckets.
        &self.0.buckets[usize::try_from(second % SECONDS).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, Timestamp};

    const SECOND: i64 = 1_000_000;

    fn of(requests: u64, errors: u64) -> Answered {
        Answered { requests, errors }
    }

    fn traffic() -> (Traffic, Clock) {
        let clock = Clock::manual(Timestamp(0));
        (Traffic::new(clock.instant()), clock)
    }

    #[test]
    fn what_was_answered_is_counted_for_five_minutes_and_in_all_for_ever() {
        let (traffic, clock) = traffic();
        let count = |status: u16| traffic.count(StatusCode::from_u16(status).unwrap(), clock.instant());
        let of_late = || traffic.of_late(clock.instant());
        assert_eq!((of_late(), traffic.total()), (of(0, 0), 0));
        [101, 200, 204, 304, 404, 429, 500, 503].into_iter().for_each(count);
        assert_eq!((of_late(), traffic.total()), (of(8, 4), 8));
        clock.advance(299 * SECOND);
        count(200);
        assert_eq!(of_late(), of(9, 4));
        clock.advance(SECOND);
        assert_eq!(of_late(), of(1, 0), "what is five minutes old does not count");
        count(401);
        assert_eq!(of_late(), of(2, 1), "its bucket has begun anew");
        clock.advance(1000 * SECOND);
        assert_eq!((of_late(), traffic.total()), (of(0, 0), 10));
    }

    #[test]
    fn a_bucket_tells_its_second_from_others_and_is_never_too_full() {
        let (traffic, clock) = traffic();
        traffic.count(StatusCode::OK, clock.instant());
        clock.advance(300 * SECOND);
        assert_eq!(traffic.of_late(clock.instant()), of(0, 0), "the same bucket of another second");
        let full = Bucket { second: SECOND_MASK, answered: of(COUNT_MAX + 5, COUNT_MAX + 5) };
        let read = Bucket::unpack(full.pack());
        assert_eq!((read.second, read.answered), (SECOND_MASK, of(COUNT_MAX, COUNT_MAX)));
    }

    #[test]
    fn racing_threads_lose_nothing() {
        let (traffic, clock) = traffic();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| traffic.count(StatusCode::NOT_FOUND, clock.instant())));
            }
        });
        assert_eq!((traffic.of_late(clock.instant()), traffic.total()), (of(40_000, 40_000), 40_000));
    }

    #[test]
    fn each_path_is_counted_once_however_many_threads_have_it() {
        let (traffic, _) = traffic();
        let (here, there, other) = (traffic.path("/x"), traffic.path("/x"), traffic.path("/y"));
        here.count(Duration::from_micros(400));
        there.count(Duration::from_secs(60));
        other.count(Duration::ZERO);
        let (mut x, mut y) = ([0; SPREAD_BUCKETS], [0; SPREAD_BUCKETS]);
        (x[0], x[SPREAD_BUCKETS - 1], y[0]) = (1, 1, 1);
        assert_eq!(traffic.by_path(), [("/x", x), ("/y", y)]);
    }
}
