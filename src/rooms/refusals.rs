//! Who was refused a room lately (contract 03 §3.3). A stock client that is let in and closed comes back eight times a second;
//! one whose handshake is refused backs off. So the first refusal is told in a socket, where a page can see the reason, and
//! the same again within a minute is a plain answer. Pure: the time is given.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a refusal is remembered.
pub(super) const KEPT_SECONDS: u64 = 60;
/// How many are remembered. Beyond it everybody is refused plainly, which is what a storm deserves.
pub(super) const REFUSALS_MAX: usize = 10_000;

/// Who, where and with what, as one number that nobody can foresee.
pub(super) type Case = u64;

/// The refusals of the last minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    seen: HashMap<Case, Instant>,
    hasher: std::hash::RandomState,
}

impl Refusals {
    /// The case of an address that asks for a room with a token.
    pub(super) fn case(&self, from: IpAddr, room: &str, token: &[u8]) -> Case {
        use std::hash::BuildHasher as _;
        self.hasher.hash_one((from, room, token))
    }

    /// Whether this refusal is to be told in a socket. If not, how long the client should wait.
    ///
    /// # Errors
    /// The time until it would be.
    pub(super) fn tell(&mut self, case: Case, now: Instant) -> Result<(), Duration> {
        let kept = Duration::from_secs(KEPT_SECONDS);
        if let Some(at) = self.seen.get(&case) {
            let left = (*at + kept).saturating_duration_since(now);
            if !left.is_zero() {
                return Err(left);
            }
        }
        if self.seen.len() >= REFUSALS_MAX {
            self.seen.retain(|_, at| *at + kept > now);
            if self.seen.len() >= REFUSALS_MAX {
                return Err(kept);
            }
        }
        self.seen.insert(case, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_same_refusal_is_told_once_a_minute() {
        let (mut refusals, now) = (Refusals::default(), Clock::system().instant());
        let case = refusals.case(HOME, "a", b"t");
        assert_eq!(refusals.tell(case, now), Ok(()));
        assert_eq!(refusals.tell(case, now + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        for other in [refusals.case(HOME, "b", b"t"), refusals.case(HOME, "a", b"u")] {
            assert_eq!(refusals.tell(other, now), Ok(()), "another room and another token are told");
        }
        assert_eq!(refusals.tell(case, now + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn only_so_many_are_remembered_and_beyond_that_nobody_is_let_in_to_be_told() {
        let (mut refusals, now) = (Refusals::default(), Clock::system().instant());
        for case in 0..REFUSALS_MAX as u64 {
            assert_eq!(refusals.tell(case, now), Ok(()));
        }
        assert_eq!(refusals.tell(u64::MAX, now), Err(Duration::from_secs(60)));
        assert_eq!(refusals.seen.len(), REFUSALS_MAX);
        assert_eq!(refusals.tell(u64::MAX, now + Duration::from_secs(61)), Ok(()));
        assert_eq!(refusals.seen.len(), 1);
    }
}
