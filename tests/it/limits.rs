//! How often who may ask (contract 01 §4 with R18, ruling 2), at the wire.
//!
//! Buckets fill while a test runs. So the rates are a few a minute, and where it counts a test reckons with the time it took.

use std::time::Instant;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::socket::{Frame, Socket};
use crate::support::{Answer, Client, PATIENCE, Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const ON: (&str, &str) = ("RATE_LIMIT_ENABLED", "true");
/// So that a test has as many addresses as it likes.
const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.0/8");
const ALICE: (&str, &str) = ("X-User-Id", "alice");
const BOB: (&str, &str) = ("X-User-Id", "bob");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PAGE: &str = "http://localhost:3000";

fn server(per_minute: &str, burst: &str, more: &[(&str, &str)]) -> Server {
    let rates = [ON, ("RATE_LIMIT_PER_MINUTE_DEFAULT", per_minute), ("RATE_LIMIT_BURST_DEFAULT", burst)];
    Server::with(&[&rates, more].concat())
}

fn create(client: &mut Client, headers: &[(&str, &str)]) -> Answer {
    client.request("POST", DRAFTS, &[&[JSON], headers].concat(), br#"{"title":"A draft","platform":"x"}"#)
}

fn list(client: &mut Client, headers: &[(&str, &str)]) -> Answer {
    client.request("GET", DRAFTS, headers, b"")
}

/// Asks until refused. What goes through before has to be `burst`, and what has come back since the test began.
#[track_caller]
fn until_refused(began: Instant, burst: usize, per_minute: usize, mut ask: impl FnMut(usize) -> Answer) -> Answer {
    for turn in 0.. {
        let answer = ask(turn);
        let back = usize::try_from(began.elapsed().as_millis()).unwrap() * per_minute / 60_000;
        if answer.status == 429 {
            assert!((burst..=burst + back).contains(&turn), "{turn} went through, of {burst} and {back}");
            return answer;
        }
        assert!(turn < burst + back, "{turn} went through, of {burst} and {back}: {}", answer.text());
    }
    unreachable!()
}

/// Holds a 429 to its shape and to this limit. A token comes back in `wait` seconds; a little of that may be over.
#[track_caller]
fn limited(answer: &Answer, limit: u32, wait: u64) {
    let (code, message) = answer.expect_error(429);
    assert_eq!((code.as_str(), message.as_str()), ("rate_limited", "Rate limit exceeded for this endpoint"));
    assert_eq!(answer.json()["detail"], "Rate limit exceeded for this endpoint");
    assert_eq!(answer.header("x-ratelimit-limit"), Some(limit.to_string().as_str()));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(answer.header("x-ratelimit-reset"), Some("60"));
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=wait).contains(&after), "retry-after: {after}");
}

#[test]
fn nothing_is_limited_unless_told_to() {
    let server = Server::with(&[("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "1"), PROXY]);
    let mut client = server.connect();
    for _ in 0..50 {
        let answer = list(&mut client, &[ALICE]);
        answer.expect(200);
        assert!(answer.headers.iter().all(|(name, _)| !name.contains("ratelimit")), "{:?}", answer.headers);
        create(&mut client, &[ALICE]).expect(200);
    }
}

#[test]
fn the_contracts_examples() {
    let began = Instant::now();
    let once = server("1", "1", &[]);
    let mut client = once.connect();
    limited(&until_refused(began, 1, 1, |_| list(&mut client, &[ALICE])), 1, 60);
    let server = server("6", "4", &[]);
    let mut client = server.connect();
    let began = Instant::now();
    let answer = until_refused(began, 4, 6, |_| list(&mut client, &[ALICE]));
    limited(&answer, 6, 10);
    // To the second, if the machine let us be that quick.
    if began.elapsed().as_secs() == 0 {
        assert_eq!(answer.header("retry-after"), Some("10"));
    }
    let began = Instant::now();
    let answer = until_refused(began, 2, 3, |_| create(&mut client, &[ALICE]));
    limited(&answer, 3, 20);
    if began.elapsed().as_secs() == 0 {
        assert_eq!(answer.header("retry-after"), Some("20"));
    }
}

#[test]
fn a_refusal_keeps_the_request_id_is_logged_and_can_be_read_by_pages() {
    let server = server("1", "1", &[]);
    let mut client = server.connect();
    list(&mut client, &[ALICE]).expect(200);
    let id = "mine-\"1\\";
    let answer = list(&mut client, &[ALICE, ("X-Request-Id", id), ("Origin", PAGE)]);
    limited(&answer, 1, 60);
    assert_eq!(answer.header("x-request-id"), Some(id));
    assert_eq!(answer.json()["error"]["request_id"], id);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"] {
        assert!(exposed.split(", ").any(|known| known == name), "{exposed}");
    }
    let mut names: Vec<&String> = answer.headers.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), answer.headers.len(), "each header once: {:?}", answer.headers);
    let line = server.wait_for_log(|line| line["message"] == "request.complete" && line["request_id"] == id);
    assert_eq!(line["status"], 429, "{line}");
    assert_eq!(line["user_id"], "alice", "{line}");
    assert_eq!(line["route"], DRAFTS, "{line}");
    // Operators who log warnings only see that it happens; the refusal itself is no error.
    let line = server.wait_for_log(|line| line["message"] == "request.limited");
    assert_eq!(
        (&line["limit"], &line["refused"], &line["route"], &line["ip"]),
        (&json!("default"), &json!(1), &json!(DRAFTS), &json!("127.0.0.1")),
        "{line}"
    );
    // Refused without a body for HEAD, and the connection goes on.
    client.send(format!("HEAD {DRAFTS} HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\n\r\n"));
    assert_eq!(client.answer_to_head().status, 429);
    client.get("/healthz", None).expect(200);
}

