//! The socket of a draft as a client meets it: the handshake, the refusals and which of them comes first, what is said
//! and what is not, and that a seat is free again however its socket ended (contract 01 §2).

use std::io::{ErrorKind, Write};

use serde_json::{Value, json};

use crate::support::socket::{
    ACCEPT, BINARY, CONTINUATION, Frame, KEY, PING, PROTOCOL_PING, PROTOCOL_PONG, Sent, Socket, TEXT, handshake, path,
};
use crate::support::{Answer, Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const UNAUTHORIZED: &str = "Unauthorized: missing or invalid authentication";
const BAD_SINCE: &str = "The 'since' parameter should be a whole number from 0";

type Headers<'a> = &'a [(&'a str, &'a str)];

/// A JSON message of exactly so many bytes, which is answered, padded with this text.
fn ping_of(bytes: usize, padding: &str) -> String {
    let bare = r#"{"type":"ping","pad":""}"#;
    let room = bytes - bare.len();
    let pad = padding.repeat(room / padding.len()) + &"x".repeat(room % padding.len());
    bare.replace(r#"pad":""#, &format!(r#"pad":"{pad}"#))
}

/// A time in the style of the API: microseconds or nothing, and the offset (contract 01 §0.2).
#[track_caller]
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap();
    let bare = text.strip_suffix("+00:00").unwrap_or_else(|| panic!("{text}"));
    assert!(matches!(bare.len(), 19 | 26) && bare.as_bytes()[10] == b'T', "{text}");
}

#[track_caller]
fn assert_uuid(value: &Value) {
    let id = uuid::Uuid::parse_str(value.as_str().unwrap()).unwrap();
    assert_eq!((id.get_version_num(), id.to_string().as_str()), (4, value.as_str().unwrap()));
}

/// Opens a socket that must be refused: accepted, told why in these very bytes, closed for the same reason.
#[track_caller]
fn assert_refused(server: &Server, path: &str, headers: &[(&str, &str)], code: &str, message: &str) {
    let headers = [headers, &[("X-Request-Id", "RID-1")]].concat();
    let (answer, mut socket) = Socket::open(server, path, &headers);
    assert_eq!(answer.status, 101, "{answer:?}");
    let error = json!({ "type": "error", "code": code, "message": message, "request_id": "RID-1" });
    assert_eq!(socket.text(), error.to_string());
    socket.assert_closed(1008, message);
}

/// The error that a socket is told before it is closed.
#[track_caller]
fn assert_error(socket: &mut Socket, code: &str, message: &str) {
    let mut error = socket.json();
    let request_id = error["request_id"].take();
    assert!(request_id.is_string());
    assert_eq!(error, json!({ "type": "error", "code": code, "message": message, "request_id": null }));
}

/// A draft and a connection to change it by.
struct Draft<'a> {
    server: &'a Server,
    id: String,
}

impl<'a> Draft<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, id: server.create_draft("alice") }
    }

    fn post(&self, user: &str, path: &str, body: &Value, request_id: &str) -> Answer {
        let headers = [("X-User-Id", user), ("X-Request-Id", request_id), ("Content-Type", "application/json")];
        let path = format!("{DRAFTS}/{}/{path}", self.id);
        self.server.connect().request("POST", &path, &headers, body.to_string().as_bytes())
    }

    fn append(&self, user: &str, key: &str, request_id: &str) -> Answer {
        self.post(user, "segments", &json!({ "content": "words", "idempotency_key": key }), request_id)
    }

    fn pass(&self, user: &str, to: &str, key: &str, request_id: &str) -> Answer {
        self.post(user, "pass-ring", &json!({ "to_user_id": to, "idempotency_key": key }), request_id)
    }

    fn add(&self, user: &str, query: &str, request_id: &str) -> Answer {
        self.post(user, &format!("collaborators?{query}"), &json!({}), request_id)
    }

    fn watch(&self, user: &str) -> Socket {
        Socket::watch(self.server, &self.id, user)
    }
}

#[test]
fn the_handshake_is_that_of_the_rfc_and_negotiates_nothing() {
    let server = Server::start();
    let offered = [
        ("X-User-Id", "alice"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
    ];
    let (answer, mut socket) = Socket::open(&server, "/v1/ws/drafts/d1", &offered);
    assert_eq!((answer.status, answer.reason.as_str()), (101, "Switching Protocols"));
    assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    assert!(answer.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")), "{answer:?}");
    assert!(answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("upgrade")), "{answer:?}");
    for absent in ["sec-websocket-extensions", "sec-websocket-protocol", "content-length", "transfer-encoding"] {
        assert_eq!(answer.header(absent), None, "{absent}");
    }
    assert_eq!(socket.json()["type"], "connected");
    socket.close();
}

#[test]
fn header_names_and_tokens_of_the_handshake_may_be_spelled_in_any_case() {
    let server = Server::start();
    let mut client = server.connect();
    client.send(format!(
        "GET /v1/ws/drafts/d1 HTTP/1.1\r\nhost: t\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n\
         sec-websocket-KEY: {KEY}\r\nSEC-WEBSOCKET-VERSION: 13\r\nx-user-id: alice\r\n\r\n"
    ));
    let (answer, mut socket) = Socket::answered(client);
    assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT), "{answer:?}");
    assert_eq!(socket.json()["type"], "connected");
}

