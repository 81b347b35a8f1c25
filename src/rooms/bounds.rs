//! What is bounded of rooms.

use super::awareness::{
    AWARENESS_GONE_MAX_IDS, AWARENESS_LIVE_MAX_IDS, AWARENESS_MAX_BYTES, AWARENESS_MAX_IDS, AWARENESS_STATE_MAX_BYTES,
};
use super::desk::ERRANDS_MAX;
use super::doctor::DOCTOR_MAX_ROOMS;
use super::json::JSON_DEPTH_MAX;
use super::live::UNSAVED_MAX_MESSAGES;
use super::makers::MAKERS_MAX;
use super::message::MESSAGES_PER_FRAME_MAX;
use super::name::ROOM_NAME_MAX_BYTES;
use super::options::{
    LOADED_MAX_ROOMS, MESSAGES_PER_SECOND_MAX, OUTBOX_MAX_BYTES, OUTBOX_MAX_FRAMES, ROOMS, SOCKETS_PER_ADDRESS_MAX,
    SOCKETS_PER_USER_MAX,
};
use super::owners::{PAGE_MAX_ROOMS, SEARCH_MAX_ROOMS};
use super::rates::{
    AWARENESS_PER_SECOND_MAX, BURST_MAX_BYTES, BYTES_PER_SECOND_MAX, TEXTS_BURST_MAX, TEXTS_PER_SECOND_MAX,
};
use super::refusals::REFUSALS_MAX;
use super::refused::{CLOCK_MAX, DEPTH_MAX};
use super::signal::{
    SIGNAL_BURST_MESSAGES, SIGNAL_MESSAGES_PER_SECOND, SIGNAL_TOPIC_MAX_BYTES, SIGNAL_TOPICS_ALL_MAX, SIGNAL_TOPICS_MAX,
};
use super::signal_socket::SIGNAL_MESSAGE_MAX_BYTES;
use super::verbs::NAMED_MAX_DAMAGED;
use crate::settings::BoundRow;

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&ROOMS, "MESSAGES_PER_FRAME_MAX", MESSAGES_PER_FRAME_MAX as u64, "messages")
        .of("Yjs messages in one binary frame.", "refused")
        .tested_by("a_frame_holds_so_many_messages_and_not_one_more"),
    BoundRow::new(&ROOMS, "DEPTH_MAX", DEPTH_MAX as u64, "levels")
        .of("Nesting of a value in an update.", "the update is refused")
        .tested_by("every_rule_refuses_with_the_value_and_the_bound"),
    BoundRow::new(&ROOMS, "CLOCK_MAX", CLOCK_MAX as u64, "units")
        .of("Units that one client of a document has ever added.", "the update is refused")
        .tested_by("every_rule_refuses_with_the_value_and_the_bound"),
    BoundRow::new(&ROOMS, "ROOM_NAME_MAX_BYTES", ROOM_NAME_MAX_BYTES as u64, "bytes")
        .of("The decoded name of a room.", "refused")
        .tested_by("a_name_has_255_bytes_after_decoding_and_not_one_more"),
    BoundRow::new(&ROOMS, "AWARENESS_MAX_BYTES", AWARENESS_MAX_BYTES as u64, "bytes")
        .of("A frame of awareness states.", "ignored")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_MAX_IDS", AWARENESS_MAX_IDS as u64, "clients")
        .of("Clients in one frame of awareness states.", "ignored")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_STATE_MAX_BYTES", AWARENESS_STATE_MAX_BYTES as u64, "bytes")
        .of("The awareness state of one client.", "ignored")
        .tested_by("frames_and_states_are_taken_up_to_their_bounds_and_not_one_further"),
    BoundRow::new(&ROOMS, "AWARENESS_LIVE_MAX_IDS", AWARENESS_LIVE_MAX_IDS as u64, "clients")
        .of("Clients of one room with an awareness state.", "ignored")
        .tested_by("a_million_clients_are_not_kept"),
    BoundRow::new(&ROOMS, "AWARENESS_GONE_MAX_IDS", AWARENESS_GONE_MAX_IDS as u64, "clients")
        .of("Clients of one room remembered as gone.", "the earliest is dropped")
        .tested_by("a_million_clients_are_not_kept"),
    BoundRow::new(&ROOMS, "JSON_DEPTH_MAX", JSON_DEPTH_MAX as u64, "levels")
        .of("Nesting of a state, or of a message in JSON.", "ignored")
        .tested_by("what_is_nested_too_deep_is_ignored"),
    BoundRow::new(&ROOMS, "SIGNAL_MESSAGE_MAX_BYTES", SIGNAL_MESSAGE_MAX_BYTES as u64, "bytes")
        .of("A message at `/signal`.", "closed with 1009")
        .tested_by("a_socket_says_so_much_and_not_more"),
    BoundRow::new(&ROOMS, "SIGNAL_BURST_MESSAGES", SIGNAL_BURST_MESSAGES as u64, "messages")
        .of("Burst of messages from one socket of `/signal`.", "closed with 1013")
        .tested_by("a_socket_says_so_much_and_not_more"),
    BoundRow::new(&ROOMS, "SIGNAL_MESSAGES_PER_SECOND", SIGNAL_MESSAGES_PER_SECOND as u64, "messages")
        .of("Messages per second from it after that.", "closed with 1013")
        .tested_by("a_socket_says_so_much_at_once_and_then_so_much_a_second"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPICS_MAX", SIGNAL_TOPICS_MAX as u64, "topics")
        .of("Topics that one socket of `/signal` subscribes to.", "closed with 1008")
        .tested_by("a_socket_listens_to_so_many_topics_with_names_so_long"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPIC_MAX_BYTES", SIGNAL_TOPIC_MAX_BYTES as u64, "bytes")
        .of("The name of such a topic.", "closed with 1008")
        .tested_by("a_socket_listens_to_so_many_topics_with_names_so_long"),
    BoundRow::new(&ROOMS, "SIGNAL_TOPICS_ALL_MAX", SIGNAL_TOPICS_ALL_MAX as u64, "topics")
        .of("Topics with subscribers.", "closed with 1013")
        .tested_by("listeners_are_counted_topics_bounded_and_nothing_is_kept_of_who_has_left"),
    BoundRow::new(&ROOMS, "LOADED_MAX_ROOMS", LOADED_MAX_ROOMS as u64, "rooms")
        .of("Rooms in memory.", "closed with 1013")
        .tested_by("a_thousand_rooms_come_and_go"),
    BoundRow::new(&ROOMS, "SOCKETS_PER_USER_MAX", SOCKETS_PER_USER_MAX as u64, "sockets")
        .of("Sockets of one user in all rooms.", "closed with 1013")
        .tested_by("one_user_and_one_address_have_so_many_sockets"),
    BoundRow::new(&ROOMS, "SOCKETS_PER_ADDRESS_MAX", SOCKETS_PER_ADDRESS_MAX as u64, "sockets")
        .of("Sockets of unidentified users from one address.", "closed with 1013")
        .tested_by("one_user_and_one_address_have_so_many_sockets"),
    BoundRow::new(&ROOMS, "MESSAGES_PER_SECOND_MAX", MESSAGES_PER_SECOND_MAX as u64, "messages")
        .of("Messages per second from one socket.", "closed with 4529")
        .tested_by("a_socket_that_says_too_much_is_closed"),
    BoundRow::new(&ROOMS, "BYTES_PER_SECOND_MAX", BYTES_PER_SECOND_MAX as u64, "bytes")
        .of("Average bytes per second from one socket.", "closed with 4529")
        .tested_by("a_burst_is_taken_and_comes_back_with_time_and_no_further"),
    BoundRow::new(&ROOMS, "BURST_MAX_BYTES", BURST_MAX_BYTES as u64, "bytes")
        .of("Burst of bytes from one socket.", "closed with 4529")
        .tested_by("a_socket_that_says_too_much_is_closed"),
    BoundRow::new(&ROOMS, "TEXTS_PER_SECOND_MAX", TEXTS_PER_SECOND_MAX as u64, "messages")
        .of("Average JSON messages per second from one socket.", "closed with 4529")
        .tested_by("a_burst_is_taken_and_comes_back_with_time_and_no_further"),
    BoundRow::new(&ROOMS, "TEXTS_BURST_MAX", TEXTS_BURST_MAX as u64, "messages")
        .of("Burst of JSON messages from one socket.", "closed with 4529")
        .tested_by("a_socket_that_says_too_much_is_closed"),
    BoundRow::new(&ROOMS, "AWARENESS_PER_SECOND_MAX", AWARENESS_PER_SECOND_MAX as u64, "messages")
        .of("Awareness messages per second forwarded from one socket.", "the newest is forwarded later")
        .tested_by("of_too_many_states_the_newest_is_passed_on"),
    BoundRow::new(&ROOMS, "OUTBOX_MAX_BYTES", OUTBOX_MAX_BYTES as u64, "bytes")
        .of("Data waiting for a client that does not read.", "awareness states are dropped, then closed with 1013")
        .tested_by("who_does_not_read_is_closed_and_equal_once_it_is_back"),
    BoundRow::new(&ROOMS, "OUTBOX_MAX_FRAMES", OUTBOX_MAX_FRAMES as u64, "frames")
        .of("The same in frames.", "awareness states are dropped, then closed with 1013")
        .tested_by("who_does_not_read_is_closed_and_equal_once_it_is_back"),
    BoundRow::new(&ROOMS, "UNSAVED_MAX_MESSAGES", UNSAVED_MAX_MESSAGES as u64, "messages")
        .of(
            "Updates of one room waiting for the disk; in bytes, as much as this many of the largest.",
            "closed with 1013",
        )
        .tested_by("a_room_keeps_so_much_for_the_disk_and_not_more"),
    BoundRow::new(&ROOMS, "ERRANDS_MAX", ERRANDS_MAX as u64, "errands")
        .of("Rooms waiting to be loaded, and requests of owners.", "closed with 1013, and 503")
        .tested_by("errands_are_done_in_order_and_too_many_are_refused"),
    BoundRow::new(&ROOMS, "PAGE_MAX_ROOMS", PAGE_MAX_ROOMS as u64, "rooms")
        .of("Rooms in one page of the list.", "422 for a larger `limit`; `next`, and the next page")
        .tested_by("owners_list_take_out_put_in_and_delete"),
    BoundRow::new(&ROOMS, "SEARCH_MAX_ROOMS", SEARCH_MAX_ROOMS as u64, "rooms")
        .of("Rooms examined for one page of the list.", "a shorter page; `next`, and the next page")
        .tested_by("a_page_looks_at_so_many_rooms_and_says_where_it_stopped"),
    BoundRow::new(&ROOMS, "NAMED_MAX_DAMAGED", NAMED_MAX_DAMAGED as u64, "rooms")
        .of("Damaged rooms listed by `inkring room verify`.", "counted")
        .tested_by("damage_is_named_up_to_a_number_and_counted_beyond"),
    BoundRow::new(&ROOMS, "DOCTOR_MAX_ROOMS", DOCTOR_MAX_ROOMS as u64, "rooms")
        .of("Damaged rooms listed by `inkring doctor`.", "counted")
        .tested_by("damaged_rooms_are_named_up_to_a_number_and_counted_beyond"),
    BoundRow::new(&ROOMS, "MAKERS_MAX", MAKERS_MAX as u64, "users")
        .of("Users who created rooms within the last hour.", "nobody else can create a room for a moment")
        .tested_by("only_so_many_users_are_kept_and_beyond_that_nobody_new_makes_a_room"),
    BoundRow::new(&ROOMS, "REFUSALS_MAX", REFUSALS_MAX as u64, "refusals")
        .of("Refusals of the last minute that are remembered.", "further clients are refused without a socket")
        .tested_by("only_so_many_are_remembered_and_beyond_that_nobody_is_let_in_to_be_told"),
];
