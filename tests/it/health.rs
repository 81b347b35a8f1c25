//! Liveness, readiness and the state of the database (contract 01 §1.12 with R24).

use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Server, hold_writer, wait_for};

const TABLES: [&str; 28] = [
    "audit_anchor",
    "audit_events",
    "calendar_feed",
    "calendar_reminded",
    "ci_captures",
    "ci_undos",
    "draft_authors",
    "draft_collaborators",
    "draft_invites",
    "draft_segments",
    "drafts",
    "events",
    "household_sessions",
    "idempotency_keys",
    "probe",
    "record_bin",
    "record_facts",
    "record_kinds",
    "record_links",
    "record_moved",
    "records",
    "revocations",
    "ring_passes",
    "room_snapshots",
    "room_updates",
    "rooms",
    "text_terms",
    "texts",
];

/// Does to the database of a running server what nobody should.
fn vandalise(server: &Server, sql: &str) {
    Connection::open(server.database()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_healthy_server_says_ok_and_nothing_else() {
    let server = Server::start();
    let mut client = server.connect();
    for path in ["/healthz", "/healthz?verbose=1", "/readyz", "/readyz", "/readyz?verbose=0", "/readyz?verbose=false"] {
        let answer = client.get(path, None);
        assert_eq!((answer.status, answer.text()), (200, r#"{"status":"ok"}"#), "{path}");
    }
}

#[test]
fn a_verbose_readiness_names_what_was_checked() {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..2 {
        let mut body = client.get("/readyz?verbose=1", None).expect(200);
        let age = body["checks"][3]["age_ms"].take();
        assert!(age.as_u64().unwrap() <= 1000, "a committed probe stands for a second");
        let check = |name| json!({ "name": name, "ok": true });
        let commit = json!({ "name": "commit", "ok": true, "age_ms": null });
        let checks = [check("accepting"), check("schema"), check("writer"), commit, check("clock")];
        assert_eq!(body, json!({ "status": "ok", "checks": checks }));
    }
}

#[test]
fn missing_tables_are_named_in_a_fixed_order() {
    let server = Server::start();
    server.get("/readyz").expect(200);
    vandalise(&server, "PRAGMA foreign_keys = OFF; DROP TABLE ring_passes;");
    for (sql, detail) in [
        ("", "missing tables: ring_passes"),
        (
            "DROP TABLE drafts; DROP TABLE events; DROP TABLE probe;",
            "missing tables: drafts, ring_passes, events, probe",
        ),
    ] {
        vandalise(&server, sql);
        for path in ["/readyz", "/readyz?verbose=1"] {
            let answer = server.get(path);
            let (code, message) = answer.expect_error(503);
            assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", detail));
            let body = answer.json();
            assert_eq!((&body["status"], &body["detail"]), (&json!("error"), &json!(detail)));
            let names: Vec<_> = body.as_object().unwrap().keys().collect();
            assert_eq!(names, ["status", "detail", "error"], "the contract's own members come first");
        }
    }
    server.wait_for_log(|line| line["message"] == "health.not_ready" && line["level"] == "WARN");
    server.get("/healthz").expect(200);
}

#[test]
fn a_database_whose_table_is_another_is_not_ready() {
    let server = Server::start();
    vandalise(&server, "DROP TABLE probe; CREATE TABLE probe (something_else TEXT) STRICT;");
    let altered = "database altered: its tables and indexes are not what inkring made";
    let answer = server.get("/readyz");
    let (code, message) = answer.expect_error(503);
    assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", altered));
    assert_eq!((&answer.json()["status"], &answer.json()["detail"]), (&json!("error"), &json!(altered)));
    let line = server.wait_for_log(|line| line["message"] == "health.not_ready");
    assert!(line["context"].as_str().unwrap().contains("probe"), "the log has the details: {line}");
    assert_eq!(line["request_id"], answer.header("x-request-id").unwrap());
}

/// What `/health` and `/ready` say beside their own members, with their time taken out after a look at it.
fn without_time(mut body: Value) -> Value {
    let time = body.as_object_mut().unwrap().shift_remove("timestamp").unwrap();
    let time = time.as_str().unwrap();
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    body
}

#[test]
fn health_has_the_keys_of_three_contracts_and_touches_nothing() {
    let server = Server::start();
    vandalise(&server, "DROP TABLE probe");
    let mut client = server.connect();
    for path in ["/health", "/health/", "/health?x=1"] {
        let body = client.get(path, None).expect(200);
        let names: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(names[..3], ["status", "ok", "timestamp"], "{path}");
        let expected = json!({
            "status": "ok", "ok": true, "rooms": 0, "connections": 0, "message": "CIMEIKA FastAPI Backend",
            "version": "2.2.1", "canon_bundle_id": "CIMEIKA_CANON_TZ_v1",
        });
        assert_eq!(without_time(body), expected, "{path}");
    }
    let head = client.request("HEAD", "/health", &[], b"");
    assert_eq!((head.status, head.text()), (200, ""));
    let other = client.request("POST", "/health", &[], b"");
    assert_eq!((other.status, other.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn readiness_by_its_other_name_has_the_keys_of_the_contract() {
    let server = Server::start();
    let mut client = server.connect();
    for path in ["/ready", "/ready/"] {
        let expected = json!({
            "status": "ready", "ok": true, "rooms": 0, "connections": 0, "message": "CIMEIKA FastAPI Backend",
            "version": "2.2.1", "canon_bundle_id": "CIMEIKA_CANON_TZ_v1",
            "deps": { "env": "ok", "database": "ok" },
            "checks": {
                "accepting": "ok", "disk": "ok", "database": "ok", "schema": "ok", "writer": "ok",
                "audit": "off", "identity": "ok", "clock": "ok", "backup": "off", "behaviour": "ok", "modules": "ok",
                "monitoring": { "sentry_enabled": false, "environment": "development" },
            },
        });
        assert_eq!(without_time(client.get(path, None).expect(200)), expected);
    }
    let head = client.request("HEAD", "/ready", &[], b"");
    assert_eq!((head.status, head.text()), (200, ""));
}

#[test]
fn both_names_of_readiness_stand_on_one_commit_a_second() {
    let server = Server::with(&[("METRICS_PUBLIC", "true")]);
    let mut client = server.connect();
    let mut commits = || {
        let text = client.get("/metrics", None).text().to_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("inkring_commit_duration_seconds_count "));
        count.unwrap().parse::<u64>().unwrap()
    };
    let (before, began) = (commits(), Instant::now());
    for _ in 0..50 {
        server.get("/ready").expect(200);
        server.get("/readyz").expect(200);
    }
    let most = began.elapsed().as_secs() + 1;
    assert!((1..=most).contains(&(commits() - before)), "{before} and then {}, within {most} s", commits());
}

#[test]
fn who_is_not_ready_says_which_check_failed_and_why() {
    let server = Server::start();
    let mut client = server.connect();
    let held = hold_writer(&server.database());
    let answer = client.get("/ready", None);
    let (code, message) = answer.expect_error(503);
    assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", "database unreachable"));
    let body = answer.json();
    assert_eq!((&body["status"], &body["ok"]), (&json!("not_ready"), &json!(false)));
    assert_eq!(body["deps"], json!({ "env": "missing_required", "database": "failed" }));
    assert_eq!(body["detail"], "database unreachable");
    let checks = &body["checks"];
    assert_eq!([&checks["disk"], &checks["database"], &checks["clock"]], ["ok", "failed", "ok"]);
    assert_eq!(checks["schema"], "unknown", "nobody has looked any further");
    assert_eq!(checks["monitoring"]["sentry_enabled"], false);
    drop(held);
    // A commit that has waited for the lock looks for it a few times a second.
    let ready = wait_for(|| Some(client.get("/ready", None)).filter(|answer| answer.status == 200));
    assert_eq!(ready.json()["status"], "ready");

    vandalise(&server, "DROP TABLE probe");
    let answer = client.get("/ready", None);
    assert_eq!(answer.expect_error(503).1, "missing tables: probe");
    let body = answer.json();
    assert_eq!(body["deps"], json!({ "env": "missing_required", "database": "ok" }));
    let [database, schema] = ["database", "schema"].map(|name| body["checks"][name].clone());
    assert_eq!((database, schema), (json!("ok"), json!("failed")));
    assert_eq!(client.request("HEAD", "/ready", &[], b"").status, 503);
}

#[test]
fn what_only_the_operator_should_know_is_a_warning_of_the_check_and_no_more() {
    let blocked = tempfile::tempdir().unwrap();
    let no_directory = blocked.path().join("file");
    std::fs::write(&no_directory, "").unwrap();
    let server = Server::with(&[("BACKUP_DIR", no_directory.to_str().unwrap()), ("HOUSEKEEPING_SECONDS", "1")]);
    let warned = || {
        let body = server.get("/ready").expect(200);
        (body["checks"]["backup"] == "warning").then_some(body)
    };
    let body = wait_for(warned);
    assert_eq!((&body["status"], &body["deps"]["env"]), (&json!("ready"), &json!("ok")));
}

#[test]
fn no_limit_counts_health_and_readiness() {
    let limits =
        [("RATE_LIMIT_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE_DEFAULT", "1"), ("RATE_LIMIT_BURST_DEFAULT", "1")];
    let server = Server::with(&limits);
    let mut client = server.connect();
    for turn in 0..100 {
        for path in ["/health", "/ready"] {
            let answer = client.request(if turn % 2 == 0 { "GET" } else { "HEAD" }, path, &[], b"");
            assert_eq!(answer.status, 200, "{path}, turn {turn}");
        }
    }
}

#[test]
fn the_database_report_has_the_contracts_shape() {
    let server = Server::start();
    let mut body = server.get("/api/health/db").expect(200);
    let latency = body["db"]["latency_ms"].take().as_f64().unwrap();
    assert!((0.0..5000.0).contains(&latency), "{latency}");
    let computed_at = body["computed_at"].take();
    let computed_at = computed_at.as_str().unwrap();
    assert!(computed_at.starts_with("20") && computed_at.ends_with("+00:00"), "{computed_at}");
    let db = json!({ "connected": true, "database": null, "user": null, "latency_ms": null, "tables_present": TABLES });
    assert_eq!(body, json!({ "ok": true, "db": db, "computed_at": null }));
    let text = server.get("/api/health/db?now=x").text().to_owned();
    let expected = format!(
        "{{\"ok\":true,\"db\":{{\"connected\":true,\"database\":null,\"user\":null,\"latency_ms\":null,\
         \"tables_present\":{}}},\"computed_at\":\"x\"}}",
        json!(TABLES)
    );
    assert_eq!(text, expected, "with now it is the same every time");
}

#[test]
fn the_database_report_echoes_any_now_verbatim() {
    let server = Server::start();
    let mut client = server.connect();
    let long = "x".repeat(7000);
    for (sent, echoed) in [
        ("2025-12-23T10:00:00Z", "2025-12-23T10:00:00Z"),
        ("not%20a%20time", "not a time"),
        ("%22%7D%0A%F0%9F%96%8B", "\"}\n🖋"),
        (long.as_str(), long.as_str()),
    ] {
        let body = client.get(&format!("/api/health/db?now={sent}"), None).expect(200);
        assert_eq!((&body["computed_at"], &body["db"]["latency_ms"]), (&json!(echoed), &Value::Null));
    }
    let body = client.get("/api/health/db?now=", None).expect(200);
    assert!(body["db"]["latency_ms"].is_number(), "an empty now is none");
}

#[test]
fn probes_do_not_ask_who_is_there() {
    let server = Server::with(&[("ENV", "production")]);
    for path in ["/healthz", "/readyz", "/api/health/db"] {
        server.get(path).expect(200);
    }
}

#[test]
fn a_database_that_takes_no_row_of_the_probe_is_unreachable_until_it_does() {
    let server = Server::start();
    let held = hold_writer(&server.database());
    let answer = server.get("/readyz");
    let (code, message) = answer.expect_error(503);
    assert_eq!((code.as_str(), message.as_str()), ("storage_unavailable", "database unreachable"));
    let line = server.wait_for_log(|line| line["message"] == "health.not_ready");
    assert_eq!((&line["level"], &line["detail"]), (&json!("WARN"), &json!("database unreachable")));
    assert!(line["context"].as_str().is_some_and(|context| context.contains("locked")), "{line}");
    server.get("/healthz").expect(200);
    drop(held);
    server.get("/readyz").expect(200);
}