#[test]
fn of_the_subprotocols_offered_only_bearer_is_ours() {
    let server = Server::start();
    for (offered, answered) in
        [("bearer, a.b.c", Some("bearer")), ("graphql-ws", None), ("Bearers, a.b.c", None), ("a.b.c", None)]
    {
        let headers = [("X-User-Id", "alice"), ("Sec-WebSocket-Protocol", offered)];
        let (answer, mut socket) = Socket::open(&server, "/v1/ws/drafts/d1", &headers);
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, answered), "{offered}");
        // Accepted or refused, it speaks: a browser would have dropped a protocol that it did not offer.
        assert!(matches!(socket.next(), Frame::Text(_)), "{offered}");
    }
}

#[test]
fn what_is_no_upgrade_is_answered_in_http() {
    let server = Server::start();
    let (code, message) = server.get_as("alice", "/v1/ws/drafts/d1").expect_error(404);
    assert!(code == "not_found" && message.contains("WebSocket") && message.contains("proxy"), "{message}");
    // As nginx asks without a word of configuration; the log says so, once.
    let mut client = server.connect();
    client.send(handshake("/v1/ws/drafts/d1", &[]).replace("HTTP/1.1", "HTTP/1.0"));
    let answer = client.answer();
    answer.expect_error(404);
    assert_eq!(answer.json()["detail"], "Not Found", "as the contract has it");
    server.wait_for_log(|line| line["message"] == "socket.no_upgrade");
    let upgrade = |path: &str, change: &dyn Fn(String) -> String| {
        let mut client = server.connect();
        client.send(change(handshake(path, &[("X-User-Id", "alice")])));
        client.answer()
    };
    let version = |version: &str| {
        let line = format!("Version: {version}");
        upgrade("/v1/ws/drafts/d1", &|head| head.replace("Version: 13", &line))
    };
    for other in ["8", "12", "14", "130", "x", "13\r\nSec-WebSocket-Version: 13"] {
        let answer = version(other);
        assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")), "{other}");
    }
    let key_line = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let keys = [
        String::new(),
        "Sec-WebSocket-Key: \r\n".to_owned(),
        "Sec-WebSocket-Key: short\r\n".to_owned(),
        // 15 and 17 bytes, then 16 of something else.
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n".to_owned(),
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n".to_owned(),
        "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n".to_owned(),
        key_line.repeat(2),
    ];
    for key in keys {
        let answer = upgrade("/v1/ws/drafts/d1", &|head| head.replace(&key_line, &key));
        assert_eq!(answer.status, 400, "{key:?}");
    }
    for unknown in ["/v1/ws", "/v1/ws/drafts", "/v1/ws/other/d1", "/v1/ws/drafts/d1/more", "/v1/ws/drafts/a%2Fb"] {
        let answer = upgrade(unknown, &|head| head);
        assert_eq!(answer.status, 403, "{unknown}");
        assert!(answer.header("x-request-id").is_some(), "{unknown}");
    }
    let warned = server.log().lines().filter(|line| line.contains("socket.no_upgrade")).count();
    assert_eq!(warned, 1);
    // An id that cannot be one is not copied into topics and seats.
    let answer = upgrade(&format!("/v1/ws/drafts/{}", "a".repeat(65)), &|head| head);
    assert_eq!(answer.status, 404);
    assert_eq!(upgrade(&format!("/v1/ws/drafts/{}", "a".repeat(64)), &|head| head).status, 101);
}

#[test]
fn a_connection_that_was_used_for_http_may_be_upgraded() {
    let server = Server::start();
    let mut client = server.connect();
    client.get("/healthz", None).expect(200);
    client.get("/v1/ws/drafts/d1", Some("alice")).expect_error(404);
    let (answer, mut socket) = Socket::upgrade(client, "/v1/ws/drafts/d1", &[("X-User-Id", "alice")]);
    assert_eq!(answer.status, 101);
    assert_eq!(socket.json()["type"], "connected");
    socket.assert_quiet();
}

#[test]
fn whatever_comes_in_one_piece_with_the_handshake_is_taken_in_its_turn() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    let change = json!({ "content": "words", "idempotency_key": "1" }).to_string();
    let length = change.len();
    let mut bytes = format!(
        "POST {DRAFTS}/{draft}/segments HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {length}\r\n\r\n{change}"
    )
    .into_bytes();
    bytes.extend_from_slice(handshake(&format!("{}?since=1", path(&draft)), &[("X-User-Id", "alice")]).as_bytes());
    bytes.extend(Sent::new(TEXT, PING).encode());
    let last = Sent::new(PROTOCOL_PING, "now").encode();
    bytes.extend_from_slice(&last[..3]);
    client.send(bytes);
    // The change is committed and answered before the handshake is looked at, so it is in what the welcome speaks of.
    client.answer().expect(200);
    let (answer, mut socket) = Socket::answered(client);
    assert_eq!(answer.status, 101);
    assert_eq!(socket.json()["seq"], 2);
    assert_eq!(socket.json()["type"], "collab.segment_added");
    assert_eq!(socket.json()["type"], "resumed");
    assert_eq!(socket.json()["type"], "pong");
    socket.send_bytes(&last[3..]);
    assert_eq!(socket.next(), Frame::Pong(b"now".to_vec()));
}

#[test]
fn the_body_of_a_handshake_is_not_taken_for_frames() {
    let server = Server::start();
    let body = Sent::new(TEXT, PING).encode();
    let length = body.len().to_string();
    let chunked = [format!("{:x}\r\n", body.len()).into_bytes(), body.clone(), b"\r\n0\r\n\r\n".to_vec()].concat();
    for (framing, body) in [(("Content-Length", length.as_str()), body), (("Transfer-Encoding", "chunked"), chunked)] {
        let mut client = server.connect();
        client.send(handshake("/v1/ws/drafts/d1", &[("X-User-Id", "alice"), framing]));
        client.send(body);
        let (answer, mut socket) = Socket::answered(client);
        assert_eq!(answer.status, 101);
        socket.assert_quiet_after_welcome();
    }
}

