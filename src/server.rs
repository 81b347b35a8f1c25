//! Builds the parts in order, and takes them down in the opposite one.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::audit::{self, Audit};
use crate::clock::Clock;
use crate::config::{Config, Environment, Network, open_to_others};
use crate::drafts;
use crate::gate::{BadKeys, Cors, Demands, Form, Gate, Identity, KeyFile, Keys, Limiter, Limits, Routes, Verifier};
use crate::health::{self, Readiness};
use crate::housekeeper::Housekeeper;
use crate::hub::{Batch, Hub, Mailbox, SeatLimits, Seats, Topics};
use crate::net::{self, Caps, Front};
use crate::observe::LogHandle;
use crate::observe::metrics::{Metrics, reach, show};
use crate::store::{self, Figures, OpenError, Reader, Survey, Writer, WriterHandle};

/// The most connections chosen without being told.
const CONNECTIONS_DEFAULT_MAX: usize = 10_000;
/// Descriptors left for files, polls and whatever else is not a connection.
const DESCRIPTORS_RESERVED: usize = 128;

/// The longest message taken from a socket, whatever the limits.
const SOCKET_MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The address cannot be listened on.
    #[error("cannot listen on LISTEN_ADDR={address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file of keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The system refused a thread or a poll.
    #[error("cannot start the threads that serve: {0}")]
    Threads(std::io::Error),
}

/// Why the keys of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file is not as it should be.
    #[error("{name}: {bad}")]
    Bad {
        /// The setting that names the file.
        name: &'static str,
        /// What is wrong with it.
        bad: BadKeys,
    },
    /// It is open to every user of the machine; only a strict configuration refuses that.
    #[error("{0}")]
    Exposed(String),
}

/// A running server.
pub struct Server {
    front: Front<Batch>,
    housekeeper: Housekeeper,
    writer: Writer,
    audit: Option<Audit>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    drain: Duration,
}

impl Server {
    /// Starts everything; when it returns, the address answers. `logs` counts the log lines of the process.
    ///
    /// # Errors
    /// When the database, the address or the system is not as needed.
    pub fn start(config: &Config, logs: &LogHandle) -> Result<Self, StartError> {
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::new(store::sqlite_version(), clock.now(), logs.clone()));
        let shards = shard_count(config.shards);
        let descriptors = raise_descriptor_limit();
        let connections = connection_cap(config.connections.max, descriptors);
        let listener =
            TcpListener::bind(config.listen).map_err(|source| StartError::Listen { address: config.listen, source })?;

        let opened = open_keys(config)?;
        opened.warning.iter().for_each(|warning| log::warn!("{warning}"));

        let mut store = store::open(&config.database)?;
        store.keep_reserve(config.reserve_bytes);
        store.count_by(Arc::clone(&metrics.writer));
        let readers = (0..shards).map(|_| store.reader()).collect::<Result<Vec<_>, OpenError>>()?;
        let (retention_reader, survey) = (store.reader()?, store.survey()?);
        let keeps_audit = config.audit.enabled || config.audit.retention_days > 0;
        let audit_reader = keeps_audit.then(|| store.reader()).transpose()?;
        let hub = Arc::new(Hub::new(drafts::frame_text));
        let writer = Writer::start(store, config.writer_queue_jobs, Arc::clone(&hub) as _, clock.clone())
            .map_err(StartError::Threads)?;

        let (kept, every) = (config.drafts.events_kept, config.housekeeping);
        let mut tasks = vec![drafts::retention::task(retention_reader, writer.handle(), kept, every)];
        tasks.extend(opened.file.map(|file| file.task(config.jwt.reload)));
        let audit = config.audit.enabled.then(|| Audit::new(config.audit.sample_rate.as_f64()));
        let days = config.audit.retention_days;
        if let Some(reader) = audit_reader {
            tasks.push(audit::upkeep::task(audit.clone(), reader, writer.handle(), days, every, clock.clone()));
        }
        let housekeeper = Housekeeper::start(tasks, clock.clone()).map_err(StartError::Threads)?;

