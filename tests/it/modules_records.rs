//! Records of the household's modules over HTTP: contract 04 §1.7 as clients see it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, UNHURRIED, household, wait_for};

/// The collections with the smallest body that makes a record, and the word in their messages.
const KINDS: [(&str, &str, &str, &str); 6] = [
    ("kazkar", "stories", "Story", r#"{"title":"T","content":"C"}"#),
    ("podija", "events", "Event", r#"{"title":"T"}"#),
    ("nastrij", "emotions", "Emotion", r#"{"emotion_state":"calm"}"#),
    ("malya", "ideas", "Idea", r#"{"title":"T","description":"D"}"#),
    ("gallery", "items", "Item", r#"{"title":"T","media_type":"photo","url":"https://example.com/a.jpg"}"#),
    ("calendar", "entries", "Entry", r#"{"title":"T","scheduled_at":"2026-03-01T10:00"}"#),
];

fn send(client: &mut Client, method: &str, path: &str, body: &str) -> Answer {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
    client.request(method, path, headers, body.as_bytes())
}

fn make(client: &mut Client, path: &str, body: &Value) -> Value {
    send(client, "POST", path, &body.to_string()).expect(200)
}

fn problem(answer: &Answer) -> (String, String) {
    let body = answer.expect(422);
    let first = &body["detail"][0];
    assert!(body["error"]["request_id"].is_string(), "{body}");
    (first["type"].as_str().unwrap().to_owned(), first["loc"].to_string())
}

#[test]
fn every_kind_is_made_read_changed_deleted_and_brought_back() {
    let server = household();
    let mut client = server.connect();
    for (module, collection, noun, least) in KINDS {
        let path = format!("/api/v1/{module}/{collection}");
        let made = send(&mut client, "POST", &path, least).expect(200);
        assert_eq!((&made["id"], &made["module"]), (&json!(1), &json!(module)));
        assert_eq!((&made["tags"], &made["source_trace"]), (&json!([]), &Value::Null));
        let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
        assert_eq!(keys[keys.len() - 6..], ["tags", "source_trace", "id", "module", "time", "canon_bundle_id"]);
        assert_eq!(made["canon_bundle_id"], "CIMEIKA_CANON_TZ_v1");
        assert!(made["time"].as_str().unwrap().ends_with('Z'), "{made}");

        let one = format!("{path}/1");
        assert_eq!(client.get(&one, None).expect(200), made);
        assert_eq!(client.get(&format!("{one}/"), None).expect(200), made, "both spellings");
        assert_eq!(client.get(&format!("{path}/"), None).expect(200), json!([made]));
        let changed = send(&mut client, "PUT", &one, r#"{"tags":["дім"],"id":9,"unknown":1}"#).expect(200);
        assert_eq!((&changed["tags"], &changed["id"], &changed["time"]), (&json!(["дім"]), &json!(1), &made["time"]));
        assert_eq!(changed.as_object().unwrap().keys().collect::<Vec<_>>(), keys, "always in the same order");

        let said = client.request("DELETE", &one, &[], b"").expect(200);
        assert_eq!(said, json!({ "message": format!("{noun} deleted successfully") }));
        for (method, path) in [("GET", one.clone()), ("DELETE", one.clone()), ("PUT", one.clone())] {
            let answer = send(&mut client, method, &path, if method == "PUT" { "{}" } else { "" });
            assert_eq!(answer.expect(404)["detail"], format!("{noun} not found"));
        }
        assert_eq!(client.get(&path, None).expect(200), json!([]));
        assert_eq!(client.request("POST", &format!("{one}/restore"), &[], b"").expect(200), changed);
        assert_eq!(client.get(&one, None).expect(200), changed);
        assert_eq!(
            client.request("POST", &format!("{one}/restore"), &[], b"").expect(404)["detail"],
            format!("{noun} not found")
        );
        let next = send(&mut client, "POST", &path, least).expect(200);
        assert_eq!(next["id"], 2, "an id is never given twice");
        client.send(format!("HEAD {one} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let head = client.answer_to_head();
        assert_eq!((head.status, head.header("content-length").is_some(), head.text()), (200, true, ""));
    }
}

#[test]
fn a_record_is_shown_as_the_contract_shows_it_and_survives_a_restart() {
    let mut server = household();
    let body = json!({ "title": "T", "content": "C — їжак", "story_type": "memory", "participants": ["Іван"],
                       "location": "Київ", "tags": ["a"], "media": 1 });
    let made = make(&mut server.connect(), "/api/v1/kazkar/stories", &body);
    let time = made["time"].as_str().unwrap();
    let expected = format!(
        r#"{{"title":"T","content":"C — їжак","story_type":"memory","participants":["Іван"],"location":"Київ","tags":["a"],"source_trace":null,"id":1,"module":"kazkar","time":"{time}","canon_bundle_id":"CIMEIKA_CANON_TZ_v1"}}"#
    );
    assert_eq!(server.get("/api/v1/kazkar/stories/1").text(), expected, "compact, unescaped, in order");
    server.kill();
    server.launch();
    let answer = server.get("/api/v1/kazkar/stories/1");
    assert_eq!((answer.text(), answer.header("content-type")), (&*expected, Some("application/json")));
    let emotion =
        make(&mut server.connect(), "/api/v1/nastrij/emotions", &json!({ "emotion_state": "calm", "intensity": 7 }));
    assert!(server.get("/api/v1/nastrij/emotions/1").text().contains(r#""intensity":7.0,"#), "{emotion}");
}

#[test]
fn lists_are_filtered_ordered_counted_and_paged() {
    let server = household();
    let mut client = server.connect();
    let path = "/api/v1/podija/events";
    for (title, date, kind, done, tag) in [
        ("Весілля Олени", "2026-03-01T12:00", "family", true, "родина"),
        ("Зустріч", "2026-03-15T09:00", "work", false, "справи"),
        ("Весна в саду", "2026-04-01T09:00", "family", false, "родина"),
    ] {
        let body = json!({ "title": title, "event_date": date, "event_type": kind, "is_completed": done, "tags": [tag],
                           "participants": ["Іван"] });
        make(&mut client, path, &body);
    }
    let ids = |client: &mut Client, query: &str| {
        let answer = client.get(&format!("{path}?{query}"), None);
        let list = answer.expect(200);
        let ids: Vec<i64> = list.as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
        let total: i64 = answer.header("x-total-count").unwrap().parse().unwrap();
        (ids, total)
    };
    for (query, expected, total) in [
        ("", vec![1, 2, 3], 3),
        ("order=desc", vec![3, 2, 1], 3),
        ("skip=1&limit=1", vec![2], 3),
        ("skip=1&limit=1&order=desc", vec![2], 3),
        ("skip=9", vec![], 3),
        ("limit=1000", vec![1, 2, 3], 3),
        ("event_type=family", vec![1, 3], 2),
        ("event_type=family&is_completed=false", vec![3], 1),
        ("is_completed=yes", vec![1], 1),
        ("is_completed=0&order=desc&limit=1", vec![3], 2),
        (
            "tag=%D1%80%D0%BE%D0%B4%D0%B8%D0%BD%D0%B0&event_type=family&person=%D0%86%D0%B2%D0%B0%D0%BD&is_completed=1",
            vec![1],
            1,
        ),
        ("tag=none", vec![], 0),
        ("from=2026-03-02", vec![2, 3], 2),
        ("to=2026-03-15", vec![1, 2], 2),
        ("from=2026-03-15T09:00&to=2026-03-15T09:00", vec![2], 1),
        ("from=2026-03-15T07:00Z&to=2026-03-15T07:00Z", vec![2], 1),
        ("from=2026-03-01&to=2026-03-31&event_type=family", vec![1], 1),
        ("q=%D0%B2%D0%B5%D1%81", vec![1, 3], 2),
        ("q=%D0%92%D0%95%D0%A1&order=desc", vec![3, 1], 2),
        ("q=%D0%B2%D0%B5%D1%81&is_completed=true", vec![1], 1),
        ("q=%D0%B2%D0%B5%D1%81&from=2026-03-02&limit=5", vec![3], 1),
        ("q=%D0%B2%D0%B5%D1%81&skip=1", vec![3], 2),
        ("q=%D1%80%D0%BE%D0%B4%D0%B8%D0%BD", vec![1, 3], 2),
        ("q=!", vec![], 0),
        ("event_type=&unknown=1", vec![1, 2, 3], 3),
    ] {
        assert_eq!(ids(&mut client, query), (expected, total), "{query}");
    }
    for (query, kind, place) in [
        ("skip=-1", "greater_than_equal", r#"["query","skip"]"#),
        ("limit=0", "greater_than_equal", r#"["query","limit"]"#),
        ("limit=x", "int_parsing", r#"["query","limit"]"#),
        ("is_completed=maybe", "bool_parsing", r#"["query","is_completed"]"#),
        ("order=up", "literal_error", r#"["query","order"]"#),
        ("from=soon", "datetime_parsing", r#"["query","from"]"#),
    ] {
        assert_eq!(
            problem(&client.get(&format!("{path}?{query}"), None)),
            (kind.to_owned(), place.to_owned()),
            "{query}"
        );
    }
    // What is changed or deleted is found by what it is now.
    send(&mut client, "PUT", &format!("{path}/1"), r#"{"event_type":"work","title":"Обід","event_date":null}"#)
        .expect(200);
    client.request("DELETE", &format!("{path}/3"), &[], b"").expect(200);
    assert_eq!(ids(&mut client, "event_type=work"), (vec![1, 2], 2));
    assert_eq!(ids(&mut client, "event_type=family"), (vec![], 0));
    assert_eq!(ids(&mut client, "q=%D0%B2%D0%B5%D1%81"), (vec![], 0));
    assert_eq!(ids(&mut client, "to=2026-03-15"), (vec![2], 1));
}

#[test]
fn whoever_has_a_version_is_not_sent_it_again_and_does_not_overwrite_another() {
    let server = household();
    let mut client = server.connect();
    let path = "/api/v1/malya/ideas";
    make(&mut client, path, &json!({ "title": "T", "description": "D" }));
    for target in [path.to_owned(), format!("{path}/1")] {
        let answer = client.get(&target, None);
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
        let again = client.request("GET", &target, &[("if-none-match", &format!("\"x\", W/{tag}"))], b"");
        assert_eq!((again.status, again.text(), again.header("etag")), (304, "", Some(&*tag)));
        assert_eq!(client.request("GET", &target, &[("if-none-match", "\"x\"")], b"").status, 200);
    }
    let one = format!("{path}/1");
    let tag = client.get(&one, None).header("etag").unwrap().to_owned();
    let put = |client: &mut Client, tag: &str, body: &str| {
        client.request("PUT", &one, &[("content-type", "application/json"), ("if-match", tag)], body.as_bytes())
    };
    let mine = put(&mut client, &tag, r#"{"title":"mine"}"#);
    let newer = mine.header("etag").unwrap().to_owned();
    assert_eq!(mine.expect(200)["title"], "mine");
    let (_, why) = put(&mut client, &tag, r#"{"title":"yours"}"#).expect_error(412);
    assert_eq!(why, "The idea was changed since; read it again");
    assert_eq!(client.request("DELETE", &one, &[("if-match", &tag)], b"").status, 412);
    assert_eq!(client.get(&one, None).expect(200)["title"], "mine");
    assert_eq!(put(&mut client, "*", r#"{"title":"any"}"#).status, 200);
    assert_ne!(client.get(&one, None).header("etag"), Some(&*newer));
    let newest = client.get(&one, None).header("etag").unwrap().to_owned();
    client.request("DELETE", &one, &[("if-match", &newest)], b"").expect(200);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_broken_by_null() {
    let server = household();
    let mut client = server.connect();
    let stories = "/api/v1/kazkar/stories";
    for (body, kind, place) in [
        ("", "missing", r#"["body"]"#),
        ("[]", "model_attributes_type", r#"["body"]"#),
        ("{", "json_invalid", r#"["body",1]"#),
        (r#"{"content":"C"}"#, "missing", r#"["body","title"]"#),
        (r#"{"title":1,"content":"C"}"#, "string_type", r#"["body","title"]"#),
        (r#"{"title":" ","content":"C"}"#, "string_too_short", r#"["body","title"]"#),
        (r#"{"title":"T","content":"C","tags":null}"#, "list_type", r#"["body","tags"]"#),
        (r#"{"title":"T","content":"C","tags":["a",2]}"#, "string_type", r#"["body","tags",1]"#),
    ] {
        assert_eq!(problem(&send(&mut client, "POST", stories, body)), (kind.to_owned(), place.to_owned()), "{body}");
    }
    let (kind, place) = problem(&client.get("/api/v1/kazkar/stories/abc", None));
    assert_eq!((&*kind, &*place), ("int_parsing", r#"["path","story_id"]"#));
    for id in ["0", "-1", "99999999999999999999999999", "1099511627776"] {
        assert_eq!(client.get(&format!("{stories}/{id}"), None).expect(404)["detail"], "Story not found", "{id}");
    }
    assert_eq!(client.get("/api/v1/kazkar/nothing", None).expect(404)["detail"], "Not Found");
    assert_eq!(client.get("/api/v1/ci/stories", None).expect(404)["detail"], "Not Found");
    let answer = client.request("PATCH", stories, &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")));

    // R2 and R3: a null breaks no record and no list.
    make(
        &mut client,
        "/api/v1/calendar/entries",
        &json!({ "title": "T", "scheduled_at": "2026-03-01T10:00", "tags": ["a"] }),
    );
    let one = "/api/v1/calendar/entries/1";
    let changed = send(&mut client, "PUT", one, r#"{"tags":null,"is_recurring":null,"location":null}"#).expect(200);
    assert_eq!((&changed["tags"], &changed["is_recurring"]), (&json!([]), &json!(false)));
    assert_eq!(problem(&send(&mut client, "PUT", one, r#"{"title":null}"#)).0, "string_type");
    assert_eq!(problem(&send(&mut client, "PUT", one, r#"{"scheduled_at":null}"#)).0, "datetime_type");
    assert_eq!(problem(&send(&mut client, "PUT", one, r#"{"end_time":"2026-02-01T10:00"}"#)).0, "value_error");
    assert_eq!(client.get("/api/v1/calendar/entries", None).expect(200), json!([changed]));
    let gallery = json!({ "title": "T", "media_type": "photo", "url": "javascript:alert(1)" });
    assert_eq!(problem(&send(&mut client, "POST", "/api/v1/gallery/items", &gallery.to_string())).0, "url_scheme");
    let gallery =
        json!({ "title": "T", "media_type": "photo", "url": "https://a/b", "metadata": { "b": 1, "a": [2] } });
    let made = make(&mut client, "/api/v1/gallery/items", &gallery);
    assert_eq!(made["media_metadata"].to_string(), r#"{"b":1,"a":[2]}"#, "C6, and members keep their order");
}

#[test]
fn fifty_writers_lose_nothing() {
    const EACH: usize = 4;
    let server = household();
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..50 {
            let (server, made) = (&server, &made);
            scope.spawn(move || {
                let mut client = server.connect();
                for turn in 0..EACH {
                    let body = json!({ "title": format!("{writer}/{turn}"), "description": "D", "tags": [writer.to_string()] });
                    make(&mut client, "/api/v1/malya/ideas", &body);
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let total = made.load(Ordering::Relaxed);
    let answer = server.get("/api/v1/malya/ideas?limit=1");
    assert_eq!((total, answer.header("x-total-count")), (50 * EACH, Some("200")));
    let mut client = server.connect();
    for writer in 0..50 {
        let listed = client.get(&format!("/api/v1/malya/ideas?tag={writer}"), None).expect(200);
        assert_eq!(listed.as_array().unwrap().len(), EACH, "{writer}");
    }
}

#[test]
fn the_registry_says_how_modules_are_and_stops_them() {
    let server = household();
    let mut client = server.connect();
    let root = client.get("/", None).expect(200);
    assert_eq!(
        (&root["status"], &root["version"], &root["docs"]),
        (&json!("success"), &json!("2.2.1"), &json!("/api/docs"))
    );
    assert_eq!(root["modules"].as_array().unwrap().len(), 7);
    let ids = json!(["ci", "kazkar", "podija", "nastrij", "malya", "gallery", "calendar"]);
    for path in ["/api/v1/modules", "/api/v1/modules/"] {
        assert_eq!(client.get(path, None).expect(200), json!({ "status": "success", "modules": ids }));
    }
    make(&mut client, "/api/v1/gallery/items", &json!({ "title": "T", "media_type": "photo", "url": "https://a/b" }));
    let all = client.get("/api/v1/modules/status", None).expect(200);
    let names: Vec<&String> = all["modules"].as_object().unwrap().keys().collect();
    assert_eq!(json!(names), ids);
    assert_eq!(
        all["modules"]["ci"],
        json!({ "status": "active", "name": "ci", "initialized": true, "seo_enabled": true })
    );
    assert_eq!(all["modules"]["kazkar"]["last_write"], Value::Null);
    assert_eq!(all["modules"]["gallery"]["records"], 1);
    let one = client.get("/api/v1/modules/gallery/status", None).expect(200);
    assert_eq!((&one["module"], &one["data"]), (&json!("gallery"), &all["modules"]["gallery"]));
    let metadata = client.get("/api/v1/modules/kazkar/metadata", None).expect(200);
    assert_eq!(metadata["data"], json!({ "name": "kazkar", "version": "0.1.0", "description": "kazkar module" }));
    for (method, path) in [("GET", "x/status"), ("GET", "x/metadata"), ("POST", "x/initialize"), ("POST", "x/shutdown")]
    {
        let answer = client.request(method, &format!("/api/v1/modules/{path}"), &[], b"");
        assert_eq!(answer.expect(404)["detail"], "Module 'x' not found");
    }
    let root = client.get("/api/v1/gallery/", None).expect(200);
    let expected =
        json!({ "module": "gallery", "name": "Галерея", "description": "Візуальний архів, медіа", "status": "active" });
    assert_eq!(root, expected);

    let stopped = client.request("POST", "/api/v1/modules/gallery/shutdown", &[], b"").expect(200);
    assert_eq!(stopped, json!({ "status": "success", "module": "gallery", "shutdown": true }));
    for (method, path) in [("GET", "items"), ("GET", "items/1"), ("DELETE", "items/1"), ("POST", "items/1/restore")] {
        let answer = client.request(method, &format!("/api/v1/gallery/{path}"), &[], b"");
        let (code, message) = answer.expect_error(503);
        assert_eq!((&*code, &*message), ("module_inactive", "Module 'gallery' is inactive"), "{method} {path}");
    }
    assert_eq!(client.get("/api/v1/gallery", None).expect(200)["status"], "inactive");
    let status = client.get("/api/v1/modules/gallery/status", None).expect(200);
    assert_eq!((&status["data"]["status"], &status["data"]["initialized"]), (&json!("inactive"), &json!(false)));
    client.get("/api/v1/malya/ideas", None).expect(200);
    let begun = client.request("POST", "/api/v1/modules/gallery/initialize/", &[], b"").expect(200);
    assert_eq!(begun, json!({ "status": "success", "module": "gallery", "initialized": true }));
    assert_eq!(client.get("/api/v1/gallery/items", None).expect(200).as_array().unwrap().len(), 1);
}

#[test]
fn a_change_is_in_the_audit_log_and_the_modules_can_be_left_out() {
    let server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut client = server.connect();
    make(&mut client, "/api/v1/malya/ideas", &json!({ "title": "T", "description": "D" }));
    client.request("DELETE", "/api/v1/malya/ideas/1", &[], b"").expect(200);
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let actions = || -> Vec<String> {
        let sql = "SELECT action || ' ' || draft_id FROM audit_events WHERE action LIKE 'record.%' ORDER BY id";
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(
        wait_for(|| Some(actions()).filter(|found| found.len() == 2)),
        ["record.created malya/1", "record.deleted malya/1"]
    );
    let without = Server::with(&[("MODULES_ENABLED", "false")]);
    for path in ["/", "/api/v1/modules", "/api/v1/malya/ideas"] {
        assert_eq!(without.get(path).status, 404, "{path}");
    }
    let wrong = Server::absent(&[("HOUSEHOLD_TIMEZONE", "Europe/Atlantis")]);
    let ended = wrong.command().output().unwrap();
    assert!(!ended.status.success());
    assert!(
        wrong.log().contains("HOUSEHOLD_TIMEZONE=Europe/Atlantis is not a zone of the tz database"),
        "{}",
        wrong.log()
    );
}

#[test]
fn a_list_that_is_kept_shows_every_change_at_once_on_every_connection() {
    let server = Server::with(&[&UNHURRIED[..], &[("SHARDS", "2")]].concat());
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    let (stories, legends) = ("/api/v1/kazkar/stories", "/api/v1/kazkar/legends");
    let newest = format!("{stories}?order=desc&limit=2");
    let mut told: Vec<i64> = Vec::new();
    let mut tags: Vec<String> = Vec::new();
    for round in 0..12 {
        // One makes a story, or changes, deletes or brings back the newest one.
        let writer = &mut clients[round % 6];
        let (one, story) = (format!("{stories}/{}", told.len()), json!({ "title": round.to_string(), "content": "C" }));
        match round % 4 {
            0 | 1 => {
                told.push(make(writer, stories, &story)["id"].as_i64().unwrap());
            }
            2 => {
                writer.request("DELETE", &one, &[], b"").expect(200);
            }
            _ => {
                writer.request("POST", &format!("{one}/restore"), &[], b"").expect(200);
            }
        }
        let there = told.len() - usize::from(round % 4 == 2);
        let expected: Vec<i64> = told[..there].iter().rev().take(2).copied().collect();
        // What else is committed changes nothing of it.
        make(&mut clients[(round + 1) % 6], "/api/v1/malya/ideas", &json!({ "title": "T", "description": "D" }));
        let mut seen = Vec::new();
        for client in clients.iter_mut().chain(&mut [server.connect()]) {
            for again in ["first", "again"] {
                let answer = client.get(&newest, None);
                assert_eq!(answer.header("x-total-count"), Some(&*there.to_string()), "{round} {again}");
                seen.push(answer.header("etag").unwrap().to_owned());
                let records = answer.expect(200);
                let ids: Vec<i64> =
                    records.as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect();
                assert_eq!(ids, expected, "{round} {again}");
            }
            assert_eq!(
                client.get(&format!("{legends}?order=desc&limit=2"), None).expect(200),
                json!([]),
                "another list"
            );
            let unchanged = client.request("GET", &newest, &[("if-none-match", &seen[0])], b"");
            assert_eq!((unchanged.status, unchanged.text()), (304, ""));
        }
        seen.dedup();
        assert!(seen.len() == 1 && !tags.contains(&seen[0]), "one tag for each state: {seen:?} after {tags:?}");
        tags.append(&mut seen);
    }
}
