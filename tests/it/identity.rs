//! Who is asking: signed tokens and `X-User-Id` (contract 01 §0.4 and §3.1; rulings 3, 4 and 11), and what only members
//! may read (ruling 7).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use inkring::clock::Timestamp;
use inkring::gate::{Demands, TOKEN_MAX_BYTES, Verifier};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Answer, Client, PATIENCE, Server, inkring, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
/// 32 bytes, marked so that it can be looked for.
pub const KEY: &str = "TOPSECRET-0123456789abcdef-32-by";
const SETTING: (&str, &str) = ("JWT_SECRET", KEY);
const ALICE: (&str, &str) = ("X-User-Id", "alice");
const MISSING: &str =
    "{\"error\":\"unauthorized\",\"message\":\"Missing Authorization (Bearer JWT) or X-User-Id header\"}";

fn sign(algorithm: Algorithm, claims: &Value, key: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

pub fn token(claims: &Value) -> String {
    sign(Algorithm::HS256, claims, KEY)
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", token(claims))
}

/// This many seconds from now.
fn in_seconds(seconds: i64) -> i64 {
    seconds + i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Creates a draft with these headers.
fn create(client: &mut Client, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("Content-Type", "application/json")][..], headers].concat();
    client.request("POST", DRAFTS, &headers, br#"{"title":"A draft","platform":"x"}"#)
}

#[test]
fn a_401_says_what_to_send_or_why_what_was_sent_does_not_count() {
    let hint = |settings: &[(&str, &str)], headers: &[(&str, &str)]| {
        let server = Server::with(settings);
        let answer = create(&mut server.connect(), headers);
        refused(&answer, MISSING);
        answer.json()["error"]["hint"].clone()
    };
    let distrusting = ("AUTH_TRUST_USER_HEADER", "false");
    let (any, basic) = (("Authorization", "Bearer x"), ("Authorization", "Basic YTpi"));
    let no_key = "Authorization is ignored, because this server has no key to verify tokens: ";
    assert_eq!(hint(&[], &[]), "Send X-User-Id: ID");
    assert_eq!(hint(&[], &[("X-User-Id", "")]), "Send X-User-Id: ID");
    assert_eq!(hint(&[SETTING], &[]), "Send Authorization: Bearer TOKEN, or X-User-Id: ID");
    assert_eq!(hint(&[SETTING, distrusting], &[]), "Send Authorization: Bearer TOKEN");
    assert_eq!(hint(&[], &[any]), format!("{no_key}send X-User-Id: ID"));
    assert_eq!(hint(&[distrusting], &[any]), format!("{no_key}its operator has to set one"));
    let closed =
        "X-User-Id is not trusted from here, and this server has no key to verify tokens: its operator has to set one";
    for headers in [&[][..], &[ALICE]] {
        assert_eq!(hint(&[distrusting], headers), closed);
    }
    let untrusted = "X-User-Id is not trusted from here: send Authorization: Bearer TOKEN";
    assert_eq!(hint(&[SETTING, distrusting], &[ALICE]), untrusted);
    let misspelt =
        "Authorization is ignored, because it does not begin with Bearer and a space: send Authorization: Bearer TOKEN";
    assert_eq!(hint(&[SETTING], &[basic]), misspelt);
    assert_eq!(hint(&[SETTING], &[("Authorization", "bearer x")]), misspelt);
    // Rooms are not managed by a name alone.
    for (settings, expected) in [
        (&[][..], "This server has no key to verify tokens: its operator has to set one"),
        (&[SETTING], "Send Authorization: Bearer TOKEN; X-User-Id is not enough"),
    ] {
        let answer = Server::with(settings).get_as("alice", "/rooms");
        refused(&answer, "\"Rooms are managed with a token that has perm: admin\"");
        assert_eq!(answer.json()["error"]["hint"], expected);
    }
    // Why a token is not taken is not told, and what to do is.
    let server = Server::with(&[SETTING]);
    let expired = format!("Bearer {}", token(&json!({ "sub": "late", "exp": 1 })));
    let elsewhere =
        "Get a new token; the operator finds the reason in the log (auth.failed), or with inkring token inspect";
    for (sent, message, hint) in [
        ("Bearer x", "\"Invalid token\"", elsewhere),
        ("Bearer", "\"Invalid token\"", "The token is empty"),
        ("Bearer  ", "\"Invalid token\"", "The token is empty"),
        (&expired, "\"Token expired\"", "Get a new token"),
    ] {
        let answer = create(&mut server.connect(), &[("Authorization", sent)]);
        refused(&answer, message);
        assert_eq!(answer.json()["error"]["hint"], hint, "{sent}");
    }
    server.wait_for_log(|line| line["message"] == "auth.failed" && line["reason"] == "empty");
}

/// Holds an answer to being the contract's 401 with this message, which is JSON.
#[track_caller]
fn refused(answer: &Answer, message: &str) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    let id = answer.header("x-request-id").unwrap();
    // The hint is ours, and stands at the end of its object.
    let hint = answer.json()["error"]["hint"].as_str().map(|hint| format!(",\"hint\":\"{hint}\"")).unwrap_or_default();
    let expected = format!(
        "{{\"error\":{{\"code\":\"http_error\",\"message\":{message},\"request_id\":\"{id}\"{hint}}},\"detail\":{message}}}"
    );
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("www-authenticate"), None, "contract 01 §0.4");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// Opens a socket with these header lines, and returns everything up to the end of its first frame: both the welcome and
/// a refusal are one flat object.
fn open_socket(server: &Server, path: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let handshake = format!(
        "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut received = Vec::new();
    while !received.contains(&b'}') {
        let mut buffer = [0; 1024];
        let bytes = stream.read(&mut buffer).unwrap();
        assert!(bytes > 0, "{}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buffer[..bytes]);
    }
    let text = String::from_utf8_lossy(&received).into_owned();
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    text
}

#[test]
fn with_a_key_a_token_decides_and_a_bad_one_never_falls_back() {
    let server = Server::with(&[SETTING]);
    let mut client = server.connect();
    let good =
        bearer(&json!({ "sub": "tess", "exp": in_seconds(60), "iat": in_seconds(0), "aud": "any", "iss": "any" }));
    for other in [&[][..], &[ALICE], &[("X-User-Id", "a\tb")], &[("X-User-Id", "")]] {
        let headers = [&[("Authorization", good.as_str())], other].concat();
        let created = create(&mut client, &headers).expect(200);
        assert_eq!(created["data"]["creator_id"], "tess", "the token wins: {other:?}");
    }
    let soon = json!({ "sub": "tess", "nbf": in_seconds(120) });
    for (authorization, message) in [
        (bearer(&json!({ "sub": "tess", "exp": in_seconds(-60) })), "Token expired"),
        (bearer(&soon), "Invalid token"),
        (format!("Bearer {}", sign(Algorithm::HS256, &json!({ "sub": "tess" }), "another")), "Invalid token"),
        (format!("Bearer {}", sign(Algorithm::HS512, &json!({ "sub": "tess" }), KEY)), "Invalid token"),
        (format!("{good}x"), "Invalid token"),
        ("Bearer".to_owned(), "Invalid token"),
        ("Bearer ".to_owned(), "Invalid token"),
        ("Bearer x".to_owned(), "Invalid token"),
        ("Bearer ..".to_owned(), "Invalid token"),
        (format!("Bearer {}", "x".repeat(10_000)), "Invalid token"),
        (bearer(&json!({ "sub": 7 })), "Invalid token"),
        (bearer(&json!({ "sub": "a\u{1}b" })), "Invalid token"),
        (bearer(&json!({ "sub": "x".repeat(101) })), "Invalid token"),
        (bearer(&json!({ "sub": "" })), "Token verification failed"),
        (bearer(&json!({ "name": "tess" })), "Token verification failed"),
    ] {
        for headers in [&[("Authorization", authorization.as_str())][..], &[ALICE, ("Authorization", &authorization)]] {
            refused(&create(&mut client, headers), &format!("\"{message}\""));
        }
    }
    assert_eq!(client.get(DRAFTS, Some("alice")).expect(200)["count"], 0, "nobody became alice");
    // RFC 9110 allows more than one blank.
    let spaced = format!("Bearer   {}", token(&json!({ "sub": "tess" })));
    create(&mut client, &[("Authorization", &spaced)]).expect(200);
}

#[test]
fn what_is_no_bearer_token_says_nothing() {
    let server = Server::with(&[SETTING]);
    let mut client = server.connect();
    let good = token(&json!({ "sub": "tess" }));
    for scheme in ["bearer", "BEARER", "Basic", "JWT", "Token"] {
        let authorization = format!("{scheme} {good}");
        let created = create(&mut client, &[("Authorization", &authorization), ALICE]).expect(200);
        assert_eq!(created["data"]["creator_id"], "alice", "{scheme}");
        refused(&create(&mut client, &[("Authorization", &authorization)]), MISSING);
    }
    for other in [good.as_str(), "Bearerx", "", "Bearer:x"] {
        create(&mut client, &[("Authorization", other), ALICE]).expect(200);
    }
    refused(&create(&mut client, &[]), MISSING);
    refused(&create(&mut client, &[("X-User-Id", "")]), MISSING);
    // Beside another scheme the token counts; of two tokens none does.
    let (good, other) = (format!("Bearer {good}"), bearer(&json!({ "sub": "eve" })));
    let created = create(&mut client, &[("Authorization", "Basic x"), ("Authorization", &good)]).expect(200);
    assert_eq!(created["data"]["creator_id"], "tess");
    refused(&create(&mut client, &[("Authorization", &good), ("Authorization", &other), ALICE]), "\"Invalid token\"");
    // Only sockets take it from elsewhere.
    let query = format!("{DRAFTS}?access_token={}", token(&json!({ "sub": "tess" })));
    refused(&client.request("GET", &query, &[], b""), MISSING);
}

#[test]
fn a_socket_takes_its_token_from_header_protocol_or_query() {
    let server = Server::with(&[SETTING]);
    let (path, eve) = ("/v1/ws/drafts/d1", ("X-User-Id", "eve"));
    let [header, protocol, query] = ["by-header", "by-protocol", "by-query"].map(|user| token(&json!({ "sub": user })));
    let (header, protocol) = (format!("Bearer {header}"), format!("bearer, {protocol}"));
    let (header, protocol) = (("Authorization", header.as_str()), ("Sec-WebSocket-Protocol", protocol.as_str()));
    let with_query = format!("{path}?access_token={query}");
    let expired = token(&json!({ "sub": "late", "exp": 1 }));
    let (bad_header, bad_protocol) = (format!("Bearer {expired}"), format!("bearer, {expired}"));
    let (bad_header, bad_protocol) = (("Authorization", bad_header.as_str()), (protocol.0, bad_protocol.as_str()));
    let bad_query = format!("{path}?access_token={expired}");
    let refusal = "\"code\":\"forbidden\",\"message\":\"Unauthorized: missing or invalid authentication\"";
    let welcome = |user: &str| format!("\"user_id\":\"{user}\"");
    for (target, headers, expected) in [
        (with_query.as_str(), &[header, protocol, eve][..], welcome("by-header")),
        (&with_query, &[protocol, eve], welcome("by-protocol")),
        (&with_query, &[eve], welcome("by-query")),
        (&with_query, &[], welcome("by-query")),
        (path, &[eve], welcome("eve")),
        (&with_query, &[bad_header, protocol, eve], refusal.to_owned()),
        (&with_query, &[bad_protocol, eve], refusal.to_owned()),
        (&bad_query, &[eve], refusal.to_owned()),
        (path, &[], refusal.to_owned()),
    ] {
        let said = open_socket(&server, target, headers);
        assert!(said.contains(&expected), "{target} {headers:?}: {said}");
        let answered = said.to_ascii_lowercase().contains("sec-websocket-protocol: bearer\r\n");
        assert_eq!(answered, headers.iter().any(|(name, _)| *name == protocol.0), "{said}");
        assert!(!said.contains(&expired) && !said.contains(&query));
    }
    let log = server.log();
    assert!([&expired, &query].iter().all(|token| !log.contains(token.as_str())), "{log}");
}

#[test]
fn without_a_key_a_token_is_not_looked_at() {
    let server = Server::start();
    let mut client = server.connect();
    for authorization in [bearer(&json!({ "sub": "tess" })), "Bearer x".to_owned(), "Bearer".to_owned()] {
        let created = create(&mut client, &[("Authorization", &authorization), ALICE]).expect(200);
        assert_eq!(created["data"]["creator_id"], "alice");
        refused(&create(&mut client, &[("Authorization", &authorization)]), MISSING);
    }
}

#[test]
fn the_key_goes_by_its_other_name_too() {
    let server = Server::with(&[("CLERK_SECRET_KEY", KEY)]);
    let created = create(&mut server.connect(), &[("Authorization", &bearer(&json!({ "sub": "tess" })))]).expect(200);
    assert_eq!(created["data"]["creator_id"], "tess");
}

#[test]
fn in_production_tokens_are_the_only_name_and_have_to_expire() {
    let server = Server::with(&[SETTING, ("ENV", "production")]);
    let mut client = server.connect();
    let lasting = bearer(&json!({ "sub": "tess" }));
    refused(&create(&mut client, &[("Authorization", &lasting), ALICE]), "\"Invalid token\"");
    let expiring = bearer(&json!({ "sub": "tess", "exp": in_seconds(60) }));
    create(&mut client, &[("Authorization", &expiring)]).expect(200);
    refused(&create(&mut client, &[ALICE]), MISSING);
    assert!(!server.log().contains("requests cannot be identified"));
}

#[test]
fn issuer_and_audience_are_asked_for_when_they_are_set() {
    let server = Server::with(&[SETTING, ("JWT_ISSUER", "https://id.example"), ("JWT_AUDIENCE", "ring")]);
    let mut client = server.connect();
    for (issuer, audience, status) in [
        (json!("https://id.example"), json!("ring"), 200),
        (json!("https://id.example"), json!(["other", "ring"]), 200),
        (json!("https://id.example"), json!("other"), 401),
        (json!("https://id.example"), json!(["other"]), 401),
        (json!("https://id.example"), Value::Null, 401),
        (json!("https://evil.example"), json!("ring"), 401),
        (Value::Null, json!("ring"), 401),
    ] {
        let claims = json!({ "sub": "tess", "iss": issuer, "aud": audience });
        let answer = create(&mut client, &[("Authorization", &bearer(&claims)), ALICE]);
        assert_eq!(answer.status, status, "{claims}");
        if status == 401 {
            refused(&answer, "\"Invalid token\"");
        }
    }
}

#[test]
fn neither_tokens_nor_the_key_are_ever_logged_or_shown() {
    for level in ["info", "trace"] {
        let server = Server::with(&[SETTING, ("LOG_LEVEL", level)]);
        let mut client = server.connect();
        let good = json!({ "sub": "tess", "x": "TOPSECRET" });
        let odd = json!({ "sub": "TOPSECRET\n", "aud": "TOPSECRET" });
        let tokens = [token(&good), token(&odd), sign(Algorithm::HS512, &good, KEY), "TOPSECRET".to_owned()];
        for (at, sent) in tokens.iter().enumerate() {
            let (authorization, id) = (format!("Bearer {sent}"), format!("rid-{at}"));
            let headers = [("Authorization", authorization.as_str()), ("X-Request-Id", &id), ALICE];
            let answer = client.request("GET", &format!("{DRAFTS}?access_token={sent}"), &headers, b"");
            assert_eq!(answer.status, if at == 0 { 200 } else { 401 });
            let parts: Vec<&str> = sent.split('.').collect();
            assert!(!answer.text().contains(parts[parts.len() - 1]));
            server.wait_for_log(|line| line["message"] == "request.complete" && line["request_id"] == id.as_str());
        }
        let why = server.wait_for_log(|line| line["message"] == "request.complete" && line["request_id"] == "rid-1");
        assert_eq!((&why["level"], &why["error_message"]), (&json!("INFO"), &json!("Invalid token")));
        assert_eq!((&why["context"], &why["user_id"]), (&json!("sub is not a user id"), &Value::Null));
        let log = server.log();
        for secret in tokens.iter().flat_map(|sent| sent.split('.')).chain(["TOPSECRET", KEY]) {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    for name in ["JWT_SECRET", "CLERK_SECRET_KEY"] {
        for (key, verb) in [(KEY, "print-config"), (KEY, "check-config"), ("TOPSECRET", "check-config")] {
            let output = inkring(directory.path()).arg(verb).env(name, key).output().unwrap();
            assert_eq!(output.status.code(), Some(0));
            let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!shown.contains("TOPSECRET"), "{shown}");
            if verb == "print-config" {
                assert!(shown.lines().any(|line| line.starts_with("JWT_SECRET=******** ")), "{shown}");
            }
        }
        let strict = inkring(directory.path()).args(["check-config", "--strict"]).env(name, "TOPSECRET").output();
        let said = String::from_utf8(strict.unwrap().stderr).unwrap();
        assert!(said.contains(&format!("{name}=******** is shorter than 32 bytes")), "{said}");
        assert!(!said.contains("TOPSECRET"), "{said}");
    }
}

#[test]
fn reading_is_for_anyone_or_for_members_only() {
    let open = Server::start();
    let draft = open.create_draft("alice");
    open.get(&format!("{DRAFTS}/{draft}")).expect(200);
    open.get_as("eve", &format!("{DRAFTS}/{draft}")).expect(200);

    let server = Server::with(&[SETTING, ("DRAFTS_PUBLIC_READ", "false")]);
    let draft = server.create_draft("alice");
    let path = format!("{DRAFTS}/{draft}");
    let mut client = server.connect();
    client.request("POST", &format!("{path}/collaborators?collaborator_id=bob"), &[ALICE], b"").expect(200);
    for member in ["alice", "bob"] {
        assert_eq!(client.get(&path, Some(member)).expect(200)["data"]["draft_id"], draft);
        let authorization = bearer(&json!({ "sub": member }));
        client.request("GET", &path, &[("Authorization", &authorization), ("X-User-Id", "eve")], b"").expect(200);
        assert_eq!(client.request("HEAD", &path, &[("X-User-Id", member)], b"").status, 200);
    }
    refused(&client.get(&path, None), MISSING);
    refused(&client.get(&format!("{DRAFTS}/nowhere"), None), MISSING);
    refused(&client.request("GET", &path, &[("Authorization", "Bearer x"), ALICE], b""), "\"Invalid token\"");
    let answer = client.get(&path, Some("eve"));
    let message = format!("User eve is not owner/collaborator for draft {draft}");
    assert_eq!(answer.expect_error(403), ("forbidden".to_owned(), message.clone()));
    assert_eq!(answer.json()["detail"], message);
    assert!(!answer.text().contains("A draft"), "nothing of the draft leaves");
    assert_eq!(client.request("HEAD", &path, &[("X-User-Id", "eve")], b"").status, 403);
    let unknown = client.get(&format!("{DRAFTS}/nowhere"), Some("eve")).expect_error(404);
    assert_eq!(unknown, ("not_found".to_owned(), "Draft nowhere not found".to_owned()));
    let log = format!("{path}/events");
    refused(&client.get(&log, None), MISSING);
    client.get(&log, Some("bob")).expect(200);
    assert_eq!(client.get(&log, Some("eve")).expect_error(403), ("forbidden".to_owned(), message.clone()));
    client.get(&format!("{DRAFTS}/nowhere/events"), Some("eve")).expect_error(404);
    let socket = format!("/v1/ws/drafts/{draft}");
    let authorization = bearer(&json!({ "sub": "bob" }));
    assert!(open_socket(&server, &socket, &[("Authorization", &authorization)]).contains("\"type\":\"connected\""));
    assert!(open_socket(&server, &socket, &[("X-User-Id", "eve")]).contains(&message));
    // The time comes before the draft, as where reading is public.
    client.get(&format!("{path}?now=x"), Some("eve")).expect_error(400);
    refused(&client.get(&format!("{path}?now=x"), None), MISSING);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_whatever_are_taken_for_a_token(bytes in vec(any::<u8>(), 0..300), now in any::<i64>()) {
        let verifier = Verifier::hs256(KEY.as_bytes(), Demands::default());
        prop_assert!(verifier.verify(&bytes, Timestamp(now)).is_err());
    }

    #[test]
    fn a_token_that_is_cut_or_changed_anywhere_is_refused(
        at in any::<prop::sample::Index>(),
        changes in vec(any::<u8>(), 0..4),
        padding in 0..9000_usize,
    ) {
        let verifier = Verifier::hs256(KEY.as_bytes(), Demands::default());
        let good = token(&json!({ "sub": "alice", "x": "x".repeat(padding) })).into_bytes();
        prop_assert_eq!(verifier.verify(&good, Timestamp(0)).is_ok(), good.len() <= TOKEN_MAX_BYTES);
        let at = at.index(good.len());
        let mut changed = good.clone();
        changed.splice(at..=at, changes);
        prop_assert_eq!(verifier.verify(&changed, Timestamp(0)).is_ok(), changed == good && good.len() <= TOKEN_MAX_BYTES);
    }

    #[test]
    fn whatever_a_signed_token_claims_it_names_a_user_by_the_rules_or_nobody(
        claims in vec(("sub|exp|nbf|aud|iss|x", claim()), 0..5),
        expiry in any::<bool>(),
        now in any::<i64>(),
    ) {
        let demands = Demands { expiry, ..Demands::default() };
        let verifier = Verifier::hs256(KEY.as_bytes(), demands);
        let claims: serde_json::Map<String, Value> = claims.into_iter().collect();
        if let Ok(user) = verifier.verify(token(&Value::Object(claims.clone())).as_bytes(), Timestamp(now)) {
            let user = user.user;
            prop_assert_eq!(claims["sub"].as_str(), Some(user.as_str()));
            prop_assert!((1..=100).contains(&user.chars().count()) && !user.chars().any(char::is_control));
            prop_assert!(claims.contains_key("exp") || !expiry);
        }
    }
}

/// A value that a claim may have, likely and unlikely ones.
fn claim() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{1,3}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([["a"], {}])),
        Just(json!({ "a": [1] })),
    ]
}

