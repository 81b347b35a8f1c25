//! What takes something away, in SQL: members, the ring, texts, drafts.
//!
//! Every change here counts the draft's version up in its head and on disk, so that several of one transaction follow each
//! other. Rows of segments never change their size but to become smaller, and are never removed: SQLite then moves none of
//! them, and leaves no copy of a text behind where nothing overwrites it (decision 0046).

use serde::Serialize;

use crate::clock::Timestamp;
use crate::drafts::model::Head;
use crate::drafts::ring::Parting;
use crate::drafts::store::{self, record};
use crate::store::{Error, Query as _, Reader, Tx};

/// Hands the ring to somebody who did not ask for it. `reason` says why, in a word.
pub(super) fn hand_over(
    tx: &mut Tx<'_>,
    head: &mut Head,
    to_user: &str,
    reason: &'static str,
    request_id: &str,
) -> Result<(), Error> {
    store::pass_for(tx, head, to_user, Some(reason), request_id)?;
    to_user.clone_into(&mut head.holder_id);
    head.passes += 1;
    Ok(())
}

/// Removes a member who is not the creator and does not hold the ring.
pub(super) fn remove_member(
    tx: &mut Tx<'_>,
    head: &mut Head,
    user_id: &str,
    parting: Parting,
    request_id: &str,
) -> Result<(), Error> {
    let delete = "DELETE FROM draft_collaborators WHERE draft = ?1 AND user_id = ?2";
    tx.run(delete, &[head.row.into(), user_id.into()])?;
    head.event_seq += 1;
    head.collaborators -= 1;
    head.rewritten += 1;
    let update = "UPDATE drafts SET collaborator_count = ?2, event_seq = ?3, rewritten = ?4 WHERE id = ?1";
    let counts = [head.row.into(), head.collaborators.into(), head.event_seq.into(), head.rewritten.into()];
    tx.run(update, &counts)?;
    let data = Removed { draft_id: &head.draft_id, collaborator_id: user_id, reason: parting.as_str() };
    record(tx, head, store::COLLABORATOR_REMOVED, &data, request_id)
}

/// Makes a member the creator, and the creator a member like others.
pub(super) fn transfer(tx: &mut Tx<'_>, head: &mut Head, to_user: &str, request_id: &str) -> Result<(), Error> {
    let role = "UPDATE draft_collaborators SET role = ?3 WHERE draft = ?1 AND user_id = ?2";
    tx.run(role, &[head.row.into(), (&head.creator_id).into(), "contributor".into()])?;
    tx.run(role, &[head.row.into(), to_user.into(), "owner".into()])?;
    head.event_seq += 1;
    head.rewritten += 1;
    let update = "UPDATE drafts SET creator_id = ?2, founder_id = ?3, event_seq = ?4, rewritten = ?5 WHERE id = ?1";
    let values =
        [head.row.into(), to_user.into(), (&head.founder_id).into(), head.event_seq.into(), head.rewritten.into()];
    tx.run(update, &values)?;
    let data = Transferred { draft_id: &head.draft_id, from_user_id: &head.creator_id, to_user_id: to_user };
    record(tx, head, store::DRAFT_TRANSFERRED, &data, request_id)?;
    to_user.clone_into(&mut head.creator_id);
    Ok(())
}

/// Locks a draft, or unlocks it: gives it this status.
pub(super) fn set_status(
    tx: &mut Tx<'_>,
    head: &mut Head,
    status: &'static str,
    kind: &'static str,
    request_id: &str,
) -> Result<(), Error> {
    head.event_seq += 1;
    let update = "UPDATE drafts SET status = ?2, event_seq = ?3 WHERE id = ?1";
    tx.run(update, &[head.row.into(), status.into(), head.event_seq.into()])?;
    record(tx, head, kind, &About { draft_id: &head.draft_id }, request_id)
}

/// Gives a draft a lease of its own.
pub(super) fn set_lease(tx: &mut Tx<'_>, head: &mut Head, seconds: i64, request_id: &str) -> Result<(), Error> {
    head.event_seq += 1;
    head.lease_seconds = Some(seconds);
    let update = "UPDATE drafts SET lease_seconds = ?2, event_seq = ?3 WHERE id = ?1";
    tx.run(update, &[head.row.into(), seconds.into(), head.event_seq.into()])?;
    record(tx, head, store::LEASE_SET, &Lease { draft_id: &head.draft_id, seconds }, request_id)
}

/// A segment that is to lose its text.
pub(super) struct Target {
    /// Its place in the draft.
    pub(super) order: i64,
    /// Whether it has lost it already.
    pub(super) is_redacted: bool,
}

/// The segment of a draft that has this id.
pub(super) fn segment(tx: &Tx<'_>, draft: i64, segment_id: &str) -> Result<Option<Target>, Error> {
    let sql = "SELECT segment_order, redacted FROM draft_segments WHERE draft = ?1 AND segment_id = ?2";
    tx.one(sql, &[draft.into(), segment_id.into()], |row| Ok(Target { order: row.get(0)?, is_redacted: row.get(1)? }))
}

