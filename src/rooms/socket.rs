//! One socket in a room: what it says in either dialect, and what it is told.
//!
//! A socket that comes before its room is loaded waits for it, with what it has said: an empty document is never shown before.
//! The rules it follows are elsewhere: [`message`] reads frames, [`Update`] checks them, [`Room`] orders and keeps them, [`Dialect`] says which language it speaks, [`json`] has the words of the second one.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::access::Grant;
use super::dialect::{Dialect, Protocol};
use super::json::{self, Said};
use super::live::{Room, Sender, Taken, Told};
use super::message::{self, KEEP_ALIVE, Message, messages};
use super::name::RoomName;
use super::rates::{
    AWARENESS_PER_SECOND_MAX, Allowance, BURST_MAX_BYTES, BYTES_PER_SECOND_MAX, TEXTS_BURST_MAX, TEXTS_PER_SECOND_MAX,
};
use super::registry::{Joined, NoRoom, Registry};
use super::saving;
use super::shared::Shared;
use super::update::Update;
use super::vector::StateVector;
use crate::feature::ShardParts;
use crate::hub::{Replaced, Seat, Subscription};
use crate::net::socket::{self, Ended, code};
use crate::net::{Frame, Outgoing, Session, SocketId, SocketNote, Ticket};

/// How long a Yjs socket is told nothing before it is told nothing in so many bytes: its client leaves after 30 s.
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(15);
/// How often a socket is looked at that shows its presence, so that what was held back is passed on.
const AWARENESS_TICK: Duration = Duration::from_secs(1);
/// How long a socket waits for its room.
const LOAD_MAX: Duration = Duration::from_secs(10);
/// Messages that wait with it.
const EARLY_MAX_MESSAGES: usize = 256;
/// Frames that are no updates before the socket is closed for good.
const BAD_MAX: u32 = 3;
/// Times that a client is asked for all it has, and how often at most.
const GAPS_MAX: u32 = 5;
const GAP_EVERY: Duration = Duration::from_secs(1);
/// What is owed to a socket until its updates are on disk: answers to type 102, and what it has sent twice.
const OWED_MAX: usize = 64;
const OWED_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Of a larger document, what a client lacks is made on the desk: it would keep everyone else on the shard waiting.
const WHOLE_MAX_BYTES: usize = 256 * 1024;
/// With so much unsent, a client that asks for the document once more is not reading.
const UNREAD_MAX_BYTES: usize = 1024 * 1024;

/// Close codes of rooms beside those of the platform (contract 03 §3.4). From 4400 to 4499 a client does not come back.
pub(super) mod closes {
    /// The name is none, or what is sent is no update.
    pub(in crate::rooms) const BAD: u16 = 4400;
    /// Nobody was named, or the token is not good.
    pub(in crate::rooms) const UNAUTHORIZED: u16 = 4401;
    /// Known, and not allowed.
    pub(in crate::rooms) const FORBIDDEN: u16 = 4403;
    /// It can never fit.
    pub(in crate::rooms) const NEVER_FITS: u16 = 4413;
    /// Too much in too short a time: come back later.
    pub(in crate::rooms) const RATE: u16 = 4529;
}

/// Nobody's structs, and nothing deleted.
const EMPTY_UPDATE: [u8; 2] = [0, 0];

static KEEP_ALIVE_FRAME: LazyLock<Frame> = LazyLock::new(|| Frame::binary(KEEP_ALIVE));

/// Who a socket is, and what it may do.
pub(super) struct Who {
    pub(super) name: RoomName,
    pub(super) connection_id: Arc<str>,
    /// The user, or the address of one who is not known.
    pub(super) user: Arc<str>,
    pub(super) request_id: String,
    pub(super) grant: Grant,
    /// Until when its token is good.
    pub(super) until: Option<Instant>,
    /// Whether it asks to be told what is on disk (`?ack=1`).
    pub(super) wants_ack: bool,
}

/// What the sockets of one shard share.
pub(super) struct Rooms {
    pub(super) parts: ShardParts,
    pub(super) registry: Arc<Registry>,
    pub(super) shared: Arc<Shared>,
}