#[test]
fn the_welcome_says_who_watches_what_and_no_more() {
    let server = Server::start();
    let welcome = |path: &str, user: &str, headers: &[(&str, &str)]| {
        let (answer, mut socket) = Socket::open(&server, path, &[&[("X-User-Id", user)], headers].concat());
        assert_eq!(answer.status, 101);
        socket.text()
    };
    let text = welcome("/v1/ws/drafts/d1", "alice", &[("X-Request-Id", "RID-1")]);
    let json: Value = serde_json::from_str(&text).unwrap();
    let (ts, connection_id) = (&json["ts"], &json["connection_id"]);
    assert_time(ts);
    assert_uuid(connection_id);
    assert_eq!(
        text,
        format!(
            r#"{{"type":"connected","draft_id":"d1","user_id":"alice","ts":{ts},"request_id":"RID-1","connection_id":{connection_id}}}"#
        )
    );
    // No such draft, and names of any kind: whoever is somebody may watch whatever (contract 01 §2.1).
    let json: Value = serde_json::from_str(&welcome("/v1/ws/drafts/a%20%22b%F0%9F%96%8B", "Ünal", &[])).unwrap();
    assert_eq!((&json["draft_id"], &json["user_id"]), (&json!("a \"b🖋"), &json!("Ünal")));
    assert_uuid(&json["request_id"]);
    let long = "x".repeat(129);
    let json: Value = serde_json::from_str(&welcome("/v1/ws/drafts/d1", "a", &[("X-Request-Id", &long)])).unwrap();
    assert_uuid(&json["request_id"]);
}

#[test]
fn nobody_in_particular_is_refused() {
    let server = Server::start();
    let long = "x".repeat(101);
    let cases: [&[(&str, &str)]; 4] =
        [&[], &[("X-User-Id", "")], &[("X-User-Id", &long)], &[("X-User-Id", "alice"), ("X-User-Id", "bob")]];
    for headers in cases {
        assert_refused(&server, "/v1/ws/drafts/d1", headers, "forbidden", UNAUTHORIZED);
    }
    let server = Server::with(&[("AUTH_TRUST_USER_HEADER", "false")]);
    assert_refused(&server, "/v1/ws/drafts/d1", &[("X-User-Id", "alice")], "forbidden", UNAUTHORIZED);
}

#[test]
fn with_the_limits_on_only_pages_of_these_origins_may_open_sockets() {
    let list = ("WS_ALLOWED_ORIGINS", "https://a.example, https://b.example:8443");
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), list]);
    let origin = |origin| [("X-User-Id", "alice"), ("Origin", origin)];
    for allowed in ["https://a.example", "https://b.example:8443"] {
        Socket::open(&server, "/v1/ws/drafts/d1", &origin(allowed)).1.assert_quiet_after_welcome();
    }
    let message = "Origin not allowed";
    for other in ["https://b.example", "http://a.example", "https://a.example.evil", "null", ""] {
        assert_refused(&server, "/v1/ws/drafts/d1", &origin(other), "ws_limit", message);
    }
    assert_refused(&server, "/v1/ws/drafts/d1", &[("X-User-Id", "alice")], "ws_limit", message);
    for anyone in [[("WS_LIMITS_ENABLED", "true"), ("WS_ALLOWED_ORIGINS", "*")], [("WS_LIMITS_ENABLED", "false"), list]]
    {
        let server = Server::with(&anyone);
        Socket::open(&server, "/v1/ws/drafts/d1", &origin("https://c.example")).1.assert_quiet_after_welcome();
        Socket::open(&server, "/v1/ws/drafts/d1", &[("X-User-Id", "alice")]).1.assert_quiet_after_welcome();
    }
}

#[test]
fn where_to_catch_up_from_is_a_whole_number_from_0() {
    let server = Server::start();
    for bad in ["-1", "1.5", "x", "1x", "0x10", "1e3", "%20", "null"] {
        let path = format!("/v1/ws/drafts/d1?since={bad}");
        assert_refused(&server, &path, &[("X-User-Id", "alice")], "validation_error", BAD_SINCE);
    }
}

#[test]
fn when_reading_is_not_public_only_members_may_watch() {
    let server = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let draft = Draft::new(&server);
    let mut creator = draft.watch("alice");
    let refused = |id: &str| {
        let message = format!("User eve is not owner/collaborator for draft {id}");
        assert_refused(&server, &path(id), &[("X-User-Id", "eve")], "forbidden", &message);
        assert_refused(&server, &format!("{}?since=0", path(id)), &[("X-User-Id", "eve")], "forbidden", &message);
    };
    refused(&draft.id);
    let eve = [("X-User-Id", "eve")];
    assert_refused(&server, &path("no-such-draft"), &eve, "not_found", "Draft no-such-draft not found");
    draft.add("alice", "collaborator_id=eve", "r").expect(200);
    let mut member = draft.watch("eve");
    draft.append("alice", "k", "appended").expect(200);
    assert_eq!(creator.json()["type"], "collab.collaborator_added");
    for socket in [&mut creator, &mut member] {
        assert_eq!(socket.json()["request_id"], "appended");
    }
}

