//! Invitations and the card by which a draft is shared (contract 01 §1.10 and §1.11, ruling 8, R8, R10, R14).

use inkring::text::hex;
use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::browser::Page;
use crate::support::ledger::Ledger;
use crate::support::needs::browser;
use crate::support::socket::Socket;
use crate::support::{Answer, Client, PATIENCE, Server};

const UNKNOWN: &str = "5b98e005-078d-437b-b5e9-9cab5d5251d1";

/// A draft of alice's, and the ways to invite to it.
struct Draft {
    client: Client,
    path: String,
}

impl Draft {
    fn new(server: &Server) -> Self {
        Self { client: server.connect(), path: format!("/v1/collab/drafts/{}", server.create_draft("alice")) }
    }

    fn post(&mut self, user: &str, path: &str, body: &Value) -> Answer {
        self.client.post(path, Some(user), body)
    }

    fn try_invite(&mut self, user: &str, body: &Value) -> Answer {
        let path = format!("{}/invites", self.path);
        self.post(user, &path, body)
    }

    /// Id and token of a new invitation by alice.
    fn invite(&mut self, target: &str, key: &str) -> (String, String) {
        let body = json!({ "target_user_id": target, "idempotency_key": key });
        let data = self.try_invite("alice", &body).expect(200)["data"].take();
        let (id, token) = (&data["invite_id"], data["share_url"].as_str().unwrap().split_once("?token=").unwrap().1);
        (id.as_str().unwrap().to_owned(), token.to_owned())
    }

    fn accept(&mut self, user: &str, id: &str, token: &str) -> Answer {
        let body = json!({ "token": token, "idempotency_key": "a" });
        self.post(user, &format!("/v1/collab/invites/{id}/accept"), &body)
    }

    fn revoke(&mut self, user: &str, id: &str) -> Answer {
        self.post(user, &format!("/v1/collab/invites/{id}/revoke"), &json!({ "idempotency_key": "r" }))
    }

    fn list(&mut self, user: Option<&str>) -> Answer {
        self.client.get(&format!("{}/invites", self.path), user)
    }

    fn members(&mut self) -> Value {
        self.client.get(&self.path.clone(), None).expect(200)["data"]["collaborators"].take()
    }
}

fn rows(server: &Server, sql: &str) -> i64 {
    Ledger::open(&server.database()).column(sql, [])[0]
}

