//! One connection: where it is in its life, and what a turn of its shard does for it.
//!
//! ```text
//! Idle ─▶ Receiving ─▶ (service) ─┬▶ answer sent ─▶ Idle
//!   ▲                             ├▶ Parked ─▶ answer sent ─▶ Idle
//!   └─────────────────────────────┤  last answer ─▶ Closing ─▶ Lingering ─▶ gone
//!                                 └▶ Socket ─▶ close frame ─▶ Closing
//! ```
//!
//! Requests of one connection are answered one at a time and in order: while an answer is owed or unsent, nothing
//! more is read. Bytes received are borrowed from the shard's buffer; the connection keeps only an unfinished rest,
//! so an idle one holds no buffer. Closing lingers (RFC 9112 §9.6): our side is shut, then what the client still sends
//! is thrown away for a moment, because closing on unread bytes would reset the answer away.
//!
//! A connection that became a WebSocket reads whether or not its client does: pongs and closes must be heard. What
//! gathers for it during a turn leaves with one write at the end of the turn.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use http::Method;

use super::acceptor::Accepted;
use super::frame::Frame;
use super::http1::{self, Decoder, Part, Reject, Step};
use super::mailbox::Ticket;
use super::outbox::Outbox;
use super::response::Manner;
use super::shard::Tools;
use super::socket::{Socket, code};
use super::{Continuation, Reply, Response, Service, Woken};

