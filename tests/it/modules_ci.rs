//! Captures, the chat, the entry pages and the legend of ci, the look at moods, and the participant: contract 04 §1.9, §1.10 and
//! §5.2 as clients see them.

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, wait_for};

fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Answer {
    client.request(method, path, &[("content-type", "application/json")], body.to_string().as_bytes())
}

fn capture(client: &mut Client, content: &str) -> Value {
    send(client, "POST", "/api/v1/ci/capture", &json!({ "type": "text", "content": content })).expect(200)
}

fn list(client: &mut Client, path: &str) -> Vec<Value> {
    client.get(path, None).expect(200).as_array().unwrap().clone()
}

fn problems(answer: &Answer) -> Vec<String> {
    let body = answer.expect(422);
    let said = |problem: &Value| format!("{} {}", problem["type"].as_str().unwrap(), problem["loc"]);
    body["detail"].as_array().unwrap().iter().map(said).collect()
}

/// What has a letter outside of ASCII, as a query carries it.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn entry_pages_and_the_legend_are_served_with_the_contracts_errors() {
    let server = Server::start();
    let mut client = server.connect();
    let mut get = |path: &str| client.get(&format!("/api/v1/ci/{path}"), None);
    assert_eq!(get("seo/states").expect(200)["states"].as_array().unwrap().len(), 7);
    assert_eq!(get("seo/intents/").expect(200)["intents"].as_array().unwrap().len(), 7);
    assert_eq!(get("seo/languages").expect(200), json!({ "languages": ["en", "uk"] }));
    let page = get("seo/entry/uk/fatigue/capture").expect(200);
    assert_eq!((&page["url"], &page["module"]), (&json!("/uk/fatigue/capture"), &json!("nastrij")));
    assert_eq!(get("seo/entry/ua/fatigue/capture").expect_error(404).0, "not_found");
    assert_eq!(get("seo/entries/en").expect(200)["count"], 49);
    assert_eq!(get("seo/entries/de").expect_error(400).0, "validation_error");
    assert_eq!(get("seo/module/loss").expect(200)["module"], "kazkar");
    assert_eq!(get("seo/module/hunger").expect(400)["detail"], "Invalid state: hunger");
    let map = get("seo/sitemap?base_url=https://example.com").expect(200);
    assert!(map["sitemap"][0]["loc"].as_str().unwrap().starts_with("https://example.com/uk/"), "{map}");
    assert_eq!(get("seo/sitemap").expect(200)["count"], 49);
    get("seo/sitemap?base_url=javascript:1").expect(400);
    assert!(get("seo/seeds?lang=uk").expect(200)["seeds"].is_object());
    get("seo/seeds?lang=de").expect(400);

    assert_eq!(get("legend").expect(200)["total_nodes"], 20);
    assert_eq!(get("legend/nodes").expect(200)["total"], 20);
    let quiet = get(&format!("legend/nodes?tags={}", escaped("тиша"))).expect(200);
    assert!((1..20).contains(&quiet["total"].as_u64().unwrap()), "{quiet}");
    assert!(get("legend/nodes/1").expect(200)["connected_nodes"].is_array());
    assert_eq!(get("legend/nodes/99").expect(404)["detail"], "Node 99 not found");
    assert_eq!(problems(&get("legend/nodes/one")), [r#"int_parsing ["path","node_id"]"#]);
    get("legend/nodes/99999999999999999999").expect(404);
    assert_eq!(get("legend/duality").expect(200)["sections"].as_array().unwrap().len(), 10);
    assert_eq!(get("legend/duality/sections/section_10").expect(200)["id"], "section_10");
    assert_eq!(get("legend/duality/sections/x").expect(404)["detail"], "Section x not found");
    assert!(
        get("legend/symbols").expect(200)["numbers"].is_object()
            || get("legend/symbols").expect(200)["numbers"].is_array()
    );
    let ways = get("legend/navigation/1").expect(200);
    assert_eq!((&ways["state"], ways["recommendations"].as_array().unwrap().len()), (&json!("overview"), 3));
    assert_eq!(get("legend/navigation/1?state=other").expect(200)["recommendations"], json!([]));
    assert_eq!(get("legend/navigation/99").expect(404)["detail"], "Node 99 not found");

    client.request("POST", "/api/v1/modules/ci/shutdown", &[], b"").expect(200);
    for path in ["legend", "seo/states", "captures"] {
        let (code, message) = client.get(&format!("/api/v1/ci/{path}"), None).expect_error(503);
        assert_eq!((&*code, &*message), ("module_inactive", "Module 'ci' is inactive"), "{path}");
    }
}

#[test]
fn a_sentence_with_a_date_becomes_an_entry_and_an_event_that_can_be_traced() {
    let mut server = Server::start();
    let mut client = server.connect();
    let content = "24.12.2031 о 18:30 буде свято в бабусі #родина";
    let said = capture(&mut client, content);
    let keys: Vec<&String> = said.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["event_id", "event", "time_position", "related_traces", "expand_options", "time", "classification", "records"]
    );
    let id = said["event_id"].as_str().unwrap();
    let event = &said["event"];
    assert_eq!((&event["id"], &event["content"], &event["type"]), (&json!(id), &json!(content), &json!("text")));
    assert_eq!(event["classification"]["podija"], "moment");
    assert_eq!(event["classification"]["time"], "2031-12-24T18:30:00+02:00");
    let position = said["time_position"].as_str().unwrap();
    assert!(position.starts_with("Зафіксовано: ") && position.chars().count() == 29, "{position}");
    assert_eq!(said["time"], json!({ "iso": "2031-12-24T18:30:00+02:00", "readable": "24.12.2031 18:30" }));
    assert_eq!(said["related_traces"], json!([]));
    assert_eq!(said["classification"]["module"], "podija");
    assert_eq!(said["classification"]["tags"], json!(["родина"]));
    assert_eq!(said["records"], json!([{ "module": "calendar", "id": 1 }, { "module": "podija", "id": 1 }]));
    let trace = format!("ci:{id}");
    let check = |server: &Server| {
        let entry = server.get("/api/v1/calendar/entries/1").expect(200);
        let event = server.get("/api/v1/podija/events/1").expect(200);
        assert_eq!((&entry["scheduled_at"], &entry["source_trace"]), (&json!("2031-12-24T18:30:00"), &json!(trace)));
        assert_eq!((&event["event_date"], &event["source_trace"]), (&json!("2031-12-24T18:30:00"), &json!(trace)));
        assert_eq!((&entry["tags"], &event["is_completed"]), (&json!(["родина"]), &json!(false)));
        let kept = server.get("/api/v1/ci/captures").expect(200);
        assert_eq!((&kept[0]["event_id"], &kept[0]["content"]), (&json!(id), &json!(content)));
        assert_eq!((&kept[0]["records"], &kept[0]["classification"]), (&said["records"], &said["classification"]));
    };
    check(&server);
    // What was answered is on disk.
    server.kill();
    server.launch();
    check(&server);

    let mut client = server.connect();
    let second = capture(&mut client, "Спекти пиріг бабусі");
    let related = second["related_traces"].as_array().unwrap();
    assert_eq!(related.len(), 1, "one of those that a capture has made: {related:?}");
    assert_eq!((&related[0]["module"], &related[0]["id"]), (&json!("podija"), &json!(1)));
    assert_eq!(related[0]["title"], content);
    let third = capture(&mut client, "Прогулянка #родина");
    assert_eq!(third["related_traces"][0]["id"], 1);
    let day = capture(&mut client, "24.12.2032 зимові канікули");
    assert_eq!(day["related_traces"][0]["at"], "2031-12-24T18:30:00", "the same day of an earlier year");
}

