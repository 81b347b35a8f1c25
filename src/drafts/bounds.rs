//! What is bounded of drafts.

use super::analytics::DAILY_MAX_DAYS;
use super::damage::DAMAGED_MAX;
use super::invites::retention::{INVITE_KEPT_DAYS, REMOVED_MAX_INVITES};
use super::invites::{EXPIRES_MAX_HOURS, KEPT_MAX_INVITES, PENDING_MAX_INVITES};
use super::keys::retention::{KEY_LIFE_HOURS, REMOVED_MAX_KEYS, SLICE_KEYS};
use super::model::{
    CHAINED_MAX_SEGMENTS, CONTENT_MAX_CHARS, IDEMPOTENCY_KEY_MAX_CHARS, LEASE_MAX_SECONDS, LIST_MAX_BYTES,
    LIST_MAX_DRAFTS, PAGE_MAX_EVENTS, PAGE_MAX_SEGMENTS, REASON_MAX_CHARS, ROLE_MAX_CHARS, TITLE_MAX_CHARS,
};
use super::operator::{DRAFTS_PAGE_MAX, MEMBERS_SHOWN_MAX, SEARCHED_MAX_DRAFTS, SEGMENTS_PAGE_MAX};
use super::options::DRAFTS;
use super::parting::purge::{GONE_DAYS, PURGED_MAX_ROWS};
use super::parts::PAGE_ROWS;
use super::replay::REPLAY_MAX_EVENTS;
use super::retention::{REMOVED_MAX_EVENTS, SLICE_DRAFTS};
use super::routes::HEAD_MAX_ROWS;
use super::timeline::TIMELINE_MAX_EVENTS;
use super::view::{READ_MAX_TIMES, WHOLE_MAX_BYTES};
use super::walk::STEP_ROWS;
use super::watchers::NAMED_MAX_WATCHERS;
use crate::settings::BoundRow;

