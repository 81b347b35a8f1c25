//! One connection: where it is in its life, and what a turn of its shard does for it.
//!
//! ```text
//! Idle ─▶ Receiving ─▶ (service) ─┬▶ answer sent (Sending) ─▶ Idle
//!   ▲                             ├▶ Uploading ─▶ Parked or answer
//!   │                             ├▶ Parked ─▶ answer sent ─▶ Idle
//!   └─────────────────────────────┤  last answer ─▶ Closing ─▶ Lingering ─▶ gone
//!                                 └▶ Socket ─▶ close frame ─▶ Closing
//! ```
//!
//! Requests of one connection are answered one at a time and in order: while an answer is owed or unsent, nothing
//! more is read. Bytes received are borrowed from the shard's buffer; the connection keeps only an unfinished rest,
//! so an idle one holds no buffer. Closing lingers (RFC 9112 §9.6): our side is shut, then what the client still sends
//! is thrown away for a moment, because closing on unread bytes would reset the answer away.
//!
//! Bodies that come or go in pieces keep the connection in `Uploading` and `Sending`: [`streams`]. What is different for a
//! connection that became a WebSocket is in [`websocket`].

mod streams;
mod transfer;
mod websocket;

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;

use super::body::Body;
use super::handshakes::Begun;
use super::held::{Held, Share};
use super::http1::{self, Decoder, Part, Reject, Step};
use super::listener::{Peer, Stream};
use super::mailbox::Ticket;
use super::outbox::Outbox;
use super::response::{Manner, Response};
use super::service::{Answer, Continuation, Service, Woken};
use super::slots::Accepted;
use super::socket::Socket;
use super::turn::Tools;
use transfer::{Asker, Download, Upload};

/// Requests answered and reads made for one connection before its shard turns to the others.
pub(super) const STEPS_PER_TURN: usize = 32;
/// Answers collected before they are written; one more may follow.
pub(super) const ANSWERS_MAX_BYTES: usize = 64 * 1024;
/// How long a closed connection is listened to, so that its client can read the last answer, and how much of what it still
/// sends is thrown away.
pub(super) const LINGER: Duration = Duration::from_secs(2);
pub(super) const LINGER_MAX_BYTES: usize = 1024 * 1024;
/// How long a client may take for an answer before its rate counts, and the least that it takes of it from then on, in bytes a
/// second since it began.
pub(super) const ANSWER_GRACE: Duration = Duration::from_secs(30);
pub(super) const ANSWER_MIN_BYTES_PER_SECOND: u64 = 4096;

/// How long frames that may gather ([`Frame::gathering`]) wait for more after a write to their socket. A write costs the kernel more
/// than all else that a frame costs us, so a stream of 500 a second costs a quarter; and half of what a screen takes from one
/// picture to the next is nothing that anybody sees.
pub(super) const GATHER: Duration = Duration::from_millis(8);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How long a caller who has said nothing yet is waited for when the server stops: the first request is on its way, and
/// hanging up on it would lose it.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// What a turn leaves to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Wait for the socket, the ticket or the deadline.
    Wait,
    /// There is more to do, but others first.
    Again,
    /// The connection is over.
    Close,
}

enum State {
    /// Between requests.
    Idle,
    /// Some bytes of a request are here.
    Receiving(Part),
    /// A request was taken and its answer will come.
    Parked(Box<Parked>),
    /// A request's body goes to its receiver.
    Uploading(Box<Upload>),
    /// An answer's body comes from its source.
    Sending(Box<Download>),
    /// A WebSocket.
    Socket(Box<Socket>),
    /// The last answer is given; close once it is sent.
    Closing,
    /// Shut for writing; so many bytes were thrown away since.
    Lingering(usize),
}

/// A request that was taken and is not answered yet.
struct Parked {
    ticket: Ticket,
    manner: Manner,
    then: Continuation,
    /// Its answer can be made.
    woken: bool,
}