/// Takes the text out of a segment.
pub(super) fn redact(
    tx: &mut Tx<'_>,
    head: &mut Head,
    order: i64,
    segment_id: &str,
    request_id: &str,
) -> Result<(), Error> {
    let blank = "UPDATE draft_segments SET content = '', redacted = 1 WHERE draft = ?1 AND segment_order = ?2";
    tx.run(blank, &[head.row.into(), order.into()])?;
    tx.forget_old_pages();
    head.event_seq += 1;
    head.rewritten += 1;
    let update = "UPDATE drafts SET event_seq = ?2, rewritten = ?3 WHERE id = ?1";
    tx.run(update, &[head.row.into(), head.event_seq.into(), head.rewritten.into()])?;
    let data = Redacted { draft_id: &head.draft_id, segment_id, segment_order: order };
    record(tx, head, store::SEGMENT_REDACTED, &data, request_id)
}

/// Deletes a draft: from now on it is there for nobody. Its texts are purged later.
pub(in crate::drafts) fn delete(tx: &mut Tx<'_>, head: &mut Head, request_id: &str) -> Result<(), Error> {
    head.event_seq += 1;
    head.rewritten += 1;
    let update = "UPDATE drafts SET deleted_at = ?2, event_seq = ?3, rewritten = ?4 WHERE id = ?1";
    let at = tx.now();
    tx.run(update, &[head.row.into(), at.into(), head.event_seq.into(), head.rewritten.into()])?;
    record(tx, head, store::DRAFT_DELETED, &About { draft_id: &head.draft_id }, request_id)
}

#[derive(Serialize)]
struct About<'a> {
    draft_id: &'a str,
}

#[derive(Serialize)]
struct Removed<'a> {
    draft_id: &'a str,
    collaborator_id: &'a str,
    reason: &'static str,
}

#[derive(Serialize)]
struct Transferred<'a> {
    draft_id: &'a str,
    from_user_id: &'a str,
    to_user_id: &'a str,
}

#[derive(Serialize)]
struct Lease<'a> {
    draft_id: &'a str,
    seconds: i64,
}

#[derive(Serialize)]
struct Redacted<'a> {
    draft_id: &'a str,
    segment_id: &'a str,
    segment_order: i64,
}

/// A deleted draft that still has texts or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remains {
    /// Its row.
    pub(super) draft: i64,
    /// How many segments it has.
    pub(super) segments: i64,
}

/// The deleted drafts that have not been purged, at most `limit`.
pub(super) fn to_purge(reader: &Reader, limit: i64) -> Result<Vec<Remains>, Error> {
    let sql = "SELECT id, segment_count FROM drafts WHERE deleted_at > 0 AND creator_id <> '' \
               ORDER BY deleted_at LIMIT ?1";
    reader.all(sql, &[limit.into()], |row| Ok(Remains { draft: row.get(0)?, segments: row.get(1)? }))
}

/// Empties the segments of a deleted draft with orders in `from..to`. How many it was.
pub(super) fn purge_segments(tx: &mut Tx<'_>, draft: i64, from: i64, to: i64) -> Result<u64, Error> {
    let sql = "UPDATE draft_segments SET content = '', redacted = 1, segment_id = '', user_id = '', \
               content_sha256 = NULL, chain_sha256 = NULL WHERE draft = ?1 AND segment_order >= ?2 AND segment_order < ?3";
    tx.change(sql, &[draft.into(), from.into(), to.into()])
}

/// Removes what else is known of a deleted draft, at most `limit` rows of each kind. How many it was.
pub(super) fn purge_rest(tx: &mut Tx<'_>, draft: i64, limit: i64) -> Result<u64, Error> {
    let statements = [
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE draft = ?1 LIMIT ?2)",
        "DELETE FROM ring_passes WHERE id IN (SELECT id FROM ring_passes WHERE draft = ?1 LIMIT ?2)",
        "DELETE FROM draft_invites WHERE id IN (SELECT id FROM draft_invites WHERE draft = ?1 LIMIT ?2)",
        "DELETE FROM draft_authors WHERE draft = ?1 \
         AND user_id IN (SELECT user_id FROM draft_authors WHERE draft = ?1 LIMIT ?2)",
        "DELETE FROM draft_collaborators WHERE id IN (SELECT id FROM draft_collaborators WHERE draft = ?1 LIMIT ?2)",
    ];
    statements.into_iter().map(|sql| tx.change(sql, &[draft.into(), limit.into()])).sum()
}

/// The last step: nothing is left of a deleted draft but that it was.
pub(super) fn purge_head(tx: &mut Tx<'_>, draft: i64) -> Result<u64, Error> {
    tx.forget_old_pages();
    let sql = "UPDATE drafts SET title = '', platform = '', creator_id = '', holder_id = '', founder_id = NULL, \
               chain_sha256 = NULL WHERE id = ?1";
    tx.run(sql, &[draft.into()]).map(|()| 1)
}

/// When the first of the drafts was deleted of which it is known that they were.
pub(super) fn oldest_deleted(reader: &Reader) -> Result<Option<Timestamp>, Error> {
    reader.one("SELECT deleted_at FROM drafts WHERE deleted_at > 0 ORDER BY deleted_at LIMIT 1", &[], |row| row.get(0))
}

/// Of purged drafts that were deleted before that, at most `limit`, nobody can tell any more that they were. How many it was.
pub(super) fn forget(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, Error> {
    let sql = "UPDATE drafts SET deleted_at = 0 WHERE id IN (SELECT id FROM drafts WHERE deleted_at > 0 \
               AND deleted_at < ?1 AND creator_id = '' ORDER BY deleted_at LIMIT ?2)";
    tx.change(sql, &[before.into(), limit.into()])
}
