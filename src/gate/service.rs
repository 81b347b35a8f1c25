//! The gate of one shard: takes requests from `net`, in the order that [`super`] describes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::HeaderValue;
use log::kv::{ToValue as _, Value};

use super::address::{self, UntrustedProxy};
use super::call::{Call, Outcome, Parking, Sender};
use super::code::Code;
use super::cors::{Cors, OriginVerdict};
use super::error::ApiError;
use super::exchange::{Context, Exchange};
use super::handshake;
use super::headers::Headers;
use super::held::Held;
use super::identity::{Caller, TokenId};
use super::leading;
use super::limit::{Client, RatePolicy, Standing};
use super::live::Following;
use super::places::Places;
use super::policy::Policy;
use super::receive::Receiving;
use super::revoked::RevokedHere;
use super::routes::{Access, Found, Kind, Reads, Routes};
use super::validate;
use crate::clock::steady::Reading;
use crate::clock::{Clock, Timekeeper, Timestamp};
use crate::net::{self, Answer, Intake, Peer, Reject, Request, RequestId, Response, Ticket};
use crate::observe::sample::{PATH_MAX_CHARS, Sample};
use crate::text::cut;

/// What the gate holds for all requests of one shard.
pub struct Gate {
    /// Every path that is served.
    pub routes: Routes,
    /// Who may ask what, as the configuration in force says.
    pub policy: Following<Policy>,
    /// The tokens that were revoked.
    pub revoked: RevokedHere,
    /// Bytes of body read when a route says nothing else.
    pub body_bytes: usize,
    /// What an answer carries when its route says nothing else.
    pub headers: &'static Headers,
    /// Makes this the gate of a private front, see [`Guard`].
    pub guard: Option<Guard>,
    /// Makes this the gate of a door that answers nothing itself and leads to this port over TLS.
    pub leads_to: Option<u16>,
    /// The `Strict-Transport-Security` of every answer, if there is one.
    pub hsts: Option<HeaderValue>,
    /// A proxy that forwards requests without being trusted. The shards share it.
    pub untrusted_proxy: UntrustedProxy,
    /// Whether the log says where requests come from.
    pub log_addresses: bool,
    /// What clients behind trusted proxies hold at once. The shards share it.
    pub places: Places,
    /// Wakes the shard when an answer to a parked request is there; made over to each request in its turn.
    pub parking: Parking,
    /// Where time comes from.
    pub clock: Clock,
    /// Says by which time tokens are judged; nothing where there are none.
    pub timekeeper: Option<Timekeeper>,
}

