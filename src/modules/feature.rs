//! The modules as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::access::door::Door;
use super::access::password;
use super::calendar::Turns;
use super::counters::{self, Counters};
use super::desk::{Desk, Shared};
use super::gallery::Gallery;
use super::limits::{CLIENTS_MAX, Limits};
use super::listeners::Listeners;
use super::options::{self, CHAT, ENABLED, PARTICIPANT_KEY};
use super::participant::door::KeyDoor;
use super::records::pages::PAGES_KEPT_MAX_BYTES;
use super::states::States;
use super::{
    all_kinds, bounds, calendar, ci, doctor, errors, gallery, kazkar, listening, malya, nastrij, openapi, participant,
    podija, records, registry, session, smoke, status, verbs,
};
use crate::feature::verb::Verbs;
use crate::feature::{Check, Feature, Figures, House, OutputDirectory, Replacement, Running, ShardParts, StartError};
use crate::gate::Routes;
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::Reader;

/// A household's seven modules.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    mistakes,
    writes: |settings| {
        let is_kept = settings.flag(&ENABLED);
        let path = settings.path(&options::GALLERY_DIR).filter(|_| is_kept);
        let directory = |path| OutputDirectory { knob: &options::GALLERY_DIR, path, is_needed: true };
        path.map(directory).into_iter().collect()
    },
    open: |settings| {
        let is_open =
            settings.flag(&options::ENABLED) && !settings.production() && settings.text(&options::PASSWORD).is_none();
        is_open.then_some(
            "anyone can read and change the household's records: set HOUSEHOLD_PASSWORD, or MODULES_ENABLED=false, or listen \
             on 127.0.0.1",
        )
    },
    counters: counters::ROWS,
    bounds: bounds::BOUNDS,
    codes: errors::CODES,
    routes: &[
        &registry::ROUTES,
        &ci::documents::ROUTES,
        &ci::routes::ROUTES,
        &ci::talk::ROUTES,
        &nastrij::ROUTES,
        &podija::ROUTES,
        &malya::ROUTES,
        &participant::ROUTES,
        &records::ROUTES,
        &kazkar::ROUTES,
        &listening::ROUTES,
        &all_kinds::ROUTES,
        &session::ROUTES,
        &status::ROUTES,
        &calendar::ROUTES,
        &gallery::ROUTES,
    ],
    describe: openapi::describe,
    schemas: openapi::schemas,
    schema: super::MIGRATIONS,
    counted: &["records"],
    files: &[gallery::FILES],
    memory: |settings, shards| {
        let clients = Limits::memory_max(settings.small(&options::PER_HOUR), CLIENTS_MAX);
        (clients + calendar::ics_read::ICS_FILE_MAX_BYTES) as u64 + shards * PAGES_KEPT_MAX_BYTES as u64
    },
    doctor: doctor::doctor,
    smoke: smoke::smoke,
    verbs: Some(Verbs::of::<verbs::Verb>()),
    ..Feature::new("modules", start)
};

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let zone = options::zone(settings)?;
    if settings.production() && settings.flag(&ENABLED) && settings.text(&options::PASSWORD).is_none() {
        log::info!(remedy = "set HOUSEHOLD_PASSWORD, or MODULES_ENABLED=false"; "modules.closed");
    }
    let shared = Arc::new(Shared {
        zone,
        states: States::new(),
        listeners: Listeners::of(settings),
        door: Door::of(settings, &house.clock),
        began: house.clock.instant(),
        chat: settings.flag(&CHAT),
        counters: Counters::new(&house.metrics),
        participant: KeyDoor::new(settings.secret(&PARTICIPANT_KEY)),
        calendar_files: Turns::default(),
        house: house.clone(),
    });
    let enabled = settings.flag(&ENABLED);
    let every = settings.seconds(&housekeeper::EVERY);
    let gallery = enabled.then(|| Gallery::open(settings, house)).transpose()?;
    Ok(Arc::new(Modules { shared, enabled, every, gallery }))
}

/// What the configuration refuses: a zone that is none, and in production a password that can be guessed by trying.
fn mistakes(settings: &Settings) -> Vec<String> {
    let password = settings.text(&options::PASSWORD).filter(|_| settings.production());
    options::zone(settings).err().into_iter().chain(password.and_then(password::fault)).collect()
}

struct Modules {
    shared: Arc<Shared>,
    enabled: bool,
    every: Duration,
    gallery: Option<Arc<Gallery>>,
}

impl Running for Modules {
    fn routes(&self, shard: &ShardParts, to: &mut Routes) {
        if !self.enabled {
            return;
        }
        let desk = Rc::new(Desk::new(shard.clone(), Arc::clone(&self.shared)));
        registry::add(&desk, to);
        ci::documents::add(&desk, to);
        ci::routes::add(&desk, to);
        ci::talk::add(&desk, to);
        nastrij::add(&desk, to);
        podija::add(&desk, to);
        malya::add(&desk, to);
        participant::add(&desk, to);
        records::add(&desk, to, calendar::LISTS);
        kazkar::add(&desk, to);
        listening::add(&desk, to);
        all_kinds::add(&desk, to);
        session::add(&desk, to);
        status::add(&desk, to);
        calendar::add(&desk, to);
        self.gallery.iter().for_each(|gallery| gallery::add(&desk, gallery, to));
    }

    fn figures(&self) -> Option<Figures> {
        self.enabled.then(|| -> Figures { Box::new(status::figures) })
    }

    fn checks(&self) -> Vec<Check> {
        let shared = Arc::clone(&self.shared);
        let look = move || Ok(shared.states.warning());
        if self.enabled { vec![Check::new("modules", look)] } else { Vec::new() }
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let replace = self.shared.door.prepare(settings);
        Ok(Some(Box::new(move || {
            replace();
            None
        })))
    }

    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        let house = &self.shared.house;
        let files = self.gallery.iter().map(|gallery| gallery.task(house, reader));
        let reminders = self.enabled.then(|| calendar::task(&self.shared, reader, self.every));
        [all_kinds::task(house, reader, self.every)].into_iter().chain(reminders).chain(files).collect()
    }
}