/// What `check-config` and `doctor` say with these settings: exit code and text of each.
fn told(directory: &std::path::Path, settings: &[(&str, &str)]) -> [(i32, String); 2] {
    ["check-config", "doctor"].map(|verb| {
        let output = inkring(directory).arg(verb).envs(settings.iter().copied()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), text)
    })
}

/// The warning in the readiness of a server about who is trusted.
fn readiness(server: &Server) -> Option<String> {
    let answer = server.get("/readyz?verbose=1").expect(200);
    let checks = answer["checks"].as_array().unwrap();
    let row = checks.iter().find(|check| check["name"] == "identity")?;
    assert_eq!(row["ok"], true);
    Some(row["warning"].as_str().unwrap().to_owned())
}

/// Nothing but drafts, so that nothing else is open to anybody.
const CLOSED: [(&str, &str); 2] = [("ROOMS_ENABLED", "false"), ("MODULES_ENABLED", "false")];

#[test]
fn once_a_proxy_is_named_this_machine_is_still_believed() {
    let server = Server::with(&[("TRUSTED_PROXIES", "10.99.99.99")]);
    server.get_as("anybody", DRAFTS).expect(200);
}

#[test]
fn where_other_machines_reach_it_a_name_is_not_simply_believed() {
    let directory = tempfile::tempdir().unwrap();
    for listens in ["0.0.0.0:0", "[::]:0", "127.0.0.1:0,0.0.0.0:0"] {
        let open = [("LISTEN_ADDR", listens)];
        let address = listens.rsplit(',').next().unwrap().rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
        let sentence = format!(
            "the X-User-Id header is trusted on the address {address}, which other machines can reach, so anyone there may \
             claim any name: set ENV=production and a key for signed tokens (JWT_SECRET), or name the proxy that sets the \
             header in TRUSTED_PROXIES, or listen on 127.0.0.1 (in LISTEN_ADDR; PORT alone listens on every address); to allow \
             it, set AUTH_TRUST_USER_HEADER=true"
        );
        let served = inkring(directory.path()).envs(open).output().unwrap();
        let stderr = String::from_utf8(served.stderr).unwrap();
        assert!(served.status.code() == Some(3) && served.stdout.is_empty() && stderr.contains(&sentence), "{stderr}");
        for (code, text) in told(directory.path(), &open) {
            assert!(code == 3 && text.contains(&sentence), "{text}");
        }
    }
    // A door of its own is one as well.
    for door in [("ROOMS_ADDR", "0.0.0.0:0"), ("WS_PORT", "0")] {
        for (code, text) in told(directory.path(), &[("LISTEN_ADDR", "127.0.0.1:0"), door]) {
            assert!(code == 3 && text.contains("the X-User-Id header is trusted on the address 0.0.0.0"), "{text}");
        }
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was made");
    let unix = directory.path().join("s").display().to_string();
    for settings in [
        &[("LISTEN_ADDR", "0.0.0.0:0"), ("AUTH_TRUST_USER_HEADER", "false")][..],
        &[("LISTEN_ADDR", "0.0.0.0:0"), ("TRUSTED_PROXIES", "10.0.0.1")],
        &[("LISTEN_ADDR", "0.0.0.0:0"), ("ENV", "production")],
        &[("LISTEN_ADDR", "127.0.0.1:0,[::1]:0")],
        &[("LISTEN_ADDR", &format!("unix:{unix}"))],
    ] {
        let [(code, text), _] = told(directory.path(), settings);
        assert!(code == 0 && !text.contains("claim any name"), "{settings:?}: {text}");
    }

    // Said in so many words it is done, and said wherever an operator looks.
    let meant = [("LISTEN_ADDR", "0.0.0.0:0"), ("AUTH_TRUST_USER_HEADER", "true")];
    let sentence = "AUTH_TRUST_USER_HEADER=true on the address 0.0.0.0 without TRUSTED_PROXIES: anyone who reaches it may \
                    claim any name";
    let server = Server::with(&[&meant[..], &CLOSED].concat());
    server.get_as("anybody", DRAFTS).expect(200);
    assert_eq!(readiness(&server).as_deref(), Some(sentence));
    assert_eq!(server.wait_for_log(|line| line["message"] == sentence)["level"], "WARN");
    assert_eq!(server.log().matches(sentence).count(), 1, "once");
    let pretty = Server::with(&[&meant[..], &CLOSED, &[("LOG_FORMAT", "pretty")]].concat());
    wait_for(|| pretty.banner().contains(&format!("\n  warning       {sentence}\n")).then_some(()));
    let [(code, checked), (_, examined)] = told(directory.path(), &[&meant[..], &CLOSED].concat());
    assert!(code == 0 && checked.contains(&format!("warning: {sentence}\n")), "{checked}");
    assert!(examined.contains(&format!("yellow  configuration  {sentence}\n")), "{examined}");
}

#[test]
fn a_key_alone_keeps_nobody_out_and_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let sentence = "JWT_SECRET is set, and the X-User-Id header is still trusted: a request without a token may claim any \
                    name; set AUTH_TRUST_USER_HEADER=false";
    let server = Server::with(&[SETTING]);
    server.get_as("anybody", DRAFTS).expect(200);
    assert_eq!(readiness(&server).as_deref(), Some(sentence));
    server.wait_for_log(|line| line["message"] == sentence);
    let [(code, checked), (_, examined)] = told(directory.path(), &[SETTING]);
    assert!(code == 0 && checked.contains(sentence) && examined.contains(sentence), "{checked}{examined}");
    let closed = [SETTING, ("AUTH_TRUST_USER_HEADER", "false")];
    let server = Server::with(&closed);
    server.get_as("anybody", DRAFTS).expect(401);
    assert_eq!(readiness(&server), None);
    assert!(!told(directory.path(), &closed)[0].1.contains("still trusted"));
}

