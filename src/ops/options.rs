//! What is configured of what only the operator sees.

use crate::settings::{Knob, OPERATIONS, flag};

pub(crate) static METRICS_PUBLIC: Knob = flag(&OPERATIONS, "METRICS_PUBLIC", "false")
    .in_status("metrics_public")
    .refusing()
    .meaning("Whether /metrics is also served on the public address.");

pub(crate) const KNOBS: &[&Knob] = &[&METRICS_PUBLIC];
