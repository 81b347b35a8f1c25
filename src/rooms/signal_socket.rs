//! The socket of y-webrtc's signalling, `/signal` (contract 03 §2.10): what is published goes to everyone who listens to its topic, on
//! whatever shard. Nothing is kept of it.
//!
//! The rules are in [`super::signal`]. A table that all shards share counts who listens to what; its lock is held for a look or
//! a count.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use log::kv::Value;
use parking_lot::Mutex;

use super::options::requires_token;
use super::signal::{
    Budget, Heard, Listeners, PONG, Publication, SIGNAL_BURST_MESSAGES, SIGNAL_MESSAGES_PER_SECOND,
    SIGNAL_TOPIC_MAX_BYTES, SIGNAL_TOPICS_ALL_MAX, SIGNAL_TOPICS_MAX, TooManyTopics,
};
use crate::feature::{House, ShardParts};
use crate::gate::{Call, Live, Outcome, Route, Routes, Sender};
use crate::hub::options::{may_open_sockets, refused_origin, seats_of_any_topic, socket_limits, socket_origins};
use crate::hub::{Full, Replaced, Seat, SeatLimits, Subscription};
use crate::net::socket::{Ended, Message, code};
use crate::net::{Frame, Outgoing, Session, SocketLimits, SocketNote, Ticket};
use crate::observe::sample::Sample;
use crate::settings::Settings;
use crate::store::{Space, Topic};

/// The longest message, in bytes. What browsers need to connect takes 2 to 20 KB.
pub(super) const SIGNAL_MESSAGE_MAX_BYTES: usize = 64 * 1024;

/// Where they are opened.
pub(super) const ROUTE: Route =
    Route::socket("/signal").does("Signaling for the browsers of a y-webrtc room, over a WebSocket");

/// What its sockets listen to. Nothing of it is ever committed.
static TOPICS: Space = Space { name: "signal", log_field: "topic", encode: |event, _| Frame::text(&event.data) };

/// What its deliveries are counted as.
const KIND: &str = "signal";

/// What the sockets of all shards share. Clones share it.
#[derive(Clone)]
pub(super) struct Signalling {
    house: House,
    options: Live<SignalOptions>,
    listeners: Arc<Mutex<Listeners>>,
}

/// As configured.
struct SignalOptions {
    /// Which pages may open sockets; `None`: any, and clients that are not pages.
    origins: Option<Vec<String>>,
    /// Whether only known users may.
    known_only: bool,
    /// How many sockets there may be, for a known user and for nobody.
    seats: [SeatLimits; 2],
    /// Bounds of each.
    limits: Arc<SocketLimits>,
}

impl SignalOptions {
    fn of(settings: &Settings) -> Self {
        Self {
            origins: socket_origins(settings),
            known_only: requires_token(settings),
            seats: seats_of_any_topic(settings),
            limits: Arc::new(SocketLimits {
                message_bytes: SIGNAL_MESSAGE_MAX_BYTES,
                messages_per_second: SIGNAL_BURST_MESSAGES as usize,
                ..socket_limits(settings)
            }),
        }
    }
}

impl Signalling {
    /// Nobody listens yet.
    pub(super) fn new(settings: &Settings, house: &House) -> Self {
        let listeners = Arc::new(Mutex::new(Listeners::new(SIGNAL_TOPICS_ALL_MAX)));
        Self { house: house.clone(), options: Live::new(SignalOptions::of(settings)), listeners }
    }

    /// What puts other settings in force.
    pub(super) fn prepare(&self, settings: &Settings) -> impl FnOnce() + Send + use<> {
        let (live, options) = (self.options.clone(), SignalOptions::of(settings));
        move || live.replace(options)
    }

    fn admit(&self, call: &Call<'_>, options: &SignalOptions) -> Result<Seat, Refusal> {
        let origin = call.headers.get("origin");
        if !may_open_sockets(options.origins.as_deref(), origin) {
            let refusal = Refusal::new(code::POLICY, refused_origin(origin), "origin");
            let origin = origin.map(|origin| String::from_utf8_lossy(origin).into_owned());
            return Err(Refusal { origin, ..refusal });
        }
        if options.known_only && call.user.is_empty() {
            return Err(Refusal::new(code::POLICY, unauthorized(call), "unauthorized"));
        }
        let seats = &options.seats[usize::from(call.user.is_empty())];
        // Last, as another socket may lose its seat by it.
        Ok(self.house.seats.take(&Topic::new(&TOPICS, ""), call.user, seats)?)
    }
}

