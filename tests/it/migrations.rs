//! Databases of every schema version there ever was are brought up to date with all that is in them.

use std::path::Path;

use inkring::clock::Timestamp;
use inkring::features::schema;
use inkring::store;
use rusqlite::Connection;

use crate::repository;

const NEWEST: i64 = 1_766_484_000_000_000;

/// A file as an inkring of that version left it, with one draft and its events.
fn of_version(version: i32, path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.execute_batch(&repository::read(&format!("tests/data/schema-{version}.sql"))).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    connection.pragma_update(None, "application_id", store::APPLICATION_ID).unwrap();
    let rows = format!(
        "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, updated_at) \
         VALUES ('d', 'a', 't', 'x', 'a', 1, 2, 3); \
         INSERT INTO events (draft, seq, type, data, request_id, created_at) \
         VALUES (1, 1, 'collab.draft_created', '{{}}', 'r', 2), (1, 2, 'collab.segment_added', '{{}}', 'r', {NEWEST}); \
         INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
         VALUES (1, 0, 's', 'a', 'x', 2), (1, 1, 't', 'b', 'x', 3), (1, 2, 'u', 'a', 'x', 4)"
    );
    connection.execute_batch(&rows).unwrap();
    let probe = "INSERT INTO probe (id, probed_at) VALUES (1, 7) ON CONFLICT (id) DO NOTHING";
    connection.execute_batch(probe).unwrap();
    if version >= 3 {
        connection.execute("UPDATE probe SET last_change = ?1", [NEWEST]).unwrap();
    }
}

/// Every table and index as it was declared, without comments and spacing.
fn declared(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
    rows.map(|sql| sql.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_database_of_each_version_comes_to_be_one_of_today_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new.db");
    drop(store::open(&new, &schema()).unwrap());
    for version in 1..=schema().version() {
        let path = directory.path().join(format!("{version}.db"));
        of_version(version, &path);
        let looked = store::open_read_only(&path, &schema()).map(drop).map_err(|error| error.to_string());
        assert_eq!(looked.is_ok(), version == schema().version(), "{looked:?}");
        drop(store::open(&path, &schema()).unwrap());
        assert_eq!(declared(&path), declared(&new), "{version}");
        let reader = store::open_read_only(&path, &schema()).unwrap();
        assert_eq!(store::schema_version(&reader), Ok(schema().version()));
        assert_eq!(store::last_change(&reader), Ok(Some(Timestamp(NEWEST))), "{version}");
        let connection = Connection::open(&path).unwrap();
        let kept: (String, i64) = connection
            .query_row("SELECT draft_id, (SELECT probed_at FROM probe) FROM drafts", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kept, ("d".to_owned(), 7), "{version}");
        let sql = "SELECT json_group_object(user_id, wrote_at) FROM draft_authors WHERE draft = 1";
        let authors: String = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        // Whoever writes in it notes it, from the version on that has the table.
        assert_eq!(authors, if version < 5 { r#"{"a":4,"b":3}"# } else { "{}" }, "{version}");
    }
}

#[test]
fn a_new_database_has_no_last_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.db");
    drop(store::open(&path, &schema()).unwrap());
    assert_eq!(store::last_change(&store::open_read_only(&path, &schema()).unwrap()), Ok(None));
}
