//! A draft looked back on: timeline, attribution, export, figures and insights (contract 01 §1.13 to §1.15, R12, R13).

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::ledger::Ledger;
use crate::support::{Answer, Client, PATIENCE, Server};

const UNKNOWN: &str = "5b98e005-078d-437b-b5e9-9cab5d5251d1";

/// Alice's draft, in which alice and bob have written in turn.
struct Draft {
    client: Client,
    id: String,
}

impl Draft {
    fn new(server: &Server) -> Self {
        let mut draft = Self { client: server.connect(), id: server.create_draft("alice") };
        draft.change("alice", "collaborators?collaborator_id=bob", &json!({}));
        draft.append("alice", "one two");
        draft.append("alice", "three");
        draft.pass("alice", "bob");
        draft.append("bob", "чотири");
        draft
    }

    fn change(&mut self, user: &str, what: &str, body: &Value) {
        self.client.post(&format!("/v1/collab/drafts/{}/{what}", self.id), Some(user), body).expect(200);
    }

    fn append(&mut self, user: &str, content: &str) {
        self.change(user, "segments", &json!({ "content": content, "idempotency_key": content }));
    }

    fn pass(&mut self, from: &str, to: &str) {
        self.change(from, "pass-ring", &json!({ "to_user_id": to, "idempotency_key": format!("{from}{to}") }));
    }

    fn timeline(&mut self, user: Option<&str>, query: &str) -> Answer {
        self.client.get(&format!("/v1/timeline/drafts/{}{query}", self.id), user)
    }

    fn attribution(&mut self, user: Option<&str>) -> Answer {
        self.client.get(&format!("/v1/timeline/drafts/{}/attribution", self.id), user)
    }

    fn export(&mut self, user: Option<&str>, body: &Value) -> Answer {
        self.client.post(&format!("/v1/export/drafts/{}", self.id), user, body)
    }

    fn figure(&mut self, user: Option<&str>, which: &str) -> Answer {
        self.client.get(&format!("/api/analytics/drafts/{}/{which}", self.id), user)
    }
}

/// Does to the database what time does, or many requests.
fn alter(server: &Server, sql: &str) {
    let connection = Connection::open(server.database()).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a_timeline_tells_what_happened_with_the_audit_log_off() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let answer = it.timeline(Some("bob"), "");
    let body = answer.expect(200);
    assert_eq!(body["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!((&body["data"]["draft_id"], &body["data"]["next_cursor"]), (&json!(it.id), &Value::Null));
    let told: Vec<Value> = body["data"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["draft_id"], json!(it.id));
            assert!(event["ts"].as_str().unwrap().ends_with("+00:00"));
            json!([event["event_id"], event["type"], event["actor_user_id"], event["summary"]])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["1", "draft_created", "alice", "@alice created draft 'A draft'"]),
            json!(["2", "collaborator_added", "bob", "@bob joined as collaborator"]),
            json!(["3", "segment_added", "alice", "@alice added segment 0"]),
            json!(["4", "segment_added", "alice", "@alice added segment 1"]),
            json!(["5", "ring_passed", "alice", "@alice passed ring to @bob"]),
            json!(["6", "segment_added", "bob", "@bob added segment 2"]),
        ]
    );
    assert_eq!(body["data"]["events"][4]["meta"], json!({ "from_user_id": "alice", "to_user_id": "bob" }));
    let names: Vec<&String> = body["data"]["events"][0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["event_id", "ts", "type", "actor_user_id", "draft_id", "summary", "meta"]);
    assert_eq!(it.timeline(Some("alice"), "").expect(200)["data"], body["data"], "reading leaves no trace");
}

