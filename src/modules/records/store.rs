//! How records lie in the database: the statements, and nothing else.

use std::sync::Arc;

use super::fact::Fact;
use super::kinds::Kind;
use super::record::Key;
use super::wanted::Wanted;
use crate::clock::Timestamp;
use crate::store::{Error, Order, Query, Reader, Row, Search, TallyTable, TextWords, Tx, Value};

/// What a kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::modules) struct Counts {
    /// How many records there are.
    pub(in crate::modules) records: i64,
    /// The number of the last change.
    pub(in crate::modules) revision: i64,
    /// When that was.
    pub(in crate::modules) changed_at: Timestamp,
}

/// A record as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::modules) struct Stored {
    pub(in crate::modules) key: Key,
    /// As it is answered.
    pub(in crate::modules) json: String,
    pub(in crate::modules) created_at: Timestamp,
    pub(in crate::modules) updated_at: Timestamp,
    /// The change of its kind that it comes of.
    pub(in crate::modules) revision: i64,
}

const FIND: &str = "SELECT key, json, created_at, updated_at, revision FROM records WHERE key = ?1";
const BY_SOURCE: &str = "SELECT key, json, created_at, updated_at, revision FROM records \
                         WHERE source_trace = ?1 AND key BETWEEN ?2 AND ?3 ORDER BY key LIMIT 1";
const DELETED: &str = "SELECT key, json, created_at, deleted_at, 0 FROM record_bin WHERE key = ?1";

/// The record of a row with `key`, `json`, `created_at`, `updated_at` and `revision`.
pub(in crate::modules) fn stored(row: &Row<'_>) -> Result<Stored, Error> {
    Ok(Stored {
        key: Key(row.get(0)?),
        json: row.get(1)?,
        created_at: row.get(2)?,
        updated_at: row.get(3)?,
        revision: row.get(4)?,
    })
}

/// What a kind counts; nothing was ever kept of one that has no row.
pub(in crate::modules) fn counts(query: &Reader, kind: &Kind) -> Result<Counts, Error> {
    let sql = "SELECT records, revision, changed_at FROM record_kinds WHERE kind = ?1";
    let found = query.one(sql, &[kind.number.into()], |row| {
        Ok(Counts { records: row.get(0)?, revision: row.get(1)?, changed_at: row.get(2)? })
    })?;
    Ok(found.unwrap_or(Counts { records: 0, revision: 0, changed_at: Timestamp(0) }))
}

/// The record of this key.
pub(in crate::modules) fn find(query: &impl Query, key: Key) -> Result<Option<Stored>, Error> {
    query.one(FIND, &[key.0.into()], stored)
}

/// The record of this kind that comes of this source; of several the first.
pub(in crate::modules) fn by_source(query: &impl Query, kind: &Kind, source: &str) -> Result<Option<Stored>, Error> {
    let (first, last) = Key::range(kind);
    query.one(BY_SOURCE, &[source.into(), first.into(), last.into()], stored)
}

/// The values of one filter with how many records have each, the most frequent first.
pub(in crate::modules) fn values_of(
    query: &impl Query,
    kind: &Kind,
    field: &str,
    most: usize,
) -> Result<Vec<(String, i64)>, Error> {
    query.labels(kind.texts(), field, most)
}

/// The record of this key in the bin; it was changed last when it was deleted.
pub(in crate::modules) fn deleted(query: &impl Query, key: Key) -> Result<Option<Stored>, Error> {
    query.one(DELETED, &[key.0.into()], stored)
}

const LIST: &str = "SELECT json FROM records WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3 OFFSET ?4";
const LIST_DESC: &str = "SELECT json FROM records WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT ?3 OFFSET ?4";
const LIST_OF: &str = "SELECT json FROM records WHERE key BETWEEN ?1 AND ?2 AND moment >= ?5 AND moment < ?6 \
                       ORDER BY key LIMIT ?3 OFFSET ?4";
const LIST_OF_DESC: &str = "SELECT json FROM records WHERE key BETWEEN ?1 AND ?2 AND moment >= ?5 AND moment < ?6 \
                            ORDER BY key DESC LIMIT ?3 OFFSET ?4";
const COUNT_OF: &str = "SELECT COUNT(*) FROM records WHERE key BETWEEN ?1 AND ?2 AND moment >= ?3 AND moment < ?4";

/// From when on, and until before when.
fn span(wanted: &Wanted) -> [Value<'static>; 2] {
    [wanted.from.unwrap_or(i64::MIN).into(), wanted.until.unwrap_or(i64::MAX).into()]
}

