//! The socket of a draft (contract 01 §2): its events as they are committed, and on request those that were missed.
//!
//! Who may not watch is let in, told why in a frame, and closed: a browser shows its page nothing of a handshake that
//! failed. The checks are made once, in [`Watches::admit`], in the order of the contract.
//!
//! To catch up, a socket first subscribes and then reads the log: whatever is committed between the two comes both ways,
//! and what was read is known by its number, so nothing is missed and nothing comes twice (G2).

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use log::kv::Value;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{MayRead, not_gone};
use super::error::{GONE, LIMIT_EXCEEDED, WS_LIMIT};
use super::frame::{TOPICS, frame_text};
use super::options::SocketOptions;
use super::replay::{self, Replay};
use super::shared::Shared;
use super::watching::Farewell;
use crate::clock::OffsetStyle;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, ReplayMeter, Route, Routes};
use crate::hub::options::may_open_sockets;
use crate::hub::{Full, Replaced, Seat, Subscription};
use crate::net::socket::{Ended, Message, code};
use crate::net::{Outgoing, Session, SocketNote, Ticket};
use crate::observe;
use crate::observe::sample::Sample;
use crate::store::{Reader, Topic};

/// What the sockets of one shard share.
struct Watches {
    parts: ShardParts,
    shared: Shared,
}

/// Where they are opened.
pub(super) const ROUTE: Route =
    Route::socket("/v1/ws/drafts/{draft_id}").about("draft_id").does("Watch a draft over a WebSocket");

/// Adds the route of the sockets for one shard.
pub(super) fn route(routes: &mut Routes, parts: ShardParts, shared: Shared) {
    let watches = Rc::new(Watches { parts, shared });
    routes.add(ROUTE, move |call| {
        let (who, until) = (Who::of(call), call.known_until);
        let options = watches.shared.sockets.now();
        match watches.admit(&who, call, &options) {
            Ok((seat, catch_up)) => {
                watches.shared.house.sockets.opened.inc();
                let watch = Watch { who, catch_up, until, watches: Rc::clone(&watches), seat, listening: None };
                Ok(Outcome::Socket(Box::new(watch), Arc::clone(&options.limits)))
            }
            Err(refusal) => {
                watches.shared.house.sockets.refused.with(&[refusal.reason]).inc();
                // What one limit has refused is not counted against another.
                let counts = refusal.code != Code::RateLimited.as_str();
                let told = Box::new(Refused { who, refusal, watches: Rc::clone(&watches) });
                let limits = Arc::clone(&options.limits);
                Ok(if counts { Outcome::NoSocket(told, limits) } else { Outcome::Socket(told, limits) })
            }
        }
    });
}

/// What a socket missed: from where on, and what counts it.
struct CatchUp {
    since: i64,
    meter: Option<ReplayMeter>,
}

/// Why a socket is closed right after it was opened, in the words of contract 01 §2.3.
struct Refusal {
    code: &'static str,
    message: String,
    close: u16,
    /// In one word, for the counters.
    reason: &'static str,
    /// The name and level of the log line (contract 01 §8).
    event: &'static str,
    level: log::Level,
    /// What else the log is told.
    context: Option<String>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>, reason: &'static str, event: &'static str) -> Self {
        let (message, level, context) = (message.into(), log::Level::Info, None);
        Self { code, message, close: code::POLICY, reason, event, level, context }
    }
}

impl From<ApiError> for Refusal {
    /// What a request would have been answered with.
    fn from(error: ApiError) -> Self {
        let code = error.code().as_str();
        let refusal = Self::new(code, error.message().unwrap_or_default(), code, "ws.forbidden");
        if error.code() != Code::InternalError {
            return refusal;
        }
        let (level, context) = (log::Level::Error, error.context().map(str::to_owned));
        Self { close: code::INTERNAL, event: "ws.failed", level, context, ..refusal }
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Global => Self::new(WS_LIMIT.word, "Global socket limit exceeded", "global", "ws.limit.global"),
            Full::Topic => Self::new(WS_LIMIT.word, "Draft socket limit exceeded", "draft", "ws.limit.draft"),
            Full::User => Self::new(WS_LIMIT.word, "User socket limit exceeded", "user", "ws.limit.user"),
            Full::TopicCap => {
                let message = "Draft connection cap exceeded";
                let refusal = Self::new(LIMIT_EXCEEDED.word, message, "cap", "ws.scale_cap.draft");
                Self { level: log::Level::Warn, ..refusal }
            }
        }
    }
}

