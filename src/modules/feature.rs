//! The modules as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::desk::{Desk, Shared};
use super::listeners::Listeners;
use super::options::{self, ENABLED};
use super::states::States;
use super::{bounds, errors, glue, kazkar, listening, records, registry};
use crate::feature::{Feature, House, Running, ShardParts, StartError};
use crate::gate::Routes;
use crate::housekeeper::{self, Task};
use crate::settings::Settings;
use crate::store::Reader;

/// A household's seven modules.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    bounds: bounds::BOUNDS,
    codes: errors::CODES,
    routes: &[&registry::ROUTES, &records::ROUTES, &kazkar::ROUTES, &listening::ROUTES, &glue::ROUTES],
    schema: super::MIGRATIONS,
    counted: &["records"],
    ..Feature::new("modules", start)
};

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let zone = options::zone(settings)?;
    let listeners = Listeners::of(settings);
    let shared = Arc::new(Shared { house: house.clone(), zone, states: States::new(), listeners });
    let every = settings.seconds(&housekeeper::EVERY);
    Ok(Arc::new(Modules { shared, enabled: settings.flag(&ENABLED), every }))
}

struct Modules {
    shared: Arc<Shared>,
    enabled: bool,
    every: Duration,
}

impl Running for Modules {
    fn routes(&self, shard: &ShardParts, to: &mut Routes) {
        if !self.enabled {
            return;
        }
        let desk = Rc::new(Desk { parts: shard.clone(), shared: Arc::clone(&self.shared) });
        registry::add(&desk, to);
        records::add(&desk, to);
        kazkar::add(&desk, to);
        listening::add(&desk, to);
        glue::add(&desk, to);
    }

    fn tasks(&self, reader: &Rc<Reader>) -> Vec<Task> {
        vec![glue::task(&self.shared.house, reader, self.every)]
    }
}
