//! What every request passes, in order, and what every answer carries.
//!
//! 1. request id ([`RequestId`]), so that everything after can name it
//! 2. CORS: a preflight is answered here ([`Cors`])
//! 3. rate limit by address: 429 ([`Limiter`]); probes and handshakes of sockets are not counted
//! 4. routing: 404, 405 with `Allow`, 307 to the path with or without its last slash ([`Routes`])
//! 5. rate limit by user and route: 429. It wants to know who is asking, but answers nothing in the place of 7
//! 6. the body, parsed: 422 `json_invalid` ([`validate::Body`])
//! 7. identity: 401 ([`Identity`]); or, on the way to a socket, the handshake ([`handshake`])
//! 8. the handler: shape (422), then meaning (404, 403, …), then the change
//!
//! The order is contract 01 §0.3, where both limits stand before routing. On the way out every answer gets its request id, CORS and security headers, and one
//! `request.complete` line in the log. A panic in a handler is a 500 for that request and nothing else.

mod address;
mod call;
mod cors;
pub mod counters;
mod error;
mod handshake;
pub mod identity;
pub mod limit;
mod live;
pub mod options;
mod policy;
mod problem;
mod routes;
pub mod validate;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};

pub use address::UntrustedProxy;
pub use call::{Call, Outcome};
pub use cors::Cors;
pub use counters::Counters;
pub use error::{ApiError, Code, CodeRow};
pub use identity::options::{KeysError, OpenedKeys};
pub use identity::{
    BadKeys, BadToken, Caller, Demands, Form, Identity, KeyFile, Keys, MINT_MAX_HOURS, TOKEN_MAX_BYTES,
    USER_ID_MAX_CHARS, Verifier, is_user_id, mint, unverified,
};
pub use limit::{Limiter, Limits};
pub use live::{Following, Live};
pub use policy::{NewPolicy, Policies, Policy};
pub use routes::{Access, Handler, Kind, Reads, Route, Routes};

use crate::clock::Clock;
use crate::hub::Mailbox;
use crate::net::{self, Intake, Peer, Reject, Reply, Request, RequestId, Response, Ticket, Woken};
use crate::store::{JobTimes, WriterHandle};
use call::{Collect, Settled};
use counters::{InFlight, RouteMetrics, UNMATCHED};
use limit::{Quota, Standing, Who};
use routes::Found;

/// What a browser is told with every answer. An answer is about one person at one moment, so nothing is cached, and
/// depends on who asks from where.
const FIXED_HEADERS: &str = "cache-control: no-store\r\n\
    content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
    referrer-policy: no-referrer\r\n\
    vary: Origin\r\n\
    x-content-type-options: nosniff\r\n\
    x-frame-options: DENY\r\n";

/// What the gate holds for all requests of one shard.
pub struct Gate {
    /// Every path that is served.
    pub routes: Routes,
    /// Who may ask what, as the configuration in force says.
    pub policy: Following<Policy>,
    /// Bytes of body read when a route says nothing else.
    pub body_bytes: usize,
    /// Who forwards requests without being trusted. The shards share it.
    pub untrusted_proxy: UntrustedProxy,
    /// Where changes are handed in.
    pub writer: WriterHandle,
    /// Where the writer answers to.
    pub mailbox: Arc<Mailbox>,
    /// Where time comes from.
    pub clock: Clock,
}

/// What is known of one request by the time it is answered.
struct Exchange {
    request_id: RequestId,
    cors: cors::Verdict,
    method: Method,
    /// The path as sent, kept only when it will be logged.
    path: Option<String>,
    route: &'static str,
    metrics: Rc<RouteMetrics>,
    /// From the moment on that it waits for its change. Before that and without one, it takes no time to speak of.
    in_flight: Option<InFlight>,
    kind: Kind,
    user: Option<String>,
    /// Kept only when it could be logged, with an error at the least.
    draft_id: Option<String>,
    /// What the answer says of the limit, if it has to.
    quota: Option<Quota>,
    began: Instant,
    handled: Duration,
    times: JobTimes,
}

impl net::Service for Gate {
    fn intake(&self, _: &Request<'_>) -> Intake {
        Intake::Whole(self.body_bytes)
    }