pub(crate) struct Conn {
    accepted: Accepted,
    decoder: Decoder,
    state: State,
    /// The beginning of an unfinished request, or requests that wait for their turn.
    input: Vec<u8>,
    /// Bytes in `input` that the decoder has not seen.
    fresh: bool,
    outbox: Outbox,
    /// What the shard's sum has of it.
    share: Share,
    /// When the state has lasted long enough. The client's time stands still while an answer is unsent.
    deadline: Instant,
    /// When an unsent answer must have moved.
    stalled: Instant,
    /// Since when something of an answer waits, and how much its client has taken since.
    waits_since: Instant,
    taken: u64,
    /// The socket may have bytes to read; with edge-triggered polling we must remember.
    readable: bool,
    /// The client has shut its side; reading goes on until it says so itself.
    read_closed: bool,
    /// The connection is reset, or shut on both sides: nothing that is sent arrives.
    has_left: bool,
    /// No request has come yet.
    unasked: bool,
    /// It is a WebSocket, or was one: what leaves counts as bytes of sockets.
    upgraded: bool,
    /// In the shard's list of connections to serve.
    pub(crate) queued: bool,
    /// In its list of those whose frames gather.
    pub(crate) gathers: bool,
    /// When something last left, if it is a WebSocket.
    wrote: Option<Instant>,
    /// When its handshake began among those of the shard, while it lasts.
    pub(crate) handshake: Option<Begun>,
}

impl Conn {
    pub(crate) fn new<S>(accepted: Accepted, tools: &Tools<S>) -> Self {
        Self {
            accepted,
            decoder: Decoder::new(tools.limits.clone()),
            state: State::Idle,
            input: Vec::new(),
            fresh: false,
            outbox: Outbox::default(),
            share: Share::default(),
            deadline: tools.now + tools.timeouts.head,
            stalled: tools.now,
            waits_since: tools.now,
            taken: 0,
            readable: false,
            read_closed: false,
            has_left: false,
            unasked: true,
            upgraded: false,
            queued: false,
            gathers: false,
            wrote: None,
            handshake: None,
        }
    }

    pub(crate) fn source(&mut self) -> &mut Stream {
        &mut self.accepted.stream
    }

