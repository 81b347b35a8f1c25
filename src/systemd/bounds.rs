//! What is bounded of what the service manager is told.

use super::notify::{SEND_PATIENCE, STATUS_MAX_CHARS};
use super::watchdog::ROUNDS_PER_INTERVAL;
use crate::settings::{BoundRow, SERVER};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&SERVER, "STATUS_MAX_CHARS", STATUS_MAX_CHARS as u64, "characters")
        .of("The status line for the service manager.", "cut")
        .tested_by("a_status_is_one_line_of_bounded_length"),
    BoundRow::new(&SERVER, "SEND_PATIENCE", SEND_PATIENCE.as_secs(), "seconds")
        .of("Time to send a message to the service manager.", "abandoned, and logged once"),
    BoundRow::new(&SERVER, "ROUNDS_PER_INTERVAL", ROUNDS_PER_INTERVAL as u64, "rounds")
        .of("Rounds of the watchdog per interval.", "each round has a third of it")
        .tested_by("the_interval_is_a_third_and_only_for_the_process_it_is_meant_for"),
];
