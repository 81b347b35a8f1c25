//! How records lie in the database: the statements, and nothing else.

use std::sync::LazyLock;

use super::fact::Fact;
use super::kinds::Kind;
use super::record::Key;
use super::wanted::{FILTERS_MAX, Wanted};
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
    let (first, last) = Key::range(kind);
    let sql = "SELECT value, COUNT(*) AS records FROM record_facts WHERE name = ?1 AND key BETWEEN ?2 AND ?3 \
               GROUP BY value ORDER BY records DESC, value LIMIT ?4";
    query.all(sql, &[field.into(), first.into(), last.into(), most.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The record of this key in the bin; it was changed last when it was deleted.
pub(in crate::modules) fn deleted(query: &impl Query, key: Key) -> Result<Option<Stored>, Error> {
    query.one(DELETED, &[key.0.into()], stored)
}

/// Which statement a list needs: how many facts it asks for, whether it asks for a span, and how it is ordered.
#[derive(Clone, Copy)]
struct Shape {
    facts: usize,
    span: bool,
    order: Order,
    counts: bool,
}

/// Every statement of a list, by [`Shape::index`].
static LISTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let shapes = (0..=FILTERS_MAX).flat_map(|facts| {
        [false, true].into_iter().flat_map(move |span| {
            [Order::Oldest, Order::Newest]
                .into_iter()
                .flat_map(move |order| [false, true].map(|counts| Shape { facts, span, order, counts }))
        })
    });
    shapes.map(Shape::sql).collect()
});

impl Shape {
    fn index(self) -> usize {
        self.facts * 8
            + usize::from(self.span) * 4
            + usize::from(self.order == Order::Newest) * 2
            + usize::from(self.counts)
    }

    fn statement(self) -> &'static str {
        &LISTS[self.index()]
    }

    /// Values: the first and last key; from and until; name and value of each fact; then how many, behind how many. The first fact
    /// leads, because its rows lie in the order of keys; each other is looked up.
    fn sql(self) -> String {
        let mut number = 2;
        let mut next = || {
            number += 1;
            format!("?{number}")
        };
        let mut conditions = vec!["r.key BETWEEN ?1 AND ?2".to_owned()];
        if self.span {
            conditions.push(format!("r.moment >= {} AND r.moment < {}", next(), next()));
        }
        let mut tables = "records r".to_owned();
        for fact in 0..self.facts {
            let (name, value) = (next(), next());
            if fact == 0 {
                tables = "record_facts f JOIN records r ON r.key = f.key".to_owned();
                conditions.push(format!("f.name = {name} AND f.value = {value} AND f.key BETWEEN ?1 AND ?2"));
            } else {
                let fact = format!("o.name = {name} AND o.value = {value} AND o.key = r.key");
                conditions.push(format!("EXISTS (SELECT 1 FROM record_facts o WHERE {fact})"));
            }
        }
        let conditions = conditions.join(" AND ");
        if self.counts {
            return format!("SELECT COUNT(*) FROM {tables} WHERE {conditions}");
        }
        let key = if self.facts == 0 { "r.key" } else { "f.key" };
        let order = if self.order == Order::Newest { " DESC" } else { "" };
        format!(
            "SELECT r.json FROM {tables} WHERE {conditions} ORDER BY {key}{order} LIMIT {} OFFSET {}",
            next(),
            next()
        )
    }
}

fn shape(wanted: &Wanted, counts: bool) -> Shape {
    let span = wanted.from.is_some() || wanted.until.is_some();
    Shape { facts: wanted.facts.len(), span, order: wanted.order, counts }
}

fn values<'w>(kind: &Kind, wanted: &'w Wanted) -> Vec<Value<'w>> {
    let (first, last) = Key::range(kind);
    let mut values: Vec<Value<'w>> = vec![first.into(), last.into()];
    if wanted.from.is_some() || wanted.until.is_some() {
        let (from, until) = (wanted.from.unwrap_or(i64::MIN), wanted.until.unwrap_or(i64::MAX));
        values.extend([Value::from(from), Value::from(until)]);
    }
    values.extend(wanted.facts.iter().flat_map(|fact| [Value::from(fact.name), Value::from(&fact.value)]));
    values
}

