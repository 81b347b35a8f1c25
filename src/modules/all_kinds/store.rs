//! How links, the bin and what is read of all kinds at once lie in the database: the statements, and nothing else.

use super::super::records::record::Key;
use super::super::records::store::counted;
use crate::clock::Timestamp;
use crate::store::{Error, Query, Reader, Row, Tx};

/// The number under which links are counted among the kinds.
const LINKS: i64 = 0;

/// A record of any kind, as far as lists of all of them need it.
pub(super) struct Listed {
    pub(super) key: Key,
    /// As it is answered.
    pub(super) json: Vec<u8>,
    /// When it is on the household's wall, by [`wall_micros`](super::super::records::fact::wall_micros).
    pub(super) moment: i64,
}

fn listed_row(row: &Row<'_>) -> Result<Listed, Error> {
    // As bytes: whether all of it is text is only asked where it is opened.
    let json = row.bytes(1)?.unwrap_or_default().to_vec();
    Ok(Listed { key: Key(row.get(0)?), json, moment: row.get(2)? })
}

/// The record of this key.
pub(super) fn listed(query: &impl Query, key: Key) -> Result<Option<Listed>, Error> {
    query.one("SELECT key, json, moment FROM records WHERE key = ?1", &[key.0.into()], listed_row)
}

/// When the record of this key was made.
pub(super) fn created_at(query: &impl Query, key: Key) -> Result<Option<Timestamp>, Error> {
    query.one("SELECT created_at FROM records WHERE key = ?1", &[key.0.into()], |row| row.get(0))
}

/// Records of all kinds from one moment on until before another, the first ones in their order.
pub(super) fn between(query: &impl Query, from: i64, until: i64, most: usize) -> Result<Vec<Listed>, Error> {
    let sql = "SELECT key, json, moment FROM records WHERE moment >= ?1 AND moment < ?2 \
               ORDER BY moment, key LIMIT ?3";
    query.all(sql, &[from.into(), until.into(), most.into()], listed_row)
}

/// A link between two records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::modules) struct Link {
    pub(super) id: i64,
    pub(super) from: Key,
    pub(super) to: Key,
    pub(super) kind: String,
    pub(super) created_at: Timestamp,
}

fn link_row(row: &Row<'_>) -> Result<Link, Error> {
    let (from, to) = (Key(row.get(1)?), Key(row.get(2)?));
    Ok(Link { id: row.get(0)?, from, to, kind: row.get(3)?, created_at: row.get(4)? })
}

/// The link of this id.
pub(super) fn link(query: &impl Query, id: i64) -> Result<Option<Link>, Error> {
    let sql = "SELECT id, from_key, to_key, kind, created_at FROM record_links WHERE id = ?1";
    query.one(sql, &[id.into()], link_row)
}

/// The link of this kind from one record to another.
pub(super) fn link_between(query: &impl Query, from: Key, to: Key, kind: &str) -> Result<Option<Link>, Error> {
    let sql = "SELECT id, from_key, to_key, kind, created_at FROM record_links \
               WHERE from_key = ?1 AND to_key = ?2 AND kind = ?3";
    query.one(sql, &[from.0.into(), to.0.into(), kind.into()], link_row)
}

/// The links that lead from a record or to it, the oldest first; a record has so many at most.
pub(super) fn links_of(query: &impl Query, key: Key) -> Result<Vec<Link>, Error> {
    let sql = "SELECT id, from_key, to_key, kind, created_at FROM record_links WHERE from_key = ?1 \
               UNION ALL \
               SELECT id, from_key, to_key, kind, created_at FROM record_links WHERE to_key = ?1 ORDER BY id";
    query.all(sql, &[key.0.into()], link_row)
}

/// How many links lead from a record or to it.
pub(super) fn count_links(query: &impl Query, key: Key) -> Result<i64, Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM record_links WHERE from_key = ?1) \
               + (SELECT COUNT(*) FROM record_links WHERE to_key = ?1)";
    Ok(query.one(sql, &[key.0.into()], |row| row.get(0))?.unwrap_or_default())
}

/// Adds a link.
pub(super) fn add_link(tx: &mut Tx<'_>, from: Key, to: Key, kind: &str, created_at: Timestamp) -> Result<Link, Error> {
    let (_, id) = counted(tx, LINKS, 1, 1)?;
    let sql = "INSERT INTO record_links (id, from_key, to_key, kind, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.run(sql, &[id.into(), from.0.into(), to.0.into(), kind.into(), created_at.into()])?;
    Ok(Link { id, from, to, kind: kind.to_owned(), created_at })
}

