//! The gate of each shard: routes, and what their handlers work with.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::reload::LiveConfig;
use crate::audit::Audit;
use crate::backup::Backups;
use crate::clock::Clock;
use crate::drafts;
use crate::gate::{self, Gate, Routes, UntrustedProxy};
use crate::health::{self, Readiness};
use crate::hub::{self, Hub, Mailbox, Seats, Topics};
use crate::net::options::BODY_BYTES;
use crate::observe::metrics::Metrics;
use crate::ops::options::METRICS_PUBLIC;
use crate::settings::Settings;
use crate::store::{Reader, WriterHandle};

/// What the shards count on.
#[derive(Clone)]
pub(super) struct Counters {
    pub(super) http: Arc<gate::Counters>,
    pub(super) sockets: Arc<hub::Counters>,
    pub(super) drafts: Arc<drafts::Counters>,
}

/// All that is needed to build a shard's gate and topics on the shard's own thread.
pub(super) struct GatePlan {
    pub(super) settings: Settings,
    pub(super) live: LiveConfig,
    pub(super) writer: WriterHandle,
    pub(super) hub: Arc<Hub>,
    pub(super) seats: Seats,
    pub(super) readiness: Arc<Readiness>,
    pub(super) audit: Option<Audit>,
    pub(super) backups: Backups,
    pub(super) damaged: drafts::Damaged,
    pub(super) untrusted_proxy: UntrustedProxy,
    pub(super) counters: Counters,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
}

impl GatePlan {
    pub(super) fn build(&self, reader: Reader, mailbox: Arc<Mailbox>) -> (Gate, Rc<RefCell<Topics>>) {
        let settings = &self.settings;
        let reader = Rc::new(reader);
        let mut routes = Routes::counted_by(Arc::clone(&self.counters.http));
        let health = health::Health {
            reader: Rc::clone(&reader),
            writer: self.writer.clone(),
            readiness: Arc::clone(&self.readiness),
            audit: self.audit.clone(),
            backups: self.backups.clone(),
            clock: self.clock.clone(),
        };
        health::routes(&mut routes, health);
        if settings.flag(&METRICS_PUBLIC) {
            health::metrics(&mut routes, self.metrics.clone());
        }
        let options = drafts::Options::of(settings);
        let topics = Topics::new(&mailbox, self.counters.sockets.deliveries(), self.clock.clone());
        let topics = Rc::new(RefCell::new(topics));
        let watches = drafts::Watches {
            reader: Rc::clone(&reader),
            hub: Arc::clone(&self.hub),
            topics: Rc::clone(&topics),
            mailbox: Arc::clone(&mailbox),
            seats: self.seats.clone(),
            options: self.live.sockets.clone(),
            sockets: Arc::clone(&self.counters.sockets),
            metrics: Arc::clone(&self.counters.drafts),
            clock: self.clock.clone(),
        };
        drafts::socket::route(&mut routes, watches);
        let (damaged, audit, counted) = (self.damaged.clone(), self.audit.clone(), Arc::clone(&self.counters.drafts));
        drafts::routes(&mut routes, reader, damaged, options, audit, counted, self.clock.clone());
        let gate = Gate {
            routes,
            policy: self.live.policies.policy.follow(),
            body_bytes: settings.count(&BODY_BYTES),
            untrusted_proxy: self.untrusted_proxy.clone(),
            writer: self.writer.clone(),
            mailbox,
            clock: self.clock.clone(),
        };
        (gate, topics)
    }
}
