//! Versions of drafts on the wire: `ETag` and the conditions that go by it, and receipts instead of drafts.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Server};

const DRAFTS: &str = "/v1/collab/drafts";
const MINIMAL: (&str, &str) = ("Prefer", "return=minimal");

/// A draft of alice's with bob, and one connection to it.
struct Draft {
    client: Client,
    id: String,
    path: String,
}

impl Draft {
    fn new(server: &Server) -> Self {
        let id = server.create_draft("alice");
        let path = format!("{DRAFTS}/{id}");
        let mut draft = Self { client: server.connect(), id, path };
        draft.add("bob", &[]).expect(200);
        draft
    }

    fn send(&mut self, user: &str, what: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<_> = [("X-User-Id", user)].iter().chain(headers).copied().collect();
        self.client.request("POST", &format!("{}/{what}", self.path), &headers, body.to_string().as_bytes())
    }

    fn append(&mut self, key: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("alice", "segments", headers, &json!({ "content": key, "idempotency_key": key }))
    }

    fn pass(&mut self, (from, to): (&str, &str), key: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(from, "pass-ring", headers, &json!({ "to_user_id": to, "idempotency_key": key }))
    }

    fn add(&mut self, user: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("alice", &format!("collaborators?collaborator_id={user}"), headers, &Value::Null)
    }

    fn read(&mut self, headers: &[(&str, &str)]) -> Answer {
        self.client.request("GET", &self.path.clone(), headers, b"")
    }
}

#[track_caller]
fn tag(answer: &Answer) -> &str {
    let tags: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "etag").collect();
    assert_eq!(tags.len(), 1, "{:?}", answer.headers);
    &tags[0].1
}

#[test]
fn every_answer_that_shows_a_draft_names_its_version() {
    let server = Server::start();
    let created = server.post_as("alice", DRAFTS, &json!({ "title": "t", "platform": "x" }));
    assert_eq!(tag(&created), "\"1\"");
    let mut it = Draft::new(&server);
    assert_eq!(tag(&it.append("a", &[])), "\"3\"");
    assert_eq!(tag(&it.append("a", &[])), "\"3\"", "a replay shows the draft as it is");
    assert_eq!(tag(&it.pass(("alice", "bob"), "p", &[])), "\"4\"");
    assert_eq!(tag(&it.append("a", &[])), "\"4\"");
    assert_eq!(tag(&it.add("bob", &[])), "\"4\"", "who is there already changes nothing");
    let read = it.read(&[]);
    assert_eq!((read.status, tag(&read)), (200, "\"4\""));
    let path = it.path.clone();
    assert_eq!(tag(&it.client.request("HEAD", &path, &[], b"")), "\"4\"");
    assert_eq!(server.get_as("alice", DRAFTS).header("etag"), None, "a list is of many");
    let origin = ("Origin", "http://localhost:3000");
    let exposed = it.read(&[origin]).header("access-control-expose-headers").unwrap().to_owned();
    assert!(exposed.contains("etag") && exposed.contains("preference-applied"), "{exposed}");
}

#[test]
fn who_has_the_version_is_told_so_and_nothing_more() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    // Once before the shard has seen the draft, and once when it has it rendered.
    for _ in 0..2 {
        let same = it.read(&[("If-None-Match", "\"2\"")]);
        assert_eq!((same.status, tag(&same), &*same.body), (304, "\"2\"", &b""[..]));
        for same in ["W/\"2\"", "\"1\", \"2\"", "*"] {
            assert_eq!(it.read(&[("If-None-Match", same)]).status, 304, "{same}");
        }
        for other in ["\"1\"", "\"22\"", "2", "", "\"\""] {
            let answer = it.read(&[("If-None-Match", other)]);
            assert_eq!((answer.status, tag(&answer)), (200, "\"2\""), "{other}");
        }
    }
    it.append("a", &[]).expect(200);
    assert_eq!(it.read(&[("If-None-Match", "\"2\"")]).status, 200);
    assert_eq!(it.read(&[("If-None-Match", "\"3\"")]).status, 304);
    // The version is the draft's: metrics go on by themselves.
    let path = format!("{}?now=2100-01-01", it.path);
    assert_eq!(it.client.request("GET", &path, &[("If-None-Match", "\"3\"")], b"").status, 304);
    let head = it.client.request("HEAD", &it.path.clone(), &[("If-None-Match", "\"3\"")], b"");
    assert_eq!((head.status, tag(&head)), (304, "\"3\""));
    let nowhere = it.client.request("GET", &format!("{DRAFTS}/nowhere"), &[("If-None-Match", "*")], b"");
    nowhere.expect_error(404);
}

