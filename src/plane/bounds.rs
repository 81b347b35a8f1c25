//! What is bounded of the private plane.

use super::door::DOOR_ANSWER_MAX_BYTES;
use super::{
    OPS_ANSWER_SECONDS, OPS_BODY_MAX_BYTES, OPS_CALLERS_MAX, OPS_HEAD_MAX_BYTES, OPS_HEAD_MAX_HEADERS,
    OPS_REQUEST_SECONDS, OPS_STOP_SECONDS, OPS_TARGET_MAX_BYTES, OPS_THREADS, OPS_WORK_SECONDS,
};
use crate::settings::{BoundRow, OPERATIONS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&OPERATIONS, "OPS_CALLERS_MAX", OPS_CALLERS_MAX as u64, "connections")
        .of("Connections to the private plane.", "503 `overloaded`")
        .tested_by("heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane"),
    BoundRow::new(&OPERATIONS, "OPS_HEAD_MAX_BYTES", OPS_HEAD_MAX_BYTES as u64, "bytes")
        .of("The head of a request to it.", "431")
        .tested_by("heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane"),
    BoundRow::new(&OPERATIONS, "OPS_HEAD_MAX_HEADERS", OPS_HEAD_MAX_HEADERS as u64, "headers")
        .of("Headers in that head.", "431")
        .tested_by("heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane"),
    BoundRow::new(&OPERATIONS, "OPS_TARGET_MAX_BYTES", OPS_TARGET_MAX_BYTES as u64, "bytes")
        .of("The target of that request.", "414")
        .tested_by("heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane"),
    BoundRow::new(&OPERATIONS, "OPS_BODY_MAX_BYTES", OPS_BODY_MAX_BYTES as u64, "bytes")
        .of("The body of that request.", "413")
        .tested_by("heads_and_bodies_are_bounded_and_nobody_can_stall_the_plane"),
    BoundRow::new(&OPERATIONS, "OPS_REQUEST_SECONDS", OPS_REQUEST_SECONDS, "seconds")
        .of("Time to send the head, and the same again for the body.", "408; closed if nothing was sent"),
    BoundRow::new(&OPERATIONS, "OPS_WORK_SECONDS", OPS_WORK_SECONDS, "seconds")
        .of("Time to make a response, the longest of which is a backup.", "503 `overloaded`"),
    BoundRow::new(&OPERATIONS, "OPS_ANSWER_SECONDS", OPS_ANSWER_SECONDS, "seconds")
        .of("How long a client may read nothing of a response.", "closed"),
    BoundRow::new(&OPERATIONS, "DOOR_ANSWER_MAX_BYTES", DOOR_ANSWER_MAX_BYTES, "bytes")
        .of("One of its answers to a verb of the command line.", "the verb fails"),
    BoundRow::new(&OPERATIONS, "OPS_THREADS", OPS_THREADS as u64, "threads")
        .of("Its threads for blocking work.", "the others wait"),
    BoundRow::new(&OPERATIONS, "OPS_STOP_SECONDS", OPS_STOP_SECONDS, "seconds")
        .of("On stop, its pending requests.", "not waited for")
        .tested_by("a_download_under_way_is_cut_at_the_stop_and_its_source_not_waited_for_beyond_the_bound"),
];
