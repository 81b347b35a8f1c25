//! What the plane is given by the rest of the server, which it does not know.

use std::io::Read;

use log::LevelFilter;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::backup::{self, BackupError, Manifest, Streamed};
use crate::observe::LogHandle;

/// What the plane shows and does.
pub struct Wiring {
    /// How things are; computed for each request, so it must not take long.
    pub status: Box<dyn Fn() -> Status + Send + Sync>,
    /// The metrics, in the text format 0.0.4 of Prometheus.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether changes are recorded at present. Rows of earlier times are shown either way.
    pub audit_enabled: bool,
    /// What is logged.
    pub log_level: Box<dyn LogLevel>,
    /// Copies of the database.
    pub backups: Box<dyn Backups>,
}

/// The least severe messages that are logged.
pub trait LogLevel: Send + Sync {
    /// Which they are.
    fn get(&self) -> LevelFilter;

    /// Changes it until the next start.
    fn set(&self, level: LevelFilter);
}

impl LogLevel for LogHandle {
    fn get(&self) -> LevelFilter {
        self.level()
    }

    fn set(&self, level: LevelFilter) {
        self.set_level(level);
    }
}

/// Copies of the database.
pub trait Backups: Send + Sync {
    /// Makes one where backups are kept and returns its manifest. Blocks until it is finished.
    ///
    /// # Errors
    /// When there is none.
    fn make(&self) -> Result<Value, NoBackup>;

    /// Makes one for whoever asks, which is removed with what is returned.
    ///
    /// # Errors
    /// When there is none.
    fn open(&self) -> Result<OpenCopy, NoBackup>;
}

impl Backups for backup::Backups {
    fn make(&self) -> Result<Value, NoBackup> {
        Ok(as_json(&self.now()?.manifest))
    }

    fn open(&self) -> Result<OpenCopy, NoBackup> {
        let Streamed { file, manifest } = self.stream()?;
        Ok(OpenCopy { manifest: as_json(&manifest), bytes: manifest.bytes, from: Box::new(file) })
    }
}

fn as_json(manifest: &Manifest) -> Value {
    // Text, numbers and a map from texts to numbers are always JSON.
    serde_json::to_value(manifest).unwrap_or_default()
}

impl From<BackupError> for NoBackup {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::UnderWay => Self::Busy,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// Another one is being made.
    #[error("another backup is being made")]
    Busy,
    /// It did not work, as the sentence says.
    #[error("{0}")]
    Failed(String),
}

/// A finished copy on its way out.
pub struct OpenCopy {
    /// What it is.
    pub manifest: Value,
    /// How long it is.
    pub bytes: u64,
    /// The copy.
    pub from: Box<dyn Read + Send>,
}

/// How things are.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Of the program.
    pub version: &'static str,
    /// Of SQLite.
    pub sqlite: &'static str,
    /// Of the database.
    pub schema_version: i32,
    /// By the wall clock.
    pub now: String,
    /// The same.
    pub started_at: String,
    /// Since then, by the clock that does not jump.
    pub uptime_seconds: u64,
    /// Where clients are served.
    pub public_address: String,
    /// Whether it is ready, and why not.
    pub ready: ReadyStatus,
    /// The one thread that changes the database.
    pub writer: WriterStatus,
    /// The file of the database and where it lies.
    pub database: DatabaseStatus,
    /// Sockets that are open.
    pub sockets_open: usize,
    /// Who hands on requests of others without being one of `TRUSTED_PROXIES`, if anybody has.
    pub proxy_header_untrusted: Option<String>,
    /// What the parts of the house say of themselves, each under its name.
    #[serde(flatten)]
    pub cards: Map<String, Value>,
    /// What an operator would ask about first. No secrets.
    pub configuration: Map<String, Value>,
}

/// Whether the server is ready.
#[derive(Debug, Serialize)]
pub struct ReadyStatus {
    /// Whether it is.
    pub ok: bool,
    /// Why not, in sentences; empty when it is.
    pub reasons: Vec<String>,
}

/// The one thread that changes the database.
#[derive(Debug, Serialize)]
pub struct WriterStatus {
    /// Changes that wait.
    pub queued: usize,
    /// How many may.
    pub queue_limit: usize,
    /// How long the running commit has been running, if one is.
    pub busy_ms: Option<u64>,
    /// Why no changes are taken, if none are.
    pub read_only: Option<&'static str>,
}

/// The file of the database and where it lies.
#[derive(Debug, Serialize)]
pub struct DatabaseStatus {
    /// Its path.
    pub path: String,
    /// Its size, the log beside it left out.
    pub bytes: u64,
    /// The size of the log beside it.
    pub wal_bytes: u64,
    /// Room left where it lies.
    pub disk_free_bytes: Option<u64>,
}
