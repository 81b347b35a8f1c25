//! What is counted and measured, for Prometheus (contract 01 §9 with R23).
//!
//! [`Metrics`] is made once, by the server, and handed down: each part of the house gets the group of counters that is
//! its own and knows no other. Families, their labels and their words are in one [table]. What is counted
//! on the way of a request is an atomic that was found beforehand; what only has to be looked at ([`Metrics::sample_with`])
//! is looked at when somebody asks, and never in between.
//!
//! No label ever holds what a client has sent: values of labels are routes, statuses and words of our own (G5, G7).

mod family;
mod page;
mod process;
pub mod table;
mod text;

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode_registry;
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::LogHandle;
use crate::clock::Timestamp;
use family::Families;
pub use family::{Buckets, Kept, Labelled};
pub use page::{grafana, markdown};

/// The `content-type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The path of requests that no route has.
pub const UNMATCHED: &str = "unmatched";

/// A gauge of a number with a fraction.
pub type Fraction = Gauge<f64, AtomicU64>;

/// Close codes that are counted by themselves. Clients may send almost any, so the rest are one.
const CLOSE_CODES: [u16; 12] = [1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4401];

/// What looks at things for [`Metrics::encode`].
type Sampler = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    /// Requests, for the gate.
    pub http: Arc<Http>,
    /// Connections and sockets as such.
    pub net: Arc<Net>,
    /// Sockets that watch drafts.
    pub sockets: Arc<Sockets>,
    /// Drafts.
    pub drafts: Arc<Drafts>,
    /// The writer.
    pub writer: Arc<Writer>,
    /// The database, looked at.
    pub storage: Storage,
    /// The audit log, looked at.
    pub audit: Audit,
    /// Copies of the database, looked at.
    pub backup: Backup,
    /// What `/readyz` says.
    pub ready: Arc<Ready>,
    process: Process,
    log: Log,
    sampler: Mutex<Option<Sampler>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Every family of the table, with nothing counted. `sqlite` is its version, `started` the present, and `logs` what
    /// counts log lines.
    #[must_use]
    pub fn new(sqlite: &str, started: Timestamp, logs: LogHandle) -> Self {
        let mut families = Families::default();
        let families = &mut families;
        families.gauges("build_info").with(&[env!("CARGO_PKG_VERSION"), sqlite]).set(1);
        let start = families.fraction("start_time_seconds");
        start.set(seconds_since_1970(started));
        let ready = Arc::new(Ready::new(families));
        let (process, log) = (Process::new(families), Log::new(families, logs));
        let (http, net) = (Arc::new(Http::new(families)), Arc::new(Net::new(families)));
        let (sockets, drafts) = (Arc::new(Sockets::new(families)), Arc::new(Drafts::new(families)));
        let (writer, storage) = (Arc::new(Writer::new(families)), Storage::new(families));
        let (audit, backup) = (Audit::new(families), Backup::new(families));
        let (registry, sampler) = (std::mem::take(&mut families.registry), Mutex::default());
        Self { registry, http, net, sockets, drafts, writer, storage, audit, backup, ready, process, log, sampler }
    }

    /// Has this look at things whenever somebody asks, and set what it finds.
    pub fn sample_with(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        *self.sampler.lock() = Some(Arc::new(sampler));
    }

    /// Looks at nothing any more, and lets go of what that took.
    pub fn stop_sampling(&self) {
        *self.sampler.lock() = None;
    }

    /// Everything as it is now, in the text format 0.0.4. Takes a few system calls and, in the sampler, a look into the
    /// database; a lock is held for none of it.
    #[must_use]
    pub fn encode(&self) -> String {
        let sampler = self.sampler.lock().clone();
        if let Some(sample) = sampler {
            sample(self);
        }
        self.process.sample();
        self.log.sample();
        let mut open_metrics = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut open_metrics, &self.registry);
        text::classic(&open_metrics)
    }
}

fn seconds_since_1970(at: Timestamp) -> f64 {
    at.0 as f64 / 1e6
}

/// Brings a counter to what is counted elsewhere.
pub fn reach(counter: &Counter, count: u64) {
    // Two who ask at the same time must not turn it back.
    counter.inner().fetch_max(count, Ordering::Relaxed);
}

/// Shows a number of things.
pub fn show(gauge: &Gauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}

/// Requests.
#[derive(Debug)]
pub struct Http {
    requests: Labelled<Counter>,
    durations: Labelled<Histogram, Buckets>,
    in_flight: Gauge,
    rejected: Labelled<Counter>,
    blocked: Labelled<Counter>,
    auth_failures: Labelled<Counter>,
    /// Buckets of the rate limit that are not full, looked at.
    pub limited_keys: Gauge,
}

