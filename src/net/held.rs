//! What a shard holds in memory for its clients, and who is let go when it is too much.
//!
//! Whoever comes when there is no room has done nothing wrong, so it is never simply the last one: of the address for which
//! most is held, the connection for which most is held goes.

use std::collections::HashMap;

use super::listener::Peer;
use super::slots::one_client;

/// What the clients of one shard may have it hold, all together: answers that they have not taken, and requests and messages
/// that they have not finished.
pub(crate) const HELD_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The sum over the connections of a shard.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    max: usize,
}

/// One connection's part of the sum.
#[derive(Debug, Default)]
pub(crate) struct Share(usize);

impl Held {
    /// Nothing so far, and at most so much.
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: 0, max }
    }

    /// The share is so much now.
    pub(crate) fn settle(&mut self, share: &mut Share, bytes: usize) {
        self.bytes = self.bytes - share.0 + bytes;
        share.0 = bytes;
    }

    /// Whether it is too much. One share alone is not, however large: it is one answer, and nobody else is there to suffer.
    pub(crate) fn is_too_much(&self, last: &Share) -> bool {
        self.bytes > self.max && self.bytes > last.0
    }
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.0
    }
}

/// Who is to go: of the client for whom most is held, the connection for which most is.
pub(crate) fn heaviest(holders: impl Iterator<Item = (usize, Peer, usize)> + Clone) -> Option<usize> {
    let mut by_client: HashMap<Peer, usize> = HashMap::new();
    for (_, peer, bytes) in holders.clone() {
        *by_client.entry(one_client(peer)).or_default() += bytes;
    }
    let (client, _) = by_client.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    let own = holders.filter(|(_, peer, _)| one_client(*peer) == client);
    own.max_by_key(|(_, _, bytes)| *bytes).map(|(key, _, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_most_goes_and_an_address_counts_as_one() {
        let from = |address: &str| Peer::Ip(address.parse().unwrap());
        let (hog, other) = (from("2001:db8::1"), from("192.0.2.7"));
        let holders = [(0, other, 50), (1, hog, 20), (2, from("2001:db8::2"), 40), (3, hog, 1)];
        assert_eq!(heaviest(holders.into_iter()), Some(2), "61 for a /64 is more than 50 for an address");
        assert_eq!(heaviest(holders[..2].iter().copied()), Some(0));
        assert_eq!(heaviest([].into_iter()), None);
    }

    #[test]
    fn what_all_clients_together_do_not_read_is_bounded_and_one_alone_is_not() {
        let mut held = Held::new(100);
        let (mut one, mut other) = (Share::default(), Share::default());
        held.settle(&mut one, 300);
        assert!(!held.is_too_much(&one));
        held.settle(&mut other, 1);
        assert!(held.is_too_much(&one) && held.is_too_much(&other));
        held.settle(&mut one, 99);
        assert!(!held.is_too_much(&other));
        held.settle(&mut one, 0);
        held.settle(&mut other, 0);
        assert_eq!(held.bytes, 0);
    }
}
