//! Members leave and are removed, drafts change hands, are locked, and rings taken back: every status of every one of
//! these requests, what is told of it, and what is left.

use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::socket::Socket;
use crate::support::{Answer, Client, Server};

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
        let path = format!("/v1/collab/drafts/{id}");
        let mut draft = Self { client: server.connect(), id, path };
        collaborators.iter().for_each(|user| _ = draft.add(user).expect(200));
        draft
    }

    fn ask(&mut self, method: &str, user: &str, what: &str, body: &Value) -> Answer {
        let headers = [("X-User-Id", user), ("Content-Type", "application/json")];
        self.client.request(method, &format!("{}{what}", self.path), &headers, body.to_string().as_bytes())
    }

    fn post(&mut self, user: &str, what: &str, body: &Value) -> Answer {
        self.ask("POST", user, what, body)
    }

    fn add(&mut self, user: &str) -> Answer {
        self.post("alice", &format!("/collaborators?collaborator_id={user}"), &json!({}))
    }

    fn append(&mut self, user: &str, key: &str) -> Answer {
        self.post(user, "/segments", &json!({ "content": key, "idempotency_key": key }))
    }

    fn pass(&mut self, user: &str, to: &str, key: &str) -> Answer {
        self.post(user, "/pass-ring", &json!({ "to_user_id": to, "idempotency_key": key }))
    }

    /// A change that needs nothing but a key.
    fn keyed(&mut self, user: &str, what: &str, key: &str) -> Answer {
        self.post(user, what, &json!({ "idempotency_key": key }))
    }

    fn part(&mut self, user: &str, whom: &str) -> Answer {
        self.client.request("DELETE", &format!("{}/collaborators/{whom}", self.path), &[("X-User-Id", user)], b"")
    }

    fn read(&mut self) -> Value {
        self.client.get(&format!("{}?now=2100-01-01", self.path), None).expect(200)["data"].take()
    }

    /// Type and data of the newest events, the oldest of them first.
    fn newest_events(&mut self, count: usize) -> Vec<(String, Value)> {
        let events = self.client.get(&format!("{}/events?limit=1000", self.path), None).expect(200);
        let events = events["data"].as_array().unwrap().clone();
        let newest = events.into_iter().rev().take(count).map(|mut event| {
            let data = event["data"].take();
            (event["type"].as_str().unwrap().to_owned(), data)
        });
        let mut newest: Vec<_> = newest.collect();
        newest.reverse();
        newest
    }

    /// Holds a refusal to its status, code and message, and to having changed nothing (G4).
    #[track_caller]
    fn refused(&mut self, answer: &Answer, before: &Value, (status, code): (u16, &str), message: &str) {
        assert_eq!(answer.expect_error(status), (code.to_owned(), message.to_owned()));
        assert_eq!(&self.read(), before, "a refused request changes nothing");
    }
}

#[test]
fn a_member_leaves_and_its_ring_goes_to_the_creator() {
    let server = Server::start();
    let mut draft = Draft::new(&server, &["bob", "carol"]);
    draft.append("alice", "one").expect(200);
    draft.pass("alice", "bob", "1").expect(200);
    draft.append("bob", "two").expect(200);
    let left = draft.part("bob", "me");
    assert_eq!((left.status, left.body.len()), (204, 0));
    let shown = draft.read();
    assert_eq!(shown["collaborators"], json!(["carol"]));
    assert_eq!(shown["ring_state"]["current_holder_id"], "alice");
    assert_eq!(shown["ring_state"]["holders_history"], json!(["alice", "bob", "alice"]));
    assert_eq!(shown["segments"][1]["user_id"], "bob", "what was written stays");
    let [passed, removed] = <[_; 2]>::try_from(draft.newest_events(2)).unwrap();
    let data = &passed.1;
    assert_eq!(passed.0, "collab.ring_passed");
    assert_eq!(
        [&data["from_user_id"], &data["to_user_id"], &data["reason"]],
        [&json!("bob"), &json!("alice"), &json!("left")]
    );
    let data = json!({ "draft_id": draft.id, "collaborator_id": "bob", "reason": "left" });
    assert_eq!(removed, ("collab.collaborator_removed".to_owned(), data));
    // Who does not hold the ring leaves it where it is.
    assert_eq!(draft.part("carol", "carol").status, 204);
    assert_eq!(draft.read()["ring_state"]["holders_history"], json!(["alice", "bob", "alice"]));
    let before = draft.read();
    let again = draft.part("bob", "me");
    let message = format!("User bob is not owner/collaborator for draft {}", draft.id);
    draft.refused(&again, &before, (403, "forbidden"), &message);
    // One who comes back is the last to have joined.
    draft.add("carol").expect(200);
    draft.add("bob").expect(200);
    assert_eq!(draft.read()["collaborators"], json!(["carol", "bob"]));
    Ledger::open(&server.database()).audit();
}

