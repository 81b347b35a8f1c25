//! How captures lie in the database, and where what they touch is looked for.

use jiff::civil::Date;

use super::super::records::fact::{fact_text, wall_micros};
use super::super::records::kinds::KINDS;
use super::super::records::record::Key;
use crate::clock::Timestamp;
use crate::store::{Error, Order, Query, Row, Search, Tx};

/// A capture as it lies there; `metadata`, `tags` and `records` are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Capture {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) content: String,
    pub(super) metadata: Option<String>,
    pub(super) captured_at: Timestamp,
    pub(super) about_at: String,
    pub(super) state: String,
    pub(super) intent: String,
    pub(super) module: String,
    pub(super) tags: String,
    pub(super) records: String,
    /// Whether it was taken back.
    pub(super) undone: bool,
}

const FIND: &str = "SELECT c.id, c.type, c.content, c.metadata, c.captured_at, c.about_at, c.state, c.intent, c.module, \
                    c.tags, c.records, u.undone_at FROM ci_captures c LEFT JOIN ci_undos u ON u.id = c.id WHERE c.id = ?1";
const NEWEST: &str = "SELECT c.id, c.type, c.content, c.metadata, c.captured_at, c.about_at, c.state, c.intent, c.module, \
                      c.tags, c.records, u.undone_at FROM ci_captures c LEFT JOIN ci_undos u ON u.id = c.id \
                      ORDER BY c.number DESC LIMIT ?1";

fn capture(row: &Row<'_>) -> Result<Capture, Error> {
    Ok(Capture {
        id: row.get(0)?,
        kind: row.get(1)?,
        content: row.get(2)?,
        metadata: row.get(3)?,
        captured_at: row.get(4)?,
        about_at: row.get(5)?,
        state: row.get(6)?,
        intent: row.get(7)?,
        module: row.get(8)?,
        tags: row.get(9)?,
        records: row.get(10)?,
        undone: row.get::<Option<i64>>(11)?.is_some(),
    })
}

/// Keeps a capture.
pub(super) fn add(tx: &mut Tx<'_>, capture: &Capture) -> Result<(), Error> {
    let Capture { id, kind, content, metadata, captured_at, about_at, state, intent, module, tags, records, .. } =
        capture;
    tx.run(
        "INSERT INTO ci_captures (id, type, content, metadata, captured_at, about_at, state, intent, module, tags, records) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        &[
            id.into(),
            kind.into(),
            content.into(),
            metadata.as_deref().into(),
            (*captured_at).into(),
            about_at.into(),
            state.into(),
            intent.into(),
            module.into(),
            tags.into(),
            records.into(),
        ],
    )
}

/// The capture of this id.
pub(super) fn find(query: &impl Query, id: &str) -> Result<Option<Capture>, Error> {
    query.one(FIND, &[id.into()], capture)
}

/// So many captures at most, the newest first.
pub(super) fn newest(query: &impl Query, most: usize) -> Result<Vec<Capture>, Error> {
    query.all(NEWEST, &[most.into()], capture)
}

/// Keeps that a capture was taken back.
pub(super) fn undo(tx: &mut Tx<'_>, id: &str) -> Result<(), Error> {
    let now = tx.now();
    tx.run("INSERT INTO ci_undos (id, undone_at) VALUES (?1, ?2)", &[id.into(), now.into()])
}

/// Records of every kind with a tag: the newest of the last kind first.
pub(super) fn tagged(query: &impl Query, tag: &str, most: usize) -> Result<Vec<Key>, Error> {
    found(query, &Search::of_label("tags", fact_text(tag)), most)
}

/// Records of every kind that are about a day, in their order on it.
pub(super) fn on_day(query: &impl Query, day: Date, most: usize) -> Result<Vec<Key>, Error> {
    let begin = |day: Date| wall_micros(day.at(0, 0, 0, 0));
    let (from, until) = (begin(day), day.tomorrow().map_or(i64::MAX, begin));
    let sql = "SELECT key FROM records WHERE moment >= ?1 AND moment < ?2 ORDER BY moment, key LIMIT ?3";
    query.all(sql, &[from.into(), until.into(), most.into()], |row| Ok(Key(row.get(0)?)))
}

/// Records of every kind that are found so: the newest of the last kind first.
pub(super) fn found(query: &impl Query, search: &Search, most: usize) -> Result<Vec<Key>, Error> {
    let groups = KINDS.each_ref().map(|kind| kind.texts());
    let mut keys = Vec::new();
    if most > 0 {
        query.search(search, &groups, Order::Newest, |key| {
            keys.push(Key(key));
            Ok(keys.len() < most)
        })?;
    }
    Ok(keys)
}