/// Lets requests of the operator in, before anything else of them is looked at. A gate that has one is private: it knows no
/// CORS, answers one request of a connection, and logs only what is our fault.
pub type Guard = Box<dyn Fn(&Request<'_>) -> Result<(), ApiError>>;

impl net::Service for Gate {
    fn intake(&self, request: &Request<'_>) -> Intake {
        let path = decoded(request.path());
        let Found::Route(route, ..) = self.find(request, &path) else {
            return Intake::Whole(self.body_bytes);
        };
        let limit = route.body_bytes.unwrap_or(self.body_bytes);
        if route.reads == Reads::Stream { Intake::Pieces(limit) } else { Intake::Whole(limit) }
    }

    fn call(&mut self, request: &Request<'_>, peer: Peer, ticket: Ticket) -> Answer {
        self.policy.catch_up();
        self.revoked.catch_up();
        self.parking.turn_to(ticket);
        let is_private = self.guard.is_some();
        let client = if is_private {
            // What callers of the private plane say of where they come from nobody has vouched for.
            peer.address()
        } else {
            let trust = &self.policy.identity.trust;
            address::of_client(request, peer, |peer| trust.is_proxy(peer), &self.untrusted_proxy)
        };
        let context = Context {
            routes: &self.routes,
            headers: self.headers,
            is_private,
            hsts: self.hsts.as_ref(),
            ip: self.log_addresses.then_some(client),
            clock: &self.clock,
        };
        let mut exchange = Exchange::new(request, self.origin(request), context);
        if let Some(port) = self.leads_to {
            return Answer::Now(exchange.finish(leading::to_tls(request, port), &self.clock));
        }
        if let Some(response) = Cors::preflight(request, exchange.cors()).filter(|_| self.guard.is_none()) {
            return Answer::Now(exchange.finish(Ok(response), &self.clock));
        }
        // What a handler holds across a panic is its own; shared state is behind cells that unwinding releases.
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(request, peer, client, &mut exchange)));
        match answer.unwrap_or_else(|_| Err(ApiError::internal("the handler panicked"))) {
            Ok(Outcome::Receive(receiver)) => {
                let pace = exchange.pace;
                let (parking, clock) = (self.parking.clone(), self.clock.clone());
                Answer::Receive(Box::new(Receiving::new(receiver, exchange, parking, clock)), pace)
            }
            Ok(Outcome::Socket(session, limits) | Outcome::NoSocket(session, limits)) => {
                let accepted = handshake::accept(request, session.protocol());
                let token = exchange.token.take();
                let watched = token.map(|token| self.revoked.watch(token, self.parking.shard()));
                let session = Held::of(session, exchange.place.take(), watched);
                Answer::Upgrade(exchange.finish(Ok(accepted), &self.clock), session, limits)
            }
            outcome => exchange.conclude(outcome, &self.clock),
        }
    }

    fn reject(
        &mut self,
        reject: &Reject,
        request: Option<&Request<'_>>,
        origin: Option<&[u8]>,
        peer: Peer,
    ) -> Response {
        let request_id = RequestId::from_header(request.and_then(|request| request.headers.get("x-request-id")));
        let error = ApiError::rejected(reject);
        if self.guard.is_none() {
            static REJECTED: Sample = Sample::new();
            let peer = self.log_addresses.then_some(peer);
            let method = request.map(|request| request.method.as_str());
            let path = request.map(|request| cut(request.path(), PATH_MAX_CHARS));
            let (path, message) = (path.as_deref(), error.message());
            REJECTED.event(self.clock.instant(), log::Level::Info, "request.rejected", || {
                let mut fields = vec![
                    ("request_id", request_id.as_str().into()),
                    ("method", method.to_value()),
                    ("path", path.to_value()),
                    ("status", error.status().as_u16().into()),
                    ("error_message", message.to_value()),
                ];
                fields.extend(peer.iter().map(|peer| ("peer", Value::from_display(peer))));
                fields
            });
        }
        self.routes.metrics.rejected(error.status(), self.clock.instant());
        let mut response = error.to_response(request_id.as_str());
        if self.guard.is_none() && origin.is_some() {
            self.policy.catch_up();
            self.policy.cors.judge(origin).apply(&mut response.headers);
        }
        self.headers.seal(&mut response, request_id, self.hsts.clone());
        response
    }

    fn refuse(&mut self) -> Response {
        let request_id = RequestId::from_header(None);
        let error = ApiError::overloaded("Too many open connections");
        let mut response = error.to_response(request_id.as_str());
        self.headers.seal(&mut response, request_id, self.hsts.clone());
        response
    }

    fn end_turn(&mut self) {
        for work in self.routes.turn_ends() {
            // The panic hook has logged it, and the others have their turn.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }
}

impl Gate {
    /// The route of a request, whose path is this.
    fn find<'r, 'p>(&'r self, request: &Request<'_>, path: &'p str) -> Found<'r, 'p> {
        self.routes.find(&request.method, path, || handshake::is_websocket_upgrade(request))
    }

    fn token_time(&self) -> Timestamp {
        self.timekeeper.as_ref().map_or_else(|| self.clock.now(), Timekeeper::token_time)
    }

    fn token_deadline(&self, until: Timestamp) -> Option<Instant> {
        match &self.timekeeper {
            Some(timekeeper) => timekeeper.token_deadline(until),
            None => self.clock.instant_of(until),
        }
    }

    fn origin(&self, request: &Request<'_>) -> OriginVerdict {
        if self.guard.is_some() {
            OriginVerdict::SameOrigin
        } else {
            self.policy.cors.judge(request.headers.get("origin"))
        }
    }

    fn answer(
        &self,
        request: &Request<'_>,
        peer: Peer,
        client: IpAddr,
        exchange: &mut Exchange,
    ) -> Result<Outcome, ApiError> {
        self.guard.as_ref().map_or(Ok(()), |guard| guard(request))?;
        self.policy.hosts.as_ref().map_or(Ok(()), |hosts| hosts.check(request, peer))?;
        let path = decoded(request.path());
        let found = self.find(request, &path);
        if let Found::Route(route, _, metrics, _) = &found {
            exchange.routed(route, metrics);
        }
        let limits = self.policy.limiter.as_ref();
        let limiter = limits.filter(|_| !is_unlimited(&found, request));
        let of_address = limiter.map(|limiter| limiter.by_address(client, exchange.began()));
        if let Some(refusal) = of_address.as_ref().and_then(|standing| exchange.charge(standing)) {
            return Ok(Outcome::Now(refusal));
        }
        let (route, handler, params) = match found {
            Found::Route(route, handler, _, params) => (route, handler, params),
            Found::OtherMethods(allow) => return Err(ApiError::method_not_allowed(&allow)),
            Found::Nothing if handshake::is_websocket_upgrade(request) => return Err(no_socket()),
            Found::Nothing => return Err(ApiError::no_route()),
        };
        // Before anything is copied of it.
        let subject = route.subject.and_then(|name| Some((name, params.get(name)?)));
        if subject.is_some_and(|(_, id)| id.len() > SUBJECT_MAX_BYTES) {
            return Err(ApiError::new(
                Code::NotFound,
                format!("Nothing has an id of more than {SUBJECT_MAX_BYTES} bytes"),
            ));
        }
        exchange.subject =
            subject.filter(|_| log::log_enabled!(log::Level::Warn)).map(|(name, id)| (name, id.to_owned()));
        // Where the route does not ask, only the limiter does.
        let asks = matches!(route.access, Access::User | Access::Either) || limiter.is_some();
        let asker = asks.then(|| self.policy.identity.establish(request, peer, &self.revoked, self.token_time()));
        if let Some(limiter) = limiter {
            // A client with a token that is not good is nobody but an address.
            let caller = asker.as_ref().and_then(|asker| asker.as_ref().ok()?.as_ref());
            let who = caller.map_or(Client::Address(client), |caller| Client::User(&caller.user));
            let standing = limiter.by_route(who, route.template, &request.method, route.rate, exchange.began());
            if let Some(refusal) = exchange.charge(&standing) {
                of_address.iter().for_each(Standing::give_back);
                exchange.user = asker.and_then(|asker| asker.ok()?).map(|caller| caller.user);
                return Ok(Outcome::Now(refusal));
            }
        }
        if route.reads != Reads::Nothing
            && let Some(encoding) = encoding(request)
        {
            return Err(ApiError::encoded(encoding));
        }
        let body = match route.reads {
            Reads::Nothing | Reads::Bytes | Reads::Stream => validate::Body::Absent,
            Reads::Json => validate::Body::read(request.headers.get("content-type"), request.body)?,
            Reads::JsonLater => validate::Body::parse(request.headers.get("content-type"), request.body),
        };
        let caller = match route.access {
            Access::Public => Ok(None),
            Access::Either => Ok(asker.transpose().inspect_err(|error| self.count_auth_failure(error))?.flatten()),
            Access::User => {
                let unknown = || self.policy.identity.unknown(request, peer);
                let caller = asker.transpose().and_then(|asker| asker.flatten().ok_or_else(unknown));
                Ok(Some(caller.inspect_err(|error| self.count_auth_failure(error))?))
            }
            Access::Socket if !handshake::is_websocket_upgrade(request) => {
                warn_of_no_upgrade(peer);
                return Err(ApiError::no_upgrade());
            }
            Access::Socket => {
                handshake::check(request)?;
                let now = Reading { wall: self.token_time(), ..self.clock.reading() };
                let caller =
                    self.policy.identity.establish_socket(request, peer, route.query_token, &self.revoked, now);
                match &caller {
                    Ok(None) => self.count_auth_failure(&ApiError::unauthorized()),
                    Ok(Some(_)) => {}
                    Err(error) => {
                        self.count_auth_failure(error);
                        // Its answer is a socket, which tells it.
                        exchange.log_bad_credentials(error, self.clock.instant());
                    }
                }
                caller
            }
        };
        let (refused, claims, until) = match caller {
            Ok(None) => (None, None, None),
            Ok(Some(Caller { user, claims, until })) => {
                let token = claims.as_ref().filter(|_| route.is_socket());
                exchange.token = token.map(|claims| TokenId::of(&user, claims));
                exchange.user = Some(user);
                (None, claims, until.filter(|_| route.is_socket()))
            }
            Err(refused) => (Some(refused), None, None),
        };
        let known_until = until.and_then(|until| self.token_deadline(until));
        // Before the handler, since what waits then does so already.
        if route.kind != Kind::Probe && self.guard.is_none() && self.policy.identity.trust.is_proxy(peer) {
            exchange.place = Some(self.places.take(client)?);
        }
        let sender = match (&refused, exchange.user.as_deref()) {
            (Some(refused), _) => Sender::Refused(refused),
            (None, Some(user)) => Sender::Known { user, claims: claims.as_ref() },
            (None, None) => Sender::Nobody,
        };
        let user = exchange.user.as_deref().unwrap_or_default();
        let (request_id, headers, query) = (&exchange.request_id, request.headers, request.query());
        let (method, path, bytes, clock) = (&request.method, request.path(), request.body, &self.clock);
        let call = Call {
            method,
            request_id,
            user,
            sender,
            known_until,
            client,
            peer,
            headers,
            params,
            path,
            template: route.template,
            query,
            body,
            bytes,
            clock,
            parking: &self.parking,
            limiter: limits,
            identity: &self.policy.identity,
            query_token: route.query_token,
        };
        let outcome = handler(&call)?;
        if let (Outcome::NoSocket(..), Some(limiter)) = (&outcome, limits)
            && let Some(refusal) = exchange.charge(&limiter.by_address(client, exchange.began()))
        {
            return Ok(Outcome::Now(refusal));
        }
        Ok(outcome)
    }

    /// Counts an authentication failure.
    fn count_auth_failure(&self, error: &ApiError) {
        if let Some(reason) = error.auth_failure() {
            self.routes.metrics.auth_failed(reason);
        }
    }
}

/// A path with its percent-escapes decoded; what is not UTF-8 then becomes U+FFFD.
fn decoded(path: &str) -> Cow<'_, str> {
    // Hardly any path has escapes, and then there is nothing to look through.
    if !path.as_bytes().contains(&b'%') {
        return Cow::Borrowed(path);
    }
    percent_encoding::percent_decode_str(path).decode_utf8_lossy()
}

