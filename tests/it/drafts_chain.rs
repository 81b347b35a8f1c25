//! The chain of hashes over a draft's segments: what is stored of it, what is told, and what it shows.

use std::process::Command;

use inkring::drafts::chain::Break;
use inkring::drafts::proof::{self, Proof};
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client_js::node_version;
use crate::ops::Operated;
use crate::repository::root;
use crate::support::Server;

const DRAFTS: &str = "/v1/collab/drafts";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The formula of PROTOCOL.md, once more: id and text of each segment in, its two hashes out.
fn chained(segments: &[(String, String)]) -> Vec<(String, String)> {
    let mut previous = "0".repeat(64);
    let link = |(id, text): &(String, String)| {
        let content = hex(Sha256::digest(text));
        previous = hex(Sha256::digest(format!("{previous}\n{id}\n{content}\n")));
        (content, previous.clone())
    };
    segments.iter().map(link).collect()
}

/// Ids and texts of a draft's segments, as the draft is told.
fn segments(server: &Server, draft: &str) -> Vec<(String, String)> {
    let draft = server.get_as("alice", &format!("{DRAFTS}/{draft}")).expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let segments = draft["data"]["segments"].as_array().unwrap();
    segments.iter().map(|segment| (text(&segment["segment_id"]), text(&segment["content"]))).collect()
}

/// The hashes as they are stored, and what the draft says of the last one.
fn stored(server: &Server, draft: &str) -> (Vec<(String, String)>, (i64, String)) {
    let database = Connection::open(server.database()).unwrap();
    let sql = "SELECT coalesce(lower(hex(s.content_sha256)), ''), coalesce(lower(hex(s.chain_sha256)), '') \
               FROM draft_segments AS s JOIN drafts AS d ON d.id = s.draft WHERE d.draft_id = ?1 ORDER BY segment_order";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([draft], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let links = rows.map(Result::unwrap).collect();
    let sql = "SELECT chained, coalesce(lower(hex(chain_sha256)), '') FROM drafts WHERE draft_id = ?1";
    (links, database.query_row(sql, [draft], |row| Ok((row.get(0)?, row.get(1)?))).unwrap())
}

/// Holds what is stored to what is told.
#[track_caller]
fn is_chained(server: &Server, draft: &str) {
    let expected = chained(&segments(server, draft));
    let (links, (count, last)) = stored(server, draft);
    assert_eq!(links, expected);
    assert_eq!((count, Some(&last)), (expected.len() as i64, expected.last().map(|(_, chain)| chain)));
}

fn append(server: &Server, draft: &str, content: &str, key: &str) -> Value {
    let body = json!({ "content": content, "idempotency_key": key });
    server.post_as("alice", &format!("{DRAFTS}/{draft}/segments"), &body).json()
}

#[test]
fn every_segment_has_its_hashes_from_its_change_on() {
    let server = Server::start();
    let body = json!({ "title": "t", "platform": "x", "initial_segment": "Привіт, світе! 🖋" });
    let created = server.post_as("alice", DRAFTS, &body).expect(200);
    let draft = created["data"]["draft_id"].as_str().unwrap();
    is_chained(&server, draft);
    for (content, key) in [("two\nlines", "a"), ("two\nlines", "b"), ("\u{1}", "c")] {
        append(&server, draft, content, key);
        is_chained(&server, draft);
    }
    append(&server, draft, "a replay has no part in it", "c");
    is_chained(&server, draft);
    assert_eq!(segments(&server, draft).len(), 4);

    let empty = server.create_draft("alice");
    assert_eq!(stored(&server, &empty), (vec![], (0, String::new())));
    append(&server, &empty, "the first", "k");
    is_chained(&server, &empty);
}

/// Makes the segments of a draft those of an older version, of which nothing was hashed, and more of them.
fn made_old(server: &mut Server, draft: &str, more: i64) {
    server.kill();
    let database = Connection::open(server.database()).unwrap();
    database
        .execute_batch(&format!(
            "UPDATE draft_segments SET content_sha256 = NULL, chain_sha256 = NULL;
             WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {more})
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at)
             SELECT d.id, d.segment_count + n.at - 1, 'segment ' || n.at, 'alice', 'text ' || n.at, d.created_at
             FROM drafts AS d, n WHERE d.draft_id = '{draft}';
             UPDATE drafts SET chained = 0, chain_sha256 = NULL;
             UPDATE drafts SET segment_count = segment_count + {more} WHERE draft_id = '{draft}';"
        ))
        .unwrap();
    drop(database);
    server.launch();
}