/// Has `take` see each record of a list as it is answered, in order: as bytes, because to ask whether what we have written is text
/// is a third of what a list costs. Words and facts are not looked at here.
pub(in crate::modules) fn list(
    query: &impl Query,
    kind: &Kind,
    wanted: &Wanted,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let (first, last) = Key::range(kind);
    let [from, until] = span(wanted);
    let values = [first.into(), last.into(), wanted.limit.into(), wanted.skip.into(), from, until];
    let (sql, values) = match (wanted.is_of_a_time(), wanted.order) {
        (false, Order::Oldest) => (LIST, &values[..4]),
        (false, Order::Newest) => (LIST_DESC, &values[..4]),
        (true, Order::Oldest) => (LIST_OF, &values[..]),
        (true, Order::Newest) => (LIST_OF_DESC, &values[..]),
    };
    query.each(sql, values, |row| {
        take(row.bytes(0)?.unwrap_or_default());
        Ok(())
    })
}

/// How many records of a time there are.
pub(super) fn count(query: &impl Query, kind: &Kind, wanted: &Wanted) -> Result<i64, Error> {
    let (first, last) = Key::range(kind);
    let [from, until] = span(wanted);
    let found = query.one(COUNT_OF, &[first.into(), last.into(), from, until], |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Which records of one kind are wanted by the time that they are about.
pub(in crate::modules) struct During {
    /// From when on, by [`wall_micros`](super::fact::wall_micros).
    pub(in crate::modules) from: i64,
    /// Until before when.
    pub(in crate::modules) until: i64,
    /// Which end of that comes first.
    pub(in crate::modules) order: Order,
    /// How many at most.
    pub(in crate::modules) most: usize,
}

const DURING: &str = "SELECT key, json, created_at, updated_at, revision FROM records \
                      WHERE moment >= ?1 AND moment < ?2 AND key BETWEEN ?3 AND ?4 ORDER BY moment, key LIMIT ?5";
const DURING_DESC: &str = "SELECT key, json, created_at, updated_at, revision FROM records \
                           WHERE moment >= ?1 AND moment < ?2 AND key BETWEEN ?3 AND ?4 \
                           ORDER BY moment DESC, key DESC LIMIT ?5";

/// Has `take` see the records of a kind that are about some time, in its order.
pub(in crate::modules) fn during(
    query: &impl Query,
    kind: &Kind,
    span: &During,
    mut take: impl FnMut(Stored),
) -> Result<(), Error> {
    let (first, last) = Key::range(kind);
    let values = [span.from.into(), span.until.into(), first.into(), last.into(), span.most.into()];
    query.each(if span.order == Order::Oldest { DURING } else { DURING_DESC }, &values, |row| {
        take(stored(row)?);
        Ok(())
    })
}

/// Records of a search for words that are looked at for one list.
pub(in crate::modules) const SEARCHED_MAX: usize = 10_000;

/// The same for a list of records that are found by the index: those that it has, and how many there would be without its bounds; where
/// words are searched for, among the first [`SEARCHED_MAX`] that have them.
pub(super) fn found(
    query: &impl Query,
    kind: &Kind,
    wanted: &Wanted,
    search: &Search,
    mut take: impl FnMut(&[u8]),
) -> Result<i64, Error> {
    let most = if wanted.words.is_some() { SEARCHED_MAX } else { usize::MAX };
    let shown = wanted.skip..wanted.skip.saturating_add(wanted.limit);
    let (mut looked_at, mut found) = (0, 0);
    query.search(search, &[kind.texts()], wanted.order, |key| {
        looked_at += 1;
        if !wanted.is_of_a_time() || is_of(query, key, wanted)? {
            if shown.contains(&found) {
                query.one("SELECT json FROM records WHERE key = ?1", &[key.into()], |row| {
                    take(row.bytes(0)?.unwrap_or_default());
                    Ok(())
                })?;
            }
            found += 1;
        }
        Ok(looked_at < most)
    })?;
    Ok(found)
}

/// Whether a record is of the time that is wanted.
fn is_of(query: &impl Query, key: i64, wanted: &Wanted) -> Result<bool, Error> {
    let [from, until] = span(wanted);
    query.exists("SELECT 1 FROM records WHERE key = ?1 AND moment >= ?2 AND moment < ?3", &[key.into(), from, until])
}

/// The first records of a kind that have this fact.
pub(super) fn having(query: &impl Query, kind: &Kind, fact: &Fact, most: usize) -> Result<Vec<Key>, Error> {
    let (first, last) = Key::range(kind);
    let sql = "SELECT key FROM record_facts WHERE name = ?1 AND value = ?2 AND key BETWEEN ?3 AND ?4 \
               ORDER BY key LIMIT ?5";
    let values = [fact.name.into(), (&fact.value).into(), first.into(), last.into(), most.into()];
    query.all(sql, &values, |row| row.get(0).map(Key))
}

/// What is counted of each kind. Ids are never given twice.
static KINDS: TallyTable = TallyTable {
    read: "SELECT last_id, records, revision, changed_at FROM record_kinds WHERE kind = ?1",
    write: "INSERT INTO record_kinds (kind, last_id, records, revision, changed_at) VALUES (?1, ?2, ?3, ?4, ?5) \
            ON CONFLICT (kind) DO UPDATE SET last_id = excluded.last_id, records = excluded.records, \
            revision = excluded.revision, changed_at = excluded.changed_at",
};

/// Counts one change of what has this number, a kind or links, how many there are more of it and how many ids were given: the number
/// of the change, and the last id.
pub(in crate::modules) fn counted(tx: &mut Tx<'_>, number: i64, more: i64, ids: i64) -> Result<(i64, i64), Error> {
    let now = tx.now();
    let [last_id, records, revision, changed_at] = tx.tally(&KINDS, number)?;
    *last_id += ids;
    *records += more;
    *revision += 1;
    *changed_at = now.0;
    Ok((*revision, *last_id))
}

/// The number of the last change of a kind.
pub(in crate::modules) fn revision(tx: &mut Tx<'_>, kind: &Kind) -> Result<i64, Error> {
    let [_, _, revision, _] = tx.tally(&KINDS, kind.number)?;
    Ok(*revision)
}

/// Sees to it that this id is given no more.
pub(super) fn reach(tx: &mut Tx<'_>, kind: &Kind, id: i64) -> Result<(), Error> {
    let [last_id, ..] = tx.tally(&KINDS, kind.number)?;
    *last_id = id.max(*last_id);
    Ok(())
}

/// What is written of a record.
pub(super) struct WrittenRecord<'r> {
    pub(super) key: Key,
    pub(super) json: &'r str,
    pub(super) moment: i64,
    pub(super) source: Option<&'r str>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) revision: i64,
    pub(super) facts: &'r [Fact],
    pub(super) words: &'r Arc<TextWords>,
}

/// Adds a record.
pub(super) fn add(tx: &mut Tx<'_>, record: &WrittenRecord<'_>) -> Result<(), Error> {
    let WrittenRecord { key, json, moment, source, created_at, updated_at, revision, facts, words } = *record;
    tx.run(
        "INSERT INTO records (key, json, moment, source_trace, created_at, updated_at, revision) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            key.0.into(),
            json.into(),
            moment.into(),
            source.into(),
            created_at.into(),
            updated_at.into(),
            revision.into(),
        ],
    )?;
    facts.iter().try_for_each(|fact| add_fact(tx, key, fact))?;
    tx.add_text(key.0, words);
    Ok(())
}