/// Requests answered and reads made for one connection before its shard turns to the others.
const STEPS_PER_TURN: usize = 32;
/// Answers collected before they are written; one more may follow.
const ANSWERS_MAX_BYTES: usize = 64 * 1024;
/// How long a closed connection is listened to, so that its client can read the last answer.
const LINGER: Duration = Duration::from_secs(2);

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
    Parked { serial: u64, manner: Manner, then: Continuation },
    /// A WebSocket.
    Socket(Box<Socket>),
    /// The last answer is given; close once it is sent.
    Closing,
    /// Shut for writing.
    Lingering,
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
    /// When the state has lasted long enough. The client's time stands still while an answer is unsent.
    deadline: Instant,
    /// When an unsent answer must have moved.
    stalled: Instant,
    /// The socket may have bytes to read; with edge-triggered polling we must remember.
    readable: bool,
    /// The client has shut its side; reading goes on until it says so itself.
    read_closed: bool,
    /// In the shard's list of connections to serve.
    pub(crate) queued: bool,
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
            deadline: tools.now + tools.timeouts.head,
            stalled: tools.now,
            readable: false,
            read_closed: false,
            queued: false,
        }
    }

    pub(crate) fn source(&mut self) -> &mut mio::net::TcpStream {
        &mut self.accepted.stream
    }

    /// Notes what the poll says of the socket.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.read_closed |= event.is_read_closed();
    }

    /// Before the server stops: look once more for a request already on its way.
    pub(crate) fn last_look(&mut self) {
        self.readable = true;
    }

    /// Whether nothing is owed in either direction.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.state, State::Idle) && self.outbox.is_empty() && !self.fresh
    }

    /// Does all that can be done now.
    pub(crate) fn turn<S: Service>(&mut self, key: usize, tools: &mut Tools<S>) -> Flow {
        self.try_turn(key, tools).unwrap_or(Flow::Close)
    }

    fn try_turn<S: Service>(&mut self, key: usize, tools: &mut Tools<S>) -> io::Result<Flow> {
        let mut steps = 0;
        loop {
            let sent = self.outbox.is_empty() || self.flush(tools)?;
            match self.state {
                State::Socket(_) => match self.serve_socket(sent, &mut steps, tools)? {
                    Some(flow) => return Ok(flow),
                    None => continue,
                },
                _ if !sent => return Ok(Flow::Wait),
                State::Parked { .. } => return Ok(Flow::Wait),
                State::Closing => {
                    self.accepted.stream.shutdown(Shutdown::Write)?;
                    self.input = Vec::new();
                    self.state = State::Lingering;
                    self.deadline = tools.now + LINGER;
                }
                _ if steps >= STEPS_PER_TURN => return Ok(Flow::Again),
                State::Idle | State::Receiving(_) => {
                    if !self.fresh && !self.readable {
                        return Ok(Flow::Wait);
                    }
                    steps += 1;
                    if !self.receive(key, tools, &mut steps)? {
                        return Ok(Flow::Close);
                    }
                    self.send(tools)?;
                }
                State::Lingering => {
                    if !self.readable {
                        return Ok(Flow::Wait);
                    }
                    steps += 1;
                    if self.read(&mut tools.scratch)? == Some(0) {
                        return Ok(Flow::Close);
                    }
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
        let read = self.read(&mut scratch);
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
                self.readable = bytes == buffer.len() || self.read_closed;
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
        let mut used = 0;
        self.fresh = false;
        while used < input.len() {
            if *steps >= STEPS_PER_TURN || tools.answers.len() > ANSWERS_MAX_BYTES {
                self.fresh = true;
                return used;
            }
            let mut slots = http1::slots();
            let step = self.decoder.decode(&input[used..], &mut slots, |request| tools.service.body_limit(request));
            match step {
                Ok(Step::More { consumed, send_continue }) => {
                    if send_continue {
                        tools.answers.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    self.receiving(tools);
                    return used + consumed;
                }
                Ok(Step::Request { request, consumed }) => {
                    *steps += 1;
                    used += consumed;
                    let keep_alive = request.keep_alive && !tools.stopping;
                    let manner =
                        Manner { head_only: request.method == Method::HEAD, http11: request.http11, keep_alive };
                    let ticket = tools.ticket(key);
                    let reply = tools.service.call(&request, self.accepted.peer, ticket);
                    self.decoder.reset();
                    match reply {
                        Reply::Upgrade(response, session, limits) => {
                            let mut socket = Socket::new(ticket, session, limits, tools.now);
                            if tools.stopping {
                                socket.leave_at(tools.now);
                            }
                            self.upgrade(&response, Box::new(socket), tools);
                        }
                        Reply::Now(response) => self.answer(&response, manner, tools),
                        Reply::Later(then) => {
                            self.state = State::Parked { serial: ticket.serial, manner, then };
                            self.deadline = tools.now + tools.timeouts.parked;
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
            State::Parked { .. } | State::Socket(_) | State::Closing | State::Lingering => return,
        };
        self.deadline = tools.now + time;
    }

    fn answer<S: Service>(&mut self, response: &Response, mut manner: Manner, tools: &mut Tools<S>) {
        manner.keep_alive &= !response.close;
        tools.encode(response, manner);
        self.state = if manner.keep_alive { State::Idle } else { State::Closing };
        self.restart(tools);
    }

    /// Refuses the request that begins `input`, and everything after it.
    fn reject<S: Service>(&mut self, reject: &Reject, input: &[u8], tools: &mut Tools<S>) {
        let mut slots = http1::slots();
        let request = self.decoder.head(input, &mut slots);
        let head_only = request.as_ref().is_some_and(|request| request.method == Method::HEAD);
        let response = tools.service.reject(reject, request.as_ref(), self.accepted.peer);
        drop(request);
        self.answer(&response, Manner { head_only, http11: true, keep_alive: false }, tools);
    }

    fn send<S>(&mut self, tools: &mut Tools<S>) -> io::Result<()> {
        if tools.answers.is_empty() {
            return Ok(());
        }
        let waiting = self.outbox.len();
        let moved = self.outbox.send(&tools.answers, &mut self.accepted.stream);
        tools.clear_answers();
        // Whatever became of the socket: what the outbox took is given back when the connection closes.
        tools.unsent = tools.unsent - waiting + self.outbox.len();
        if moved? > 0 || waiting == 0 {
            self.stalled = tools.now + tools.timeouts.write_stall;
        }
        // One answer that is larger than all that may wait is still given, as long as it is alone.
        if tools.unsent > tools.unsent_max && tools.unsent > self.outbox.len() {
            self.cut_off("too much is unsent to too many", tools);
            return Err(ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// Sends what waits; true when nothing does any more.
    fn flush<S>(&mut self, tools: &mut Tools<S>) -> io::Result<bool> {
        let waiting = self.outbox.len();
        let flushed = self.outbox.flush(&mut self.accepted.stream);
        tools.unsent = tools.unsent - waiting + self.outbox.len();
        flushed?;
        if self.outbox.len() < waiting {
            self.stalled = tools.now + self.patience(tools);
        }
        let empty = self.outbox.is_empty();
        if empty {
            self.restart(tools);
        }
        Ok(empty)
    }

    /// How long an unsent answer may stand still.
    fn patience<S>(&self, tools: &Tools<S>) -> Duration {
        match &self.state {
            State::Socket(socket) => socket.stall(),
            _ => tools.timeouts.write_stall,
        }
    }

    /// From this answer on the connection is a WebSocket. Its first frames stand behind the answer.
    fn upgrade<S>(&mut self, response: &Response, socket: Box<Socket>, tools: &mut Tools<S>) {
        tools.encode(response, Manner { head_only: false, http11: true, keep_alive: true });
        self.state = State::Socket(socket);
        let waiting = self.outbox.len();
        self.outbox.push_bytes(&tools.answers);
        self.filled(waiting, &mut tools.unsent, tools.now);
        tools.clear_answers();
        self.with_socket(tools, Socket::open);
    }

    /// Has the socket, if this is one, do something that may fill the outbox or end it.
    fn with_socket<S>(&mut self, tools: &mut Tools<S>, act: impl FnOnce(&mut Socket, &mut Outbox) -> ControlFlow<u16>) {
        let State::Socket(socket) = &mut self.state else { return };
        let waiting = self.outbox.len();
        let verdict = act(socket, &mut self.outbox);
        self.filled(waiting, &mut tools.unsent, tools.now);
        if let ControlFlow::Break(code) = verdict {
            self.end_socket(code);
        }
    }

    /// The outbox held `waiting` bytes before and may hold more now.
    fn filled(&mut self, waiting: usize, unsent: &mut usize, now: Instant) {
        *unsent = *unsent - waiting + self.outbox.len();
        if let State::Socket(socket) = &self.state
            && waiting == 0
        {
            self.stalled = now + socket.stall();
        }
    }

    /// The socket is over, with this code; what waits, its close frame for one, is still sent.
    fn end_socket(&mut self, code: u16) {
        if let State::Socket(socket) = std::mem::replace(&mut self.state, State::Closing) {
            socket.end(code);
        }
    }

    /// A step of a socket. `None`: come again.
    fn serve_socket<S>(&mut self, sent: bool, steps: &mut usize, tools: &mut Tools<S>) -> io::Result<Option<Flow>> {
        if !sent && self.is_too_slow(tools) {
            self.cut_off_socket(tools);
            return Ok(None);
        }
        if !self.fresh && !self.readable {
            return Ok(Some(Flow::Wait));
        }
        if *steps >= STEPS_PER_TURN {
            return Ok(Some(Flow::Again));
        }
        *steps += 1;
        let now = tools.now;
        if std::mem::take(&mut self.fresh) {
            let input = std::mem::take(&mut self.input);
            self.with_socket(tools, |socket, outbox| socket.receive(&input, outbox, now));
            return Ok(None);
        }
        let mut scratch = std::mem::take(&mut tools.scratch);
        let read = self.read(&mut scratch);
        if let Ok(Some(bytes)) = read {
            self.with_socket(tools, |socket, outbox| socket.receive(&scratch[..bytes], outbox, now));
        }
        tools.scratch = scratch;
        Ok((read? == Some(0)).then_some(Flow::Close))
    }

    fn is_too_slow<S>(&mut self, tools: &Tools<S>) -> bool {
        let unsent = self.outbox.len();
        match &mut self.state {
            State::Socket(socket) => socket.is_too_slow(unsent) || tools.unsent > tools.unsent_max,
            _ => false,
        }
    }

    /// Lets a reader go that is too slow. What it was to get is dropped; the reason is the last thing it can read.
    fn cut_off_socket<S>(&mut self, tools: &mut Tools<S>) {
        self.cut_off("its socket reads too slowly", tools);
        let waiting = self.outbox.len();
        self.outbox.drop_unbegun();
        tools.unsent = tools.unsent - waiting + self.outbox.len();
        self.close_socket(code::TRY_AGAIN, "Reading too slowly; reconnect and catch up", tools);
        // So much longer it has to come to the close frame, which waits behind what the kernel holds.
        self.stalled = tools.now + tools.timeouts.write_stall;
    }

    /// Closes from our side, if this is a socket.
    pub(crate) fn close_socket<S>(&mut self, code: u16, reason: &str, tools: &mut Tools<S>) {
        self.with_socket(tools, |_, outbox| {
            outbox.push(Frame::close(code, reason));
            ControlFlow::Break(code)
        });
    }

    /// Adds a frame for the socket with this ticket; true if it is here. The frame leaves with the end of the turn.
    pub(crate) fn deliver(&mut self, ticket: Ticket, frame: &Frame, unsent: &mut usize, now: Instant) -> bool {
        let State::Socket(socket) = &self.state else { return false };
        if socket.ticket() != ticket {
            return false;
        }
        let waiting = self.outbox.len();
        self.outbox.push(frame.clone());
        self.filled(waiting, unsent, now);
        true
    }

    pub(crate) fn is_socket(&self) -> bool {
        matches!(self.state, State::Socket(_))
    }

    /// Has the server close the socket, if this is one, at this moment.
    pub(crate) fn leave_at(&mut self, at: Instant) {
        if let State::Socket(socket) = &mut self.state {
            socket.leave_at(at);
        }
    }

    /// Bytes that the client has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Tells the log why a client that does not read is let go.
    fn cut_off<S>(&self, reason: &str, tools: &Tools<S>) {
        if let Some(count) = tools.cut_off.hit() {
            log::warn!(reason, peer = self.accepted.peer.to_string(), unsent_bytes = self.unsent(), count; "connection.cut_off");
        }
    }

    /// Gives a parked request its answer, if this is its ticket.
    pub(crate) fn resume<S: Service>(&mut self, ticket: Ticket, tools: &mut Tools<S>) -> Flow {
        match &self.state {
            State::Parked { serial, .. } if *serial == ticket.serial => self.unpark(Woken::Resumed, tools),
            _ => Flow::Wait,
        }
    }

    fn unpark<S: Service>(&mut self, woken: Woken, tools: &mut Tools<S>) -> Flow {
        let State::Parked { mut manner, then, .. } = std::mem::replace(&mut self.state, State::Idle) else {
            return Flow::Wait;
        };
        manner.keep_alive &= !tools.stopping;
        let response = then(woken);
        self.answer(&response, manner, tools);
        if self.send(tools).is_err() { Flow::Close } else { Flow::Again }
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
        if self.deadline > tools.now {
            return Flow::Wait;
        }
        let reject = match self.state {
            State::Parked { .. } => return self.unpark(Woken::TimedOut, tools),
            _ if !self.outbox.is_empty() => return Flow::Wait,
            State::Idle | State::Socket(_) | State::Closing | State::Lingering => return Flow::Close,
            State::Receiving(Part::Head) => Reject::HeadTimeout(tools.timeouts.head.as_secs()),
            State::Receiving(Part::Body) => Reject::BodyTimeout(tools.timeouts.body.as_secs()),
        };
        let input = std::mem::take(&mut self.input);
        self.reject(&reject, &input, tools);
        if self.send(tools).is_err() { Flow::Close } else { Flow::Again }
    }

    fn tick_socket<S>(&mut self, tools: &mut Tools<S>) -> Flow {
        if !self.outbox.is_empty() && self.stalled <= tools.now {
            self.cut_off_socket(tools);
            return Flow::Again;
        }
        let (waiting, now) = (self.outbox.len(), tools.now);
        self.with_socket(tools, |socket, outbox| socket.tick(outbox, now));
        match self.state {
            State::Socket(_) if self.outbox.len() == waiting => Flow::Wait,
            // Closed without a word: there is nobody to hear it.
            State::Closing if self.outbox.len() == waiting => Flow::Close,
            _ => Flow::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::net::acceptor::{Caps, Slots};
    use crate::net::http1::{Limits, Request};
    use crate::net::{Reply, Timeouts};

    const SECOND: Duration = Duration::from_secs(1);

    /// Answers GET at once and anything else when it is told to.
    struct Stub;

    impl Service for Stub {
        type Note = ();
        fn body_limit(&self, _: &Request<'_>) -> usize {
            0
        }
        fn call(&mut self, request: &Request<'_>, _: IpAddr, _: Ticket) -> Reply {
            if request.method == Method::GET {
                return Reply::Now(Response::text(http::StatusCode::OK, "now"));
            }
            Reply::Later(Box::new(|woken| match woken {
                Woken::Resumed => Response::text(http::StatusCode::OK, "later"),
                Woken::TimedOut => Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "too late"),
            }))
        }
        fn reject(&mut self, _: &Reject, _: Option<&Request<'_>>, _: IpAddr) -> Response {
            Response::text(http::StatusCode::REQUEST_TIMEOUT, "rejected")
        }
        fn refuse(&mut self) -> Response {
            Response::text(http::StatusCode::SERVICE_UNAVAILABLE, "refused")
        }
        fn note(&mut self, (): (), _: &mut crate::net::Sockets<'_>) {}
    }

    /// A connection whose socket was full when it answered the first request of `sent`.
    fn congested(sent: &str) -> (Conn, std::net::TcpStream, Tools<Stub>) {
        // A busy kernel may make room late, and the answer fits in; another connection then.
        loop {
            let (mut conn, client, mut tools) = filled(sent);
            assert_eq!(conn.turn(0, &mut tools), Flow::Wait);
            if !conn.outbox.is_empty() {
                return (conn, client, tools);
            }
        }
    }

    /// A connection whose socket takes no byte more until the client reads, and which has `sent` to read itself.
    fn filled(sent: &str) -> (Conn, std::net::TcpStream, Tools<Stub>) {
        let limits = Limits { head_bytes: 1024, headers: 8, target_bytes: 256 };
        let timeouts = Timeouts {
            head: 2 * SECOND,
            body: 3 * SECOND,
            keep_alive: 100 * SECOND,
            write_stall: 10 * SECOND,
            parked: 4 * SECOND,
        };
        let tools = Tools::new(Stub, limits, timeouts, Clock::system());
        let caps = Caps { connections: 1, per_address: 1, exempt: Box::new(|_| false) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let slot = Arc::new(Slots::new(caps)).take(peer.ip()).ok().unwrap();
        let stream = mio::net::TcpStream::from_std(stream);
        let mut conn = Conn::new(Accepted { stream, peer: peer.ip(), _slot: slot }, &tools);
        client.write_all(sent.as_bytes()).unwrap();
        while conn.source().peek(&mut [0; 256]).ok() != Some(sent.len()) {}
        // What the kernel still moves along makes room again; that ends when the client's side is full as well.
        for _ in 0..10 {
            while conn.source().write(&[b'.'; 4096]).is_ok() {}
            std::thread::park_timeout(Duration::from_millis(5));
        }
        conn.readable = true;
        (conn, client, tools)
    }

    /// The client reads what is there, and the rest leaves.
    fn relieve(conn: &mut Conn, client: &mut std::net::TcpStream, tools: &mut Tools<Stub>) {
        client.set_nonblocking(true).unwrap();
        while !conn.outbox.is_empty() {
            while client.read(&mut [0; 64 * 1024]).is_ok() {}
            conn.turn(0, tools);
        }
    }

    #[test]
    fn a_head_begun_behind_an_unsent_answer_has_its_own_time_once_that_is_sent() {
        let (mut conn, mut client, mut tools) = congested("GET / HTTP/1.1\r\nHost: t\r\n\r\nGET /");
        tools.now += 9 * SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Wait, "nothing is asked of it while we do not read");
        relieve(&mut conn, &mut client, &mut tools);
        tools.now += SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Wait);
        tools.now += SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Again);
        assert!(matches!(conn.state, State::Closing));
    }

    #[test]
    fn a_parked_request_is_answered_in_time_whatever_waits_before_it() {
        for relieved in [false, true] {
            let both = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPUT / HTTP/1.1\r\nHost: t\r\n\r\n";
            let (mut conn, mut client, mut tools) = congested(both);
            if relieved {
                relieve(&mut conn, &mut client, &mut tools);
            }
            tools.now += 3 * SECOND;
            assert_eq!(conn.expire(&mut tools), Flow::Wait);
            tools.now += SECOND;
            assert_eq!(conn.expire(&mut tools), Flow::Again);
            assert!(matches!(conn.state, State::Idle));
        }
    }

    #[test]
    fn what_all_clients_together_do_not_read_is_bounded() {
        let get = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
        let (conn, _client, mut tools) = congested(get);
        let (other, _other_client, other_tools) = congested(get);
        assert_eq!(tools.unsent, conn.unsent());
        tools.unsent_max = tools.unsent - 1;
        let (mut other, mut all) = (other, tools);
        all.unsent += other_tools.unsent;
        other.accepted.stream.set_nodelay(true).unwrap();
        all.answers.extend_from_slice(b"more");
        assert!(other.send(&mut all).is_err(), "the one whose answer is too much for the shard is let go");
    }

    #[test]
    fn an_answer_to_a_client_that_has_left_is_counted_like_any_other() {
        let both = "GET / HTTP/1.1\r\nHost: t\r\n\r\nPUT / HTTP/1.1\r\nHost: t\r\n\r\n";
        let (mut conn, client, mut tools) = congested(both);
        // It leaves with bytes unread, so the connection is reset.
        drop(client);
        tools.now += 4 * SECOND;
        assert_eq!(conn.expire(&mut tools), Flow::Close, "the answer to PUT finds nobody");
        assert!(conn.unsent() > 0);
        assert_eq!(tools.unsent, conn.unsent());
    }

    #[test]
    fn an_answer_that_does_not_move_ends_the_connection_whatever_else_goes_on() {
        for sent in ["GET / HTTP/1.1\r\nHost: t\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            let (mut conn, _client, mut tools) = congested(sent);
            tools.now += 9 * SECOND;
            assert_eq!(conn.expire(&mut tools), Flow::Wait);
            tools.now += SECOND;
            assert_eq!(conn.expire(&mut tools), Flow::Close);
        }
    }
}
