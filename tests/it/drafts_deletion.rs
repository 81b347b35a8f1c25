//! Nothing is for ever: texts are taken out and drafts deleted, and no byte of them stays.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::socket::Socket;
use crate::support::{Answer, Server, inkring, wait_for};

fn request(server: &Server, method: &str, user: &str, path: &str, body: &Value) -> Answer {
    let headers = [("X-User-Id", user), ("Content-Type", "application/json")];
    server.connect().request(method, path, &headers, body.to_string().as_bytes())
}

/// A draft by alice with bob, and these texts by alice: its path and the ids of its segments.
fn draft(server: &Server, texts: &[String]) -> (String, Vec<String>) {
    let path = format!("/v1/collab/drafts/{}", server.create_draft("alice"));
    server.post_as("alice", &format!("{path}/collaborators?collaborator_id=bob"), &json!({})).expect(200);
    let mut client = server.connect();
    for (number, text) in texts.iter().enumerate() {
        let body = json!({ "content": text, "idempotency_key": number.to_string() });
        client.post(&format!("{path}/segments"), Some("alice"), &body).expect(200);
    }
    let shown = client.get(&path, None).expect(200);
    let ids = shown["data"]["segments"].as_array().unwrap().iter();
    (path, ids.map(|segment| segment["segment_id"].as_str().unwrap().to_owned()).collect())
}

/// Texts that are found nowhere else, of all lengths.
fn texts(word: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{word}-{number}-{}", "x".repeat(number * 37 % 400))).collect()
}

