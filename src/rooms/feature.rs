//! Live rooms as a feature of the house.

use std::sync::Arc;

use super::{bounds, signal_socket};
use crate::feature::{Feature, House, Replacement, Running, ShardParts, StartError};
use crate::gate::Routes;
use crate::settings::Settings;

/// Documents that people edit together, live.
pub static FEATURE: Feature =
    Feature { bounds: bounds::BOUNDS, routes: &[&[signal_socket::ROUTE]], ..Feature::new("rooms", start) };

fn start(settings: &Settings, house: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Rooms { signalling: signal_socket::Signalling::new(settings, house) }))
}

struct Rooms {
    signalling: signal_socket::Signalling,
}

impl Running for Rooms {
    fn routes(&self, shard: &ShardParts, routes: &mut Routes) {
        signal_socket::route(routes, shard.clone(), self.signalling.clone());
    }

    fn prepare(&self, settings: &Settings) -> Result<Option<Replacement>, String> {
        let replace = self.signalling.prepare(settings);
        Ok(Some(Box::new(move || {
            replace();
            None
        })))
    }
}