/// Does to the database what time does.
fn alter(server: &Server, sql: &str) {
    let connection = Connection::open(server.database()).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn an_invitation_is_a_link_that_makes_a_member() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut it = Draft::new(&server);
    let (_, mut watching) = Socket::open(&server, &it.path.replace("collab", "ws"), &[("X-User-Id", "alice")]);
    assert_eq!(watching.json()["type"], "connected");

    let body = json!({ "target_user_id": "bob", "idempotency_key": "1" });
    let answer = it.try_invite("alice", &body).expect(200);
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(answer["success"], true);
    assert_eq!(
        names(&answer["data"]),
        [
            "invite_id",
            "target_user_id",
            "target_handle",
            "status",
            "created_at",
            "expires_at",
            "token_hint",
            "share_url"
        ]
    );
    let data = &answer["data"];
    assert_eq!((&data["status"], &data["target_user_id"]), (&json!("pending"), &json!("bob")));
    let id = data["invite_id"].as_str().unwrap().to_owned();
    let (page, token) = data["share_url"].as_str().unwrap().split_once("?token=").unwrap();
    assert_eq!(page, format!("/collab/invite/{id}"));
    assert!(token.len() == 32 && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{token}");
    assert_eq!(data["token_hint"], token[26..]);
    let (code, text) = {
        let answer = it.client.get(page, None);
        (answer.status, answer.text().to_owned())
    };
    assert!(code == 200 && text.contains("drafts.js"), "the link leads to a page: {text}");

    let seen = it.client.request(
        "GET",
        &format!("/v1/collab/invites/{id}"),
        &[("X-User-Id", "bob"), ("X-Invite-Token", token)],
        b"",
    );
    let seen = seen.expect(200)["data"].take();
    assert_eq!((&seen["draft_title"], &seen["created_by_display"]), (&json!("A draft"), &json!("@u_ecc9e8")));
    assert_eq!(it.members(), json!([]), "to look is not to accept");

    let stale = it.client.request(
        "POST",
        &format!("/v1/collab/invites/{id}/accept"),
        &[("X-User-Id", "bob"), ("Content-Type", "application/json"), ("If-Match", "\"7\"")],
        json!({ "token": token, "idempotency_key": "" }).to_string().as_bytes(),
    );
    assert_eq!(stale.expect_error(412).0, "stale_version", "it is a change of the draft");
    let accepted = it.accept("bob", &id, token).expect(200)["data"].take();
    assert_eq!(
        names(&accepted),
        [
            "invite_id",
            "draft_id",
            "target_user_id",
            "target_handle",
            "status",
            "created_at",
            "expires_at",
            "accepted_at",
            "token_hint",
            "created_by_user_id",
            "message"
        ]
    );
    assert_eq!((&accepted["status"], &accepted["created_by_user_id"]), (&json!("accepted"), &json!("alice")));
    assert!(accepted["message"].as_str().unwrap().contains("@u_ecc9e8"));
    assert_eq!(it.members(), json!(["bob"]));
    let event = watching.json();
    assert_eq!(event["type"], "collab.collaborator_added");
    assert_eq!((&event["data"]["collaborator_id"], &event["data"]["role"]), (&json!("bob"), &json!("collaborator")));

    let again = it.accept("bob", &id, token).expect(200)["data"].take();
    assert_eq!(again["accepted_at"], accepted["accepted_at"]);
    assert_eq!(rows(&server, "SELECT count(*) FROM events"), 2, "once");
    let actions: Vec<String> = Ledger::open(&server.database())
        .column("SELECT action FROM audit_events WHERE action LIKE '%invite%' ORDER BY id", []);
    assert_eq!(actions, ["collab.create_invite", "collab.accept_invite"]);
    assert_eq!(it.client.get(&it.path.clone(), None).expect(200)["data"]["pending_invites"], json!([]));
}

#[test]
fn of_a_token_only_the_hash_is_kept_and_nothing_is_logged() {
    let server = Server::with(&[("AUDIT_ENABLED", "true"), ("LOG_LEVEL", "debug")]);
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    it.client.get(&format!("/collab/invite/{id}?token={token}"), None);
    it.accept("bob", &id, &token).expect(200);
    let hash: Vec<Vec<u8>> = Ledger::open(&server.database()).column("SELECT token_hash FROM draft_invites", []);
    assert_eq!(hex(&hash[0]), hex(&Sha256::digest(token.as_bytes())));
    for suffix in ["", "-wal"] {
        let bytes = std::fs::read(format!("{}{suffix}", server.database().display())).unwrap();
        assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "in the database{suffix}");
    }
    assert!(!server.log().contains(&token));
    let list = it.list(Some("bob"));
    assert!(!list.text().contains("hash") && !list.text().contains(&token), "{}", list.text());
}

#[test]
fn a_retry_is_answered_with_the_same_link_and_each_operation_has_its_own_keys() {
    let mut server = Server::start();
    let mut it = Draft::new(&server);
    let body = json!({ "target_user_id": "bob", "idempotency_key": "k" });
    let first = it.try_invite("alice", &body).expect(200);
    let other = json!({ "target_user_id": "carol", "expires_in_hours": 1, "idempotency_key": "k" });
    assert_eq!(it.try_invite("alice", &other).expect(200), first, "the other fields are ignored");
    assert_eq!(rows(&server, "SELECT count(*) FROM draft_invites"), 1);
    let id = first["data"]["invite_id"].as_str().unwrap().to_owned();
    // The key of a revocation does not make the invitation that it has revoked.
    let (second, _) = it.invite("carol", "2");
    it.post("alice", &format!("/v1/collab/invites/{second}/revoke"), &json!({ "idempotency_key": "k2" })).expect(200);
    assert_ne!(it.invite("carol", "k2").0, second);
    // A restart forgets what tokens are made of: the link that was given stays good, and is not told again.
    let token = first["data"]["share_url"].as_str().unwrap().split_once("?token=").unwrap().1.to_owned();
    server.terminate();
    server.launch();
    it.client = server.connect();
    let late = it.try_invite("alice", &body).expect(200)["data"].take();
    assert_eq!((&late["invite_id"], &late["share_url"]), (&json!(id), &Value::Null));
    assert_eq!(late["token_hint"], first["data"]["token_hint"]);
    it.accept("bob", &id, &token).expect(200);
}