#[test]
fn a_draft_of_an_older_version_gets_its_chain_before_it_is_written_in_again() {
    let mut server = Server::with(&[("MAX_SEGMENTS_PER_DRAFT", "0")]);
    let (draft, other) = (server.create_draft("alice"), server.create_draft("alice"));
    for draft in [&draft, &other] {
        append(&server, draft, "long ago", "old");
    }
    made_old(&mut server, &draft, 20);
    append(&server, &draft, "long ago", "old");
    let passed = json!({ "to_user_id": "alice", "idempotency_key": "p" });
    server.post_as("alice", &format!("{DRAFTS}/{draft}/pass-ring"), &passed).expect(200);
    assert_eq!(stored(&server, &draft).1, (0, String::new()), "neither a replay nor a pass needs it");
    append(&server, &draft, "today", "new");
    is_chained(&server, &draft);
    assert_eq!(segments(&server, &draft).len(), 22);
    assert_eq!(stored(&server, &other).1, (0, String::new()), "other drafts are left as they are");

    // More than one change is to take on: it says so, and the next one goes on from there.
    made_old(&mut server, &other, 20_000);
    let statuses: Vec<u16> = (0..3)
        .map(|_| {
            let body = json!({ "content": "today", "idempotency_key": "new" });
            let answer = server.post_as("alice", &format!("{DRAFTS}/{other}/segments"), &body);
            assert_eq!(answer.header("retry-after").is_some(), answer.status == 503);
            answer.status
        })
        .collect();
    assert_eq!(statuses, [503, 503, 200]);
    is_chained(&server, &other);
    assert_eq!(segments(&server, &other).len(), 20_002);
}

/// The answer of the endpoint, held to its shape: the two hashes of each segment.
#[track_caller]
fn told(server: &Server, draft: &str) -> Vec<(String, String)> {
    let mut client = server.connect();
    let answer = client.get(&format!("{DRAFTS}/{draft}/chain"), Some("alice"));
    let body = answer.expect(200);
    assert_eq!((body.as_object().unwrap().len(), &body["data"]["draft_id"]), (1, &json!(draft)));
    let expected = segments(server, draft);
    let told = body["data"]["segments"].as_array().unwrap();
    assert_eq!(told.len(), expected.len());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let link = |(at, link): (usize, &Value)| {
        assert_eq!((link.as_object().unwrap().len(), &link["segment_order"]), (4, &json!(at)));
        assert_eq!(link["segment_id"], expected[at].0);
        (text(&link["content_sha256"]), text(&link["chain_sha256"]))
    };
    told.iter().enumerate().map(link).collect()
}

#[test]
fn the_chain_is_told_to_whoever_may_read_the_draft() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    assert_eq!(told(&server, &draft), []);
    for number in 0..100 {
        append(&server, &draft, &format!("text {number}"), &number.to_string());
    }
    assert_eq!(told(&server, &draft), chained(&segments(&server, &draft)));
    let path = format!("{DRAFTS}/{draft}/chain");
    let mut client = server.connect();
    let anyone = client.get(&path, None);
    assert_eq!((anyone.status, anyone.header("etag")), (200, Some("\"101\"")));
    let same = client.request("GET", &path, &[("If-None-Match", "\"101\"")], b"");
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some("\"101\""), 0));
    let head = client.request("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("etag"), head.header("content-length")), (200, Some("\"101\""), None));
    assert_eq!(client.get(&format!("{DRAFTS}/nowhere/chain"), None).expect_error(404).0, "not_found");

    // A receipt is a piece of it.
    let body = json!({ "content": "one more", "idempotency_key": "one more" });
    let headers = [("X-User-Id", "alice"), ("Prefer", "return=minimal")];
    let receipt = client.request("POST", &format!("{DRAFTS}/{draft}/segments"), &headers, body.to_string().as_bytes());
    let chain = told(&server, &draft);
    let last = (receipt.json()["data"]["content_sha256"].clone(), receipt.json()["data"]["chain_sha256"].clone());
    assert_eq!((json!(chain[100].0), json!(chain[100].1)), last);

    let closed = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let path = format!("{DRAFTS}/{}/chain", closed.create_draft("alice"));
    assert_eq!(closed.get(&path).status, 401);
    assert_eq!(closed.get_as("mallory", &path).expect_error(403).0, "forbidden");
    closed.get_as("alice", &path).expect(200);
}

