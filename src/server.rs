//! Builds the platform, starts the features, and takes everything down in the opposite order.

pub(crate) mod bounds;
mod capacity;
mod database;
mod engine;
mod error;
mod excuse;
mod listeners;
mod memory;
mod platform;
mod shard;
mod timekeeping;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::feature::{Feature, Serving};
use crate::features;
use crate::gate::{self, Addresses, Policies};
use crate::hub::Batch;
use crate::net::options::{BODY_BYTES, CONNECTIONS_MAX, DRAIN, PER_ADDRESS_MAX};
use crate::net::tls::server::{Tls, exposed};
use crate::net::{Endpoint, Front, SocketFile};
use crate::observe::LogHandle;
use crate::observe::options::CLIENT_ADDRESS;
use crate::plane::{self, Plane};
use crate::settings::Settings;
use crate::store::options::DATABASE;
use crate::systemd::{Inherited, Notify, Prober, Watchdog};
use capacity::{connection_cap, raise_descriptor_limit};
use engine::Engine;
use listeners::Listeners;
pub use shard::REDIRECT;
use shard::{ShardPlan, doors, front_door, front_options, hsts, own_endpoints};
use watched::{announce, serving_on};

pub use capacity::{CONNECTIONS_DEFAULT_MAX, connections_possible};
pub use error::StartError;
pub use memory::{MemoryPart, memory_bounds};

/// A running server.
pub struct Server {
    front: Front<Batch>,
    /// The names of the other doors, in the order of the front's.
    own: Vec<&'static str>,
    plane: Option<Plane>,
    /// Those of Unix sockets, which go with the server.
    files: Vec<SocketFile>,
    engine: Engine,
    policies: Policies,
    /// That there is no private plane, though it was not left out on purpose.
    left_out: Option<String>,
    notify: Notify,
    watchdog: Option<Watchdog>,
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
        let descriptors = raise_descriptor_limit();
        let connections = connection_cap(settings.count(&CONNECTIONS_MAX), descriptors);
        let listeners =
            Listeners::open(settings, inherited, features).map_err(|error| error.of(settings.database(&DATABASE)))?;
        let tls = Tls::of(settings).map_err(StartError::Tls)?;
        let exposed = exposed(settings).map_err(StartError::Tls)?;
        let addresses = Addresses { bound: listeners.places().into(), configured: features::places };
        let (policies, warnings) = Policies::new(settings, addresses, clock.clone())?;
        let Listeners { public, redirect, own, files, private, left_out } = listeners;
        warnings.iter().chain(&exposed).chain(&left_out).for_each(|warning| log::warn!("{warning}"));

        notify.status("opening the database");
        let platform = (policies.clone(), tls.clone());
        let (engine, house, readers) = Engine::start(features, settings, platform, logs, &clock, private.is_some())?;
        let (running, shards) = (engine.running(), readers.public.len());
        let plan = ShardPlan {
            house: house.clone(),
            running: Arc::clone(running),
            own: own.iter().map(|own| (Arc::clone(&engine.features()[own.owner]), own.door)).collect(),
            leads_to: redirect.as_ref().map(|redirect| redirect.port),
            hsts: hsts(settings),
            checks: running.iter().flat_map(|running| running.checks()).collect(),
            figures: running.iter().filter_map(|running| running.figures()).collect(),
            policy: policies.policy.clone(),
            body_bytes: settings.count(&BODY_BYTES),
            log_addresses: settings.flag(&CLIENT_ADDRESS),
            places: gate::Places::new(settings.count(&PER_ADDRESS_MAX)),
            counters: Arc::new(gate::Counters::new(&house.metrics, house.traffic.clone())),
        };
        let (doors, names) = doors(front_door(public, settings, connections, &policies, tls), own, redirect);
        let options = front_options(settings, &house);
        let front = Front::start(doors, options, readers.public, move |reader, mailbox| plan.build(reader, mailbox))
            .map_err(StartError::Threads)?;
        let serving = Arc::new(Serving {
            endpoints: front.endpoints().to_vec(),
            client: front.loopback_client(),
            running: Arc::downgrade(running),
        });
        let plane = private.zip(readers.private).map(|(bound, reader)| {
            let parts = plane::Parts { reader, writer: house.writer.clone(), clock: clock.clone() };
            Plane::start(bound, settings, parts, serving)
        });
        let plane = plane.transpose().map_err(StartError::Threads)?;
        log::info!(
            address = Endpoint::joined(front.endpoints()), database = settings.database(&DATABASE).display().to_string(),
            shards, connections, descriptors, version = crate::version::VERSION;
            "server.started"
        );
        for (door, address) in own_endpoints(&front, &names) {
            log::info!(door, address = address.to_string(); "server.door_opened");
        }
        let prober = Prober::new(front.loopback_client(), Box::new(excuse::excuse(house.writer.view().clone())), clock);
        let watchdog = announce(&notify, prober, serving_on(front.endpoints())).map_err(StartError::Threads)?;
        let drain = settings.seconds(&DRAIN);
        Ok(Self { front, own: names, plane, files, engine, policies, left_out, notify, watchdog, drain })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        self.front.endpoints()
    }

    /// Whether the addresses there and those of features speak TLS; Unix sockets never do.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.front.speaks_tls()
    }

    /// Where the other doors are, each with its name.
    pub fn own_endpoints(&self) -> impl Iterator<Item = (&'static str, &Endpoint)> {
        own_endpoints(&self.front, &self.own)
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
        let prepared =
            self.engine.running().iter().map(|running| running.prepare(settings)).collect::<Result<Vec<_>, _>>()?;
        Ok(prepared.into_iter().flatten().filter_map(|replace| replace()).collect())
    }

    /// Has every part begin what it does on demand, such as a backup. Does not wait for it.
    pub fn on_demand(&self) {
        self.engine.running().iter().for_each(|running| running.on_demand());
    }

    /// Stops accepting, finishes what is in flight within `DRAIN_SECONDS`, commits what waits, and closes the database.
    pub fn stop(self) {
        log::info!(drain_seconds = self.drain.as_secs(); "server.stopping");
        self.notify.stopping(&format!("finishing pending requests, for at most {} s", self.drain.as_secs()));
        if let Some(watchdog) = &self.watchdog {
            watchdog.leave();
        }
        self.engine.running().iter().rev().for_each(|running| running.drain());
        self.front.stop(self.drain);
        if let Some(plane) = self.plane {
            plane.stop();
        }
        drop(self.files);
        self.engine.stop(&self.notify);
        if let Some(watchdog) = self.watchdog {
            watchdog.stop();
        }
        log::info!("server.stopped");
    }
}
