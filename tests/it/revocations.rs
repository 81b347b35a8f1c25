//! Revoked tokens: by one `jti` or for a user, on a server that runs and on one that does not, for requests and for sockets.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::ops::Operated;
use crate::support::socket::{Frame, Socket, path};
use crate::support::{Answer, Server, besides_settings, inkring};

const KEY: &str = "a secret of the tests that is 32 bytes long";
const SECRET: (&str, &str) = ("JWT_SECRET", KEY);
const DRAFTS: &str = "/v1/collab/drafts";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
}

/// Of this user, with this name, issued so many seconds ago.
fn issued(user: &str, jti: &str, ago: i64) -> String {
    token(&json!({ "sub": user, "jti": jti, "iat": now() - ago, "exp": now() + 3600 }))
}

fn create(server: &Server, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    server.connect().request("POST", DRAFTS, &headers, br#"{"title":"A draft","platform":"x"}"#)
}

/// A verb, beside a server or where one was.
fn run(directory: &Path, plane: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = inkring(directory);
    command.arg("token").args(arguments).env("JWT_SECRET", KEY).env("AUDIT_ENABLED", "true");
    command.envs(plane.map(|plane| ("OPS_ADDR", plane)));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), besides_settings(stderr))
}

#[track_caller]
fn done(ran: (i32, String, String)) -> String {
    assert_eq!((ran.0, ran.2.as_str()), (0, ""));
    ran.1
}

#[track_caller]
fn assert_revoked(answer: &Answer) {
    assert_eq!(answer.expect(401)["error"]["message"], "Token revoked");
}

/// A socket says what is the matter, and ends within a second.
#[track_caller]
fn assert_told(socket: &mut Socket, since: Instant) {
    let told = socket.json();
    assert_eq!(
        (&told["type"], &told["code"], &told["message"]),
        (&json!("error"), &json!("forbidden"), &json!("Token revoked"))
    );
    socket.assert_closed(4401, "Token revoked");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

fn served() -> Operated {
    Operated::with(&[SECRET, ("AUDIT_ENABLED", "true"), ("SHARDS", "2")])
}

#[test]
fn a_token_is_revoked_by_its_jti_for_requests_and_sockets_at_once() {
    let operated = served();
    let (server, plane) = (&operated.server, operated.plane.to_string());
    let verb = |arguments: &[&str]| run(server.directory.path(), Some(&plane), arguments);
    let (bad, good) = (issued("alice", "j-bad", 5), issued("alice", "j-good", 5));
    let draft = create(server, &bad).expect(200)["data"]["draft_id"].as_str().unwrap().to_owned();
    let watch = |token: &str| {
        let (answer, mut socket) =
            Socket::open(server, &path(&draft), &[("Authorization", &format!("Bearer {token}"))]);
        assert_eq!((answer.status, &socket.json()["type"]), (101, &json!("connected")));
        socket
    };
    let (mut goes, mut stays) = ([watch(&bad), watch(&bad)], watch(&good));
    // A room, in either dialect, and signalling.
    let enter = |target: &str, token: &str| Socket::open(server, &format!("{target}?token={token}"), &[]).1;
    let mut others = [enter("/rooms/a", &bad), Socket::open(server, &format!("/signal?access_token={bad}"), &[]).1];

    let said = done(verb(&["revoke", "--jti", "j-bad", "--expires", "2100-01-01"]));
    assert!(said.starts_with("revoked: token j-bad\n  kept           2100-01-01T00:01:00+00:00"), "{said}");
    let acknowledged = Instant::now();
    goes.iter_mut().for_each(|socket| assert_told(socket, acknowledged));
    for socket in &mut others {
        let close =
            std::iter::repeat_with(|| socket.next()).find(|frame| matches!(frame, Frame::Close(..) | Frame::Eof));
        assert_eq!(close, Some(Frame::Close(4401, "Token revoked".to_owned())));
    }
    stays.assert_quiet();
    assert_revoked(&create(server, &bad));
    create(server, &good).expect(200);
    assert!(verb(&["inspect", &bad]).1.ends_with("rejects it: it is revoked\n"));
    assert!(done(verb(&["inspect", &good])).ends_with("accepts it: the user is alice\n"));
    // Nor does it open a socket.
    let (_, mut socket) = Socket::open(server, &path(&draft), &[("Authorization", &format!("Bearer {bad}"))]);
    assert_eq!(socket.json()["code"], "forbidden");
    // Once more changes nothing, and it is listed once.
    done(verb(&["revoke", "--jti", "j-bad"]));
    let listed: Value = serde_json::from_str(&done(verb(&["revocations", "--json"]))).unwrap();
    assert_eq!(listed["revocations"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed["revocations"][0]["jti"], &listed["revocations"][0]["over_at"]),
        (&json!("j-bad"), &Value::Null)
    );
    assert!(
        done(verb(&["revocations"]))
            .lines()
            .nth(1)
            .unwrap()
            .ends_with("  forever                           token j-bad")
    );
    // Recorded, and counted.
    let rows = operated.get("/audit?action=token.revoked").expect(200);
    assert_eq!(
        (&rows["rows"][0]["user_id"], &rows["rows"][0]["metadata"]["jti"]),
        (&json!("operator"), &json!("j-bad"))
    );
    let metrics = operated.get("/metrics");
    assert!(metrics.text().contains("inkring_auth_failures_total{reason=\"revoked\"} 2\n"), "{}", metrics.text());
}

#[test]
fn a_users_tokens_are_revoked_up_to_a_moment_also_while_no_server_runs_and_for_good() {
    let mut operated = served();
    let plane = operated.plane.to_string();
    let directory = operated.server.directory.path().to_owned();
    let (old, new) = (issued("alice", "j-1", 7200), issued("alice", "j-2", 600));
    let timeless = token(&json!({ "sub": "alice", "exp": now() + 3600 }));
    create(&operated.server, &old).expect(200);
    let said = done(run(&directory, Some(&plane), &["revoke", "--user", "alice", "--before", "1h", "--json"]));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["revocation"]["user"], &said["revocation"]["jti"]), (&json!("alice"), &Value::Null));
    for token in [&old, &timeless] {
        assert_revoked(&create(&operated.server, token));
    }
    create(&operated.server, &new).expect(200);
    create(&operated.server, &issued("bob", "j-3", 7200)).expect(200);
    // An earlier moment takes nothing back.
    done(run(&directory, Some(&plane), &["revoke", "--user", "alice", "--before", "2020-01-01"]));
    assert_revoked(&create(&operated.server, &old));

    operated.server.terminate();
    done(run(&directory, None, &["revoke", "--user", "alice"]));
    let listed = done(run(&directory, None, &["revocations"]));
    assert_eq!(listed.matches("tokens of alice issued before 20").count(), 1, "{listed}");
    assert!(run(&directory, None, &["inspect", &new]).1.ends_with("rejects it: it is revoked\n"));
    operated.server.launch();
    for token in [&old, &new, &timeless] {
        assert_revoked(&create(&operated.server, token));
    }
    create(&operated.server, &issued("alice", "j-4", -2)).expect(200);
}

