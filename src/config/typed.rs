//! The settings in the types the rest of the server works with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::network::Network;
use super::value::{Fraction, MASK, Value};
use super::{ConfigError, Setting};
use crate::net::Endpoint;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What kind of installation this is.
    pub env: Environment,
    /// Whether mistakes stop the start instead of being warned about.
    pub strict: bool,
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// How many threads serve connections; 0 for one per core.
    pub shards: usize,
    /// How long requests under way are given when the server stops.
    pub drain: Duration,
    /// The file of the database.
    pub database: PathBuf,
    /// How many changes may wait for the writer.
    pub writer_queue_jobs: usize,
    /// How long a request waits for its change to be committed.
    pub commit_timeout: Duration,
    /// How much room is kept beside the database for a full disk.
    pub reserve_bytes: u64,
    /// What is logged, and how.
    pub log: LogConfig,
    /// The origins whose pages may call the server; `*` stands for any.
    pub origins: Vec<String>,
    /// Whether the X-User-Id header is taken as who is asking.
    pub trust_user_header: bool,
    /// Which signed tokens are taken.
    pub jwt: JwtConfig,
    /// Reverse proxies, exempt from the per-address connection limit and believed about the scheme.
    pub trusted_proxies: Vec<Network>,
    /// Limits on connections and on the requests they carry.
    pub connections: ConnectionLimits,
    /// Limits on how often somebody asks, if there are any.
    pub rates: Option<RateLimits>,
    /// Limits on drafts.
    pub drafts: DraftLimits,
    /// Limits on WebSockets.
    pub sockets: SocketLimits,
    /// What is recorded of who changed what.
    pub audit: AuditConfig,
    /// How often the housekeeper looks around.
    pub housekeeping: Duration,
    /// What only the operator sees.
    pub operations: Operations,
}

/// What only the operator sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    /// Where the private plane listens, if anywhere.
    pub endpoint: Option<Endpoint>,
    /// What it asks for.
    pub token: Option<Secret>,
    /// Whether `/metrics` is public too.
    pub metrics_public: bool,
    /// Copies of the database.
    pub backups: BackupConfig,
}

/// Copies of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// Where they are put.
    pub directory: Option<PathBuf>,
    /// How often one is made; none is without being asked for.
    pub every: Option<Duration>,
    /// How long one is kept; for ever if nothing is said.
    pub keep: Option<Duration>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe messages that are logged.
    pub level: LogLevel,
    /// How log lines are written.
    pub format: LogFormat,
}

/// Which signed tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// The secret that they are verified with. Without any key they are not looked at.
    pub secret: Option<Secret>,
    /// The file with the public key that they are verified with.
    pub public_key_file: Option<PathBuf>,
    /// The file with the keys that they are verified with.
    pub jwks_file: Option<PathBuf>,
    /// How often the file is looked at.
    pub reload: Duration,
    /// The `iss` that they must have, if any.
    pub issuer: Option<String>,
    /// The `aud` that they must have, if any.
    pub audience: Option<String>,
}

/// A text that is never shown, not even by `{:?}` (G7).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for what needs it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// What is recorded of who changed what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    /// Whether anything is.
    pub enabled: bool,
    /// Which part of the changes.
    pub sample_rate: Fraction,
    /// For how many days; 0 for ever.
    pub retention_days: u32,
}

/// Limits on connections and on the requests they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections in all; 0 for as many as the descriptor limit allows.
    pub max: usize,
    /// Open connections of one client address.
    pub max_per_address: usize,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Headers of a request.
    pub head_headers: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// Time to send a whole head.
    pub head_timeout: Duration,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Time to send a whole body.
    pub body_timeout: Duration,
    /// Time an idle connection is kept open.
    pub keep_alive: Duration,
    /// Time a client may read nothing of a pending response.
    pub write_stall: Duration,
}

/// Limits on how often somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute.
    pub per_minute: u32,
    /// Requests at once.
    pub burst: u32,
    /// Whether answers tell how much is left.
    pub standard_headers: bool,
    /// Users and addresses that are counted at once.
    pub keys: usize,
}

/// Limits on drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DraftLimits {
    /// Collaborators of one draft; 0 for no limit.
    pub max_collaborators: usize,
    /// Segments of one draft before a warning is logged; 0 for never.
    pub max_segments: usize,
    /// Bytes of rendered drafts each shard keeps in memory.
    pub cache_bytes: usize,
    /// Whether drafts are read by anyone, or by their members only.
    pub public_read: bool,
    /// Events kept of each draft.
    pub events_kept: usize,
}

