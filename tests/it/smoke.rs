//! The shortest way through everything: if this fails, look here first.

use serde_json::json;

use crate::support::Server;

#[test]
fn a_draft_is_written_in_turn_and_survives_kill_9() {
    let mut server = Server::start();
    let draft = server.create_draft("alice");
    let path = format!("/v1/collab/drafts/{draft}");
    server.post_as("alice", &format!("{path}/collaborators?collaborator_id=bob"), &json!({})).expect(200);
    let first = json!({ "content": "Once upon a time", "idempotency_key": "1" });
    server.post_as("alice", &format!("{path}/segments"), &first).expect(200);
    let pass = json!({ "to_user_id": "bob", "idempotency_key": "1" });
    server.post_as("alice", &format!("{path}/pass-ring"), &pass).expect(200);
    let second = json!({ "content": "there was a ring.", "idempotency_key": "1" });
    let written = server.post_as("bob", &format!("{path}/segments"), &second).expect(200);
    server.kill();
    server.launch();
    let mut read = server.get(&path).expect(200);
    read["data"]["metrics"].take();
    assert_eq!(read, written);
}
