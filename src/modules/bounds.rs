//! What the modules bound, besides what is configured.

use super::access::session::COOKIES_MAX;
use super::access::store::SESSIONS_MAX;
use super::access::tries::TRIES_MAX;
use super::all_kinds::{
    BIN_DAYS, CLAIMED_MAX, DAY_MAX_ITEMS, FOUND_MAX, IMPORT_MAX_BYTES, LINE_MAX_BYTES, LINK_KIND_MAX_CHARS, LINKS_MAX,
    LOOKED_AT_MAX, SNIPPET_MAX_CHARS,
};
use super::calendar::expand::OCCURRENCES_MAX;
use super::calendar::ics_read::{ICS_EVENTS_MAX, ICS_FILE_MAX_BYTES};
use super::calendar::reminder::{DUE_MAX, REMINDERS_MAX};
use super::calendar::{EXPANDED_MAX_BYTES, ICS_EVENT_MAX_BYTES, RECURRING_MAX, STRETCH_MAX_DAYS};
use super::ci::capture::{CAPTURE_TITLE_MAX_CHARS, CAPTURE_TYPE_MAX_CHARS};
use super::ci::chat::{CHAT_LINES_MAX, CHAT_WORDS_MAX};
use super::ci::related::{CANDIDATES_MAX, RELATED_MAX};
use super::ci::routes::CAPTURES_PAGE_MAX;
use super::ci::talk::{CHAT_MESSAGE_MAX_CHARS, CHAT_RECORDS_MAX};
use super::gallery::exif::SEGMENTS_MAX;
use super::gallery::kind::HEAD_BYTES;
use super::gallery::multipart::{BOUNDARY_MAX_BYTES, HEAD_MAX_BYTES, PARTS_MAX};
use super::gallery::picture::{PIXELS_MAX, WHOLE_PIXELS_MAX};
use super::gallery::serving::NAME_MAX_CHARS;
use super::gallery::upload::FIELDS_MAX_BYTES;
use super::gallery::{BOXES_MAX, NAMED_MAX_FILES, SAME_MAX_RECORDS};
use super::importing::REPORTED_MAX_LINES;
use super::kazkar::{INDEX_MAX_NAMES, ON_THIS_DAY_MAX};
use super::limits::CLIENTS_MAX;
use super::malya::BOARD_MAX_IDEAS;
use super::nastrij::ANALYTICS_ENTRIES_MAX;
use super::options::MODULES;
use super::participant::door::PARTICIPANT_CALLS_MAX;
use super::podija::TIMELINE_MAX_EVENTS;
use super::records::change::RELATED_CLEARED_MAX;
use super::records::fact::{FACT_MAX_CHARS, SEARCHED_MAX_CHARS};
use super::records::pages::{PAGES_KEPT_MAX, PAGES_KEPT_MAX_BYTES};
use super::records::read::LIST_MAX_ITEMS;
use super::records::store::SEARCHED_MAX;
use super::records::wanted::{FILTERS_MAX, PAGE_MAX_RECORDS};
use super::takeover::{PAGE_MAX_BYTES, RECORDS_MAX};
use crate::settings::BoundRow;

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&MODULES, "CLIENTS_MAX", CLIENTS_MAX as u64, "addresses")
        .of("Addresses counted by the rate limit of the modules.", "the one idle longest is dropped")
        .tested_by("a_flood_of_addresses_takes_no_more_places_and_none_of_who_is_there"),
    BoundRow::new(&MODULES, "TRIES_MAX", TRIES_MAX as u64, "wrong passwords")
        .of("Wrong passwords from one address within 15 minutes.", "429 `rate_limited`")
        .tested_by("ten_wrong_passwords_close_the_door_for_a_while"),
    BoundRow::new(&MODULES, "SESSIONS_MAX", SESSIONS_MAX as u64, "sessions")
        .of("Sessions of the household.", "the one idle longest ends")
        .tested_by("so_many_sessions_there_are_and_old_ones_end"),
    BoundRow::new(&MODULES, "COOKIES_MAX", COOKIES_MAX as u64, "cookies")
        .of("Cookies read from one request.", "the rest is ignored")
        .tested_by("cookies_are_found_as_browsers_send_them"),
    BoundRow::new(&MODULES, "INDEX_MAX_NAMES", INDEX_MAX_NAMES as u64, "names")
        .of("People or places in an index of stories.", "the least frequent ones are not shown")
        .tested_by("an_index_has_the_most_frequent_names"),
    BoundRow::new(&MODULES, "ON_THIS_DAY_MAX", ON_THIS_DAY_MAX as u64, "stories")
        .of("Stories of this day in other years.", "the older ones are not shown")
        .tested_by("of_this_day_there_are_so_many_stories"),
    BoundRow::new(&MODULES, "PAGE_MAX_RECORDS", PAGE_MAX_RECORDS as u64, "records")
        .of("Records in one list.", "a higher `limit` counts as this")
        .tested_by("a_query_says_which_records"),
    BoundRow::new(&MODULES, "PAGES_KEPT_MAX", PAGES_KEPT_MAX as u64, "lists")
        .of("Cached lists per shard.", "the least recently used is dropped, and read again")
        .tested_by("so_many_lists_are_kept_and_the_one_not_asked_for_longest_is_dropped"),
    BoundRow::new(&MODULES, "PAGES_KEPT_MAX_BYTES", PAGES_KEPT_MAX_BYTES as u64, "bytes")
        .of("Size of these cached lists.", "the same; a larger one is not cached")
        .tested_by("lists_are_kept_up_to_so_many_bytes"),
    BoundRow::new(&MODULES, "FILTERS_MAX", FILTERS_MAX as u64, "filters")
        .of("Filters with a value in one list.", "422 `validation_error`")
        .tested_by("what_is_wrong_with_a_query_is_told_at_once"),
    BoundRow::new(&MODULES, "SEARCHED_MAX", SEARCHED_MAX as u64, "records")
        .of(
            "Records with the words of `q` that one list examines.",
            "the rest is not found; an additional word finds fewer",
        )
        .tested_by("a_search_looks_at_so_many_records"),
    BoundRow::new(&MODULES, "LIST_MAX_ITEMS", LIST_MAX_ITEMS as u64, "items")
        .of("Items in one list of a record, such as its tags.", "422 `validation_error`")
        .tested_by("each_problem_has_its_name_its_place_and_a_sentence"),
    BoundRow::new(&MODULES, "FACT_MAX_CHARS", FACT_MAX_CHARS as u64, "characters")
        .of("Characters of a filter's value that are compared.", "the rest is ignored")
        .tested_by("long_values_and_texts_are_cut"),
    BoundRow::new(&MODULES, "SEARCHED_MAX_CHARS", SEARCHED_MAX_CHARS as u64, "characters")
        .of("Searchable characters of a record.", "the rest is stored, but not searchable")
        .tested_by("long_values_and_texts_are_cut"),
    BoundRow::new(&MODULES, "FOUND_MAX", FOUND_MAX as u64, "records")
        .of("Results of one search over all modules.", "422 `validation_error`")
        .tested_by("one_search_finds_records_of_all_modules"),
    BoundRow::new(&MODULES, "LOOKED_AT_MAX", LOOKED_AT_MAX as u64, "records")
        .of(
            "Records of each kind that such a search examines.",
            "older ones are not found; an additional word finds them",
        )
        .tested_by("a_word_that_is_everywhere_is_looked_at_so_often"),
    BoundRow::new(&MODULES, "SNIPPET_MAX_CHARS", SNIPPET_MAX_CHARS as u64, "characters")
        .of("Characters of a record that a result shows.", "cut between words")
        .tested_by("a_long_text_is_cut_between_words_around_the_first_that_was_found"),
    BoundRow::new(&MODULES, "DAY_MAX_ITEMS", DAY_MAX_ITEMS as u64, "items")
        .of("Entries shown for one day.", "`more` is true")
        .tested_by("a_day_shows_all_in_the_order_of_moments_and_says_when_it_is_cut"),
    BoundRow::new(&MODULES, "LINKS_MAX", LINKS_MAX as u64, "links")
        .of("Links from or to a record.", "422 `validation_error`")
        .tested_by("a_record_has_so_many_links"),
    BoundRow::new(&MODULES, "LINK_KIND_MAX_CHARS", LINK_KIND_MAX_CHARS as u64, "characters")
        .of("Characters in the label of a link.", "422 `validation_error`")
        .tested_by("records_are_linked_both_ways_until_one_of_them_is_deleted"),
    BoundRow::new(&MODULES, "RELATED_CLEARED_MAX", RELATED_CLEARED_MAX as u64, "records")
        .of("Records updated when a record that they link to is deleted.", "the others still link to it, as missing")
        .tested_by("a_deleted_record_is_named_no_more_by_so_many"),
    BoundRow::new(&MODULES, "IMPORT_MAX_BYTES", IMPORT_MAX_BYTES as u64, "bytes")
        .of("Size of one import.", "413 `payload_too_large`; send it in parts")
        .tested_by("what_is_wrong_with_an_import_is_reported_and_the_rest_is_taken"),
    BoundRow::new(&MODULES, "LINE_MAX_BYTES", LINE_MAX_BYTES as u64, "bytes")
        .of("Length of one line of an import.", "the line is rejected, and the next one is read")
        .tested_by("what_is_wrong_with_an_import_is_reported_and_the_rest_is_taken"),
    BoundRow::new(&MODULES, "REPORTED_MAX_LINES", REPORTED_MAX_LINES as u64, "lines")
        .of("Rejected lines of an import that are reported with the reason.", "further ones are only counted")
        .tested_by("so_many_bad_lines_are_reported_and_all_are_counted"),
    BoundRow::new(&MODULES, "CLAIMED_MAX", CLAIMED_MAX as u64, "records")
        .of(
            "Records that a dry run of an import remembers as created.",
            "links to further ones are reported as rejected",
        )
        .tested_by("a_dry_run_remembers_so_many_records"),
    BoundRow::new(&MODULES, "BIN_DAYS", BIN_DAYS as u64, "days")
        .of("How long deleted records can be restored.", "the housekeeper removes them for good")
        .tested_by("what_was_deleted_long_ago_is_removed_for_good"),
    BoundRow::new(&MODULES, "CAPTURE_TYPE_MAX_CHARS", CAPTURE_TYPE_MAX_CHARS as u64, "characters")
        .of("Characters of the `type` of a capture.", "422 `validation_error`")
        .tested_by("all_problems_are_said_at_once"),
    BoundRow::new(&MODULES, "CAPTURE_TITLE_MAX_CHARS", CAPTURE_TITLE_MAX_CHARS as u64, "characters")
        .of("Characters of a capture in the titles of its records.", "the title ends with …; the full text is kept")
        .tested_by("each_kind_of_record_has_its_fields"),
    BoundRow::new(&MODULES, "CAPTURES_PAGE_MAX", CAPTURES_PAGE_MAX as u64, "captures")
        .of("Captures in one list.", "a higher `limit` counts as this")
        .tested_by("captures_are_listed_and_undone_within_a_minute"),
    BoundRow::new(&MODULES, "CANDIDATES_MAX", CANDIDATES_MAX as u64, "records")
        .of("Earlier records examined for a capture.", "the rest is not considered")
        .tested_by("no_more_are_named_or_looked_at_than_the_bounds"),
    BoundRow::new(&MODULES, "RELATED_MAX", RELATED_MAX as u64, "records")
        .of("Earlier records listed with a capture.", "the closest are listed")
        .tested_by("no_more_are_named_or_looked_at_than_the_bounds"),
    BoundRow::new(&MODULES, "CHAT_MESSAGE_MAX_CHARS", CHAT_MESSAGE_MAX_CHARS as u64, "characters")
        .of("Characters of a message to the chat.", "422 `validation_error`")
        .tested_by("the_chat_answers_from_the_households_records"),
    BoundRow::new(&MODULES, "CHAT_WORDS_MAX", CHAT_WORDS_MAX as u64, "words")
        .of("Words of a message that are searched for.", "only the first ones are used")
        .tested_by("a_question_is_about_a_day_a_number_or_words"),
    BoundRow::new(&MODULES, "CHAT_RECORDS_MAX", CHAT_RECORDS_MAX as u64, "records")
        .of("Records that the chat examines for one answer.", "the rest does not count among those not listed")
        .tested_by("the_chat_answers_from_the_households_records"),
    BoundRow::new(&MODULES, "CHAT_LINES_MAX", CHAT_LINES_MAX as u64, "records")
        .of("Records that the chat lists in one answer.", "it says how many more there are")
        .tested_by("the_chat_answers_from_the_households_records"),
    BoundRow::new(&MODULES, "ANALYTICS_ENTRIES_MAX", ANALYTICS_ENTRIES_MAX as u64, "records")
        .of("Entries counted in one report of moods.", "the latest are counted")
        .tested_by("records_of_a_time_are_found_in_its_order_up_to_a_bound"),
    BoundRow::new(&MODULES, "TIMELINE_MAX_EVENTS", TIMELINE_MAX_EVENTS as u64, "records")
        .of("Events counted in one report over time.", "the latest, or those nearest to now, are counted")
        .tested_by("events_are_shown_along_time_and_promoted_to_the_calendar"),
    BoundRow::new(&MODULES, "BOARD_MAX_IDEAS", BOARD_MAX_IDEAS as u64, "records")
        .of("Ideas on one board.", "the newest are shown; `total` counts all")
        .tested_by("ideas_are_shown_on_a_board_and_promoted"),
    BoundRow::new(&MODULES, "RECORDS_MAX", RECORDS_MAX as u64, "records")
        .of("Records of one module imported by `inkring modules import`.", "it stops early")
        .tested_by("so_many_records_are_told_apart"),
    BoundRow::new(&MODULES, "PAGE_MAX_BYTES", PAGE_MAX_BYTES, "bytes")
        .of("One page of them, as sent by the other server.", "it stops early"),
    BoundRow::new(&MODULES, "PARTICIPANT_CALLS_MAX", PARTICIPANT_CALLS_MAX as u64, "calls")
        .of("Calls of the participant per minute.", "429 `rate_limited`")
        .tested_by("whoever_has_the_key_is_let_in_thirty_times_a_minute"),
    BoundRow::new(&MODULES, "OCCURRENCES_MAX", OCCURRENCES_MAX as u64, "occurrences")
        .of("Occurrences in one list with `expand`.", "only the first are returned, with `X-Truncated: true`")
        .tested_by("a_list_of_occurrences_is_in_order_and_bounded"),
    BoundRow::new(&MODULES, "STRETCH_MAX_DAYS", STRETCH_MAX_DAYS as u64, "days")
        .of("Time from `from` to `to` with `expand`.", "422 `validation_error`")
        .tested_by("a_list_of_occurrences_is_in_order_and_bounded"),
    BoundRow::new(&MODULES, "EXPANDED_MAX_BYTES", EXPANDED_MAX_BYTES as u64, "bytes")
        .of(
            "Entries in one list with `expand`; each occurrence counts.",
            "only the first are returned, with `X-Truncated: true`",
        )
        .tested_by("a_list_has_so_many_bytes"),
    BoundRow::new(&MODULES, "RECURRING_MAX", RECURRING_MAX as u64, "entries")
        .of(
            "Recurring entries that one list with `expand` examines, newest first.",
            "the others are omitted; `X-Truncated: true`",
        )
        .tested_by("so_many_entries_are_looked_at"),
    BoundRow::new(&MODULES, "REMINDERS_MAX", REMINDERS_MAX as u64, "reminders")
        .of("Reminders of one entry.", "422 `validation_error`")
        .tested_by("settings_are_a_number_or_some"),
    BoundRow::new(&MODULES, "DUE_MAX", DUE_MAX as u64, "reminders")
        .of("Due reminders in one list, and in one notification.", "only the first are returned; `more` is true")
        .tested_by("an_answer_holds_so_many_and_the_next_goes_on_behind_it"),
    BoundRow::new(&MODULES, "ICS_FILE_MAX_BYTES", ICS_FILE_MAX_BYTES as u64, "bytes")
        .of("An uploaded calendar file; one at a time.", "413 `payload_too_large`; 503 `overloaded` meanwhile")
        .tested_by("files_and_what_is_in_them_are_bounded"),
    BoundRow::new(&MODULES, "ICS_EVENTS_MAX", ICS_EVENTS_MAX as u64, "events")
        .of("Events of such a file.", "422 `validation_error`")
        .tested_by("files_and_what_is_in_them_are_bounded"),
    BoundRow::new(&MODULES, "ICS_EVENT_MAX_BYTES", ICS_EVENT_MAX_BYTES as u64, "bytes")
        .of("Text of one such event that goes into its entry.", "it is rejected, and the next one is read")
        .tested_by("one_event_says_so_much"),
    BoundRow::new(&MODULES, "HEAD_BYTES", HEAD_BYTES as u64, "bytes")
        .of("Bytes at the start of a file that are used to detect its type.", "the rest is not examined")
        .tested_by("what_households_keep_is_known"),
    BoundRow::new(&MODULES, "HEAD_MAX_BYTES", HEAD_MAX_BYTES as u64, "bytes")
        .of("The head of a part of a multipart form.", "422 `validation_error`")
        .tested_by("what_is_no_form_is_told_so"),
    BoundRow::new(&MODULES, "PARTS_MAX", PARTS_MAX as u64, "parts")
        .of("Parts of one form.", "422 `validation_error`")
        .tested_by("what_is_no_form_is_told_so"),
    BoundRow::new(&MODULES, "BOUNDARY_MAX_BYTES", BOUNDARY_MAX_BYTES as u64, "bytes")
        .of("The boundary of a form (RFC 2046).", "422 `validation_error`")
        .tested_by("a_boundary_is_as_the_standard_has_it"),
    BoundRow::new(&MODULES, "FIELDS_MAX_BYTES", FIELDS_MAX_BYTES as u64, "bytes")
        .of("Fields of a form, with their names, without its file.", "422 `validation_error`")
        .tested_by("what_is_no_upload_leaves_nothing"),
    BoundRow::new(&MODULES, "SEGMENTS_MAX", SEGMENTS_MAX as u64, "segments")
        .of("Segments of an uploaded picture.", "422 `validation_error`")
        .tested_by("segments_without_end_are_refused"),
    BoundRow::new(&MODULES, "BOXES_MAX", BOXES_MAX as u64, "boxes")
        .of("Boxes of an uploaded video or HEIC file.", "422 `validation_error`")
        .tested_by("boxes_without_end_are_refused"),
    BoundRow::new(&MODULES, "PIXELS_MAX", PIXELS_MAX, "pixels")
        .of("A picture for which thumbnails are made.", "it is stored without thumbnails")
        .tested_by("a_picture_over_the_bounds_has_none"),
    BoundRow::new(&MODULES, "WHOLE_PIXELS_MAX", WHOLE_PIXELS_MAX, "pixels")
        .of("The same for one that can only be decoded as a whole.", "it is stored without thumbnails")
        .tested_by("a_picture_over_the_bounds_has_none"),
    BoundRow::new(&MODULES, "NAME_MAX_CHARS", NAME_MAX_CHARS as u64, "characters")
        .of("The displayed name of a file.", "it is cut, except for its extension such as `.jpg`")
        .tested_by("names_are_made_fit_to_show"),
    BoundRow::new(&MODULES, "SAME_MAX_RECORDS", SAME_MAX_RECORDS as u64, "records")
        .of("Records of one file that are searched for the one of the same upload.", "another record is created")
        .tested_by("so_many_records_of_a_file_are_looked_at"),
    BoundRow::new(&MODULES, "NAMED_MAX_FILES", NAMED_MAX_FILES as u64, "files")
        .of("Files of each kind listed by `inkring gallery verify`.", "counted")
        .tested_by("files_are_named_up_to_a_number_and_counted_beyond"),
];
