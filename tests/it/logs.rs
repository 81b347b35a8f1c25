//! What is logged, and what never is (contract 01 §8, G7).

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Server, wait_for};

const DRAFTS: &str = "/v1/collab/drafts";
/// Marks whatever must not turn up in a log.
const SECRET: &str = "TOPSECRET";

/// Every line so far; each must be one JSON object with the fields that every line has.
fn lines(server: &Server) -> Vec<Value> {
    let log = server.log();
    assert!(log.ends_with('\n'), "the last line is whole");
    log.lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            for name in ["timestamp", "level", "logger", "message"] {
                assert!(value[name].is_string(), "{line}");
            }
            let stamp = value["timestamp"].as_str().unwrap();
            assert!(stamp.ends_with('Z') && stamp.contains('T'), "Z style in the log (contract 01 §0.2): {stamp}");
            value
        })
        .collect()
}

/// The lines of one request that has been answered, once a later one is in the log: lines keep the order in which
/// they were logged, and a request is logged before its answer leaves.
fn lines_of(server: &Server, request_id: &str) -> Vec<Value> {
    let later = uuid::Uuid::new_v4().to_string();
    server.connect().request("GET", "/later", &[("X-Request-Id", &later)], b"");
    server.wait_for_log(|line| line["request_id"] == later && line["message"] == "request.complete");
    lines(server).into_iter().filter(|line| line["request_id"] == request_id).collect()
}

/// A draft of alice's to which nothing can be appended: that is 500, and our fault.
pub fn spoilt_draft(server: &Server) -> String {
    let draft = server.create_draft("alice");
    let segment = json!({ "content": "x", "idempotency_key": "1" });
    server.post_as("alice", &format!("{DRAFTS}/{draft}/segments"), &segment).expect(200);
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute("UPDATE drafts SET segment_count = 0 WHERE draft_id = ?1", [&draft]).unwrap();
    draft
}

fn complete(lines: &[Value]) -> &Value {
    let mut complete = lines.iter().filter(|line| line["message"] == "request.complete");
    let first = complete.next().expect("a request.complete");
    assert!(complete.next().is_none(), "exactly one request.complete");
    first
}

#[test]
fn every_request_is_completed_in_the_log_once_and_in_full() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let path = format!("{DRAFTS}/{draft}");
    let mut client = server.connect();
    let template = format!("{DRAFTS}/{{draft_id}}");
    let segments = format!("{template}/segments");
    let good = json!({ "content": "x", "idempotency_key": "k" }).to_string();
    let (alice, eve) = (Some("alice"), Some("eve"));
    // What was sent, and what the line says of it. Who asks is only established on routes that want to know.
    let says = |status: u16, route: &str, user_id: Option<&str>, draft_id: Option<&str>| json!({ "status": status, "route": route, "user_id": user_id, "draft_id": draft_id });
    let cases = [
        ("read", format!("GET {path}?now=2100-01-01"), alice, "", says(200, &template, None, Some(&draft))),
        ("head", format!("HEAD {path}"), None, "", says(200, &template, None, Some(&draft))),
        ("append", format!("POST {path}/segments"), alice, &good, says(200, &segments, alice, Some(&draft))),
        ("refused", format!("POST {path}/segments"), eve, &good, says(403, &segments, eve, Some(&draft))),
        ("shape", format!("POST {path}/segments"), eve, "{}", says(422, &segments, eve, Some(&draft))),
        ("nobody", format!("GET {DRAFTS}"), None, "", says(401, DRAFTS, None, None)),
        ("missing", format!("GET {DRAFTS}/a%0Ab"), None, "", says(404, &template, None, Some("a\nb"))),
        ("no-route", "GET /nowhere".to_owned(), alice, "", says(404, "unmatched", None, None)),
        ("method", format!("DELETE {DRAFTS}"), alice, "", says(405, "unmatched", None, None)),
    ];
    for (id, sent, user, body, said) in cases {
        let (method, target) = sent.split_once(' ').unwrap();
        let mut headers = vec![("X-Request-Id", id), ("Content-Type", "application/json")];
        headers.extend(user.map(|user| ("X-User-Id", user)));
        let answer = client.request(method, target, &headers, body.as_bytes());
        let lines = lines_of(&server, id);
        let line = complete(&lines);
        let names: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = "timestamp level logger message request_id ip method path route status ms latency_bucket user_id \
                        draft_id bytes handler_us queue_us commit_us";
        let of_errors = if answer.status < 400 { "" } else { "error_code error_message context" };
        assert_eq!(names, expected.split_whitespace().chain(of_errors.split_whitespace()).collect(), "{id}");
        assert_eq!(line["ip"], "127.0.0.1");
        assert!(
            line["ms"].as_f64().is_some_and(|ms| ms * 1000.0 >= line["handler_us"].as_f64().unwrap() - 1.0),
            "{line}"
        );
        for (name, value) in said.as_object().unwrap() {
            assert_eq!(&line[name], value, "{name} of {id}");
        }
        assert_eq!((&line["level"], &line["logger"]), (&json!("INFO"), &json!("inkring")));
        assert_eq!((&line["method"], &line["path"]), (&json!(method), &json!(target.split('?').next())));
        assert_eq!(line["status"], answer.status);
        if method != "HEAD" {
            assert_eq!(line["bytes"], answer.body.len());
        }
        let buckets = ["<10ms", "10-100ms", "100-500ms", "500-1000ms", ">=1000ms"];
        assert!(buckets.contains(&line["latency_bucket"].as_str().unwrap()), "{line}");
        assert!(line["handler_us"].is_u64() && line["queue_us"].is_u64(), "{line}");
        assert_eq!(line["commit_us"].as_u64().unwrap() > 0, matches!(id, "append" | "refused"), "{line}");
    }
    client.request(
        "OPTIONS",
        DRAFTS,
        &[
            ("X-Request-Id", "preflight"),
            ("Origin", "http://localhost:3000"),
            ("Access-Control-Request-Method", "POST"),
        ],
        b"",
    );
    assert_eq!(complete(&lines_of(&server, "preflight"))["status"], 200);
    client.request("GET", &format!("{DRAFTS}/"), &[("X-Request-Id", "slash")], b"");
    assert_eq!(complete(&lines_of(&server, "slash"))["route"], DRAFTS);
}

