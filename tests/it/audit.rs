//! The audit log at the wire, in the file and through its verbs: one row per change, in its transaction, in a chain.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use inkring::audit::chain::{self, Content};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::repository;
use crate::support::ledger::Ledger;
use crate::support::random::Random;
use crate::support::{Server, besides_settings, inkring, wait_for};

const ON: (&str, &str) = ("AUDIT_ENABLED", "true");
const ALL: &str = "SELECT json_array(id, request_id, user_id, action, draft_id, json(metadata), ip, user_agent) \
                   FROM audit_events WHERE action NOT LIKE 'audit.%' ORDER BY id";

/// Every row but those of the server's own: id, request id, user, action, draft, metadata, ip, user agent.
fn rows(server: &Server) -> Vec<Value> {
    let rows: Vec<String> = Ledger::open(&server.database()).column(ALL, []);
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

fn actions(server: &Server) -> Vec<String> {
    Ledger::open(&server.database()).column("SELECT action FROM audit_events ORDER BY id", [])
}

/// Does to the database what nobody should.
fn vandalise(server: &Server, sql: &str) {
    let connection = Connection::open(server.database()).unwrap();
    connection.busy_timeout(crate::support::PATIENCE).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// Exit code, standard output and standard error of a verb.
fn verb(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let output = inkring(server.directory.path()).arg("audit").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), besides_settings(output.stderr))
}