#[test]
fn the_chain_of_an_older_draft_is_the_one_that_it_gets() {
    let mut server = Server::start();
    let draft = server.create_draft("alice");
    append(&server, &draft, "long ago", "old");
    made_old(&mut server, &draft, 70);
    let before = told(&server, &draft);
    assert_eq!(before, chained(&segments(&server, &draft)));
    assert_eq!(stored(&server, &draft).1, (0, String::new()), "reading changes nothing");
    append(&server, &draft, "today", "new");
    assert_eq!(told(&server, &draft)[..71], before[..]);
    is_chained(&server, &draft);
}

#[test]
fn a_text_that_an_operator_takes_out_of_an_older_draft_leaves_its_hash() {
    // Where the plane is after a restart as well.
    let mut operated = Operated::with(&[("OPS_ADDR", "unix:ops.sock")]);
    let draft = operated.server.create_draft("alice");
    append(&operated.server, &draft, "long ago", "old");
    made_old(&mut operated.server, &draft, 70);
    let before = told(&operated.server, &draft);
    let segment = segments(&operated.server, &draft)[0].0.clone();
    let body = json!({ "segment_id": segment, "reason": "r" }).to_string();
    operated.ask("POST", &format!("/drafts/{draft}/redact"), "localhost", &[], body.as_bytes()).expect(200);
    let (links, _) = stored(&operated.server, &draft);
    assert_eq!((links, segments(&operated.server, &draft)[0].1.as_str()), (before, "[redacted]"));
    let said = operated.get(&format!("/drafts/{draft}/verify")).expect(200);
    assert_eq!((&said["holds"], &said["taken_out"], &said["unhashed"]), (&json!(true), &json!(1), &json!(0)));
}

#[test]
fn readers_of_a_long_chain_cost_a_piece_each() {
    let mut server = Server::with(&[("SHARDS", "1")]);
    let draft = server.create_draft("alice");
    made_old(&mut server, &draft, 9_999);
    append(&server, &draft, "the last", "k");
    let path = format!("{DRAFTS}/{draft}/chain");
    let before = server.memory_kb("VmHWM");
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
        client.read_more().unwrap();
    }
    server.get("/healthz").expect(200);
    let lengths: Vec<_> = clients.iter_mut().map(|client| client.answer().body.len()).collect();
    assert!(lengths[0] > 2_000_000 && lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    let grown = server.memory_kb("VmHWM") - before;
    assert!(grown < 4096, "{grown} kB more for 8 readers of 2 MB");
    assert_eq!(told(&server, &draft), chained(&segments(&server, &draft)));
}