/// A socket in a room.
pub(super) struct Member {
    who: Who,
    rooms: Rc<Rooms>,
    seat: Seat,
    dialect: Dialect,
    protocol: Option<Protocol>,
    place: Option<Place>,
    early: Option<Early>,
    /// What tells it that something is kept, each with the update that has to be on disk first.
    owed: VecDeque<(i64, Frame)>,
    owed_bytes: usize,
    /// The number of its last update.
    last: i64,
    /// What it asked for is being made on the desk.
    is_answered_elsewhere: bool,
    bad: u32,
    gaps: u32,
    next_gap: Instant,
    told_read_only: bool,
    bytes: Allowance,
    states: Allowance,
    texts: Allowance,
    /// States that came too fast and were not passed on yet.
    held: Option<Box<[u8]>>,
    shows_itself: bool,
    next_keep_alive: Instant,
}

/// Where it sits.
struct Place {
    room: Arc<Room>,
    number: u64,
    ticket: Ticket,
    socket: SocketId,
    yjs: Option<Subscription>,
    json: Option<Subscription>,
}

/// What it has said before its room was loaded.
struct Early {
    until: Instant,
    said: Vec<Spoken>,
    bytes: usize,
}

enum Spoken {
    Text(String),
    Binary(Vec<u8>),
}

impl Spoken {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl Session for Member {
    fn open(&mut self, ticket: Ticket, out: &mut Outgoing<'_>) {
        let address = self.rooms.parts.mailbox.socket(ticket);
        let shared = &self.rooms.shared;
        let joined = self.rooms.registry.join(&self.who.name, &address, &self.who.connection_id);
        let Joined { room, number, is_loaded } = match joined {
            Ok(joined) => joined,
            Err(why) => return out.close(code::TRY_AGAIN, no_room(why)),
        };
        log::info!(
            request_id = self.who.request_id.as_str(), room = self.who.name.as_str(),
            connection_id = &*self.who.connection_id, user_id = &*self.who.user;
            "room.joined"
        );
        let mut place = Place { room, number, ticket, socket: address.id(), yjs: None, json: None };
        if self.dialect.speaks_binary() {
            // Before anything of the document is read, so that nothing is missed between the two.
            let subscription = shared.house.hub.subscribe(&place.room.yjs, &self.rooms.parts.mailbox);
            self.rooms.parts.topics.borrow_mut().add(subscription.topic(), ticket, None);
            place.yjs = Some(subscription);
        }
        self.place = Some(place);
        if is_loaded {
            self.greet(out);
        } else {
            let until = shared.house.clock.instant() + LOAD_MAX;
            self.early = Some(Early { until, said: Vec::new(), bytes: 0 });
        }
    }

    fn message(&mut self, said: &socket::Message<'_>, out: &mut Outgoing<'_>) {
        let spoken = match said {
            socket::Message::TooLarge => return self.refuse_size(out),
            socket::Message::TooMany => return out.close(closes::RATE, "Too many messages within a second"),
            socket::Message::Text(text) if text.len() > self.text_max_bytes() => return self.refuse_size(out),
            socket::Message::Text(text) => text.len(),
            socket::Message::Binary(bytes) => bytes.len(),
        };
        self.rooms.shared.counters.bytes.inc_by(spoken as u64);
        if !self.bytes.take(spoken, self.now()) {
            return out.close(closes::RATE, "Too many bytes: at most 1 MiB a second, and 8 MiB at once");
        }
        if let Some(early) = &mut self.early {
            let spoken = match said {
                socket::Message::Text(text) => Spoken::Text((*text).to_owned()),
                socket::Message::Binary(bytes) => Spoken::Binary(bytes.to_vec()),
                _ => return,
            };
            early.bytes += spoken.len();
            if early.said.len() >= EARLY_MAX_MESSAGES || early.bytes > BURST_MAX_BYTES as usize {
                return out.close(code::TRY_AGAIN, "Too much was sent before the room was loaded");
            }
            return early.said.push(spoken);
        }
        match said {
            socket::Message::Text(text) => self.text(text, out),
            socket::Message::Binary(bytes) => self.binary(bytes, out),
            _ => {}
        }
    }

    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        let note = match note.downcast::<Told>() {
            Ok(told) => return self.told(*told, out),
            Err(note) => note,
        };
        if note.is::<Replaced>() {
            out.close(code::TRY_AGAIN, "Replaced by a newer socket of the same user");
        }
    }

