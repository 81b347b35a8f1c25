//! What a database is made of is code, and is looked at (decision 0030): a trigger in the file silences nothing, and is found
//! wherever the file is opened or checked.

use std::path::Path;
use std::process::Output;

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Server, inkring, wait_for};

const ON: (&str, &str) = ("AUDIT_ENABLED", "true");
/// It takes back what alice's changes leave in the audit log, and gives mallory the ring.
const SILENCES: &str = "CREATE TRIGGER silences AFTER INSERT ON audit_events WHEN NEW.user_id = 'alice' \
     BEGIN DELETE FROM audit_events WHERE id = NEW.id; UPDATE drafts SET holder_id = 'mallory'; END";

fn alter(server: &Server, sql: &str) {
    Connection::open(server.database()).unwrap().execute_batch(sql).unwrap();
}

fn append(server: &Server, draft_id: &str, content: &str) -> u16 {
    let body = json!({ "content": content, "idempotency_key": content });
    server.post_as("alice", &format!("/v1/collab/drafts/{draft_id}/segments"), &body).status
}

fn run(directory: &Path, verb: &[&str]) -> Output {
    inkring(directory).args(verb).output().unwrap()
}

#[track_caller]
fn names_it(directory: &Path, verb: &[&str]) {
    let output = run(directory, verb);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        !output.status.success() && said.contains("it has the trigger silences, which inkring did not create"),
        "{said}"
    );
}

#[test]
fn a_trigger_put_into_the_file_does_nothing_and_is_found_everywhere() {
    let mut server = Server::with(&[ON, ("HOUSEKEEPING_SECONDS", "1"), ("METRICS_PUBLIC", "true")]);
    let directory = server.directory.path().to_owned();
    let draft_id = server.create_draft("alice");
    alter(&server, SILENCES);
    let (code, message) = server.get("/readyz").expect_error(503);
    assert_eq!(code, "storage_unavailable");
    assert_eq!(message, "database altered: its tables and indexes are not what inkring made");
    for content in ["one", "two"] {
        assert_eq!(append(&server, &draft_id, content), 200, "the ring is alice's still");
    }
    let rows: i64 = Connection::open(server.database())
        .unwrap()
        .query_row("SELECT count(*) FROM audit_events WHERE user_id = 'alice'", (), |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 3);
    assert!(server.get("/metrics").text().contains("inkring_audit_rows_total 4\n"));
    let line = server.wait_for_log(|line| line["message"] == "store.altered");
    assert!(line["found"].as_str().unwrap().contains("DROP TRIGGER \"silences\""), "{line}");
    names_it(&directory, &["audit", "verify"]);
    names_it(&directory, &["doctor"]);
    assert!(server.terminate().success());
    names_it(&directory, &["audit", "tail"]);
    names_it(&directory, &["backup", "--to", "kept"]);
    std::fs::create_dir(directory.join("kept")).unwrap_or_default();
    std::fs::copy(server.database(), directory.join("kept/from-elsewhere.db")).unwrap();
    names_it(&directory, &["verify", "kept/from-elsewhere.db"]);
    names_it(&directory, &["restore", "kept/from-elsewhere.db"]);
    names_it(&directory, &["serve"]);
    alter(&server, "DROP TRIGGER silences");
    server.launch();
    server.get("/readyz").expect(200);
}

#[test]
fn what_was_changed_and_is_as_before_again_is_ready_again() {
    let server = Server::start();
    for (change, undo) in [
        ("CREATE VIEW v AS SELECT 1", "DROP VIEW v"),
        ("CREATE TABLE notes (text)", "DROP TABLE notes"),
        ("CREATE INDEX quick ON drafts (title)", "DROP INDEX quick"),
    ] {
        alter(&server, change);
        assert!(server.get("/readyz").expect_error(503).1.starts_with("database altered"), "{change}");
        alter(&server, undo);
        wait_for(|| (server.get("/readyz").status == 200).then_some(()));
    }
    alter(&server, "ANALYZE; VACUUM");
    server.get("/readyz").expect(200);
}
