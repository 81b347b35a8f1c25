//! The thread that accepts connections and hands them to the shards.
//!
//! It never ends because of an error: out of descriptors (or any other accept error) is counted, logged
//! sparingly and tried again after [`RETRY`], while the kernel's backlog keeps the callers. A connection over
//! the caps gets a 503 and is closed; a few such are held for a moment so that the answer is read before the
//! close reaches the client ([`REFUSED_MAX`]).

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;

use super::mailbox::{Mailbox, Message};
use super::response::{self, Manner, Response};
use crate::clock::Clock;
use crate::observe::metrics::{self, show};
use crate::observe::repeat::Sampler;

/// How long to wait after an accept error before the next try.
const RETRY: Duration = Duration::from_millis(100);
/// How long a refused connection is held so that its client can read the refusal.
const REFUSED_FOR: Duration = Duration::from_millis(500);
/// How many refused connections are held at once; the oldest goes first.
const REFUSED_MAX: usize = 16;

/// How many callers are still taken when the server stops.
const LAST_CALL_MAX: usize = 4096;

const LISTENER: Token = Token(0);
const WAKE: Token = Token(1);

/// How many connections may be open, and who is not counted by address.
pub struct Caps {
    /// Open connections in all.
    pub connections: usize,
    /// Open connections per client address, IPv6 by /64.
    pub per_address: usize,
    /// Addresses that the per-address cap does not concern: trusted proxies.
    pub exempt: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// Open connections, counted; shared by the acceptor and every open connection.
pub(crate) struct Slots {
    caps: Caps,
    metrics: Arc<metrics::Net>,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One open connection's place in the counts, given back on drop whatever way the connection ends.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: Option<IpAddr>,
}

/// Which cap refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Address,
}

impl Slots {
    pub(crate) fn new(caps: Caps, metrics: Arc<metrics::Net>) -> Self {
        show(&metrics.connections_limit, caps.connections);
        Self { caps, metrics, open: AtomicUsize::new(0), by_address: Mutex::new(HashMap::new()) }
    }

    /// Takes a slot beyond the caps, for the server's own calls: a full house is no dead one.
    pub(crate) fn take_beyond(self: &Arc<Self>) -> Slot {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.inc();
        Slot { slots: Arc::clone(self), address: None }
    }

    /// Takes a slot. Only the acceptor calls this, so checking before counting cannot race.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Slot, Full> {
        if self.open.load(Ordering::Relaxed) >= self.caps.connections {
            return Err(Full::Connections);
        }
        let address = (!(self.caps.exempt)(peer)).then(|| network_of(peer));
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

/// What counts as one client: an IPv4 address, or an IPv6 /64, since a household has a whole one.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A connection on its way to a shard.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: IpAddr,
    /// Held for as long as the connection lives; its drop gives the place back.
    pub(crate) _slot: Slot,
}

/// How other threads reach the acceptor.
pub(crate) struct Control {
    stop_asked: AtomicBool,
    /// Who stands at the staff door, and for which shard; there is room for one.
    caller: Mutex<Option<(TcpStream, usize)>>,
    waker: Waker,
}

impl Control {
    /// Tells the acceptor to stop.
    pub(crate) fn stop(&self) {
        self.stop_asked.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            log::error!(error = error.to_string(); "acceptor.wake_failed");
        }
    }

    /// Hands over a connection that did not come over the network. One that still stands there is sent away.
    pub(crate) fn call(&self, stream: TcpStream, shard: usize) -> std::io::Result<()> {
        let mut caller = self.caller.lock();
        // Looked at under the lock: the acceptor's last act is to empty this place, after it was asked to stop.
        if self.stop_asked.load(Ordering::Acquire) {
            return Err(ErrorKind::NotConnected.into());
        }
        *caller = Some((stream, shard));
        drop(caller);
        self.waker.wake()
    }

    fn take_caller(&self) -> Option<(TcpStream, usize)> {
        self.caller.lock().take()
    }
}

pub(crate) struct Acceptor<N> {
    poll: Poll,
    listener: TcpListener,
    control: Arc<Control>,
    slots: Arc<Slots>,
    shards: Vec<Arc<Mailbox<N>>>,
    next_shard: usize,
    refusals: Sampler,
    errors: Sampler,
    refused: VecDeque<(TcpStream, Instant)>,
    refusal: Response,
    clock: Clock,
}

impl<N> Acceptor<N> {
    /// `refusal`: what a connection over the caps is given.
    pub(crate) fn new(
        mut listener: TcpListener,
        caps: Caps,
        metrics: Arc<metrics::Net>,
        shards: Vec<Arc<Mailbox<N>>>,
        refusal: Response,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let control = Arc::new(Control { stop_asked: AtomicBool::new(false), caller: Mutex::new(None), waker });
        let slots = Arc::new(Slots::new(caps, metrics));
        let refused = VecDeque::with_capacity(REFUSED_MAX);
        Ok(Self {
            poll,
            listener,
            control,
            slots,
            shards,
            next_shard: 0,
            refusals: Sampler::new(),
            errors: Sampler::new(),
            refused,
            refusal,
            clock,
        })
    }

