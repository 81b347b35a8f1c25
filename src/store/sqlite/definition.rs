//! What a database is made of: its tables and indexes, and nothing else.
//!
//! The schema of a file is code that SQLite carries out: a trigger can take back the row that was just written, an index can
//! refuse it, a view can stand where a table was. So it is compared whole with what our own migrations make, wherever a
//! file is opened or checked ([decision 0030](../../../docs/decisions/0030-schema-compared.md)).

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::store::error::Error;
use crate::store::schema::Schema;

/// What SQLite's `ANALYZE` leaves: figures for its planner.
const FIGURES: [&str; 2] = ["sqlite_stat1", "sqlite_stat4"];

/// A row of `sqlite_schema`, its text as [`plain`] as it can be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

/// Everything that a database consists of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Definition(BTreeSet<Object>);

impl Definition {
    /// That of a database that our migrations have brought to this version.
    pub(super) fn wanted(schema: &Schema, version: i32) -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        for step in schema.up_to(version) {
            connection.execute_batch(step)?;
        }
        Self::found(&connection)
    }

    /// That of the database that is open here.
    pub(super) fn found(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
        let objects = statement.query_map((), |row| {
            let sql: String = row.get(3)?;
            Ok(Object { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: plain(&sql) })
        })?;
        let objects = objects.filter(|object| !matches!(object, Ok(object) if FIGURES.contains(&object.name.as_str())));
        Ok(Self(objects.collect::<rusqlite::Result<_>>()?))
    }

    /// How this one differs from what is wanted, with what to do about it.
    pub(super) fn difference(&self, wanted: &Self) -> Option<String> {
        let named = |set: &Self, object: &Object| {
            set.0.iter().any(|other| (&other.kind, &other.name) == (&object.kind, &object.name))
        };
        // What was added comes first: to remove it may be all that is to be done.
        let added = self.0.iter().find(|object| !named(wanted, object));
        if let Some(Object { kind, name, .. }) = added {
            let quoted = name.replace('"', "\"\"");
            return Some(format!(
                "it has the {kind} {name}, which inkring did not create; find out who did, and remove it with DROP \
                 {} \"{quoted}\" while no server is running",
                kind.to_uppercase()
            ));
        }
        let gone = wanted.0.iter().find(|object| !named(self, object));
        let other = || self.0.iter().find(|object| !wanted.0.contains(object));
        let says = |Object { kind, name, .. }: &Object, what| {
            format!("its {kind} {name} is {what}; restore a backup made before that was changed")
        };
        gone.map(|object| says(object, "missing"))
            .or_else(|| other().map(|object| says(object, "not what inkring made")))
    }
}

/// Without the spacing, and without the quotes that SQLite puts around plain names when something is renamed.
fn plain(sql: &str) -> String {
    let is_plain =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = String::with_capacity(words.len());
    for (number, part) in words.split('"').enumerate() {
        let is_quoted = number % 2 == 1;
        match is_quoted && !is_plain(part) {
            true => text.extend(["\"", part, "\""]),
            false => text.push_str(part),
        }
    }
    text
}

/// What an open database is to consist of, and whether it still does.
#[derive(Debug, Default)]
pub(in crate::store) struct KeptDefinition {
    wanted: Definition,
    /// SQLite's number of the definition that was looked at last, and what was wrong with it.
    looked: Mutex<Option<(i64, Option<String>)>>,
}

impl KeptDefinition {
    pub(super) fn of(wanted: Definition) -> Self {
        Self { wanted, looked: Mutex::default() }
    }

    /// What was changed in the database since it was opened, if anything was. Cheap while nothing is.
    pub(in crate::store) fn altered(
        &self,
        connection: &super::connection::Connection,
    ) -> Result<Option<String>, Error> {
        let number: i64 = connection.0.pragma_query_value(None, "schema_version", |row| row.get(0))?;
        let mut looked = self.looked.lock();
        if let Some((_, found)) = looked.as_ref().filter(|(at, _)| *at == number) {
            return Ok(found.clone());
        }
        let found = Definition::found(&connection.0)?.difference(&self.wanted);
        *looked = Some((number, found.clone()));
        Ok(found)
    }
}

/// Has a connection carry out nothing that stands in the file: no triggers, no views, and no functions by its say-so.
pub(super) fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "trusted_schema", "OFF")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::Migration;

    const STEPS: &[Migration] = &[
        Migration { version: 1, sql: "CREATE TABLE a (x TEXT UNIQUE); CREATE INDEX by_x ON a (x);" },
        Migration { version: 2, sql: "CREATE TABLE b (y);" },
    ];

    #[test]
    fn whatever_is_added_missing_or_other_is_named_and_spacing_is_not() {
        let schema = Schema::of(&[STEPS]);
        let wanted = Definition::wanted(&schema, 1).unwrap();
        for (sql, says) in [
            ("CREATE TABLE a (x  TEXT\n UNIQUE); CREATE INDEX by_x ON a (x); ANALYZE", None),
            ("CREATE TABLE \"a\" (x TEXT UNIQUE); CREATE INDEX by_x ON \"a\" (x)", None),
            (
                "CREATE TABLE a (x TEXT UNIQUE, \"y \"); CREATE INDEX by_x ON a (x)",
                Some("its table a is not what inkring"),
            ),
            ("CREATE TABLE a (x TEXT UNIQUE)", Some("its index by_x is missing; restore")),
            (
                "CREATE TABLE a (x TEXT UNIQUE); CREATE INDEX by_x ON a (x, x)",
                Some("its index by_x is not what inkring"),
            ),
            (
                "CREATE TABLE a (x TEXT UNIQUE); CREATE INDEX by_x ON a (x); \
                 CREATE TRIGGER \"t\"\"t\" AFTER INSERT ON a BEGIN DELETE FROM a; END",
                Some(
                    "it has the trigger t\"t, which inkring did not create; find out who did, and remove it with DROP TRIGGER \"t\"\"t\"",
                ),
            ),
            (
                "CREATE TABLE a (x TEXT UNIQUE); CREATE INDEX by_x ON a (x); CREATE VIEW v AS SELECT 1",
                Some("it has the view v"),
            ),
            (
                "CREATE TABLE a (x TEXT UNIQUE); CREATE INDEX by_x ON a (x); CREATE TABLE b (y)",
                Some("it has the table b"),
            ),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            let found = Definition::found(&connection).unwrap().difference(&wanted);
            match says {
                None => assert_eq!(found, None, "{sql}"),
                Some(says) => assert!(found.as_ref().unwrap().starts_with(says), "{found:?}"),
            }
        }
    }

    #[test]
    fn a_connection_that_distrusts_its_file_carries_out_no_trigger_and_looks_into_no_view() {
        let connection = Connection::open_in_memory().unwrap();
        distrust(&connection).unwrap();
        let sql = "CREATE TABLE a (x); CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; END; \
                   CREATE VIEW v AS SELECT x FROM a; INSERT INTO a VALUES (1)";
        connection.execute_batch(sql).unwrap();
        let number = |sql| connection.query_row(sql, (), |row| row.get::<_, i64>(0));
        assert_eq!(number("SELECT count(*) FROM a"), Ok(1));
        assert!(number("SELECT count(*) FROM v").is_err());
    }
}
