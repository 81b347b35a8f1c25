//! What clients are served: events in, a snapshot and the health of it out.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::body::{self, EVENTS_BODY_MAX_BYTES, Many, Sent};
use super::bucket::Buckets;
use super::event::{Event, Sender};
use super::line;
use super::options;
use super::quiet::{self, Quiet};
use super::sink::{Lines, Refused, SinkHandle};
use super::snapshot::{SHOWN_DEFAULT, Snapshot, WHOLE_SNAPSHOT_MAX_BYTES};
use super::state::State;
use crate::clock::{Clock, Timekeeper, Timestamp};
use crate::feature::ShardParts;
use crate::gate::validate::{Check, Problem};
use crate::gate::{ApiError, Call, Code, HashedSecret, Live, Outcome, Route, Routes};
use crate::net::Response;
use crate::random::{dice, is_sampled};

/// Bytes of lines from which on a shard hands them in before its turn ends.
pub(super) const TURN_MAX_BYTES: usize = 64 * 1024;

/// What is served.
pub(super) const ROUTES: [Route; 4] = [
    Route::public(&Method::POST, "/api/metrics/event")
        .taking(EVENTS_BODY_MAX_BYTES)
        .counted_by_itself()
        .does("Record one or more events"),
    Route::public(&Method::GET, "/api/metrics/behavior").does("Read the newest events, with counts by name"),
    Route::public(&Method::GET, "/api/metrics/behavior/health").probe().does("Report whether events can be written"),
    Route::public(&Method::GET, "/api/metrics/health").probe().does("The same"),
];

/// What the shards share.
pub(super) struct Served {
    pub(super) state: Arc<State>,
    pub(super) sink: SinkHandle,
    pub(super) live: Live<options::Live>,
    pub(super) buckets: Buckets,
    /// The file, as answers name it: a JSON text.
    pub(super) file: Arc<str>,
    pub(super) clock: Clock,
    /// When the time of the buckets began.
    pub(super) began: Instant,
    pub(super) timekeeper: Timekeeper,
}

/// Adds them for one shard.
pub(super) fn add(routes: &mut Routes, parts: &ShardParts, served: &Arc<Served>) {
    let [to_take, to_show, to_health, to_health_as_well] = ROUTES;
    let with = |handler: fn(&Served, &Call<'_>) -> Result<Outcome, ApiError>| {
        let served = Arc::clone(served);
        move |call: &Call<'_>| handler(&served, call)
    };
    let (taking, turning) = (Arc::clone(served), Arc::clone(served));
    let gathered = Rc::new(RefCell::new(Gathered::default()));
    let to_hand_in = Rc::clone(&gathered);
    routes.add(to_take, move |call| take(&taking, &mut gathered.borrow_mut(), call));
    routes.at_turn_end(move || to_hand_in.borrow_mut().hand_in(&turning));
    let (parts, shown) = (parts.clone(), Arc::clone(served));
    routes.add(to_show, move |call| show(&shown, &parts, call));
    routes.add(to_health, with(health));
    routes.add(to_health_as_well, with(health));
}

/// In the order of contract 02 §1.6.
fn take(served: &Served, gathered: &mut Gathered, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (live, events) = (served.live.now(), &served.state.counters.events);
    let since = served.clock.instant().saturating_duration_since(served.began);
    if !served.buckets.admit(call.client, live.rate, u64::try_from(since.as_millis()).unwrap_or(u64::MAX)) {
        events.limited.inc();
        let error = ApiError::new(Code::RateLimited, "Rate limit exceeded for events of this address");
        return Err(error.with_header(RETRY_AFTER, HeaderValue::from_static("1")));
    }
    let now = served.timekeeper.now();
    let sender = Sender::new(call.headers.get("user-agent"), now);
    let sent = body::read(call.bytes, &sender).map_err(|problems| {
        events.rejected.inc();
        ApiError::invalid(&problems)
    })?;
    if let Some(quiet) = quiet::reason(|name| call.headers.get(name)) {
        let (count, answer) = match sent {
            Sent::One(_) => (1, taken(0, &served.file)),
            Sent::Many(many) => (many.events.len(), taken_together(0, 0, &many.rejected, &many.problems, &served.file)),
        };
        let counter = match quiet {
            Quiet::DoNotTrack => &events.do_not_track,
            Quiet::Prefetch => &events.prefetch,
        };
        counter.inc_by(count as u64);
        return Ok(Outcome::Now(answer));
    }
    match sent {
        Sent::One(event) => {
            let answer = |stored, _, file: &str| taken(stored, file);
            Ok(gathered.keep(served, call, [event], now, live.sample_rate, answer))
        }
        Sent::Many(Many { events: good, rejected, problems }) => {
            events.rejected.inc_by(rejected.len() as u64);
            let answer = move |stored, sampled, file: &str| taken_together(stored, sampled, &rejected, &problems, file);
            Ok(gathered.keep(served, call, good, now, live.sample_rate, answer))
        }
    }
}

/// What a shard was sent in one turn: written together, because that costs little more than one of them.
#[derive(Default)]
struct Gathered {
    lines: Lines,
    events: Vec<Event>,
}

