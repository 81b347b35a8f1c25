//! Endpoints 1 to 6 of contract 01 (§1.2–1.8), with the rulings that stand above them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, Client, Server};

const DRAFTS: &str = "/v1/collab/drafts";
/// `display("alice")` and `display("bob")` as the original server shows them (contract 01 §0.2).
const ALICE: &str = "@u_ecc9e8";
const BOB: &str = "@u_29920a";

/// One draft and the ways to touch it, over one connection.
struct Draft {
    client: Client,
    id: String,
    path: String,
}

impl Draft {
    /// By alice, with these collaborators.
    fn new(server: &Server, collaborators: &[&str]) -> Self {
        let id = server.create_draft("alice");
        let path = format!("{DRAFTS}/{id}");
        let mut draft = Self { client: server.connect(), id, path };
        for user in collaborators {
            draft.add("alice", &format!("collaborator_id={user}")).expect(200);
        }
        draft
    }

    fn post(&mut self, user: &str, what: &str, body: &Value) -> Answer {
        self.client.post(&format!("{}/{what}", self.path), Some(user), body)
    }

    fn append(&mut self, user: &str, content: &str, key: &str) -> Answer {
        self.post(user, "segments", &json!({ "content": content, "idempotency_key": key }))
    }

    fn pass(&mut self, user: &str, to: &str, key: &str) -> Answer {
        self.post(user, "pass-ring", &json!({ "to_user_id": to, "idempotency_key": key }))
    }

    fn add(&mut self, user: &str, query: &str) -> Answer {
        let path = format!("{}/collaborators?{query}", self.path);
        self.client.request("POST", &path, &[("X-User-Id", user)], b"")
    }

    /// The draft as everyone sees it, at a fixed moment so that two readings of the same state are equal.
    fn read(&mut self) -> Value {
        self.client.get(&format!("{}?now=2100-01-01", self.path), None).expect(200)["data"].take()
    }

    /// Holds a refusal to its status, code and message, and to having changed nothing (G4).
    #[track_caller]
    fn refused(&mut self, before: &Value, answer: &Answer, status: u16, code: &str, message: &str) {
        assert_eq!(answer.expect_error(status), (code.to_owned(), message.to_owned()));
        assert_eq!(answer.json()["detail"], message);
        assert_eq!(&self.read(), before, "a refused request changes nothing");
    }
}

/// Checks the spelling of every id and time and puts the name of its kind in its place.
fn redacted(mut value: Value) -> Value {
    fn walk(name: &str, value: &mut Value) {
        match value {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| walk(name, value)),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(name, item)),
            Value::String(text) => match name {
                "draft_id" | "segment_id" => {
                    assert!(is_uuid(text), "{name}: {text}");
                    *text = "ID".to_owned();
                }
                "created_at" | "updated_at" | "passed_at" | "last_passed_at" | "lastActivityAt" => {
                    assert!(is_offset_style(text), "{name}: {text}");
                    *text = "TIME".to_owned();
                }
                _ => {}
            },
            _ => {}
        }
    }
    walk("", &mut value);
    value
}

/// UUID version 4 in lower case.
fn is_uuid(text: &str) -> bool {
    fits(text, "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx")
}

/// Contract 01 §0.2: `2025-12-23T10:00:00.123456+00:00`, the fraction absent when it is zero.
fn is_offset_style(text: &str) -> bool {
    fits(text, "dddd-dd-ddTdd:dd:dd.dddddd+00:00") || fits(text, "dddd-dd-ddTdd:dd:dd+00:00")
}

fn fits(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.chars().zip(pattern.chars()).all(|(found, wanted)| match wanted {
            'x' => matches!(found, '0'..='9' | 'a'..='f'),
            'v' => matches!(found, '8' | '9' | 'a' | 'b'),
            'd' => found.is_ascii_digit(),
            literal => found == literal,
        })
}

fn segment(order: usize, user: &str, display: &str, content: &str) -> Value {
    json!({
        "segment_id": "ID", "draft_id": "ID", "user_id": user, "content": content, "created_at": "TIME",
        "segment_order": order, "idempotency_key": null, "author_user_id": user, "author_display": display,
        "ring_holder_user_id_at_write": user, "ring_holder_display_at_write": display,
    })
}

fn draft(holder: &str, history: &[&str], collaborators: &[&str], segments: &[Value], metrics: &Value) -> Value {
    json!({ "data": {
        "draft_id": "ID", "creator_id": "alice", "title": "A draft", "platform": "x", "status": "active",
        "segments": segments,
        "ring_state": {
            "draft_id": "ID", "current_holder_id": holder, "holders_history": history, "passed_at": "TIME",
            "last_passed_at": "TIME", "idempotency_key": null,
        },
        "collaborators": collaborators, "pending_invites": [], "created_at": "TIME", "updated_at": "TIME",
        "target_publish_at": null, "metrics": metrics,
    }})
}

/// The members of an object at any depth, in the order of the wire.
fn names(text: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(text).unwrap();
    fn walk(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    names.push(name.clone());
                    walk(value, names);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, names)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(&value, &mut all);
    all
}

