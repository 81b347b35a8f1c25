//! Who gets into a room (contract 03 §3), and how those are told who do not.
//!
//! A stock client that is let in and closed comes back at once, unless the code is from 4400 to 4499 and it is new enough to
//! heed that; one whose handshake is refused backs off, but shows its page no reason. So the first refusal within a minute is
//! told in a socket, and the same again is a plain answer ([`Refusals`](super::refusals::Refusals)).

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use log::kv::Value;

use super::access::Grant;
use super::dialect::{Dialect, Form, Protocol, Wish};
use super::json;
use super::message;
use super::name::{BadName, RoomName};
use super::options::Options;
use super::socket::{Member, Rooms, Who, closes};
use crate::gate::{ApiError, Call, Code, Outcome, Sender};
use crate::hub::options::{may_open_sockets, origin_hint, refused_origin};
use crate::hub::{Full, Seat};
use crate::net::socket::{Message, code};
use crate::net::{Outgoing, Session, Ticket, network_of};
use crate::observe::sample::Sample;
use crate::store::Topic;

/// The reason of who comes from a page that may not open sockets.
const ORIGIN: &str = "origin";

/// Opens the socket that a handshake asks for, on this form of URL, or says why not.
pub(super) fn open(
    rooms: &Rc<Rooms>,
    call: &Call<'_>,
    form: Form,
    name: Result<RoomName, BadName>,
) -> Result<Outcome, ApiError> {
    let options = rooms.shared.options.now();
    let now = rooms.shared.house.clock.instant();
    let protocol = Protocol::of(call.offered_protocols());
    let wish = Wish::of(call.query_value("json").as_deref(), call.query_value("yjs").as_deref());
    let dialect = Dialect::new(form, protocol, wish, rooms.shared.times.json_wait, now);
    match admit(rooms, call, &options, form, name) {
        Ok((who, seat)) => {
            let member = Member::new(who, seat, dialect, protocol, rooms, now);
            Ok(Outcome::Socket(Box::new(member), Arc::clone(&options.limits)))
        }
        Err(refusal) => {
            rooms.shared.counters.refused.with(&[refusal.reason]).inc();
            let mut refusals = rooms.shared.refusals.lock();
            let case = refusals.case(call.client, &refusal.about, &shown(call));
            let told = refusals.tell(case, now);
            drop(refusals);
            if let Err(wait) = told {
                return Err(refusal.plainly(wait.as_secs().max(1)));
            }
            let origin = call.headers.get("origin").filter(|_| refusal.reason == ORIGIN).map(String::from_utf8_lossy);
            static REFUSED: Sample = Sample::new();
            REFUSED.event(now, log::Level::Info, "room.refused", || {
                vec![
                    ("request_id", call.request_id.as_str().into()),
                    ("room", refusal.about.as_str().into()),
                    ("reason", refusal.reason.into()),
                    ("error_message", refusal.message.as_str().into()),
                    // What a client chose is shortened by whoever writes it.
                    ("context", origin.as_deref().map_or(Value::null(), Value::from)),
                ]
            });
            let told = Refused { refusal, protocol, speaks_yjs: dialect.speaks_binary() };
            Ok(Outcome::NoSocket(Box::new(told), Arc::clone(&options.limits)))
        }
    }
}

/// What a client shows to be let in, as one text: who comes with something else is another case.
fn shown(call: &Call<'_>) -> Vec<u8> {
    let mut shown = call.query.as_bytes().to_vec();
    for name in ["authorization", "sec-websocket-protocol", "x-user-id", "origin"] {
        shown.push(0);
        shown.extend_from_slice(call.headers.get(name).unwrap_or_default());
    }
    shown
}

/// Why somebody does not get in.
struct Refusal {
    /// The close code, and the original's words with it, if it has to have those.
    close: u16,
    originals: Option<&'static str>,
    message: String,
    /// What to do about it.
    hint: Option<String>,
    /// In one word, for the counters.
    reason: &'static str,
    /// Of a handshake that is refused.
    status: StatusCode,
    /// The room, or the path where that names none.
    about: String,
}

impl Refusal {
    /// What the socket is closed with.
    fn words(&self) -> &str {
        self.originals.unwrap_or(&self.message)
    }

    /// As the answer to the handshake.
    fn plainly(&self, wait_seconds: u64) -> ApiError {
        let code = match self.status {
            StatusCode::UNAUTHORIZED => Code::HttpError,
            StatusCode::FORBIDDEN => Code::Forbidden,
            StatusCode::SERVICE_UNAVAILABLE => Code::Overloaded,
            _ => Code::ValidationError,
        };
        let error = ApiError::new(code, self.message.clone())
            .with_status(self.status)
            .with_header(RETRY_AFTER, HeaderValue::from(wait_seconds));
        match &self.hint {
            Some(hint) => error.with_hint(hint.as_str()),
            None => error,
        }
    }
}