/// The files below a directory that have these bytes in them.
fn files_with(directory: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_text_is_taken_out_and_its_place_and_author_stay() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let (path, ids) = draft(&server, &texts("secret", 3));
    let before = server.get(&path).expect(200)["data"].take();
    let redact = |user: &str, id: &str, body: Value| {
        request(&server, "POST", user, &format!("{path}/segments/{id}/redact"), &body)
    };
    let chain = server.get(&format!("{path}/chain")).expect(200);
    let mut socket = Socket::watch(&server, path.rsplit('/').next().unwrap(), "bob");
    let answer = redact("alice", &ids[1], json!({ "reason": "a name", "idempotency_key": "r" })).expect(200);
    let (mut expected, shown) = (before["segments"].clone(), &answer["data"]["segments"]);
    expected[1]["content"] = json!("[redacted]");
    assert_eq!(shown, &expected);
    let told = socket.json();
    let data = json!({ "draft_id": before["draft_id"], "segment_id": ids[1], "segment_order": 1 });
    assert_eq!((&told["type"], &told["data"]), (&json!("collab.segment_redacted"), &data));
    for body in [json!({ "reason": "again", "idempotency_key": "r" }), json!({ "reason": "again" })] {
        assert_eq!(redact("alice", &ids[1], body).expect(200)["data"]["segments"], expected);
    }
    socket.assert_quiet();
    assert_eq!(server.get(&format!("{path}/chain")).expect(200), chain, "the hashes stay");
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let rows: Vec<String> =
        ledger.column("SELECT user_id || metadata FROM audit_events WHERE action = 'collab.redact_segment'", []);
    assert_eq!(rows, [format!(r#"alice{{"segment_id":"{}","reason":"a name","by":"user"}}"#, ids[1])]);
}

#[test]
fn a_redaction_has_a_reason_and_a_segment() {
    let server = Server::start();
    let (path, ids) = draft(&server, &texts("open", 1));
    let redact = |user: &str, id: &str, body: Value| {
        request(&server, "POST", user, &format!("{path}/segments/{id}/redact"), &body)
    };
    for wrong in [json!({}), json!({ "reason": "" }), json!({ "reason": "x".repeat(501) })] {
        assert_eq!(redact("alice", &ids[0], wrong).expect_error(422).0, "validation_error");
    }
    assert_eq!(redact("bob", &ids[0], json!({ "reason": "x" })).expect_error(403).0, "forbidden");
    let (code, message) = redact("alice", "none", json!({ "reason": "x" })).expect_error(404);
    assert_eq!((code.as_str(), message.starts_with("Segment none not found in draft ")), ("not_found", true));
    assert!(server.get(&path).expect(200)["data"]["segments"][0]["content"].as_str().unwrap().starts_with("open-0"));
    redact("alice", &ids[0], json!({ "reason": "x".repeat(500) })).expect(200);
}

#[test]
fn a_deleted_draft_is_gone_for_everybody_at_once() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let (path, ids) = draft(&server, &texts("gone", 2));
    let (other, _) = draft(&server, &texts("other", 1));
    let id = path.rsplit('/').next().unwrap();
    let mut sockets = ["alice", "bob", "mallory"].map(|user| Socket::watch(&server, id, user));
    assert_eq!(request(&server, "DELETE", "bob", &path, &Value::Null).expect_error(403).0, "forbidden");
    assert_eq!(server.connect().request("DELETE", &path, &[], b"").status, 401);
    assert_eq!(server.get_as("alice", "/v1/collab/drafts").expect(200)["count"], 2);
    assert_eq!(request(&server, "DELETE", "alice", &path, &Value::Null).status, 204);
    for socket in &mut sockets {
        assert_eq!(socket.json()["type"], "collab.draft_deleted");
        assert_eq!(socket.json()["code"], "gone");
        socket.assert_closed(4410, "The draft was deleted");
    }
    let gone = ("gone".to_owned(), format!("Draft {id} was deleted"));
    let key = json!({ "content": "x", "to_user_id": "bob", "reason": "x", "seconds": 1, "idempotency_key": "0" });
    for (method, what) in [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/chain"),
        ("GET", "?limit=1"),
        ("GET", "/share-card"),
        ("GET", "/watchers"),
        ("DELETE", ""),
        ("POST", "/segments"),
        ("POST", "/pass-ring"),
        ("POST", "/collaborators?collaborator_id=carol"),
        ("DELETE", "/collaborators/me"),
        ("POST", "/transfer"),
        ("POST", "/lock"),
        ("POST", "/unlock"),
        ("PUT", "/lease"),
        ("POST", "/reclaim-ring"),
        ("POST", &format!("/segments/{}/redact", ids[0])),
    ] {
        let answer = request(&server, method, "alice", &format!("{path}{what}"), &key);
        assert_eq!(answer.expect_error(410), gone, "{method} {what}");
    }
    let (_, mut refused) = Socket::open(&server, &format!("/v1/ws/drafts/{id}"), &[("X-User-Id", "alice")]);
    assert_eq!(refused.json()["code"], "gone");
    let list = server.get_as("alice", "/v1/collab/drafts").expect(200);
    assert_eq!((&list["count"], &list["data"][0]["draft_id"]), (&json!(1), &json!(other.rsplit('/').next())));
    let before = server.get_as("alice", &format!("/v1/collab/drafts?before={id}"));
    assert_eq!(before.expect(200)["count"], 0, "who pages past it goes on");
    let rows: Vec<String> = Ledger::open(&server.database())
        .column("SELECT user_id || metadata FROM audit_events WHERE action = 'collab.delete_draft'", []);
    assert_eq!(rows, [r#"alice{"creator_id":"alice","segments":2,"by":"user"}"#]);
}

#[test]
fn no_byte_of_what_was_taken_out_stays_in_the_files_or_in_a_later_backup() {
    let mut server = Server::with(&[("HOUSEKEEPING_SECONDS", "1")]);
    let data = server.database().parent().unwrap().to_owned();
    // Among others that grow beside them, so that their pages are split, shared and left.
    let (redacted, ids) = draft(&server, &texts("withdrawn", 60));
    let (deleted, _) = draft(&server, &texts("forgotten", 60));
    let (kept, _) = draft(&server, &texts("remembered", 60));
    assert!(!files_with(&data, "withdrawn-").is_empty() && !files_with(&data, "forgotten-").is_empty());
    for id in &ids {
        let path = format!("{redacted}/segments/{id}/redact");
        request(&server, "POST", "alice", &path, &json!({ "reason": "x" })).expect(200);
    }
    assert_eq!(files_with(&data, "withdrawn-"), Vec::<String>::new(), "at once");
    assert_eq!(request(&server, "DELETE", "alice", &deleted, &Value::Null).status, 204);
    wait_for(|| files_with(&data, "forgotten-").is_empty().then_some(()));
    let shown = server.get(&kept).expect(200);
    assert_eq!(shown["data"]["segments"].as_array().unwrap().len(), 60);
    assert!(!files_with(&data, "remembered-").is_empty());
    server.wait_for_log(|line| line["message"] == "drafts.purged");
    Ledger::open(&server.database()).audit();
    assert!(server.terminate().success());
    let backup = inkring(server.directory.path()).args(["backup", "--to", "backups"]).output().unwrap();
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let everything = data.parent().unwrap();
    assert!(files_with(everything, "remembered-").len() > 1, "there is a backup");
    for word in ["withdrawn-", "forgotten-"] {
        assert_eq!(files_with(everything, word), Vec::<String>::new());
    }
}

#[test]
fn a_server_that_was_killed_leaves_no_text_behind_either() {
    let mut server = Server::start();
    let data = server.database().parent().unwrap().to_owned();
    let (path, ids) = draft(&server, &texts("unsaid", 20));
    // A reader in the way: the log cannot be emptied.
    let reader = rusqlite::Connection::open(server.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM drafts").unwrap();
    let _: i64 = reader.query_row("SELECT count(*) FROM drafts", [], |row| row.get(0)).unwrap();
    for id in &ids {
        request(&server, "POST", "alice", &format!("{path}/segments/{id}/redact"), &json!({ "reason": "x" }))
            .expect(200);
    }
    assert!(!files_with(&data, "unsaid-").is_empty(), "what a reader still sees is still there");
    server.kill();
    drop(reader);
    server.launch();
    wait_for(|| files_with(&data, "unsaid-").is_empty().then_some(()));
    assert_eq!(server.get(&path).expect(200)["data"]["segments"][0]["content"], "[redacted]");
}