/// Replaces a record whose facts were these.
pub(super) fn replace(tx: &mut Tx<'_>, record: &WrittenRecord<'_>, old: &[Fact]) -> Result<(), Error> {
    let WrittenRecord { key, json, moment, source, updated_at, revision, facts, words, .. } = *record;
    tx.run(
        "UPDATE records SET json = ?2, moment = ?3, source_trace = ?4, updated_at = ?5, revision = ?6 WHERE key = ?1",
        &[key.0.into(), json.into(), moment.into(), source.into(), updated_at.into(), revision.into()],
    )?;
    for gone in old.iter().filter(|fact| !facts.contains(fact)) {
        remove_fact(tx, key, gone)?;
    }
    for new in facts.iter().filter(|fact| !old.contains(fact)) {
        add_fact(tx, key, new)?;
    }
    tx.replace_text(key.0, words);
    Ok(())
}

/// Puts a record into the bin.
pub(super) fn bin(tx: &mut Tx<'_>, record: &Stored, facts: &[Fact]) -> Result<(), Error> {
    let (key, now) = (record.key, tx.now());
    for fact in facts {
        remove_fact(tx, key, fact)?;
    }
    tx.remove_text(key.0);
    tx.run("DELETE FROM records WHERE key = ?1", &[key.0.into()])?;
    tx.run(
        "INSERT INTO record_bin (key, json, created_at, deleted_at) VALUES (?1, ?2, ?3, ?4)",
        &[key.0.into(), (&record.json).into(), record.created_at.into(), now.into()],
    )
}

/// Takes a record out of the bin.
pub(super) fn unbin(tx: &mut Tx<'_>, key: Key) -> Result<(), Error> {
    tx.run("DELETE FROM record_bin WHERE key = ?1", &[key.0.into()])
}

fn add_fact(tx: &mut Tx<'_>, key: Key, fact: &Fact) -> Result<(), Error> {
    let sql = "INSERT INTO record_facts (name, value, key) VALUES (?1, ?2, ?3)";
    tx.run(sql, &[fact.name.into(), (&fact.value).into(), key.0.into()])
}

