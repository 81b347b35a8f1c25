//! What is bounded of behaviour metrics, whatever is configured.

use super::body::{EVENTS_BODY_MAX_BYTES, EVENTS_PER_BODY_MAX, PROBLEMS_MAX};
use super::bucket::ADDRESSES_MAX;
use super::event::AGENT_MAX_CHARS;
use super::import::{IMPORT_DAYS_MAX, IMPORT_KNOWN_MAX};
use super::json::NESTING_MAX;
use super::kept_reports::{REPORTS_KEPT_MAX, REPORTS_KEPT_MAX_BYTES};
use super::line::LINE_MAX_BYTES;
use super::options::BEHAVIOUR;
use super::report::{NAMES_MAX, REPORT_DAYS_MAX, TOP_MAX};
use super::ring::RING_MAX_BYTES;
use super::sink::{EVENTS_LEAVE_BYTES, SINK_BYTES_MAX, SINK_REQUESTS_MAX, SYNC_WITHIN};
use super::snapshot::WHOLE_SNAPSHOT_MAX_BYTES;
use super::tally::{TEXT_MAX_BYTES, TEXTS_MAX, VISITORS_EXACT_MAX};
use crate::settings::BoundRow;

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&BEHAVIOUR, "EVENTS_BODY_MAX_BYTES", EVENTS_BODY_MAX_BYTES as u64, "bytes")
        .of("A body with events.", "413")
        .tested_by("a_body_of_64_kib_is_read_and_one_byte_more_is_not"),
    BoundRow::new(&BEHAVIOUR, "EVENTS_PER_BODY_MAX", EVENTS_PER_BODY_MAX as u64, "events")
        .of("Events in a body.", "422 `too_long`")
        .tested_by("so_many_events_fit_a_body_and_so_many_problems_an_answer"),
    BoundRow::new(&BEHAVIOUR, "PROBLEMS_MAX", PROBLEMS_MAX as u64, "problems")
        .of("What is said to be wrong with several events.", "the rest is left out")
        .tested_by("so_many_events_fit_a_body_and_so_many_problems_an_answer"),
    BoundRow::new(&BEHAVIOUR, "NESTING_MAX", NESTING_MAX as u64, "levels")
        .of("Arrays and objects in each other in a body with events.", "422 `json_invalid`")
        .tested_by("nesting_has_an_end"),
    BoundRow::new(&BEHAVIOUR, "AGENT_MAX_CHARS", AGENT_MAX_CHARS as u64, "characters")
        .of("A user agent that is kept, wherever it comes from.", "cut")
        .tested_by("the_agent_is_the_clients_or_else_the_headers_and_cut_in_either_case"),
    BoundRow::new(&BEHAVIOUR, "LINE_MAX_BYTES", LINE_MAX_BYTES as u64, "bytes")
        .of("A line of the file that is read as an event.", "not read")
        .tested_by("the_longest_event_is_a_line_that_is_read_again"),
    BoundRow::new(&BEHAVIOUR, "ADDRESSES_MAX", ADDRESSES_MAX as u64, "addresses")
        .of("Addresses that are told apart when requests with events are counted.", "one seen long ago is forgotten")
        .tested_by("a_million_addresses_fit_the_table_and_the_one_that_comes_back_is_known"),
    BoundRow::new(&BEHAVIOUR, "RING_MAX_BYTES", RING_MAX_BYTES as u64, "bytes")
        .of("The last events in memory, and what is read of a file to have them again.", "fewer of them are kept")
        .tested_by("large_events_make_fewer_of_them"),
    BoundRow::new(&BEHAVIOUR, "WHOLE_SNAPSHOT_MAX_BYTES", WHOLE_SNAPSHOT_MAX_BYTES as u64, "bytes")
        .of("A snapshot that is made at once.", "made piece by piece as its client takes it")
        .tested_by("a_large_snapshot_comes_in_pieces"),
    BoundRow::new(&BEHAVIOUR, "SINK_REQUESTS_MAX", SINK_REQUESTS_MAX as u64, "requests")
        .of("Requests whose events wait to be written.", "503 `overloaded`")
        .tested_by("so_much_waits_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "SINK_BYTES_MAX", SINK_BYTES_MAX as u64, "bytes")
        .of("Lines that wait to be written.", "503 `overloaded`")
        .tested_by("so_much_waits_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "SYNC_WITHIN", SYNC_WITHIN.as_millis() as u64, "ms")
        .of("Lines in the file that are not synced.", "synced")
        .tested_by("what_was_written_is_synced_within_a_second"),
    BoundRow::new(&BEHAVIOUR, "EVENTS_LEAVE_BYTES", EVENTS_LEAVE_BYTES, "bytes")
        .of(
            "What events leave free of a disk; of one with less than a GiB, a sixteenth.",
            "500 `metrics_sink_write_failed`",
        )
        .tested_by("a_full_disk_is_said_and_left_to_the_database"),
    BoundRow::new(&BEHAVIOUR, "REPORT_DAYS_MAX", REPORT_DAYS_MAX as u64, "days")
        .of("Days of a report.", "refused")
        .tested_by("a_report_has_so_many_days_and_rows_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "REPORTS_KEPT_MAX", REPORTS_KEPT_MAX as u64, "reports")
        .of("Reports that are kept for the operator's page.", "the oldest is made anew when it is asked for")
        .tested_by("a_report_is_kept_for_a_while_and_one_is_made_at_a_time"),
    BoundRow::new(&BEHAVIOUR, "REPORTS_KEPT_MAX_BYTES", REPORTS_KEPT_MAX_BYTES as u64, "bytes")
        .of("Of these reports; the newest is kept in any case.", "the oldest is made anew when it is asked for")
        .tested_by("reports_that_are_large_are_kept_as_far_as_there_is_room"),
    BoundRow::new(&BEHAVIOUR, "TOP_MAX", TOP_MAX as u64, "rows")
        .of("Paths, links and referrers that a report lists, of each.", "refused")
        .tested_by("a_report_has_so_many_days_and_rows_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "NAMES_MAX", NAMES_MAX as u64, "names")
        .of("Events that a report tells apart by their names.", "the others are counted together")
        .tested_by("so_many_names_are_told_apart_and_the_rest_is_counted_together"),
    BoundRow::new(&BEHAVIOUR, "VISITORS_EXACT_MAX", VISITORS_EXACT_MAX as u64, "visitors")
        .of("Visitors that a report counts one by one, all its days together.", "estimated by HyperLogLog, and said")
        .tested_by("visitors_are_exact_up_to_a_bound_and_then_nearly_so"),
    BoundRow::new(&BEHAVIOUR, "TEXTS_MAX", TEXTS_MAX as u64, "texts")
        .of(
            "Different paths that a report keeps; as many links, and as many referrers.",
            "the rarer half is forgotten, and said",
        )
        .tested_by("the_most_frequent_texts_are_found_among_very_many_and_none_is_counted_too_often"),
    BoundRow::new(&BEHAVIOUR, "TEXT_MAX_BYTES", TEXT_MAX_BYTES as u64, "bytes")
        .of("Of a path, a link or a referrer in a report.", "cut")
        .tested_by("the_most_frequent_texts_are_found_among_very_many_and_none_is_counted_too_often"),
    BoundRow::new(&BEHAVIOUR, "IMPORT_DAYS_MAX", IMPORT_DAYS_MAX as u64, "days")
        .of("Days of a file that is imported.", "refused")
        .tested_by("a_file_has_so_many_days_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "IMPORT_KNOWN_MAX", IMPORT_KNOWN_MAX as u64, "lines")
        .of("Lines that are there, with which those of an imported file are compared.", "refused")
        .tested_by("lines_are_compared_with_so_many_and_no_more"),
];