#[test]
fn revocations_expire_with_the_tokens_that_they_concern() {
    let operated = Operated::with(&[SECRET, ("JWT_MAX_LIFE_DAYS", "1"), ("HOUSEKEEPING_SECONDS", "1")]);
    let (server, plane) = (&operated.server, operated.plane.to_string());
    let verb = |arguments: &[&str]| run(server.directory.path(), Some(&plane), arguments);
    done(verb(&["revoke", "--user", "alice", "--before", "72h"]));
    done(verb(&["revoke", "--user", "bob", "--before", "2h"]));
    let left = || done(verb(&["revocations", "--json"]));
    crate::support::wait_for(|| (!left().contains("alice")).then_some(()));
    assert!(left().contains("bob"));
    // What lives longer is not taken, so none of them can come back.
    let life = |iat: i64, exp: i64| create(server, &token(&json!({ "sub": "bob", "iat": iat, "exp": exp }))).status;
    assert_eq!(life(now(), now() + 86_400), 200);
    assert_eq!((life(now(), now() + 86_401), life(now() - 8000, now() + 3600)), (401, 401));
    assert_eq!(create(server, &token(&json!({ "sub": "carol", "exp": now() + 60 }))).status, 401);
    let minted = verb(&["mint", "--user", "bob", "--hours", "25"]);
    assert_eq!(minted.0, 0, "a verb follows its own settings");
}

#[test]
fn the_verbs_say_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], code: i32, why: &str| {
        let (found, _, stderr) = run(directory.path(), None, arguments);
        assert_eq!(found, code, "{stderr}");
        assert!(stderr.contains(why), "{why}: {stderr}");
    };
    fails(&["revoke"], 2, "--jti");
    fails(&["revoke", "--jti", "j", "--user", "alice"], 2, "cannot be used with");
    fails(&["revoke", "--jti", &"x".repeat(256)], 2, "1 to 255 characters");
    fails(&["revoke", "--user", &"x".repeat(101)], 2, "1 to 100 characters");
    fails(&["revoke", "--user", "alice", "--before", "soon"], 2, "--before \"soon\": use a date such as");
    fails(&["revoke", "--user", "alice", "--before", "2100-01-01"], 1, "from now");
    fails(&["revoke", "--user", "alice"], 1, "inkring.db");
    fails(&["revocations"], 1, "inkring.db");
    // A server without a private plane.
    let server = Server::with(&[SECRET, ("OPS_ADDR", "off")]);
    let (code, _, stderr) = run(server.directory.path(), Some("off"), &["revocations"]);
    assert!(code == 1 && stderr.contains("set OPS_ADDR for both"), "{stderr}");
}
