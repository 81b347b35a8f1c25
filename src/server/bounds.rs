//! What is bounded of the server as a whole.

use super::capacity::CONNECTIONS_DEFAULT_MAX;
use super::watched::START_PROBE_PATIENCE;
use crate::settings::{BoundRow, CONNECTIONS, SERVER};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&CONNECTIONS, "CONNECTIONS_DEFAULT_MAX", CONNECTIONS_DEFAULT_MAX as u64, "connections")
        .of("Connections, when `MAX_CONNECTIONS` leaves it to the server.", "503 and closed")
        .tested_by("connections_follow_from_descriptors"),
    BoundRow::new(&SERVER, "START_PROBE_PATIENCE", START_PROBE_PATIENCE.as_secs(), "seconds")
        .of("The test write at the start, when somebody is told of it.", "started, and said not to be ready"),
];