fn remove_fact(tx: &mut Tx<'_>, key: Key, fact: &Fact) -> Result<(), Error> {
    let sql = "DELETE FROM record_facts WHERE name = ?1 AND value = ?2 AND key = ?3";
    tx.change(sql, &[fact.name.into(), (&fact.value).into(), key.0.into()]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::change::RELATED_CLEARED_MAX;
    use super::super::wanted;
    use super::*;
    use crate::modules::MIGRATIONS;
    use crate::modules::kazkar::{INDEX_MAX_NAMES, ON_THIS_DAY_MAX};
    use crate::modules::zone::Zone;
    use crate::store::testing::House;

    #[test]
    fn a_search_looks_at_so_many_records() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("malya").unwrap();
        house.write(move |tx| {
            for id in 1..=SEARCHED_MAX as i64 + 1 {
                let words = Arc::new(TextWords::of(kind.texts(), "word", ""));
                tx.add_text(Key::of(kind, id).unwrap().0, &words);
            }
        });
        let wanted = wanted::read(kind, "q=word&limit=1", &Zone::named("Europe/Kyiv").unwrap()).unwrap();
        let search = Search::of("word").unwrap();
        assert_eq!(found(&*house.reader, kind, &wanted, &search, |_| ()), Ok(SEARCHED_MAX as i64));
    }

    /// Stories of one type, one with each of so many names, all of one day.
    fn told(names: usize) -> House {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("kazkar").unwrap();
        house.write(move |tx| {
            for id in 1..=names as i64 {
                let mut words = TextWords::of(kind.texts(), "", "");
                words.label(kind.texts(), "participants", &id.to_string());
                if id <= 2 {
                    words.label(kind.texts(), "participants", "often");
                }
                let written = WrittenRecord {
                    key: Key::of(kind, id).unwrap(),
                    json: "{}",
                    moment: 5,
                    source: None,
                    created_at: Timestamp(0),
                    updated_at: Timestamp(0),
                    revision: 1,
                    facts: &[],
                    words: &Arc::new(words),
                };
                add(tx, &written).unwrap();
            }
        });
        house
    }

    #[test]
    fn an_index_has_the_most_frequent_names() {
        let house = told(INDEX_MAX_NAMES + 1);
        let kind = Kind::of_module("kazkar").unwrap();
        let names = values_of(&*house.reader, kind, "participants", INDEX_MAX_NAMES).unwrap();
        assert_eq!((names.len(), &names[0]), (INDEX_MAX_NAMES, &("often".to_owned(), 2)));
    }

    #[test]
    fn of_this_day_there_are_so_many_stories() {
        let house = told(ON_THIS_DAY_MAX + 1);
        let kind = Kind::of_module("kazkar").unwrap();
        let of = |from| {
            let (span, mut count) = (During { from, until: 10, order: Order::Oldest, most: ON_THIS_DAY_MAX }, 0);
            during(&*house.reader, kind, &span, |_| count += 1).unwrap();
            count
        };
        assert_eq!((of(0), of(6)), (ON_THIS_DAY_MAX, 0));
    }

    #[test]
    fn a_deleted_record_is_named_no_more_by_so_many() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("malya").unwrap();
        let fact = Fact { name: "related_ideas", value: "7".to_owned() };
        let named = fact.clone();
        house.write(move |tx| {
            for id in 1..=RELATED_CLEARED_MAX as i64 + 1 {
                add_fact(tx, Key::of(kind, id).unwrap(), &named).unwrap();
            }
        });
        let having = having(&*house.reader, kind, &fact, RELATED_CLEARED_MAX).unwrap();
        assert_eq!((having.len(), having[0]), (RELATED_CLEARED_MAX, Key::of(kind, 1).unwrap()));
    }

    #[test]
    fn records_of_a_time_are_found_in_its_order_up_to_a_bound() {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let (malya, podija) = (Kind::of_module("malya").unwrap(), Kind::of_module("podija").unwrap());
        house.write(move |tx| {
            for (kind, id, moment) in
                [(podija, 1, 30), (podija, 2, 20), (podija, 3, 10), (podija, 4, 40), (malya, 1, 20)]
            {
                let (key, now) = (Key::of(kind, id).unwrap(), tx.now());
                let written = WrittenRecord {
                    key,
                    json: "{}",
                    moment,
                    source: None,
                    created_at: now,
                    updated_at: now,
                    revision: id,
                    facts: &[],
                    words: &Arc::new(TextWords::of(kind.texts(), "", "")),
                };
                add(tx, &written).unwrap();
            }
        });
        let of = |order, most| {
            let mut ids = Vec::new();
            let span = During { from: 10, until: 40, order, most };
            during(&*house.reader, podija, &span, |stored| ids.push(stored.key.id())).unwrap();
            ids
        };
        assert_eq!((of(Order::Oldest, 9), of(Order::Newest, 9)), (vec![3, 2, 1], vec![1, 2, 3]));
        assert_eq!((of(Order::Oldest, 2), of(Order::Newest, 1)), (vec![3, 2], vec![1]));
    }
}