    fn owes_pong(&mut self, owes: bool) {
        match &self.place {
            Some(place) if owes => self.seat.owes_pong(self.rooms.parts.mailbox.socket(place.ticket)),
            _ => self.seat.has_answered(),
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Outgoing<'_>) -> Option<Instant> {
        if let Some(early) = &self.early {
            if early.until <= now {
                out.close(code::TRY_AGAIN, "The room is still being loaded; come back in a moment");
            }
            return Some(early.until);
        }
        if self.dialect.tick(now) {
            out.ping();
        }
        if let Some(payload) = self.held.take_if(|_| self.states.take(1, now)) {
            self.pass_states(&payload, now);
        }
        if self.place.as_ref().is_some_and(|place| place.yjs.is_some()) && self.next_keep_alive <= now {
            out.frame(&KEEP_ALIVE_FRAME);
            self.rooms.shared.counters.keep_alives.inc();
            self.next_keep_alive = now + KEEP_ALIVE_AFTER;
        }
        let states = self.shows_itself.then(|| now + AWARENESS_TICK);
        [Some(self.next_keep_alive), self.dialect.next_tick(), states].into_iter().flatten().min()
    }

    fn ponged(&mut self, out: &mut Outgoing<'_>) {
        if self.dialect.pong() {
            self.begin_json(out);
        }
    }

    fn caught_up(&mut self, out: &mut Outgoing<'_>) {
        // What was left out is made good by what is.
        self.send_states(out);
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.map(Protocol::name)
    }

    fn until(&self) -> Option<Instant> {
        self.who.until
    }

    fn expire(&mut self, why: Ended, out: &mut Outgoing<'_>) {
        self.deny(why.sentence(), out);
        out.close(closes::UNAUTHORIZED, why.sentence());
    }

    fn leave(&mut self, out: &mut Outgoing<'_>) {
        out.close(GOING_AWAY, "Server shutting down");
    }

    fn closed(&mut self, code: u16) {
        self.rooms.shared.counters.closed.with(&[&code.to_string()]).inc();
        let Some(place) = self.place.take() else { return };
        let mut topics = self.rooms.parts.topics.borrow_mut();
        for subscription in [&place.yjs, &place.json].into_iter().flatten() {
            topics.remove(subscription.topic(), place.ticket);
        }
        drop(topics);
        place.room.leave(place.number);
        log::info!(
            request_id = self.who.request_id.as_str(), room = self.who.name.as_str(),
            connection_id = &*self.who.connection_id, user_id = &*self.who.user, code;
            "room.left"
        );
    }
}

/// The server stops (contract 03 §1.5).
const GOING_AWAY: u16 = 1001;

fn no_room(why: NoRoom) -> &'static str {
    match why {
        NoRoom::Closing => "The room is being deleted; come back in a moment",
        NoRoom::TooMany => "Too many rooms are in use; come back later",
        NoRoom::Busy => "Too many rooms wait to be loaded; come back in a moment",
    }
}

impl Member {
    /// A socket that was let in and has not been opened yet.
    pub(super) fn new(
        who: Who,
        seat: Seat,
        dialect: Dialect,
        protocol: Option<Protocol>,
        rooms: &Rc<Rooms>,
        now: Instant,
    ) -> Self {
        Self {
            who,
            rooms: Rc::clone(rooms),
            seat,
            dialect,
            protocol,
            place: None,
            early: None,
            owed: VecDeque::new(),
            owed_bytes: 0,
            last: 0,
            is_answered_elsewhere: false,
            bad: 0,
            gaps: 0,
            next_gap: now,
            told_read_only: false,
            bytes: Allowance::new(BYTES_PER_SECOND_MAX, BURST_MAX_BYTES, now),
            states: Allowance::new(AWARENESS_PER_SECOND_MAX, AWARENESS_PER_SECOND_MAX, now),
            texts: Allowance::new(TEXTS_PER_SECOND_MAX, TEXTS_BURST_MAX, now),
            held: None,
            shows_itself: false,
            next_keep_alive: now + KEEP_ALIVE_AFTER,
        }
    }

    fn now(&self) -> Instant {
        self.rooms.shared.house.clock.instant()
    }

    fn text_max_bytes(&self) -> usize {
        self.rooms.shared.options.now().text_bytes
    }

