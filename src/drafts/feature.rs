//! Drafts as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;

use super::counters::{self, Counters};
use super::options::{self, Options, SocketOptions};
use super::{Damaged, Watches, error, retention, routes, socket, spent_keys};
use crate::feature::{Feature, House, Replacement, Running, ShardParts, StartError};
use crate::gate::{Live, Routes};
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::Reader;

/// Drafts written in turn.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    counters: counters::ROWS,
    codes: error::CODES,
    schema: super::MIGRATIONS,
    ..Feature::new("drafts", start)
};

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    counters::show_rooms(&house.metrics, house.seats.clone());
    Ok(Arc::new(Drafts {
        options: Options::of(settings),
        sockets: Live::new(SocketOptions::of(settings)),
        every: settings.seconds(&housekeeper::EVERY),
        damaged: Damaged::default(),
        counters: Arc::new(Counters::new(&house.metrics)),
        house: house.clone(),
    }))
}

/// What the shards share.
struct Drafts {
    options: Options,
    /// For sockets that are opened from now on.
    sockets: Live<SocketOptions>,
    every: std::time::Duration,
    damaged: Damaged,
    counters: Arc<Counters>,
    house: House,
}

impl Running for Drafts {
    fn routes(&self, shard: &ShardParts, routes: &mut Routes) {
        let house = &self.house;
        let watches = Watches {
            reader: Rc::clone(&shard.reader),
            hub: Arc::clone(&house.hub),
            topics: Rc::clone(&shard.topics),
            mailbox: Arc::clone(&shard.mailbox),
            seats: house.seats.clone(),
            options: self.sockets.clone(),
            sockets: Arc::clone(&house.sockets),
            metrics: Arc::clone(&self.counters),
            clock: house.clock.clone(),
        };
        socket::route(routes, watches);
        routes::routes(
            routes,
            shard.clone(),
            self.damaged.clone(),
            self.options,
            house.audit.clone(),
            Arc::clone(&self.counters),
            house.clock.clone(),
        );
    }

    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        let writer = || self.house.writer.clone();
        vec![
            retention::task(Rc::clone(reader), writer(), self.options.events_kept, self.every),
            spent_keys::task(Rc::clone(reader), writer(), self.every, self.house.clock.clone()),
        ]
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (sockets, options) = (self.sockets.clone(), SocketOptions::of(settings));
        Ok(Some(Box::new(move || {
            sockets.replace(options);
            None
        })))
    }
}