#[test]
fn what_a_client_did_wrong_is_in_the_one_line_of_its_request() {
    let server = Server::start();
    let draft = server.create_draft("alice");
    let path = format!("{DRAFTS}/{draft}/segments");
    let body = json!({ "content": "x", "idempotency_key": "k" }).to_string();
    let mut client = server.connect();
    for (id, method, target, user, code, sentence) in [
        (
            "a",
            "POST",
            path.as_str(),
            "eve",
            "forbidden",
            Some(format!("User eve is not owner/collaborator for draft {draft}")),
        ),
        ("b", "GET", &format!("{DRAFTS}/x"), "eve", "not_found", Some("Draft x not found".to_owned())),
        ("c", "GET", DRAFTS, "", "http_error", None),
        ("d", "PUT", DRAFTS, "eve", "http_error", Some("Method Not Allowed".to_owned())),
    ] {
        let headers = [("X-Request-Id", id), ("X-User-Id", user)];
        let status = client.request(method, target, &headers, body.as_bytes()).status;
        let lines = lines_of(&server, id);
        let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["request.complete"], "{id}");
        assert_eq!((&lines[0]["level"], &lines[0]["status"]), (&json!("INFO"), &json!(status)));
        assert_eq!((&lines[0]["error_code"], &lines[0]["error_message"]), (&json!(code), &json!(sentence)));
    }
}

#[test]
fn a_request_refused_for_its_body_is_logged_by_its_id_and_path() {
    let server = Server::start();
    let mut client = server.connect();
    let head = format!("POST {DRAFTS}?q=1 HTTP/1.1\r\nHost: t\r\nX-Request-Id: mine\r\nContent-Length: 70000\r\n\r\n");
    client.send(head);
    client.answer().expect_error(413);
    let lines = lines_of(&server, "mine");
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["message"], &line["status"]), (&json!("request.rejected"), &json!(413)));
    assert_eq!((&line["method"], &line["path"], &line["peer"]), (&json!("POST"), &json!(DRAFTS), &json!("127.0.0.1")));
}