#[test]
fn the_draft_object_is_the_contracts_to_the_letter_in_every_answer() {
    let server = Server::start();
    let mut client = server.connect();
    let body = json!({ "title": "A draft", "platform": "x", "initial_segment": "hello wörld" });
    let created = client.post(DRAFTS, Some("alice"), &body);
    let first = segment(0, "alice", ALICE, "hello wörld");
    let expected = draft("alice", &["alice"], &[], std::slice::from_ref(&first), &Value::Null);
    assert_eq!(redacted(created.expect(200)), expected);
    let id = created.json()["data"]["draft_id"].as_str().unwrap().to_owned();
    let mut it = Draft { client, path: format!("{DRAFTS}/{id}"), id };

    let added = it.add("alice", "collaborator_id=bob");
    let expected = draft("alice", &["alice"], &["bob"], std::slice::from_ref(&first), &Value::Null);
    assert_eq!(redacted(added.expect(200)), expected, "adding a collaborator answers metrics null");

    let second = segment(1, "alice", ALICE, "two");
    let both = [first, second];
    let expected = draft("alice", &["alice"], &["bob"], &both, &Value::Null);
    let appended = it.append("alice", "two", "k");
    assert_eq!(redacted(appended.expect(200)), expected, "a first append answers metrics null");

    let passed = it.pass("alice", "bob", "k");
    let expected = draft("bob", &["alice", "bob"], &["bob"], &both, &Value::Null);
    assert_eq!(redacted(passed.expect(200)), expected, "a first pass answers metrics null");

    let metrics = json!({ "contributorsCount": 1, "ringPassesLast24h": 1, "avgMinutesBetweenPasses": 0.0,
                          "lastActivityAt": "TIME" });
    let with_metrics = draft("bob", &["alice", "bob"], &["bob"], &both, &metrics);
    let read = it.client.get(&it.path.clone(), None);
    assert_eq!(redacted(read.expect(200)), with_metrics);
    for replay in [it.append("alice", "other words", "k"), it.pass("alice", "alice", "k")] {
        assert_eq!(redacted(replay.expect(200)), with_metrics, "a replay answers the draft with metrics");
    }
    let listed = it.client.get(DRAFTS, Some("bob"));
    let mut item = draft("bob", &["alice", "bob"], &["bob"], &both, &Value::Null);
    assert_eq!(redacted(listed.expect(200)), json!({ "data": [item["data"].take()], "count": 1 }));

    // Ids and times are the same wherever they show (R11).
    for answer in [&appended, &passed] {
        assert_eq!(answer.json()["data"]["segments"][0], created.json()["data"]["segments"][0]);
    }
    assert_eq!(read.json()["data"]["segments"], passed.json()["data"]["segments"]);
}