#[test]
fn in_development_the_log_says_once_for_whom_that_is() {
    let said = |settings: &[(&str, &str)]| {
        let server = Server::with(settings);
        server.get("/readyz").expect(200);
        let log = server.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let found = lines.filter(|line| text(line, "message").contains("docs/OPS_PROD_CHECKLIST.md"));
        found.map(|line| (text(&line, "level"), text(&line, "message"))).collect::<Vec<_>>()
    };
    let line = "development: for this machine only; before others use it, see docs/OPS_PROD_CHECKLIST.md";
    assert_eq!(said(&[]), [("INFO".to_owned(), line.to_owned())]);
    assert_eq!(said(&[("ENV", "production")]), []);
}

#[test]
fn a_reload_does_not_open_what_a_start_would_not() {
    let mut server = Server::absent(&[("LISTEN_ADDR", "0.0.0.0:0")]);
    let file = server.directory.path().join(".env");
    std::fs::write(&file, "AUTH_TRUST_USER_HEADER=false\n").unwrap();
    server.launch();
    assert_eq!(readiness(&server), None);
    std::fs::write(&file, "SHARDS=2\n").unwrap();
    server.signal("HUP");
    let failed = server.wait_for_log(|line| line["message"] == "config.reload_failed");
    assert!(failed["problem"].as_str().unwrap().contains("trusted on the address 0.0.0.0"), "{failed}");
    server.get_as("anybody", DRAFTS).expect(401);
    std::fs::write(&file, "AUTH_TRUST_USER_HEADER=true\n").unwrap();
    server.signal("HUP");
    server.wait_for_log(|line| line["message"] == "config.reloaded");
    server.get_as("anybody", DRAFTS).expect(200);
    assert!(readiness(&server).unwrap().contains("anyone who reaches it may claim any name"));
}