    fn call(&mut self, request: &Request<'_>, peer: Peer, ticket: Ticket) -> Reply {
        self.policy.catch_up();
        let mut exchange = self.begin(request);
        if let Some(response) = Cors::preflight(request, &exchange.cors) {
            return Reply::Now(exchange.finish(Ok(response), &self.clock));
        }
        // What a handler holds across a panic is its own; shared state is behind cells that unwinding releases.
        let answer = catch_unwind(AssertUnwindSafe(|| self.answer(request, peer, &mut exchange)));
        match answer.unwrap_or_else(|_| Err(ApiError::internal("the handler panicked"))) {
            Ok(Outcome::Now(response)) => Reply::Now(exchange.finish(Ok(response), &self.clock)),
            Ok(Outcome::Write(write)) => {
                let (job, collect) = write.split(Arc::clone(&self.mailbox), ticket);
                exchange.handled = self.clock.instant().saturating_duration_since(exchange.began);
                match self.writer.submit(job) {
                    Ok(()) => Reply::Later(exchange.park(collect, self.clock.clone())),
                    Err(_) => Reply::Now(exchange.settle(collect, queue_full(), &self.clock)),
                }
            }
            Ok(Outcome::Socket(session, limits)) => {
                Reply::Upgrade(exchange.finish(Ok(handshake::accept(request)), &self.clock), session, limits)
            }
            Err(error) => Reply::Now(exchange.finish(Err(error), &self.clock)),
        }
    }

    fn reject(&mut self, reject: &Reject, request: Option<&Request<'_>>, peer: Peer) -> Response {
        let request_id = RequestId::from_header(request.and_then(|request| request.headers.get("x-request-id")));
        let error = ApiError::rejected(reject);
        log::info!(
            request_id = request_id.as_str(), method = request.map(|request| request.method.as_str()),
            path = request.map(Request::path), status = error.status().as_u16(), peer = peer.to_string(),
            error_message = error.message();
            "request.rejected"
        );
        self.routes.metrics.rejected(error.status());
        let mut response = error.to_response(request_id.as_str());
        if let Some(request) = request {
            self.policy.catch_up();
            self.policy.cors.judge(request).apply(&mut response.headers);
        }
        seal(&mut response, request_id);
        response
    }

    fn refuse(&mut self) -> Response {
        let request_id = RequestId::from_header(None);
        let error = ApiError::overloaded("Too many open connections");
        let mut response = error.to_response(request_id.as_str());
        seal(&mut response, request_id);
        response
    }
}

impl Gate {
    fn begin(&self, request: &Request<'_>) -> Exchange {
        Exchange {
            request_id: RequestId::from_header(request.headers.get("x-request-id")),
            cors: self.policy.cors.judge(request),
            method: request.method.clone(),
            path: log::log_enabled!(log::Level::Info).then(|| request.path().to_owned()),
            route: UNMATCHED,
            metrics: Rc::clone(&self.routes.unmatched),
            in_flight: None,
            kind: Kind::Ordinary,
            user: None,
            draft_id: None,
            quota: None,
            began: self.clock.instant(),
            handled: Duration::ZERO,
            times: JobTimes::default(),
        }
    }

