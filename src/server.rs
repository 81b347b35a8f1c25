//! Builds the platform, starts the features, and takes everything down in the opposite order.

pub(crate) mod bounds;
mod capacity;
mod database;
mod error;
mod excuse;
mod listeners;
mod platform;
mod shard;
mod timekeeping;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::feature::{Feature, House, Running, Serving, schema_of, tables_of};
use crate::gate::{self, Policies, UntrustedProxy};
use crate::housekeeper::Housekeeper;
use crate::hub::{self, Batch, Hub, Seats};
use crate::net::options::{BODY_BYTES, CONNECTIONS_MAX, DRAIN, PER_ADDRESS_MAX, SHARDS};
use crate::net::{Endpoint, Front, Listener, SocketFile};
use crate::observe::LogHandle;
use crate::observe::metrics::{self, Metrics};
use crate::plane::{self, Plane};
use crate::pool::{Pool, THREADS};
use crate::settings::Settings;
use crate::store::options::{DATABASE, QUEUE_JOBS};
use crate::store::{self, Writer};
use crate::systemd::{Inherited, Notify, Prober, Watchdog};
use capacity::{connection_cap, raise_descriptor_limit, shard_count};
use database::Database;
use listeners::Listeners;
use platform::{Platform, start_all};
use shard::{ShardPlan, front_door, front_options};
use watched::{announce, serving_on};

pub use capacity::{CONNECTIONS_DEFAULT_MAX, connections_possible};
pub use error::StartError;

/// A running server.
pub struct Server {
    front: Front<Batch>,
    pool: Pool,
    plane: Option<Plane>,
    /// Those of Unix sockets, which go with the server.
    files: Vec<SocketFile>,
    housekeeper: Housekeeper,
    writer: Writer,
    policies: Policies,
    /// That there is no private plane, though it was not left out on purpose.
    left_out: Option<String>,
    /// The platform, and then the features in their order.
    running: Arc<[Arc<dyn Running>]>,
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
        features: &[&Feature],
        settings: &Settings,
        inherited: Inherited,
        notify: Notify,
        logs: &LogHandle,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::default();
        metrics::count_process(&metrics, store::sqlite_version(), logs.clone());
        let shards = shard_count(settings.count(&SHARDS));
        let descriptors = raise_descriptor_limit();
        let connections = connection_cap(settings.count(&CONNECTIONS_MAX), descriptors);
        let Listeners { public, files, private, left_out } = Listeners::open(settings, inherited)?;
        let places = public.iter().filter_map(Listener::endpoint).collect();
        let (policies, warnings) = Policies::new(settings, places, clock.clone())?;
        warnings.iter().chain(&left_out).for_each(|warning| log::warn!("{warning}"));

        notify.status("opening the database");
        let schema = schema_of(features);
        let Database { mut store, readers, housekeeping_reader, plane_reader, survey } =
            Database::open(settings, &schema, &metrics, shards, private.is_some())?;
        let timekeeper = store.keep_time(clock.clone());
        let hub = Arc::new(Hub::new(clock.clone()));
        let writer = Writer::start(store, settings.count(&QUEUE_JOBS), Arc::clone(&hub) as _, clock.clone())
            .map_err(StartError::Threads)?;
        let pool = Pool::start("blocking", settings.count(&THREADS));
        pool.handle().show(&metrics);
        let house = House {
            writer: writer.handle(),
            pool: pool.handle(),
            hub,
            sockets: Arc::new(hub::Counters::new(&metrics)),
            seats: Seats::default(),
            audit: Audit::of(settings),
            schema,
            tables: tables_of(features).into(),
            survey,
            untrusted_proxy: UntrustedProxy::default(),
            logs: logs.clone(),
            metrics: metrics.clone(),
            timekeeper,
            clock: clock.clone(),
        };
        let platform = Arc::new(Platform::new(settings, &house, policies.clone()));
        let running = start_all(features, settings, &house, Arc::clone(&platform))?;
        let tasks = platform.tasks_of(Arc::clone(&running), housekeeping_reader);
        let housekeeper = Housekeeper::start(tasks, clock.clone()).map_err(StartError::Threads)?;

