//! What is bounded of requests, whatever is configured.

use super::routes::{STREAM_GRACE_SECONDS, STREAM_MIN_BYTES_PER_SECOND, STREAM_STALL_SECONDS, WHOLE_BODY_MAX_BYTES};
use super::service::SUBJECT_MAX_BYTES;
use super::validate::ECHO_CHARS;
use super::{identity, limit};
use crate::settings::{BoundRow, CONNECTIONS};

/// Those of the gate and of what belongs to it.
pub(crate) const BOUNDS: &[&[BoundRow]] = &[OWN, identity::bounds::BOUNDS, limit::options::BOUNDS];

const OWN: &[BoundRow] = &[
    BoundRow::new(&CONNECTIONS, "ECHO_CHARS", ECHO_CHARS as u64, "characters")
        .of("Input repeated in an error.", "cut")
        .tested_by("a_large_wrong_value_makes_a_small_answer"),
    BoundRow::new(&CONNECTIONS, "SUBJECT_MAX_BYTES", SUBJECT_MAX_BYTES as u64, "bytes")
        .of("An id in a path.", "404, before any of it is copied")
        .tested_by("what_is_no_upgrade_is_answered_in_http"),
    BoundRow::new(&CONNECTIONS, "WHOLE_BODY_MAX_BYTES", WHOLE_BODY_MAX_BYTES as u64, "bytes")
        .of(
            "A request body kept in memory, on a route with its own bound.",
            "no start: larger ones have to be streamed",
        )
        .tested_by("a_large_body_is_not_held_whole"),
    BoundRow::new(&CONNECTIONS, "STREAM_STALL_SECONDS", STREAM_STALL_SECONDS, "seconds")
        .of("How long nothing of a streamed body may arrive.", "408; pauses caused by the server do not count")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
    BoundRow::new(&CONNECTIONS, "STREAM_GRACE_SECONDS", STREAM_GRACE_SECONDS, "seconds")
        .of("How long a streamed body may take before a minimum rate applies.", "the minimum rate applies")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
    BoundRow::new(&CONNECTIONS, "STREAM_MIN_BYTES_PER_SECOND", STREAM_MIN_BYTES_PER_SECOND, "bytes a second")
        .of("The minimum rate from then on, averaged since its head.", "408")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
];
