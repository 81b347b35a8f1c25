//! Drafts as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::counters::{self, Counters};
use super::damage::Damaged;
use super::frame::TOPICS;
use super::openapi::SHEET;
use super::options::{self, Options, SocketOptions};
use super::parting::{deletion, lease, leaving, purge, redaction, standing};
use super::shared::Shared;
use super::watching::Watching;
use super::{
    analytics, bounds, card, doctor, erase, error, history, insights, invites, keys, newer, operator, proof, retention,
    routes, smart_pass, smoke, socket, tickets, turns, view, watchers,
};
use crate::feature::verb::Verbs;
use crate::feature::{Feature, House, Replacement, Running, Serving, ShardParts, StartError};
use crate::gate::{Live, Routes};
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::{Reader, Topic};

/// Drafts written in turn.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    counters: counters::ROWS,
    bounds: bounds::BOUNDS,
    codes: error::CODES,
    routes: &[
        &routes::ROUTES,
        &turns::ROUTES,
        &proof::ROUTES,
        &smart_pass::ROUTES,
        &card::ROUTES,
        &invites::ROUTES,
        &history::ROUTES,
        &analytics::ROUTES,
        &insights::ROUTES,
        &watchers::ROUTES,
        &tickets::ROUTES,
        &leaving::ROUTES,
        &standing::ROUTES,
        &lease::ROUTES,
        &redaction::ROUTES,
        &deletion::ROUTES,
        &[socket::ROUTE],
    ],
    operator: &operator::ROUTES,
    erase: Some(erase::erase),
    verbs: Some(Verbs::of::<operator::Verb>()),
    doctor: doctor::doctor,
    describe: |route| SHEET.describe(route),
    schemas: || SHEET.schemas(),
    schema: super::MIGRATIONS,
    counted: &["drafts"],
    newer: Some(newer::newer),
    memory,
    smoke: smoke::smoke,
    ..Feature::new("drafts", start)
};

/// Of each shard the rendered drafts, and one that is being read, rendered and answered.
fn memory(settings: &Settings, shards: u64) -> u64 {
    shards * (settings.count(&options::CACHE_BYTES) + 3 * view::WHOLE_MAX_BYTES) as u64
}

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    counters::show_rooms(&house.metrics, house.seats.clone());
    let shared = Shared {
        options: Options::of(settings),
        sockets: Live::new(SocketOptions::of(settings)),
        damaged: Damaged::default(),
        tokens: invites::Tokens::new(),
        counters: Arc::new(Counters::new(&house.metrics)),
        watching: Watching::new(settings.flag(&options::PUBLIC_READ)),
        house: house.clone(),
    };
    Ok(Arc::new(Drafts { shared, every: settings.seconds(&housekeeper::EVERY) }))
}

struct Drafts {
    shared: Shared,
    every: std::time::Duration,
}

impl Running for Drafts {
    fn routes(&self, shard: &ShardParts, routes: &mut Routes) {
        socket::route(routes, shard.clone(), self.shared.clone());
        routes::routes(routes, shard.clone(), self.shared.clone());
    }

    fn operator(&self, shard: &ShardParts, _: &Arc<Serving>, routes: &mut Routes) {
        operator::routes(routes, shard, &self.shared);
    }

    fn card(&self) -> Option<(&'static str, Value)> {
        let watched = self.shared.watching.drafts();
        Some((
            "drafts",
            json!({ "watched": watched, "says": format!("{watched} watched now"), "page": operator::SHOWN }),
        ))
    }

    fn erased(&self, user: &str, gone: &[Topic]) {
        let watching = &self.shared.watching;
        gone.iter().filter(|topic| topic.is_of(&TOPICS)).for_each(|topic| watching.draft_deleted(topic.name()));
        watching.user_erased(user);
    }

    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        let Shared { options, house, .. } = &self.shared;
        vec![
            retention::task(Rc::clone(reader), house.writer.clone(), options.events_kept, self.every),
            purge::task(Rc::clone(reader), house.writer.clone(), self.every, &house.timekeeper),
            keys::retention::task(Rc::clone(reader), house.writer.clone(), self.every, &house.timekeeper),
            invites::retention::task(Rc::clone(reader), house.writer.clone(), self.every, &house.timekeeper),
        ]
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let (sockets, options) = (self.shared.sockets.clone(), SocketOptions::of(settings));
        Ok(Some(Box::new(move || {
            sockets.replace(options);
            None
        })))
    }
}
