//! How things are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::feature::{House, Serving};
use crate::gate::UntrustedProxy;
use crate::gate::identity::options::TOKEN_KEYS;
use crate::hub::Seats;
use crate::net::Endpoint;
use crate::net::client::Ask;
use crate::observe::LogHandle;
use crate::observe::metrics::Metrics;
use crate::settings::{self, ENVIRONMENT, Settings};
use crate::store::options::{DATABASE, QUEUE_JOBS};
use crate::store::{self, Survey, WriterView};

/// How long a shard has to say whether it is ready: longer than a commit that stalls, so that this can be told.
pub(super) const READY_PATIENCE: Duration = Duration::from_secs(3);

/// What is shown to the operator. Nothing of it keeps the writer from ending.
pub(super) struct Shown {
    settings: Settings,
    schema_version: i32,
    writer: WriterView,
    survey: Arc<Survey>,
    seats: Seats,
    untrusted_proxy: UntrustedProxy,
    /// When the server was started, by both clocks.
    began: (Timestamp, Instant),
    clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) logs: LogHandle,
}

impl Shown {
    pub(super) fn new(settings: &Settings, house: &House) -> Self {
        let clock = house.clock.clone();
        Self {
            settings: settings.clone(),
            schema_version: house.schema.version(),
            writer: house.writer.view().clone(),
            survey: Arc::clone(&house.survey),
            seats: house.seats.clone(),
            untrusted_proxy: house.untrusted_proxy.clone(),
            began: (clock.now(), clock.instant()),
            clock,
            metrics: house.metrics.clone(),
            logs: house.logs.clone(),
        }
    }

    /// Whether changes are recorded at present. Rows of earlier times are shown either way.
    pub(super) fn audits(&self) -> bool {
        self.settings.flag(&audit::options::ENABLED)
    }

    /// How things are now. Asks a shard, so it may take some seconds.
    pub(super) fn status(&self, serving: &Serving) -> Status {
        let figures = self.survey.figures();
        let running = serving.running.upgrade();
        let cards = running.iter().flat_map(|all| all.iter()).filter_map(|running| running.card());
        Status {
            version: crate::version::VERSION,
            sqlite: store::sqlite_version(),
            schema_version: self.schema_version,
            now: self.clock.now().offset_style().to_string(),
            started_at: self.began.0.offset_style().to_string(),
            uptime_seconds: self.clock.instant().saturating_duration_since(self.began.1).as_secs(),
            public_address: Endpoint::joined(&serving.endpoints),
            ready: ready(serving),
            writer: WriterStatus {
                queued: figures.queued_jobs,
                queue_limit: self.settings.count(&QUEUE_JOBS),
                busy_ms: self.writer.busy_for().map(|busy| busy.as_millis() as u64),
                read_only: self.writer.read_only().map(store::Fault::reason),
            },
            database: DatabaseStatus {
                path: self.settings.database(&DATABASE).display().to_string(),
                bytes: figures.database_bytes.unwrap_or_default(),
                wal_bytes: figures.wal_bytes.unwrap_or_default(),
                disk_free_bytes: figures.disk_free_bytes,
            },
            sockets_open: self.seats.open(),
            proxy_header_untrusted: self.untrusted_proxy.first().map(|peer| peer.to_string()),
            cards: cards.map(|(name, card)| (name.to_owned(), card)).collect(),
            configuration: summary(&self.settings),
        }
    }
}

/// What `/readyz` says: of a shard, the writer and the disk. It is counted as what metrics have of it.
pub(super) fn ready(serving: &Serving) -> ReadyStatus {
    let reason = match serving.client.ask(0, &Ask::get("/readyz"), READY_PATIENCE) {
        Ok(answer) if answer.status == 200 => return ReadyStatus { ok: true, reasons: Vec::new() },
        Ok(answer) => {
            let status = answer.status;
            answer.detail().unwrap_or_else(|| format!("/readyz answers {status}"))
        }
        Err(error) => error.to_string(),
    };
    ReadyStatus { ok: false, reasons: vec![reason] }
}

/// What an operator would ask about first, and nothing secret.
fn summary(settings: &Settings) -> Map<String, Value> {
    let keys = TOKEN_KEYS.iter().find(|key| settings.text(key).is_some());
    let mut summary = Map::new();
    summary.insert("environment".to_owned(), settings.word(&ENVIRONMENT).into());
    summary.insert("strict".to_owned(), settings.strict().into());
    summary.insert("tokens_by".to_owned(), keys.map(|key| key.name).into());
    for setting in settings.iter() {
        let Some(name) = setting.knob.in_status else { continue };
        let value = match &setting.value {
            settings::Value::Flag(flag) => (*flag).into(),
            settings::Value::Integer(number) => (*number).into(),
            _ => setting.shown().into(),
        };
        summary.insert(name.to_owned(), value);
    }
    summary
}

/// The answer of `GET /status`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// Of the program.
    version: &'static str,
    /// Of SQLite.
    sqlite: &'static str,
    /// Of the database.
    schema_version: i32,
    /// By the wall clock.
    now: String,
    /// The same.
    started_at: String,
    /// Since then, by the clock that does not jump.
    uptime_seconds: u64,
    /// Where clients are served.
    public_address: String,
    /// Whether it is ready, and why not.
    ready: ReadyStatus,
    /// The one thread that changes the database.
    writer: WriterStatus,
    /// The file of the database and where it lies.
    database: DatabaseStatus,
    /// Sockets that are open.
    sockets_open: usize,
    /// Who hands on requests of others without being one of `TRUSTED_PROXIES`, if anybody has.
    proxy_header_untrusted: Option<String>,
    /// What the parts of the house say of themselves, each under its name.
    #[serde(flatten)]
    cards: Map<String, Value>,
    /// What an operator would ask about first. No secrets.
    configuration: Map<String, Value>,
}

/// Whether the server is ready.
#[derive(Debug, Serialize)]
pub(super) struct ReadyStatus {
    /// Whether it is.
    ok: bool,
    /// Why not, in sentences; empty when it is.
    reasons: Vec<String>,
}

/// The one thread that changes the database.
#[derive(Debug, Serialize)]
struct WriterStatus {
    /// Changes that wait.
    queued: usize,
    /// How many may.
    queue_limit: usize,
    /// How long the running commit has been running, if one is.
    busy_ms: Option<u64>,
    /// Why no changes are taken, if none are.
    read_only: Option<&'static str>,
}

/// The file of the database and where it lies.
#[derive(Debug, Serialize)]
struct DatabaseStatus {
    /// Its path.
    path: String,
    /// Its size, the log beside it left out.
    bytes: u64,
    /// The size of the log beside it.
    wal_bytes: u64,
    /// Room left where it lies.
    disk_free_bytes: Option<u64>,
}