#[test]
fn users_routes_and_classes_do_not_share() {
    let server = server("1", "1", &[PROXY]);
    let mut client = server.connect();
    let id = create(&mut client, &[ALICE]).expect(200)["data"]["draft_id"].as_str().unwrap().to_owned();
    let other = create(&mut client, &[BOB]).expect(200)["data"]["draft_id"].as_str().unwrap().to_owned();
    let elsewhere = ("X-Forwarded-For", "192.0.2.9");
    limited(&create(&mut client, &[ALICE]), 1, 60);
    limited(&create(&mut client, &[ALICE, elsewhere]), 1, 60);
    list(&mut client, &[ALICE, elsewhere]).expect(200);
    list(&mut client, &[BOB, elsewhere]).expect(200);
    // The draft's id is no part of the route; who is asking is, even where anyone may read.
    let read = |client: &mut Client, id: &str, headers: &[(&str, &str)]| {
        client.request("GET", &format!("{DRAFTS}/{id}"), &[&[elsewhere], headers].concat(), b"")
    };
    read(&mut client, &id, &[ALICE]).expect(200);
    limited(&read(&mut client, &other, &[ALICE]), 1, 60);
    read(&mut client, &id, &[BOB]).expect(200);
    read(&mut client, &id, &[]).expect(200);
    limited(&read(&mut client, &id, &[]), 1, 60);
}

#[test]
fn another_name_for_every_request_ends_at_the_limit_of_the_address() {
    let began = Instant::now();
    let server = server("1", "2", &[]);
    let mut client = server.connect();
    let answer = until_refused(began, 20, 10, |turn| list(&mut client, &[("X-User-Id", &format!("user-{turn}"))]));
    limited(&answer, 10, 6);
    // Nor does it help to claim another address: nobody here is a trusted proxy.
    for turn in 0..5 {
        let claimed = format!("203.0.113.{turn}");
        let answer = list(&mut client, &[ALICE, ("X-Forwarded-For", &claimed)]);
        if answer.status != 429 {
            // One came back meanwhile.
            assert_eq!(answer.status, 200);
        } else {
            limited(&answer, 10, 6);
        }
    }
    // Another connection is still the same address.
    let mut client = server.connect();
    until_refused(began, 0, 10, |turn| list(&mut client, &[("X-User-Id", &format!("again-{turn}"))]));
}

#[test]
fn a_spoofed_address_counts_for_nothing() {
    let began = Instant::now();
    let server = server("1", "2", &[]);
    let mut client = server.connect();
    let answer = until_refused(began, 20, 10, |turn| {
        let claimed = format!("203.0.113.{}", turn % 250);
        list(&mut client, &[("X-User-Id", &format!("user-{turn}")), ("X-Forwarded-For", &claimed)])
    });
    limited(&answer, 10, 6);
}

