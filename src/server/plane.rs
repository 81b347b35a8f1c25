//! What the private plane shows and does: its view of the rest of the server.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::StartError;
use crate::audit;
use crate::backup::Backups;
use crate::clock::{Clock, Timestamp};
use crate::feature::Running;
use crate::gate::UntrustedProxy;
use crate::gate::identity::options::TOKEN_KEYS;
use crate::hub::Seats;
use crate::net::client::Ask;
use crate::net::{Bound, LoopbackClient, SocketFile};
use crate::observe::LogHandle;
use crate::observe::metrics::Metrics;
use crate::ops::options::TOKEN;
use crate::ops::{self, Plane};
use crate::settings::{self, ENVIRONMENT, Settings};
use crate::store::options::{DATABASE, QUEUE_JOBS};
use crate::store::{self, Reader, Survey, WriterHandle, WriterView};

/// How long a shard has to say whether it is ready: longer than a commit that stalls, so that this can be told.
const READY_PATIENCE: Duration = Duration::from_secs(3);

/// What the private plane shows.
pub(super) struct PlaneView {
    pub(super) settings: Settings,
    pub(super) schema_version: i32,
    pub(super) public: String,
    pub(super) client: LoopbackClient,
    pub(super) logs: LogHandle,
    pub(super) writer: WriterView,
    /// There where there is a plane.
    pub(super) survey: Option<Arc<Survey>>,
    /// Whose cards are shown.
    pub(super) running: Weak<[Arc<dyn Running>]>,
    pub(super) metrics: Metrics,
    pub(super) seats: Seats,
    pub(super) clock: Clock,
    pub(super) backups: Backups,
    pub(super) untrusted_proxy: UntrustedProxy,
    /// When the server was started, by both clocks.
    pub(super) began: (Timestamp, Instant),
}

impl PlaneView {
    /// Opens the plane on what was bound for it; `reader` is for the audit log.
    pub(super) fn open(
        self,
        bound: Option<Bound>,
        reader: Option<Reader>,
        writer: WriterHandle,
    ) -> Result<(Option<Plane>, Option<SocketFile>), StartError> {
        let (Some(Bound { listener, file }), Some(reader)) = (bound, reader) else { return Ok((None, None)) };
        let endpoint = listener.endpoint().map(|endpoint| endpoint.to_string());
        let token = self.settings.secret(&TOKEN).map(|token| ops::Secret::new(token.bytes()));
        log::info!(address = endpoint.as_deref(), token = token.is_some(); "ops.started");
        let (clock, running) = (self.clock.clone(), self.running.clone());
        let parts = ops::Parts { wiring: self.wiring(), reader, writer, running, clock };
        let plane = Plane::start(listener, token, parts).map_err(StartError::Threads)?;
        Ok((Some(plane), file))
    }

    fn wiring(self) -> ops::Wiring {
        let metrics = self.metrics.clone();
        ops::Wiring {
            audit_enabled: self.settings.flag(&audit::options::ENABLED),
            metrics: Box::new(move || metrics.encode()),
            log_level: Box::new(self.logs.clone()),
            backups: Box::new(self.backups.clone()),
            status: Box::new(move || self.status()),
        }
    }

    fn status(&self) -> ops::Status {
        let figures = self.survey.as_ref().map(|survey| survey.figures()).unwrap_or_default();
        // At the stop those who run may be gone before the last answer.
        let running = self.running.upgrade();
        let cards = running.iter().flat_map(|all| all.iter()).filter_map(|running| running.card());
        ops::Status {
            version: env!("CARGO_PKG_VERSION"),
            sqlite: store::sqlite_version(),
            schema_version: self.schema_version,
            now: self.clock.now().offset_style().to_string(),
            started_at: self.began.0.offset_style().to_string(),
            uptime_seconds: self.clock.instant().saturating_duration_since(self.began.1).as_secs(),
            public_address: self.public.clone(),
            ready: self.ready(),
            writer: ops::WriterStatus {
                queued: figures.queued_jobs,
                queue_limit: self.settings.count(&QUEUE_JOBS),
                busy_ms: self.writer.busy_for().map(|busy| busy.as_millis() as u64),
                read_only: self.writer.read_only().map(store::Fault::reason),
            },
            database: ops::DatabaseStatus {
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

    /// What `/readyz` says: of a shard, the writer and the disk.
    fn ready(&self) -> ops::ReadyStatus {
        let reason = match self.client.ask(0, &Ask::get("/readyz"), READY_PATIENCE) {
            Ok(answer) if answer.status == 200 => return ops::ReadyStatus { ok: true, reasons: Vec::new() },
            Ok(answer) => {
                let status = answer.status;
                answer.detail().unwrap_or_else(|| format!("/readyz answers {status}"))
            }
            Err(error) => error.to_string(),
        };
        ops::ReadyStatus { ok: false, reasons: vec![reason] }
    }
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