#[test]
fn the_creator_and_the_holder_invite_and_nobody_else() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let body = |key: &str| json!({ "target_user_id": "dave", "idempotency_key": key });
    assert_eq!(it.client.post(&format!("{}/invites", it.path), None, &body("1")).status, 401);
    let unknown = format!("/v1/collab/drafts/{UNKNOWN}/invites");
    assert_eq!(it.post("alice", &unknown, &body("1")).expect_error(404).0, "not_found");
    let refusal = ("forbidden".to_owned(), "Only draft owner or ring holder can create invites".to_owned());
    assert_eq!(it.try_invite("mallory", &body("1")).expect_error(403), refusal);
    let (id, token) = it.invite("bob", "1");
    it.accept("bob", &id, &token).expect(200);
    assert_eq!(it.try_invite("bob", &body("1")).expect_error(403), refusal, "a member without the ring");
    let path = format!("{}/pass-ring", it.path);
    it.post("alice", &path, &json!({ "to_user_id": "bob", "idempotency_key": "p" })).expect(200);
    it.try_invite("bob", &body("1")).expect(200);
    it.try_invite("alice", &body("2")).expect(200);
    // A retry is answered although the ring has moved on.
    it.post("bob", &path, &json!({ "to_user_id": "alice", "idempotency_key": "p" })).expect(200);
    it.try_invite("bob", &body("1")).expect(200);
    assert_eq!(it.try_invite("bob", &body("3")).expect_error(403), refusal);
}

#[test]
fn an_invitation_that_is_malformed_or_means_nobody_is_refused() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let meant = [
        (json!({ "target_user_id": "bob", "target_handle": "@bob" }), "not both"),
        (json!({}), "Must specify"),
        (json!({ "target_handle": "@" }), "Invalid handle"),
        (json!({ "target_handle": "h".repeat(51) }), "Invalid handle"),
        (json!({ "target_user_id": "alice" }), "Cannot invite yourself"),
    ];
    for (mut body, why) in meant {
        body["idempotency_key"] = "1".into();
        let (code, message) = it.try_invite("alice", &body).expect_error(400);
        assert!(code == "http_error" && message.contains(why), "{code} {message}");
    }
    let shapes = [
        (json!({ "target_user_id": "bob" }), "missing idempotency_key"),
        (json!({ "target_user_id": "", "idempotency_key": "" }), "string_too_short target_user_id"),
        (json!({ "target_user_id": "b".repeat(101), "idempotency_key": "" }), "string_too_long target_user_id"),
        (json!({ "target_user_id": "b\u{7}", "idempotency_key": "" }), "value_error target_user_id"),
        (json!({ "target_user_id": "b\u{200b}b", "idempotency_key": "" }), "value_error target_user_id"),
        (json!({ "target_handle": 7, "idempotency_key": "" }), "string_type target_handle"),
        (
            json!({ "target_user_id": "bob", "expires_in_hours": 0, "idempotency_key": "" }),
            "greater_than_equal expires_in_hours",
        ),
        (
            json!({ "target_user_id": "bob", "expires_in_hours": 721, "idempotency_key": "" }),
            "less_than_equal expires_in_hours",
        ),
        (
            json!({ "target_user_id": "bob", "expires_in_hours": 1.5, "idempotency_key": "" }),
            "int_from_float expires_in_hours",
        ),
        (
            json!({ "target_user_id": "bob", "expires_in_hours": "x", "idempotency_key": "" }),
            "int_parsing expires_in_hours",
        ),
        (
            json!({ "target_user_id": "bob", "expires_in_hours": null, "idempotency_key": "" }),
            "int_type expires_in_hours",
        ),
        (json!({ "target_user_id": "bob", "idempotency_key": "k".repeat(256) }), "string_too_long idempotency_key"),
    ];
    for (body, expected) in shapes {
        let item = it.try_invite("alice", &body).expect(422)["detail"][0].take();
        assert_eq!(format!("{} {}", item["type"].as_str().unwrap(), item["loc"][1].as_str().unwrap()), expected);
    }
    assert_eq!(it.client.request("POST", &format!("{}/invites", it.path), &[("X-User-Id", "alice")], b"").status, 422);
    assert_eq!(rows(&server, "SELECT count(*) FROM draft_invites"), 0);
    let hours = |it: &mut Draft, hours: Value, key: &str| {
        let body = json!({ "target_handle": "@Dave", "expires_in_hours": hours, "idempotency_key": key });
        it.try_invite("alice", &body).expect(200)["data"].take()
    };
    let by_handle = hours(&mut it, json!("24"), "a");
    assert_eq!(
        (&by_handle["target_user_id"], &by_handle["target_handle"]),
        (&json!("user_bfcdf3e6ca6c"), &json!("@Dave"))
    );
    hours(&mut it, json!(720.0), "b");
    it.invite("bob", "c");
    let lives: Vec<i64> = Ledger::open(&server.database())
        .column("SELECT (expires_at - created_at) / 3600000000 FROM draft_invites ORDER BY id", []);
    assert_eq!(lives, [24, 720, 72]);
}

