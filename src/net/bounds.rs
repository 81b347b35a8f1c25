//! What is bounded of connections, whatever is configured.

use super::acceptor::{LAST_CALL_MAX, REFUSED_MAX};
use super::body::{PIECE_BYTES, REFILL_BYTES};
use super::client::DETAIL_MAX_BYTES;
use super::conn::{
    ANSWER_GRACE, ANSWER_MIN_BYTES_PER_SECOND, ANSWERS_MAX_BYTES, FIRST_REQUEST_GRACE, GATHER, LINGER,
    LINGER_MAX_BYTES, STEPS_PER_TURN,
};
use super::handshakes::HANDSHAKES_MAX;
use super::held::HELD_MAX_BYTES;
use super::http1::CHUNK_LINE_MAX_BYTES;
use super::listener::BACKLOG;
use super::mailbox::NOTES_MAX;
use super::outbox::SLICES_MAX;
use super::request_id::REQUEST_ID_MAX_BYTES;
use super::tls::PEM_MAX_BYTES;
use super::tls::stream::RECORD_BYTES;
use super::turn::SLICE;
use crate::settings::{BoundRow, CONNECTIONS, OPERATIONS, SOCKETS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&CONNECTIONS, "BACKLOG", BACKLOG as u64, "connections")
        .of("Connections in the kernel's queue of each listener.", "refused by the kernel"),
    BoundRow::new(&CONNECTIONS, "REFUSED_MAX", REFUSED_MAX as u64, "connections")
        .of("Refused connections kept open so that the client can read the response.", "the oldest is closed")
        .tested_by("so_many_of_those_who_are_refused_are_held_for_a_moment_and_all_are_told"),
    BoundRow::new(&CONNECTIONS, "CHUNK_LINE_MAX_BYTES", CHUNK_LINE_MAX_BYTES as u64, "bytes")
        .of("The line with the size of a chunk.", "400")
        .tested_by("a_body_is_read_up_to_its_bound_and_not_one_byte_further"),
    BoundRow::new(&CONNECTIONS, "REQUEST_ID_MAX_BYTES", REQUEST_ID_MAX_BYTES as u64, "bytes")
        .of("A client's request id.", "replaced by a new one")
        .tested_by("request_ids_are_kept_when_they_are_at_most_128_visible_ascii_characters"),
    BoundRow::new(&CONNECTIONS, "STEPS_PER_TURN", STEPS_PER_TURN as u64, "steps")
        .of("Steps of one connection per turn.", "other connections come first")
        .tested_by("a_client_that_asks_without_reading_is_not_listened_to_and_then_answered_in_order"),
    BoundRow::new(&CONNECTIONS, "SLICE", SLICE.as_millis() as u64, "milliseconds")
        .of("Time of one connection per turn, plus one request.", "other connections come first")
        .tested_by("a_connection_has_a_slice_of_time_and_at_least_one_request_of_it"),
    BoundRow::new(&CONNECTIONS, "ANSWERS_MAX_BYTES", ANSWERS_MAX_BYTES as u64, "bytes")
        .of("Responses of one connection per turn, plus one response.", "nothing more is read until they are sent")
        .tested_by("a_client_that_asks_without_reading_is_not_listened_to_and_then_answered_in_order"),
    BoundRow::new(&CONNECTIONS, "HELD_MAX_BYTES", HELD_MAX_BYTES as u64, "bytes")
        .of(
            "Memory that a shard uses for all its clients: unread responses, incomplete requests and messages.",
            "the largest connection of the address that uses most is closed",
        )
        .tested_by("what_all_clients_together_do_not_read_is_bounded_and_one_alone_is_not"),
    BoundRow::new(&CONNECTIONS, "PIECE_BYTES", PIECE_BYTES as u64, "bytes")
        .of("A piece of a streamed response.", "the next one follows")
        .tested_by("a_source_of_known_length_is_sent_piece_by_piece_and_the_connection_goes_on"),
    BoundRow::new(&CONNECTIONS, "REFILL_BYTES", REFILL_BYTES as u64, "bytes")
        .of("The unsent part of a streamed response, plus one piece.", "the source waits")
        .tested_by("a_slow_reader_is_not_read_ahead_for_and_is_cut_off"),
    BoundRow::new(&CONNECTIONS, "LINGER", LINGER.as_secs(), "seconds")
        .of("How long a connection is kept open after its last response.", "closed")
        .tested_by("an_idle_connection_is_kept_for_its_time_and_a_closed_one_lingers_for_its_own"),
    BoundRow::new(&CONNECTIONS, "LINGER_MAX_BYTES", LINGER_MAX_BYTES as u64, "bytes")
        .of("Bytes that such a connection may still send.", "closed")
        .tested_by("who_sends_too_much_after_its_last_answer_is_not_listened_to_any_longer"),
    BoundRow::new(&CONNECTIONS, "ANSWER_GRACE", ANSWER_GRACE.as_secs(), "seconds")
        .of("How long a response may wait for its client before a minimum rate applies.", "the minimum rate applies")
        .tested_by("who_takes_an_answer_a_little_at_a_time_is_cut_off"),
    BoundRow::new(&CONNECTIONS, "ANSWER_MIN_BYTES_PER_SECOND", ANSWER_MIN_BYTES_PER_SECOND, "bytes a second")
        .of("The minimum rate at which it is read from then on, averaged over its wait.", "disconnected")
        .tested_by("who_takes_an_answer_a_little_at_a_time_is_cut_off"),
    BoundRow::new(&CONNECTIONS, "HANDSHAKES_MAX", HANDSHAKES_MAX as u64, "connections")
        .of("TLS handshakes in progress per shard; each may take HEAD_TIMEOUT_SECONDS.", "the oldest is closed")
        .tested_by("strangers_who_never_finish_a_handshake_take_no_more_than_their_places"),
    BoundRow::new(&CONNECTIONS, "RECORD_BYTES", RECORD_BYTES as u64, "bytes")
        .of("Data encrypted for a client and not sent yet.", "nothing more is encrypted")
        .tested_by("who_asks_and_does_not_read_is_cut_off_and_others_are_served"),
    BoundRow::new(&CONNECTIONS, "PEM_MAX_BYTES", PEM_MAX_BYTES, "bytes")
        .of("A file with certificates or a key.", "refused")
        .tested_by("a_file_without_certificates_is_refused_by_name"),
    BoundRow::new(&CONNECTIONS, "FIRST_REQUEST_GRACE", FIRST_REQUEST_GRACE.as_secs(), "seconds")
        .of("On stop, the first request of a new connection.", "closed")
        .tested_by("at_a_stop_a_caller_who_said_nothing_yet_is_waited_for_and_an_idle_one_is_not"),
    BoundRow::new(&CONNECTIONS, "LAST_CALL_MAX", LAST_CALL_MAX as u64, "connections")
        .of("On stop, connections accepted from the kernel's queue.", "refused by the kernel"),
    BoundRow::new(&SOCKETS, "SLICES_MAX", SLICES_MAX as u64, "frames")
        .of("Frames in one write.", "the rest with the next write")
        .tested_by("frames_leave_whole_and_together"),
    BoundRow::new(&SOCKETS, "GATHER", GATHER.as_millis() as u64, "milliseconds")
        .of(
            "After a write to a socket of a room, how long further changes are collected.",
            "they are sent in one write",
        )
        .tested_by("a_stream_gathers_after_a_write_and_a_single_frame_never"),
    BoundRow::new(&SOCKETS, "NOTES_MAX", NOTES_MAX as u64, "notes")
        .of("Notes waiting for a shard or one of its sockets.", "its sockets are closed with 1013")
        .tested_by("notes_are_bounded_and_a_dropped_one_is_told"),
    BoundRow::new(&OPERATIONS, "DETAIL_MAX_BYTES", DETAIL_MAX_BYTES, "bytes")
        .of("The response in which the watchdog and the verbs look for the reason.", "not read further")
        .tested_by("what_is_wrong_is_said_in_a_detail_if_at_all"),
];