    fn answer(&self, request: &Request<'_>, peer: Peer, exchange: &mut Exchange) -> Result<Outcome, ApiError> {
        let path = decoded(request.path());
        let found = self.routes.find(&request.method, &path);
        if let Found::Route(route, metrics, _) = &found {
            exchange.route = route.template;
            exchange.metrics = Rc::clone(metrics);
            exchange.kind = route.kind;
        }
        let client = address::of_client(request, peer, &self.policy.trusted_proxy, &self.untrusted_proxy);
        let limiter = self.policy.limiter.as_ref().filter(|_| !is_unlimited(&found, request));
        if let Some(limiter) = limiter
            && let Some(refusal) = exchange.charge(&limiter.by_address(client, exchange.began))
        {
            return Ok(Outcome::Now(refusal));
        }
        let (route, params) = match found {
            Found::Route(route, _, params) => (route, params),
            Found::OtherMethods(allow) => return Err(ApiError::method_not_allowed(&allow)),
            Found::Nothing if handshake::is_websocket_upgrade(request) => return Err(no_socket()),
            Found::Nothing => return self.other_slash(request, peer, &path).ok_or_else(ApiError::no_route),
        };
        exchange.draft_id = params.get("draft_id").filter(|_| log::log_enabled!(log::Level::Warn)).map(str::to_owned);
        // Where the route does not ask, only the limiter does.
        let asks = route.access == Access::User || limiter.is_some();
        let asker = asks.then(|| self.policy.identity.establish(request, self.clock.now()));
        if let Some(limiter) = limiter {
            // Who sends a token that is not good is nobody but an address.
            let user = asker.as_ref().and_then(|asker| asker.as_deref().ok());
            let who = user.map_or(Who::Address(client), Who::User);
            let standing = limiter.by_route(who, route.template, &request.method, exchange.began);
            if let Some(refusal) = exchange.charge(&standing) {
                exchange.user = asker.and_then(Result::ok);
                return Ok(Outcome::Now(refusal));
            }
        }
        let body = match route.reads {
            Reads::Nothing => validate::Body::Absent,
            Reads::Json => validate::Body::read(request.headers.get("content-type"), request.body)?,
        };
        let mut known_until = None;
        match route.access {
            Access::Public => {}
            Access::User => exchange.user = asker.transpose().inspect_err(|error| self.count_auth_failure(error))?,
            Access::Socket if !handshake::is_websocket_upgrade(request) => return Err(ApiError::no_route()),
            Access::Socket => {
                handshake::check(request)?;
                match self.policy.identity.establish_socket(request, self.clock.now()) {
                    Ok(caller) => {
                        exchange.user = Some(caller.user);
                        known_until = caller.until.and_then(|until| self.clock.instant_of(until));
                    }
                    Err(error) => self.count_auth_failure(&error),
                }
            }
        }
        let user = exchange.user.as_deref().unwrap_or_default();
        let (request_id, headers, query) = (&exchange.request_id, request.headers, request.query());
        let call = Call { request_id, user, known_until, client, headers, params, query, body };
        (route.handler)(&call)
    }

    /// Counts an authentication failure.
    fn count_auth_failure(&self, error: &ApiError) {
        if let Some(reason) = error.auth_failure() {
            self.routes.metrics.auth_failed(reason);
        }
    }