#[test]
fn only_who_is_invited_accepts_and_only_with_the_token_and_in_time() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    let refused = |answer: Answer, status: u16| answer.expect_error(status);
    assert_eq!(it.client.post(&format!("/v1/collab/invites/{id}/accept"), None, &json!({})).status, 401);
    assert_eq!(it.post("bob", &format!("/v1/collab/invites/{id}/accept"), &json!({})).status, 422);
    let unknown = refused(it.accept("bob", UNKNOWN, &token), 404);
    assert_eq!(unknown, ("not_found".to_owned(), format!("Invite not found: {UNKNOWN}")));
    let wrong = ("forbidden".to_owned(), "Invalid token".to_owned());
    for sent in ["", "0".repeat(32).as_str(), &token[..31], &token.to_uppercase()] {
        assert!(sent == token || refused(it.accept("bob", &id, sent), 403) == wrong, "{sent}");
    }
    let (other, other_token) = it.invite("carol", "2");
    assert_eq!(refused(it.accept("bob", &id, &other_token), 403), wrong);
    let for_bob = ("forbidden".to_owned(), "This invite is for bob, not mallory".to_owned());
    assert_eq!(refused(it.accept("mallory", &id, &token), 403), for_bob);
    let look = |it: &mut Draft, user: &str, token: &str| {
        let path = format!("/v1/collab/invites/{id}");
        it.client.request("GET", &path, &[("X-User-Id", user), ("X-Invite-Token", token)], b"")
    };
    assert_eq!(look(&mut it, "mallory", &token).expect_error(403), for_bob);
    assert_eq!(look(&mut it, "bob", "x").expect_error(403), wrong);
    assert_eq!(it.client.get(&format!("/v1/collab/invites/{id}"), Some("bob")).expect_error(403), wrong);
    assert_eq!(it.client.get(&format!("/v1/collab/invites/{id}"), None).status, 401);
    assert_eq!(it.client.get(&format!("/v1/collab/invites/{UNKNOWN}"), Some("bob")).expect_error(404).0, "not_found");

    it.revoke("alice", &other).expect(200);
    let revoked = refused(it.accept("carol", &other, &other_token), 409);
    assert!(revoked.0 == "invite_revoked" && revoked.1.contains("revoked"), "{revoked:?}");
    alter(&server, "UPDATE draft_invites SET expires_at = created_at WHERE target_user = 'bob'");
    let expired = refused(it.accept("bob", &id, &token), 409);
    assert!(expired.0 == "invite_expired" && expired.1.contains("expired"), "{expired:?}");
    assert_eq!(look(&mut it, "bob", &token).expect(200)["data"]["status"], "expired");
    assert_eq!(it.members(), json!([]));
    assert_eq!(rows(&server, "SELECT count(*) FROM events"), 1, "refusals tell nobody anything");
}

