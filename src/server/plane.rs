//! What the private plane shows and does: its view of the rest of the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::audit;
use crate::backup::{self, Backups};
use crate::clock::{Clock, Timestamp};
use crate::drafts;
use crate::gate::UntrustedProxy;
use crate::gate::identity::options::{TOKEN_KEYS, TRUST_HEADER};
use crate::gate::limit;
use crate::hub::{self, Seats};
use crate::net::LoopbackClient;
use crate::net::client::Ask;
use crate::observe::LogHandle;
use crate::observe::metrics::Metrics;
use crate::ops::{self, options::METRICS_PUBLIC};
use crate::settings::{ENVIRONMENT, Settings};
use crate::store::options::{DATABASE, QUEUE_JOBS};
use crate::store::{self, Reader, Survey, WriterView};

/// How long a shard has to say whether it is ready: longer than a commit that stalls, so that this can be told.
const READY_PATIENCE: Duration = Duration::from_secs(3);

/// What the private plane shows.
pub(super) struct PlaneView {
    pub(super) settings: Settings,
    pub(super) public: SocketAddr,
    pub(super) client: LoopbackClient,
    pub(super) logs: LogHandle,
    pub(super) writer: WriterView,
    pub(super) survey: Arc<Survey>,
    pub(super) metrics: Metrics,
    pub(super) seats: Seats,
    pub(super) backups: Backups,
    pub(super) untrusted_proxy: UntrustedProxy,
    pub(super) started_at: Timestamp,
    pub(super) began: Instant,
    pub(super) clock: Clock,
}

impl PlaneView {
    pub(super) fn wiring(self, reader: Reader) -> ops::Wiring {
        let metrics = self.metrics.clone();
        ops::Wiring {
            audit_enabled: self.settings.flag(&audit::options::ENABLED),
            reader: Mutex::new(reader),
            metrics: Box::new(move || metrics.encode()),
            log_level: Box::new(self.logs.clone()),
            backups: Box::new(self.backups.clone()),
            status: Box::new(move || self.status()),
        }
    }

    fn status(&self) -> ops::Status {
        let figures = self.survey.figures();
        let backups = backup::Options::of(&self.settings);
        ops::Status {
            version: env!("CARGO_PKG_VERSION"),
            sqlite: store::sqlite_version(),
            schema_version: store::SCHEMA_VERSION,
            now: self.clock.now().offset_style().to_string(),
            started_at: self.started_at.offset_style().to_string(),
            uptime_seconds: self.clock.instant().saturating_duration_since(self.began).as_secs(),
            public_address: self.public.to_string(),
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
            backups: ops::BackupStatus {
                every_hours: backups.every.map(|every| every.as_secs() / 3600),
                directory: backups.directory.as_ref().map(|directory| directory.display().to_string()),
                latest: ops::latest(&self.backups),
            },
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
fn summary(settings: &Settings) -> serde_json::Value {
    let keys = TOKEN_KEYS.iter().find(|key| settings.text(key).is_some());
    serde_json::json!({
        "environment": settings.word(&ENVIRONMENT),
        "strict": settings.strict(),
        "tokens_by": keys.map(|key| key.name),
        "trust_user_header": settings.flag(&TRUST_HEADER),
        "drafts_public_read": settings.flag(&drafts::options::PUBLIC_READ),
        "rate_limits": settings.flag(&limit::options::ENABLED),
        "socket_limits": settings.flag(&hub::options::LIMITED),
        "audit": settings.flag(&audit::options::ENABLED),
        "audit_retention_days": settings.count(&audit::options::RETENTION_DAYS),
        "metrics_public": settings.flag(&METRICS_PUBLIC),
    })
}