/// What somebody is told who has to say who they are, in the room that the reason of a close has.
fn unauthorized(call: &Call<'_>) -> String {
    match call.sender {
        Sender::Refused(error) => error.message().unwrap_or("Invalid token").to_owned(),
        _ if call.verifies_tokens() => {
            format!("This server requires a token for signalling: send {}", call.how_to_send_a_token_briefly())
        }
        _ => "This server requires a token for signalling, and has no key to verify tokens".to_owned(),
    }
}

/// Adds the route for one shard.
pub(super) fn route(routes: &mut Routes, parts: ShardParts, signalling: Signalling) {
    let shard = Rc::new(Shard { parts, signalling });
    routes.add(ROUTE, move |call| {
        let Signalling { house, options, .. } = &shard.signalling;
        let options = options.now();
        let limits = Arc::clone(&options.limits);
        match shard.signalling.admit(call, &options) {
            Ok(seat) => {
                house.sockets.opened.inc();
                let meeting = Meeting {
                    request_id: call.request_id.as_str().to_owned(),
                    until: call.known_until,
                    budget: Budget::new(SIGNAL_BURST_MESSAGES, SIGNAL_MESSAGES_PER_SECOND, house.clock.instant()),
                    seat,
                    ticket: None,
                    listening: HashMap::new(),
                    shard: Rc::clone(&shard),
                };
                Ok(Outcome::Socket(Box::new(meeting), limits))
            }
            Err(refusal) => {
                house.sockets.refused.with(&[refusal.reason]).inc();
                static REFUSED: Sample = Sample::new();
                REFUSED.event(house.clock.instant(), log::Level::Info, "signal.refused", || {
                    vec![
                        ("request_id", call.request_id.as_str().into()),
                        ("reason", refusal.reason.into()),
                        ("context", refusal.origin.as_deref().map_or(Value::null(), Value::from)),
                    ]
                });
                Ok(Outcome::NoSocket(Box::new(refusal), limits))
            }
        }
    });
}

/// What the sockets of one shard share.
struct Shard {
    parts: ShardParts,
    signalling: Signalling,
}

/// Why a socket is closed right after it was opened.
struct Refusal {
    code: u16,
    says: String,
    /// In one word, for the counters.
    reason: &'static str,
    /// The origin, where that is the reason and there is one: for the log.
    origin: Option<String>,
}

impl Refusal {
    fn new(code: u16, says: impl Into<String>, reason: &'static str) -> Self {
        Self { code, says: says.into(), reason, origin: None }
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        let (says, reason) = match full {
            Full::Global | Full::Topic | Full::TopicCap => ("Global socket limit exceeded", "global"),
            Full::User => ("User socket limit exceeded", "user"),
        };
        Self::new(code::TRY_AGAIN, says, reason)
    }
}

impl Session for Refusal {
    fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
        out.close(self.code, &self.says);
    }

    fn message(&mut self, _: &Message<'_>, _: &mut Outgoing<'_>) {}

    fn closed(&mut self, _: u16) {}
}

/// One socket.
struct Meeting {
    request_id: String,
    /// When the token that it was opened with expires.
    until: Option<Instant>,
    budget: Budget,
    seat: Seat,
    ticket: Option<Ticket>,
    /// At most [`SIGNAL_TOPICS_MAX`].
    listening: HashMap<Arc<str>, Listening>,
    shard: Rc<Shard>,
}

/// A socket's part in a topic, given back by its own drop.
struct Listening {
    subscription: Subscription,
    topic: Arc<str>,
    ticket: Ticket,
    shard: Rc<Shard>,
}

