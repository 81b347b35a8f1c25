//! What of the calendar lies in the database besides its records, and how those are looked for.

use std::ops::Range;

use crate::clock::Timestamp;
use crate::modules::records::kinds::Kind;
use crate::modules::records::record::Key;
use crate::modules::records::store::{Stored, stored};
use crate::store::{Error, Query, Row, Tx, Value};

/// Entries with a rule that are looked at for one answer; the newest.
pub(in crate::modules) const RECURRING_MAX: usize = 2_000;
/// Entries without a rule that are looked at for one answer; the first of the stretch.
pub(super) const ONCE_MAX: usize = 5_000;
/// Entries without a rule that begin before a stretch and are looked at to see whether they last into it; the last ones.
pub(super) const LASTING_MAX: usize = 1_000;
/// Bytes of entries that are looked at for one answer.
pub(super) const LOOKED_AT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Entries of a calendar, each in the form that its reader wants, as many as one answer may look at.
#[derive(Debug)]
pub(in crate::modules) struct Found<T = String> {
    pub(super) entries: Vec<T>,
    bytes: usize,
    /// Whether there are more, which are not looked at.
    pub(super) is_cut: bool,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), bytes: 0, is_cut: false }
    }
}

impl<T> Found<T> {
    /// Adds what `read` makes of the rows and how many bytes that has, up to so many rows and all the bytes.
    fn gather(
        &mut self,
        query: &impl Query,
        sql: &'static str,
        values: &[Value<'_>],
        most: usize,
        read: impl Fn(&Row<'_>) -> Result<(T, usize), Error>,
    ) -> Result<(), Error> {
        let mut rows = 0;
        query.each(sql, values, |row| {
            let (entry, bytes) = read(row)?;
            rows += 1;
            if rows > most || self.bytes + bytes > LOOKED_AT_MAX_BYTES {
                self.is_cut = true;
            } else {
                self.bytes += bytes;
                self.entries.push(entry);
            }
            Ok(())
        })
    }
}

/// As it is answered.
fn json(row: &Row<'_>) -> Result<(String, usize), Error> {
    let json: String = row.get(0)?;
    let bytes = json.len();
    Ok((json, bytes))
}

/// Whole.
fn whole(row: &Row<'_>) -> Result<(Stored, usize), Error> {
    let entry = stored(row)?;
    let bytes = entry.json.len();
    Ok((entry, bytes))
}

impl Found {
    /// Adds the entries with a rule that begin before this moment.
    pub(super) fn recurring(&mut self, query: &impl Query, kind: &Kind, until: i64) -> Result<(), Error> {
        let (first, last) = Key::range(kind);
        let sql = "SELECT r.json FROM record_facts f JOIN records r ON r.key = f.key \
                   WHERE f.name = 'recurrence_pattern' AND f.value = 'true' AND f.key BETWEEN ?1 AND ?2 \
                   AND r.moment < ?3 ORDER BY f.key DESC LIMIT ?4";
        let limit = (RECURRING_MAX + 1).into();
        self.gather(query, sql, &[first.into(), last.into(), until.into(), limit], RECURRING_MAX, json)
    }

    /// Adds the entries without a rule that begin in [from, until).
    pub(super) fn once(&mut self, query: &impl Query, kind: &Kind, from: i64, until: i64) -> Result<(), Error> {
        let (first, last) = Key::range(kind);
        let sql = "SELECT r.json FROM records r WHERE r.moment >= ?1 AND r.moment < ?2 AND r.key BETWEEN ?3 AND ?4 \
                   AND NOT EXISTS (SELECT 1 FROM record_facts f WHERE f.name = 'recurrence_pattern' \
                   AND f.value = 'true' AND f.key = r.key) ORDER BY r.moment, r.key LIMIT ?5";
        let limit = (ONCE_MAX + 1).into();
        self.gather(query, sql, &[from.into(), until.into(), first.into(), last.into(), limit], ONCE_MAX, json)
    }

    /// Adds the last of the entries without a rule that begin in [early, from) and have an end.
    pub(super) fn lasting(&mut self, query: &impl Query, kind: &Kind, early: i64, from: i64) -> Result<(), Error> {
        let (first, last) = Key::range(kind);
        let sql = "SELECT r.json FROM records r WHERE r.moment >= ?1 AND r.moment < ?2 AND r.key BETWEEN ?3 AND ?4 \
                   AND json_extract(r.json, '$.end_time') IS NOT NULL \
                   AND NOT EXISTS (SELECT 1 FROM record_facts f WHERE f.name = 'recurrence_pattern' \
                   AND f.value = 'true' AND f.key = r.key) ORDER BY r.moment DESC, r.key DESC LIMIT ?5";
        let limit = LASTING_MAX.into();
        self.gather(query, sql, &[early.into(), from.into(), first.into(), last.into(), limit], LASTING_MAX, json)
    }
}

const REMIND_AGAIN: &str = "SELECT r.key, r.json, r.created_at, r.updated_at, r.revision \
    FROM record_facts f JOIN records r ON r.key = f.key \
    WHERE f.name = 'recurrence_pattern' AND f.value = 'true' AND f.key BETWEEN ?1 AND ?2 \
    AND EXISTS (SELECT 1 FROM record_facts m WHERE m.name = 'reminder_settings' AND m.value = 'true' AND m.key = f.key) \
    ORDER BY f.key DESC LIMIT ?3";
const REMIND_ONCE: &str = "SELECT r.key, r.json, r.created_at, r.updated_at, r.revision FROM records r \
    WHERE r.moment >= ?1 AND r.moment < ?2 AND r.key BETWEEN ?3 AND ?4 \
    AND EXISTS (SELECT 1 FROM record_facts m WHERE m.name = 'reminder_settings' AND m.value = 'true' AND m.key = r.key) \
    AND NOT EXISTS (SELECT 1 FROM record_facts f WHERE f.name = 'recurrence_pattern' \
    AND f.value = 'true' AND f.key = r.key) ORDER BY r.moment, r.key LIMIT ?5";

/// Entries that want to remind somebody.
pub(super) type Reminding = Found<Stored>;

impl Reminding {
    /// Those that recur, and those that begin then and are once.
    pub(super) fn find(query: &impl Query, kind: &Kind, once: Range<i64>) -> Result<Self, Error> {
        let (first, last) = Key::range(kind);
        let mut found = Self::default();
        let again = [first.into(), last.into(), (RECURRING_MAX + 1).into()];
        found.gather(query, REMIND_AGAIN, &again, RECURRING_MAX, whole)?;
        let once = [once.start.into(), once.end.into(), first.into(), last.into(), (ONCE_MAX + 1).into()];
        found.gather(query, REMIND_ONCE, &once, ONCE_MAX, whole)?;
        Ok(found)
    }
}

/// Until when reminders were told; none before the first time.
pub(super) fn reminded_until(query: &impl Query) -> Result<Option<Timestamp>, Error> {
    query.one("SELECT until FROM calendar_reminded WHERE id = 1", &[], |row| row.get(0))
}

/// Says until when they were told.
pub(super) fn set_reminded(tx: &mut Tx<'_>, until: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO calendar_reminded (id, until) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET until = excluded.until";
    tx.run(sql, &[until.into()])
}

/// The first and the last moment of all records of a kind.
pub(super) fn moments(query: &impl Query, kind: &Kind) -> Result<Option<(i64, i64)>, Error> {
    let (first, last) = Key::range(kind);
    let sql = "SELECT MIN(moment), MAX(moment) FROM records WHERE key BETWEEN ?1 AND ?2";
    let found: Option<(Option<i64>, Option<i64>)> =
        query.one(sql, &[first.into(), last.into()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.and_then(|(first, last)| Some((first?, last?))))
}

/// So many records of a kind behind this key, in the order of their ids.
pub(super) fn page(query: &impl Query, kind: &Kind, after: i64, most: usize) -> Result<Vec<Stored>, Error> {
    let (first, last) = Key::range(kind);
    let sql = "SELECT key, json, created_at, updated_at, revision FROM records \
               WHERE key > ?1 AND key BETWEEN ?2 AND ?3 ORDER BY key LIMIT ?4";
    query.all(sql, &[after.into(), first.into(), last.into(), most.into()], stored)
}

/// Keeps this hash as that of the feed's token, and no other.
pub(super) fn keep_feed(tx: &mut Tx<'_>, token_hash: &[u8; 32]) -> Result<(), Error> {
    let now: Timestamp = tx.now();
    tx.run(
        "INSERT INTO calendar_feed (id, token_hash, created_at) VALUES (1, ?1, ?2) \
         ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, created_at = excluded.created_at",
        &[token_hash.into(), now.into()],
    )
}

/// Ends the feed; whether there was one.
pub(super) fn end_feed(tx: &mut Tx<'_>) -> Result<bool, Error> {
    tx.change("DELETE FROM calendar_feed WHERE id = 1", &[]).map(|ended| ended > 0)
}

/// Whether this is the hash of the feed's token.
pub(super) fn is_feed(query: &impl Query, token_hash: &[u8; 32]) -> Result<bool, Error> {
    query.exists("SELECT 1 FROM calendar_feed WHERE token_hash = ?1", &[token_hash.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::MIGRATIONS;
    use crate::store::testing::House;

    #[test]
    fn so_many_entries_are_looked_at() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("calendar").unwrap();
        house.write(move |tx| {
            for id in 1..=RECURRING_MAX as i64 + 1 {
                let key = Key::of(kind, id).unwrap().0;
                let record = "INSERT INTO records (key, json, moment, created_at, updated_at, revision) \
                              VALUES (?1, '{}', 0, 0, 0, 0)";
                tx.run(record, &[key.into()]).unwrap();
                let fact = "INSERT INTO record_facts (name, value, key) VALUES ('recurrence_pattern', 'true', ?1)";
                tx.run(fact, &[key.into()]).unwrap();
            }
            for id in 0..=ONCE_MAX as i64 {
                let key = Key::of(kind, id + 10_000).unwrap().0;
                let record = "INSERT INTO records (key, json, moment, created_at, updated_at, revision) \
                              VALUES (?1, '{\"end_time\":\"\"}', 0, 0, 0, 0)";
                tx.run(record, &[key.into()]).unwrap();
            }
        });
        let gathered = |gather: &dyn Fn(&mut Found)| {
            let mut found = Found::default();
            gather(&mut found);
            (found.entries.len(), found.is_cut)
        };
        let reader = &*house.reader;
        assert_eq!(gathered(&|found| found.recurring(reader, kind, 1).unwrap()), (RECURRING_MAX, true));
        assert_eq!(gathered(&|found| found.recurring(reader, kind, 0).unwrap()), (0, false));
        assert_eq!(gathered(&|found| found.once(reader, kind, 0, 1).unwrap()), (ONCE_MAX, true));
        assert_eq!(gathered(&|found| found.lasting(reader, kind, 0, 1).unwrap()), (LASTING_MAX, false));
        let reminds = |house: &House| Reminding::find(&*house.reader, kind, 0..1).unwrap();
        assert_eq!((reminds(&house).entries.len(), reminds(&house).is_cut), (0, false));
        house.write(move |tx| {
            for id in (1..=RECURRING_MAX as i64 + 1).chain(10_000..=10_000 + ONCE_MAX as i64) {
                let key = Key::of(kind, id).unwrap().0;
                let fact = "INSERT INTO record_facts (name, value, key) VALUES ('reminder_settings', 'true', ?1)";
                tx.run(fact, &[key.into()]).unwrap();
            }
        });
        assert_eq!((reminds(&house).entries.len(), reminds(&house).is_cut), (RECURRING_MAX + ONCE_MAX, true));
        let full = Found { bytes: LOOKED_AT_MAX_BYTES, ..Found::default() };
        let mut found = full;
        found.once(reader, kind, 0, 1).unwrap();
        assert_eq!((found.entries.len(), found.is_cut), (0, true));
    }
}