#[test]
fn behind_trusted_proxies_each_client_has_its_own_limit() {
    let began = Instant::now();
    let server = server("1", "1", &[("TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8")]);
    let mut client = server.connect();
    let mut from = |forwarded: &str, turn: usize| {
        list(&mut client, &[("X-User-Id", &format!("{forwarded}-{turn}")), ("X-Forwarded-For", forwarded)])
    };
    until_refused(began, 10, 10, |turn| from("192.0.2.1", turn));
    // What the client itself wrote before the proxy's word is not believed.
    until_refused(began, 0, 10, |turn| from(&format!("203.0.113.{}, 192.0.2.1", turn % 250), turn));
    until_refused(began, 0, 10, |turn| from("192.0.2.1, 10.1.2.3", turn));
    // Others are not concerned; IPv6 counts by /64.
    until_refused(began, 10, 10, |turn| from("192.0.2.2", turn));
    until_refused(began, 10, 10, |turn| from(&format!("2001:db8:1:2::{}", turn % 9 + 1), turn));
    until_refused(began, 10, 10, |turn| from(&format!("2001:db8:1:3::{}", turn % 9 + 1), turn));
}

#[test]
fn whatever_is_asked_counts_but_probes_preflights_and_sockets() {
    let began = Instant::now();
    let server = server("1", "1", &[]);
    let draft = server.create_draft("alice");
    let mut client = server.connect();
    // The draft was one.
    let answer = until_refused(began, 9, 10, |turn| match turn % 3 {
        0 => client.request("GET", "/nowhere", &[], b""),
        1 => client.request("DELETE", DRAFTS, &[ALICE], b""),
        _ => client.request("GET", "/nowhere/", &[], b""),
    });
    limited(&answer, 10, 6);
    let line = server.wait_for_log(|line| line["message"] == "request.complete" && line["status"] == 429);
    assert_eq!(line["user_id"], Value::Null, "nobody was asked who they are: {line}");
    for _ in 0..20 {
        for probe in ["/healthz", "/readyz"] {
            client.get(probe, None).expect(200);
        }
        let preflight = [("Origin", PAGE), ("Access-Control-Request-Method", "POST")];
        assert_eq!(client.request("OPTIONS", DRAFTS, &preflight, b"").status, 200);
        let (answer, mut socket) = Socket::open(&server, &format!("/v1/ws/drafts/{draft}"), &[ALICE]);
        assert_eq!(answer.status, 101);
        assert_eq!(socket.json()["type"], "connected");
    }
    // A handshake that leads nowhere is a request like any other.
    let bad =
        format!("GET /v1/ws/drafts/{draft} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    until_refused(began, 0, 10, |_| {
        client.send(&bad);
        client.answer()
    });
}

#[test]
fn the_health_of_the_database_is_no_probe_and_counts() {
    let began = Instant::now();
    let server = server("2", "2", &[]);
    let mut client = server.connect();
    let answer = until_refused(began, 2, 2, |_| client.request("GET", "/api/health/db", &[], b""));
    limited(&answer, 2, 30);
}

#[test]
fn a_bad_token_counts_against_the_address_and_never_against_the_user() {
    let began = Instant::now();
    let key = "0123456789abcdef0123456789abcdef";
    let server = server("3", "3", &[("JWT_SECRET", key)]);
    let token =
        encode(&Header::default(), &json!({ "sub": "alice" }), &EncodingKey::from_secret(key.as_bytes())).unwrap();
    let (good, bad) = (format!("Bearer {token}"), format!("Bearer {token}x"));
    let (good, bad) = (("Authorization", good.as_str()), ("Authorization", bad.as_str()));
    let mut client = server.connect();
    let answer = until_refused(began, 3, 3, |_| {
        let answer = list(&mut client, &[bad, ALICE]);
        assert!([401, 429].contains(&answer.status), "{}", answer.text());
        answer
    });
    limited(&answer, 3, 20);
    // With no name at all it is the same address.
    until_refused(began, 0, 10, |_| list(&mut client, &[]));
    until_refused(began, 3, 3, |_| list(&mut client, &[good]));
    // A body that cannot be parsed is 422 before 401, and counts for whoever sent it.
    let broken = |client: &mut Client, who| client.request("POST", DRAFTS, &[JSON, who], b"{");
    broken(&mut client, bad).expect(422);
    broken(&mut client, good).expect(422);
    limited(&broken(&mut client, good), 1, 60);
    limited(&broken(&mut client, bad), 1, 60);
    assert_eq!(create(&mut client, &[BOB]).status, 200);
}

