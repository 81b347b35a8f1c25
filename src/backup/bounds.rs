//! What is bounded of backups.

use super::check::FAULTS_MAX;
use super::error::{ROOM_LEFT_BYTES, TAKEN_MAX};
use super::files::LINE_MAX_BYTES;
use super::manifest::MANIFEST_MAX_BYTES;
use super::partial::SAME_SECOND_MAX;
use super::running::{OVERDUE_INTERVALS, RETRY_AFTER};
use super::verbs::BACKUP_PATIENCE;
use crate::feature::LOSSES_NAMED_MAX;
use crate::settings::{BoundRow, OPERATIONS};

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&OPERATIONS, "ROOM_LEFT_BYTES", ROOM_LEFT_BYTES, "bytes")
        .of("Disk space that a backup leaves free.", "the backup is not started")
        .tested_by("a_disk_without_room_for_it_is_left_alone"),
    BoundRow::new(&OPERATIONS, "RETRY_AFTER", RETRY_AFTER.as_secs(), "seconds")
        .of("Time between a failed backup and the next attempt.", "waited for")
        .tested_by(
            "the_next_one_is_due_by_the_newest_manifest_also_after_a_restart_and_a_failure_is_tried_again_later",
        ),
    BoundRow::new(&OPERATIONS, "OVERDUE_INTERVALS", OVERDUE_INTERVALS as u64, "intervals")
        .of("The age of the newest backup.", "`/readyz?verbose=1` warns")
        .tested_by(
            "the_next_one_is_due_by_the_newest_manifest_also_after_a_restart_and_a_failure_is_tried_again_later",
        ),
    BoundRow::new(&OPERATIONS, "TAKEN_MAX", TAKEN_MAX as u64, "copies")
        .of("Copies of the database being downloaded at once; their files are already unlinked.", "409")
        .tested_by("so_many_copies_are_taken_away_at_once"),
    BoundRow::new(&OPERATIONS, "SAME_SECOND_MAX", SAME_SECOND_MAX as u64, "backups")
        .of("Backups made within one second.", "refused")
        .tested_by("there_are_only_so_many_in_a_second"),
    BoundRow::new(&OPERATIONS, "MANIFEST_MAX_BYTES", MANIFEST_MAX_BYTES, "bytes")
        .of("The manifest of a backup.", "not read further")
        .tested_by("a_manifest_is_read_up_to_its_bound"),
    BoundRow::new(&OPERATIONS, "LINE_MAX_BYTES", LINE_MAX_BYTES, "bytes")
        .of("A line in the file list of a backup.", "the backup is not good")
        .tested_by("a_line_of_a_list_is_read_up_to_its_bound"),
    BoundRow::new(&OPERATIONS, "LOSSES_NAMED_MAX", LOSSES_NAMED_MAX as u64, "of a kind")
        .of("Drafts, and rooms, that a restore lists because the backup lacks something of them.", "counted")
        .tested_by("what_is_newer_is_named_up_to_a_number_and_counted_beyond"),
    BoundRow::new(&OPERATIONS, "FAULTS_MAX", FAULTS_MAX as u64, "faults")
        .of("Faults of a database that are listed.", "not looked for"),
    BoundRow::new(&OPERATIONS, "BACKUP_PATIENCE", BACKUP_PATIENCE.as_secs(), "seconds")
        .of("How long `inkring backup` waits for a server.", "it fails; the server continues the backup"),
];
