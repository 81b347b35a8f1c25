//! The front door: one acceptor, a thread per shard, and how they stop.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::acceptor;
use super::http1::Limits;
use super::loopback::LoopbackClient;
use super::mailbox::{self, Mailbox};
use super::service::{Notes, Service, Timeouts};
use super::shard;
use super::slots::Caps;
use crate::clock::Clock;
use crate::net::counters::Counters;
use crate::observe;

/// Length of the accept queue (capped by net.core.somaxconn). The standard library asks for 128; beyond it SYNs are dropped
/// and clients retry after 1, 2, 4 s.
const BACKLOG: i32 = 4096;

/// How the front door is set up.
pub struct Options {
    /// Bounds of a head.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Bounds of open connections.
    pub caps: Caps,
    /// What counts connections and sockets.
    pub metrics: Arc<Counters>,
    /// Where time comes from.
    pub clock: Clock,
}

/// The running front door. `N` is what its shards take notes of.
pub struct Front<N> {
    address: SocketAddr,
    control: Arc<acceptor::Control>,
    acceptor: JoinHandle<()>,
    shards: Vec<(Arc<Mailbox<N>>, JoinHandle<()>)>,
    clock: Clock,
}

impl<N: Send + 'static> Front<N> {
    /// Starts a shard per seed, and the acceptor on a listener ([`listen`]). `make` runs on each shard's own thread and is given
    /// its seed, so what it makes need be neither sendable nor shareable.
    ///
    /// # Errors
    /// When the system refuses a poll, a thread or the listener's registration.
    pub fn start<S, K, T, M>(listener: TcpListener, options: Options, seeds: Vec<T>, make: M) -> io::Result<Self>
    where
        S: Service + 'static,
        K: Notes<Note = N> + 'static,
        T: Send + 'static,
        M: Fn(T, Arc<Mailbox<N>>) -> (S, K) + Send + Sync + 'static,
    {
        let Options { limits, timeouts, caps, metrics, clock } = options;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let make = Arc::new(make);
        let (send_refusal, refusal) = std::sync::mpsc::sync_channel(seeds.len());
        let mut shards = Vec::with_capacity(seeds.len());
        for (index, seed) in seeds.into_iter().enumerate() {
            let reactor = shard::Reactor::new(limits.clone(), timeouts.clone(), Arc::clone(&metrics), clock.clone())?;
            let mailbox = reactor.mailbox();
            let (make, address, send) = (Arc::clone(&make), Arc::clone(&mailbox), send_refusal.clone());
            let thread = std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
                observe::vital(move || {
                    let (mut service, notes) = make(seed, address);
                    let _ = send.send(service.refuse());
                    reactor.run(service, notes);
                });
            })?;
            shards.push((mailbox, thread));
        }
        drop(send_refusal);
        let refusal = refusal.recv().map_err(|_| io::Error::other("no shard came up"))?;
        let mailboxes = shards.iter().map(|(mailbox, _)| Arc::clone(mailbox)).collect();
        let listener = mio::net::TcpListener::from_std(listener);
        let acceptor = acceptor::Acceptor::new(listener, caps, metrics, mailboxes, refusal, clock.clone())?;
        let control = acceptor.control();
        let run = move || observe::vital(move || acceptor.run());
        let acceptor = std::thread::Builder::new().name("acceptor".into()).spawn(run)?;
        Ok(Self { address, control, acceptor, shards, clock })
    }

    /// Where it listens, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An in-process client for probes.
    #[must_use]
    pub fn loopback_client(&self) -> LoopbackClient {
        LoopbackClient::new(Arc::clone(&self.control), self.address, self.shards.len())
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

/// Binds an address and has the kernel keep callers for it, [`BACKLOG`] of them.
///
/// # Errors
/// When the system refuses.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    if thread.join().is_err() {
        log::error!(thread = name; "thread.panicked");
    }
}
