//! Rooms as clients meet them (contract 03): what goes over the wire, in both dialects, and that what was said to be kept is.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::faults::{limit_files, log_bytes};
use crate::support::socket::{BINARY, Frame, Sent, Socket, TEXT};
use crate::support::yjs::{KEEP_ALIVE, Peer, present, sync, typed};
use crate::support::{Server, wait_for};

/// Client 5 writes "Hi" into the text `t`.
const HI: &[u8] = &[1, 1, 5, 0, 4, 1, 1, b't', 2, b'H', b'i', 0];
/// Client 9 writes "Yo" beside it.
const YO: &[u8] = &[1, 1, 9, 0, 4, 1, 1, b't', 2, b'Y', b'o', 0];

/// Opens a JSON client on the original's form of URL, and reads its `init`.
#[track_caller]
fn json_client(server: &Server, room: &str) -> (Socket, Value) {
    let (answer, mut socket) = Socket::open(server, &format!("/rooms?room={room}"), &[]);
    assert_eq!(answer.status, 101, "{answer:?}");
    let init = next_json(&mut socket);
    assert_eq!(init["type"], "init");
    (socket, init)
}

/// The next text frame as JSON; a JSON client passes binary frames over.
#[track_caller]
fn next_json(socket: &mut Socket) -> Value {
    serde_json::from_str(&next_text(socket)).unwrap()
}

#[track_caller]
fn next_text(socket: &mut Socket) -> String {
    loop {
        match socket.next() {
            Frame::Text(text) => return text,
            Frame::Binary(_) => {}
            other => panic!("{other:?} instead of a text"),
        }
    }
}

#[test]
fn the_first_frames_are_those_of_the_contract() {
    let server = Server::start();
    let mut one = Peer::open(&server, "/rooms/notes", &[]).1;
    assert_eq!(one.binary(), [0, 0, 1, 0], "step 1 of an empty document");
    one.send(&[0, 0, 1, 0]);
    assert_eq!(one.binary(), [0, 1, 2, 0, 0], "nothing to give");
    one.change(HI);
    one.send(&[0, 0, 1, 0]);
    assert_eq!(one.binary(), sync(1, HI));
    let mut two = Peer::open(&server, "/rooms/notes", &[]).1;
    assert_eq!(two.binary(), [0, 0, 3, 1, 5, 2], "step 1 of a document with two units of client 5");
    one.send_update(&[0, 1, 5, 1, 0, 1]);
    assert_eq!(two.binary(), [0, 2, 6, 0, 1, 5, 1, 0, 1], "what one deletes the other is told");
    assert_eq!(one.binary(), [0, 2, 6, 0, 1, 5, 1, 0, 1]);
}

#[test]
fn others_get_an_update_at_once_and_its_sender_when_it_is_on_disk() {
    let server = Server::start();
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    one.change(HI);
    assert_eq!(two.binary(), sync(2, HI));
    let held = crate::support::hold_writer(&server.database());
    one.send_update(YO);
    assert_eq!(two.binary(), sync(2, YO), "nobody waits for the disk but the one who asks for it");
    one.send(&[102, 3, 7, 7, 7]);
    one.socket.assert_quiet();
    drop(held);
    assert_eq!(one.binary(), sync(2, YO));
    assert_eq!(one.binary(), [102, 3, 7, 7, 7]);
    one.send(&[102, 1, 8]);
    assert_eq!(one.binary(), [102, 1, 8], "with nothing under way it is answered at once");
}

#[test]
fn what_was_echoed_is_there_after_a_kill() {
    let mut server = Server::start();
    let mut one = Peer::enter(&server, "/rooms/notes");
    one.change(HI);
    one.change(YO);
    server.kill();
    server.launch();
    // As many as ask at once: nobody is shown an empty document.
    let mut sockets: Vec<Peer> = (0..20).map(|_| Peer::open(&server, "/rooms/notes", &[]).1).collect();
    for peer in &mut sockets {
        peer.send(&[0, 0, 1, 0]);
    }
    for peer in &mut sockets {
        let mut frames = [peer.binary(), peer.binary()];
        frames.sort();
        assert_eq!(frames[0], [0, 0, 5, 2, 9, 2, 5, 2], "it asks for what is behind both");
        assert_eq!(frames[1][..2], [0, 1]);
        assert!(frames[1].windows(2).any(|two| two == b"Hi") && frames[1].windows(2).any(|two| two == b"Yo"));
    }
}

#[test]
fn what_comes_twice_is_told_to_nobody_and_acknowledged_all_the_same() {
    let server = Server::start();
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    one.change(HI);
    assert_eq!(two.binary(), sync(2, HI));
    one.change(HI);
    two.socket.assert_quiet();
    // Half of it is known: the others get the rest.
    one.send_update(&typed(5, 0, "Hi!"));
    let rest = two.binary();
    assert_eq!(rest, sync(2, &[1, 1, 5, 2, 0x84, 5, 1, 1, b'!', 0]));
    assert_eq!(one.binary(), rest);
}