#[test]
fn a_refused_change_is_not_made_and_its_key_is_not_used_up() {
    let server = server("2", "2", &[]);
    let draft = server.create_draft("alice");
    let path = format!("{DRAFTS}/{draft}/segments");
    let append = |key: &str| server.post_as("alice", &path, &json!({ "content": key, "idempotency_key": key }));
    append("first").expect(200);
    limited(&append("second"), 1, 60);
    let text = server.get_as("alice", &format!("{DRAFTS}/{draft}")).expect(200);
    let segments = text["data"]["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 1, "{text}");
    let keys: i64 = rusqlite::Connection::open(server.database())
        .unwrap()
        .query_row("SELECT count(*) FROM idempotency_keys", (), |row| row.get(0))
        .unwrap();
    assert_eq!(keys, 1);
}

#[test]
fn what_was_used_comes_back() {
    // A change every 20 ms.
    let server = server("6000", "1", &[]);
    let mut client = server.connect();
    wait_for(|| (create(&mut client, &[ALICE]).status == 429).then_some(()));
    wait_for(|| (create(&mut client, &[ALICE]).status == 200).then_some(()));
}

#[test]
fn answers_tell_how_much_is_left_when_told_to() {
    let began = Instant::now();
    let server = server("6", "4", &[("RATE_LIMIT_STANDARD_HEADERS", "true")]);
    let mut client = server.connect();
    let told = |answer: &Answer| {
        let quota = answer.header("ratelimit").unwrap();
        let (left, seconds) = quota.rsplit_once(";t=").unwrap();
        (answer.header("ratelimit-policy").unwrap().to_owned(), left.to_owned(), seconds.parse::<u64>().unwrap())
    };
    let answer = create(&mut client, &[ALICE, ("Origin", PAGE)]);
    answer.expect(200);
    let (policy, left, seconds) = told(&answer);
    assert_eq!((policy.as_str(), left.as_str()), ("\"mutation\";q=3;w=60", "\"mutation\";r=1"));
    assert!((1..=20).contains(&seconds));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    assert!(exposed.ends_with("ratelimit, ratelimit-policy"), "{exposed}");
    let (policy, left, _) = told(&list(&mut client, &[ALICE]));
    assert_eq!((policy.as_str(), left.as_str()), ("\"default\";q=6;w=60", "\"default\";r=3"));
    // An error of the route tells it too, and where there is no route, the address's limit is told.
    let missing = client.get(&format!("{DRAFTS}/00000000-0000-4000-8000-000000000000"), Some("alice"));
    assert_eq!((missing.status, told(&missing).1.as_str()), (404, "\"default\";r=3"));
    let (policy, left, _) = told(&client.get("/nowhere", None));
    assert_eq!(policy, "\"address\";q=60;w=60");
    assert!(left.starts_with("\"address\";r=3"), "{left}");
    let refused = until_refused(began, 3, 6, |_| list(&mut client, &[ALICE]));
    limited(&refused, 6, 10);
    let (policy, left, seconds) = told(&refused);
    assert_eq!((policy.as_str(), left.as_str()), ("\"default\";q=6;w=60", "\"default\";r=0"));
    assert_eq!(refused.header("retry-after"), Some(seconds.to_string().as_str()));
    let probe = client.get("/healthz", None);
    assert!(probe.headers.iter().all(|(name, _)| !name.contains("ratelimit")), "{:?}", probe.headers);
}

#[test]
fn a_flood_of_addresses_takes_no_memory_and_nobodys_bucket() {
    let began = Instant::now();
    const FLOOD: u32 = 20_000;
    let server = server("1", "4", &[PROXY, ("RATE_LIMIT_KEYS", "1000")]);
    let mut client = server.connect();
    until_refused(began, 4, 1, |_| list(&mut client, &[ALICE]));
    let before = server.memory_kb("VmRSS");
    for chunk in (0..FLOOD).collect::<Vec<_>>().chunks(100) {
        let requests: String = chunk
            .iter()
            .map(|n| {
                let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + n);
                format!("GET /nowhere HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {address}\r\n\r\n")
            })
            .collect();
        client.send(requests);
        for _ in chunk {
            assert_eq!(client.answer().status, 404, "who comes for the first time is not refused");
        }
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} kB");
    // Alice's bucket was not forgotten, or she would have four again.
    until_refused(began, 0, 10, |_| list(&mut client, &[ALICE]));
}

#[test]
fn who_is_over_their_own_limit_takes_nothing_from_their_address() {
    let began = Instant::now();
    let server = server("1", "2", &[]);
    let mut client = server.connect();
    for turn in 0..100 {
        let answer = list(&mut client, &[("X-User-Id", "hammer")]);
        assert!(turn < 2 || answer.status == 429 || began.elapsed().as_secs() > 0, "{turn}: {}", answer.text());
    }
    // The office has 20 in all, of which hammer has had 2.
    let answer = until_refused(began, 18, 10, |turn| list(&mut client, &[("X-User-Id", &format!("neighbour-{turn}"))]));
    limited(&answer, 10, 6);
}

