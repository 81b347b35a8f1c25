//! What a person has in drafts, in SQL.

use crate::store::{Error, Query, Tx};

/// What stands in place of a title that was taken out.
pub(super) const TITLE_TAKEN_OUT: &str = "[erased]";

/// The ids of all drafts that have anything of a user, in the order in which they were made. Looks through authors and passes, which
/// no index has by user: to erase somebody is rare.
pub(super) fn drafts_of(db: &impl Query, user: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT draft_id FROM drafts WHERE deleted_at IS NULL AND (creator_id = ?1 OR holder_id = ?1 OR founder_id = ?1 \
               OR id IN (SELECT draft FROM draft_collaborators WHERE user_id = ?1) \
               OR id IN (SELECT draft FROM draft_authors WHERE user_id = ?1) \
               OR id IN (SELECT draft FROM ring_passes WHERE from_user = ?1 OR to_user = ?1)) ORDER BY id";
    db.all(sql, &[user.into()], |row| row.get(0))
}

/// Who else has belonged to a draft for longest.
pub(super) fn oldest_other(db: &impl Query, draft: i64, user: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT user_id FROM draft_collaborators WHERE draft = ?1 AND user_id <> ?2 ORDER BY id LIMIT 1";
    db.one(sql, &[draft.into(), user.into()], |row| row.get(0))
}

/// Takes the texts of a user out of a draft whose segments have their hashes. How many there were.
pub(super) fn take_texts_out(tx: &mut Tx<'_>, draft: i64, user: &str) -> Result<u64, Error> {
    let sql = "UPDATE draft_segments SET content = '', redacted = 1 WHERE draft = ?1 AND user_id = ?2 AND redacted = 0";
    let taken = tx.change(sql, &[draft.into(), user.into()])?;
    // They may have been read on old pages, which the log keeps until it is begun anew.
    tx.forget_old_pages();
    Ok(taken)
}

/// Takes the title out of a draft.
pub(super) fn take_title_out(tx: &mut Tx<'_>, draft: i64) -> Result<(), Error> {
    tx.run("UPDATE drafts SET title = ?2 WHERE id = ?1", &[draft.into(), TITLE_TAKEN_OUT.into()])
}

/// Makes a collaborator the creator of a draft whose creator leaves.
pub(super) fn inherit(tx: &mut Tx<'_>, draft: i64, user: &str) -> Result<(), Error> {
    let values = [draft.into(), user.into()];
    tx.run("UPDATE draft_collaborators SET role = 'owner' WHERE draft = ?1 AND user_id = ?2", &values)?;
    let sql = "UPDATE drafts SET founder_id = coalesce(founder_id, creator_id), creator_id = ?2 WHERE id = ?1";
    tx.run(sql, &values)
}

/// Ends a membership, if there is one: of a draft whose creator is another by now.
pub(super) fn leave(tx: &mut Tx<'_>, draft: i64, user: &str) -> Result<(), Error> {
    tx.change("DELETE FROM draft_collaborators WHERE draft = ?1 AND user_id = ?2", &[draft.into(), user.into()])?;
    // All members but the creator.
    let sql = "UPDATE drafts SET collaborator_count = \
               (SELECT count(*) - 1 FROM draft_collaborators WHERE draft = ?1) WHERE id = ?1";
    tx.run(sql, &[draft.into()])
}

/// Puts another name in place of a user: as the author of segments, in passes, as who began or has been deleted with the draft.
/// How many passes it were.
pub(super) fn rename(tx: &mut Tx<'_>, draft: i64, user: &str, name: &str) -> Result<u64, Error> {
    let values = [draft.into(), user.into(), name.into()];
    tx.change("UPDATE draft_segments SET user_id = ?3 WHERE draft = ?1 AND user_id = ?2", &values)?;
    tx.change("UPDATE draft_authors SET user_id = ?3 WHERE draft = ?1 AND user_id = ?2", &values)?;
    tx.change("UPDATE draft_collaborators SET user_id = ?3 WHERE draft = ?1 AND user_id = ?2", &values)?;
    let passes = "UPDATE ring_passes SET from_user = CASE from_user WHEN ?2 THEN ?3 ELSE from_user END, \
                  to_user = CASE to_user WHEN ?2 THEN ?3 ELSE to_user END \
                  WHERE draft = ?1 AND (from_user = ?2 OR to_user = ?2)";
    let passes = tx.change(passes, &values)?;
    let head = "UPDATE drafts SET creator_id = CASE creator_id WHEN ?2 THEN ?3 ELSE creator_id END, \
                holder_id = CASE holder_id WHEN ?2 THEN ?3 ELSE holder_id END, \
                founder_id = CASE founder_id WHEN ?2 THEN ?3 ELSE founder_id END, rewritten = rewritten + 1 WHERE id = ?1";
    tx.run(head, &values)?;
    Ok(passes)
}

/// Row and data of a draft's events that have this text anywhere in them.
pub(super) fn events_with(db: &impl Query, draft: i64, text: &str) -> Result<Vec<(i64, String)>, Error> {
    let quoted = serde_json::Value::from(text).to_string();
    let sql = "SELECT id, data FROM events WHERE draft = ?1 AND instr(data, ?2) > 0 ORDER BY id";
    db.all(sql, &[draft.into(), quoted.as_str().into()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Writes the data of an event anew.
pub(super) fn set_event(tx: &mut Tx<'_>, id: i64, data: &str) -> Result<(), Error> {
    tx.run("UPDATE events SET data = ?2 WHERE id = ?1", &[id.into(), data.into()])
}

/// Revokes open invitations by a user or for them, and puts another name in their place in all. How many there were.
pub(super) fn rename_in_invites(tx: &mut Tx<'_>, user: &str, name: &str) -> Result<u64, Error> {
    let sql = "UPDATE draft_invites SET created_by = CASE created_by WHEN ?1 THEN ?2 ELSE created_by END, \
               target_handle = CASE target_user WHEN ?1 THEN NULL ELSE target_handle END, \
               target_user = CASE target_user WHEN ?1 THEN ?2 ELSE target_user END, \
               revoked_at = CASE WHEN accepted_at IS NULL THEN coalesce(revoked_at, ?3) ELSE revoked_at END \
               WHERE created_by = ?1 OR target_user = ?1";
    tx.change(sql, &[user.into(), name.into(), tx.now().into()])
}

/// Removes the idempotency keys of a user, and those of others whose answer names them. How many it was.
pub(super) fn remove_keys_of(tx: &mut Tx<'_>, user: &str) -> Result<u64, Error> {
    let quoted = serde_json::Value::from(user).to_string();
    let sql = "DELETE FROM idempotency_keys WHERE actor_id = ?1 OR instr(result, ?2) > 0";
    tx.change(sql, &[user.into(), quoted.as_str().into()])
}