    /// Says what stock providers and the clients of the original wait for: what is missing here, who is here, who else is.
    fn greet(&mut self, out: &mut Outgoing<'_>) {
        let Some(place) = &self.place else { return };
        if place.yjs.is_some() {
            let (vector, states) = place.room.greeting();
            out.binary(&message::step1(&vector));
            self.rooms.shared.counters.sent_step1.inc();
            if let Some(states) = states {
                out.lend(&Frame::binary(&message::awareness(&states)));
            }
            self.next_keep_alive = self.now() + KEEP_ALIVE_AFTER;
        }
        if self.dialect.speaks_json() {
            self.begin_json(out);
        }
    }

    fn told(&mut self, told: Told, out: &mut Outgoing<'_>) {
        match told {
            Told::Loaded => {
                let Some(early) = self.early.take() else { return };
                self.greet(out);
                for spoken in early.said {
                    match spoken {
                        Spoken::Text(text) => self.text(&text, out),
                        Spoken::Binary(bytes) => self.binary(&bytes, out),
                    }
                }
            }
            Told::Saved { through, echoes } => self.saved(through, &echoes, out),
            Told::Answer(frame) => {
                self.answer(&frame, out);
                self.is_answered_elsewhere = false;
            }
            Told::Frame(frame) => out.frame(&frame),
            Told::Closed { code, reason } => out.close(code, &reason),
        }
    }

    /// What this socket has changed is on disk up to here.
    fn saved(&mut self, through: i64, echoes: &[Frame], out: &mut Outgoing<'_>) {
        let Some(place) = &self.place else { return };
        if place.yjs.is_some() {
            for echo in echoes {
                out.frame(echo);
                self.rooms.shared.counters.sent_echo.inc();
            }
            self.next_keep_alive = self.now() + KEEP_ALIVE_AFTER;
        }
        if self.who.wants_ack && place.json.is_some() {
            out.text(&json::saved(through.unsigned_abs()));
        }
        self.pay(through, out);
    }

    /// Sends what was owed up to here.
    fn pay(&mut self, through: i64, out: &mut Outgoing<'_>) {
        while self.owed.front().is_some_and(|(after, _)| *after <= through) {
            let Some((_, frame)) = self.owed.pop_front() else { return };
            self.owed_bytes -= frame.as_bytes().len();
            out.frame(&frame);
        }
    }

    /// Sends this once its last update is on disk.
    fn owe(&mut self, frame: Frame, out: &mut Outgoing<'_>) {
        let Some(place) = &self.place else { return };
        if self.owed.is_empty() && place.room.is_saved(self.last) {
            return out.frame(&frame);
        }
        self.owed_bytes += frame.as_bytes().len();
        if self.owed.len() >= OWED_MAX || self.owed_bytes > OWED_MAX_BYTES {
            return out.close(closes::RATE, "Too much waits for the disk");
        }
        self.owed.push_back((self.last, frame));
    }

    fn refuse_size(&self, out: &mut Outgoing<'_>) {
        let most = self.rooms.shared.options.now();
        let (binary, text) = (most.limits.message_bytes, most.text_bytes);
        out.close(code::TOO_LARGE, &format!("A message may have {binary} bytes, and one of text {text}"));
    }

    // ── JSON ──

    fn begin_json(&mut self, out: &mut Outgoing<'_>) {
        let Some(place) = &mut self.place else { return };
        if place.json.is_some() {
            return;
        }
        let subscription = self.rooms.shared.house.hub.subscribe(&place.room.json, &self.rooms.parts.mailbox);
        self.rooms.parts.topics.borrow_mut().add(subscription.topic(), place.ticket, None);
        place.json = Some(subscription);
        self.rooms.shared.counters.to_json.inc();
        let peers = place.room.speaks_json(place.number, true);
        out.text(&json::init(&self.who.connection_id, &peers));
    }

    fn end_json(&mut self) {
        let Some(place) = &mut self.place else { return };
        if let Some(subscription) = place.json.take() {
            self.rooms.parts.topics.borrow_mut().remove(subscription.topic(), place.ticket);
            place.room.speaks_json(place.number, false);
            self.rooms.shared.counters.to_yjs.inc();
        }
    }

