//! What is bounded of the audit log.

use super::entry::TEXT_MAX_CHARS;
use super::erasing::RECHAINED_MAX_ROWS;
use super::mark::GAPS_MAX;
use super::marking::MARK_SEARCHED_MAX_ROWS;
use super::read::SEARCHED_MAX_ROWS;
use super::store::SLICE_ROWS;
use super::upkeep::REMOVED_MAX_ROWS;
use crate::settings::{AUDIT, BoundRow};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&AUDIT, "TEXT_MAX_CHARS", TEXT_MAX_CHARS as u64, "characters")
        .of("A text in a row.", "cut")
        .tested_by("metadata_is_an_object_of_typed_values_or_nothing"),
    BoundRow::new(&AUDIT, "REMOVED_MAX_ROWS", REMOVED_MAX_ROWS as u64, "rows")
        .of("Rows removed in one change.", "the rest with the next change")
        .tested_by("many_old_rows_are_removed_in_several_jobs"),
    BoundRow::new(&AUDIT, "SLICE_ROWS", SLICE_ROWS as u64, "rows")
        .of("Rows that a verb reads at once.", "the rest with the next reading"),
    BoundRow::new(&AUDIT, "SEARCHED_MAX_ROWS", SEARCHED_MAX_ROWS as u64, "rows")
        .of("Rows that the private plane searches for matching ones.", "older ones are not found"),
    BoundRow::new(&AUDIT, "MARK_SEARCHED_MAX_ROWS", MARK_SEARCHED_MAX_ROWS as u64, "rows")
        .of("Rows that a start searches for the last record of what is recorded.", "it is recorded once more")
        .tested_by("where_the_newest_mark_is_far_away_or_gone_it_is_said_once_more"),
    BoundRow::new(&AUDIT, "GAPS_MAX", GAPS_MAX as u64, "gaps")
        .of("Gaps of the log that are listed.", "earlier ones are only counted")
        .tested_by("so_many_gaps_are_named"),
    BoundRow::new(&AUDIT, "RECHAINED_MAX_ROWS", RECHAINED_MAX_ROWS, "rows")
        .of("Rows whose hashes are rewritten when a person is erased.", "409; nobody is erased")
        .tested_by("so_many_rows_are_made_anew_and_no_more"),
];
