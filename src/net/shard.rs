//! One event loop: one thread, its own sockets, its own service and topics.
//!
//! A turn: wait for sockets, the mailbox or the next sweep; note which sockets can move; take the mail; give each
//! connection with something to do its turn; look for deadlines that have passed. Nothing else waits, ever.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::conn::{Conn, Flow};
use super::counters::Counters;
use super::frame::Frame;
use super::handshakes::Handshakes;
use super::held;
use super::http1::HeadLimits;
use super::mailbox::{Mailbox, Message, Ticket};
use super::service::{Notes, Service, Sockets, Timeouts};
use super::slots::Accepted;
use super::socket::code;
use super::turn::Tools;
use crate::clock::Clock;
use crate::pool::{PoolHandle, Task};

/// How often deadlines are looked at while connections are open; a deadline is kept to within this.
const SWEEP: Duration = Duration::from_millis(250);
/// Sockets reported by one poll; the rest come with the next.
const EVENTS_MAX: usize = 1024;

/// The part of the time to stop in which sockets are told to leave; the rest is for their answers.
const LEAVE_SHARE: f64 = 0.8;
/// How far apart sockets leave, as long as the time is enough for all.
const LEAVE_APART: Duration = Duration::from_millis(10);

const MAIL: Token = Token(usize::MAX);

/// A shard before it has its service: the poll and the mailbox, made where errors can still be reported.
pub(crate) struct Reactor<N> {
    poll: Poll,
    mailbox: Arc<Mailbox<N>>,
    limits: HeadLimits,
    timeouts: Timeouts,
    pool: PoolHandle,
    metrics: Arc<Counters>,
    clock: Clock,
}

impl<N> Reactor<N> {
    pub(crate) fn new(
        limits: HeadLimits,
        timeouts: Timeouts,
        pool: PoolHandle,
        metrics: Arc<Counters>,
        clock: Clock,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(poll.registry(), MAIL)?);
        Ok(Self { poll, mailbox, limits, timeouts, pool, metrics, clock })
    }

    pub(crate) fn mailbox(&self) -> Arc<Mailbox<N>> {
        Arc::clone(&self.mailbox)
    }

    /// Serves until told to stop and everything in flight is done.
    pub(crate) fn run<S: Service, K: Notes<Note = N>>(self, services: Vec<S>, notes: K) {
        let tools = Tools::new(services, self.limits, self.timeouts, self.metrics, self.clock);
        let next_sweep = tools.now;
        let (poll, mailbox, pool) = (self.poll, self.mailbox, self.pool);
        let (conns, ready) = (Slab::new(), Vec::new());
        let (refused, late, gathering) = (Vec::new(), VecDeque::new(), Gathering::default());
        let (handshakes, stop_by) = (Handshakes::default(), None);
        Shard {
            poll,
            mailbox,
            pool,
            refused,
            tools,
            notes,
            conns,
            handshakes,
            ready,
            gathering,
            late,
            next_sweep,
            stop_by,
        }
        .run();
    }
}

/// The connections of a shard, for its notes to be sent to.
struct Conns<'a> {
    conns: &'a mut Slab<Conn>,
    ready: &'a mut Vec<usize>,
    gathering: &'a mut Gathering,
    now: Instant,
}

impl Sockets for Conns<'_> {
    fn send(&mut self, ticket: Ticket, frame: &Frame) -> bool {
        let Some(conn) = self.conns.get_mut(ticket.connection) else { return false };
        if !conn.deliver(ticket, frame, self.now) {
            return false;
        }
        if conn.queued {
            return true;
        }
        match conn.gathers_until(frame, self.now) {
            Some(until) => self.gathering.add(ticket.connection, &mut conn.gathers, until),
            None => {
                conn.queued = true;
                self.ready.push(ticket.connection);
            }
        }
        true
    }
}

/// Sockets for which frames gather, each at most once, and when the first of them has waited long enough.
#[derive(Default)]
struct Gathering {
    keys: Vec<usize>,
    until: Option<Instant>,
}

impl Gathering {
    fn add(&mut self, key: usize, gathers: &mut bool, until: Instant) {
        if !std::mem::replace(gathers, true) {
            self.keys.push(key);
            self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        }
    }
}

struct Shard<S, K: Notes> {
    poll: Poll,
    mailbox: Arc<Mailbox<K::Note>>,
    /// Fetches pieces of answers.
    pool: PoolHandle,
    /// What the pool had no room for; handed in again with every sweep. At most one for each connection.
    refused: Vec<Task>,
    tools: Tools<S>,
    notes: K,
    conns: Slab<Conn>,
    handshakes: Handshakes,
    /// Connections with something to do; each at most once, here or in `late`.
    ready: Vec<usize>,
    gathering: Gathering,
    /// Those that come after the others: they have had their slice, or answers that were made before theirs took it.
    late: VecDeque<usize>,
    next_sweep: Instant,
    /// Set once told to stop.
    stop_by: Option<Instant>,
}

