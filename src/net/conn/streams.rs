//! What a turn does for bodies that come or go in pieces.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::transfer::Asker;
use super::{Conn, Flow, STEPS_PER_TURN, State};
use crate::net::body::{self, Fetch, Piece, REFILL_BYTES};
use crate::net::http1::Reject;
use crate::net::mailbox::Ticket;
use crate::net::response::Manner;
use crate::net::service::{Service, Take, Woken};
use crate::net::turn::Tools;

impl Conn {
    /// Hands the receiver what is here of its body; returns how many bytes are done with. At the end of the body the state is
    /// what the answer makes it.
    pub(super) fn feed<S: Service>(&mut self, input: &[u8], tools: &mut Tools<S>, steps: &mut usize) -> usize {
        let mut used = 0;
        while let State::Uploading(upload) = &mut self.state
            && !upload.is_paused()
            && *steps < STEPS_PER_TURN
            && !tools.is_slice_over()
        {
            let run = match self.decoder.body(&input[used..]) {
                Ok(run) => run,
                Err(reject) => {
                    self.break_upload(&reject, tools);
                    return input.len();
                }
            };
            used += run.consumed;
            if run.bytes.is_empty() && !run.done {
                return used;
            }
            *steps += 1;
            upload.whole = run.done;
            let take = upload.take(run.bytes, tools.now);
            tools.look();
            self.follow_receiver(take, tools);
        }
        self.fresh = used < input.len();
        used
    }

    /// Does what the receiver said, and asks it for its answer at the end; one that panicked has nothing more to say.
    pub(super) fn follow_receiver<S: Service>(&mut self, take: Option<Take>, tools: &mut Tools<S>) {
        let State::Uploading(upload) = &mut self.state else { return };
        match take {
            Some(Take::More) => {
                upload.go_on(tools.now);
                if upload.whole {
                    self.end_upload(tools);
                }
            }
            Some(Take::Pause) => {
                upload.paused.get_or_insert(tools.now);
            }
            Some(Take::Answer(response)) => {
                let keep_alive = upload.whole && upload.manner.keep_alive && !tools.stopping;
                let (ticket, manner) = (upload.ticket, Manner { keep_alive, ..upload.manner });
                self.decoder.reset();
                self.answer(response, ticket, manner, tools);
            }
            None => self.state = State::Closing,
        }
    }

    /// The body is whole: asks for the answer.
    fn end_upload<S: Service>(&mut self, tools: &mut Tools<S>) {
        let State::Uploading(upload) = std::mem::replace(&mut self.state, State::Closing) else { return };
        self.decoder.reset();
        let (ticket, manner) = (tools.ticket(upload.ticket.connection), upload.manner);
        let keep_alive = manner.keep_alive && !tools.stopping;
        if let Ok(reply) = catch_unwind(AssertUnwindSafe(|| upload.receiver.end(ticket))) {
            self.reply(reply, ticket, Manner { keep_alive, ..manner }, tools);
        }
    }

    /// The body will never be whole: asks for the answer to that.
    fn break_upload<S: Service>(&mut self, why: &Reject, tools: &mut Tools<S>) {
        let State::Uploading(upload) = std::mem::replace(&mut self.state, State::Closing) else { return };
        let (ticket, manner) = (upload.ticket, Manner { keep_alive: false, ..upload.manner });
        if let Ok(response) = catch_unwind(AssertUnwindSafe(|| upload.receiver.broken(why))) {
            self.answer(response, ticket, manner, tools);
        }
    }

    /// A paused receiver may go on, or must.
    pub(super) fn resume_upload<S: Service>(&mut self, woken: Woken, tools: &mut Tools<S>) -> Flow {
        let State::Uploading(upload) = &mut self.state else { return Flow::Wait };
        let asked = catch_unwind(AssertUnwindSafe(|| upload.receiver.resumed(woken)));
        self.follow_receiver(asked.ok(), tools);
        self.fresh = !self.input.is_empty();
        if self.send(tools).is_err() { Flow::Close } else { Flow::Again }
    }

    pub(super) fn expire_upload<S: Service>(&mut self, tools: &mut Tools<S>) -> Flow {
        let State::Uploading(upload) = &self.state else { return Flow::Wait };
        match upload.paused {
            Some(paused) if paused + tools.timeouts.parked <= tools.now => {
                let flow = self.resume_upload(Woken::TimedOut, tools);
                if matches!(self.state, State::Uploading(_)) { Flow::Close } else { flow }
            }
            // The client's time stands still while it is not heard, or has not been answered.
            Some(_) => Flow::Wait,
            None if !self.outbox.is_empty() => Flow::Wait,
            None => match upload.is_late(tools.now) {
                None => Flow::Wait,
                Some(why) => {
                    self.input = Vec::new();
                    self.break_upload(&why, tools);
                    if self.send(tools).is_err() { Flow::Close } else { Flow::Again }
                }
            },
        }
    }