#[test]
fn whoever_has_invited_or_made_the_draft_revokes() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut it = Draft::new(&server);
    let (bob, token) = it.invite("bob", "1");
    it.accept("bob", &bob, &token).expect(200);
    let (id, _) = it.invite("carol", "2");
    assert_eq!(it.client.post(&format!("/v1/collab/invites/{id}/revoke"), None, &json!({})).status, 401);
    assert_eq!(it.post("alice", &format!("/v1/collab/invites/{id}/revoke"), &json!({})).status, 422);
    assert_eq!(it.revoke("alice", UNKNOWN).expect_error(404).0, "not_found");
    let refusal = ("forbidden".to_owned(), "Only alice can revoke this invite".to_owned());
    for user in ["bob", "carol", "mallory"] {
        assert_eq!(it.revoke(user, &id).expect_error(403), refusal);
    }
    assert_eq!(it.revoke("alice", &id).expect(200)["data"]["status"], "revoked");
    assert_eq!(it.revoke("alice", &id).expect(200)["data"]["status"], "revoked");
    let (code, _) = it.revoke("alice", &bob).expect_error(409);
    assert_eq!(code, "invite_accepted", "a member is not removed by it");
    assert_eq!(it.members(), json!(["bob"]));
    let path = format!("{}/pass-ring", it.path);
    it.post("alice", &path, &json!({ "to_user_id": "bob", "idempotency_key": "p" })).expect(200);
    let body = json!({ "target_user_id": "dave", "idempotency_key": "1" });
    let by_bob = it.try_invite("bob", &body).expect(200)["data"]["invite_id"].as_str().unwrap().to_owned();
    it.revoke("alice", &by_bob).expect(200);
    assert_eq!(rows(&server, "SELECT count(*) FROM audit_events WHERE action = 'collab.revoke_invite'"), 2);
}

#[test]
fn members_see_the_invitations_and_what_became_of_them() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    assert_eq!(it.list(Some("alice")).expect(200), json!({ "success": true, "count": 0, "data": [] }));
    let (bob, token) = it.invite("bob", "1");
    it.accept("bob", &bob, &token).expect(200);
    let (carol, _) = it.invite("carol", "2");
    it.revoke("alice", &carol).expect(200);
    it.invite("dave", "3");
    it.invite("erin", "4");
    alter(&server, "UPDATE draft_invites SET expires_at = created_at WHERE target_user = 'dave'");
    let listed = it.list(Some("bob")).expect(200);
    let shown: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|it| json!([it["target_user_id"], it["status"]])).collect();
    let expected = [
        json!(["bob", "accepted"]),
        json!(["carol", "revoked"]),
        json!(["dave", "expired"]),
        json!(["erin", "pending"]),
    ];
    assert_eq!((&listed["count"], shown.as_slice()), (&json!(4), &expected[..]));
    assert_eq!(it.list(None).status, 401);
    let (code, message) = it.list(Some("mallory")).expect_error(403);
    assert!(code == "forbidden" && message.starts_with("User mallory is not owner/collaborator"), "{message}");
    let unknown = format!("/v1/collab/drafts/{UNKNOWN}/invites");
    assert_eq!(it.client.get(&unknown, Some("alice")).expect_error(404).0, "not_found");
}

#[test]
fn a_user_id_in_the_query_has_to_be_the_one_who_asks() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let body = json!({ "target_user_id": "bob", "idempotency_key": "1" });
    let path = format!("{}/invites", it.path);
    it.post("alice", &format!("{path}?user_id=alice"), &body).expect(200);
    let (id, token) = it.invite("bob", "2");
    let accept = json!({ "token": token, "idempotency_key": "" });
    let refused = [
        it.post("mallory", &format!("{path}?user_id=alice"), &body),
        it.post("mallory", &format!("/v1/collab/invites/{id}/accept?user_id=bob"), &accept),
        it.post("mallory", &format!("/v1/collab/invites/{id}/revoke?user_id=alice"), &json!({ "idempotency_key": "" })),
        it.client.get(&format!("{path}?user_id=alice"), Some("mallory")),
    ];
    for answer in refused {
        let item = answer.expect(422)["detail"][0].take();
        assert_eq!((&item["type"], &item["loc"]), (&json!("value_error"), &json!(["query", "user_id"])));
    }
    it.post("bob", &format!("/v1/collab/invites/{id}/accept?user_id=bob"), &accept).expect(200);
}