#[test]
fn an_error_of_ours_names_its_draft_and_user_whatever_the_level() {
    let server = Server::with(&[("LOG_LEVEL", "warn")]);
    let spoilt = spoilt_draft(&server);
    let segment = json!({ "content": "x", "idempotency_key": "2" });
    let append = |id: &str| server.post_as("alice", &format!("{DRAFTS}/{id}/segments"), &segment);
    append("some-id").expect_error(404);
    append(&spoilt).expect_error(500);
    let line = server.wait_for_log(|line| line["message"] == "unhandled.exception");
    assert_eq!((&line["draft_id"], &line["user_id"]), (&json!(spoilt), &json!("alice")));
    assert!(!server.log().contains("some-id"), "a client's mistake is no warning");
}

#[test]
fn probes_are_logged_at_debug_only() {
    let probe = |server: &Server| {
        let mut client = server.connect();
        for (id, path) in [("p1", "/healthz"), ("p2", "/readyz")] {
            client.request("GET", path, &[("X-Request-Id", id)], b"");
        }
        ["p1", "p2"].map(|id| lines_of(server, id))
    };
    assert_eq!(probe(&Server::start()), [const { Vec::<Value>::new() }; 2]);
    for lines in probe(&Server::with(&[("LOG_LEVEL", "debug")])) {
        assert_eq!(complete(&lines)["level"], "DEBUG");
    }
    let quiet = Server::with(&[("LOG_LEVEL", "off")]);
    quiet.create_draft("alice");
    quiet.get("/nowhere");
    assert_eq!(quiet.log(), "");
}

#[test]
fn nothing_of_a_query_body_or_credential_is_ever_logged() {
    for level in ["info", "trace"] {
        let server = Server::with(&[("LOG_LEVEL", level)]);
        let draft = server.create_draft("alice");
        let path = format!("{DRAFTS}/{draft}");
        let mut client = server.connect();
        let bearer = format!("Bearer {SECRET}");
        let mut send = |method: &str, target: &str, body: &str| {
            let headers = [
                ("X-User-Id", "alice"),
                ("Authorization", bearer.as_str()),
                ("Cookie", SECRET),
                ("Sec-WebSocket-Protocol", SECRET),
                ("Referer", SECRET),
                ("User-Agent", SECRET),
                ("Content-Type", "application/json"),
            ];
            client.request(method, target, &headers, body.as_bytes()).status
        };
        let key = json!({ "content": SECRET, "idempotency_key": SECRET }).to_string();
        let statuses = [
            send(
                "POST",
                DRAFTS,
                &json!({ "title": SECRET, "platform": SECRET, "initial_segment": SECRET }).to_string(),
            ),
            send("POST", &format!("{path}/segments?access_token={SECRET}"), &key),
            send("POST", &format!("{path}/segments"), &key),
            send(
                "POST",
                &format!("{path}/pass-ring"),
                &json!({ "to_user_id": SECRET, "idempotency_key": "k" }).to_string(),
            ),
            send(
                "POST",
                &format!("{path}/pass-ring"),
                &json!({ "to_user_id": [SECRET], "idempotency_key": SECRET.repeat(40) }).to_string(),
            ),
            send(
                "POST",
                &format!("{path}/segments"),
                &json!({ SECRET: SECRET, "content": SECRET.repeat(100) }).to_string(),
            ),
            send("POST", DRAFTS, &format!("{{\"{SECRET}\": {SECRET}")),
            send("POST", &format!("{path}/collaborators?collaborator_id={}&role={SECRET}", SECRET.repeat(20)), ""),
            send("POST", &format!("{path}/collaborators?collaborator_id={SECRET}&role={SECRET}"), ""),
            send("GET", &format!("{DRAFTS}?before={SECRET}"), ""),
            send("GET", &format!("{path}?now={SECRET}"), ""),
            send("GET", &format!("/nowhere?{SECRET}"), ""),
            send("DELETE", &format!("{DRAFTS}?{SECRET}"), ""),
            send("GET", &format!("/healthz/?{SECRET}"), ""),
            send("GET", &format!("/api/health/db?now={SECRET}"), ""),
        ];
        assert_eq!(statuses, [200, 200, 200, 403, 422, 422, 422, 422, 200, 400, 400, 404, 405, 200, 200]);
        for malformed in [
            format!("GET /?{SECRET} HTTP/1.1\r\nAuthorization: {SECRET}\r\n\r\n"),
            format!("GET /?{SECRET} HTTP/1.1\r\nHost: t\r\n{SECRET} : x\r\n\r\n"),
            format!("{SECRET}\r\n\r\n"),
            format!("POST /?{SECRET} HTTP/1.1\r\nHost: t\r\nContent-Length: 70000\r\n\r\n{SECRET}"),
            format!("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n"),
        ] {
            let mut client = server.connect();
            client.send(malformed);
            client.answer();
        }
        lines_of(&server, "");
        let log = server.log();
        assert!(log.lines().count() > 20);
        assert!(!log.contains(SECRET), "{}", log.lines().find(|line| line.contains(SECRET)).unwrap_or_default());
    }
}

