//! Tickets: how a page opens a socket for somebody who is known by `X-User-Id`, which a browser cannot send with one.

use serde_json::{Value, json};

use crate::support::socket::{Socket, path};
use crate::support::{Answer, Server};

const TICKETS: &str = "/v1/ws/tickets";
const REFUSED: &str = "Unauthorized: missing or invalid authentication";

fn ask(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.connect().request("POST", TICKETS, headers, b"")
}

fn ticket(server: &Server, user: &str) -> String {
    let data = ask(server, &[("X-User-Id", user)]).expect(200)["data"].take();
    assert_eq!(data["expires_in"], 30);
    data["ticket"].as_str().unwrap().to_owned()
}

/// The first text on a socket that is opened with this in place of a token, and the socket.
fn opened(server: &Server, target: &str, ticket: &str) -> (Value, Socket) {
    let protocols = format!("bearer, {ticket}");
    let (answer, mut socket) = Socket::open(server, target, &[("Sec-WebSocket-Protocol", &protocols)]);
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, Some("bearer")));
    (socket.json(), socket)
}

#[test]
fn a_ticket_opens_a_socket_under_the_name_of_who_asked() {
    let server = Server::start();
    let draft = server.create_draft("Олена");
    let ticket = ticket(&server, "Олена");
    for target in [path(&draft), format!("{}?since=0", path(&draft))] {
        let (welcome, mut socket) = opened(&server, &target, &ticket);
        assert_eq!((&welcome["type"], &welcome["user_id"]), (&json!("connected"), &json!("Олена")), "{welcome}");
        if target.ends_with("since=0") {
            assert_eq!(socket.json()["type"], "collab.draft_created");
        } else {
            socket.assert_quiet();
        }
    }
    // In the query, where it would lie in logs, it is no better than a token and as good.
    let (answer, mut socket) = Socket::open(&server, &format!("{}?access_token={ticket}", path(&draft)), &[]);
    assert_eq!((answer.status, &socket.json()["user_id"]), (101, &json!("Олена")));
}

#[test]
fn a_ticket_is_good_for_sockets_of_this_server_and_for_nothing_else() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let own = ticket(&server, "alice");
    let other = ticket(&Server::start(), "alice");
    let cut = &own[..own.len() - 1];
    for wrong in [other.as_str(), cut, "ticket.", "ticket.a.b.c"] {
        let (refused, mut socket) = opened(&server, &path(&draft), wrong);
        assert_eq!((&refused["code"], &refused["message"]), (&json!("forbidden"), &json!(REFUSED)), "{wrong}");
        socket.assert_closed(1008, REFUSED);
    }
    // A request can say who sends it.
    let bearer = format!("Bearer {own}");
    let answer = server.connect().request("GET", "/v1/collab/drafts", &[("Authorization", &bearer)], b"");
    answer.expect(401);
    ask(&server, &[]).expect(401);
    ask(&server, &[("X-User-Id", &"x".repeat(101))]).expect(422);
}

#[test]
fn whoever_has_a_token_shows_that_and_a_name_that_is_not_believed_gets_no_ticket() {
    let key = ("JWT_SECRET", "7a1f0c5de2b94838b6a0d7c4e19f5a33");
    let server = Server::with(&[key]);
    let minted = server.command().args(["token", "mint", "--user", "alice"]).output().unwrap();
    let bearer = format!("Bearer {}", String::from_utf8(minted.stdout).unwrap().trim());
    let answer = ask(&server, &[("Authorization", &bearer)]);
    let (code, message) = answer.expect_error(403);
    assert_eq!(code, "forbidden");
    assert_eq!(message, "You do not need a ticket: open the socket with your token");
    // Beside tokens, names are trusted here.
    let (welcome, _) = opened(&server, &path("d"), &ticket(&server, "bob"));
    assert_eq!(welcome["user_id"], "bob");

    let strict = Server::with(&[key, ("AUTH_TRUST_USER_HEADER", "false")]);
    ask(&strict, &[("X-User-Id", "bob")]).expect(401);
}