/// What a handshake comes to: the status, or the first frame and the code of its close.
fn watch(server: &Server, target: &str, headers: &[(&str, &str)]) -> Result<Value, (Option<Value>, u16)> {
    let (answer, mut socket) = Socket::open(server, target, headers);
    if answer.status != 101 {
        return Err((None, answer.status));
    }
    let first = socket.json();
    if first["type"] == "connected" {
        return Ok(first);
    }
    match socket.next() {
        Frame::Close(code, _) => Err((Some(first), code)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_sockets_catch_up_with_is_charged_by_events() {
    let server = server("1", "3", &[("WS_LIMITS_ENABLED", "true")]);
    let draft = server.create_draft("alice");
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let many = "WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 1000) \
                INSERT INTO events (draft, seq, type, data, request_id, created_at) \
                SELECT draft, n, type, data, request_id, created_at FROM events, n WHERE seq = 1";
    database.execute(many, ()).unwrap();
    database.execute("UPDATE drafts SET event_seq = 1000", ()).unwrap();
    let path = format!("/v1/ws/drafts/{draft}");
    let all = format!("{path}?since=0");
    for _ in 0..3 {
        assert_eq!(watch(&server, &all, &[BOB]).unwrap()["seq"], 1000);
    }
    // A thousand come back in a minute.
    let (frame, close) = watch(&server, &all, &[BOB]).unwrap_err();
    let frame = frame.unwrap();
    assert_eq!((&frame["type"], &frame["code"], close), (&json!("error"), &json!("rate_limited"), 1013), "{frame}");
    // Who asks for nothing back is let in, and so is everybody else.
    watch(&server, &path, &[BOB]).unwrap();
    watch(&server, &all, &[ALICE]).unwrap();
}

#[test]
fn handshakes_that_are_refused_count_against_their_address() {
    let began = Instant::now();
    let server = server("1", "1", &[]);
    let refused = |target: &str| {
        let mut turn = 0;
        loop {
            match watch(&server, target, &[]) {
                Err((Some(frame), 1008)) => assert_eq!(frame["code"], "forbidden"),
                Err((None, 429)) => return turn,
                other => panic!("{other:?}"),
            }
            turn += 1;
        }
    };
    let turns = refused("/v1/ws/drafts/x");
    assert!(turns >= 10 && turns as u64 <= 10 + began.elapsed().as_secs() / 6, "{turns}");
    assert_eq!(server.get_as("alice", DRAFTS).status, 429);
}

#[test]
fn a_client_behind_a_trusted_proxy_holds_no_more_than_one_that_comes_itself() {
    let limits = [("MAX_CONNECTIONS_PER_ADDRESS", "3"), ("WS_LIMITS_ENABLED", "false"), PROXY];
    let server = Server::with(&limits);
    let draft = server.create_draft("alice");
    let path = format!("/v1/ws/drafts/{draft}");
    let from = |client: &str| {
        let (answer, socket) = Socket::open(&server, &path, &[ALICE, ("X-Forwarded-For", client)]);
        (answer.status, socket)
    };
    let mut held: Vec<_> = (0..3).map(|_| from("192.0.2.1")).collect();
    assert!(held.iter().all(|(status, _)| *status == 101));
    assert_eq!(from("192.0.2.1").0, 503);
    let mut client = server.connect();
    list(&mut client, &[BOB, ("X-Forwarded-For", "192.0.2.1")]).expect_error(503);
    client.request("GET", "/healthz", &[("X-Forwarded-For", "192.0.2.1")], b"").expect(200);
    // Others are not concerned, however it is spelt who they are.
    list(&mut client, &[BOB, ("X-Forwarded-For", "192.0.2.2")]).expect(200);
    list(&mut client, &[BOB, ("Forwarded", "for=\"[2001:db8::1]:4711\";proto=https")]).expect(200);
    list(&mut client, &[BOB, ("Forwarded", "for=192.0.2.1")]).expect_error(503);
    // A place is free again when its socket has ended.
    held.clear();
    wait_for(|| (list(&mut client, &[BOB, ("X-Forwarded-For", "192.0.2.1")]).status == 200).then_some(()));
    list(&mut client, &[BOB, ("X-Forwarded-For", "unknown")]).expect(200);
    list(&mut client, &[BOB, ("X-Forwarded-For", "_hidden")]).expect(200);
    server.wait_for_log(|line| line["message"] == "proxy.hop_not_read" && line["hop"] == "unknown");
    assert_eq!(server.log().matches("proxy.hop_not_read").count(), 1, "it is said once");
}
