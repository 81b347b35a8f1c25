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
use super::routes::TURN_MAX_BYTES;
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
        .of("Problems reported for several events.", "the rest is omitted")
        .tested_by("so_many_events_fit_a_body_and_so_many_problems_an_answer"),
    BoundRow::new(&BEHAVIOUR, "NESTING_MAX", NESTING_MAX as u64, "levels")
        .of("Nesting of arrays and objects in a body with events.", "422 `json_invalid`")
        .tested_by("nesting_has_an_end"),
    BoundRow::new(&BEHAVIOUR, "AGENT_MAX_CHARS", AGENT_MAX_CHARS as u64, "characters")
        .of("A stored user agent.", "cut")
        .tested_by("the_agent_is_the_clients_or_else_the_headers_and_cut_in_either_case"),
    BoundRow::new(&BEHAVIOUR, "LINE_MAX_BYTES", LINE_MAX_BYTES as u64, "bytes")
        .of("A line of the file that is read as an event.", "not read")
        .tested_by("the_longest_event_is_a_line_that_is_read_again"),
    BoundRow::new(&BEHAVIOUR, "ADDRESSES_MAX", ADDRESSES_MAX as u64, "addresses")
        .of("Addresses counted by the rate limit of events.", "one not seen for long is dropped")
        .tested_by("a_million_addresses_fit_the_table_and_the_one_that_comes_back_is_known"),
    BoundRow::new(&BEHAVIOUR, "RING_MAX_BYTES", RING_MAX_BYTES as u64, "bytes")
        .of("Size of the newest events in memory, and of what is read from a file at start.", "fewer are kept")
        .tested_by("large_events_make_fewer_of_them"),
    BoundRow::new(&BEHAVIOUR, "WHOLE_SNAPSHOT_MAX_BYTES", WHOLE_SNAPSHOT_MAX_BYTES as u64, "bytes")
        .of("A snapshot built in memory.", "built piece by piece as the client reads it")
        .tested_by("a_large_snapshot_comes_in_pieces"),
    BoundRow::new(&BEHAVIOUR, "TURN_MAX_BYTES", TURN_MAX_BYTES as u64, "bytes")
        .of("Lines that a shard gathers while it serves what is ready.", "handed over at once")
        .tested_by("what_is_ready_together_is_written_together_and_answered_each_by_itself"),
    BoundRow::new(&BEHAVIOUR, "SINK_REQUESTS_MAX", SINK_REQUESTS_MAX as u64, "requests")
        .of("Requests whose events wait to be written.", "503 `overloaded`")
        .tested_by("so_much_waits_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "SINK_BYTES_MAX", SINK_BYTES_MAX as u64, "bytes")
        .of("Lines that wait to be written.", "503 `overloaded`")
        .tested_by("so_much_waits_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "SYNC_WITHIN", SYNC_WITHIN.as_millis() as u64, "ms")
        .of("How long lines of the file may stay unsynced.", "synced")
        .tested_by("what_was_written_is_synced_within_a_second"),
    BoundRow::new(&BEHAVIOUR, "EVENTS_LEAVE_BYTES", EVENTS_LEAVE_BYTES, "bytes")
        .of("Disk space that events leave free; on disks below 1 GiB, a sixteenth.", "500 `metrics_sink_write_failed`")
        .tested_by("a_full_disk_is_said_and_left_to_the_database"),
    BoundRow::new(&BEHAVIOUR, "REPORT_DAYS_MAX", REPORT_DAYS_MAX as u64, "days")
        .of("Days of a report.", "refused")
        .tested_by("a_report_has_so_many_days_and_rows_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "REPORTS_KEPT_MAX", REPORTS_KEPT_MAX as u64, "reports")
        .of("Reports cached for the operator's page.", "the oldest is built again on request")
        .tested_by("a_report_is_kept_for_a_while_and_one_is_made_at_a_time"),
    BoundRow::new(&BEHAVIOUR, "REPORTS_KEPT_MAX_BYTES", REPORTS_KEPT_MAX_BYTES as u64, "bytes")
        .of("Size of these reports; the newest is always kept.", "the oldest is built again on request")
        .tested_by("reports_that_are_large_are_kept_as_far_as_there_is_room"),
    BoundRow::new(&BEHAVIOUR, "TOP_MAX", TOP_MAX as u64, "rows")
        .of("Paths listed in a report; also links, and referrers.", "refused")
        .tested_by("a_report_has_so_many_days_and_rows_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "NAMES_MAX", NAMES_MAX as u64, "names")
        .of("Event names that a report counts separately.", "the others are counted together")
        .tested_by("so_many_names_are_told_apart_and_the_rest_is_counted_together"),
    BoundRow::new(&BEHAVIOUR, "VISITORS_EXACT_MAX", VISITORS_EXACT_MAX as u64, "visitors")
        .of(
            "Visitors that a report counts exactly, over all its days.",
            "estimated with HyperLogLog, and marked as such",
        )
        .tested_by("visitors_are_exact_up_to_a_bound_and_then_nearly_so"),
    BoundRow::new(&BEHAVIOUR, "TEXTS_MAX", TEXTS_MAX as u64, "texts")
        .of(
            "Different paths that a report tracks; also links, and referrers.",
            "the rarer half is dropped, and the report says so",
        )
        .tested_by("the_most_frequent_texts_are_found_among_very_many_and_none_is_counted_too_often"),
    BoundRow::new(&BEHAVIOUR, "TEXT_MAX_BYTES", TEXT_MAX_BYTES as u64, "bytes")
        .of("A path, link or referrer in a report.", "cut")
        .tested_by("the_most_frequent_texts_are_found_among_very_many_and_none_is_counted_too_often"),
    BoundRow::new(&BEHAVIOUR, "IMPORT_DAYS_MAX", IMPORT_DAYS_MAX as u64, "days")
        .of("Days covered by an imported file.", "refused")
        .tested_by("a_file_has_so_many_days_and_no_more"),
    BoundRow::new(&BEHAVIOUR, "IMPORT_KNOWN_MAX", IMPORT_KNOWN_MAX as u64, "lines")
        .of("Existing lines that an imported file is compared with.", "refused")
        .tested_by("lines_are_compared_with_so_many_and_no_more"),
];