impl Watches {
    /// Whether this caller gets a socket: its seat, and from where it wants to catch up.
    fn admit(&self, who: &Who, call: &Call<'_>, options: &SocketOptions) -> Result<(Seat, Option<CatchUp>), Refusal> {
        let origin = call.headers.get("origin");
        if !may_open_sockets(options.origins.as_deref(), origin) {
            let origin = origin.map(|origin| String::from_utf8_lossy(origin).into_owned());
            return Err(Refusal {
                context: origin,
                ..Refusal::new(WS_LIMIT.word, "Origin not allowed", "origin", "ws.origin_blocked")
            });
        }
        if call.user.is_empty() {
            let message = "Unauthorized: missing or invalid authentication";
            return Err(Refusal::new(Code::Forbidden.as_str(), message, "unauthorized", "ws.unauthorized"));
        }
        let since = call.query_value("since").map(|text| text.parse().ok().filter(|since| *since >= 0));
        let since = since.map(|since| {
            let message = "The 'since' parameter should be a whole number from 0";
            since.ok_or_else(|| {
                Refusal::new(Code::ValidationError.as_str(), message, "invalid_since", "ws.invalid_since")
            })
        });
        let since: Option<i64> = since.transpose()?;
        self.may_watch(who)?;
        let catch_up = since.map(|since| CatchUp { since, meter: call.replay_meter() });
        let meter = catch_up.as_ref().and_then(|catch_up| catch_up.meter.as_ref());
        if meter.is_some_and(|meter| !meter.admits(self.shared.house.clock.instant())) {
            let message = "Too much was replayed for this user or address; come back later";
            let refusal = Refusal::new(Code::RateLimited.as_str(), message, "replay", "ws.limit.replay");
            return Err(Refusal { close: code::TRY_AGAIN, ..refusal });
        }
        // Last, as another socket may lose its seat by it.
        let topic = Topic::new(&TOPICS, Arc::clone(&who.draft_id));
        Ok((self.shared.house.seats.take(&topic, call.user, &options.seats)?, catch_up))
    }

    /// Whether this user may watch this draft now.
    fn may_watch(&self, who: &Who) -> Result<(), Refusal> {
        let may_read = MayRead::new(self.shared.options.public_read, &who.draft_id, &who.user);
        let draft_id = Arc::clone(&who.draft_id);
        let ask = move |reader: &Reader| may_read.ask(reader).and_then(|()| not_gone(reader, &draft_id));
        Ok(self.parts.fetch(ask)?)
    }
}

/// What every frame and log line of a socket names.
struct Who {
    request_id: String,
    connection_id: String,
    draft_id: Arc<str>,
    user: String,
}

impl Who {
    fn of(call: &Call<'_>) -> Self {
        Self {
            request_id: call.request_id.as_str().to_owned(),
            connection_id: Uuid::new_v4().to_string(),
            draft_id: call.param("draft_id").into(),
            user: call.user.to_owned(),
        }
    }

    fn log(&self, level: log::Level, event: &str, context: Option<&str>) {
        observe::event(level, event, &self.fields(context));
    }

    fn fields<'w>(&'w self, context: Option<&'w str>) -> Vec<(&'w str, Value<'w>)> {
        let user = Some(self.user.as_str()).filter(|user| !user.is_empty());
        vec![
            ("request_id", self.request_id.as_str().into()),
            ("connection_id", self.connection_id.as_str().into()),
            ("user_id", user.map_or(Value::null(), Value::from)),
            ("draft_id", Value::from(&*self.draft_id)),
            ("context", context.map_or(Value::null(), Value::from)),
        ]
    }

    /// Says what is wrong, and ends.
    fn refuse(&self, code: &str, message: &str, close: u16, out: &mut Outgoing<'_>) {
        send(out, &ErrorFrame { r#type: "error", code, message, request_id: &self.request_id });
        out.close(close, message);
    }

    fn log_closed(&self, code: u16) {
        log::info!(
            request_id = self.request_id.as_str(), connection_id = self.connection_id.as_str(),
            user_id = self.user.as_str(), draft_id = &*self.draft_id, code;
            "ws.disconnected"
        );
    }
}

/// A socket that is only told why it gets nothing.
struct Refused {
    who: Who,
    refusal: Refusal,
    watches: Rc<Watches>,
}

impl Session for Refused {
    fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
        static REFUSED: Sample = Sample::new();
        let Refusal { code, message, close, event, level, context, .. } = &self.refusal;
        REFUSED.event(self.watches.shared.house.clock.instant(), *level, event, || self.who.fields(context.as_deref()));
        self.who.refuse(code, message, *close, out);
    }

    fn message(&mut self, _: &Message<'_>, _: &mut Outgoing<'_>) {}

    fn closed(&mut self, _: u16) {}
}