/// Limits on WebSockets. Those up to `messages_per_second` count only while `enabled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketLimits {
    /// Whether the limits are on.
    pub enabled: bool,
    /// The origins whose pages may open sockets; `*` or none stands for any.
    pub origins: Vec<String>,
    /// Open sockets of one user.
    pub max_per_user: usize,
    /// Open sockets on one draft.
    pub max_per_draft: usize,
    /// Open sockets in all.
    pub max_global: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Messages and pings of one socket within a second.
    pub messages_per_second: usize,
    /// Open sockets on one draft, whether or not the limits are on; 0 for no limit.
    pub draft_cap: usize,
    /// How often a socket is pinged.
    pub ping: Duration,
    /// Bytes that a client may leave unread.
    pub outbox_bytes: usize,
    /// Time in which a client may read nothing of what waits.
    pub stall: Duration,
}

/// What kind of installation this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// The real thing.
    Production,
    /// A test run.
    Test,
}

impl Environment {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "development" => Some(Self::Development),
            "production" => Some(Self::Production),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
            Self::Test => "test",
        }
    }
}

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Failures.
    Error,
    /// What should not have happened.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "off" => Some(Self::Off),
            "error" => Some(Self::Error),
            "warn" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "debug" => Some(Self::Debug),
            "trace" => Some(Self::Trace),
            _ => None,
        }
    }

    /// The word for it in the configuration, which logging libraries share.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines are written. `auto` has been settled by the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    fn from_word(word: &str, env: Environment) -> Option<Self> {
        match word {
            "auto" if env == Environment::Production => Some(Self::Json),
            "auto" | "pretty" => Some(Self::Pretty),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Config {
    /// The settings, one for each knob, in their types.
    ///
    /// # Errors
    ///
    /// A setting read here is not in the table, or of another kind there: a
    /// mistake in this crate, which loading the defaults in a test rules out.
    pub(super) fn from_settings(settings: &[Setting], strict: bool) -> Result<Self, ConfigError> {
        let read = Reader(settings);
        let env = read.word("ENV", Environment::from_word)?;
        Ok(Self {
            env,
            strict,
            listen: read.get("LISTEN_ADDR", |value| match value {
                Value::Address(address) => Some(*address),
                _ => None,
            })?,
            shards: read.count("SHARDS")?,
            drain: read.seconds("DRAIN_SECONDS")?,
            database: read.get("DATABASE_URL", |value| match value {
                Value::Database(path) => Some(path.clone()),
                _ => None,
            })?,
            writer_queue_jobs: read.count("WRITER_QUEUE_JOBS")?,
            commit_timeout: read.seconds("COMMIT_TIMEOUT_SECONDS")?,
            reserve_bytes: read.count("RESERVE_FILE_BYTES")? as u64,
            log: LogConfig {
                level: read.word("LOG_LEVEL", LogLevel::from_word)?,
                format: read.word("LOG_FORMAT", |word| LogFormat::from_word(word, env))?,
            },
            origins: read.origins("ALLOWED_ORIGINS")?,
            trust_user_header: read.flag("AUTH_TRUST_USER_HEADER")?,
            jwt: JwtConfig {
                secret: read.text("JWT_SECRET")?.map(Secret),
                public_key_file: read.text("JWT_PUBLIC_KEY_FILE")?.map(PathBuf::from),
                jwks_file: read.text("JWT_JWKS_FILE")?.map(PathBuf::from),
                reload: read.seconds("JWT_KEYS_RELOAD_SECONDS")?,
                issuer: read.text("JWT_ISSUER")?,
                audience: read.text("JWT_AUDIENCE")?,
            },
            trusted_proxies: read.get("TRUSTED_PROXIES", |value| match value {
                Value::Networks(networks) => Some(networks.clone()),
                _ => None,
            })?,
            connections: ConnectionLimits {
                max: read.count("MAX_CONNECTIONS")?,
                max_per_address: read.count("MAX_CONNECTIONS_PER_ADDRESS")?,
                head_bytes: read.count("HEAD_MAX_BYTES")?,
                head_headers: read.count("HEAD_MAX_HEADERS")?,
                target_bytes: read.count("TARGET_MAX_BYTES")?,
                head_timeout: read.seconds("HEAD_TIMEOUT_SECONDS")?,
                body_bytes: read.count("BODY_MAX_BYTES")?,
                body_timeout: read.seconds("BODY_TIMEOUT_SECONDS")?,
                keep_alive: read.seconds("KEEP_ALIVE_SECONDS")?,
                write_stall: read.seconds("WRITE_STALL_SECONDS")?,
            },
            rates: match read.flag("RATE_LIMIT_ENABLED")? {
                false => None,
                true => Some(RateLimits {
                    per_minute: read.number("RATE_LIMIT_PER_MINUTE_DEFAULT", |number| number.try_into().ok())?,
                    burst: read.number("RATE_LIMIT_BURST_DEFAULT", |number| number.try_into().ok())?,
                    standard_headers: read.flag("RATE_LIMIT_STANDARD_HEADERS")?,
                    keys: read.count("RATE_LIMIT_KEYS")?,
                }),
            },
            drafts: DraftLimits {
                max_collaborators: read.count("MAX_COLLABORATORS_PER_DRAFT")?,
                max_segments: read.count("MAX_SEGMENTS_PER_DRAFT")?,
                cache_bytes: read.count("DRAFT_CACHE_BYTES")?,
                public_read: read.flag("DRAFTS_PUBLIC_READ")?,
                events_kept: read.count("EVENTS_KEPT_PER_DRAFT")?,
            },
            sockets: SocketLimits {
                enabled: read.flag("WS_LIMITS_ENABLED")?,
                origins: read.origins("WS_ALLOWED_ORIGINS")?,
                max_per_user: read.count("WS_MAX_SOCKETS_PER_USER")?,
                max_per_draft: read.count("WS_MAX_SOCKETS_PER_DRAFT")?,
                max_global: read.count("WS_MAX_SOCKETS_GLOBAL")?,
                message_bytes: read.count("WS_MAX_MESSAGE_BYTES")?,
                messages_per_second: read.count("WS_MAX_MESSAGES_PER_SECOND")?,
                draft_cap: read.count("MAX_WS_CONNECTIONS_PER_DRAFT")?,
                ping: read.seconds("WS_PING_SECONDS")?,
                outbox_bytes: read.count("WS_OUTBOX_BYTES")?,
                stall: read.seconds("WS_STALL_SECONDS")?,
            },
            audit: AuditConfig {
                enabled: read.flag("AUDIT_ENABLED")?,
                sample_rate: read.get("AUDIT_SAMPLE_RATE", |value| match value {
                    Value::Fraction(fraction) => Some(*fraction),
                    _ => None,
                })?,
                retention_days: read.number("AUDIT_RETENTION_DAYS", |number| u32::try_from(number).ok())?,
            },
            housekeeping: read.seconds("HOUSEKEEPING_SECONDS")?,
            operations: Operations {
                endpoint: read.get("OPS_ADDR", |value| match value {
                    Value::Endpoint(endpoint) => Some(endpoint.clone()),
                    _ => None,
                })?,
                token: read.text("OPS_TOKEN")?.map(Secret),
                metrics_public: read.flag("METRICS_PUBLIC")?,
                backups: BackupConfig {
                    directory: read.text("BACKUP_DIR")?.map(PathBuf::from),
                    every: read.span("BACKUP_INTERVAL_HOURS", 3600)?,
                    keep: read.span("BACKUP_KEEP_DAYS", 86_400)?,
                },
            },
        })
    }
}

/// Typed access to the settings by name.
struct Reader<'s>(&'s [Setting]);

