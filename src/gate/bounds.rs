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
        .of("Input that an error repeats.", "cut")
        .tested_by("a_large_wrong_value_makes_a_small_answer"),
    BoundRow::new(&CONNECTIONS, "SUBJECT_MAX_BYTES", SUBJECT_MAX_BYTES as u64, "bytes")
        .of("The id in a path of what a request is about.", "404, before anything is copied of it")
        .tested_by("what_is_no_upgrade_is_answered_in_http"),
    BoundRow::new(&CONNECTIONS, "WHOLE_BODY_MAX_BYTES", WHOLE_BODY_MAX_BYTES as u64, "bytes")
        .of("A body of a route with a bound of its own that is held whole.", "no start: what is larger is streamed")
        .tested_by("a_large_body_is_not_held_whole"),
    BoundRow::new(&CONNECTIONS, "STREAM_STALL_SECONDS", STREAM_STALL_SECONDS, "seconds")
        .of("A streamed body of which nothing comes.", "408; pauses of ours do not count")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
    BoundRow::new(&CONNECTIONS, "STREAM_GRACE_SECONDS", STREAM_GRACE_SECONDS, "seconds")
        .of("A streamed body before its rate counts.", "its rate counts")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
    BoundRow::new(&CONNECTIONS, "STREAM_MIN_BYTES_PER_SECOND", STREAM_MIN_BYTES_PER_SECOND, "bytes a second")
        .of("The least that comes of it from then on, since its head.", "408")
        .tested_by("a_body_that_stalls_or_comes_too_slowly_is_given_up"),
];
