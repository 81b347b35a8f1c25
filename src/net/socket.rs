//! One WebSocket: `tungstenite` reads, we write.
//!
//! The protocol machine is given the bytes that the shard has read and an [`Outbox`] to write to, so its pongs and
//! close answers stand in one order with the frames of fan-out, and only the shard ever writes to the socket. What the
//! messages mean is a [`Session`]'s business; when to ping, when to give up and how to close is ours.
//!
//! A socket that is over is left to its connection, which sends what waits, shuts its side and lingers until the
//! client has closed too; nothing that comes after a close is looked at.

use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::Message as Incoming;
use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::frame::Frame;
use super::incoming::Frames;
use super::mailbox::{SocketNote, Ticket};
use super::outbox::{Outbox, Room};
use crate::net::counters::Counters;

/// Bytes that the protocol machine asks for at once, and about what an idle socket keeps of them.
const READ_BUFFER_BYTES: usize = 512;

/// A longer message has the machine begin anew after it: it would keep the room that the message took.
const INPUT_KEPT_BYTES: usize = 4096;

/// The longest payload of a control frame (RFC 6455 §5.5).
const CONTROL_MAX_BYTES: usize = 125;

/// The first byte of a pong.
const PONG: u8 = 0x8a;

/// What a client has sent.
#[derive(Debug)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A message over [`SocketLimits::message_bytes`], of which nothing was kept. Nothing more will be read.
    TooLarge,
    /// More messages or frames within a second than [`SocketLimits::messages_per_second`].
    TooMany,
}

/// Why what a client showed to be let in is no longer good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over ([`Session::until`]).
    Expired,
    /// The operator has revoked it.
    Revoked,
}

impl Ended {
    /// For the client.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Expired => "Token expired",
            Self::Revoked => "Token revoked",
        }
    }
}

/// What one socket is for. Lives on its shard, with the connection.
pub trait Session {
    /// The upgrade is answered; the first frames go to `out`. The ticket names the socket from now on.
    fn open(&mut self, ticket: Ticket, out: &mut Outgoing<'_>);

    /// A message came.
    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>);

    /// A ping was sent to the client that it has not answered; or, false, it has.
    fn owes_pong(&mut self, _owes: bool) {}