    pub(crate) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Accepts until told to stop; then the listener closes.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(8);
        let mut retry = false;
        loop {
            let timeout = if retry { Some(RETRY) } else { self.refused.front().map(|_| REFUSED_FOR) };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != ErrorKind::Interrupted
            {
                self.count_error(&error);
            }
            if self.control.stop_asked.load(Ordering::Acquire) {
                self.last_call();
                drop(self.control.take_caller());
                return;
            }
            self.let_go_of_refused();
            retry = !self.accept_all();
            self.open_staff_door(!retry);
        }
    }

    /// Accepts until nothing waits (true) or accept fails (false: try again later). Callers who never cease must not
    /// keep it from being told to stop.
    fn accept_all(&mut self) -> bool {
        while !self.control.stop_asked.load(Ordering::Acquire) {
            match self.listener.accept() {
                Ok((stream, peer)) => self.place(stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                // The caller left, or a signal came, before we got to it: nothing is wrong here.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.count_error(&error);
                    // Out of descriptors, most likely: those already refused give theirs back first.
                    while !self.refused.is_empty() {
                        self.drop_oldest_refused();
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Takes those whom the kernel has already let in: closing the listener would turn them away.
    fn last_call(&mut self) {
        for _ in 0..LAST_CALL_MAX {
            match self.listener.accept() {
                Ok((stream, peer)) => self.place(stream, peer),
                Err(_) => return,
            }
        }
    }

    /// Hands who stands at the staff door to its shard; sends them away while nobody can come in at the front.
    fn open_staff_door(&mut self, accepting: bool) {
        let Some((stream, shard)) = self.control.take_caller().filter(|_| accepting) else { return };
        let (peer, slot) = (IpAddr::V4(Ipv4Addr::LOCALHOST), self.slots.take_beyond());
        if let Some(shard) = self.shards.get(shard) {
            shard.post(Message::Accepted(Accepted { stream, peer, _slot: slot }));
        }
    }

    fn place(&mut self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip();
        match self.slots.take(peer) {
            Ok(slot) => {
                // Answers leave whole; waiting for an ACK to fill a segment would only delay them.
                let _ = stream.set_nodelay(true);
                self.shards[self.next_shard].post(Message::Accepted(Accepted { stream, peer, _slot: slot }));
                self.next_shard = (self.next_shard + 1) % self.shards.len();
            }
            Err(full) => {
                let metrics = &self.slots.metrics;
                match full {
                    Full::Connections => metrics.refused_connections.inc(),
                    Full::Address => metrics.refused_address.inc(),
                };
                if let Some(refused) = self.refusals.hit() {
                    log::warn!(cap = format!("{full:?}"), peer = peer.to_string(), refused; "connection.refused");
                }
                self.refuse(stream);
            }
        }
    }

    fn refuse(&mut self, mut stream: TcpStream) {
        // A fresh socket's send buffer is empty and takes the refusal whole; a client already gone does not matter.
        let mut answer = Vec::new();
        let date = response::http_date(self.clock.now().0.div_euclid(1_000_000));
        response::encode(
            &self.refusal,
            Manner { head_only: false, http11: true, keep_alive: false },
            &date,
            &mut answer,
        );
        let _ = stream.write(&answer);
        let _ = stream.shutdown(Shutdown::Write);
        if self.refused.len() == REFUSED_MAX {
            self.drop_oldest_refused();
        }
        self.refused.push_back((stream, self.clock.instant() + REFUSED_FOR));
    }

    fn let_go_of_refused(&mut self) {
        let now = self.clock.instant();
        while self.refused.front().is_some_and(|(_, until)| *until <= now) {
            self.drop_oldest_refused();
        }
    }

    /// Reads what the client sent first: closing on unread bytes would reset the connection and take the answer along.
    fn drop_oldest_refused(&mut self) {
        if let Some((mut stream, _)) = self.refused.pop_front() {
            let _ = stream.read(&mut [0; 4096]);
        }
    }

    fn count_error(&self, error: &std::io::Error) {
        self.slots.metrics.accept_errors.inc();
        if let Some(errors) = self.errors.hit() {
            log::error!(error = error.to_string(), errors; "accept.failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(connections: usize, per_address: usize) -> Arc<Slots> {
        let exempt = Box::new(|address: IpAddr| address == IpAddr::from([10, 0, 0, 1]));
        Arc::new(Slots::new(Caps { connections, per_address, exempt }, Arc::default()))
    }

    #[test]
    fn slots_are_counted_and_given_back() {
        let slots = slots(3, 2);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = slots.take(one).ok().unwrap();
        let _second = slots.take(one).ok().unwrap();
        assert_eq!(slots.take(one).err(), Some(Full::Address));
        let _third = slots.take(other).ok().unwrap();
        assert_eq!(slots.take(other).err(), Some(Full::Connections));
        drop(first);
        assert!(slots.take(one).is_ok());
        assert_eq!(slots.by_address.lock().len(), 2);
        assert_eq!((slots.metrics.connections.get(), slots.metrics.connections_limit.get()), (2, 3));
    }

    #[test]
    fn the_servers_own_calls_are_counted_and_never_refused() {
        let slots = slots(1, 1);
        let client = slots.take(IpAddr::from([127, 0, 0, 1])).ok().unwrap();
        let own = slots.take_beyond();
        assert_eq!((slots.open.load(Ordering::Relaxed), slots.metrics.connections.get()), (2, 2));
        drop(client);
        assert_eq!(slots.take(IpAddr::from([127, 0, 0, 1])).err(), Some(Full::Connections));
        drop(own);
        assert_eq!(slots.metrics.connections.get(), 0);
        assert!(slots.take(IpAddr::from([127, 0, 0, 1])).is_ok());
    }

    #[test]
    fn a_trusted_proxy_may_open_as_many_as_it_likes() {
        let slots = slots(10, 1);
        let proxy = IpAddr::from([10, 0, 0, 1]);
        let _open: Vec<_> = (0..5).map(|_| slots.take(proxy).ok().unwrap()).collect();
        assert!(slots.by_address.lock().is_empty());
    }

    #[test]
    fn ipv6_is_counted_by_64_and_mapped_ipv4_as_ipv4() {
        let parse = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3:4:5:6"), parse("2001:db8:1:2::9"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
        assert_eq!(parse("::ffff:192.0.2.7"), parse("192.0.2.7"));
    }
}
