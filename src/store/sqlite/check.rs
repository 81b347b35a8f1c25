//! Looking through a whole database: is it sound, and how much is in it.

use std::collections::BTreeMap;

use super::identity::table_names;
use crate::store::error::Error;
use crate::store::reader::{Query as _, Reader};

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every page, but not whether indexes agree with their tables.
    Pages,
    /// That, too.
    Indexes,
}

/// What is wrong with a database, a sentence each, at most `most` of them; a sound one has nothing.
///
/// # Errors
/// When it cannot be read at all.
pub fn faults(reader: &Reader, depth: Depth, most: usize) -> Result<Vec<String>, Error> {
    let pragma = match depth {
        Depth::Pages => "quick_check",
        Depth::Indexes => "integrity_check",
    };
    let mut statement = reader.connection().0.prepare(&format!("PRAGMA {pragma}({most})"))?;
    let found: Vec<String> = statement.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// How many rows each table has.
///
/// # Errors
/// When one cannot be read.
pub fn row_counts(reader: &Reader) -> Result<BTreeMap<String, u64>, Error> {
    let connection = &reader.connection().0;
    let mut rows = BTreeMap::new();
    for table in table_names(connection)? {
        // Names come from the schema of the file, which may be anybody's.
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count: i64 = connection.query_row(&sql, (), |row| row.get(0))?;
        rows.insert(table, u64::try_from(count).unwrap_or_default());
    }
    Ok(rows)
}
