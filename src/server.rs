//! Builds the parts in order, and takes them down in the opposite one.

mod capacity;
mod chores;
mod gates;
mod listeners;
mod plane;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::options::{ENABLED, SAMPLE_RATE};
use crate::audit::{self, Audit};
use crate::backup::{self, Backups};
use crate::clock::Clock;
use crate::drafts;
use crate::gate::{self, KeysError, UntrustedProxy};
use crate::health::counters::Ready;
use crate::health::{self, Readiness};
use crate::housekeeper::Housekeeper;
use crate::hub::{self, Batch, Hub, Seats};
use crate::net::options::{CONNECTIONS_MAX, DRAIN, PER_ADDRESS_MAX, SHARDS};
use crate::net::side_door::SocketFile;
use crate::net::{self, Caps, Endpoint, Front};
use crate::observe::LogHandle;
use crate::observe::metrics::{self, Metrics};
use crate::ops::options::{METRICS_PUBLIC, TOKEN};
use crate::ops::{self, Plane};
use crate::settings::Settings;
use crate::store::options::{COMMIT_TIMEOUT, DATABASE, QUEUE_JOBS, RESERVE};
use crate::store::{self, OpenError, Writer};
use crate::systemd::{Finding, Inherited, Notify, Prober, Watchdog};
use capacity::{connection_cap, raise_descriptor_limit, shard_count};
use chores::Chores;
use gates::{Counters, GatePlan};
use listeners::Listeners;
use plane::PlaneView;
use reload::LiveConfig;

pub use capacity::{CONNECTIONS_DEFAULT_MAX, connections_possible};

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
    live: LiveConfig,
    notify: Notify,
    watchdog: Option<Watchdog>,
    metrics: Metrics,
    drain: Duration,
}