    /// Whether it shakes hands, so that nothing of a request can have come.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.accepted.stream.is_handshaking()
    }

    /// Before it is dropped with nothing under way: says good-bye, if that is how it is done.
    pub(crate) fn take_leave(&mut self) {
        self.accepted.stream.take_leave();
    }

    /// Notes what the poll says of the socket.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.read_closed |= event.is_read_closed();
        self.has_left |= event.is_write_closed() || event.is_error();
    }

    /// Before the server stops: look once more for a request already on its way.
    pub(crate) fn last_look(&mut self, now: Instant) {
        self.readable = true;
        if self.unasked && matches!(self.state, State::Idle) {
            self.deadline = self.deadline.min(now + FIRST_REQUEST_GRACE);
        }
    }

    /// Whether nothing is owed in either direction.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.state, State::Idle) && self.outbox.is_empty() && !self.fresh && !self.unasked
    }

    /// Does all that can be done now.
    pub(crate) fn turn<S: Service>(&mut self, key: usize, tools: &mut Tools<S>) -> Flow {
        self.try_turn(key, tools).unwrap_or(Flow::Close)
    }

    fn try_turn<S: Service>(&mut self, key: usize, tools: &mut Tools<S>) -> io::Result<Flow> {
        let mut steps = 0;
        tools.begin_slice();
        self.accepted.stream.push()?;
        loop {
            let sent = self.outbox.is_empty() || self.flush(tools)?;
            match self.state {
                State::Socket(_) => match self.serve_socket(sent, &mut steps, tools)? {
                    Some(flow) => return Ok(flow),
                    None => continue,
                },
                _ if !sent => return Ok(Flow::Wait),
                State::Sending(ref download) if !download.ended => {
                    if download.is_made() && tools.is_slice_over() {
                        return Ok(Flow::Again);
                    }
                    if !self.make_piece(tools)? {
                        return Ok(Flow::Wait);
                    }
                }
                State::Sending(_) => self.end_download(tools),
                State::Parked(ref parked) if parked.woken => self.unpark(Woken::Resumed, tools)?,
                State::Parked(_) => return Ok(Flow::Wait),
                State::Uploading(ref upload) if upload.is_paused() => return Ok(Flow::Wait),
                State::Closing => {
                    match self.accepted.stream.shutdown(Shutdown::Write) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Flow::Wait),
                        shut => shut?,
                    }
                    self.input = Vec::new();
                    self.state = State::Lingering(0);
                    self.deadline = tools.now + LINGER;
                }
                _ if steps >= STEPS_PER_TURN || tools.is_slice_over() => return Ok(Flow::Again),
                State::Idle | State::Receiving(_) | State::Uploading(_) => {
                    if !self.fresh && !self.readable {
                        return Ok(Flow::Wait);
                    }
                    steps += 1;
                    if !self.receive(key, tools, &mut steps)? {
                        return Ok(Flow::Close);
                    }
                    self.send(tools)?;
                }
                State::Lingering(thrown_away) => {
                    if !self.readable {
                        return Ok(Flow::Wait);
                    }
                    steps += 1;
                    let read = self.read(&mut tools.scratch)?;
                    let thrown_away = thrown_away + read.unwrap_or(0);
                    if read == Some(0) || thrown_away > LINGER_MAX_BYTES {
                        return Ok(Flow::Close);
                    }
                    self.state = State::Lingering(thrown_away);
                    tools.look();
                }
            }
        }
    }

    /// Decodes what waits, or reads and decodes. False at the end of the stream.
    fn receive<S: Service>(&mut self, key: usize, tools: &mut Tools<S>, steps: &mut usize) -> io::Result<bool> {
        if self.fresh {
            let mut input = std::mem::take(&mut self.input);
            let used = self.consume(key, &input, tools, steps);
            input.drain(..used);
            self.keep(input);
            return Ok(true);
        }
        let mut scratch = std::mem::take(&mut tools.scratch);
        let read = match self.read(&mut scratch) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                tools.scratch = scratch;
                self.reject(&Reject::Malformed("this port speaks TLS: use https://"), &[], tools);
                return Ok(true);
            }
            read => read,
        };
        if matches!(read, Ok(None)) {
            // A step of a handshake takes its time.
            tools.look();
        }
        if let Ok(Some(bytes)) = read {
            if self.input.is_empty() {
                let used = self.consume(key, &scratch[..bytes], tools, steps);
                self.input.extend_from_slice(&scratch[used..bytes]);
            } else {
                self.input.extend_from_slice(&scratch[..bytes]);
                self.fresh = true;
            }
        }
        tools.scratch = scratch;
        Ok(read? != Some(0))
    }

    /// Reads once. `None`: nothing there yet.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.accepted.stream.read(buffer) {
            Ok(bytes) => {
                // Less than asked for means that the socket is empty now and will say when it is not (epoll(7)).
                self.readable = bytes == buffer.len() || self.read_closed || self.accepted.stream.has_more();
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An empty buffer is given back to the allocator: thousands of idle connections must cost nothing.
    fn keep(&mut self, input: Vec<u8>) {
        self.input = if input.is_empty() { Vec::new() } else { input };
    }

    /// Answers the whole requests at the front of `input` into `tools.answers`; returns how many bytes are done with.
    fn consume<S: Service>(&mut self, key: usize, input: &[u8], tools: &mut Tools<S>, steps: &mut usize) -> usize {
        let (mut used, door) = (0, self.accepted.door);
        self.fresh = false;
        while used < input.len() {
            if *steps >= STEPS_PER_TURN || tools.is_slice_over() || tools.answers.len() > ANSWERS_MAX_BYTES {
                self.fresh = true;
                return used;
            }
            if matches!(self.state, State::Uploading(_)) {
                used += self.feed(&input[used..], tools, steps);
                if !matches!(self.state, State::Idle) {
                    return used;
                }
                continue;
            }
            let mut slots = http1::slots();
            let step = self.decoder.decode(&input[used..], &mut slots, |request| tools.services[door].intake(request));
            match step {
                Ok(Step::More { consumed, send_continue }) => {
                    if send_continue {
                        tools.answers.extend_from_slice(CONTINUE);
                    }
                    self.receiving(tools);
                    return used + consumed;
                }
                Ok(Step::Head { request, consumed, send_continue }) => {
                    *steps += 1;
                    self.unasked = false;
                    used += consumed;
                    let (ticket, manner) = (tools.ticket(key), Manner::of(&request, tools.stopping));
                    let reply = tools.services[door].call(&request, self.accepted.peer, ticket);
                    tools.look();
                    if let Answer::Receive(receiver, pace) = reply {
                        if send_continue {
                            tools.answers.extend_from_slice(CONTINUE);
                        }
                        self.state = State::Uploading(Box::new(Upload::new(ticket, manner, receiver, pace, tools.now)));
                        continue;
                    }
                    // The body is not wanted, so nothing can follow it.
                    self.reply(reply, ticket, Manner { keep_alive: false, ..manner }, tools);
                    self.fresh = used < input.len();
                    return used;
                }
                Ok(Step::Request { request, consumed }) => {
                    *steps += 1;
                    self.unasked = false;
                    used += consumed;
                    let (ticket, manner) = (tools.ticket(key), Manner::of(&request, tools.stopping));
                    let reply = tools.services[door].call(&request, self.accepted.peer, ticket);
                    tools.look();
                    match reply {
                        Answer::Receive(receiver, pace) => {
                            let mut upload = Upload::new(ticket, manner, receiver, pace, tools.now);
                            upload.whole = true;
                            let take = upload.take(request.body, tools.now);
                            self.decoder.reset();
                            self.state = State::Uploading(Box::new(upload));
                            self.follow_receiver(take, tools);
                        }
                        reply => {
                            self.decoder.reset();
                            self.reply(reply, ticket, manner, tools);
                        }
                    }
                    if !matches!(self.state, State::Idle) {
                        self.fresh = used < input.len();
                        return used;
                    }
                }
                Err(reject) => {
                    self.reject(&reject, &input[used..], tools);
                    return input.len();
                }
            }
        }
        used
    }

    /// Does what the service said.
    fn reply<S: Service>(&mut self, reply: Answer, ticket: Ticket, manner: Manner, tools: &mut Tools<S>) {
        match reply {
            Answer::Upgrade(response, session, limits) => {
                let mut socket = Socket::new(ticket, session, limits, Arc::clone(&tools.metrics), tools.now);
                if tools.stopping {
                    socket.leave_at(tools.now);
                }
                self.upgrade(&response, Box::new(socket), tools);
            }
            Answer::Now(response) => self.answer(response, ticket, manner, tools),
            Answer::Later(then) => {
                self.state = State::Parked(Box::new(Parked { ticket, manner, then, woken: false }));
                self.deadline = tools.now + tools.timeouts.parked;
            }
            // Its body is over, so there is nothing to receive; only a receiver that names another at its end comes here.
            Answer::Receive(..) => self.state = State::Closing,
        }
    }

    /// A part of a request is here: its deadline begins with the part, not with each byte.
    fn receiving<S>(&mut self, tools: &Tools<S>) {
        let part = self.decoder.part();
        if matches!(self.state, State::Receiving(known) if known == part) {
            return;
        }
        self.state = State::Receiving(part);
        self.restart(tools);
    }

    /// The client's time for what it has to do next begins now.
    fn restart<S>(&mut self, tools: &Tools<S>) {
        let time = match self.state {
            State::Idle => tools.timeouts.keep_alive,
            State::Receiving(Part::Head) => tools.timeouts.head,
            State::Receiving(Part::Body) => tools.timeouts.body,
            State::Parked(_)
            | State::Uploading(_)
            | State::Sending(_)
            | State::Socket(_)
            | State::Closing
            | State::Lingering(_) => return,
        };
        self.deadline = tools.now + time;
    }

    fn answer<S>(&mut self, response: Response, ticket: Ticket, mut manner: Manner, tools: &mut Tools<S>) {
        // Only the end of the connection ends a body of unknown length for those who do not know chunks.
        manner.keep_alive &= !response.close && (manner.http11 || manner.head_only || response.body.length().is_some());
        tools.encode(&response, manner);
        let (length, asker) = match response.body {
            Body::Source { length, source } if !manner.head_only => (length, Asker::Pool(Some(source))),
            Body::Made(source) if !manner.head_only => (None, Asker::Shard(source)),
            _ => {
                self.state = if manner.keep_alive { State::Idle } else { State::Closing };
                return self.restart(tools);
            }
        };
        self.state = State::Sending(Box::new(Download::new(ticket, manner, length, asker)));
        self.deadline = tools.now + tools.timeouts.parked;
    }

    /// Refuses the request that begins `input`, and everything after it.
    fn reject<S: Service>(&mut self, reject: &Reject, input: &[u8], tools: &mut Tools<S>) {
        let mut slots = http1::slots();
        let request = self.decoder.head(input, &mut slots);
        let head_only = request.as_ref().is_some_and(|request| request.method == Method::HEAD);
        let origin = match &request {
            Some(request) => request.headers.get("origin"),
            None => http1::origin(input),
        };
        let service = &mut tools.services[self.accepted.door];
        let response = service.reject(reject, request.as_ref(), origin, self.accepted.peer);
        drop(request);
        self.answer(response, Ticket::NOBODY, Manner { head_only, http11: true, keep_alive: false }, tools);
    }

    fn send<S>(&mut self, tools: &mut Tools<S>) -> io::Result<()> {
        if tools.answers.is_empty() {
            return Ok(());
        }
        let waited = !self.outbox.is_empty();
        let moved = self.outbox.send(&tools.answers, &mut self.accepted.stream);
        tools.clear_answers();
        let moved = moved?;
        if moved > 0 || !waited {
            self.stalled = tools.now + tools.timeouts.write_stall;
        }
        if waited {
            self.taken += moved as u64;
        } else {
            self.begin_waiting(tools.now);
        }
        Ok(())
    }

    /// Sends what waits; true when nothing does any more.
    fn flush<S>(&mut self, tools: &mut Tools<S>) -> io::Result<bool> {
        let moved = self.outbox.flush(&mut self.accepted.stream)?;
        if self.upgraded {
            // A usize has never more than 64 bits.
            tools.metrics.bytes_out.inc_by(moved as u64);
            if moved > 0 {
                self.wrote = Some(tools.now);
            }
        }
        if moved > 0 {
            self.stalled = tools.now + self.patience(tools);
            self.taken += moved as u64;
        }
        let empty = self.outbox.is_empty();
        if empty {
            self.restart(tools);
        }
        Ok(empty)
    }

    /// From now on an answer waits for its client.
    fn begin_waiting(&mut self, now: Instant) {
        self.waits_since = now;
        self.taken = 0;
    }

    /// Whether the client takes what waits for it too slowly, though it never stops.
    fn takes_too_slowly(&self, now: Instant) -> bool {
        let earned = Duration::from_millis(self.taken.saturating_mul(1000) / ANSWER_MIN_BYTES_PER_SECOND);
        self.waits_since + ANSWER_GRACE + earned <= now
    }

    /// How long an unsent answer may stand still.
    fn patience<S>(&self, tools: &Tools<S>) -> Duration {
        match &self.state {
            State::Socket(socket) => socket.stall(),
            _ => tools.timeouts.write_stall,
        }
    }

    /// Has the shard's sum know what is held for this client now.
    pub(crate) fn settle(&mut self, held: &mut Held) {
        let half_message = if let State::Socket(socket) = &self.state { socket.half_message() } else { 0 };
        let encrypted = self.accepted.stream.held();
        held.settle(&mut self.share, self.outbox.cost() + self.input.capacity() + half_message + encrypted);
    }

    /// It is over: nothing is held for it any more.
    pub(crate) fn give_back(mut self, held: &mut Held) {
        held.settle(&mut self.share, 0);
    }

    /// What the shard's sum has of it.
    pub(crate) fn share(&self) -> &Share {
        &self.share
    }

    /// Whose it is.
    pub(crate) fn peer(&self) -> Peer {
        self.accepted.peer
    }

    /// Too much is held for all together, and most of it for this one.
    pub(crate) fn make_room<S>(&mut self, tools: &mut Tools<S>) -> Flow {
        let reason = "too much is held for clients, and most of it for this one";
        if self.is_socket() {
            self.cut_off_socket(reason, tools);
            return Flow::Again;
        }
        self.cut_off(reason, tools);
        Flow::Close
    }

    /// Tells the log why a client that does not read is let go.
    fn cut_off<S>(&self, reason: &str, tools: &Tools<S>) {
        if let Some(count) = tools.cut_off.hit() {
            log::warn!(reason, peer = self.accepted.peer.to_string(), held_bytes = self.share.bytes(), count; "connection.cut_off");
        }
    }

    /// Gives a parked request its answer, if this is its ticket. Answers come before all else, so that clients who go on at once
    /// are read together in the next turn and their changes share a commit; but they have one slice for all of them.
    pub(crate) fn resume<S: Service>(&mut self, ticket: Ticket, tools: &mut Tools<S>) -> Flow {
        match &mut self.state {
            State::Parked(parked) if parked.ticket == ticket => {
                parked.woken = true;
                if !tools.is_slice_over() && self.unpark(Woken::Resumed, tools).is_err() {
                    return Flow::Close;
                }
                Flow::Again
            }
            State::Uploading(upload) if upload.ticket() == ticket => self.resume_upload(Woken::Resumed, tools),
            _ => Flow::Wait,
        }
    }

    /// Makes the answer of a parked request, unless nobody is there to have it.
    fn unpark<S>(&mut self, woken: Woken, tools: &mut Tools<S>) -> io::Result<()> {
        let State::Parked(parked) = std::mem::replace(&mut self.state, State::Idle) else { return Ok(()) };
        if self.has_left {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let Parked { ticket, mut manner, then, .. } = *parked;
        manner.keep_alive &= !tools.stopping;
        let response = then(woken);
        tools.look();
        self.answer(response, ticket, manner, tools);
        self.send(tools)
    }

    /// What to do when the deadline has passed.
    pub(crate) fn expire<S: Service>(&mut self, tools: &mut Tools<S>) -> Flow {
        if self.is_socket() {
            return self.tick_socket(tools);
        }
        if !self.outbox.is_empty() && self.stalled <= tools.now {
            self.cut_off("nothing of its answer moved", tools);
            return Flow::Close;
        }
        if !self.outbox.is_empty() && self.takes_too_slowly(tools.now) {
            self.cut_off("its answer is taken too slowly", tools);
            return Flow::Close;
        }
        match self.state {
            State::Uploading(_) => return self.expire_upload(tools),
            State::Sending(_) => return self.expire_download(tools),
            _ => {}
        }
        if self.deadline > tools.now {
            return Flow::Wait;
        }
        let reject = match self.state {
            State::Parked(ref parked) => {
                let woken = if parked.woken { Woken::Resumed } else { Woken::TimedOut };
                return if self.unpark(woken, tools).is_err() { Flow::Close } else { Flow::Again };
            }
            _ if !self.outbox.is_empty() => return Flow::Wait,
            State::Idle => {
                self.take_leave();
                return Flow::Close;
            }
            State::Uploading(_) | State::Sending(_) | State::Socket(_) | State::Closing | State::Lingering(_) => {
                return Flow::Close;
            }
            State::Receiving(Part::Head) => Reject::HeadTimeout(tools.timeouts.head.as_secs()),
            State::Receiving(Part::Body) => Reject::BodyTimeout(tools.timeouts.body.as_secs()),
        };
        self.refuse(&reject, tools)
    }

    /// Refuses what is being received, and ends.
    fn refuse<S: Service>(&mut self, reject: &Reject, tools: &mut Tools<S>) -> Flow {
        let input = std::mem::take(&mut self.input);
        self.reject(reject, &input, tools);
        if self.send(tools).is_err() { Flow::Close } else { Flow::Again }
    }
}

#[cfg(test)]
mod tests;