/// Removes a link.
pub(super) fn remove_link(tx: &mut Tx<'_>, id: i64) -> Result<(), Error> {
    tx.run("DELETE FROM record_links WHERE id = ?1", &[id.into()])?;
    counted(tx, LINKS, -1, 0).map(|_| ())
}

/// Removes the links that lead from a record or to it.
pub(in crate::modules) fn remove_links(tx: &mut Tx<'_>, key: Key) -> Result<(), Error> {
    let removed = tx.change("DELETE FROM record_links WHERE from_key = ?1 OR to_key = ?1", &[key.0.into()])?;
    if removed > 0 {
        counted(tx, LINKS, -i64::try_from(removed).unwrap_or(i64::MAX), 0)?;
    }
    Ok(())
}

/// A record in the bin.
pub(super) struct Binned {
    pub(super) key: Key,
    /// As it was answered.
    pub(super) json: String,
    pub(super) deleted_at: Timestamp,
}

/// What was deleted, the newest first.
pub(super) fn binned(query: &impl Query, limit: i64, skip: i64) -> Result<Vec<Binned>, Error> {
    let sql = "SELECT key, json, deleted_at FROM record_bin ORDER BY deleted_at DESC, key DESC LIMIT ?1 OFFSET ?2";
    query.all(sql, &[limit.into(), skip.into()], |row| {
        Ok(Binned { key: Key(row.get(0)?), json: row.get(1)?, deleted_at: row.get(2)? })
    })
}

/// When the oldest of what was deleted from this time on was deleted.
pub(super) fn oldest_binned(query: &impl Query, from: Timestamp) -> Result<Option<Timestamp>, Error> {
    let sql = "SELECT deleted_at FROM record_bin WHERE deleted_at >= ?1 ORDER BY deleted_at LIMIT 1";
    query.one(sql, &[from.into()], |row| row.get(0))
}

/// Removes the oldest of what was deleted from one time on until before another; how many there were.
pub(super) fn purge(tx: &mut Tx<'_>, from: Timestamp, before: Timestamp, most: u64) -> Result<u64, Error> {
    let sql = "DELETE FROM record_bin WHERE key IN (SELECT key FROM record_bin WHERE deleted_at >= ?1 \
               AND deleted_at < ?2 ORDER BY deleted_at LIMIT ?3)";
    tx.change(sql, &[from.into(), before.into(), i64::try_from(most).unwrap_or(i64::MAX).into()])
}

/// Has `take` see each record behind this key, in their order, until it says that this is enough.
pub(super) fn records_after(
    query: &impl Query,
    after: Key,
    mut take: impl FnMut(Key, &str) -> Result<bool, Error>,
) -> Result<(), Error> {
    let sql = "SELECT key, json FROM records WHERE key > ?1 ORDER BY key";
    query.until(sql, &[after.0.into()], |row| take(Key(row.get(0)?), row.get(1)?))
}

/// Links in one page.
const PAGE_LINKS: usize = 200;

/// A page of links behind this one, or the first, in the order of their ends.
pub(super) fn links_after(query: &impl Query, after: Option<&Link>) -> Result<Vec<Link>, Error> {
    let (from, to, kind) = after.map_or((i64::MIN, 0, ""), |link| (link.from.0, link.to.0, &*link.kind));
    let sql = "SELECT id, from_key, to_key, kind, created_at FROM record_links \
               WHERE (from_key, to_key, kind) > (?1, ?2, ?3) ORDER BY from_key, to_key, kind LIMIT ?4";
    query.all(sql, &[from.into(), to.into(), kind.into(), PAGE_LINKS.into()], link_row)
}

/// How many links there are.
pub(super) fn links_counted(query: &Reader) -> Result<i64, Error> {
    let counted = query.one("SELECT records FROM record_kinds WHERE kind = ?1", &[LINKS.into()], |row| row.get(0))?;
    Ok(counted.unwrap_or_default())
}

/// Under which key a record of another household is here, if it has another one there.
pub(super) fn moved(query: &impl Query, key: Key, created_at: Timestamp) -> Result<Option<Key>, Error> {
    let sql = "SELECT moved_to FROM record_moved WHERE key = ?1 AND created_at = ?2";
    query.one(sql, &[key.0.into(), created_at.into()], |row| row.get(0).map(Key))
}

/// Remembers it.
pub(super) fn set_moved(tx: &mut Tx<'_>, key: Key, created_at: Timestamp, to: Key) -> Result<(), Error> {
    let sql = "INSERT INTO record_moved (key, created_at, moved_to) VALUES (?1, ?2, ?3) \
               ON CONFLICT (key, created_at) DO UPDATE SET moved_to = ?3";
    tx.run(sql, &[key.0.into(), created_at.into(), to.0.into()])
}