#[test]
fn a_change_to_another_version_than_its_sender_knows_is_refused() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let stale = [("If-Match", "\"1\"")];
    let before = it.read(&[]).json();
    let refused = [it.append("a", &stale), it.pass(("alice", "bob"), "p", &stale), it.add("carol", &stale)];
    for answer in refused {
        let (code, message) = answer.expect_error(412);
        assert_eq!(code, "stale_version");
        assert!(message.contains("version 2"), "{message}");
        assert_eq!((tag(&answer), &answer.json()["error"]["current_version"]), ("\"2\"", &json!(2)));
    }
    assert_eq!(it.read(&[]).json()["data"]["segments"], before["data"]["segments"], "G4");
    for weak in ["W/\"2\"", "2", "", "\"3\", \"1\""] {
        it.append("a", &[("If-Match", weak)]).expect_error(412);
    }
    it.append("a", &[("If-Match", "\"2\"")]).expect(200);
    it.append("b", &[("If-Match", "\"7\", \"3\"")]).expect(200);
    it.append("c", &[("If-Match", "*")]).expect(200);
    it.append("d", &[]).expect(200);
    // After the replay, and before what the sender may do.
    assert_eq!(tag(&it.append("a", &[("If-Match", "\"2\"")])), "\"6\"");
    it.pass(("alice", "bob"), "p", &[("If-Match", "\"6\"")]).expect(200);
    it.append("new", &[("If-Match", "\"6\"")]).expect_error(412);
    assert_eq!(it.append("new", &[("If-Match", "\"7\"")]).expect_error(403).0, "ring_required");
    it.pass(("alice", "bob"), "p", &[("If-Match", "\"6\"")]).expect(200);
}

#[test]
fn of_two_writers_who_know_the_same_version_one_writes() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let body = json!({ "content": "x", "idempotency_key": number.to_string() }).to_string();
        client.send(format!(
            "POST {}/segments HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nIf-Match: \"2\"\r\nContent-Length: {}\r\n\r\n{body}",
            it.path,
            body.len()
        ));
    }
    let mut statuses: Vec<_> = clients.iter_mut().map(|client| client.answer().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    assert_eq!(it.read(&[]).json()["data"]["segments"].as_array().unwrap().len(), 1);
}

#[test]
fn a_receipt_says_what_was_done_and_the_same_again() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let first = it.append("a", &[MINIMAL]);
    let receipt = first.expect(200);
    assert_eq!((first.header("preference-applied"), tag(&first)), (Some("return=minimal"), "\"3\""));
    let shown = it.read(&[]).json()["data"]["segments"][0].clone();
    let data = &receipt["data"];
    assert_eq!(data.as_object().unwrap().len(), 6);
    assert_eq!((&data["draft_id"], &data["version"]), (&json!(it.id), &json!(3)));
    assert_eq!((&data["segment_id"], &data["segment_order"]), (&shown["segment_id"], &json!(0)));
    assert!(["content_sha256", "chain_sha256"].iter().all(|name| data[name].as_str().unwrap().len() == 64));

    let second = it.append("b", &[MINIMAL]).expect(200);
    assert_eq!((&second["data"]["segment_order"], &second["data"]["version"]), (&json!(1), &json!(4)));
    let passed = it.pass(("alice", "bob"), "p", &[MINIMAL]);
    let receipt_of_pass = passed.expect(200);
    assert_eq!(passed.header("preference-applied"), Some("return=minimal"));
    let nothing = json!({ "draft_id": it.id, "segment_id": null, "segment_order": null, "version": 5,
                          "content_sha256": null, "chain_sha256": null });
    assert_eq!(receipt_of_pass, json!({ "data": nothing }));

    // Whatever happened since, and whoever has the ring now.
    for _ in 0..2 {
        let again = it.append("a", &[MINIMAL]);
        assert_eq!((again.expect(200), tag(&again)), (receipt.clone(), "\"3\""));
        assert_eq!(it.append("b", &[MINIMAL]).expect(200), second);
        assert_eq!(it.pass(("alice", "bob"), "p", &[MINIMAL]).expect(200), receipt_of_pass);
    }
    // The preference is of the request and not of the key.
    let whole = it.append("a", &[]);
    assert_eq!(whole.header("preference-applied"), None);
    assert_eq!(whole.expect(200)["data"]["segments"].as_array().unwrap().len(), 2);
    // Refusals are what they are.
    assert_eq!(it.append("new", &[MINIMAL]).expect_error(403).0, "ring_required");
}

#[test]
fn another_preference_is_not_applied() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    for (number, prefer) in ["return=representation, return=minimal", "respond-async", "minimal"].iter().enumerate() {
        let answer = it.append(&number.to_string(), &[("Prefer", prefer)]);
        assert_eq!(answer.header("preference-applied"), None, "{prefer}");
        assert!(answer.expect(200)["data"]["segments"].is_array());
    }
    let answer = it.append("several", &[("Prefer", "respond-async"), ("Prefer", "wait=10, RETURN=\"minimal\";a=b")]);
    assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
}

#[test]
fn a_key_of_an_older_version_has_no_receipt() {
    let mut server = Server::start();
    let mut it = Draft::new(&server);
    it.append("a", &[]).expect(200);
    server.kill();
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute("UPDATE idempotency_keys SET version = NULL, segment_order = NULL", []).unwrap();
    drop(database);
    server.launch();
    it.client = server.connect();
    let answer = it.append("a", &[MINIMAL]);
    assert_eq!(answer.header("preference-applied"), None, "so the client knows that this is the draft");
    assert_eq!(answer.expect(200)["data"]["segments"].as_array().unwrap().len(), 1);
}
