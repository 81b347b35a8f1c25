//! `inkring smoke` and `inkring healthcheck`, against servers that are well and servers that are not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::faults::{limit_files, log_bytes};
use crate::support::{Server, besides_settings, hold_writer, inkring, wait_for};

const STEPS: [&str; 11] = [
    "healthz",
    "readyz",
    "create-draft",
    "add-collaborator",
    "append",
    "websocket",
    "pass-ring",
    "delete-draft",
    "event",
    "room",
    "record",
];
const ALL_PASS: [&str; 11] = ["PASS"; 11];
/// Where the modules ask for a password.
const ALL_BUT_RECORD: [&str; 11] =
    ["PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "SKIP"];
/// All that a real installation turns on.
const HARDENED: [(&str, &str); 7] = [
    ("ENV", "production"),
    ("CONFIG_STRICT", "true"),
    ("JWT_SECRET", "q7Zk2mWx9RtV4bNs-for-this-test-alone"),
    ("ALLOWED_ORIGINS", "https://app.example"),
    ("WS_ALLOWED_ORIGINS", "https://app.example"),
    ("DRAFTS_PUBLIC_READ", "false"),
    ("HOUSEHOLD_PASSWORD", "a heron in the evening mist"),
];

/// How a verb ended and what it wrote.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
    let output = inkring(directory).args(arguments).envs(settings.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: besides_settings(output.stderr) }
}

/// Runs the verb against an address and holds its lines to their form. How each step ended, in their order, and all lines.
fn smoke(address: SocketAddr, arguments: &[&str], settings: &[(&str, &str)]) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{address}");
    let ran =
        run(directory.path(), &[&["smoke"], arguments].concat(), &[&[("BASE_URL", url.as_str())], settings].concat());
    assert_eq!(ran.stderr, "");
    let mut lines: Vec<&str> = ran.stdout.lines().collect();
    let last = lines.pop().unwrap();
    let mut ends = Vec::new();
    for (line, step) in lines.iter().zip(STEPS) {
        let (end, rest) = line.split_once("  ").unwrap();
        let rest = rest.strip_prefix(step).unwrap_or_else(|| panic!("{step}: {line}"));
        match end {
            "PASS" => {
                let ms = rest.strip_prefix("  (").and_then(|rest| rest.strip_suffix(" ms)")).unwrap();
                ms.parse::<u64>().unwrap();
            }
            _ => assert!(rest.starts_with(": "), "{line}"),
        }
        ends.push(end.to_owned());
    }
    let count = |end: &str| ends.iter().filter(|other| *other == end).count();
    let (passed, failed, skipped) = (count("PASS"), count("FAIL"), count("SKIP"));
    assert_eq!(passed + failed + skipped, STEPS.len(), "{}", ran.stdout);
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    assert_eq!(last, format!("{passed} passed, {failed} failed{skipped}"));
    assert_eq!(ran.code, i32::from(failed > 0));
    (ends, ran.stdout)
}

/// The line about a step.
fn line<'a>(lines: &'a str, step: &str) -> &'a str {
    lines.lines().find(|line| line.get(6..).is_some_and(|rest| rest.starts_with(step))).unwrap()
}

