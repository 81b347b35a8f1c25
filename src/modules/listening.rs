//! Sockets that hear what changes in the modules (contract 04 §1.8 with C9 and R10).

use std::rc::Rc;
use std::sync::Arc;

use log::kv::Value;
use serde_json::json;

use super::desk::Desk;
use super::news::SPACE;
use super::records::kinds::KINDS;
use crate::gate::{Call, Outcome, Route, Routes};
use crate::hub::{Replaced, Seat, Subscription};
use crate::net::socket::{Message, code};
use crate::net::{Outgoing, Session, SocketNote, Ticket};
use crate::observe::sample::Sample;
use crate::store::Topic;

/// Where they are opened: two paths for kazkar alone, and one for all modules.
pub(super) const ROUTES: [Route; 3] = [
    Route::socket("/ws/kazkar").does("Receive the changes in kazkar over a WebSocket"),
    Route::socket("/api/v1/kazkar/ws").does("The same"),
    Route::socket("/ws").does("Receive the changes in all modules over a WebSocket"),
];

/// What a newcomer is told.
const WELCOME: &str = "Connected to inkring: changes are told as they are written";

/// Adds them for one shard.
pub(super) fn add(desk: &Rc<Desk>, to: &mut Routes) {
    let [kazkar, other, all] = ROUTES;
    for route in [kazkar, other] {
        desk.add(to, route, |desk, call| Ok(open(desk, call, &["kazkar"])));
    }
    desk.add(to, all, |desk, call| {
        let modules: Vec<&'static str> = KINDS.iter().map(|kind| kind.module).collect();
        Ok(open(desk, call, &modules))
    });
}

fn open(desk: &Rc<Desk>, call: &Call<'_>, modules: &[&'static str]) -> Outcome {
    let (house, listeners) = (&desk.shared.house, &desk.shared.listeners);
    let limits = Arc::clone(&listeners.limits);
    let topics: Vec<Topic> = modules.iter().map(|module| Topic::new(&SPACE, *module)).collect();
    let seat = match topics.first() {
        Some(topic) => listeners.admit(call, &house.seats, topic),
        None => Err("There is nothing to listen to"),
    };
    match seat {
        Ok(seat) => {
            house.sockets.opened.inc();
            let listener = Listener { topics, seat, listening: Vec::new(), ticket: None, desk: Rc::clone(desk) };
            Outcome::Socket(Box::new(listener), limits)
        }
        Err(why) => {
            house.sockets.refused.with(&["modules"]).inc();
            static REFUSED: Sample = Sample::new();
            let origin = call.headers.get("origin").map(String::from_utf8_lossy);
            REFUSED.event(house.clock.instant(), log::Level::Info, "module.socket_refused", || {
                vec![
                    ("request_id", call.request_id.as_str().into()),
                    ("reason", why.into()),
                    ("origin", origin.as_deref().map_or(Value::null(), Value::from)),
                ]
            });
            Outcome::NoSocket(Box::new(Refused(why)), limits)
        }
    }
}

/// A socket that is only told why it hears nothing.
struct Refused(&'static str);

impl Session for Refused {
    fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
        out.text(&json!({ "event": "error", "message": self.0 }).to_string());
        out.close(code::POLICY, self.0);
    }

    fn message(&mut self, _: &Message<'_>, _: &mut Outgoing<'_>) {}

    fn closed(&mut self, _: u16) {}
}

/// A socket that listens.
struct Listener {
    topics: Vec<Topic>,
    seat: Seat,
    listening: Vec<Subscription>,
    ticket: Option<Ticket>,
    desk: Rc<Desk>,
}

impl Listener {
    fn now(&self) -> i64 {
        self.desk.shared.house.clock.now().seconds()
    }
}

impl Session for Listener {
    fn open(&mut self, ticket: Ticket, out: &mut Outgoing<'_>) {
        let parts = &self.desk.parts;
        self.ticket = Some(ticket);
        for topic in &self.topics {
            self.listening.push(self.desk.shared.house.hub.subscribe(topic, &parts.mailbox));
            parts.topics.borrow_mut().add(topic, ticket, None);
        }
        out.text(&json!({ "event": "connected", "timestamp": self.now(), "message": WELCOME }).to_string());
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        match message {
            Message::Text(text) => {
                out.text(&json!({ "event": "echo", "received": text, "timestamp": self.now() }).to_string());
            }
            Message::Binary(_) => out.close(code::UNSUPPORTED, "Binary messages are not accepted"),
            Message::TooLarge => out.close(code::TOO_LARGE, "WS message too large"),
            Message::TooMany => out.close(code::POLICY, "Socket message rate exceeded"),
        }
    }

    fn owes_pong(&mut self, owes: bool) {
        match self.ticket {
            Some(ticket) if owes => self.seat.owes_pong(self.desk.parts.mailbox.socket(ticket)),
            _ => self.seat.has_answered(),
        }
    }

    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        if note.is::<Replaced>() {
            out.close(code::TRY_AGAIN, "Replaced by a newer socket of the same user");
        }
    }

    fn closed(&mut self, _: u16) {
        if let Some(ticket) = self.ticket.take() {
            for subscription in self.listening.drain(..) {
                self.desk.parts.topics.borrow_mut().remove(subscription.topic(), ticket);
            }
        }
    }
}
