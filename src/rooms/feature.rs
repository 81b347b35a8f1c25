//! Live rooms as a feature of the house.

use std::sync::Arc;

use crate::feature::{Feature, House, Running, StartError};
use crate::settings::Settings;

/// Documents that people edit together, live.
pub static FEATURE: Feature = Feature::new("rooms", start);

fn start(_: &Settings, _: &House) -> Result<Arc<dyn Running>, StartError> {
    Ok(Arc::new(Rooms))
}

struct Rooms;

impl Running for Rooms {}
