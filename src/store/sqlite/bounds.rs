//! What is bounded of changes and of the files.

use super::copying::{PAGES_PER_STEP, STEPS_FACTOR};
use super::vacuum::{FREE_KEPT_PAGES, VACUUM_STEP_PAGES};
use super::writer::{BATCH_MAX, CHECKPOINT_AFTER, CHECKPOINT_EVERY_ROWS, PROBE_EVERY, TEXTS_MAX_BYTES, WAL_PAGES_MAX};
use crate::settings::{BoundRow, STORAGE};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&STORAGE, "BATCH_MAX", BATCH_MAX as u64, "changes")
        .of("Changes in one commit.", "the rest with the next")
        .tested_by("a_full_batch_leaves_the_rest_to_the_next"),
    BoundRow::new(&STORAGE, "TEXTS_MAX_BYTES", TEXTS_MAX_BYTES as u64, "bytes")
        .of(
            "Texts of one commit waiting for the full-text index, plus those of one change.",
            "they are indexed between two changes of the commit",
        )
        .tested_by("texts_of_a_batch_are_found_after_it_but_for_those_of_a_job_that_is_undone"),
    BoundRow::new(&STORAGE, "CHECKPOINT_EVERY_ROWS", CHECKPOINT_EVERY_ROWS, "rows")
        .of("Rows changed between two checkpoints; a released page counts as 8.", "a checkpoint between two batches")
        .tested_by("the_log_is_moved_into_the_database_after_so_many_rows_in_however_few_jobs"),
    BoundRow::new(&STORAGE, "CHECKPOINT_AFTER", CHECKPOINT_AFTER.as_secs(), "seconds")
        .of("How long a change stays only in the write-ahead log.", "a checkpoint between two batches, or when idle")
        .tested_by("a_minute_after_a_change_the_log_is_moved_into_the_database_however_quiet_it_is"),
    BoundRow::new(&STORAGE, "WAL_PAGES_MAX", WAL_PAGES_MAX as u64, "pages")
        .of("What a checkpoint leaves in the log.", "the server waits for readers once"),
    BoundRow::new(&STORAGE, "PROBE_EVERY", PROBE_EVERY.as_secs(), "seconds")
        .of(
            "Interval between write attempts while the storage accepts no changes.",
            "changes are refused: 503 `storage_readonly`",
        )
        .tested_by("while_read_only_jobs_are_refused_where_they_are_handed_in_and_a_probe_ends_it"),
    BoundRow::new(&STORAGE, "FREE_KEPT_PAGES", FREE_KEPT_PAGES, "pages")
        .of(
            "Free pages kept in the database, or an eighth of the used ones if that is more.",
            "at twice as many, the rest is returned to the disk",
        )
        .tested_by("what_is_free_goes_in_small_steps_but_for_what_will_be_used_again"),
    BoundRow::new(&STORAGE, "VACUUM_STEP_PAGES", VACUUM_STEP_PAGES, "pages")
        .of("Pages returned to the disk in one change.", "the rest with the next change")
        .tested_by("what_is_free_goes_in_small_steps_but_for_what_will_be_used_again"),
    BoundRow::new(&STORAGE, "PAGES_PER_STEP", PAGES_PER_STEP as u64, "pages")
        .of(
            "Pages copied for a backup between two commits, plus the growth of the database.",
            "the rest with the next step",
        )
        .tested_by("a_copy_has_every_change_made_meanwhile_and_takes_no_more_steps_for_it"),
    BoundRow::new(&STORAGE, "STEPS_FACTOR", STEPS_FACTOR as u64, "times")
        .of(
            "Steps of a copy, as a multiple of the expected number.",
            "the backup fails: another process writes to the database",
        )
        .tested_by("a_copy_that_begins_again_and_again_has_an_end"),
];
