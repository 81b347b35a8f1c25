//! What a household keeps goes out as JSON Lines and comes in again (contract 04 §5.2).

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::http::{Answer, Client};
use crate::support::{household, wait_for};

fn send(client: &mut Client, method: &str, path: &str, body: &Value) -> Value {
    let headers = [("content-type", "application/json")];
    client.request(method, path, &headers, body.to_string().as_bytes()).expect(200)
}

fn make(client: &mut Client, path: &str, body: &Value) -> Value {
    send(client, "POST", &format!("/api/v1/{path}"), body)
}

fn call(client: &mut Client, method: &str, path: &str) {
    client.request(method, path, &[], b"").expect(200);
}

/// The lines of an export behind its header, with its newlines.
fn exported(client: &mut Client) -> (Value, String) {
    let answer = client.get("/api/v1/export", None);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let (header, lines) = answer.text().split_once('\n').unwrap();
    (serde_json::from_str(header).unwrap(), lines.to_owned())
}

fn import(client: &mut Client, query: &str, lines: &str) -> Answer {
    client.request(
        "POST",
        &format!("/api/v1/import{query}"),
        &[("content-type", "application/x-ndjson")],
        lines.as_bytes(),
    )
}

/// How many lines were made, changed, left and refused.
fn counts(answer: &Answer) -> [u64; 4] {
    let report = answer.expect(200);
    ["made", "changed", "unchanged", "refused"].map(|name| report[name].as_u64().unwrap())
}

/// Something of each kind, with what was changed, deleted and linked.
fn furnish(client: &mut Client) {
    make(
        client,
        "kazkar/stories",
        &json!({ "title": "Їжак", "content": "Жив-був \"їжак\"\nу лісі", "tags": ["казка"] }),
    );
    make(client, "kazkar/stories", &json!({ "title": "T", "content": "C" }));
    make(
        client,
        "kazkar/stories",
        &json!({ "title": "Друга", "content": "C", "participants": ["Іван"], "location": "Київ" }),
    );
    make(
        client,
        "podija/events",
        &json!({ "title": "День", "event_date": "2026-03-01T12:00:00.5", "is_completed": true }),
    );
    make(client, "nastrij/emotions", &json!({ "emotion_state": "calm", "intensity": 7 }));
    make(client, "malya/ideas", &json!({ "title": "I", "description": "D", "related_ideas": [1], "status": "draft" }));
    make(
        client,
        "gallery/items",
        &json!({ "title": "G", "media_type": "photo", "url": "https://a/b", "metadata": { "b": [1.5], "a": null } }),
    );
    make(client, "calendar/entries", &json!({ "title": "E", "scheduled_at": "2026-03-29T10:00", "tags": ["a"] }));
    send(client, "PUT", "/api/v1/kazkar/stories/3", &json!({ "title": "Третя" }));
    call(client, "DELETE", "/api/v1/kazkar/stories/2");
    for (from, to) in [(("malya", 1), ("podija", 1)), (("kazkar", 3), ("kazkar", 1)), (("kazkar", 1), ("calendar", 1))]
    {
        let end = |(module, id): (&str, i64)| json!({ "module": module, "id": id });
        make(client, "links", &json!({ "from": end(from), "to": end(to), "kind": "про" }));
    }
}

const ALL: u64 = 10;

