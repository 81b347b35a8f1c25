//! What is configured of what only the operator sees.

use crate::settings::{Knob, OPERATIONS, flag};

pub(crate) static METRICS_PUBLIC: Knob = flag(&OPERATIONS, "METRICS_PUBLIC", "false")
    .in_status("metrics_public")
    .refusing()
    .meaning("Serves /metrics on the public address as well.");

pub(crate) const KNOBS: &[&Knob] = &[&METRICS_PUBLIC];