#[test]
fn members_come_in_the_contracts_order_in_compact_raw_utf8() {
    let server = Server::start();
    let body = json!({ "title": "Ünïcode ✍", "platform": "x", "initial_segment": "hello wörld 🖋" });
    let answer = server.post_as("alice", DRAFTS, &body);
    let draft_id = answer.expect(200)["data"]["draft_id"].as_str().unwrap().to_owned();
    let read = server.get(&format!("{DRAFTS}/{draft_id}"));
    assert_eq!(read.header("content-type"), Some("application/json"));
    let text = read.text();
    assert!(text.starts_with(&format!(
        "{{\"data\":{{\"draft_id\":\"{draft_id}\",\"creator_id\":\"alice\",\"title\":\"Ünïcode ✍\",\"platform\":\"x\",\
         \"status\":\"active\",\"segments\":[{{\"segment_id\":\""
    )));
    assert!(text.contains("\"content\":\"hello wörld 🖋\",\"created_at\":"), "{text}");
    assert!(text.contains("],\"pending_invites\":[],\"created_at\":"), "{text}");
    let ring = "draft_id current_holder_id holders_history passed_at last_passed_at idempotency_key";
    let segment = "segment_id draft_id user_id content created_at segment_order idempotency_key author_user_id \
                   author_display ring_holder_user_id_at_write ring_holder_display_at_write";
    let expected = format!(
        "data draft_id creator_id title platform status segments {segment} ring_state {ring} collaborators \
         pending_invites created_at updated_at target_publish_at metrics contributorsCount ringPassesLast24h \
         avgMinutesBetweenPasses lastActivityAt"
    );
    assert_eq!(names(text), expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn times_move_as_the_contract_says() {
    let server = Server::start();
    let mut it = Draft::new(&server, &[]);
    let born = it.read();
    for name in ["created_at", "updated_at"] {
        assert_eq!(born[name], born["ring_state"]["passed_at"], "before the first pass all times are the creation");
    }
    it.add("alice", "collaborator_id=bob").expect(200);
    assert_eq!(it.read()["updated_at"], born["updated_at"], "a new collaborator does not touch updated_at");
    it.append("alice", "words", "k").expect(200);
    let written = it.read();
    assert!(written["updated_at"].as_str() >= written["segments"][0]["created_at"].as_str());
    assert!(written["updated_at"].as_str() > born["updated_at"].as_str());
    assert_eq!(written["ring_state"]["passed_at"], born["ring_state"]["passed_at"], "an append is no pass");
    it.pass("alice", "bob", "k").expect(200);
    let passed = it.read();
    assert_eq!(passed["updated_at"], passed["ring_state"]["passed_at"]);
    assert_eq!(passed["ring_state"]["last_passed_at"], passed["ring_state"]["passed_at"]);
    assert!(passed["updated_at"].as_str() > written["updated_at"].as_str());
    assert_eq!(passed["created_at"], born["created_at"]);
    it.append("alice", "words", "k").expect(200);
    assert_eq!(it.read()["updated_at"], passed["updated_at"], "a replay touches nothing");
}

#[test]
fn metrics_are_those_of_the_moment_asked_for() {
    let server = Server::start();
    let mut it = Draft::new(&server, &["bob"]);
    let metrics = |it: &mut Draft, query: &str| {
        let path = format!("{}{query}", it.path);
        it.client.get(&path, None).expect(200)["data"]["metrics"].take()
    };
    let new = metrics(&mut it, "");
    assert_eq!(new["contributorsCount"], 1, "the creator counts without having written");
    assert_eq!(new["ringPassesLast24h"], 0, "ruling 10: a new draft has no passes");
    assert_eq!(new["avgMinutesBetweenPasses"], Value::Null);
    assert_eq!(new["lastActivityAt"], it.read()["created_at"]);
    it.pass("alice", "bob", "1").expect(200);
    it.append("bob", "words", "1").expect(200);
    it.pass("bob", "bob", "1").expect(200);
    let now = metrics(&mut it, "");
    assert_eq!((&now["contributorsCount"], &now["ringPassesLast24h"]), (&json!(2), &json!(2)));
    assert!(now["avgMinutesBetweenPasses"].is_f64(), "0.0 and not 0 (contract 01 §1.2)");
    assert_eq!(now["lastActivityAt"], it.read()["ring_state"]["passed_at"]);
    assert_eq!(metrics(&mut it, "?now="), now, "an empty now is none");
    assert_eq!(metrics(&mut it, "?now=2100-01-01T00:00:00Z")["ringPassesLast24h"], 0);
    assert_eq!(
        metrics(&mut it, "?now=2000-01-01T00:00:00Z")["ringPassesLast24h"],
        0,
        "what comes after does not count"
    );
    for spelling in ["2100-01-01", "2100-01-01T00:00:00", "2100-01-01T02:00:00%2B02:00", "2100-01-01T02:00:00+02:00"] {
        let then = metrics(&mut it, &format!("?now={spelling}"));
        assert_eq!(then, metrics(&mut it, "?now=2100-01-01T00:00:00Z"), "{spelling} (R10)");
    }
}

#[test]
fn a_bad_now_is_refused_before_the_draft_is_looked_for() {
    let server = Server::start();
    let mut client = server.connect();
    for now in ["yesterday", "2025-13-01", "%20", "1766484000", "'%20OR%201=1--"] {
        let answer = client.get(&format!("{DRAFTS}/nowhere?now={now}"), None);
        let (code, message) = answer.expect_error(400);
        assert_eq!(code, "validation_error");
        assert_eq!(message, "Invalid ISO timestamp format for 'now' parameter");
        assert_eq!(answer.json()["detail"], message);
    }
    let (code, message) = client.get(&format!("{DRAFTS}/nowhere?now=2025-12-23"), None).expect_error(404);
    assert_eq!((code.as_str(), message.as_str()), ("not_found", "Draft nowhere not found"));
}

#[test]
fn checks_come_in_the_contracts_order_on_every_endpoint() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    let json_type = ("Content-Type", "application/json");
    let bodies = [DRAFTS.to_owned(), format!("{DRAFTS}/{draft}/segments"), format!("{DRAFTS}/nowhere/pass-ring")];
    for path in &bodies {
        let broken = client.request("POST", path, &[json_type], b"{");
        assert_eq!(broken.expect(422)["detail"][0]["type"], "json_invalid", "{path}: before 401");
        client.request("POST", path, &[json_type], b"{}").expect_error(401);
        client.request("POST", path, &[json_type, ("X-User-Id", "")], b"7").expect_error(401);
        let shape = client.request("POST", path, &[json_type, ("X-User-Id", "mallory")], b"{}");
        assert_eq!(shape.expect(422)["detail"][0]["type"], "missing", "{path}: before 404 and 403");
    }
    client.request("POST", &format!("{DRAFTS}/nowhere/collaborators"), &[], b"").expect_error(401);
    let missing = client.request("POST", &format!("{DRAFTS}/nowhere/collaborators"), &[("X-User-Id", "eve")], b"");
    assert_eq!(
        missing.expect(422)["detail"],
        json!([{ "type": "missing", "loc": ["query", "collaborator_id"], "msg": "Field required", "input": null }])
    );
    client.get(DRAFTS, None).expect_error(401);
    let good = json!({ "content": "x", "to_user_id": "eve", "idempotency_key": "k" });
    for (what, query) in [("segments", ""), ("pass-ring", ""), ("collaborators", "?collaborator_id=eve")] {
        let answer = client.post(&format!("{DRAFTS}/nowhere/{what}{query}"), Some("mallory"), &good);
        let expected = ("not_found".to_owned(), "Draft nowhere not found".to_owned());
        assert_eq!(answer.expect_error(404), expected, "{what}: before 403");
    }
}

#[test]
fn every_refusal_has_its_status_code_and_sentence_and_changes_nothing() {
    let server = Server::with(&[("MAX_COLLABORATORS_PER_DRAFT", "2")]);
    let mut it = Draft::new(&server, &["bob", "carol"]);
    let id = it.id.clone();
    let before = it.read();

    let answer = it.append("mallory", "x", "k");
    let sentence = format!("User mallory is not owner/collaborator for draft {id}");
    it.refused(&before, &answer, 403, "forbidden", &sentence);
    let answer = it.append("bob", "x", "k");
    let sentence = format!("User bob must hold the ring to append segments to draft {id}");
    it.refused(&before, &answer, 403, "ring_required", &sentence);
    for user in ["bob", "mallory"] {
        let answer = it.pass(user, "bob", "k");
        it.refused(&before, &answer, 403, "forbidden", &format!("User {user} is not ring holder for draft {id}"));
        let answer = it.add(user, "collaborator_id=dave");
        it.refused(&before, &answer, 403, "forbidden", "Only draft creator can add collaborators");
    }
    for stranger in ["mallory", "", "Bob", "bob "] {
        let answer = it.pass("alice", stranger, "k");
        let sentence = format!("Cannot pass ring to {stranger} (not owner or collaborator)");
        it.refused(&before, &answer, 403, "forbidden", &sentence);
    }
    let answer = it.add("alice", "collaborator_id=dave");
    it.refused(&before, &answer, 429, "limit_exceeded", &format!("Collaborator cap reached for draft {id}"));
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("x-ratelimit") || name == "retry-after"));
    for member in ["bob", "carol", "alice"] {
        it.add("alice", &format!("collaborator_id={member}")).expect(200);
    }
    assert_eq!(it.read(), before, "members are welcome beyond the cap, and nothing changes (R15)");

    // None of the refused requests above spent its key.
    it.append("alice", "x", "k").expect(200);
    it.pass("alice", "bob", "k").expect(200);
    it.append("bob", "y", "k").expect(200);
    let after = it.read();
    assert_eq!(after["segments"].as_array().unwrap().len(), 2);
    assert_eq!(after["ring_state"]["holders_history"], json!(["alice", "bob"]));
}