impl Server {
    /// Starts everything; when it returns, the address answers, and who is to be notified has been. What was `inherited` is
    /// listened on instead of what is configured; `logs` counts the log lines of the process.
    ///
    /// # Errors
    /// When the database, the address or the system is not as needed.
    pub fn start(
        settings: &Settings,
        inherited: Inherited,
        notify: Notify,
        logs: &LogHandle,
    ) -> Result<Self, StartError> {
        let clock = Clock::system();
        let metrics = Metrics::default();
        metrics::count_process(&metrics, store::sqlite_version(), clock.now(), logs.clone());
        let shards = shard_count(settings.count(&SHARDS));
        let descriptors = raise_descriptor_limit();
        let connections = connection_cap(settings.count(&CONNECTIONS_MAX), descriptors);
        let Listeners { public, private } = Listeners::open(settings, inherited)?;

        let (live, warning) = LiveConfig::new(settings, clock.clone())?;
        warning.iter().for_each(|warning| log::warn!("{warning}"));

        notify.status("opening the database");
        let mut store = store::open(settings.database(&DATABASE))?;
        store.keep_reserve(settings.count(&RESERVE) as u64);
        store.count_by(Arc::new(store::Counters::new(&metrics)));
        let readers = (0..shards).map(|_| store.reader()).collect::<Result<Vec<_>, OpenError>>()?;
        let housekeeping_reader = store.reader()?;
        let plane_reader = private.is_some().then(|| store.reader()).transpose()?;
        // Where nobody can ask for figures, nothing is kept open to look at them.
        let is_asked = private.is_some() || settings.flag(&METRICS_PUBLIC);
        let survey = is_asked.then(|| store.survey()).transpose()?.map(Arc::new);
        let hub = Arc::new(Hub::new(clock.clone()));
        let writer = Writer::start(store, settings.count(&QUEUE_JOBS), Arc::clone(&hub) as _, clock.clone())
            .map_err(StartError::Threads)?;

        let audit = settings.flag(&ENABLED).then(|| Audit::new(settings.fraction(&SAMPLE_RATE).as_f64()));
        let backups = Backups::new(writer.handle(), backup::Options::of(settings), clock.clone());
        let chores = Chores {
            settings: settings.clone(),
            writer: writer.handle(),
            policies: live.policies.clone(),
            audit: audit.clone(),
            backups: backups.clone(),
            clock: clock.clone(),
        };
        let housekeeper = Housekeeper::start(move || chores.tasks(housekeeping_reader), clock.clone());
        let housekeeper = housekeeper.map_err(StartError::Threads)?;

        let readiness = Arc::new(Readiness::counted_by(Arc::new(Ready::new(&metrics))));
        let (seats, untrusted_proxy) = (Seats::default(), UntrustedProxy::default());
        let counters = Counters {
            http: Arc::new(gate::Counters::new(&metrics)),
            sockets: Arc::new(hub::Counters::new(&metrics)),
            drafts: Arc::new(drafts::Counters::new(&metrics)),
        };
        if let Some(survey) = survey.clone() {
            store::counters::show(&metrics, survey, settings.count(&QUEUE_JOBS));
            seats.show(&metrics);
            drafts::counters::show_rooms(&metrics, seats.clone());
            live.policies.show(&metrics);
            backups.show(&metrics);
            if let Some(audit) = &audit {
                audit.show(&metrics);
            }
        }
        let plan = GatePlan {
            settings: settings.clone(),
            live: live.clone(),
            writer: writer.handle(),
            hub,
            seats: seats.clone(),
            readiness: Arc::clone(&readiness),
            audit: audit.clone(),
            backups: backups.clone(),
            damaged: drafts::Damaged::default(),
            untrusted_proxy: untrusted_proxy.clone(),
            counters,
            metrics: metrics.clone(),
            clock: clock.clone(),
        };
        let options = front_options(settings, connections, &live, &metrics, &clock);
        let front = Front::start(public, options, readers, move |reader, mailbox| plan.build(reader, mailbox))
            .map_err(StartError::Threads)?;
        let (mut plane, mut socket_file) = (None, None);
        if let (Some(bound), Some(reader), Some(survey)) = (private, plane_reader, survey) {
            let view = PlaneView {
                settings: settings.clone(),
                public: front.address(),
                client: front.loopback_client(),
                logs: logs.clone(),
                writer: writer.handle().view(),
                survey,
                metrics: metrics.clone(),
                seats,
                backups: backups.clone(),
                untrusted_proxy: untrusted_proxy.clone(),
                started_at: clock.now(),
                began: clock.instant(),
                clock: clock.clone(),
            };
            let endpoint = bound.listening.endpoint().map(|endpoint| endpoint.to_string());
            log::info!(address = endpoint.as_deref(), token = settings.text(&TOKEN).is_some(); "ops.started");
            let token = settings.secret(&TOKEN).map(|token| ops::Secret::new(token.bytes()));
            plane = Some(
                Plane::start(bound.listening, token, view.wiring(reader), clock.clone())
                    .map_err(StartError::Threads)?,
            );
            socket_file = bound.file;
        }
        log::info!(
            address = front.address().to_string(), database = settings.database(&DATABASE).display().to_string(), shards,
            connections, descriptors, version = env!("CARGO_PKG_VERSION");
            "server.started"
        );
        let excuse = Box::new(health::excuse(writer.handle().view(), audit.clone()));
        let prober = Prober::new(front.loopback_client(), excuse, clock);
        let watchdog = announce(&notify, prober, serving(front.address())).map_err(StartError::Threads)?;
        let drain = settings.seconds(&DRAIN);
        Ok(Self {
            front,
            plane,
            socket_file,
            housekeeper,
            writer,
            audit,
            backups,
            readiness,
            live,
            notify,
            watchdog,
            metrics,
            drain,
        })
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

    /// Follows another configuration in everything that a reload takes ([`crate::settings::Knob::reloads`]), and
    /// nothing else. Requests under way finish by the rules they began with; sockets keep their limits. Returns what an
    /// operator should know.
    ///
    /// # Errors
    /// When the keys cannot be used; nothing is changed then.
    pub fn reload(&self, settings: &Settings) -> Result<Option<String>, KeysError> {
        self.live.follow(settings)
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
    let finding = prober.round(START_PROBE_PATIENCE);
    match &finding {
        Finding::Ready => notify.ready(&serving),
        Finding::Excused(why) | Finding::Stuck(why) => {
            log::warn!(reason = why; "server.started_not_ready");
            notify.ready(&format!("{serving}, but not ready: {why}"));
        }
    }
    Watchdog::start(notify, prober, serving, finding)
}

fn serving(address: SocketAddr) -> String {
    format!("serving on {address}")
}

/// How connections are treated.
fn front_options(
    settings: &Settings,
    connections: usize,
    live: &LiveConfig,
    metrics: &Metrics,
    clock: &Clock,
) -> net::Options {
    net::Options {
        limits: net::Limits::of(settings),
        timeouts: net::Timeouts::of(settings, settings.seconds(&COMMIT_TIMEOUT)),
        caps: Caps {
            connections,
            per_address: settings.count(&PER_ADDRESS_MAX),
            exempt: Box::new(live.policies.trusts()),
        },
        metrics: Arc::new(net::Counters::new(metrics)),
        clock: clock.clone(),
    }
}
