//! What is bounded of the server as a whole, and in the rooms below those that declare.

use super::capacity::CONNECTIONS_DEFAULT_MAX;
use super::watched::START_PROBE_PATIENCE;
use crate::clock::steady::STRETCHES_MAX;
use crate::settings::{BoundRow, CONNECTIONS, SERVER};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&CONNECTIONS, "CONNECTIONS_DEFAULT_MAX", CONNECTIONS_DEFAULT_MAX as u64, "connections")
        .of("Connections, if `MAX_CONNECTIONS` is 0.", "503 and closed")
        .tested_by("connections_follow_from_descriptors"),
    BoundRow::new(&SERVER, "STRETCHES_MAX", STRETCHES_MAX as u64, "stretches")
        .of("Periods between clock jumps that are tracked separately.", "the oldest two are merged")
        .tested_by("repeated_jumps_are_waited_for_each_time_and_take_no_more_memory"),
    BoundRow::new(&SERVER, "START_PROBE_PATIENCE", START_PROBE_PATIENCE.as_secs(), "seconds").of(
        "The test write at start, if the service manager waits for it.",
        "the server starts, and reports that it is not ready",
    ),
];
