//! One request from its first look to its answer: what is known of it, what its answer carries, what the log is told.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, StatusCode};
use log::kv::{ToValue as _, Value};

use super::call::Outcome;
use super::code::Code;
use super::cors::OriginVerdict;
use super::counters::{InFlight, RouteMetrics, UNMATCHED};
use super::error::{ApiError, MISSING};
use super::headers::Headers;
use super::identity::TokenId;
use super::limit::{Quota, Standing};
use super::places::Place;
use super::reply::{Collected, Times, Waiting};
use super::routes::{Kind, PACE, Route, Routes};
use crate::clock::Clock;
use crate::net::{self, Answer, Pace, Request, RequestId, Response, Woken};
use crate::observe;
use crate::observe::sample::{PATH_MAX_CHARS, Sample};
use crate::text::cut;

/// Lines that somebody who is not let in can cause, each kind by itself: a flood of one must not bury the others.
static REFUSED: Sample = Sample::new();
static UNKNOWN: Sample = Sample::new();
static ABANDONED: Sample = Sample::new();
static BAD_CREDENTIALS: Sample = Sample::new();
static SERVER_ERROR: Sample = Sample::new();
static UNHANDLED: Sample = Sample::new();

/// What the gate knows before it has looked at a request.
pub(super) struct Context<'g> {
    pub(super) routes: &'g Routes,
    pub(super) headers: &'static Headers,
    pub(super) is_private: bool,
    pub(super) hsts: Option<&'g HeaderValue>,
    /// See [`Exchange::ip`].
    pub(super) ip: Option<IpAddr>,
    pub(super) clock: &'g Clock,
}