#[test]
fn so_many_invitations_wait_and_so_many_are_kept() {
    const PENDING: i64 = 100;
    const KEPT: i64 = 500;
    let server = Server::with(&[("MAX_COLLABORATORS_PER_DRAFT", "1")]);
    let mut it = Draft::new(&server);
    let (first, token) = it.invite("bob", "first");
    let many = |from: i64, count: i64, revoked: &str| {
        alter(
            &server,
            &format!(
                "WITH RECURSIVE n (x) AS (SELECT {from} UNION ALL SELECT x + 1 FROM n WHERE x < {from} + {count} - 1) \
                 INSERT INTO draft_invites (draft, invite_id, created_by, target_user, token_hash, token_hint, created_at, \
                 expires_at, revoked_at) SELECT 1, 'i' || x, 'alice', 'u' || x, x'00', '', 0, 9e15, {revoked} FROM n"
            ),
        );
    };
    many(0, PENDING - 1, "NULL");
    let body = json!({ "target_user_id": "carol", "idempotency_key": "c" });
    let (code, message) = it.try_invite("alice", &body).expect_error(429);
    assert!(code == "limit_exceeded" && message.starts_with("100 invitations"), "{message}");
    it.revoke("alice", "i0").expect(200);
    let (carol, carol_token) = it.invite("carol", "c");
    many(1000, KEPT - PENDING - 1, "1");
    assert_eq!(it.list(Some("alice")).expect(200)["count"], KEPT);
    it.revoke("alice", "i1").expect(200);
    it.invite("dave", "d");
    let listed = it.list(Some("alice")).expect(200);
    assert_eq!(listed["count"], KEPT);
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|it| it["invite_id"].clone()).collect();
    assert!(
        ids.contains(&json!(first)) && !ids.contains(&json!("i0")) && ids.contains(&json!("i1")),
        "the oldest that is over"
    );
    // The cap of collaborators is that of adding them.
    it.accept("bob", &first, &token).expect(200);
    assert_eq!(it.accept("carol", &carol, &carol_token).expect_error(429).0, "limit_exceeded");
    it.accept("bob", &first, &token).expect(200);
    assert_eq!(it.members(), json!(["bob"]));
}

#[test]
fn who_is_a_member_already_accepts_without_an_event() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    let path = format!("{}/collaborators?collaborator_id=bob", it.path);
    it.post("alice", &path, &json!({})).expect(200);
    assert_eq!(it.accept("bob", &id, &token).expect(200)["data"]["status"], "accepted");
    assert_eq!(rows(&server, "SELECT count(*) FROM events"), 2);
    assert_eq!(it.members(), json!(["bob"]));
}

#[test]
fn a_draft_that_only_members_read_is_told_to_nobody_else() {
    let server = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let mut it = Draft::new(&server);
    let card = format!("{}/share-card", it.path);
    assert_eq!(it.client.get(&card, None).status, 401);
    assert_eq!(it.client.get(&card, Some("bob")).expect_error(403).0, "forbidden");
    let (id, token) = it.invite("bob", "1");
    assert_eq!(it.client.get(&card, Some("bob")).expect_error(403).0, "forbidden", "an invitation has to be accepted");
    let headers = [("X-User-Id", "bob"), ("X-Invite-Token", token.as_str())];
    let seen = it.client.request("GET", &format!("/v1/collab/invites/{id}"), &headers, b"").expect(200);
    assert_eq!(seen["data"]["draft_title"], "A draft", "who is invited may know to what");
    it.accept("bob", &id, &token).expect(200);
    it.client.get(&card, Some("bob")).expect(200);
    assert_eq!(
        it.client.get(&format!("/v1/collab/drafts/{UNKNOWN}/share-card"), Some("bob")).expect_error(404).0,
        "not_found"
    );
}