    /// The client has answered a ping, be it one of its session's own ([`Outgoing::ping`]): what it said before it had that one is here.
    fn ponged(&mut self, _: &mut Outgoing<'_>) {}

    /// Somebody has told this socket something ([`SocketAddress::tell`](super::SocketAddress::tell)).
    fn note(&mut self, _: SocketNote, _: &mut Outgoing<'_>) {}

    /// The client has taken all that waited, and passing frames were left out meanwhile ([`Frame::passing`]): what they would have
    /// said by now can be said anew.
    fn caught_up(&mut self, _: &mut Outgoing<'_>) {}

    /// Its own timer. Asked when the socket was opened, and then each time that the moment it has named is there; `None` ends
    /// it. A moment is kept to within a sweep of the shard (250 ms), so nothing is asked more often than that.
    fn tick(&mut self, _now: Instant, _: &mut Outgoing<'_>) -> Option<Instant> {
        None
    }

    /// The subprotocol that it speaks, one of those that the client has offered (`Call::offered_protocols`); asked once, before it
    /// is opened. Where the client has not offered it, the answer names none.
    fn protocol(&self) -> Option<&str> {
        None
    }

    /// Until when the socket may go on; asked once, before it is opened.
    fn until(&self) -> Option<Instant> {
        None
    }

    /// What the client showed to be let in is no longer good. Whatever is said, the socket is closed after it.
    fn expire(&mut self, _why: Ended, _: &mut Outgoing<'_>) {}

    /// The server stops. Whatever is said, the socket is closed after it: with [`code::RESTART`], unless the session closes it.
    fn leave(&mut self, _: &mut Outgoing<'_>) {}

    /// The socket has ended with this code, from either side. Called once.
    fn closed(&mut self, code: u16);
}

/// Where a session puts what it wants sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    outbox: &'a mut Outbox,
    close: Option<u16>,
    /// What of it was asked for, however large.
    lent: Room,
}

impl Outgoing<'_> {
    /// Sends a text message.
    pub fn text(&mut self, payload: &str) {
        if self.close.is_none() {
            self.outbox.push(Frame::text(payload));
        }
    }

    /// Sends a binary message.
    pub fn binary(&mut self, payload: &[u8]) {
        if self.close.is_none() {
            self.outbox.push(Frame::binary(payload));
        }
    }

    /// Sends a message that is encoded already, such as one that others get, too: its bytes are shared, not copied. What closes is
    /// no message, see [`Outgoing::close`].
    pub fn frame(&mut self, frame: &Frame) {
        if self.close.is_none() {
            self.outbox.push(frame.clone());
        }
    }

    /// Sends a message that the client has asked for, however large it is: what waits of it does not count against a slow reader.
    /// Who lends bounds what may be asked for before it has been read ([`Outgoing::waiting_bytes`]).
    pub fn lend(&mut self, frame: &Frame) {
        if self.close.is_none() {
            self.lent.bytes += self.outbox.push(frame.clone());
            self.lent.frames += 1;
        }
    }

    /// Pings the client, besides what is done to know whether it is there.
    pub fn ping(&mut self) {
        if self.close.is_none() {
            self.outbox.push(Frame::ping());
        }
    }

    /// Whether it was closed: nothing can follow.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.close.is_some()
    }

    /// The memory, in bytes, that what waits for this client takes: what [`SocketLimits::outbox_bytes`] bounds. 0 if it has taken all.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.cost()
    }

    /// Closes after what was sent so far; nothing can follow.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.close.is_none() {
            self.outbox.push(Frame::close(code, reason));
            self.close = Some(code);
        }
    }

    fn verdict(&self) -> ControlFlow<u16> {
        self.close.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }
}

/// Bounds of a socket.
#[derive(Debug, Clone)]
pub struct SocketLimits {
    /// The longest message, and the longest frame of one.
    pub message_bytes: usize,
    /// How long a message may take from its first byte to its last.
    pub message_time: Duration,
    /// Messages and pings within a second, and as many frames that end no message.
    pub messages_per_second: usize,
    /// The memory that may wait to be sent; with more the reader counts as too slow. With more than half of it, or of the frames,
    /// passing frames are left out ([`Frame::passing`]).
    pub outbox_bytes: usize,
    /// The frames that may wait, likewise.
    pub outbox_frames: usize,
    /// How long nothing of what is unsent may move.
    pub stall: Duration,
    /// How often to ping; a ping not answered by the next one ends the socket.
    pub ping: Duration,
}

/// Close codes used here, as registered for RFC 6455, and one of our own.
pub mod code {
    /// The client closed without saying why, or said that it is done.
    pub const NORMAL: u16 = 1000;
    /// The client broke the protocol.
    pub const PROTOCOL: u16 = 1002;
    /// A kind of data that is not taken here.
    pub const UNSUPPORTED: u16 = 1003;
    /// Nobody closed: the connection was lost.
    pub const LOST: u16 = 1006;
    /// Text that is not UTF-8, or not what it should be.
    pub const INVALID: u16 = 1007;
    /// Against the rules of the house; it would be again.
    pub const POLICY: u16 = 1008;
    /// A message over the bound.
    pub const TOO_LARGE: u16 = 1009;
    /// Our fault; come back.
    pub const INTERNAL: u16 = 1011;
    /// The server is restarting; come back.
    pub const RESTART: u16 = 1012;
    /// The client reads too slowly; come back and catch up.
    pub const TRY_AGAIN: u16 = 1013;
    /// What the client showed to be let in is no longer good; come back with something new.
    pub const EXPIRED: u16 = 4401;
    /// What it listens to is not its user's to hear any more.
    pub const FORBIDDEN: u16 = 4403;
    /// What it listens to is there no more.
    pub const GONE: u16 = 4410;
}