#[test]
fn the_reason_of_a_refusal_is_cut_at_a_character_when_it_is_too_long_for_a_close_frame() {
    let server = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let draft = Draft::new(&server);
    for user in ["é".repeat(100), format!("x{}", "é".repeat(99))] {
        let (_, mut socket) = Socket::open(&server, &path(&draft.id), &[("X-User-Id", &user)]);
        let message = format!("User {user} is not owner/collaborator for draft {}", draft.id);
        assert_error(&mut socket, "forbidden", &message);
        let Frame::Close(1008, reason) = socket.next() else { panic!("no close") };
        assert!(message.starts_with(&reason) && (120..=123).contains(&reason.len()), "{reason}");
    }
}

#[test]
fn of_two_reasons_to_refuse_the_earlier_check_is_the_one_that_is_told() {
    let alice = ("X-User-Id", "alice");
    let strict = [
        ("WS_LIMITS_ENABLED", "true"),
        ("DRAFTS_PUBLIC_READ", "false"),
        ("WS_ALLOWED_ORIGINS", "https://a.example"),
        ("WS_MAX_SOCKETS_GLOBAL", "1"),
    ];
    let server = Server::with(&strict);
    let draft = Draft::new(&server);
    let origin = ("Origin", "https://a.example");
    let (_, mut only) = Socket::open(&server, &path(&draft.id), &[alice, origin]);
    assert_eq!(only.json()["type"], "connected");
    let here = path(&draft.id);
    let (behind, ahead) = (format!("{here}?since=x"), format!("{here}?since=0"));
    // Origin, then who it is, then since, then membership, then the seats: each row fails its check and the next.
    let member = format!("User eve is not owner/collaborator for draft {}", draft.id);
    let rows: [(&str, Headers<'_>, &str, &str); 5] = [
        (&behind, &[("Origin", "https://b.example")], "ws_limit", "Origin not allowed"),
        (&behind, &[origin], "forbidden", UNAUTHORIZED),
        (&behind, &[origin, ("X-User-Id", "eve")], "validation_error", BAD_SINCE),
        (&ahead, &[origin, ("X-User-Id", "eve")], "forbidden", &member),
        (&behind, &[origin, alice], "validation_error", BAD_SINCE),
    ];
    for (path, headers, code, message) in rows {
        assert_refused(&server, path, headers, code, message);
    }
    assert_refused(&server, &here, &[origin, alice], "ws_limit", "Global socket limit exceeded");
    // The seats among themselves: all full, and the first of them raised in each round.
    let seats = [
        ("WS_MAX_SOCKETS_GLOBAL", "ws_limit", "Global socket limit exceeded"),
        ("WS_MAX_SOCKETS_PER_DRAFT", "ws_limit", "Draft socket limit exceeded"),
        ("WS_MAX_SOCKETS_PER_USER", "ws_limit", "User socket limit exceeded"),
        ("MAX_WS_CONNECTIONS_PER_DRAFT", "limit_exceeded", "Draft connection cap exceeded"),
    ];
    for (raised, (_, code, message)) in seats.iter().enumerate() {
        let mut settings = vec![("WS_LIMITS_ENABLED", "true")];
        settings.extend(seats.iter().enumerate().map(|(at, seat)| (seat.0, if at < raised { "9" } else { "1" })));
        let server = Server::with(&settings);
        let mut first = Socket::watch(&server, "d1", "alice");
        assert_refused(&server, "/v1/ws/drafts/d1", &[alice], code, message);
        first.assert_quiet();
    }
}

#[test]
fn a_ping_is_answered_under_the_request_id_of_the_connection() {
    let server = Server::start();
    let headers = [("X-User-Id", "alice"), ("X-Request-Id", "RID-1")];
    let (_, mut socket) = Socket::open(&server, "/v1/ws/drafts/d1", &headers);
    socket.json();
    let spelled = [PING, " {\"type\" : \"ping\"}\n", r#"{"a":[1,{}],"type":"ping"}"#, r#"{"type":"\u0070ing"}"#];
    for ping in spelled {
        socket.send_text(ping);
        let text = socket.text();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_time(&json["ts"]);
        assert_eq!(text, format!(r#"{{"type":"pong","ts":{},"request_id":"RID-1"}}"#, json["ts"]), "{ping}");
    }
}

#[test]
fn any_other_json_is_ignored() {
    let server = Server::start();
    let mut socket = Socket::watch(&server, "d1", "alice");
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep_object = format!(r#"{{"type":{}1{}}}"#, r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    for ignored in [
        "{}",
        r#"{"type":"pong"}"#,
        r#"{"type":"PING"}"#,
        r#"{"type":"ping "}"#,
        r#"{"type":["ping"]}"#,
        r#"{"type":null}"#,
        r#"{"data":{"type":"ping"}}"#,
        "[]",
        r#"["ping"]"#,
        r#"[{"type":"ping"}]"#,
        "\"ping\"",
        "\"\"",
        "0",
        "-1.5e-3",
        "1e999",
        "123456789012345678901234567890",
        "null",
        "true",
        r#""\ud800""#,
        &deep,
        &deep_object,
    ] {
        socket.send_text(ignored);
        socket.assert_quiet();
    }
}

#[test]
fn text_that_is_not_json_is_the_end() {
    let server = Server::start();
    let endless = "[".repeat(10_000);
    for text in ["", "hello", "ping", "{", r#"{"type":"ping"} x"#, "{'type':'ping'}", "01", "nul", "\"\t\"", &endless] {
        let mut socket = Socket::watch(&server, "d1", "alice");
        socket.send_text(text);
        assert_error(&mut socket, "validation_error", "Message is not valid JSON");
        socket.assert_closed(1007, "Message is not valid JSON");
    }
}

#[test]
fn a_binary_message_is_the_end_even_if_it_is_json() {
    let server = Server::start();
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.send(&Sent::new(BINARY, PING));
    assert_error(&mut socket, "validation_error", "Binary messages are not accepted");
    socket.assert_closed(1003, "Binary messages are not accepted");
}

#[test]
fn with_the_limits_on_a_message_is_taken_up_to_its_bound_and_not_one_byte_further() {
    const MAX: usize = 64;
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_MESSAGE_BYTES", "64")]);
    let halves = |bytes: usize| {
        let ping = ping_of(bytes, "x");
        let mut sent = Sent::new(TEXT, &ping[..MAX / 2]).more().encode();
        // What control frames say between them is not part of the message.
        sent.extend(Sent::new(PROTOCOL_PONG, "x".repeat(100)).encode());
        sent.extend(Sent::new(CONTINUATION, &ping[MAX / 2..]).encode());
        sent
    };
    let whole = |bytes: usize, padding: &str| Sent::new(TEXT, ping_of(bytes, padding)).encode();
    let mut socket = Socket::watch(&server, "d1", "alice");
    for within in [whole(MAX, "x"), whole(MAX, "é"), whole(MAX, "🖋"), halves(MAX)] {
        socket.send_bytes(within);
        assert_eq!(socket.json()["type"], "pong");
    }
    drop(socket);
    // The same in characters would be allowed: what counts is bytes.
    let beyond = [whole(MAX + 1, "x"), whole(MAX + 1, "é"), whole(MAX + 1, "🖋"), halves(MAX + 1)];
    for (user, bytes) in beyond.into_iter().enumerate() {
        let mut socket = Socket::watch(&server, "d1", &format!("u{user}"));
        socket.send_bytes(bytes);
        assert_error(&mut socket, "payload_too_large", "WS message too large");
        socket.assert_cut_off(1008, "WS message too large");
    }
}

#[test]
fn control_frames_are_no_messages_however_short_those_must_be() {
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_MESSAGE_BYTES", "1")]);
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.send(&Sent::new(PROTOCOL_PING, "x".repeat(125)));
    assert_eq!(socket.next(), Frame::Pong(b"x".repeat(125)));
    socket.send_text("1");
    socket.assert_quiet();
    socket.close();
}

#[test]
fn with_the_limits_off_a_message_is_taken_up_to_a_mebibyte() {
    const MAX: usize = 1024 * 1024;
    let server = Server::with(&[("WS_MAX_MESSAGE_BYTES", "64")]);
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.send_text(&ping_of(MAX, "x"));
    assert_eq!(socket.json()["type"], "pong");
    let halves = [Sent::new(TEXT, "x".repeat(MAX)).more().encode(), Sent::new(CONTINUATION, "x").encode()].concat();
    for bytes in [Sent::new(TEXT, "x".repeat(MAX + 1)).encode(), halves] {
        let mut socket = Socket::watch(&server, "d1", "alice");
        socket.send_bytes(bytes);
        assert_error(&mut socket, "payload_too_large", "WS message too large");
        socket.assert_cut_off(1008, "WS message too large");
    }
}

#[test]
fn with_the_limits_on_a_socket_may_send_so_many_messages_and_pings_within_a_second() {
    let server = Server::with(&[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_MESSAGES_PER_SECOND", "5")]);
    // In one piece, so that the server takes it in at one time however busy the machine is. That a second begins anew, and
    // that pongs are no messages, is proved in memory (`src/net/conn/tests.rs`).
    let burst = |texts: usize, pings: usize| {
        [Sent::new(TEXT, PING).encode().repeat(texts), Sent::new(PROTOCOL_PING, "p").encode().repeat(pings)].concat()
    };
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.send_bytes(burst(3, 2));
    for _ in 0..5 {
        match socket.next() {
            Frame::Text(text) => assert!(text.contains("pong"), "{text}"),
            Frame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
    drop(socket);
    for (user, bytes) in [burst(6, 0), burst(3, 3), burst(0, 6)].into_iter().enumerate() {
        let mut socket = Socket::watch(&server, "d1", &format!("u{user}"));
        socket.send_bytes(bytes);
        let mut answered = 0;
        let error = loop {
            match socket.next() {
                Frame::Text(text) if text.contains("error") => break text,
                Frame::Text(_) | Frame::Pong(_) => answered += 1,
                other => panic!("{other:?}"),
            }
        };
        assert!(answered <= 5, "{answered}");
        let error: Value = serde_json::from_str(&error).unwrap();
        let message = "Socket message rate exceeded";
        assert_eq!((&error["code"], &error["message"]), (&json!("ws_limit"), &json!(message)));
        socket.assert_closed(1008, message);
    }
}

#[test]
fn with_the_limits_off_a_socket_may_send_as_fast_as_it_can() {
    let server = Server::with(&[("WS_MAX_MESSAGES_PER_SECOND", "1")]);
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.send_bytes(Sent::new(TEXT, PING).encode().repeat(500));
    for _ in 0..500 {
        assert_eq!(socket.json()["type"], "pong");
    }
}

#[test]
fn a_client_that_answers_pings_stays() {
    let server = Server::with(&[("WS_PING_SECONDS", "1")]);
    let mut socket = Socket::watch(&server, "d1", "alice");
    socket.answers_pings = false;
    for _ in 0..2 {
        let Frame::Ping(payload) = socket.next() else { panic!("no ping") };
        socket.send(&Sent::new(PROTOCOL_PONG, payload));
    }
    socket.assert_quiet();
}

#[test]
fn changes_are_told_to_everyone_who_watches_in_these_very_bytes() {
    let server = Server::start();
    let draft = Draft::new(&server);
    let id = &draft.id;
    let mut sockets = [draft.watch("alice"), draft.watch("alice"), draft.watch("eve")];
    let mut told = |kind: &str, request_id: &str, data: &Value| {
        for socket in &mut sockets {
            let text = socket.text();
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_time(&json["ts"]);
            let ts = &json["ts"];
            let head = format!(r#"{{"type":"{kind}","draft_id":"{id}","ts":{ts},"request_id":"{request_id}","data":"#);
            assert_eq!(text, format!("{head}{data}}}"));
        }
    };
    let body = draft.append("alice", "1", "RID-append").expect(200);
    let segment = &body["data"]["segments"][0];
    told(
        "collab.segment_added",
        "RID-append",
        &json!({
            "draft_id": id, "segment_id": segment["segment_id"], "user_id": "alice", "segment_order": 0,
            "created_at": segment["created_at"],
        }),
    );
    draft.add("alice", "collaborator_id=b%F0%9F%96%8Bb&role=view%22er", "RID-add").expect(200);
    told(
        "collab.collaborator_added",
        "RID-add",
        &json!({ "draft_id": id, "collaborator_id": "b🖋b", "role": "view\"er" }),
    );
    let body = draft.pass("alice", "b🖋b", "1", "RID-pass").expect(200);
    told(
        "collab.ring_passed",
        "RID-pass",
        &json!({
            "draft_id": id, "from_user_id": "alice", "to_user_id": "b🖋b",
            "passed_at": body["data"]["ring_state"]["passed_at"],
        }),
    );
    for socket in &mut sockets {
        socket.assert_quiet();
    }
}

#[test]
fn a_change_without_a_request_id_is_told_under_the_one_that_it_was_given() {
    let server = Server::start();
    let draft = Draft::new(&server);
    let mut socket = draft.watch("alice");
    let answer = draft.append("alice", "1", "not fit to be repeated");
    answer.expect(200);
    assert_eq!(socket.json()["request_id"], answer.header("x-request-id").unwrap());
}

#[test]
fn replays_and_refusals_tell_nobody() {
    let server = Server::with(&[("MAX_COLLABORATORS_PER_DRAFT", "1")]);
    let draft = Draft::new(&server);
    draft.add("alice", "collaborator_id=bob", "r").expect(200);
    draft.append("alice", "k", "r").expect(200);
    draft.pass("alice", "bob", "k", "r").expect(200);
    let mut socket = draft.watch("alice");
    let answers = [
        draft.append("alice", "k", "append again"),
        draft.pass("alice", "bob", "k", "pass again"),
        draft.add("alice", "collaborator_id=bob&role=viewer", "add again"),
        draft.append("alice", "new", "no ring"),
        draft.append("eve", "new", "no member"),
        draft.post("bob", "segments", &json!({ "content": "", "idempotency_key": "new" }), "no words"),
        draft.pass("alice", "bob", "new", "no holder"),
        draft.pass("bob", "eve", "new", "to no member"),
        draft.add("bob", "collaborator_id=carol", "no creator"),
        draft.add("alice", "collaborator_id=carol", "no room"),
    ];
    assert_eq!(answers.map(|answer| answer.status), [200, 200, 200, 403, 403, 422, 403, 403, 403, 429]);
    // Events keep the order of their commits, so whatever those had told would be told before this.
    draft.append("bob", "new", "told").expect(200);
    assert_eq!(socket.json()["request_id"], "told");
    socket.assert_quiet();
}

#[test]
fn who_watches_one_draft_hears_nothing_of_another() {
    let server = Server::start();
    let (one, other) = (Draft::new(&server), Draft::new(&server));
    let (mut of_one, mut of_other, mut of_none) =
        (one.watch("alice"), other.watch("alice"), Socket::watch(&server, "no-such-draft", "alice"));
    one.append("alice", "1", "one").expect(200);
    other.append("alice", "1", "other").expect(200);
    assert_eq!(of_one.json()["request_id"], "one");
    assert_eq!(of_other.json()["request_id"], "other");
    for socket in [&mut of_one, &mut of_other, &mut of_none] {
        socket.assert_quiet();
    }
}

#[test]
fn whoever_leaves_takes_nothing_away_from_those_who_stay() {
    // On one shard, where they share what the hub knows of them.
    let server = Server::with(&[("SHARDS", "1")]);
    let draft = Draft::new(&server);
    let mut sockets: Vec<_> = (0..4).map(|_| draft.watch("alice")).collect();
    for change in ["1", "2", "3", "4"] {
        draft.append("alice", change, change).expect(200);
        for socket in &mut sockets {
            assert_eq!(socket.json()["request_id"], change);
        }
        sockets.remove(0).close();
    }
    draft.append("alice", "5", "heard by nobody").expect(200);
    let mut last = draft.watch("alice");
    draft.append("alice", "6", "6").expect(200);
    assert_eq!(last.json()["request_id"], "6");
}

/// How many sockets may be open under each of the caps, whom the next one would be, and who is not meant by the cap.
struct Cap {
    settings: &'static [(&'static str, &'static str)],
    /// The draft and user of the socket with this number.
    watcher: fn(usize) -> (String, String),
    refusal: (&'static str, &'static str),
}

const CAPS: [Cap; 4] = [
    Cap {
        settings: &[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_SOCKETS_GLOBAL", "3")],
        watcher: |number| (format!("d{number}"), format!("u{number}")),
        refusal: ("ws_limit", "Global socket limit exceeded"),
    },
    Cap {
        settings: &[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_SOCKETS_PER_DRAFT", "3")],
        watcher: |number| ("d".to_owned(), format!("u{number}")),
        refusal: ("ws_limit", "Draft socket limit exceeded"),
    },
    Cap {
        settings: &[("WS_LIMITS_ENABLED", "true"), ("WS_MAX_SOCKETS_PER_USER", "3")],
        watcher: |number| (format!("d{number}"), "u".to_owned()),
        refusal: ("ws_limit", "User socket limit exceeded"),
    },
    // This one holds with the limits off, too.
    Cap {
        settings: &[("MAX_WS_CONNECTIONS_PER_DRAFT", "3")],
        watcher: |number| ("d".to_owned(), format!("u{number}")),
        refusal: ("limit_exceeded", "Draft connection cap exceeded"),
    },
];

/// Fills a server up to its cap, and sees that it is full.
fn fill(server: &Server, cap: &Cap) -> Vec<Socket> {
    let sockets = (0..3).map(|number| {
        let (draft, user) = (cap.watcher)(number);
        Socket::watch(server, &draft, &user)
    });
    let sockets = sockets.collect();
    assert_full(server, cap);
    sockets
}

#[track_caller]
fn assert_full(server: &Server, cap: &Cap) {
    // Once more than once: who is refused must not give back a seat that it never had.
    for _ in 0..2 {
        let (draft, user) = (cap.watcher)(9);
        assert_refused(server, &path(&draft), &[("X-User-Id", &user)], cap.refusal.0, cap.refusal.1);
    }
}

/// The next one gets in now, or soon.
fn wait_for_seat(server: &Server, cap: &Cap) -> Socket {
    let (draft, user) = (cap.watcher)(9);
    wait_for(|| Socket::try_watch(server, &draft, &user))
}

#[test]
fn a_seat_is_free_again_however_its_socket_ended() {
    for cap in &CAPS {
        let server = Server::with(cap.settings);
        let mut sockets = fill(&server, cap);
        let endings: [fn(Socket); 5] = [
            |socket| socket.close(),
            |socket| socket.abort(),
            |socket| drop(socket),
            |mut socket| {
                socket.half_close();
                while !socket.next().is_end() {}
            },
            |mut socket| {
                socket.send(&Sent::new(BINARY, ""));
                assert!(matches!(socket.next(), Frame::Text(_)));
                assert!(matches!(socket.next(), Frame::Close(1003, _)));
            },
        ];
        for ending in endings {
            ending(sockets.remove(0));
            sockets.push(wait_for_seat(&server, cap));
            // One left and one came: not a seat more.
            assert_full(&server, cap);
        }
        for mut socket in sockets {
            socket.assert_quiet();
        }
    }
}

#[test]
fn a_seat_is_free_again_when_a_client_answers_no_pings() {
    let outlive_the_silent = |cap: &Cap| {
        let server = Server::with(&[cap.settings, &[("WS_PING_SECONDS", "1")]].concat());
        // Twice as many as there are seats for: the later ones sit where the earlier ones sat.
        let mut sockets: Vec<_> = (0..6).map(|_| wait_for_seat(&server, cap)).collect();
        for socket in &mut sockets {
            socket.answers_pings = false;
            assert!(matches!(socket.next(), Frame::Ping(_)));
            let mut end = socket.next();
            // A user's own newer socket does not wait for that.
            if cap.refusal.1.starts_with("User ") && matches!(end, Frame::Text(_)) {
                assert!(matches!(socket.next(), Frame::Close(1013, _)));
                end = socket.next();
            }
            assert!(end.is_end(), "dropped without a close: {end:?}");
        }
    };
    // All of them at once: each does little but wait for pings.
    std::thread::scope(|scope| CAPS.iter().for_each(|cap| _ = scope.spawn(move || outlive_the_silent(cap))));
}

#[test]
fn whoever_was_refused_cannot_keep_its_connection() {
    let server = Server::with(&[("MAX_CONNECTIONS", "4")]);
    let refused = |number: usize| {
        let (_, mut socket) = Socket::open(&server, "/v1/ws/drafts/d1", &[]);
        assert_error(&mut socket, "forbidden", UNAUTHORIZED);
        assert!(matches!(socket.next(), Frame::Close(1008, _)), "{number}");
        socket
    };
    // They neither close nor go away, and one of them never stops talking.
    let mut sockets: Vec<_> = (0..4).map(refused).collect();
    let mut loud = sockets.remove(0).client.stream;
    let words = Sent::new(TEXT, PING).encode().repeat(1_000);
    let end = wait_for(|| loud.write_all(&words).err());
    assert!(matches!(end.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{end}");
    // Four others fit in, beside one another.
    let others = (0..4).map(|_| {
        wait_for(|| {
            let mut client = server.connect();
            let asked = handshake("/v1/ws/drafts/d1", &[("X-User-Id", "alice")]);
            // A connection too many is told so before it has asked.
            client.stream.write_all(asked.as_bytes()).ok()?;
            client.try_answer(false).filter(|answer| answer.status == 101)?;
            Some(client)
        })
    });
    assert_eq!(others.collect::<Vec<_>>().len(), 4);
    drop(sockets);
}

#[test]
fn caps_of_drafts_and_users_are_each_of_one_draft_and_one_user() {
    let limits = [
        ("WS_LIMITS_ENABLED", "true"),
        ("WS_MAX_SOCKETS_PER_DRAFT", "2"),
        ("WS_MAX_SOCKETS_PER_USER", "2"),
        ("MAX_WS_CONNECTIONS_PER_DRAFT", "2"),
    ];
    let server = Server::with(&limits);
    let seats = [("d1", "alice"), ("d1", "bob"), ("d2", "alice"), ("d2", "bob"), ("d3", "carol")];
    let mut sockets: Vec<_> = seats.iter().map(|(draft, user)| Socket::watch(&server, draft, user)).collect();
    for socket in &mut sockets {
        socket.assert_quiet();
    }
}

#[test]
fn who_has_all_sockets_gets_another_for_the_oldest_that_owes_a_pong() {
    let limits = [("WS_LIMITS_ENABLED", "true"), ("WS_MAX_SOCKETS_PER_USER", "2"), ("WS_PING_SECONDS", "3")];
    let server = Server::with(&limits);
    let [mut lost, mut alive] = ["d1", "d2"].map(|draft| Socket::watch(&server, draft, "alice"));
    let refused = |draft: &str| {
        let (answer, mut socket) = Socket::open(&server, &path(draft), &[("X-User-Id", "alice")]);
        assert_eq!(answer.status, 101);
        assert_eq!((&socket.json()["code"], socket.next().is_end()), (&json!("ws_limit"), false));
    };
    refused("d3");
    // Its client has lost its network, and the server does not know yet.
    lost.answers_pings = false;
    assert!(matches!(lost.next(), Frame::Ping(_)));
    // The other has answered its ping when it is answered itself: all is done in order.
    alive.answers_pings = false;
    let Frame::Ping(payload) = alive.next() else { panic!("no ping") };
    alive.send(&Sent::new(PROTOCOL_PONG, payload));
    alive.answers_pings = true;
    alive.assert_quiet();
    let mut newer = Socket::watch(&server, "d3", "alice");
    let told = lost.json();
    let message = "Replaced by a newer socket of the same user";
    assert_eq!(
        (&told["type"], &told["code"], &told["message"]),
        (&json!("error"), &json!("ws_limit"), &json!(message))
    );
    lost.assert_closed(1013, message);
    refused("d4");
    newer.assert_quiet();
    alive.assert_quiet();
    let line = server.wait_for_log(|line| line["message"] == "ws.replaced");
    assert_eq!((&line["user_id"], &line["draft_id"]), (&json!("alice"), &json!("d1")));
}

#[test]
fn with_the_limits_off_their_caps_are_none() {
    let limits = [("WS_MAX_SOCKETS_GLOBAL", "1"), ("WS_MAX_SOCKETS_PER_DRAFT", "1"), ("WS_MAX_SOCKETS_PER_USER", "1")];
    let server = Server::with(&limits);
    let mut sockets: Vec<_> = (0..10).map(|_| Socket::watch(&server, "d", "alice")).collect();
    for socket in &mut sockets {
        socket.assert_quiet();
    }
}

#[test]
fn a_token_is_never_in_the_log_wherever_it_was_sent() {
    const SECRET: &str = "eyTOPSECRET.a.b";
    let server = Server::with(&[("LOG_LEVEL", "trace")]);
    let bearer = format!("Bearer {SECRET}");
    let protocol = format!("bearer, {SECRET}");
    let query = format!("/v1/ws/drafts/d1?access_token={SECRET}&since=0");
    let one_protocol = format!("bearer.{SECRET}");
    let attempts: [(&str, &[(&str, &str)]); 8] = [
        (&query, &[]),
        (&query, &[("X-User-Id", "alice")]),
        ("/v1/ws/drafts/d1", &[("Authorization", &bearer), ("X-User-Id", "alice")]),
        ("/v1/ws/drafts/d1", &[("Sec-WebSocket-Protocol", &protocol), ("X-User-Id", "alice")]),
        ("/v1/ws/drafts/d1", &[("Sec-WebSocket-Protocol", &protocol)]),
        ("/v1/ws/drafts/d1", &[("Sec-WebSocket-Protocol", &one_protocol)]),
        (&format!("/v1/ws/drafts/d1?token={SECRET}"), &[]),
        // Refused on the way in.
        (&format!("/v1/ws/nothing?access_token={SECRET}"), &[("Authorization", &bearer)]),
    ];
    for (path, headers) in attempts {
        Socket::open(&server, path, headers);
    }
    server.connect().request("GET", &query, &[("X-Request-Id", "last")], b"");
    server.wait_for_log(|line| line["request_id"] == "last" && line["message"] == "request.complete");
    assert!(!server.log().contains("TOPSECRET"), "{}", server.log());
}

#[test]
fn the_times_of_http_are_none_of_a_sockets() {
    let settings = [("HEAD_TIMEOUT_SECONDS", "1"), ("KEEP_ALIVE_SECONDS", "1"), ("WS_PING_SECONDS", "1")];
    let server = Server::with(&settings);
    let mut silent = Socket::watch(&server, "d1", "alice");
    let mut slow = Socket::watch(&server, "d1", "alice");
    let (begun, rest) = PING.split_at(4);
    slow.send(&Sent::new(TEXT, begun).more());
    for socket in [&mut silent, &mut slow] {
        socket.answers_pings = false;
    }
    for _ in 0..2 {
        for socket in [&mut silent, &mut slow] {
            let Frame::Ping(payload) = socket.next() else { panic!("no ping") };
            socket.send(&Sent::new(PROTOCOL_PONG, payload));
        }
    }
    slow.send(&Sent::new(CONTINUATION, rest));
    assert!(slow.text().contains("pong"));
    silent.assert_quiet();
}
