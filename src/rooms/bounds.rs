//! What is bounded of rooms.

use super::awareness::{
    AWARENESS_GONE_MAX_IDS, AWARENESS_LIVE_MAX_IDS, AWARENESS_MAX_BYTES, AWARENESS_MAX_IDS, AWARENESS_STATE_MAX_BYTES,
};
use super::json::JSON_DEPTH_MAX;
use super::message::MESSAGES_PER_FRAME_MAX;
use super::name::ROOM_NAME_MAX_BYTES;
use super::signal::{
    SIGNAL_BURST_MESSAGES, SIGNAL_MESSAGES_PER_SECOND, SIGNAL_TOPIC_MAX_BYTES, SIGNAL_TOPICS_ALL_MAX, SIGNAL_TOPICS_MAX,
};
use super::signal_socket::SIGNAL_MESSAGE_MAX_BYTES;
use crate::settings::{BoundRow, Section};

/// Where rooms stand among the bounds.
static ROOMS: Section = Section { title: "Rooms", after: None };

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&ROOMS, "MESSAGES_PER_FRAME_MAX", MESSAGES_PER_FRAME_MAX as u64, "messages")
        .of("The messages of the Yjs wire in one binary frame.", "refused")
        .tested_by("a_frame_holds_so_many_messages_and_not_one_more"),
    BoundRow::new(&ROOMS, "ROOM_NAME_MAX_BYTES", ROOM_NAME_MAX_BYTES as u64, "bytes")
        .of("The name of a room, after decoding.", "refused")
        .tested_by("a_name_has_255_bytes_after_decoding_and_not_one_more"),
    BoundRow::new(&ROOMS, "AWARENESS_MAX_BYTES", AWARENESS_MAX_BYTES as u64, "bytes")
        .of("A frame of awareness states.", "passed over")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_MAX_IDS", AWARENESS_MAX_IDS as u64, "clients")
        .of("The clients in one frame of awareness states.", "passed over")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_STATE_MAX_BYTES", AWARENESS_STATE_MAX_BYTES as u64, "bytes")
        .of("The awareness state of one client.", "passed over")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_LIVE_MAX_IDS", AWARENESS_LIVE_MAX_IDS as u64, "clients")
        .of("The clients of one room that have an awareness state.", "passed over")
        .tested_by("a_million_clients_are_not_kept"),
    BoundRow::new(&ROOMS, "AWARENESS_GONE_MAX_IDS", AWARENESS_GONE_MAX_IDS as u64, "clients")
        .of("The clients of one room that are known to have gone.", "the one that went first is forgotten")
        .tested_by("a_million_clients_are_not_kept"),
    BoundRow::new(&ROOMS, "JSON_DEPTH_MAX", JSON_DEPTH_MAX as u64, "levels")
        .of("How deep a state, or a message in JSON, is nested.", "passed over")
        .tested_by("what_is_nested_too_deep_is_ignored"),
    BoundRow::new(&ROOMS, "SIGNAL_MESSAGE_MAX_BYTES", SIGNAL_MESSAGE_MAX_BYTES as u64, "bytes")
        .of("A message at `/signal`.", "closed with 1009")
        .tested_by("a_socket_says_so_much_and_not_more"),
    BoundRow::new(&ROOMS, "SIGNAL_BURST_MESSAGES", SIGNAL_BURST_MESSAGES as u64, "messages")
        .of("The messages of one socket of `/signal` at once.", "closed with 1013")
        .tested_by("a_socket_says_so_much_and_not_more"),
    BoundRow::new(&ROOMS, "SIGNAL_MESSAGES_PER_SECOND", SIGNAL_MESSAGES_PER_SECOND as u64, "messages")
        .of("Its messages within a second after that.", "closed with 1013")
        .tested_by("a_socket_says_so_much_at_once_and_then_so_much_a_second"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPICS_MAX", SIGNAL_TOPICS_MAX as u64, "topics")
        .of("The topics that one socket of `/signal` listens to.", "closed with 1008")
        .tested_by("a_socket_listens_to_so_many_topics_with_names_so_long"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPIC_MAX_BYTES", SIGNAL_TOPIC_MAX_BYTES as u64, "bytes")
        .of("The name of such a topic.", "closed with 1008")
        .tested_by("a_socket_listens_to_so_many_topics_with_names_so_long"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPICS_ALL_MAX", SIGNAL_TOPICS_ALL_MAX as u64, "topics")
        .of("The topics that anyone listens to.", "closed with 1013")
        .tested_by("listeners_are_counted_topics_bounded_and_nothing_is_kept_of_who_has_left"),
];