fn admit(
    rooms: &Rc<Rooms>,
    call: &Call<'_>,
    options: &Options,
    form: Form,
    name: Result<RoomName, BadName>,
) -> Result<(Who, Seat), Refusal> {
    let about = name.as_ref().map_or_else(|_| call.path.to_owned(), |name| name.as_str().to_owned());
    let refuse = |close: u16, seeds: &'static str, message: &str, reason: &'static str, status: StatusCode| {
        // On the original's form a socket is closed with the original's codes and words (contract 03 §3.4).
        let (close, originals) = match form {
            Form::Query if !seeds.is_empty() => (code::POLICY, Some(seeds)),
            _ => (close, None),
        };
        Refusal { close, originals, message: message.to_owned(), hint: None, reason, status, about: about.clone() }
    };
    let origin = call.headers.get("origin");
    if !may_open_sockets(options.origins.as_deref(), origin) {
        let refusal = refuse(closes::FORBIDDEN, "", refused_origin(origin), ORIGIN, StatusCode::FORBIDDEN);
        return Err(Refusal { hint: Some(origin_hint(origin).to_owned()), ..refusal });
    }
    let name = name.map_err(|bad| match bad {
        BadName::Missing => {
            let (message, status) = (bad.to_string(), StatusCode::BAD_REQUEST);
            let (close, originals, hint) = (code::POLICY, None, None);
            Refusal { close, originals, message, hint, reason: "no_room", status, about: about.clone() }
        }
        bad => refuse(closes::BAD, "", &bad.to_string(), "bad_name", StatusCode::BAD_REQUEST),
    })?;
    let unauthorized = StatusCode::UNAUTHORIZED;
    let (user, is_known, claims) = match call.sender {
        Sender::Refused(error) => {
            let message = error.message().unwrap_or("Invalid token");
            let hint = match error.hint() {
                Some(hint) => format!("{hint}. Send it {}", call.how_to_send_a_token()),
                None => call.how_to_be_known(),
            };
            let refusal = refuse(closes::UNAUTHORIZED, "Invalid token", message, "bad_token", unauthorized);
            return Err(Refusal { hint: Some(hint), ..refusal });
        }
        Sender::Nobody if options.require_token => {
            let message = match call.verifies_tokens() {
                true => "Only identified users may enter this room: send a token",
                false => "Only identified users may enter this room, and this server has no key to verify tokens",
            };
            let refusal = refuse(closes::UNAUTHORIZED, "Unauthorized", message, "no_token", unauthorized);
            return Err(Refusal { hint: Some(call.how_to_be_known()), ..refusal });
        }
        Sender::Nobody => (address(call.client), false, None),
        Sender::Known { user, claims } => (Arc::from(user), true, claims),
    };
    let grant = claims.map_or(Ok(Grant::MEMBER), |claims| Grant::of(claims, name.as_str(), options.require_grant));
    let grant = grant
        .map_err(|message| refuse(closes::FORBIDDEN, "Unauthorized", message, "no_grant", StatusCode::FORBIDDEN))?;
    let topic = Topic::new(&super::live::YJS, Arc::clone(name.shared()));
    let seat = rooms.shared.seats.take(&topic, &user, &options.seats(is_known)).map_err(|full| {
        let (message, reason) = match full {
            Full::Topic | Full::TopicCap => ("This room is full", "room_full"),
            Full::User => ("Too many sockets of one user or address", "user_full"),
            Full::Global => ("Too many sockets", "full"),
        };
        refuse(code::TRY_AGAIN, "", message, reason, StatusCode::SERVICE_UNAVAILABLE)
    })?;
    let at_ms = rooms.shared.house.clock.now().0 / 1000;
    let connection_id = json::connection_id(name.as_str(), at_ms, uuid::Uuid::new_v4().as_u64_pair().0);
    let who = Who {
        connection_id: connection_id.into(),
        user,
        request_id: call.request_id.as_str().to_owned(),
        grant,
        until: call.known_until,
        wants_ack: call.query_value("ack").is_some_and(|ack| ack == "1"),
        name,
    };
    Ok((who, seat))
}

/// Who is not known goes by their address, an IPv6 one by its network.
fn address(client: IpAddr) -> Arc<str> {
    let network = network_of(client);
    if network.is_ipv6() { format!("address {network}/64").into() } else { format!("address {network}").into() }
}

/// A socket that is only told why it gets nothing.
struct Refused {
    refusal: Refusal,
    protocol: Option<Protocol>,
    speaks_yjs: bool,
}

impl Session for Refused {
    fn open(&mut self, _: Ticket, out: &mut Outgoing<'_>) {
        let (close, words) = (self.refusal.close, self.refusal.words());
        // Stock providers print the reason; those that read JSON find it in the close.
        if self.speaks_yjs && matches!(close, closes::UNAUTHORIZED | closes::FORBIDDEN) {
            out.binary(&message::denied(words));
        }
        out.close(close, words);
    }

    fn protocol(&self) -> Option<&str> {
        self.protocol.map(Protocol::name)
    }

    fn message(&mut self, _: &Message<'_>, _: &mut Outgoing<'_>) {}

    fn closed(&mut self, _: u16) {}
}