#[test]
fn the_ring_goes_from_hand_to_hand_and_only_its_holder_writes() {
    let server = Server::start();
    let mut it = Draft::new(&server, &["bob", "carol"]);
    it.append("alice", "one", "1").expect(200);
    it.pass("alice", "bob", "1").expect(200);
    it.append("alice", "no", "2").expect_error(403);
    it.append("bob", "two", "1").expect(200);
    it.pass("bob", "carol", "1").expect(200);
    assert_eq!(it.append("alice", "no", "2").expect_error(403).0, "ring_required");
    assert_eq!(it.append("bob", "no", "2").expect_error(403).0, "ring_required");
    it.append("carol", "three", "1").expect(200);
    it.pass("carol", "carol", "1").expect(200);
    it.pass("carol", "alice", "2").expect(200);
    let read = it.read();
    assert_eq!(
        read["ring_state"]["holders_history"],
        json!(["alice", "bob", "carol", "carol", "alice"]),
        "repeats and passes to oneself are kept; the creator may get it back"
    );
    assert_eq!(read["ring_state"]["current_holder_id"], "alice");
    let written: Vec<_> =
        read["segments"].as_array().unwrap().iter().map(|s| (&s["segment_order"], &s["content"])).collect();
    assert_eq!(written, [(&json!(0), &json!("one")), (&json!(1), &json!("two")), (&json!(2), &json!("three"))]);
    assert_eq!(read["segments"][1]["author_display"], BOB);
    assert_eq!(read["metrics"]["contributorsCount"], 3);
}

#[test]
fn a_retry_with_the_same_key_answers_the_draft_as_it_is_now() {
    // Ruling 1: looked up right after 404 and before the permission checks; scoped by draft, actor and operation.
    let server = Server::start();
    let mut it = Draft::new(&server, &["bob"]);
    it.append("alice", "first", "key").expect(200);
    it.pass("alice", "bob", "key").expect(200);
    let state = it.read();
    let replays = [
        it.append("alice", "first", "key"),
        it.append("alice", "different words are ignored", "key"),
        it.pass("alice", "bob", "key"),
        it.pass("alice", "nobody", "key"),
    ];
    for replay in replays {
        let mut data = replay.expect(200)["data"].take();
        assert!(data["metrics"].is_object());
        data["metrics"] = state["metrics"].clone();
        assert_eq!(data, state, "the ring has moved on, and so it is shown");
    }
    assert_eq!(it.append("alice", "new", "other key").expect_error(403).0, "ring_required", "new keys keep their 403");
    assert_eq!(it.pass("alice", "bob", "other key").expect_error(403).0, "forbidden");

    it.append("bob", "another actor has keys of his own", "key").expect(200);
    assert_eq!(it.read()["segments"].as_array().unwrap().len(), 2);
    let mut other = Draft::new(&server, &["bob"]);
    other.append("alice", "so has another draft", "key").expect(200);
    other.pass("alice", "bob", "key").expect(200);
    let read = other.read();
    assert_eq!(read["segments"].as_array().unwrap().len(), 1);
    assert_eq!(read["ring_state"]["current_holder_id"], "bob");
    assert_eq!(other.append("mallory", "x", "key").expect_error(403).0, "forbidden", "a key opens no door");
}

#[test]
fn keys_may_be_empty_or_strange_but_not_over_255_characters() {
    let server = Server::start();
    let mut it = Draft::new(&server, &[]);
    let keys =
        [String::new(), " ".to_owned(), "🖋".repeat(255), "x".repeat(255), "a\u{0}b".to_owned(), "a\u{0}c".to_owned()];
    for (count, key) in keys.iter().enumerate() {
        for _ in 0..2 {
            let data = it.append("alice", "words", key).expect(200)["data"].take();
            assert_eq!(data["segments"].as_array().unwrap().len(), count + 1, "{key:?}");
        }
        it.pass("alice", "alice", key).expect(200);
        it.pass("alice", "alice", key).expect(200);
    }
    let before = it.read();
    assert_eq!(before["ring_state"]["holders_history"].as_array().unwrap().len(), keys.len() + 1);
    let key = "x".repeat(256);
    for answer in [it.append("alice", "words", &key), it.pass("alice", "alice", &key)] {
        let item = &answer.expect(422)["detail"][0];
        assert_eq!(item["type"], "string_too_long");
        assert_eq!(item["loc"], json!(["body", "idempotency_key"]));
        assert_eq!(item["ctx"], json!({ "max_length": 255 }));
    }
    assert_eq!(it.read(), before);
}