#[test]
fn whatever_is_changed_in_the_file_breaks_the_chain_at_its_place() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    for number in 0..5 {
        append(&server, &draft, &format!("text {number}"), &number.to_string());
    }
    drop(server.connect());
    let schema = inkring::features::schema();
    let verified = || {
        let reader = inkring::store::open_read_only(&server.database(), &schema).unwrap();
        proof::verify(&reader, &draft).unwrap().unwrap()
    };
    let whole = verified();
    let last = chained(&segments(&server, &draft)).pop().unwrap().1;
    assert_eq!(whole, Proof { segments: 5, taken_out: 0, unhashed: 0, last, fault: None });
    let database = Connection::open(server.database()).unwrap();
    for (sql, undo, good, fault) in [
        (
            "content = 'text X' WHERE segment_order = 2",
            "content = 'text 2' WHERE segment_order = 2",
            2,
            Break::Content(2),
        ),
        (
            "segment_id = segment_id || 'x' WHERE segment_order = 0",
            "segment_id = rtrim(segment_id, 'x')",
            0,
            Break::Chain(0),
        ),
        (
            "content = 'text X', content_sha256 = zeroblob(32) WHERE segment_order = 4",
            "content = 'text 4' WHERE segment_order = 4",
            4,
            Break::Content(4),
        ),
    ] {
        database.execute(&format!("UPDATE draft_segments SET {sql}"), []).unwrap();
        let proof = verified();
        assert_eq!((proof.segments, proof.fault), (good, Some(fault)), "{sql}");
        database.execute(&format!("UPDATE draft_segments SET {undo}"), []).unwrap();
    }
    let other = inkring::drafts::chain::Link::new(&[7; 32], 4, "other", "other");
    let sql = "UPDATE draft_segments SET segment_id = 'other', content = 'other', content_sha256 = ?1, chain_sha256 = ?2 \
               WHERE segment_order = 4";
    database.execute(sql, [&other.content[..], &other.chain[..]]).unwrap();
    assert_eq!(verified().fault, Some(Break::Chain(4)), "a segment of another chain");
    database.execute("DELETE FROM draft_segments WHERE segment_order = 4", []).unwrap();
    database.execute("UPDATE drafts SET segment_count = 4, chained = 4", []).unwrap();
    assert_eq!(verified().fault, Some(Break::Last), "the end was cut off");
    let reader = inkring::store::open_read_only(&server.database(), &schema).unwrap();
    assert_eq!(proof::verify(&reader, "nowhere").unwrap(), None);
}

#[test]
fn the_verifier_on_the_page_of_clients_says_what_it_finds() {
    if node_version().is_none() {
        return;
    }
    let server = Server::start();
    let draft = server.create_draft("alice");
    let base = format!("http://{}/", server.address);
    // It needs nothing beside itself.
    let alone = tempfile::tempdir().unwrap();
    let script = alone.path().join("verify.mjs");
    std::fs::copy(root().join("docs/clients/verify.mjs"), &script).unwrap();
    let ran = |arguments: &[&str]| {
        let output = Command::new("node").arg(&script).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let verify = |noted: &[&str]| ran(&[&[base.as_str(), &draft], noted].concat());
    // What goes wrong is one line.
    for arguments in [&[][..], &[base.as_str()], &["127.0.0.1:8000", &draft]] {
        let (code, _, complaint) = ran(arguments);
        assert!(code == Some(2) && complaint.starts_with("Usage: ") && complaint.lines().count() == 1, "{complaint}");
    }
    let (code, _, complaint) = ran(&[&base, "nowhere"]);
    assert!(code == Some(1) && complaint.ends_with("cannot be read: Draft nowhere not found"), "{complaint}");
    let (code, _, complaint) = ran(&["http://127.0.0.1:1", &draft]);
    assert!(code == Some(1) && complaint.contains("cannot be read: ") && complaint.lines().count() == 1, "{complaint}");
    assert_eq!(verify(&[]), (Some(0), format!("0 segments, {}", "0".repeat(64)), String::new()));
    for number in 0..3 {
        append(&server, &draft, &format!("text {number} 🖋"), &number.to_string());
    }
    let chain = told(&server, &draft);
    let last = chain[2].1.clone();
    assert_eq!(verify(&[]), (Some(0), format!("3 segments, {last}"), String::new()));
    assert_eq!(verify(&[&chain[1].1, &last]).0, Some(0), "the hashes of receipts are in it");
    let (code, _, complaint) = verify(&[&chain[0].0]);
    assert_eq!((code, complaint), (Some(1), format!("{} is not in the chain", chain[0].0)));
    let database = Connection::open(server.database()).unwrap();
    database.execute("UPDATE draft_segments SET content_sha256 = zeroblob(32) WHERE segment_order = 1", []).unwrap();
    assert_eq!(verify(&[]), (Some(1), String::new(), "segment 1 is not the one that was hashed".to_owned()));
    let changed = "UPDATE draft_segments SET content_sha256 = ?1 WHERE segment_order = 1";
    let content = Sha256::digest("text 1 🖋");
    database.execute(changed, [&content[..]]).unwrap();
    database.execute("UPDATE draft_segments SET chain_sha256 = zeroblob(32) WHERE segment_order = 1", []).unwrap();
    assert_eq!(verify(&[]), (Some(1), String::new(), "segment 1 does not follow the one before it".to_owned()));
}