#[test]
fn a_timeline_comes_in_pages_from_either_end() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let mut paged = |query: &str| {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let data = it.timeline(Some("bob"), &format!("?limit=4&{query}{cursor}")).expect(200)["data"].take();
            let page: Vec<i64> = data["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| event["event_id"].as_str().unwrap().parse().unwrap())
                .collect();
            ids.push(page);
            match data["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    };
    assert_eq!(paged(""), [vec![1, 2, 3, 4], vec![5, 6]]);
    assert_eq!(paged("asc=no"), [vec![6, 5, 4, 3], vec![2, 1]]);
    let ids = |answer: Answer| answer.expect(200)["data"]["events"].as_array().unwrap().len();
    assert_eq!(ids(it.timeline(Some("bob"), "?cursor=yesterday")), 6, "a cursor that cannot be read is none");
    assert_eq!(ids(it.timeline(Some("bob"), "?cursor=6")), 0);
    assert_eq!(ids(it.timeline(Some("bob"), "?limit=500&asc=True")), 6);
    for (query, kind) in [
        ("?limit=0", "greater_than_equal"),
        ("?limit=501", "less_than_equal"),
        ("?limit=x", "int_parsing"),
        ("?asc=perhaps", "bool_parsing"),
    ] {
        assert_eq!(it.timeline(Some("bob"), query).expect(422)["detail"][0]["type"], kind, "{query}");
    }
}

#[test]
fn a_timeline_whose_beginning_is_gone_says_so() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    assert_eq!(it.timeline(Some("bob"), "").expect(200)["data"]["complete"], true);
    alter(&server, "DELETE FROM events WHERE seq < 3");
    let data = it.timeline(Some("bob"), "").expect(200)["data"].take();
    assert_eq!((&data["complete"], &data["events"][0]["event_id"]), (&json!(false), &json!("3")));
    assert_eq!(it.attribution(Some("bob")).expect(200)["data"]["contributors"][0]["segment_count"], 2, "that has all");
}

#[test]
fn an_attribution_says_who_has_written_what() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let draft = it.client.get(&format!("/v1/collab/drafts/{}", it.id), None).expect(200)["data"].take();
    let segment = |order: usize, name: &str| draft["segments"][order][name].clone();
    let answer = it.attribution(Some("bob"));
    let expected = json!({
        "data": { "draft_id": it.id, "contributors": [
            {
                "user_id": "alice", "segment_count": 2, "segment_ids": [segment(0, "segment_id"), segment(1, "segment_id")],
                "first_ts": segment(0, "created_at"), "last_ts": segment(1, "created_at"),
            },
            {
                "user_id": "bob", "segment_count": 1, "segment_ids": [segment(2, "segment_id")],
                "first_ts": segment(2, "created_at"), "last_ts": segment(2, "created_at"),
            },
        ] },
        "request_id": answer.header("x-request-id").unwrap(),
    });
    assert_eq!(answer.text(), expected.to_string());
    let empty = server.create_draft("alice");
    let none = it.client.get(&format!("/v1/timeline/drafts/{empty}/attribution"), Some("alice")).expect(200);
    assert_eq!(none["data"]["contributors"], json!([]));
}

#[test]
fn looking_back_is_for_members() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut it = Draft::new(&server);
    let before: i64 = Ledger::open(&server.database()).column("SELECT count(*) FROM audit_events", [])[0];
    let json = json!({ "format": "json" });
    let refused = ("forbidden".to_owned(), "You don't have access to this draft".to_owned());
    assert_eq!(it.timeline(Some("mallory"), "").expect_error(403), refused);
    assert_eq!(it.attribution(Some("mallory")).expect_error(403), refused);
    assert_eq!(it.export(Some("mallory"), &json).expect_error(403), refused);
    let of = |it: &mut Draft, id: &str| {
        let id = std::mem::replace(&mut it.id, id.to_owned());
        let statuses = [None, Some("alice")]
            .map(|user| [it.timeline(user, "").status, it.attribution(user).status, it.export(user, &json).status]);
        it.id = id;
        statuses
    };
    let own = it.id.clone();
    assert_eq!(of(&mut it, UNKNOWN), [[401; 3], [404; 3]], "who asks is asked first");
    assert_eq!(of(&mut it, &own), [[401; 3], [200; 3]]);
    let head = |it: &mut Draft, path: &str| it.client.request("HEAD", path, &[("X-User-Id", "bob")], b"").status;
    for path in [format!("/v1/timeline/drafts/{own}"), format!("/v1/timeline/drafts/{own}/attribution")] {
        assert_eq!(head(&mut it, &path), 200, "{path}");
    }
    let after: i64 = Ledger::open(&server.database()).column("SELECT count(*) FROM audit_events", [])[0];
    assert_eq!(after, before, "reading is recorded nowhere");
}

