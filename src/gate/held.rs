//! A session with what it holds as long as it lasts: the place of its client, and a watch over the token that it was opened
//! with.

use std::time::Instant;

use super::places::Place;
use super::revoked::{TokenRevoked, Watched};
use crate::net::socket::{Ended, Message, code};
use crate::net::{Outgoing, Session, SocketNote, Ticket};

/// A session with what it holds.
pub(super) struct Held {
    session: Box<dyn Session>,
    _place: Option<Place>,
    watched: Option<Watched>,
}

impl Held {
    /// The session, with what it holds, if that is anything.
    pub(super) fn of(session: Box<dyn Session>, place: Option<Place>, watched: Option<Watched>) -> Box<dyn Session> {
        if place.is_none() && watched.is_none() {
            return session;
        }
        Box::new(Self { session, _place: place, watched })
    }

    fn revoke(&mut self, out: &mut Outgoing<'_>) {
        self.session.expire(Ended::Revoked, out);
        out.close(code::EXPIRED, Ended::Revoked.sentence());
    }
}

impl Session for Held {
    fn open(&mut self, ticket: Ticket, out: &mut Outgoing<'_>) {
        self.session.open(ticket, out);
        if self.watched.as_mut().is_some_and(|watched| watched.opened(ticket)) {
            self.revoke(out);
        }
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        self.session.message(message, out);
    }

    fn owes_pong(&mut self, owes: bool) {
        self.session.owes_pong(owes);
    }

    fn ponged(&mut self, out: &mut Outgoing<'_>) {
        self.session.ponged(out);
    }

    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        if note.is::<TokenRevoked>() {
            self.revoke(out);
        } else {
            self.session.note(note, out);
        }
    }

    fn caught_up(&mut self, out: &mut Outgoing<'_>) {
        self.session.caught_up(out);
    }

    fn tick(&mut self, now: Instant, out: &mut Outgoing<'_>) -> Option<Instant> {
        self.session.tick(now, out)
    }

    fn protocol(&self) -> Option<&str> {
        self.session.protocol()
    }

    fn until(&self) -> Option<Instant> {
        self.session.until()
    }

    fn expire(&mut self, why: Ended, out: &mut Outgoing<'_>) {
        self.session.expire(why, out);
    }

    fn leave(&mut self, out: &mut Outgoing<'_>) {
        self.session.leave(out);
    }

    fn closed(&mut self, code: u16) {
        self.session.closed(code);
    }
}
