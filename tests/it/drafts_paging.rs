//! Drafts page by page, and how little it takes to work with a large one.

use serde_json::{Value, json};

use crate::support::{Answer, Server};

const DRAFTS: &str = "/v1/collab/drafts";

fn append(server: &Server, path: &str, content: &str) {
    let body = json!({ "content": content, "idempotency_key": content });
    server.post_as("alice", &format!("{path}/segments"), &body).expect(200);
}

fn orders(page: &Value) -> Vec<i64> {
    page["data"]["segments"].as_array().unwrap().iter().map(|one| one["segment_order"].as_i64().unwrap()).collect()
}

#[test]
fn pages_go_through_a_draft_without_gap_or_repeat() {
    let server = Server::start();
    let path = format!("{DRAFTS}/{}", server.create_draft("alice"));
    (0..75).for_each(|number| append(&server, &path, &format!("text {number}")));
    let mut client = server.connect();
    let mut page = |query: &str| client.get(&format!("{path}?{query}"), None);
    let whole = page("").expect(200);

    let mut first = page("limit=30").expect(200);
    assert_eq!((orders(&first), &first["data"]["more"]), ((0..30).collect(), &json!(true)));
    let second = page("segments_after=29&limit=30").expect(200);
    assert_eq!((orders(&second), &second["data"]["more"]), ((30..60).collect(), &json!(true)));
    let third = page("segments_after=59&limit=30").expect(200);
    assert_eq!((orders(&third), &third["data"]["more"]), ((60..75).collect(), &json!(false)));
    for (at, paged) in [(0, &first), (30, &second), (60, &third)] {
        for (number, segment) in paged["data"]["segments"].as_array().unwrap().iter().enumerate() {
            assert_eq!(*segment, whole["data"]["segments"][at + number]);
        }
    }
    // What is not of the page is the draft's; metrics are of all of it, and no page has them.
    let members = first["data"].as_object_mut().unwrap();
    let names: Vec<_> = members.keys().cloned().collect();
    let mut expected: Vec<_> = whole["data"].as_object().unwrap().keys().cloned().collect();
    expected.extend(["more", "rewritten"].map(str::to_owned));
    assert_eq!(names, expected);
    assert_eq!((&members["metrics"], &members["ring_state"]), (&Value::Null, &whole["data"]["ring_state"]));

    for (query, expected, more) in [
        ("segments_after=0", 1..75, false),
        ("segments_after=73", 74..75, false),
        ("segments_after=73&limit=1", 74..75, false),
        ("segments_after=72&limit=1", 73..74, true),
        ("segments_after=74", 0..0, false),
        ("segments_after=9223372036854775807&limit=1000", 0..0, false),
        ("limit=75", 0..75, false),
        ("limit=1000", 0..75, false),
    ] {
        let paged = page(query).expect(200);
        assert_eq!((orders(&paged), &paged["data"]["more"]), (expected.collect(), &json!(more)), "{query}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "segments_after=-1", "segments_after="] {
        assert_eq!(page(query).expect_error(422).0, "validation_error", "{query}");
    }
    let answer = page("limit=1");
    assert_eq!(answer.header("etag"), Some("\"76\""));
    let same = client.request("GET", &format!("{path}?limit=1"), &[("If-None-Match", "\"76\"")], b"");
    assert_eq!(same.status, 304);
    let head = client.request("HEAD", &format!("{path}?limit=1"), &[], b"");
    assert_eq!((head.status, head.header("etag")), (200, Some("\"76\"")));
    client.get(&format!("{DRAFTS}/nowhere?limit=1"), None).expect_error(404);
    (75..200).for_each(|number| append(&server, &path, &format!("text {number}")));
    let paged = client.get(&format!("{path}?segments_after=0"), None).expect(200);
    assert_eq!((paged["data"]["segments"].as_array().unwrap().len(), &paged["data"]["more"]), (100, &json!(true)));
}

#[test]
fn pages_that_do_not_belong_together_say_so() {
    let server = Server::start();
    let path = format!("{DRAFTS}/{}", server.create_draft("alice"));
    (0..4).for_each(|number| append(&server, &path, &format!("text {number}")));
    let page = |query: &str| server.get(&format!("{path}?{query}")).expect(200)["data"].clone();
    let first = page("limit=2");
    append(&server, &path, "one more");
    assert_eq!(page("segments_after=1")["rewritten"], first["rewritten"], "what is added changes nothing of before");
    let segment = first["segments"][0]["segment_id"].as_str().unwrap();
    server.post_as("alice", &format!("{path}/segments/{segment}/redact"), &json!({ "reason": "r" })).expect(200);
    let second = page("segments_after=1");
    assert_eq!((&first["rewritten"], &second["rewritten"]), (&json!(0), &json!(1)));
}

#[test]
fn pages_are_for_whoever_may_read_the_draft() {
    let server = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let path = format!("{DRAFTS}/{}?limit=10", server.create_draft("alice"));
    assert_eq!(server.get(&path).status, 401);
    assert_eq!(server.get_as("mallory", &path).expect_error(403).0, "forbidden");
    server.get_as("alice", &path).expect(200);
}

#[test]
fn a_draft_of_ten_thousand_segments_is_worked_with_as_easily_as_a_small_one() {
    const ROUNDS: usize = 60;
    let mut server = Server::with(&[("SHARDS", "1"), ("MAX_SEGMENTS_PER_DRAFT", "0")]);
    let (large, small) = (server.create_draft("alice"), server.create_draft("alice"));
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let fill = format!(
        "WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < 9999)
         INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at)
         SELECT d.id, n.at, 'segment ' || n.at, 'alice', printf('%.500c', 'x'), d.created_at
         FROM drafts AS d, n WHERE d.draft_id = '{large}';
         UPDATE drafts SET segment_count = 10000, event_seq = event_seq + 1 WHERE draft_id = '{large}'"
    );
    database.execute_batch(&fill).unwrap();
    drop(database);
    server.launch();
    let mut client = server.connect();
    let before = server.memory_kb("VmHWM");
    let mut receipt = |draft: &str, key: &str| -> Answer {
        let body = json!({ "content": "one more", "idempotency_key": key }).to_string();
        let headers = [("X-User-Id", "alice"), ("Prefer", "return=minimal")];
        client.request("POST", &format!("{DRAFTS}/{draft}/segments"), &headers, body.as_bytes())
    };
    // The first one makes the chain of what is there.
    let first = receipt(&large, "first").expect(200);
    assert_eq!(first["data"]["segment_order"], 10_000);
    let mut spent = |draft: &str| {
        let began = server.cpu_seconds();
        for round in 0..ROUNDS {
            receipt(draft, &format!("round {round}")).expect(200);
        }
        server.cpu_seconds() - began
    };
    let (on_small, on_large) = (spent(&small), spent(&large));
    assert!(on_large < 2.0 * on_small + 0.1, "{ROUNDS} appends took {on_large:.2} s of CPU, and {on_small:.2} s");
    let began = server.cpu_seconds();
    let mut client = server.connect();
    for round in 0..ROUNDS {
        let path = format!("{DRAFTS}/{large}?segments_after={}&limit=10", 10_000 + round - 11);
        assert_eq!(orders(&client.get(&path, None).expect(200)).len(), 10);
    }
    let paging = server.cpu_seconds() - began;
    assert!(paging < 0.5, "{ROUNDS} pages of a large draft took {paging:.2} s of CPU");
    let grown = server.memory_kb("VmHWM") - before;
    assert!(grown < 24 * 1024, "{grown} kB more");
}
