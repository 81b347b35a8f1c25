//! Health as a feature of the house.

use std::rc::Rc;
use std::sync::Arc;

use super::counters::{self, Ready};
use super::union::Union;
use super::{BOUNDS, Health, ROUTES, Readiness, routes};
use crate::feature::smoke::Smoke;
use crate::feature::{Feature, House, Running, ShardParts, StartError};
use crate::gate::Routes;
use crate::settings::{ENVIRONMENT, Settings};

/// Is it alive, is it ready.
pub static FEATURE: Feature =
    Feature { counters: counters::ROWS, bounds: BOUNDS, routes: &[&ROUTES], smoke, ..Feature::new("health", start) };

/// A server that is not ready may still show what it can do and what it cannot.
fn smoke(smoke: &mut Smoke<'_>) {
    let _ = smoke.step("readyz", |caller| caller.probe("/readyz"));
}

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let readiness = Readiness::counted_by(Arc::new(Ready::new(&house.metrics)));
    let environment = settings.word(&ENVIRONMENT).to_owned();
    Ok(Arc::new(Shared { readiness: Arc::new(readiness), environment, house: house.clone() }))
}

/// What the shards share.
struct Shared {
    readiness: Arc<Readiness>,
    /// `ENV`.
    environment: String,
    house: House,
}

impl Running for Shared {
    fn routes(&self, shard: &ShardParts, to: &mut Routes) {
        let (checks, figures) = (Arc::clone(&shard.checks), Arc::clone(&shard.figures));
        let health = Health {
            parts: shard.clone(),
            readiness: Arc::clone(&self.readiness),
            needed: Arc::clone(&self.house.tables),
            union: Rc::new(Union { checks, figures, environment: self.environment.clone() }),
            clock: self.house.clock.clone(),
        };
        routes(to, health);
    }

    fn drain(&self) {
        self.readiness.drain();
    }
}