        let readiness = Arc::new(Readiness::counted_by(Arc::clone(&metrics.ready)));
        let (seats, limiter) = (Seats::default(), limiter(config, &clock));
        let looked_at = LookedAt {
            survey,
            queue_jobs: config.writer_queue_jobs,
            seats: seats.clone(),
            limiter: limiter.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
        };
        metrics.sample_with(move |metrics| looked_at.sample(metrics));
        let plan = GatePlan {
            config: config.clone(),
            verifier: opened.keys.map(|keys| Verifier::new(keys, demands(config))),
            writer: writer.handle(),
            hub,
            seats,
            limiter,
            readiness: Arc::clone(&readiness),
            audit: audit.clone(),
            damaged: drafts::Damaged::default(),
            metrics: Arc::clone(&metrics),
            clock: clock.clone(),
        };
        let options = net::Options {
            limits: net::Limits {
                head_bytes: config.connections.head_bytes,
                headers: config.connections.head_headers,
                target_bytes: config.connections.target_bytes,
            },
            timeouts: net::Timeouts {
                head: config.connections.head_timeout,
                body: config.connections.body_timeout,
                keep_alive: config.connections.keep_alive,
                write_stall: config.connections.write_stall,
                parked: config.commit_timeout,
            },
            caps: Caps {
                connections,
                per_address: config.connections.max_per_address,
                exempt: Box::new(trusted(config.trusted_proxies.clone())),
            },
            metrics: Arc::clone(&metrics.net),
            clock,
        };
        let front = Front::start(listener, options, readers, move |reader, mailbox| plan.build(reader, mailbox))
            .map_err(StartError::Threads)?;
        log::info!(
            address = front.address().to_string(), database = config.database.display().to_string(), shards,
            connections, descriptors, version = env!("CARGO_PKG_VERSION");
            "server.started"
        );
        Ok(Self { front, housekeeper, writer, audit, readiness, metrics, drain: config.drain })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Stops accepting, finishes what is in flight within `DRAIN_SECONDS`, commits what waits, and closes the database.
    pub fn stop(self) {
        log::info!(drain_seconds = self.drain.as_secs(); "server.stopping");
        self.readiness.drain();
        self.front.stop(self.drain);
        // With it goes a connection that would keep the files of the log from being removed.
        self.metrics.stop_sampling();
        // What it removes goes through the writer, which ends when nobody can hand in changes any more.
        self.housekeeper.stop();
        if let Some(audit) = &self.audit {
            audit::upkeep::last_flush(audit, &self.writer.handle());
        }
        self.writer.stop();
        log::info!("server.stopped");
    }
}

/// What is only looked at when somebody asks for metrics.
struct LookedAt {
    survey: Survey,
    queue_jobs: usize,
    seats: Seats,
    limiter: Option<Arc<Limiter>>,
    audit: Option<Audit>,
    clock: Clock,
}

impl LookedAt {
    fn sample(&self, metrics: &Metrics) {
        let (storage, sockets) = (&metrics.storage, &metrics.sockets);
        let Figures { queued_jobs, read_only, database_bytes, wal_bytes, freelist_bytes, disk_free_bytes } =
            self.survey.figures();
        show(&storage.queue_depth, queued_jobs);
        show(&storage.queue_limit, self.queue_jobs);
        show(&storage.readonly, usize::from(read_only));
        for (gauge, bytes) in [
            (&storage.database_bytes, database_bytes),
            (&storage.wal_bytes, wal_bytes),
            (&storage.freelist_bytes, freelist_bytes),
            (&storage.disk_free_bytes, disk_free_bytes),
        ] {
            // What could not be looked at stays as it was.
            if let Some(bytes) = bytes {
                show(gauge, usize::try_from(bytes).unwrap_or(usize::MAX));
            }
        }
        show(&sockets.active, self.seats.open());
        show(&sockets.rooms, self.seats.topics());
        show(&metrics.http.limited_keys, self.limiter.as_ref().map_or(0, |limiter| limiter.keys(self.clock.instant())));
        if let Some(audit) = &self.audit {
            show(&metrics.audit.waiting, audit.waiting());
            reach(&metrics.audit.rows, audit.rows());
            reach(&metrics.audit.failures, audit.failures());
            reach(&metrics.audit.lost, audit.lost());
        }
    }
}

