//! Which files records name, and which records in the bin do: the statements, and nothing else.

use super::super::records::kinds::Kind;
use super::super::records::record::Key;
use crate::store::{Error, Query};

/// The records that have this in a field, or this with something behind it such as a query, the first ones first.
pub(super) fn naming(query: &impl Query, field: &str, address: &str, most: usize) -> Result<Vec<Key>, Error> {
    let sql = "SELECT key FROM record_facts WHERE name = ?1 AND value >= ?2 AND value < ?3 ORDER BY key LIMIT ?4";
    // Nothing that may follow an address is behind this.
    let until = format!("{address}~");
    query.all(sql, &[field.into(), address.into(), (&until).into(), most.into()], |row| row.get(0).map(Key))
}

/// Records of a kind as they are answered, behind this key; at most so many.
pub(super) fn behind(query: &impl Query, kind: &Kind, after: i64, most: usize) -> Result<Vec<(i64, String)>, Error> {
    let sql = "SELECT key, json FROM records WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
    let last = Key::range(kind).1;
    query.all(sql, &[after.into(), last.into(), most.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The same of those in the bin.
pub(super) fn binned(query: &impl Query, kind: &Kind, after: i64, most: usize) -> Result<Vec<(i64, String)>, Error> {
    let sql = "SELECT key, json FROM record_bin WHERE key > ?1 AND key <= ?2 ORDER BY key LIMIT ?3";
    let last = Key::range(kind).1;
    query.all(sql, &[after.into(), last.into(), most.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}