    /// 307 to the same path with or without its last slash, when that one exists (contract 01 §0.3).
    fn other_slash(&self, request: &Request<'_>, peer: Peer, path: &str) -> Option<Outcome> {
        let raw = request.path();
        let (decoded, target) = match (path.strip_suffix('/'), raw.strip_suffix('/')) {
            (Some(decoded), Some(raw)) => (decoded.to_owned(), raw.to_owned()),
            _ => (format!("{path}/"), format!("{raw}/")),
        };
        if !self.routes.has_path(&decoded) {
            return None;
        }
        let query = if request.query().is_empty() { String::new() } else { format!("?{}", request.query()) };
        // The decoder lets no Host through that is more than host and port; without one the location is relative.
        let host = request.headers.get("host").and_then(|host| http::uri::Authority::try_from(host).ok());
        let forwarded = request.headers.get("x-forwarded-proto").filter(|_| (self.policy.trusted_proxy)(peer));
        let scheme = if forwarded == Some(b"https") { "https" } else { "http" };
        let base = host.map_or(String::new(), |host| format!("{scheme}://{host}"));
        let location = HeaderValue::from_str(&format!("{base}{target}{query}")).ok()?;
        Some(Outcome::Now(Response::empty(StatusCode::TEMPORARY_REDIRECT).with(LOCATION, location)))
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

/// What no limit of requests counts: probes, and handshakes that lead to a socket. Each of these takes up a connection,
/// and of connections and sockets an address may not have too many at once. A handshake that leads nowhere is a request
/// like any other.
fn is_unlimited(found: &Found<'_, '_>, request: &Request<'_>) -> bool {
    let Found::Route(route, ..) = found else { return false };
    let handshake = || handshake::is_websocket_upgrade(request) && handshake::check(request).is_ok();
    route.kind == Kind::Probe || (route.access == Access::Socket && handshake())
}

/// What the original answers to a handshake on a path without sockets (contract 01 §2.1).
fn no_socket() -> ApiError {
    ApiError::new(Code::Forbidden, "There is no socket at this path")
}

fn queue_full() -> ApiError {
    ApiError::overloaded("Too many changes are waiting to be written; nothing was changed")
}

fn not_in_time() -> ApiError {
    ApiError::overloaded(
        "The change was not confirmed in time and may still be stored; retry with the same idempotency key",
    )
}

/// What every answer carries whatever it answers.
fn seal(response: &mut Response, request_id: RequestId) {
    response.fixed_headers = FIXED_HEADERS;
    response.request_id = Some(request_id);
}

impl Exchange {
    /// Takes down how this request stands with a limit; the answer, if it is over.
    fn charge(&mut self, standing: &Standing<'_>) -> Option<Response> {
        self.quota = standing.quota();
        standing.refusal(&self.request_id, self.route).inspect(|_| self.metrics.blocked())
    }

    /// The way on from a parked request: taken up by its shard when the change is settled or the wait is over.
    fn park(mut self, collect: Collect, clock: Clock) -> net::Continuation {
        self.in_flight = Some(self.metrics.take());
        Box::new(move |woken: Woken| {
            if woken == Woken::TimedOut {
                log::warn!(request_id = self.request_id.as_str(), route = self.route; "store.not_confirmed_in_time");
            }
            self.settle(collect, not_in_time(), &clock)
        })
    }

    /// Makes the answer of what the job left behind; `nothing` is what it came to if it left nothing.
    fn settle(mut self, collect: Collect, nothing: ApiError, clock: &Clock) -> Response {
        let began = clock.instant();
        let settled = catch_unwind(AssertUnwindSafe(|| collect(nothing)))
            .unwrap_or_else(|_| Settled { answer: panicked_after_commit(), times: JobTimes::default() });
        self.handled += clock.instant().saturating_duration_since(began);
        self.times = settled.times;
        self.finish(settled.answer, clock)
    }

    /// Turns the answer into what leaves, counts it, and logs that it does.
    fn finish(mut self, answer: Result<Response, ApiError>, clock: &Clock) -> Response {
        let mut response = answer.unwrap_or_else(|error| {
            self.log_error(&error);
            error.to_response(self.request_id.as_str())
        });
        if let Some(quota) = self.quota.take() {
            quota.apply(&mut response.headers);
        }
        self.cors.apply(&mut response.headers);
        let took = clock.instant().saturating_duration_since(self.began);
        self.metrics.answered(&self.method, response.status, took);
        self.log_complete(&response, took);
        seal(&mut response, self.request_id);
        response
    }

    fn log_error(&self, error: &ApiError) {
        let (level, name) = match error.code() {
            Code::InternalError => (log::Level::Error, "unhandled.exception"),
            Code::HttpError => (log::Level::Warn, "http.error"),
            // What is wrong was said once, as an error, when it began.
            Code::StorageReadonly => (log::Level::Warn, "app.error"),
            _ if error.status().is_server_error() => (log::Level::Error, "app.error"),
            _ => (log::Level::Warn, "app.error"),
        };
        log::log!(
            level,
            request_id = self.request_id.as_str(), user_id = self.user.as_deref(), draft_id = self.draft_id.as_deref(),
            route = self.route, status = error.status().as_u16(), error_code = error.code().as_str(),
            error_message = error.logged(), context = error.context();
            "{name}"
        );
    }

    fn log_complete(&self, response: &Response, took: Duration) {
        let level = if self.kind == Kind::Probe { log::Level::Debug } else { log::Level::Info };
        if !log::log_enabled!(level) {
            return;
        }
        let handled = if self.handled.is_zero() { took } else { self.handled };
        log::log!(
            level,
            request_id = self.request_id.as_str(), method = self.method.as_str(), path = self.path.as_deref(),
            route = self.route, status = response.status.as_u16(), latency_bucket = latency_bucket(took),
            user_id = self.user.as_deref(), draft_id = self.draft_id.as_deref(), bytes = response.body.length(),
            handler_us = micros(handled), queue_us = micros(self.times.queued), commit_us = micros(self.times.commit);
            "request.complete"
        );
    }
}

fn panicked_after_commit() -> Result<Response, ApiError> {
    Err(ApiError::internal("making the answer panicked; the change was committed"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Contract 01 §8.
fn latency_bucket(took: Duration) -> &'static str {
    match took.as_millis() {
        0..10 => "<10ms",
        10..100 => "10-100ms",
        100..500 => "100-500ms",
        500..1000 => "500-1000ms",
        _ => ">=1000ms",
    }
}