#[test]
fn the_creator_removes_and_cannot_leave() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut draft = Draft::new(&server, &["bob", "carol"]);
    draft.pass("alice", "bob", "1").expect(200);
    let removed = draft.part("alice", "bob").expect(200);
    assert_eq!(removed["data"]["collaborators"], json!(["carol"]));
    assert_eq!(removed["data"]["ring_state"]["current_holder_id"], "alice");
    assert_eq!(draft.newest_events(2)[0].1["reason"], "removed");
    let before = draft.read();
    let id = draft.id.clone();
    let stays = format!("The creator cannot leave draft {id}; transfer it first");
    for whom in ["me", "alice"] {
        let answer = draft.part("alice", whom);
        draft.refused(&answer, &before, (409, "creator_cannot_leave"), &stays);
    }
    let answer = draft.part("alice", "bob");
    let message = format!("User bob is not a collaborator of draft {id}");
    draft.refused(&answer, &before, (404, "not_found"), &message);
    let answer = draft.part("carol", "alice");
    let message = format!("User carol is not the creator of draft {id}");
    draft.refused(&answer, &before, (403, "forbidden"), &message);
    let nobody = draft.client.request("DELETE", &format!("{}/collaborators/me", draft.path), &[], b"");
    assert_eq!(nobody.status, 401);
    let unknown =
        draft.client.request("DELETE", "/v1/collab/drafts/none/collaborators/me", &[("X-User-Id", "bob")], b"");
    assert_eq!(unknown.expect_error(404).0, "not_found");
    let ledger = Ledger::open(&server.database());
    ledger.audit();
    let rows: Vec<String> =
        ledger.column("SELECT user_id || metadata FROM audit_events WHERE action = 'collab.remove_collaborator'", []);
    assert_eq!(rows, [r#"alice{"collaborator_id":"bob","ring_to":"alice","by":"user"}"#]);
}

#[test]
fn a_draft_is_handed_over_and_the_ring_stays_where_it_is() {
    let server = Server::start();
    let mut draft = Draft::new(&server, &["bob", "carol"]);
    draft.pass("alice", "carol", "1").expect(200);
    let body = json!({ "to_user_id": "bob", "idempotency_key": "t" });
    let handed = draft.post("alice", "/transfer", &body).expect(200);
    let shown = &handed["data"];
    assert_eq!((&shown["creator_id"], &shown["collaborators"]), (&json!("bob"), &json!(["alice", "carol"])));
    assert_eq!(shown["ring_state"]["holders_history"], json!(["alice", "carol"]), "alice had it first");
    let data = json!({ "draft_id": draft.id, "from_user_id": "alice", "to_user_id": "bob" });
    assert_eq!(draft.newest_events(1), [("collab.draft_transferred".to_owned(), data)]);
    let before = draft.read();
    draft.post("alice", "/transfer", &body).expect(200);
    assert_eq!(draft.read(), before, "a retry changes nothing, though alice may not any more");
    let id = draft.id.clone();
    let refused = draft.post("alice", "/transfer", &json!({ "to_user_id": "bob", "idempotency_key": "u" }));
    let message = format!("User alice is not the creator of draft {id}");
    draft.refused(&refused, &before, (403, "forbidden"), &message);
    let refused = draft.post("bob", "/transfer", &json!({ "to_user_id": "mallory", "idempotency_key": "u" }));
    let message = "Cannot transfer draft to mallory (not owner or collaborator)";
    draft.refused(&refused, &before, (403, "forbidden"), message);
    draft.post("bob", "/transfer", &json!({ "to_user_id": "bob", "idempotency_key": "u" })).expect(200);
    assert_eq!(draft.read(), before, "to oneself it is no change");
    assert_eq!(
        draft.post("bob", "/transfer", &json!({ "to_user_id": "carol" })).expect_error(422).0,
        "validation_error"
    );
    // The old creator is a member like others, and the new one decides.
    assert_eq!(draft.part("alice", "me").status, 204);
    assert_eq!(draft.part("bob", "me").expect_error(409).0, "creator_cannot_leave");
    assert_eq!(draft.part("bob", "carol").expect(200)["data"]["ring_state"]["current_holder_id"], "bob");
    draft.append("bob", "mine").expect(200);
    Ledger::open(&server.database()).audit();
}

#[test]
fn a_locked_draft_takes_no_appends_and_passing_goes_on() {
    let server = Server::start();
    let mut draft = Draft::new(&server, &["bob"]);
    let locked = draft.keyed("alice", "/lock", "l").expect(200);
    assert_eq!(locked["data"]["status"], "locked");
    assert_eq!(draft.newest_events(1)[0].0, "collab.draft_locked");
    let before = draft.read();
    let id = draft.id.clone();
    let answer = draft.append("alice", "late");
    draft.refused(&answer, &before, (409, "draft_locked"), &format!("Draft {id} is locked and takes no segments"));
    let answer = draft.append("bob", "late");
    let message = format!("User bob must hold the ring to append segments to draft {id}");
    draft.refused(&answer, &before, (403, "ring_required"), &message);
    draft.keyed("alice", "/lock", "m").expect(200);
    assert_eq!(draft.read(), before, "it is locked already");
    let receipt = |draft: &mut Draft| {
        let body = json!({ "idempotency_key": "n" }).to_string();
        let headers = [("X-User-Id", "alice"), ("Prefer", "return=minimal")];
        let path = format!("{}/lock", draft.path);
        draft.client.request("POST", &path, &headers, body.as_bytes()).expect(200)["data"]["version"].clone()
    };
    let version = draft.client.get(&draft.path, None).header("etag").unwrap().trim_matches('"').to_owned();
    for again in ["what changes nothing has the version that there is", "and so has its replay"] {
        assert_eq!(receipt(&mut draft).to_string(), version, "{again}");
    }
    let answer = draft.keyed("bob", "/unlock", "l");
    let message = format!("User bob is not the creator of draft {id}");
    draft.refused(&answer, &before, (403, "forbidden"), &message);
    draft.pass("alice", "bob", "1").expect(200);
    assert_eq!(draft.keyed("alice", "/unlock", "l").expect(200)["data"]["status"], "active");
    assert_eq!(draft.newest_events(1)[0].0, "collab.draft_unlocked");
    draft.append("bob", "at last").expect(200);
    assert_eq!(
        draft.keyed("alice", "/lock", "l").expect(200)["data"]["status"],
        "active",
        "a retry, and not once more"
    );
    assert_eq!(draft.post("alice", "/lock", &json!({})).expect_error(422).0, "validation_error");
    Ledger::open(&server.database()).audit();
}

#[test]
fn a_silent_holder_loses_the_ring_when_the_lease_is_over() {
    let server = Server::start();
    let mut draft = Draft::new(&server, &["bob"]);
    let id = draft.id.clone();
    let before = draft.read();
    let answer = draft.keyed("alice", "/reclaim-ring", "r");
    let message = format!("The creator of draft {id} has the ring already");
    draft.refused(&answer, &before, (409, "ring_already_held"), &message);
    draft.pass("alice", "bob", "1").expect(200);
    let before = draft.read();
    let answer = draft.keyed("alice", "/reclaim-ring", "r");
    draft.refused(&answer, &before, (409, "no_ring_lease"), &format!("The ring of draft {id} has no lease"));
    draft.ask("PUT", "alice", "/lease", &json!({ "seconds": 3600 })).expect(200);
    let answer = draft.keyed("alice", "/reclaim-ring", "r");
    assert_eq!(answer.expect_error(409).0, "ring_lease_active");
    let left = answer.json()["error"]["seconds_left"].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(answer.header("retry-after"), Some(left.to_string().as_str()));
    let answer = draft.keyed("bob", "/reclaim-ring", "r");
    assert_eq!(answer.expect_error(403).0, "forbidden");
    // An hour ago bob was heard of last: nobody waits for it here.
    let hours_ago = |hours: i64| {
        let database = rusqlite::Connection::open(server.database()).unwrap();
        let sql =
            "UPDATE drafts SET updated_at = updated_at - ?1 * 3600000000, passed_at = passed_at - ?1 * 3600000000";
        database.execute(sql, [hours]).unwrap();
    };
    hours_ago(1);
    let taken = draft.keyed("alice", "/reclaim-ring", "r").expect(200);
    assert_eq!(taken["data"]["ring_state"]["holders_history"], json!(["alice", "bob", "alice"]));
    let (kind, data) = draft.newest_events(1).remove(0);
    assert_eq!(
        (kind.as_str(), &data["reason"], &data["from_user_id"]),
        ("collab.ring_passed", &json!("lease"), &json!("bob"))
    );
    draft.pass("alice", "bob", "2").expect(200);
    let before = draft.read();
    draft.keyed("alice", "/reclaim-ring", "r").expect(200);
    assert_eq!(draft.read(), before, "a retry takes nothing once more");
    // A sign of life begins the lease anew.
    hours_ago(1);
    draft.append("bob", "still here").expect(200);
    assert_eq!(draft.keyed("alice", "/reclaim-ring", "s").expect_error(409).0, "ring_lease_active");
    draft.ask("PUT", "alice", "/lease", &json!({ "seconds": 0 })).expect(200);
    assert_eq!(draft.keyed("alice", "/reclaim-ring", "s").expect_error(409).0, "no_ring_lease");
}

#[test]
fn a_draft_has_a_lease_of_its_own_if_its_creator_says_so() {
    let server = Server::with(&[("RING_LEASE_SECONDS", "60")]);
    let mut draft = Draft::new(&server, &["bob"]);
    let lease = |draft: &mut Draft| {
        let shown = draft.client.get(&format!("{}?include=lease", draft.path), None).expect(200);
        shown["data"]["lease"].clone()
    };
    let updated_at = draft.read()["updated_at"].clone();
    assert_eq!(draft.read().get("lease"), None, "only to those who ask for it");
    let of_server = lease(&mut draft);
    assert_eq!((&of_server["seconds"], &of_server["set_by"]), (&json!(60), &json!("server")));
    assert_eq!((&of_server["silent_since"], &of_server["reclaim_from"]), (&updated_at, &Value::Null));
    draft.pass("alice", "bob", "1").expect(200);
    assert!(lease(&mut draft)["reclaim_from"].is_string(), "now there is somebody to take it back from");
    draft.ask("PUT", "alice", "/lease", &json!({ "seconds": 31_536_000 })).expect(200);
    let own = lease(&mut draft);
    assert_eq!((&own["seconds"], &own["set_by"]), (&json!(31_536_000), &json!("draft")));
    let data = json!({ "draft_id": draft.id, "seconds": 31_536_000 });
    assert_eq!(draft.newest_events(1), [("collab.lease_set".to_owned(), data)]);
    let before = draft.newest_events(100).len();
    draft.ask("PUT", "alice", "/lease", &json!({ "seconds": 31_536_000 })).expect(200);
    assert_eq!(draft.newest_events(100).len(), before, "it has this lease already");
    assert_eq!(draft.ask("PUT", "bob", "/lease", &json!({ "seconds": 1 })).expect_error(403).0, "forbidden");
    for wrong in [json!({}), json!({ "seconds": -1 }), json!({ "seconds": 31_536_001 }), json!({ "seconds": "soon" })] {
        assert_eq!(draft.ask("PUT", "alice", "/lease", &wrong).expect_error(422).0, "validation_error", "{wrong}");
    }
}

#[test]
fn who_may_read_no_longer_is_told_and_closed_at_once() {
    for public_read in ["false", "true"] {
        let server = Server::with(&[("DRAFTS_PUBLIC_READ", public_read)]);
        let mut draft = Draft::new(&server, &["bob", "carol"]);
        let mut sockets = ["alice", "bob", "bob", "carol"].map(|user| Socket::watch(&server, &draft.id, user));
        draft.part("alice", "bob").expect(200);
        for (user, socket) in ["alice", "bob", "bob", "carol"].into_iter().zip(&mut sockets) {
            let told = socket.json();
            assert_eq!(
                (&told["type"], &told["data"]["reason"]),
                (&json!("collab.collaborator_removed"), &json!("removed"))
            );
            if user == "bob" && public_read == "false" {
                let told = socket.json();
                assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("forbidden")));
                socket.assert_closed(4403, "No longer a member of this draft");
            } else {
                socket.assert_quiet();
            }
        }
        if public_read == "false" {
            assert_eq!(server.get_as("bob", &draft.path).expect_error(403).0, "forbidden");
            assert_eq!(draft.part("carol", "me").status, 204);
            assert_eq!(sockets[3].json()["type"], "collab.collaborator_removed");
            assert_eq!(sockets[3].json()["code"], "forbidden");
            sockets[3].assert_closed(4403, "No longer a member of this draft");
        }
    }
}
