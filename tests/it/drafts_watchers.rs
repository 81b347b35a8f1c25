//! Who has a draft open, as its members are told.

use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{Server, wait_for};

fn watchers(server: &Server, draft: &str, user: &str) -> (u16, Value) {
    let path = format!("/v1/collab/drafts/{draft}/watchers");
    let answer = server.connect().request("GET", &path, &[("X-User-Id", user)], b"");
    (answer.status, answer.json())
}

fn add(server: &Server, draft: &str, user: &str) {
    let path = format!("/v1/collab/drafts/{draft}/collaborators?collaborator_id={user}");
    server.connect().request("POST", &path, &[("X-User-Id", "alice")], b"").expect(200);
}

#[test]
fn members_are_told_who_watches_and_nobody_else_is() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    add(&server, &draft, "bob");
    let told = |names: &[&str]| {
        let data = json!({ "draft_id": draft, "watchers": names, "count": names.len() });
        (200, json!({ "data": data }))
    };
    assert_eq!(watchers(&server, &draft, "alice"), told(&[]));
    let alice = Socket::watch(&server, &draft, "alice");
    let again = Socket::watch(&server, &draft, "alice");
    // Anyone may read this draft, so anyone may watch it; members see who does.
    let _stranger = Socket::watch(&server, &draft, "eve");
    assert_eq!(watchers(&server, &draft, "bob"), told(&["alice", "eve"]));
    alice.close();
    assert_eq!(watchers(&server, &draft, "bob"), told(&["alice", "eve"]), "one of two sockets is closed");
    drop(again);
    wait_for(|| (watchers(&server, &draft, "bob") == told(&["eve"])).then_some(()));

    let (status, body) = watchers(&server, &draft, "eve");
    assert_eq!((status, &body["error"]["code"]), (403, &json!("forbidden")), "{body}");
    let (status, body) = watchers(&server, "no-such-draft", "alice");
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Draft no-such-draft not found")), "{body}");
    server.connect().request("GET", &format!("/v1/collab/drafts/{draft}/watchers"), &[], b"").expect(401);
}

#[test]
fn more_watchers_than_are_named_are_counted() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let sockets: Vec<Socket> = (0..101).map(|n| Socket::watch(&server, &draft, &format!("u{n:03}"))).collect();
    let (status, body) = watchers(&server, &draft, "alice");
    let names = body["data"]["watchers"].as_array().unwrap();
    assert_eq!((status, names.len(), &body["data"]["count"]), (200, 100, &json!(101)));
    assert_eq!((&names[0], &names[99]), (&json!("u000"), &json!("u099")));
    drop(sockets);
}
