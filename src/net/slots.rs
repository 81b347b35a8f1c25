//! The places of open connections: counted in all and by address, given back by their own drop.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::counters::Counters;
use super::listener::{Peer, Stream};

/// How many connections may be open, and who is not counted by address.
pub struct Caps {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections per client address, IPv6 by /64.
    pub per_address: usize,
    /// Whom the cap per address does not concern: trusted proxies.
    pub exempt: Box<dyn Fn(Peer) -> bool + Send + Sync>,
}

/// Open connections, counted; shared by the acceptor and every open connection.
pub(crate) struct Slots {
    caps: Caps,
    metrics: Arc<Counters>,
    open: AtomicUsize,
    by_address: Mutex<HashMap<Peer, usize>>,
}

/// One open connection's place in the counts, given back on drop whatever way the connection ends.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: Option<Peer>,
}

/// Which cap refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Address,
}

impl Slots {
    pub(crate) fn new(caps: Caps, metrics: Arc<Counters>) -> Self {
        Self { caps, metrics, open: AtomicUsize::new(0), by_address: Mutex::new(HashMap::new()) }
    }

    /// Takes a slot beyond the caps, for the server's own calls: a full house is no dead one.
    pub(crate) fn take_beyond(self: &Arc<Self>) -> Slot {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.inc();
        Slot { slots: Arc::clone(self), address: None }
    }

    /// Takes a slot. Only the acceptor calls this, so checking before counting cannot race.
    pub(crate) fn take(self: &Arc<Self>, peer: Peer) -> Result<Slot, Full> {
        if self.open.load(Ordering::Relaxed) >= self.caps.connections {
            return Err(Full::Connections);
        }
        let address = (!(self.caps.exempt)(peer)).then(|| one_client(peer));
        if let Some(address) = address {
            let mut by_address = self.by_address.lock();
            let open = by_address.entry(address).or_insert(0);
            if *open >= self.caps.per_address {
                return Err(Full::Address);
            }
            *open += 1;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.inc();
        Ok(Slot { slots: Arc::clone(self), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.fetch_sub(1, Ordering::Relaxed);
        self.slots.metrics.connections.dec();
        let Some(address) = self.address else { return };
        let mut by_address = self.slots.by_address.lock();
        if let Some(open) = by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// What the cap per address counts as one client. All callers through Unix sockets are one.
pub(super) fn one_client(peer: Peer) -> Peer {
    match peer {
        Peer::Ip(address) => Peer::Ip(network_of(address)),
        Peer::Unix => Peer::Unix,
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64, since a household has a whole one.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A connection on its way to a shard.
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) peer: Peer,
    /// The number of the door that it came through.
    pub(crate) door: usize,
    /// Held for as long as the connection lives; its drop gives the place back.
    pub(crate) _slot: Slot,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: [u8; 4]) -> Peer {
        Peer::Ip(address.into())
    }

    fn slots(connections: usize, per_address: usize) -> Arc<Slots> {
        let exempt = Box::new(|peer| peer == ip([10, 0, 0, 1]));
        Arc::new(Slots::new(Caps { connections, per_address, exempt }, Arc::default()))
    }

    #[test]
    fn slots_are_counted_and_given_back() {
        let slots = slots(3, 2);
        let (one, other) = (ip([127, 0, 0, 1]), ip([127, 0, 0, 2]));
        let first = slots.take(one).ok().unwrap();
        let _second = slots.take(one).ok().unwrap();
        assert_eq!(slots.take(one).err(), Some(Full::Address));
        let _third = slots.take(other).ok().unwrap();
        assert_eq!(slots.take(other).err(), Some(Full::Connections));
        drop(first);
        assert!(slots.take(one).is_ok());
        assert_eq!(slots.by_address.lock().len(), 2);
        assert_eq!(slots.metrics.connections.get(), 2);
    }

    #[test]
    fn the_servers_own_calls_are_counted_and_never_refused() {
        let slots = slots(1, 1);
        let client = slots.take(ip([127, 0, 0, 1])).ok().unwrap();
        let own = slots.take_beyond();
        assert_eq!((slots.open.load(Ordering::Relaxed), slots.metrics.connections.get()), (2, 2));
        drop(client);
        assert_eq!(slots.take(ip([127, 0, 0, 1])).err(), Some(Full::Connections));
        drop(own);
        assert_eq!(slots.metrics.connections.get(), 0);
        assert!(slots.take(ip([127, 0, 0, 1])).is_ok());
    }

    #[test]
    fn a_trusted_proxy_may_open_as_many_as_it_likes() {
        let slots = slots(10, 1);
        let proxy = ip([10, 0, 0, 1]);
        let _open: Vec<_> = (0..5).map(|_| slots.take(proxy).ok().unwrap()).collect();
        assert!(slots.by_address.lock().is_empty());
    }

    #[test]
    fn callers_through_unix_sockets_are_one_client() {
        let slots = slots(10, 1);
        let _open = slots.take(Peer::Unix).ok().unwrap();
        assert_eq!(slots.take(Peer::Unix).err(), Some(Full::Address));
    }

    #[test]
    fn ipv6_is_counted_by_64_and_mapped_ipv4_as_ipv4() {
        let parse = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::9"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_eq!(parse("::ffff:192.0.2.7"), parse("192.0.2.7"));
    }
}