#[test]
fn an_export_that_is_taken_in_by_an_empty_household_is_the_same_again() {
    let (here, mut there) = (household(), household());
    let mut client = here.connect();
    furnish(&mut client);
    let (header, lines) = exported(&mut client);
    assert_eq!(header["export"]["version"], 1);
    assert_eq!(
        header["export"]["counts"],
        json!({ "kazkar": 2, "podija": 1, "nastrij": 1, "malya": 1, "gallery": 1, "calendar": 1, "links": 3 })
    );
    assert_eq!(lines.lines().count() as u64, ALL);
    let story = client.get("/api/v1/kazkar/stories/3", None);
    assert!(lines.contains(&format!("{}\n", story.text())), "a record is as it is answered");
    let whole = format!("{header}\r\n\n{lines}");

    let mut client = there.connect();
    let (nothing, none) = exported(&mut client);
    assert_eq!(none, "");
    let said = import(&mut client, "?dry_run=1", &whole);
    assert_eq!((counts(&said), &said.json()["dry_run"]), ([ALL, 0, 0, 0], &json!(true)));
    let (still, none) = exported(&mut client);
    assert_eq!((&*none, &still["export"]["counts"]), ("", &nothing["export"]["counts"]), "a dry run changes nothing");
    let said = import(&mut client, "", &whole).expect(200);
    assert_eq!(said, json!({ "made": ALL, "changed": 0, "unchanged": 0, "refused": 0, "lines": [], "dry_run": false }));
    let (again, same) = exported(&mut client);
    assert_eq!((same, &again["export"]["counts"]), (lines.clone(), &header["export"]["counts"]));
    for query in ["", "?dry_run=true"] {
        assert_eq!(counts(&import(&mut client, query, lines.trim_end())), [0, 0, ALL, 0], "as often as one likes");
    }
    there.kill();
    there.launch();
    let mut client = there.connect();
    assert_eq!(exported(&mut client).1, lines);
    let found = client.get("/api/v1/search?q=%D0%87%D0%96%D0%90%D0%9A", None).expect(200);
    assert_eq!(found["results"][0]["url"], "/api/v1/kazkar/stories/1", "what comes in is found");
    let listed = client.get("/api/v1/kazkar/stories?place=%D0%9A%D0%B8%D1%97%D0%B2", None).expect(200);
    assert_eq!(listed[0]["id"], 3);

    // What was changed or deleted since is put right; ids are counted from the largest on.
    assert_eq!(make(&mut client, "kazkar/stories", &json!({ "title": "нова", "content": "C" }))["id"], 4);
    call(&mut client, "DELETE", "/api/v1/kazkar/stories/4");
    send(&mut client, "PUT", "/api/v1/podija/events/1", &json!({ "title": "інша", "tags": ["x"] }));
    call(&mut client, "DELETE", "/api/v1/malya/ideas/1");
    for (query, unchanged) in [("?dry_run=1", ALL - 3), ("", ALL - 3)] {
        assert_eq!(counts(&import(&mut client, query, &lines)), [2, 1, unchanged, 0], "the idea and its link");
    }
    assert_eq!(exported(&mut client).1, lines);
    let bin = client.get("/api/v1/bin", None).expect(200);
    assert_eq!((bin["deleted"].as_array().unwrap().len(), &bin["deleted"][0]["id"]), (1, &json!(4)));
    client.send("HEAD /api/v1/export HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.answer_to_head().status, 200);
}

#[test]
fn a_record_whose_id_is_taken_gets_another_and_links_follow() {
    let (here, there) = (household(), household());
    let mut client = here.connect();
    furnish(&mut client);
    let (_, lines) = exported(&mut client);
    let mut client = there.connect();
    for title in ["моя", "стерта"] {
        make(&mut client, "kazkar/stories", &json!({ "title": title, "content": "C" }));
    }
    make(&mut client, "kazkar/stories", &json!({ "title": "у кошику", "content": "C" }));
    call(&mut client, "DELETE", "/api/v1/kazkar/stories/3");
    for query in ["?dry_run=1", ""] {
        assert_eq!(counts(&import(&mut client, query, &lines)), [ALL, 0, 0, 0]);
    }
    let titles: Vec<_> = client
        .get("/api/v1/kazkar/stories", None)
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|story| format!("{} {}", story["id"], story["title"].as_str().unwrap()))
        .collect();
    assert_eq!(titles, ["1 моя", "2 стерта", "4 Їжак", "5 Третя"]);
    let links = client.get("/api/v1/kazkar/stories/4/links", None).expect(200);
    let others: Vec<_> =
        links["links"].as_array().unwrap().iter().map(|link| link["record"]["url"].as_str().unwrap()).collect();
    assert_eq!(others, ["/api/v1/calendar/entries/1", "/api/v1/kazkar/stories/5"]);
    assert_eq!(client.get("/api/v1/kazkar/stories/1/links", None).expect(200)["links"], json!([]));
    for query in ["?dry_run=1", ""] {
        assert_eq!(counts(&import(&mut client, query, &lines)), [0, 0, ALL, 0], "it is found under its other id");
    }
    send(&mut client, "PUT", "/api/v1/kazkar/stories/4", &json!({ "title": "інша" }));
    assert_eq!(counts(&import(&mut client, "", &lines)), [0, 1, ALL - 1, 0]);
    assert_eq!(client.get("/api/v1/kazkar/stories/4", None).expect(200)["title"], "Їжак");
    client.request("POST", "/api/v1/kazkar/stories/3/restore", &[], b"").expect(200);
    let far = r#"{"title":"T","content":"C","module":"kazkar","id":1099511627775,"time":"2026-01-01T00:00:00"}"#;
    assert_eq!(counts(&import(&mut client, "", far)), [1, 0, 0, 0]);
    assert_eq!(
        make(&mut client, "kazkar/stories", &json!({ "title": "T", "content": "C" }))["id"],
        7,
        "there are ids left"
    );
}