impl Http {
    fn new(families: &mut Families) -> Self {
        Self {
            requests: families.counters("http_requests_total"),
            durations: families.histograms("http_request_duration_seconds"),
            in_flight: families.gauge("http_in_flight"),
            rejected: families.counters("http_rejected_total"),
            blocked: families.counters("ratelimit_block_total"),
            auth_failures: families.counters("auth_failures_total"),
            limited_keys: families.gauge("ratelimit_keys"),
        }
    }

    /// The metrics of one route, by its template, for one thread.
    #[must_use]
    pub fn route(&self, template: &'static str) -> RouteMetrics {
        let (requests, answered) = (self.requests.clone(), Kept::default());
        let (duration, blocked) = (self.durations.with(&[template]), self.blocked.clone());
        let (blocked_here, in_flight) = (OnceCell::new(), self.in_flight.clone());
        RouteMetrics { template, requests, answered, duration, blocked, blocked_here, in_flight }
    }

    /// Bytes were refused that were no good request.
    pub fn rejected(&self, status: StatusCode) {
        self.rejected.with(&[status.as_str()]).inc();
    }

    /// Somebody is not who they say, or says nothing.
    pub fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.with(&[reason]).inc();
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub struct InFlight(Rc<RouteMetrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// The metrics of one route on one thread.
#[derive(Debug)]
pub struct RouteMetrics {
    template: &'static str,
    requests: Labelled<Counter>,
    answered: Kept<(&'static str, StatusCode), Counter>,
    duration: Histogram,
    blocked: Labelled<Counter>,
    /// The counter of this route, from the first time on: who is refused comes often.
    blocked_here: OnceCell<Counter>,
    in_flight: Gauge,
}

impl RouteMetrics {
    /// A request was taken and will be answered later; it counts as under way until this is dropped.
    #[must_use]
    pub fn take(self: &Rc<Self>) -> InFlight {
        self.in_flight.inc();
        InFlight(Rc::clone(self))
    }

    /// A request was answered.
    pub fn answered(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = method_label(method);
        let make = || self.requests.with(&[method, self.template, status.as_str()]);
        self.answered.with((method, status), make, |answered| _ = answered.inc());
        self.duration.observe(took.as_secs_f64());
    }

    /// A request met a rate limit.
    pub fn blocked(&self) {
        self.blocked_here.get_or_init(|| self.blocked.with(&[self.template])).inc();
    }
}

/// A method as a label: clients may make up methods, so those that nobody knows are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

/// Connections, and sockets as far as they are bytes.
#[derive(Debug)]
pub struct Net {
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// How many there may be.
    pub connections_limit: Gauge,
    /// Refused because there were too many in all.
    pub refused_connections: Counter,
    /// Refused because there were too many of one address.
    pub refused_address: Counter,
    /// Messages from sockets.
    pub messages_received: Counter,
    /// Bytes from sockets.
    pub bytes_in: Counter,
    /// Bytes to sockets, from the answer to the handshake on.
    pub bytes_out: Counter,
    /// Sockets closed because their client did not keep up.
    pub slow_closed: Counter,
    closed: [Counter; CLOSE_CODES.len()],
    closed_otherwise: Counter,
}

impl Net {
    fn new(families: &mut Families) -> Self {
        let refused = families.counters("connections_refused_total");
        let bytes = families.counters("ws_bytes_total");
        let closed = families.counters("ws_closed_total");
        Self {
            accept_errors: families.counter("accept_errors_total"),
            connections: families.gauge("connections"),
            connections_limit: families.gauge("connections_limit"),
            refused_connections: refused.with(&["connections"]),
            refused_address: refused.with(&["address"]),
            messages_received: families.counter("ws_messages_received_total"),
            bytes_in: bytes.with(&["in"]),
            bytes_out: bytes.with(&["out"]),
            slow_closed: families.counter("ws_slow_closed_total"),
            closed: CLOSE_CODES.map(|code| closed.with(&[&code.to_string()])),
            closed_otherwise: closed.with(&["other"]),
        }
    }

    /// A socket ended with this code.
    pub fn closed(&self, code: u16) {
        let known = CLOSE_CODES.iter().position(|known| *known == code);
        known.map_or(&self.closed_otherwise, |at| &self.closed[at]).inc();
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// Sockets that watch drafts.
#[derive(Debug)]
pub struct Sockets {
    /// Sockets that were let in.
    pub opened: Counter,
    /// Those that are open, looked at.
    pub active: Gauge,
    /// Drafts that they watch, looked at.
    pub rooms: Gauge,
    /// Sockets turned away, by the word for why.
    pub refused: Labelled<Counter>,
    /// Sockets that caught up and miss nothing.
    pub replay_full: Counter,
    /// Sockets that caught up with the newest events only.
    pub replay_partial: Counter,
    /// Sockets that missed something and were sent nothing of it.
    pub replay_none: Counter,
    sent: Labelled<Counter>,
    deliver: Histogram,
}

impl Sockets {
    fn new(families: &mut Families) -> Self {
        let replay = families.counters("ws_replay_total");
        Self {
            opened: families.counter("ws_connections_total"),
            active: families.gauge("ws_active_connections"),
            rooms: families.gauge("drafts_active_rooms"),
            refused: families.counters("ws_refused_total"),
            replay_full: replay.with(&["full"]),
            replay_partial: replay.with(&["partial"]),
            replay_none: replay.with(&["none"]),
            sent: families.counters("ws_messages_sent_total"),
            deliver: families.histogram("append_to_deliver_seconds"),
        }
    }

    /// What counts deliveries on one thread.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries {
        Deliveries { sent: self.sent.clone(), kept: Kept::default(), took: self.deliver.clone() }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// Counts deliveries on one thread.
#[derive(Debug)]
pub struct Deliveries {
    sent: Labelled<Counter>,
    kept: Kept<&'static str, Counter>,
    took: Histogram,
}

impl Deliveries {
    /// An event of this kind was handed to so many sockets.
    pub fn sent(&self, kind: &'static str, sockets: u64) {
        self.kept.with(kind, || self.sent.with(&[kind]), |sent| _ = sent.inc_by(sockets));
    }

    /// The last of them had it so long after its commit.
    pub fn took(&self, took: Duration) {
        self.took.observe(took.as_secs_f64());
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        Sockets::default().deliveries()
    }
}

/// Drafts.
#[derive(Debug)]
pub struct Drafts {
    /// Drafts made.
    pub created: Counter,
    /// Segments appended.
    pub appended: Counter,
    /// Rings passed.
    pub passed: Counter,
    /// Collaborators added.
    pub added: Counter,
    /// Changes that the ring refused, by the word for the rule.
    pub conflicts: Labelled<Counter>,
}

impl Drafts {
    fn new(families: &mut Families) -> Self {
        let mutations = families.counters("collab_mutations_total");
        Self {
            created: mutations.with(&["create_draft"]),
            appended: mutations.with(&["append_segment"]),
            passed: mutations.with(&["pass_ring"]),
            added: mutations.with(&["add_collaborator"]),
            conflicts: families.counters("ring_conflicts_total"),
        }
    }
}

impl Default for Drafts {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// The writer.
#[derive(Debug)]
pub struct Writer {
    commit: Histogram,
    batch: Histogram,
    wait: Histogram,
    checkpoint: Histogram,
    checkpoints_busy: Counter,
}

impl Writer {
    fn new(families: &mut Families) -> Self {
        Self {
            commit: families.histogram("commit_duration_seconds"),
            batch: families.histogram("commit_batch_jobs"),
            wait: families.histogram("writer_queue_wait_seconds"),
            checkpoint: families.histogram("checkpoint_duration_seconds"),
            checkpoints_busy: families.counter("checkpoint_busy_total"),
        }
    }

    /// A batch of so many jobs was committed.
    pub fn committed(&self, jobs: usize, took: Duration) {
        self.batch.observe(jobs as f64);
        self.commit.observe(took.as_secs_f64());
    }

    /// A job has waited so long for its batch.
    pub fn waited(&self, waited: Duration) {
        self.wait.observe(waited.as_secs_f64());
    }

    /// The log was moved into the database, all of it or not.
    pub fn checkpointed(&self, took: Duration, all: bool) {
        self.checkpoint.observe(took.as_secs_f64());
        if !all {
            self.checkpoints_busy.inc();
        }
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// The writer's queue and the database, looked at.
#[derive(Debug)]
pub struct Storage {
    /// Changes that wait.
    pub queue_depth: Gauge,
    /// How many may.
    pub queue_limit: Gauge,
    /// 1 while no changes are taken.
    pub readonly: Gauge,
    /// Bytes of the database.
    pub database_bytes: Gauge,
    /// Bytes of its log.
    pub wal_bytes: Gauge,
    /// Bytes of unused pages.
    pub freelist_bytes: Gauge,
    /// Bytes left on its file system.
    pub disk_free_bytes: Gauge,
}

impl Storage {
    fn new(families: &mut Families) -> Self {
        Self {
            queue_depth: families.gauge("writer_queue_depth"),
            queue_limit: families.gauge("writer_queue_limit"),
            readonly: families.gauge("storage_readonly"),
            database_bytes: families.gauge("db_size_bytes"),
            wal_bytes: families.gauge("wal_size_bytes"),
            freelist_bytes: families.gauge("freelist_bytes"),
            disk_free_bytes: families.gauge("disk_free_bytes"),
        }
    }
}

/// The audit log, looked at.
#[derive(Debug)]
pub struct Audit {
    /// Rows on disk.
    pub rows: Counter,
    /// Attempts that failed.
    pub failures: Counter,
    /// Rows given up.
    pub lost: Counter,
    /// Rows that wait.
    pub waiting: Gauge,
}

impl Audit {
    fn new(families: &mut Families) -> Self {
        Self {
            rows: families.counter("audit_rows_total"),
            failures: families.counter("audit_failures_total"),
            lost: families.counter("audit_lost_total"),
            waiting: families.gauge("audit_waiting"),
        }
    }
}

/// Copies of the database.
#[derive(Debug)]
pub struct Backup {
    last_success: Fraction,
    duration: Fraction,
    bytes: Gauge,
    /// Backups that could not be made.
    pub failures: Counter,
    /// Those of them that were made and found bad.
    pub verify_failures: Counter,
}

impl Backup {
    fn new(families: &mut Families) -> Self {
        Self {
            last_success: families.fraction("backup_last_success_timestamp_seconds"),
            duration: families.fraction("backup_last_duration_seconds"),
            bytes: families.gauge("backup_last_size_bytes"),
            failures: families.counter("backup_failures_total"),
            verify_failures: families.counter("backup_verify_failures_total"),
        }
    }

    /// The newest good backup was begun then, took so long, if that is known, and has so many bytes.
    pub fn newest(&self, at: Timestamp, took: Option<Duration>, bytes: u64) {
        self.last_success.set(seconds_since_1970(at));
        if let Some(took) = took {
            self.duration.set(took.as_secs_f64());
        }
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Default for Backup {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// What `/readyz` says.
#[derive(Debug)]
pub struct Ready {
    last: AtomicBool,
    ready: Gauge,
    changes: Counter,
}

impl Ready {
    fn new(families: &mut Families) -> Self {
        let (ready, changes) = (families.gauge("ready"), families.counter("readiness_changes_total"));
        // It is made by a server that starts, and one that has started is ready until somebody finds out otherwise.
        ready.set(1);
        Self { last: AtomicBool::new(true), ready, changes }
    }

    /// It has just said so.
    pub fn said(&self, ready: bool) {
        if self.last.swap(ready, Ordering::Relaxed) != ready {
            self.changes.inc();
            self.ready.set(i64::from(ready));
        }
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self::new(&mut Families::default())
    }
}

/// The process, looked at.
#[derive(Debug)]
struct Process {
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    resident_bytes: Gauge,
}

impl Process {
    fn new(families: &mut Families) -> Self {
        Self {
            open_fds: families.gauge("open_fds"),
            max_fds: families.gauge("max_fds"),
            threads: families.gauge("threads"),
            resident_bytes: families.gauge("resident_memory_bytes"),
        }
    }

    fn sample(&self) {
        if let Some(open) = process::open_descriptors() {
            self.open_fds.set(open);
        }
        self.max_fds.set(process::descriptor_limit().unwrap_or(i64::MAX));
        if let Some((threads, bytes)) = process::threads_and_memory() {
            self.threads.set(threads);
            self.resident_bytes.set(bytes);
        }
    }
}

/// The log, which counts by itself: it is there before anything else is.
#[derive(Debug)]
struct Log {
    logs: LogHandle,
    messages: [Counter; 5],
    dropped: Counter,
    panics: Counter,
}

impl Log {
    fn new(families: &mut Families, logs: LogHandle) -> Self {
        let messages = families.counters("log_messages_total");
        Self {
            logs,
            messages: ["error", "warn", "info", "debug", "trace"].map(|level| messages.with(&[level])),
            dropped: families.counter("log_lines_dropped_total"),
            panics: families.counter("panics_total"),
        }
    }

    fn sample(&self) {
        for (counter, count) in self.messages.iter().zip(self.logs.messages()) {
            reach(counter, count);
        }
        reach(&self.dropped, self.logs.dropped());
        reach(&self.panics, self.logs.panics());
    }
}

#[cfg(test)]
mod tests;
