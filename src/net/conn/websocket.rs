//! What a turn does for a connection that has become a WebSocket.
//!
//! It reads whether or not its client does: pongs and closes must be heard. What gathers for it during a turn leaves
//! with one write at the end of the turn.

use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use super::{Conn, Flow, GATHER, STEPS_PER_TURN, State};
use crate::net::frame::Frame;
use crate::net::mailbox::{SocketNote, Ticket};
use crate::net::outbox::{Outbox, SLICES_MAX};
use crate::net::response::{Manner, Response};
use crate::net::socket::{self, Socket, code};
use crate::net::turn::Tools;

impl Conn {
    /// From this answer on the connection is a WebSocket. Its first frames stand behind the answer.
    pub(super) fn upgrade<S>(&mut self, response: &Response, socket: Box<Socket>, tools: &mut Tools<S>) {
        tools.encode(response, Manner { head_only: false, http11: true, keep_alive: true });
        self.state = State::Socket(socket);
        self.upgraded = true;
        let waited = !self.outbox.is_empty();
        self.outbox.push_bytes(&tools.answers);
        self.filled(waited, tools.now);
        tools.clear_answers();
        let now = tools.now;
        self.with_socket(tools, |socket, outbox| socket.open(outbox, now));
    }

    /// Has the socket, if this is one, do something that may fill the outbox or end it.
    fn with_socket<S>(&mut self, tools: &mut Tools<S>, act: impl FnOnce(&mut Socket, &mut Outbox) -> ControlFlow<u16>) {
        let State::Socket(socket) = &mut self.state else { return };
        let waited = !self.outbox.is_empty();
        let verdict = act(socket, &mut self.outbox);
        self.filled(waited, tools.now);
        if let ControlFlow::Break(code) = verdict {
            self.end_socket(code);
        }
    }

    /// The outbox may hold more now; if nothing waited before, its client's time to take it begins.
    fn filled(&mut self, waited: bool, now: Instant) {
        if let State::Socket(socket) = &self.state
            && !waited
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
    pub(super) fn serve_socket<S>(
        &mut self,
        sent: bool,
        steps: &mut usize,
        tools: &mut Tools<S>,
    ) -> io::Result<Option<Flow>> {
        if !sent && self.is_too_slow() {
            self.cut_off_socket("its socket reads too slowly", tools);
            return Ok(None);
        }
        if sent && self.outbox.has_caught_up() {
            self.with_socket(tools, |socket, outbox| socket.caught_up(outbox));
            return Ok(None);
        }
        if !self.fresh && !self.readable {
            return Ok(Some(Flow::Wait));
        }
        if *steps >= STEPS_PER_TURN || tools.is_slice_over() {
            return Ok(Some(Flow::Again));
        }
        *steps += 1;
        let now = tools.now;
        if std::mem::take(&mut self.fresh) {
            let input = std::mem::take(&mut self.input);
            self.with_socket(tools, |socket, outbox| socket.receive(&input, outbox, now));
            tools.look();
            return Ok(None);
        }
        let mut scratch = std::mem::take(&mut tools.scratch);
        let read = self.read(&mut scratch);
        if let Ok(Some(bytes)) = read {
            self.with_socket(tools, |socket, outbox| socket.receive(&scratch[..bytes], outbox, now));
            tools.look();
        }
        tools.scratch = scratch;
        Ok((read? == Some(0)).then_some(Flow::Close))
    }

    fn is_too_slow(&mut self) -> bool {
        if let State::Socket(socket) = &mut self.state { socket.is_too_slow(&self.outbox) } else { false }
    }

    /// Lets a reader go that is too slow. What it was to get is dropped; the reason is the last thing it can read.
    pub(super) fn cut_off_socket<S>(&mut self, reason: &str, tools: &mut Tools<S>) {
        self.cut_off(reason, tools);
        tools.metrics.slow_closed.inc();
        self.with_socket(tools, |_, outbox| {
            outbox.drop_unbegun();
            socket::end(outbox, code::TRY_AGAIN, "Reading too slowly; reconnect and catch up")
        });
        // So much longer it has to come to the close frame, which waits behind what the kernel holds.
        self.stalled = tools.now + tools.timeouts.write_stall;
    }

    /// Closes from our side, if this is a socket.
    pub(crate) fn close_socket<S>(&mut self, code: u16, reason: &str, tools: &mut Tools<S>) {
        self.with_socket(tools, |_, outbox| socket::end(outbox, code, reason));
    }

    /// Adds a frame for the socket with this ticket; true if it is here. The frame leaves with the end of the turn.
    pub(crate) fn deliver(&mut self, ticket: Ticket, frame: &Frame, now: Instant) -> bool {
        let State::Socket(socket) = &self.state else { return false };
        if socket.ticket() != ticket {
            return false;
        }
        let waited = !self.outbox.is_empty();
        self.outbox.push(frame.clone());
        self.filled(waited, now);
        true
    }

    /// Until when what waits for this socket may wait for more, if this frame was the last that was added: until [`GATHER`] after
    /// the last write. Nothing for a socket that was silent for so long, so that who waits for a single letter gets it at once.
    pub(crate) fn gathers_until(&self, frame: &Frame, now: Instant) -> Option<Instant> {
        if !frame.may_gather() || self.outbox.pieces() > SLICES_MAX / 2 {
            return None;
        }
        self.wrote.map(|at| at + GATHER).filter(|until| *until > now)
    }

    /// Hands a note to the socket with this ticket; true if it is here.
    pub(crate) fn tell<S>(&mut self, ticket: Ticket, note: SocketNote, tools: &mut Tools<S>) -> bool {
        let is_here = matches!(&self.state, State::Socket(socket) if socket.ticket() == ticket);
        if is_here {
            self.with_socket(tools, |socket, outbox| socket.note(note, outbox));
        }
        is_here
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

    pub(super) fn tick_socket<S>(&mut self, tools: &mut Tools<S>) -> Flow {
        if !self.outbox.is_empty() && self.stalled <= tools.now {
            self.cut_off_socket("its socket reads too slowly", tools);
            return Flow::Again;
        }
        let (waiting, now) = (self.outbox.cost(), tools.now);
        self.with_socket(tools, |socket, outbox| socket.tick(outbox, now));
        match self.state {
            State::Socket(_) if self.outbox.cost() == waiting => Flow::Wait,
            // Closed without a word: there is nobody to hear it.
            State::Closing if self.outbox.cost() == waiting => Flow::Close,
            _ => Flow::Again,
        }
    }
}