#[test]
fn what_is_captured_goes_where_it_belongs() {
    let server = Server::start();
    let mut client = server.connect();
    let said = capture(&mut client, "Дуже втомилася після роботи");
    assert_eq!(
        (&said["classification"]["state"], &said["event"]["classification"]["stan"]),
        (&json!("fatigue"), &json!("fatigue"))
    );
    let mood = client.get("/api/v1/nastrij/emotions/1", None).expect(200);
    assert_eq!((&mood["emotion_state"], &mood["context"]), (&json!("tired"), &json!("Дуже втомилася після роботи")));
    let body =
        json!({ "type": "image", "content": "Сніг у дворі", "metadata": { "url": "https://example.com/1.jpg" } });
    let said = send(&mut client, "POST", "/api/v1/ci/capture/", &body).expect(200);
    assert_eq!(said["records"][1], json!({ "module": "gallery", "id": 1 }), "{said}");
    let item = client.get("/api/v1/gallery/items/1", None).expect(200);
    assert_eq!((&item["media_type"], &item["url"]), (&json!("photo"), &json!("https://example.com/1.jpg")));
    assert_eq!(item["source_trace"], format!("ci:{}", said["event_id"].as_str().unwrap()));

    let answer = send(&mut client, "POST", "/api/v1/ci/capture", &json!({ "content": " ", "metadata": 1 }));
    assert_eq!(
        problems(&answer),
        [r#"missing ["body","type"]"#, r#"string_too_short ["body","content"]"#, r#"dict_type ["body","metadata"]"#]
    );
    assert_eq!(problems(&client.request("POST", "/api/v1/ci/capture", &[], b"")), [r#"missing ["body"]"#]);
    assert_eq!(client.get("/api/v1/ci/capture", None).status, 405);
    client.request("POST", "/api/v1/modules/gallery/shutdown", &[], b"").expect(200);
    let (_, message) = send(&mut client, "POST", "/api/v1/ci/capture", &body).expect_error(503);
    assert_eq!(message, "Module 'gallery' is inactive");
    assert_eq!(list(&mut client, "/api/v1/ci/captures").len(), 2, "nothing is kept of what was refused");
}

#[test]
fn captures_are_listed_and_undone_within_a_minute() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut client = server.connect();
    let first = capture(&mut client, "Зустріч завтра о 10:00");
    let second = capture(&mut client, "Дуже радію");
    let ids = |list: Vec<Value>| list.into_iter().map(|capture| capture["event_id"].clone()).collect::<Vec<_>>();
    let (first, second) = (first["event_id"].clone(), second["event_id"].clone());
    assert_eq!(ids(list(&mut client, "/api/v1/ci/captures?limit=1000")), [second.clone(), first.clone()]);
    assert_eq!(ids(list(&mut client, "/api/v1/ci/captures?limit=1")), std::slice::from_ref(&second));
    assert_eq!(problems(&client.get("/api/v1/ci/captures?limit=0", None)), [r#"greater_than_equal ["query","limit"]"#]);
    assert_eq!(problems(&client.get("/api/v1/ci/captures?limit=x", None)), [r#"int_parsing ["query","limit"]"#]);

    let undo = |client: &mut Client, id: &Value| {
        client.request("POST", &format!("/api/v1/ci/captures/{}/undo", id.as_str().unwrap()), &[], b"")
    };
    client.request("DELETE", "/api/v1/calendar/entries/2", &[], b"").expect(200);
    let said = undo(&mut client, &second).expect(200);
    assert_eq!((&said["event_id"], &said["undone"]), (&second, &json!(true)));
    assert_eq!(list(&mut client, "/api/v1/nastrij/emotions"), [Value::Null; 0]);
    assert_eq!(undo(&mut client, &second).expect(200), said, "once more is the same");
    let kept = list(&mut client, "/api/v1/ci/captures");
    assert_eq!((&kept[0]["undone"], &kept[1]["undone"]), (&json!(true), &json!(false)), "what was said stays");
    client.request("POST", "/api/v1/nastrij/emotions/1/restore", &[], b"").expect(200);

    for unknown in ["x", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(undo(&mut client, &json!(unknown)).expect(404)["detail"], "Capture not found");
    }
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database.execute("UPDATE ci_captures SET captured_at = captured_at - 61000000", []).unwrap();
    assert_eq!(undo(&mut client, &first).expect_error(409).0, "http_error");
    assert_eq!(list(&mut client, "/api/v1/calendar/entries").len(), 1);
    assert_eq!(undo(&mut client, &second).expect(200), said, "what is undone stays so");
    let deleted = || -> i64 {
        let sql = "SELECT COUNT(*) FROM audit_events WHERE action = 'record.deleted'";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    wait_for(|| (deleted() == 2).then_some(()));
}

#[test]
fn the_chat_answers_from_the_households_records() {
    let server = Server::start();
    let mut client = server.connect();
    let ask = |client: &mut Client, message: &str| {
        let body = json!({ "message": message, "context": { "history": [{ "role": "user", "content": "a" }] } });
        let said = send(client, "POST", "/api/v1/ci/chat", &body).expect(200);
        assert_eq!(said["source"], "local");
        assert!(said["timestamp"].as_str().unwrap().starts_with("20"), "{said}");
        said["reply"].as_str().unwrap().to_owned()
    };
    capture(&mut client, "24.12.2031 о 18:30 буде свято в бабусі");
    let agenda = ask(&mut client, "Що у нас 24.12.2031?");
    assert_eq!(agenda, "24.12.2031:\n• 18:30 24.12.2031 о 18:30 буде свято в бабусі (Подія)");
    assert_eq!(ask(&mut client, "What is on 25.12.2031?"), "There is nothing on 25.12.2031.");
    assert!(ask(&mut client, "Розкажи про бабусю").contains("свято в бабусі"));
    assert!(ask(&mut client, "Де бабуся купила черешню?").contains("свято в бабусі"), "one of the words is enough");
    assert_eq!(ask(&mut client, "How many events?"), "In all: events — 1.");
    assert!(ask(&mut client, "Черешня?").contains("нічого не знайшлося"));
    for number in 0..13 {
        let body = json!({ "title": format!("Вишня {number}"), "description": "D" });
        send(&mut client, "POST", "/api/v1/malya/ideas", &body).expect(200);
    }
    let many = ask(&mut client, "вишня");
    assert!(many.ends_with("\n… і ще 3") && many.lines().count() == 12, "{many}");

    let refused = |client: &mut Client, body: Value| problems(&send(client, "POST", "/api/v1/ci/chat", &body));
    assert_eq!(
        refused(&mut client, json!({ "context": [] })),
        [r#"missing ["body","message"]"#, r#"dict_type ["body","context"]"#]
    );
    assert_eq!(refused(&mut client, json!({ "message": "" })), [r#"string_too_short ["body","message"]"#]);
    assert_eq!(refused(&mut client, json!({ "message": "x".repeat(4001) })), [r#"string_too_long ["body","message"]"#]);
    let off = Server::with(&[("CHAT_ENABLED", "false")]);
    let answer = send(&mut off.connect(), "POST", "/api/v1/ci/chat", &json!({ "message": "a" }));
    let (code, _) = answer.expect_error(503);
    assert_eq!(code, "chat_unavailable");
    assert_eq!(answer.expect(503)["detail"], "Chat service is unavailable. Please configure OPENAI_API_KEY.");
}

#[test]
fn moods_of_some_days_are_looked_at() {
    let server = Server::start();
    let mut client = server.connect();
    for (state, intensity) in [("calm", 4.0), ("calm", 6.0), ("sad", 2.0)] {
        let body = json!({ "emotion_state": state, "intensity": intensity, "triggers": ["сон"] });
        send(&mut client, "POST", "/api/v1/nastrij/emotions", &body).expect(200);
    }
    let old = json!({ "emotion_state": "angry", "occurred_at": "2020-01-01T10:00" });
    send(&mut client, "POST", "/api/v1/nastrij/emotions", &old).expect(200);
    let said = client.get("/api/v1/nastrij/analytics", None).expect(200);
    assert_eq!((&said["average_intensity"], &said["most_common_mood"]), (&json!(4.0), &json!("calm")));
    assert_eq!(said["mood_distribution"], json!({ "calm": 2, "sad": 1 }));
    assert_eq!((&said["trend"], &said["days"]), (&json!("stable"), &json!(30)));
    assert_eq!(said["daily"].as_array().unwrap().len(), 30);
    assert_eq!(said["top_triggers"], json!([{ "trigger": "сон", "count": 3 }]));
    assert_eq!(client.get("/api/v1/nastrij/analytics?days=366", None).expect(200)["days"], 366);
    for (days, problem) in [("0", "greater_than_equal"), ("367", "less_than_equal"), ("x", "int_parsing")] {
        let answer = client.get(&format!("/api/v1/nastrij/analytics?days={days}"), None);
        assert_eq!(problems(&answer), [format!(r#"{problem} ["query","days"]"#)]);
    }
    client.request("POST", "/api/v1/modules/nastrij/shutdown", &[], b"").expect(200);
    client.get("/api/v1/nastrij/analytics", None).expect_error(503);
}

#[test]
fn the_participant_answers_whoever_has_its_key() {
    let server = Server::with(&[("CIMEIKA_PARTICIPANT_KEY", "participant-key-of-a-test")]);
    let mut client = server.connect();
    let ask = |client: &mut Client, key: Option<&str>, body: &Value| {
        let headers: Vec<(&str, &str)> =
            [("content-type", "application/json")].into_iter().chain(key.map(|key| ("X-API-KEY", key))).collect();
        client.request("POST", "/api/participant/message", &headers, body.to_string().as_bytes())
    };
    let key = Some("participant-key-of-a-test");
    let body = json!({ "conversation_id": "c", "input": { "text": "npm error: missing lockfile" } });
    let said = ask(&mut client, key, &body).expect(200);
    assert_eq!((&said["participant"], &said["severity"]), (&json!("cimeika-api"), &json!("error")));
    assert!(said["message"].as_str().unwrap().contains("lockfile"), "{said}");
    assert_eq!(problems(&ask(&mut client, None, &body)), [r#"missing ["header","X-API-KEY"]"#]);
    assert_eq!(
        problems(&ask(&mut client, None, &json!({ "conversation_id": 1 }))),
        [
            r#"missing ["header","X-API-KEY"]"#,
            r#"string_type ["body","conversation_id"]"#,
            r#"missing ["body","input"]"#
        ]
    );
    assert_eq!(
        problems(&client.request("POST", "/api/participant/message", &[], b"")),
        [r#"missing ["header","X-API-KEY"]"#, r#"missing ["body"]"#]
    );
    for wrong in ["", "participant-key-of-a-tes"] {
        let refused = ask(&mut client, Some(wrong), &json!({})).expect(401);
        assert_eq!(refused["detail"], "Invalid API key", "before the body");
        assert_eq!(refused["error"]["hint"], "Send the participant's key in X-API-KEY");
    }
    assert_eq!(problems(&ask(&mut client, key, &json!([]))), [r#"model_attributes_type ["body"]"#]);
    for _ in 0..28 {
        ask(&mut client, key, &body).expect(200);
    }
    let answer = ask(&mut client, key, &body);
    assert_eq!(answer.expect_error(429).0, "rate_limited");
    assert_eq!(answer.expect(429)["detail"], "Rate limit exceeded. Maximum 30 requests per minute.");
    assert!((1..=60).contains(&answer.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let status = client.get("/api/status", None).expect(200);
    assert_eq!(status["participant_api"]["enabled"], true);
    assert!(status["participant_api"]["last_call_at"].as_str().unwrap().ends_with('Z'), "{status}");
    let other = Server::with(&[("PARTICIPANT_API_KEY", "an-older-name")]);
    ask(&mut other.connect(), Some("an-older-name"), &body).expect(200);
    let without = Server::start();
    assert_eq!(ask(&mut without.connect(), Some("any"), &body).expect_error(500).0, "internal_error");
}

#[test]
fn events_are_shown_along_time_and_promoted_to_the_calendar() {
    let server = Server::start();
    let mut client = server.connect();
    for (title, date, done) in [
        ("Весілля", json!("2020-05-01T12:00"), true),
        ("Ремонт", json!("2020-05-02T12:00"), false),
        ("Відпустка", json!("2099-07-01T09:00"), false),
        ("Мрія", Value::Null, false),
    ] {
        let body = json!({ "title": title, "event_date": date, "is_completed": done, "location": "Київ" });
        send(&mut client, "POST", "/api/v1/podija/events", &body).expect(200);
    }
    let titles =
        |list: &Value| -> Vec<Value> { list.as_array().unwrap().iter().map(|event| event["title"].clone()).collect() };
    let line = client.get("/api/v1/podija/timeline", None).expect(200);
    let months: Vec<&Value> = line["months"].as_array().unwrap().iter().map(|month| &month["month"]).collect();
    assert_eq!(months, ["2020-05", "2099-07"]);
    assert_eq!(titles(&line["months"][0]["events"]), ["Весілля", "Ремонт"]);
    assert_eq!(line["months"][1]["events"][0]["position"], "future");
    let coming = client.get("/api/v1/podija/upcoming", None).expect(200);
    assert_eq!(titles(&coming), ["Відпустка"]);
    assert!(coming[0]["days_left"].as_i64().unwrap() > 20_000, "{coming}");
    let overdue = client.get("/api/v1/podija/overdue", None).expect(200);
    assert_eq!(titles(&overdue), ["Ремонт"]);
    assert!(overdue[0]["days_overdue"].as_i64().unwrap() > 2000, "{overdue}");

    let entry = client.request("POST", "/api/v1/podija/events/3/promote", &[], b"").expect(200);
    assert_eq!((&entry["module"], &entry["source_trace"]), (&json!("calendar"), &json!("podija:3")));
    assert_eq!((&entry["scheduled_at"], &entry["location"]), (&json!("2099-07-01T09:00:00"), &json!("Київ")));
    assert_eq!(client.get("/api/v1/calendar/entries/1", None).expect(200), entry);
    let promote = |client: &mut Client, id: &str, body: Value| {
        send(client, "POST", &format!("/api/v1/podija/events/{id}/promote"), &body)
    };
    assert_eq!(problems(&promote(&mut client, "4", json!({}))), [r#"missing ["body","scheduled_at"]"#]);
    let said = promote(&mut client, "4", json!({ "scheduled_at": "2099-01-01T10:00", "title": "Інша" })).expect(200);
    assert_eq!((&said["title"], &said["source_trace"]), (&json!("Інша"), &json!("podija:4")));
    assert_eq!(promote(&mut client, "99", json!({})).expect(404)["detail"], "Event not found");
    assert_eq!(problems(&promote(&mut client, "x", json!({}))), [r#"int_parsing ["path","event_id"]"#]);
    assert_eq!(problems(&promote(&mut client, "1", json!([]))), [r#"model_attributes_type ["body"]"#]);
    // What else these paths lead to still does.
    client.get("/api/v1/podija/events/3", None).expect(200);
    client.request("DELETE", "/api/v1/podija/events/3", &[], b"").expect(200);
    client.request("POST", "/api/v1/podija/events/3/restore", &[], b"").expect(200);

    let database = rusqlite::Connection::open(server.database()).unwrap();
    let more = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) INSERT INTO records \
                SELECT key + 1000 + i, json, moment, NULL, created_at, updated_at, revision FROM records, n \
                WHERE json LIKE '%Весілля%'";
    assert_eq!(database.execute(more, []).unwrap(), 1001);
    let line = client.get("/api/v1/podija/timeline", None).expect(200);
    let shown: usize =
        line["months"].as_array().unwrap().iter().map(|month| month["events"].as_array().unwrap().len()).sum();
    assert_eq!(shown, 999, "the latest 1000, of which one has no date");
    for path in ["timeline", "upcoming", "overdue"] {
        assert_eq!(client.request("POST", &format!("/api/v1/podija/{path}"), &[], b"").status, 405, "{path}");
    }
    client.request("POST", "/api/v1/modules/calendar/shutdown", &[], b"").expect(200);
    assert_eq!(promote(&mut client, "3", json!({})).expect_error(503).1, "Module 'calendar' is inactive");
    client.request("POST", "/api/v1/modules/podija/shutdown", &[], b"").expect(200);
    for path in ["timeline", "upcoming", "overdue"] {
        client.get(&format!("/api/v1/podija/{path}"), None).expect_error(503);
    }
}

#[test]
fn ideas_are_shown_on_a_board_and_promoted() {
    let server = Server::start();
    let mut client = server.connect();
    for status in [Value::Null, json!("active"), json!("realized")] {
        let body = json!({ "title": "Ідея", "description": "D", "status": status, "tags": ["сад"] });
        send(&mut client, "POST", "/api/v1/malya/ideas", &body).expect(200);
    }
    let board = client.get("/api/v1/malya/board", None).expect(200);
    let columns: Vec<(&Value, &Value)> =
        board["columns"].as_array().unwrap().iter().map(|column| (&column["status"], &column["count"])).collect();
    let expected = [("draft", 1), ("active", 1), ("in_progress", 0), ("completed", 1), ("archived", 0)];
    let expected = expected.map(|(status, count)| (json!(status), json!(count)));
    assert_eq!(columns, expected.iter().map(|(status, count)| (status, count)).collect::<Vec<_>>());
    assert_eq!((&board["total"], &board["columns"][1]["ideas"][0]["id"]), (&json!(3), &json!(2)));

    let promote = |client: &mut Client, id: &str, body: Value| {
        send(client, "POST", &format!("/api/v1/malya/ideas/{id}/promote"), &body)
    };
    let event = promote(&mut client, "2", json!({ "to": "podija", "event_date": "2099-05-01T10:00" })).expect(200);
    assert_eq!((&event["module"], &event["source_trace"]), (&json!("podija"), &json!("malya:2")));
    assert_eq!((&event["title"], &event["tags"]), (&json!("Ідея"), &json!(["сад"])));
    assert_eq!(event["event_date"], "2099-05-01T10:00:00");
    let links = client.get("/api/v1/malya/ideas/2/links", None).expect(200);
    assert_eq!((&links["links"][0]["kind"], &links["links"][0]["direction"]), (&json!("promoted"), &json!("out")));
    assert_eq!(links["links"][0]["record"]["module"], "podija");
    let entry = promote(&mut client, "2", json!({ "to": "calendar", "scheduled_at": "2099-05-01T10:00" })).expect(200);
    assert_eq!((&entry["module"], &entry["source_trace"]), (&json!("calendar"), &json!("malya:2")));
    assert_eq!(
        problems(&promote(&mut client, "2", json!({ "to": "calendar" }))),
        [r#"missing ["body","scheduled_at"]"#]
    );
    assert_eq!(problems(&promote(&mut client, "2", json!({}))), [r#"missing ["body","to"]"#]);
    assert_eq!(problems(&promote(&mut client, "2", json!({ "to": "ci" }))), [r#"literal_error ["body","to"]"#]);
    assert_eq!(promote(&mut client, "9", json!({ "to": "podija" })).expect(404)["detail"], "Idea not found");
    client.get("/api/v1/malya/ideas/2", None).expect(200);

    let database = rusqlite::Connection::open(server.database()).unwrap();
    let more = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 501) INSERT INTO records \
                SELECT key + 1000 + i, json, moment, NULL, created_at, updated_at, revision FROM records, n \
                WHERE json LIKE '%\"module\":\"malya\"%' AND json LIKE '%\"id\":2,%'";
    assert_eq!(database.execute(more, []).unwrap(), 501);
    let board = client.get("/api/v1/malya/board", None).expect(200);
    assert_eq!(board["columns"][1]["count"], 500, "the newest");
    client.request("POST", "/api/v1/modules/malya/shutdown", &[], b"").expect(200);
    client.get("/api/v1/malya/board", None).expect_error(503);
}