    fn text(&mut self, text: &str, out: &mut Outgoing<'_>) {
        self.rooms.shared.counters.received.text.inc();
        if !self.texts.take(1, self.now()) {
            return out.close(closes::RATE, "Too many messages in JSON: at most 100 a second, and 400 at once");
        }
        if self.dialect.text() {
            self.begin_json(out);
        }
        let Some(place) = &self.place else { return };
        let id = &self.who.connection_id;
        // What one says to the others in JSON shows it to them, as awareness does.
        let may = self.who.grant.awareness;
        match json::said(text) {
            Said::GetPeers => out.text(&json::peers(&place.room.peers(place.number))),
            _ if !may => {}
            Said::Awareness { data } => {
                let frame = Frame::text(&json::awareness(id, data));
                place.room.broadcast("json_awareness", frame, place.socket);
            }
            Said::Custom { data } => {
                let frame = Frame::text(&json::custom(id, data));
                place.room.broadcast("json_custom", frame, place.socket);
            }
            Said::Signal { target, signal } => {
                let frame = Frame::text(&json::signal(id, signal));
                match target {
                    Some(target) => place.room.signal(&target, frame),
                    None => place.room.broadcast("json_signal", frame, place.socket),
                }
            }
            Said::Ignored => {}
        }
    }

    // ── Yjs ──

    fn binary(&mut self, frame: &[u8], out: &mut Outgoing<'_>) {
        if self.dialect.binary() {
            self.end_json();
        }
        for message in messages(frame) {
            if out.is_closed() {
                return;
            }
            match message {
                Ok(message) => self.yjs(&message, out),
                Err(error) => return self.bad(&error.to_string(), out),
            }
        }
    }

    fn yjs(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        let received = &self.rooms.shared.counters.received;
        match message {
            Message::Step1(vector) => {
                received.step1.inc();
                match StateVector::parse(vector) {
                    Ok(known) => self.step1(known, out),
                    Err(refused) => self.bad(&refused.to_string(), out),
                }
            }
            Message::Step2(update) => {
                received.step2.inc();
                self.update(update, out);
            }
            Message::Update(update) => {
                received.update.inc();
                self.update(update, out);
            }
            Message::Awareness(payload) => {
                received.awareness.inc();
                self.states(payload);
            }
            Message::QueryAwareness => {
                received.query.inc();
                self.send_states(out);
            }
            Message::Echo(opaque) => {
                received.echo.inc();
                self.owe(Frame::binary(&message::echo(opaque)), out);
            }
            Message::Auth | Message::Unknown => _ = received.other.inc(),
        }
    }

    /// Gives a client what it lacks.
    fn step1(&mut self, known: StateVector, out: &mut Outgoing<'_>) {
        let Some(place) = &self.place else { return };
        if out.waiting_bytes() > UNREAD_MAX_BYTES {
            return out.close(code::TRY_AGAIN, "Reading too slowly; reconnect and catch up");
        }
        if self.is_answered_elsewhere {
            // What is being made has all that it lacks, and more.
            return;
        }
        if place.room.bytes() <= WHOLE_MAX_BYTES {
            let answer = Frame::binary(&message::step2(&place.room.diff(&known)));
            return self.answer(&answer, out);
        }
        let (room, address) = (Arc::clone(&place.room), self.rooms.parts.mailbox.socket(place.ticket));
        let taken = self.rooms.shared.errands.run(move |_| {
            address.tell(Told::Answer(Frame::binary(&message::step2(&room.diff(&known)))));
        });
        self.is_answered_elsewhere = taken;
        if !taken {
            out.close(code::TRY_AGAIN, no_room(NoRoom::Busy));
        }
    }

    /// Gives what a client has asked for, however large it is: it is asked back before it gets another.
    fn answer(&mut self, answer: &Frame, out: &mut Outgoing<'_>) {
        out.lend(answer);
        self.rooms.shared.counters.sent_step2.inc();
        self.next_keep_alive = self.now() + KEEP_ALIVE_AFTER;
    }