    /// The source that the pool is to ask for its next piece, if it is time.
    pub(crate) fn fetch<S>(&mut self, tools: &Tools<S>) -> Option<(Ticket, Fetch)> {
        let State::Sending(download) = &mut self.state else { return None };
        if download.ended || self.outbox.cost() >= REFILL_BYTES {
            return None;
        }
        let Asker::Pool(source) = &mut download.asker else { return None };
        let source = source.take()?;
        self.deadline = tools.now + tools.timeouts.parked;
        Some((download.ticket, Fetch { source }))
    }

    /// Takes what the pool brought, if it is for this answer.
    pub(crate) fn piece<S>(&mut self, ticket: Ticket, piece: Piece, tools: &mut Tools<S>) -> Flow {
        match &self.state {
            State::Sending(download) if download.ticket == ticket => {}
            _ => return Flow::Wait,
        }
        let Piece { source, bytes, more } = piece;
        if let Err(error) = more.and_then(|more| self.send_piece(bytes, more, tools)) {
            return self.break_off(&error, tools);
        }
        if let State::Sending(download) = &mut self.state {
            download.asker = Asker::Pool(Some(source));
        }
        Flow::Again
    }

    /// Asks the source for its next piece, if that is for the shard to do and there are more. False if it is not.
    pub(super) fn make_piece<S>(&mut self, tools: &mut Tools<S>) -> io::Result<bool> {
        let State::Sending(download) = &mut self.state else { return Ok(false) };
        let Asker::Shard(source) = &mut download.asker else { return Ok(false) };
        if download.ended {
            return Ok(false);
        }
        if self.has_left {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let (bytes, more) = body::ask(source.as_mut());
        tools.look();
        more.and_then(|more| self.send_piece(bytes, more, tools))
            .inspect_err(|error| _ = self.break_off(error, tools))?;
        Ok(true)
    }

    /// Closes in the middle of an answer, so that nobody takes what there was for the whole.
    fn break_off<S>(&self, error: &io::Error, tools: &Tools<S>) -> Flow {
        tools.metrics.broken_off.inc();
        if let Some(count) = tools.broken_off.hit() {
            let (error, peer) = (error.to_string(), self.accepted.peer.to_string());
            log::error!(error, peer, count; "answer.broken_off");
        }
        Flow::Close
    }

    fn send_piece<S>(&mut self, bytes: Vec<u8>, more: bool, tools: &Tools<S>) -> io::Result<()> {
        let State::Sending(download) = &mut self.state else { return Ok(()) };
        let count = bytes.len() as u64;
        if let Some(left) = &mut download.left {
            *left = left.checked_sub(count).ok_or_else(|| io::Error::other("the body is longer than it said"))?;
            if !more && *left > 0 {
                return Err(io::Error::other("the body is shorter than it said"));
            }
        }
        download.ended = !more;
        let (waited, chunked) = (!self.outbox.is_empty(), download.left.is_none() && download.manner.http11);
        if chunked && count > 0 {
            self.outbox.push_own(format!("{count:x}\r\n").into_bytes());
            self.outbox.push_own(bytes);
            self.outbox.push_bytes(b"\r\n");
        } else {
            self.outbox.push_own(bytes);
        }
        if chunked && !more {
            self.outbox.push_bytes(b"0\r\n\r\n");
        }
        if !waited {
            self.begin_waiting(tools.now);
            self.stalled = tools.now + tools.timeouts.write_stall;
        }
        Ok(())
    }

    /// Everything that was there is sent.
    pub(super) fn end_download<S>(&mut self, tools: &Tools<S>) {
        let State::Sending(download) = &self.state else { return };
        let keep_alive = download.manner.keep_alive && !tools.stopping;
        self.state = if keep_alive { State::Idle } else { State::Closing };
        self.restart(tools);
    }

    /// Looks whether the source takes too long.
    pub(super) fn expire_download<S>(&mut self, tools: &Tools<S>) -> Flow {
        match &self.state {
            State::Sending(download)
                if matches!(download.asker, Asker::Pool(None))
                    && self.outbox.is_empty()
                    && self.deadline <= tools.now =>
            {
                self.break_off(&io::ErrorKind::TimedOut.into(), tools)
            }
            _ => Flow::Wait,
        }
    }
}

#[cfg(test)]
mod tests;
