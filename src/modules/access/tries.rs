//! How often an address may try a password.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::modules::limits::logs::Logs;
use crate::modules::limits::sliding::Window;

/// Wrong tries that an address has.
pub const TRIES_MAX: u32 = 10;

/// Within so long.
pub const TRIES_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Addresses that are told apart.
pub const ADDRESSES_MAX: usize = 4096;

/// What was tried. Shards share it.
#[derive(Debug)]
pub struct Tries {
    taken: Logs,
    window: [Window; 1],
}

impl Tries {
    /// With nothing tried. `began` is when its time begins.
    #[must_use]
    pub fn new(began: Instant) -> Self {
        Self { taken: Logs::new(ADDRESSES_MAX, began), window: [Window::new(TRIES_MAX, TRIES_WITHIN)] }
    }

    /// Takes one try, before anybody looks whether it is right: many at the same moment are as many tries. What is right gives
    /// it back ([`Tries::right`]).
    ///
    /// # Errors
    /// That there is none left: in so many seconds, rounded up, there is one again.
    pub fn take(&self, client: IpAddr, now: Instant) -> Result<(), u64> {
        let standing = self.taken.take(client, &self.window, now);
        let [wait_ms] = standing.wait_ms;
        if standing.allowed { Ok(()) } else { Err(u64::from(wait_ms.div_ceil(1000).max(1))) }
    }

    /// What was tried last was right and does not count. The wrong ones before it do: whoever shares an address with those who know
    /// the password does not get more tries by them.
    pub fn right(&self, client: IpAddr) {
        self.taken.give_back(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};

    const SECOND: i64 = 1_000_000;

    #[test]
    fn ten_wrong_ones_are_all_there_are_in_a_quarter_of_an_hour() {
        let clock = Clock::manual(Timestamp(0));
        let tries = Tries::new(clock.instant());
        let (home, away) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let take = |client| {
            clock.advance(SECOND);
            tries.take(client, clock.instant())
        };
        for _ in 0..100 {
            assert_eq!(take(home), Ok(()));
            tries.right(home);
        }
        assert!((0..10).all(|_| take(home).is_ok()));
        assert_eq!(take(home), Err(900 - 10));
        assert_eq!(take(home), Err(900 - 11), "a refusal makes nobody wait longer");
        assert_eq!(take(away), Ok(()));
        clock.advance((900 - 11) * SECOND);
        let at_once = [(); 3].map(|()| tries.take(home, clock.instant()));
        assert_eq!(at_once, [Ok(()), Ok(()), Err(1)], "those of the first two, and no more");
    }

    #[test]
    fn a_right_one_does_not_wipe_out_the_wrong_ones() {
        let clock = Clock::manual(Timestamp(0));
        let (tries, home) = (Tries::new(clock.instant()), [192, 0, 2, 1].into());
        for _ in 0..9 {
            tries.take(home, clock.instant()).unwrap();
        }
        tries.take(home, clock.instant()).unwrap();
        tries.right(home);
        tries.take(home, clock.instant()).unwrap();
        assert_eq!(tries.take(home, clock.instant()), Err(900));
    }
}