/// What is known of one request by the time it is answered.
pub(super) struct Exchange {
    pub(super) request_id: RequestId,
    /// Where it comes from, as far as the log is to say it.
    pub(super) ip: Option<IpAddr>,
    cors: OriginVerdict,
    method: Method,
    /// The path as sent, kept only when it will be logged.
    path: Option<String>,
    route: &'static str,
    metrics: Rc<RouteMetrics>,
    /// From the moment on that it is parked. Before that and without, it takes no time to speak of.
    in_flight: Option<InFlight>,
    kind: Kind,
    /// How slowly its body may come, should it be taken piece by piece.
    pub(super) pace: Pace,
    pub(super) user: Option<String>,
    /// What it is about, under the name that its route gives it. Kept only when it could be logged, with an error at the
    /// least.
    pub(super) subject: Option<(&'static str, String)>,
    /// The names of all subjects: each line of the log has each, so that all lines have the same fields.
    subjects: Rc<[&'static str]>,
    /// What its client holds by it, until it is answered or has become a socket.
    pub(super) place: Option<Place>,
    /// The token that it opens a socket with.
    pub(super) token: Option<TokenId>,
    /// What the answer says of the limit, if it has to.
    quota: Option<Quota>,
    headers: &'static Headers,
    /// Whether only the operator asks: the log then says what is our fault, and nothing else.
    is_private: bool,
    /// The `Strict-Transport-Security` of its answer.
    hsts: Option<HeaderValue>,
    began: Instant,
    handled: Duration,
    times: Times,
}

impl Exchange {
    /// A request that nothing has looked at yet.
    pub(super) fn new(request: &Request<'_>, cors: OriginVerdict, context: Context<'_>) -> Self {
        let Context { routes, headers, is_private, hsts, ip, clock } = context;
        Self {
            request_id: RequestId::from_header(request.headers.get("x-request-id")),
            ip,
            cors,
            method: request.method.clone(),
            path: log::log_enabled!(log::Level::Info).then(|| request.path().to_owned()),
            route: UNMATCHED,
            metrics: Rc::clone(&routes.unmatched),
            in_flight: None,
            kind: Kind::Ordinary,
            pace: PACE,
            user: None,
            subject: None,
            subjects: routes.subjects(),
            place: None,
            token: None,
            quota: None,
            headers,
            is_private,
            hsts: hsts.cloned(),
            began: clock.instant(),
            handled: Duration::ZERO,
            times: Times::default(),
        }
    }

    /// What its origin is told.
    pub(super) fn cors(&self) -> &OriginVerdict {
        &self.cors
    }

    /// When it was there as a whole, as far as it has come.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Takes down which route it goes to.
    pub(super) fn routed(&mut self, route: &Route, metrics: &Rc<RouteMetrics>) {
        self.route = route.template;
        self.metrics = Rc::clone(metrics);
        self.kind = route.kind;
        self.headers = route.headers.unwrap_or(self.headers);
        self.pace = route.pace;
    }

    /// Takes down how this request stands with a limit; the answer, if it is over.
    pub(super) fn charge(&mut self, standing: &Standing<'_>) -> Option<Response> {
        self.quota = standing.quota();
        standing.refusal(&self.request_id, self.route, self.ip).inspect(|_| self.metrics.blocked())
    }

    /// From now on it is under way, until it is answered or given up.
    pub(super) fn take_up(&mut self) {
        self.in_flight.get_or_insert_with(|| self.metrics.take());
    }

    /// All of its body has come that will: what it takes from now on is our time, and not that of its client.
    pub(super) fn received(mut self, clock: &Clock) -> Self {
        self.began = clock.instant();
        self
    }

    /// Tells the log of a client who left in the middle of its body, or was cut off by the stop.
    pub(super) fn left(self, received_bytes: u64, now: Instant) {
        if !self.is_private {
            ABANDONED.event(now, log::Level::Info, "request.abandoned", || {
                let mut fields = vec![
                    ("request_id", self.request_id.as_str().into()),
                    ("route", self.route.into()),
                    ("user_id", self.user.to_value()),
                    ("received_bytes", received_bytes.into()),
                ];
                fields.extend(self.ip_field());
                fields
            });
        }
    }

    /// Answers a request whose body is over; whatever it still waits for, a body or a socket it is no more.
    #[inline]
    pub(super) fn conclude(self, outcome: Result<Outcome, ApiError>, clock: &Clock) -> Answer {
        match outcome {
            Ok(Outcome::Now(response)) => Answer::Now(self.finish(Ok(response), clock)),
            Ok(Outcome::Parked(waiting)) => Answer::Later(self.park(waiting, clock.clone())),
            Ok(Outcome::Receive(_) | Outcome::Socket(..) | Outcome::NoSocket(..)) => {
                let error = ApiError::internal("a body that was received is followed by another, or by a socket");
                Answer::Now(self.finish(Err(error), clock))
            }
            Err(error) => Answer::Now(self.finish(Err(error), clock)),
        }
    }

    /// The way on from a parked request: taken up by its shard when the answer is there or the wait is over.
    pub(super) fn park(mut self, waiting: Waiting, clock: Clock) -> net::Continuation {
        self.take_up();
        self.handled = clock.instant().saturating_duration_since(self.began);
        Box::new(move |woken| self.collect(waiting, woken, &clock))
    }

    fn collect(mut self, Waiting { waits_for, collect }: Waiting, woken: Woken, clock: &Clock) -> Response {
        let began = clock.instant();
        let answer = match catch_unwind(AssertUnwindSafe(|| collect(woken))) {
            Ok(Collected { answer, times, late }) => {
                if late {
                    let event = waits_for.late_event();
                    log::warn!(request_id = self.request_id.as_str(), route = self.route; "{event}");
                }
                self.times = times;
                answer
            }
            Err(_) => Err(waits_for.panicked()),
        };
        self.handled += clock.instant().saturating_duration_since(began);
        self.finish(answer, clock)
    }

    /// Turns the answer into what leaves, counts it, and logs that it does.
    pub(super) fn finish(mut self, answer: Result<Response, ApiError>, clock: &Clock) -> Response {
        let (mut response, error) = match answer {
            Ok(response) => (response, None),
            Err(error) => {
                self.log_error(&error, clock.instant());
                (error.to_response(self.request_id.as_str()), Some(error))
            }
        };
        if let Some(quota) = self.quota.take() {
            quota.apply(&mut response.headers);
        }
        self.cors.apply(&mut response.headers);
        let now = clock.instant();
        let took = now.saturating_duration_since(self.began);
        self.metrics.answered(&self.method, response.status, took, now);
        if self.kind != Kind::Probe {
            self.metrics.served(response.status, took);
        }
        self.log_complete(&response, error.as_ref(), took, now);
        self.headers.seal(&mut response, self.request_id, self.hsts);
        response.close |= self.is_private;
        response
    }

    /// Tells the log that credentials were shown which are not good: why, in one word, and where they came from. What bans
    /// addresses reads this line, so its first field is the address, before anything that a client has chosen. Who shows
    /// nothing, or a name that is none, has tried nothing.
    pub(super) fn log_bad_credentials(&self, error: &ApiError, now: Instant) {
        let tried = error.status() == StatusCode::UNAUTHORIZED;
        let Some(reason) = error.auth_failure().filter(|reason| tried && *reason != MISSING) else { return };
        // Nobody but the operator has any business with the private plane.
        let level = if self.is_private { log::Level::Warn } else { log::Level::Info };
        BAD_CREDENTIALS.event(now, level, "auth.failed", || {
            let mut fields: Vec<_> = self.ip_field().into_iter().collect();
            fields.extend([
                ("reason", reason.into()),
                ("request_id", self.request_id.as_str().into()),
                ("route", self.route.into()),
            ]);
            fields
        });
    }

    fn ip_field(&self) -> Option<(&'static str, Value<'_>)> {
        self.ip.as_ref().map(|ip| ("ip", Value::from_display(ip)))
    }

    /// Tells the log what is wrong, if that is ours to look at. What a client did wrong stands in the line of its request.
    fn log_error(&self, error: &ApiError, now: Instant) {
        self.log_bad_credentials(error, now);
        if self.is_private {
            if let Some(context) = error.context() {
                log::error!(request_id = self.request_id.as_str(), path = self.path.as_deref(), error = context; "ops.failed");
            }
            return;
        }
        let (level, name, sample) = match error.code() {
            Code::InternalError => (log::Level::Error, "unhandled.exception", &UNHANDLED),
            // What is wrong was said once, as an error, when it began.
            Code::StorageReadonly => (log::Level::Warn, "app.error", &SERVER_ERROR),
            _ if error.status().is_server_error() => (log::Level::Error, "app.error", &SERVER_ERROR),
            _ => return,
        };
        sample.event(now, level, name, || {
            let mut fields = vec![("request_id", self.request_id.as_str().into()), ("user_id", self.user.to_value())];
            fields.extend(self.subjects());
            fields.extend([("route", self.route.into()), ("status", error.status().as_u16().into())]);
            fields.extend(facts(error));
            fields
        });
    }

    fn log_complete(&self, response: &Response, error: Option<&ApiError>, took: Duration, now: Instant) {
        let level = if self.kind == Kind::Probe { log::Level::Debug } else { log::Level::Info };
        if self.is_private || !log::log_enabled!(level) {
            return;
        }
        let refused = response.status.as_u16() >= 400;
        let sample = match (refused, &self.user) {
            (true, _) => Some(&REFUSED),
            (false, None) => Some(&UNKNOWN),
            (false, Some(_)) => None,
        };
        let path = self.path.as_deref().map(|path| if refused { cut(path, PATH_MAX_CHARS) } else { path.into() });
        let path = path.as_deref();
        let left_out = match sample.map(|sample| sample.admit(now)) {
            Some(None) => return,
            Some(Some(left_out)) => left_out,
            None => 0,
        };
        let handled = if self.handled.is_zero() { took } else { self.handled };
        let bytes = response.body.length();
        // People read it in this order, and nothing of what stands behind the id of the request.
        let mut fields = vec![
            ("method", self.method.as_str().into()),
            ("path", path.to_value()),
            ("status", response.status.as_u16().into()),
            ("ms", (took.as_micros() as f64 / 1e3).into()),
            ("user_id", self.user.to_value()),
        ];
        fields.extend(self.subjects());
        fields.extend(error.filter(|error| error.status().is_client_error()).into_iter().flat_map(facts));
        fields.extend(self.ip_field());
        fields.extend([
            ("request_id", self.request_id.as_str().into()),
            ("route", self.route.into()),
            ("latency_bucket", latency_bucket(took).into()),
            ("bytes", bytes.to_value()),
            ("handler_us", micros(handled).into()),
            ("queue_us", micros(self.times.queued).into()),
            ("commit_us", micros(self.times.worked).into()),
        ]);
        if left_out > 0 {
            fields.push(("left_out", left_out.into()));
        }
        observe::event(level, "request.complete", &fields);
    }

    fn subjects(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        self.subjects.iter().map(|name| {
            let own = self.subject.as_ref().filter(|(own, _)| own == name);
            (*name, own.map_or(Value::null(), |(_, id)| id.as_str().into()))
        })
    }
}

/// What an error says of itself, for the log.
fn facts(error: &ApiError) -> [(&'static str, Value<'_>); 3] {
    [
        ("error_code", error.code().as_str().into()),
        ("error_message", error.logged().map_or(Value::null(), Value::from)),
        ("context", error.context().map_or(Value::null(), Value::from)),
    ]
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
