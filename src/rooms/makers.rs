//! Who has made rooms lately (contract 03 §4.6): a room is made by the first who changes it. Pure: the time is given.
//!
//! Of each user one moment is kept: when they may make as many rooms at once again as at first. Each room puts it off by its
//! share of an hour, and it may not lie further away than an hour.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::HOUR;

/// Users of whom it is kept. With more, only who is kept makes rooms, until somebody's time is over.
pub(super) const MAKERS_MAX: usize = 10_000;

/// Users who have made rooms within the last hour.
#[derive(Debug, Default)]
pub(super) struct Makers {
    even_at: HashMap<Arc<str>, Instant>,
}

/// Leave to make one room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leave(Instant);

impl Makers {
    /// Whether this user may make a room, at most `per_hour` (at least 1) at once and as many within an hour after that.
    ///
    /// # Errors
    /// How long it will be until then.
    pub(super) fn may_make(&mut self, user: &str, per_hour: u32, now: Instant) -> Result<Leave, Duration> {
        let each = HOUR / per_hour.max(1);
        let known = self.even_at.get(user).copied();
        if known.is_none() && self.even_at.len() >= MAKERS_MAX {
            self.even_at.retain(|_, at| *at > now);
            if self.even_at.len() >= MAKERS_MAX {
                return Err(each);
            }
        }
        let even_at = known.map_or(now, |at| at.max(now)) + each;
        let wait = even_at.saturating_duration_since(now + HOUR);
        if wait.is_zero() { Ok(Leave(even_at)) } else { Err(wait) }
    }

    /// They have.
    pub(super) fn made(&mut self, user: &Arc<str>, Leave(even_at): Leave) {
        self.even_at.insert(Arc::clone(user), even_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn make(makers: &mut Makers, user: &str, now: Instant) -> Result<(), Duration> {
        let leave = makers.may_make(user, 60, now)?;
        makers.made(&user.into(), leave);
        Ok(())
    }

    #[test]
    fn a_user_makes_so_many_rooms_at_once_and_then_one_a_minute() {
        let (mut makers, now) = (Makers::default(), Clock::system().instant());
        let minute = Duration::from_secs(60);
        for _ in 0..60 {
            assert_eq!(make(&mut makers, "alice", now), Ok(()));
        }
        assert_eq!(make(&mut makers, "alice", now), Err(minute));
        assert_eq!(make(&mut makers, "alice", now + Duration::from_secs(59)), Err(Duration::from_secs(1)));
        assert_eq!(make(&mut makers, "bob", now), Ok(()), "others have their own");
        assert_eq!(make(&mut makers, "alice", now + minute), Ok(()));
        assert_eq!(make(&mut makers, "alice", now + minute), Err(minute));
        let leave = makers.may_make("carol", 60, now);
        assert_eq!(leave, makers.may_make("carol", 60, now), "who did not make one in the end has lost nothing");
    }

    #[test]
    fn only_so_many_users_are_kept_and_beyond_that_nobody_new_makes_a_room() {
        let (mut makers, now) = (Makers::default(), Clock::system().instant());
        for user in 0..MAKERS_MAX {
            assert_eq!(make(&mut makers, &user.to_string(), now), Ok(()));
        }
        assert!(make(&mut makers, "alice", now).is_err());
        assert_eq!(make(&mut makers, "7", now), Ok(()), "who is kept goes on");
        assert_eq!(make(&mut makers, "alice", now + Duration::from_secs(60)), Ok(()));
        assert_eq!(makers.even_at.len(), 2);
    }
}