/// Verifies a whole log and returns its number of rows and its head.
#[track_caller]
fn verified(server: &Server) -> (u64, String) {
    let (code, out, err) = verb(server, &["verify"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let value = |name: &str| out.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim().to_owned();
    (value("rows ").parse().unwrap(), value("head "))
}

fn path(draft_id: &str, what: &str) -> String {
    format!("/v1/collab/drafts/{draft_id}/{what}")
}

fn segment(content: &str, key: &str) -> Value {
    json!({ "content": content, "idempotency_key": key })
}

fn pass(to: &str, key: &str) -> Value {
    json!({ "to_user_id": to, "idempotency_key": key })
}

#[test]
fn every_change_is_one_row_with_who_what_and_from_where() {
    let server = Server::with(&[ON, ("TRUSTED_PROXIES", "127.0.0.1")]);
    let mut client = server.connect();
    let long_agent = "é".repeat(501);
    let mut change = |id: &str, path: &str, body: Value, more: &[(&str, &str)]| {
        let mut headers = vec![("Content-Type", "application/json"), ("X-User-Id", "alice"), ("X-Request-Id", id)];
        headers.extend(more);
        client.request("POST", path, &headers, body.to_string().as_bytes()).expect(200)
    };
    let long_title = "ü".repeat(200);
    let platform = "p".repeat(501);
    let new = json!({ "title": long_title, "platform": platform, "initial_segment": "first" });
    let from = [("X-Forwarded-For", "6.6.6.6, 2001:db8::7"), ("User-Agent", "curl/8.0 \"x\"")];
    let draft = change("r-1", "/v1/collab/drafts", new, &from)["data"]["draft_id"].as_str().unwrap().to_owned();
    let bob = path(&draft, "collaborators?collaborator_id=bob&role=poet");
    change("r-2", &bob, json!({}), &[("User-Agent", &long_agent)]);
    let written = change("r-3", &path(&draft, "segments"), segment("två ord", "key-1"), &[]);
    change("r-4", &path(&draft, "pass-ring"), pass("bob", "=key"), &[("X-Forwarded-For", "::ffff:192.0.2.4")]);

    let segment_id = &written["data"]["segments"][1]["segment_id"];
    let platform = format!("{}...<truncated>", "p".repeat(500));
    let agent = format!("{}...<truncated>", "é".repeat(500));
    let expected = [
        json!([2, "r-1", "alice", "collab.create_draft", draft, { "title": long_title, "platform": platform },
               "2001:db8::7", "curl/8.0 \"x\""]),
        json!([3, "r-2", "alice", "collab.add_collaborator", draft, { "collaborator_id": "bob", "role": "poet" },
               "127.0.0.1", agent]),
        json!([4, "r-3", "alice", "collab.append_segment", draft,
               { "segment_id": segment_id, "content_len": 7, "idempotency_key": "key-1" }, "127.0.0.1", null]),
        json!([5, "r-4", "alice", "collab.pass_ring", draft,
               { "from_user_id": "alice", "to_user_id": "bob", "idempotency_key": "=key" }, "192.0.2.4", null]),
    ];
    assert_eq!(rows(&server), expected);
    let ledger = Ledger::open(&server.database());
    let times = "SELECT a.ts - e.created_at FROM audit_events AS a JOIN events AS e ON e.request_id = a.request_id";
    assert_eq!(ledger.column::<i64>(times, []), [0; 4], "at the time of the change, to the microsecond");
    assert_eq!(verified(&server).0, 5);
}

#[test]
fn refusals_repetitions_and_reading_leave_no_row() {
    let server = Server::with(&[ON, ("MAX_COLLABORATORS_PER_DRAFT", "1")]);
    let draft = server.create_draft("alice");
    let post = |user: &str, what: &str, body: Value| server.post_as(user, &path(&draft, what), &body).status;
    assert_eq!(post("alice", "collaborators?collaborator_id=bob", json!({})), 200);
    assert_eq!(post("alice", "segments", segment("one", "k")), 200);
    assert_eq!(post("alice", "pass-ring", pass("bob", "k")), 200);
    let before = rows(&server);
    assert_eq!(before.len(), 4);
    for (user, what, body, status) in [
        ("alice", "segments", segment("other", "k"), 200),
        ("alice", "pass-ring", pass("alice", "k"), 200),
        ("alice", "collaborators?collaborator_id=bob&role=x", json!({}), 200),
        ("alice", "collaborators?collaborator_id=alice", json!({}), 200),
        ("alice", "segments", segment("two", "k2"), 403),
        ("mallory", "segments", segment("two", "k2"), 403),
        ("alice", "pass-ring", pass("alice", "k2"), 403),
        ("bob", "pass-ring", pass("mallory", "k2"), 403),
        ("bob", "collaborators?collaborator_id=carol", json!({}), 403),
        ("alice", "collaborators?collaborator_id=carol", json!({}), 429),
        ("bob", "segments", segment("", "k3"), 422),
        ("", "segments", segment("two", "k3"), 401),
    ] {
        assert_eq!(post(user, what, body.clone()), status, "{user} {what} {body}");
    }
    server.post_as("alice", &path("nowhere", "segments"), &segment("x", "k")).expect_error(404);
    server.post_as("alice", "/v1/collab/drafts", &json!({ "title": "", "platform": "x" })).expect_error(422);
    server.get_as("alice", "/v1/collab/drafts").expect(200);
    server.get(&format!("/v1/collab/drafts/{draft}")).expect(200);
    server.get("/readyz").expect(200);
    assert_eq!(rows(&server), before);
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for_and_only_the_part_that_is() {
    for settings in [&[][..], &[ON, ("AUDIT_SAMPLE_RATE", "0")], &[ON, ("AUDIT_SAMPLE_RATE", "-1")]] {
        let server = Server::with(settings);
        server.create_draft("alice");
        assert_eq!(rows(&server), [Value::Null; 0], "{settings:?}");
        let (code, out, _) = verb(&server, &["verify"]);
        assert!(code == 0 && out.starts_with("the chain is intact\n  rows   0\n"), "{out}");
    }
    let server = Server::with(&[ON, ("AUDIT_SAMPLE_RATE", "0.5")]);
    let mut client = server.connect();
    let new = json!({ "title": "t", "platform": "x" });
    (0..200).for_each(|_| drop(client.post("/v1/collab/drafts", Some("alice"), &new).expect(200)));
    // Eight standard deviations to either side.
    let recorded = verified(&server).0;
    assert!((43..=157).contains(&recorded), "{recorded} of 200");
    let rate = ("AUDIT_SAMPLE_RATE", "often");
    let server = Server::with(&[ON, rate]);
    server.create_draft("alice");
    assert_eq!(rows(&server).len(), 1, "a bad rate is all of them");
    server.wait_for_log(|line| {
        line["message"].as_str().unwrap().starts_with("AUDIT_SAMPLE_RATE=often is not a fraction")
    });
}

#[test]
fn readiness_knows_whether_the_log_is_kept() {
    let server = Server::with(&[ON]);
    let checks = server.get("/readyz?verbose=1").expect(200)["checks"].clone();
    assert_eq!(checks[4], json!({ "name": "audit", "ok": true }));
    vandalise(&server, "DROP TABLE audit_events");
    let (code, message) = server.get("/readyz").expect_error(503);
    assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", "missing tables: audit_events"));
}

const REFUSES: &str = "CREATE UNIQUE INDEX refuses ON audit_events (user_id)";

#[test]
fn a_row_that_cannot_be_written_takes_its_change_with_it_and_a_repetition_makes_both() {
    let server = Server::with(&[ON, ("HOUSEKEEPING_SECONDS", "86400")]);
    let draft = server.create_draft("alice");
    vandalise(&server, REFUSES);
    let append = || server.post_as("alice", &path(&draft, "segments"), &segment("words", "key 1"));
    for _ in 0..2 {
        let answer = append();
        let (code, message) = answer.expect_error(503);
        let says = "The change could not be stored; nothing was changed";
        assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", says));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    server.post_as("mallory", &path(&draft, "segments"), &segment("x", "k")).expect_error(403);
    assert!(server.get("/readyz").expect_error(503).1.starts_with("database altered"));
    let line = server.wait_for_log(|line| {
        line["message"].as_str().is_some_and(|message| message.starts_with("Audit event write failed: "))
    });
    let says = "Audit event write failed: UNIQUE constraint failed: audit_events.user_id";
    assert_eq!((&line["level"], &line["message"]), (&json!("WARN"), &json!(says)));
    assert_eq!(rows(&server).len(), 1);
    vandalise(&server, "DROP INDEX refuses");
    let segments = append().expect(200)["data"]["segments"].as_array().unwrap().len();
    assert_eq!(segments, 1, "nothing was made before");
    let keys: Vec<String> = Ledger::open(&server.database())
        .column("SELECT metadata ->> 'idempotency_key' FROM audit_events WHERE id > 2 ORDER BY id", []);
    assert_eq!(keys, ["key 1"]);
    agree(&server);
    assert_eq!(verified(&server).0, 3);
}

#[test]
fn a_damaged_page_of_the_log_refuses_changes_and_nothing_else() {
    const PAGE: i64 = 4096;
    let mut server = Server::with(&[ON]);
    let draft = server.create_draft("alice");
    assert!(server.terminate().success());
    let root: i64 = Connection::open(server.database())
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_events'", (), |row| row.get(0))
        .unwrap();
    let file = std::fs::File::options().write(true).open(server.database()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff], ((root - 1) * PAGE) as u64).unwrap();
    drop(file);
    server.launch();
    for key in ["first", "first", "second"] {
        let answer = server.post_as("alice", &path(&draft, "segments"), &segment("words", key));
        assert_eq!(answer.expect_error(503).0, "storage_unavailable");
    }
    server.get("/readyz").expect(200);
    server.get(&format!("/v1/collab/drafts/{draft}")).expect(200);
    assert_eq!((server.log().matches("draft.damaged").count(), server.log().matches("store.readonly").count()), (0, 0));
    let (code, _, err) = verb(&server, &["verify"]);
    assert_eq!((code, err.contains("malformed")), (1, true), "{err}");
}

#[test]
fn no_log_line_ever_holds_what_a_row_does() {
    let server = Server::with(&[ON, ("LOG_LEVEL", "trace")]);
    let agent = [("Content-Type", "application/json"), ("X-User-Id", "alice"), ("User-Agent", "agent-of-secrets")];
    let post = |path: &str, body: Value, status: u16| {
        server.connect().request("POST", path, &agent, body.to_string().as_bytes()).expect(status)
    };
    let draft = json!({ "title": "secret-title", "platform": "secret-platform" });
    let draft = post("/v1/collab/drafts", draft, 200)["data"]["draft_id"].as_str().unwrap().to_owned();
    // The second of a kind is refused.
    let refuses = "CREATE UNIQUE INDEX refuses ON audit_events (action)";
    for (sql, status) in [("", 200), (refuses, 503), ("DROP INDEX refuses", 200)] {
        vandalise(&server, sql);
        post(&path(&draft, "segments"), segment("secret-words", &format!("secret-key {status} {sql}")), status);
    }
    assert_eq!(rows(&server).len(), 3);
    server.get("/healthz").expect(200);
    server.wait_for_log(|line| line["path"] == "/healthz");
    for secret in ["secret-", "agent-of-secrets"] {
        assert!(!server.log().contains(secret), "{secret}");
    }
}

/// Every change has its row and every row its change: the same request, the same moment, the same kind.
#[track_caller]
fn agree(server: &Server) {
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let events = "SELECT e.request_id || ' ' || e.created_at || ' ' || d.draft_id || ' ' || CASE e.type
                      WHEN 'collab.draft_created' THEN 'collab.create_draft'
                      WHEN 'collab.segment_added' THEN 'collab.append_segment'
                      WHEN 'collab.ring_passed' THEN 'collab.pass_ring'
                      ELSE 'collab.add_collaborator' END
                  FROM events AS e JOIN drafts AS d ON d.id = e.draft ORDER BY e.id";
    let audited = "SELECT request_id || ' ' || ts || ' ' || draft_id || ' ' || action FROM audit_events \
                   WHERE action NOT LIKE 'audit.%' ORDER BY id";
    assert_eq!(ledger.column::<String>(events, []), ledger.column::<String>(audited, []));
}

#[test]
fn killed_at_any_instant_changes_and_rows_agree() {
    const WRITERS: usize = 8;
    let mut random = Random::seeded();
    let mut server = Server::with(&[ON]);
    for round in 0..5 {
        let (answered, answers) = channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (mut client, answered) = (server.connect(), answered.clone());
                let draft = server.create_draft(&format!("writer-{writer}"));
                thread::spawn(move || {
                    let user = format!("writer-{writer}");
                    for number in 0.. {
                        let body = segment("words", &format!("{round}-{number}")).to_string();
                        let head = format!(
                            "POST {} HTTP/1.1\r\nHost: t\r\nX-User-Id: {user}\r\nContent-Type: application/json\r\n\
                             Content-Length: {}\r\n\r\n",
                            path(&draft, "segments"),
                            body.len()
                        );
                        let sent = std::io::Write::write_all(&mut client.stream, (head + &body).as_bytes());
                        if sent.is_err() || client.try_answer(false).is_none() {
                            return;
                        }
                        let _ = answered.send(());
                    }
                })
            })
            .collect();
        answers.iter().take(20 + random.below(200)).for_each(drop);
        server.kill();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        agree(&server);
        let (before, _) = verified(&server);
        server.launch();
        assert_eq!(verified(&server).0, before, "nothing to recover");
    }
    assert!(server.terminate().success());
    agree(&server);
}

/// A server that was stopped after so many changes.
fn stopped(changes: usize) -> Server {
    let mut server = Server::with(&[ON]);
    let mut client = server.connect();
    for number in 0..changes {
        let new = json!({ "title": format!("Draft {number}"), "platform": "x" });
        client.post("/v1/collab/drafts", Some("alice"), &new).expect(200);
    }
    assert!(server.terminate().success());
    server
}

#[test]
fn whatever_is_done_to_the_file_is_found_and_named() {
    for (tampering, rows, says) in [
        (
            "UPDATE audit_events SET user_id = 'mallory' WHERE id = 5",
            4,
            "row 5 was altered: its content does not match its hash",
        ),
        ("UPDATE audit_events SET metadata = NULL WHERE id = 9", 8, "row 9 was altered"),
        ("DELETE FROM audit_events WHERE id = 1", 0, "row 1 is missing: row 2 is the next one"),
        ("DELETE FROM audit_events WHERE id BETWEEN 4 AND 6", 3, "rows 4 to 6 are missing: row 7 is the next one"),
        (
            "UPDATE audit_events SET id = 99 WHERE id = 2; UPDATE audit_events SET id = 2 WHERE id = 3;
             UPDATE audit_events SET id = 3 WHERE id = 99",
            1,
            "row 2 is out of order: it was written right after what is now row 3",
        ),
        ("INSERT INTO audit_anchor VALUES (1, 3, zeroblob(32))", 0, "row 1 comes before the anchor"),
    ] {
        let mut server = stopped(9);
        assert_eq!(verified(&server).0, 10);
        vandalise(&server, tampering);
        for runs in [false, true] {
            if runs {
                server.launch();
            }
            let (code, out, err) = verb(&server, &["verify", "--file", "data/inkring.db"]);
            assert_eq!(code, 3, "{tampering}: {out}");
            assert!(err.starts_with("inkring: the audit log is not intact:\n") && err.contains(says), "{err}");
            assert!(out.starts_with("THE CHAIN IS BROKEN\n") && out.contains(&format!("  rows   {rows}\n")), "{out}");
        }
    }
}

#[test]
fn a_chain_rewritten_or_cut_off_is_known_by_an_earlier_head() {
    let server = stopped(5);
    let (_, noted) = verified(&server);
    let holds = |head: &str| verb(&server, &["verify", "--head", head]).0 == 0;
    assert!(holds(&noted) && holds(&noted.to_uppercase()) && !holds(&"ab".repeat(32)));
    assert_eq!(verb(&server, &["verify", "--head", "abc"]).0, 2);
    let database = Connection::open(server.database()).unwrap();
    database.execute("UPDATE audit_events SET user_id = 'mallory' WHERE id = 3", ()).unwrap();
    rewrite(&database);
    assert_eq!(verified(&server).0, 6, "whoever can write to the file can make a chain that holds");
    let (code, _, err) = verb(&server, &["verify", "--head", &noted]);
    assert_eq!((code, err.contains(&format!("no row has the hash {noted}"))), (3, true), "{err}");
    let (_, noted) = verified(&server);
    database.execute("DELETE FROM audit_events WHERE id = 6", ()).unwrap();
    assert_eq!(verified(&server).0, 5);
    assert!(!holds(&noted));
}

/// Gives every row the hash that belongs to what it says, as a forger would.
fn rewrite(database: &Connection) {
    let mut before = vec![0; 32];
    let ids: Vec<i64> = {
        let mut statement = database.prepare("SELECT id FROM audit_events ORDER BY id").unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for id in ids {
        let sql = "SELECT ts, request_id, user_id, action, draft_id, metadata, ip, user_agent FROM audit_events \
                   WHERE id = ?1";
        let (ts, texts): (i64, Vec<Option<String>>) = database
            .query_row(sql, [id], |row| Ok((row.get(0)?, (1..8).map(|at| row.get(at).unwrap()).collect())))
            .unwrap();
        let mut fields = [None; 7];
        for (field, text) in fields.iter_mut().zip(&texts) {
            *field = text.as_deref().map(str::as_bytes);
        }
        let hash = chain::hash(id, &Content { ts, texts: fields }, &before);
        let update = "UPDATE audit_events SET prev_hash = ?2, hash = ?3 WHERE id = ?1";
        database.execute(update, params![id, before, hash]).unwrap();
        before = hash.to_vec();
    }
}

#[test]
fn old_rows_are_removed_and_what_is_left_still_holds() {
    let mut server = Server::with(&[ON, ("AUDIT_RETENTION_DAYS", "30"), ("HOUSEKEEPING_SECONDS", "1")]);
    (0..8).for_each(|_| drop(server.create_draft("alice")));
    assert!(server.terminate().success());
    let database = Connection::open(server.database()).unwrap();
    // So little beyond it that the time since the last run explains it; more would wait for an hour.
    let month = "UPDATE audit_events SET ts = ts - 30 * 86400000000 - 1800000000 WHERE id <= 6";
    database.execute(month, ()).unwrap();
    rewrite(&database);
    drop(database);
    server.launch();
    wait_for(|| (rows(&server).len() == 3).then_some(()));
    server.create_draft("bob");
    let (count, head) = verified(&server);
    assert_eq!((count, rows(&server)[0][0].as_i64(), rows(&server)[3][0].as_i64()), (4, Some(7), Some(10)));
    assert!(verb(&server, &["verify"]).1.contains("begins after row 6; older rows were removed"));
    let noted = server.wait_for_log(|line| line["message"] == "audit.head" && line["id"] == 10);
    assert_eq!(noted["hash"], head.as_str(), "the server's log keeps the head as well");
    vandalise(&server, "DELETE FROM audit_anchor");
    assert!(verb(&server, &["verify"]).2.contains("rows 1 to 6 are missing"));
}

#[test]
fn rows_are_exported_as_json_lines_and_as_a_table() {
    let server = Server::with(&[ON]);
    let draft = server.create_draft("=alice,\"a\"");
    server.post_as("=alice,\"a\"", &path(&draft, "segments"), &segment("words", "k")).expect(200);
    let (code, jsonl, err) = verb(&server, &["export"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let names: Vec<_> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.join(","), "id,ts,request_id,user_id,action,draft_id,metadata,ip,user_agent,prev_hash,hash");
    assert_eq!((&lines[2]["metadata"]["content_len"], &lines[2]["prev_hash"]), (&json!(5), &lines[1]["hash"]));
    assert_eq!(lines[2]["hash"], verified(&server).1.as_str());

    let (_, csv, _) = verb(&server, &["export", "--format", "csv", "--since", "1h"]);
    let mut records = csv.split("\r\n");
    assert_eq!(records.next(), Some(names.join(",").as_str()));
    let first = records.nth(1).unwrap();
    assert!(first.contains(",\"'=alice,\"\"a\"\"\",\"collab.create_draft\","), "no formula: {first}");
    assert_eq!((records.clone().count(), records.last()), (2, Some("")));

    for since in ["2999-01-01", "2999-01-01T00:00:00+02:00", "0s"] {
        assert_eq!(verb(&server, &["export", "--since", since]), (0, String::new(), String::new()), "{since}");
    }
    for since in ["2000-01-01", "7d", "2000-01-01T00:00:00Z"] {
        assert_eq!(verb(&server, &["export", "--since", since]).1, jsonl, "{since}");
    }
    let (code, out, err) = verb(&server, &["export", "--since", "yesterday"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("--since: use a date such as 2026-01-31"), "{err}");
    assert_eq!(verb(&server, &["export", "--format", "xml"]).0, 2);
}

#[test]
fn whoever_has_seen_enough_may_leave() {
    let server = stopped(1);
    let database = Connection::open(server.database()).unwrap();
    // More than a pipe holds.
    let many = "WITH RECURSIVE numbers (n) AS (VALUES (3) UNION ALL SELECT n + 1 FROM numbers LIMIT 5000)
                INSERT INTO audit_events (id, ts, request_id, action, prev_hash, hash)
                SELECT n, n, 'request', 'test', zeroblob(32), zeroblob(32) FROM numbers";
    database.execute(many, ()).unwrap();
    let mut command = inkring(server.directory.path());
    let mut child = command.args(["audit", "export"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"id\":1,"));
    let mut complaint = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), besides_settings(complaint).as_str()), (Some(0), ""));
    let (_, all, _) = verb(&server, &["export"]);
    assert_eq!(all.lines().count(), 5002, "slices join without a gap");
}

#[test]
fn the_newest_rows_are_shown_and_followed() {
    let server = Server::with(&[ON]);
    (0..12).for_each(|number| drop(server.create_draft(&format!("user-{number}"))));
    let (code, out, _) = verb(&server, &["tail"]);
    assert_eq!((code, out.lines().count()), (0, 10));
    let (_, out, _) = verb(&server, &["tail", "-n", "2"]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("12 20") && lines[1].contains(" user-11 collab.create_draft draft="), "{out}");
    assert_eq!(verb(&server, &["tail", "-n", "0"]).1, "");

    struct Following(std::process::Child);
    impl Drop for Following {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let mut command: Command = inkring(server.directory.path());
    let child = command.args(["audit", "tail", "-n1", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut following = Following(child);
    let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("13 "));
    for number in 14..17 {
        server.create_draft("late");
        assert!(lines.next().unwrap().starts_with(&format!("{number} ")));
    }
}

#[test]
fn a_verb_says_what_is_wrong_with_a_file() {
    let server = Server::start();
    let other = server.directory.path().join("other.db");
    let old = crate::repository::read("tests/data/schema-1.sql");
    let old = format!("PRAGMA application_id = 0x696e6b72; PRAGMA user_version = 1; {old}");
    let altered = format!("{old}; CREATE TABLE notes (text)");
    for (sql, says) in [
        (None, "there is no database at other.db; give another --file, or set DATABASE_URL"),
        (Some("CREATE TABLE notes (text)"), "is not an inkring database"),
        (Some(old.as_str()), "has schema version 1, and this inkring reads version 5; make a backup"),
        (Some(altered.as_str()), "it has the table notes, which inkring did not create"),
        (Some("PRAGMA application_id = 0x696e6b72; PRAGMA user_version = 99"), "run the newer inkring"),
    ] {
        let _ = std::fs::remove_file(&other);
        if let Some(sql) = sql {
            Connection::open(&other).unwrap().execute_batch(sql).unwrap();
        }
        for verbs in [&["verify"][..], &["export"], &["tail"]] {
            let (code, out, err) = verb(&server, &[verbs, &["--file", "other.db"]].concat());
            assert_eq!((code, out.as_str()), (1, ""), "{err}");
            assert!(err.contains(says), "{err}");
        }
        assert_eq!(other.exists(), sql.is_some(), "nothing is made");
    }
}

#[test]
fn a_database_of_the_first_version_is_taken_over_with_all_that_is_in_it() {
    let mut server = Server::with(&[ON]);
    assert!(server.terminate().success());
    for name in ["inkring.db", "inkring.db-wal", "inkring.db-shm"] {
        let _ = std::fs::remove_file(server.directory.path().join("data").join(name));
    }
    let old = Connection::open(server.database()).unwrap();
    old.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").unwrap();
    old.execute_batch(&repository::read("tests/data/schema-1.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x696e6b72; PRAGMA user_version = 1;
         INSERT INTO drafts VALUES (1, 'old', 'alice', 'Written before', 'x', 'active', 'alice', 1, 0, 0, 1, 10, 10, 10);
         INSERT INTO draft_collaborators VALUES (1, 1, 'alice', 'owner', 10);
         INSERT INTO draft_segments VALUES (1, 1, 0, 's', 'alice', 'long ago', 10);
         INSERT INTO events VALUES (1, 1, 1, 'collab.draft_created', '{}', 'r', 10)",
    )
    .unwrap();
    drop(old);
    server.launch();
    let line = server.wait_for_log(|line| line["message"] == "store.migrated");
    assert_eq!((&line["from"], &line["to"]), (&json!(1), &json!(5)));
    assert_eq!(server.get("/v1/collab/drafts/old").expect(200)["data"]["segments"][0]["content"], "long ago");
    server.post_as("alice", &path("old", "segments"), &segment("today", "k")).expect(200);
    assert_eq!(
        (actions(&server), verified(&server).0),
        (vec!["audit.started".to_owned(), "collab.append_segment".to_owned()], 2)
    );
    assert!(server.terminate().success());
    server.launch();
    assert_eq!(server.log().matches("store.migrated").count(), 1);
}

/// What each row of the server's own says.
fn marks(server: &Server) -> Vec<Value> {
    let sql = "SELECT json_array(id, action, json(metadata), request_id, user_id, ip) FROM audit_events \
               WHERE action LIKE 'audit.%' ORDER BY id";
    let rows: Vec<String> = Ledger::open(&server.database()).column(sql, []);
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

#[test]
fn a_time_in_which_nothing_was_recorded_has_both_its_ends_in_the_chain() {
    let mut server = Server::with(&[ON]);
    let run = |server: &mut Server, audit: bool, rate: &str| {
        assert!(server.terminate().success());
        server.before = Some(format!("export AUDIT_ENABLED={audit} AUDIT_SAMPLE_RATE={rate}"));
        server.launch();
        server.create_draft("alice");
        marks(server)
    };
    let started = json!([1, "audit.started", { "sample_rate": 1.0 }, null, null, null]);
    assert_eq!(run(&mut server, true, "1"), std::slice::from_ref(&started), "a restart is nothing new");
    let stopped = json!([3, "audit.stopped", null, null, null, null]);
    assert_eq!(run(&mut server, false, "1"), [started.clone(), stopped.clone()]);
    assert_eq!(run(&mut server, true, "0"), [started.clone(), stopped.clone()], "which is the same");
    let again = run(&mut server, true, "1");
    assert_eq!(again[..2], [started, stopped]);
    let third = (&again[2][0], &again[2][1], &again[2][2]["sample_rate"]);
    assert_eq!(third, (&json!(4), &json!("audit.started"), &json!(1.0)));
    let off_since = again[2][2]["off_since"].as_str().unwrap().to_owned();
    assert_eq!(run(&mut server, true, "0.5")[3][2], json!({ "sample_rate": 0.5 }));
    assert_eq!(run(&mut server, false, "0.5").len(), 5);

    let (code, out, _) = verb(&server, &["verify"]);
    let gaps: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("  gap    ")).collect();
    assert_eq!((code, gaps.len()), (0, 3), "{out}");
    assert!(gaps[0].starts_with(&format!("nothing recorded from row 3 of {off_since} to row 4 of 20")), "{out}");
    assert!(gaps[1].starts_with("only 0.5 of the changes recorded from row 6 of 20"), "{out}");
    assert!(gaps[2].starts_with("nothing recorded since row "), "{out}");
    let (_, tail, _) = verb(&server, &["tail", "-n", "1"]);
    assert!(tail.contains(" - audit.stopped subject=- ip=- request=- -"), "{tail}");
    let (_, export, _) = verb(&server, &["export"]);
    assert!(
        export.contains(&format!("\"metadata\":{{\"sample_rate\":1.0,\"off_since\":\"{off_since}\"}}")),
        "{export}"
    );
    let line = server.wait_for_log(|line| line["message"] == "audit.stopped");
    assert_eq!(line["level"], "WARN");
}

#[test]
fn a_start_that_cannot_write_the_mark_serves_and_writes_it_later() {
    let mut server = Server::with(&[ON, ("HOUSEKEEPING_SECONDS", "1")]);
    server.create_draft("alice");
    assert!(server.terminate().success());
    server.before = Some("export AUDIT_ENABLED=false".to_owned());
    // No id is left for another row.
    let full = "INSERT INTO audit_anchor VALUES (1, 9223372036854775807, zeroblob(32)); DELETE FROM audit_events";
    vandalise(&server, full);
    server.launch();
    server.wait_for_log(|line| line["message"] == "audit.mark_put_off");
    server.create_draft("bob");
    vandalise(&server, "UPDATE audit_anchor SET removed_id = 2");
    wait_for(|| (marks(&server).len() == 1).then_some(()));
    assert_eq!(marks(&server)[0][1], "audit.stopped");
}
