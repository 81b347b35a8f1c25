//! y-webrtc's signalling as browsers meet it, at `/signal` (contract 03 §2.10).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use crate::support::socket::{BINARY, Frame, Sent, Socket, TEXT};
use crate::support::{Server, wait_for};

const SIGNAL: &str = "/signal";
const KEY: &str = "a secret of the tests that is 32 bytes long";

#[track_caller]
fn open(server: &Server) -> Socket {
    let (answer, socket) = Socket::open(server, SIGNAL, &[]);
    assert_eq!(answer.status, 101, "{answer:?}");
    socket
}

/// Opens a socket that listens to these topics, and has been heard.
#[track_caller]
fn listen(server: &Server, topics: &[&str]) -> Socket {
    let mut socket = open(server);
    socket.send_text(&json!({ "type": "subscribe", "topics": topics }).to_string());
    assert_heard(&mut socket);
    socket
}

/// What was sent before has been heard.
#[track_caller]
fn assert_heard(socket: &mut Socket) {
    socket.send_text(r#"{"type":"ping"}"#);
    assert_eq!(socket.text(), r#"{"type":"pong"}"#);
}

#[test]
fn what_is_published_reaches_everyone_who_listens_the_sender_among_them() {
    let server = Server::with(&[("SHARDS", "2")]);
    let mut all = [&["a", "b"][..], &["a"], &["b"], &["a"]].map(|topics| listen(&server, topics));
    let said = r#"{"type":"publish", "topic":"a", "data":{"to":"x", "signal":[1, 2.50]}, "more":null}"#;
    let told = r#"{"type":"publish","topic":"a","data":{"to":"x","signal":[1,2.50]},"more":null,"clients":3}"#;
    all[0].send_text(said);
    for at in [0, 1, 3] {
        assert_eq!(all[at].text(), told, "{at}");
    }
    all[2].send_text(said);
    for at in [0, 1, 3] {
        assert_eq!(all[at].text(), told, "who does not listen may speak: {at}");
    }
    all[1].send_text(r#"{"type":"unsubscribe","topics":["a","never"]}"#);
    assert_heard(&mut all[1]);
    // A binary frame is as good.
    all[3].send(&Sent::new(BINARY, r#"{"type":"publish","topic":"a","data":1}"#));
    for at in [0, 3] {
        assert_eq!(all[at].text(), r#"{"type":"publish","topic":"a","data":1,"clients":2}"#);
    }
    all.iter_mut().for_each(Socket::assert_quiet);
}

#[test]
fn who_has_left_is_not_counted_and_a_topic_goes_with_its_last_listener() {
    let server = Server::with(&[("SHARDS", "2")]);
    let (mut stays, leaves, lost) = (listen(&server, &["a"]), listen(&server, &["a"]), listen(&server, &["a"]));
    leaves.close();
    lost.abort();
    wait_for(|| {
        stays.send_text(r#"{"type":"publish","topic":"a"}"#);
        (stays.json()["clients"] == 1).then_some(())
    });
    stays.send_text(r#"{"type":"unsubscribe","topics":["a"]}"#);
    stays.send_text(r#"{"type":"publish","topic":"a"}"#);
    stays.assert_quiet();
    stays.send_text(r#"{"type":"subscribe","topics":["a","a"]}"#);
    stays.send_text(r#"{"type":"publish","topic":"a"}"#);
    assert_eq!(stays.json()["clients"], 1);
    stays.assert_quiet();
}

#[test]
fn what_is_not_understood_is_passed_over() {
    let server = Server::start();
    let mut socket = listen(&server, &["a"]);
    for text in ["", "null", "{", "[]", r#"{"type":"nothing"}"#, r#"{"type":"publish","data":1}"#, "\u{feff}{}"] {
        socket.send_text(text);
    }
    socket.send(&Sent::new(BINARY, [0, 0, 1, 0, 0xff]));
    socket.send_text(&format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)));
    assert_heard(&mut socket);
    assert_eq!(server.get(SIGNAL).status, 404, "without an upgrade there is nothing");
}

#[test]
fn a_socket_listens_to_so_many_topics_with_names_so_long() {
    let server = Server::start();
    let names: Vec<String> = (0..65).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut socket = listen(&server, &names[..64]);
    socket.send_text(&json!({ "type": "subscribe", "topics": [names[0]] }).to_string());
    assert_heard(&mut socket);
    socket.send_text(&json!({ "type": "subscribe", "topics": [names[64]] }).to_string());
    socket.assert_closed(1008, "More than 64 topics on one socket");
    let mut socket = listen(&server, &[&"é".repeat(127)]);
    socket.send_text(&json!({ "type": "subscribe", "topics": ["é".repeat(128)] }).to_string());
    socket.assert_closed(1008, "A topic of 256 bytes; the maximum is 255");
}

#[test]
fn a_socket_says_so_much_and_not_more() {
    let server = Server::start();
    let mut socket = open(&server);
    let publish = |bytes: usize| {
        let bare = r#"{"type":"publish","topic":"a","data":""}"#;
        bare.replace(r#"data":""#, &format!(r#"data":"{}"#, "x".repeat(bytes - bare.len())))
    };
    let mut other = listen(&server, &["a"]);
    socket.send_text(&publish(64 * 1024));
    assert_eq!(other.text().len(), 64 * 1024 + r#","clients":1"#.len());
    socket.send(&Sent::new(TEXT, publish(64 * 1024 + 1)));
    socket.assert_cut_off(1009, "A message of more than 65536 bytes");
    let mut socket = open(&server);
    let flood = Sent::new(TEXT, r#"{"type":"ping"}"#).encode().repeat(1000);
    socket.send_bytes(flood);
    let mut pongs = 0;
    let closed = loop {
        match socket.next() {
            Frame::Text(_) => pongs += 1,
            other => break other,
        }
    };
    let says = "More than 400 messages at once and 100 a second after that";
    assert_eq!(closed, Frame::Close(1013, says.to_owned()));
    assert!(pongs >= 400, "{pongs}");
    other.assert_quiet();
}

#[test]
fn in_production_only_who_is_known_may_meet_and_only_until_the_token_expires() {
    let server = Server::with(&[("ENV", "production"), ("JWT_SECRET", KEY)]);
    let refused = |server: &Server, query: &str, says: &str| {
        let (answer, mut socket) = Socket::open(server, &format!("{SIGNAL}{query}"), &[("X-User-Id", "alice")]);
        assert_eq!(answer.status, 101);
        socket.assert_closed(1008, says);
    };
    refused(&server, "", "This server requires a token for signalling: send ?access_token=TOKEN");
    refused(&server, "?access_token=x", "Invalid token");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let token = |lives: Duration| {
        let claims = json!({ "sub": "alice", "exp": (now + lives).as_secs() });
        encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
    };
    let expired = json!({ "sub": "alice", "exp": 1 });
    let expired = encode(&Header::default(), &expired, &EncodingKey::from_secret(KEY.as_bytes())).unwrap();
    refused(&server, &format!("?access_token={expired}"), "Token expired");
    let keyless = Server::with(&[("ROOMS_REQUIRE_TOKEN", "true"), ("AUTH_TRUST_USER_HEADER", "false")]);
    refused(&keyless, "", "This server requires a token for signalling, and has no key to verify tokens");
    let path = format!("{SIGNAL}?access_token={}", token(Duration::from_secs(600)));
    let (_, mut socket) = Socket::open(&server, &path, &[]);
    assert_heard(&mut socket);
    let path = format!("{SIGNAL}/?access_token={}", token(Duration::from_secs(600)));
    let (_, mut socket) = Socket::open(&server, &path, &[]);
    assert_heard(&mut socket);
}

#[test]
fn with_the_limits_on_pages_of_other_origins_and_one_socket_too_many_are_turned_away() {
    let server = Server::with(&[
        ("WS_LIMITS_ENABLED", "true"),
        ("WS_ALLOWED_ORIGINS", "https://app.example"),
        ("WS_MAX_SOCKETS_PER_USER", "1"),
    ]);
    let origin = ("Origin", "https://app.example");
    let (_, mut socket) = Socket::open(&server, SIGNAL, &[("Origin", "https://evil.example")]);
    socket.assert_closed(1008, "Origin not allowed: it is not in WS_ALLOWED_ORIGINS");
    let line = server.wait_for_log(|line| line["message"] == "signal.refused");
    assert_eq!((&line["reason"], &line["context"]), (&json!("origin"), &json!("https://evil.example")));
    let mut nobody = [(); 3].map(|()| Socket::open(&server, SIGNAL, &[origin]).1);
    nobody.iter_mut().for_each(assert_heard);
    let alice = [origin, ("X-User-Id", "alice")];
    let (_, mut first) = Socket::open(&server, SIGNAL, &alice);
    assert_heard(&mut first);
    let (_, mut second) = Socket::open(&server, SIGNAL, &alice);
    second.assert_closed(1013, "User socket limit exceeded");
}
