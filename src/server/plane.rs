//! What the private plane shows and does: its view of the rest of the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backup::Backups;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::config::knobs::TOKEN_KEYS;
use crate::gate::UnheededProxy;
use crate::hub::Seats;
use crate::net::StaffDoor;
use crate::net::client::Ask;
use crate::observe::LogHandle;
use crate::observe::metrics::Metrics;
use crate::ops;
use crate::store::{self, Reader, Survey, WriterView};

/// How long a shard has to say whether it is ready: longer than a commit that stalls, so that this can be told.
const READY_PATIENCE: Duration = Duration::from_secs(3);

/// What the private plane shows.
pub(super) struct PlaneView {
    pub(super) config: Config,
    pub(super) public: SocketAddr,
    pub(super) door: StaffDoor,
    pub(super) logs: LogHandle,
    pub(super) writer: WriterView,
    pub(super) survey: Arc<Survey>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) seats: Seats,
    pub(super) backups: Backups,
    pub(super) unheeded_proxy: UnheededProxy,
    pub(super) started_at: Timestamp,
    pub(super) began: Instant,
    pub(super) clock: Clock,
}

impl PlaneView {
    pub(super) fn wiring(self, reader: Reader) -> ops::Wiring {
        let metrics = Arc::clone(&self.metrics);
        ops::Wiring {
            audit_enabled: self.config.audit.enabled,
            reader: Mutex::new(reader),
            metrics: Box::new(move || metrics.encode()),
            log_level: Box::new(self.logs.clone()),
            backups: Box::new(self.backups.clone()),
            status: Box::new(move || self.status()),
        }
    }

    fn status(&self) -> ops::Status {
        let figures = self.survey.figures();
        let backups = &self.config.operations.backups;
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
                queue_limit: self.config.writer_queue_jobs,
                busy_ms: self.writer.busy_for().map(|busy| busy.as_millis() as u64),
                read_only: self.writer.read_only().map(store::Fault::reason),
            },
            database: ops::DatabaseStatus {
                path: self.config.database.display().to_string(),
                bytes: figures.database_bytes.unwrap_or_default(),
                wal_bytes: figures.wal_bytes.unwrap_or_default(),
                disk_free_bytes: figures.disk_free_bytes,
            },
            sockets_open: self.seats.open(),
            proxy_header_untrusted: self.unheeded_proxy.first().map(|peer| peer.to_string()),
            backups: ops::BackupStatus {
                every_hours: backups.every.map(|every| every.as_secs() / 3600),
                directory: backups.directory.as_ref().map(|directory| directory.display().to_string()),
                latest: ops::latest(&self.backups),
            },
            configuration: summary(&self.config),
        }
    }

    /// What `/readyz` says: of a shard, the writer and the disk.
    fn ready(&self) -> ops::ReadyStatus {
        let reason = match self.door.ask(0, &Ask::get("/readyz"), READY_PATIENCE) {
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
fn summary(config: &Config) -> serde_json::Value {
    let jwt = &config.jwt;
    let keys = [jwt.secret.is_some(), jwt.public_key_file.is_some(), jwt.jwks_file.is_some()];
    let keys = TOKEN_KEYS.into_iter().zip(keys).find_map(|(name, set)| set.then_some(name));
    serde_json::json!({
        "environment": config.env.as_str(),
        "strict": config.strict,
        "tokens_by": keys,
        "trust_user_header": config.trust_user_header,
        "drafts_public_read": config.drafts.public_read,
        "rate_limits": config.rates.is_some(),
        "socket_limits": config.sockets.enabled,
        "audit": config.audit.enabled,
        "audit_retention_days": config.audit.retention_days,
        "metrics_public": config.operations.metrics_public,
    })
}
