//! Live rooms as a feature of the house.

use std::rc::Rc;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::counters::{self, Counters, Figures, Gauges};
use super::desk::{self, DeskThread};
use super::live::UNSAVED_MAX_MESSAGES;
use super::options::{self, ENABLED, LOADED_MAX_ROOMS, Options, Times};
use super::refusals::Refusals;
use super::registry::Registry;
use super::retention;
use super::shared::Shared;
use super::signal_socket::{self, Signalling};
use super::socket::Rooms as ShardRooms;
use super::verbs::Verb;
use super::{bounds, doctor, erase, newer, operator, owners, routes, smoke};
use crate::feature::verb::Verbs;
use crate::feature::{self, Feature, House, OwnDoor, Replacement, Running, Serving, ShardParts, StartError};
use crate::gate::{Live, Routes};
use crate::housekeeper::{self, Task};
use crate::hub::Seats;
use crate::settings::Settings;
use crate::store::Reader;

/// Documents that people edit together, live.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    mistakes: |settings| options::original(settings).err().into_iter().collect(),
    open: |settings| {
        let is_open = settings.flag(&options::ENABLED) && !options::requires_token(settings);
        // Who has said so knows.
        (is_open && !settings.of(&options::REQUIRE_TOKEN).origin.is_given()).then_some(
            "anyone can read and write every room: set JWT_SECRET, or ROOMS_ENABLED=false, or ROOMS_REQUIRE_TOKEN=false if \
             intended, or listen on 127.0.0.1",
        )
    },
    counters: counters::ROWS,
    bounds: bounds::BOUNDS,
    routes: &[&routes::SOCKETS, &owners::ROUTES, &[signal_socket::ROUTE]],
    doors: &[OwnDoor { name: DOOR, knob: &options::ADDR, places: options::places }],
    operator: &operator::ROUTES,
    erase: Some(erase::erase),
    schema: super::MIGRATIONS,
    counted: &["rooms"],
    memory,
    newer: Some(newer::newer),
    verbs: Some(Verbs::of::<Verb>()),
    doctor: doctor::doctor,
    smoke: smoke::smoke,
    ..Feature::new("rooms", start)
};

/// The name of the door that rooms may have to themselves.
const DOOR: &str = "rooms";

/// What waits for the disk, and what is loaded. How large all rooms together may become nobody has bounded: one room is.
fn memory(settings: &Settings, _: u64) -> u64 {
    (UNSAVED_MAX_MESSAGES * settings.count(&options::MESSAGE_BYTES) + 3 * settings.count(&options::DOCUMENT_BYTES))
        as u64
}

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let (errands, waiting) = desk::errands();
    let shared = Arc::new(Shared {
        options: Live::new(Options::of(settings)),
        times: Times::of(settings),
        errands: errands.clone(),
        seats: Seats::default(),
        refusals: Mutex::new(Refusals::default()),
        makers: Mutex::default(),
        counters: Counters::new(&house.metrics),
        house: house.clone(),
    });
    let registry = Arc::new(Registry::new(&shared));
    let is_on = settings.flag(&ENABLED);
    let desk = is_on.then(|| {
        let registry = Arc::clone(&registry);
        DeskThread::start(&errands, waiting, house.readers.clone(), house.clock.clone(), move || registry.look_after())
    });
    let desk = desk.transpose()?;
    // Weakly, as the figures outlive the rooms at the stop.
    let (gauges, looked_at) = (Gauges::new(&house.metrics), Arc::downgrade(&registry));
    house.metrics.sample_with(move || {
        if let Some(registry) = Weak::upgrade(&looked_at) {
            gauges.set(&registry.figures());
        }
    });
    let signalling = is_on.then(|| Signalling::new(settings, house));
    Ok(Arc::new(Rooms {
        shared,
        registry,
        desk: Mutex::new(desk),
        signalling,
        retention_days: settings.small(&options::RETENTION_DAYS),
        every: settings.seconds(&housekeeper::EVERY),
    }))
}

struct Rooms {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    /// Until the stop; none if there are no rooms.
    desk: Mutex<Option<DeskThread>>,
    signalling: Option<Signalling>,
    retention_days: u32,
    every: std::time::Duration,
}

impl Rooms {
    fn of_shard(&self, shard: &ShardParts) -> Rc<ShardRooms> {
        let (registry, shared) = (Arc::clone(&self.registry), Arc::clone(&self.shared));
        Rc::new(ShardRooms { parts: shard.clone(), registry, shared })
    }
}

impl Running for Rooms {
    fn routes(&self, shard: &ShardParts, to: &mut Routes) {
        let Some(signalling) = &self.signalling else { return };
        routes::add(to, &self.of_shard(shard));
        signal_socket::route(to, shard.clone(), signalling.clone());
    }

    fn door_routes(&self, _: &str, shard: &ShardParts, to: &mut Routes) {
        let Some(signalling) = &self.signalling else { return };
        routes::add_own(to, &self.of_shard(shard));
        signal_socket::route(to, shard.clone(), signalling.clone());
    }

    fn operator(&self, shard: &ShardParts, _: &Arc<Serving>, to: &mut Routes) {
        operator::add(to, &self.of_shard(shard));
    }

    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        // While rooms are off nobody can use them: that they are not used then does not make them old.
        if self.signalling.is_none() {
            return Vec::new();
        }
        retention::task(&self.shared.house, &self.registry, reader, self.retention_days, self.every)
            .into_iter()
            .collect()
    }

    /// Those of `/health` at the door of their own (contract 03 §1.4).
    fn figures(&self) -> Option<feature::Figures> {
        self.signalling.as_ref()?;
        let registry = Arc::clone(&self.registry);
        Some(Box::new(move || {
            let Figures { rooms, sockets, .. } = registry.figures();
            Map::from_iter([("rooms".to_owned(), rooms.into()), ("connections".to_owned(), sockets.into())])
        }))
    }

    fn card(&self) -> Option<(&'static str, Value)> {
        let seen = self.registry.seen();
        let mut largest: Vec<_> = seen.iter().collect();
        largest.sort_by_key(|room| std::cmp::Reverse(room.bytes));
        let largest: Vec<Value> = largest
            .iter()
            .take(5)
            .map(|room| json!({ "name": room.name.as_str(), "bytes": room.bytes, "sockets": room.sockets }))
            .collect();
        let read_only: Vec<Value> = seen
            .iter()
            .filter_map(|room| Some(json!({ "name": room.name.as_str(), "reason": room.read_only.as_deref()? })))
            .collect();
        let Figures { sockets, json_sockets, .. } = self.registry.figures();
        Some((
            "rooms",
            json!({
                "loaded": seen.len(),
                "loaded_max": LOADED_MAX_ROOMS,
                "sockets": sockets,
                "json_sockets": json_sockets,
                "updates": self.shared.counters.updates.new.get(),
                "largest": largest,
                "quarantined": read_only,
            }),
        ))
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (shared, new) = (Arc::clone(&self.shared), Options::of(settings));
        let signalling = self.signalling.clone().map(|signalling| signalling.prepare(settings));
        Ok(Some(Box::new(move || {
            shared.options.replace(new);
            if let Some(replace) = signalling {
                replace();
            }
            None
        })))
    }

    fn stop(&self) {
        if let Some(desk) = self.desk.lock().take() {
            desk.stop();
        }
        // With them goes the last way to hand anything in.
        self.registry.clear();
    }
}