impl Reader<'_> {
    fn get<T>(&self, name: &str, pick: impl FnOnce(&Value) -> Option<T>) -> Result<T, ConfigError> {
        let setting = self.0.iter().find(|setting| setting.knob.name == name);
        setting.and_then(|setting| pick(&setting.value)).ok_or_else(|| ConfigError {
            problems: vec![format!("{name} is read as something the table of settings lacks")],
        })
    }

    fn number<T>(&self, name: &str, cast: fn(u64) -> Option<T>) -> Result<T, ConfigError> {
        self.get(name, |value| match value {
            Value::Integer(number) => cast(*number),
            _ => None,
        })
    }

    fn flag(&self, name: &str) -> Result<bool, ConfigError> {
        self.get(name, |value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    fn origins(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        self.get(name, |value| match value {
            Value::Origins(origins) => Some(origins.clone()),
            _ => None,
        })
    }

    /// None when the text is empty.
    fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        self.get(name, |value| match value {
            Value::Text(text) => Some(Some(text.clone()).filter(|text| !text.is_empty())),
            _ => None,
        })
    }

    fn count(&self, name: &str) -> Result<usize, ConfigError> {
        self.number(name, |number| usize::try_from(number).ok())
    }

    fn seconds(&self, name: &str) -> Result<Duration, ConfigError> {
        self.number(name, |number| Some(Duration::from_secs(number)))
    }

    /// So many times `unit_seconds`; none when it is 0.
    fn span(&self, name: &str, unit_seconds: u64) -> Result<Option<Duration>, ConfigError> {
        let units = self.number(name, Some)?;
        Ok((units > 0).then(|| Duration::from_secs(units.saturating_mul(unit_seconds))))
    }

    fn word<T>(&self, name: &str, pick: impl FnOnce(&str) -> Option<T>) -> Result<T, ConfigError> {
        self.get(name, |value| match value {
            Value::Choice(word) => pick(word),
            _ => None,
        })
    }
}