/// The protocol's side of one socket.
pub(crate) struct Socket {
    ticket: Ticket,
    protocol: WebSocketContext,
    /// What the machine was given.
    frames: Frames,
    session: Box<dyn Session>,
    limits: Arc<SocketLimits>,
    next_ping: Instant,
    /// A ping is out and no pong has come.
    waiting_for_pong: bool,
    /// The second that runs, and what has come in it.
    second: Instant,
    messages: usize,
    /// What waits of the first words and of what the client has asked for: it does not count against a slow reader.
    credit: Room,
    /// When the server wants to be rid of it.
    leave_at: Option<Instant>,
    /// When its session wants it to end.
    until: Option<Instant>,
    /// When its session wants to be asked again.
    next_tick: Option<Instant>,
    /// What its session is told when it is dropped.
    code: u16,
    metrics: Arc<Counters>,
}

impl Socket {
    pub(crate) fn new(
        ticket: Ticket,
        session: Box<dyn Session>,
        limits: Arc<SocketLimits>,
        metrics: Arc<Counters>,
        now: Instant,
    ) -> Self {
        Self {
            ticket,
            protocol: machine(&limits),
            frames: Frames::new(now),
            until: session.until(),
            next_tick: None,
            session,
            next_ping: now + limits.ping,
            limits,
            waiting_for_pong: false,
            second: now,
            messages: 0,
            credit: Room::default(),
            leave_at: None,
            code: code::LOST,
            metrics,
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(crate) fn stall(&self) -> Duration {
        self.limits.stall
    }

    /// Lets the session say its first words. Break: it is over, with this code.
    pub(crate) fn open(&mut self, outbox: &mut Outbox, now: Instant) -> ControlFlow<u16> {
        let ticket = self.ticket;
        let SocketLimits { outbox_bytes, outbox_frames, .. } = *self.limits;
        outbox.leave_out_above(Room { bytes: outbox_bytes / 2, frames: outbox_frames / 2 });
        let verdict = self.consult(outbox, |session, out| session.open(ticket, out));
        self.credit = Room { bytes: outbox.cost(), frames: outbox.pieces() };
        verdict?;
        self.tick_session(outbox, now)
    }

    /// Hands a note to the session. Break: it is over, with this code.
    pub(crate) fn note(&mut self, note: SocketNote, outbox: &mut Outbox) -> ControlFlow<u16> {
        self.consult(outbox, |session, out| session.note(note, out))
    }

    /// Tells the session that its client has taken everything, and has not got what was passing. Break: it is over, with this code.
    pub(crate) fn caught_up(&mut self, outbox: &mut Outbox) -> ControlFlow<u16> {
        self.consult(outbox, |session, out| session.caught_up(out))
    }

    fn tick_session(&mut self, outbox: &mut Outbox, now: Instant) -> ControlFlow<u16> {
        let mut next = None;
        let verdict = self.consult(outbox, |session, out| next = session.tick(now, out));
        self.next_tick = next;
        verdict
    }

    /// Asks the session. If it panics, its socket is over and nothing else.
    fn consult(
        &mut self,
        outbox: &mut Outbox,
        ask: impl FnOnce(&mut dyn Session, &mut Outgoing<'_>),
    ) -> ControlFlow<u16> {
        let mut out = Outgoing { outbox, close: None, lent: Room::default() };
        if catch_unwind(AssertUnwindSafe(|| ask(self.session.as_mut(), &mut out))).is_err() {
            out.close(code::INTERNAL, "Unexpected error");
        }
        self.credit.bytes += out.lent.bytes;
        self.credit.frames += out.lent.frames;
        out.verdict()
    }

    /// Takes in bytes that were read. Break: it is over, with this code.
    pub(crate) fn receive(&mut self, bytes: &[u8], outbox: &mut Outbox, now: Instant) -> ControlFlow<u16> {
        let mut unread = bytes;
        self.metrics.bytes_in.inc_by(bytes.len() as u64);
        loop {
            let most = self.limits.messages_per_second;
            let mut wire = Wire { unread: &mut unread, outbox, frames: &mut self.frames, most, now };
            let message = self.protocol.read(&mut wire);
            let message = match &message {
                Ok(Incoming::Text(text)) => Message::Text(text.as_str()),
                Ok(Incoming::Binary(bytes)) => Message::Binary(bytes),
                // The protocol machine has answered it; it counts like a message.
                Ok(Incoming::Ping(_)) => {
                    if self.is_within_rate(now) {
                        continue;
                    }
                    Message::TooMany
                }
                Ok(Incoming::Pong(_)) => {
                    if std::mem::take(&mut self.waiting_for_pong) {
                        self.consult(outbox, |session, _| session.owes_pong(false))?;
                    }
                    self.consult(outbox, |session, out| session.ponged(out))?;
                    continue;
                }
                // The protocol machine answers it with the next read, which then says that this was all.
                Ok(Incoming::Close(frame)) => {
                    self.code = frame.as_ref().map_or(code::NORMAL, |frame| frame.code.into());
                    continue;
                }
                Ok(Incoming::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return ControlFlow::Continue(()),
                Err(Error::Io(error)) if error.kind() == ErrorKind::QuotaExceeded => Message::TooMany,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return ControlFlow::Break(self.code),
                Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => Message::TooLarge,
                Err(Error::Utf8(_)) => return end(outbox, code::INVALID, "Text that is not valid UTF-8"),
                Err(error) => return end(outbox, code::PROTOCOL, &error.to_string()),
            };
            let counted = matches!(message, Message::Text(_) | Message::Binary(_));
            if counted {
                self.metrics.messages_received.inc();
            }
            let message = if counted && !self.is_within_rate(now) { Message::TooMany } else { message };
            self.consult(outbox, |session, out| session.message(&message, out))?;
            if matches!(message, Message::TooLarge | Message::TooMany) {
                // The rest of the stream cannot be followed, or is not wanted, whatever the session thinks.
                return end(outbox, code::POLICY, "");
            }
            if self.frames.end_message() > INPUT_KEPT_BYTES {
                // It was given nothing beyond the message, so nothing is lost.
                self.protocol = machine(&self.limits);
            }
        }
    }

    fn is_within_rate(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.messages = 0;
        }
        self.messages += 1;
        self.messages <= self.limits.messages_per_second
    }

    /// Looks at the clock. Break: it is over, with this code.
    pub(crate) fn tick(&mut self, outbox: &mut Outbox, now: Instant) -> ControlFlow<u16> {
        if self.leave_at.is_some_and(|at| at <= now) {
            self.consult(outbox, |session, out| session.leave(out))?;
            return end(outbox, code::RESTART, "The server is restarting; reconnect and catch up");
        }
        if self.until.is_some_and(|until| until <= now) {
            self.consult(outbox, |session, out| session.expire(Ended::Expired, out))?;
            return end(outbox, code::EXPIRED, "");
        }
        if self.frames.began().is_some_and(|began| began + self.limits.message_time <= now) {
            return end(outbox, code::POLICY, "A message was begun and not finished in time");
        }
        if self.next_tick.is_some_and(|at| at <= now) {
            self.tick_session(outbox, now)?;
        }
        if now < self.next_ping {
            return ControlFlow::Continue(());
        }
        if self.waiting_for_pong {
            return ControlFlow::Break(code::LOST);
        }
        self.waiting_for_pong = true;
        self.next_ping = now + self.limits.ping;
        outbox.push(Frame::ping());
        self.consult(outbox, |session, _| session.owes_pong(true))
    }

    /// Has the server close it at this moment.
    pub(crate) fn leave_at(&mut self, at: Instant) {
        self.leave_at = Some(at);
    }

    /// The memory, in bytes, that the unfinished message takes.
    pub(crate) fn half_message(&self) -> usize {
        self.frames.cost()
    }

    /// Whether what waits is more than a reader may leave.
    pub(crate) fn is_too_slow(&mut self, outbox: &Outbox) -> bool {
        let (bytes, frames, credit) = (outbox.cost(), outbox.pieces(), &mut self.credit);
        // What was read will not be lent again.
        *credit = Room { bytes: credit.bytes.min(bytes), frames: credit.frames.min(frames) };
        bytes - credit.bytes > self.limits.outbox_bytes || frames - credit.frames > self.limits.outbox_frames
    }

    /// It is over. Its session is told when it is dropped.
    pub(crate) fn end(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.metrics.closed(self.code);
        // The panic hook has said what there is to say.
        let _ = catch_unwind(AssertUnwindSafe(|| self.session.closed(self.code)));
    }
}

/// The close frame, and the word that nothing follows it.
pub(crate) fn end(outbox: &mut Outbox, code: u16, reason: &str) -> ControlFlow<u16> {
    outbox.push(Frame::close(code, reason));
    ControlFlow::Break(code)
}

/// A protocol machine that knows of nothing yet.
fn machine(limits: &SocketLimits) -> WebSocketContext {
    // Every limit explicitly: the defaults keep 128 KiB a socket and accept 64 MiB.
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.outbox_bytes)
        .max_message_size(Some(limits.message_bytes))
        // Control frames have a bound of their own, which a small one for messages must not undercut.
        .max_frame_size(Some(limits.message_bytes.max(CONTROL_MAX_BYTES)))
        .accept_unmasked_frames(false);
    WebSocketContext::new(Role::Server, Some(config))
}

/// The socket as the protocol machine sees it: reads what the shard has read, frame by frame, and writes to the outbox.
struct Wire<'a, 'b> {
    unread: &'a mut &'b [u8],
    outbox: &'a mut Outbox,
    frames: &'a mut Frames,
    /// Frames that end no message within a second.
    most: usize,
    now: Instant,
}

impl Read for Wire<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.unread.len().min(buffer.len());
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = self.frames.take(&self.unread[..room], self.now);
        if self.frames.fruitless() > self.most {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        self.unread.read(&mut buffer[..taken])
    }
}

impl Write for Wire<'_, '_> {
    /// The machine writes one frame at a time: a pong, or the answer to a close.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match bytes.first() {
            Some(&PONG) => self.outbox.push_pong(bytes),
            _ => self.outbox.push_bytes(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: SocketLimits = SocketLimits {
        message_bytes: 64,
        message_time: Duration::from_millis(500),
        messages_per_second: 2,
        outbox_bytes: 1000,
        outbox_frames: 10,
        stall: SECOND,
        ping: SECOND,
    };

    /// Says `first` to begin with and echoes what comes, but trips over "trip". Says "tick" every `ticks`.
    struct Echo {
        first: String,
        until: Option<Instant>,
        ticks: Option<Duration>,
        opened: bool,
    }

    impl Session for Echo {
        fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
            out.text(&self.first);
        }

        fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
            match message {
                Message::Text("trip") => std::panic::resume_unwind(Box::new("on purpose")),
                Message::Text("lend") => out.lend(&Frame::text(&"x".repeat(5000))),
                Message::Text(text) => out.text(text),
                Message::Binary(bytes) => out.binary(bytes),
                other => out.close(code::POLICY, &format!("{other:?}")),
            }
        }

        fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
            match note.downcast::<String>() {
                Ok(text) => out.text(&text),
                Err(_) => out.close(code::POLICY, "an unknown note"),
            }
        }

        fn tick(&mut self, now: Instant, out: &mut Outgoing<'_>) -> Option<Instant> {
            if std::mem::replace(&mut self.opened, true) {
                out.text("tick");
            }
            self.ticks.map(|every| now + every)
        }

        fn until(&self) -> Option<Instant> {
            self.until
        }

        fn expire(&mut self, _: Ended, out: &mut Outgoing<'_>) {
            out.text("goodbye");
        }

        fn leave(&mut self, out: &mut Outgoing<'_>) {
            if self.first == "leaves" {
                out.close(1001, "going away");
            }
        }

        fn closed(&mut self, _: u16) {}
    }

    fn socket(first: &str) -> (Socket, Outbox, Instant) {
        let now = Clock::system().instant();
        let (socket, outbox) = opened(echo(first), now);
        (socket, outbox, now)
    }

    fn echo(first: &str) -> Echo {
        Echo { first: first.to_owned(), until: None, ticks: None, opened: false }
    }

    fn opened(session: Echo, now: Instant) -> (Socket, Outbox) {
        let ticket = Ticket { connection: 0, serial: 1 };
        let mut socket = Socket::new(ticket, Box::new(session), Arc::new(LIMITS), Arc::default(), now);
        let mut outbox = Outbox::default();
        assert_eq!(socket.open(&mut outbox, now), ControlFlow::Continue(()));
        (socket, outbox)
    }

    /// A frame as a client sends it, under the mask 0.
    fn from_client(first: u8, payload: &str) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[first, 0x80 | length, 0, 0, 0, 0], payload.as_bytes()].concat()
    }

    fn text(payload: &str) -> Vec<u8> {
        from_client(0x81, payload)
    }

    /// What the outbox held.
    fn sent(outbox: &mut Outbox) -> Vec<u8> {
        let mut taken = Vec::new();
        outbox.flush(&mut taken).unwrap();
        taken
    }

    #[test]
    fn bytes_may_come_in_any_pieces() {
        let (mut socket, mut outbox, now) = socket("hello");
        sent(&mut outbox);
        for byte in text("twelve bytes") {
            assert_eq!(socket.receive(&[byte], &mut outbox, now), ControlFlow::Continue(()));
        }
        assert_eq!(sent(&mut outbox), Frame::text("twelve bytes").as_bytes());
    }

    #[test]
    fn a_session_that_panics_ends_its_own_socket_and_says_so() {
        let (mut socket, mut outbox, now) = socket("hello");
        sent(&mut outbox);
        let both = [text("trip"), text("on")].concat();
        assert_eq!(socket.receive(&both, &mut outbox, now), ControlFlow::Break(code::INTERNAL));
        assert_eq!(sent(&mut outbox), Frame::close(code::INTERNAL, "Unexpected error").as_bytes());
    }

    #[test]
    fn pings_and_messages_are_counted_by_the_second() {
        let (mut socket, mut outbox, now) = socket("hello");
        let both = [text("a"), from_client(0x89, "")].concat();
        assert_eq!(socket.receive(&both, &mut outbox, now), ControlFlow::Continue(()));
        assert_eq!(socket.receive(&both, &mut outbox, now + SECOND), ControlFlow::Continue(()));
        assert_eq!(socket.receive(&both[..7], &mut outbox, now + SECOND), ControlFlow::Break(code::POLICY));
    }

    #[test]
    fn what_a_client_has_asked_for_does_not_make_it_slow_and_what_comes_after_does() {
        let (mut socket, mut outbox, now) = socket("");
        let lend = text("lend");
        assert_eq!(socket.receive(&lend, &mut outbox, now), ControlFlow::Continue(()));
        assert!(outbox.cost() > 5000 && !socket.is_too_slow(&outbox));
        outbox.push(Frame::text(&"y".repeat(1001)));
        assert!(socket.is_too_slow(&outbox));
        sent(&mut outbox);
        assert!(!socket.is_too_slow(&outbox));
        outbox.push(Frame::text(&"y".repeat(1001)));
        assert!(socket.is_too_slow(&outbox), "what was read is not lent again");
    }

    #[test]
    fn a_session_may_say_itself_why_the_server_leaves() {
        for (first, code) in [("leaves", 1001), ("stays", code::RESTART)] {
            let (mut socket, mut outbox, now) = socket(first);
            sent(&mut outbox);
            socket.leave_at(now);
            assert_eq!(socket.tick(&mut outbox, now), ControlFlow::Break(code));
            assert_eq!(sent(&mut outbox)[2..4], code.to_be_bytes());
        }
    }

    #[test]
    fn frames_that_end_no_message_are_counted_as_messages_are() {
        for frame in [[0x00, 0x80, 0, 0, 0, 0], [0x8a, 0x80, 0, 0, 0, 0]] {
            let (mut socket, mut outbox, now) = socket("hello");
            sent(&mut outbox);
            let begun = usize::from(frame[0] == 0);
            let _ = socket.receive(&from_client(0x01, "x")[..7 * begun], &mut outbox, now);
            for at in [now, now + SECOND] {
                let rest = frame.repeat(2 - if at == now { begun } else { 0 });
                assert_eq!(socket.receive(&rest, &mut outbox, at), ControlFlow::Continue(()));
            }
            assert_eq!(socket.receive(&frame, &mut outbox, now + SECOND), ControlFlow::Break(code::POLICY));
            assert!(String::from_utf8_lossy(&sent(&mut outbox)).contains("TooMany"));
        }
    }

    #[test]
    fn a_message_has_its_time_whatever_comes_between_and_takes_memory_only_while_it_is_not_whole() {
        let (mut socket, mut outbox, now) = socket("hello");
        let message = text(&"x".repeat(60));
        let begun = now + SECOND / 4;
        assert_eq!(socket.receive(&message[..40], &mut outbox, begun), ControlFlow::Continue(()));
        assert_eq!(socket.half_message(), 80);
        assert_eq!(socket.receive(&message[40..], &mut outbox, begun), ControlFlow::Continue(()));
        assert_eq!(socket.half_message(), 0);
        assert_eq!(socket.receive(&from_client(0x01, "x"), &mut outbox, begun), ControlFlow::Continue(()));
        assert_eq!(socket.receive(&from_client(0x89, "x"), &mut outbox, begun), ControlFlow::Continue(()));
        assert_eq!(socket.tick(&mut outbox, begun + SECOND / 2 - Duration::from_millis(1)), ControlFlow::Continue(()));
        assert_eq!(socket.tick(&mut outbox, begun + SECOND / 2), ControlFlow::Break(code::POLICY));
    }

    #[test]
    fn a_ping_that_is_not_answered_by_the_next_ends_the_socket() {
        let (mut socket, mut outbox, now) = socket("hello");
        sent(&mut outbox);
        assert_eq!(socket.tick(&mut outbox, now), ControlFlow::Continue(()));
        assert!(outbox.is_empty(), "it is not time");
        assert_eq!(socket.tick(&mut outbox, now + SECOND), ControlFlow::Continue(()));
        assert_eq!(sent(&mut outbox), Frame::ping().as_bytes());
        assert_eq!(socket.receive(&from_client(0x8a, ""), &mut outbox, now + SECOND), ControlFlow::Continue(()));
        assert_eq!(socket.tick(&mut outbox, now + 2 * SECOND), ControlFlow::Continue(()));
        assert_eq!(socket.tick(&mut outbox, now + 3 * SECOND), ControlFlow::Break(code::LOST));
    }

    #[test]
    fn a_session_ends_when_its_time_is_over_and_says_why_itself() {
        let now = Clock::system().instant();
        let (mut socket, mut outbox) = opened(Echo { until: Some(now + SECOND / 2), ..echo("hello") }, now);
        sent(&mut outbox);
        assert_eq!(socket.tick(&mut outbox, now), ControlFlow::Continue(()));
        assert!(outbox.is_empty(), "it is not time");
        assert_eq!(socket.tick(&mut outbox, now + SECOND / 2), ControlFlow::Break(code::EXPIRED));
        let last_words = [Frame::text("goodbye").as_bytes(), Frame::close(code::EXPIRED, "").as_bytes()].concat();
        assert_eq!(sent(&mut outbox), last_words);
    }

    #[test]
    fn binary_messages_come_whole_and_go_as_they_are() {
        let (mut socket, mut outbox, now) = socket("hello");
        sent(&mut outbox);
        let bytes = [0x82, 0x83, 0, 0, 0, 0, 0, 0xff, 0x80];
        assert_eq!(socket.receive(&bytes, &mut outbox, now), ControlFlow::Continue(()));
        assert_eq!(sent(&mut outbox), Frame::binary(&[0, 0xff, 0x80]).as_bytes());
    }

    #[test]
    fn a_session_takes_notes_and_may_end_over_one() {
        let (mut socket, mut outbox, _) = socket("hello");
        sent(&mut outbox);
        assert_eq!(socket.note(Box::new("psst".to_owned()), &mut outbox), ControlFlow::Continue(()));
        assert_eq!(sent(&mut outbox), Frame::text("psst").as_bytes());
        assert_eq!(socket.note(Box::new(7), &mut outbox), ControlFlow::Break(code::POLICY));
    }

    #[test]
    fn a_sessions_timer_goes_off_when_it_said_and_until_it_says_no_more() {
        let now = Clock::system().instant();
        let (mut socket, mut outbox) = opened(Echo { ticks: Some(SECOND / 4), ..echo("hello") }, now);
        assert_eq!(sent(&mut outbox), Frame::text("hello").as_bytes());
        for (at, ticks) in [(SECOND / 8, false), (SECOND / 4, true), (SECOND / 3, false), (SECOND / 2, true)] {
            assert_eq!(socket.tick(&mut outbox, now + at), ControlFlow::Continue(()));
            assert_eq!(!sent(&mut outbox).is_empty(), ticks, "{at:?}");
        }
        let (mut socket, mut outbox) = opened(echo("hello"), now);
        sent(&mut outbox);
        assert_eq!(socket.tick(&mut outbox, now + SECOND / 2), ControlFlow::Continue(()));
        assert!(outbox.is_empty(), "who names no moment is not asked again");
    }

    #[test]
    fn a_long_replay_is_not_held_against_its_reader_but_is_lent_only_once() {
        let (mut socket, mut outbox, _) = socket(&"x".repeat(1000));
        let replay = outbox.cost();
        assert!(!socket.is_too_slow(&outbox));
        // A frame of one byte takes 64 and its three.
        let filled = |outbox: &mut Outbox, bytes: usize| _ = outbox.push(Frame::binary(&vec![0; bytes - 64 - 4]));
        filled(&mut outbox, LIMITS.outbox_bytes);
        assert!(!socket.is_too_slow(&outbox), "the bound counts what came after {replay} bytes");
        filled(&mut outbox, 100);
        assert!(socket.is_too_slow(&outbox));
        sent(&mut outbox);
        assert!(!socket.is_too_slow(&outbox), "all is read");
        filled(&mut outbox, LIMITS.outbox_bytes + 1);
        assert!(socket.is_too_slow(&outbox));
    }

    #[test]
    fn a_reader_may_leave_so_many_frames_and_not_one_more() {
        let (mut socket, mut outbox, _) = socket("hello");
        let ping = Frame::ping();
        (0..LIMITS.outbox_frames).for_each(|_| _ = outbox.push(ping.clone()));
        assert!(!socket.is_too_slow(&outbox), "hello is lent");
        outbox.push(ping);
        assert!(socket.is_too_slow(&outbox));
    }

    #[test]
    fn a_frame_is_sent_as_it_is_and_what_waits_is_known() {
        let mut outbox = Outbox::default();
        let mut out = Outgoing { outbox: &mut outbox, close: None, lent: Room::default() };
        let frame = Frame::binary(&[7; 5000]);
        assert_eq!(out.waiting_bytes(), 0);
        out.frame(&frame);
        out.frame(&frame);
        assert!((10_000..10_200).contains(&out.waiting_bytes()), "{}", out.waiting_bytes());
        assert_eq!(sent(&mut outbox), frame.as_bytes().repeat(2));
        assert_eq!(Outgoing { outbox: &mut outbox, close: None, lent: Room::default() }.waiting_bytes(), 0);
    }

    #[test]
    fn nothing_follows_a_close() {
        let mut outbox = Outbox::default();
        let mut out = Outgoing { outbox: &mut outbox, close: None, lent: Room::default() };
        out.close(code::POLICY, "no");
        out.text("more");
        out.frame(&Frame::text("more"));
        out.close(code::NORMAL, "yes");
        assert_eq!(out.verdict(), ControlFlow::Break(code::POLICY));
        assert_eq!(sent(&mut outbox), Frame::close(code::POLICY, "no").as_bytes());
    }
}
