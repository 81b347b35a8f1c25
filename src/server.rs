//! Builds the parts in order, and takes them down in the opposite one.

mod plane;
mod reload;
mod sample;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::audit::{self, Audit};
use crate::backup::{self, Backups};
use crate::clock::Clock;
use crate::config::{Config, Environment, Network, open_to_others};
use crate::drafts;
use crate::gate::{BadKeys, Demands, Form, Gate, KeyFile, Keys, Limiter, Limits, Routes, UnheededProxy};
use crate::health::{self, Readiness};
use crate::housekeeper::{Housekeeper, vacuum};
use crate::hub::{Batch, Hub, Mailbox, SeatLimits, Seats, Topics};
use crate::net::side_door::{Bound, SocketFile};
use crate::net::{self, Caps, Endpoint, Front, Listening};
use crate::observe::LogHandle;
use crate::observe::metrics::Metrics;
use crate::ops::{self, Plane};
use crate::store::{self, OpenError, Reader, Writer, WriterHandle};
use crate::systemd::{Finding, Inherited, Notify, Prober, Watchdog};
use plane::PlaneView;
use reload::Changeable;
use sample::LookedAt;

/// The most connections chosen without being told.
pub const CONNECTIONS_DEFAULT_MAX: usize = 10_000;
/// Descriptors left for files, polls and whatever else is not a connection.
const DESCRIPTORS_RESERVED: usize = 128;

/// The longest message taken from a socket, whatever the limits.
const SOCKET_MESSAGE_MAX_BYTES: usize = 1024 * 1024;

/// How long the test write at the start may take.
const START_PROBE_PATIENCE: Duration = Duration::from_secs(10);

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
    /// The private plane cannot listen where it should.
    #[error(
        "cannot listen on OPS_ADDR={endpoint} for the private plane: {source}; \
         give it another address, or none by OPS_ADDR=off"
    )]
    ListenPrivately {
        /// As configured, or its default.
        endpoint: Endpoint,
        /// What the system said.
        source: std::io::Error,
    },
    /// A socket for the private plane was handed over that other machines can reach, and there is no token.
    #[error(
        "the socket for the private plane at {0} can be reached from other machines, and the plane hands out the whole \
         database: set OPS_TOKEN, or an address of this machine in the socket's unit"
    )]
    OpenPlane(SocketAddr),
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
    plane: Option<Plane>,
    socket_file: Option<SocketFile>,
    housekeeper: Housekeeper,
    writer: Writer,
    audit: Option<Audit>,
    backups: Backups,
    readiness: Arc<Readiness>,
    changeable: Changeable,
    notify: Notify,
    watchdog: Option<Watchdog>,
    metrics: Arc<Metrics>,
    drain: Duration,
}