/// The longest id of what a route is about.
pub(super) const SUBJECT_MAX_BYTES: usize = 64;

/// How the body is encoded, if it is.
fn encoding<'a>(request: &Request<'a>) -> Option<&'a [u8]> {
    request.headers.items("content-encoding").find(|item| !item.is_empty() && !item.eq_ignore_ascii_case(b"identity"))
}

/// Says once that somebody who should know better asks for sockets without an upgrade.
fn warn_of_no_upgrade(peer: Peer) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn!(
            peer = peer.to_string(),
            remedy = "if this is your proxy, have it speak HTTP/1.1 and pass Upgrade and Connection on, as docs/deploy does";
            "socket.no_upgrade"
        );
    }
}

/// What no limit of requests counts: probes, what has a rule of its own, and handshakes that lead to a socket. Each of these takes up a connection,
/// and of connections and sockets an address may not have too many at once. A handshake that leads nowhere is a request
/// like any other, and one whose socket is only told why it gets nothing is counted when that shows.
fn is_unlimited(found: &Found<'_, '_>, request: &Request<'_>) -> bool {
    let Found::Route(route, ..) = found else { return false };
    let handshake = || handshake::is_websocket_upgrade(request) && handshake::check(request).is_ok();
    route.kind == Kind::Probe || route.rate == RatePolicy::Own || (route.access == Access::Socket && handshake())
}

/// What the original answers to a handshake on a path without sockets (contract 01 §2.1).
fn no_socket() -> ApiError {
    ApiError::new(Code::Forbidden, "There is no socket at this path")
}
