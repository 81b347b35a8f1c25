//! What only the operator sees, as a feature of the house.

use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;

use super::bounds;
use super::operator::{self, Operator};
use super::options::{self, METRICS_PUBLIC};
use super::sampler::{Kept, Sampler, Sights};
use super::status::Shown;
use crate::clock::Clock;
use crate::feature::{Feature, House, Running, Serving, ShardParts, StartError};
use crate::gate::{Call, Outcome, Route, Routes};
use crate::settings::Settings;

/// What only the operator sees.
pub static FEATURE: Feature = Feature {
    knobs: options::KNOBS,
    bounds: bounds::BOUNDS,
    routes: &[&[METRICS]],
    operator: &operator::ROUTES,
    ..Feature::new("ops", start)
};

/// With `METRICS_PUBLIC` only.
const METRICS: Route = Route::public(&Method::GET, "/metrics")
    .probe()
    .does("Show the metrics, in the text format 0.0.4 of Prometheus, with `METRICS_PUBLIC=true`");

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let is_public = settings.flag(&METRICS_PUBLIC);
    let clock = house.clock.clone();
    Ok(Arc::new(Operations {
        is_public,
        shown: Arc::new(Shown::new(settings, house)),
        sights: Arc::new(Sights::of(house)),
        kept: Arc::new(Kept::new(&clock)),
        clock,
        sampler: Mutex::default(),
    }))
}

/// What the shards share.
struct Operations {
    /// Whether the public address serves the metrics as well.
    is_public: bool,
    shown: Arc<Shown>,
    sights: Arc<Sights>,
    kept: Arc<Kept>,
    clock: Clock,
    /// From the moment on that there is a private plane to show it on.
    sampler: Mutex<Option<Sampler>>,
}

impl Operations {
    fn sample(&self) {
        match Sampler::start(Arc::clone(&self.sights), Arc::clone(&self.kept), self.clock.clone()) {
            Ok(sampler) => *self.sampler.lock() = Some(sampler),
            // The dashboard has no curves then, and everything else goes on.
            Err(error) => log::warn!(error = error.to_string(); "ops.no_sampler"),
        }
    }
}

impl Running for Operations {
    fn routes(&self, _: &ShardParts, routes: &mut Routes) {
        if self.is_public {
            let metrics = self.shown.metrics.clone();
            let answer = move |_: &Call<'_>| Ok(Outcome::Now(operator::metrics_page(metrics.encode_for_the_public())));
            routes.add(METRICS, answer);
        }
    }

    fn operator(&self, shard: &ShardParts, serving: &Arc<Serving>, routes: &mut Routes) {
        let (parts, shown, serving) = (shard.clone(), Arc::clone(&self.shown), Arc::clone(serving));
        self.sample();
        let (sights, kept) = (Arc::clone(&self.sights), Arc::clone(&self.kept));
        operator::add(routes, Operator { parts, shown, sights, kept, serving });
    }

    fn stop(&self) {
        let sampler = self.sampler.lock().take();
        if let Some(sampler) = sampler {
            sampler.stop();
        }
    }
}