        let plan = ShardPlan {
            house: house.clone(),
            running: Arc::clone(&running),
            checks: running.iter().flat_map(|running| running.checks()).collect(),
            policy: policies.policy.clone(),
            body_bytes: settings.count(&BODY_BYTES),
            places: gate::Places::new(settings.count(&PER_ADDRESS_MAX)),
            counters: Arc::new(gate::Counters::new(&metrics)),
        };
        let doors = vec![front_door(public, settings, connections, &policies)];
        let options = front_options(settings, pool.handle(), &metrics, &clock);
        let front = Front::start(doors, options, readers, move |reader, mailbox| plan.build(reader, mailbox))
            .map_err(StartError::Threads)?;
        let serving = Arc::new(Serving {
            endpoints: front.endpoints().to_vec(),
            client: front.loopback_client(),
            running: Arc::downgrade(&running),
        });
        let plane = private.zip(plane_reader).map(|(bound, reader)| {
            let parts = plane::Parts { reader, writer: writer.handle(), clock: clock.clone() };
            Plane::start(bound, settings, parts, serving)
        });
        let plane = plane.transpose().map_err(StartError::Threads)?;
        log::info!(
            address = Endpoint::joined(front.endpoints()), database = settings.database(&DATABASE).display().to_string(),
            shards, connections, descriptors, version = env!("CARGO_PKG_VERSION");
            "server.started"
        );
        let prober =
            Prober::new(front.loopback_client(), Box::new(excuse::excuse(writer.handle().view().clone())), clock);
        let watchdog = announce(&notify, prober, serving_on(front.endpoints())).map_err(StartError::Threads)?;
        let drain = settings.seconds(&DRAIN);
        Ok(Self {
            front,
            pool,
            plane,
            files,
            housekeeper,
            writer,
            policies,
            left_out,
            running,
            notify,
            watchdog,
            metrics,
            drain,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        self.front.endpoints()
    }

    /// What an operator has to know at once: who may claim any name, and that there is no private plane.
    pub fn cautions(&self) -> impl Iterator<Item = String> {
        self.policies.policy.now().caution.clone().into_iter().chain(self.left_out.clone())
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
    /// What is wrong with it, in a sentence; nothing is changed then.
    pub fn reload(&self, settings: &Settings) -> Result<Vec<String>, String> {
        let prepared = self.running.iter().map(|running| running.prepare(settings)).collect::<Result<Vec<_>, _>>()?;
        Ok(prepared.into_iter().flatten().filter_map(|replace| replace()).collect())
    }

    /// Has every part begin what it does on demand, such as a backup. Does not wait for it.
    pub fn on_demand(&self) {
        self.running.iter().for_each(|running| running.on_demand());
    }

    /// Stops accepting, finishes what is in flight within `DRAIN_SECONDS`, commits what waits, and closes the database.
    pub fn stop(self) {
        log::info!(drain_seconds = self.drain.as_secs(); "server.stopping");
        self.notify.stopping(&format!("finishing what is under way, for at most {} s", self.drain.as_secs()));
        if let Some(watchdog) = &self.watchdog {
            watchdog.leave();
        }
        self.running.iter().rev().for_each(|running| running.drain());
        self.front.stop(self.drain);
        if let Some(plane) = self.plane {
            plane.stop();
        }
        self.pool.stop();
        drop(self.files);
        // With it goes a connection that would keep the files of the log from being removed.
        self.metrics.stop_sampling();
        self.housekeeper.stop();
        self.running.iter().rev().for_each(|running| running.stop());
        // The writer ends when nobody can hand in changes any more.
        drop(self.running);
        self.notify.status("closing the database");
        self.writer.stop();
        if let Some(watchdog) = self.watchdog {
            watchdog.stop();
        }
        log::info!("server.stopped");
    }
}