#[test]
fn an_export_is_a_file_in_the_form_that_is_asked_for() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let path = format!("/v1/export/drafts/{}", it.id);
    let answer = it.client.request("POST", &path, &[("X-User-Id", "bob")], b"");
    let markdown = answer.expect(200);
    let names: Vec<&String> = markdown["data"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["draft_id", "format", "filename", "content_type", "content"]);
    assert_eq!(markdown["request_id"], answer.header("x-request-id").unwrap());
    let data = &markdown["data"];
    assert_eq!((&data["format"], &data["content_type"]), (&json!("markdown"), &json!("text/markdown")));
    assert_eq!(data["filename"], format!("draft_{}.md", it.id));
    let text = data["content"].as_str().unwrap();
    assert!(text.starts_with("# A draft\n") && text.contains("*Status: active*"), "{text}");
    assert!(text.contains("### Segment 2 — by @u_29920a\n\nчотири\n"), "{text}");
    assert!(text.contains("## Credits") && text.contains("- **@u_ecc9e8**: 2 segment(s) ("), "{text}");
    let same = it.export(Some("bob"), &json!({ "format": "markdown" })).expect(200);
    assert_eq!(same["data"], *data, "this is what no body is");

    let answer = it.export(Some("bob"), &json!({ "format": "json" })).expect(200);
    assert_eq!(answer["data"]["content_type"], "application/json");
    let text = answer["data"]["content"].as_str().unwrap();
    let file: Value = serde_json::from_str(text).unwrap();
    let draft = it.client.get(&format!("/v1/collab/drafts/{}", it.id), None).expect(200)["data"].take();
    let names: Vec<&String> = file.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["draft_id", "title", "platform", "status", "created_at", "updated_at", "segments", "collaborators", "credits"]
    );
    for name in ["draft_id", "title", "platform", "status", "created_at", "updated_at", "collaborators"] {
        assert_eq!(file[name], draft[name], "{name}");
    }
    for (exported, read) in file["segments"].as_array().unwrap().iter().zip(draft["segments"].as_array().unwrap()) {
        let names: Vec<&String> = exported.as_object().unwrap().keys().collect();
        assert_eq!(names, ["segment_id", "segment_order", "user_id", "author_display", "content", "created_at"]);
        assert!(exported.as_object().unwrap().iter().all(|(name, value)| read[name] == *value), "{exported} {read}");
    }
    assert!(text.is_ascii() && text.contains("\n  \"title\": \"A draft\",\n"), "{text}");
    assert_eq!(file["credits"][0]["segment_count"], 2);
    for (format, credits) in [("markdown", "Credits"), ("json", "credits")] {
        let plain = it.export(Some("bob"), &json!({ "format": format, "include_credits": "no" })).expect(200);
        assert!(!plain["data"]["content"].as_str().unwrap().contains(credits), "{format}");
    }
    for (body, kind) in [
        (json!({}), "missing"),
        (json!({ "format": "pdf" }), "literal_error"),
        (json!({ "format": "json", "include_credits": {} }), "bool_type"),
        (json!([]), "model_attributes_type"),
    ] {
        assert_eq!(it.export(Some("bob"), &body).expect(422)["detail"][0]["type"], kind, "{body}");
    }
}

#[test]
fn an_export_of_ten_thousand_segments_takes_no_memory_to_speak_of() {
    const SEGMENTS: i64 = 10_000;
    let server = Server::with(&[("SHARDS", "1")]);
    let mut it = Draft::new(&server);
    alter(
        &server,
        &format!(
            "WITH RECURSIVE n (at) AS (SELECT 3 UNION ALL SELECT at + 1 FROM n WHERE at < {SEGMENTS} - 1) \
             INSERT INTO draft_segments (draft, segment_order, segment_id, user_id, content, created_at) \
             SELECT 1, at, printf('%08x-0000-4000-8000-000000000000', at), 'bob', substr(hex(zeroblob(250)), 1, 500), at FROM n; \
             UPDATE drafts SET segment_count = {SEGMENTS}, event_seq = event_seq + 1"
        ),
    );
    // What was written behind its back the server sees with its own next change.
    it.pass("bob", "alice");
    // Reading it fills SQLite's page cache, and an export of little makes what is made once; what comes then is the export's own.
    let length = it.client.get(&format!("/v1/collab/drafts/{}", it.id), None).body.len();
    let large = std::mem::replace(&mut it.id, server.create_draft("alice"));
    it.export(Some("alice"), &json!({ "format": "json" })).expect(200);
    it.id = large;
    let before = server.memory_kb("VmHWM");
    for format in ["markdown", "json"] {
        let file = it.export(Some("alice"), &json!({ "format": format })).expect(200);
        let content = file["data"]["content"].as_str().unwrap();
        assert!(length > 8_000_000 && content.len() > 5_000_000, "{format}: {} of {length}", content.len());
    }
    let growth = server.memory_kb("VmHWM") - before;
    assert!(growth <= 2048, "{growth} KiB");
}