#[test]
fn an_update_that_builds_on_something_missing_is_asked_for_again_and_not_kept() {
    let server = Server::start();
    let mut one = Peer::enter(&server, "/rooms/notes");
    one.send_update(&typed(5, 2, "!"));
    assert_eq!(one.binary(), [0, 0, 1, 0], "step 1 once more");
    assert_eq!(one.document(), [0, 0]);
    one.send(&sync(1, &typed(5, 0, "Hi!")));
    assert_eq!(one.binary(), sync(2, &typed(5, 0, "Hi!")));
}

#[test]
fn what_is_no_update_changes_nothing_and_closes_the_third_time() {
    let server = Server::start();
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    for bad in [&[1, 1, 5, 0, 4, 1, 1, b't', 2, b'H'][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        one.send_update(bad);
        one.socket.assert_quiet();
    }
    one.send_update(&[1]);
    let Frame::Close(4400, reason) = one.socket.next() else { panic!("not closed") };
    assert!(!reason.is_empty());
    two.socket.assert_quiet();
    assert_eq!(two.document(), [0, 0]);
}

#[test]
fn several_messages_in_a_frame_are_read_and_unknown_ones_passed_over() {
    let server = Server::start();
    let mut one = Peer::enter(&server, "/rooms/notes");
    one.send(&[&sync(2, HI)[..], &sync(2, YO), &[0, 0, 1, 0]].concat());
    let answer = one.binary();
    assert_eq!(answer[..2], [0, 1], "{answer:?}");
    assert_eq!([one.binary(), one.binary()], [sync(2, HI), sync(2, YO)]);
    for unknown in [&[77, 1, 2][..], &[2, 0, 1, b'x'], &[]] {
        one.send(unknown);
        one.socket.assert_quiet();
    }
}

#[test]
fn rooms_are_apart_and_each_spelling_of_a_name_is_the_same_room() {
    let server = Server::start();
    let mut other = Peer::enter(&server, "/rooms/other");
    for (index, [one, two]) in [
        ["/rooms/caf%C3%A9", "/rooms?room=caf%C3%A9"],
        ["/rooms/a%20b", "/rooms?room=a+b"],
        ["/rooms/a%2Fb", "/rooms/a/b"],
        ["/rooms/%zz", "/rooms?room=%25zz"],
        ["/rooms/%D0%BA%D0%B0%D0%B7%D0%BA%D0%B0", "/rooms/x?room=%D0%BA%D0%B0%D0%B7%D0%BA%D0%B0"],
    ]
    .into_iter()
    .enumerate()
    {
        let (mut one, mut two) = (Peer::enter(&server, one), Peer::enter(&server, two));
        let update = typed(100 + index as u64, 0, "same");
        one.send_update(&update);
        assert_eq!(two.binary(), sync(2, &update), "{index}");
    }
    other.socket.assert_quiet();
    let (mut composed, mut decomposed) =
        (Peer::enter(&server, "/rooms/%C3%A9"), Peer::enter(&server, "/rooms/e%CC%81"));
    composed.change(HI);
    decomposed.socket.assert_quiet();
}

#[test]
fn names_that_are_none_are_refused_for_good() {
    let server = Server::start();
    let long = format!("/rooms/{}", "x".repeat(256));
    for (path, code) in
        [("/rooms/%80", 4400), (&*long, 4400), ("/rooms/a%00b", 4400), ("/rooms", 1008), ("/rooms?room=", 1008)]
    {
        let (answer, mut socket) = Socket::open(&server, path, &[]);
        assert_eq!(answer.status, 101, "{path}");
        let Frame::Close(closed, reason) = socket.next() else { panic!("{path} was not closed") };
        assert_eq!(closed, code, "{path}: {reason}");
        assert!(code != 1008 || reason == "Room ID required", "{reason}");
        // A client that comes back at once is answered without a socket.
        let (answer, _) = Socket::open(&server, path, &[]);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(
            answer.header("retry-after").is_some_and(|seconds| (1..=60).contains(&seconds.parse::<u32>().unwrap()))
        );
    }
}

#[test]
fn clients_of_the_original_are_told_what_it_told_them() {
    let server = Server::start();
    let (mut one, init) = json_client(&server, "room-1");
    let first = init["connectionId"].as_str().unwrap().to_owned();
    assert!(first.starts_with("room-1-") && init["peers"] == json!([]), "{init}");
    let (mut two, init) = json_client(&server, "room-1");
    let second = init["connectionId"].as_str().unwrap().to_owned();
    assert_eq!(init["peers"], json!([first]));
    for (said, heard) in [
        (
            r#"{"type":"awareness","data":{"cursor": 7}}"#,
            format!(r#"{{"type":"awareness","clientId":"{first}","data":{{"cursor":7}}}}"#),
        ),
        (r#"{"type":"awareness"}"#, format!(r#"{{"type":"awareness","clientId":"{first}"}}"#)),
        (r#"{"type":"custom","data":[1, "a"]}"#, format!(r#"{{"type":"custom","from":"{first}","data":[1,"a"]}}"#)),
        (
            r#"{"type":"webrtc-signal","signal":{"type":"offer"}}"#,
            format!(r#"{{"type":"webrtc-signal","from":"{first}","signal":{{"type":"offer"}}}}"#),
        ),
    ] {
        one.send_text(said);
        assert_eq!(next_text(&mut two), heard);
    }
    let aimed = json!({ "type": "webrtc-signal", "targetId": second, "signal": 1 });
    one.send_text(&aimed.to_string());
    assert_eq!(next_text(&mut two), format!(r#"{{"type":"webrtc-signal","from":"{first}","signal":1}}"#));
    one.send_text(r#"{"type":"webrtc-signal","targetId":"nobody","signal":1}"#);
    for ignored in ["null", "7", "not JSON", "{}", r#"{"type":"other"}"#] {
        one.send_text(ignored);
    }
    one.send_text(r#"{"type":"get-peers"}"#);
    assert_eq!(next_text(&mut one), format!(r#"{{"type":"peers","peers":["{second}"]}}"#));
    two.send_close(1000);
    assert_eq!(next_text(&mut one), format!(r#"{{"type":"peer-disconnected","connectionId":"{second}"}}"#));
}

#[test]
fn each_hears_its_own_dialect_only() {
    let server = Server::start();
    let mut provider = Peer::enter(&server, "/rooms/mixed");
    provider.send(&[0, 0, 1, 0]);
    assert_eq!(provider.binary(), [0, 1, 2, 0, 0]);
    let (answer, mut json_only) = Socket::open(&server, "/rooms/mixed?yjs=0", &[]);
    assert_eq!(answer.status, 101);
    assert_eq!(json_only.json()["type"], "init");
    json_only.send_text(r#"{"type":"custom","data":1}"#);
    provider.change(HI);
    provider.socket.assert_quiet();
    json_only.assert_quiet();
    // Whoever speaks JSON is told the JSON messages from then on.
    provider.socket.send_text(r#"{"type":"get-peers"}"#);
    let init = provider.socket.json();
    assert_eq!((init["type"].as_str(), init["peers"].as_array().map(Vec::len)), (Some("init"), Some(1)));
    assert_eq!(provider.socket.json()["type"], "peers");
}

#[test]
fn a_provider_that_was_held_up_is_taken_for_a_json_client_only_until_it_speaks() {
    let server = Server::with(&[("ROOMS_JSON_WAIT_MS", "1")]);
    let (mut other, _) = json_client(&server, "slow");
    let (_, mut provider) = Socket::open(&server, "/rooms/slow", &[]);
    assert_eq!(provider.next(), Frame::Binary(vec![0, 0, 1, 0]));
    assert_eq!(provider.json()["type"], "init");
    let mut provider = Peer { socket: provider };
    provider.send(&[0, 0, 1, 0]);
    assert_eq!(provider.binary(), [0, 1, 2, 0, 0]);
    other.send_text(r#"{"type":"custom","data":1}"#);
    other.send_text(r#"{"type":"get-peers"}"#);
    assert_eq!(next_text(&mut other), r#"{"type":"peers","peers":[]}"#);
    provider.socket.assert_quiet();
}

#[test]
fn a_sub_protocol_says_which_dialect_is_meant_and_is_answered() {
    let server = Server::start();
    for (offered, chosen, first_is_text) in
        [("y-websocket", "y-websocket", false), ("x, inkring.rooms.json", "inkring.rooms.json", true)]
    {
        let (answer, mut peer) = Peer::open(&server, "/rooms/p?room=p", &[("Sec-WebSocket-Protocol", offered)]);
        assert_eq!(answer.header("sec-websocket-protocol"), Some(chosen));
        assert_eq!(matches!(peer.socket.next(), Frame::Text(_)), first_is_text, "{offered}");
    }
}

#[test]
fn who_is_there_is_told_to_others_and_to_newcomers_until_it_leaves() {
    let server = Server::with(&[("ROOMS_AWARENESS_GRACE_SECONDS", "0")]);
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    let here = present(5, 1, r#"{"n":1}"#);
    assert_eq!(
        here,
        [0x01, 0x0b, 0x01, 0x05, 0x01, 0x07, 0x7b, 0x22, 0x6e, 0x22, 0x3a, 0x31, 0x7d],
        "contract 03 §2.2"
    );
    one.send(&here);
    assert_eq!(two.binary(), here);
    // Every stock client sends back what it is told.
    two.send(&here);
    // What it sends back is read before the one who is gone leaves: later it would bring that one back.
    two.socket.assert_quiet();
    one.socket.assert_quiet();
    let mut three = Peer::enter(&server, "/rooms/notes");
    assert_eq!(three.binary(), here);
    three.send(&[3]);
    assert_eq!(three.binary(), here);
    one.socket.send_close(1000);
    let gone = [0x01, 0x08, 0x01, 0x05, 0x01, 0x04, 0x6e, 0x75, 0x6c, 0x6c];
    assert_eq!((two.binary(), three.binary()), (gone.to_vec(), gone.to_vec()));
}

#[test]
fn a_room_that_nobody_uses_is_unloaded_and_comes_back_as_it_was() {
    let server = Server::with(&[("ROOMS_UNLOAD_SECONDS", "0"), ("OPS_ADDR", "127.0.0.1:0")]);
    let mut one = Peer::enter(&server, "/rooms/notes");
    for clock in 0..20 {
        one.change(&typed(5, clock, "x"));
    }
    let whole = one.document();
    one.socket.send_close(1000);
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let count = |sql: &str| database.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    wait_for(|| (count("SELECT count(*) FROM room_updates") == 0).then_some(()));
    assert_eq!(count("SELECT count(*) FROM room_snapshots"), 1, "its log went into a snapshot");
    let mut again = Peer::open(&server, "/rooms/notes", &[]).1;
    assert_eq!(again.binary(), [0, 0, 3, 1, 5, 20]);
    assert_eq!(again.document(), whole);
}

#[test]
fn a_message_is_taken_up_to_its_bound_and_closes_the_socket_beyond() {
    let server = Server::with(&[("ROOMS_MAX_MESSAGE_BYTES", "2048"), ("ROOMS_MAX_TEXT_BYTES", "100")]);
    let mut one = Peer::enter(&server, "/rooms/notes");
    let text = "x".repeat(2048 - sync(2, &typed(5, 0, &"x".repeat(2000))).len() + 2000);
    assert_eq!(sync(2, &typed(5, 0, &text)).len(), 2048);
    one.change(&typed(5, 0, &text));
    one.send(&sync(2, &typed(6, 0, &format!("{text}x"))));
    assert!(matches!(one.socket.next(), Frame::Close(1009, _)));
    let mut two = Peer::enter(&server, "/rooms/notes");
    two.socket.send_text(&format!("{:100}", r#"{"type":"get-peers"}"#));
    assert_eq!(two.socket.json()["type"], "init");
    assert_eq!(two.socket.json()["type"], "peers");
    two.socket.send_text(&" ".repeat(101));
    assert!(matches!(two.socket.next(), Frame::Close(1009, _)));
}

#[test]
fn a_room_that_is_full_is_only_read_and_says_so() {
    let server = Server::with(&[("ROOMS_MAX_DOCUMENT_BYTES", "1024")]);
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    one.change(&typed(5, 0, &"x".repeat(1000)));
    two.binary();
    one.send_update(&typed(5, 1000, &"y".repeat(100)));
    let denied = one.binary();
    assert_eq!(denied[..2], [2, 0]);
    assert!(String::from_utf8_lossy(&denied[3..]).contains("1024 bytes"), "{denied:?}");
    two.socket.assert_quiet();
    one.send(&sync(2, &typed(6, 0, &"z".repeat(1100))));
    assert!(matches!(one.socket.next(), Frame::Close(4413, _)));
}

#[test]
fn a_room_that_is_crowded_lets_nobody_else_in() {
    let server = Server::with(&[("ROOMS_MAX_SOCKETS_PER_ROOM", "2")]);
    let (_one, two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    let (_, mut third) = Socket::open(&server, "/rooms/notes", &[]);
    assert!(matches!(third.next(), Frame::Close(1013, _)));
    assert_eq!(Socket::open(&server, "/rooms/notes", &[]).0.status, 503);
    Peer::enter(&server, "/rooms/other");
    drop(two);
    wait_for(|| (Socket::open(&server, "/rooms/notes?again", &[]).0.status == 101).then_some(()));
}

#[test]
fn the_last_words_of_a_server_are_those_of_the_original() {
    let mut server = Server::start();
    let mut one = Peer::enter(&server, "/rooms/notes");
    one.send_update(HI);
    server.signal("TERM");
    assert_eq!(one.binary(), sync(2, HI));
    one.socket.assert_closed(1001, "Server shutting down");
    assert_eq!(server.wait().code(), Some(0));
    server.launch();
    assert_eq!(Peer::enter(&server, "/rooms/notes").document(), HI);
}

/// A token with these claims beside `sub` and `exp`.
fn token(claims: &Value) -> String {
    let mut all = json!({ "sub": "alice", "exp": 4_000_000_000_u64 });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &all, &key).unwrap()
}

const SECRET: &str = "a key of at least thirty-two bytes";

fn keyed() -> Server {
    Server::with(&[("JWT_SECRET", SECRET)])
}

#[test]
fn who_may_enter_is_said_by_a_token_in_each_of_its_places() {
    let server = keyed();
    let token = token(&json!({ "rooms": ["team/*"] }));
    let bearer = format!("Bearer {token}");
    let offered = format!("y-websocket, bearer.{token}");
    for (path, headers) in [
        ("/rooms/team/a".to_owned(), vec![("Authorization", bearer.as_str())]),
        ("/rooms/team/a".to_owned(), vec![("Sec-WebSocket-Protocol", offered.as_str())]),
        (format!("/rooms/team/a?token={token}"), vec![]),
        (format!("/rooms?room=team/a&access_token={token}"), vec![]),
    ] {
        let mut peer = Peer::open(&server, &path, &headers).1;
        assert_eq!(peer.binary()[..2], [0, 0], "{path}");
    }
    assert!(!server.log().contains(&token), "a token is a secret");
}

#[test]
fn who_may_not_enter_is_told_once_in_a_socket_and_then_without_one() {
    let ways = "as ?token=TOKEN, in the header Authorization: Bearer TOKEN, or as the subprotocols bearer and TOKEN";
    let another = format!("Get a new token. Send it {ways}");
    let reason = "the operator finds the reason in the log (auth.failed), or with inkring token inspect";
    let better = format!("Get a new token; {reason}. Send it {ways}");
    let empty = format!("The token is empty. Send it {ways}");
    let nobody = "Only identified users may enter this room: send a token";
    let nobody_can = "Only identified users may enter this room, and this server has no key to verify tokens";
    let no_key = "This server has no key to verify tokens: its operator has to set one";
    let believing = format!("Send a token {ways}; or send X-User-Id: ID");
    let (bad, expired) = ("token=nonsense".to_owned(), format!("token={}", token(&json!({ "exp": 1_766_484_000 }))));
    let elsewhere = format!("token={}", token(&json!({ "room": "other" })));
    let (known_only, distrusting) = (("ROOMS_REQUIRE_TOKEN", "true"), ("AUTH_TRUST_USER_HEADER", "false"));

    let server = keyed();
    refused(&server, "", 4401, "Unauthorized", nobody, &believing);
    refused(&server, &bad, 4401, "Invalid token", "Invalid token", &better);
    refused(&server, "token=", 4401, "Invalid token", "Invalid token", &empty);
    refused(&server, &expired, 4401, "Invalid token", "Token expired", &another);
    refused(&server, &elsewhere, 4403, "Unauthorized", "The token is not for this room", "");
    let server = Server::with(&[("JWT_SECRET", SECRET), distrusting]);
    refused(&server, "", 4401, "Unauthorized", nobody, &format!("Send a token {ways}"));
    let server = Server::with(&[known_only, distrusting]);
    for query in ["", &bad] {
        refused(&server, query, 4401, "Unauthorized", nobody_can, no_key);
    }
    let server = Server::with(&[known_only]);
    let until_then = format!("{no_key}; until then, send X-User-Id: ID");
    refused(&server, "", 4401, "Unauthorized", nobody_can, &until_then);
    let ticket = format!("Get a new ticket. Send it {ways}");
    refused(&server, "token=ticket.none", 4401, "Invalid token", "Invalid token", &ticket);
}

#[test]
fn a_page_of_another_origin_is_told_what_counts_and_the_log_has_its_origin() {
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), ("WS_ALLOWED_ORIGINS", "https://app.example")]);
    let listed = "his server accepts sockets only from the origins in WS_ALLOWED_ORIGINS";
    let evil = format!("https://evil.example/{}", "x".repeat(1000));
    let (unlisted, absent) = ("it is not in WS_ALLOWED_ORIGINS", "none was sent, and WS_ALLOWED_ORIGINS requires one");
    for (room, headers, why, hint) in [
        ("a", &[("Origin", evil.as_str())][..], unlisted, format!("T{listed}")),
        ("b", &[], absent, format!("Send an Origin header: t{listed}")),
    ] {
        let path = format!("/rooms/{room}");
        let mut peer = Peer::open(&server, &path, headers).1;
        assert_eq!(peer.binary()[..2], [2, 0]);
        assert_eq!(peer.socket.next(), Frame::Close(4403, format!("Origin not allowed: {why}")));
        let (answer, _) = Socket::open(&server, &path, headers);
        assert_eq!((answer.status, &answer.json()["error"]["hint"]), (403, &json!(hint)), "{room}");
        let line = server.wait_for_log(|line| line["message"] == "room.refused" && line["room"] == room);
        assert_eq!(line["reason"], "origin");
        match line["context"].as_str() {
            Some(origin) => assert!(evil.starts_with(&origin[..100]) && origin.len() < evil.len(), "{line}"),
            None => assert!(headers.is_empty(), "{line}"),
        }
    }
    // Another origin is another case: its page is told as well, and the log has it.
    let mut peer = Peer::open(&server, "/rooms/a", &[("Origin", "https://other.example")]).1;
    assert_eq!(peer.binary()[..2], [2, 0]);
    assert_eq!(peer.socket.next(), Frame::Close(4403, format!("Origin not allowed: {unlisted}")));
    server.wait_for_log(|line| line["message"] == "room.refused" && line["context"] == "https://other.example");
}

/// Comes twice on each form of URL, with this query: is closed with this code and message in the first socket, or with 1008
/// and the original's `words` on its form, and then answered with the message and this hint.
#[track_caller]
fn refused(server: &Server, query: &str, close: u16, words: &str, message: &str, hint: &str) {
    let path = format!("/rooms/notes?{query}");
    let mut peer = Peer::open(server, &path, &[]).1;
    let denied = peer.binary();
    assert_eq!((&denied[..2], &denied[3..]), (&[2, 0][..], message.as_bytes()));
    assert_eq!(peer.socket.next(), Frame::Close(close, message.to_owned()));
    let originals = format!("/rooms?room=notes&{query}");
    let (_, mut socket) = Socket::open(server, &originals, &[]);
    assert_eq!(socket.next(), Frame::Close(1008, words.to_owned()), "in the words of the original");
    for path in [path, originals] {
        let (answer, _) = Socket::open(server, &path, &[]);
        assert_eq!(answer.status, close - 4000, "{path}");
        assert!(answer.header("retry-after").is_some());
        let body = answer.json();
        let expected = if close == 4401 { "http_error" } else { "forbidden" };
        assert_eq!(body["error"]["code"], expected, "{path}");
        assert_eq!(body["error"]["message"], message, "{path}");
        assert_eq!(body["detail"], message, "{path}");
        assert_eq!(body["error"]["hint"].as_str().unwrap_or_default(), hint, "{path}");
    }
}

#[test]
fn a_thousand_clients_that_come_back_with_a_bad_token_are_let_in_once() {
    let server = keyed();
    let mut let_in = 0;
    for _ in 0..1000 {
        let (answer, _) = Socket::open(&server, "/rooms/notes?token=bad", &[]);
        let_in += usize::from(answer.status == 101);
    }
    assert_eq!(let_in, 1);
}

#[test]
fn who_may_only_read_is_told_so_and_stays() {
    let server = keyed();
    let reader = format!("/rooms/notes?token={}", token(&json!({ "perm": "read" })));
    let writer = format!("/rooms/notes?token={}", token(&json!({})));
    let (mut reader, mut writer) = (Peer::enter(&server, &reader), Peer::enter(&server, &writer));
    reader.send_update(HI);
    assert_eq!(reader.binary()[..2], [2, 0]);
    reader.send_update(HI);
    reader.socket.assert_quiet();
    writer.socket.assert_quiet();
    writer.change(YO);
    assert_eq!(reader.binary(), sync(2, YO));
    let here = present(7, 1, "{}");
    reader.send(&here);
    assert_eq!(writer.binary(), here);
}

#[test]
fn a_token_that_expires_ends_its_socket_for_good() {
    let server = keyed();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Those 30 s are the leeway for clocks.
    let soon = token(&json!({ "exp": now - 24 }));
    let mut peer = Peer::enter(&server, &format!("/rooms/notes?token={soon}"));
    assert_eq!(peer.binary()[..2], [2, 0]);
    assert_eq!(peer.socket.next(), Frame::Close(4401, "Token expired".to_owned()));
}

#[test]
fn owners_list_take_out_put_in_and_delete() {
    let server = keyed();
    let admin = format!("Bearer {}", token(&json!({ "perm": "admin", "rooms": ["a/*", "b"] })));
    let member = format!("Bearer {}", token(&json!({})));
    let ask = |method: &str, path: &str, bearer: &str, body: &[u8]| {
        server.connect().request(method, path, &[("Authorization", bearer)], body)
    };
    for (bearer, status) in [("Bearer x", 401), (&*member, 403)] {
        for method in ["GET", "PUT", "DELETE"] {
            assert_eq!(ask(method, "/rooms/a/1/update", bearer, b"").status, status, "{method}");
        }
        ask("GET", "/rooms", bearer, b"").expect(status);
    }
    assert_eq!(server.get("/rooms").status, 401);
    ask("GET", "/rooms/a/1/update", &admin, b"").expect_error(404);
    ask("GET", "/rooms/c/update", &admin, b"").expect_error(403);
    assert_eq!(ask("PUT", "/rooms/a/1/update", &admin, HI).expect(200), json!({ "seq": 1 }));
    assert_eq!(ask("PUT", "/rooms/a/1/update", &admin, HI).expect(200), json!({ "seq": 1 }), "nothing new");
    let said = ask("PUT", "/rooms/a/1/update", &admin, b"rubbish").expect_error(422).1;
    assert!(said.contains("not a Yjs update"), "{said}");
    ask("PUT", "/rooms/a/1/update", &admin, &typed(5, 7, "gap")).expect_error(422);
    let mut peer = Peer::open(&server, "/rooms/a/1", &[("Authorization", &member)]).1;
    assert_eq!(peer.binary(), [0, 0, 3, 1, 5, 2]);
    ask("PUT", "/rooms/a/1/update", &admin, YO).expect(200);
    assert_eq!(peer.binary(), sync(2, YO), "who is in the room sees it");
    let whole = ask("GET", "/rooms/a/1/update", &admin, b"");
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/octet-stream")));
    assert_eq!(peer.document(), whole.body);
    for room in ["a/2", "a/3", "b"] {
        ask("PUT", &format!("/rooms/{room}/update"), &admin, HI).expect(200);
    }
    let page = ask("GET", "/rooms?limit=3", &admin, b"").expect(200);
    let names = |page: &Value| {
        page["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((names(&page), &page["next"]), (vec!["a/1".to_owned(), "a/2".into(), "a/3".into()], &json!("a/3")));
    assert_eq!((&page["rooms"][0]["sockets"], &page["rooms"][1]["sockets"]), (&json!(1), &json!(0)));
    let rest = ask("GET", "/rooms?limit=3&after=a/3", &admin, b"").expect(200);
    assert_eq!((names(&rest), &rest["next"]), (vec!["b".to_owned()], &Value::Null));
    for limit in ["0", "1001", "x"] {
        ask("GET", &format!("/rooms?limit={limit}"), &admin, b"").expect_error(422);
    }
    assert_eq!(ask("DELETE", "/rooms/a/1", &admin, b"").status, 204);
    assert_eq!(peer.socket.next(), Frame::Close(4404, "The room was deleted".to_owned()));
    ask("DELETE", "/rooms/a/1", &admin, b"").expect_error(404);
    ask("GET", "/rooms/a/1/update", &admin, b"").expect_error(404);
    let mut again = Peer::open(&server, "/rooms/a/1", &[("Authorization", &member)]).1;
    assert_eq!(again.binary(), [0, 0, 1, 0], "it begins anew");
}

#[test]
fn a_port_of_their_own_serves_the_urls_of_the_original() {
    let server = Server::with(&[("ROOMS_ADDR", "127.0.0.1:0")]);
    let line = server.wait_for_log(|line| line["message"] == "server.door_opened");
    let address: std::net::SocketAddr = line["address"].as_str().unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    let connect = || crate::support::Client::connect(address);
    let enter = |path: &str| {
        let (answer, socket) = Socket::upgrade(connect(), path, &[]);
        assert_eq!(answer.status, 101);
        Peer { socket }
    };
    let (mut one, mut two, mut public) =
        (enter("/notes/a"), enter("/?room=notes/a"), Peer::enter(&server, "/rooms/notes/a"));
    one.binary();
    one.change(HI);
    let seen = loop {
        match two.socket.next() {
            Frame::Binary(bytes) if bytes[..2] == [0, 2] => break bytes,
            Frame::Binary(_) | Frame::Text(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((seen, public.binary()), (sync(2, HI), sync(2, HI)));
    let health = connect().get("/health", None);
    let body = health.text().to_owned();
    assert!(
        body.starts_with(r#"{"status":"healthy","timestamp":"20"#)
            && body.ends_with(r#"Z","rooms":1,"connections":3}"#),
        "{body}"
    );
    let stats = "{\n  \"rooms\": 1,\n  \"totalConnections\": 3,\n  \"roomDetails\": [\n    {\n      \"roomId\": \"notes/a\",\n      \"connections\": 3\n    }\n  ]\n}";
    assert_eq!(connect().get("/stats", None).text(), stats);
    assert_eq!(server.get("/stats").status, 404);
    // A room may have the name of a page.
    let mut health = enter("/health");
    assert_eq!(health.binary()[..2], [0, 0]);
}

#[test]
fn a_thousand_rooms_come_and_go() {
    let settings = [("ROOMS_UNLOAD_SECONDS", "0"), ("METRICS_PUBLIC", "true"), ("ROOMS_MAX_NEW_PER_HOUR", "1000000")];
    let server = Server::with(&settings);
    let rooms = |server: &Server| {
        let page = server.get("/metrics").text().to_owned();
        let line = page.lines().find(|line| line.starts_with("inkring_rooms_loaded "));
        line.unwrap_or_else(|| panic!("{page}")).rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
    };
    let visit = |round: usize| {
        for batch in 0..20 {
            let mut peers: Vec<Peer> =
                (0..50).map(|n| Peer::enter(&server, &format!("/rooms/r{}", batch * 50 + n))).collect();
            for peer in &mut peers {
                peer.change(&typed(round as u64 + 1, 0, "x"));
            }
        }
        wait_for(|| (rooms(&server) == 0).then_some(()));
    };
    visit(0);
    let before = server.memory_kb("VmRSS");
    visit(1);
    visit(2);
    let after = server.memory_kb("VmRSS");
    assert!(after < before + 4096, "{before} kB, then {after} kB");
    assert_eq!(Peer::enter(&server, "/rooms/r999").document().iter().filter(|byte| **byte == b'x').count(), 3);
}

#[test]
fn one_user_and_one_address_have_so_many_sockets() {
    let server = Server::start();
    let mut peers: Vec<Peer> = (0..100).map(|n| Peer::enter(&server, &format!("/rooms/r{n}"))).collect();
    let (_, mut socket) = Socket::open(&server, "/rooms/more", &[]);
    assert!(matches!(socket.next(), Frame::Close(1013, _)));
    let known = [("X-User-Id", "alice")];
    peers.extend((0..50).map(|_| Peer::open(&server, "/rooms/more", &known).1));
    let (_, mut socket) = Socket::open(&server, "/rooms/other", &known);
    assert!(matches!(socket.next(), Frame::Close(1013, _)));
}

#[test]
fn a_socket_that_says_too_much_is_closed() {
    let server = Server::with(&[("ROOMS_MAX_MESSAGE_BYTES", "4194304")]);
    let mut many = Peer::enter(&server, "/rooms/notes");
    let keep_alive = Sent::new(BINARY, KEEP_ALIVE);
    many.socket.send_bytes(keep_alive.encode().repeat(1001));
    assert!(matches!(many.socket.next(), Frame::Close(4529, _)));
    let mut talkative = Peer::enter(&server, "/rooms/notes");
    talkative.socket.send_bytes(Sent::new(TEXT, "{}").encode().repeat(900));
    assert_eq!(talkative.socket.json()["type"], "init");
    assert!(matches!(talkative.socket.next(), Frame::Close(4529, _)));
    let mut much = Peer::enter(&server, "/rooms/notes");
    let message = [&[77][..], &vec![0; 4_000_000]].concat();
    let message = Sent::new(BINARY, &message).encode();
    // However busy the machine is, it takes less than a second for each of them; once closed it takes no more.
    for _ in 0..8 {
        if much.socket.client.stream.write_all(&message).is_err() {
            break;
        }
    }
    let end = much.socket.next();
    assert!(matches!(end, Frame::Close(4529, _)), "{end:?}");
}

#[test]
fn of_too_many_states_the_newest_is_passed_on() {
    let server = Server::start();
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    for clock in 1..=100 {
        one.send(&present(5, clock, &format!("{{\"n\":{clock}}}")));
    }
    let newest = present(5, 100, r#"{"n":100}"#);
    let mut passed = 1;
    while two.binary() != newest {
        passed += 1;
    }
    assert!(passed < 100, "{passed}");
}

#[test]
fn a_room_keeps_so_much_for_the_disk_and_not_more() {
    let server = Server::with(&[("ROOMS_MAX_MESSAGE_BYTES", "10000"), ("ROOMS_MAX_TEXT_BYTES", "100")]);
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    let held = crate::support::hold_writer(&server.database());
    let text = "x".repeat(9000);
    // Four messages of the largest size.
    for part in 0..4 {
        let update = typed(5, part * 9000, &text);
        one.send_update(&update);
        assert!(two.binary() == sync(2, &update), "{part}: others do not wait for the disk");
    }
    one.send_update(&typed(5, 4 * 9000, &text));
    assert_eq!(one.socket.next(), Frame::Close(1013, "Too many changes wait to be stored".to_owned()));
    two.socket.assert_quiet();
    drop(held);
}

#[test]
fn who_does_not_read_is_closed_and_equal_once_it_is_back() {
    let server = Server::with(&[("WS_STALL_SECONDS", "600")]);
    let mut writer = Peer::enter(&server, "/rooms/notes");
    let (_, socket) = Socket::upgrade(crate::support::socket::connect_narrow(&server), "/rooms/notes", &[]);
    let mut slow = Peer { socket };
    let before = server.memory_kb("VmRSS");
    let text = "x".repeat(100_000);
    for part in 0..70 {
        writer.change(&typed(5, part * 100_000, &text));
    }
    let grown = server.memory_kb("VmRSS") - before;
    let closed = loop {
        match slow.socket.next() {
            Frame::Binary(_) => {}
            other => break other,
        }
    };
    assert!(matches!(closed, Frame::Close(1013, _)), "{closed:?}");
    // The document itself, what waits for the two, and what allocators keep of it.
    assert!(grown < 40 * 1024, "{grown} kB");
}

#[test]
fn while_nothing_can_be_stored_rooms_are_read_and_everyone_is_asked_once_it_can() {
    let server = Server::start();
    let mut one = Peer::enter(&server, "/rooms/notes");
    one.change(HI);
    limit_files(&server, Some(log_bytes(&server)));
    // The first one finds it out. Its sender is closed, and has it still.
    one.send_update(YO);
    let Frame::Close(1011, reason) = one.socket.next() else { panic!("not closed") };
    assert!(reason.contains("could not be stored"), "{reason}");
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/notes"), Peer::enter(&server, "/rooms/notes"));
    assert_eq!(two.document(), HI);
    one.send_update(YO);
    let denied = one.binary();
    assert!(denied[..2] == [2, 0] && String::from_utf8_lossy(&denied).contains("Nothing can be stored"), "{denied:?}");
    two.socket.assert_quiet();
    limit_files(&server, None);
    for peer in [&mut one, &mut two] {
        assert_eq!(peer.binary(), [0, 0, 3, 1, 5, 2], "asked for what is missing");
    }
    one.send(&sync(1, YO));
    assert_eq!((one.binary(), two.binary()), (sync(2, YO), sync(2, YO)));
}

#[test]
fn a_large_document_is_given_whole_however_often_it_is_asked_for() {
    let server = Server::with(&[("WS_OUTBOX_BYTES", "1024")]);
    let (mut one, mut two) = (Peer::enter(&server, "/rooms/large"), Peer::enter(&server, "/rooms/large"));
    let whole = typed(5, 0, &"x".repeat(3_000_000));
    one.change(&whole);
    assert!(two.binary() == sync(2, &whole));
    // What is asked for while it is being made is given once.
    two.socket.send_bytes(Sent::new(BINARY, sync(0, &[0])).encode().repeat(3));
    assert!(two.binary() == sync(1, &whole));
    two.socket.assert_quiet();
    two.send(&sync(0, &[1, 5, 0xbf, 0x8d, 0xb7, 1]));
    let rest = two.binary();
    assert_eq!(rest[..2], [0, 1], "{rest:?}");
    assert_eq!(rest.iter().filter(|byte| **byte == b'x').count(), 1);
}
