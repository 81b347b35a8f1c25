//! The front door: one acceptor, a thread per shard, and how they stop.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::acceptor::{Acceptor, Control, Entrance};
use super::counters::Counters;
use super::http1::HeadLimits;
use super::listener::Listener;
use super::loopback::LoopbackClient;
use super::mailbox::{self, Mailbox};
use super::response::Refusal;
use super::service::{Notes, Service, Timeouts};
use super::shard;
use super::slots::{Caps, Slots};
use super::tls::server::Tls;
use crate::clock::Clock;
use crate::observe;
use crate::observe::metrics::set_usize;
use crate::pool::PoolHandle;
use crate::settings::Endpoint;

/// A door of the front: where it is, and what its connections may cost. Each shard has a service for it.
pub struct Door {
    /// What is listened on.
    pub listeners: Vec<Listener>,
    /// Bounds of its open connections; none: those of the door before it, which counts these as well.
    pub caps: Option<Caps>,
    /// Its listeners on TCP speak TLS; Unix sockets never do.
    pub tls: Option<Tls>,
}

/// How the front door is set up.
pub struct Options {
    /// What stands before the names of its threads; nothing for the public front.
    pub name: &'static str,
    /// Bounds of a head.
    pub limits: HeadLimits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Fetches what answers are streamed from.
    pub pool: PoolHandle,
    /// What counts connections and sockets.
    pub metrics: Arc<Counters>,
    /// Where time comes from.
    pub clock: Clock,
}

/// The running front door. `N` is what its shards take notes of.
pub struct Front<N> {
    /// Whether the addresses of its first door speak TLS.
    tls: bool,
    /// Those of each door.
    endpoints: Vec<Vec<Endpoint>>,
    control: Arc<Control>,
    acceptor: JoinHandle<()>,
    shards: Vec<(Arc<Mailbox<N>>, JoinHandle<()>)>,
    clock: Clock,
}

impl<N: Send + 'static> Front<N> {
    /// Starts a shard per seed, and the acceptor on the listeners of the doors. `make` runs on each shard's own thread and is
    /// given its seed, so what it makes need be neither sendable nor shareable: a service for each door, in their order, and
    /// what takes the shard's notes. Several fronts may run beside each other; nothing is shared between them.
    ///
    /// # Errors
    /// When the system refuses a poll, a thread or a listener's registration, or a door has no service, or the first no bounds.
    pub fn start<S, K, T, M>(doors: Vec<Door>, options: Options, seeds: Vec<T>, make: M) -> io::Result<Self>
    where
        S: Service + 'static,
        K: Notes<Note = N> + 'static,
        T: Send + 'static,
        M: Fn(T, Arc<Mailbox<N>>) -> (Vec<S>, K) + Send + Sync + 'static,
    {
        let Options { name, limits, timeouts, pool, metrics, clock } = options;
        let endpoints =
            doors.iter().map(|door| door.listeners.iter().filter_map(Listener::endpoint).collect()).collect();
        let caps = doors.iter().filter_map(|door| door.caps.as_ref());
        set_usize(&metrics.connections_limit, caps.map(|caps| caps.connections).sum());
        let tls = doors.first().is_some_and(|door| door.tls.is_some());
        let make = Arc::new(make);
        let (send_refusal, refusal) = std::sync::mpsc::sync_channel(seeds.len());
        let mut shards = Vec::with_capacity(seeds.len());
        for (index, seed) in seeds.into_iter().enumerate() {
            let reactor = shard::Reactor::new(
                limits.clone(),
                timeouts.clone(),
                pool.clone(),
                Arc::clone(&metrics),
                clock.clone(),
            )?;
            let mailbox = reactor.mailbox();
            let (make, address, send) = (Arc::clone(&make), Arc::clone(&mailbox), send_refusal.clone());
            let thread = std::thread::Builder::new().name(format!("{name}shard-{index}")).spawn(move || {
                observe::exit_on_panic(move || {
                    let (mut services, notes) = make(seed, address);
                    let refusals = services.iter_mut().map(|service| Refusal::new(&service.refuse()));
                    let _ = send.send(refusals.collect::<Vec<_>>());
                    reactor.run(services, notes);
                });
            })?;
            shards.push((mailbox, thread));
        }
        drop(send_refusal);
        let refusals = refusal.recv().map_err(|_| io::Error::other("no shard came up"))?;
        if refusals.len() != doors.len() {
            return Err(io::Error::other("not exactly one service for each door"));
        }
        let mailboxes = shards.iter().map(|(mailbox, _)| Arc::clone(mailbox)).collect();
        let mut entrances: Vec<Entrance> = Vec::with_capacity(doors.len());
        for (Door { listeners, caps, tls }, refusal) in doors.into_iter().zip(refusals) {
            let own = caps.map(|caps| Arc::new(Slots::new(caps, Arc::clone(&metrics))));
            let slots = own.or_else(|| entrances.last().map(|before| Arc::clone(&before.slots)));
            let slots = slots.ok_or_else(|| io::Error::other("the first door has no bounds"))?;
            entrances.push(Entrance { listeners, slots, refusal, tls: tls.map(|tls| tls.config()) });
        }
        let acceptor = Acceptor::new(entrances, Arc::clone(&metrics), mailboxes, clock.clone())?;
        let control = acceptor.control();
        let run = move || observe::exit_on_panic(move || acceptor.run());
        let acceptor = std::thread::Builder::new().name(format!("{name}acceptor")).spawn(run)?;
        Ok(Self { tls, endpoints, control, acceptor, shards, clock })
    }

    /// Where its first door is, with the port that the system chose if 0 was asked for. A Unix socket without a path is left out.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.endpoints_of(0)
    }

    /// Whether the addresses among them speak TLS; Unix sockets never do.
    pub fn speaks_tls(&self) -> bool {
        self.tls
    }

    /// The same of another door, by its number.
    pub fn endpoints_of(&self, door: usize) -> &[Endpoint] {
        self.endpoints.get(door).map_or(&[], Vec::as_slice)
    }

    /// An in-process client for probes, which come in through the first door.
    pub fn loopback_client(&self) -> LoopbackClient {
        {
            // A front without a place of its own is known by no name.
            let endpoint = self.endpoints().first().cloned().unwrap_or_else(|| Endpoint::Unix("".into()));
            LoopbackClient::new(Arc::clone(&self.control), endpoint, self.shards.len())
        }
    }

    /// Stops accepting, lets what is in flight finish within `drain`, closes everything and ends the threads.
    pub fn stop(self, drain: Duration) {
        self.control.stop();
        join(self.acceptor);
        let deadline = self.clock.instant() + drain;
        for (mailbox, _) in &self.shards {
            mailbox.post(mailbox::Message::Stop { deadline });
        }
        for (_, thread) in self.shards {
            join(thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    if thread.join().is_err() {
        log::error!(thread = name; "thread.panicked");
    }
}

#[cfg(test)]
mod tests;