#[test]
fn a_new_draft_takes_what_the_contract_takes() {
    let server = Server::start();
    let mut client = server.connect();
    let mut create = |body: Value| client.post(DRAFTS, Some("alice"), &body);
    let platform = |answer: Answer| answer.expect(200)["data"]["platform"].take();
    for free in ["x", "instagram", "tiktok", "youtube", "twitter", "  ", "ÜX"] {
        assert_eq!(platform(create(json!({ "title": "t", "platform": free }))), free);
    }
    assert_eq!(platform(create(json!({ "title": "t", "platform": "" }))), "X", "empty reads back as X");
    for none in [json!(""), json!(null)] {
        let data = create(json!({ "title": "t", "platform": "x", "initial_segment": none })).expect(200)["data"].take();
        assert_eq!(data["segments"], json!([]));
    }
    let unknown = json!({ "title": "t", "platform": "x", "creator_id": "eve", "draft_id": "mine", "status": "locked" });
    let data = create(unknown).expect(200)["data"].take();
    assert_eq!(
        (&data["creator_id"], &data["status"]),
        (&json!("alice"), &json!("active")),
        "unknown fields are ignored"
    );
    assert_ne!(data["draft_id"], "mine");
    for title in [" ".to_owned(), "🖋".repeat(200), "a\u{0}b\r\n\t\u{7f}\u{202e}".to_owned()] {
        let data = create(json!({ "title": title, "platform": "x", "initial_segment": "🖋".repeat(500) }));
        let data = data.expect(200)["data"].take();
        assert_eq!(data["title"], title, "no trimming, lengths are code points (§0.2)");
        assert_eq!(data["segments"][0]["content"], "🖋".repeat(500));
    }
    let bad = json!({ "title": "🖋".repeat(201), "platform": 7, "initial_segment": "x".repeat(501) });
    let detail = create(bad).expect(422)["detail"].take();
    let kinds: Vec<_> = detail.as_array().unwrap().iter().map(|item| (&item["type"], &item["loc"][1])).collect();
    let expected = [
        (json!("string_too_long"), json!("title")),
        (json!("string_type"), json!("platform")),
        (json!("string_too_long"), json!("initial_segment")),
    ];
    assert_eq!(kinds, expected.iter().map(|(kind, loc)| (kind, loc)).collect::<Vec<_>>(), "all problems at once");
    for body in [json!({ "title": "", "platform": "x" }), json!({ "title": null, "platform": "x" })] {
        assert_eq!(create(body).expect(422)["detail"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn content_of_every_kind_is_stored_as_it_came() {
    let server = Server::start();
    let mut it = Draft::new(&server, &[]);
    let sql = "'); DROP TABLE drafts; --";
    let contents =
        ["a\u{0}b", " ", "\u{1}\u{1b}[31m\r\n\"\\/", "e\u{301}\u{200d}🖋\u{ffff}\u{10ffff}", sql, "</script>"];
    for (order, content) in contents.iter().enumerate() {
        it.append("alice", content, content).expect(200);
        assert_eq!(it.read()["segments"][order]["content"], *content);
    }
    it.append("alice", &"🖋".repeat(500), "500").expect(200);
    let before = it.read();
    for content in [String::new(), "🖋".repeat(501)] {
        let item = it.append("alice", &content, "refused").expect(422)["detail"][0].take();
        assert_eq!(item["loc"], json!(["body", "content"]));
    }
    assert_eq!(it.read(), before);
}

#[test]
fn lone_surrogates_are_no_text_and_pairs_are() {
    let server = Server::start();
    let mut client = server.connect();
    let headers = [("X-User-Id", "alice"), ("Content-Type", "application/json")];
    for escape in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\ud800", r"\udc00\ud800"] {
        let body = format!(r#"{{"title":"{escape}","platform":"x"}}"#);
        let answer = client.request("POST", DRAFTS, &headers, body.as_bytes());
        assert_eq!(answer.expect(422)["detail"][0]["type"], "json_invalid", "{escape} (R20c)");
    }
    let answer = client.request("POST", DRAFTS, &headers, br#"{"title":"\ud83d\udd8b","platform":"x"}"#);
    assert_eq!(answer.expect(200)["data"]["title"], "🖋");
    let answer = client.request("POST", DRAFTS, &headers, b"{\"title\":\"\xff\",\"platform\":\"x\"}");
    assert_eq!(answer.expect(422)["detail"][0]["type"], "json_invalid", "a body is UTF-8");
}

#[test]
fn sql_in_any_field_is_only_text() {
    let server = Server::start();
    let sql = "x' OR '1'='1'; DROP TABLE drafts; --";
    let encoded = "x'%20OR%20'1'='1';%20DROP%20TABLE%20drafts;%20--";
    let mut client = server.connect();
    let body = json!({ "title": sql, "platform": sql, "initial_segment": sql });
    let created = client.post(DRAFTS, Some(sql), &body).expect(200)["data"].take();
    assert_eq!(
        (&created["title"], &created["platform"], &created["creator_id"]),
        (&json!(sql), &json!(sql), &json!(sql))
    );
    let path = format!("{DRAFTS}/{}", created["draft_id"].as_str().unwrap());
    client
        .post(&format!("{path}/collaborators?collaborator_id={encoded}2&role={encoded}"), Some(sql), &json!({}))
        .expect(200);
    let pass = json!({ "to_user_id": format!("{sql}2"), "idempotency_key": sql });
    client.post(&format!("{path}/pass-ring"), Some(sql), &pass).expect(200);
    client.get(&format!("{DRAFTS}/{encoded}"), None).expect_error(404);
    assert_eq!(client.get(DRAFTS, Some("x' OR '1'='1")).expect(200), json!({ "data": [], "count": 0 }));
    let read = client.get(&path, None).expect(200)["data"].take();
    assert_eq!(read["ring_state"]["current_holder_id"], format!("{sql}2"));
}

#[test]
fn ids_that_no_draft_has_are_not_found_whatever_they_look_like() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    let mut missing = |id: &str| client.get(&format!("{DRAFTS}/{id}"), None).expect_error(404).1;
    assert_eq!(missing("a%20b%22%3Cscript%3E"), "Draft a b\"<script> not found");
    assert_eq!(missing("%F0%9F%96%8B"), "Draft 🖋 not found", "percent-escapes are decoded into the id");
    assert_eq!(missing("%ff%fe"), "Draft \u{fffd}\u{fffd} not found", "invalid UTF-8 is replaced");
    assert_eq!(missing("%00%0d%0a"), "Draft \u{0}\r\n not found");
    assert_eq!(missing("%zz%"), "Draft %zz% not found");
    assert_eq!(missing(".."), "Draft .. not found", "no path is resolved");
    assert_eq!(missing(&draft.to_uppercase()), format!("Draft {} not found", draft.to_uppercase()));
    let long = missing(&"x".repeat(5000));
    assert_eq!(long, "Nothing has an id of more than 64 bytes");
    assert_eq!(missing(&"x".repeat(64)), format!("Draft {} not found", "x".repeat(64)));
    for no_route in [format!("{draft}/nothing"), format!("{draft}%2Fnothing"), "a/b/c".to_owned(), format!("/{draft}")]
    {
        assert_eq!(missing(&no_route), "Not Found", "{no_route}");
    }
    let escaped: String = draft.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let read = client.get(&format!("{DRAFTS}/{escaped}"), None).expect(200);
    assert_eq!(read["data"]["draft_id"], draft, "an escaped id is the same id");
    // As in the original (§0.5), %2F is a slash before routing.
    let body = json!({ "content": "x", "idempotency_key": "k" });
    client.post(&format!("{DRAFTS}/{draft}%2Fsegments"), Some("alice"), &body).expect(200);
}

#[test]
fn users_are_named_by_1_to_100_characters_without_control_characters() {
    let server = Server::start();
    let mut client = server.connect();
    for name in ["x".repeat(100), "🖋".repeat(100), "a b/c@d.e".to_owned(), "Ünal".to_owned()] {
        let body = json!({ "title": "t", "platform": "x" });
        assert_eq!(client.post(DRAFTS, Some(&name), &body).expect(200)["data"]["creator_id"], name);
    }
    for (name, kind) in [("x".repeat(101), "string_too_long"), ("🖋".repeat(101), "string_too_long")] {
        let answer = client.get(DRAFTS, Some(&name));
        let item = &answer.expect(422)["detail"][0];
        assert_eq!((&item["type"], &item["loc"]), (&json!(kind), &json!(["header", "X-User-Id"])));
    }
    client.send(b"GET /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: \xff\xfe\r\n\r\n");
    assert_eq!(client.answer().expect(422)["detail"][0]["loc"], json!(["header", "X-User-Id"]));
    client.send("GET /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: a\u{85}b\r\n\r\n");
    assert_eq!(client.answer().expect(422)["detail"][0]["type"], "value_error");
}

#[test]
fn names_that_deceive_the_eye_are_refused_when_they_are_new_and_go_on_where_they_are() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let body = json!({ "title": "t", "platform": "x" });
    let escaped = |name: &str| -> String { name.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let add = |name: &str| {
        server.post_as(
            "alice",
            &format!("{DRAFTS}/{draft}/collaborators?collaborator_id={}", escaped(name)),
            &json!({}),
        )
    };
    for name in ["alice\u{200b}", "\u{202e}ecila", "a\u{2062}b", "a\u{e0041}", "\u{115f}", "\u{2800}", "\u{61c}a"] {
        let item = &server.post_as(name, DRAFTS, &body).expect(422)["detail"][0];
        assert_eq!((&item["type"], &item["loc"]), (&json!("value_error"), &json!(["header", "X-User-Id"])), "{name:?}");
        let item = &add(name).expect(422)["detail"][0];
        assert_eq!((&item["type"], &item["loc"]), (&json!("value_error"), &json!(["query", "collaborator_id"])));
    }
    assert_eq!(add(" ").status, 422, "it shows nothing");
    // One from before the rule.
    let old = "old\u{200b}friend";
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.busy_timeout(crate::support::PATIENCE).unwrap();
    let member = "INSERT INTO draft_collaborators (draft, user_id, role, joined_at) SELECT id, ?1, 'x', 1 FROM drafts";
    database.execute(member, [old]).unwrap();
    database.execute("UPDATE drafts SET collaborator_count = collaborator_count + 1", ()).unwrap();
    server.post_as(old, DRAFTS, &body).expect(200);
    assert_eq!(server.get_as(old, DRAFTS).expect(200)["count"], 2);
    add(old).expect(200);
}

#[test]
fn two_different_names_for_one_sender_are_refused() {
    let server = Server::start();
    let mut client = server.connect();
    let answer = client.request("GET", DRAFTS, &[("X-User-Id", "alice"), ("x-user-id", "bob")], b"");
    let item = &answer.expect(422)["detail"][0];
    assert_eq!((&item["type"], &item["loc"]), (&json!("value_error"), &json!(["header", "X-User-Id"])));
    client.request("GET", DRAFTS, &[("X-User-Id", "alice"), ("x-user-id", "alice")], b"").expect(200);
}

#[test]
fn collaborators_are_added_once_by_the_creator_in_order_of_joining() {
    let server = Server::start();
    let mut it = Draft::new(&server, &["zoe", "bob"]);
    let collaborators = |answer: Answer| answer.expect(200)["data"]["collaborators"].take();
    assert_eq!(collaborators(it.add("alice", "collaborator_id=carol&role=viewer")), json!(["zoe", "bob", "carol"]));
    let before = it.read();
    for again in ["collaborator_id=bob", "collaborator_id=carol&role=owner", "collaborator_id=alice"] {
        assert_eq!(collaborators(it.add("alice", again)), json!(["zoe", "bob", "carol"]), "{again}");
    }
    assert_eq!(it.read(), before, "the creator and members are added again to no effect (R15)");
    assert_eq!(collaborators(it.add("alice", "collaborator_id=x&collaborator_id=dave%20%F0%9F%96%8B")), {
        json!(["zoe", "bob", "carol", "dave 🖋"])
    });
    it.pass("alice", "carol", "k").expect(200);
    it.append("carol", "a viewer may hold the ring: roles change nothing", "k").expect(200);
    let path = format!("{}/collaborators?collaborator_id=erin", it.path);
    let headers = [("X-User-Id", "alice"), ("Content-Type", "application/json")];
    assert_eq!(
        it.client.request("POST", &path, &headers, b"{not json").expect(200)["data"]["collaborators"][4],
        "erin"
    );
}

#[test]
fn a_collaborator_whom_nobody_could_be_is_refused() {
    let server = Server::start();
    let mut it = Draft::new(&server, &[]);
    it.add("alice", &format!("collaborator_id={}&role={}", "y".repeat(100), "r".repeat(50))).expect(200);
    let before = it.read();
    let long = format!("collaborator_id={}", "x".repeat(101));
    let role = format!("collaborator_id=bob&role={}", "r".repeat(51));
    for (query, kind, name) in [
        ("collaborator_id=", "string_too_short", "collaborator_id"),
        (long.as_str(), "string_too_long", "collaborator_id"),
        ("collaborator_id=a%00b", "value_error", "collaborator_id"),
        ("collaborator_id=a%0D%0Ab", "value_error", "collaborator_id"),
        ("collaborator_id=%ff", "value_error", "collaborator_id"),
        (role.as_str(), "string_too_long", "role"),
        ("role=contributor", "missing", "collaborator_id"),
    ] {
        let detail = it.add("alice", query).expect(422)["detail"].take();
        assert_eq!(detail.as_array().unwrap().len(), 1, "{detail}");
        assert_eq!((&detail[0]["type"], &detail[0]["loc"]), (&json!(kind), &json!(["query", name])), "{query}");
    }
    assert_eq!(it.read(), before);
}

#[test]
fn segments_and_passes_are_taken_up_to_their_caps_and_retries_beyond_them() {
    let server = Server::with(&[("MAX_SEGMENTS_PER_DRAFT", "2"), ("MAX_PASSES_PER_DRAFT", "1")]);
    let mut it = Draft::new(&server, &["bob"]);
    for key in ["1", "2"] {
        it.append("alice", "words", key).expect(200);
    }
    let before = it.read();
    let id = it.id.clone();
    let answer = it.append("alice", "words", "3");
    it.refused(&before, &answer, 429, "limit_exceeded", &format!("Segment cap reached for draft {id}"));
    it.append("alice", "words", "2").expect(200);
    let answer = it.append("bob", "words", "3");
    let sentence = format!("User bob must hold the ring to append segments to draft {id}");
    it.refused(&before, &answer, 403, "ring_required", &sentence);
    it.pass("alice", "bob", "1").expect(200);
    let before = it.read();
    let answer = it.pass("bob", "alice", "1");
    it.refused(&before, &answer, 429, "limit_exceeded", &format!("Pass cap reached for draft {id}"));
    it.pass("alice", "bob", "1").expect(200);
    assert_eq!(it.read(), before);
}

#[test]
fn a_list_holds_the_drafts_one_belongs_to_oldest_first() {
    let server = Server::start();
    assert_eq!(server.get_as("alice", DRAFTS).text(), r#"{"data":[],"count":0}"#);
    let mut shared = Draft::new(&server, &["bob"]);
    let mut written = Draft::new(&server, &["bob", "carol"]);
    let own = server.create_draft("bob");
    server.create_draft("mallory");
    written.pass("alice", "carol", "1").expect(200);
    written.append("carol", "words", "1").expect(200);
    shared.append("alice", "later", "1").expect(200);
    let ids = |user: &str, query: &str| {
        let body = server.get_as(user, &format!("{DRAFTS}{query}")).expect(200);
        let ids: Vec<_> =
            body["data"].as_array().unwrap().iter().map(|d| d["draft_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(body["count"], ids.len());
        assert_eq!(body.as_object().unwrap().len(), 2, "a whole list says no more than the original's");
        ids
    };
    assert_eq!(ids("alice", ""), [shared.id.clone(), written.id.clone()]);
    assert_eq!(
        ids("bob", "?user_id=alice&now=x"),
        [shared.id.clone(), written.id.clone(), own.clone()],
        "no such parameters"
    );
    assert_eq!(ids("carol", ""), [written.id.clone()]);
    assert_eq!(ids("bob", &format!("?before={own}")), [shared.id.clone(), written.id.clone()]);
    assert_eq!(ids("bob", &format!("?before={}", shared.id)), [""; 0]);
    assert_eq!(ids("bob", "?before="), ids("bob", ""), "an empty before is none");
    let (code, message) = server.get_as("bob", &format!("{DRAFTS}?before=nowhere")).expect_error(400);
    assert_eq!((code.as_str(), message.as_str()), ("validation_error", "Unknown draft in 'before' parameter"));
}

#[test]
fn a_long_list_comes_in_pages_without_gap_or_repeat() {
    const MAX: usize = 500;
    let server = Server::start();
    let mut client = server.connect();
    let body = r#"{"title":"t","platform":"x"}"#;
    let request = format!(
        "POST {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut created = Vec::new();
    for _ in 0..MAX + 2 {
        client.send(&request);
        created.push(client.answer().expect(200)["data"]["draft_id"].as_str().unwrap().to_owned());
    }
    let page = |client: &mut Client, query: &str| {
        let mut body = client.get(&format!("{DRAFTS}{query}"), Some("alice")).expect(200);
        let ids: Vec<_> = body["data"]
            .take()
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["draft_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(body["count"], ids.len());
        (ids, body)
    };
    let (newest, body) = page(&mut client, "");
    assert_eq!(newest, created[2..], "the newest, oldest first");
    assert_eq!((&body["truncated"], &body["next_before"]), (&json!(true), &json!(created[2])));
    let (rest, body) = page(&mut client, &format!("?before={}", created[2]));
    assert_eq!(rest, created[..2]);
    assert_eq!(body.get("truncated"), None, "the last page says that it is the last by saying nothing");
    assert_eq!(page(&mut client, &format!("?before={}", created[MAX])).0, created[..MAX], "exactly a page is no part");
    assert_eq!(created.iter().collect::<BTreeSet<_>>().len(), MAX + 2);
}

#[test]
fn a_list_is_bounded_in_bytes_as_well() {
    // 2 000 segments of 2 000 bytes make two drafts more than LIST_MAX_BYTES (8 MiB) and one draft less.
    let mut server = Server::start();
    let ids: Vec<_> = (0..3).map(|_| server.create_draft("alice")).collect();
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database
        .execute_batch(
            "WITH RECURSIVE n (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM n WHERE at < 1999)
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at)
             SELECT d.id, n.at, 'an-id', 'alice', printf('%.2000c', 'x'), d.created_at FROM drafts AS d, n;
             UPDATE drafts SET segment_count = 2000, event_seq = event_seq + 1;",
        )
        .unwrap();
    drop(database);
    server.launch();
    let body = server.get_as("alice", DRAFTS).expect(200);
    assert_eq!((&body["count"], &body["truncated"], &body["next_before"]), (&json!(2), &json!(true), &json!(ids[1])));
    assert_eq!((&body["data"][0]["draft_id"], &body["data"][1]["draft_id"]), (&json!(ids[1]), &json!(ids[2])));
    let rest = server.get_as("alice", &format!("{DRAFTS}?before={}", ids[1])).expect(200);
    assert_eq!((&rest["count"], &rest["data"][0]["draft_id"]), (&json!(1), &json!(ids[0])));
}

#[test]
fn one_key_sent_on_many_connections_at_once_is_spent_once() {
    let server = Server::start();
    let mut it = Draft::new(&server, &["bob"]);
    let all_at_once = |path: String, body: Value| {
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        let body = body.to_string();
        for client in &mut clients {
            client.send(format!(
                "POST {path} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
        }
        clients.iter_mut().map(|client| client.answer().status).collect::<Vec<_>>()
    };
    let append = json!({ "content": "once", "idempotency_key": "k" });
    assert_eq!(all_at_once(format!("{}/segments", it.path), append), [200; 8]);
    let pass = json!({ "to_user_id": "bob", "idempotency_key": "k" });
    assert_eq!(all_at_once(format!("{}/pass-ring", it.path), pass), [200; 8]);
    let read = it.read();
    assert_eq!(read["segments"].as_array().unwrap().len(), 1);
    assert_eq!(read["ring_state"]["holders_history"], json!(["alice", "bob"]));
}

#[test]
fn of_many_passes_at_once_one_moves_the_ring() {
    // G3: whoever is second is no holder any more, and nobody's segment gets between or is lost.
    let server = Server::start();
    let names = ["bob", "carol", "dave", "erin"];
    let mut it = Draft::new(&server, &names);
    let mut clients: Vec<_> = names.iter().map(|_| server.connect()).collect();
    for (client, to) in clients.iter_mut().zip(names) {
        let body = json!({ "to_user_id": to, "idempotency_key": to }).to_string();
        client.send(format!(
            "POST {}/pass-ring HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {}\r\n\r\n{body}",
            it.path,
            body.len()
        ));
    }
    let mut statuses: Vec<_> = clients.iter_mut().map(|client| client.answer().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403, 403, 403]);
    let ring = it.read()["ring_state"].take();
    assert_eq!(ring["holders_history"].as_array().unwrap().len(), 2);
    assert_eq!(ring["holders_history"][1], ring["current_holder_id"]);
}

/// How many rows each table holds.
fn rows(server: &Server) -> Vec<(String, i64)> {
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let tables = inkring::store::tables(
        &inkring::store::open_read_only(&server.database(), &inkring::features::schema()).unwrap(),
    )
    .unwrap();
    let count = |table: &String| database.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0));
    tables.iter().map(|table| (table.clone(), count(table).unwrap())).collect()
}

#[test]
fn refusals_and_replays_write_no_row_and_no_event() {
    let server = Server::with(&[("MAX_COLLABORATORS_PER_DRAFT", "1")]);
    let mut it = Draft::new(&server, &["bob"]);
    it.append("alice", "words", "k").expect(200);
    it.pass("alice", "bob", "k").expect(200);
    let before = rows(&server);
    assert!(before.contains(&("events".to_owned(), 4)), "created, joined, written, passed: {before:?}");
    assert!(before.contains(&("idempotency_keys".to_owned(), 2)), "{before:?}");
    let statuses = [
        it.append("alice", "words", "k"),
        it.pass("alice", "bob", "k"),
        it.add("alice", "collaborator_id=bob&role=viewer"),
        it.add("alice", "collaborator_id=alice"),
        it.append("alice", "words", "new"),
        it.append("eve", "words", "k"),
        it.append("bob", "", "new"),
        it.pass("alice", "bob", "new"),
        it.pass("bob", "eve", "new"),
        it.add("alice", "collaborator_id=carol"),
        it.add("bob", "collaborator_id=carol"),
        it.client.post(DRAFTS, Some("alice"), &json!({ "title": "", "platform": "x" })),
        it.client.post(
            &format!("{DRAFTS}/nowhere/segments"),
            Some("alice"),
            &json!({ "content": "x", "idempotency_key": "k" }),
        ),
    ]
    .map(|answer| answer.status);
    assert_eq!(statuses, [200, 200, 200, 200, 403, 403, 422, 403, 403, 429, 403, 422, 404]);
    assert_eq!(rows(&server), before, "G4, R15");
}