pub(crate) const BOUNDS: &[BoundRow] = &[
    BoundRow::new(&DRAFTS, "TITLE_MAX_CHARS", TITLE_MAX_CHARS as u64, "characters")
        .of("A title.", "422")
        .tested_by("each_row_of_the_422_catalogue_is_the_contracts"),
    BoundRow::new(&DRAFTS, "CONTENT_MAX_CHARS", CONTENT_MAX_CHARS as u64, "characters")
        .of("A segment.", "422")
        .tested_by("each_row_of_the_422_catalogue_is_the_contracts"),
    BoundRow::new(&DRAFTS, "IDEMPOTENCY_KEY_MAX_CHARS", IDEMPOTENCY_KEY_MAX_CHARS as u64, "characters")
        .of("An idempotency key.", "422")
        .tested_by("keys_may_be_empty_or_strange_but_not_over_255_characters"),
    BoundRow::new(&DRAFTS, "ROLE_MAX_CHARS", ROLE_MAX_CHARS as u64, "characters")
        .of("The role of a collaborator.", "422")
        .tested_by("a_collaborator_whom_nobody_could_be_is_refused"),
    BoundRow::new(&DRAFTS, "CHAINED_MAX_SEGMENTS", CHAINED_MAX_SEGMENTS as u64, "segments")
        .of(
            "Segments of an older version that get their hashes with one change to their draft.",
            "503 `overloaded` until all have theirs",
        )
        .tested_by("a_draft_of_an_older_version_gets_its_chain_before_it_is_written_in_again"),
    BoundRow::new(&DRAFTS, "LIST_MAX_DRAFTS", LIST_MAX_DRAFTS as u64, "drafts")
        .of("Drafts in one list.", "`truncated`, and a link to the rest")
        .tested_by("a_long_list_comes_in_pages_without_gap_or_repeat"),
    BoundRow::new(&DRAFTS, "LIST_MAX_BYTES", LIST_MAX_BYTES as u64, "bytes")
        .of("One list, plus one draft.", "`truncated`, and a link to the rest")
        .tested_by("a_list_is_bounded_in_bytes_as_well"),
    BoundRow::new(&DRAFTS, "WHOLE_MAX_BYTES", WHOLE_MAX_BYTES as u64, "bytes")
        .of("A draft or a list built in memory.", "sent in pieces, read as the client takes them")
        .tested_by("readers_of_a_large_draft_cost_a_piece_each_and_not_the_draft"),
    BoundRow::new(&DRAFTS, "PAGE_ROWS", PAGE_ROWS as u64, "rows")
        .of("Segments, passes or collaborators read at once.", "the next ones with the next page")
        .tested_by("a_draft_is_the_same_in_pieces_and_whole_and_what_is_added_meanwhile_waits"),
    BoundRow::new(&DRAFTS, "PAGE_MAX_SEGMENTS", PAGE_MAX_SEGMENTS as u64, "segments")
        .of("Segments in one page of a draft.", "422 for a larger `limit`; `more`, and the next page")
        .tested_by("pages_go_through_a_draft_without_gap_or_repeat"),
    BoundRow::new(&DRAFTS, "HEAD_MAX_ROWS", HEAD_MAX_ROWS as u64, "rows")
        .of("Rows read for a HEAD request.", "answered without `Content-Length`")
        .tested_by("a_head_of_much_costs_next_to_nothing"),
    BoundRow::new(&DRAFTS, "PAGE_MAX_EVENTS", PAGE_MAX_EVENTS as u64, "events")
        .of("Events in one response.", "422 for a larger `limit`; `more`, and the next page")
        .tested_by("what_is_no_event_log_is_refused_shape_first"),
    BoundRow::new(&DRAFTS, "REPLAY_MAX_EVENTS", REPLAY_MAX_EVENTS as u64, "events")
        .of("Events sent to a socket that catches up.", "only the newest; `complete` is false")
        .tested_by("who_was_away_for_too_long_is_told_the_newest_thousand_and_that_it_is_not_all"),
    BoundRow::new(&DRAFTS, "EXPIRES_MAX_HOURS", EXPIRES_MAX_HOURS as u64, "hours")
        .of("The lifetime of an invitation.", "422")
        .tested_by("an_invitation_that_is_malformed_or_means_nobody_is_refused"),
    BoundRow::new(&DRAFTS, "PENDING_MAX_INVITES", PENDING_MAX_INVITES as u64, "invitations")
        .of("Open invitations of one draft.", "429 `limit_exceeded`")
        .tested_by("so_many_invitations_wait_and_so_many_are_kept"),
    BoundRow::new(&DRAFTS, "KEPT_MAX_INVITES", KEPT_MAX_INVITES as u64, "invitations")
        .of("Invitations of one draft that are kept and listed.", "the oldest one that is no longer open is dropped")
        .tested_by("so_many_invitations_wait_and_so_many_are_kept"),
    BoundRow::new(&DRAFTS, "INVITE_KEPT_DAYS", INVITE_KEPT_DAYS as u64, "days")
        .of("How long an invitation is kept after it expires.", "removed soon after")
        .tested_by("invitations_are_forgotten_when_they_expired_long_ago_in_small_jobs"),
    BoundRow::new(&DRAFTS, "REMOVED_MAX_INVITES", REMOVED_MAX_INVITES as u64, "invitations")
        .of("Invitations removed in one change.", "the rest with the next change")
        .tested_by("invitations_are_forgotten_when_they_expired_long_ago_in_small_jobs"),
    BoundRow::new(&DRAFTS, "TIMELINE_MAX_EVENTS", TIMELINE_MAX_EVENTS as u64, "events")
        .of("Events in one page of a timeline.", "422 for a larger `limit`; `next_cursor`, and the next page")
        .tested_by("a_timeline_comes_in_pages_from_either_end"),
    BoundRow::new(&DRAFTS, "DAILY_MAX_DAYS", DAILY_MAX_DAYS as u64, "days")
        .of("Days in one response of daily figures.", "422")
        .tested_by("figures_are_for_members_and_of_as_many_days_as_may_be"),
    BoundRow::new(&DRAFTS, "STEP_ROWS", STEP_ROWS as u64, "rows")
        .of("Segments, and passes, read at once for processing a whole draft.", "the next ones with the next step")
        .tested_by("all_that_the_head_counts_comes_once_and_in_order"),
    BoundRow::new(&DRAFTS, "NAMED_MAX_WATCHERS", NAMED_MAX_WATCHERS as u64, "users")
        .of("Watchers of a draft named in one response.", "the rest is counted")
        .tested_by("more_watchers_than_are_named_are_counted"),
    BoundRow::new(&DRAFTS, "DAMAGED_MAX", DAMAGED_MAX as u64, "drafts")
        .of("Damaged drafts that are remembered.", "each request for another one checks it again")
        .tested_by("what_is_damaged_is_remembered_and_nothing_else_and_not_without_end"),
    BoundRow::new(&DRAFTS, "KEY_LIFE_HOURS", KEY_LIFE_HOURS as u64, "hours")
        .of("The age of an idempotency key.", "removed soon after; a retry is then a new change")
        .tested_by("a_key_is_kept_for_its_life_and_removed_after_it"),
    BoundRow::new(&DRAFTS, "REMOVED_MAX_KEYS", REMOVED_MAX_KEYS as u64, "keys")
        .of("Keys removed in one change.", "the rest with the next change")
        .tested_by("many_keys_are_found_in_slices_and_removed_in_small_jobs"),
    BoundRow::new(&DRAFTS, "SLICE_KEYS", SLICE_KEYS as u64, "keys")
        .of("Keys examined in one search for expired ones.", "the next ones with the next search")
        .tested_by("many_keys_are_found_in_slices_and_removed_in_small_jobs"),
    BoundRow::new(&DRAFTS, "REMOVED_MAX_EVENTS", REMOVED_MAX_EVENTS as u64, "events")
        .of("Events removed in one change.", "the rest with the next change")
        .tested_by("jobs_are_small_and_take_the_oldest_first"),
    BoundRow::new(&DRAFTS, "SLICE_DRAFTS", SLICE_DRAFTS as u64, "drafts")
        .of("Drafts examined in one search for old events.", "the next ones with the next search")
        .tested_by("more_drafts_than_a_slice_are_found_all"),
    BoundRow::new(&DRAFTS, "REASON_MAX_CHARS", REASON_MAX_CHARS as u64, "characters")
        .of("The reason for redacting a text.", "422")
        .tested_by("a_redaction_has_a_reason_and_a_segment"),
    BoundRow::new(&DRAFTS, "LEASE_MAX_SECONDS", LEASE_MAX_SECONDS.unsigned_abs(), "seconds")
        .of("The lease of a ring.", "422")
        .tested_by("a_draft_has_a_lease_of_its_own_if_its_creator_says_so"),
    BoundRow::new(&DRAFTS, "GONE_DAYS", GONE_DAYS as u64, "days")
        .of("How long a deleted draft returns 410.", "404")
        .tested_by("after_a_week_nobody_can_tell_that_it_was_there"),
    BoundRow::new(&DRAFTS, "PURGED_MAX_ROWS", PURGED_MAX_ROWS.unsigned_abs(), "rows")
        .of(
            "Segments of a deleted draft emptied in one change, or rows of each other kind removed.",
            "the rest with the next change",
        )
        .tested_by("a_deleted_draft_is_emptied_in_small_jobs_and_nothing_of_others"),
    BoundRow::new(&DRAFTS, "READ_MAX_TIMES", READ_MAX_TIMES as u64, "readings")
        .of(
            "Attempts to read a draft that is rewritten during each of them.",
            "500, and no mixture of two states is shown",
        )
        .tested_by("what_was_rendered_before_a_change_of_it_is_forgotten"),
    BoundRow::new(&DRAFTS, "DRAFTS_PAGE_MAX", DRAFTS_PAGE_MAX as u64, "drafts")
        .of("Drafts in a page of the operator's list.", "refused")
        .tested_by("an_operator_finds_drafts_page_by_page"),
    BoundRow::new(&DRAFTS, "SEARCHED_MAX_DRAFTS", SEARCHED_MAX_DRAFTS as u64, "drafts")
        .of("Drafts searched for such a page.", "older ones are not found")
        .tested_by("so_many_drafts_are_searched_and_so_many_members_shown"),
    BoundRow::new(&DRAFTS, "SEGMENTS_PAGE_MAX", SEGMENTS_PAGE_MAX as u64, "segments")
        .of("Segments of a draft on one page for an operator.", "refused")
        .tested_by("an_operator_sees_a_draft_whole_and_page_by_page"),
    BoundRow::new(&DRAFTS, "MEMBERS_SHOWN_MAX", MEMBERS_SHOWN_MAX as u64, "members")
        .of("Members of a draft shown to an operator.", "the rest is only counted")
        .tested_by("so_many_drafts_are_searched_and_so_many_members_shown"),
];
