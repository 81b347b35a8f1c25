//! The thread that accepts connections and hands them to the shards.
//!
//! It never ends because of an error: out of descriptors (or any other accept error) is counted, logged
//! sparingly and tried again after [`RETRY`], while the kernel's backlog keeps the callers. A connection over
//! the caps gets a 503 and is closed; a few such are held for a moment so that the answer is read before the
//! close reaches the client ([`REFUSED_MAX`]).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use parking_lot::Mutex;
use rustls::ServerConfig;

use super::counters::Counters;
use super::date::http_date;
use super::listener::{Listener, Peer, Polled, Stream};
use super::mailbox::{Mailbox, Message};
use super::response::Refusal;
use super::slots::{Accepted, Full, Slots};
use crate::clock::Clock;
use crate::observe::throttle::LogThrottle;

/// How long to wait after an accept error before the next try.
const RETRY: Duration = Duration::from_millis(100);
/// How long a refused connection is held so that its client can read the refusal.
const REFUSED_FOR: Duration = Duration::from_millis(500);
/// How many refused connections are held at once; the oldest goes first.
pub(super) const REFUSED_MAX: usize = 16;

/// How many callers are still taken when the server stops.
pub(super) const LAST_CALL_MAX: usize = 4096;

/// What who wants to speak TLS is told when there are too many: a fatal alert, `internal_error` (RFC 8446 §6).
const TLS_REFUSAL: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

const WAKE: Token = Token(0);
/// Of whichever listener: all are looked at.
const LISTENER: Token = Token(1);

/// How other threads reach the acceptor.
pub(crate) struct Control {
    stop_asked: AtomicBool,
    /// The loopback client's connection that waits, and the shard it is for; there is room for one.
    caller: Mutex<Option<(Stream, usize)>>,
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

    /// Hands over a connection of the loopback client. One that still waits is closed.
    pub(crate) fn call(&self, stream: Stream, shard: usize) -> std::io::Result<()> {
        let mut caller = self.caller.lock();
        // Looked at under the lock: the acceptor's last act is to empty this place, after it was asked to stop.
        if self.stop_asked.load(Ordering::Acquire) {
            return Err(ErrorKind::NotConnected.into());
        }
        *caller = Some((stream, shard));
        drop(caller);
        self.waker.wake()
    }

    fn take_caller(&self) -> Option<(Stream, usize)> {
        self.caller.lock().take()
    }
}

/// A door as the acceptor knows it.
pub(crate) struct Entrance {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) slots: Arc<Slots>,
    /// What a connection over the caps is given.
    pub(crate) refusal: Refusal,
    /// How connections over TCP are encrypted, if they are.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// A door with nothing but its counts and its refusal, beside its number.
struct Door {
    slots: Arc<Slots>,
    refusal: Refusal,
    tls: Option<Arc<ServerConfig>>,
}

pub(crate) struct Acceptor<N> {
    poll: Poll,
    /// Each with the number of its door.
    listeners: Vec<(Polled, usize)>,
    doors: Vec<Door>,
    control: Arc<Control>,
    metrics: Arc<Counters>,
    shards: Vec<Arc<Mailbox<N>>>,
    next_shard: usize,
    refusals: LogThrottle,
    errors: LogThrottle,
    refused: VecDeque<(Stream, Instant)>,
    clock: Clock,
}

impl<N> Acceptor<N> {
    pub(crate) fn new(
        entrances: Vec<Entrance>,
        metrics: Arc<Counters>,
        shards: Vec<Arc<Mailbox<N>>>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let (mut listeners, mut doors) = (Vec::new(), Vec::new());
        for (number, Entrance { listeners: these, slots, refusal, tls }) in entrances.into_iter().enumerate() {
            for listener in these {
                listeners.push((Polled::register(listener, poll.registry(), LISTENER)?, number));
            }
            doors.push(Door { slots, refusal, tls });
        }
        let waker = Waker::new(poll.registry(), WAKE)?;
        let control = Arc::new(Control { stop_asked: AtomicBool::new(false), caller: Mutex::new(None), waker });
        let refused = VecDeque::with_capacity(REFUSED_MAX);
        Ok(Self {
            poll,
            listeners,
            doors,
            control,
            metrics,
            shards,
            next_shard: 0,
            refusals: LogThrottle::new(),
            errors: LogThrottle::new(),
            refused,
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
            self.pass_on_caller(!retry);
        }
    }

    /// Accepts until nothing waits anywhere (true) or an accept fails (false: try again later).
    fn accept_all(&mut self) -> bool {
        let listeners = std::mem::take(&mut self.listeners);
        let mut worked = true;
        for (listener, door) in &listeners {
            worked &= self.accept_from(listener, *door);
        }
        self.listeners = listeners;
        worked
    }

    /// Callers who never cease must not keep it from being told to stop.
    fn accept_from(&mut self, listener: &Polled, door: usize) -> bool {
        while !self.control.stop_asked.load(Ordering::Acquire) {
            match listener.accept() {
                Ok((stream, peer)) => self.place(stream, peer, door),
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

    /// Takes those whom the kernel has already let in: closing the listeners would turn them away.
    fn last_call(&mut self) {
        for (listener, door) in std::mem::take(&mut self.listeners) {
            for _ in 0..LAST_CALL_MAX {
                match listener.accept() {
                    Ok((stream, peer)) => self.place(stream, peer, door),
                    Err(_) => break,
                }
            }
        }
    }

    /// Hands the loopback client's connection to its shard; closes it while `accept` fails.
    fn pass_on_caller(&mut self, accepting: bool) {
        let Some((stream, shard)) = self.control.take_caller().filter(|_| accepting) else { return };
        if let (Some(shard), Some(door)) = (self.shards.get(shard), self.doors.first()) {
            let (peer, slot) = (Peer::Ip(Ipv4Addr::LOCALHOST.into()), door.slots.take_beyond());
            shard.post(Message::Accepted(Accepted { stream, peer, door: 0, _slot: slot }));
        }
    }

    fn place(&mut self, stream: Stream, peer: Peer, door: usize) {
        match self.doors[door].slots.take(peer) {
            Ok(slot) => {
                stream.send_at_once();
                let stream = match &self.doors[door].tls {
                    Some(config) => stream.encrypted(config),
                    None => stream,
                };
                self.shards[self.next_shard].post(Message::Accepted(Accepted { stream, peer, door, _slot: slot }));
                self.next_shard = (self.next_shard + 1) % self.shards.len();
            }
            Err(full) => {
                match full {
                    Full::Connections => self.metrics.refused_connections.inc(),
                    Full::Address => self.metrics.refused_address.inc(),
                };
                if let Some(refused) = self.refusals.hit() {
                    log::warn!(cap = format!("{full:?}"), peer = peer.to_string(), refused; "connection.refused");
                }
                self.refuse(stream, door);
            }
        }
    }

    fn refuse(&mut self, mut stream: Stream, door: usize) {
        // A fresh socket's send buffer is empty and takes the refusal whole; a client already gone does not matter.
        let door = &self.doors[door];
        let _ = if door.tls.is_some() && matches!(stream, Stream::Tcp(_)) {
            stream.write(&TLS_REFUSAL)
        } else {
            stream.write(&door.refusal.dated(&http_date(self.clock.now().seconds())))
        };
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
        self.metrics.accept_errors.inc();
        if let Some(errors) = self.errors.hit() {
            log::error!(error = error.to_string(), errors; "accept.failed");
        }
    }
}
