//! How often one client may ask the modules (contract 04 §1.3): so often a minute and so often an hour, both as true sliding
//! windows ([`sliding`]).
//!
//! The client is the address that the gate has found, so that only the headers of trusted proxies count; IPv6 by /64. What is
//! exempt says so by not asking: `/`, `/health`, `/ready`, the pages of the API, preflights (the gate answers them), whatever is no
//! path of the modules.

mod answer;
pub mod logs;
pub mod sliding;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

pub use answer::Verdict;
use logs::Logs;
use sliding::{Log, Window};

use crate::clock::{HOUR, MINUTE};

/// The most that an hour may be configured to have: a client that uses it up takes four bytes for each request of it.
pub const PER_HOUR_MAX: u32 = 10_000;

/// Addresses that are told apart, unless more stand together in the table than it has places for.
pub const CLIENTS_MAX: usize = 4096;

/// Both limits, and what each client has used of them. Shards share one.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What was counted so far, under whatever limits.
    counted: Arc<Logs>,
    windows: [Window; 2],
}

impl Limits {
    /// So many requests a minute and an hour, each at least one and at most [`PER_HOUR_MAX`], for so many clients. `began` is when
    /// its time begins.
    #[must_use]
    pub fn new(per_minute: u32, per_hour: u32, clients: usize, began: Instant) -> Self {
        Self { counted: Arc::new(Logs::new(clients, began)), windows: windows(per_minute, per_hour) }
    }

    /// The same with other limits. What was counted stays.
    #[must_use]
    pub fn with(&self, per_minute: u32, per_hour: u32) -> Self {
        Self { counted: Arc::clone(&self.counted), windows: windows(per_minute, per_hour) }
    }

    /// Counts a request of this client, if both windows have room for it.
    #[must_use]
    pub fn count(&self, client: IpAddr, now: Instant) -> Verdict {
        let standing = self.counted.take(client, &self.windows, now);
        Verdict::new(self.windows.map(|window| window.limit()), standing)
    }

    /// What all of it takes at most with these limits, in bytes: every client having used up its hour.
    #[must_use]
    pub fn memory_max(per_hour: u32, clients: usize) -> usize {
        let per_hour = usize::try_from(per_hour.clamp(1, PER_HOUR_MAX)).unwrap_or(usize::MAX);
        // A list that grows takes twice as much as is in it at most.
        clients.saturating_mul(size_of::<(u64, Log)>() + 2 * size_of::<u32>() * per_hour)
    }
}

fn windows(per_minute: u32, per_hour: u32) -> [Window; 2] {
    [(per_minute, MINUTE), (per_hour, HOUR)].map(|(limit, span)| Window::new(limit.clamp(1, PER_HOUR_MAX), span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};

    const SECOND: i64 = 1_000_000;

    fn home() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    fn limits(per_minute: u32, per_hour: u32) -> (Limits, Clock) {
        let clock = Clock::manual(Timestamp(0));
        (Limits::new(per_minute, per_hour, 1000, clock.instant()), clock)
    }

    #[test]
    fn the_61st_rapid_request_is_refused_and_another_client_is_not() {
        let (limits, clock) = limits(60, 1000);
        let mut seen = Vec::new();
        for _ in 0..80 {
            seen.push(limits.count(home(), clock.instant()).is_allowed());
            clock.advance(SECOND / 100);
        }
        assert_eq!(seen, [vec![true; 60], vec![false; 20]].concat());
        assert!(limits.count([192, 0, 2, 2].into(), clock.instant()).is_allowed());
        assert!(limits.count("2001:db8::1".parse().unwrap(), clock.instant()).is_allowed());
    }

    #[test]
    fn a_steady_pace_within_a_limit_never_meets_it_however_long_it_goes_on() {
        // Contract 04 §7.2. Fifty a minute are three thousand an hour, which its other limit would refuse.
        let (by_minute, clock) = limits(60, PER_HOUR_MAX);
        for turn in 0..3000 {
            assert!(by_minute.count(home(), clock.instant()).is_allowed(), "{turn}");
            clock.advance(60 * SECOND / 50);
        }
        let (both, clock) = limits(60, 1000);
        for turn in 0..5000 {
            assert!(both.count(home(), clock.instant()).is_allowed(), "{turn}");
            clock.advance(3600 * SECOND / 1000);
        }
        // What the original refused: two a minute, and one in 61 seconds.
        for every in [30, 61] {
            let (both, clock) = limits(60, 1000);
            for turn in 0..1500 {
                assert!(both.count(home(), clock.instant()).is_allowed(), "{turn} at one in {every} s");
                clock.advance(every * SECOND);
            }
        }
    }

    #[test]
    fn a_steady_rate_of_exactly_the_limit_is_never_refused() {
        let (limits, clock) = limits(60, 3600);
        for turn in 0..7200 {
            assert!(limits.count(home(), clock.instant()).is_allowed(), "{turn}");
            clock.advance(SECOND);
        }
    }

    #[test]
    fn other_limits_keep_what_was_counted() {
        let (limits, clock) = limits(2, 1000);
        let now = clock.instant();
        assert_eq!([(); 3].map(|()| limits.count(home(), now).is_allowed()), [true, true, false]);
        let wider = limits.with(3, 1000);
        assert_eq!([(); 2].map(|()| wider.count(home(), now).is_allowed()), [true, false]);
    }

    #[test]
    fn memory_is_bounded_and_small_where_little_is_asked() {
        assert!(Limits::memory_max(1000, CLIENTS_MAX) < 40 << 20);
        assert_eq!(Limits::memory_max(u32::MAX, 1), Limits::memory_max(PER_HOUR_MAX, 1));
        assert!(size_of::<(u64, Log)>() <= 64, "a client that asks a few times takes some tens of bytes beside");
    }
}