impl Gathered {
    /// Has events written, but for those that the dice leave out, and remembers all of them. The answer is made of how many were
    /// written and how many were not.
    fn keep(
        &mut self,
        served: &Served,
        call: &Call<'_>,
        events: impl IntoIterator<Item = Event>,
        now: Timestamp,
        sample_rate: f64,
        answer: impl FnOnce(usize, usize, &str) -> Response + 'static,
    ) -> Outcome {
        let (first, mut stored) = (self.events.len(), 0);
        self.events.extend(events);
        for event in self.events[first..].iter().filter(|_| is_sampled(sample_rate, dice())) {
            line::write(event, now, &mut self.lines.text);
            stored += 1;
        }
        let sampled = self.events.len() - first - stored;
        served.state.counters.events.sampled.inc_by(sampled as u64);
        if stored == 0 {
            served.state.remember(self.events.drain(first..));
            return Outcome::Now(answer(0, sampled, &served.file));
        }
        let (reply, parked) = call.park();
        self.lines.events += stored as u64;
        self.lines.replies.push(reply);
        if self.lines.text.len() > TURN_MAX_BYTES {
            self.hand_in(served);
        }
        let file = Arc::clone(&served.file);
        Outcome::Parked(parked.then(move |()| Ok(answer(stored, sampled, &file))))
    }

    /// Hands all of it to the sink.
    fn hand_in(&mut self, served: &Served) {
        if self.lines.replies.is_empty() {
            return;
        }
        match served.sink.append(&mut self.lines) {
            // Also when the write fails: it is the snapshot that then shows what came.
            Ok(()) => served.state.remember(self.events.drain(..)),
            Err(Refused) => {
                self.events.clear();
                let message = "Too many events are waiting to be written; nothing was kept";
                self.lines.answer(|| Err(ApiError::overloaded(message)));
            }
        }
    }
}

fn taken(stored: usize, file: &str) -> Response {
    accepted(format!("{{\"ok\":true,\"stored\":{stored},\"file\":{file}}}"))
}

fn taken_together(stored: usize, sampled: usize, rejected: &[usize], problems: &[Problem], file: &str) -> Response {
    let rejected = json!(rejected);
    let mut body =
        format!("{{\"ok\":true,\"stored\":{stored},\"sampled\":{sampled},\"rejected\":{rejected},\"file\":{file}");
    if !problems.is_empty() {
        let detail: Value = problems.iter().map(Problem::to_json).collect();
        body.push_str(&format!(",\"detail\":{detail}"));
    }
    body.push('}');
    accepted(body)
}

fn accepted(body: String) -> Response {
    Response::json(StatusCode::ACCEPTED, body.into_bytes())
}

/// A client that need not show the token: one on this machine, for whom nobody else asks.
fn is_local(call: &Call<'_>) -> bool {
    call.client.to_canonical().is_loopback()
        && ["x-forwarded-for", "forwarded"].iter().all(|name| call.headers.get(name).is_none())
}

fn show(served: &Served, parts: &ShardParts, call: &Call<'_>) -> Result<Outcome, ApiError> {
    let (_, capacity) = served.state.ring_size();
    let mut check = Check::new();
    let limit = check.query_number(call.query_value("limit"), "limit", 1..=capacity as i64);
    check.done()?;
    // Within the capacity, which is a usize.
    let limit = limit.map_or(SHOWN_DEFAULT.min(capacity), |limit| limit as usize);
    let live = served.live.now();
    let shows = |token: &HashedSecret| token.is_shown_by(call.headers.get("authorization")) || is_local(call);
    let shortened = live.token.as_ref().is_some_and(|token| !shows(token));
    let (total, window) = served.state.last(limit);
    let snapshot = Snapshot { total, window, file_bytes: served.state.file_bytes(), shortened };
    Ok(Outcome::Now(if snapshot.bytes() <= WHOLE_SNAPSHOT_MAX_BYTES {
        Response::json(StatusCode::OK, snapshot.into_json().into_bytes())
    } else {
        let mut pieces = snapshot.pieces();
        parts.made(move |_, out| {
            let mut piece = String::new();
            let more = pieces.next(&mut piece);
            out.extend_from_slice(piece.as_bytes());
            Ok(more)
        })
    }))
}

/// Always 200: what is wrong is in the body (contract 02 §1.3).
fn health(served: &Served, _: &Call<'_>) -> Result<Outcome, ApiError> {
    Ok(Outcome::Now(Response::json(StatusCode::OK, report(&served.state).to_string().into_bytes())))
}

/// How events fare, for health and for the operator's status.
pub(super) fn report(state: &State) -> Value {
    let ((size, capacity), trouble) = (state.ring_size(), state.trouble());
    let (exists, counters) = (state.file_bytes().is_some(), &state.counters);
    json!({
        "ok": trouble.is_none(),
        "status": if trouble.is_none() { "healthy" } else { "degraded" },
        "ring_size": size,
        "ring_capacity": capacity,
        "sink_exists": exists,
        "file_exists": exists,
        "sink_error": trouble,
        "last_rotation": state.passed().map(|passed| passed.to_json()),
        "do_not_track": counters.events.do_not_track.get(),
        "prefetch": counters.events.prefetch.get(),
        "torn_lines": counters.disturbed.torn.get(),
    })
}
