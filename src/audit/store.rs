//! The audit log in SQL.

use super::chain::{Content, Link, hash};
use super::mark::{Mark, STARTED, STOPPED};
use super::read::{AuditRow, SEARCHED_MAX_ROWS, Wanted, row_of};
use crate::clock::Timestamp;
use crate::clock::steady::{Horizon, TIME_MIN};
use crate::store::{Error, Query, Reader, Row, Tx, Value};

/// Rows read at once. Between two slices no transaction is open.
pub(super) const SLICE_ROWS: i64 = 500;

/// The end of the chain: the newest row, or where it was cut off if none is left.
pub(super) fn head(db: &impl Query) -> Result<Link, Error> {
    let newest = db.one("SELECT id, hash FROM audit_events ORDER BY id DESC LIMIT 1", &[], link_of)?;
    newest.map_or_else(|| anchor(db), Ok)
}

/// Where the chain begins: the last row that was removed from it, if any was.
pub(super) fn anchor(db: &impl Query) -> Result<Link, Error> {
    let removed = db.one("SELECT removed_id, removed_hash FROM audit_anchor", &[], link_of)?;
    Ok(removed.unwrap_or_else(Link::beginning))
}

fn link_of(row: &Row<'_>) -> Result<Link, Error> {
    Ok(Link { id: row.get(0)?, hash: row.get(1)? })
}

/// Writes a row at the end of the chain.
pub(super) fn append(tx: &mut Tx<'_>, content: &Content<'_>) -> Result<(), Error> {
    let end = head(tx)?;
    // Only a row that was tampered with has no number after it.
    let beyond = || Error::Damaged(format!("no row can follow the one with the id {}", end.id));
    let id = end.id.checked_add(1).ok_or_else(beyond)?;
    let hash = hash(id, content, &end.hash);
    let sql = "INSERT INTO audit_events (id, ts, request_id, user_id, action, draft_id, metadata, ip, user_agent, \
               prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let [request_id, user_id, action, subject, metadata, ip, user_agent] =
        content.texts.map(|text| text.and_then(|text| std::str::from_utf8(text).ok()));
    let values = [
        id.into(),
        content.ts.into(),
        request_id.into(),
        user_id.into(),
        action.into(),
        subject.into(),
        metadata.into(),
        ip.into(),
        user_agent.into(),
        (&end.hash).into(),
        (&hash).into(),
    ];
    tx.run(sql, &values)
}

/// The newest row that says how much is recorded, if there is one among so many of the newest.
pub(super) fn newest_mark(db: &impl Query, among_rows: i64) -> Result<Option<Mark>, Error> {
    let sql = "SELECT ts, action, metadata FROM audit_events \
               WHERE id > coalesce((SELECT max(id) FROM audit_events), 0) - ?1 AND action IN (?2, ?3) \
               ORDER BY id DESC LIMIT 1";
    let mark = |row: &Row<'_>| Ok(Mark::of(row.get(0)?, row.bytes(1)?.unwrap_or_default(), row.bytes(2)?));
    Ok(db.one(sql, &[among_rows.into(), STARTED.into(), STOPPED.into()], mark)?.flatten())
}