#[test]
fn a_server_with_the_defaults_passes_and_no_draft_stays_but_by_keep() {
    let mut server = Server::start();
    let drafts = |server: &Server| server.get_as("smoke-user", "/v1/collab/drafts").expect(200);
    let (ends, lines) = smoke(server.address, &[], &[]);
    assert_eq!((ends, &drafts(&server)["count"]), (ALL_PASS.map(str::to_owned).to_vec(), &json!(0)));
    // An event is what stays, and how it goes is said.
    let said = line(&lines, "event: one inkring_smoke");
    let visitor = said.split("--visitor ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(said.starts_with("STAYS ") && lines.matches("STAYS ").count() == 1, "{lines}");

    let (ends, lines) = smoke(server.address, &["--keep"], &[]);
    assert_eq!((&ends[..7], &*ends[7]), (&ALL_PASS.map(str::to_owned)[..7], "SKIP"));
    let drafts = drafts(&server);
    let draft = &drafts["data"][0];
    assert_eq!((&drafts["count"], &draft["title"]), (&json!(1), &json!("Smoke test")));
    let kept = format!("SKIP  delete-draft: draft {} is kept", draft["draft_id"].as_str().unwrap());
    assert_eq!(line(&lines, "delete-draft"), kept);
    assert_eq!(draft["ring_state"]["current_holder_id"], "smoke-collab");
    assert_eq!(draft["segments"].as_array().unwrap().len(), 3);
    let asked = server.wait_for_log(|line| line["route"].as_str().is_some_and(|route| route.ends_with("/pass-ring")));
    let id = asked["request_id"].as_str().unwrap();
    let run = id.strip_suffix("-pass-ring").unwrap();
    assert!(run.starts_with("smoke-") && server.log().contains(&format!("{run}-websocket")), "{id}");
    assert!(server.terminate().success());
    let erased = server.command().args(["metrics", "erase", "--visitor", visitor]).output().unwrap();
    assert!(String::from_utf8_lossy(&erased.stdout).contains("lines erased   1\n"), "{erased:?}");
}

#[test]
fn the_event_is_kept_and_figures_of_people_are_as_they_were() {
    let server = Server::with(&[("METRICS_SNAPSHOT_TOKEN", "q7Zk2mWx9RtV4bNs-for-this-test")]);
    assert_eq!(smoke(server.address, &[], &[]).0, ALL_PASS);
    let snapshot = server.get("/api/metrics/behavior").expect(200);
    assert_eq!((&snapshot["total"], &snapshot["by_event"][0]["event"]), (&json!(1), &json!("inkring_smoke")));
    let reported = server.command().args(["metrics", "report", "--format", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&reported.stdout).unwrap();
    assert_eq!((&report["events"], &report["visitors"], &report["programs"]), (&json!(0), &json!(0), &json!(1)));

    let refusing = Server::with(&[("METRICS_RATE_PER_SECOND", "0"), ("METRICS_BURST", "0")]);
    let first = json!({ "visitor_id": "somebody", "event": "first" });
    assert_eq!(refusing.post_as("alice", "/api/metrics/event", &first).status, 429);
    let (ends, lines) = smoke(refusing.address, &["--timeout", "1"], &[]);
    assert_eq!((&*ends[8], &*ends[9]), ("FAIL", "PASS"));
    assert!(line(&lines, "event").contains("expected 202, got 429 rate_limited"), "{lines}");
}

#[test]
fn a_room_is_entered_and_nothing_is_left_of_it() {
    let server = Server::with(&[("ROOMS_REQUIRE_TOKEN", "true"), ("AUTH_TRUST_USER_HEADER", "false")]);
    let (ends, lines) = smoke(server.address, &[], &[]);
    assert_eq!(ends[9], "FAIL");
    let said = line(&lines, "room");
    assert!(
        said.contains("Only identified users may enter this room") && said.contains("SMOKE_TOKEN or --token-file"),
        "{said}"
    );

    let mut server = Server::start();
    assert_eq!(smoke(server.address, &[], &[]).0, ALL_PASS);
    assert!(server.terminate().success());
    let listed = server.command().args(["room", "list", "--format", "json"]).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "{\"rooms\":[]}\n");
    let off = Server::with(&[("ROOMS_ENABLED", "false")]);
    let (ends, lines) = smoke(off.address, &[], &[]);
    assert_eq!((&ends[..9], &*ends[9], &*ends[10]), (&ALL_PASS.map(str::to_owned)[..9], "SKIP", "PASS"));
    assert!(line(&lines, "room").contains("no rooms (ROOMS_ENABLED=false)"), "{lines}");
}

#[test]
fn a_record_is_kept_and_nothing_is_left_of_it() {
    let server = Server::start();
    assert_eq!(smoke(server.address, &[], &[]).0, ALL_PASS);
    assert_eq!(server.get("/api/v1/kazkar/stories").expect(200), json!([]));
    assert_eq!(server.get("/api/v1/bin").expect(200), json!({ "deleted": [], "more": false }));
    for (settings, why) in [
        (("MODULES_ENABLED", "false"), "the server has no modules (MODULES_ENABLED=false)"),
        (("HOUSEHOLD_PASSWORD", "a heron in the evening mist"), "the modules need the household's password"),
    ] {
        let server = Server::with(&[settings]);
        let (ends, lines) = smoke(server.address, &[], &[]);
        assert_eq!(ends, ALL_BUT_RECORD);
        assert_eq!(line(&lines, "record"), format!("SKIP  record: {why}"));
    }
    let server = Server::start();
    server.connect().request("POST", "/api/v1/modules/kazkar/shutdown", &[], b"").expect(200);
    assert_eq!(line(&smoke(server.address, &[], &[]).1, "record"), "SKIP  record: kazkar is shut down");
}

#[test]
fn an_option_goes_before_its_variable_and_an_empty_variable_is_none() {
    let server = Server::start();
    let variables = [("SMOKE_USER_ID", "from the variable"), ("SMOKE_COLLAB_ID", "bob & co"), ("SMOKE_TIMEOUT", "")];
    let kept = ["PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "PASS", "SKIP", "PASS", "PASS", "PASS"];
    assert_eq!(smoke(server.address, &["--user", "alice", "--keep"], &variables).0, kept);
    let drafts = server.get_as("alice", "/v1/collab/drafts").expect(200);
    assert_eq!(drafts["data"][0]["collaborators"], json!(["bob & co"]));
    assert_eq!(smoke(server.address, &["--keep"], &variables).0, kept);
    assert_eq!(server.get_as("from the variable", "/v1/collab/drafts").expect(200)["count"], 1);
}

#[test]
fn a_server_with_everything_on_says_what_it_wants_and_passes_with_it() {
    let server = Server::with(&HARDENED);
    let (ends, lines) = smoke(server.address, &[], &[]);
    assert_eq!(ends, ["PASS", "PASS", "FAIL", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "PASS", "FAIL", "SKIP"]);
    let said = line(&lines, "create-draft");
    for part in
        ["expected 200, got 401 http_error: Missing Authorization", "SMOKE_TOKEN or --token-file", "(request id smoke-"]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(line(&lines, "append"), "SKIP  append: create-draft failed");
    let said = line(&lines, "room");
    assert!(
        said.contains("refused: ")
            && said
                .contains("Origin not allowed: none was sent, and WS_ALLOWED_ORIGINS requires one; set SMOKE_ORIGIN"),
        "{said}"
    );

    let minted = server.command().args(["token", "mint", "--user", "carol"]).output().unwrap();
    let token = String::from_utf8(minted.stdout).unwrap();
    let token = token.trim();
    let (ends, lines) = smoke(server.address, &[], &[("SMOKE_TOKEN", token)]);
    assert_eq!(ends, ["PASS", "PASS", "PASS", "PASS", "PASS", "FAIL", "PASS", "PASS", "PASS", "FAIL", "SKIP"]);
    let said = line(&lines, "websocket");
    let advice = "ws_limit: Origin not allowed; set SMOKE_ORIGIN or --origin to one of the server's WS_ALLOWED_ORIGINS";
    assert!(said.contains(advice) && !lines.contains(token), "{said}");

    let file = server.directory.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let with_all = ["--token-file", file.to_str().unwrap(), "--origin", "https://app.example"];
    for _ in 0..3 {
        assert_eq!(smoke(server.address, &with_all, &[]).0, ALL_BUT_RECORD);
    }
    assert_eq!(
        smoke(server.address, &[], &[("SMOKE_TOKEN", token), ("SMOKE_ORIGIN", "https://app.example")]).0,
        ALL_BUT_RECORD
    );

    let (_, lines) = smoke(server.address, &[], &[("SMOKE_TOKEN", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmVk")]);
    let said = line(&lines, "create-draft");
    assert!(said.contains("401 http_error") && said.contains("inkring token inspect says why"), "{said}");
    assert!(!lines.contains("c2lnbmVk") && !server.log().contains(token));
}

#[test]
fn who_is_told_to_wait_waits() {
    let tight = [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_BURST_DEFAULT", "1")];
    let server = Server::with(&tight);
    assert_eq!(smoke(server.address, &["--timeout", "30"], &[]).0, ALL_PASS);
    server.wait_for_log(|line| line["status"] == 429);
    let slow = [&tight[..], &[("RATE_LIMIT_PER_MINUTE_DEFAULT", "2")]].concat();
    let server = Server::with(&slow);
    let (ends, lines) = smoke(server.address, &["--timeout", "30"], &[]);
    assert_eq!(ends, ["PASS", "PASS", "PASS", "PASS", "PASS", "FAIL", "PASS", "PASS", "PASS", "PASS", "PASS"]);
    assert!(line(&lines, "websocket").contains("got 429 rate_limited"), "{lines}");
}

#[test]
fn a_server_that_takes_no_changes_is_found_out() {
    let server = Server::start();
    let draft_id = server.create_draft("alice");
    limit_files(&server, Some(log_bytes(&server)));
    let path = format!("/v1/collab/drafts/{draft_id}/segments");
    assert_eq!(server.post_as("alice", &path, &json!({ "content": "x", "idempotency_key": "x" })).status, 503);
    let (ends, lines) = smoke(server.address, &[], &[]);
    assert_eq!(ends, ["PASS", "FAIL", "FAIL", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "PASS", "PASS", "FAIL"]);
    let said = line(&lines, "readyz");
    assert!(said.contains("got 503 storage_readonly: database read-only"), "{said}");
    assert!(line(&lines, "create-draft").contains("got 503 storage_readonly"), "{lines}");

    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["healthcheck"], &[("LISTEN_ADDR", &server.address.to_string())]);
    let address = server.address;
    let expected = format!(
        "not ready: http://{address}/readyz returned 503: database read-only: reading or writing its files fails\n"
    );
    assert_eq!((ran.code, ran.stdout), (1, expected));
    limit_files(&server, None);
    wait_for(|| (server.get("/readyz").status == 200).then_some(()));
    assert_eq!(smoke(server.address, &[], &[]).0, ALL_PASS);
}

#[test]
fn nobody_there_fails_once() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{gone}");
    let listens = gone.to_string();
    let listens = [("LISTEN_ADDR", listens.as_str())];
    for (verb, given) in [("smoke", false), ("smoke", true), ("demo", false), ("demo", true)] {
        let arguments: &[&str] = if given { &[verb, "--base-url", &url] } else { &[verb] };
        let ran = run(directory.path(), arguments, &listens);
        let said = format!("inkring: {verb} failed:\nnothing listens on {url}: start the server, or give --base-url\n");
        assert_eq!((ran.code, ran.stdout, ran.stderr), (1, String::new(), said));
    }
    for arguments in [&["healthcheck"][..], &["healthcheck", "--url", &url]] {
        let ran = run(directory.path(), arguments, &listens);
        let said = format!("not ready: nothing listens on {url}: start the server, or give --url\n");
        assert_eq!((ran.code, ran.stdout, ran.stderr), (1, said, String::new()));
    }
}

#[test]
fn the_demo_says_that_it_needs_a_server_for_development() {
    let server = Server::with(&[("ENV", "production"), ("HOUSEHOLD_PASSWORD", "a heron in the evening mist")]);
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}", server.address);
    let ran = run(directory.path(), &["demo", "--base-url", &url], &[]);
    let said = format!(
        "inkring: demo failed:\nthe demo needs a development server (ENV=development) without sign-in; {url} requires \
         credentials\n"
    );
    assert_eq!((ran.code, ran.stdout, ran.stderr), (1, String::new(), said));
}

/// A server that does with each connection what it is told to. It ends with the test program.
fn pretender(mut each: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(&mut each));
    address
}

/// Reads a request to its end, as far as a test needs that.
fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let length = text.split("Content-Length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length.unwrap_or(0)) {
            return text;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, body: &str) {
    // At once: of a handshake that is refused no more is read than comes with the head.
    let whole = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(whole.as_bytes());
}

#[test]
fn who_answers_rubbish_is_shown_up_and_harms_nobody() {
    for (reply, says) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "is not HTTP"),
        (b"", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n<h1>It works!</h1>\x1b[2J", r"expected JSON, got <h1>It works!</h1>\u{1b}[2J"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "expected a status, got {}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer broke off before its end"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "expected 200, got 404 nothing"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://box.example/healthz\r\nContent-Length: 0\r\n\r\n",
            "expected 200, got 301 nothing, which redirects to https://box.example/healthz",
        ),
    ] {
        let address = pretender(move |mut stream| {
            request(&mut stream);
            let _ = stream.write_all(reply);
        });
        let (ends, lines) = smoke(address, &["--timeout", "30"], &[]);
        assert_eq!(ends, ["FAIL", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP", "SKIP"]);
        assert!(line(&lines, "healthz").contains(says), "{lines}");
    }
    let mut held = Vec::new();
    let silent = pretender(move |stream| held.push(stream));
    let (_, lines) = smoke(silent, &["--timeout", "0.2"], &[]);
    assert!(line(&lines, "healthz").contains(&format!("no answer from {silent}")), "{lines}");
}

/// Does as the real one does, but for its sockets.
fn almost(watch: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let watch = Arc::new(watch);
    let (mut segments, mut last) = (vec![json!({ "content": "" })], Value::Null);
    pretender(move |mut stream| {
        let mut begin = [0; 64];
        let count = stream.peek(&mut begin).unwrap();
        if begin[..count].starts_with(b"GET /v1/ws/") {
            let watch = Arc::clone(&watch);
            std::thread::spawn(move || watch(stream));
            return;
        }
        if begin[..count].starts_with(b"GET /rooms/") {
            std::thread::spawn(move || {
                let mut socket = tungstenite::accept(stream).unwrap();
                for frame in [&[0, 0, 1, 0][..], &[0, 1, 2, 0, 0]] {
                    socket.send(frame.to_vec().into()).unwrap();
                }
                while socket.read().is_ok() {}
            });
            return;
        }
        let asked = request(&mut stream);
        if asked.starts_with("POST /api/v1/") {
            return answer(&mut stream, "404 Not Found", r#"{"error":{"code":"not_found","message":"Not Found"}}"#);
        }
        let (head, body) = asked.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        if body["event"].is_string() {
            last = body;
            return answer(&mut stream, "202 Accepted", r#"{"ok":true,"stored":1}"#);
        }
        if head.starts_with("GET /api/metrics/behavior") {
            return answer(&mut stream, "200 OK", &json!({ "last_events": [last] }).to_string());
        }
        if body["content"].is_string() {
            segments.push(json!({ "content": body["content"], "segment_order": segments.len() }));
        }
        if head.starts_with("DELETE ") {
            return answer(&mut stream, "204 No Content", "");
        }
        let data = json!({
            "draft_id": "d", "creator_id": "smoke-user", "collaborators": ["smoke-collab"], "segments": segments,
            "ring_state": { "current_holder_id": "smoke-collab" }
        });
        let whole = if head.starts_with("GET") { json!({ "status": "ok" }) } else { json!({ "data": data }) };
        answer(&mut stream, "200 OK", &whole.to_string());
    })
}

#[test]
fn a_socket_that_is_none_fails_alone() {
    let frames = |frames: &'static [&'static str]| {
        move |stream| {
            let mut socket = tungstenite::accept(stream).unwrap();
            frames.iter().for_each(|frame| socket.send((*frame).into()).unwrap());
            while socket.read().is_ok() {}
        }
    };
    const CONNECTED: &str = r#"{"type":"connected"}"#;
    const OTHERS: &str = r#"{"type":"collab.segment_added","data":{"draft_id":"other","segment_order":2}}"#;
    const EARLIER: &str = r#"{"type":"collab.segment_added","data":{"draft_id":"d","segment_order":1}}"#;
    const OURS: &str = r#"{"type":"collab.segment_added","data":{"draft_id":"d","segment_order":2}}"#;
    assert_eq!(smoke(almost(frames(&[CONNECTED, OTHERS, EARLIER, OURS])), &[], &[]).0, ALL_BUT_RECORD);
    let servers: [(SocketAddr, &str, &str); 7] = [
        (
            almost(frames(&[CONNECTED, OTHERS, EARLIER])),
            "expected the event of what was appended after it, got IO error: nothing in time",
            "3",
        ),
        (almost(frames(&["hello"])), "expected a first frame, got hello", "30"),
        (almost(frames(&[r#"{"type":"hello"}"#])), r#"expected a frame of type connected, got {"type":"hello"}"#, "30"),
        (almost(|stream| drop(tungstenite::accept(stream).unwrap())), "expected a first frame, got", "30"),
        (almost(drop), "expected a WebSocket, got", "30"),
        (
            almost(|mut stream| {
                request(&mut stream);
                answer(&mut stream, "404 Not Found", r#"{"error":{"code":"not_found","message":"No such path"}}"#);
            }),
            "expected 101, got 404 not_found: No such path",
            "30",
        ),
        (
            almost(|mut stream| {
                request(&mut stream);
                let _ = stream.write_all(b"no HTTP at all\r\n\r\n");
            }),
            "expected a WebSocket, got",
            "30",
        ),
    ];
    for (address, says, patience) in servers {
        let (ends, lines) = smoke(address, &["--timeout", patience], &[]);
        assert_eq!(
            ends,
            ["PASS", "PASS", "PASS", "PASS", "PASS", "FAIL", "PASS", "PASS", "PASS", "PASS", "SKIP"],
            "{lines}"
        );
        assert!(line(&lines, "websocket").contains(says), "{lines}");
    }
}

#[test]
fn a_command_line_that_cannot_be_meant_is_a_usage_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("two"), "one line\nanother").unwrap();
    for (arguments, variables, says) in [
        (
            &["smoke", "--base-url", "wss://box.example"][..],
            &[][..],
            "--base-url: wss://box.example does not begin with http://",
        ),
        (&["smoke"], &[("BASE_URL", "localhost:8000")], "BASE_URL: localhost:8000 does not begin with http://"),
        (&["smoke", "--user", "a\r\nb"], &[], "--user: a user id for this has"),
        (&["smoke"], &[("SMOKE_COLLAB_ID", "böb")], "SMOKE_COLLAB_ID: a user id for this has"),
        (&["smoke", "--timeout", "0"], &[], "--timeout: use a number of seconds, at most 300"),
        (&["smoke"], &[("SMOKE_TIMEOUT", "301")], "SMOKE_TIMEOUT: use a number of seconds, at most 300"),
        (&["smoke"], &[("SMOKE_TIMEOUT", "NaN")], "SMOKE_TIMEOUT: use a number"),
        (&["smoke", "--origin", "a b"], &[], "--origin: it is not an origin"),
        (&["smoke", "--token-file", "none"], &[], "--token-file: none cannot be read"),
        (&["smoke", "--token-file", "two"], &[], "--token-file: two must contain only a token"),
        (&["smoke"], &[("SMOKE_TOKEN", "hunter2 hunter2")], "SMOKE_TOKEN is not a token"),
        (&["smoke", "extra"], &[], "error: unexpected argument"),
        (&["smoke", "--ca", "none"], &[], "--ca: none cannot be read"),
        (&["healthcheck", "--url", "https://box.example", "--ca", "two"], &[], "--ca: two has no certificate in PEM"),
        (&["healthcheck", "--ca", "two", "--insecure"], &[], "cannot be used with"),
        (&["doctor", "--url", "box.example"], &[], "--url: box.example does not begin with http://"),
        (&["healthcheck", "--url", "http://me:hunter2@box.example"], &[], "--url: it has a name or a password in it"),
        (&["healthcheck", "--url", "me:hunter2@box.example"], &[], "--url: it does not begin with http://"),
    ] {
        let ran = run(directory.path(), arguments, variables);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says) && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

#[test]
fn a_healthcheck_finds_the_server_of_its_configuration() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let port = server.address.port();
    let url = format!("http://{}", server.address);
    for (arguments, listens, asked) in [
        (&["healthcheck"][..], server.address.to_string(), "/readyz"),
        (&["healthcheck"], format!("0.0.0.0:{port}"), "/readyz"),
        (&["healthcheck", "--url", &url], "nonsense".to_owned(), "/readyz"),
        (&["healthcheck", "--url", &format!("{url}/healthz")], "nonsense".to_owned(), "/healthz"),
    ] {
        let ran = run(directory.path(), arguments, &[("LISTEN_ADDR", &listens), ("ENV", "production")]);
        assert_eq!((ran.code, ran.stdout, ran.stderr), (0, format!("ready: {url}{asked}\n"), String::new()));
    }
    std::fs::write(directory.path().join(".env"), format!("LISTEN_ADDR=127.0.0.1:{port}\n")).unwrap();
    assert_eq!(run(directory.path(), &["healthcheck"], &[]).code, 0);
    let chosen = run(directory.path(), &["healthcheck"], &[("LISTEN_ADDR", "127.0.0.1:0")]);
    assert!(chosen.code == 1 && chosen.stdout.ends_with("chosen at start: pass --url\n"), "{}", chosen.stdout);
    let wrong = run(directory.path(), &["healthcheck"], &[("LISTEN_ADDR", "here"), ("CONFIG_STRICT", "maybe")]);
    assert!(wrong.code == 1 && wrong.stdout.starts_with("not ready: the configuration is wrong: "), "{}", wrong.stdout);
    assert_eq!(wrong.stdout.lines().count(), 1);
}

#[test]
fn a_server_that_stops_is_not_ready() {
    let mut server = Server::start();
    let held = hold_writer(&server.database());
    let mut busy = server.connect();
    let body = r#"{"title":"A draft","platform":"x"}"#;
    busy.send(format!(
        "POST /v1/collab/drafts HTTP/1.1\r\nHost: t\r\nX-User-Id: alice\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    for _ in 0..8 {
        server.get("/healthz").expect(200);
    }
    server.signal("TERM");
    server.wait_for_log(|line| line["message"] == "server.stopping");
    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["healthcheck"], &[("LISTEN_ADDR", &server.address.to_string())]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.starts_with("not ready: ") && ran.stdout.lines().count() == 1, "{}", ran.stdout);
    drop(held);
    busy.answer().expect(200);
    drop(busy);
    assert_eq!(server.wait().code(), Some(0));
}
