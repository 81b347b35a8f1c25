//! What is bounded of what the operator sees.

use super::operator::AUDIT_MAX_ROWS;
use super::paths::{PATHS_MAX_MINUTES, PATHS_MAX_ROWS};
use super::recent::RECENT_MAX_SAMPLES;
use super::status::READY_PATIENCE;
use crate::settings::{BoundRow, OPERATIONS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&OPERATIONS, "AUDIT_MAX_ROWS", AUDIT_MAX_ROWS as u64, "rows")
        .of("Audit rows in one response.", "422")
        .tested_by("the_audit_log_is_read_newest_first_and_by_user_draft_and_action"),
    BoundRow::new(&OPERATIONS, "RECENT_MAX_SAMPLES", RECENT_MAX_SAMPLES as u64, "samples")
        .of("Samples kept for the charts of the dashboard, one every two seconds.", "the oldest is dropped")
        .tested_by("five_minutes_are_kept_and_told_from_any_sample_on"),
    BoundRow::new(&OPERATIONS, "PATHS_MAX_MINUTES", PATHS_MAX_MINUTES as u64, "minutes")
        .of(
            "Minutes kept for the busiest paths of the dashboard, each with the paths requested in it.",
            "the oldest is dropped",
        )
        .tested_by("an_hour_of_paths_is_kept_and_what_is_older_is_forgotten"),
    BoundRow::new(&OPERATIONS, "PATHS_MAX_ROWS", PATHS_MAX_ROWS as u64, "paths")
        .of("The busiest paths that are listed.", "the others are left out")
        .tested_by("the_busiest_paths_come_first_and_no_more_than_so_many"),
    BoundRow::new(&OPERATIONS, "READY_PATIENCE", READY_PATIENCE.as_secs(), "seconds")
        .of("How long `/status` of the private plane waits for a shard.", "reported as not ready"),
];
