//! The chain of hashes over a draft's segments: what is stored of it, what is told, and what it shows.

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

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