/// All that is needed to build a shard's gate on the shard's own thread.
struct GatePlan {
    config: Config,
    verifier: Option<Verifier>,
    writer: WriterHandle,
    hub: Arc<Hub>,
    seats: Seats,
    limiter: Option<Arc<Limiter>>,
    readiness: Arc<Readiness>,
    audit: Option<Audit>,
    damaged: drafts::Damaged,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl GatePlan {
    fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> Gate {
        let config = &self.config;
        let reader = Rc::new(reader);
        let mut routes = Routes::counted_by(Arc::clone(&self.metrics.http));
        let (readiness, audit, clock) = (Arc::clone(&self.readiness), self.audit.clone(), self.clock.clone());
        health::routes(&mut routes, Rc::clone(&reader), self.writer.clone(), readiness, audit, clock);
        if config.operations.metrics_public {
            health::metrics(&mut routes, Arc::clone(&self.metrics));
        }
        let options = drafts::Options {
            max_collaborators: config.drafts.max_collaborators,
            max_segments: config.drafts.max_segments,
            cache_bytes: config.drafts.cache_bytes,
            public_read: config.drafts.public_read,
        };
        let topics = Rc::new(RefCell::new(Topics::counted_by(self.metrics.sockets.deliveries())));
        let watches = drafts::Watches {
            reader: Rc::clone(&reader),
            hub: Arc::clone(&self.hub),
            topics: Rc::clone(&topics),
            mailbox: Arc::clone(&mailbox),
            seats: self.seats.clone(),
            options: socket_options(config),
            metrics: Arc::clone(&self.metrics.sockets),
            clock: self.clock.clone(),
        };
        drafts::socket::route(&mut routes, watches);
        let (damaged, audit, counted) = (self.damaged.clone(), self.audit.clone(), Arc::clone(&self.metrics.drafts));
        drafts::routes(&mut routes, reader, damaged, options, audit, counted, self.clock.clone());
        Gate {
            routes,
            cors: Cors::new(config.origins.clone()),
            identity: Identity { trust_user_header: config.trust_user_header, verifier: self.verifier.clone() },
            limiter: self.limiter.clone(),
            body_bytes: config.connections.body_bytes,
            trusted_proxy: Box::new(trusted(config.trusted_proxies.clone())),
            writer: self.writer.clone(),
            mailbox,
            topics,
            clock: self.clock.clone(),
        }
    }
}

/// What is configured for sockets, with the limits that are off made as wide as they can be.
fn socket_options(config: &Config) -> drafts::SocketOptions {
    let knobs = &config.sockets;
    let when_on = |limit| if knobs.enabled { limit } else { usize::MAX };
    let any_origin = !knobs.enabled || knobs.origins.is_empty() || knobs.origins.iter().any(|origin| origin == "*");
    drafts::SocketOptions {
        origins: (!any_origin).then(|| knobs.origins.clone()),
        seats: SeatLimits {
            global: when_on(knobs.max_global),
            per_topic: when_on(knobs.max_per_draft),
            per_user: when_on(knobs.max_per_user),
            topic_cap: if knobs.draft_cap == 0 { usize::MAX } else { knobs.draft_cap },
        },
        limits: net::SocketLimits {
            message_bytes: when_on(knobs.message_bytes).min(SOCKET_MESSAGE_MAX_BYTES),
            messages_per_second: when_on(knobs.messages_per_second),
            outbox_bytes: knobs.outbox_bytes,
            stall: knobs.stall,
            ping: knobs.ping,
        },
        public_read: config.drafts.public_read,
    }
}

/// What is asked of a token besides its signature.
#[must_use]
pub fn demands(config: &Config) -> Demands {
    Demands {
        issuer: config.jwt.issuer.clone(),
        audience: config.jwt.audience.clone(),
        expiry: config.env == Environment::Production,
    }
}

/// The keys of tokens as configured.
#[derive(Default)]
pub struct OpenedKeys {
    /// The keys, if there are any.
    pub keys: Option<Keys>,
    /// The file that they follow.
    pub file: Option<KeyFile>,
    /// What an operator should know.
    pub warning: Option<String>,
}

/// Reads the keys that tokens are verified with.
///
/// # Errors
/// When their file cannot be used.
pub fn open_keys(config: &Config) -> Result<OpenedKeys, KeysError> {
    let jwt = &config.jwt;
    if let Some(secret) = &jwt.secret {
        return Ok(OpenedKeys { keys: Some(Keys::secret(secret.bytes())), ..OpenedKeys::default() });
    }
    let (name, path, form) = match (&jwt.public_key_file, &jwt.jwks_file) {
        (Some(path), _) => ("JWT_PUBLIC_KEY_FILE", path, Form::Pem),
        (None, Some(path)) => ("JWT_JWKS_FILE", path, Form::Jwks),
        (None, None) => return Ok(OpenedKeys::default()),
    };
    let file = KeyFile::open(path, form).map_err(|bad| KeysError::Bad { name, bad })?;
    let keys = file.keys();
    // A secret is nobody else's to read; any key is nobody else's to replace.
    let warning = open_to_others(path).and_then(|mode| {
        let what = match (keys.hold_a_secret(), mode & 0o002) {
            (true, _) => "holds a secret and has",
            (false, 0) => return None,
            (false, _) => "says whose tokens count and has",
        };
        let path = path.display();
        Some(format!("{name}: {path} {what} mode {mode:04o}, which lets every user of this machine in: chmod o="))
    });
    match warning {
        Some(sentence) if config.strict => Err(KeysError::Exposed(sentence)),
        warning => Ok(OpenedKeys { keys: Some(keys), file: Some(file), warning }),
    }
}

/// How often who may ask, if that is limited.
fn limiter(config: &Config, clock: &Clock) -> Option<Arc<Limiter>> {
    let rates = config.rates?;
    let limits = Limits {
        per_minute: rates.per_minute,
        burst: rates.burst,
        keys: rates.keys,
        standard_headers: rates.standard_headers,
    };
    Some(Arc::new(Limiter::new(limits, clock.instant())))
}

fn trusted(proxies: Vec<Network>) -> impl Fn(IpAddr) -> bool + Send + Sync {
    move |address| proxies.iter().any(|network| network.contains(address))
}

/// One shard per core unless told otherwise.
fn shard_count(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        shards => shards,
    }
}

/// Raises the soft limit of open descriptors to the hard one; returns what is in force.
fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Connections in all: as configured, else what the descriptors allow. Where they are few, half go to connections.
fn connection_cap(configured: usize, descriptors: usize) -> usize {
    let possible = descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(descriptors / 2);
    match configured {
        0 => possible.min(CONNECTIONS_DEFAULT_MAX),
        cap if cap > possible => {
            log::warn!(
                max_connections = cap, possible, descriptors;
                "MAX_CONNECTIONS is more than the limit of open files allows; raise the limit, or lower the knob"
            );
            possible
        }
        cap => cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_from_descriptors() {
        assert_eq!(connection_cap(0, 64), 32);
        assert_eq!(connection_cap(0, 1024), 896);
        assert_eq!(connection_cap(0, 1_000_000), 10_000);
        assert_eq!(connection_cap(50_000, 1_000_000), 50_000);
        assert_eq!(connection_cap(500, 64), 32);
    }
}
