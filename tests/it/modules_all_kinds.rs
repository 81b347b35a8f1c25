//! What makes one household of six kinds of record: the search in all of them, a day, links and the bin (contract 04 §5.2).

use inkring::clock::{Clock, DAY_MICROS, HOUR_MICROS};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{Server, household, wait_for};

fn send(client: &mut Client, method: &str, path: &str, body: &str) -> Answer {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
    client.request(method, path, headers, body.as_bytes())
}

fn make(client: &mut Client, path: &str, body: &Value) -> i64 {
    send(client, "POST", &format!("/api/v1/{path}"), &body.to_string()).expect(200)["id"].as_i64().unwrap()
}

fn delete(client: &mut Client, path: &str) {
    client.request("DELETE", path, &[], b"").expect(200);
}

fn problem(answer: &Answer) -> (String, String) {
    let first = &answer.expect(422)["detail"][0];
    (first["type"].as_str().unwrap().to_owned(), first["loc"].to_string())
}

fn is_problem(answer: &Answer, kind: &str, place: &str) {
    assert_eq!(problem(answer), (kind.to_owned(), place.to_owned()));
}

/// `module/id` of each member of a list.
fn named(list: &Value) -> Vec<String> {
    let name = |item: &Value| format!("{}/{}", item["module"].as_str().unwrap(), item["id"]);
    list.as_array().unwrap().iter().map(name).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn one_search_finds_records_of_all_modules() {
    let mut server = household();
    let mut client = server.connect();
    make(&mut client, "kazkar/stories", &json!({ "title": "Борщ бабусі", "content": "Як варили" }));
    make(
        &mut client,
        "podija/events",
        &json!({ "title": "Обід", "description": "буде борщ і 🥟 борщик",
                                                "event_date": "2026-03-01T13:00" }),
    );
    make(&mut client, "malya/ideas", &json!({ "title": "Город", "description": "посіяти", "tags": ["Борщівник"] }));
    make(&mut client, "nastrij/emotions", &json!({ "emotion_state": "calm", "notes": "тихо" }));
    let search = |client: &mut Client, query: &str| client.get(&format!("/api/v1/search?{query}"), None).expect(200);
    let query = format!("q={}", encoded("БОРЩ"));
    let found = search(&mut client, &query);
    assert_eq!(
        (named(&found["results"]), &found["more"]),
        (vec!["kazkar/1".into(), "malya/1".into(), "podija/1".into()], &json!(false))
    );
    assert_eq!(found["query"], "БОРЩ");
    let event = &found["results"][2];
    assert_eq!(event["snippet"], "буде борщ і 🥟 борщик");
    assert_eq!(event["marks"], json!([[5, 9], [14, 20]]), "in code points");
    assert_eq!((&event["title"], &event["moment"]), (&json!("Обід"), &json!("2026-03-01T13:00:00")));
    let read = client.get(event["url"].as_str().unwrap(), None).expect(200);
    assert_eq!(read["title"], "Обід");
    assert_eq!(found["results"][0]["snippet"], "Борщ бабусі", "the title, where only that has it");

    for (query, expected, more) in [
        (format!("{query}&limit=1"), vec!["kazkar/1"], true),
        (format!("{query}&limit=3"), vec!["kazkar/1", "malya/1", "podija/1"], false),
        (format!("{query}&module=podija"), vec!["podija/1"], false),
        (format!("{query}&module="), vec!["kazkar/1", "malya/1", "podija/1"], false),
        ("q=calm".to_owned(), vec!["nastrij/1"], false),
        (format!("q={}", encoded("Варили борщ")), vec!["kazkar/1"], false),
        (format!("q={}", encoded("іншого")), vec![], false),
        ("q=!".to_owned(), vec![], false),
        (String::new(), vec![], false),
    ] {
        let found = search(&mut client, &query);
        assert_eq!(
            (named(&found["results"]), &found["more"]),
            (expected.iter().map(|name| (*name).to_owned()).collect(), &json!(more)),
            "{query}"
        );
    }
    for (query, kind, place) in [
        ("limit=0", "greater_than_equal", r#"["query","limit"]"#),
        ("limit=51", "less_than_equal", r#"["query","limit"]"#),
        ("limit=x", "int_parsing", r#"["query","limit"]"#),
        ("module=ci", "value_error", r#"["query","module"]"#),
        ("module=other", "value_error", r#"["query","module"]"#),
    ] {
        is_problem(&client.get(&format!("/api/v1/search?q=a&{query}"), None), kind, place);
    }

    // What is changed, deleted or in a module that was stopped is found as it is now; and after a start like before.
    send(&mut client, "PUT", "/api/v1/malya/ideas/1", r#"{"tags":[]}"#).expect(200);
    delete(&mut client, "/api/v1/kazkar/stories/1");
    assert_eq!(named(&search(&mut client, &query)["results"]), ["podija/1"]);
    server.kill();
    server.launch();
    let mut client = server.connect();
    assert_eq!(named(&search(&mut client, &query)["results"]), ["podija/1"]);
    client.request("POST", "/api/v1/modules/podija/shutdown", &[], b"").expect(200);
    assert_eq!(search(&mut client, &query)["results"], json!([]));
    assert_eq!(client.get(&format!("/api/v1/search?{query}&module=podija"), None).status, 503);
}

#[test]
fn a_day_has_what_is_on_it_from_all_modules_in_order() {
    let server = household();
    let mut client = server.connect();
    make(&mut client, "calendar/entries", &json!({ "title": "Лікар", "scheduled_at": "2026-03-29T09:30" }));
    make(&mut client, "podija/events", &json!({ "title": "Ранок", "event_date": "2026-03-29T00:00" }));
    make(&mut client, "podija/events", &json!({ "title": "Вечір", "event_date": "2026-03-29T23:59:59.5" }));
    make(&mut client, "podija/events", &json!({ "title": "Завтра", "event_date": "2026-03-30T00:00" }));
    make(&mut client, "nastrij/emotions", &json!({ "emotion_state": "calm", "occurred_at": "2026-03-29T03:30" }));
    // 22:30 in UTC is half past midnight in the winter of Kyiv.
    make(&mut client, "podija/events", &json!({ "title": "Ніч", "event_date": "2026-03-28T22:30Z" }));
    let day = client.get("/api/v1/day/2026-03-29", None).expect(200);
    assert_eq!(named(&day["items"]), ["podija/1", "podija/4", "nastrij/1", "calendar/1", "podija/2"]);
    assert_eq!((&day["date"], &day["more"]), (&json!("2026-03-29"), &json!(false)));
    let expected = json!({ "module": "calendar", "id": 1, "title": "Лікар", "moment": "2026-03-29T09:30:00",
                           "url": "/api/v1/calendar/entries/1" });
    assert_eq!(day["items"][3], expected);
    assert_eq!(client.get("/api/v1/day/2026-03-30/", None).expect(200)["items"][0]["title"], "Завтра");
    assert_eq!(client.get("/api/v1/day/1999-01-01", None).expect(200)["items"], json!([]));
    for wrong in ["2026-02-30", "today", "2026-03-29T10:00", "29.03.2026"] {
        is_problem(&client.get(&format!("/api/v1/day/{wrong}"), None), "date_parsing", r#"["path","date"]"#);
    }
    delete(&mut client, "/api/v1/podija/events/4");
    client.request("POST", "/api/v1/modules/nastrij/shutdown", &[], b"").expect(200);
    let day = client.get("/api/v1/day/2026-03-29", None).expect(200);
    assert_eq!(named(&day["items"]), ["podija/1", "calendar/1", "podija/2"]);
}

fn link(client: &mut Client, from: (&str, i64), to: (&str, i64), kind: &str) -> Answer {
    let end = |(module, id): (&str, i64)| json!({ "module": module, "id": id });
    send(client, "POST", "/api/v1/links", &json!({ "from": end(from), "to": end(to), "kind": kind }).to_string())
}

#[test]
fn records_are_linked_both_ways_until_one_of_them_is_deleted() {
    let mut server = Server::with(&[("AUDIT_ENABLED", "true")]);
    let mut client = server.connect();
    make(&mut client, "malya/ideas", &json!({ "title": "Ідея", "description": "D" }));
    make(&mut client, "podija/events", &json!({ "title": "Подія", "event_date": "2026-03-01T10:00" }));
    make(&mut client, "kazkar/stories", &json!({ "title": "Історія", "content": "C" }));
    let made = link(&mut client, ("malya", 1), ("podija", 1), "стала").expect(200);
    let time = made["time"].as_str().unwrap();
    assert_eq!(
        made,
        json!({ "id": 1, "from": { "module": "malya", "id": 1 }, "to": { "module": "podija", "id": 1 },
                             "kind": "стала", "time": time })
    );
    assert_eq!(link(&mut client, ("malya", 1), ("podija", 1), "стала").expect(200), made, "once is enough");
    link(&mut client, ("kazkar", 1), ("podija", 1), "about").expect(200);
    link(&mut client, ("podija", 1), ("malya", 1), "стала").expect(200);

    let links = |client: &mut Client, path: &str| {
        client.get(&format!("/api/v1/{path}/links"), None).expect(200)["links"].clone()
    };
    let of_idea = links(&mut client, "malya/ideas/1");
    let record = json!({ "module": "podija", "id": 1, "title": "Подія", "moment": "2026-03-01T10:00:00",
                         "url": "/api/v1/podija/events/1" });
    assert_eq!(of_idea[0], json!({ "id": 1, "kind": "стала", "direction": "out", "time": time, "record": record }));
    assert_eq!(
        (&of_idea[1]["id"], &of_idea[1]["direction"], of_idea.as_array().unwrap().len()),
        (&json!(3), &json!("in"), 2)
    );
    let of_event = links(&mut client, "podija/events/1");
    let seen: Vec<_> = of_event
        .as_array()
        .unwrap()
        .iter()
        .map(|link| format!("{} {}", link["direction"], link["record"]["title"]))
        .collect();
    assert_eq!(seen, [r#""in" "Ідея""#, r#""in" "Історія""#, r#""out" "Ідея""#]);

    for (from, to, noun) in [(("malya", 9), ("podija", 1), "Idea"), (("malya", 1), ("podija", i64::MAX), "Event")] {
        assert_eq!(link(&mut client, from, to, "x").expect(404)["detail"], format!("{noun} not found"));
    }
    let long = "ї".repeat(65);
    for (from, to, kind, why, place) in [
        (("malya", 1), ("malya", 1), "x", "value_error", r#"["body","to"]"#),
        (("ci", 1), ("malya", 1), "x", "value_error", r#"["body","from"]"#),
        (("malya", 1), ("podija", 1), "", "string_too_short", r#"["body","kind"]"#),
        (("malya", 1), ("podija", 1), &*long, "string_too_long", r#"["body","kind"]"#),
    ] {
        is_problem(&link(&mut client, from, to, kind), why, place);
    }
    link(&mut client, ("malya", 1), ("podija", 1), &long[2..]).expect(200);
    for (body, why, place) in [
        ("[]", "model_attributes_type", r#"["body"]"#),
        (r#"{"from":{"module":"malya","id":1},"to":{"module":"podija","id":1}}"#, "missing", r#"["body","kind"]"#),
        (
            r#"{"from":{"module":"malya","id":"1"},"to":{"module":"podija","id":1},"kind":"x"}"#,
            "value_error",
            r#"["body","from"]"#,
        ),
        (r#"{"from":{"module":"malya","id":1},"kind":"x"}"#, "value_error", r#"["body","to"]"#),
    ] {
        is_problem(&send(&mut client, "POST", "/api/v1/links", body), why, place);
    }
    assert_eq!(client.get("/api/v1/malya/ideas/9/links", None).expect(404)["detail"], "Idea not found");
    is_problem(&client.get("/api/v1/malya/ideas/x/links", None), "int_parsing", r#"["path","idea_id"]"#);
    assert_eq!(client.get("/api/v1/malya/other/1/links", None).expect(404)["detail"], "Not Found");

    let unlink = |client: &mut Client, id: &str| client.request("DELETE", &format!("/api/v1/links/{id}"), &[], b"");
    assert_eq!(unlink(&mut client, "3").expect(200), json!({ "message": "Link deleted successfully" }));
    for gone in ["3", "99", "99999999999999999999"] {
        assert_eq!(unlink(&mut client, gone).expect(404)["detail"], "Link not found");
    }
    is_problem(&unlink(&mut client, "x"), "int_parsing", r#"["path","link_id"]"#);
    assert_eq!(client.get("/api/v1/links/1", None).status, 405);

    server.kill();
    server.launch();
    let mut client = server.connect();
    assert_eq!(links(&mut client, "podija/events/1").as_array().unwrap().len(), 3);
    client.request("POST", "/api/v1/modules/kazkar/shutdown", &[], b"").expect(200);
    assert_eq!(links(&mut client, "podija/events/1").as_array().unwrap().len(), 2);
    assert_eq!(link(&mut client, ("kazkar", 1), ("podija", 1), "about").status, 503);
    client.request("POST", "/api/v1/modules/kazkar/initialize", &[], b"").expect(200);
    // A deletion takes its links along, and they do not come back with it.
    delete(&mut client, "/api/v1/malya/ideas/1");
    assert_eq!(links(&mut client, "podija/events/1").as_array().unwrap().len(), 1);
    client.request("POST", "/api/v1/malya/ideas/1/restore", &[], b"").expect(200);
    assert_eq!(links(&mut client, "malya/ideas/1"), json!([]));
    let again = link(&mut client, ("malya", 1), ("podija", 1), "стала").expect(200);
    assert_eq!(again["id"], 5, "an id is never given twice");

    let database = Connection::open(server.database()).unwrap();
    let sql = "SELECT count(*) FROM audit_events WHERE action IN ('record.linked', 'record.unlinked')";
    let recorded: i64 = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(recorded, 6);
    let counted = "SELECT records = (SELECT count(*) FROM record_links) FROM record_kinds WHERE kind = 0";
    assert!(database.query_row(counted, [], |row| row.get::<_, bool>(0)).unwrap());
}

#[test]
fn a_record_has_so_many_links() {
    let server = household();
    let mut client = server.connect();
    for title in ["A", "B", "C"] {
        make(&mut client, "malya/ideas", &json!({ "title": title, "description": "D" }));
    }
    for kind in 0..100 {
        let ends = if kind % 2 == 0 { [("malya", 1), ("malya", 2)] } else { [("malya", 2), ("malya", 1)] };
        link(&mut client, ends[0], ends[1], &kind.to_string()).expect(200);
    }
    is_problem(&link(&mut client, ("malya", 1), ("malya", 3), "x"), "value_error", r#"["body","from"]"#);
    is_problem(&link(&mut client, ("malya", 3), ("malya", 2), "x"), "value_error", r#"["body","to"]"#);
    link(&mut client, ("malya", 1), ("malya", 2), "0").expect(200);
    let links = client.get("/api/v1/malya/ideas/1/links", None).expect(200);
    assert_eq!(links["links"].as_array().unwrap().len(), 100);
}

#[test]
fn an_idea_that_is_deleted_is_no_longer_related_to_others() {
    let server = household();
    let mut client = server.connect();
    make(&mut client, "malya/ideas", &json!({ "title": "A", "description": "D" }));
    make(&mut client, "malya/ideas", &json!({ "title": "B", "description": "D", "related_ideas": [1, 3, 1] }));
    make(&mut client, "malya/ideas", &json!({ "title": "C", "description": "D", "related_ideas": [2] }));
    make(&mut client, "kazkar/stories", &json!({ "title": "T", "content": "C" }));
    delete(&mut client, "/api/v1/kazkar/stories/1");
    assert_eq!(client.get("/api/v1/malya/ideas/2", None).expect(200)["related_ideas"], json!([1, 3, 1]));
    delete(&mut client, "/api/v1/malya/ideas/1");
    assert_eq!(client.get("/api/v1/malya/ideas/2", None).expect(200)["related_ideas"], json!([3]));
    assert_eq!(client.get("/api/v1/malya/ideas/3", None).expect(200)["related_ideas"], json!([2]));
    let related = |client: &mut Client, id: i64| {
        named(&client.get(&format!("/api/v1/malya/ideas?related_to={id}"), None).expect(200))
    };
    assert_eq!((related(&mut client, 1), related(&mut client, 3)), (vec![], vec!["malya/2".to_owned()]));
}

#[test]
fn the_bin_lists_what_was_deleted_until_it_is_brought_back() {
    let mut server = household();
    let mut client = server.connect();
    for title in ["перша", "друга", "третя"] {
        make(&mut client, "kazkar/stories", &json!({ "title": title, "content": "C" }));
    }
    make(&mut client, "nastrij/emotions", &json!({ "emotion_state": "calm" }));
    let purge = |client: &mut Client, path: &str| client.request("DELETE", &format!("/api/v1/bin/{path}"), &[], b"");
    let bin = |client: &mut Client, query: &str| client.get(&format!("/api/v1/bin{query}"), None).expect(200);
    assert_eq!(bin(&mut client, ""), json!({ "deleted": [], "more": false }));
    for path in ["kazkar/stories/2", "nastrij/emotions/1", "kazkar/stories/1"] {
        delete(&mut client, &format!("/api/v1/{path}"));
    }
    let all = bin(&mut client, "");
    assert_eq!(
        (named(&all["deleted"]), &all["more"]),
        (vec!["kazkar/1".into(), "nastrij/1".into(), "kazkar/2".into()], &json!(false))
    );
    let first = &all["deleted"][0];
    assert_eq!((&first["title"], &first["restore"]), (&json!("перша"), &json!("/api/v1/kazkar/stories/1/restore")));
    assert_eq!(all["deleted"][1]["title"], "calm");
    let micros = |name: &str| first[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond();
    assert_eq!(micros("restorable_until") - micros("deleted_at"), 30 * DAY_MICROS);
    let page = bin(&mut client, "?limit=1&skip=1");
    assert_eq!((named(&page["deleted"]), &page["more"]), (vec!["nastrij/1".into()], &json!(true)));
    assert_eq!(named(&bin(&mut client, "?limit=1000")["deleted"]).len(), 3);
    for (query, kind, place) in [
        ("?limit=0", "greater_than_equal", r#"["query","limit"]"#),
        ("?skip=-1", "greater_than_equal", r#"["query","skip"]"#),
        ("?skip=x", "int_parsing", r#"["query","skip"]"#),
    ] {
        is_problem(&client.get(&format!("/api/v1/bin{query}"), None), kind, place);
    }
    server.kill();
    server.launch();
    let mut client = server.connect();
    assert_eq!(bin(&mut client, ""), all);
    client.request("POST", "/api/v1/modules/nastrij/shutdown", &[], b"").expect(200);
    assert_eq!(named(&bin(&mut client, "")["deleted"]), ["kazkar/1", "kazkar/2"]);
    client.request("POST", first["restore"].as_str().unwrap(), &[], b"").expect(200);
    assert_eq!(named(&bin(&mut client, "")["deleted"]), ["kazkar/2"]);
    // What nobody shall bring back goes at once.
    for (path, status) in [("nastrij/1", 503), ("kazkar/1", 404), ("kazkar/2", 200), ("kazkar/2", 404), ("ci/1", 404)] {
        assert_eq!(purge(&mut client, path).status, status, "{path}");
    }
    assert_eq!(bin(&mut client, ""), json!({ "deleted": [], "more": false }));
    assert_eq!(client.request("POST", "/api/v1/kazkar/stories/2/restore", &[], b"").status, 404);
}

#[test]
fn what_was_deleted_long_ago_is_removed_for_good() {
    let mut server = Server::with(&[("HOUSEKEEPING_SECONDS", "1")]);
    let mut client = server.connect();
    for id in 1..=2 {
        make(&mut client, "kazkar/stories", &json!({ "title": "T", "content": "C" }));
        delete(&mut client, &format!("/api/v1/kazkar/stories/{id}"));
    }
    drop(client);
    assert!(server.terminate().success());
    {
        // So old that it goes, and not so old that the time since the last start would not explain it.
        let database = Connection::open(server.database()).unwrap();
        let old = Clock::system().now().0 - 30 * DAY_MICROS - HOUR_MICROS / 2;
        assert_eq!(database.execute("UPDATE record_bin SET deleted_at = ?1 WHERE key & 255 = 1", [old]).unwrap(), 1);
    }
    server.launch();
    let line = server.wait_for_log(|line| line["message"] == "bin.removed");
    assert_eq!((&line["records"], &line["days"]), (&json!(1), &json!(30)));
    let mut client = server.connect();
    wait_for(|| (named(&client.get("/api/v1/bin", None).expect(200)["deleted"]) == ["kazkar/2"]).then_some(()));
    assert_eq!(client.request("POST", "/api/v1/kazkar/stories/1/restore", &[], b"").status, 404);
    assert_eq!(client.request("POST", "/api/v1/kazkar/stories/2/restore", &[], b"").status, 200);
    assert_eq!(make(&mut client, "kazkar/stories", &json!({ "title": "T", "content": "C" })), 3);
}
