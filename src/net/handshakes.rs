//! Connections of a shard that shake hands, the oldest first.
//!
//! A handshake is all that a stranger can have us work and wait for without asking anything, so those who are in one are counted by
//! themselves: however many there are, they take no more places than [`HANDSHAKES_MAX`] from those who are served.

use std::collections::BTreeMap;

/// Handshakes under way on a shard. An honest one takes two round trips.
pub(super) const HANDSHAKES_MAX: usize = 256;

/// When a handshake began, among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Begun(u64);

/// Which connections shake hands.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    by_age: BTreeMap<Begun, usize>,
    next: u64,
}

impl Handshakes {
    /// One more; and the connection that has to go for it, if there are too many: that which has taken longest.
    pub(crate) fn begin(&mut self, connection: usize) -> (Begun, Option<usize>) {
        let begun = Begun(self.next);
        self.next += 1;
        self.by_age.insert(begun, connection);
        let oldest = (self.by_age.len() > HANDSHAKES_MAX).then(|| self.by_age.pop_first());
        (begun, oldest.flatten().map(|(_, connection)| connection))
    }

    /// It is over, one way or the other.
    pub(crate) fn end(&mut self, begun: Begun) {
        self.by_age.remove(&begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_when_there_are_too_many_and_who_is_done_is_not_counted() {
        let mut handshakes = Handshakes::default();
        let begun: Vec<_> = (0..HANDSHAKES_MAX).map(|connection| handshakes.begin(connection)).collect();
        assert!(begun.iter().all(|(_, gone)| gone.is_none()));
        assert_eq!(handshakes.begin(1000).1, Some(0));
        handshakes.end(begun[1].0);
        assert_eq!(handshakes.begin(1001).1, None);
        assert_eq!(handshakes.begin(1002).1, Some(2));
        assert_eq!(handshakes.by_age.len(), HANDSHAKES_MAX);
    }
}
