//! Is it alive, is it ready, how is the database (contract 01 §1.12 with R24).
//!
//! `/healthz` touches nothing. `/readyz` is asked of the real thing: the schema is read through the shard's own
//! connection, and a row is committed through the writer, at most once a second however often it is asked. `/health` and
//! `/ready` are the same two questions, answered with the keys of the other contracts ([`union`]).

pub mod counters;
mod feature;
mod reason;
mod union;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::feature::ShardParts;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::settings::{BoundRow, SERVER};
use crate::store::{self, Fault, Reader, STALLED_AFTER, Tx};
use counters::Ready;
pub use feature::FEATURE;
use reason::{Needed, NotReady};
use union::Union;

/// How long a committed probe stands for the next ones.
const PROBE_FOR: Duration = Duration::from_secs(1);

const BOUNDS: &[BoundRow] = &[BoundRow::new(&SERVER, "PROBE_FOR", PROBE_FOR.as_secs(), "seconds")
    .of("The age of the last commit that `/readyz` relies on.", "it makes a new commit")
    .tested_by("a_verbose_readiness_names_what_was_checked")];

/// What the shards share about readiness.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    probed: Mutex<Option<Instant>>,
    metrics: Arc<Ready>,
}

impl Readiness {
    /// Readiness that is counted here.
    #[must_use]
    pub fn counted_by(metrics: Arc<Ready>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// From now on the server is on its way out and not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// What a shard asks how things are.
struct Health {
    /// What its handlers work with.
    parts: ShardParts,
    /// What all shards share.
    readiness: Arc<Readiness>,
    /// The tables without which nothing works, in the order in which missing ones are named.
    needed: Arc<[&'static str]>,
    /// What is said by the other names.
    union: Rc<Union>,
    /// The time.
    clock: Clock,
}

/// What is served.
pub(crate) const ROUTES: [Route; 5] = [
    Route::public(&Method::GET, "/healthz").probe().does("Check whether the process is alive"),
    Route::public(&Method::GET, "/readyz")
        .probe()
        .does("Check whether changes can be made now; `verbose=1` lists the checks"),
    Route::public(&Method::GET, "/health")
        .probe()
        .does("Check whether the process is alive, with the health of the features"),
    Route::public(&Method::GET, "/ready")
        .probe()
        .does("Check whether changes can be made now, with the health of the features and the result of each check"),
    Route::public(&Method::GET, "/api/health/db").does("Report the health of the database"),
];

/// Adds the health routes for one shard.
fn routes(routes: &mut Routes, health: Health) {
    let ([healthz, readyz, to_health, to_ready, database], health) = (ROUTES, Rc::new(health));
    let alive = |_: &Call<'_>| Ok(Outcome::Now(Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..])));
    routes.add(healthz, alive);
    let ready = Rc::clone(&health);
    routes.add(readyz, move |call| ready.readyz(call));
    let (union, clock) = (Rc::clone(&health.union), health.clock.clone());
    routes.add(to_health, move |_| Ok(Outcome::Now(union.alive(clock.now()))));
    let ready = Rc::clone(&health);
    routes.add(to_ready, move |call| ready.probe(call, Asked::Ready(Rc::clone(&ready.union))));
    routes.add(database, move |call| health.database(call));
}

/// By which name readiness is asked for.
enum Asked {
    /// `/readyz`, with the checks or without.
    Readyz { verbose: bool },
    /// `/ready`.
    Ready(Rc<Union>),
}

impl Asked {
    /// It is ready; `found` is what the others say.
    fn yes(&self, probe_age: Option<Duration>, found: Vec<Value>, clock: &Clock) -> Response {
        match self {
            Self::Readyz { verbose } => ready(*verbose, probe_age, found),
            Self::Ready(union) => union.ready(clock.now()),
        }
    }

    fn no(&self, why: &NotReady, request_id: &str, clock: &Clock) -> Response {
        let before = match self {
            Self::Readyz { .. } => json!({ "status": "error", "detail": why.detail }),
            Self::Ready(union) => union.not_ready(why, clock.now()),
        };
        why.answer(before, request_id, clock.instant())
    }
}

impl Health {
    fn readyz(&self, call: &Call<'_>) -> Result<Outcome, ApiError> {
        let verbose = call.query_value("verbose").is_some_and(|value| value != "0" && value != "false");
        self.probe(call, Asked::Readyz { verbose })
    }

    fn probe(&self, call: &Call<'_>, asked: Asked) -> Result<Outcome, ApiError> {
        let found = match self.check_without_writing() {
            Ok(found) => found,
            Err(reason) => {
                self.readiness.metrics.said(false);
                return Ok(Outcome::Now(asked.no(&reason, call.request_id.as_str(), &self.clock)));
            }
        };
        let now = self.clock.instant();
        let age = (*self.readiness.probed.lock()).map(|at| now.saturating_duration_since(at));
        if age.is_some_and(|age| age < PROBE_FOR) {
            self.readiness.metrics.said(true);
            return Ok(Outcome::Now(asked.yes(age, found, &self.clock)));
        }
        let (readiness, clock) = (Arc::clone(&self.readiness), self.clock.clone());
        let write = |tx: &mut Tx<'_>| {
            tx.probe()?;
            Ok(())
        };
        let request_id = call.request_id.as_str().to_owned();
        self.parts.try_change(call, write, move |result| {
            readiness.metrics.said(result.is_ok());
            Ok(match result {
                Ok(()) => {
                    *readiness.probed.lock() = Some(clock.instant());
                    asked.yes(None, found, &clock)
                }
                Err(error) => asked.no(&NotReady::unwritable(&error), &request_id, &clock),
            })
        })
    }

    /// What the others say, or the reason why it is not ready, if there is one that shows without a commit.
    fn check_without_writing(&self) -> Result<Vec<Value>, NotReady> {
        if self.readiness.draining.load(Ordering::Relaxed) {
            return Err(NotReady::busy(Needed::Accepting, "draining: the server is stopping"));
        }
        let view = self.parts.writer.view();
        let displaced = view.displaced();
        if let Some(fault) = view.read_only().or(displaced.as_ref().map(|_| Fault::Displaced)) {
            let detail = format!("database read-only: {}", fault.reason());
            return Err(NotReady { failed: Needed::Disk, code: Code::StorageReadonly, detail, context: displaced });
        }
        let tables = self.parts.fetch(store::tables).map_err(|error| NotReady::unreachable(error.to_string()))?;
        let missing: Vec<&str> =
            self.needed.iter().copied().filter(|name| !tables.iter().any(|table| table == name)).collect();
        if !missing.is_empty() {
            let detail = format!("missing tables: {}", missing.join(", "));
            return Err(NotReady::unusable(Needed::Schema, detail, None));
        }
        if let Some(altered) =
            self.parts.fetch(Reader::altered).map_err(|error| NotReady::unreachable(error.to_string()))?
        {
            let detail = "database altered: its tables and indexes are not what inkring made".to_owned();
            return Err(NotReady::unusable(Needed::Schema, detail, Some(altered)));
        }
        let mut found = Vec::new();
        for check in self.parts.checks.iter() {
            let said = check.look().map_err(|detail| NotReady::unusable(Needed::Features, detail, None))?;
            if let Some(more) = said {
                let mut said = json!({ "name": check.name, "ok": true });
                more.into_iter().for_each(|(name, value)| said[name] = value);
                found.push(said);
            }
        }
        match self.parts.writer.view().busy_for().filter(|busy| *busy > STALLED_AFTER) {
            Some(busy) => {
                let seconds = busy.as_secs();
                let detail = format!("writer stalled: a commit has been running for {seconds} s");
                Err(NotReady::busy(Needed::Writer, detail))
            }
            None => Ok(found),
        }
    }

    /// Always 200; what is wrong is in the body.
    fn database(&self, call: &Call<'_>) -> Result<Outcome, ApiError> {
        let now = call.query_value("now").filter(|text| !text.is_empty());
        let (clock, reading) = (self.clock.clone(), self.clock.clone());
        let fetch = move |reader: &Reader| {
            let began = reading.instant();
            let tables = store::tables(reader);
            Ok((tables, reading.instant().saturating_duration_since(began)))
        };
        self.parts.read(call, fetch, move |(tables, took)| {
            let rounded = || json!((took.as_secs_f64() * 100_000.0).round() / 100.0);
            let latency = if now.is_none() { rounded() } else { Value::Null };
            let body = json!({
                "ok": tables.is_ok(),
                "db": {
                    "connected": tables.is_ok(), "database": null, "user": null, "latency_ms": latency,
                    "tables_present": tables.unwrap_or_default(),
                },
                "computed_at": now.unwrap_or_else(|| clock.now().offset_style().to_string()),
            });
            Ok(Response::json(StatusCode::OK, body.to_string().into_bytes()))
        })
    }
}

/// The answer of a server that is ready; `found` is what the others say.
fn ready(verbose: bool, probe_age: Option<Duration>, found: Vec<Value>) -> Response {
    if !verbose {
        return Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..]);
    }
    let age_ms = probe_age.map_or(0, |age| age.as_millis() as u64);
    let mut checks = vec![
        json!({ "name": "accepting", "ok": true }),
        json!({ "name": "schema", "ok": true }),
        json!({ "name": "writer", "ok": true }),
        json!({ "name": "commit", "ok": true, "age_ms": age_ms }),
    ];
    checks.extend(found);
    Response::json(StatusCode::OK, json!({ "status": "ok", "checks": checks }).to_string().into_bytes())
}