/// A socket that watches a draft.
struct Watch {
    who: Who,
    catch_up: Option<CatchUp>,
    /// When the token that it was opened with expires.
    until: Option<Instant>,
    watches: Rc<Watches>,
    seat: Seat,
    listening: Option<(Ticket, Subscription)>,
}

impl Session for Watch {
    fn open(&mut self, ticket: Ticket, out: &mut Outgoing<'_>) {
        self.who.log(log::Level::Info, "ws.connected", None);
        let parts = &self.watches.parts;
        // From here on everything that is committed is on its way to us; what was before is in the log.
        let subscription = self.watches.shared.house.hub.subscribe(self.seat.topic(), &parts.mailbox);
        let topic = subscription.topic().clone();
        self.listening = Some((ticket, subscription));
        let address = parts.mailbox.socket(ticket);
        self.watches.shared.watching.begin(&self.who.draft_id, &self.who.user, address);
        // Asked once more: who was removed between the first time and now was not told.
        if let Err(refusal) = self.watches.may_watch(&self.who) {
            return self.refuse(&refusal, out);
        }
        let replay = self.catch_up.as_ref().map(|&CatchUp { since, .. }| {
            let draft_id = Arc::clone(&self.who.draft_id);
            parts.fetch(move |reader| replay::since(reader, &draft_id, since))
        });
        match replay.transpose() {
            Ok(replay) => {
                if let Some(replay) = &replay {
                    self.count(replay);
                }
                parts.topics.borrow_mut().add(&topic, ticket, replay.as_ref().map(|replay| replay.head));
                self.welcome(replay.as_ref(), out);
            }
            Err(error) => {
                self.watches.shared.counters.replay_none.inc();
                self.refuse(&ApiError::from(error).into(), out);
            }
        }
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Outgoing<'_>) {
        match message {
            Message::Text(text) => self.text(text, out),
            Message::Binary(_) => {
                let message = "Binary messages are not accepted";
                self.who.refuse(Code::ValidationError.as_str(), message, code::UNSUPPORTED, out);
            }
            Message::TooLarge => {
                self.who.log(log::Level::Info, "ws.payload_too_large", None);
                self.who.refuse(Code::PayloadTooLarge.as_str(), "WS message too large", code::POLICY, out);
            }
            Message::TooMany => {
                self.who.log(log::Level::Info, "ws.limit.rate", None);
                self.who.refuse(WS_LIMIT.word, "Socket message rate exceeded", code::POLICY, out);
            }
        }
    }

    fn owes_pong(&mut self, owes: bool) {
        match &self.listening {
            Some((ticket, _)) if owes => self.seat.owes_pong(self.watches.parts.mailbox.socket(*ticket)),
            _ => self.seat.has_answered(),
        }
    }

    fn note(&mut self, note: SocketNote, out: &mut Outgoing<'_>) {
        if note.is::<Replaced>() {
            self.who.log(log::Level::Info, "ws.replaced", None);
            self.who.refuse(WS_LIMIT.word, "Replaced by a newer socket of the same user", code::TRY_AGAIN, out);
        }
        match note.downcast_ref() {
            Some(Farewell::NoMember) => {
                self.who.log(log::Level::Info, "ws.parted", None);
                let message = "No longer a member of this draft";
                self.who.refuse(Code::Forbidden.as_str(), message, code::FORBIDDEN, out);
            }
            Some(Farewell::Deleted) => {
                self.who.log(log::Level::Info, "ws.draft_deleted", None);
                self.who.refuse(GONE.word, "The draft was deleted", code::GONE, out);
            }
            None => {}
        }
    }

    fn until(&self) -> Option<Instant> {
        self.until
    }

