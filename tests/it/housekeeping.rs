//! What the housekeeper removes of what nobody needs any more, as those outside see it: keys of retries, and the room that
//! they took up.

use inkring::clock::{Clock, HOUR_MICROS};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::support::{Server, wait_for};

const OFTEN: (&str, &str) = ("HOUSEKEEPING_SECONDS", "1");

fn append(server: &Server, draft_id: &str, content: &str, key: &str) -> Value {
    let path = format!("/v1/collab/drafts/{draft_id}/segments");
    server.post_as("alice", &path, &json!({ "content": content, "idempotency_key": key })).expect(200)
}

/// Puts so many old keys there, or what is missing of them, on a page or more each: so old that they go, and not so old
/// that the time since the last run would not explain it, or an hour would be waited for.
fn age(database: &Connection, keys: i64) {
    let old = "INSERT OR IGNORE INTO idempotency_keys (draft, actor_id, operation, key, created_at) \
               WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 \
               FROM n WHERE value < ?1) SELECT 1, 'alice', 'pass_ring', value || hex(zeroblob(1500)), ?2 FROM n";
    database.execute(old, [keys, Clock::system().now().0 - 51 * HOUR_MICROS / 2]).unwrap();
}

fn contents(draft: &Value) -> Vec<&str> {
    let segments = draft["data"]["segments"].as_array().unwrap();
    segments.iter().map(|segment| segment["content"].as_str().unwrap()).collect()
}

#[test]
fn old_keys_go_young_ones_still_work_and_the_file_gets_smaller() {
    const OLD: i64 = 4000;
    let mut server = Server::with(&[OFTEN]);
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one", "of yesterday");
    append(&server, &draft_id, "two", "of today");
    assert!(server.terminate().success());
    {
        let database = Connection::open(server.database()).unwrap();
        age(&database, OLD);
        let aged = "UPDATE idempotency_keys SET created_at = created_at - ?1 WHERE key = ?2";
        assert_eq!(database.execute(aged, params![25 * HOUR_MICROS, "of yesterday"]).unwrap(), 1);
        assert_eq!(database.execute(aged, params![23 * HOUR_MICROS, "of today"]).unwrap(), 1);
    }
    let large = std::fs::metadata(server.database()).unwrap().len();
    assert!(large > 12 * 1024 * 1024, "{large}");

    server.launch();
    // The young one is no younger than it was: it has an hour left.
    let replayed = append(&server, &draft_id, "two again", "of today");
    assert_eq!(contents(&replayed), ["one", "two"]);
    let line = server.wait_for_log(|line| line["message"] == "idempotency_keys.removed");
    assert_eq!((&line["keys"], &line["jobs"], &line["hours"]), (&json!(OLD + 1), &json!(9), &json!(24)));
    let line = server.wait_for_log(|line| line["message"] == "store.vacuumed");
    let (pages, jobs) = (line["pages"].as_u64().unwrap(), line["jobs"].as_u64().unwrap());
    assert!(pages > 2000 && jobs >= pages / 70, "{line}");
    wait_for(|| (std::fs::metadata(server.database()).unwrap().len() < large / 2).then_some(()));
    assert_eq!(contents(&append(&server, &draft_id, "two again", "of today")), ["one", "two"]);
    let anew = append(&server, &draft_id, "one again", "of yesterday");
    assert_eq!(contents(&anew), ["one", "two", "one again"], "whose key is gone asks for something new");
    server.kill();

    let database = Connection::open(server.database()).unwrap();
    let whole: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    let keys: i64 = database.query_row("SELECT count(*) FROM idempotency_keys", (), |row| row.get(0)).unwrap();
    // Those of today, of yesterday and spent anew.
    assert_eq!((whole.as_str(), keys), ("ok", 2));
    let free: i64 = database.query_row("PRAGMA freelist_count", (), |row| row.get(0)).unwrap();
    assert!((900..1200).contains(&free), "some room is kept for the next rows: {free} pages");
}

#[test]
fn killed_while_it_tidies_up_nothing_is_lost_and_the_next_start_goes_on() {
    let mut server = Server::with(&[OFTEN]);
    let draft_id = server.create_draft("alice");
    append(&server, &draft_id, "one", "of today");
    assert!(server.terminate().success());
    let count = |database: &Connection, sql| database.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    const KEYS: &str = "SELECT count(*) FROM idempotency_keys";
    const PAGES: &str = "PRAGMA page_count";
    let database = Connection::open(server.database()).unwrap();
    for what in [KEYS, PAGES] {
        age(&database, 10_000);
        let of = count(&database, what);
        server.launch();
        // Somewhere on the way, as soon as it has begun; where exactly is a matter of luck.
        wait_for(|| (count(&database, what) < of).then_some(()));
        server.kill();
        let whole: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
    }
    drop(database);
    server.launch();
    assert_eq!(contents(&append(&server, &draft_id, "one again", "of today")), ["one"]);
    let database = Connection::open(server.database()).unwrap();
    wait_for(|| (count(&database, KEYS) == 1 && count(&database, PAGES) < 4000).then_some(()));
    assert!(server.terminate().success());
}

#[test]
fn a_database_that_was_written_anew_without_auto_vacuum_is_served_all_the_same() {
    let mut server = Server::with(&[OFTEN]);
    let draft_id = server.create_draft("alice");
    assert!(server.terminate().success());
    let database = Connection::open(server.database()).unwrap();
    database.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM").unwrap();
    assert_eq!(database.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0)).unwrap(), 0);
    drop(database);
    server.launch();
    assert_eq!(contents(&append(&server, &draft_id, "one", "1")), ["one"]);
    let line = server.wait_for_log(|line| line["auto_vacuum"] == 0);
    assert_eq!(line["level"], "INFO");
    assert!(server.terminate().success());
    assert_eq!(server.log().matches("without auto_vacuum=INCREMENTAL").count(), 1);
}
