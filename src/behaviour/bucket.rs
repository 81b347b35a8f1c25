//! How often an address may send: the leaky bucket of nginx, exactly (contract 02 §1.4), and a bounded number of them.
//!
//! A bucket fills by one with each request that is accepted and leaks at its rate; one that would be fuller than the burst is
//! refused and changes nothing. A request after a while leaves it empty, so that a burst of 10 takes 11 at once, as there. Times
//! are whole milliseconds, as there. (The formula of the contract fills it by one in that case. Its measurements say otherwise,
//! and so does nginx: what leaks is taken off after the request was put in.)

use std::net::IpAddr;
use std::num::NonZeroU64;

use crate::gate::limit::addresses::Addresses;

/// Addresses that are told apart, as many as fit nginx' zone of 10 MB. When there are more, of some that stand together in the
/// table the one that was seen longest ago is forgotten.
pub(super) const ADDRESSES_MAX: usize = 160_000;
/// What one request adds.
const REQUEST: u64 = 1000;

/// The limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Requests that leak away in a second; with 0 everything is refused.
    pub(super) per_second: u32,
    /// How full a bucket may be.
    pub(super) burst: u32,
}

/// A bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    /// Thousandths of requests in it.
    excess: u64,
    /// The millisecond after that was so: never 0, so that a place in the table takes no more than its numbers.
    until_ms: NonZeroU64,
}

impl Rate {
    /// The bucket after one more request; none if that is refused.
    fn admit(self, bucket: Option<Bucket>, now_ms: u64) -> Option<Bucket> {
        if self.per_second == 0 {
            return None;
        }
        let now = NonZeroU64::MIN.saturating_add(now_ms);
        let Some(Bucket { excess, until_ms }) = bucket else { return Some(Bucket { excess: 0, until_ms: now }) };
        // Requests a second are thousandths of them a millisecond.
        let leaked = now.get().saturating_sub(until_ms.get()).saturating_mul(u64::from(self.per_second));
        let excess = excess.saturating_add(REQUEST).saturating_sub(leaked);
        (excess <= u64::from(self.burst) * REQUEST).then_some(Bucket { excess, until_ms: now })
    }
}

/// The buckets of all addresses.
pub(super) struct Buckets(Addresses<Option<Bucket>>);

impl Buckets {
    /// All of them empty.
    pub(super) fn new() -> Self {
        Self(Addresses::new(ADDRESSES_MAX))
    }

    /// Whether one more request from there is admitted. `now_ms` is by a clock that never goes back.
    pub(super) fn admit(&self, client: IpAddr, rate: Rate, now_ms: u64) -> bool {
        self.0.with(client, |bucket| {
            let admitted = rate.admit(*bucket, now_ms);
            *bucket = admitted.or(*bucket);
            admitted.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { per_second: 5, burst: 10 };

    fn home() -> IpAddr {
        Ipv4Addr::new(192, 0, 2, 1).into()
    }

    /// How many of so many requests pass, each so many milliseconds after the one before.
    fn passed(buckets: &Buckets, count: u64, from_ms: u64, gap: impl Fn(u64) -> u64) -> usize {
        (0..count).filter(|nth| buckets.admit(home(), RATE, from_ms + gap(*nth))).count()
    }

    #[test]
    fn the_contracts_measurements() {
        let at_once = Buckets::new();
        assert_eq!(passed(&at_once, 25, 7, |_| 0), 11);
        assert_eq!(passed(&at_once, 10, 1007, |_| 0), 5, "one slot each 200 ms");
        assert_eq!(passed(&at_once, 1, 1206, |_| 0), 0);
        assert_eq!(passed(&at_once, 2, 1207, |_| 0), 1);
        assert_eq!(passed(&at_once, 25, 100_000, |_| 0), 11, "as if nobody knew it");
        assert_eq!(passed(&Buckets::new(), 20, 0, |nth| nth * 50), 15);
        assert_eq!(passed(&Buckets::new(), 90, 0, |nth| nth * 1000 / 6), 85);
    }

    #[test]
    fn other_rates_and_none() {
        let buckets = Buckets::new();
        let admitted = |rate, at| (0..100).filter(|_| buckets.admit(home(), rate, at)).count();
        assert_eq!(admitted(Rate { per_second: 0, burst: 10 }, 0), 0);
        assert_eq!(admitted(Rate { per_second: 1, burst: 0 }, 0), 1);
        assert_eq!(admitted(Rate { per_second: 1, burst: 3 }, 0), 3);
        assert_eq!(admitted(Rate { per_second: u32::MAX, burst: u32::MAX }, u64::MAX), 100);
        assert_eq!(admitted(RATE, 0), 0, "a clock that goes back leaks nothing");
    }

    #[test]
    fn addresses_have_each_their_own_and_networks_of_ipv6_one() {
        let buckets = Buckets::new();
        let count = |address: &str| (0..50).filter(|_| buckets.admit(address.parse().unwrap(), RATE, 0)).count();
        assert_eq!((count("192.0.2.1"), count("192.0.2.2"), count("::ffff:192.0.2.1")), (11, 11, 0));
        assert_eq!((count("2001:db8::1"), count("2001:db8::2"), count("2001:db8:0:1::1")), (11, 0, 11));
    }

    #[test]
    fn a_million_addresses_fit_the_table_and_the_one_that_comes_back_is_known() {
        let buckets = Buckets::new();
        assert_eq!(passed(&buckets, 20, 0, |_| 0), 11);
        for number in 0..1_000_000_u32 {
            assert!(buckets.admit(Ipv4Addr::from_bits(number).into(), RATE, 0), "a newcomer is admitted");
            if number % 1000 == 0 {
                assert!(!buckets.admit(home(), RATE, 0), "who keeps asking is not forgotten: {number}");
            }
        }
        let (taken, room) = buckets.0.places();
        assert!((100_000..=ADDRESSES_MAX).contains(&taken), "{taken}");
        assert!(room * size_of::<(u64, Option<Bucket>)>() <= ADDRESSES_MAX * 24, "all there will ever be");
    }

    proptest! {
        /// Against nginx' formula in fractions.
        #[test]
        fn a_bucket_does_what_nginx_does(
            per_second in 1..50_u32, burst in 0..30_u32, gaps in prop::collection::vec(0..900_u64, 1..200),
        ) {
            let (rate, mut bucket, mut now) = (Rate { per_second, burst }, None, 0);
            let mut model: Option<(f64, u64)> = None;
            for gap in gaps {
                now += gap;
                let next = match model {
                    None => Some(0.0),
                    Some((excess, at)) => {
                        let excess = (excess - f64::from(per_second) * (now - at) as f64 / 1000.0 + 1.0).max(0.0);
                        (excess <= f64::from(burst) + 1e-9).then_some(excess)
                    }
                };
                let admitted = rate.admit(bucket, now);
                prop_assert_eq!(admitted.is_some(), next.is_some());
                model = next.map(|excess| (excess, now)).or(model);
                bucket = admitted.or(bucket);
            }
        }
    }
}