    fn expire(&mut self, why: Ended, out: &mut Outgoing<'_>) {
        let event = match why {
            Ended::Expired => "ws.token_expired",
            Ended::Revoked => "ws.token_revoked",
        };
        self.who.log(log::Level::Info, event, None);
        self.who.refuse(Code::Forbidden.as_str(), why.sentence(), code::EXPIRED, out);
    }

    fn closed(&mut self, code: u16) {
        if let Some((ticket, subscription)) = self.listening.take() {
            let address = self.watches.parts.mailbox.socket(ticket);
            self.watches.shared.watching.end(&self.who.draft_id, &address);
            self.watches.parts.topics.borrow_mut().remove(subscription.topic(), ticket);
        }
        self.who.log_closed(code);
    }
}

impl Watch {
    /// Says why it ends.
    fn refuse(&self, refusal: &Refusal, out: &mut Outgoing<'_>) {
        let Refusal { code, message, close, event, level, context, .. } = refusal;
        self.who.log(*level, event, context.as_deref());
        self.who.refuse(code, message, *close, out);
    }

    /// Counts what a socket that catches up is sent.
    fn count(&self, replay: &Replay) {
        let metrics = &self.watches.shared.counters;
        let result = match replay {
            Replay { complete: true, .. } => &metrics.replay_full,
            Replay { events, .. } if events.is_empty() => &metrics.replay_none,
            _ => &metrics.replay_partial,
        };
        result.inc();
        if let Some(meter) = self.catch_up.as_ref().and_then(|catch_up| catch_up.meter.as_ref()) {
            meter.settle(replay.events.len());
        }
        let topics = self.watches.parts.topics.borrow();
        replay.events.iter().for_each(|event| topics.count_replayed(event.kind));
    }

    /// The welcome; for one who catches up, the state it is brought to and the way there.
    fn welcome(&self, replay: Option<&Replay>, out: &mut Outgoing<'_>) {
        let welcome = Welcome {
            r#type: "connected",
            draft_id: &self.who.draft_id,
            user_id: &self.who.user,
            ts: self.watches.shared.house.clock.now().offset_style(),
            request_id: &self.who.request_id,
            connection_id: &self.who.connection_id,
            seq: replay.map(|replay| replay.head),
            ring_holder: replay.map(|replay| replay.ring_holder.as_deref()),
        };
        send(out, &welcome);
        let from = self.catch_up.as_ref().map(|catch_up| catch_up.since);
        let (Some(from), Some(Replay { head, events, complete, .. })) = (from, replay) else { return };
        for event in events {
            out.text(&frame_text(event, true));
        }
        send(out, &Resumed { r#type: "resumed", from, to: *head, complete: *complete });
    }

    /// A `ping` is answered, other JSON passed over (contract 01 §2.5), and what is not JSON ends it (ruling 12).
    fn text(&self, text: &str, out: &mut Outgoing<'_>) {
        // Checked without being kept, so that a deep or long document costs nothing.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            self.who.log(log::Level::Debug, "ws.invalid_json", Some(&error.to_string()));
            let message = "Message is not valid JSON";
            self.who.refuse(Code::ValidationError.as_str(), message, code::INVALID, out);
        } else if is_ping(text) {
            let ts = self.watches.shared.house.clock.now().offset_style();
            send(out, &Pong { r#type: "pong", ts, request_id: &self.who.request_id });
        }
    }
}

/// Whether this JSON is an object of the type `ping`. An array is none, though `serde` would take its first item for the
/// first member.
fn is_ping(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: std::borrow::Cow<'a, str>,
    }
    json.trim_start().starts_with('{')
        && serde_json::from_str::<Typed<'_>>(json).is_ok_and(|typed| typed.r#type == "ping")
}

fn send(out: &mut Outgoing<'_>, frame: &impl Serialize) {
    // Texts, numbers and times always serialise; the error type only has no way to say so.
    out.text(&serde_json::to_string(frame).unwrap_or_default());
}

#[derive(Serialize)]
struct Welcome<'a> {
    r#type: &'static str,
    draft_id: &'a str,
    user_id: &'a str,
    ts: OffsetStyle,
    request_id: &'a str,
    connection_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ring_holder: Option<Option<&'a str>>,
}

#[derive(Serialize)]
struct Resumed {
    r#type: &'static str,
    from: i64,
    to: i64,
    complete: bool,
}

#[derive(Serialize)]
struct Pong<'a> {
    r#type: &'static str,
    ts: OffsetStyle,
    request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorFrame<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    request_id: &'a str,
}