/// Has `take` see each record of a list as it is answered, in order: as bytes, because to ask whether what we have written is text
/// is a third of what a list costs. Words that are searched for are not looked at here.
pub(in crate::modules) fn list(
    query: &impl Query,
    kind: &Kind,
    wanted: &Wanted,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let mut values = values(kind, wanted);
    values.extend([Value::from(wanted.limit), Value::from(wanted.skip)]);
    query.each(shape(wanted, false).statement(), &values, |row| {
        take(row.bytes(0)?.unwrap_or_default());
        Ok(())
    })
}

/// How many records a list would have without its bounds.
pub(super) fn count(query: &impl Query, kind: &Kind, wanted: &Wanted) -> Result<i64, Error> {
    let found = query.one(shape(wanted, true).statement(), &values(kind, wanted), |row| row.get(0))?;
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

/// Records of a search that are looked at for one list.
pub(in crate::modules) const SEARCHED_MAX: usize = 10_000;

/// The same for a list of records that have certain words: those that it has, and how many there would be of the first
/// [`SEARCHED_MAX`] that have the words.
pub(super) fn searched(
    query: &impl Query,
    kind: &Kind,
    wanted: &Wanted,
    search: &Search,
    mut take: impl FnMut(&[u8]),
) -> Result<i64, Error> {
    let mut keys = Vec::new();
    query.search(search, &[kind.texts()], wanted.order, |key| {
        keys.push(key);
        Ok(keys.len() < SEARCHED_MAX)
    })?;
    let is_filtered = !wanted.facts.is_empty() || wanted.from.is_some() || wanted.until.is_some();
    let mut found = 0;
    for key in keys {
        if is_filtered && !has(query, key, wanted)? {
            continue;
        }
        if (wanted.skip..wanted.skip.saturating_add(wanted.limit)).contains(&found) {
            query.one("SELECT json FROM records WHERE key = ?1", &[key.into()], |row| {
                take(row.bytes(0)?.unwrap_or_default());
                Ok(())
            })?;
        }
        found += 1;
    }
    Ok(found)
}

/// Whether a record has all facts and is in the span that are asked for.
fn has(query: &impl Query, key: i64, wanted: &Wanted) -> Result<bool, Error> {
    let (from, until) = (wanted.from.unwrap_or(i64::MIN), wanted.until.unwrap_or(i64::MAX));
    let in_span = "SELECT 1 FROM records WHERE key = ?1 AND moment >= ?2 AND moment < ?3";
    if !query.exists(in_span, &[key.into(), from.into(), until.into()])? {
        return Ok(false);
    }
    for Fact { name, value } in &wanted.facts {
        let of_fact = "SELECT 1 FROM record_facts WHERE name = ?1 AND value = ?2 AND key = ?3";
        if !query.exists(of_fact, &[(*name).into(), value.into(), key.into()])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first records of a kind that have this fact.
pub(super) fn having(query: &impl Query, kind: &Kind, fact: &Fact, most: usize) -> Result<Vec<Key>, Error> {
    let (first, last) = Key::range(kind);
    let sql =
        "SELECT key FROM record_facts WHERE name = ?1 AND value = ?2 AND key BETWEEN ?3 AND ?4 ORDER BY key LIMIT ?5";
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
    pub(super) words: &'r TextWords,
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
    add_facts(tx, key, facts)?;
    tx.add_text(key.0, words);
    Ok(())
}

/// Replaces a record whose facts were these.
pub(super) fn replace(tx: &mut Tx<'_>, record: &WrittenRecord<'_>, old_facts: &[Fact]) -> Result<(), Error> {
    let WrittenRecord { key, json, moment, source, updated_at, revision, facts, words, .. } = *record;
    tx.run(
        "UPDATE records SET json = ?2, moment = ?3, source_trace = ?4, updated_at = ?5, revision = ?6 WHERE key = ?1",
        &[key.0.into(), json.into(), moment.into(), source.into(), updated_at.into(), revision.into()],
    )?;
    for gone in old_facts.iter().filter(|fact| !facts.contains(fact)) {
        remove_fact(tx, key, gone)?;
    }
    add_facts(tx, key, facts.iter().filter(|fact| !old_facts.contains(fact)))?;
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

/// Adds one, two, three or four facts: most records have no more, and a statement for each costs more than its rows.
const ADD_FACTS: [&str; 4] = [
    "INSERT INTO record_facts (key, name, value) VALUES (?1, ?2, ?3)",
    "INSERT INTO record_facts (key, name, value) VALUES (?1, ?2, ?3), (?1, ?4, ?5)",
    "INSERT INTO record_facts (key, name, value) VALUES (?1, ?2, ?3), (?1, ?4, ?5), (?1, ?6, ?7)",
    "INSERT INTO record_facts (key, name, value) VALUES (?1, ?2, ?3), (?1, ?4, ?5), (?1, ?6, ?7), (?1, ?8, ?9)",
];

fn add_facts<'f>(tx: &mut Tx<'_>, key: Key, facts: impl IntoIterator<Item = &'f Fact>) -> Result<(), Error> {
    let mut facts = facts.into_iter().peekable();
    while facts.peek().is_some() {
        let mut values = vec![Value::from(key.0)];
        for Fact { name, value } in facts.by_ref().take(ADD_FACTS.len()) {
            values.extend([Value::from(*name), value.into()]);
        }
        tx.change(ADD_FACTS[values.len() / 2 - 1], &values)?;
    }
    Ok(())
}

fn remove_fact(tx: &mut Tx<'_>, key: Key, fact: &Fact) -> Result<(), Error> {
    let values = [fact.name.into(), (&fact.value).into(), key.0.into()];
    tx.change("DELETE FROM record_facts WHERE name = ?1 AND value = ?2 AND key = ?3", &values).map(|_| ())
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
                tx.add_text(Key::of(kind, id).unwrap().0, &TextWords::of(kind.texts(), "word", ""));
            }
        });
        let wanted = wanted::read(kind, "q=word&limit=1", &Zone::named("Europe/Kyiv").unwrap()).unwrap();
        let search = Search::of("word").unwrap();
        assert_eq!(searched(&*house.reader, kind, &wanted, &search, |_| ()), Ok(SEARCHED_MAX as i64));
    }

    /// Stories of one type, one with each of so many names, all of one day.
    fn told(names: usize) -> House {
        let house = House::at(Timestamp(0), MIGRATIONS);
        let kind = Kind::of_module("kazkar").unwrap();
        house.write(move |tx| {
            for id in 1..=names as i64 {
                let facts = [Fact { name: "participants", value: id.to_string() }];
                let written = WrittenRecord {
                    key: Key::of(kind, id).unwrap(),
                    json: "{}",
                    moment: 5,
                    source: None,
                    created_at: Timestamp(0),
                    updated_at: Timestamp(0),
                    revision: 1,
                    facts: &facts,
                    words: &TextWords::of(kind.texts(), "", ""),
                };
                add(tx, &written).unwrap();
            }
            let often = Fact { name: "participants", value: "often".to_owned() };
            add_facts(tx, Key::of(kind, 1).unwrap(), [&often]).unwrap();
            add_facts(tx, Key::of(kind, 2).unwrap(), [&often]).unwrap();
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
                add_facts(tx, Key::of(kind, id).unwrap(), [&named]).unwrap();
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
                    words: &TextWords::of(kind.texts(), "", ""),
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

    #[test]
    fn each_shape_of_a_list_has_its_statement() {
        for (index, sql) in LISTS.iter().enumerate() {
            let shape = Shape {
                facts: index / 8,
                span: index & 4 != 0,
                order: if index & 2 == 0 { Order::Oldest } else { Order::Newest },
                counts: index & 1 != 0,
            };
            assert_eq!((shape.index(), &shape.sql()), (index, sql));
        }
        assert_eq!(LISTS.len(), (FILTERS_MAX + 1) * 8);
        let plain = Shape { facts: 0, span: false, order: Order::Newest, counts: false };
        assert_eq!(
            plain.statement(),
            "SELECT r.json FROM records r WHERE r.key BETWEEN ?1 AND ?2 ORDER BY r.key DESC LIMIT ?3 OFFSET ?4"
        );
        let full = Shape { facts: 2, span: true, order: Order::Oldest, counts: true };
        assert_eq!(
            full.statement(),
            "SELECT COUNT(*) FROM record_facts f JOIN records r ON r.key = f.key WHERE r.key BETWEEN ?1 AND ?2 \
             AND r.moment >= ?3 AND r.moment < ?4 AND f.name = ?5 AND f.value = ?6 AND f.key BETWEEN ?1 AND ?2 \
             AND EXISTS (SELECT 1 FROM record_facts o WHERE o.name = ?7 AND o.value = ?8 AND o.key = r.key)"
        );
    }
}