    fn update(&mut self, bytes: &[u8], out: &mut Outgoing<'_>) {
        let counters = &self.rooms.shared.counters.updates;
        let Some(place) = &self.place else { return };
        let update = match Update::parse(bytes) {
            Ok(update) => update,
            Err(refused) => return self.bad(&refused.to_string(), out),
        };
        if bytes == EMPTY_UPDATE {
            // What a provider answers that has nothing to give.
            return;
        }
        if !self.who.grant.write {
            counters.read_only.inc();
            return self.deny_once("This token may only read", out);
        }
        let most = self.rooms.shared.options.now().document_bytes;
        if bytes.len() > most {
            let reason = format!("An update of {} bytes never fits a document of {most}", bytes.len());
            return out.close(closes::NEVER_FITS, &reason);
        }
        let sender = Sender { number: place.number, socket: place.socket, user: &self.who.user };
        match saving::change(&place.room, &update, bytes, &self.who.user, Some(sender)) {
            Taken::New(seq) => {
                counters.new.inc();
                self.last = seq;
                self.told_read_only = false;
            }
            Taken::Known(seq) => {
                counters.known.inc();
                self.last = self.last.max(seq);
                // Some clients wait to see their own again.
                self.owe(Frame::binary(&message::update(bytes)), out);
            }
            Taken::Gap(vector) => {
                counters.gap.inc();
                self.ask_again(&vector, out);
            }
            Taken::ReadOnly(reason) => {
                counters.read_only.inc();
                self.deny_once(&reason, out);
            }
            Taken::Busy(reason) => {
                counters.busy.inc();
                out.close(code::TRY_AGAIN, reason);
            }
        }
    }

    /// Asks for everything that is missing here, since an update builds on it.
    fn ask_again(&mut self, vector: &[u8], out: &mut Outgoing<'_>) {
        let now = self.now();
        if now < self.next_gap {
            return;
        }
        self.gaps += 1;
        if self.gaps > GAPS_MAX {
            return out.close(code::INTERNAL, "Updates keep building on what is not here");
        }
        self.next_gap = now + GAP_EVERY;
        self.rooms.shared.counters.resyncs.inc();
        out.binary(&message::step1(vector));
    }

    fn states(&mut self, payload: &[u8]) {
        let counters = &self.rooms.shared.counters.awareness;
        if !self.who.grant.awareness {
            counters.denied.inc();
            return;
        }
        self.shows_itself = true;
        let now = self.now();
        if !self.states.take(1, now) {
            counters.merged.inc();
            self.held = Some(payload.into());
            return;
        }
        self.held = None;
        self.pass_states(payload, now);
    }

    /// Passes states on. Those that are refused are passed over and nobody is closed for them: a stock client sends back all
    /// that it was told in one frame, which in a crowded room is over the bounds.
    fn pass_states(&self, payload: &[u8], now: Instant) {
        let Some(place) = &self.place else { return };
        let counters = &self.rooms.shared.counters.awareness;
        let sender = Sender { number: place.number, socket: place.socket, user: &self.who.user };
        match place.room.awareness(sender, payload, now) {
            Ok(true) => _ = counters.fresh.inc(),
            Ok(false) => _ = counters.stale.inc(),
            Err(refused) => {
                counters.bad.inc();
                static REFUSED: crate::observe::sample::Sample = crate::observe::sample::Sample::new();
                let message = refused.to_string();
                REFUSED.event(now, log::Level::Debug, "room.awareness_refused", || {
                    vec![("room", self.who.name.as_str().into()), ("error_message", message.as_str().into())]
                });
            }
        }
    }

    fn send_states(&self, out: &mut Outgoing<'_>) {
        let Some(place) = self.place.as_ref().filter(|place| place.yjs.is_some()) else { return };
        // All of a crowded room may be more than may wait for a slow reader, so one that has not taken the last is given no other.
        if out.waiting_bytes() > UNREAD_MAX_BYTES {
            return;
        }
        if let Some(states) = place.room.awareness_of_all() {
            out.lend(&Frame::binary(&message::awareness(&states)));
        }
    }

    /// Something that is no message of this protocol. It is passed over, but not for ever.
    fn bad(&mut self, why: &str, out: &mut Outgoing<'_>) {
        self.rooms.shared.counters.updates.bad.inc();
        self.bad += 1;
        log::debug!(
            request_id = self.who.request_id.as_str(), room = self.who.name.as_str(), error_message = why;
            "room.message_refused"
        );
        if self.bad >= BAD_MAX {
            out.close(closes::BAD, why);
        }
    }

    fn deny_once(&mut self, reason: &str, out: &mut Outgoing<'_>) {
        if !std::mem::replace(&mut self.told_read_only, true) {
            self.deny(reason, out);
        }
    }

    fn deny(&self, reason: &str, out: &mut Outgoing<'_>) {
        if self.place.as_ref().is_some_and(|place| place.yjs.is_some()) {
            out.binary(&message::denied(reason));
        }
    }
}
