//! What is bounded of the log.

use super::format::{MAX_FIELDS, MAX_TEXT};
use super::sample::{LINES_PER_SECOND, PATH_MAX_CHARS};
use super::sink::{QUEUE_BYTES, QUEUE_LINES};
use crate::settings::{BoundRow, LOGS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&LOGS, "QUEUE_LINES", QUEUE_LINES as u64, "lines")
        .of("Lines waiting to be written.", "dropped and counted")
        .tested_by("a_blocked_output_never_blocks_the_caller"),
    BoundRow::new(&LOGS, "QUEUE_BYTES", QUEUE_BYTES as u64, "bytes")
        .of("The same in bytes.", "dropped and counted")
        .tested_by("bytes_are_bounded_too_but_a_giant_line_fits_an_empty_queue"),
    BoundRow::new(&LOGS, "MAX_TEXT", MAX_TEXT as u64, "characters")
        .of("A text in a line.", "cut")
        .tested_by("texts_are_cut_at_500_code_points"),
    BoundRow::new(&LOGS, "MAX_FIELDS", MAX_FIELDS as u64, "fields")
        .of("Fields in a line.", "omitted and counted")
        .tested_by("at_most_32_fields"),
    BoundRow::new(&LOGS, "LINES_PER_SECOND", LINES_PER_SECOND as u64, "lines a second")
        .of("Lines of one kind caused by unauthenticated clients.", "omitted and counted")
        .tested_by("a_second_has_a_hundred_lines_of_a_kind_and_the_next_says_how_many_were_left_out"),
    BoundRow::new(&LOGS, "PATH_MAX_CHARS", PATH_MAX_CHARS as u64, "characters")
        .of("The path in such a line.", "cut")
        .tested_by("a_flood_of_refusals_leaves_a_hundred_lines_a_second"),
];