/// Hands `each` every row, oldest first: id, ts, the seven texts, prev_hash, hash.
pub(super) fn rows(reader: &Reader, each: impl FnMut(&Row<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let sql = "SELECT id, ts, request_id, user_id, action, draft_id, metadata, ip, user_agent, prev_hash, hash \
               FROM audit_events ORDER BY id";
    reader.each(sql, &[], each)
}

/// A row that has this hash.
pub(super) fn place_of(reader: &Reader, hash: &[u8]) -> Result<Option<i64>, Error> {
    reader.one("SELECT id FROM audit_events WHERE hash = ?1 LIMIT 1", &[hash.into()], |row| row.get(0))
}

/// The next rows behind `after` that are not older than `since`, oldest first; empty at the end.
///
/// # Errors
/// When the store fails.
pub fn slice(reader: &Reader, after: i64, since: Timestamp) -> Result<Vec<AuditRow>, Error> {
    let sql = "SELECT id, ts, request_id, user_id, action, draft_id, metadata, ip, user_agent, prev_hash, hash \
               FROM audit_events WHERE id > ?1 AND ts >= ?2 ORDER BY id LIMIT ?3";
    shown(reader, sql, &[after.into(), since.into(), SLICE_ROWS.into()])
}

/// The newest rows that are wanted, newest first, among the newest [`SEARCHED_MAX_ROWS`] of all.
///
/// # Errors
/// When the store fails.
pub fn newest(reader: &Reader, wanted: &Wanted<'_>, rows: u32) -> Result<Vec<AuditRow>, Error> {
    let sql = "SELECT id, ts, request_id, user_id, action, draft_id, metadata, ip, user_agent, prev_hash, hash \
               FROM audit_events \
               WHERE id > ?1 AND id > coalesce((SELECT max(id) FROM audit_events), 0) - ?2 \
               AND (?3 IS NULL OR user_id = ?3) AND (?4 IS NULL OR draft_id = ?4) AND (?5 IS NULL OR action = ?5) \
               ORDER BY id DESC LIMIT ?6";
    let Wanted { after, user, subject, action } = *wanted;
    let values = [after.into(), SEARCHED_MAX_ROWS.into(), user.into(), subject.into(), action.into(), rows.into()];
    shown(reader, sql, &values)
}

fn shown(reader: &Reader, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<AuditRow>, Error> {
    reader.all(sql, values, row_of)
}

/// The id behind which the newest `rows` rows stand.
///
/// # Errors
/// When the store fails.
pub fn before_newest(reader: &Reader, rows: u32) -> Result<i64, Error> {
    let sql = "SELECT coalesce(min(id) - 1, (SELECT coalesce(max(id), 0) FROM audit_events)) \
               FROM (SELECT id FROM audit_events ORDER BY id DESC LIMIT ?1) AS newest";
    Ok(reader.one(sql, &[rows.into()], |row| row.get(0))?.unwrap_or_default())
}

/// The time of the oldest row whose time can be, if there is one.
pub(super) fn oldest(reader: &Reader, horizon: &Horizon) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT ts FROM audit_events WHERE ts BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1";
    reader.one(sql, &[TIME_MIN.into(), horizon.latest().into()], |row| row.get(0))
}

/// The last row that is too old, before the first that is not. The order of the chain counts: a row whose time cannot be,
/// because a clock was wrong, goes with the next one that is too old.
pub(super) fn last_old(reader: &Reader, horizon: &Horizon) -> Result<Option<i64>, Error> {
    let sql = "SELECT max(id) FROM audit_events WHERE ts >= ?1 AND ts < ?2 AND id < coalesce( \
               (SELECT id FROM audit_events WHERE ts BETWEEN ?2 AND ?3 ORDER BY id LIMIT 1), 9223372036854775807)";
    let values = [TIME_MIN.into(), horizon.before.into(), horizon.latest().into()];
    Ok(reader.one(sql, &values, |row| row.get(0))?.flatten())
}

/// Removes rows from the beginning up to this one, at most `limit`, and moves the anchor. How many it was.
pub(super) fn remove(tx: &mut Tx<'_>, last: i64, limit: i64) -> Result<u64, Error> {
    let mut end = None;
    let oldest = "SELECT id, hash FROM audit_events WHERE id <= ?1 ORDER BY id LIMIT ?2";
    tx.each(oldest, &[last.into(), limit.into()], |row| {
        end = Some(link_of(row)?);
        Ok(())
    })?;
    let Some(Link { id, hash }) = end else { return Ok(0) };
    let anchor = "INSERT INTO audit_anchor (id, removed_id, removed_hash) VALUES (1, ?1, ?2) \
                  ON CONFLICT (id) DO UPDATE SET removed_id = excluded.removed_id, removed_hash = excluded.removed_hash";
    tx.run(anchor, &[id.into(), (&hash).into()])?;
    tx.change("DELETE FROM audit_events WHERE id <= ?1", &[id.into()])
}

/// A row with all that its hash is made of.
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) ts: i64,
    /// In the order of [`Content::texts`].
    pub(super) texts: [Option<String>; 7],
    pub(super) prev_hash: Vec<u8>,
    pub(super) hash: Vec<u8>,
}

impl Stored {
    pub(super) fn link(&self) -> Link {
        Link { id: self.id, hash: self.hash.clone() }
    }
}

/// The next rows behind `after`, oldest first; empty at the end.
pub(super) fn stored(db: &impl Query, after: i64) -> Result<Vec<Stored>, Error> {
    let sql = "SELECT id, ts, request_id, user_id, action, draft_id, metadata, ip, user_agent, prev_hash, hash \
               FROM audit_events WHERE id > ?1 ORDER BY id LIMIT ?2";
    db.all(sql, &[after.into(), SLICE_ROWS.into()], |row| {
        let texts = [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?];
        Ok(Stored { id: row.get(0)?, ts: row.get(1)?, texts, prev_hash: row.get(9)?, hash: row.get(10)? })
    })
}

/// Writes a row anew, with the hashes that it has now.
pub(super) fn rewrite(tx: &mut Tx<'_>, row: &Stored) -> Result<(), Error> {
    let sql = "UPDATE audit_events SET user_id = ?2, draft_id = ?3, metadata = ?4, ip = ?5, user_agent = ?6, \
               prev_hash = ?7, hash = ?8 WHERE id = ?1";
    let [_, user_id, _, subject, metadata, ip, agent] = &row.texts;
    let values = [
        row.id.into(),
        user_id.as_deref().into(),
        subject.as_deref().into(),
        metadata.as_deref().into(),
        ip.as_deref().into(),
        agent.as_deref().into(),
        (&row.prev_hash).into(),
        (&row.hash).into(),
    ];
    tx.run(sql, &values)
}