#[test]
fn anybody_may_read_how_much_there_is_where_anybody_may_read() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let path = format!("/v1/collab/drafts/{}/analytics", it.id);
    let answer = it.client.get(&format!("{path}?now=2100-01-01"), None).expect(200);
    let last = answer["data"]["last_activity_at"].clone();
    assert!(last.as_str().unwrap().ends_with('Z'), "{last}");
    assert_eq!(
        answer,
        json!({ "success": true, "data": {
            "draft_id": it.id, "views": 0, "shares": 0, "segments_count": 3, "contributors_count": 2, "ring_passes_count": 1,
            "last_activity_at": last, "computed_at": "2100-01-01T00:00:00Z",
        } })
    );
    assert_eq!(
        it.client.get(&format!("/api/analytics{path}?now=2100-01-01"), None).expect(200),
        answer,
        "by its other name"
    );
    assert_eq!(it.client.get(&format!("{path}?now=x"), None).expect_error(400).0, "validation_error");
    let nowhere = it.client.get(&format!("/v1/collab/drafts/{UNKNOWN}/analytics"), None).expect(200)["data"].take();
    assert_eq!(
        (&nowhere["segments_count"], &nowhere["contributors_count"], &nowhere["last_activity_at"]),
        (&json!(1), &json!(1), &Value::Null),
        "what clients of the original rely on"
    );
    let server = Server::with(&[("DRAFTS_PUBLIC_READ", "false")]);
    let mut it = Draft::new(&server);
    let path = format!("/v1/collab/drafts/{}/analytics", it.id);
    assert_eq!(it.client.get(&path, None).status, 401);
    assert_eq!(it.client.get(&path, Some("mallory")).expect_error(403).0, "forbidden");
    it.client.get(&path, Some("bob")).expect(200);
    let unknown = format!("/v1/collab/drafts/{UNKNOWN}/analytics");
    assert_eq!(it.client.get(&unknown, Some("bob")).expect_error(404).0, "not_found");
}

#[test]
fn figures_are_for_members_and_of_as_many_days_as_may_be() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let own = it.id.clone();
    for which in ["summary", "contributors", "ring", "daily"] {
        let (code, message) = it.figure(Some("mallory"), which).expect_error(403);
        assert_eq!(
            (code, message),
            ("forbidden".to_owned(), format!("User mallory is not a collaborator on draft {own}"))
        );
        UNKNOWN.clone_into(&mut it.id);
        assert_eq!(it.figure(None, which).status, 401);
        assert_eq!(it.figure(Some("alice"), which).expect_error(404).0, "not_found");
        own.clone_into(&mut it.id);
        let now = "?now=2100-01-01";
        let answer = it.figure(Some("bob"), &format!("{which}{now}")).expect(200);
        assert_eq!(
            it.client.get(&format!("/drafts/{own}/{which}{now}"), Some("bob")).expect(200),
            answer,
            "by its other name"
        );
        let path = format!("/drafts/{own}/{which}");
        assert_eq!(it.client.request("HEAD", &path, &[("X-User-Id", "bob")], b"").status, 200);
    }
    for (days, kind) in
        [("0", "greater_than_equal"), ("-1", "greater_than_equal"), ("91", "less_than_equal"), ("x", "int_parsing")]
    {
        assert_eq!(it.figure(Some("bob"), &format!("daily?days={days}")).expect(422)["detail"][0]["type"], kind);
    }
    for (query, days) in [("", 14), ("?days=1", 1), ("?days=90", 90)] {
        let daily = it.figure(Some("bob"), &format!("daily{query}")).expect(200);
        assert_eq!((&daily["window_days"], daily["days"].as_array().unwrap().len()), (&json!(days), days));
    }
}

