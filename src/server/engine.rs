//! What works behind the fronts: the writer, the pool, the housekeeper, and everything that runs.

use std::sync::Arc;

use super::StartError;
use super::capacity::shard_count;
use super::database::Database;
use super::platform::{Platform, start_all};
use crate::audit::{self, Audit};
use crate::clock::Clock;
use crate::feature::{Feature, FilesAt, House, Running, apis_of, files_of, schema_of, tables_of};
use crate::gate::{Policies, Revoked, Traffic, UntrustedProxy};
use crate::housekeeper::Housekeeper;
use crate::hub::{self, Hub, Seats};
use crate::net::options::SHARDS;
use crate::net::tls::server::Tls;
use crate::observe::LogHandle;
use crate::observe::metrics::{self, Metrics};
use crate::pool::{Pool, THREADS};
use crate::settings::Settings;
use crate::store::options::QUEUE_JOBS;
use crate::store::{self, Pending, Reader, Writer};
use crate::systemd::Notify;

/// What works behind the fronts.
pub(super) struct Engine {
    pool: Pool,
    writer: Writer,
    housekeeper: Housekeeper,
    /// The platform, and then the features in their order.
    running: Arc<[Arc<dyn Running>]>,
    metrics: Metrics,
}

/// Reads for the shards of the fronts.
pub(super) struct Readers {
    /// One for each shard.
    pub(super) public: Vec<Reader>,
    /// For the private plane, if there is one.
    pub(super) private: Option<Reader>,
}

impl Engine {
    /// Opens the database and starts everything that needs no front. Returns what the fronts are built on, too.
    pub(super) fn start(
        features: &[&Feature],
        settings: &Settings,
        (policies, tls): (Policies, Option<Tls>),
        logs: &LogHandle,
        clock: &Clock,
        has_plane: bool,
    ) -> Result<(Self, House, Readers), StartError> {
        let (schema, metrics) = (schema_of(features), Metrics::default());
        metrics::count_process(&metrics, store::sqlite_version(), logs.clone());
        let shards = shard_count(settings.count(&SHARDS));
        let files: Arc<[FilesAt]> = files_of(features, settings).into();
        let mut before = |pending: &Pending<'_>| {
            let mut each = features.iter().filter_map(|feature| feature.before_migration);
            each.try_for_each(|before| before(settings, &schema, &files, pending, clock))
        };
        let Database { mut store, readers, housekeeping_reader, plane_reader, more_readers, survey } =
            Database::open(settings, &schema, &mut before, &metrics, shards, has_plane)?;
        let timekeeper = store.keep_time(clock.clone());
        let hub = Arc::new(Hub::new(clock.clone()));
        let writer = Writer::start(store, settings.count(&QUEUE_JOBS), Arc::clone(&hub) as _, clock.clone())
            .map_err(StartError::Threads)?;
        let pool = Pool::start("blocking", settings.count(&THREADS));
        pool.handle().show(&metrics);
        let house = House {
            revoked: Revoked::default(),
            tickets: policies.tickets.clone(),
            writer: writer.handle(),
            readers: more_readers,
            pool: pool.handle(),
            hub,
            sockets: Arc::new(hub::Counters::new(&metrics)),
            seats: Seats::default(),
            audit: Audit::of(settings),
            schema,
            tables: tables_of(features).into(),
            erasers: features.iter().filter_map(|feature| feature.erase).collect(),
            apis: apis_of(features).into(),
            files: Arc::clone(&files),
            survey,
            untrusted_proxy: UntrustedProxy::default(),
            traffic: Traffic::new(clock.instant()),
            logs: logs.clone(),
            metrics: metrics.clone(),
            timekeeper,
            clock: clock.clone(),
        };
        // Before anything can be changed.
        let marked = audit::marking::record(&house.writer, house.audit.as_ref());
        let platform = Arc::new(Platform::new(settings, &house, policies, marked, tls));
        let running = start_all(features, settings, &house, Arc::clone(&platform))?;
        let tasks = platform.tasks_of(Arc::clone(&running), housekeeping_reader);
        let housekeeper = Housekeeper::start(tasks, clock.clone()).map_err(StartError::Threads)?;
        let readers = Readers { public: readers, private: plane_reader };
        Ok((Self { pool, writer, housekeeper, running, metrics }, house, readers))
    }

    /// The platform, and then the features in their order.
    pub(super) fn running(&self) -> &Arc<[Arc<dyn Running>]> {
        &self.running
    }

    /// The features alone, in their order.
    pub(super) fn features(&self) -> &[Arc<dyn Running>] {
        // The platform is first, see `start_all`.
        self.running.get(1..).unwrap_or_default()
    }

    /// Commits what waits and closes the database; the fronts have stopped.
    pub(super) fn stop(self, notify: &Notify) {
        self.pool.stop();
        // With it goes a connection that would keep the files of the log from being removed.
        self.metrics.stop_sampling();
        self.housekeeper.stop();
        self.running.iter().rev().for_each(|running| running.stop());
        // The writer ends when nobody can hand in changes any more.
        drop(self.running);
        notify.status("closing the database");
        self.writer.stop();
    }
}