impl Listening {
    fn to(topic: &Arc<str>, ticket: Ticket, shard: &Rc<Shard>) -> Result<Self, TooManyTopics> {
        let Shard { parts, signalling } = &**shard;
        signalling.listeners.lock().add(topic)?;
        let subscription = signalling.house.hub.subscribe(&Topic::new(&TOPICS, Arc::clone(topic)), &parts.mailbox);
        parts.topics.borrow_mut().add(subscription.topic(), ticket, None);
        Ok(Self { subscription, topic: Arc::clone(topic), ticket, shard: Rc::clone(shard) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Shard { parts, signalling } = &*self.shard;
        parts.topics.borrow_mut().remove(self.subscription.topic(), self.ticket);
        signalling.listeners.lock().remove(&self.topic);
    }
}

impl Session for Meeting {
    fn open(&mut self, ticket: Ticket, _: &mut Outgoing<'_>) {
        log::debug!(request_id = self.request_id.as_str(); "signal.opened");
        self.ticket = Some(ticket);
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        match message {
            Message::Text(text) => self.hear(text, out),
            // The original reads JSON out of either kind.
            Message::Binary(bytes) => self.hear(std::str::from_utf8(bytes).unwrap_or_default(), out),
            Message::TooLarge => {
                out.close(code::TOO_LARGE, &format!("A message of more than {SIGNAL_MESSAGE_MAX_BYTES} bytes"));
            }
            Message::TooMany => too_many(out),
        }
    }

    fn owes_pong(&mut self, owes: bool) {
        match self.ticket {
            Some(ticket) if owes => self.seat.owes_pong(self.shard.parts.mailbox.socket(ticket)),
            _ => self.seat.has_answered(),
        }
    }

    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        if note.is::<Replaced>() {
            out.close(code::TRY_AGAIN, "Replaced by a newer socket of the same user");
        }
    }

    fn until(&self) -> Option<Instant> {
        self.until
    }

    fn expire(&mut self, why: Ended, out: &mut Outgoing<'_>) {
        out.close(code::EXPIRED, why.sentence());
    }

    fn closed(&mut self, code: u16) {
        log::debug!(request_id = self.request_id.as_str(), code; "signal.closed");
        self.listening.clear();
    }
}

impl Meeting {
    fn hear(&mut self, text: &str, out: &mut Outgoing<'_>) {
        if !self.budget.take(self.shard.signalling.house.clock.instant()) {
            return too_many(out);
        }
        match Heard::of(text) {
            Heard::Subscribe(topics) => {
                for topic in topics {
                    if let Err(refusal) = self.listen(&topic) {
                        return out.close(refusal.code, &refusal.says);
                    }
                }
            }
            Heard::Unsubscribe(topics) => topics.iter().for_each(|topic| _ = self.listening.remove(&**topic)),
            Heard::Publish(publication) => self.shard.publish(&publication),
            Heard::Ping => out.text(PONG),
            Heard::Ignored => {}
        }
    }

    fn listen(&mut self, topic: &str) -> Result<(), Overdone> {
        if self.listening.contains_key(topic) {
            return Ok(());
        }
        let Some(ticket) = self.ticket else { return Ok(()) };
        if topic.len() > SIGNAL_TOPIC_MAX_BYTES {
            let says = format!("A topic of {} bytes; the maximum is {SIGNAL_TOPIC_MAX_BYTES}", topic.len());
            return Err(Overdone { code: code::POLICY, says });
        }
        if self.listening.len() >= SIGNAL_TOPICS_MAX {
            let says = format!("More than {SIGNAL_TOPICS_MAX} topics on one socket");
            return Err(Overdone { code: code::POLICY, says });
        }
        let topic: Arc<str> = topic.into();
        let listening = Listening::to(&topic, ticket, &self.shard)?;
        self.listening.insert(topic, listening);
        Ok(())
    }
}

impl Shard {
    /// Everyone who listens gets it, whoever says it; while nobody does, it is for nobody.
    fn publish(&self, publication: &Publication<'_>) {
        let Signalling { house, listeners, .. } = &self.signalling;
        let clients = listeners.lock().of(&publication.topic);
        if clients > 0 {
            let topic = Topic::new(&TOPICS, &*publication.topic);
            house.hub.send(&topic, KIND, Frame::text(&publication.to(clients)), None);
        }
    }
}

/// A socket wants more than it gets: how it is closed.
struct Overdone {
    code: u16,
    says: String,
}

impl From<TooManyTopics> for Overdone {
    fn from(error: TooManyTopics) -> Self {
        Self { code: code::TRY_AGAIN, says: error.to_string() }
    }
}

fn too_many(out: &mut Outgoing<'_>) {
    let says = format!(
        "More than {SIGNAL_BURST_MESSAGES} messages at once and {SIGNAL_MESSAGES_PER_SECOND} a second after that"
    );
    out.close(code::TRY_AGAIN, &says);
}