impl<S: Service, K: Notes> Shard<S, K> {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let (mut mail, mut turn) = (Vec::new(), Vec::new());
        loop {
            if let Err(error) = self.poll.poll(&mut events, self.patience())
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!(error = error.to_string(); "shard.poll_failed");
            }
            self.tools.tick();
            for event in &events {
                if let Some(conn) = self.conns.get_mut(event.token().0) {
                    conn.note(event);
                    // Those who are not in yet come after those who are: a handshake costs more than most requests.
                    if conn.is_handshaking() {
                        self.queue_late(event.token().0);
                    } else {
                        self.queue(event.token().0);
                    }
                }
            }
            self.end_gathering();
            let missed = self.mailbox.take(&mut mail);
            self.tools.begin_slice();
            for message in mail.drain(..) {
                self.open(message);
            }
            if missed {
                self.close_sockets();
            }
            std::mem::swap(&mut self.ready, &mut turn);
            for key in turn.drain(..) {
                self.serve(key);
            }
            self.serve_late();
            self.sweep();
            self.tools.services.iter_mut().for_each(Service::end_turn);
            if self.stop_by.is_some_and(|by| self.conns.is_empty() || by <= self.tools.now) {
                return;
            }
        }
    }

    /// How long the poll may wait: not at all with work left over, for ever with nobody there.
    fn patience(&self) -> Option<Duration> {
        if !self.ready.is_empty() || !self.late.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = if self.conns.is_empty() { self.stop_by } else { Some(self.next_sweep) };
        // Who gathers is there, so that there is a sweep to come.
        let next = next.map(|at| self.gathering.until.map_or(at, |until| until.min(at)));
        next.map(|at| at.saturating_duration_since(self.tools.clock.instant()))
    }

    /// Has what has gathered for long enough leave with this turn. All of it at once: the others' time is nearly over as well.
    fn end_gathering(&mut self) {
        if self.gathering.until.is_none_or(|until| until > self.tools.now) {
            return;
        }
        self.gathering.until = None;
        let mut keys = std::mem::take(&mut self.gathering.keys);
        for key in keys.drain(..) {
            if let Some(conn) = self.conns.get_mut(key) {
                conn.gathers = false;
            }
            self.queue(key);
        }
        self.gathering.keys = keys;
    }

    fn queue(&mut self, key: usize) {
        if let Some(conn) = self.conns.get_mut(key)
            && !std::mem::replace(&mut conn.queued, true)
        {
            self.ready.push(key);
        }
    }

    /// Serves those that come last, for about one slice together: then those that have come meanwhile are first again.
    fn serve_late(&mut self) {
        let until = self.tools.until_slice_ends();
        while let Some(key) = self.late.pop_front() {
            self.serve(key);
            if self.tools.has_passed(until) {
                return;
            }
        }
    }

    fn open(&mut self, message: Message<K::Note>) {
        match message {
            Message::Accepted(accepted) => self.accept(accepted),
            Message::Resume(ticket) => {
                let Some(conn) = self.conns.get_mut(ticket.connection) else { return };
                let flow = conn.resume(ticket, &mut self.tools);
                self.follow(ticket.connection, &flow);
            }
            Message::Piece(ticket, piece) => {
                let Some(conn) = self.conns.get_mut(ticket.connection) else { return };
                let flow = conn.piece(ticket, piece, &mut self.tools);
                self.follow(ticket.connection, &flow);
            }
            Message::Note(note) => {
                let Self { conns, ready, gathering, tools, notes, .. } = self;
                let mut sockets = Conns { conns, ready, gathering, now: tools.now };
                let noted = catch_unwind(AssertUnwindSafe(|| notes.deliver(note, &mut sockets)));
                if noted.is_err() {
                    self.close_sockets();
                }
            }
            Message::Tell(ticket, note) => {
                let Some(conn) = self.conns.get_mut(ticket.connection) else { return };
                if conn.tell(ticket, note, &mut self.tools) {
                    self.queue(ticket.connection);
                }
            }
            Message::Stop { deadline } => self.stop(deadline),
        }
    }

    /// Answers what is on its way, closes what is quiet, and has the sockets leave one after the other, so that their
    /// clients do not come back all at once.
    fn stop(&mut self, deadline: Instant) {
        self.stop_by = Some(deadline);
        self.tools.stopping = true;
        let now = self.tools.now;
        let sockets = self.conns.iter().filter(|(_, conn)| conn.is_socket()).count();
        let window = deadline.saturating_duration_since(now).mul_f64(LEAVE_SHARE);
        let apart = LEAVE_APART.min(window / u32::try_from(sockets).unwrap_or(u32::MAX).max(1));
        let mut leave_at = now;
        let keys: Vec<usize> = self.conns.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(conn) = self.conns.get_mut(key) else { continue };
            if conn.is_socket() {
                conn.leave_at(leave_at);
                leave_at += apart;
            }
            conn.last_look(now);
            self.serve(key);
        }
    }

    /// Notes were lost on their way to the sockets: clients that may have missed something have to ask for it.
    fn close_sockets(&mut self) {
        log::error!("sockets.notes_missed");
        let keys: Vec<usize> = self.conns.iter().filter(|(_, conn)| conn.is_socket()).map(|(key, _)| key).collect();
        for key in keys {
            let reason = "Too much happened at once; reconnect and catch up";
            self.conns[key].close_socket(code::TRY_AGAIN, reason, &mut self.tools);
            self.queue(key);
        }
    }

    /// It has more to do, after the others.
    fn queue_late(&mut self, key: usize) {
        if let Some(conn) = self.conns.get_mut(key)
            && !std::mem::replace(&mut conn.queued, true)
        {
            self.late.push_back(key);
        }
    }

    fn accept(&mut self, accepted: Accepted) {
        let entry = self.conns.vacant_entry();
        let key = entry.key();
        let conn = entry.insert(Conn::new(accepted, &self.tools));
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(conn.source(), Token(key), interest) {
            log::error!(error = error.to_string(); "shard.register_failed");
            self.conns.remove(key);
            return;
        }
        if conn.is_handshaking() {
            let (begun, oldest) = self.handshakes.begin(key);
            conn.handshake = Some(begun);
            if let Some(oldest) = oldest {
                self.follow(oldest, &Flow::Close);
            }
        }
        if self.tools.stopping
            && let Some(conn) = self.conns.get_mut(key)
        {
            conn.last_look(self.tools.now);
            self.serve(key);
        }
    }

    fn serve(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.queued = false;
        let flow = match conn.turn(key, &mut self.tools) {
            Flow::Wait if self.tools.stopping && conn.is_quiet() => {
                conn.take_leave();
                Flow::Close
            }
            flow => flow,
        };
        if let Some(begun) = conn.handshake
            && !conn.is_handshaking()
        {
            conn.handshake = None;
            self.handshakes.end(begun);
            self.tools.metrics.handshakes_done.inc();
        }
        self.follow(key, &flow);
    }

    fn follow(&mut self, key: usize, flow: &Flow) {
        match flow {
            Flow::Wait => {}
            Flow::Again => self.queue_late(key),
            Flow::Close => {
                self.remove(key);
                self.tools.clear_answers();
                return;
            }
        }
        self.fetch(key);
        self.settle(key);
    }

    /// Counts what is held for a connection now, and makes room if that is too much for all together.
    fn settle(&mut self, key: usize) {
        let Some(conn) = self.conns.get_mut(key) else { return };
        conn.settle(&mut self.tools.held);
        if !self.tools.held.is_too_much(conn.share()) {
            return;
        }
        let holders = self.conns.iter().map(|(key, conn)| (key, conn.peer(), conn.share().bytes()));
        let Some(heaviest) = held::heaviest(holders) else { return };
        let conn = &mut self.conns[heaviest];
        match conn.make_room(&mut self.tools) {
            Flow::Close => self.remove(heaviest),
            Flow::Wait | Flow::Again => {
                conn.settle(&mut self.tools.held);
                self.queue(heaviest);
            }
        }
    }

    fn remove(&mut self, key: usize) {
        let conn = self.conns.remove(key);
        if let Some(begun) = conn.handshake {
            self.handshakes.end(begun);
            self.tools.metrics.handshakes_failed.inc();
        }
        conn.give_back(&mut self.tools.held);
    }

    /// Has the pool fetch the next piece of an answer, if one is wanted.
    fn fetch(&mut self, key: usize) {
        let Some((ticket, fetch)) = self.conns.get_mut(key).and_then(|conn| conn.fetch(&self.tools)) else { return };
        let mailbox = Arc::clone(&self.mailbox);
        let task = move || mailbox.post(Message::Piece(ticket, fetch.run()));
        self.refused.extend(self.pool.submit(Box::new(task)).err());
    }

    fn sweep(&mut self) {
        if self.tools.now < self.next_sweep {
            return;
        }
        self.next_sweep = self.tools.now + SWEEP;
        for task in std::mem::take(&mut self.refused) {
            self.refused.extend(self.pool.submit(task).err());
        }
        let mut due = Vec::new();
        for (key, conn) in &mut self.conns {
            let flow = conn.expire(&mut self.tools);
            if flow != Flow::Wait {
                due.push((key, flow));
            }
        }
        for (key, flow) in due {
            self.follow(key, &flow);
        }
        if self.conns.is_empty() {
            self.conns.shrink_to_fit();
        }
    }
}