#[test]
fn a_card_shows_what_a_draft_is() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    for user in ["bob", "carol", "dave", "erin", "frank"] {
        it.post("alice", &format!("{}/collaborators?collaborator_id={user}", it.path), &json!({})).expect(200);
    }
    let card = |it: &mut Draft, query: &str| it.client.get(&format!("{}/share-card{query}", it.path), None);
    let fresh = card(&mut it, "?viewer_id=x&style=bold&now=2100-01-01").expect(200);
    let id = it.path.rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        fresh,
        json!({ "success": true, "data": {
            "draft_id": id,
            "title": "Collab Thread: A draft",
            "subtitle": "Ring with @u_ecc9e8 • 1 contributors • 0 passes/24h",
            "metrics": {
                "contributors_count": 1, "ring_passes_last_24h": 0, "avg_minutes_between_passes": null, "segments_count": 0,
            },
            "contributors": ["@u_ecc9e8"],
            "top_line": "A collaborative thread in progress.",
            "cta": { "label": "Join the thread", "url": format!("/dashboard/collab?draftId={id}") },
            "theme": { "bg": "from-slate-900 to-indigo-700", "accent": "indigo" },
            "generated_at": "2100-01-01T00:00:00+00:00",
        } })
    );
    let page = it.client.get(fresh["data"]["cta"]["url"].as_str().unwrap(), None);
    assert!(page.status == 200 && page.text().contains("drafts.js"), "the card leads to a page");

    let mut holder = "alice";
    for user in ["frank", "erin", "dave", "carol", "bob"] {
        it.post(holder, &format!("{}/pass-ring", it.path), &json!({ "to_user_id": user, "idempotency_key": user }))
            .expect(200);
        it.post(user, &format!("{}/segments", it.path), &json!({ "content": "c", "idempotency_key": "" })).expect(200);
        holder = user;
    }
    // Five passes in 13 minutes: 2.6 minutes each, which made the original fail.
    let minutes = "UPDATE drafts SET created_at = 0, passed_at = 13 * 60000000; \
                   UPDATE ring_passes SET passed_at = id * 60000000 WHERE id < 5; \
                   UPDATE ring_passes SET passed_at = 13 * 60000000 WHERE id = 5";
    alter(&server, minutes);
    let card_of = |it: &mut Draft, now: &str| card(it, &format!("?now={now}")).expect(200)["data"].take();
    let data = card_of(&mut it, "1970-01-01T00:10:00");
    assert_eq!(data["subtitle"], "Ring with @u_29920a • 6 contributors • 4 passes/24h");
    assert_eq!(
        data["metrics"],
        json!({ "contributors_count": 6, "ring_passes_last_24h": 4, "avg_minutes_between_passes": 3, "segments_count": 5 })
    );
    let named: Vec<&str> = data["contributors"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(named.len() == 5 && named[0] == "@u_ecc9e8" && named[1..].is_sorted(), "{named:?}");
    for now in ["1970-01-01T00:10:00+00:00", "1970-01-01T00:10:00Z", "1970-01-01T02:10:00%2B02:00"] {
        assert_eq!(card_of(&mut it, now), data, "{now}");
    }
    let (code, message) = card(&mut it, "?now=yesterday").expect_error(400);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("validation_error", "Invalid ISO timestamp format for 'now' parameter")
    );
    let unknown = format!("/v1/collab/drafts/{UNKNOWN}/share-card");
    assert_eq!(it.client.get(&format!("{unknown}?now=x"), None).status, 400, "before the draft is looked for");
    assert_eq!(it.client.get(&unknown, None).expect_error(404).0, "not_found");
    let head = it.client.request("HEAD", &format!("{}/share-card", it.path), &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn of_many_who_accept_at_once_each_joins_once() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || {
            let mut client = Client::try_connect(server.address, PATIENCE).unwrap();
            let body = json!({ "token": token, "idempotency_key": "a" });
            client.post(&format!("/v1/collab/invites/{id}/accept"), Some("bob"), &body).status
        };
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; 8]);
    assert_eq!((it.members(), rows(&server, "SELECT count(*) FROM events")), (json!(["bob"]), 2));
}

