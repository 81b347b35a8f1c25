//! Is it alive, is it ready, how is the database (contract 01 §1.12 with R24).
//!
//! `/healthz` touches nothing. `/readyz` is asked of the real thing: the schema is read through the shard's own
//! connection, and a row is committed through the writer, at most once a second however often it is asked.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::gate::validate::cut;
use crate::gate::{ApiError, Call, Code, Outcome, Route, Routes};
use crate::net::Response;
use crate::store::{self, Reader, Tx, WriterHandle};

/// The tables without which nothing works, in the order in which missing ones are named.
const TABLES: [&str; 6] =
    ["drafts", "draft_segments", "draft_collaborators", "ring_passes", "idempotency_keys", "events"];
/// A batch that runs longer than this is a writer that does not come back.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// How long a committed probe stands for the next ones.
const PROBE_FOR: Duration = Duration::from_secs(1);

/// What the shards share about readiness.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    probed: Mutex<Option<Instant>>,
}

impl Readiness {
    /// From now on the server is on its way out and not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

struct Health {
    reader: Rc<Reader>,
    writer: WriterHandle,
    readiness: Arc<Readiness>,
    clock: Clock,
}

/// Adds the health routes for one shard.
pub fn routes(routes: &mut Routes, reader: Rc<Reader>, writer: WriterHandle, readiness: Arc<Readiness>, clock: Clock) {
    let health = Rc::new(Health { reader, writer, readiness, clock });
    let alive = |_: &Call<'_>| Ok(Outcome::Now(Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..])));
    routes.add(Method::GET, Route::public("/healthz", alive).probe());
    let ready = Rc::clone(&health);
    routes.add(Method::GET, Route::public("/readyz", move |call| Ok(ready.readyz(call))).probe());
    routes.add(Method::GET, Route::public("/api/health/db", move |call| Ok(health.database(call))).probe());
}

impl Health {
    fn readyz(&self, call: &Call<'_>) -> Outcome {
        let verbose = call.query_value("verbose").is_some_and(|value| value != "0" && value != "false");
        if let Err(reason) = self.check_without_writing() {
            return Outcome::Now(not_ready(&reason, call.request_id));
        }
        let now = self.clock.instant();
        let age = (*self.readiness.probed.lock()).map(|at| now.saturating_duration_since(at));
        if age.is_some_and(|age| age < PROBE_FOR) {
            return Outcome::Now(ready(verbose, age));
        }
        let (readiness, clock) = (Arc::clone(&self.readiness), self.clock.clone());
        let write = |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO probe (id, probed_at) VALUES (1, ?1) \
                       ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at";
            tx.connection().prepare_cached(sql)?.execute([tx.now().0])?;
            Ok(())
        };
        Outcome::write(write, move |()| {
            *readiness.probed.lock() = Some(clock.instant());
            Ok(ready(verbose, None))
        })
    }

    /// The reason why it is not ready, if there is one that shows without a commit.
    fn check_without_writing(&self) -> Result<(), String> {
        if self.readiness.draining.load(Ordering::Relaxed) {
            return Err("draining: the server is stopping".to_owned());
        }
        let tables = store::tables(self.reader.connection()).map_err(|_| "database unreachable".to_owned())?;
        let missing: Vec<&str> = TABLES.into_iter().filter(|name| !tables.iter().any(|table| table == name)).collect();
        if !missing.is_empty() {
            return Err(format!("missing tables: {}", missing.join(", ")));
        }
        match self.writer.busy_for().filter(|busy| *busy > STALLED_AFTER) {
            Some(busy) => Err(format!("writer stalled: a commit has been running for {} s", busy.as_secs())),
            None => Ok(()),
        }
    }

    /// Always 200; what is wrong is in the body.
    fn database(&self, call: &Call<'_>) -> Outcome {
        let now = call.query_value("now").filter(|text| !text.is_empty());
        let began = self.clock.instant();
        let tables = store::tables(self.reader.connection());
        let took = self.clock.instant().saturating_duration_since(began);
        let latency = if now.is_none() { json!((took.as_secs_f64() * 100_000.0).round() / 100.0) } else { Value::Null };
        let body = json!({
            "ok": tables.is_ok(),
            "db": {
                "connected": tables.is_ok(), "database": null, "user": null, "latency_ms": latency,
                "tables_present": tables.unwrap_or_default(),
            },
            "computed_at": now.map_or_else(|| self.clock.now().offset_style().to_string(), |text| cut(&text)),
        });
        Outcome::Now(Response::json(StatusCode::OK, body.to_string().into_bytes()))
    }
}

fn ready(verbose: bool, probe_age: Option<Duration>) -> Response {
    if !verbose {
        return Response::json(StatusCode::OK, &br#"{"status":"ok"}"#[..]);
    }
    let age_ms = probe_age.map_or(0, |age| age.as_millis() as u64);
    let checks = json!([
        { "name": "accepting", "ok": true },
        { "name": "schema", "ok": true },
        { "name": "writer", "ok": true },
        { "name": "commit", "ok": true, "age_ms": age_ms },
    ]);
    Response::json(StatusCode::OK, json!({ "status": "ok", "checks": checks }).to_string().into_bytes())
}

fn not_ready(reason: &str, request_id: &str) -> Response {
    let error = ApiError::new(Code::Overloaded, reason);
    let body = error.body(request_id, Some(json!({ "status": "error", "detail": reason })));
    Response::json(StatusCode::SERVICE_UNAVAILABLE, body)
}
