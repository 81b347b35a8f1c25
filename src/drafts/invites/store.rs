//! Invitations in SQL.

use super::invite::Invite;
use crate::clock::Timestamp;
use crate::store::{Error, Query, Reader, Row, Tx};

const OF_ID: &str = "SELECT i.invite_id, d.draft_id, i.created_by, i.target_user, i.target_handle, i.token_hash, i.token_hint, \
                     i.created_at, i.expires_at, i.accepted_at, i.revoked_at FROM draft_invites AS i JOIN drafts AS d \
                     ON d.id = i.draft WHERE i.invite_id = ?1 AND d.deleted_at IS NULL";
const OF_DRAFT: &str = "SELECT i.invite_id, d.draft_id, i.created_by, i.target_user, i.target_handle, i.token_hash, i.token_hint, \
                        i.created_at, i.expires_at, i.accepted_at, i.revoked_at FROM draft_invites AS i JOIN drafts AS d \
                        ON d.id = i.draft WHERE i.draft = ?1 ORDER BY i.id";

/// The invitation of this id.
pub(super) fn find(db: &impl Query, invite_id: &str) -> Result<Option<Invite>, Error> {
    db.one(OF_ID, &[invite_id.into()], invite_of)
}

/// All of a draft, in the order in which they were made.
pub(super) fn of_draft(reader: &Reader, draft: i64) -> Result<Vec<Invite>, Error> {
    reader.all(OF_DRAFT, &[draft.into()], invite_of)
}

fn invite_of(row: &Row<'_>) -> Result<Invite, Error> {
    Ok(Invite {
        invite_id: row.get(0)?,
        draft_id: row.get(1)?,
        created_by: row.get(2)?,
        target_user: row.get(3)?,
        target_handle: row.get(4)?,
        token_hash: row.bytes(5)?.unwrap_or_default().to_vec(),
        token_hint: row.get(6)?,
        created_at: row.get(7)?,
        expires_at: row.get(8)?,
        accepted_at: row.get(9)?,
        revoked_at: row.get(10)?,
    })
}

/// Writes a new one.
pub(super) fn insert(tx: &mut Tx<'_>, draft: i64, invite: &Invite) -> Result<(), Error> {
    let sql = "INSERT INTO draft_invites (draft, invite_id, created_by, target_user, target_handle, token_hash, token_hint, \
               created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let values = [
        draft.into(),
        (&invite.invite_id).into(),
        (&invite.created_by).into(),
        (&invite.target_user).into(),
        invite.target_handle.as_deref().into(),
        (&invite.token_hash).into(),
        (&invite.token_hint).into(),
        invite.created_at.into(),
        invite.expires_at.into(),
    ];
    tx.run(sql, &values)
}

/// How many of a draft wait, and how many are kept.
pub(super) fn count(tx: &Tx<'_>, draft: i64, now: Timestamp) -> Result<(i64, i64), Error> {
    let pending = "SELECT count(*) FROM draft_invites \
                   WHERE draft = ?1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at >= ?2";
    let pending = tx.one(pending, &[draft.into(), now.into()], |row| row.get(0))?;
    let kept = "SELECT count(*) FROM draft_invites WHERE draft = ?1";
    let kept = tx.one(kept, &[draft.into()], |row| row.get(0))?;
    Ok((pending.unwrap_or_default(), kept.unwrap_or_default()))
}

/// Forgets the oldest of a draft that do not wait any more.
pub(super) fn forget(tx: &mut Tx<'_>, draft: i64, now: Timestamp, count: i64) -> Result<(), Error> {
    let sql = "DELETE FROM draft_invites WHERE id IN (SELECT id FROM draft_invites WHERE draft = ?1 \
               AND (accepted_at IS NOT NULL OR revoked_at IS NOT NULL OR expires_at < ?2) ORDER BY id LIMIT ?3)";
    tx.change(sql, &[draft.into(), now.into(), count.into()]).map(|_| ())
}

/// Notes that one was accepted.
pub(super) fn accept(tx: &mut Tx<'_>, invite_id: &str) -> Result<(), Error> {
    tx.run("UPDATE draft_invites SET accepted_at = ?2 WHERE invite_id = ?1", &[invite_id.into(), tx.now().into()])
}

/// Notes that one was revoked.
pub(super) fn revoke(tx: &mut Tx<'_>, invite_id: &str) -> Result<(), Error> {
    tx.run("UPDATE draft_invites SET revoked_at = ?2 WHERE invite_id = ?1", &[invite_id.into(), tx.now().into()])
}

/// Revokes those to a draft that somebody has made and nobody has accepted: they go with their inviter.
pub(in crate::drafts) fn revoke_of(tx: &mut Tx<'_>, draft: i64, inviter: &str) -> Result<(), Error> {
    let sql = "UPDATE draft_invites SET revoked_at = ?3 \
               WHERE draft = ?1 AND created_by = ?2 AND accepted_at IS NULL AND revoked_at IS NULL";
    tx.change(sql, &[draft.into(), inviter.into(), tx.now().into()]).map(|_| ())
}

/// Removes at most `limit` that expired before a moment, the oldest first. How many it was.
pub(super) fn remove_expired(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, Error> {
    let sql = "DELETE FROM draft_invites WHERE id IN \
               (SELECT id FROM draft_invites WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
    tx.change(sql, &[before.into(), limit.into()])
}

/// When the invitation that expires first does, if there is one.
pub(super) fn first_expiry(reader: &Reader) -> Result<Option<Timestamp>, Error> {
    reader.one("SELECT expires_at FROM draft_invites ORDER BY expires_at LIMIT 1", &[], |row| row.get(0))
}