#[test]
fn figures_are_right() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    // Made at noon; bob got the ring an hour later, and has it at five.
    const NOON: i64 = 1_766_491_200_000_000;
    const HOUR: i64 = 3_600_000_000;
    alter(
        &server,
        &format!(
            "UPDATE drafts SET created_at = {NOON}, passed_at = {NOON} + {HOUR}; UPDATE ring_passes SET passed_at = {NOON} + {HOUR}; \
             UPDATE draft_segments SET created_at = {NOON} + segment_order * {HOUR}"
        ),
    );
    let mut ask = |which: &str| it.figure(Some("alice"), &format!("{which}?now=2025-12-23T17:00:00Z")).expect(200);
    let summary = ask("summary");
    assert_eq!(
        summary,
        json!({
            "draft_id": summary["draft_id"], "total_segments": 3, "total_words": 4, "unique_contributors": 2,
            "last_activity_ts": "2025-12-23T14:00:00Z", "ring_pass_count": 1, "avg_time_holding_ring_seconds": 3600.0,
            "inactivity_risk": "low",
        })
    );
    let contributors = ask("contributors");
    assert_eq!(contributors["total_contributors"], 2);
    assert_eq!(
        contributors["contributors"],
        json!([
            {
                "user_id": "bob", "segments_added_count": 1, "words_added": 1, "first_contribution_ts": "2025-12-23T14:00:00Z",
                "last_contribution_ts": "2025-12-23T14:00:00Z", "ring_holds_count": 1, "total_hold_seconds": 14400,
                "suggestions_queued_count": 0, "votes_cast_count": 0,
            },
            {
                "user_id": "alice", "segments_added_count": 2, "words_added": 3, "first_contribution_ts": "2025-12-23T12:00:00Z",
                "last_contribution_ts": "2025-12-23T13:00:00Z", "ring_holds_count": 1, "total_hold_seconds": 3600,
                "suggestions_queued_count": 0, "votes_cast_count": 0,
            },
        ])
    );
    let ring = ask("ring");
    assert_eq!(ring["current_holder_id"], "bob");
    assert_eq!(
        ring["holds"],
        json!([
            { "user_id": "bob", "start_ts": "2025-12-23T13:00:00Z", "end_ts": null, "seconds": 14400 },
            { "user_id": "alice", "start_ts": "2025-12-23T12:00:00Z", "end_ts": "2025-12-23T13:00:00Z", "seconds": 3600 },
        ])
    );
    let passed =
        json!({ "from_user_id": "alice", "to_user_id": "bob", "ts": "2025-12-23T13:00:00Z", "strategy": null });
    assert_eq!(ring["passes"], json!([passed]));
    assert_eq!(ring["recommendation"]["recommended_to_user_id"], "alice");
    let daily = ask("daily");
    assert_eq!(daily["days"][13], json!({ "date": "2025-12-23", "segments_added": 3, "ring_passes": 1 }));
    assert_eq!(daily["days"][0], json!({ "date": "2025-12-10", "segments_added": 0, "ring_passes": 0 }));
    let risk = it.figure(Some("alice"), "summary?now=2025-12-25T14:00:00.000001Z").expect(200);
    assert_eq!(risk["inactivity_risk"], "high");
}

#[test]
fn insights_say_what_the_figures_say() {
    let server = Server::start();
    let mut it = Draft::new(&server);
    let path = format!("/api/insights/drafts/{}", it.id);
    assert_eq!(it.client.get(&path, None).status, 401);
    let (code, message) = it.client.get(&path, Some("mallory")).expect_error(403);
    assert_eq!((code.as_str(), message.as_str()), ("forbidden", "Only collaborators can view draft insights"));
    let unknown = format!("/api/insights/drafts/{UNKNOWN}");
    assert_eq!(it.client.get(&unknown, Some("alice")).expect_error(404).0, "not_found");
    assert_eq!(it.client.get(&format!("{path}?now=x"), Some("bob")).expect_error(400).0, "validation_error");
    let now = it.client.get(&path, Some("bob")).expect(200);
    let names: Vec<&String> = now.as_object().unwrap().keys().collect();
    assert_eq!(names, ["draft_id", "insights", "recommendations", "alerts", "computed_at"]);
    assert_eq!((&now["insights"][0]["type"], &now["alerts"]), (&json!("dominant_user"), &json!([])));
    let later = it.client.get(&format!("{path}?now=2100-01-01"), Some("bob")).expect(200);
    assert_eq!(
        (&later["insights"][0]["type"], &later["insights"][0]["severity"]),
        (&json!("stalled"), &json!("critical"))
    );
    let alerts: Vec<&Value> = later["alerts"].as_array().unwrap().iter().map(|alert| &alert["alert_type"]).collect();
    assert_eq!(alerts, ["no_activity", "long_ring_hold"]);
    assert_eq!(
        later["recommendations"][0],
        json!({
            "action": "pass_ring", "target_user_id": "alice", "reason": later["recommendations"][0]["reason"], "confidence": 0.85,
        })
    );
}
