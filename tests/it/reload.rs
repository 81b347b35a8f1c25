//! A configuration that is changed under a running server, and the signals that an operator sends.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use inkring::config::knobs::KNOBS;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use spki::Document;
use uuid::Uuid;

use crate::logs::spoilt_draft;
use crate::repository::root;
use crate::support::socket::{BINARY, Frame, PING, PROTOCOL_PING, Sent, Socket, TEXT, connect_narrow, path};
use crate::support::yjs::{sync, typed};
use crate::support::{Answer, Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
const SECRET: &str = "TOPSECRET-0123456789abcdef-old-1";
const OTHER_SECRET: &str = "TOPSECRET-0123456789abcdef-new-2";
const PAGE: &str = "https://page.example";
const ALICE: (&str, &str) = ("X-User-Id", "alice");

type Settings<'s> = &'s [(&'s str, &'s str)];

/// Writes the `.env` of a server.
fn set(server: &Server, settings: Settings<'_>) {
    let mut text = String::new();
    for (name, value) in settings {
        writeln!(text, "{name}='{value}'").unwrap();
    }
    write(server, ".env", text, 0o600);
}

/// Writes a file into the server's directory.
fn write(server: &Server, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let path = server.directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// A server that was started with this `.env` and environment.
fn server_with(dotenv: Settings<'_>, environment: Settings<'_>) -> Server {
    let mut server = Server::absent(environment);
    set(&server, dotenv);
    server.launch();
    server
}

/// Lines of this name that were logged so far.
fn lines(server: &Server, name: &str) -> Vec<Value> {
    let log = server.log();
    // Only what may be one of them is parsed: under load the log is long.
    let lines = log.lines().filter(|line| line.contains(name)).filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &Value| line["message"] == name).collect()
}

/// SIGHUP; the line that says what was changed.
fn reload(server: &Server) -> Value {
    let [before, failed] = ["config.reloaded", "config.reload_failed"].map(|name| lines(server, name).len());
    server.signal("HUP");
    wait_for(|| {
        let refused = lines(server, "config.reload_failed").split_off(failed);
        assert!(refused.is_empty(), "{refused:?}");
        lines(server, "config.reloaded").into_iter().nth(before)
    })
}

/// SIGHUP that must come to nothing; the problems that are told.
fn refused(server: &Server, problems: usize) -> Vec<String> {
    let before = lines(server, "config.reload_failed").len();
    server.signal("HUP");
    let lines = wait_for(|| {
        let lines = lines(server, "config.reload_failed");
        (lines.len() >= before + problems).then_some(lines)
    });
    let said: Vec<String> = lines[before..].iter().map(|line| line["problem"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said.len(), problems, "{said:?}");
    said
}

fn list(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.connect().request("GET", DRAFTS, headers, b"")
}

/// Statuses of so many requests by the same user.
fn statuses(server: &Server, count: usize) -> String {
    let statuses: Vec<String> = (0..count).map(|_| list(server, &[ALICE]).status.to_string()).collect();
    statuses.join(" ")
}

fn token(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    // For ever, as far as this test goes.
    let claims = json!({ "sub": "alice", "exp": 4_000_000_000_u32 });
    encode(&Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }, &claims, key).unwrap()
}

fn hs256(secret: &str) -> String {
    token(Algorithm::HS256, None, &EncodingKey::from_secret(secret.as_bytes()))
}

/// The status of a request with this token.
fn with_token(server: &Server, token: &str) -> String {
    list(server, &[("Authorization", &format!("Bearer {token}"))]).status.to_string()
}

fn key_path(name: &str) -> String {
    root().join("tests/keys").join(name).display().to_string()
}

/// A set with one key of this name.
fn jwks(kid: &str, secret: &str) -> String {
    let key = jsonwebtoken::jwk::Jwk::from_encoding_key(&EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256);
    let mut key = serde_json::to_value(key.unwrap()).unwrap();
    key["kid"] = json!(kid);
    json!({ "keys": [key] }).to_string()
}

/// What the second of two sockets on a new draft is told first. All are new, so that nobody still has a seat.
fn second_socket(server: &Server, same_user: bool) -> String {
    let draft = server.create_draft("alice");
    let users = [Uuid::new_v4(), Uuid::new_v4()].map(|user| user.to_string());
    let second = if same_user { &users[0] } else { &users[1] };
    let (_, _first) = Socket::open_as(server, &path(&draft), &users[0]);
    Socket::open_as(server, &path(&draft), second).0["type"].as_str().unwrap().to_owned()
}

/// The type of a text, or what else it is.
fn kind(frame: Frame) -> String {
    match frame {
        Frame::Text(text) => serde_json::from_str::<Value>(&text).unwrap()["type"].as_str().unwrap().to_owned(),
        other => format!("{other:?}"),
    }
}

fn watch_someone(server: &Server) -> Socket {
    Socket::watch(server, &server.create_draft("alice"), &Uuid::new_v4().to_string())
}

/// One setting: the configuration before, the value that it gets, and what is seen of it either time. `None`: it would
/// take too long to see.
struct Case {
    name: &'static str,
    before: Vec<(&'static str, String)>,
    value: String,
    look: fn(&Server) -> String,
    seen: [Option<&'static str>; 2],
}

fn case(
    name: &'static str,
    before: Settings<'static>,
    value: &str,
    look: fn(&Server) -> String,
    seen: [&'static str; 2],
) -> Case {
    let before = before.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Case { name, before, value: value.to_owned(), look, seen: seen.map(Some) }
}

/// Only what is seen afterwards.
fn slow(case: Case) -> Case {
    Case { seen: [None, case.seen[1]], ..case }
}

const WITH_SECRET: (&str, &str) = ("JWT_SECRET", SECRET);
const LIMITED: (&str, &str) = ("RATE_LIMIT_ENABLED", "true");
const ONE_A_MINUTE: (&str, &str) = ("RATE_LIMIT_PER_MINUTE_DEFAULT", "1");
const ONE_AT_ONCE: (&str, &str) = ("RATE_LIMIT_BURST_DEFAULT", "1");
const HEADERS: (&str, &str) = ("RATE_LIMIT_STANDARD_HEADERS", "true");
const SOCKETS_LIMITED: (&str, &str) = ("WS_LIMITS_ENABLED", "true");

fn access_cases() -> Vec<Case> {
    let probed = |server: &Server| {
        let [probe, later] = [Uuid::new_v4(), Uuid::new_v4()].map(|id| id.to_string());
        let mut client = server.connect();
        client.request("GET", "/healthz", &[("X-Request-Id", &probe)], b"").expect(200);
        client.request("GET", "/later", &[("X-Request-Id", &later)], b"").expect(404);
        server.wait_for_log(|line| line["request_id"] == later);
        server.log().contains(&probe).to_string()
    };
    let allowed = |server: &Server| {
        let answer = list(server, &[ALICE, ("Origin", PAGE)]);
        answer.header("access-control-allow-origin").unwrap_or("none").to_owned()
    };
    let with_secret = |server: &Server| with_token(server, &hs256(SECRET));
    let with_rsa = |server: &Server| {
        let pem = std::fs::read_to_string(key_path("rsa.pem")).unwrap();
        let key = EncodingKey::from_rsa_der(Document::from_pem(&pem).unwrap().1.as_bytes());
        with_token(server, &token(Algorithm::RS256, None, &key))
    };
    let with_named = |server: &Server| {
        with_token(server, &token(Algorithm::HS256, Some("a"), &EncodingKey::from_secret(SECRET.as_bytes())))
    };
    let far = |server: &Server| {
        let ask = |hop| list(server, &[("X-Forwarded-For", hop)]).status;
        format!("{} {}", ask("192.0.2.1"), ask("192.0.2.2"))
    };
    let mut pem = case("JWT_PUBLIC_KEY_FILE", &[], &key_path("p256.pub.pem"), with_rsa, ["200", "401"]);
    pem.before.push(("JWT_PUBLIC_KEY_FILE", key_path("rsa.pub.pem")));
    vec![
        case("LOG_LEVEL", &[], "debug", probed, ["false", "true"]),
        case("ALLOWED_ORIGINS", &[], PAGE, allowed, ["none", PAGE]),
        case("AUTH_TRUST_USER_HEADER", &[], "false", |server| statuses(server, 1), ["200", "401"]),
        case("JWT_SECRET", &[WITH_SECRET], OTHER_SECRET, with_secret, ["200", "401"]),
        pem,
        case("JWT_JWKS_FILE", &[], "keys.json", with_named, ["401", "200"]),
        case("JWT_ISSUER", &[WITH_SECRET], "us", with_secret, ["200", "401"]),
        case("JWT_AUDIENCE", &[WITH_SECRET], "you", with_secret, ["200", "401"]),
        // The token does not say when it was made.
        case("JWT_MAX_LIFE_DAYS", &[WITH_SECRET], "1", with_secret, ["200", "401"]),
        case("TRUSTED_PROXIES", &[LIMITED, ONE_A_MINUTE, ONE_AT_ONCE], "127.0.0.1/32", far, ["401 429", "401 401"]),
    ]
}

fn rate_cases() -> Vec<Case> {
    let quota = |server: &Server| {
        let answer = list(server, &[ALICE]);
        answer.header("ratelimit-policy").unwrap_or("none").to_owned()
    };
    let three = |server: &Server| statuses(server, 3);
    vec![
        case("RATE_LIMIT_ENABLED", &[ONE_A_MINUTE, ONE_AT_ONCE], "true", three, ["200 200 200", "200 429 429"]),
        case(
            "RATE_LIMIT_PER_MINUTE_DEFAULT",
            &[LIMITED, ONE_A_MINUTE, HEADERS],
            "7",
            quota,
            ["\"default\";q=1;w=60", "\"default\";q=7;w=60"],
        ),
        // Of the three that there can be now, one is owed.
        case(
            "RATE_LIMIT_BURST_DEFAULT",
            &[LIMITED, ONE_A_MINUTE, ONE_AT_ONCE],
            "3",
            three,
            ["200 429 429", "200 200 429"],
        ),
        case("RATE_LIMIT_STANDARD_HEADERS", &[LIMITED, ONE_A_MINUTE], "true", quota, ["none", "\"default\";q=1;w=60"]),
        // Nothing is counted in a new table.
        case("RATE_LIMIT_KEYS", &[LIMITED, ONE_A_MINUTE, ONE_AT_ONCE], "2000", three, ["200 429 429", "200 429 429"]),
    ]
}

fn socket_cases() -> Vec<Case> {
    let (same, another) =
        (|server: &Server| second_socket(server, true), |server: &Server| second_socket(server, false));
    let long = |server: &Server| {
        let mut socket = watch_someone(server);
        socket.send_text(&format!("{PING}{}", " ".repeat(100)));
        kind(socket.next())
    };
    let often = |server: &Server| {
        let mut socket = watch_someone(server);
        let ping = Sent::new(TEXT, PING).encode();
        socket.send_bytes([&ping[..], &ping[..]].concat());
        [kind(socket.next()), kind(socket.next())].join(" ")
    };
    let from_page = |server: &Server| {
        let (_, mut socket) = Socket::open(server, &path(&server.create_draft("alice")), &[ALICE, ("Origin", PAGE)]);
        socket.json()["type"].as_str().unwrap().to_owned()
    };
    let pinged = |server: &Server| {
        let mut socket = watch_someone(server);
        socket.answers_pings = false;
        format!("{:?}", socket.next()).split('(').next().unwrap().to_owned()
    };
    let given_up = |server: &Server| {
        let draft = server.create_draft("alice");
        let _slow = Socket::upgrade(connect_narrow(server), &path(&draft), &[ALICE]);
        // Events with long names in them, and more of those than the kernels hold.
        thread::scope(|scope| {
            for writer in 0..8 {
                let path = format!("{DRAFTS}/{draft}/segments");
                scope.spawn(move || {
                    let mut client = server.connect();
                    let headers = [ALICE, ("X-Request-Id", &*"x".repeat(128)), ("Content-Type", "application/json")];
                    for number in 0..50 {
                        let body = json!({ "content": "x", "idempotency_key": format!("{writer} {number}") });
                        client.request("POST", &path, &headers, body.to_string().as_bytes()).expect(200);
                    }
                });
            }
        });
        let closed = |line: &Value| line["message"] == "ws.disconnected" && line["draft_id"] == draft;
        server.wait_for_log(closed)["code"].to_string()
    };
    vec![
        case("WS_LIMITS_ENABLED", &[("WS_MAX_SOCKETS_PER_USER", "1")], "true", same, ["connected", "error"]),
        case("WS_MAX_SOCKETS_PER_USER", &[SOCKETS_LIMITED], "1", same, ["connected", "error"]),
        case("WS_MAX_SOCKETS_PER_DRAFT", &[SOCKETS_LIMITED], "1", another, ["connected", "error"]),
        case("WS_MAX_SOCKETS_GLOBAL", &[SOCKETS_LIMITED], "1", another, ["connected", "error"]),
        case("WS_MAX_MESSAGE_BYTES", &[SOCKETS_LIMITED], "50", long, ["pong", "error"]),
        case("WS_MAX_MESSAGES_PER_SECOND", &[SOCKETS_LIMITED], "1", often, ["pong pong", "pong error"]),
        case("WS_ALLOWED_ORIGINS", &[SOCKETS_LIMITED], "https://other.example", from_page, ["connected", "error"]),
        case("MAX_WS_CONNECTIONS_PER_DRAFT", &[], "1", another, ["connected", "error"]),
        slow(case("WS_PING_SECONDS", &[("WS_PING_SECONDS", "3600")], "1", pinged, ["", "Ping"])),
        slow(case("WS_OUTBOX_BYTES", &[("WS_STALL_SECONDS", "600")], "1024", given_up, ["", "1013"])),
        slow(case(
            "WS_STALL_SECONDS",
            &[("WS_STALL_SECONDS", "600"), ("WS_OUTBOX_BYTES", "67108864")],
            "1",
            given_up,
            ["", "1013"],
        )),
    ]
}

/// What a socket of a room is told next, in a word.
fn in_a_word(frame: Frame) -> String {
    match frame {
        Frame::Binary(bytes) if bytes.starts_with(&[2, 0]) => "denied".to_owned(),
        Frame::Binary(bytes) if bytes.starts_with(&[0, 0]) => "asked".to_owned(),
        Frame::Binary(_) => "told".to_owned(),
        Frame::Close(code, _) => code.to_string(),
        other => format!("{other:?}").split('(').next().unwrap().to_owned(),
    }
}

/// Enters a room of its own, says this there, and hears what follows the first word.
fn in_a_room(server: &Server, opcode: u8, said: &[u8]) -> String {
    let (_, mut socket) = Socket::open(server, &format!("/rooms/{}", Uuid::new_v4()), &[]);
    assert_eq!(in_a_word(socket.next()), "asked");
    socket.send(&Sent::new(opcode, said));
    socket.send(&Sent::new(PROTOCOL_PING, "x"));
    in_a_word(socket.next())
}

/// Enters a room of its own, and hears the first word.
fn entering(server: &Server, headers: &[(&str, &str)]) -> String {
    let (_, mut socket) = Socket::open(server, &format!("/rooms/{}", Uuid::new_v4()), headers);
    in_a_word(socket.next())
}

fn room_cases() -> Vec<Case> {
    const SMALL_TEXT: &[(&str, &str)] = &[("ROOMS_MAX_TEXT_BYTES", "64")];
    let nameless = |server: &Server| entering(server, &[]);
    let by_token = |server: &Server| entering(server, &[("Authorization", &format!("Bearer {}", hs256(SECRET)))]);
    let second = |server: &Server| {
        let room = format!("/rooms/{}", Uuid::new_v4());
        let _first = Socket::open(server, &room, &[]);
        in_a_word(Socket::open(server, &room, &[]).1.next())
    };
    let unknown = |server: &Server| in_a_room(server, BINARY, &[&[77][..], &[0; 2000]].concat());
    let text = |server: &Server| in_a_room(server, TEXT, format!("{:100}", r#"{"type":"get-peers"}"#).as_bytes());
    let update = |server: &Server| {
        let said = in_a_room(server, BINARY, &sync(2, &typed(5, 0, &"x".repeat(2000))));
        // Its echo may come before the pong or after it.
        if said == "told" { "Pong".to_owned() } else { said }
    };
    let small = |server: &Server| {
        let said = in_a_room(server, BINARY, &sync(2, &typed(5, 0, "x")));
        if said == "told" { "Pong".to_owned() } else { said }
    };
    vec![
        case("ROOMS_REQUIRE_TOKEN", &[], "true", nameless, ["asked", "denied"]),
        case("ROOMS_REQUIRE_GRANT", &[("JWT_SECRET", SECRET)], "true", by_token, ["asked", "denied"]),
        case("ROOMS_MAX_MESSAGE_BYTES", SMALL_TEXT, "1024", unknown, ["Pong", "1009"]),
        case("ROOMS_MAX_TEXT_BYTES", &[], "64", text, ["Text", "1009"]),
        case("ROOMS_MAX_DOCUMENT_BYTES", &[], "1024", update, ["Pong", "4413"]),
        case("ROOMS_MAX_SOCKETS_PER_ROOM", &[], "1", second, ["asked", "1013"]),
        case("ROOMS_MAX_NEW_PER_HOUR", &[], "1", small, ["Pong", "denied"]),
    ]
}

/// An event is sent; what it is answered.
fn event(server: &Server, metadata: &Value) -> Answer {
    let body = json!({ "visitor_id": "v-000001", "event": "x", "metadata": metadata });
    server.connect().post("/api/metrics/event", None, &body)
}

/// The housekeeper looks after the files of events once more, from the beginning to the end; what it says of it.
fn files_looked_after(server: &Server) -> Value {
    let last = || server.get("/api/metrics/health").expect(200)["last_rotation"].clone();
    let mut known = last();
    for _ in 0..2 {
        known = wait_for(|| Some(last()).filter(|now| now["at"] != known["at"]));
    }
    known
}

/// What the script in pages is told.
fn told(server: &Server, key: &str) -> String {
    server.get("/api/metrics/config").expect(200)[key].to_string()
}

fn behaviour_cases() -> Vec<Case> {
    const OFTEN: (&str, &str) = ("METRICS_ROTATE_SECONDS", "1");
    const FREELY: (&str, &str) = ("METRICS_BURST", "100000");
    const KEPT: (&str, &str) = ("METRICS_RETENTION_DAYS", "0");
    const PROXIED: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");
    let stored = |server: &Server| event(server, &json!({})).expect(202)["stored"].to_string();
    let status = |server: &Server| event(server, &json!({})).status.to_string();
    let refuses = |server: &Server| (0..10).any(|_| event(server, &json!({})).status == 429).to_string();
    let shown = |server: &Server| {
        event(server, &json!({})).expect(202);
        let stranger = [("X-Forwarded-For", "192.0.2.1")];
        let answer = server.connect().request("GET", "/api/metrics/behavior", &stranger, b"").expect(200);
        answer["last_events"][0]["visitor_id"].as_str().unwrap().to_owned()
    };
    let shards = |server: &Server| {
        (0..20).for_each(|_| _ = event(server, &json!({ "s": "x".repeat(60_000) })).expect(202));
        let entries = std::fs::read_dir(server.directory.path().join("data")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("metrics-")).count().to_string()
    };
    fn old(server: &Server) -> PathBuf {
        let path = server.directory.path().join("data/metrics-2025-10-01.jsonl");
        std::fs::write(&path, "{}\n").unwrap();
        path
    }
    let compressed = |server: &Server| {
        let path = old(server);
        files_looked_after(server);
        path.with_extension("jsonl.gz").exists().to_string()
    };
    // It would go, but for the clock, which nobody has watched for long.
    let waits = |server: &Server| {
        old(server);
        files_looked_after(server)["waiting_for_the_clock"].to_string()
    };
    vec![
        case("METRICS_SAMPLE_RATE", &[], "0.0", stored, ["1", "0"]),
        case("METRICS_RATE_PER_SECOND", &[], "0", status, ["202", "429"]),
        case(
            "METRICS_BURST",
            &[("METRICS_RATE_PER_SECOND", "1"), ("METRICS_BURST", "0")],
            "100",
            refuses,
            ["true", "false"],
        ),
        case("METRICS_SNAPSHOT_TOKEN", &[PROXIED], "a token for the snapshot", shown, ["v-000001", "v-00…"]),
        case("METRICS_MAX_MB", &[FREELY, ("METRICS_MAX_MB", "0")], "1", shards, ["0", "2"]),
        case(
            "METRICS_GZIP_AFTER_DAYS",
            &[OFTEN, KEPT, ("METRICS_GZIP_AFTER_DAYS", "0")],
            "1",
            compressed,
            ["false", "true"],
        ),
        case("METRICS_RETENTION_DAYS", &[OFTEN, KEPT, ("METRICS_GZIP_AFTER_DAYS", "0")], "30", waits, ["0", "1"]),
        case("METRICS_CLIENT_SAMPLE_RATE", &[], "0.25", |server| told(server, "sample_rate"), ["1.0", "0.25"]),
        case("METRICS_CONSENT", &[], "opt-in", |server| told(server, "consent"), ["\"opt-out\"", "\"opt-in\""]),
        case("METRICS_DEV_GATE", &[], "false", |server| told(server, "dev_gate"), ["true", "false"]),
    ]
}

fn carry_out(cases: &[Case]) {
    // All of them at once: each has a server of its own, and some wait for seconds to pass.
    std::thread::scope(|scope| cases.iter().for_each(|case| _ = scope.spawn(|| carry_out_one(case))));
}

fn carry_out_one(Case { name, before, value, look, seen }: &Case) {
    let before: Vec<(&str, &str)> = before.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = Server::absent(&[]);
    set(&server, &before);
    write(&server, "keys.json", jwks("a", SECRET), 0o600);
    server.launch();
    if let Some(seen) = seen[0] {
        assert_eq!(look(&server), seen, "{name} before");
    }
    let after: Vec<(&str, &str)> = before.iter().copied().filter(|(known, _)| known != name).collect();
    set(&server, &[&after[..], &[(*name, value)]].concat());
    let line = reload(&server);
    assert_eq!((&line["changed"], line.get("needs_restart")), (&json!(1), None), "{line}");
    let change = line[name].as_str().unwrap_or_else(|| panic!("{name} is not in {line}"));
    assert!(
        change.ends_with(&format!("→ {value}"))
            || ["JWT_SECRET", "METRICS_SNAPSHOT_TOKEN", "HOUSEHOLD_PASSWORD"].contains(name),
        "{change}"
    );
    assert_eq!(Some(look(&server).as_str()), seen[1], "{name} after");
}

#[test]
fn who_is_known_and_believed_follows_a_reload() {
    carry_out(&access_cases());
}

#[test]
fn rate_limits_follow_a_reload() {
    carry_out(&rate_cases());
}

#[test]
fn limits_of_sockets_follow_a_reload() {
    carry_out(&socket_cases());
}

#[test]
fn behaviour_metrics_follow_a_reload() {
    carry_out(&behaviour_cases());
}

#[test]
fn rooms_follow_a_reload() {
    carry_out(&room_cases());
}

/// The modules' limits follow at once, and what was counted stays.
fn module_cases() -> Vec<Case> {
    fn listed(server: &Server) -> String {
        let mut client = server.connect();
        (0..2).map(|_| client.get("/api/v1/modules", None).status.to_string()).collect::<Vec<_>>().join(" ")
    }
    let ideas = |server: &Server| server.connect().get("/api/v1/malya/ideas", None).status.to_string();
    vec![
        case("MODULES_LIMIT_PER_MINUTE", &[], "3", listed, ["200 200", "200 429"]),
        case("MODULES_LIMIT_PER_HOUR", &[], "3", listed, ["200 200", "200 429"]),
        case("HOUSEHOLD_PASSWORD", &[], "a password of the household", ideas, ["200", "401"]),
    ]
}

#[test]
fn the_limits_of_the_modules_follow_a_reload() {
    carry_out(&module_cases());
}

#[test]
fn every_setting_that_is_marked_as_taken_by_a_reload_is_looked_at_above() {
    let cases = [access_cases(), rate_cases(), socket_cases(), behaviour_cases(), room_cases(), module_cases()];
    let cases: Vec<&str> = cases.iter().flatten().map(|case| case.name).collect();
    let marked: Vec<&str> = KNOBS.iter().filter(|knob| knob.reloads).map(|knob| knob.name).collect();
    assert_eq!(cases, marked);
}

#[test]
fn without_changes_nothing_is_changed_and_it_says_so() {
    let server = server_with(&[("LOG_LEVEL", "info")], &[]);
    for _ in 0..2 {
        let line = reload(&server);
        let fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["timestamp", "level", "logger", "message", "changed"]);
        assert_eq!(line["changed"], 0);
    }
    assert!(!server.log().contains("WARN"), "{}", server.log());
}

#[test]
fn what_needs_a_restart_is_named_every_time_and_waits() {
    let mut server = server_with(&[], &[]);
    set(&server, &[("SHARDS", "3"), ("ALLOWED_ORIGINS", PAGE), ("BODY_MAX_BYTES", "1024"), ("ENV", "production")]);
    let line = reload(&server);
    assert_eq!((&line["changed"], &line["needs_restart"]), (&json!(4), &json!("ENV, SHARDS, BODY_MAX_BYTES")));
    assert_eq!((&line["SHARDS"], &line["BODY_MAX_BYTES"]), (&json!("0 → 3"), &json!("65536 → 1024")));
    assert!(line["ALLOWED_ORIGINS"].as_str().unwrap().ends_with(&format!(" → {PAGE}")), "{line}");
    let again = reload(&server);
    assert_eq!((&again["changed"], &again["needs_restart"]), (&json!(3), &json!("ENV, SHARDS, BODY_MAX_BYTES")));
    let long = json!({ "title": "x", "platform": "x", "more": "x".repeat(2000) });
    assert_ne!(server.post_as("alice", DRAFTS, &long).status, 413);
    server.terminate();
    server.launch();
    assert_eq!(server.post_as("alice", DRAFTS, &long).status, 413);
    assert_eq!(reload(&server)["changed"], 0);
}

#[test]
fn a_bad_file_changes_nothing_at_all_and_every_problem_is_told() {
    let server = server_with(&[], &[]);
    let allowed = || list(&server, &[ALICE, ("Origin", PAGE)]).header("access-control-allow-origin").is_some();
    let good = [("ALLOWED_ORIGINS", PAGE), ("LOG_LEVEL", "debug")];
    set(&server, &[&good[..], &[("RATE_LIMIT_ENABLED", "maybe"), ("WS_PING_SECONDS", "0")]].concat());
    let problems = refused(&server, 2);
    assert!(problems[0].starts_with("RATE_LIMIT_ENABLED=maybe is not a flag"), "{problems:?}");
    assert!(problems[1].starts_with("WS_PING_SECONDS=0 is out of range"), "{problems:?}");
    write(&server, ".env", format!("ALLOWED_ORIGINS={PAGE}\nJWT_SECRET='hunter2\n"), 0o600);
    assert_eq!(refused(&server, 1), [".env line 2 is malformed (JWT_SECRET): the quote is never closed"]);
    write(&server, ".env", format!("ALLOWED_ORIGINS={PAGE}\nLOG_LEVEL=debug\n"), 0o602);
    assert!(refused(&server, 1)[0].starts_with(".env is not read, because it has mode 0602"));
    set(&server, &[&good[..], &[("JWT_SECRET_FILE", "absent")]].concat());
    assert!(refused(&server, 1)[0].starts_with("JWT_SECRET_FILE: absent cannot be read: "));
    write(&server, "keys.json", "{}", 0o600);
    set(&server, &[&good[..], &[("JWT_JWKS_FILE", "keys.json")]].concat());
    assert_eq!(
        refused(&server, 1),
        ["JWT_JWKS_FILE: keys.json is not a JWK set: it needs a member keys that is a list"]
    );
    set(&server, &[&good[..], &[("CONFIG_STRICT", "true"), ("NONSENSE", "1")]].concat());
    assert_eq!(refused(&server, 1), ["unknown variable NONSENSE in .env; inkring print-config lists all settings"]);
    assert!(!allowed(), "nothing of it was taken");
    server.get("/healthz").expect(200);
    assert!(!server.log().contains("DEBUG") && !server.log().contains("hunter2"), "{}", server.log());
    set(&server, &good);
    assert_eq!(reload(&server)["changed"], 2);
    assert!(allowed());
}

#[test]
fn a_strict_server_holds_what_it_is_given_to_strict_rules() {
    let strict = [("CONFIG_STRICT", "true"), ("ALLOWED_ORIGINS", PAGE)];
    let server = server_with(&strict, &[]);
    set(&server, &[&strict[..], &[("LOG_LEVL", "debug"), ("JWT_SECRET", "short")]].concat());
    let problems = refused(&server, 2);
    assert_eq!(problems[0], "unknown variable LOG_LEVL in .env; did you mean LOG_LEVEL?");
    assert!(problems[1].starts_with("JWT_SECRET=******** is shorter than 32 bytes"), "{problems:?}");
    set(&server, &[("CONFIG_STRICT", "false"), ("ALLOWED_ORIGINS", "*")]);
    assert_eq!(refused(&server, 1).len(), 1, "not strict from now on is for the next start");
    let key = write(&server, "keys.json", jwks("a", SECRET), 0o644).display().to_string();
    set(&server, &[&strict[..], &[("JWT_JWKS_FILE", &key)]].concat());
    assert!(refused(&server, 1)[0].contains("mode 0644"));
}

#[test]
fn a_secret_that_is_rotated_in_its_file_counts_from_then_on_and_is_never_shown() {
    let mut server = Server::absent(&[("JWT_SECRET_FILE", "secret"), ("AUTH_TRUST_USER_HEADER", "false")]);
    write(&server, "secret", SECRET, 0o600);
    server.launch();
    let (old, new) = (hs256(SECRET), hs256(OTHER_SECRET));
    let both = || [with_token(&server, &old), with_token(&server, &new)];
    let post = |token: &str, path: &str, body: &Value| {
        let headers = [("Authorization", &*format!("Bearer {token}")), ("Content-Type", "application/json")];
        server.connect().request("POST", path, &headers, body.to_string().as_bytes()).expect(200)
    };
    let draft = post(&old, DRAFTS, &json!({ "title": "x", "platform": "x" }))["data"]["draft_id"].clone();
    let draft = draft.as_str().unwrap();
    let protocols = format!("bearer, {old}");
    let (_, mut socket) = Socket::open(&server, &path(draft), &[("Sec-WebSocket-Protocol", &protocols)]);
    assert_eq!(socket.json()["type"], "connected");
    assert_eq!(both(), ["200", "401"]);
    write(&server, "secret", OTHER_SECRET, 0o600);
    assert_eq!(both(), ["200", "401"], "not before it is told to");
    let line = reload(&server);
    assert_eq!((&line["changed"], &line["JWT_SECRET"]), (&json!(1), &json!("******** → ********")));
    assert_eq!(both(), ["401", "200"]);
    let segment = json!({ "content": "x", "idempotency_key": "1" });
    post(&new, &format!("{DRAFTS}/{draft}/segments"), &segment);
    assert_eq!(kind(socket.next()), "collab.segment_added", "who watches is not disturbed");
    write(&server, "secret", "", 0o600);
    refused(&server, 1);
    assert_eq!(both(), ["401", "200"]);
    assert!(!server.log().contains("TOPSECRET"), "{}", server.log());
}

#[test]
fn files_of_keys_are_read_at_once_and_those_that_come_later_are_followed_too() {
    let server = server_with(&[("AUTH_TRUST_USER_HEADER", "false")], &[("JWT_KEYS_RELOAD_SECONDS", "1")]);
    let named = |secret: &str| token(Algorithm::HS256, Some("a"), &EncodingKey::from_secret(secret.as_bytes()));
    let both = || [SECRET, OTHER_SECRET].map(|secret| with_token(&server, &named(secret)));
    write(&server, "keys.json", jwks("a", SECRET), 0o600);
    set(&server, &[("AUTH_TRUST_USER_HEADER", "false"), ("JWT_JWKS_FILE", "keys.json")]);
    assert_eq!(reload(&server)["JWT_JWKS_FILE"], "none → keys.json");
    assert_eq!(both(), ["200", "401"]);
    // The housekeeper looks at a file that was not there when the server started …
    write(&server, "keys.json", jwks("a", OTHER_SECRET), 0o600);
    server.wait_for_log(|line| line["message"] == "keys.changed");
    assert_eq!(both(), ["401", "200"]);
    set(&server, &[("JWT_SECRET", SECRET)]);
    assert_eq!(reload(&server)["changed"], 3);
    assert_eq!([with_token(&server, &hs256(SECRET)), statuses(&server, 1)], ["200", "200"]);

    // … and a reload is quicker.
    let mut server = Server::absent(&[("JWT_KEYS_RELOAD_SECONDS", "86400"), ("JWT_JWKS_FILE", "keys.json")]);
    write(&server, "keys.json", jwks("a", SECRET), 0o600);
    server.launch();
    let both = || [SECRET, OTHER_SECRET].map(|secret| with_token(&server, &named(secret)));
    assert_eq!(both(), ["200", "401"]);
    write(&server, "keys.json", jwks("a", OTHER_SECRET), 0o600);
    assert_eq!(reload(&server)["changed"], 0, "no setting has changed");
    assert_eq!(both(), ["401", "200"]);
    assert_eq!(lines(&server, "keys.changed").len(), 1);
    reload(&server);
    assert_eq!(lines(&server, "keys.changed").len(), 1);
}

#[test]
fn limits_come_and_go_under_one_connection() {
    let server = Server::start();
    let mut client = server.connect();
    let mut ask = |count: usize| -> Vec<u16> { (0..count).map(|_| client.get(DRAFTS, Some("alice")).status).collect() };
    for _ in 0..3 {
        set(&server, &[LIMITED, ONE_A_MINUTE, ONE_AT_ONCE]);
        reload(&server);
        assert_eq!(ask(2), [200, 429]);
        set(&server, &[]);
        reload(&server);
        assert_eq!(ask(50), [200; 50]);
    }
}

#[test]
fn the_level_changes_in_both_directions_and_a_change_is_told_by_the_louder_one() {
    let server = server_with(&[("LOG_LEVEL", "warn")], &[]);
    let fails = format!("{DRAFTS}/{}/segments", spoilt_draft(&server));
    let logged = |path: &str| {
        let (asked, later) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let mut client = server.connect();
        client.request("GET", path, &[("X-Request-Id", &asked)], b"");
        // An error, which comes at either level.
        let headers = [("X-Request-Id", later.as_str()), ("X-User-Id", "alice"), ("Content-Type", "application/json")];
        client.request("POST", &fails, &headers, br#"{"content":"x","idempotency_key":"2"}"#).expect(500);
        server.wait_for_log(|line| line["request_id"] == later);
        server.log().contains(&asked)
    };
    for (level, said, debug, info) in [
        ("debug", "warn → debug", true, true),
        ("info", "debug → info", false, true),
        ("warn", "info → warn", false, false),
        ("trace", "warn → trace", true, true),
        ("error", "trace → error", false, false),
    ] {
        set(&server, &[("LOG_LEVEL", level)]);
        assert_eq!(reload(&server)["LOG_LEVEL"], said);
        if level != "error" {
            // The line that tells of a level is written before it is set.
            wait_for(|| (logged("/healthz") == debug).then_some(()));
            assert_eq!(logged("/metrics-are-not-here"), info, "{level}");
            let draft = server.create_draft("alice");
            assert_eq!(logged(&format!("{DRAFTS}/{draft}")), info, "{level}");
        }
    }
}

#[test]
fn fifty_reloads_under_load_lose_no_request_no_event_and_no_socket() {
    const RELOADS: usize = 50;
    /// Few enough that a socket may leave them unread.
    const APPENDS: usize = 300;
    let server = Server::start();
    let draft = server.create_draft("alice");
    let mut socket = Socket::watch(&server, &draft, "alice");
    let goes_on = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut client = server.connect();
                while goes_on.load(Ordering::Relaxed) {
                    let answer = client.request("GET", DRAFTS, &[ALICE, ("Origin", PAGE)], b"");
                    answer.expect(200);
                    // One configuration or the other, and nothing between them.
                    let allowed = answer.header("access-control-allow-origin");
                    assert!([None, Some(PAGE)].contains(&allowed), "{allowed:?}");
                }
            });
        }
        scope.spawn(|| {
            let mut client = server.connect();
            for number in 0..APPENDS {
                let body = json!({ "content": "x", "idempotency_key": number.to_string() });
                client.post(&format!("{DRAFTS}/{draft}/segments"), Some("alice"), &body).expect(200);
            }
        });
        // New connections, one for each request.
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                server.get("/healthz").expect(200);
            }
        });
        for turn in 0..RELOADS {
            let origins = if turn % 2 == 0 { PAGE } else { "https://other.example" };
            set(&server, &[("ALLOWED_ORIGINS", origins), LIMITED, ("RATE_LIMIT_BURST_DEFAULT", "1000000")]);
            // Some in a burst, of which any number may be one.
            if turn % 5 == 0 { drop(reload(&server)) } else { server.signal("HUP") }
        }
        set(&server, &[("ALLOWED_ORIGINS", PAGE), ("SHARDS", "7")]);
        server.signal("HUP");
        wait_for(|| lines(&server, "config.reloaded").into_iter().find(|line| line["SHARDS"] == "0 → 7"));
        goes_on.store(false, Ordering::Relaxed);
    });
    assert_eq!(list(&server, &[ALICE, ("Origin", PAGE)]).header("access-control-allow-origin"), Some(PAGE));
    for _ in 0..APPENDS {
        assert_eq!(kind(socket.next()), "collab.segment_added");
    }
    socket.assert_quiet();
    let log = server.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors, [""; 0]);
}

#[test]
fn a_backup_that_is_asked_for_without_a_place_is_told_so() {
    let server = Server::start();
    server.signal("USR1");
    let line = server.wait_for_log(|line| line["message"] == "backup.not_begun");
    assert_eq!(
        (&line["level"], &line["reason"]),
        (&json!("WARN"), &json!("BACKUP_DIR is not set: set it and restart"))
    );
    server.get("/healthz").expect(200);
}

#[test]
fn a_reload_during_the_stop_neither_ends_nor_delays_it() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send("POST /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: 2\r\n\r\n");
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    server.wait_for_log(|line| line["message"] == "server.stopping");
    for signal in ["HUP", "USR1", "HUP"] {
        server.signal(signal);
    }
    wait_for(|| (lines(&server, "signal.received").len() >= 3).then_some(()));
    client.send("{}");
    client.answer().expect(422);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(lines(&server, "config.reloaded").len(), 0);
}