#[test]
fn what_is_wrong_with_an_import_is_reported_and_the_rest_is_taken() {
    let server = household();
    let mut client = server.connect();
    let story = |id: i64| {
        json!({ "title": "T", "content": "C", "module": "kazkar", "id": id, "time": "2026-01-01T00:00:00Z" })
            .to_string()
    };
    let link = json!({ "link": { "from": { "module": "kazkar", "id": 1 }, "to": { "module": "malya", "id": 9 }, "kind": "x" } });
    let long = "x".repeat(4 * 1024 * 1024 + 1);
    let lines = [
        story(1),
        "{\"title\":".to_owned(),
        story(2),
        long,
        story(3).replace("\"C\"", "null"),
        link.to_string(),
        story(4),
    ];
    let lines = lines.join("\n");
    for query in ["?dry_run=yes", "?dry_run=0"] {
        let answer = import(&mut client, query, &lines);
        assert_eq!(counts(&answer), [3, 0, 0, 4]);
        let said: Vec<_> = answer.json()["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| format!("{}: {}", line["line"], line["why"].as_str().unwrap()))
            .collect();
        assert_eq!(
            said,
            [
                "2: It is not valid JSON: EOF while parsing a value at line 1 column 9",
                "4: It has more than 4194304 bytes",
                "5: body.content: Input should be a valid string",
                "6: malya/9 is not there to be linked",
            ]
        );
    }
    let ids: Vec<_> = client
        .get("/api/v1/kazkar/stories", None)
        .expect(200)
        .as_array()
        .unwrap()
        .iter()
        .map(|story| story["id"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 4]);
    let answer = import(&mut client, "", &"bad\n".repeat(450));
    assert_eq!((counts(&answer), answer.json()["lines"].as_array().unwrap().len()), ([0, 0, 0, 450], 100));
    assert_eq!(answer.json()["lines"][99]["line"], 100, "the first ones");
    assert_eq!(counts(&import(&mut client, "", "")), [0; 4]);

    let maybe = import(&mut client, "?dry_run=maybe", "").expect(422);
    assert_eq!(maybe["detail"][0]["loc"], json!(["query", "dry_run"]));
    client
        .send(format!("POST /api/v1/import HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 1024 * 1024 * 1024 + 1));
    assert_eq!(client.answer().status, 413);
    let mut client = server.connect();
    call(&mut client, "POST", "/api/v1/modules/kazkar/shutdown");
    let answer = import(&mut client, "", &story(5));
    assert_eq!(answer.json()["lines"], json!([{ "line": 1, "why": "Module 'kazkar' is inactive" }]));
    assert_eq!(client.get("/api/v1/export", None).status, 503, "half of it is no export");
    assert_eq!(client.request("GET", "/api/v1/import", &[], b"").status, 405);
}

#[test]
fn killed_in_the_middle_of_an_import_it_has_whole_lines_only_and_the_next_one_does_the_rest() {
    const STORIES: u64 = 3000;
    let mut server = household();
    let lines: Vec<String> = (1..=STORIES)
        .map(|id| {
            json!({ "title": format!("T{id}"), "content": "слово ".repeat(20), "tags": ["a", "b"], "module": "kazkar", "id": id,
                    "time": format!("2026-01-01T00:00:00.{id:06}Z") })
            .to_string()
        })
        .collect();
    let whole = format!("{}\n", lines.join("\n"));
    let mut client = server.connect();
    let head = format!("POST /api/v1/import HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", whole.len());
    // All but the end, so that it is not over before the process is.
    client.send(head);
    client.send(&whole.as_bytes()[..whole.len() - 10]);
    let mut other = server.connect();
    let there = |client: &mut Client| -> u64 {
        client.get("/api/v1/kazkar/stories?limit=1", None).header("x-total-count").unwrap().parse().unwrap()
    };
    wait_for(|| (there(&mut other) >= 400).then_some(()));
    server.kill();
    {
        let database = Connection::open(server.database()).unwrap();
        let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
        let records = number("SELECT count(*) FROM records");
        assert!((400..STORIES).contains(&records), "{records}");
        assert_eq!(number("SELECT records FROM record_kinds WHERE kind = 1"), records);
        let labels = "SELECT coalesce(sum(doc), 0) FROM text_terms WHERE substr(term, 2, 1) = char(129)";
        assert_eq!(number(labels), 2 * records, "what each is filtered by");
        assert_eq!(number("SELECT count(*) FROM texts"), records);
    }
    server.launch();
    let mut client = server.connect();
    let [made, changed, unchanged, refused] = counts(&import(&mut client, "", &whole));
    assert_eq!((made + unchanged, changed, refused), (STORIES, 0, 0));
    assert!(unchanged >= 400, "{unchanged}");
    assert_eq!(exported(&mut client).1.lines().count() as u64, STORIES);
}