#[test]
fn nobody_writes_a_line_of_the_log_but_the_server() {
    let server = Server::start();
    let forged = "\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\u{1b}[31m\u{2028}\u{85}\",\"level\":\"ERROR";
    let escaped: String = forged.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut client = server.connect();
    let name = "eve\",\"level\":\"ERROR";
    client.request(
        "GET",
        &format!("{DRAFTS}/{escaped}"),
        &[("X-Request-Id", "\",\"level\":\"ERROR"), ("X-User-Id", name)],
        b"",
    );
    client.request("GET", DRAFTS, &[("X-User-Id", name)], b"");
    client.request("LEVEL", DRAFTS, &[("X-User-Id", "a\tb")], b"");
    client.request("GET", &format!("/{}", "%0a".repeat(2000)), &[], b"");
    let lines = lines_of(&server, "\",\"level\":\"ERROR");
    assert_eq!(complete(&lines)["draft_id"], forged, "it is there, as the text that it is");
    assert!(self::lines(&server).iter().all(|line| line["level"] != "ERROR" && line["message"] != "forged"));
    assert!(server.log().lines().all(|line| line.len() < 4096), "no line is as long as a client likes (G5)");
    assert!(!server.log().contains('\u{1b}') && !server.log().contains('\r'));
}

#[test]
fn a_pretty_log_keeps_to_one_line_an_event_as_well() {
    let server = Server::with(&[("LOG_FORMAT", "pretty")]);
    let mut client = server.connect();
    client.request("GET", &format!("{DRAFTS}/%0a2025-12-23T10:00:00.000Z%20ERROR%20forged%1b%5b31m%0d"), &[], b"");
    client.request("GET", "/later", &[("X-Request-Id", "later")], b"");
    wait_for(|| {
        server.log().lines().any(|line| line.contains("request.complete") && line.contains("later")).then_some(())
    });
    for line in server.log().lines() {
        let mut words = line.split_whitespace();
        assert!(words.next().is_some_and(|stamp| stamp.ends_with('Z') && stamp.starts_with("20")), "{line:?}");
        assert!(words.next().is_some_and(|level| ["INFO", "WARN"].contains(&level)), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_flood_of_refusals_leaves_a_hundred_lines_a_second() {
    let limits = [("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "1")];
    let server = Server::with(&[&[("RATE_LIMIT_ENABLED", "true")], &limits[..]].concat());
    let began = Instant::now();
    let mut client = server.connect();
    let long = format!("GET {DRAFTS}/{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(3000));
    let floods = [(1000, long.as_str(), 429), (300, "GET /a?b HTTP/2.0\r\nHost: t\r\n\r\n", 505)];
    for (times, sent, status) in floods {
        for turn in 0..times {
            client.send(sent);
            let answer = client.answer();
            assert!(answer.status == status || (status == 429 && turn < 20), "{}", answer.text());
            if status == 505 {
                client = server.connect();
            }
        }
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let lines = lines(&server);
    for (kind, at_least) in [("request.complete", 100), ("request.rejected", 100)] {
        let of_kind: Vec<_> = lines.iter().filter(|line| line["message"] == kind && line["status"] != 101).collect();
        assert!(
            (at_least..=100 * (seconds + 1)).contains(&of_kind.len()),
            "{} of {kind} in {seconds} s",
            of_kind.len()
        );
        for line in of_kind {
            let path = line["path"].as_str().unwrap_or_default();
            assert!(path.chars().count() <= 120 + "...<truncated>".len(), "{path}");
        }
    }
    // What was left out is said by the next line.
    wait_for(|| {
        server.get("/nowhere");
        self::lines(&server).iter().any(|line| line["left_out"].as_u64().is_some_and(|left| left > 0)).then_some(())
    });
}