impl Server {
    /// Starts everything; when it returns, the address answers, and who is to be notified has been. What was `inherited` is
    /// listened on instead of what is configured; `logs` counts the log lines of the process.
    ///
    /// # Errors
    /// When the database, the address or the system is not as needed.
    pub fn start(config: &Config, inherited: Inherited, notify: Notify, logs: &LogHandle) -> Result<Self, StartError> {
        let clock = Clock::system();
        let metrics = Arc::new(Metrics::new(store::sqlite_version(), clock.now(), logs.clone()));
        let shards = shard_count(config.shards);
        let descriptors = raise_descriptor_limit();
        let connections = connection_cap(config.connections.max, descriptors);
        let refused = |source| StartError::Listen { address: config.listen, source };
        let listener = match inherited.http {
            Some(listener) => {
                let address = listener.local_addr().map_err(refused)?.to_string();
                log::info!(name = "http", address, instead_of = config.listen.to_string(); "socket.inherited");
                listener
            }
            None => net::listen(config.listen).map_err(refused)?,
        };
        let bound = match (inherited.ops, &config.operations.endpoint) {
            (Some(listening), _) => {
                if let (Some(Endpoint::Tcp(address)), None) = (listening.endpoint(), &config.operations.token)
                    && !address.ip().to_canonical().is_loopback()
                {
                    return Err(StartError::OpenPlane(address));
                }
                log::info!(name = "ops"; "socket.inherited");
                Some(Bound { listening, file: None })
            }
            (None, endpoint) => endpoint.as_ref().map(listen_privately).transpose()?,
        };

        let (changeable, warning) = Changeable::new(config, clock.clone())?;
        warning.iter().for_each(|warning| log::warn!("{warning}"));

        notify.status("opening the database");
        let mut store = store::open(&config.database)?;
        store.keep_reserve(config.reserve_bytes);
        store.count_by(Arc::clone(&metrics.writer));
        let readers = (0..shards).map(|_| store.reader()).collect::<Result<Vec<_>, OpenError>>()?;
        let (retention_reader, survey) = (store.reader()?, Arc::new(store.survey()?));
        let (keys_reader, vacuum_reader) = (store.reader()?, store.reader()?);
        let keeps_audit = config.audit.enabled || config.audit.retention_days > 0;
        let audit_reader = keeps_audit.then(|| store.reader()).transpose()?;
        let plane_reader = bound.is_some().then(|| store.reader()).transpose()?;
        let hub = Arc::new(Hub::new(drafts::frame_text));
        let writer = Writer::start(store, config.writer_queue_jobs, Arc::clone(&hub) as _, clock.clone())
            .map_err(StartError::Threads)?;

        let (kept, every) = (config.drafts.events_kept, config.housekeeping);
        let mut tasks = vec![drafts::retention::task(retention_reader, writer.handle(), kept, every)];
        tasks.push(drafts::spent_keys::task(keys_reader, writer.handle(), every, clock.clone()));
        tasks.push(changeable.keys.clone().task(config.jwt.reload));
        let audit = config.audit.enabled.then(|| Audit::new(config.audit.sample_rate.as_f64()));
        let days = config.audit.retention_days;
        if let Some(reader) = audit_reader {
            tasks.push(audit::upkeep::task(audit.clone(), reader, writer.handle(), days, every, clock.clone()));
        }
        let wanted = &config.operations.backups;
        let options = backup::Options {
            database: config.database.clone(),
            directory: wanted.directory.clone(),
            every: wanted.every,
            keep: wanted.keep,
        };
        let backups = Backups::new(writer.handle(), options, clock.clone());
        if wanted.directory.is_some() {
            tasks.push(backup::task(backups.clone(), every));
        }
        // Last, so that it finds what the others have freed.
        tasks.push(vacuum::task(vacuum_reader, writer.handle(), every));
        let housekeeper = Housekeeper::start(tasks, clock.clone()).map_err(StartError::Threads)?;

        let readiness = Arc::new(Readiness::counted_by(Arc::clone(&metrics.ready)));
        let (seats, unheeded_proxy) = (Seats::default(), UnheededProxy::default());
        let looked_at = LookedAt {
            survey: Arc::clone(&survey),
            queue_jobs: config.writer_queue_jobs,
            seats: seats.clone(),
            policy: changeable.policy.clone(),
            audit: audit.clone(),
            backups: backups.clone(),
            clock: clock.clone(),
        };
        metrics.sample_with(move |metrics| looked_at.sample(metrics));
        let plan = GatePlan {
            config: config.clone(),
            changeable: changeable.clone(),
            writer: writer.handle(),
            hub,
            seats: seats.clone(),
            readiness: Arc::clone(&readiness),
            audit: audit.clone(),
            backups: backups.clone(),
            damaged: drafts::Damaged::default(),
            unheeded_proxy: unheeded_proxy.clone(),
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
                exempt: Box::new(changeable.trusts()),
            },
            metrics: Arc::clone(&metrics.net),
            clock: clock.clone(),
        };
        let front = Front::start(listener, options, readers, move |reader, mailbox| plan.build(reader, mailbox))
            .map_err(StartError::Threads)?;
        let (mut plane, mut socket_file) = (None, None);
        if let (Some(bound), Some(reader)) = (bound, plane_reader) {
            let view = PlaneView {
                config: config.clone(),
                public: front.address(),
                door: front.staff_door(),
                logs: logs.clone(),
                writer: writer.handle().view(),
                survey,
                metrics: Arc::clone(&metrics),
                seats,
                backups: backups.clone(),
                unheeded_proxy: unheeded_proxy.clone(),
                started_at: clock.now(),
                began: clock.instant(),
                clock: clock.clone(),
            };
            let endpoint = bound.listening.endpoint().map(|endpoint| endpoint.to_string());
            log::info!(address = endpoint.as_deref(), token = config.operations.token.is_some(); "ops.started");
            let token = config.operations.token.as_ref().map(|token| ops::Secret::new(token.bytes()));
            plane = Some(
                Plane::start(bound.listening, token, view.wiring(reader), clock.clone())
                    .map_err(StartError::Threads)?,
            );
            socket_file = bound.file;
        }
        log::info!(
            address = front.address().to_string(), database = config.database.display().to_string(), shards,
            connections, descriptors, version = env!("CARGO_PKG_VERSION");
            "server.started"
        );
        let excuse = Box::new(health::excuse(writer.handle().view(), audit.clone()));
        let prober = Prober::new(front.staff_door(), excuse, clock);
        let watchdog = announce(&notify, prober, serving(front.address())).map_err(StartError::Threads)?;
        let drain = config.drain;
        Ok(Self {
            front,
            plane,
            socket_file,
            housekeeper,
            writer,
            audit,
            backups,
            readiness,
            changeable,
            notify,
            watchdog,
            metrics,
            drain,
        })
    }

    /// How it goes, in a line for whoever looks after services.
    #[must_use]
    pub fn status(&self) -> String {
        serving(self.front.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Where the private plane listens, if it is on.
    #[must_use]
    pub fn private_endpoint(&self) -> Option<&Endpoint> {
        self.plane.as_ref().and_then(Plane::endpoint)
    }

    /// Follows another configuration in everything that a reload takes ([`crate::config::knobs::Knob::reloads`]), and
    /// nothing else. Requests under way finish by the rules they began with; sockets keep their limits. Returns what an
    /// operator should know.
    ///
    /// # Errors
    /// When the keys cannot be used; nothing is changed then.
    pub fn reload(&self, config: &Config) -> Result<Option<String>, KeysError> {
        self.changeable.follow(config)
    }

    /// Its backups, for whoever asks for one by hand.
    #[must_use]
    pub fn backups(&self) -> Backups {
        self.backups.clone()
    }

    /// Stops accepting, finishes what is in flight within `DRAIN_SECONDS`, commits what waits, and closes the database.
    pub fn stop(self) {
        log::info!(drain_seconds = self.drain.as_secs(); "server.stopping");
        self.notify.stopping(&format!("finishing what is under way, for at most {} s", self.drain.as_secs()));
        self.readiness.drain();
        if let Some(watchdog) = &self.watchdog {
            watchdog.leave();
        }
        self.backups.stop();
        self.front.stop(self.drain);
        if let Some(plane) = self.plane {
            plane.stop();
        }
        drop(self.socket_file);
        // With it goes a connection that would keep the files of the log from being removed.
        self.metrics.stop_sampling();
        // What it removes goes through the writer, which ends when nobody can hand in changes any more.
        self.housekeeper.stop();
        if let Some(audit) = &self.audit {
            audit::upkeep::last_flush(audit, &self.writer.handle());
        }
        self.notify.status("closing the database");
        self.writer.stop();
        if let Some(watchdog) = self.watchdog {
            watchdog.stop();
        }
        log::info!("server.stopped");
    }
}

/// Makes a test write by way of all shards, tells the service manager that the start is over, and has it told from now on
/// that all is well. A server that takes no changes has started all the same: it can be read from.
fn announce(notify: &Notify, mut prober: Prober, serving: String) -> std::io::Result<Option<Watchdog>> {
    if !notify.is_heard() {
        return Ok(None);
    }
    match prober.round(START_PROBE_PATIENCE) {
        Finding::Ready => notify.ready(&serving),
        Finding::Excused(why) | Finding::Stuck(why) => {
            log::warn!(reason = why; "server.started_not_ready");
            notify.ready(&format!("{serving}, but not ready: {why}"));
        }
    }
    Watchdog::start(notify, prober, serving)
}

fn serving(address: SocketAddr) -> String {
    format!("serving on {address}")
}

/// Binds the private plane's place.
fn listen_privately(endpoint: &Endpoint) -> Result<Bound, StartError> {
    Listening::bind(endpoint).map_err(|source| StartError::ListenPrivately { endpoint: endpoint.clone(), source })
}

/// All that is needed to build a shard's gate on the shard's own thread.
struct GatePlan {
    config: Config,
    changeable: Changeable,
    writer: WriterHandle,
    hub: Arc<Hub>,
    seats: Seats,
    readiness: Arc<Readiness>,
    audit: Option<Audit>,
    backups: Backups,
    damaged: drafts::Damaged,
    unheeded_proxy: UnheededProxy,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl GatePlan {
    fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> Gate {
        let config = &self.config;
        let reader = Rc::new(reader);
        let mut routes = Routes::counted_by(Arc::clone(&self.metrics.http));
        let health = health::Sources {
            reader: Rc::clone(&reader),
            writer: self.writer.clone(),
            readiness: Arc::clone(&self.readiness),
            audit: self.audit.clone(),
            backups: self.backups.clone(),
            clock: self.clock.clone(),
        };
        health::routes(&mut routes, health);
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
            options: self.changeable.sockets.clone(),
            metrics: Arc::clone(&self.metrics.sockets),
            clock: self.clock.clone(),
        };
        drafts::socket::route(&mut routes, watches);
        let (damaged, audit, counted) = (self.damaged.clone(), self.audit.clone(), Arc::clone(&self.metrics.drafts));
        drafts::routes(&mut routes, reader, damaged, options, audit, counted, self.clock.clone());
        Gate {
            routes,
            policy: self.changeable.policy.follow(),
            body_bytes: config.connections.body_bytes,
            unheeded_proxy: self.unheeded_proxy.clone(),
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

/// How often who may ask, if that is limited. What was counted so far goes on to count.
fn limiter(config: &Config, counted: Option<&Limiter>, clock: &Clock) -> Option<Limiter> {
    let rates = config.rates?;
    let limits = Limits {
        per_minute: rates.per_minute,
        burst: rates.burst,
        keys: rates.keys,
        standard_headers: rates.standard_headers,
    };
    let now = clock.instant();
    Some(counted.map_or_else(|| Limiter::new(limits, now), |counted| counted.with(limits, now)))
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

/// How many connections so many descriptors allow. Where they are few, half go to connections.
#[must_use]
pub fn connections_possible(descriptors: usize) -> usize {
    descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(descriptors / 2)
}

/// Connections in all: as configured, else what the descriptors allow.
fn connection_cap(configured: usize, descriptors: usize) -> usize {
    let possible = connections_possible(descriptors);
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
