//! What only the operator sees, as a feature of the house.

use std::sync::Arc;

use http::Method;

use super::bounds;
use super::operator::{self, Operator};
use super::options::{self, METRICS_PUBLIC};
use super::status::Shown;
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
    Ok(Arc::new(Operations { is_public, shown: Arc::new(Shown::new(settings, house)) }))
}

/// What the shards share.
struct Operations {
    /// Whether the public address serves the metrics as well.
    is_public: bool,
    shown: Arc<Shown>,
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
        operator::add(routes, Operator { parts, shown, serving });
    }
}
