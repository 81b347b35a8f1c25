//! What only the operator sees, as a feature of the house.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::options::{self, METRICS_PUBLIC};
use crate::feature::{Feature, House, Running, ShardParts, StartError};
use crate::gate::{Call, Outcome, Route, Routes};
use crate::net::Response;
use crate::observe::metrics::{self, Metrics};
use crate::settings::Settings;

/// What only the operator sees.
pub static FEATURE: Feature = Feature { knobs: options::KNOBS, ..Feature::new("ops", start) };

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    let public = settings.flag(&METRICS_PUBLIC).then(|| house.metrics.clone());
    Ok(Arc::new(Operations { public }))
}

/// What the shards share.
struct Operations {
    /// The metrics, where the public address serves them as well.
    public: Option<Metrics>,
}

impl Running for Operations {
    fn routes(&self, _: &ShardParts, routes: &mut Routes) {
        let Some(metrics) = self.public.clone() else { return };
        let answer = move |_: &Call<'_>| {
            let body = metrics.encode().into_bytes();
            Ok(Outcome::Now(Response { content_type: metrics::CONTENT_TYPE, ..Response::json(StatusCode::OK, body) }))
        };
        routes.add(Method::GET, Route::public("/metrics", answer).probe());
    }
}