#[test]
fn an_invitation_is_accepted_on_its_page() {
    let Some(browser) = browser() else { return };
    let server = Server::start();
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    let mut page = Page::open(&browser);
    page.go_to(&format!("http://{}/collab/invite/{id}?token={token}", server.address));
    // Whoever comes first has to say who they are; the token does not stay in the address bar.
    let introduce = |page: &mut Page, name: &str| {
        page.wait_until("document.getElementById('who') !== null");
        page.value(&format!(
            "document.getElementById('who').value = '{name}'; document.querySelector('#view form').requestSubmit()"
        ));
    };
    introduce(&mut page, "mallory");
    page.wait_until("document.querySelector('#view [role=alert].card') !== null");
    assert_eq!(page.value("location.search"), "");
    assert_eq!(
        page.value("document.querySelector('h1').innerText.includes('A draft')"),
        false,
        "nobody else learns of it"
    );
    // The browser says that an answer was 403, and nothing else is wrong.
    assert!(page.complaints.iter().all(|it| it["method"] == "Log.entryAdded" && it.to_string().contains("403")));
    page.complaints.clear();
    page.value("document.querySelector('#view button.plain').click()");
    introduce(&mut page, "bob");
    page.wait_until("document.querySelector('h1').innerText === 'A draft'");
    for width in [1280, 360] {
        page.size(width, "light");
        assert_eq!(page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0);
    }
    page.value("document.querySelector('#view button.main').click()");
    page.wait_until(
        "location.pathname.startsWith('/drafts/') && document.querySelector('h1')?.innerText === 'A draft'",
    );
    assert_eq!(it.members(), json!(["bob"]));
    assert_eq!(page.complaints, [Value::Null; 0]);
    page.go_to(&format!("http://{}/dashboard/collab?draftId={}", server.address, it.path.rsplit('/').next().unwrap()));
    page.wait_until("document.querySelector('h1')?.innerText === 'A draft'");
}

#[test]
fn a_link_is_made_on_the_page_of_the_draft() {
    let Some(browser) = browser() else { return };
    let server = Server::start();
    let it = Draft::new(&server);
    let mut page = Page::open(&browser);
    page.go_to(&format!("http://{}/drafts", server.address));
    page.wait_until("document.getElementById('who') !== null");
    page.value("document.getElementById('who').value = 'alice'; document.querySelector('#view form').requestSubmit()");
    page.wait_until("document.getElementById('title') !== null");
    page.go_to(&format!("http://{}/drafts/{}", server.address, it.path.rsplit('/').next().unwrap()));
    page.wait_until("document.getElementById('other') !== null");
    page.value(
        "document.getElementById('other').closest('details').open = true; \
         document.getElementById('other').value = 'carol'; document.querySelector('button[value=invite]').click()",
    );
    page.wait_until("document.getElementById('link').checkVisibility()");
    let link = page.value("document.getElementById('link').value");
    let link = link.as_str().unwrap().strip_prefix(&format!("http://{}/collab/invite/", server.address)).unwrap();
    let (id, token) = link.split_once("?token=").unwrap();
    let mut it = it;
    it.accept("carol", id, token).expect(200);
    assert_eq!(it.members(), json!(["carol"]));
    assert_eq!(page.complaints, [Value::Null; 0]);
}

#[test]
fn who_leaves_takes_along_what_they_have_invited_to() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let (id, token) = it.invite("bob", "1");
    it.accept("bob", &id, &token).expect(200);
    let path = it.path.clone();
    it.post("alice", &format!("{path}/pass-ring"), &json!({ "to_user_id": "bob", "idempotency_key": "p" })).expect(200);
    let body = json!({ "target_user_id": "carol", "idempotency_key": "c" });
    let data = it.try_invite("bob", &body).expect(200)["data"].take();
    let (carol, link) = (data["invite_id"].as_str().unwrap(), data["share_url"].as_str().unwrap());
    let (dave, dave_token) = it.invite("dave", "2");
    let left = it.client.request("DELETE", &format!("{path}/collaborators/me"), &[("X-User-Id", "bob")], b"");
    assert_eq!(left.status, 204);
    let (_, carol_token) = link.split_once("?token=").unwrap();
    assert_eq!(it.accept("carol", carol, carol_token).expect_error(409).0, "invite_revoked");
    it.accept("dave", &dave, &dave_token).expect(200);
    assert_eq!(it.members(), json!(["dave"]));
}
